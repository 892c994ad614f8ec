//! Which endpoint is asked: of two by chance the one with fewer open requests. Pure; chance is brought to it.
//!
//! Two by chance are nearly as good as all compared, and many gates that compare all would agree on one.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use super::standing::{FULL_SHARE, Place};

/// An endpoint as it is when it may be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Requests that it has or that wait for it.
    pub(super) open: usize,
    pub(super) place: Place,
    /// The chance that it takes part, in thousandths.
    pub(super) share: u32,
}

/// The one that is asked; `None` if health checks say that all are down.
///
/// Where all others are ejected or down, one that is only ejected is asked: the last one never is out.
pub(super) fn choose(candidates: &[Candidate], chance: u64) -> Option<usize> {
    let those = |place: Place| -> Vec<usize> {
        let numbered = candidates.iter().enumerate();
        numbered.filter(|(_, one)| one.place == place).map(|(number, _)| number).collect()
    };
    let mut present = those(Place::In);
    if present.is_empty() {
        present = those(Place::Ejected);
    }
    let takes_part = |number: &usize| {
        let share = candidates.get(*number).map_or(0, |one| one.share);
        let drawn = mixed(chance ^ wide(*number)) % u64::from(FULL_SHARE);
        drawn < u64::from(share)
    };
    let starting: Vec<usize> = present.iter().copied().filter(takes_part).collect();
    let of = if starting.is_empty() { present } else { starting };
    let (first, second) = two(&of, chance)?;
    let open = |number: usize| candidates.get(number).map_or(usize::MAX, |one| one.open);
    Some(if open(second) < open(first) { second } else { first })
}

/// Two different ones, or twice the only one.
fn two(of: &[usize], chance: u64) -> Option<(usize, usize)> {
    let count = wide(of.len());
    let at = |number: u64| of.get(usize::try_from(number).ok()?).copied();
    let first = chance.checked_rem(count)?;
    let step = (chance >> 32).checked_rem(count - 1).map_or(0, |step| step + 1);
    Some((at(first)?, at((first + step) % count)?))
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Numbers that spread well and that nobody must not guess (the finish of SplitMix64).
#[derive(Debug)]
pub(super) struct Chance(AtomicU64);

impl Chance {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(RandomState::new().hash_one(())))
    }

    pub(super) fn next(&self) -> u64 {
        mixed(self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed))
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Candidate = Candidate { open: 0, place: Place::In, share: FULL_SHARE };

    /// How often each is chosen in ten thousand times.
    fn drawn(candidates: &[Candidate]) -> Vec<u32> {
        let (chance, mut times) = (Chance(AtomicU64::new(7)), vec![0; candidates.len()]);
        for _ in 0..10_000 {
            times[choose(candidates, chance.next()).unwrap()] += 1;
        }
        times
    }

    #[test]
    fn those_with_equal_load_get_equal_shares() {
        for count in [1, 2, 3, 7] {
            let times = drawn(&vec![WELL; count]);
            let fair = 10_000 / u32::try_from(count).unwrap();
            assert!(times.iter().all(|t| t.abs_diff(fair) < 300), "{times:?}");
        }
    }

    #[test]
    fn the_one_with_most_open_requests_is_never_asked_and_the_one_with_fewest_most() {
        let with = |open| Candidate { open, ..WELL };
        assert_eq!(drawn(&[with(1), with(0)]), [0, 10_000]);
        let times = drawn(&[with(3), with(9), with(5)]);
        assert_eq!(times[1], 0);
        assert!(times[0].abs_diff(6_667) < 300, "{times:?}");
    }

    #[test]
    fn one_that_begins_slowly_gets_its_part_of_a_share() {
        let times = drawn(&[WELL, Candidate { share: 200, ..WELL }]);
        assert!(times[1].abs_diff(1_000) < 150, "half of a fifth: {times:?}");
        assert_eq!(drawn(&[Candidate { share: 100, ..WELL }]), [10_000], "who is alone takes all");
    }

    #[test]
    fn who_is_out_is_not_asked_and_the_last_one_is_only_out_if_it_is_down() {
        let is = |place| Candidate { place, ..WELL };
        assert_eq!(drawn(&[is(Place::Ejected), WELL, is(Place::Down)]), [0, 10_000, 0]);
        assert_eq!(drawn(&[is(Place::Ejected), is(Place::Down)]), [10_000, 0]);
        assert_eq!(choose(&[is(Place::Down), is(Place::Down)], 1), None);
        assert_eq!(choose(&[], 1), None);
    }
}
