//! Whether what a rule that denies takes away in one program is taken away in the other.
//!
//! Such a rule applies unless its condition is surely false, so conditions follow the other way round:
//! the other must be surely false only where this one is.

use std::collections::BTreeSet;

use super::super::survey::{FieldUse, Formula, RuleView, Scope, Who};
use super::Class;
use super::cover::{Purpose, Side, denies_for, takes_field};

/// Something that one program takes away and the other does not.
#[derive(Clone, Debug)]
pub(super) struct Lapse<'a> {
    pub(super) who: Who,
    pub(super) rule: &'a RuleView,
    pub(super) scope: Scope,
    /// The fields, with whether reading is meant.
    pub(super) fields: BTreeSet<(&'a str, bool)>,
    /// A rule of the other program that takes it away on other conditions, and what that means.
    pub(super) instead: Option<(&'a RuleView, Class)>,
}

/// Everything that `mine` takes away and `theirs` gives and does not take away.
pub(super) fn lapses<'a>(mine: Side<'a>, theirs: Side<'a>) -> Vec<Lapse<'a>> {
    let mut lapses = Vec::new();
    let Some(route) = mine.route else { return lapses };
    if !theirs.opens() {
        return lapses;
    }
    for rule in mine.rules() {
        let Some(scope) = rule.takes(route) else { continue };
        let same = |other: &&RuleView| {
            other.says_the_same_as(rule) && theirs.route.and_then(|r| other.takes(r)) == Some(scope)
        };
        if theirs.rules().any(|other| same(&other)) {
            continue;
        }
        for who in rule.audience.parts() {
            lapses.extend(lapse(rule, scope, who, theirs));
        }
    }
    lapses
}

fn lapse<'a>(rule: &'a RuleView, scope: Scope, who: Who, theirs: Side<'a>) -> Option<Lapse<'a>> {
    let mut lapse = Lapse { who, rule, scope, fields: BTreeSet::new(), instead: None };
    let entity = rule.of.as_deref().unwrap_or_default();
    match scope {
        Scope::Action | Scope::Records => {
            let gives = match scope {
                Scope::Records => theirs.allowing(entity).next().is_some(),
                Scope::Action | Scope::Fields => true,
            };
            let taken = is_taken(&mut lapse, theirs, |other, _| {
                other == Scope::Action
                    || (
                        // A rule about the whole action says nothing of records inside others.
                        scope == Scope::Records && other == Scope::Records
                    )
            });
            (gives && !taken).then_some(lapse)
        }
        Scope::Fields => {
            for usage in FieldUse::ALL {
                for path in rule.fields(usage) {
                    let same_use = |other: &FieldUse| other.reads() == usage.reads();
                    let gives = theirs.allowing(entity).any(|other| {
                        let uses = FieldUse::ALL.iter().filter(|other| same_use(other));
                        uses.into_iter().any(|usage| other.fields(*usage).contains(path))
                    });
                    let taken = is_taken(&mut lapse, theirs, |scope, other| {
                        scope != Scope::Fields || takes_field(other, path, usage)
                    });
                    if gives && !taken && !theirs.is_sealed(entity, path) {
                        lapse.fields.insert((path, usage.reads()));
                    }
                }
            }
            (!lapse.fields.is_empty()).then_some(lapse)
        }
    }
}

/// Whether, for every purpose, one rule of the other program takes away as much whenever this one does.
fn is_taken<'a>(
    lapse: &mut Lapse<'a>,
    theirs: Side<'a>,
    reaches: impl Fn(Scope, &RuleView) -> bool,
) -> bool {
    let Some(route) = theirs.route else { return false };
    let rule = lapse.rule;
    let candidates: Vec<&'a RuleView> = theirs
        .rules()
        .filter(|other| {
            other.takes(route).is_some_and(|scope| {
                reaches(scope, other) && (scope == Scope::Action || other.of == rule.of)
            })
        })
        .filter(|other| other.audience.includes(&lapse.who))
        .collect();
    let is_hit = |purpose: Purpose<'_>| {
        candidates.iter().any(|other| {
            denies_for(other, purpose, theirs.survey)
                && follows(rule.when.as_ref(), other.when.as_ref())
                && follows(rule.row.as_ref(), other.row.as_ref())
        })
    };
    let known = rule.purposes.iter().filter(|name| theirs.survey.purposes.contains(*name));
    let taken = if rule.purposes.is_empty() {
        is_hit(Purpose::Any)
    } else {
        is_hit(Purpose::Undeclared) && known.into_iter().all(|name| is_hit(Purpose::Of(name)))
    };
    if !taken {
        let narrower = |other: &&RuleView| {
            follows(other.when.as_ref(), rule.when.as_ref())
                && follows(other.row.as_ref(), rule.row.as_ref())
        };
        let class =
            |other: &&RuleView| if narrower(other) { Class::Widens } else { Class::CannotTell };
        lapse.instead = candidates.first().map(|other| (*other, class(other)));
    }
    taken
}

/// Whether the other condition lets a rule apply wherever this one does: not surely false.
pub(super) fn follows(mine: Option<&Formula>, theirs: Option<&Formula>) -> bool {
    match (mine, theirs) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(mine), Some(theirs)) => theirs.form.negated().implies(&mine.form.negated()),
    }
}
