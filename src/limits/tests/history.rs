//! Random histories of takes, releases, restarts and pauses, held against a naive account of them.

use std::collections::HashSet;

use proptest::prelude::{Just, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;

use super::*;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    Take { seat: usize, subject: u64, unmasks: bool },
    Persist(usize),
    GiveBack(usize),
    Reopen(usize),
    Restart,
    Tidy,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop_oneof![1..200_i64, 1_000..30_000_i64].prop_map(Step::Wait),
        10 => (0..3_usize, 0..12_u64, prop::bool::weighted(0.3))
            .prop_map(|(seat, subject, unmasks)| Step::Take { seat, subject, unmasks }),
        5 => (0..3_usize).prop_map(Step::Persist),
        1 => (0..3_usize).prop_map(Step::GiveBack),
        1 => (0..3_usize).prop_map(Step::Reopen),
        1 => Just(Step::Restart),
        1 => Just(Step::Tidy),
    ]
}

/// A record that was released: whose, and whether unmasked.
type Release = (u64, bool);

/// A naive account of the same history: every release with its moment.
#[derive(Default)]
struct Oracle {
    released: Vec<(i64, Release)>,
    taken: [Vec<Release>; 3],
    /// How much longer a release may count: after a restart, a window that had emptied starts with
    /// what the coarsest one knows.
    slack_ms: i64,
}

/// What some releases come to.
fn counted(unit: Unit, releases: impl Iterator<Item = Release>) -> u64 {
    let distinct = |subjects: HashSet<u64>| subjects.len() as u64;
    match unit {
        Unit::Subjects => distinct(releases.map(|(subject, _)| subject).collect()),
        Unit::Unmasked => {
            distinct(releases.filter(|(_, unmasks)| *unmasks).map(|(subject, _)| subject).collect())
        }
        Unit::Records | Unit::Bytes | Unit::Files | Unit::Requests | Unit::ZeroHits => {
            releases.count() as u64
        }
    }
}

impl Oracle {
    fn within(&self, since: i64) -> impl Iterator<Item = Release> {
        self.released.iter().filter(move |(at, _)| *at > since).map(|(_, release)| *release)
    }

    fn check(&self, limits: &[(Unit, u64, u32)], now: i64) -> Result<(), TestCaseError> {
        for &(unit, limit, seconds) in limits {
            let count = counted(unit, self.within(now - i64::from(seconds) * 1_000));
            prop_assert!(count <= limit, "{count} {unit:?} in {seconds} s");
        }
        Ok(())
    }

    /// Whether every limit has room even if each bucket counted one width longer.
    fn has_room(&self, release: Release, limits: &[(Unit, u64, u32)], now: i64) -> bool {
        limits.iter().all(|&(unit, limit, seconds)| {
            let longer = i64::from(seconds) * 1_000 * 62 / 60 + self.slack_ms;
            let taken = self.taken.iter().flatten().copied();
            counted(unit, self.within(now - longer).chain(taken).chain([release])) <= limit
        })
    }
}

fn replay(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let limits = [
        (Unit::Subjects, 4, 10),
        (Unit::Subjects, 7, 60),
        (Unit::Records, 15, 30),
        (Unit::Unmasked, 2, 20),
    ];
    let mut terms = windows(Unit::Subjects, &[(4, 10), (7, 60)]);
    terms.unmask = vec![Window::sliding(2, 20)];
    terms.records = vec![Window::sliding(15, 30)];
    let mut world = World::new(&terms);
    let mut oracle = Oracle::default();
    let mut seats = [world.admit().ok(), world.admit().ok(), world.admit().ok()];
    for step in steps {
        let now = world.clock.unix_ms();
        match step {
            Step::Wait(ms) => world.clock.advance_ms(ms),
            Step::Take { seat, subject, unmasks } => {
                let Some(open) = &seats[seat] else { continue };
                let room = oracle.has_room((subject, unmasks), &limits, now);
                let unmasked = unmasks.then_some(subject);
                if open.take_record(Some(subject), unmasked) == Take::Release {
                    oracle.taken[seat].push((subject, unmasks));
                } else {
                    prop_assert!(!room, "held back although there is room");
                }
            }
            Step::Persist(seat) => {
                let Some(open) = &seats[seat] else { continue };
                prop_assert!(wait(open.persist()).is_ok());
                oracle.released.extend(oracle.taken[seat].drain(..).map(|release| (now, release)));
                oracle.check(&limits, now)?;
            }
            Step::GiveBack(seat) => {
                if let Some(open) = &seats[seat] {
                    open.give_back();
                }
                oracle.taken[seat].clear();
            }
            Step::Reopen(seat) => {
                seats[seat] = None;
                oracle.taken[seat].clear();
                seats[seat] = world.admit().ok();
            }
            Step::Restart => {
                drop(std::mem::take(&mut seats));
                oracle.taken = Default::default();
                oracle.slack_ms = 1_000;
                world.restart();
                seats = std::array::from_fn(|_| world.admit().ok());
            }
            Step::Tidy => prop_assert_eq!(wait(world.limits.tidy()).is_ok(), true),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_span_of_a_windows_length_ever_exceeds_its_limit(
        steps in prop::collection::vec(step(), 1..150)
    ) {
        replay(steps)?;
    }
}
