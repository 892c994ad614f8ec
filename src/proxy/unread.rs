//! The last stage of an opaque route: an answer that passes unread, counted before it leaves.
//!
//! Only the permit of a route that the policy calls opaque opens this way. What is known of the answer
//! is its type and its size, and both are held to.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body as _, Frame};
use tokio::sync::mpsc;

use super::answer_headers::Standpoint;
use super::body::{Answer, Cut, Fed};
use super::mark::{self, Carried};
use super::meter::{Keys, Subject};
use super::outcome::Disclosure;
use super::park::Asking;
use super::passage::{Feed, Halt, Read, STEP_BYTES, STEP_TIME};
use super::rejection::{Rejection, Unjudged};
use super::release::{Granted, codings, judged};
use super::right::Right;
use super::trail::{Trail, micros};
use super::{Gate, respond};
use crate::audit::Data;
use crate::guard::{Codings, ContentTypeFault, EncodingFault, media_type};
use crate::limits::{Seat, Take};
use crate::listen::Facts;
use crate::policy::Opaque;
use crate::telemetry::Stage;
use crate::upstream::{UpstreamBody, UpstreamError};

impl Gate {
    /// Passes the answer of an opaque route, which is about `subject` if it is about somebody.
    pub(super) async fn pass_unread(
        &self,
        granted: Granted<'_>,
        subject: Option<Subject>,
        seat: Seat,
        response: Response<UpstreamBody>,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        trail.enters(Stage::GuardResponse);
        let Granted { permit, question, shown, asking } = granted;
        let permit = Arc::new(permit);
        let opaque = permit.opaque().ok_or(Rejection::NotFound)?;
        let passed = Standpoint::of(&permit, &question).pass(response.headers());
        let right = Right::lasting(self, question, Arc::clone(&permit), shown).await?;
        let (parts, body) = response.into_parts();
        let right = right.resting_on(body.replaced());
        let outcome = trail.outcome().ok_or(Rejection::LogUnavailable)?;
        let (disclosure, carried) = (outcome.disclosure(), outcome.carried().clone());
        disclosure.with(|entry| {
            let result = entry.result.get_or_insert_default();
            result.upstream_status = Some(parts.status.as_u16());
            result.upstream_us = Some(micros(trail.started));
            result.status = Some(StatusCode::OK.as_u16());
            passed.note(entry);
        });
        let body = judged(parts.status, body).await?;
        let least_bytes = body.size_hint().lower();
        let media_type = judge(opaque, parts.status, &parts.headers, least_bytes)?;
        let passage = Unread::begin(opaque, body, seat, disclosure);
        take_one(opaque, subject, (&passage.seat, &passage.disclosure), &self.keys)?;
        let mut response = if opaque.is_event_stream() {
            self.fed(passage, right, facts, trail).await?
        } else {
            self.unread(passage, right, asking, facts, trail).await?
        };
        response.headers_mut().extend(passed.headers);
        let about = (permit.route().name(), trail.time_unix_s());
        describe(response.headers_mut(), &carried, about, media_type);
        Ok(response)
    }

    /// A small answer is held whole, so that one that breaks off or is too large is a clean error.
    async fn unread(
        &self,
        mut passage: Unread,
        right: Right,
        asking: &Asking<'_>,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let held_bytes = self.configured().settings.held_bytes;
        if passage.read(held_bytes).await? == Read::Some {
            let right = right.of_long(self, asking, facts)?;
            return self.fed(passage, right, facts, trail).await;
        }
        right.check()?;
        let content = Bytes::from(passage.settle().await?.concat());
        let outcome = trail.take_outcome();
        let mut response = Response::new(Answer::whole(content, outcome, &facts.progress));
        respond::limits(response.headers_mut(), &passage.seat.quotas());
        Ok(response)
    }

