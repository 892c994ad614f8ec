//! What somebody does otherwise than they used to: at another hour, from another place, after a long absence.

use super::super::Hit;
use super::super::person::Person;
use super::super::rules::Rules;
use super::super::seen::Seen;
use crate::policy::Detection;

pub(super) fn detect(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    if !seen.is_allowed() || !seen.is_at_work() {
        return;
    }
    dormant(person, seen, rules, hits);
    off_hours(person, seen, rules, hits);
    new_place(person, seen, rules, hits);
}

fn dormant(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let Some(terms) = rules.on(Detection::Dormant) else { return };
    let days = seen.at_ms.saturating_sub(person.last_ms) / 86_400_000;
    if days >= i64::from(terms.days) {
        let said = format!("it was not used for {days} days");
        let count = days.unsigned_abs();
        hits.push(Hit { detection: Detection::Dormant, count, said });
    }
}

fn off_hours(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let Some(hours) = rules.hours().filter(|_| rules.on(Detection::OffHours).is_some()) else {
        return;
    };
    if !hours.contain(seen.at_ms.div_euclid(1000))
        && person.first_today(Detection::OffHours, seen.day())
    {
        let said = "work outside the hours of work".to_owned();
        hits.push(Hit { detection: Detection::OffHours, count: 1, said });
    }
}

/// Each new place once, at the first request for a high grade.
fn new_place(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let Some(terms) = rules.on(Detection::NewPlace) else { return };
    let network = seen.network().map(|name| ("network", format!("network {name}")));
    let device = seen.device().map(|name| ("device", format!("device {name}")));
    for (what, name) in network.into_iter().chain(device) {
        let Some(place) = person.is_new(&name, seen.at_ms, terms.days) else { continue };
        if !seen.is_of_a_high_grade() {
            continue;
        }
        if let Some(place) = person.places.get_mut(place) {
            place.is_told = true;
        }
        let said = format!("grade 3 from a {what} that is new for them");
        hits.push(Hit { detection: Detection::NewPlace, count: 1, said });
    }
}
