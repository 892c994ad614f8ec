//! Bodies with bounds: the answer that tells how it ended, and the request body read with a cap.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::EXPECT;
use http::request::Parts as RequestHead;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::head::has_none;
use super::outcome::{Ending, Outcome};
use super::sent::Sent;
use crate::listen::{OpenRequest, Progress};

/// An answer is handed out in pieces of at most this size: hyper asks for the next one only when the
/// client has taken most of the last.
const PIECE_BYTES: usize = 32 * 1024;

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
    /// What is left of a body that is known whole.
    Whole(Bytes),
    /// It comes from the guard, frame by frame.
    Stream(mpsc::Receiver<Result<Fed, Cut>>),
    /// It ended.
    Done,
}

/// What the task that feeds a stream says. A feeder that vanishes without [`Fed::End`], in a panic or
/// a shutdown, must not look like one that came to its end.
#[derive(Debug)]
pub(super) enum Fed {
    Frame(Frame<Bytes>),
    End,
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
    /// A new policy took the caller's right away, or changed what it is.
    #[error("the answer was cut off: the policy has changed")]
    Withdrawn,
    /// The backend is none any more, or was believed by certificates of before.
    #[error("the answer was cut off: its backend was replaced")]
    Replaced,
    /// That by which it was begun was taken back: its token was revoked, its session ended.
    #[error("the answer was cut off: its credential was revoked")]
    Revoked,
    /// Something was switched off that stops it.
    #[error("the answer was cut off: the access is suspended")]
    Switched,
    /// Nobody read it.
    #[error("the answer was cut off: nobody read it")]
    Stalled,
    /// Nobody read it, and others needed its place at the backend.
    #[error("the answer was cut off: nobody read it, and others needed its place at the backend")]
    CalledBack,
    /// Its feeder ended before it did.
    #[error("the answer was cut off: the gate stopped")]
    Unfinished,
}

impl Cut {
    /// Whether the caller's right to it has ended.
    pub(super) fn ends_the_right(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Revoked | Self::Switched)
    }
}

impl Fed {
    /// How many bytes it gives to the caller.
    pub(super) fn bytes(&self) -> u64 {
        let data = match self {
            Self::Frame(frame) => frame.data_ref(),
            Self::End => None,
        };
        data.map_or(0, |data| data.len() as u64)
    }
}

impl Answer {
    /// A body that is known whole.
    pub(super) fn whole(content: Bytes, outcome: Option<Outcome>, progress: &Progress) -> Self {
        Self::new(Content::Whole(content), outcome, progress)
    }

    /// A body that the guard feeds; its frames were counted before they came here.
    pub(super) fn stream(
        frames: mpsc::Receiver<Result<Fed, Cut>>,
        outcome: Outcome,
        progress: &Progress,
    ) -> Self {
        Self::new(Content::Stream(frames), Some(outcome), progress)
    }

    fn new(content: Content, outcome: Option<Outcome>, progress: &Progress) -> Self {
        progress.offered();
        Self { content, outcome, progress: progress.clone(), _open: progress.begin() }
    }

    /// The same answer with nothing in its body; its outcome still follows when it ends.
    pub(super) fn without_content(mut self) -> Self {
        self.content = Content::Whole(Bytes::new());
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
            Content::Whole(left) if left.is_empty() => None,
            Content::Whole(left) => {
                Some(Ok(Frame::data(left.split_to(left.len().min(PIECE_BYTES)))))
            }
            Content::Stream(frames) => match frames.poll_recv(context) {
                Poll::Pending => {
                    self.progress.taken();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(Fed::Frame(frame)))) => Some(Ok(frame)),
                Poll::Ready(Some(Ok(Fed::End))) => None,
                Poll::Ready(Some(Err(cut))) => Some(Err(cut)),
                Poll::Ready(None) => Some(Err(Cut::Unfinished)),
            },
            Content::Done => None,
        };
        self.progress.offered();
        if let (Some(Ok(frame)), Some(outcome)) = (&next, &mut self.outcome)
            && let Some(data) = frame.data_ref()
        {
            outcome.leaves(data);
        }
        match &next {
            // Trailers are the last frame; hyper does not ask for more, nor after the last piece.
            Some(Ok(frame)) if frame.is_trailers() || self.is_end_stream() => {
                self.end(Ending::Complete);
            }
            Some(Ok(_)) => {}
            Some(Err(cut)) => self.end(Ending::Cut(*cut)),
            None => self.end(Ending::Complete),
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(left) => left.is_empty(),
            Content::Stream(_) => false,
            Content::Done => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(left) => SizeHint::with_exact(left.len() as u64),
            Content::Done => SizeHint::with_exact(0),
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

/// Memory for a body begins with so many bytes.
const LEAST_BYTES: usize = 4 * 1024;

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
) -> Result<Bytes, BodyFault>
where
    B: Body<Data = Bytes>,
{
    read_held(body, limit_bytes, time, |_bytes| Ok::<_, BodyFault>(())).await
}

