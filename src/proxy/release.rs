//! The last stage: the backend's answer through the guard to the caller, counted before it leaves.
//!
//! A small answer is held whole, so that a fault in it is a clean error. A larger one streams from a
//! task of its own; should it turn bad, it is cut off and never ended as if it were complete.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, TRAILER,
};
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;
use tokio::sync::mpsc;

use super::alerts::Source;
use super::answer_headers::{Passed, Standpoint};
use super::body::Answer;
use super::entrance::rejection;
use super::head::Head;
use super::mark;
use super::meter::{Asking, Foreign, Keys, Meter, Register, RowTest, Subject};
use super::passage::{HELD_BACK, Halt, Passage, Read};
use super::question::Question;
use super::rejection::{Rejection, Unjudged};
use super::right::Right;
use super::standing::Shown;
use super::trail::{Trail, micros};
use super::{Gate, Settings, park, respond};
use crate::guard::json::Cause;
use crate::guard::{
    BodyFault, BodyGuard, Caps, Codings, ContentTypeFault, EncodingFault, Hooks, Report, Wire,
    check_format,
};
use crate::limits::{Refused, Seat};
use crate::listen::Facts;
use crate::policy::{Denial, Format, Permit, StepUp};
use crate::telemetry::Stage;
use crate::upstream::{Replaced, UpstreamBody};

/// What would show the fields that fell back to their masked form.
const STEP_UP: HeaderName = HeaderName::from_static("menshen-step-up");

/// A permit, the question that it answers, and by what it was given, where the answer may stay open.
pub(super) struct Granted<'a> {
    pub(super) permit: Permit,
    pub(super) question: Arc<Question>,
    pub(super) shown: Option<Box<Shown>>,
    /// By what it was asked.
    pub(super) asking: &'a park::Asking<'a>,
}

/// By what an answer that stays open was asked for, and what it rests on.
type StaysOpen = (Option<Box<Shown>>, Option<Replaced>);

fn use_if_granted(permit: &Permit, seat: &Seat) {
    if permit.grant().is_some() {
        seat.is_used();
    }
}

impl Gate {
    pub(super) async fn guard_response(
        &self,
        granted: Granted<'_>,
        seat: Seat,
        response: Response<UpstreamBody>,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        trail.enters(Stage::GuardResponse);
        let Granted { permit, question, shown, asking } = granted;
        let (permit, seat) = (Arc::new(permit), Arc::new(seat));
        let (parts, body) = response.into_parts();
        let outcome = trail.outcome().ok_or(Rejection::LogUnavailable)?;
        let (disclosure, carried) = (outcome.disclosure(), outcome.carried().clone());
        disclosure.with(|entry| {
            let result = entry.result.get_or_insert_default();
            result.upstream_status = Some(parts.status.as_u16());
            result.upstream_us = Some(micros(trail.started));
            result.status = Some(parts.status.as_u16());
        });
        let standpoint = Standpoint::of(&permit, &question);
        let (passed, body) = match judge_head(&standpoint, &seat, &parts, body).await? {
            Opened::Bodiless(bodiless) => {
                if parts.status.is_redirection() {
                    // Where it leads is all that the grant opened.
                    use_if_granted(&permit, &seat);
                }
                return self.without_body(bodiless, &seat, facts, trail).await;
            }
            Opened::Body(passed, body) => (passed, body),
        };
        disclosure.with(|entry| passed.note(entry));
        if permit.entity().is_empty() {
            // No record will tell that it passed by the grant.
            use_if_granted(&permit, &seat);
        }
        let meter = Meter {
            register: Register::of(&permit, &self.keys, carried.clone()),
            seat: Arc::clone(&seat),
            disclosure: disclosure.clone(),
            nobodys: 0,
            foreign: Foreign::default(),
            granted: false,
            uses_grant: false,
            unlinked: 0,
            asking: Asking::default(),
        };
        let caps = self.configured().caps;
        let (format, guard) = guard(&permit, &parts.headers, caps, meter)?;
        let replaced = body.replaced().filter(|_| format.is_live());
        let (plan, alerts) = (Arc::clone(permit.plan()), Arc::clone(&self.alerts));
        let mut passage = Passage::new(guard, body, plan, seat, disclosure, alerts);
        let Some(read) = self.read_beginning(&mut passage, &permit, format).await? else {
            passage.seat().give_back();
            let none = Bodiless::of(parts.status, passed);
            return self.without_body(none, passage.seat(), facts, trail).await;
        };
        let asked = asked_on_records((&passage, read), &permit, &question);
        if let Some((_, denial)) = asked.as_ref().filter(|_| permit.route().views_one_record()) {
            trail.denied_on_record(denial, permit.policy_version());
            return Err(rejection(denial.clone()));
        }
        if self.judge_whole(&passage, &permit, (format, read)).await? == Content::None {
            passage.seat().give_back();
            // What stands in its head may name the record that was withheld.
            let none = Bodiless::of(parts.status, Passed::default());
            return self.without_body(none, passage.seat(), facts, trail).await;
        }
        let shown = shown.filter(|_| format.is_live());
        let open = (shown, replaced);
        let granted = (Arc::clone(&permit), question, open);
        let mut response = self.let_out((passage, read), granted, asking, facts, trail).await?;
        *response.status_mut() = parts.status;
        let headers = response.headers_mut();
        headers.extend(passed.headers);
        describe(headers, &permit, asked.map(|(step_up, _)| step_up), format);
        let ending = mark::ending(format.content_type());
        carried.tell(headers, permit.route().name(), trail.time_unix_s(), ending);
        Ok(response)
    }

