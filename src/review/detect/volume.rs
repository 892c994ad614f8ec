//! How much somebody takes in a day, beside their own days before and beside their limit.

use super::super::Hit;
use super::super::distinct::hash;
use super::super::person::Person;
use super::super::rules::Rules;
use super::super::seen::Seen;
use crate::policy::Detection;

pub(super) fn detect(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    if !seen.is_given() {
        return;
    }
    person.turn_to(seen.day());
    for subject in seen.subjects() {
        person.subjects.insert(hash(subject.token()));
    }
    person.records = person.records.saturating_add(seen.records());
    own_median(person, seen, rules, hits);
    partner_volume(person, seen, rules, hits);
    steady_draw(person, seen, rules, hits);
}

fn own_median(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let Some(terms) = rules.on(Detection::OwnMedian) else { return };
    let count = person.subjects.count();
    let Some(median) = person.median(|day| day.subjects) else { return };
    let is_more = count > u64::from(terms.least) && count > median * u64::from(terms.times);
    if is_more && person.first_today(Detection::OwnMedian, seen.day()) {
        let said = format!("{count} people today, {median} on a usual day");
        hits.push(Hit { detection: Detection::OwnMedian, count, said });
    }
}

fn partner_volume(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let Some(terms) = rules.on(Detection::PartnerVolume).filter(|_| seen.is_partner()) else {
        return;
    };
    let count = person.records;
    let Some(median) = person.median(|day| day.records) else { return };
    let is_more = count > u64::from(terms.least) && count > median * u64::from(terms.times);
    if is_more && person.first_today(Detection::PartnerVolume, seen.day()) {
        let said = format!("{count} records today, {median} on a usual day");
        hits.push(Hit { detection: Detection::PartnerVolume, count, said });
    }
}

/// Days are those with anything given, so that a week-end ends no row.
fn steady_draw(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let Some(terms) = rules.on(Detection::SteadyDraw) else { return };
    let Some(limit) = rules.daily(seen.roles()).filter(|_| !person.near_limit) else { return };
    let near = u64::from(limit) * u64::from(terms.percent);
    if person.subjects.count() * 100 < near || limit == 0 {
        return;
    }
    person.near_limit = true;
    let before = person.days.iter().rev().take_while(|day| day.near_limit).count() as u64;
    let days = before + 1;
    if days >= u64::from(terms.days) {
        let said = format!("{} % of the {limit} people a day, {days} days in a row", terms.percent);
        hits.push(Hit { detection: Detection::SteadyDraw, count: days, said });
    }
}
