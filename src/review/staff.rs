//! Whose record is a colleague's: callers say which record is their own, and whoever opens it is somebody else.

use std::collections::HashMap;

use super::Hit;
use super::distinct::hash;
use super::person::Person;
use super::rules::Rules;
use super::seen::Seen;
use crate::policy::Detection;

/// Who works here, by the hash of their own record. It holds whom the fold knows, and follows from that.
#[derive(Debug, Default)]
pub(super) struct Staff(HashMap<u64, String>);

impl Staff {
    /// Whom the people who are known are as data subjects.
    pub(super) fn of(people: &HashMap<String, Person>) -> Self {
        let own = |(holder, person): (&String, &Person)| Some((person.own?, holder.clone()));
        Self(people.iter().filter_map(own).collect())
    }

    /// Looks at a record that somebody opened, and notes which is their own.
    pub(super) fn take(&mut self, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
        if let Some(own) = seen.own().map(hash) {
            self.0.insert(own, seen.holder().to_owned());
        }
        let is_opened = seen.is_given() && seen.is_at_work() && seen.is("view");
        if rules.on(Detection::Colleague).is_none() || !is_opened {
            return;
        }
        let is_colleague = |token: &str| {
            self.0.get(&hash(token)).is_some_and(|colleague| colleague != seen.holder())
        };
        let count = seen.subjects().filter(|subject| is_colleague(subject.token())).count() as u64;
        if count > 0 {
            let said = "the record of a colleague was opened".to_owned();
            hits.push(Hit { detection: Detection::Colleague, count, said });
        }
    }

    /// Forgets somebody.
    pub(super) fn forget(&mut self, person: &Person) {
        if let Some(own) = person.own {
            self.0.remove(&own);
        }
    }
}
