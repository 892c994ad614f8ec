//! One request over a connection of its own, with caps on what comes back.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Request};
use http_body_util::Full;

use super::ShipError;
use super::connect::connect;
use super::settings::Endpoint;
use crate::tls::{ExchangeError, exchange};

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer, if it is one of success.
    ///
    /// # Errors
    /// [`ShipError::Status`] or [`ShipError::TooLarge`].
    pub fn of_success(self, endpoint: &Endpoint) -> Result<Self, ShipError> {
        let peer = endpoint.peer.shown();
        match self.status {
            200..=299 => Ok(self),
            413 => Err(ShipError::TooLarge(peer)),
            status => {
                let again = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let again = again.and_then(|text| text.parse().ok()).map(Duration::from_secs);
                Err(ShipError::Status { peer, status, again })
            }
        }
    }
}

/// Asks, and reads at most `most` bytes of the answer's body.
///
/// # Errors
/// [`ShipError`] if there is no connection, it broke, or the answer is larger.
pub async fn ask(
    endpoint: &Endpoint,
    mut request: Request<Full<Bytes>>,
    most: usize,
) -> Result<Answer, ShipError> {
    let peer = &endpoint.peer;
    let other =
        |error: Box<dyn std::error::Error + Send + Sync>| peer.broken(io::Error::other(error));
    let host = HeaderValue::try_from(endpoint.authority.as_str());
    request.headers_mut().insert(HOST, host.map_err(|error| other(error.into()))?);
    let answer =
        exchange(connect(peer).await?, request, most).await.map_err(|error| match error {
            ExchangeError::Http(error) => other(error.into()),
            ExchangeError::TooLarge { most, .. } => {
                peer.refused(format!("answered with more than {most} bytes"))
            }
        })?;
    let (head, body) = answer.into_parts();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
}