/// The same. `hold` is asked before memory for so many bytes in all is taken; its error ends it.
///
/// # Errors
/// [`BodyFault`], or that of `hold`; nothing of the body is used then.
pub(super) async fn read_held<B, E>(
    body: B,
    limit_bytes: usize,
    time: Duration,
    mut hold: impl FnMut(usize) -> Result<(), E>,
) -> Result<Bytes, E>
where
    B: Body<Data = Bytes>,
    E: From<BodyFault>,
{
    if body.size_hint().lower() > limit_bytes as u64 {
        return Err(BodyFault::TooLarge(limit_bytes).into());
    }
    let reading = async {
        let mut body = std::pin::pin!(body);
        let mut whole: Vec<u8> = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let frame = frame.ok().ok_or(BodyFault::Broken)?;
            let Ok(data) = frame.into_data() else { continue };
            let needed = whole.len().saturating_add(data.len());
            if needed > limit_bytes {
                return Err(BodyFault::TooLarge(limit_bytes).into());
            }
            if needed > whole.capacity() {
                // In few steps, and never beyond what was asked for.
                let next = needed.max(whole.capacity().saturating_mul(2)).max(LEAST_BYTES);
                let next = next.min(limit_bytes);
                hold(next)?;
                whole.reserve_exact(next.saturating_sub(whole.len()));
            }
            whole.extend_from_slice(&data);
        }
        Ok(Bytes::from(whole))
    };
    tokio::time::timeout(time, reading).await.unwrap_or(Err(BodyFault::TooSlow.into()))
}

/// Whether a request has no body. HTTP/2 may say so in a frame of its own behind the head, which some clients send of
/// requests that never have one: it comes at once or is not waited for.
pub(super) async fn ends_with_its_head(head: &RequestHead, body: &mut Sent) -> bool {
    const TIME: Duration = Duration::from_millis(250);
    if body.is_end_stream() {
        return true;
    }
    let may_follow = head.version == Version::HTTP_2 && has_none(&head.method);
    may_follow && read_capped(body, 0, TIME).await.is_ok()
}

/// Reads what is left of the small body of a refused request. Some clients take an answer that comes
/// while they still send for a broken connection; whoever waits to be asked for the body is not asked.
pub(super) async fn take_leave(head: &RequestHead, body: &mut Sent) {
    const BYTES: usize = 64 * 1024;
    const TIME: Duration = Duration::from_millis(250);
    if body.is_end_stream() || head.headers.contains_key(EXPECT) {
        return;
    }
    if let Err(fault) = read_capped(body, BYTES, TIME).await {
        tracing::debug!(%fault, "the body of a refused request was left unread");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    const TIME: Duration = Duration::from_secs(1);

    fn streamed() -> (mpsc::Sender<Result<Fed, Cut>>, Answer) {
        let (sender, frames) = mpsc::channel(1);
        (sender, Answer::new(Content::Stream(frames), None, &Progress::new()))
    }

    async fn next(body: &mut Answer) -> Option<Result<Bytes, Cut>> {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test]
    async fn a_body_up_to_the_cap_is_read_and_one_byte_more_is_not() {
        let read = |n: usize| read_capped(Full::new(Bytes::from(vec![b'x'; n])), 8, TIME);
        assert_eq!(read(8).await.unwrap().len(), 8);
        assert_eq!(read(9).await.unwrap_err(), BodyFault::TooLarge(8));
    }

    #[tokio::test]
    async fn memory_for_a_body_is_asked_for_as_it_comes_and_never_beyond_its_cap() {
        const CAP: usize = 20_000;
        let (sender, frames) = mpsc::channel(8);
        for _ in 0..4 {
            let frame = Frame::data(Bytes::from(vec![b'x'; 4_500]));
            sender.send(Ok(Fed::Frame(frame))).await.unwrap();
        }
        sender.send(Ok(Fed::End)).await.unwrap();
        let body = || Answer::new(Content::Stream(frames), None, &Progress::new());
        let mut asked = Vec::new();
        let hold = |bytes| {
            asked.push(bytes);
            Ok::<_, BodyFault>(())
        };
        assert_eq!(read_held(body(), CAP, TIME, hold).await.unwrap().len(), 18_000);
        assert_eq!(asked, [4_500, 9_000, 18_000]);
        let never = |_bytes| Err(BodyFault::Broken);
        let small = Full::new(Bytes::from_static(b"x"));
        assert_eq!(read_held(small, CAP, TIME, never).await.unwrap_err(), BodyFault::Broken);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_given_up() {
        let (_sender, never) = streamed();
        assert_eq!(read_capped(never, 8, TIME).await.unwrap_err(), BodyFault::TooSlow);
    }

    #[tokio::test]
    async fn a_whole_body_says_its_length_and_comes_once() {
        let mut body = Answer::whole(Bytes::from_static(b"{}"), None, &Progress::new());
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "{}");
        assert!(body.is_end_stream());
    }

    #[tokio::test]
    async fn a_large_whole_body_comes_in_pieces_so_that_a_client_that_stops_reading_shows() {
        let content = Bytes::from(vec![b'x'; 2 * PIECE_BYTES + 1]);
        let mut body = Answer::whole(content.clone(), None, &Progress::new());
        assert_eq!(body.size_hint().exact(), Some(content.len() as u64));
        let mut lengths = Vec::new();
        while let Some(piece) = next(&mut body).await {
            lengths.push(piece.unwrap().len());
            assert_eq!(body.is_end_stream(), lengths.len() == 3);
        }
        assert_eq!(lengths, [PIECE_BYTES, PIECE_BYTES, 1]);
    }

    #[tokio::test]
    async fn a_stream_ends_well_only_if_its_feeder_says_so() {
        let (sender, mut body) = streamed();
        sender.send(Ok(Fed::Frame(Frame::data(Bytes::from_static(b"["))))).await.unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "[");
        drop(sender);
        assert_eq!(next(&mut body).await, Some(Err(Cut::Unfinished)));
        let (sender, mut body) = streamed();
        sender.send(Ok(Fed::End)).await.unwrap();
        drop(sender);
        assert_eq!(next(&mut body).await, None);
    }
}
