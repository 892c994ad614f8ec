//! How the backends are, by the names and addresses that the operator gave them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Upstream = [(&'static str, String); 1];
type Endpoint = [(&'static str, String); 2];

/// One upstream as it is when it is asked for; its counts are those since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the metrics say what each means")]
pub struct UpstreamHealth {
    pub name: String,
    pub endpoints: Vec<UpstreamEndpoint>,
    pub retries: u64,
    pub ejections: u64,
    pub refused: u64,
}

impl UpstreamHealth {
    /// Whether nobody there is believed to answer.
    #[must_use]
    pub fn is_down(&self) -> bool {
        !self.endpoints.iter().any(|endpoint| endpoint.is_up)
    }

    /// Where something is wrong, and what.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.endpoints.iter().filter_map(|one| Some((&*one.place, one.fault.as_deref()?)))
    }
}

/// One of its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the metrics say what each means")]
pub struct UpstreamEndpoint {
    pub place: String,
    pub is_up: bool,
    pub is_ejected: bool,
    pub open: usize,
    pub fault: Option<String>,
}

/// What is told of backends.
#[derive(Debug, Default)]
pub(super) struct Backends {
    up: Family<Endpoint, Gauge>,
    ejected: Family<Endpoint, Gauge>,
    open: Family<Endpoint, Gauge>,
    retries: Family<Upstream, Counter>,
    ejections: Family<Upstream, Counter>,
    refused: Family<Upstream, Counter>,
    /// Held from when they are told to when they are written out.
    telling: Mutex<()>,
}

impl Backends {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Whether a backend is believed to answer";
        registry.register("upstream_up", help, self.up.clone());
        let help = "Whether a backend is left out for a time, since requests failed there";
        registry.register("upstream_ejected", help, self.ejected.clone());
        let help = "Requests that a backend has, waiting ones included";
        registry.register("upstream_open_requests", help, self.open.clone());
        let help = "Requests that were sent to backends once more";
        registry.register("upstream_retries", help, self.retries.clone());
        let help = "How often a backend was left out for a time";
        registry.register("upstream_ejections", help, self.ejections.clone());
        let help = "Requests turned away at once: all backends were down, or too many waited";
        registry.register("upstream_refused", help, self.refused.clone());
    }

    /// Says how they are now, for as long as what is given is kept. Addresses that a name no longer stands for are no longer
    /// told.
    pub(super) fn tell(&self, upstreams: &[UpstreamHealth]) -> MutexGuard<'_, ()> {
        let whole = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        [&self.up, &self.ejected, &self.open].into_iter().for_each(Family::clear);
        for upstream in upstreams {
            for endpoint in &upstream.endpoints {
                let labels =
                    [("upstream", upstream.name.clone()), ("endpoint", endpoint.place.clone())];
                self.up.get_or_create(&labels).set(i64::from(endpoint.is_up));
                self.ejected.get_or_create(&labels).set(i64::from(endpoint.is_ejected));
                let open = i64::try_from(endpoint.open).unwrap_or(i64::MAX);
                self.open.get_or_create(&labels).set(open);
            }
            let counts = [
                (&self.retries, upstream.retries),
                (&self.ejections, upstream.ejections),
                (&self.refused, upstream.refused),
            ];
            for (family, now) in counts {
                let counter = family.get_or_create(&[("upstream", upstream.name.clone())]);
                counter.inc_by(now.saturating_sub(counter.get()));
            }
        }
        whole
    }
}
