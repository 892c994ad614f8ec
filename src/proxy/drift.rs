//! Fields that backends have and the catalogue does not know: none of them passes, each is counted once per
//! answer, and the first answer with it raises an alert. What is known outlives a restart.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::guard::Report;
use crate::policy::Plan;

/// Fields that are remembered; a backend may invent any number.
const FIELDS: usize = 4096;
/// Fields of one route that are remembered, so that no backend takes the room of the others.
const FIELDS_OF_A_ROUTE: usize = 256;

/// A field that the catalogue does not know, and when a backend gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// The route.
    pub route: String,
    /// Where it stands: `customer.address.zip`, or `$.debug` outside of records.
    pub field: String,
    /// The first and the last day, in days since 1970 (UTC).
    pub days: (i64, i64),
    /// Answers that had it.
    pub answers: u64,
}

/// The fields could not be kept. The cause is for the operator.
#[derive(Debug, thiserror::Error)]
#[error("fields that nobody declared could not be kept: {0}")]
pub struct FieldStoreError(#[source] pub Box<dyn Error + Send + Sync>);

/// A store's answer, on its way.
pub type FieldStoreFuture<'a> =
    Pin<Box<dyn Future<Output = Result<(), FieldStoreError>> + Send + 'a>>;

/// Remembers unknown fields over restarts.
pub trait FieldStore: Send + Sync {
    /// Makes these durable as they are now, in place of what was kept of the same route and field.
    fn keep(&self, fields: Vec<UnknownField>) -> FieldStoreFuture<'_>;
}

/// The unknown fields at the start, and where they are kept.
#[derive(Clone)]
pub struct KnownFields {
    /// What was kept.
    pub at_start: Vec<UnknownField>,
    /// Where.
    pub store: Arc<dyn FieldStore>,
}

impl fmt::Debug for KnownFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownFields")
            .field("at_start", &self.at_start.len())
            .finish_non_exhaustive()
    }
}

/// What is known of unknown fields.
pub(super) struct Drift {
    store: Arc<dyn FieldStore>,
    seen: Mutex<Seen>,
}

impl fmt::Debug for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drift").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// By route and field.
    routes: BTreeMap<Box<str>, BTreeMap<Box<str>, Sightings>>,
    fields: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sightings {
    days: (i64, i64),
    answers: u64,
    is_kept: bool,
}

/// What is new of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// It was never seen before.
    First,
    /// It was.
    Again,
    /// There is no room to remember it.
    Beyond,
}

impl Drift {
    pub(super) fn new(known: KnownFields) -> Self {
        let mut seen = Seen::default();
        for UnknownField { route, field, days, answers } in known.at_start {
            seen.insert(&route, &field, Sightings { days, answers, is_kept: true });
        }
        Self { store: known.store, seen: Mutex::new(seen) }
    }

    /// Counts the unknown fields of one answer, and gives what is new of each.
    pub(super) fn see(
        &self,
        route: &str,
        report: &Report,
        plan: &Plan,
        day: i64,
    ) -> Vec<(String, Sighting)> {
        if report.unlisted_at.is_empty() {
            return Vec::new();
        }
        let places = plan.places();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fields = report.unlisted_at.iter().map(|(node, name)| {
            let place = places.get(node).map_or("$", String::as_str);
            let field = format!("{place}.{name}");
            let sighting = seen.see(route, &field, day);
            (field, sighting)
        });
        fields.collect()
    }

    /// Keeps what changed since the last time; what cannot be kept is tried again.
    pub(super) async fn keep(&self) {
        let changed = self.changed();
        if changed.is_empty() {
            return;
        }
        if let Err(error) = self.store.keep(changed.clone()).await {
            tracing::warn!(%error, "the next start may raise alerts for known fields again");
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for field in changed {
            if let Some(now) = seen.find(&field.route, &field.field) {
                now.is_kept = now.answers == field.answers;
            }
        }
    }

    fn changed(&self) -> Vec<UnknownField> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let all = seen.routes.iter().flat_map(|(route, fields)| {
            fields.iter().map(move |(field, sightings)| (route, field, sightings))
        });
        let changed = all.filter(|(.., sightings)| !sightings.is_kept);
        changed
            .map(|(route, field, sightings)| UnknownField {
                route: route.to_string(),
                field: field.to_string(),
                days: sightings.days,
                answers: sightings.answers,
            })
            .collect()
    }
}

