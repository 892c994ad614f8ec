//! What changed in what purposes ask of whom records are about. Where a purpose asks for less, more people are shown.

use super::super::survey::{RuleView, Survey};
use super::{Change, Class};

pub(super) fn changes(old: &Survey, new: &Survey) -> Vec<Change> {
    let kept = new.purposes.intersection(&old.purposes);
    let changed = kept.filter_map(|name| {
        let (class, sentence) = match (old.consents.get(name), new.consents.get(name)) {
            (None, None) => return None,
            (Some(before), None) => {
                (Class::Widens, format!("`{name}` no longer asks for {}", before.words()))
            }
            (None, Some(after)) => (Class::Narrows, format!("`{name}` asks for {}", after.words())),
            (Some(before), Some(after)) if before == after => return None,
            (Some(before), Some(after)) => {
                let is_more = before.asks_no_more_than(after);
                let class = if is_more { Class::Narrows } else { Class::Widens };
                (class, format!("`{name}` asks for {}, was {}", after.words(), before.words()))
            }
        };
        Some(Change::of(class, sentence))
    });
    changed.chain(no_longer_outside(old, new)).collect()
}

/// Who is no longer a third party needs no consent of their own, where any is asked for.
fn no_longer_outside(old: &Survey, new: &Survey) -> Option<Change> {
    let asks =
        |rule: &RuleView| rule.row.as_ref().is_some_and(|row| row.raw.contains("consented("));
    if new.consents.is_empty() && !new.rules.iter().any(asks) {
        return None;
    }
    let is_outside = |survey: &Survey, name: &str| {
        survey.standings.get(name).is_some_and(|(_, external)| *external)
    };
    let roles = old.standings.keys().filter(|name| is_outside(old, name) && !is_outside(new, name));
    let roles: Vec<String> = roles.map(|name| name.to_string()).collect();
    let sentence = "outsiders no longer need a consent of their own: they are external no more";
    let change = Change::of(Class::Widens, format!("{sentence} ({})", roles.join(", ")));
    (!roles.is_empty()).then_some(Change { roles, ..change })
}