    /// Any other streams from a task of its own.
    async fn fed(
        &self,
        mut passage: Unread,
        mut right: Right,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let first = passage.settle().await?;
        let outcome = trail.take_outcome().ok_or(Rejection::LogUnavailable)?;
        let (frames, received) = mpsc::channel(2);
        let mut response = Response::new(Answer::stream(received, outcome, &facts.progress));
        respond::limits(response.headers_mut(), &passage.seat.quotas());
        let reading = passage.body.streams_to(passage.seat.person());
        let (patience, disclosure) =
            (self.configured().settings.unread_time, passage.disclosure.clone());
        let feed = Feed { frames, patience, reading, disclosure };
        let telemetry = Arc::clone(&self.telemetry);
        self.tasks.spawn(async move {
            if let Err(cut) = passage.pump(first, &feed, &mut right).await {
                if cut.ends_the_right() {
                    telemetry.withdrawn();
                }
                feed.cut(cut).await;
            }
        });
        Ok(response)
    }
}

/// Counts what passes unread as one record, and notes whom it is about.
pub(super) fn take_one(
    opaque: &Opaque,
    subject: Option<Subject>,
    (seat, disclosure): (&Seat, &Disclosure),
    keys: &Keys,
) -> Result<(), Rejection> {
    let counted = subject.as_ref().map(|subject| subject.counted);
    let nobody = || keys.nobody(&disclosure.with(|entry| entry.id).to_string(), 1);
    let unmasked = opaque.unmasks().then(|| counted.unwrap_or_else(nobody));
    if let Take::HoldBack(limit) = seat.take_record(counted, unmasked) {
        tracing::debug!(%limit, "what passes unread is held back");
        return Err(Rejection::Limit(Box::new(seat.refusal())));
    }
    let is_noted = subject.is_none_or(|s| disclosure.add_subject(s.reference));
    if is_noted { Ok(()) } else { Err(Rejection::LogUnavailable) }
}

/// The media type of an answer whose head meets the terms.
pub(super) fn judge(
    opaque: &Opaque,
    status: StatusCode,
    headers: &HeaderMap,
    least_bytes: u64,
) -> Result<HeaderValue, Rejection> {
    if status != StatusCode::OK {
        return Err(Rejection::Unjudged(Unjudged::Status(status)));
    }
    check_coding(headers).map_err(Rejection::Unjudged)?;
    let types = headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    let fault = |fault| Rejection::Unjudged(Unjudged::Type(fault));
    let media_type = media_type(types).map_err(fault)?;
    if !opaque.accepts(&media_type) {
        let undeclared = media_type.chars().take(64).collect();
        return Err(Rejection::Unjudged(Unjudged::Undeclared(undeclared)));
    }
    match opaque.size_bytes() {
        Some(size) if least_bytes > size => Err(Rejection::Unjudged(Unjudged::Oversized(size))),
        Some(_) | None => HeaderValue::try_from(media_type)
            .map_err(|_not_text| fault(ContentTypeFault::Malformed)),
    }
}

/// What the head of an answer that passes unread says of it. A file is never shown in the place of the
/// application, whatever is in it.
pub(super) fn describe(
    headers: &mut HeaderMap,
    carried: &Carried,
    (route, unix_s): (&str, i64),
    media_type: HeaderValue,
) {
    let ending = mark::ending(media_type.to_str().unwrap_or_default());
    carried.tell(headers, route, unix_s, ending);
    headers.insert(CONTENT_TYPE, media_type);
}

/// An encoded answer would say nothing by its size of how much it unpacks to.
fn check_coding(headers: &HeaderMap) -> Result<(), Unjudged> {
    match codings(headers).map_err(Unjudged::Encoding)? {
        Codings::NONE => Ok(()),
        packed => Err(Unjudged::Encoding(EncodingFault::Unread(packed))),
    }
}

/// An answer on its way past the guard.
struct Unread {
    body: Pin<Box<UpstreamBody>>,
    entity: String,
    /// What the size leaves, where there is one.
    size: Option<u64>,
    read: u64,
    seat: Seat,
    disclosure: Disclosure,
    /// Read, not yet counted as released.
    ready: Vec<Bytes>,
    ready_bytes: usize,
    released: u64,
}

