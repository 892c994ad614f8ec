//! What should not be, on its way to the log: values where none of their kind belongs, fields that nobody
//! declared, records of foreign tenants. Nobody waits for it.
//!
//! The first of each kind in a minute has an entry at once, further ones are counted into one more at the
//! end of the minute. What gathers is capped; what is enforced is not: that is done before it comes here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::drift::{Drift, KnownFields, Sighting};
use super::outcome::Disclosure;
use crate::audit::{Actor, Alert, Concern, Entry, EntryId, Event, Log, Request, SubjectRef};
use crate::clock::Clock;
use crate::guard::Report;
use crate::limits::Seat;
use crate::policy::{Kind, Plan};
use crate::telemetry::Telemetry;

/// Alerts told apart in a minute; further ones are counted together.
const TOLD_APART: usize = 512;
/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// Data subjects that one entry names.
const SUBJECTS: usize = 64;

/// Where alerts go.
#[derive(Debug)]
pub(super) struct Alerts {
    log: Log,
    telemetry: Arc<Telemetry>,
    minute: Mutex<Minute>,
    drift: Drift,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Minute {
    told_apart: HashMap<Key, Gathered>,
    others: u64,
}

/// What alerts have in common that are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    concern: Concern,
    source: Source,
    /// A field by full name, or an entity.
    place: Box<str>,
    kind: Option<Kind>,
}

/// Which requests an alert is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Source {
    account: Box<str>,
    route: Box<str>,
    /// `answer` or `request`.
    found_in: &'static str,
}

/// What came after the first, and is not written yet.
#[derive(Debug)]
struct Gathered {
    count: u64,
    subjects: Vec<SubjectRef>,
    example: EntryId,
}

/// Something to raise.
struct Raised {
    key: Key,
    count: u64,
    subjects: Vec<SubjectRef>,
    example: EntryId,
}

impl Minute {
    /// Gives it back if it is the first of its kind; else it is counted.
    fn gather(&mut self, raised: Raised) -> Option<Raised> {
        if let Some(gathered) = self.told_apart.get_mut(&raised.key) {
            gathered.count += raised.count;
            let room = SUBJECTS.saturating_sub(gathered.subjects.len());
            gathered.subjects.extend(raised.subjects.into_iter().take(room));
            return None;
        }
        if self.told_apart.len() >= TOLD_APART {
            self.others += raised.count;
            return None;
        }
        let nothing = Gathered { count: 0, subjects: Vec::new(), example: raised.example };
        self.told_apart.insert(raised.key.clone(), nothing);
        Some(raised)
    }
}

impl Source {
    /// The request whose entry this is, and its decision's id.
    pub(super) fn of(entry: &Entry, found_in: &'static str) -> (Self, EntryId) {
        let account = entry.actor.as_ref().map_or("", |actor| actor.account.as_str());
        let route = entry.request.as_ref().map_or("", |request| request.route.as_str());
        let source = Self { account: account.into(), route: route.into(), found_in };
        (source, entry.decided_by.unwrap_or(entry.id))
    }

    /// The request that leads to this answer.
    pub(super) fn of_answer(disclosure: &Disclosure) -> (Self, EntryId) {
        disclosure.with(|entry| Self::of(entry, "answer"))
    }
}

impl Alerts {
    pub(super) fn new(
        log: Log,
        telemetry: Arc<Telemetry>,
        fields: KnownFields,
        clock: Clock,
    ) -> Self {
        Self { log, telemetry, minute: Mutex::default(), drift: Drift::new(fields), clock }
    }

    /// Counts the limits that an answer came near to.
    pub(super) fn near_limits(&self, seat: &Seat) {
        for (limit, holder) in seat.came_near() {
            self.telemetry.near_limit(limit, holder);
        }
    }

    /// Raises what was found in a body.
    pub(super) fn detected(
        &self,
        report: &Report,
        plan: &Plan,
        (source, example): &(Source, EntryId),
    ) {
        for ((place, kind), count) in &report.detected {
            let Some(detection) = plan.detection(*place) else { continue };
            self.telemetry.detected(kind.name(), source.found_in, *count);
            let key = Key {
                concern: Concern::Detected,
                source: source.clone(),
                place: detection.name.clone(),
                kind: Some(*kind),
            };
            self.raise(Raised { key, count: *count, subjects: Vec::new(), example: *example });
        }
    }

    /// Counts the fields of an answer that nobody declared, and raises those that are new.
    pub(super) fn unknown_fields(
        &self,
        report: &Report,
        plan: &Plan,
        (source, example): &(Source, EntryId),
    ) {
        let day = self.clock.unix_ms().div_euclid(DAY_MS);
        for (field, sighting) in self.drift.see(&source.route, report, plan, day) {
            match sighting {
                Sighting::Again => continue,
                Sighting::First => self.telemetry.new_field(&source.route),
                // It has no alert of its own, or each answer would raise one.
                Sighting::Beyond => {
                    self.telemetry.new_field(&source.route);
                    continue;
                }
            }
            let key = Key {
                concern: Concern::NewField,
                source: source.clone(),
                place: field.into(),
                kind: None,
            };
            self.raise(Raised { key, count: 1, subjects: Vec::new(), example: *example });
        }
    }

