//! What becomes of notices, by the name that the operator gave the target.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Telemetry;

type Target = [(&'static str, String); 1];

/// What is told of targets.
#[derive(Debug, Default)]
pub(super) struct Notices {
    sent: Family<Target, Counter>,
    failed: Family<Target, Counter>,
    given_up: Family<Target, Counter>,
    waiting: Family<Target, Gauge>,
}

impl Notices {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Notices that the target took";
        registry.register("notices_sent", help, self.sent.clone());
        let help = "Deliveries that failed, and recipients that were refused";
        registry.register("notices_failed", help, self.failed.clone());
        let help = "Notices that were given up";
        registry.register("notices_given_up", help, self.given_up.clone());
        let help = "Notices that wait, up to 64";
        registry.register("notices_waiting", help, self.waiting.clone());
    }
}

fn named(target: &str) -> Target {
    [("target", target.to_owned())]
}

impl Telemetry {
    /// Counts a notice that its target took. Its name is the operator's.
    pub fn notice_sent(&self, target: &str) {
        self.notices.sent.get_or_create(&named(target)).inc();
    }

    /// Counts a delivery that failed.
    pub fn notice_failed(&self, target: &str) {
        self.notices.failed.get_or_create(&named(target)).inc();
    }

    /// Counts notices that are given up.
    pub fn notice_given_up(&self, target: &str, count: u64) {
        self.notices.given_up.get_or_create(&named(target)).inc_by(count);
    }

    /// Says how many wait.
    pub fn notices_waiting(&self, target: &str, count: u64) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.notices.waiting.get_or_create(&named(target)).set(count);
    }

    /// Says nothing more of how many wait for a target that is told no more.
    pub fn notices_ended(&self, target: &str) {
        self.notices.waiting.remove(&named(target));
    }
}
