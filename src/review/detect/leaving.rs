//! What is done to accounts and controls: a file before somebody goes, and whoever switches something off.

use super::super::Hit;
use super::super::person::Person;
use super::super::rules::Rules;
use super::super::seen::Seen;
use crate::policy::Detection;

/// The account goes: did its holder take a file lately?
pub(in super::super) fn took_a_file_before(
    person: &Person,
    seen: &Seen<'_>,
    rules: &Rules,
) -> Option<Hit> {
    let terms = rules.on(Detection::ExportThenLeave).filter(|_| seen.account_goes())?;
    let days = seen.at_ms.saturating_sub(person.last_file_ms?) / 86_400_000;
    (days < i64::from(terms.days)).then(|| Hit {
        detection: Detection::ExportThenLeave,
        count: days.unsigned_abs(),
        said: format!("a file was taken {days} days before the account went"),
    })
}

/// Somebody switches off what is another's.
pub(in super::super) fn switched_off(seen: &Seen<'_>) -> Option<Hit> {
    let act = seen.switches_off()?;
    let detection = Detection::SwitchedOff;
    Some(Hit { detection, count: 1, said: act.replace('_', " ") })
}
