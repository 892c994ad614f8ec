//! The last stage: the backend's answer through the guard to the caller, counted before it leaves.
//!
//! A small answer is held whole, so that a fault in it is a clean error. A larger one streams from a
//! task of its own; should it turn bad, it is cut off and never ended as if it were complete.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRAILER};
use http::{Response, StatusCode};
use http_body::{Body as _, Frame};
use tokio::sync::mpsc;

use super::body::{Answer, Cut};
use super::head::Head;
use super::meter::Meter;
use super::outcome::Disclosure;
use super::rejection::{Rejection, Unjudged};
use super::trail::{Trail, micros};
use super::{Gate, respond};
use crate::audit::Data;
use crate::guard::{Report, ResponseGuard};
use crate::limits::{self, Seat};
use crate::listen::{Facts, Progress};
use crate::policy::{Action, Permit, Plan, StepUp};
use crate::upstream::UpstreamBody;

/// Records that a limit held back.
const HELD_BACK: HeaderName = HeaderName::from_static("menshen-held-back");
/// What would show the fields that fell back to their masked form.
const STEP_UP: HeaderName = HeaderName::from_static("menshen-step-up");

/// So much is released in one step; each step is one durable write of the counters.
const STEP_BYTES: usize = 256 * 1024;
/// After a limit was reached, the rest is read only to say how much was held back, up to here.
const COUNTED_AFTER_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

impl Gate {
    pub(super) async fn guard_response(
        &self,
        permit: Permit,
        seat: Seat,
        response: Response<UpstreamBody>,
        head: &Head,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let (permit, seat) = (Arc::new(permit), Arc::new(seat));
        let (parts, body) = response.into_parts();
        let disclosure = trail.outcome().ok_or(Rejection::LogUnavailable)?.disclosure();
        disclosure.with(|entry| {
            let result = entry.result.get_or_insert_default();
            result.upstream_status = Some(parts.status.as_u16());
            result.upstream_us = Some(micros(trail.started));
        });
        judge_status(parts.status)?;
        if parts.status == StatusCode::NO_CONTENT || !permit.route().gives_a_body() {
            return self.without_body(parts.status, &seat, facts, trail).await;
        }
        let meter = Meter {
            permit: Arc::clone(&permit),
            seat: Arc::clone(&seat),
            keys: Arc::clone(&self.keys),
            log: self.log.clone(),
            disclosure: disclosure.clone(),
            page_left: permit.search().page_limit.filter(|_| permit.action() == Action::Search),
            row: None,
        };
        let guard = guard(&permit, &parts.headers, self.caps, meter)?;
        let mut passage = Passage {
            guard,
            body: Box::pin(body),
            plan: Arc::clone(permit.plan()),
            seat,
            disclosure,
            ready: Vec::new(),
            ready_bytes: 0,
            released: 0,
            progress: facts.progress.clone(),
        };
        let mut response = if passage.read(self.settings.held_bytes).await? == Read::All {
            self.whole(passage, facts, trail).await?
        } else {
            self.streamed(passage, head, facts, trail).await?
        };
        *response.status_mut() = parts.status;
        let status = parts.status.as_u16();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(value) = permit.step_up().and_then(step_up_value) {
            response.headers_mut().insert(STEP_UP, value);
        }
        tracing::debug!(status, route = permit.route().name(), "released");
        Ok(response)
    }

    /// An answer that has no body to judge.
    async fn without_body(
        &self,
        status: StatusCode,
        seat: &Seat,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        seat.persist().await.map_err(uncounted)?;
        let outcome = trail.take_outcome();
        if let Some(outcome) = &outcome {
            outcome.disclosure().with(|entry| {
                entry.result.get_or_insert_default().status = Some(status.as_u16());
            });
        }
        let mut response = Response::new(Answer::whole(Bytes::new(), outcome, &facts.progress));
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }

    /// An answer that was judged to its end before anything of it leaves.
    async fn whole(
        &self,
        mut passage: Passage,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let report = passage.guard.report();
        let held_back = report.records_held_back;
        if report.root_withheld && report.records_without_subject > 0 {
            let said = "the record has no key of its data subject".to_owned();
            return Err(Rejection::Unjudged(Unjudged::Body(said)));
        }
        if report.limited && report.records_released == 0 {
            return Err(Rejection::UsedUp(passage.seat.quotas()));
        }
        if report.root_withheld {
            return Err(Rejection::NotFound);
        }
        let content = Bytes::from(passage.settle().await?.concat());
        let outcome = trail.take_outcome();
        passage.note(Some(StatusCode::OK));
        let mut response = Response::new(Answer::whole(content, outcome, &facts.progress));
        if held_back > 0 {
            response.headers_mut().insert(HELD_BACK, HeaderValue::from(held_back));
        }
        respond::limits(response.headers_mut(), &passage.seat.quotas());
        Ok(response)
    }

