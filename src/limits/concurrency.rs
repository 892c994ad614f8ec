//! How many requests run at once: per key, and over all keys.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// Which cap was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// That of the key in this place.
    Key(usize),
    /// That over all keys.
    Everybody,
}

/// Counts what runs.
#[derive(Debug)]
pub(super) struct Concurrency<K: Eq + Hash> {
    cap: AtomicU32,
    total: AtomicU32,
    /// Only keys with something running, so it is never longer than the cap over all keys allows.
    by_key: DashMap<K, u32>,
}

impl<K: Clone + Eq + Hash> Concurrency<K> {
    /// At most `cap` at once over all keys.
    pub(super) fn new(cap: u32) -> Arc<Self> {
        Arc::new(Self {
            cap: AtomicU32::new(cap),
            total: AtomicU32::new(0),
            by_key: DashMap::new(),
        })
    }

    /// At most so many from now on; who runs already is not ended.
    pub(super) fn set_cap(&self, cap: u32) {
        self.cap.store(cap, Ordering::Relaxed);
    }

    /// Counts one more for each key until the guard is dropped, or for none. Each comes with its cap.
    pub(super) fn enter(self: &Arc<Self>, keys: Vec<(K, u32)>) -> Result<Place<K>, Full> {
        let cap = self.cap.load(Ordering::Relaxed);
        let more = |running: u32| (running < cap).then(|| running.saturating_add(1));
        let total = self.total.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        total.map_err(|_full| Full::Everybody)?;
        let full = keys.iter().position(|(key, most)| !self.begin(key, *most));
        if let Some(full) = full {
            self.leave(keys.into_iter().take(full));
            return Err(Full::Key(full));
        }
        Ok(Place { counter: Arc::clone(self), keys })
    }

    /// How many run.
    pub(super) fn running(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }

    /// Counts one more, unless that are too many.
    fn begin(&self, key: &K, most: u32) -> bool {
        match self.by_key.entry(key.clone()) {
            Entry::Occupied(mut entry) if *entry.get() < most => *entry.get_mut() += 1,
            Entry::Vacant(entry) if most > 0 => drop(entry.insert(1)),
            Entry::Occupied(_) | Entry::Vacant(_) => return false,
        }
        true
    }

    fn leave(&self, keys: impl IntoIterator<Item = (K, u32)>) {
        for (key, _) in keys {
            if let Entry::Occupied(mut entry) = self.by_key.entry(key) {
                match entry.get().saturating_sub(1) {
                    0 => drop(entry.remove()),
                    left => *entry.get_mut() = left,
                }
            }
        }
        self.total.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One that runs; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place<K: Clone + Eq + Hash> {
    counter: Arc<Concurrency<K>>,
    keys: Vec<(K, u32)>,
}

impl<K: Clone + Eq + Hash> Place<K> {
    /// The first of its keys.
    pub(super) fn key(&self) -> Option<&K> {
        self.keys.first().map(|(key, _)| key)
    }
}

impl<K: Clone + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        self.counter.leave(std::mem::take(&mut self.keys));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_waits_for_its_own_and_leaves_others_alone() {
        let counter = Concurrency::new(10);
        let first = counter.enter(vec![("ann", 2)]).unwrap();
        let _second = counter.enter(vec![("ann", 2)]).unwrap();
        assert_eq!(counter.enter(vec![("ann", 2)]).unwrap_err(), Full::Key(0));
        assert!(counter.enter(vec![("bob", 2)]).is_ok());
        drop(first);
        assert!(counter.enter(vec![("ann", 2)]).is_ok());
    }

    #[test]
    fn a_key_that_is_full_leaves_the_others_as_they_were() {
        let counter = Concurrency::new(10);
        let _teller = counter.enter(vec![("teller", 1)]).unwrap();
        let both = counter.enter(vec![("ann", 1), ("teller", 1)]);
        assert_eq!(both.unwrap_err(), Full::Key(1));
        assert!(counter.enter(vec![("ann", 1)]).is_ok());
    }

    #[test]
    fn everybody_together_meets_the_common_cap() {
        let counter = Concurrency::new(2);
        let _one = counter.enter(vec![(1, 5)]).unwrap();
        let two = counter.enter(vec![(2, 5)]).unwrap();
        assert_eq!(counter.enter(vec![(3, 5)]).unwrap_err(), Full::Everybody);
        drop(two);
        assert!(counter.enter(vec![(3, 5)]).is_ok());
    }

    #[test]
    fn a_lower_cap_ends_nobody_and_lets_nobody_in_before_enough_have_left() {
        let counter = Concurrency::new(3);
        let running = [counter.enter(vec![(1, 5)]).unwrap(), counter.enter(vec![(2, 5)]).unwrap()];
        counter.set_cap(1);
        assert_eq!(counter.enter(vec![(3, 5)]).unwrap_err(), Full::Everybody);
        drop(running);
        let _one = counter.enter(vec![(3, 5)]).unwrap();
        assert_eq!(counter.enter(vec![(4, 5)]).unwrap_err(), Full::Everybody);
        counter.set_cap(2);
        assert!(counter.enter(vec![(4, 5)]).is_ok());
    }

    #[test]
    fn keys_with_nothing_running_cost_nothing() {
        let counter = Concurrency::new(2);
        for key in 0..1_000 {
            drop(counter.enter(vec![(key, 1)]).unwrap());
        }
        assert_eq!((counter.total.load(Ordering::Relaxed), counter.by_key.len()), (0, 0));
    }
}
