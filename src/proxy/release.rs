//! The last stage: the backend's answer through the guard to the caller, counted before it leaves.
//!
//! A small answer is held whole, so that a fault in it is a clean error. A larger one streams from a
//! task of its own; should it turn bad, it is cut off and never ended as if it were complete.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRAILER};
use http::{Response, StatusCode};
use http_body::Body as _;
use tokio::sync::mpsc;

use super::body::{Answer, Cut};
use super::head::Head;
use super::meter::{Meter, RowTest};
use super::passage::{Feed, HELD_BACK, Halt, Passage, Read};
use super::policies::Right;
use super::question::Question;
use super::rejection::{Rejection, Unjudged};
use super::trail::{Trail, micros};
use super::{Gate, respond};
use crate::audit::SubjectRef;
use crate::guard::{BodyGuard, Caps, Coding, EncodingFault, Hooks, check_json};
use crate::limits::Seat;
use crate::listen::Facts;
use crate::policy::{Action, Permit, Route, StepUp};
use crate::upstream::UpstreamBody;

/// What would show the fields that fell back to their masked form.
const STEP_UP: HeaderName = HeaderName::from_static("menshen-step-up");

/// A permit and the question that it answers.
pub(super) struct Granted {
    pub(super) permit: Permit,
    pub(super) question: Question,
}

impl Gate {
    pub(super) async fn guard_response(
        &self,
        granted: Granted,
        seat: Seat,
        response: Response<UpstreamBody>,
        head: &Head,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let Granted { permit, question } = granted;
        let (permit, seat) = (Arc::new(permit), Arc::new(seat));
        let (parts, body) = response.into_parts();
        let disclosure = trail.outcome().ok_or(Rejection::LogUnavailable)?.disclosure();
        disclosure.with(|entry| {
            let result = entry.result.get_or_insert_default();
            result.upstream_status = Some(parts.status.as_u16());
            result.upstream_us = Some(micros(trail.started));
            result.status = Some(parts.status.as_u16());
        });
        let body = judged(parts.status, body).await?;
        let is_empty = parts.status == StatusCode::NO_CONTENT;
        if is_empty && permit.route().views_one_record() && permit.row_conditions() {
            // Whether the record may be seen cannot be told without it.
            return Err(Rejection::NotFound);
        }
        if is_empty || !permit.route().gives_a_body() {
            body.discard().await;
            return self.without_body(parts.status, &seat, facts, trail).await;
        }
        let meter = Meter {
            permit: Arc::clone(&permit),
            seat: Arc::clone(&seat),
            keys: Arc::clone(&self.keys),
            disclosure: disclosure.clone(),
            page_left: permit.search().page_limit.filter(|_| permit.action() == Action::Search),
            row: None,
        };
        let guard = guard(&permit, &parts.headers, self.caps, meter)?;
        let plan = Arc::clone(permit.plan());
        let mut passage = Passage::new(guard, body, plan, seat, disclosure);
        let read = passage.read(self.settings.held_bytes).await?;
        match judge_records(&passage, permit.route()) {
            // The change was made: told as refused, it would be tried again.
            Err(Rejection::UsedUp(_) | Rejection::NotFound) if !permit.action().only_reads() => {
                passage.seat().give_back();
                return self.without_body(parts.status, passage.seat(), facts, trail).await;
            }
            judged => judged?,
        }
        let mut response = if read == Read::All {
            self.whole(passage, facts, trail).await?
        } else {
            let right = Right::new(Arc::clone(&self.policies), question, Arc::clone(&permit));
            self.streamed(passage, right, head, facts, trail).await?
        };
        *response.status_mut() = parts.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(value) = permit.step_up().and_then(step_up_value) {
            response.headers_mut().insert(STEP_UP, value);
        }
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
        seat.persist().await.map_err(Halt::Uncounted)?;
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
        let held_back = passage.report().records_held_back;
        let content = Bytes::from(passage.settle().await?.concat());
        let outcome = trail.take_outcome();
        let mut response = Response::new(Answer::whole(content, outcome, &facts.progress));
        if held_back > 0 {
            response.headers_mut().insert(HELD_BACK, HeaderValue::from(held_back));
        }
        respond::limits(response.headers_mut(), &passage.seat().quotas());
        Ok(response)
    }

    /// An answer too large to be held: what was judged so far leaves, the rest follows.
    async fn streamed(
        &self,
        mut passage: Passage,
        mut right: Right,
        head: &Head,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        let first = passage.settle().await?;
        let outcome = trail.take_outcome().ok_or(Rejection::LogUnavailable)?;
        let (frames, received) = mpsc::channel(2);
        let mut response = Response::new(Answer::stream(received, outcome, &facts.progress));
        respond::limits(response.headers_mut(), &passage.seat().quotas());
        let feed = Feed { frames, patience: self.settings.unread_time };
        let tells_in_trailer = head.accepts_trailers;
        if tells_in_trailer {
            response.headers_mut().insert(TRAILER, HeaderValue::from_static("menshen-held-back"));
        }
        let telemetry = Arc::clone(&self.telemetry);
        self.tasks.spawn(async move {
            if let Err(cut) = passage.pump(first, &feed, &mut right, tells_in_trailer).await {
                if cut == Cut::Withdrawn {
                    telemetry.withdrawn();
                }
                feed.cut(cut).await;
            }
        });
        Ok(response)
    }

