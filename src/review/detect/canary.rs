//! Data subjects whom nobody has a reason to open, those who are opened with a reason only, and the one whom somebody
//! should leave to others: themselves.

use super::super::Hit;
use super::super::person::Person;
use super::super::rules::Rules;
use super::super::seen::Seen;
use crate::policy::Detection;

/// A canary that is asked for, whatever was answered, or given.
pub(super) fn detect(_: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    if rules.on(Detection::Canary).is_none() {
        return;
    }
    let asked = seen.is_asked().then(|| seen.query()).flatten();
    let asks = asked.is_some_and(|query| {
        query.uses().iter().any(|one| rules.asks_for_a_canary(one.value.as_str()))
    });
    let given = seen.is_given() && seen.subjects().any(|one| rules.is_canary(one.token()));
    if asks || given {
        let said = if given { "a canary was given" } else { "a canary was asked for" };
        hits.push(Hit { detection: Detection::Canary, count: 1, said: said.to_owned() });
    }
}

/// Somebody of the list, opened alone, also by a search that finds nobody else: in lists they come by.
pub(super) fn watched(_: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    let is_alone = seen.is("view") || seen.only_subject().is_some();
    if rules.on(Detection::Watched).is_none() || !seen.is_given() || !is_alone {
        return;
    }
    if seen.subjects().any(|one| rules.is_watched(one.token())) {
        let said = "a data subject of the watched list was opened".to_owned();
        hits.push(Hit { detection: Detection::Watched, count: 1, said });
    }
}

/// The caller's own record.
pub(super) fn own_record(_: &mut Person, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
    if rules.on(Detection::OwnRecord).is_some() && seen.is_given() && seen.is_own_record() {
        let said = "somebody's own record was given to them".to_owned();
        hits.push(Hit { detection: Detection::OwnRecord, count: 1, said });
    }
}
