//! All that is told of a rejection, and the answer that tells it.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use super::{PROBLEM, Rejection, limit};
use crate::limits::Quota;
use crate::listen::Facts;
use crate::proxy::body::Answer;
use crate::proxy::pages::{Html, Page};
use crate::proxy::respond;
use crate::proxy::sign_in::page;

/// All that is told of a rejection, and to whom.
pub(in crate::proxy) struct Told {
    pub(in crate::proxy) status: StatusCode,
    /// The word for the log.
    pub(in crate::proxy) cause: &'static str,
    title: &'static str,
    /// What the caller can do about it. What the backend said and how it failed is not told.
    pub(in crate::proxy) detail: Option<String>,
    headers: HeaderMap,
    /// How to show a factor, for programs.
    pub(super) step_up: Option<serde_json::Value>,
    /// Further members of the problem document.
    pub(super) members: serde_json::Map<String, serde_json::Value>,
    /// What was limited and whose that is, for metrics.
    pub(in crate::proxy) limited: Option<(&'static str, &'static str)>,
    /// What a browser is shown instead of the problem document.
    page: Option<Html>,
    /// What the operator should know and the caller should not.
    pub(in crate::proxy) note: Option<String>,
}

impl Told {
    pub(super) fn new(status: StatusCode, cause: &'static str, title: &'static str) -> Self {
        let mut headers = HeaderMap::new();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        let (detail, step_up, page, note) = Default::default();
        let (members, limited) = Default::default();
        Self { status, cause, title, detail, headers, step_up, members, limited, page, note }
    }

    pub(super) fn detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    pub(super) fn page(mut self, html: &Html) -> Self {
        self.page = Some(html.clone());
        self
    }

    pub(super) fn note(mut self, note: impl ToString) -> Self {
        self.note = Some(note.to_string());
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    /// Says whom to ask about a limit.
    pub(in crate::proxy) fn contact(mut self, contact: Option<&str>) -> Self {
        if let (Some(contact), Some(_)) = (contact, self.limited) {
            self.members.insert("contact".to_owned(), contact.into());
        }
        self
    }

    /// Shows a browser a page instead, where the rejection is that it was too much.
    pub(in crate::proxy) fn for_browser(self, rejection: &Rejection, page: &Page<'_>) -> Self {
        let contact = self.members.get("contact").and_then(serde_json::Value::as_str);
        let html = limit::html(rejection, page, contact);
        match html {
            Some(html) => self.page(&html),
            None => self,
        }
    }

    pub(super) fn quotas(mut self, quotas: &[Quota]) -> Self {
        respond::limits(&mut self.headers, quotas);
        self
    }

    /// The answer that tells it.
    pub(in crate::proxy) fn into_response(
        mut self,
        facts: &Facts,
        request_id: &str,
    ) -> Response<Answer> {
        let status = self.status;
        if let Some(html) = self.page.take() {
            let mut response = page(html, status, facts);
            response.headers_mut().extend(self.headers);
            return response;
        }
        let (headers, content) = self.into_problem(request_id);
        let mut response = respond::plain(status, PROBLEM, content, facts);
        response.headers_mut().extend(headers);
        response
    }

    /// The headers of its own and the problem document.
    pub(in crate::proxy) fn into_problem(self, request_id: &str) -> (HeaderMap, Bytes) {
        let mut problem = serde_json::json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "request": request_id,
        });
        if let (Some(detail), Some(object)) = (self.detail, problem.as_object_mut()) {
            object.insert("detail".to_owned(), detail.into());
        }
        if let (Some(steps), Some(object)) = (self.step_up, problem.as_object_mut()) {
            object.insert("step_up".to_owned(), steps);
        }
        if let Some(object) = problem.as_object_mut() {
            object.extend(self.members);
        }
        (self.headers, Bytes::from(format!("{problem}\n")))
    }
}