    /// An answer too large to be held: what was judged so far leaves, the rest follows.
    async fn streamed(
        &self,
        mut passage: Passage,
        head: &Head,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        if passage.guard.report().limited && passage.guard.report().records_released == 0 {
            return Err(Rejection::UsedUp(passage.seat.quotas()));
        }
        let first = passage.settle().await?;
        passage.note(Some(StatusCode::OK));
        let outcome = trail.take_outcome().ok_or(Rejection::LogUnavailable)?;
        let (frames, received) = mpsc::channel(2);
        let mut response = Response::new(Answer::stream(received, outcome, &facts.progress));
        respond::limits(response.headers_mut(), &passage.seat.quotas());
        let tells_in_trailer = head.accepts_trailers;
        if tells_in_trailer {
            response.headers_mut().insert(TRAILER, HeaderValue::from_static("menshen-held-back"));
        }
        self.tasks.spawn(async move {
            if let Err(cut) = passage.pump(first, &frames, tells_in_trailer).await {
                // A caller that left already does not hear it.
                drop(frames.send(Err(cut)).await);
            }
        });
        Ok(response)
    }

    /// The case of the record that an answer holds. Nothing of it leaves.
    pub(super) async fn case_of_record(
        &self,
        reading: &Permit,
        response: Response<UpstreamBody>,
    ) -> Result<usize, Rejection> {
        let (parts, body) = response.into_parts();
        judge_status(parts.status)?;
        let mut test =
            guard(reading, &parts.headers, self.caps, super::meter::RowTest::of(reading))?;
        let mut body = Box::pin(body);
        let mut read = 0;
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let Ok(data) = frame.map_err(Rejection::Upstream)?.into_data() else { continue };
            read += data.len();
            if read > self.settings.held_bytes {
                return Err(Rejection::Unjudged(Unjudged::Body("it is too large".to_owned())));
            }
            test.push(data).map_err(unjudged)?;
        }
        test.finish().map_err(unjudged)?;
        test.hooks().case().ok_or(Rejection::NotFound)
    }
}

/// Whether all of an answer was read.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    All,
    Some,
}

/// An answer on its way through the guard.
struct Passage {
    guard: ResponseGuard<Meter>,
    body: Pin<Box<UpstreamBody>>,
    plan: Arc<Plan>,
    seat: Arc<Seat>,
    disclosure: Disclosure,
    /// Judged, not yet counted as released.
    ready: Vec<Bytes>,
    ready_bytes: usize,
    released: u64,
    progress: Progress,
}

impl Passage {
    /// Reads and judges until all is read or `enough` bytes are ready.
    async fn read(&mut self, enough: usize) -> Result<Read, Rejection> {
        loop {
            let frame = std::future::poll_fn(|cx| self.body.as_mut().poll_frame(cx)).await;
            if self.judge(frame)? == Read::All {
                return Ok(Read::All);
            }
            if self.ready_bytes > enough || self.counts_in_vain() {
                return Ok(Read::Some);
            }
        }
    }

    fn judge(
        &mut self,
        frame: Option<Result<Frame<Bytes>, crate::upstream::UpstreamError>>,
    ) -> Result<Read, Rejection> {
        self.progress.moved();
        let read = match frame {
            // Trailers of the backend are not judged, so they do not pass.
            Some(frame) => match frame.map_err(Rejection::Upstream)?.into_data() {
                Ok(data) => {
                    self.guard.push(data).map_err(unjudged)?;
                    Read::Some
                }
                Err(_trailers) => Read::Some,
            },
            None => {
                self.guard.finish().map_err(unjudged)?;
                Read::All
            }
        };
        for piece in self.guard.take_output() {
            self.ready_bytes += piece.len();
            self.ready.push(piece);
        }
        Ok(read)
    }

    /// Counts what is ready, durably, and gives it out.
    async fn settle(&mut self) -> Result<Vec<Bytes>, Rejection> {
        let bytes = u64::try_from(self.ready_bytes).unwrap_or(u64::MAX);
        if let limits::Take::HoldBack(limit) = self.seat.take_bytes(bytes) {
            tracing::debug!(%limit, "no more bytes may leave");
            return Err(Rejection::UsedUp(self.seat.quotas()));
        }
        self.seat.persist().await.map_err(uncounted)?;
        self.released += bytes;
        self.ready_bytes = 0;
        Ok(std::mem::take(&mut self.ready))
    }

    /// Feeds the stream until the answer ends.
    async fn pump(
        mut self,
        first: Vec<Bytes>,
        frames: &mpsc::Sender<Result<Frame<Bytes>, Cut>>,
        tells_in_trailer: bool,
    ) -> Result<(), Cut> {
        let mut pieces = first;
        loop {
            for piece in pieces {
                if frames.send(Ok(Frame::data(piece))).await.is_err() {
                    return Ok(());
                }
            }
            let read = self.read_some().await.map_err(|rejection| cut(&rejection))?;
            pieces = self.settle().await.map_err(|rejection| cut(&rejection))?;
            self.note(None);
            if self.counts_in_vain() {
                return Err(Cut::Limit);
            }
            if read == Read::All {
                return self.end(pieces, frames, tells_in_trailer).await;
            }
        }
    }

