//! What changed in what one person alone may command. Who needs nobody else gets to do more.

use super::super::survey::Survey;
use super::{Change, Class};

pub(super) fn changes(old: &Survey, new: &Survey) -> Vec<Change> {
    let (before, after) = (&old.two_person, &new.two_person);
    let lost = before.difference(after).map(|command| {
        let sentence = format!("one person alone may command `{command}`, which took two");
        Change::of(Class::Widens, sentence)
    });
    let gained = after.difference(before).map(|command| {
        Change::of(Class::Narrows, format!("it takes two persons to command `{command}`"))
    });
    lost.chain(gained).collect()
}
