//! For whose entries keys are made, beside everybody's: tenants that the policy names, and those of callers of several,
//! as they come.

use std::collections::{BTreeSet, HashMap};

use super::day::Day;
use super::frame::Lock;
use super::newest::Kind;
use super::whose::{Tenants, Whose};

/// The most that have keys of their own without having been named.
const MOST_SEEN: usize = 256;

/// For whom keys are made.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    named: BTreeSet<Tenants>,
    /// Those beside that came and had no key, by the day.
    seen: HashMap<Tenants, Day>,
}

impl Wanted {
    /// These get keys whether they come or not, and no others do.
    pub(super) fn name(&mut self, tenants: BTreeSet<Tenants>) {
        self.named = tenants;
    }

    /// These came and have no key; whether that is new, and they get one.
    pub(super) fn see(&mut self, tenants: &Tenants, today: Day) -> bool {
        let has_room = self.seen.len() < MOST_SEEN || self.seen.contains_key(tenants);
        let gets_one = has_room && tenants.are_told_apart();
        gets_one && self.seen.insert(tenants.clone(), today) != Some(today)
    }

    /// What keys are needed for: every lock, and each that goes by tenant for those that are named, for those that came
    /// today, `came` among them, and for all tenants together.
    pub(super) fn kinds<'t>(
        &'t mut self,
        came: impl Iterator<Item = &'t Tenants>,
        today: Day,
    ) -> Vec<Kind> {
        self.seen.retain(|_, day| *day >= today);
        let mut beside: BTreeSet<&Tenants> = self.seen.keys().chain(came).collect();
        beside.retain(|tenants| !self.named.contains(tenants));
        let own = self.named.iter().chain(beside.into_iter().take(MOST_SEEN));
        let mut own: Vec<Whose> = own.cloned().map(Whose::Of).collect();
        if !own.is_empty() {
            own.insert(0, Whose::Tenants);
        }
        let by_tenant = Lock::ALL.into_iter().filter(|lock| lock.goes_by_tenant());
        let by_tenant =
            by_tenant.flat_map(|lock| own.iter().map(move |whose| (lock, whose.clone())));
        Lock::ALL.map(|lock| (lock, Whose::Everybody)).into_iter().chain(by_tenant).collect()
    }
}
