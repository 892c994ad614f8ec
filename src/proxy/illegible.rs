//! Requests of which not even the head could be read. hyper has answered them by itself; they are refusals of strangers
//! all the same, counted and recorded like others.

use http::HeaderMap;

use super::Gate;
use super::head::HeadFault;
use super::rejection::Rejection;
use super::trail::Trail;
use crate::listen::{Facts, Illegible};

impl Gate {
    /// Brings such a request into the log, after it was answered: nothing was decided, and nothing but its status left.
    pub async fn note_illegible(&self, what: Illegible, facts: &Facts) {
        let told = Rejection::Head(HeadFault::Illegible(what)).told();
        self.telemetry.denied(told.cause);
        let recorded = match self.log.stamp() {
            Ok(stamp) => {
                let mut trail = Trail::begin(stamp, facts, &HeaderMap::new());
                self.record_refusal(&told, facts, &mut trail).await
            }
            Err(error) => {
                tracing::error!(%error, "no id for a log entry");
                false
            }
        };
        if !recorded {
            self.telemetry.unrecorded();
        }
    }
}
