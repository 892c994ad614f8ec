//! Searching in vain: whoever knows their customers finds somebody.

use super::super::Hit;
use super::super::person::Person;
use super::super::rules::Rules;
use super::super::seen::Seen;
use super::sequence::span;
use crate::policy::Detection;

pub(super) fn detect(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let Some(terms) = rules.on(Detection::ZeroHits) else { return };
    if seen.is("search")
        && seen.found_nobody()
        && person.in_vain.reached(seen.at_ms, terms.count, terms.within_s)
    {
        let count = u64::from(terms.count);
        let said = format!("{count} searches without a hit within {}", span(terms.within_s));
        hits.push(Hit { detection: Detection::ZeroHits, count, said });
    }
}
