//! What changed outside routes: purposes, roles, entities and their fields.

use std::collections::BTreeSet;

use super::super::model::Grade;
use super::super::rotation::Rotate;
use super::super::survey::{EntityView, FieldUse, FieldView, Survey};
use super::{Change, Class};

pub(super) fn changes(old: &Survey, new: &Survey) -> Vec<Change> {
    let mut changes = purposes(old, new);
    changes.extend(roles(old, new));
    changes.extend(styles(old, new));
    changes.extend(rotations(old, new));
    for (name, after) in &new.entities {
        match old.entities.get(name) {
            Some(before) => changes.extend(entity(name, before, after, new)),
            None => changes.push(neutral(format!("the entity `{name}` is new"))),
        }
    }
    let gone = old.entities.keys().filter(|name| !new.entities.contains_key(*name));
    changes.extend(gone.map(|name| neutral(format!("the entity `{name}` is gone"))));
    changes
}

fn neutral(sentence: String) -> Change {
    Change::of(Class::Neutral, sentence)
}

/// One more purpose lets a caller declare it, and by that step around rules that deny for others.
fn purposes(old: &Survey, new: &Survey) -> Vec<Change> {
    let added = new
        .purposes
        .difference(&old.purposes)
        .map(|name| Change::of(Class::Widens, format!("the purpose `{name}` may be declared")));
    let removed = old.purposes.difference(&new.purposes).map(|name| {
        Change::of(Class::Narrows, format!("the purpose `{name}` can no longer be declared"))
    });
    let kept = new.purposes.intersection(&old.purposes);
    let tickets = kept.filter_map(|name| {
        let (class, said) = match (old.tickets.get(name), new.tickets.get(name)) {
            (before, after) if before == after => return None,
            (Some(_), None) => (Class::Widens, "without a ticket".to_owned()),
            (None, Some(form)) => (Class::Narrows, format!("only with a ticket such as `{form}`")),
            (_, form) => {
                let form = form.map_or("", AsRef::as_ref);
                (Class::CannotTell, format!("with other tickets, such as `{form}`"))
            }
        };
        Some(Change::of(class, format!("the purpose `{name}` counts {said}")))
    });
    added.chain(removed).chain(tickets).collect()
}

/// Which of two styles shows more depends on the value.
fn styles(old: &Survey, new: &Survey) -> Vec<Change> {
    let changed = new.styles.iter().filter(|(kind, style)| old.styles.get(*kind) != Some(*style));
    let sentence = |(kind, style): (&&str, &&str)| {
        format!("values of the kind `{kind}` are masked in the style `{style}`")
    };
    changed.map(|changed| Change::of(Class::CannotTell, sentence(changed))).collect()
}

/// Whoever sees pseudonyms for longer can follow a person for longer.
fn rotations(old: &Survey, new: &Survey) -> Vec<Change> {
    let changed = new.rotations.iter().filter_map(|(purpose, after)| {
        let before = old.rotations.get(purpose)?;
        let class = match after.rotate.cmp(&before.rotate) {
            _ if before == after => return None,
            std::cmp::Ordering::Greater => Class::Widens,
            std::cmp::Ordering::Less => Class::Narrows,
            std::cmp::Ordering::Equal if after.rotate == Rotate::Never => return None,
            std::cmp::Ordering::Equal => Class::Neutral,
        };
        let whose = match purpose {
            Some(name) => format!("of the purpose `{name}`"),
            None => "without a purpose".to_owned(),
        };
        let (before, after) = (before.words(), after.words());
        Some(Change::of(class, format!("pseudonyms {whose} are {after}; they were {before}")))
    });
    changed.collect()
}

/// What roles come to shows in the rules and limits that are about them.
fn roles(old: &Survey, new: &Survey) -> Vec<Change> {
    let mut changes = Vec::new();
    for (name, held) in &new.roles {
        let others = |held: &BTreeSet<Box<str>>| -> Vec<String> {
            held.iter().filter(|other| *other != name).map(|other| format!("`{other}`")).collect()
        };
        let said = |held| match others(held).as_slice() {
            [] => "no other".to_owned(),
            names => names.join(", "),
        };
        match old.roles.get(name) {
            None => changes.push(neutral(format!("the role `{name}` is new"))),
            Some(before) if before != held => changes.push(neutral(format!(
                "the role `{name}` includes {}; it was {}",
                said(held),
                said(before)
            ))),
            Some(_) => {}
        }
        if old.standings.get(name).is_some_and(|before| Some(before) != new.standings.get(name)) {
            changes.push(neutral(format!("the role `{name}` has another rank or place")));
        }
    }
    let gone = old.roles.keys().filter(|name| !new.roles.contains_key(*name));
    changes.extend(gone.map(|name| neutral(format!("the role `{name}` is gone"))));
    changes
}

