//! WebSockets: how many are open, and why they ended.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: Gauge,
    ended: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Sockets {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("websockets_open", "WebSockets that are open", self.open.clone());
        let help = "WebSockets that ended, by why";
        registry.register("websockets_ended", help, self.ended.clone());
    }

    pub(super) fn opened(&self) {
        self.open.inc();
    }

    pub(super) fn ended(&self, why: &'static str) {
        self.open.dec();
        self.ended.get_or_create(&[("why", why)]).inc();
    }
}