    /// Reads what is judged before anything leaves: a small answer whole; of a stream that lives, nothing. `None` for a
    /// change of which the backend says nothing but that it was made.
    async fn read_beginning(
        &self,
        passage: &mut Passage,
        permit: &Permit,
        format: Format,
    ) -> Result<Option<Read>, Rejection> {
        if format.is_live() {
            passage.end_at_limits();
            return Ok(Some(Read::Some));
        }
        let held_bytes = self.configured().settings.held_bytes;
        match passage.read(held_bytes).await {
            Ok(read) => Ok(Some(read)),
            Err(halt) if is_empty(&halt) && !permit.action().only_reads() => Ok(None),
            Err(halt) => Err(missing_if_empty(halt, permit)),
        }
    }

    /// Lets out what was judged: all at once, or in steps for as long as the right to it stands.
    async fn let_out(
        &self,
        (passage, read): (Passage, Read),
        (permit, question, (shown, replaced)): (Arc<Permit>, Arc<Question>, StaysOpen),
        asking: &park::Asking<'_>,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        if read == Read::All {
            self.check_still_on(&permit, &question)?;
            return self.whole(passage, facts, trail).await;
        }
        let right = Right::lasting(self, question, permit, shown).await?.resting_on(replaced);
        let right = right.of_long(self, asking, facts)?;
        self.streamed(passage, right, asking.head, facts, trail).await
    }

    /// Judges an answer by what was read of it: by its records, by the limits that may refuse it whole, and as a
    /// search. One that found nobody is counted before that is told.
    async fn judge_whole(
        &self,
        passage: &Passage,
        permit: &Permit,
        (format, read): (Format, Read),
    ) -> Result<Content, Rejection> {
        passage.note_hits();
        let refusal = || passage.seat().refusal();
        let content = match judge_records(format, passage.report(), permit, refusal) {
            Err(missing @ Rejection::NotFound) => {
                return Err(none_found(passage.seat(), missing).await);
            }
            judged => judged?,
        };
        let is_limited = passage.report().limited;
        let is_whole = !is_limited && read == Read::All;
        if content == Content::None || is_whole || !permit.refuses_at_limits() {
            return Ok(content);
        }
        if !permit.action().only_reads() {
            // The change was made: told as refused, it would be tried again.
            return Ok(Content::None);
        }
        Err(match is_limited {
            true => Rejection::Limit(Box::new(passage.seat().refusal())),
            false => Rejection::Unjudged(Unjudged::NotWhole),
        })
    }

    /// An answer that has no body to judge.
    async fn without_body(
        &self,
        bodiless: Bodiless,
        seat: &Seat,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<Response<Answer>, Rejection> {
        seat.persist().await.map_err(Halt::Uncounted)?;
        let outcome = trail.take_outcome();
        if let Some(outcome) = &outcome {
            outcome.disclosure().with(|entry| {
                entry.result.get_or_insert_default().status = Some(bodiless.recorded.as_u16());
                bodiless.passed.note(entry);
            });
        }
        let mut response = Response::new(Answer::whole(Bytes::new(), outcome, &facts.progress));
        *response.status_mut() = bodiless.status;
        response.headers_mut().extend(bodiless.passed.headers);
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
        tell_held_back(response.headers_mut(), held_back);
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
        let feed = passage.feed(frames, self.configured().settings.unread_time);
        let tells_in_trailer = head.accepts_trailers;
        if tells_in_trailer {
            response.headers_mut().insert(TRAILER, HeaderValue::from_static("menshen-held-back"));
        }
        let telemetry = Arc::clone(&self.telemetry);
        self.tasks.spawn(async move {
            if let Err(cut) = passage.pump(first, &feed, &mut right, tells_in_trailer).await {
                if cut.ends_the_right() {
                    telemetry.withdrawn();
                }
                feed.cut(cut).await;
            }
        });
        Ok(response)
    }

    /// The case of the record that an answer holds, and whom it is about. Nothing of it leaves.
    pub(super) async fn case_of_record(
        &self,
        reading: &Permit,
        response: Response<UpstreamBody>,
        trail: &mut Trail,
    ) -> Result<(usize, Option<Subject>), Rejection> {
        let (parts, body) = response.into_parts();
        let body = judged(parts.status, body).await?;
        let mut test = record_test(reading, parts.status, &parts.headers, self.configured().caps)?;
        let mut body = Box::pin(body);
        let mut read = 0;
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let Ok(data) = frame.map_err(Rejection::Upstream)?.into_data() else { continue };
            read += data.len();
            check_read(read, &self.configured().settings)?;
            test.push(data).map_err(Halt::Guard)?;
        }
        test.finish().map_err(Halt::Guard)?;
        if let Some(outcome) = trail.outcome() {
            let source = Source::of_answer(&outcome.disclosure());
            test.hooks().raise(&self.keys, &self.alerts, &source);
            if test.hooks().is_unlinked() {
                outcome.disclosure().acts_unlinked();
            }
        }
        conclude(&test, &self.keys)
    }
}

