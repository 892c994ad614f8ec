//! One question over a connection of its own, with caps on what comes back.

use std::pin::pin;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The connection broke, or what came is no HTTP.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// The answer's body is longer than what is read.
    #[error("an answer of status {status} is longer than {most} bytes")]
    TooLarge {
        /// The status of the answer.
        status: u16,
        /// What is read at most.
        most: usize,
    },
}

/// Asks over `stream`, by HTTP/1.1, and reads at most `most` bytes of the answer's body. The connection ends with it.
///
/// It has no deadline of its own. Dropping it closes the connection.
///
/// # Errors
/// [`ExchangeError`].
pub async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    most: usize,
) -> Result<Response<Vec<u8>>, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(64)
        .max_header_size(16 * 1024)
        .max_buf_size(64 * 1024)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut work = pin!(async {
        let (head, mut body) = sender.send_request(request).await?.into_parts();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame?;
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len().saturating_add(data.len()) > most {
                return Err(ExchangeError::TooLarge { status: head.status.as_u16(), most });
            }
            bytes.extend_from_slice(data);
        }
        Ok(Response::from_parts(head, bytes))
    });
    let mut connection = pin!(connection);
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ended = &mut connection, if is_open => is_open = false,
        }
    }
}
