//! What changed in what is looked for in values that are not graded for it. Looking less lets more through.

use super::super::plan::OnHit;
use super::super::survey::{DetectView, Survey};
use super::{Change, Class};

pub(super) fn changes(old: &Survey, new: &Survey) -> Vec<Change> {
    let mut changes = Vec::new();
    let tables = [
        ("answers", &old.detect.answers, &new.detect.answers),
        ("request bodies", &old.detect.requests, &new.detect.requests),
    ];
    for (bodies, before, after) in tables {
        let mut kinds: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
        kinds.sort_unstable();
        kinds.dedup();
        changes.extend(kinds.into_iter().filter_map(|kind| {
            let (before, after) = (before.get(kind), after.get(kind));
            let class = class(before, after)?;
            let said = after.map_or("not looked for", |on_hit| on_hit.name());
            let was = before.map_or("not looked for", |on_hit| on_hit.name());
            let sentence = format!("values like `{kind}` in {bodies}: {said}, was {was}");
            Some(Change::of(class, sentence))
        }));
    }
    changes.extend(fields(old, new));
    changes.extend(routes(&old.detect, &new.detect));
    changes
}

/// Nothing is less than telling, which is less than masking, withholding and refusing.
fn class(before: Option<&OnHit>, after: Option<&OnHit>) -> Option<Class> {
    match before.cmp(&after) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(Class::Widens),
        std::cmp::Ordering::Less => Some(Class::Narrows),
    }
}

/// Fields in which a kind is looked for or no longer, by their own kind or by an exception.
fn fields(old: &Survey, new: &Survey) -> Vec<Change> {
    let mut changes = Vec::new();
    for (entity, after) in &new.entities {
        let Some(before) = old.entities.get(entity) else { continue };
        for (path, field) in &after.fields {
            let Some(was) = before.fields.get(path) else { continue };
            let name = format!("{entity}.{path}");
            let before = old.detect.left_out(&name, was.kind);
            let after = new.detect.left_out(&name, field.kind);
            let less = after.difference(&before).map(|kind| (Class::Widens, kind));
            let more = before.difference(&after).map(|kind| (Class::Narrows, kind));
            for (class, kind) in less.chain(more) {
                // What neither policy looks for anywhere makes no difference here.
                if !old.detect.looks_for(kind) || !new.detect.looks_for(kind) {
                    continue;
                }
                let said = if class == Class::Widens { "no longer looked" } else { "looked" };
                let sentence = format!("values like `{kind}` are {said} for in `{name}`");
                changes.push(Change { fields: vec![name.clone()], ..Change::of(class, sentence) });
            }
        }
    }
    changes
}

fn routes(old: &DetectView, new: &DetectView) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut names: Vec<&str> =
        old.routes.keys().chain(new.routes.keys()).map(AsRef::as_ref).collect();
    names.sort_unstable();
    names.dedup();
    for route in names {
        let (before, after) = (old.routes.get(route), new.routes.get(route));
        let gone = |mine: Option<&std::collections::BTreeSet<&'static str>>, theirs: Option<&_>| {
            let theirs: Option<&std::collections::BTreeSet<&'static str>> = theirs;
            let kinds = mine.into_iter().flatten().copied();
            kinds.filter(|kind| !theirs.is_some_and(|t| t.contains(kind))).collect::<Vec<_>>()
        };
        let less = gone(after, before).into_iter().map(|kind| (Class::Widens, kind));
        let more = gone(before, after).into_iter().map(|kind| (Class::Narrows, kind));
        for (class, kind) in less.chain(more) {
            let said = if class == Class::Widens { "no longer looked" } else { "looked" };
            let sentence = format!("values like `{kind}` are {said} for on `{route}`");
            changes.push(Change::of(class, sentence).on(route));
        }
    }
    changes
}