/// An answer whose head was judged.
enum Opened {
    /// It has no body to judge.
    Bodiless(Bodiless),
    /// What of its head passes, and the body.
    Body(Passed, UpstreamBody),
}

/// Judges the head of an answer: its status, whether there is a body to judge, and which headers pass.
async fn judge_head(
    standpoint: &Standpoint<'_>,
    seat: &Seat,
    parts: &Parts,
    body: UpstreamBody,
) -> Result<Opened, Rejection> {
    if parts.status.is_redirection() {
        body.discard().await;
        let passed = standpoint.redirect(parts.status, &parts.headers)?;
        return Ok(Opened::Bodiless(Bodiless::of(parts.status, passed)));
    }
    let body = match judged(parts.status, body).await {
        Err(missing @ Rejection::NotFound) => return Err(none_found(seat, missing).await),
        judged => judged?,
    };
    let (length, body) = length_of(standpoint.permit, parts, body).await?;
    let content = has_content(parts.status, length, standpoint.permit)?;
    let passed = standpoint.pass(&parts.headers);
    if content == Content::Some {
        return Ok(Opened::Body(passed, body));
    }
    seat.found(false);
    body.discard().await;
    Ok(Opened::Bodiless(Bodiless::of(parts.status, passed)))
}

/// How long the body is, where that can be known. Of a change without a type it is waited for: nothing has none.
async fn length_of(
    permit: &Permit,
    parts: &Parts,
    mut body: UpstreamBody,
) -> Result<(Option<u64>, UpstreamBody), Rejection> {
    let length = body.size_hint().exact();
    if permit.action().only_reads() || length.is_some() || parts.headers.contains_key(CONTENT_TYPE)
    {
        return Ok((length, body));
    }
    match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        None => Ok((Some(0), body)),
        // What it is, nobody could say.
        Some(Ok(_)) => Err(Rejection::Unjudged(Unjudged::Type(ContentTypeFault::Missing))),
        Some(Err(error)) => Err(Halt::Upstream(error).into()),
    }
}

