//! What is noted of one request while it goes its way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Fate;
use super::context::{SpanId, TraceId};
use crate::telemetry::Telemetry;

/// The most stages that are noted; a request that was kept passes some of them twice.
const MOST_STAGES: usize = 32;

/// A stage of the way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The head is judged.
    Head,
    /// The gate answers itself: signing in, and what people see of their account.
    Own,
    /// The route is found.
    Route,
    /// Who asks.
    Authenticate,
    /// What is switched off, registered, granted and tied; then the decision.
    Decide,
    /// The query is judged and the caller's limits are asked.
    Admit,
    /// The decision is handed to the log; a change waits until it is durable.
    Record,
    /// The record to be changed is read first.
    ReadFirst,
    /// The request's body is read and judged.
    GuardRequest,
    /// The backend is asked.
    Forward,
    /// The decision is durable before anything leaves.
    Recorded,
    /// The answer is judged and leaves.
    GuardResponse,
}

impl Stage {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Own => "own",
            Self::Route => "route",
            Self::Authenticate => "authenticate",
            Self::Decide => "decide",
            Self::Admit => "admit",
            Self::Record => "record",
            Self::ReadFirst => "read first",
            Self::GuardRequest => "guard request",
            Self::Forward => "forward",
            Self::Recorded => "recorded",
            Self::GuardResponse => "guard response",
        }
    }

    /// Whether it asks a backend.
    pub(super) fn asks(self) -> bool {
        matches!(self, Self::ReadFirst | Self::Forward)
    }
}

/// What is known of a request: names of the policy, words of ours, numbers.
#[derive(Debug, Default)]
pub struct Known {
    /// The method, where a route has it.
    pub method: String,
    /// The route's name.
    pub route: String,
    /// Its path template.
    pub template: String,
    /// Its action.
    pub action: String,
    /// The upstream that it goes to.
    pub upstream: String,
    /// The status that it was answered with.
    pub status: Option<u16>,
    /// Why it was refused.
    pub cause: Option<&'static str>,
    /// How its answer ended.
    pub ended: Option<&'static str>,
    /// How often it was sent to a backend once more.
    pub retries: u32,
}

/// A request that is over.
#[derive(Debug)]
pub struct Recorded {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) parent: Option<SpanId>,
    /// Unix time.
    pub(super) began_ns: u128,
    pub(super) took_ns: u128,
    /// Each with its beginning, from that of the request.
    pub(super) stages: Vec<(Stage, u128)>,
    pub(super) known: Known,
}

impl Recorded {
    pub(super) fn begun(trace: TraceId, span: SpanId, parent: Option<SpanId>, at_ms: i64) -> Self {
        let began_ns = u128::try_from(at_ms).unwrap_or_default() * 1_000_000;
        let (stages, known) = (vec![(Stage::Head, 0)], Known::default());
        Self { trace, span, parent, began_ns, took_ns: 0, stages, known }
    }

    /// The span of a stage: those of one request differ in their last byte.
    pub(super) fn span_of(&self, place: usize) -> SpanId {
        let SpanId([start @ .., last]) = self.span;
        let place = u8::try_from(place + 1).unwrap_or(u8::MAX);
        let [a, b, c, d, e, f, g] = start;
        SpanId([a, b, c, d, e, f, g, last ^ place])
    }
}

#[derive(Debug)]
pub(super) struct Recording {
    started: Instant,
    /// Nothing once it was given out.
    recorded: Mutex<Option<Recorded>>,
    queue: mpsc::Sender<Recorded>,
    telemetry: Arc<Telemetry>,
}

impl Recording {
    pub(super) fn new(
        recorded: Recorded,
        queue: mpsc::Sender<Recorded>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let recorded = Mutex::new(Some(recorded));
        Self { started: Instant::now(), recorded, queue, telemetry }
    }

    pub(super) fn enters(&self, stage: Stage) {
        let at = self.started.elapsed().as_nanos();
        if let Some(recorded) = &mut *self.recorded()
            && recorded.stages.len() < MOST_STAGES
        {
            recorded.stages.push((stage, at));
        }
    }

    pub(super) fn know(&self, note: impl FnOnce(&mut Known)) {
        if let Some(recorded) = &mut *self.recorded() {
            note(&mut recorded.known);
        }
    }

    /// The span of the stage that it is in.
    pub(super) fn span(&self) -> SpanId {
        let recorded = self.recorded();
        let place = |recorded: &Recorded| recorded.span_of(recorded.stages.len().saturating_sub(1));
        recorded.as_ref().map_or(SpanId([0; 8]), place)
    }

    fn recorded(&self) -> MutexGuard<'_, Option<Recorded>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let Some(mut recorded) = self.recorded().take() else { return };
        recorded.took_ns = self.started.elapsed().as_nanos();
        // Nobody waits for a collector.
        if self.queue.try_send(recorded).is_err() {
            self.telemetry.traced(Fate::Dropped, 1);
        }
    }
}