fn entity(name: &str, before: &EntityView, after: &EntityView, new: &Survey) -> Vec<Change> {
    let mut changes = subject(name, before, after);
    changes.extend(registered(name, before, after));
    changes.extend(tenant(name, before, after));
    if before.flags != after.flags {
        // What it means for anybody shows in the rules.
        changes.push(neutral(format!("the flags of `{name}` are others")));
    }
    if before.factors != after.factors {
        changes.push(neutral(format!("the step-ups that records of `{name}` ask for are others")));
    }
    for place in after.references.difference(&before.references) {
        let is_given = new.rules.iter().any(|rule| rule.allows && rule.is_of(&place.entity));
        let class = if is_given { Class::Widens } else { Class::Neutral };
        let sentence = format!("`{}` records stand at `{name}.{}` now", place.entity, place.path);
        changes.push(Change::of(class, sentence));
    }
    for place in before.references.difference(&after.references) {
        let sentence =
            format!("`{}` records no longer stand at `{name}.{}`", place.entity, place.path);
        changes.push(Change::of(Class::Narrows, sentence));
    }
    for (path, field) in &after.fields {
        let full = format!("{name}.{path}");
        match before.fields.get(path) {
            None => changes.push(neutral(format!("the field `{full}` is new"))),
            Some(other) => changes.extend(changed_field(name, path, other, field, new)),
        }
    }
    let gone = before.fields.keys().filter(|path| !after.fields.contains_key(*path));
    changes.extend(gone.map(|path| neutral(format!("the field `{name}.{path}` is gone"))));
    changes
}

/// Without a subject nobody counts the people, and records without its key pass.
fn subject(name: &str, before: &EntityView, after: &EntityView) -> Vec<Change> {
    let (class, sentence) = match (&before.subject, &after.subject) {
        (before, after) if before == after => return Vec::new(),
        (Some(_), None) => {
            (Class::Widens, format!("`{name}` has no subject: its people are not counted"))
        }
        (None, _) => (Class::Narrows, format!("the people of `{name}` are counted")),
        (Some(_), Some(subject)) => {
            (Class::CannotTell, format!("the people of `{name}` are counted by `{subject}`"))
        }
    };
    vec![Change::of(class, sentence)]
}

/// Under another entity other people have said something.
fn registered(name: &str, before: &EntityView, after: &EntityView) -> Option<Change> {
    let entity = |view: &EntityView| view.registered_as.as_deref().unwrap_or(name).to_owned();
    let (old, new) = (entity(before), entity(after));
    let sentence =
        format!("what the subjects of `{name}` said is registered under `{new}`, was `{old}`");
    (old != new).then(|| Change::of(Class::CannotTell, sentence))
}

/// Callers with a tenant get the records of that tenant only.
fn tenant(name: &str, before: &EntityView, after: &EntityView) -> Option<Change> {
    let (class, sentence) = match (&before.tenant, &after.tenant) {
        (before, after) if before == after => return None,
        (Some(_), None) => (
            Class::Widens,
            format!("`{name}` has no tenant: nobody is confined to the own records"),
        ),
        (None, _) => (Class::Narrows, format!("callers with a tenant see no other `{name}`")),
        (Some(_), Some(tenant)) => {
            (Class::CannotTell, format!("the tenant of `{name}` is `{tenant}`"))
        }
    };
    Some(Change::of(class, sentence))
}

fn changed_field(
    entity: &str,
    path: &str,
    before: &FieldView,
    after: &FieldView,
    new: &Survey,
) -> Vec<Change> {
    let named = |usages: &[FieldUse]| {
        let mut rules = new.rules.iter().filter(|rule| rule.allows && rule.is_of(entity));
        rules.any(|rule| usages.iter().any(|usage| rule.fields(*usage).contains(path)))
    };
    let full = format!("{entity}.{path}");
    let mut changes = Vec::new();
    if before.kind != after.kind {
        let kind = |field: &FieldView| field.kind.map_or("none", super::super::Kind::name);
        // A value in clear is the same whatever its kind.
        let class = if named(&[FieldUse::Masked, FieldUse::Pseudonym, FieldUse::Write]) {
            Class::CannotTell
        } else {
            Class::Neutral
        };
        let sentence = format!(
            "`{full}` is masked in another way: kind {}, was {}",
            kind(after),
            kind(before)
        );
        changes.push(Change { fields: vec![full.clone()], ..Change::of(class, sentence) });
    }
    if before.grade != after.grade {
        let class = match after.grade.cmp(&before.grade) {
            std::cmp::Ordering::Less if named(&FieldUse::ALL) => Class::Widens,
            std::cmp::Ordering::Less | std::cmp::Ordering::Equal => Class::Neutral,
            std::cmp::Ordering::Greater => Class::Narrows,
        };
        let sentence = format!("`{full}` is {}, was {}", grade(after.grade), grade(before.grade));
        changes.push(Change { fields: vec![full], ..Change::of(class, sentence) });
    }
    changes
}

pub(super) fn grade(grade: Grade) -> String {
    match grade {
        Grade::Open(number) => format!("grade {number}"),
        Grade::Sealed => "sealed".to_owned(),
        Grade::Ungraded => "ungraded".to_owned(),
    }
}
