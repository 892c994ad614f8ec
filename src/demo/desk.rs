//! The backend's endpoints: one request in, one answer out.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;

use super::answers::{self, Answer};
use super::export::{Export, MOST_PASSES};
use super::orders;
use super::people::{Customer, FIRST_ID};
use super::store::{MergeError, Search, Sort, Store};

const BODY_LIMIT_BYTES: usize = 64 * 1024;
const MOST_PER_PAGE: usize = 500;

/// Answers one request; what goes wrong is an answer too.
pub(super) async fn answer(
    store: Arc<Store>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let query = Query::of(request.uri().query().unwrap_or_default());
    let answer = match (request.method(), segments.as_slice()) {
        (&Method::GET, ["api", "customers"]) => search(&store, &query),
        (&Method::GET, ["api", "customers", "export"]) => export(store, &query),
        (&Method::GET, ["api", "customers", id]) => view(&store, id),
        (&Method::PATCH, ["api", "customers", id]) => change(&store, id, request).await,
        (&Method::GET, ["api", "customers", id, "orders"]) => {
            orders_of(&store, id, request.headers())
        }
        (method, _) => {
            let message = format!("no handler for {method} {path}");
            answers::fault(StatusCode::NOT_FOUND, &message, store.customer(FIRST_ID).as_ref())
        }
    };
    Ok(answer)
}

fn view(store: &Store, id: &str) -> Answer {
    match id.parse().ok().and_then(|id| store.customer(id)) {
        Some(customer) => answers::record(&customer),
        None => unknown(store, id),
    }
}

fn orders_of(store: &Store, id: &str, headers: &HeaderMap) -> Answer {
    let customer = id.parse().ok().and_then(|id| store.customer(id));
    // Nobody's orders are an empty list, as where a table is asked by a foreign key.
    let orders = customer.map_or_else(Vec::new, |customer| orders::orders(&customer));
    answers::ascii(&orders, accepts_gzip(headers))
}

async fn change(store: &Store, id: &str, request: Request<Incoming>) -> Answer {
    let Ok(number) = id.parse() else { return unknown(store, id) };
    let Some(body) = read_capped(request.into_body()).await else {
        return answers::fault(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large", None);
    };
    let patch: Value = match serde_json::from_slice(&body) {
        Ok(patch) => patch,
        Err(e) => return answers::fault(StatusCode::BAD_REQUEST, &e.to_string(), None),
    };
    match store.merge(number, patch) {
        Ok(customer) => answers::compact(StatusCode::OK, &customer),
        Err(MergeError::NoCustomer) => unknown(store, id),
        Err(e @ MergeError::Shape(_)) => {
            let stored = store.customer(number);
            answers::fault(StatusCode::UNPROCESSABLE_ENTITY, &e.to_string(), stored.as_ref())
        }
    }
}

fn search(store: &Store, query: &Query) -> Answer {
    let sort = match query.value("sort").as_deref() {
        None | Some("id") => Sort::Id,
        Some("-id") => Sort::IdDescending,
        Some("name") => Sort::Name,
        Some("phone") => Sort::Phone,
        Some(other) => {
            let message = format!("cannot sort by {other}; try id, -id, name or phone");
            let example = store.customer(FIRST_ID);
            return answers::fault(StatusCode::BAD_REQUEST, &message, example.as_ref());
        }
    };
    let search = Search {
        phone: query.value("phone"),
        name: query.value("name"),
        branch: query.value("branch"),
        sort,
        page: query.number("page").unwrap_or(1).max(1),
        per_page: query.number("per_page").unwrap_or(20).clamp(1, MOST_PER_PAGE),
    };
    let found = store.search(&search);
    let seen = search.page.saturating_mul(search.per_page);
    let next = (seen < found.total).then(|| search.page.saturating_add(1));
    let value = Page { total: found.total, page: search.page, next, items: found.items };
    answers::compact(StatusCode::OK, &value)
}

/// A page of a search's answer; `next` is the number of the next page, if there is one.
#[derive(Serialize)]
struct Page {
    total: usize,
    page: usize,
    next: Option<usize>,
    items: Vec<Customer>,
}

fn export(store: Arc<Store>, query: &Query) -> Answer {
    let passes = query.number("repeat").unwrap_or(1);
    let passes = u32::try_from(passes).unwrap_or(MOST_PASSES);
    answers::export(Export::new(store, passes))
}

fn unknown(store: &Store, id: &str) -> Answer {
    let message = format!("customer {id} not found; is this the customer you mean?");
    answers::fault(StatusCode::NOT_FOUND, &message, store.customer(FIRST_ID).as_ref())
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let listed = |value: &http::HeaderValue| {
        value.to_str().is_ok_and(|text| {
            text.split(',').any(|coding| {
                let coding = coding.trim();
                coding == "gzip" || (coding.starts_with("gzip;") && !coding.ends_with("q=0"))
            })
        })
    };
    headers.get_all(ACCEPT_ENCODING).iter().any(listed)
}

/// The body, or none if it breaks off or is larger than a record can be.
pub(super) async fn read_capped(mut body: Incoming) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if bytes.len() + data.len() > BODY_LIMIT_BYTES {
            return None;
        }
        bytes.extend_from_slice(&data);
    }
    Some(bytes)
}

