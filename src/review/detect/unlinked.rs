//! Records that the policy lets pass without a case, and flags.

use super::super::Hit;
use super::super::person::Person;
use super::super::rules::Rules;
use super::super::seen::Seen;
use super::sequence::span;
use crate::policy::Detection;

pub(super) fn detect(person: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let Some(terms) = rules.on(Detection::Unlinked) else { return };
    if seen.is_given()
        && seen.unlinked() > 0
        && person.unlinked.reached(seen.at_ms, terms.count, terms.within_s)
    {
        let count = u64::from(terms.count);
        let said = format!("{count} answers without a case within {}", span(terms.within_s));
        hits.push(Hit { detection: Detection::Unlinked, count, said });
    }
}