    /// The case of the record that an answer holds, and whose it is. Nothing of it leaves.
    pub(super) async fn case_of_record(
        &self,
        reading: &Permit,
        response: Response<UpstreamBody>,
    ) -> Result<(usize, Option<SubjectRef>), Rejection> {
        let (parts, body) = response.into_parts();
        let body = judged(parts.status, body).await?;
        if parts.status == StatusCode::NO_CONTENT {
            return Err(Rejection::NotFound);
        }
        let mut test = guard(reading, &parts.headers, self.caps, RowTest::of(reading))?;
        let mut body = Box::pin(body);
        let mut read = 0;
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let Ok(data) = frame.map_err(Rejection::Upstream)?.into_data() else { continue };
            read += data.len();
            if read > self.settings.held_bytes {
                return Err(Rejection::Unjudged(Unjudged::TooLarge));
            }
            test.push(data).map_err(Halt::Guard)?;
        }
        test.finish().map_err(Halt::Guard)?;
        let subject = test.hooks().subject(&self.keys.subjects);
        let subject = subject.map_err(|()| Rejection::Unjudged(Unjudged::NoSubject))?;
        let case = test.hooks().case().ok_or(Rejection::NotFound)?;
        Ok((case, subject))
    }
}

fn guard<H: Hooks>(
    permit: &Permit,
    headers: &HeaderMap,
    caps: Caps,
    hooks: H,
) -> Result<BodyGuard<H>, Rejection> {
    let types = headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    check_json(types).map_err(|fault| Rejection::Unjudged(Unjudged::Type(fault)))?;
    let coding = coding(headers).map_err(|fault| Rejection::Unjudged(Unjudged::Encoding(fault)))?;
    Ok(BodyGuard::response(coding, Arc::clone(permit.plan()), caps, hooks))
}

/// The one content coding of a message.
pub(super) fn coding(headers: &HeaderMap) -> Result<Coding, EncodingFault> {
    Coding::of(headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))
}

/// Ends an answer of which no record may leave. A view of one record is then told as missing, whatever
/// stands around it and however the backend says that there is none: the difference would betray a
/// record that exists but may not be seen.
fn judge_records(passage: &Passage, route: &Route) -> Result<(), Rejection> {
    let report = passage.report();
    if report.records_released > 0 {
        return Ok(());
    }
    let is_missing = report.root_withheld || route.views_one_record();
    if is_missing && report.records_without_subject > 0 {
        return Err(Rejection::Unjudged(Unjudged::NoSubject));
    }
    if report.limited {
        return Err(Rejection::UsedUp(passage.seat().quotas()));
    }
    if is_missing { Err(Rejection::NotFound) } else { Ok(()) }
}

/// Judges the status of an answer. The body of one that is refused is read all the same: a connection
/// that must be opened anew would tell, by the time of the next request, a missing record from one
/// that may not be seen.
async fn judged(status: StatusCode, body: UpstreamBody) -> Result<UpstreamBody, Rejection> {
    match judge_status(status) {
        Ok(()) => Ok(body),
        Err(rejection) => {
            body.discard().await;
            Err(rejection)
        }
    }
}

/// Only success has a body that can be judged; other answers are replaced.
fn judge_status(status: StatusCode) -> Result<(), Rejection> {
    match status.as_u16() {
        200..=202 | 204 => Ok(()),
        // Told in the words of a record that this caller may not see, or they would tell it apart.
        404 | 410 => Err(Rejection::NotFound),
        300..=399 => Err(Rejection::Unjudged(Unjudged::Redirect)),
        400..=599 => Err(Rejection::UpstreamStatus(status)),
        _ => Err(Rejection::Unjudged(Unjudged::Status(status))),
    }
}

/// `acr_values="2", max_age=900, fields="customer.phone"`.
fn step_up_value(step_up: &StepUp) -> Option<HeaderValue> {
    let max_age = step_up.max_age_s.map_or_else(String::new, |s| format!(", max_age={s}"));
    let fields = step_up.fields.join(" ");
    let value = format!("acr_values=\"{}\"{max_age}, fields=\"{fields}\"", step_up.assurance);
    HeaderValue::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_missing_is_told_like_one_that_may_not_be_seen() {
        for status in [StatusCode::NOT_FOUND, StatusCode::GONE] {
            assert!(matches!(judge_status(status), Err(Rejection::NotFound)), "{status}");
        }
        let other = judge_status(StatusCode::CONFLICT);
        assert!(matches!(other, Err(Rejection::UpstreamStatus(StatusCode::CONFLICT))));
    }
}
