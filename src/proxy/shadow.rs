//! A candidate policy beside the live one: it is asked the same, and what it would have decided otherwise
//! is counted and recorded. Nothing it says reaches a caller.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use super::Gate;
use super::question::Question;
use crate::audit::{Actor, Difference, EntryId, Event, Request};
use crate::policy::{DecisionChange, Denial, Finding, Permit, Program};

/// Differences told apart in a minute; further ones are counted together.
const DIFFERENCES: usize = 1000;
/// What stands in the entry of those.
const OTHERS: &str = "(others)";
/// The rule that a difference is counted under which no rule decided.
const NO_RULE: &str = "(no rule)";

/// What differed in the current minute.
#[derive(Debug, Default)]
pub(super) struct Differences(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    told_apart: HashMap<Key, Gathered>,
    others: u64,
}

/// One route, roles and difference, between these two policies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    route: String,
    roles: Vec<String>,
    changes: Vec<DecisionChange>,
    policy: String,
    candidate: String,
}

#[derive(Debug)]
struct Gathered {
    rules: Vec<String>,
    example: EntryId,
    count: u64,
}

impl Differences {
    fn gather(&self, key: Key, rules: &[String], example: EntryId) {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gathered) = minute.told_apart.get_mut(&key) {
            gathered.count += 1;
        } else if minute.told_apart.len() < DIFFERENCES {
            let gathered = Gathered { rules: rules.to_vec(), example, count: 1 };
            minute.told_apart.insert(key, gathered);
        } else {
            minute.others += 1;
        }
    }

    fn take(&self) -> Minute {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Gate {
    /// Asks the candidate what was decided, and notes what it would have decided otherwise. It takes about as
    /// long as the decision did.
    pub(super) fn ask_candidate(
        &self,
        candidate: &Program,
        question: &Question,
        decided: &Result<Permit, Denial>,
        example: EntryId,
    ) {
        // It must not take a request with it, whatever is wrong with it.
        let compared = catch_unwind(AssertUnwindSafe(|| compare(candidate, question, decided)));
        let Ok((changes, rules)) = compared else {
            tracing::error!("the candidate policy could not be asked");
            return;
        };
        if changes.is_empty() {
            return;
        }
        for change in &changes {
            let mut rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            if rules.is_empty() {
                rules.push(NO_RULE);
            }
            rules.iter().for_each(|rule| self.telemetry.differs(rule, change.word()));
        }
        let key = Key {
            route: question.route().name().to_owned(),
            roles: question.principal().roles.clone(),
            changes,
            policy: question.program().version().to_owned(),
            candidate: candidate.version().to_owned(),
        };
        self.differences.gather(key, &rules, example);
    }

    /// Writes what was gathered, an entry for each difference.
    pub(super) fn write_differences(&self) {
        let minute = self.differences.take();
        for (key, gathered) in minute.told_apart {
            let changes = key.changes.iter().map(ToString::to_string).collect();
            let difference = Difference {
                policy: key.policy.as_str().into(),
                candidate: key.candidate.as_str().into(),
                changes,
                rules: gathered.rules.iter().collect(),
                count: gathered.count,
                example: Some(gathered.example),
            };
            self.write_difference(difference, &key.route, &key.roles);
        }
        if minute.others > 0 {
            let changes = [OTHERS].into_iter().collect();
            let difference = Difference { changes, count: minute.others, ..Difference::default() };
            self.write_difference(difference, "", &[]);
        }
    }

    fn write_difference(&self, difference: Difference, route: &str, roles: &[String]) {
        let Ok(mut entry) = self.log.entry(Event::Shadow) else {
            tracing::error!("no id for a log entry");
            return;
        };
        entry.actor = Some(Actor { roles: roles.iter().collect(), ..Actor::default() });
        entry.request = Some(Request { route: route.into(), ..Request::default() });
        entry.difference = Some(difference);
        self.log.append_detached(entry);
    }
}

/// What the candidate would have decided otherwise, and the rules that it is due to.
fn compare(
    candidate: &Program,
    question: &Question,
    decided: &Result<Permit, Denial>,
) -> (Vec<DecisionChange>, Vec<String>) {
    let live = Finding::of(decided, []);
    let next = question.decide_on(candidate);
    let next = next.map_or_else(Finding::nothing, |decided| Finding::of(&decided, []));
    let rules = live.rules_behind(&next).into_iter().map(str::to_owned).collect();
    (live.changes_to(&next), rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key {
            route: format!("route.{n}"),
            roles: vec!["teller".to_owned()],
            changes: vec![DecisionChange::Denied],
            policy: "old".to_owned(),
            candidate: "new".to_owned(),
        }
    }

    #[test]
    fn equal_differences_are_one_and_too_many_cannot_outgrow_the_map() {
        let differences = Differences::default();
        let gather = |n: usize, id: u8| {
            let example = EntryId::new(0, [id; 10]);
            differences.gather(key(n), &["a rule".to_owned()], example);
        };
        gather(0, 1);
        gather(0, 2);
        (1..DIFFERENCES + 500).for_each(|n| gather(n, 3));
        gather(0, 4);
        let minute = differences.take();
        let first = minute.told_apart.get(&key(0)).unwrap();
        assert_eq!((first.count, first.example), (3, EntryId::new(0, [1; 10])));
        assert_eq!((minute.told_apart.len(), minute.others), (DIFFERENCES, 500));
        assert!(differences.take().told_apart.is_empty(), "what was taken is forgotten");
    }
}
