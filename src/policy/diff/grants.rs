//! What changed in what may be granted. Entries bind together, so that one more or one less can go either way.

use super::super::survey::Survey;
use super::{Change, Class};

pub(super) fn changes(old: &Survey, new: &Survey) -> Vec<Change> {
    let (before, after) = (&old.grants, &new.grants);
    if before == after {
        return Vec::new();
    }
    if after.is_empty() {
        return vec![Change::of(Class::Narrows, "nobody grants anything any more".to_owned())];
    }
    if before.is_empty() {
        let each = after.iter().map(|entry| format!("may be granted: {entry}"));
        return each.map(|sentence| Change::of(Class::Widens, sentence)).collect();
    }
    let gone = before.difference(after).map(|entry| format!("no longer among `grants`: {entry}"));
    let come = after.difference(before).map(|entry| format!("now among `grants`: {entry}"));
    gone.chain(come).map(|sentence| Change::of(Class::CannotTell, sentence)).collect()
}
