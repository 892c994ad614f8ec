//! What a test gives: who asks, the request, and what the backend says.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};

use super::caller::Caller;
use super::expectation;
use super::fixtures::Fixtures;
use super::json::Json;
use super::value;
use crate::document::{Code, Content, Keys, Node, Reader, cut};
use crate::proxy::{Exchange, PURPOSE, Rehearsal, RehearsalError, Rehearsed, TICKET};

/// The keys of what is asked and answered, in tests and in the requests of a matrix.
pub(super) const KEYS: &[&str] = &["request", "record", "backend", "reply"];
const REQUEST_KEYS: &[&str] = &["method", "path", "headers", "body", "text"];
const REPLY_KEYS: &[&str] = &["status", "headers", "body", "text"];
const REQUEST_HELP: &str = "write a method, a host and a path: `GET bank.example/api/customers/1`";

/// A request, and what the backend says.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// The request in one line, for reports.
    pub(super) line: String,
    request: Request<Bytes>,
    record: Option<Response<Bytes>>,
    answer: Option<Response<Bytes>>,
}

/// That, and who asks when.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) caller: Caller,
    pub(super) now_unix_s: i64,
    pub(super) asked: Asked,
}

impl Given {
    pub(super) fn rehearse(&self, rehearsal: &Rehearsal<'_>) -> Result<Rehearsed, RehearsalError> {
        let mut request = self.asked.request.clone();
        let declared = [(PURPOSE, &self.caller.purpose), (TICKET, &self.caller.ticket)];
        for (name, value) in declared {
            request.headers_mut().extend(value.clone().map(|value| (name, value)));
        }
        rehearsal.take(Exchange {
            caller: self.caller.principal(self.now_unix_s),
            grant: self.caller.grant.clone(),
            ties: Some(self.caller.ties()),
            registered: self.caller.registered.clone(),
            zone: &self.caller.zone,
            now_unix_s: self.now_unix_s,
            request,
            record: self.asked.record.clone(),
            answer: self.asked.answer.clone(),
        })
    }

    /// What the backend answers, where that is JSON.
    pub(super) fn backend(&self) -> Option<Json> {
        Json::parse(std::str::from_utf8(self.asked.answer.as_ref()?.body()).ok()?)
    }
}

/// Reads what is asked and answered.
pub(super) fn read(
    reader: &mut Reader<'_>,
    fixtures: &Fixtures<'_>,
    keys: &Keys<'_>,
    (what, node): (&str, &Node),
) -> Option<Asked> {
    let mut reading = Reading { reader, fixtures };
    let Some(request) = keys.find("request") else {
        reading.reader.missing(node.span, what, "request", "GET bank.example/api/customers/1");
        return None;
    };
    let (line, request) = reading.request(&request.value)?;
    let record = match keys.find("record") {
        Some(pair) => Some(reading.answer(&pair.value)?),
        None => None,
    };
    let answer = match (keys.find("backend"), keys.find("reply")) {
        (Some(backend), None) => Some(reading.answer(&backend.value)?),
        (None, Some(reply)) => Some(reading.reply(&reply.value)?),
        (None, None) => None,
        (Some(_), Some(reply)) => {
            let message = "`backend` and `reply` say the same".to_owned();
            let help =
                "keep `backend` for a body, `reply` for status, headers and a body".to_owned();
            reading.reader.fault(reply.key_span, Code::Contradiction, message, Some(help));
            return None;
        }
    };
    Some(Asked { line, request, record, answer })
}

struct Reading<'r, 's, 't> {
    reader: &'r mut Reader<'s>,
    fixtures: &'r Fixtures<'t>,
}

