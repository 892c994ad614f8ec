//! A server that takes lines of JSON by POST, and has them once it answers with a status of success.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;

use super::batch::Batch;
use super::http::ask;
use super::settings::{Form, WebhookSettings};
use super::{ShipError, read_secret};

/// What is read of an answer.
const MOST_OF_ANSWER: usize = 64 * 1024;

fn content_type(form: Form) -> &'static str {
    match form {
        Form::Json | Form::Ocsf => "application/x-ndjson",
        Form::Cef => "text/plain; charset=utf-8",
    }
}

pub(super) async fn deliver(settings: &WebhookSettings, batch: &Batch) -> Result<(), ShipError> {
    let endpoint = &settings.endpoint;
    let Some((first, last)) = batch.range() else { return Ok(()) };
    let node = &batch.node;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(endpoint.path.as_str())
        .header(CONTENT_TYPE, content_type(batch.form))
        .header("menshen-node", node)
        .header("menshen-first", first)
        .header("menshen-last", last)
        .header("idempotency-key", format!("{node}-{first}-{last}"));
    if let Some(file) = &settings.token {
        let token = read_secret(file)?;
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let form =
            || ShipError::Form { path: file.display().to_string(), wanted: "a bearer token" };
        let mut value = value.map_err(|_not_one| form())?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(Full::new(Bytes::from(batch.lines())));
    let request = request.map_err(|error| endpoint.peer.refused(error.to_string()))?;
    ask(endpoint, request, MOST_OF_ANSWER).await?.of_success(endpoint).map(drop)
}
