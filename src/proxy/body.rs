//! Bodies with bounds: the answer that tells how it ended, and the request body read with a cap.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::outcome::{Ending, Outcome};
use crate::listen::{OpenRequest, Progress};

/// The body of every answer of the gate.
///
/// When it ends, fails or is dropped it writes the outcome of its request, if it has one.
pub struct Answer {
    content: Content,
    outcome: Option<Outcome>,
    progress: Progress,
    _open: OpenRequest,
}

enum Content {
    /// All of it is known; `None` once handed over.
    Whole(Option<Bytes>),
    /// It comes from the guard, frame by frame.
    Stream(mpsc::Receiver<Result<Frame<Bytes>, Cut>>),
    /// It ended.
    Done,
}

/// A stream was cut off; the client must not take what it has for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// The guard found something that it does not let pass.
    #[error("the answer was cut off: the guard refused the rest")]
    Guard,
    /// The backend broke off.
    #[error("the answer was cut off: the backend broke off")]
    Upstream,
    /// A limit was reached and the client cannot be told otherwise.
    #[error("the answer was cut off: a limit was reached")]
    Limit,
    /// The counts could not be stored.
    #[error("the answer was cut off: what leaves could not be counted")]
    Uncounted,
    /// Whom it is about could not be recorded.
    #[error("the answer was cut off: what leaves could not be recorded")]
    Unrecorded,
}

impl Answer {
    /// A body that is known whole.
    pub(super) fn whole(content: Bytes, outcome: Option<Outcome>, progress: &Progress) -> Self {
        let content = Content::Whole(Some(content));
        Self { content, outcome, progress: progress.clone(), _open: progress.begin() }
    }

    /// A body that the guard feeds; its frames were counted before they came here.
    pub(super) fn stream(
        frames: mpsc::Receiver<Result<Frame<Bytes>, Cut>>,
        outcome: Outcome,
        progress: &Progress,
    ) -> Self {
        let content = Content::Stream(frames);
        Self {
            content,
            outcome: Some(outcome),
            progress: progress.clone(),
            _open: progress.begin(),
        }
    }

    /// The same answer with nothing in its body; its outcome still follows when it ends.
    pub(super) fn without_content(mut self) -> Self {
        self.content = Content::Whole(None);
        self
    }

    fn end(&mut self, ending: Ending) {
        self.content = Content::Done;
        if let Some(outcome) = self.outcome.take() {
            outcome.ended(ending);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let next = match &mut self.content {
            Content::Whole(bytes) => {
                bytes.take().filter(|b| !b.is_empty()).map(|b| Ok(Frame::data(b)))
            }
            Content::Stream(frames) => match frames.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(next) => next,
            },
            Content::Done => None,
        };
        self.progress.moved();
        let whole = matches!(self.content, Content::Whole(_));
        match &next {
            // Trailers are the last frame; hyper does not ask for more.
            Some(Ok(frame)) if whole || frame.is_trailers() => self.end(Ending::Complete),
            Some(Ok(_)) => {}
            Some(Err(cut)) => self.end(Ending::Cut(*cut)),
            None => self.end(Ending::Complete),
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Content::Stream(_) => false,
            Content::Done => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Content::Whole(None) | Content::Done => SizeHint::with_exact(0),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // An empty body is never polled; hyper drops it once the head is written.
        let ending = if self.is_end_stream() { Ending::Complete } else { Ending::ClientLeft };
        self.end(ending);
    }
}

/// Why a request body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// It is larger than the cap.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    /// It did not come within its time.
    #[error("the request body did not come in time")]
    TooSlow,
    /// The client broke off, or its framing is wrong.
    #[error("the request body broke off or is framed wrongly")]
    Broken,
}

/// Reads a body of at most `limit_bytes` within `time`.
///
/// # Errors
/// [`BodyFault`]; nothing of the body is used then.
pub(super) async fn read_capped<B>(
    body: B,
    limit_bytes: usize,
    time: Duration,
    progress: &Progress,
) -> Result<Bytes, BodyFault>
where
    B: Body<Data = Bytes>,
{
    if body.size_hint().lower() > limit_bytes as u64 {
        return Err(BodyFault::TooLarge(limit_bytes));
    }
    let reading = async {
        let mut body = std::pin::pin!(body);
        let mut whole = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            progress.moved();
            let frame = frame.ok().ok_or(BodyFault::Broken)?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > limit_bytes {
                return Err(BodyFault::TooLarge(limit_bytes));
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    };
    tokio::time::timeout(time, reading).await.unwrap_or(Err(BodyFault::TooSlow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    const TIME: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_body_up_to_the_cap_is_read_and_one_byte_more_is_not() {
        let progress = Progress::new();
        let read = |n: usize| {
            let progress = progress.clone();
            async move { read_capped(Full::new(Bytes::from(vec![b'x'; n])), 8, TIME, &progress).await }
        };
        assert_eq!(read(8).await.unwrap().len(), 8);
        assert_eq!(read(9).await.unwrap_err(), BodyFault::TooLarge(8));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_given_up() {
        let (_sender, frames) = mpsc::channel(1);
        let never = Answer {
            content: Content::Stream(frames),
            outcome: None,
            progress: Progress::new(),
            _open: Progress::new().begin(),
        };
        let progress = Progress::new();
        assert_eq!(read_capped(never, 8, TIME, &progress).await.unwrap_err(), BodyFault::TooSlow);
    }

    #[tokio::test]
    async fn a_whole_body_says_its_length_and_comes_once() {
        let mut body = Answer::whole(Bytes::from_static(b"{}"), None, &Progress::new());
        assert_eq!(body.size_hint().exact(), Some(2));
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "{}");
        assert!(body.is_end_stream());
    }
}
