//! The backend of a template: records on a shelf, found by their fields. As careless as the bank's,
//! it checks nothing and returns every field it has.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answers::{self, Answer};
use super::desk::{Query, read_capped};
use super::store::merge_into;

const MOST_PER_PAGE: usize = 500;
/// What the shelf does not take for the name of a field.
const PAGING: [&str; 4] = ["page", "per_page", "sort", "lang"];

/// Records by collection, and what is answered where.
#[derive(Debug)]
pub(super) struct Shelf {
    collections: RwLock<BTreeMap<String, Vec<Value>>>,
    endpoints: Vec<Endpoint>,
}

/// One endpoint. Path parameters and query parameters that are fields select records.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    /// `GET /api/guests/{id}`; where the last segment is a parameter, one record is meant, unless `under` says a list.
    #[serde(rename = "match")]
    target: String,
    /// The collection.
    #[serde(default)]
    of: String,
    /// The member under which a list stands, beside `total` and `page`; else the list is the body.
    #[serde(default)]
    under: Option<String>,
    /// Whether one record is meant although the last segment is no parameter.
    #[serde(default)]
    one: bool,
    /// Answered as it stands.
    #[serde(default)]
    body: Option<Value>,
    /// A document that is no JSON: its type and text.
    #[serde(default)]
    document: Option<(String, String)>,
}

impl Shelf {
    pub(super) fn new(collections: BTreeMap<String, Vec<Value>>, endpoints: Vec<Endpoint>) -> Self {
        Self { collections: RwLock::new(collections), endpoints }
    }

    /// Answers one request; what goes wrong is an answer too.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let Some((endpoint, wanted)) = self.find(&method, &path) else {
            let message = format!("no handler for {method} {path}");
            return Ok(answers::fault(StatusCode::NOT_FOUND, &message, None));
        };
        if let Some((kind, text)) = &endpoint.document {
            return Ok(document(kind, text));
        }
        if let Some(body) = &endpoint.body {
            return Ok(answers::compact(StatusCode::OK, body));
        }
        if method == Method::GET {
            let query = request.uri().query().unwrap_or_default().to_owned();
            return Ok(self.read(endpoint, wanted, &query));
        }
        let Some(body) = read_capped(request.into_body()).await else {
            return Ok(answers::fault(StatusCode::PAYLOAD_TOO_LARGE, "too large", None));
        };
        Ok(self.change(&method, endpoint, &wanted, &body))
    }

    /// The first endpoint that fits, and what its path parameters select.
    fn find(&self, method: &Method, path: &str) -> Option<(&Endpoint, Vec<(String, String)>)> {
        self.endpoints.iter().find_map(|endpoint| {
            let (verb, template) = endpoint.target.split_once(' ')?;
            let parameters = parameters(template, path)?;
            (verb == method.as_str()).then_some((endpoint, parameters))
        })
    }

    fn read(&self, endpoint: &Endpoint, mut wanted: Vec<(String, String)>, query: &str) -> Answer {
        let collections = self.collections.read().unwrap_or_else(PoisonError::into_inner);
        let records = collections.get(&endpoint.of).map_or(&[][..], Vec::as_slice);
        let names = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = Query::of(query);
        for (name, _) in names.filter(|(name, _)| !PAGING.contains(name)) {
            wanted.extend(query.value(name).map(|value| (name.to_owned(), value)));
        }
        let mut found = records.iter().filter(|record| fits(record, &wanted));
        if endpoint.means_one() {
            return found.next().map_or_else(
                || answers::fault(StatusCode::NOT_FOUND, "nothing has this key", None),
                |record| answers::compact(StatusCode::OK, record),
            );
        }
        let Some(under) = &endpoint.under else {
            return answers::compact(StatusCode::OK, &found.collect::<Vec<_>>());
        };
        let page = query.number("page").unwrap_or(1).max(1);
        let per_page = query.number("per_page").unwrap_or(20).clamp(1, MOST_PER_PAGE);
        let all: Vec<&Value> = found.collect();
        let skip = page.saturating_sub(1).saturating_mul(per_page);
        let items: Vec<&&Value> = all.iter().skip(skip).take(per_page).collect();
        let body = json!({ under: items, "total": all.len(), "page": page });
        answers::compact(StatusCode::OK, &body)
    }

    fn change(
        &self,
        method: &Method,
        endpoint: &Endpoint,
        wanted: &[(String, String)],
        body: &[u8],
    ) -> Answer {
        let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(body) };
        let Ok(body) = body else {
            return answers::fault(StatusCode::BAD_REQUEST, "not JSON", None);
        };
        let mut collections = self.collections.write().unwrap_or_else(PoisonError::into_inner);
        let records = collections.entry(endpoint.of.clone()).or_default();
        if *method == Method::POST {
            let record = created(body, wanted, records.len());
            records.push(record.clone());
            return answers::compact(StatusCode::CREATED, &record);
        }
        let Some(at) = records.iter().position(|record| fits(record, wanted)) else {
            return answers::fault(StatusCode::NOT_FOUND, "nothing has this key", None);
        };
        if *method == Method::DELETE {
            records.remove(at);
            return answers::compact(StatusCode::OK, &json!({}));
        }
        let Some(record) = records.get_mut(at) else {
            return answers::fault(StatusCode::NOT_FOUND, "nothing has this key", None);
        };
        merge_into(record, body);
        answers::compact(StatusCode::OK, record)
    }
}