    /// Keeps what is known of fields that nobody declared.
    pub(super) async fn keep_fields(&self) {
        self.drift.keep().await;
    }

    /// Raises records of a foreign tenant that the backend gave.
    pub(super) fn foreign(
        &self,
        entity: &str,
        count: u64,
        subjects: Vec<SubjectRef>,
        (source, example): &(Source, EntryId),
    ) {
        let route = &*source.route;
        tracing::warn!(route, entity, count, "the backend gave records of a foreign tenant");
        self.telemetry.foreign_tenant(route, count);
        let key = Key {
            concern: Concern::ForeignTenant,
            source: source.clone(),
            place: entity.into(),
            kind: None,
        };
        self.raise(Raised { key, count, subjects, example: *example });
    }

    /// Raises a passkey of which there may be two.
    pub(super) fn cloned_passkey(&self, account: &str, example: EntryId) {
        tracing::warn!(account, "a passkey's counter went back: there may be a copy of it");
        let source = Source { account: account.into(), ..Source::default() };
        let concern = Concern::ClonedPasskey;
        let key = Key { concern, source, place: Box::default(), kind: None };
        self.raise(Raised { key, count: 1, subjects: Vec::new(), example });
    }

    /// Writes the first of its kind, and gathers the others.
    fn raise(&self, mut raised: Raised) {
        raised.subjects.truncate(SUBJECTS);
        let first = self.minute.lock().unwrap_or_else(PoisonError::into_inner).gather(raised);
        if let Some(first) = first {
            self.write(first);
        }
    }

    /// Writes what was gathered since the last time.
    pub(super) fn write_gathered(&self) {
        let minute =
            std::mem::take(&mut *self.minute.lock().unwrap_or_else(PoisonError::into_inner));
        for (key, gathered) in minute.told_apart {
            let Gathered { count, subjects, example } = gathered;
            if count > 0 {
                self.write(Raised { key, count, subjects, example });
            }
        }
        if minute.others > 0 {
            self.append(|entry| entry.alert = Some(Alert::new(Concern::Others, minute.others)));
        }
    }

    fn write(&self, raised: Raised) {
        let Raised { key: Key { concern, source, place, kind }, count, subjects, example } = raised;
        self.append(|entry| {
            let account = &*source.account;
            entry.actor = (!account.is_empty())
                .then(|| Actor { account: account.into(), ..Actor::default() });
            entry.request = Some(Request { route: (&*source.route).into(), ..Request::default() });
            let mut alert = Alert::new(concern, count);
            match concern {
                Concern::Detected | Concern::NewField => alert.fields.push(&place),
                Concern::ForeignTenant
                | Concern::ClonedPasskey
                | Concern::Finding
                | Concern::SharedStoreLost
                | Concern::BoardLost
                | Concern::ForgedNotice
                | Concern::Shipping
                | Concern::Backup
                | Concern::WitnessSilent
                | Concern::WitnessDisagrees
                | Concern::Certificate
                | Concern::Notice
                | Concern::Others => {
                    alert.entity = (&*place).into();
                }
            }
            if let Some(kind) = kind {
                alert.kinds.push(kind.name());
            }
            alert.found_in = source.found_in.into();
            alert.example = Some(example);
            entry.alert = Some(alert);
            for subject in subjects {
                // A few dozen always fit.
                entry.add_subject(subject).unwrap_or_default();
            }
        });
    }

    /// Hands an entry to the log, which counts it as missed if it cannot take it.
    fn append(&self, fill: impl FnOnce(&mut Entry)) {
        match self.log.entry(Event::Alert) {
            Ok(mut entry) => {
                fill(&mut entry);
                self.log.append_detached(entry);
            }
            Err(error) => tracing::error!(%error, "an alert has no id, so it is not in the log"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(n: usize, count: u64) -> Raised {
        let key = Key {
            concern: Concern::Detected,
            source: Source::default(),
            place: format!("customer.f{n}").into(),
            kind: Some(Kind::Email),
        };
        Raised { key, count, subjects: Vec::new(), example: EntryId::new(0, [1; 10]) }
    }

    #[test]
    fn the_first_of_each_is_told_at_once_and_no_number_is_lost() {
        let mut minute = Minute::default();
        let mut told = 0;
        for n in 0..TOLD_APART + 300 {
            for count in [2, 3] {
                told += minute.gather(raised(n, count)).map_or(0, |first| first.count);
            }
        }
        let gathered: u64 = minute.told_apart.values().map(|gathered| gathered.count).sum();
        let most = u64::try_from(TOLD_APART).unwrap();
        assert_eq!((told, gathered, minute.others), (2 * most, 3 * most, 5 * 300));
        assert_eq!(minute.told_apart.len(), TOLD_APART);
    }
}
