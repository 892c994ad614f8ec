//! What changed in which roles one person may hold together.

use super::super::survey::Survey;
use super::{Change, Class};

pub(super) fn changes(old: &Survey, new: &Survey) -> Vec<Change> {
    let lost = old.apart.difference(&new.apart).map(|(one, other)| {
        let sentence = format!("one person may hold `{one}` and `{other}`, which were kept apart");
        Change::of(Class::Widens, sentence)
    });
    let gained = new.apart.difference(&old.apart).map(|(one, other)| {
        Change::of(Class::Narrows, format!("nobody may hold `{one}` and `{other}` together"))
    });
    lost.chain(gained).collect()
}
