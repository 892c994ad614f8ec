//! An answer on its way through the guard: read, judged, counted durably, and only then given out.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as _, Frame};
use tokio::sync::mpsc;

use super::alerts::{Alerts, Source};
use super::body::{Cut, Fed};
use super::meter::{Asking, Meter};
use super::outcome::Disclosure;
use super::rejection::{Rejection, Unjudged};
use super::right::Right;
use crate::audit::{Data, LogError};
use crate::guard::{BodyFault, BodyGuard, Report};
use crate::limits::{self, LimitError, Refused, Seat};
use crate::policy::Plan;
use crate::upstream::{Reading, UpstreamBody, UpstreamError};

/// Records that a limit held back.
pub(super) const HELD_BACK: HeaderName = HeaderName::from_static("menshen-held-back");

/// So much is released in one step; each step is one durable write of the counters.
pub(super) const STEP_BYTES: usize = 512 * 1024;
/// How long a step may gather: a stream stays a stream, and a disk is not asked for every packet.
pub(super) const STEP_TIME: Duration = Duration::from_millis(10);
/// Where an answer has an end, so much is read after a limit was reached.
const COUNTED_AFTER_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// Why an answer does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// The backend broke off.
    Upstream(UpstreamError),
    /// The guard refused it.
    Guard(BodyFault),
    /// It passes unread, and is larger than this many bytes, which is all that may.
    Oversized(u64),
    /// A limit on bytes is used up.
    UsedUp(Box<Refused>),
    /// It could not be counted.
    Uncounted(LimitError),
    /// Whom it is about could not be recorded.
    Unrecorded(LogError),
}

impl From<Halt> for Rejection {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Upstream(error) => Self::Upstream(error),
            Halt::Guard(fault) => Self::Unjudged(Unjudged::Body(fault)),
            Halt::Oversized(size) => Self::Unjudged(Unjudged::Oversized(size)),
            Halt::UsedUp(refused) => Self::Limit(refused),
            Halt::Uncounted(error) => {
                tracing::error!(%error, "what leaves could not be counted, so it does not leave");
                Self::StoreUnavailable
            }
            Halt::Unrecorded(error) => {
                tracing::error!(%error, "what leaves could not be recorded, so it does not leave");
                Self::LogUnavailable
            }
        }
    }
}

impl From<Halt> for Cut {
    fn from(halt: Halt) -> Self {
        tracing::warn!(?halt, "an answer was cut off");
        match halt {
            Halt::Upstream(_) => Self::Upstream,
            Halt::Guard(_) | Halt::Oversized(_) => Self::Guard,
            Halt::UsedUp(_) => Self::Limit,
            Halt::Uncounted(_) => Self::Uncounted,
            Halt::Unrecorded(_) => Self::Unrecorded,
        }
    }
}

/// The way from the task that feeds a stream to the answer's body.
pub(super) struct Feed {
    pub(super) frames: mpsc::Sender<Result<Fed, Cut>>,
    /// How long to wait for a caller who does not read: the backend's connection is held meanwhile.
    pub(super) patience: Duration,
    /// Says when others need that connection; none where the backend has given all.
    pub(super) reading: Option<Reading>,
    pub(super) disclosure: Disclosure,
}

impl Feed {
    /// Gives something to a caller who reads; a caller who left is no fault.
    pub(super) async fn give(&self, fed: Fed) -> Result<(), Cut> {
        let bytes = fed.bytes();
        let taking = tokio::time::timeout(self.patience, self.frames.send(Ok(fed)));
        let taken = match &self.reading {
            Some(reading) => reading.takes(bytes, taking).await,
            None => Some(taking.await),
        };
        match taken {
            Some(Ok(Ok(()) | Err(_))) => Ok(()),
            Some(Err(_elapsed)) => Err(Cut::Stalled),
            None => Err(Cut::CalledBack),
        }
    }

    /// Says that the stream is cut off; dropping the feed says it as well, but not why. Whoever does not read is not told,
    /// but the log is.
    pub(super) async fn cut(self, cut: Cut) {
        if matches!(cut, Cut::Stalled | Cut::CalledBack) {
            tracing::debug!(%cut, "an answer was cut off");
            return self.disclosure.is_given_up(cut);
        }
        let told = self.frames.send(Err(cut));
        drop(tokio::time::timeout(self.patience, told).await);
    }
}

