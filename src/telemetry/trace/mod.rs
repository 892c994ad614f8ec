//! Where the time of a request goes, as spans: one for the request, one for each stage of its way.
//!
//! A span says words of ours and names of the policy, never what came with a request or of a backend. What is recorded waits in
//! a queue that drops and counts rather than have a request wait; who sends it on is not here.

mod context;
mod otlp;
mod recording;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderValue;
use tokio::sync::mpsc;

pub use context::{Parent, SpanId, TRACEPARENT, TRACESTATE, TraceId};
pub use otlp::export;
pub use recording::{Known, Recorded, Stage};

use super::Telemetry;
use context::told;
use recording::Recording;

/// What the operator says about traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Of so many requests whose trace begins here one is recorded; of those whose trace somebody else began, those of which they say so.
    pub one_in: u32,
    /// Recorded requests that may wait to be sent; further ones are dropped and counted.
    pub queue: usize,
    /// How long they are gathered for one message.
    pub gather: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { one_in: 100, queue: 2048, gather: Duration::from_secs(2) }
    }
}

/// What became of recorded requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The collector has them.
    Exported,
    /// The queue was full.
    Dropped,
    /// The collector did not take them.
    Failed,
}

impl Fate {
    pub(super) const ALL: [Self; 3] = [Self::Exported, Self::Dropped, Self::Failed];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

/// Begins the traces of requests.
#[derive(Debug)]
pub struct Traces {
    one_in: u32,
    queue: Option<mpsc::Sender<Recorded>>,
    /// Where what is queued comes out, until somebody takes it.
    out: Mutex<Option<mpsc::Receiver<Recorded>>>,
    telemetry: Arc<Telemetry>,
}

impl Traces {
    /// Traces of which nothing is recorded: their context is told on, and no more.
    #[must_use]
    pub fn unrecorded(telemetry: Arc<Telemetry>) -> Self {
        Self { one_in: 1, queue: None, out: Mutex::default(), telemetry }
    }

    /// Traces that are recorded as the settings say.
    #[must_use]
    pub fn recorded(settings: &Settings, telemetry: Arc<Telemetry>) -> Self {
        let (queue, out) = mpsc::channel(settings.queue.max(1));
        let out = Mutex::new(Some(out));
        Self { one_in: settings.one_in, queue: Some(queue), out, telemetry }
    }

    /// Where what was recorded comes out, for the one who sends it on.
    #[must_use]
    pub fn out(&self) -> Option<mpsc::Receiver<Recorded>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Begins the trace of the request with this id, which came at `at_ms` (Unix time): under a parent, or a trace of its own,
    /// whose id is the request's.
    #[must_use]
    pub fn begin(&self, request: [u8; 16], at_ms: i64, parent: Option<Parent>) -> Trace {
        let [.., a, b, c, d] = request;
        let drawn = u32::from_be_bytes([a, b, c, d]).is_multiple_of(self.one_in.max(1));
        let is_sampled = parent.as_ref().map_or(drawn, |parent| parent.is_sampled);
        let [_, _, _, _, _, _, _, _, span @ ..] = request;
        let (trace, span) = (parent.as_ref().map_or(TraceId(request), |p| p.trace), SpanId(span));
        let recording = self.queue.as_ref().filter(|_| is_sampled).map(|queue| {
            let under = parent.as_ref().map(|parent| parent.span);
            let recorded = Recorded::begun(trace, span, under, at_ms);
            Arc::new(Recording::new(recorded, queue.clone(), Arc::clone(&self.telemetry)))
        });
        let is_continued = parent.is_some();
        let state = parent.and_then(|parent| parent.state).map(Box::new);
        Trace { trace, span, is_continued, state, recording }
    }
}

/// The trace of one request. What is recorded of it is complete when the last one that knows it is dropped.
#[derive(Clone, Debug)]
pub struct Trace {
    trace: TraceId,
    span: SpanId,
    is_continued: bool,
    state: Option<Box<HeaderValue>>,
    /// If it is among those that are drawn.
    recording: Option<Arc<Recording>>,
}

impl Trace {
    /// The trace that somebody else began, if one did.
    #[must_use]
    pub fn continued(&self) -> Option<TraceId> {
        self.is_continued.then_some(self.trace)
    }

    /// The request enters a stage; the one before has ended.
    pub fn enters(&self, stage: Stage) {
        if let Some(recording) = &self.recording {
            recording.enters(stage);
        }
    }

    /// Notes what is known of the request by now.
    pub fn know(&self, note: impl FnOnce(&mut Known)) {
        if let Some(recording) = &self.recording {
            recording.know(note);
        }
    }

    /// Tells a backend, in whose stage the request is.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let span = self.recording.as_ref().map_or(self.span, |recording| recording.span());
        let parent = told(self.trace, span, self.recording.is_some());
        parent.and_then(|parent| headers.insert(TRACEPARENT, parent));
        headers.remove(TRACESTATE);
        if let Some(state) = self.state.as_deref() {
            headers.insert(TRACESTATE, state.clone());
        }
    }
}

#[cfg(test)]
mod tests;
