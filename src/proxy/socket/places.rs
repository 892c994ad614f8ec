//! How many WebSockets are open, of each person on each route and of all together on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::policy::SocketCaps;

/// The WebSockets that are open. What is not open takes no memory.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Places(Mutex<HashMap<Box<str>, Route>>);

#[derive(Debug, Default)]
struct Route {
    all: u32,
    by_person: HashMap<Box<str>, u32>,
}

/// A place; dropping it makes room.
#[derive(Debug)]
pub(in crate::proxy) struct SocketPlace {
    places: Arc<Places>,
    route: Box<str>,
    person: Box<str>,
}

/// Whose places are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Full {
    /// Those of this person.
    Each(u32),
    /// All of the route.
    All,
}

impl Places {
    /// Takes a place on a route.
    pub(super) fn take(
        self: &Arc<Self>,
        route: &str,
        person: &str,
        caps: &SocketCaps,
    ) -> Result<SocketPlace, Full> {
        let mut routes = self.lock();
        let (all, own) = routes.get(route).map_or((0, 0), |open| {
            (open.all, open.by_person.get(person).copied().unwrap_or_default())
        });
        if own >= caps.each {
            return Err(Full::Each(caps.each));
        }
        if all >= caps.all {
            return Err(Full::All);
        }
        let open = routes.entry(route.into()).or_default();
        open.all = all.saturating_add(1);
        open.by_person.insert(person.into(), own.saturating_add(1));
        let places = Arc::clone(self);
        Ok(SocketPlace { places, route: route.into(), person: person.into() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Route>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        let mut routes = self.places.lock();
        let Some(open) = routes.get_mut(&self.route) else { return };
        open.all = open.all.saturating_sub(1);
        if let Some(own) = open.by_person.get_mut(&self.person) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                open.by_person.remove(&self.person);
            }
        }
        if open.all == 0 {
            routes.remove(&self.route);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: SocketCaps = SocketCaps {
        sent_bytes: 1,
        received_bytes: 1,
        message_bytes: 1,
        frames_per_s: 1,
        idle_s: 1,
        lifetime_s: 1,
        each: 2,
        all: 3,
    };

    #[test]
    fn a_place_is_free_again_once_it_is_left_and_nothing_of_it_stays() {
        let places = Arc::new(Places::default());
        let take = |person: &str| places.take("chat", person, &CAPS);
        let (first, second) = (take("wang").unwrap(), take("wang").unwrap());
        assert_eq!(take("wang").unwrap_err(), Full::Each(2));
        let other = take("li").unwrap();
        assert_eq!(take("chen").unwrap_err(), Full::All);
        drop(first);
        let again = take("chen").unwrap();
        drop((second, other, again));
        assert!(places.lock().is_empty());
    }
}
