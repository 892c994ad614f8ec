//! The keys that the entries of a log need, as everybody can tell who has the log and no key of it.

use std::collections::HashSet;

use super::day::Day;
use super::frame::{self, KeyName, Lock};

/// Which keys entries need, by their heads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    keys: HashSet<KeyName>,
    /// Days of entries that have a second key, to the whole of them, which no head names.
    twofold: HashSet<Day>,
}

impl Needed {
    /// Looks at the head of a stored entry.
    pub(in crate::audit) fn see(&mut self, stored: &[u8]) {
        let Some(key) = frame::key_of(stored) else { return };
        self.keys.insert(key);
        if frame::is_twofold(stored) {
            self.twofold.insert(key.day);
        }
    }

    /// Whether the entries can be read without any key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The first key that is needed and not among these, by the name of its file.
    pub(in crate::audit) fn first_without(&self, there: &HashSet<KeyName>) -> Option<String> {
        let missing = self.keys.difference(there).min_by_key(|key| key.number);
        let of_a_day = |day| there.iter().any(|key| key.lock == Lock::Identity && key.day == day);
        let nobody = self.twofold.iter().filter(|day| !of_a_day(**day)).min();
        let file = |day: &Day| format!("*-{}-{day}", Lock::Identity.word());
        missing.map(KeyName::file).or_else(|| nobody.map(file))
    }
}
