//! One request to a gate, for commands that ask it over the network as anybody else does.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;

use super::ShipError;
use super::http::ask;
use super::settings::{Endpoint, Peer, Security};

/// The most of an answer that is read.
const MOST_BYTES: usize = 4 * 1024 * 1024;

impl Endpoint {
    /// Takes `https://host[:port]` apart, trusting the authorities in this file; connects to `at` rather than looking the
    /// name up, where that is given.
    #[must_use]
    pub fn https(url: &str, ca: PathBuf, at: Option<SocketAddr>) -> Option<Self> {
        let authority = url.strip_prefix("https://")?.trim_end_matches('/');
        if authority.is_empty() || authority.contains(['/', '@', '?', '#']) {
            return None;
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, 443),
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        let security = Security::Tls { server_name: host.clone(), ca, identity: None };
        let (host, port) = at.map_or((host, port), |at| (at.ip().to_string(), at.port()));
        let peer = Peer { host, port, security };
        Some(Self { peer, authority: authority.to_owned(), path: "/".to_owned() })
    }
}

/// Asks a gate: with a body that is a POST, without a GET. Gives the status and the answer.
///
/// # Errors
/// [`ShipError`] if there was no answer.
pub async fn call(
    endpoint: &Endpoint,
    path: &str,
    token: &str,
    body: Option<&serde_json::Value>,
) -> Result<(u16, Vec<u8>), ShipError> {
    let refused = |_: http::header::InvalidHeaderValue| {
        let wanted = "one line with a token";
        ShipError::Form { path: "--token".to_owned(), wanted }
    };
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(refused)?;
    bearer.set_sensitive(true);
    let content = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
    let mut request = Request::new(Full::new(content));
    *request.method_mut() = if body.is_some() { Method::POST } else { Method::GET };
    *request.uri_mut() = path
        .parse()
        .map_err(|_no_path| ShipError::Form { path: path.to_owned(), wanted: "a path" })?;
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let answer = ask(endpoint, request, MOST_BYTES).await?;
    Ok((answer.status, answer.body))
}
