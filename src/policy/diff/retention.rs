//! What changed in how long the log is kept. Who could be asked for it longer, or no longer, nobody can tell here.

use super::super::retention::{KEPT, Retention};
use super::super::survey::Survey;
use super::{Change, Class};

pub(super) fn changes(old: &Survey, new: &Survey) -> Vec<Change> {
    let mut changes = Vec::new();
    for kept in KEPT {
        let told = |retention: &Option<Retention>| match retention {
            Some(retention) => format!("{} months", retention.months(kept.class)),
            None => "for ever".to_owned(),
        };
        let (before, after) = (told(&old.retention), told(&new.retention));
        if before != after {
            let sentence = format!("the log keeps `{}`: {before} → {after}", kept.class);
            changes.push(Change::of(Class::CannotTell, sentence));
        }
    }
    changes
}
