//! A request as it is kept while its caller shows a factor: what of it is kept, and how it becomes a
//! request again. What it may do is decided anew then; nothing of the first decision is kept.

use bytes::Bytes;
use http::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN,
};
use http::request::Parts as RequestHead;
use http::{HeaderMap, Request, Version};
use http_body_util::Full;
use serde::{Deserialize, Serialize};

use super::head::{FORWARDED, GRANT, Head, PURPOSE, REASON, TICKET};
use super::sent::Sent;
use crate::policy::StepUp;

/// What says where the request comes from, and whose it is: that of the confirmation counts.
const FROM_CONFIRMATION: [HeaderName; 3] =
    [COOKIE, ORIGIN, HeaderName::from_static("sec-fetch-site")];
const KEPT: [HeaderName; 6] = [ACCEPT, CONTENT_ENCODING, PURPOSE, TICKET, GRANT, REASON];

/// A request that waits.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) waiting: Waiting,
    body: Bytes,
}

/// All of it but the body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) method: String,
    pub(super) path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
    #[serde(flatten)]
    pub(super) asked: Asked,
}

/// What a kept request waits for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The level of a factor; 0 for none.
    pub(super) assurance: u8,
    /// How old that may be.
    pub(super) max_age_s: Option<u32>,
    /// A purpose, one of these; empty if none is asked for.
    pub(super) purposes: Vec<String>,
}

impl Asked {
    pub(super) fn factor(step_up: &StepUp) -> Self {
        let StepUp { assurance, max_age_s, .. } = *step_up;
        Self { assurance, max_age_s, purposes: Vec::new() }
    }

    pub(super) fn purpose(accepted: &[String]) -> Self {
        Self { purposes: accepted.to_vec(), ..Self::default() }
    }
}

impl Kept {
    /// What is kept of a request; `further` headers are those that its route sends on. `None` if one of
    /// them is no plain text.
    pub(super) fn of<'a>(
        head: &Head,
        headers: &HeaderMap,
        further: impl Iterator<Item = &'a str>,
        asked: Asked,
        body: Bytes,
    ) -> Option<Self> {
        let further = further.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok());
        let names = FORWARDED.into_iter().chain(KEPT).chain(further);
        let mut kept: Vec<(String, String)> = Vec::new();
        for name in names.filter(|name| !FROM_CONFIRMATION.contains(name)) {
            if kept.iter().any(|(known, _)| *known == name.as_str()) {
                continue;
            }
            for value in headers.get_all(&name) {
                kept.push((name.to_string(), std::str::from_utf8(value.as_bytes()).ok()?.into()));
            }
        }
        let waiting = Waiting {
            method: head.method.to_string(),
            path: head.path.as_str().to_owned(),
            query: head.query.clone(),
            headers: kept,
            asked,
        };
        Some(Self { waiting, body })
    }

    /// As it is sealed: the length of all but the body, that, the body.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let waiting = serde_json::to_vec(&self.waiting).ok()?;
        let length = u32::try_from(waiting.len()).ok()?;
        Some([&length.to_be_bytes(), waiting.as_slice(), &self.body].concat())
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let mut rest = Bytes::from(bytes);
        let length = u32::from_be_bytes(*rest.first_chunk::<4>()?);
        let end = usize::try_from(length).ok()?.checked_add(4)?;
        if rest.len() < end {
            return None;
        }
        let body = rest.split_off(end);
        let waiting = serde_json::from_slice(rest.get(4..)?).ok()?;
        Some(Self { waiting, body })
    }

    pub(super) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// The request once more, as whoever confirmed it sends it, for that purpose if one was asked for.
    pub(super) fn request(
        self,
        host: &str,
        confirmation: &RequestHead,
        purpose: Option<&str>,
    ) -> Option<Again> {
        let Waiting { method, path, query, headers, .. } = self.waiting;
        let target = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let mut request = Request::builder()
            .method(method.as_str())
            .uri(target)
            .version(Version::HTTP_11)
            .header(HOST, host);
        if let Some(purpose) = purpose {
            request = request.header(PURPOSE, purpose);
        }
        let is_open = |(name, _): &(String, String)| purpose.is_none() || PURPOSE != name.as_str();
        for (name, value) in headers.into_iter().filter(is_open) {
            request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        for name in FROM_CONFIRMATION {
            for value in confirmation.headers.get_all(&name) {
                request = request.header(&name, value);
            }
        }
        if !self.body.is_empty() {
            request = request.header(CONTENT_LENGTH, self.body.len());
        }
        let (head, ()) = request.body(()).ok()?.into_parts();
        Some(Again { head, body: Sent::Kept(Full::new(self.body)) })
    }
}

/// A request that was kept and is sent.
pub(super) struct Again {
    pub(super) head: RequestHead,
    pub(super) body: Sent,
}