/// Counts a search that found nobody, so that what is told of it may be told.
async fn none_found(seat: &Seat, told: Rejection) -> Rejection {
    seat.found(false);
    match seat.is_search() {
        true => seat.persist().await.map_or_else(|error| Halt::Uncounted(error).into(), |()| told),
        false => told,
    }
}

/// The head of an answer without a body.
pub(super) struct Bodiless {
    /// What the caller is told.
    pub(super) status: StatusCode,
    /// What the backend said.
    recorded: StatusCode,
    pub(super) passed: Passed,
}

impl Bodiless {
    /// It has no content, unless it tells a place.
    pub(super) fn of(status: StatusCode, passed: Passed) -> Self {
        let tells_place = passed.headers.contains_key(LOCATION);
        let told = if tells_place { status } else { StatusCode::NO_CONTENT };
        Self { status: told, recorded: status, passed }
    }
}

/// Whether the caller gets a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Some,
    None,
}

/// Whether an answer of this length, if that is known, has a body to judge.
///
/// # Errors
/// [`Rejection::NotFound`] for an empty one about a record that may not be seen by everybody, since
/// whether it may be seen cannot be told without it; and for one that should hold a record and does not.
pub(super) fn has_content(
    status: StatusCode,
    length: Option<u64>,
    permit: &Permit,
) -> Result<Content, Rejection> {
    // Of a change that was made nothing need be told: refused, it would be tried again.
    let is_made = !permit.action().only_reads() && length == Some(0);
    let is_empty = status == StatusCode::NO_CONTENT || is_made;
    let lacks_it = !is_empty && length == Some(0);
    if permit.route().views_one_record() && (lacks_it || is_empty && permit.row_conditions()) {
        return Err(Rejection::NotFound);
    }
    let has_none = is_empty || !permit.route().gives_a_body();
    Ok(if has_none { Content::None } else { Content::Some })
}

/// A view of one record in which there is nothing says that there is no such record.
pub(super) fn missing_if_empty(halt: Halt, permit: &Permit) -> Rejection {
    let is_missing = is_empty(&halt) && permit.route().views_one_record();
    if is_missing { Rejection::NotFound } else { halt.into() }
}

fn is_empty(halt: &Halt) -> bool {
    matches!(halt, Halt::Guard(BodyFault::Json(fault)) if fault.cause == Cause::Empty)
}

/// The test of the record that is read before it is changed.
pub(super) fn record_test<'p>(
    reading: &'p Permit,
    status: StatusCode,
    headers: &HeaderMap,
    caps: Caps,
) -> Result<Box<BodyGuard<RowTest<'p>>>, Rejection> {
    if status == StatusCode::NO_CONTENT {
        return Err(Rejection::NotFound);
    }
    guard(reading, headers, caps, RowTest::of(reading)).map(|(_, test)| test)
}

/// A record that is read before it is changed is held whole.
pub(super) fn check_read(bytes: usize, settings: &Settings) -> Result<(), Rejection> {
    if bytes > settings.held_bytes {
        return Err(Rejection::Unjudged(Unjudged::TooLarge));
    }
    Ok(())
}

/// Which case the record is that was read to its end, and whose.
pub(super) fn conclude(
    test: &BodyGuard<RowTest<'_>>,
    keys: &Keys,
) -> Result<(usize, Option<Subject>), Rejection> {
    let subject = test.hooks().subject(keys);
    let subject = subject.map_err(|()| Rejection::Unjudged(Unjudged::NoSubject))?;
    let case = test.hooks().case().ok_or(Rejection::NotFound)?;
    Ok((case, subject))
}

