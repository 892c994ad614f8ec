//! The trace of a request on its way: begun with it, told to the backend, named in its entry.

use http::HeaderMap;

use super::Gate;
use super::trail::Trail;
use crate::listen::Facts;
use crate::policy::Route;
use crate::telemetry::{Known, Parent, Stage};

impl Gate {
    /// Begins the trace, if the operator wants any. What the request says of one counts only where a forwarder brings it.
    pub(super) fn begin_trace(&self, headers: &HeaderMap, facts: &Facts, trail: &mut Trail) {
        let Some(traces) = &self.traces else { return };
        let parent = facts.is_forwarded.then(|| Parent::read(headers)).flatten();
        trail.traced(traces.begin(trail.id.bytes(), trail.time_unix_ms(), parent));
    }
}

impl Trail {
    /// The id of the trace, for the operator's events.
    pub(super) fn trace_id(&self) -> String {
        let continued = self.trace().and_then(|trace| trace.continued());
        continued.map_or_else(|| self.id.to_string().replace('-', ""), |trace| trace.to_string())
    }

    /// It enters a stage.
    pub(super) fn enters(&self, stage: Stage) {
        if let Some(trace) = self.trace() {
            trace.enters(stage);
        }
    }

    /// It is about to ask a backend, which is told of the trace.
    pub(super) fn asks(&self, stage: Stage, headers: &mut HeaderMap) {
        if let Some(trace) = self.trace() {
            trace.enters(stage);
            trace.tell(headers);
        }
    }

    /// Notes what is known by now. Names of the policy and words of ours only.
    pub(super) fn know(&self, note: impl FnOnce(&mut Known)) {
        if let Some(trace) = self.trace() {
            trace.know(note);
        }
    }

    /// Notes where it goes. The method is one that the policy publishes, since it has a route.
    pub(super) fn know_route(&self, route: &Route, method: &str) {
        self.know(|known| {
            method.clone_into(&mut known.method);
            route.name().clone_into(&mut known.route);
            route.template().as_str().clone_into(&mut known.template);
            route.action().name().clone_into(&mut known.action);
        });
    }
}
