//! What is told of upstreams: numbers, and where the operator has them. Nothing of a request.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Upstreams;
use super::group::Group;
use super::standing::Place;

/// One upstream as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenUpstream {
    /// Its name.
    pub name: String,
    /// The endpoints that are known; none before names were looked up.
    pub endpoints: Vec<SeenEndpoint>,
    /// Requests that were sent once more, since the start.
    pub retries: u64,
    /// How often an endpoint was ejected, since the start.
    pub ejections: u64,
    /// Requests that were turned away at once, since the start: all were down, or too many waited.
    pub refused: u64,
}

impl SeenUpstream {
    /// Whether nobody there is believed to answer.
    #[must_use]
    pub fn is_down(&self) -> bool {
        !self.endpoints.iter().any(|endpoint| endpoint.is_up)
    }
}

/// One endpoint as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenEndpoint {
    /// Where it is.
    pub place: String,
    /// Whether it is believed to answer.
    pub is_up: bool,
    /// Whether it is left out for a time, since requests failed there.
    pub is_ejected: bool,
    /// Requests that it has, waiting ones included.
    pub open: usize,
    /// What was wrong with it last, where it is not believed to answer.
    pub fault: Option<String>,
}

impl Upstreams {
    /// How all of them are now, by name.
    #[must_use]
    pub fn seen(&self) -> Vec<SeenUpstream> {
        let mut seen: Vec<_> = self.groups.load().values().map(|group| of(group)).collect();
        seen.sort_by(|one, other| one.name.cmp(&other.name));
        seen
    }
}

fn of(group: &Group) -> SeenUpstream {
    let now = Instant::now();
    let endpoints = group.endpoints();
    let endpoints = endpoints.iter().map(|endpoint| {
        let standing = endpoint.standing();
        let is_up = standing.is_up(&group.settings.eject, now);
        SeenEndpoint {
            place: endpoint.socket.to_string(),
            is_up,
            fault: standing.fault().filter(|_| !is_up).map(str::to_owned),
            is_ejected: standing.place(now) == Place::Ejected,
            open: endpoint.pool.open(),
        }
    });
    let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    SeenUpstream {
        name: group.settings.name.clone(),
        endpoints: endpoints.collect(),
        retries: count(&group.counts.retries),
        ejections: count(&group.counts.ejections),
        refused: count(&group.counts.refused),
    }
}
