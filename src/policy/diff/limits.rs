//! Limits compared, role by role. The limits of several roles are the strictest of each, so if no role
//! alone may take more, no combination may.

use std::collections::BTreeSet;

use super::super::limits::{Export, LimitSet, Limits, Rate, Scope, Window};
use super::super::survey::{Survey, Who, duration};
use super::{Change, Class};

pub(super) fn changes(old: &Survey, new: &Survey) -> Vec<Change> {
    let names = old.roles.keys().chain(new.roles.keys());
    let roles: BTreeSet<Who> = names.cloned().map(Who::Role).collect();
    let any = all_changed(&old.limits(&Who::Any), &new.limits(&Who::Any));
    let mut found: Vec<(Class, String, Vec<String>)> = Vec::new();
    for (class, said) in &any {
        found.push((*class, said.clone(), vec![Who::Any.to_string()]));
    }
    for who in roles {
        for (class, said) in all_changed(&old.limits(&who), &new.limits(&who)) {
            // What is said of everybody is not said of each role again.
            if any.contains(&(class, said.clone())) {
                continue;
            }
            match found.iter_mut().find(|(c, s, _)| *c == class && *s == said) {
                Some((.., roles)) => roles.push(who.to_string()),
                None => found.push((class, said, vec![who.to_string()])),
            }
        }
    }
    let change = |(class, said, roles): (Class, String, Vec<String>)| Change {
        sentence: format!("{}: {said}", roles.join(", ")),
        roles,
        ..Change::of(class, String::new())
    };
    found.into_iter().map(change).collect()
}

/// What changed, scope by scope. A limit that is gone may leave another that counts the same requests and
/// more, and is at least as strict: the classes are those of what bounds the scope altogether.
fn all_changed(old: &LimitSet, new: &LimitSet) -> Vec<(Class, String)> {
    let scopes: BTreeSet<&Scope> = old.iter().chain(new.iter()).map(|one| &one.scope).collect();
    let mut changes = Vec::new();
    for scope in scopes {
        if old.of(scope) != new.of(scope) {
            let found = changed(&old.bounding(scope), &new.bounding(scope));
            changes.extend(found.into_iter().map(|(class, said)| (class, said.in_scope(scope))));
        }
    }
    changes
}

fn changed(old: &Limits, new: &Limits) -> Vec<(Class, Said)> {
    let Limits {
        rate,
        requests,
        concurrent,
        page,
        records,
        subjects,
        kibibytes,
        unmask,
        files,
        zero_hits,
        export,
        refuse_whole,
        denies_when_lost,
    } = new;
    let mut changes = Vec::new();
    changes.extend(rates(old.rate, *rate));
    changes.extend(number("requests at once", old.concurrent, *concurrent));
    changes.extend(number("records on a page", old.page, *page));
    changes.extend(windows("records", &old.records, records));
    changes.extend(windows("people", &old.subjects, subjects));
    changes.extend(windows("KiB", &old.kibibytes, kibibytes));
    changes.extend(windows("requests", &old.requests, requests));
    changes.extend(windows("people unmasked", &old.unmask, unmask));
    changes.extend(windows("files", &old.files, files));
    changes.extend(windows("searches that found nobody", &old.zero_hits, zero_hits));
    changes.extend(exports(old.export, *export));
    let said = |refuses: bool| if refuses { "refused whole" } else { "ended at a record" };
    let reached = "answers that reach one";
    changes.extend(
        class(*refuse_whole || !old.refuse_whole, old.refuse_whole || !refuse_whole)
            .map(|class| sentence(class, reached, said(old.refuse_whole), said(*refuse_whole))),
    );
    changes.extend(when_lost(old.denies_when_lost, *denies_when_lost));
    changes
}

/// A change in words.
struct Said {
    what: String,
    how: String,
}

impl Said {
    fn in_scope(&self, scope: &Scope) -> String {
        let Self { what, how } = self;
        format!("the limit of {what}{scope} is {how}")
    }
}