    async fn end(
        &self,
        pieces: Vec<Bytes>,
        frames: &mpsc::Sender<Result<Frame<Bytes>, Cut>>,
        tells_in_trailer: bool,
    ) -> Result<(), Cut> {
        let held_back = self.guard.report().records_held_back;
        if held_back > 0 && !tells_in_trailer {
            return Err(Cut::Limit);
        }
        let mut last: Vec<Frame<Bytes>> = pieces.into_iter().map(Frame::data).collect();
        if held_back > 0 {
            let mut fields = HeaderMap::new();
            fields.insert(HELD_BACK, HeaderValue::from(held_back));
            last.push(Frame::trailers(fields));
        }
        for frame in last {
            if frames.send(Ok(frame)).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Reads what is there, and at least one frame; small chunks are gathered into one step.
    async fn read_some(&mut self) -> Result<Read, Rejection> {
        let first = std::future::poll_fn(|cx| self.body.as_mut().poll_frame(cx)).await;
        if self.judge(first)? == Read::All {
            return Ok(Read::All);
        }
        while self.ready_bytes < STEP_BYTES && !self.counts_in_vain() {
            let next = std::future::poll_fn(|cx| {
                Poll::Ready(match self.body.as_mut().poll_frame(cx) {
                    Poll::Ready(frame) => Some(frame),
                    Poll::Pending => None,
                })
            });
            let Some(frame) = next.await else { break };
            if self.judge(frame)? == Read::All {
                return Ok(Read::All);
            }
        }
        Ok(Read::Some)
    }

    /// Whether a limit was reached and enough was counted after it.
    fn counts_in_vain(&self) -> bool {
        let report = self.guard.report();
        report.limited
            && report.bytes_in.saturating_sub(report.bytes_out) > COUNTED_AFTER_LIMIT_BYTES
    }

    /// Writes what was disclosed so far into the outcome.
    fn note(&self, status: Option<StatusCode>) {
        let data = described(self.guard.report(), &self.plan, self.released);
        self.disclosure.with(|entry| {
            entry.data = Some(data);
            if let Some(status) = status {
                entry.result.get_or_insert_default().status = Some(status.as_u16());
            }
        });
    }
}

fn guard<H: crate::guard::Hooks>(
    permit: &Permit,
    headers: &HeaderMap,
    caps: crate::guard::Caps,
    hooks: H,
) -> Result<ResponseGuard<H>, Rejection> {
    let plan = Arc::clone(permit.plan());
    ResponseGuard::new(plan, caps, headers.get(CONTENT_TYPE), headers.get(CONTENT_ENCODING), hooks)
        .map_err(|fault| Rejection::Unjudged(Unjudged::Form(fault)))
}

/// Only success has a body that can be judged; other answers are replaced.
fn judge_status(status: StatusCode) -> Result<(), Rejection> {
    match status.as_u16() {
        200..=202 | 204 => Ok(()),
        300..=399 => Err(Rejection::Unjudged(Unjudged::Redirect)),
        400..=599 => Err(Rejection::UpstreamStatus(status)),
        _ => Err(Rejection::Unjudged(Unjudged::Status(status))),
    }
}

/// What happened, by field names and numbers.
fn described(report: &Report, plan: &Plan, bytes: u64) -> Data {
    let entity = plan.records.first().map_or("", |record| &record.entity);
    let mut data = Data {
        entity: entity.into(),
        records: Some(report.records_released),
        bytes: Some(bytes),
        held_back: (report.records_held_back > 0).then_some(report.records_held_back),
        ..Data::default()
    };
    for (name, count) in plan.fields.iter().zip(&report.fields) {
        if count.clear > 0 {
            data.clear.push(name);
        }
        if count.masked > 0 {
            data.masked.push(name);
        }
        if count.pseudonym > 0 {
            data.pseudonym.push(name);
        }
        if count.withheld > 0 {
            data.withheld.push(name);
        }
    }
    for name in &report.unlisted_names {
        data.withheld.push(name);
    }
    data
}

/// `acr_values="2", max_age=900, fields="customer.phone"`.
fn step_up_value(step_up: &StepUp) -> Option<HeaderValue> {
    let max_age = step_up.max_age_s.map_or_else(String::new, |s| format!(", max_age={s}"));
    let fields = step_up.fields.join(" ");
    let value = format!("acr_values=\"{}\"{max_age}, fields=\"{fields}\"", step_up.assurance);
    HeaderValue::try_from(value).ok()
}

fn unjudged(fault: impl std::fmt::Display) -> Rejection {
    Rejection::Unjudged(Unjudged::Body(fault.to_string()))
}

fn uncounted(error: limits::LimitError) -> Rejection {
    tracing::error!(%error, "what leaves could not be counted, so it does not leave");
    Rejection::StoreUnavailable
}

/// How a stream is cut off for a cause that a whole answer would tell.
fn cut(rejection: &Rejection) -> Cut {
    match rejection {
        Rejection::Upstream(_) => Cut::Upstream,
        Rejection::UsedUp(_) | Rejection::Limit(_) => Cut::Limit,
        Rejection::StoreUnavailable => Cut::Uncounted,
        _ => Cut::Guard,
    }
}
