//! How long answers take, how many there are at once, and which program gives them.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::Health;

/// From half a millisecond, about what the gate itself takes, to what people do not wait for.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

type ByAction = Family<[(&'static str, &'static str); 1], Histogram, fn() -> Histogram>;

#[derive(Debug)]
pub(super) struct Load {
    took: ByAction,
    connections: Gauge,
    open: Gauge,
}

impl Default for Load {
    fn default() -> Self {
        let took = ByAction::new_with_constructor(|| Histogram::new(SECONDS));
        Self { took, connections: Gauge::default(), open: Gauge::default() }
    }
}

impl Load {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "From a request's head to that of its answer, by the route's action";
        registry.register_with_unit("request", help, Unit::Seconds, self.took.clone());
        let help = "Connections of clients";
        registry.register("connections", help, self.connections.clone());
        let help = "Requests that are admitted and whose answer has not ended";
        registry.register("open_requests", help, self.open.clone());
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
    }

    pub(super) fn answered(&self, action: &'static str, took: Duration) {
        self.took.get_or_create(&[("action", action)]).observe(took.as_secs_f64());
    }

    pub(super) fn look(&self, health: &Health) {
        self.connections.set(health.connections.into());
        self.open.set(health.open_requests.into());
    }
}