impl Reading<'_, '_, '_> {
    /// `GET host/path?query`, or a map where there is more to say.
    fn request(&mut self, node: &Node) -> Option<(String, Request<Bytes>)> {
        if let Content::Text(line) = &node.content {
            let Some((method, rest)) = line.trim().split_once(' ') else {
                return self.no_request(node, line);
            };
            return self.assemble(node, method, rest.trim(), HeaderMap::new(), Bytes::new());
        }
        let keys = self.reader.keys(node, "a request", REQUEST_KEYS);
        let text = |reading: &mut Self, key: &str, example: &str| match keys.find(key) {
            Some(pair) => reading.reader.text(&pair.value, key).map(str::to_owned),
            None => {
                reading.reader.missing(node.span, "a request", key, example);
                None
            }
        };
        let method = text(self, "method", "PATCH")?;
        let path = text(self, "path", "bank.example/api/customers/1")?;
        let (headers, body) = self.head_and_body(&keys)?;
        self.assemble(node, &method, &path, headers, body)
    }

    fn assemble(
        &mut self,
        node: &Node,
        method: &str,
        rest: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Option<(String, Request<Bytes>)> {
        let line = format!("{method} {rest}");
        let split = rest.find('/').and_then(|slash| rest.split_at_checked(slash));
        let parsed = split.and_then(|(host, target)| {
            let method = Method::from_bytes(method.as_bytes()).ok()?;
            let host = HeaderValue::from_str(host).ok().filter(|host| !host.is_empty())?;
            Some((method, host, target.parse::<Uri>().ok()?))
        });
        let Some((method, host, uri)) = parsed else { return self.no_request(node, &line) };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request.headers_mut().insert(HOST, host);
        Some((line, request))
    }

    fn no_request<T>(&mut self, node: &Node, line: &str) -> Option<T> {
        let message = format!("`{}` is no request", cut(line));
        self.reader.fault(node.span, Code::WrongValue, message, Some(REQUEST_HELP.to_owned()));
        None
    }

    /// A body, or a status alone: a bare number is no body that a backend of records gives.
    fn answer(&mut self, node: &Node) -> Option<Response<Bytes>> {
        if let (Content::Text(_), true) = (&node.content, node.is_plain)
            && !is_reference(node)
        {
            let status = self.status(node)?;
            return Some(self.response(status, HeaderMap::new(), Bytes::new()));
        }
        let body = Bytes::from(value::json(self.reader, self.fixtures, node)?);
        Some(self.response(StatusCode::OK, HeaderMap::new(), body))
    }

    fn reply(&mut self, node: &Node) -> Option<Response<Bytes>> {
        let keys = self.reader.keys(node, "a reply", REPLY_KEYS);
        let status = match keys.find("status") {
            Some(pair) => self.status(&pair.value)?,
            None => StatusCode::OK,
        };
        let (headers, body) = self.head_and_body(&keys)?;
        Some(self.response(status, headers, body))
    }

    fn response(&self, status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Bytes> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        with_type(&mut response);
        response
    }

    fn status(&mut self, node: &Node) -> Option<StatusCode> {
        StatusCode::from_u16(expectation::status(self.reader, node)?).ok()
    }

    /// `headers`, and `body` as a value or `text` as it is.
    fn head_and_body(&mut self, keys: &Keys<'_>) -> Option<(HeaderMap, Bytes)> {
        let mut headers = HeaderMap::new();
        if let Some(pair) = keys.find("headers") {
            for header in self.reader.map(&pair.value, "`headers`") {
                for (text, _) in self.reader.words(&header.value, "a header") {
                    let name = HeaderName::from_bytes(header.key.as_bytes()).ok();
                    let value = HeaderValue::from_bytes(text.as_bytes()).ok();
                    let Some((name, value)) = name.zip(value) else {
                        let message = format!("`{}` is no header", cut(&header.key));
                        self.reader.fault(header.key_span, Code::WrongValue, message, None);
                        return None;
                    };
                    headers.append(name, value);
                }
            }
        }
        let body = match (keys.find("body"), keys.find("text")) {
            (Some(body), None) => value::json(self.reader, self.fixtures, &body.value)?,
            (None, Some(text)) => self.reader.text(&text.value, "`text`")?.to_owned(),
            (None, None) => String::new(),
            (Some(_), Some(text)) => {
                let message = "`body` and `text` are both the body".to_owned();
                let help = "keep `body` for a value, `text` for what is no JSON".to_owned();
                self.reader.fault(text.key_span, Code::Contradiction, message, Some(help));
                return None;
            }
        };
        if !body.is_empty() && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Some((headers, Bytes::from(body)))
    }
}

/// `$name`, which stands for a record.
fn is_reference(node: &Node) -> bool {
    matches!(&node.content, Content::Text(text) if text.starts_with('$'))
}

/// A backend that says nothing else sends JSON.
fn with_type(response: &mut Response<Bytes>) {
    let headers = response.headers_mut();
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
}