impl Seen {
    fn find(&mut self, route: &str, field: &str) -> Option<&mut Sightings> {
        self.routes.get_mut(route)?.get_mut(field)
    }

    fn see(&mut self, route: &str, field: &str, day: i64) -> Sighting {
        if let Some(sightings) = self.find(route, field) {
            sightings.answers = sightings.answers.saturating_add(1);
            sightings.days.1 = sightings.days.1.max(day);
            sightings.is_kept = false;
            return Sighting::Again;
        }
        let sightings = Sightings { days: (day, day), answers: 1, is_kept: false };
        if self.insert(route, field, sightings) { Sighting::First } else { Sighting::Beyond }
    }

    /// Remembers a field, if there is room.
    fn insert(&mut self, route: &str, field: &str, sightings: Sightings) -> bool {
        if self.fields >= FIELDS {
            return false;
        }
        let of_route = self.routes.entry(route.into()).or_default();
        if of_route.len() >= FIELDS_OF_A_ROUTE {
            return false;
        }
        if of_route.insert(field.into(), sightings).is_none() {
            self.fields += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl FieldStore for Nowhere {
        fn keep(&self, _: Vec<UnknownField>) -> FieldStoreFuture<'_> {
            Box::pin(async { Ok(()) })
        }
    }

    fn drift(at_start: Vec<UnknownField>) -> Drift {
        Drift::new(KnownFields { at_start, store: Arc::new(Nowhere) })
    }

    fn answer(names: &[&str]) -> Report {
        let at = crate::policy::plan::NodeId(0);
        let unlisted_at = names.iter().map(|name| (at, (*name).to_owned())).collect();
        Report { unlisted_at, ..Report::default() }
    }

    fn see(drift: &Drift, route: &str, name: &str, day: i64) -> Sighting {
        drift.see(route, &answer(&[name]), &Plan::nothing(), day).remove(0).1
    }

    #[tokio::test]
    async fn a_field_is_new_once_per_route_and_counted_ever_after() {
        let drift = drift(Vec::new());
        assert_eq!(see(&drift, "a", "x", 10), Sighting::First);
        assert_eq!(see(&drift, "a", "x", 12), Sighting::Again);
        assert_eq!(see(&drift, "b", "x", 12), Sighting::First);
        let changed = drift.changed();
        let first =
            UnknownField { route: "a".into(), field: "$.x".into(), days: (10, 12), answers: 2 };
        assert_eq!((changed.len(), changed.first()), (2, Some(&first)));
        drift.keep().await;
        assert!(drift.changed().is_empty());
        assert_eq!(see(&drift, "a", "x", 11), Sighting::Again);
        assert_eq!(drift.changed(), [UnknownField { answers: 3, ..first }]);
    }

    #[test]
    fn what_was_known_at_the_start_is_not_new() {
        let known =
            UnknownField { route: "a".into(), field: "$.x".into(), days: (1, 2), answers: 7 };
        let drift = drift(vec![known.clone()]);
        assert_eq!(see(&drift, "a", "x", 30), Sighting::Again);
        assert_eq!(drift.changed(), [UnknownField { days: (1, 30), answers: 8, ..known }]);
    }

    #[test]
    fn a_backend_that_invents_names_takes_only_the_room_of_its_route() {
        let drift = drift(Vec::new());
        let first = |route: &str| {
            let names = (0..1000).map(|n| format!("n{n}"));
            names.filter(|name| see(&drift, route, name, 1) == Sighting::First).count()
        };
        assert_eq!(first("a"), FIELDS_OF_A_ROUTE);
        assert_eq!(first("b"), FIELDS_OF_A_ROUTE);
        let all: usize = (0..100).map(|n| first(&format!("r{n}"))).sum();
        assert_eq!(all, FIELDS - 2 * FIELDS_OF_A_ROUTE);
    }
}
