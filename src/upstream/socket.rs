//! A connection that switched to another protocol: bytes both ways, and its place until it is dropped.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::response::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::{Stage, UpstreamError};
use super::lease::Open;
use super::pool::Unanswered;

/// What came of asking for another protocol.
#[derive(Debug)]
pub enum Switch {
    /// The backend speaks it from here on; what its head says is still to be judged.
    Done(Box<Parts>, UpstreamSocket),
    /// It answered otherwise. The connection is closed.
    Refused(StatusCode),
}

impl Switch {
    /// What it answered.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Done(..) => StatusCode::SWITCHING_PROTOCOLS,
            Self::Refused(status) => *status,
        }
    }
}

/// The connection; dropping it closes it.
pub struct UpstreamSocket {
    io: TokioIo<Upgraded>,
    replaced: CancellationToken,
    _held: (OwnedSemaphorePermit, Open),
}

impl UpstreamSocket {
    /// Waits until its upstream is none any more, or the certificates by which that was believed were replaced. What is to
    /// be said then may still be.
    pub fn replaced(&self) -> impl Future<Output = ()> + use<> {
        self.replaced.clone().cancelled_owned()
    }
}

impl std::fmt::Debug for UpstreamSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamSocket").finish_non_exhaustive()
    }
}

/// The connection behind an answer that switches.
pub(super) async fn switched(
    mut answer: Response<Incoming>,
    limit: Duration,
    replaced: CancellationToken,
    held: (OwnedSemaphorePermit, Open),
) -> Result<(Box<Parts>, UpstreamSocket), Unanswered> {
    let upgraded = timeout(limit, hyper::upgrade::on(&mut answer)).await;
    let failed = |error| Unanswered::Failed(error);
    let upgraded = match upgraded {
        Ok(upgraded) => upgraded.map_err(|error| failed(UpstreamError::Closed(error)))?,
        Err(_late) => return Err(failed(UpstreamError::Timeout(Stage::Head, limit))),
    };
    let socket = UpstreamSocket { io: TokioIo::new(upgraded), replaced, _held: held };
    Ok((Box::new(answer.into_parts().0), socket))
}

impl AsyncRead for UpstreamSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for UpstreamSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
