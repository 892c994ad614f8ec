//! What is known of one person: days, places, and what was done lately. Bounded, whatever they do.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::distinct::{Distinct, hash};
use super::recent::Recent;
use super::seen::Seen;
use crate::policy::Detection;

/// Days that are compared with.
pub(super) const DAYS: usize = 28;
/// Networks and devices that are remembered.
const PLACES: usize = 24;
/// Accounts of one person that are remembered.
const ACCOUNTS: usize = 8;

/// A day that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Day {
    pub(super) day: i64,
    /// Different people of whom something was given.
    pub(super) subjects: u64,
    pub(super) records: u64,
    /// Whether that was nearly the limit of the day.
    pub(super) near_limit: bool,
}

/// A network or a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) hash: u64,
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    /// Whether it was told of already, or was there from the beginning.
    pub(super) is_told: bool,
}

/// One person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Person {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    accounts: Vec<String>,
    /// Days with anything given, the oldest first; today is not among them.
    pub(super) days: VecDeque<Day>,
    pub(super) today: i64,
    pub(super) subjects: Distinct,
    pub(super) records: u64,
    pub(super) near_limit: bool,
    pub(super) beside: Recent,
    pub(super) rising: Recent,
    pub(super) falling: Recent,
    pub(super) in_vain: Recent,
    pub(super) unlinked: Recent,
    /// The hash of their own record.
    pub(super) own: Option<u64>,
    pub(super) places: Vec<Place>,
    /// The last file, in Unix milliseconds.
    pub(super) last_file_ms: Option<i64>,
    /// The day on which each detection that is told once a day was told last.
    told: BTreeMap<Detection, i64>,
}

impl Person {
    pub(super) fn new(at_ms: i64) -> Self {
        Self { first_ms: at_ms, last_ms: at_ms, ..Self::default() }
    }

    /// Whether it is the first time on this day.
    pub(super) fn first_today(&mut self, detection: Detection, day: i64) -> bool {
        self.told.insert(detection, day) != Some(day)
    }

    pub(super) fn uses(&self, account: &str) -> bool {
        self.accounts.iter().any(|known| known == account)
    }

    /// Begins a new day if it is one.
    pub(super) fn turn_to(&mut self, day: i64) {
        if day <= self.today {
            return;
        }
        let subjects = self.subjects.count();
        if subjects > 0 || self.records > 0 {
            let Self { today: day, records, near_limit, .. } = *self;
            self.days.push_back(Day { day, subjects, records, near_limit });
        }
        self.subjects.clear();
        (self.today, self.records, self.near_limit) = (day, 0, false);
        let oldest = day.saturating_sub(i64::try_from(DAYS).unwrap_or(i64::MAX));
        while self.days.len() > DAYS || self.days.front().is_some_and(|one| one.day < oldest) {
            self.days.pop_front();
        }
    }

    /// The median of a number over the days; `None` before there are five of them.
    pub(super) fn median(&self, of: impl Fn(&Day) -> u64) -> Option<u64> {
        const FEWEST: usize = 5;
        let mut all: Vec<u64> = self.days.iter().map(of).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().filter(|_| all.len() >= FEWEST)
    }

    /// Whether the place is new for this person, and was not told of yet. It is remembered.
    pub(super) fn is_new(&mut self, name: &str, at_ms: i64, learning_days: u32) -> Option<usize> {
        let hash = hash(name);
        let learning_ms = i64::from(learning_days) * 86_400_000;
        let learning = at_ms.saturating_sub(self.first_ms) < learning_ms;
        let place = self.places.iter().position(|place| place.hash == hash);
        let place = place.unwrap_or_else(|| {
            if self.places.len() >= PLACES {
                let oldest = self.places.iter().enumerate().min_by_key(|(_, place)| place.last_ms);
                if let Some((oldest, _)) = oldest {
                    self.places.swap_remove(oldest);
                }
            }
            self.places.push(Place { hash, first_ms: at_ms, last_ms: at_ms, is_told: learning });
            self.places.len() - 1
        });
        let known = self.places.get_mut(place)?;
        known.last_ms = at_ms;
        let age_ms = at_ms.saturating_sub(known.first_ms);
        (!known.is_told && age_ms < learning_ms).then_some(place)
    }

    /// What every entry says, after the detections have looked.
    pub(super) fn note(&mut self, seen: &Seen<'_>) {
        self.last_ms = self.last_ms.max(seen.at_ms);
        if seen.is_file() {
            self.last_file_ms = Some(seen.at_ms);
        }
        if let Some(own) = seen.own() {
            self.own = Some(hash(own));
        }
        if !self.uses(seen.account()) && self.accounts.len() < ACCOUNTS {
            self.accounts.push(seen.account().to_owned());
        }
    }
}