impl Endpoint {
    fn means_one(&self) -> bool {
        self.one || (self.under.is_none() && self.target.ends_with('}'))
    }
}

/// The path's parameters by name, if the path fits the template.
fn parameters(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (mut names, mut values) = (template.split('/'), path.split('/'));
    let mut found = Vec::new();
    loop {
        match (names.next(), values.next()) {
            (None, None) => return Some(found),
            (Some(name), Some(value)) => {
                let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
                match name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) => found.push((name.to_owned(), value)),
                    None if name == value => {}
                    None => return None,
                }
            }
            (Some(_), None) | (None, Some(_)) => return None,
        }
    }
}

/// Whether each named field of the record, `a.b` for one inside another, has the value.
fn fits(record: &Value, wanted: &[(String, String)]) -> bool {
    wanted.iter().all(|(name, value)| {
        let found = name.split('.').try_fold(record, |inner, part| inner.get(part));
        match found {
            Some(Value::String(text)) => text == value,
            Some(other) => {
                let text = other.to_string();
                text == *value
            }
            None => false,
        }
    })
}

/// A record made of the body, with a key of its own and what the path says.
fn created(body: Value, wanted: &[(String, String)], count: usize) -> Value {
    let mut record = match body {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    };
    for (name, value) in wanted {
        record.insert(name.clone(), json!(value));
    }
    record.entry("id").or_insert_with(|| json!(format!("new-{}", count + 1)));
    Value::Object(record)
}

fn document(kind: &str, text: &str) -> Answer {
    let mut answer =
        Response::new(Either::Left(Full::new(Bytes::copy_from_slice(text.as_bytes()))));
    if let Ok(kind) = HeaderValue::from_str(kind) {
        answer.headers_mut().insert(CONTENT_TYPE, kind);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_by_their_fields() {
        let guest = json!({ "id": "g1", "room": { "no": 12 } });
        let wanted = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert!(fits(&guest, &wanted("id", "g1")));
        assert!(fits(&guest, &wanted("room.no", "12")));
        assert!(!fits(&guest, &wanted("room.no", "13")));
        assert!(!fits(&guest, &wanted("floor", "1")));
    }

    #[test]
    fn an_endpoint_with_a_member_for_its_list_means_a_list() {
        let endpoint = |under: Option<&str>| Endpoint {
            target: "GET /api/guests/{name}".to_owned(),
            of: "guests".to_owned(),
            under: under.map(str::to_owned),
            one: false,
            body: None,
            document: None,
        };
        assert!(endpoint(None).means_one());
        assert!(!endpoint(Some("items")).means_one());
    }

    #[test]
    fn a_path_fits_a_template_of_the_same_length() {
        assert_eq!(parameters("/a/{id}", "/a/x%20y"), Some(vec![("id".into(), "x y".into())]));
        assert_eq!(parameters("/a/{id}", "/a/x/y"), None);
        assert_eq!(parameters("/a/b", "/a/c"), None);
    }
}