/// What records of the answer ask for, as far as it was read, and the denial of it; `None` where showing a factor would
/// not help. Of what is not read yet it is known only what records may ask for.
fn asked_on_records(
    (passage, read): (&Passage, Read),
    permit: &Permit,
    question: &Question,
) -> Option<(StepUp, Denial)> {
    let asked = match read {
        Read::All => passage.asking().step_up.as_ref(),
        Read::Some if permit.route().views_one_record() => passage.asking().step_up.as_ref(),
        Read::Some => permit.factor_on_records(),
    }?;
    Some((asked.clone(), question.asks_on_record(permit, asked)?))
}

/// What the head of an answer says of the records in it, some of which ask for a factor.
pub(super) fn describe(
    headers: &mut HeaderMap,
    permit: &Permit,
    on_records: Option<StepUp>,
    format: Format,
) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    let step_up = permit.step_up().cloned().into_iter().chain(on_records).reduce(StepUp::joined);
    if let Some(value) = step_up.as_ref().and_then(step_up_value) {
        headers.insert(STEP_UP, value);
    }
}

/// Says how many records a limit held back, if any.
pub(super) fn tell_held_back(headers: &mut HeaderMap, records: u64) {
    if records > 0 {
        headers.insert(HELD_BACK, HeaderValue::from(records));
    }
}

/// The guard of an answer that it can read.
pub(super) fn guard<H: Hooks>(
    permit: &Permit,
    headers: &HeaderMap,
    caps: Caps,
    hooks: H,
) -> Result<(Format, Box<BodyGuard<H>>), Rejection> {
    let types = headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    let read = check_format(types, permit.route().formats());
    let (format, charset) = read.map_err(|fault| Rejection::Unjudged(Unjudged::Type(fault)))?;
    let codings =
        codings(headers).map_err(|fault| Rejection::Unjudged(Unjudged::Encoding(fault)))?;
    let plan = Arc::clone(permit.plan());
    let wire = Wire { format, charset, codings };
    // It is large, and handed on from stage to stage.
    Ok((format, Box::new(BodyGuard::response(wire, plan, caps, hooks))))
}

/// What a message's body is packed with.
pub(super) fn codings(headers: &HeaderMap) -> Result<Codings, EncodingFault> {
    Codings::of(headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))
}

/// Ends an answer of which no record may leave. A view of one record is then told as missing, whatever
/// stands around it and however the backend says that there is none: the difference would betray a
/// record that exists but may not be seen.
///
/// A change that was made is told without a body: told as refused, it would be tried again.
pub(super) fn judge_records(
    format: Format,
    report: &Report,
    permit: &Permit,
    refusal: impl FnOnce() -> Refused,
) -> Result<Content, Rejection> {
    // Of a stream nobody can say yet what will be in it.
    if report.records_released > 0 || format.is_live() {
        return Ok(Content::Some);
    }
    let is_missing = report.root_withheld || permit.route().views_one_record();
    let only_reads = permit.action().only_reads();
    if is_missing && report.records_without_subject > 0 {
        return Err(Rejection::Unjudged(Unjudged::NoSubject));
    }
    match (report.limited, is_missing) {
        (false, false) => Ok(Content::Some),
        (true, _) | (false, true) if !only_reads => Ok(Content::None),
        (true, _) => Err(Rejection::Limit(Box::new(refusal()))),
        (false, true) => Err(Rejection::NotFound),
    }
}

/// Judges the status of an answer. The body of one that is refused is read all the same: a connection
/// that must be opened anew would tell, by the time of the next request, a missing record from one
/// that may not be seen.
pub(super) async fn judged(
    status: StatusCode,
    body: UpstreamBody,
) -> Result<UpstreamBody, Rejection> {
    match judge_status(status) {
        Ok(()) => Ok(body),
        Err(rejection) => {
            body.discard().await;
            Err(rejection)
        }
    }
}

/// Only success has a body that can be judged; other answers are replaced.
pub(super) fn judge_status(status: StatusCode) -> Result<(), Rejection> {
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
