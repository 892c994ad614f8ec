//! The body of an upstream's answer: it has a deadline, and gives its connection back at its end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::error::{Stage, UpstreamError};
use super::lease::Lease;
use super::readers::Reading;

/// The largest body that is read only to keep its connection.
const DISCARDED_BYTES: usize = 64 * 1024;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// The body of an upstream's answer.
///
/// Read to its end, its connection is kept for the next request; dropped before, or failed, its
/// connection is closed. An error is final.
pub struct UpstreamBody {
    inner: Incoming,
    /// Whether its end is told, as by HTTP/2.
    tells_its_end: bool,
    /// Present until the body has ended.
    lease: Option<Lease>,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    /// Whether the deadline runs: somebody has asked and the upstream has not given.
    waiting: bool,
    /// Of what may last.
    replaced: Option<Replaced>,
}

/// Tells when what something lasting comes from is replaced.
#[derive(Clone, Debug)]
pub struct Replaced(CancellationToken);

impl Replaced {
    /// Waits until its upstream is none any more, or the certificates by which that was believed were replaced. Cancel safe.
    pub async fn told(&self) {
        self.0.cancelled().await;
    }
}

impl UpstreamBody {
    pub(super) fn new((inner, version): (Incoming, Version), lease: Lease, idle: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep(idle));
        let (tells_its_end, lease) = (version == Version::HTTP_2, Some(lease));
        let (waiting, replaced) = (false, None);
        let mut body = Self { inner, tells_its_end, lease, idle, deadline, waiting, replaced };
        body.keep_if_ended();
        body
    }

    pub(super) fn rest_on(&mut self, lasting: CancellationToken) {
        self.replaced = Some(Replaced(lasting));
    }

    /// When that is, where the route is one whose answers may last. The body does not end by itself then.
    #[must_use]
    pub fn replaced(&self) -> Option<Replaced> {
        self.replaced.clone()
    }

    /// hyper takes a stream that was reset with `NO_ERROR` for one that ended, since a backend may say so to whoever still
    /// sends after the whole of an answer (RFC 9113 section 8.1). The whole says that it is, or has the length that it said.
    fn is_left_off(&self) -> bool {
        let is_whole = self.inner.is_end_stream() || self.inner.size_hint().exact() == Some(0);
        self.tells_its_end && !is_whole
    }

    /// Says that it streams to somebody. While others wait for a place at the endpoint, that of a reader who does not read
    /// is called back; `None` where the body has ended, and holds none.
    pub fn streams_to(&mut self, whose: Arc<str>) -> Option<Reading> {
        self.lease.as_mut().map(|lease| lease.streams_to(whose))
    }

    /// Reads a small body to its end and throws it away, so that its connection can be kept; closes the
    /// connection of a large or slow one.
    pub async fn discard(mut self) {
        let reading = async {
            let mut read = 0;
            while let Some(Ok(frame)) =
                std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await
            {
                read += frame.data_ref().map_or(0, bytes::Bytes::len);
                if read > DISCARDED_BYTES {
                    return;
                }
            }
        };
        drop(tokio::time::timeout(DISCARD_TIME, reading).await);
    }

    /// hyper's server does not poll a body that knows to have ended, so this cannot wait for `None`.
    fn keep_if_ended(&mut self) {
        if self.inner.is_end_stream() {
            self.keep();
        }
    }

    fn keep(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.keep();
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.waiting {
            self.waiting = true;
            let deadline = Instant::now() + self.idle;
            self.deadline.as_mut().reset(deadline);
        }
        self.deadline.as_mut().poll(cx)
    }

    fn fail(&mut self, error: UpstreamError) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        self.lease = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        if self.lease.is_none() {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting = false;
                self.keep_if_ended();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => self.fail(UpstreamError::of_body(error)),
            Poll::Ready(None) if self.is_left_off() => self.fail(UpstreamError::LeftOff),
            Poll::Ready(None) => {
                self.keep();
                Poll::Ready(None)
            }
            Poll::Pending => match self.poll_deadline(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => {
                    let late = UpstreamError::Timeout(Stage::Body, self.idle);
                    self.fail(late)
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl std::fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamBody").field("ended", &self.lease.is_none()).finish_non_exhaustive()
    }
}
