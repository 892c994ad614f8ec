//! What changed in who must be registered, and in the level of partners.

use super::super::survey::Survey;
use super::{Change, Class};

pub(super) fn changes(old: &Survey, new: &Survey) -> Vec<Change> {
    let lost = old
        .registered
        .difference(&new.registered)
        .map(|kind| Change::of(Class::Widens, format!("a {kind} that is not registered may ask")));
    let gained = new.registered.difference(&old.registered).map(|kind| {
        Change::of(Class::Narrows, format!("a {kind} that is not registered may ask nothing"))
    });
    let (before, after) = (old.partner_level, new.partner_level);
    let class = if after < before { Class::Widens } else { Class::Narrows };
    let level = (after != before).then(|| {
        Change::of(class, format!("partners need the attested level {after}, was {before}"))
    });
    lost.chain(gained).chain(level).collect()
}