/// The parameters of a query string; of those named twice the first counts.
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self(text)
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        let (_, value) = self
            .0
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)?;
        let spaced = value.replace('+', " ");
        Some(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.value(name)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::start;
    use super::super::people;
    use super::*;
    use bytes::Bytes;
    use serde_json::json;
    use std::io::Read as _;

    #[tokio::test]
    async fn one_record_is_pretty_printed_with_every_field() {
        let (_backend, mut client, _) = start(50).await;
        let received = client.get("/api/customers/1042").await;
        assert_eq!(received.status, StatusCode::OK);
        assert!(received.text().contains("\n  \"name\": "));
        let read: Customer = serde_json::from_slice(&received.body).unwrap();
        assert_eq!(read, people::customer(41));
        assert!(received.headers["etag"].to_str().unwrap().contains(&read.phone));
        for field in ["password_hash", "internal_score"] {
            assert!(received.json().get(field).is_some(), "{field}");
        }
    }

    #[tokio::test]
    async fn an_error_gives_away_personal_data() {
        let (_backend, mut client, _) = start(50).await;
        for path in ["/api/customers/9999", "/api/customers/x", "/elsewhere"] {
            let received = client.get(path).await;
            assert_eq!(received.status, StatusCode::NOT_FOUND);
            assert!(received.text().contains(&people::customer(0).phone), "{path}");
        }
        let received = client.get("/api/customers?sort=salary").await;
        assert_eq!(received.status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn a_search_answers_in_pages() {
        let (_backend, mut client, _) = start(100).await;
        let first = client.get("/api/customers?branch=bkk02&per_page=10").await.json();
        assert_eq!(
            (&first["page"], &first["next"], &first["total"]),
            (&json!(1), &json!(2), &json!(17))
        );
        let last = client.get("/api/customers?branch=bkk02&per_page=10&page=2").await.json();
        assert_eq!(last["items"].as_array().unwrap().len(), 7);
        assert_eq!(last["next"], Value::Null);
    }

    #[tokio::test]
    async fn a_search_reads_percent_encoded_and_plus_signs() {
        let (_backend, mut client, _) = start(50).await;
        let found = client.get("/api/customers?name=%E6%A2%93%E8%90%B1").await.json();
        assert!(found["items"][0]["name"].as_str().unwrap().contains("梓萱"));
        let english = people::customer(5);
        let name = percent_encoding::utf8_percent_encode(
            &english.name,
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string()
        .replace("%20", "+");
        let found = client.get(&format!("/api/customers?name={name}")).await.json();
        assert_eq!(found["items"][0]["id"], json!(english.id));
    }

    #[tokio::test]
    async fn a_change_is_merged_returned_and_kept() {
        let (_backend, mut client, _) = start(50).await;
        let patch = r#"{"phone": "13900000000", "address": {"city": "苏州市"}}"#;
        let changed = client.ask(Request::patch("/api/customers/1001"), patch).await.json();
        assert_eq!(changed["phone"], "13900000000");
        let read = client.get("/api/customers/1001").await.json();
        assert_eq!(read, changed);
        let refused = client.ask(Request::patch("/api/customers/1001"), "{\"phone\":5}").await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let refused = client.ask(Request::patch("/api/customers/1001"), "{").await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let large = format!("{{\"note\":\"{}\"}}", "x".repeat(70_000));
        let (_, status, _) = client.send(Request::patch("/api/customers/1001"), &large).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn orders_are_escaped_and_compressed_only_if_asked() {
        let (_backend, mut client, _) = start(50).await;
        let plain = client.get("/api/customers/1003/orders").await;
        assert!(plain.body.is_ascii() && plain.headers.get("content-encoding").is_none());
        let request = || Request::get("/api/customers/1003/orders");
        let refused = client.ask(request().header("accept-encoding", "gzip;q=0, br"), "").await;
        assert_eq!(refused.body, plain.body);
        let packed = client.ask(request().header("accept-encoding", "br, gzip"), "").await;
        assert_eq!(packed.headers["content-encoding"], "gzip");
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body);
    }

    #[tokio::test]
    async fn an_export_is_chunked_and_complete() {
        let (_backend, mut client, _) = start(700).await;
        let received = client.get("/api/customers/export").await;
        assert_eq!(received.headers.get("content-length"), None);
        let read: Vec<Customer> = serde_json::from_slice(&received.body).unwrap();
        assert!(read.into_iter().eq(people::customers().take(700)));
    }

    #[tokio::test]
    async fn a_repeated_export_streams_many_times_what_the_backend_holds() {
        let (_backend, mut client, _) = start(10).await;
        let (_, _, mut body) =
            client.send(Request::get("/api/customers/export?repeat=4000"), "").await;
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
        }
        assert!(bytes > 20_000_000, "{bytes}");
    }
}