fn sentence(class: Class, what: &str, old: &str, new: &str) -> (Class, Said) {
    let how = match class {
        Class::Widens => "loosened",
        Class::Narrows => "tightened",
        Class::CannotTell | Class::Neutral => "changed",
    };
    (class, Said { what: what.to_owned(), how: format!("{how}: {new}, was {old}") })
}

/// More in one direction is wider, whatever becomes of the other.
fn class(is_within: bool, holds: bool) -> Option<Class> {
    match (is_within, holds) {
        (true, true) => None,
        (true, false) => Some(Class::Narrows),
        (false, _) => Some(Class::Widens),
    }
}

fn number(what: &str, old: Option<u32>, new: Option<u32>) -> Option<(Class, Said)> {
    let within = |mine: Option<u32>, theirs: Option<u32>| {
        theirs.is_none_or(|theirs| mine.is_some_and(|mine| mine <= theirs))
    };
    let said = |limit: Option<u32>| limit.map_or("none".to_owned(), |limit| limit.to_string());
    let class = class(within(new, old), within(old, new))?;
    Some(sentence(class, what, &said(old), &said(new)))
}

fn rates(old: Option<Rate>, new: Option<Rate>) -> Option<(Class, Said)> {
    let pace = |rate: Rate, other: Rate| u64::from(rate.count) * u64::from(other.per_s);
    let within = |mine: Option<Rate>, theirs: Option<Rate>| {
        theirs.is_none_or(|theirs| {
            mine.is_some_and(|mine| {
                pace(mine, theirs) <= pace(theirs, mine) && mine.burst <= theirs.burst
            })
        })
    };
    let class = class(within(new, old), within(old, new))?;
    Some(sentence(class, "requests", &rate(old), &rate(new)))
}

fn when_lost(old: bool, new: bool) -> Option<(Class, Said)> {
    let said = |denies: bool| if denies { "nothing" } else { "what the gate was lent" };
    let class = class(new || !old, old || !new)?;
    Some(sentence(class, "what is given while the shared store is lost", said(old), said(new)))
}

fn exports(old: Export, new: Export) -> Option<(Class, Said)> {
    let within = |mine: Export, theirs: Export| match (mine, theirs) {
        (Export::None, _) => true,
        (Export::Bounded { .. }, Export::None) => false,
        (
            Export::Bounded { rows, needs_grant },
            Export::Bounded { rows: most, needs_grant: asked },
        ) => {
            let fits = most.is_none_or(|most| rows.is_some_and(|rows| rows <= most));
            fits && (needs_grant || !asked)
        }
    };
    let said = |export: Export| match export {
        Export::None => "none".to_owned(),
        Export::Bounded { rows, needs_grant } => {
            let rows = rows.map_or("any number of records".to_owned(), |n| format!("{n} records"));
            format!("{rows}{}", if needs_grant { " with a grant" } else { "" })
        }
    };
    let class = class(within(new, old), within(old, new))?;
    Some(sentence(class, "one export", &said(old), &said(new)))
}

fn rate(rate: Option<Rate>) -> String {
    rate.map_or("none".to_owned(), |rate| {
        format!("{} in {} with bursts of {}", rate.count, duration(rate.per_s), rate.burst)
    })
}

fn windows(what: &str, old: &[Window], new: &[Window]) -> Option<(Class, Said)> {
    // So many in a longer time are at most so many in a shorter one.
    let within = |mine: &[Window], theirs: &[Window]| {
        theirs.iter().all(|theirs| {
            mine.iter().any(|mine| mine.count <= theirs.count && mine.per.covers(&theirs.per))
        })
    };
    let class = class(within(new, old), within(old, new))?;
    Some(sentence(class, what, &all_windows(old), &all_windows(new)))
}

fn all_windows(windows: &[Window]) -> String {
    let said: Vec<String> =
        windows.iter().map(|window| format!("{} {}", window.count, window.per)).collect();
    if said.is_empty() { "none".to_owned() } else { said.join(", ") }
}
