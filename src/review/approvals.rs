//! Who agrees to whose grants: two who do so for each other look at nothing any more.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Hit;
use super::detect::span;
use super::rules::Rules;
use super::seen::Seen;
use crate::policy::Detection;

/// Grants that wait to be agreed to, and agreements, that are remembered; the oldest goes for another.
const MOST: usize = 2_000;

/// Somebody agreed to what another one asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Agreed {
    by: String,
    holder: String,
    at_ms: i64,
}

/// What is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Approvals {
    /// Grants by name, and who asked.
    asked: VecDeque<(String, String)>,
    agreed: VecDeque<Agreed>,
    /// Whether it is not as it was kept.
    #[serde(skip)]
    pub(super) is_dirty: bool,
}

impl Approvals {
    pub(super) fn take(&mut self, seen: &Seen<'_>, rules: &Rules, hits: &mut Vec<Hit>) {
        let Some((grant, agrees)) = seen.granted() else { return };
        self.is_dirty = true;
        if !agrees {
            push(&mut self.asked, (grant.to_owned(), seen.holder().to_owned()));
            return;
        }
        let asked = self.asked.iter().find(|(name, _)| name == grant);
        let Some((_, holder)) = asked.cloned() else { return };
        let agreed = Agreed { by: seen.holder().to_owned(), holder, at_ms: seen.at_ms };
        let Some(terms) = rules.on(Detection::MutualApprovals) else { return };
        let since_ms = seen.at_ms.saturating_sub(i64::from(terms.within_s) * 1000);
        self.agreed.retain(|one| one.at_ms >= since_ms);
        push(&mut self.agreed, agreed.clone());
        let Agreed { by, holder, .. } = &agreed;
        let times = |by: &str, holder: &str| {
            self.agreed.iter().filter(|one| one.by == by && one.holder == holder).count() as u64
        };
        let count = times(by, holder).min(times(holder, by));
        if count >= u64::from(terms.count) && by != holder {
            // What comes next begins anew.
            self.agreed.retain(|one| {
                !(one.by == *by && one.holder == *holder || one.by == *holder && one.holder == *by)
            });
            let span = span(terms.within_s);
            let said =
                format!("two agreed to each other's grants, {count} times each within {span}");
            hits.push(Hit { detection: Detection::MutualApprovals, count, said });
        }
    }
}

fn push<T>(known: &mut VecDeque<T>, one: T) {
    while known.len() >= MOST {
        known.pop_front();
    }
    known.push_back(one);
}