/// Whether all of an answer was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    All,
    Some,
}

/// An answer on its way through the guard.
pub(super) struct Passage {
    guard: Box<BodyGuard<Meter>>,
    body: Pin<Box<UpstreamBody>>,
    plan: Arc<Plan>,
    seat: Arc<Seat>,
    disclosure: Disclosure,
    alerts: Arc<Alerts>,
    /// After a limit was reached, the rest is read only to say how much was held back, up to here.
    counted_bytes: u64,
    /// Judged, not yet counted as released.
    ready: Vec<Bytes>,
    ready_bytes: usize,
    released: u64,
    /// Whether the backend has given all.
    is_read: bool,
}

impl Passage {
    pub(super) fn new(
        guard: Box<BodyGuard<Meter>>,
        body: UpstreamBody,
        plan: Arc<Plan>,
        seat: Arc<Seat>,
        disclosure: Disclosure,
        alerts: Arc<Alerts>,
    ) -> Self {
        let (ready, ready_bytes, released) = Default::default();
        Self {
            guard,
            body: Box::pin(body),
            plan,
            seat,
            disclosure,
            alerts,
            counted_bytes: COUNTED_AFTER_LIMIT_BYTES,
            ready,
            ready_bytes,
            released,
            is_read: false,
        }
    }

    /// The way to a caller to whom it streams from here on.
    pub(super) fn feed(
        &mut self,
        frames: mpsc::Sender<Result<Fed, Cut>>,
        patience: Duration,
    ) -> Feed {
        let reading = self.body.streams_to(self.seat.person());
        Feed { frames, patience, reading, disclosure: self.disclosure.clone() }
    }

    /// Cuts the answer off where a limit is reached: it has no end at which it could be told.
    pub(super) fn end_at_limits(&mut self) {
        self.counted_bytes = 0;
    }

    pub(super) fn report(&self) -> &Report {
        self.guard.report()
    }