impl Unread {
    /// An [`Opaque`] comes from the permit of an opaque route alone.
    fn begin(opaque: &Opaque, body: UpstreamBody, seat: Seat, disclosure: Disclosure) -> Self {
        let (read, ready, ready_bytes, released) = Default::default();
        let (entity, size) = (opaque.entity().to_owned(), opaque.size_bytes());
        let body = Box::pin(body);
        Self { body, entity, size, read, seat, disclosure, ready, ready_bytes, released }
    }

    /// Reads until all is read or `enough` bytes are ready.
    async fn read(&mut self, enough: usize) -> Result<Read, Halt> {
        loop {
            let frame = self.next_frame().await;
            if self.keep(frame)? == Read::All {
                return Ok(Read::All);
            }
            if self.ready_bytes > enough {
                return Ok(Read::Some);
            }
        }
    }

    /// Counts what is ready, durably, and gives it out.
    async fn settle(&mut self) -> Result<Vec<Bytes>, Halt> {
        let bytes = u64::try_from(self.ready_bytes).unwrap_or(u64::MAX);
        if let Take::HoldBack(limit) = self.seat.take_bytes(bytes) {
            tracing::debug!(%limit, "no more bytes may leave");
            return Err(Halt::UsedUp(Box::new(self.seat.refusal())));
        }
        // A file opened by a grant is a use of it, once something of it leaves.
        self.seat.is_used();
        let (counted, recorded) = tokio::join!(self.seat.persist(), self.disclosure.record_parts());
        counted.map_err(Halt::Uncounted)?;
        recorded.map_err(Halt::Unrecorded)?;
        self.released += bytes;
        self.ready_bytes = 0;
        let data = Data {
            entity: self.entity.as_str().into(),
            records: Some(1),
            bytes: Some(self.released),
            ..Data::default()
        };
        self.disclosure.with(|entry| entry.data = Some(data));
        Ok(std::mem::take(&mut self.ready))
    }

    /// Feeds the stream, beginning with `first`, until the answer ends.
    async fn pump(mut self, first: Vec<Bytes>, feed: &Feed, right: &mut Right) -> Result<(), Cut> {
        let (mut pieces, mut read) = (first, Read::Some);
        loop {
            for piece in pieces {
                tokio::select! {
                    biased;
                    cut = right.lost() => return Err(cut),
                    given = feed.give(Fed::Frame(Frame::data(piece))) => given?,
                }
            }
            if read == Read::All {
                return feed.give(Fed::End).await;
            }
            read = tokio::select! {
                biased;
                () = feed.frames.closed() => return Ok(()),
                cut = right.lost() => return Err(cut),
                read = self.read_some() => read?,
            };
            pieces = self.settle().await?;
        }
    }

    /// Reads at least one frame, then gathers what comes soon into the same step.
    async fn read_some(&mut self) -> Result<Read, Halt> {
        let first = self.next_frame().await;
        if self.keep(first)? == Read::All {
            return Ok(Read::All);
        }
        let soon = tokio::time::sleep(STEP_TIME);
        tokio::pin!(soon);
        while self.ready_bytes < STEP_BYTES {
            let frame = tokio::select! {
                biased;
                frame = self.next_frame() => frame,
                () = &mut soon => break,
            };
            if self.keep(frame)? == Read::All {
                return Ok(Read::All);
            }
        }
        Ok(Read::Some)
    }

    /// The next frame of the backend's answer. Cancel safe: nothing is read before it is ready.
    async fn next_frame(&mut self) -> Option<Result<Frame<Bytes>, UpstreamError>> {
        std::future::poll_fn(|cx| self.body.as_mut().poll_frame(cx)).await
    }

    /// Keeps the bytes of a frame, if the size leaves room for them; trailers do not pass.
    fn keep(&mut self, frame: Option<Result<Frame<Bytes>, UpstreamError>>) -> Result<Read, Halt> {
        let Some(frame) = frame else { return Ok(Read::All) };
        let Ok(data) = frame.map_err(Halt::Upstream)?.into_data() else { return Ok(Read::Some) };
        self.read += data.len() as u64;
        if let Some(size) = self.size.filter(|size| self.read > *size) {
            return Err(Halt::Oversized(size));
        }
        self.ready_bytes += data.len();
        if !data.is_empty() {
            self.ready.push(data);
        }
        Ok(Read::Some)
    }
}
