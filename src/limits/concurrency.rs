//! How many requests run at once: per key, and over all keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Which cap was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// That of the key in this place.
    Key(usize),
    /// That over all keys.
    Everybody,
}

#[derive(Debug)]
struct Running<K> {
    total: u32,
    /// Only keys with something running, so it is never longer than the cap over all keys.
    by_key: HashMap<K, u32>,
}

/// Counts what runs.
#[derive(Debug)]
pub(super) struct Concurrency<K> {
    cap: u32,
    running: Mutex<Running<K>>,
}

impl<K: Clone + Eq + Hash> Concurrency<K> {
    /// At most `cap` at once over all keys.
    pub(super) fn new(cap: u32) -> Arc<Self> {
        Arc::new(Self { cap, running: Mutex::new(Running { total: 0, by_key: HashMap::new() }) })
    }

    /// Counts one more for each key until the guard is dropped, or for none. Each comes with its cap.
    pub(super) fn enter(self: &Arc<Self>, keys: Vec<(K, u32)>) -> Result<Place<K>, Full> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.total >= self.cap {
            return Err(Full::Everybody);
        }
        let full = keys.iter().position(|(key, most)| !running.begin(key, *most));
        if let Some(full) = full {
            keys.into_iter().take(full).for_each(|(key, _)| running.end(key));
            return Err(Full::Key(full));
        }
        running.total += 1;
        Ok(Place { counter: Arc::clone(self), keys })
    }

    fn leave(&self, keys: Vec<(K, u32)>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.total = running.total.saturating_sub(1);
        keys.into_iter().for_each(|(key, _)| running.end(key));
    }
}

impl<K: Clone + Eq + Hash> Running<K> {
    /// Counts one more, unless that are too many. The key is looked up once.
    fn begin(&mut self, key: &K, most: u32) -> bool {
        match self.by_key.entry(key.clone()) {
            Entry::Occupied(mut entry) if *entry.get() < most => *entry.get_mut() += 1,
            Entry::Vacant(entry) if most > 0 => {
                entry.insert(1);
            }
            Entry::Occupied(_) | Entry::Vacant(_) => return false,
        }
        true
    }

    fn end(&mut self, key: K) {
        if let Entry::Occupied(mut entry) = self.by_key.entry(key) {
            let left = entry.get().saturating_sub(1);
            *entry.get_mut() = left;
            if left == 0 {
                entry.remove();
            }
        }
    }
}

/// One that runs; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place<K: Clone + Eq + Hash> {
    counter: Arc<Concurrency<K>>,
    keys: Vec<(K, u32)>,
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
    fn keys_with_nothing_running_cost_nothing() {
        let counter = Concurrency::new(2);
        for key in 0..1_000 {
            drop(counter.enter(vec![(key, 1)]).unwrap());
        }
        let running = counter.running.lock().unwrap();
        assert_eq!((running.total, running.by_key.len()), (0, 0));
    }
}