    /// What records asked for so far.
    pub(super) fn asking(&self) -> &Asking {
        &self.guard.hooks().asking
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Reads and judges until all is read or `enough` bytes are ready.
    pub(super) async fn read(&mut self, enough: usize) -> Result<Read, Halt> {
        loop {
            let frame = self.next_frame().await;
            if self.judge(frame)? == Read::All {
                return Ok(Read::All);
            }
            if self.ready_bytes > enough || self.counts_in_vain() {
                return Ok(Read::Some);
            }
        }
    }

    /// Notes whether a search found anybody, once that is known. Records that a limit holds back were found.
    pub(super) fn note_hits(&self) {
        let report = self.report();
        let found = report.records_released > 0 || report.limited;
        if found || self.is_read {
            self.seat.found(found);
        }
    }

    /// Counts what is ready, durably, and gives it out.
    pub(super) async fn settle(&mut self) -> Result<Vec<Bytes>, Halt> {
        self.note_hits();
        if self.guard.hooks().uses_grant {
            self.seat.is_used();
        }
        let bytes = u64::try_from(self.ready_bytes).unwrap_or(u64::MAX);
        if let limits::Take::HoldBack(limit) = self.seat.take_bytes(bytes) {
            tracing::debug!(%limit, "no more bytes may leave");
            return Err(Halt::UsedUp(Box::new(self.seat.refusal())));
        }
        let (counted, recorded) = tokio::join!(self.seat.persist(), self.disclosure.record_parts());
        counted.map_err(Halt::Uncounted)?;
        recorded.map_err(Halt::Unrecorded)?;
        self.released += bytes;
        self.ready_bytes = 0;
        self.note();
        Ok(std::mem::take(&mut self.ready))
    }

    /// Feeds the stream, beginning with `first`, until the answer ends.
    ///
    /// # Errors
    /// [`Cut`] if it must be cut off; the caller of this sends it down the stream.
    pub(super) async fn pump(
        mut self,
        first: Vec<Bytes>,
        feed: &Feed,
        right: &mut Right,
        tells_in_trailer: bool,
    ) -> Result<(), Cut> {
        let (mut pieces, mut read) = (first, Read::Some);
        loop {
            for piece in pieces {
                tokio::select! {
                    biased;
                    // Also while the caller does not read.
                    cut = right.lost() => return Err(cut),
                    given = feed.give(Fed::Frame(Frame::data(piece))) => given?,
                }
            }
            if read == Read::All {
                return self.end(feed, tells_in_trailer).await;
            }
            if self.counts_in_vain() {
                return Err(Cut::Limit);
            }
            read = tokio::select! {
                biased;
                // A caller that left must not keep a seat and a connection until the backend goes on.
                () = feed.frames.closed() => return Ok(()),
                cut = right.lost() => return Err(cut),
                read = self.read_some() => read?,
            };
            pieces = self.settle().await?;
        }
    }

    /// After the last byte: says in a trailer what a limit held back, or cuts the stream off where the
    /// caller reads no trailers, since a proper end would say that this was all.
    async fn end(&self, feed: &Feed, tells_in_trailer: bool) -> Result<(), Cut> {
        let held_back = self.report().records_held_back;
        if held_back > 0 && !tells_in_trailer {
            return Err(Cut::Limit);
        }
        if held_back > 0 {
            let mut fields = HeaderMap::new();
            fields.insert(HELD_BACK, HeaderValue::from(held_back));
            feed.give(Fed::Frame(Frame::trailers(fields))).await?;
        }
        feed.give(Fed::End).await
    }

    /// Reads at least one frame, then gathers what comes soon into the same step.
    async fn read_some(&mut self) -> Result<Read, Halt> {
        let first = self.next_frame().await;
        if self.judge(first)? == Read::All {
            return Ok(Read::All);
        }
        let soon = tokio::time::sleep(STEP_TIME);
        tokio::pin!(soon);
        while self.ready_bytes < STEP_BYTES && !self.counts_in_vain() {
            let frame = tokio::select! {
                biased;
                frame = self.next_frame() => frame,
                () = &mut soon => break,
            };
            if self.judge(frame)? == Read::All {
                return Ok(Read::All);
            }
        }
        Ok(Read::Some)
    }

    /// The next frame of the backend's answer. Cancel safe: nothing is read before it is ready.
    async fn next_frame(&mut self) -> Option<Result<Frame<Bytes>, UpstreamError>> {
        std::future::poll_fn(|cx| self.body.as_mut().poll_frame(cx)).await
    }

    fn judge(&mut self, frame: Option<Result<Frame<Bytes>, UpstreamError>>) -> Result<Read, Halt> {
        let read = match frame {
            Some(frame) => {
                // Trailers of the backend are not judged, so they do not pass.
                if let Ok(data) = frame.map_err(Halt::Upstream)?.into_data() {
                    self.guard.push(data).map_err(Halt::Guard)?;
                }
                Read::Some
            }
            None => {
                self.guard.finish().map_err(Halt::Guard)?;
                self.is_read = true;
                Read::All
            }
        };
        for piece in self.guard.take_output() {
            self.ready_bytes += piece.len();
            self.ready.push(piece);
        }
        Ok(read)
    }

    /// Whether a limit was reached and enough was counted after it.
    fn counts_in_vain(&self) -> bool {
        let report = self.report();
        report.limited && report.bytes_in.saturating_sub(report.bytes_out) > self.counted_bytes
    }

    /// Writes what was disclosed so far into the outcome.
    fn note(&self) {
        let mut data = described(self.report(), &self.plan, self.released);
        data.unlinked = some(self.guard.hooks().unlinked);
        data.step_up = some(self.asking().records);
        self.disclosure.with(|entry| entry.data = Some(data));
    }
}

impl Drop for Passage {
    /// Tells what should not have been in the answer, however it ended.
    fn drop(&mut self) {
        let source = Source::of_answer(&self.disclosure);
        let report = self.guard.report();
        self.alerts.near_limits(&self.seat);
        self.alerts.detected(report, &self.plan, &source);
        self.alerts.unknown_fields(report, &self.plan, &source);
        self.guard.hooks().foreign.raise(&self.alerts, &source);
    }
}

/// A count, where there is something to say.
fn some(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}

/// What happened, by field names and numbers.
fn described(report: &Report, plan: &Plan, bytes: u64) -> Data {
    let entity = plan.records.first().map_or("", |record| &record.entity);
    let mut data = Data {
        entity: entity.into(),
        records: Some(report.records_released),
        bytes: Some(bytes),
        held_back: some(report.records_held_back),
        withheld_records: some(report.records_withheld + report.records_without_subject),
        suppressed: some(report.records_suppressed),
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
