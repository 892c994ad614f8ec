//! Going through what there is one after another: keys that follow each other, pages of a list.

use super::super::Hit;
use super::super::person::Person;
use super::super::rules::Rules;
use super::super::seen::Seen;
use crate::audit::Order;
use crate::policy::Detection;

pub(super) fn detect(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    if !seen.is_asked() {
        return;
    }
    ids(person, seen, rules, hits);
    pages(person, seen, rules, hits);
}

/// So many keys beside each other, in whatever order, or so many in a row that only rise or only fall.
fn ids(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let Some(terms) = rules.on(Detection::SequentialIds) else { return };
    let Some(order) = seen.order() else { return };
    // The first key of a row is beside nothing.
    let (steps, within_s) = (terms.count.saturating_sub(1), terms.within_s);
    let is_beside = matches!(order, Order::Next | Order::Previous);
    let is_up = matches!(order, Order::Next | Order::Up);
    let (row, other) = match is_up {
        true => (&mut person.rising, &mut person.falling),
        false => (&mut person.falling, &mut person.rising),
    };
    other.clear();
    let in_a_row = row.reached(seen.at_ms, steps, within_s);
    let beside = is_beside && person.beside.reached(seen.at_ms, steps, within_s);
    if in_a_row || beside {
        for recent in [&mut person.rising, &mut person.falling, &mut person.beside] {
            recent.clear();
        }
        let count = u64::from(terms.count);
        let how = if beside { "that follow one another" } else { "in one direction" };
        let said = format!("{count} keys {how} within {}", span(within_s));
        hits.push(Hit { detection: Detection::SequentialIds, count, said });
    }
}

fn pages(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let Some(terms) = rules.on(Detection::PageDepth) else { return };
    let Some(page) = seen.page().filter(|page| *page > u64::from(terms.count)) else { return };
    if person.first_today(Detection::PageDepth, seen.day()) {
        let said = format!("page {page} of a list");
        hits.push(Hit { detection: Detection::PageDepth, count: page, said });
    }
}

pub(in super::super) fn span(seconds: u32) -> String {
    match seconds {
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
