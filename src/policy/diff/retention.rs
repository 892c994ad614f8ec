//! What changed in how long the log is kept. Who could be asked for it longer, or no longer, nobody can tell here.

use std::collections::BTreeSet;

use super::super::program::Program;
use super::super::retention::{KEPT, Retention};
use super::{Change, Class};

/// For everybody, then for callers of each tenant that has times of its own.
pub(super) fn all_changes(old: &Program, new: &Program) -> Vec<Change> {
    let mut all = changes(old.retention(), new.retention());
    let tenants: BTreeSet<&str> = [old, new]
        .into_iter()
        .flat_map(|program| program.tenant_retention().keys().map(AsRef::as_ref))
        .collect();
    for tenant in tenants {
        let kept = |program: &Program| {
            let own = program.tenant_retention().get(tenant).copied();
            own.or(program.retention().copied())
        };
        let own = changes(kept(old).as_ref(), kept(new).as_ref());
        let own = own.into_iter().filter(|change| !all.contains(change)).collect::<Vec<_>>();
        all.extend(own.into_iter().map(|change| change.of_tenant(tenant)));
    }
    all
}

pub(super) fn changes(old: Option<&Retention>, new: Option<&Retention>) -> Vec<Change> {
    let mut changes = Vec::new();
    for kept in KEPT {
        let told = |retention: Option<&Retention>| match retention {
            Some(retention) => format!("{} months", retention.months(kept.class)),
            None => "for ever".to_owned(),
        };
        let (before, after) = (told(old), told(new));
        if before != after {
            let sentence = format!("the log keeps `{}`: {before} → {after}", kept.class);
            changes.push(Change::of(Class::CannotTell, sentence));
        }
    }
    changes
}
