//! Room for bodies with files: how much of them is held at once, of all people together and of each.
//!
//! It is taken as bytes come: a body that is only said to be large, or drips, keeps nobody out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What all bodies with files together may take, in KiB.
const ROOM_KIB: usize = 256 * 1024;
/// What those of one person may take of it, in KiB. One alone may always be as large as its route lets it be.
const SHARE_KIB: usize = ROOM_KIB / 4;
/// Room is taken in such steps, so that there are never many who have some.
const STEP_KIB: usize = 64;

/// The room of all, and who has how much of it.
#[derive(Debug, Default)]
pub(super) struct Rooms(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    kib: usize,
    by_person: HashMap<Arc<str>, usize>,
}

/// The room of one body, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    rooms: Arc<Rooms>,
    person: Arc<str>,
    most_kib: usize,
    kib: usize,
}

impl Room {
    /// Room for a body of at most so many bytes; nothing of it is taken yet.
    pub(super) fn of(rooms: &Arc<Rooms>, person: Arc<str>, most_bytes: usize) -> Self {
        Self { rooms: Arc::clone(rooms), person, most_kib: in_steps(most_bytes), kib: 0 }
    }

    /// Takes what is missing to hold so many bytes of it; `false` if there is not so much.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let more = in_steps(bytes).saturating_sub(self.kib);
        if more == 0 {
            return true;
        }
        let mut taken = self.rooms.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_person.get(&self.person).copied().unwrap_or_default();
        let (all, own) = (taken.kib.saturating_add(more), own.saturating_add(more));
        if all > ROOM_KIB || own > SHARE_KIB.max(self.most_kib) {
            return false;
        }
        taken.kib = all;
        taken.by_person.insert(Arc::clone(&self.person), own);
        self.kib = self.kib.saturating_add(more);
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.kib == 0 {
            return;
        }
        let mut taken = self.rooms.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.kib = taken.kib.saturating_sub(self.kib);
        let own = taken.by_person.get(&self.person).copied().unwrap_or_default();
        match own.saturating_sub(self.kib) {
            0 => taken.by_person.remove(&self.person),
            left => taken.by_person.insert(Arc::clone(&self.person), left),
        };
    }
}

fn in_steps(bytes: usize) -> usize {
    bytes.div_ceil(STEP_KIB * 1024).saturating_mul(STEP_KIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn room(rooms: &Arc<Rooms>, person: &str, most_bytes: usize) -> Room {
        Room::of(rooms, person.into(), most_bytes)
    }

    #[test]
    fn what_is_only_announced_takes_no_room() {
        let rooms = Arc::new(Rooms::default());
        let mut dripping: Vec<Room> = (0..100).map(|_| room(&rooms, "evil", 60 * MIB)).collect();
        assert!(dripping.iter_mut().all(|room| room.hold(1)));
        assert!(room(&rooms, "honest", 60 * MIB).hold(60 * MIB));
    }

    #[test]
    fn a_person_has_a_quarter_or_one_body_and_leaves_the_rest_to_others() {
        let rooms = Arc::new(Rooms::default());
        let mut first = room(&rooms, "evil", 40 * MIB);
        assert!(first.hold(40 * MIB));
        let mut second = room(&rooms, "evil", 40 * MIB);
        assert!(second.hold(24 * MIB));
        assert!(!second.hold(25 * MIB), "a quarter is 64 MiB");
        let mut large = room(&rooms, "honest", 65 * MIB);
        assert!(large.hold(65 * MIB), "one body may be larger than a quarter");
        assert!(!room(&rooms, "honest", 65 * MIB).hold(1));
        drop((first, second, large));
        assert!(room(&rooms, "evil", 64 * MIB).hold(64 * MIB), "given back");
        let taken = rooms.0.lock().unwrap();
        assert!(taken.kib == 0 && taken.by_person.is_empty());
    }

    #[test]
    fn all_together_have_no_more_than_there_is_and_a_refusal_takes_nothing() {
        let rooms = Arc::new(Rooms::default());
        let mut held: Vec<Room> = (0..4).map(|n| room(&rooms, &n.to_string(), 64 * MIB)).collect();
        assert!(held.iter_mut().all(|room| room.hold(64 * MIB)));
        let mut late = room(&rooms, "late", MIB);
        assert!(!late.hold(1) && !late.hold(MIB));
        held.pop();
        assert!(late.hold(MIB));
    }
}
