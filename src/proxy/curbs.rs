//! Whom a detection holds: who gets nothing more, who goes on slowly, who shows a factor first. Kept here for every
//! request to look at; who fills it, and who releases, is not the proxy's business.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Gate;
use super::rejection::{FactorAsked, Rejection};
use crate::identity::Caller;
use crate::policy::{Consequence, StepUp};

/// Whoever is slowed gets one request in so many milliseconds.
const PACE_MS: u64 = 10_000;
/// The assurance of the factor that is asked for.
const ASSURANCE: u8 = 2;

/// What follows for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curb {
    /// For whom, as people are counted: an account, or `person/…`.
    pub holder: String,
    /// What.
    pub consequence: Consequence,
    /// Since when, in Unix milliseconds.
    pub since_ms: i64,
}

/// All that follows for one person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    is_blocked: bool,
    is_slowed: bool,
    /// A factor that was shown later than this leads on.
    factor_after_ms: Option<i64>,
}

/// Everybody whom something holds. One for a gate; whoever changes it shares it.
#[derive(Debug)]
pub struct Curbs {
    held: ArcSwap<HashMap<String, Held>>,
    /// When each person who is slowed may come again, in steady milliseconds.
    paces: Mutex<HashMap<String, u64>>,
    changes: watch::Sender<()>,
}

impl Default for Curbs {
    fn default() -> Self {
        let (held, paces) = (ArcSwap::from_pointee(HashMap::new()), Mutex::default());
        Self { held, paces, changes: watch::Sender::new(()) }
    }
}

impl Curbs {
    /// Says who is held from now on, from the next request and on open streams. Who is not named is free.
    pub fn replace(&self, curbs: impl IntoIterator<Item = Curb>) {
        let mut all: HashMap<String, Held> = HashMap::new();
        for Curb { holder, consequence, since_ms } in curbs {
            let held = all.entry(holder).or_default();
            match consequence {
                Consequence::Alert => {}
                Consequence::Slow => held.is_slowed = true,
                Consequence::Block => held.is_blocked = true,
                Consequence::StepUp => {
                    held.factor_after_ms = held.factor_after_ms.max(Some(since_ms));
                }
            }
        }
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        paces.retain(|holder, _| all.get(holder).is_some_and(|held| held.is_slowed));
        drop(paces);
        self.held.store(Arc::new(all));
        self.changes.send_replace(());
    }

    /// Whether somebody gets nothing more.
    #[must_use]
    pub fn blocks(&self, holder: &str) -> bool {
        self.of(holder).is_blocked
    }

    /// Told whenever somebody is held or released.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn of(&self, holder: &str) -> Held {
        self.held.load().get(holder).copied().unwrap_or_default()
    }

    /// Lets one request of somebody who is slowed through; else how many milliseconds are to wait.
    fn pace(&self, holder: &str, now_ms: u64) -> Result<(), u64> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let next = paces.get(holder).copied().unwrap_or(0);
        if now_ms < next {
            return Err(next - now_ms);
        }
        paces.insert(holder.to_owned(), now_ms.saturating_add(PACE_MS));
        Ok(())
    }
}

impl Gate {
    /// Refuses whom a detection holds, before the policy is asked.
    pub(super) fn check_curbs(&self, caller: &Caller, now_unix_s: i64) -> Result<(), Rejection> {
        let holder = self.identity.counted_as(&caller.account);
        let held = self.curbs.of(&holder);
        if held == Held::default() {
            return Ok(());
        }
        if held.is_blocked {
            return Err(Rejection::Stopped);
        }
        if let Some(after_ms) = held.factor_after_ms {
            let shown = caller.factor_time(ASSURANCE);
            if shown.is_none_or(|at| at.saturating_mul(1000) <= after_ms) {
                let age = now_unix_s.saturating_sub(after_ms.div_euclid(1000));
                let max_age_s = Some(u32::try_from(age).unwrap_or(0));
                let step_up = StepUp { assurance: ASSURANCE, max_age_s, fields: Vec::new() };
                return Err(Rejection::StepUp(FactorAsked::of(step_up)));
            }
        }
        if held.is_slowed {
            let now_ms = u64::try_from(self.clock.steady().as_millis()).unwrap_or(u64::MAX);
            let wait_ms = self.curbs.pace(&holder, now_ms).err();
            return wait_ms.map_or(Ok(()), |ms| Err(Rejection::Slowed(ms.div_ceil(1000))));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curb(holder: &str, consequence: Consequence, since_ms: i64) -> Curb {
        Curb { holder: holder.to_owned(), consequence, since_ms }
    }

    #[test]
    fn what_follows_adds_up_and_ends_with_the_release() {
        let curbs = Curbs::default();
        curbs.replace([
            curb("wang", Consequence::StepUp, 7),
            curb("wang", Consequence::StepUp, 5),
            curb("wang", Consequence::Alert, 9),
            curb("li", Consequence::Block, 1),
        ]);
        assert!(curbs.blocks("li") && !curbs.blocks("wang") && !curbs.blocks("zhao"));
        assert_eq!(curbs.of("wang").factor_after_ms, Some(7));
        curbs.replace([]);
        assert!(!curbs.blocks("li") && curbs.of("wang") == Held::default());
    }

    #[test]
    fn whoever_is_slowed_gets_one_request_in_ten_seconds() {
        let curbs = Curbs::default();
        curbs.replace([curb("wang", Consequence::Slow, 0)]);
        let told: Vec<_> =
            [0, 1, 9_999, 10_000, 10_001].map(|now| curbs.pace("wang", now)).to_vec();
        assert_eq!(told, [Ok(()), Err(9_999), Err(1), Ok(()), Err(9_999)]);
        curbs.replace([]);
        assert_eq!(curbs.pace("wang", 10_002), Ok(()), "nothing is left of it");
    }
}
