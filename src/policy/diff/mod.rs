//! Two programs compared, in people's words: who gains, who loses, what was loosened.
//!
//! One promise stands above all others: if the new program lets anybody get more than the old one, a
//! change is classed as widening or as one that cannot be told. So what is not proven to be within the
//! old program counts as more. What follows is such a proof, split into parts that each can be checked
//! for one role and one purpose, because rules only add up and rules that deny only take away; the
//! few places where taking away gives (a search, a count, a record that nobody tests) are in `hidden`.

mod apart;
mod catalogue;
mod consents;
mod cover;
mod detect;
mod detections;
mod grants;
mod hidden;
mod limits;
mod registered;
mod retention;
mod routes;
mod taken;
mod two_person;
mod waits;
mod words;

use std::collections::BTreeSet;
use std::fmt;

use super::program::Program;
use super::survey::{Survey, role_sets};
pub use waits::{may_wait, waits_for};

/// What a change does to what people can get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Somebody gets more.
    Widens,
    /// Neither more nor less can be proven; counts as more.
    CannotTell,
    /// Somebody gets less and nobody more.
    Narrows,
    /// Nobody gets more or less.
    Neutral,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Change {
    /// What it does.
    pub class: Class,
    /// Whom it is about: roles, or `any` for every caller. Empty where it is about no role.
    pub roles: Vec<String>,
    /// The fields, such as `customer.phone`.
    pub fields: Vec<String>,
    /// The routes.
    pub routes: Vec<String>,
    /// The whole change in words.
    pub sentence: String,
}

/// All changes from one program to another, widening ones first.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Comparison {
    /// The changes.
    pub changes: Vec<Change>,
}

/// Compares two programs: as they are for callers of no tenant with a file of its own, then for those of each.
///
/// Who is of several tenants gets what each of these lets through. So if nobody of one alone gets more, they do not.
#[must_use]
pub fn compare(old: &Program, new: &Program) -> Comparison {
    let mut changes = changes_for(None, old, new);
    let tenants: BTreeSet<&str> = old.tenants().chain(new.tenants()).collect();
    let all: BTreeSet<Change> = changes.iter().cloned().collect();
    for tenant in tenants {
        let own = changes_for(Some(tenant), old, new).into_iter();
        let own = own.filter(|change| !all.contains(change));
        changes.extend(own.map(|change| change.of_tenant(tenant)));
    }
    changes.sort();
    changes.dedup();
    Comparison { changes }
}

fn changes_for(tenant: Option<&str>, old: &Program, new: &Program) -> Vec<Change> {
    let same_roles = role_sets(old) == role_sets(new);
    let (before, after) = if same_roles { ("", "") } else { ("(old)", "(new)") };
    let (old, new) = (old.as_for(tenant), new.as_for(tenant));
    let (old, new) = (Survey::of(&old, before), Survey::of(&new, after));
    let mut changes = catalogue::changes(&old, &new);
    changes.extend(routes::changes(&old, &new));
    changes.extend(limits::changes(&old, &new));
    changes.extend(detect::changes(&old, &new));
    changes.extend(consents::changes(&old, &new));
    changes.extend(two_person::changes(&old, &new));
    changes.extend(registered::changes(&old, &new));
    changes.extend(grants::changes(&old, &new));
    changes.extend(apart::changes(&old, &new));
    changes.extend(detections::changes(&old.detections, &new.detections));
    changes.extend(retention::changes(old.retention.as_ref(), new.retention.as_ref()));
    changes
}

impl Change {
    /// A change that is about no role.
    fn of(class: Class, sentence: String) -> Self {
        Self { class, roles: Vec::new(), fields: Vec::new(), routes: Vec::new(), sentence }
    }

    fn of_tenant(self, tenant: &str) -> Self {
        let sentence = format!("callers of tenant `{tenant}`: {}", self.sentence);
        Self { sentence, ..self }
    }

    fn on(mut self, route: &str) -> Self {
        self.routes.push(route.to_owned());
        self
    }
}

impl Comparison {
    /// Whether anybody may get more: something widens, or cannot be told.
    #[must_use]
    pub fn widens(&self) -> bool {
        self.changes.iter().any(|change| change.class.counts_as_widening())
    }

    /// What makes anybody get more, or may do so, each in words.
    #[must_use]
    pub fn wider(&self) -> Vec<String> {
        let wider = self.changes.iter().filter(|change| change.class.counts_as_widening());
        wider.map(|change| change.sentence.clone()).collect()
    }

    fn of(&self, class: Class) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.class == class)
    }
}

impl Class {
    /// All, widest first.
    const ALL: [Self; 4] = [Self::Widens, Self::CannotTell, Self::Narrows, Self::Neutral];

    fn counts_as_widening(self) -> bool {
        matches!(self, Self::Widens | Self::CannotTell)
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Widens => "wider",
            Self::CannotTell => "cannot be told, counts as wider",
            Self::Narrows => "narrower",
            Self::Neutral => "neither",
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for class in Class::ALL {
            let mut changes = self.of(class).peekable();
            if changes.peek().is_some() {
                writeln!(f, "{}", class.heading())?;
            }
            for change in changes {
                writeln!(f, "  {}", change.sentence)?;
            }
        }
        if self.changes.is_empty() {
            return writeln!(f, "no change in what anybody gets");
        }
        let gains = if self.widens() { "somebody gains" } else { "nobody gains anything" };
        let loses = match self.of(Class::Narrows).next() {
            Some(_) => "somebody loses",
            None => "nobody loses anything",
        };
        writeln!(f, "{gains}; {loses}")
    }
}
