//! Limits as a whole: what no window may exceed, over answers at once, restarts and a lost store.

mod durable;
mod gap;
mod history;
mod shared;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::store::memory::MemoryStore;
use super::*;

const START: i64 = 1_800_000_000_000;

struct World {
    clock: Clock,
    store: Arc<MemoryStore>,
    limits: Limits,
    allowance: Arc<Allowance>,
}

impl World {
    fn new(terms: &Terms) -> Self {
        Self::with(terms, Settings::default())
    }

    fn with(terms: &Terms, settings: Settings) -> Self {
        let clock = Clock::fixed(START);
        let store = Arc::new(MemoryStore::default());
        let limits = Limits::open(settings, &clock, store.clone()).unwrap();
        Self {
            clock,
            store,
            limits,
            allowance: Arc::new(Allowance::new(std::slice::from_ref(terms)).unwrap()),
        }
    }

    fn restart(&mut self) {
        let store = Arc::clone(&self.store);
        self.limits = Limits::open(Settings::default(), &self.clock, store).unwrap();
    }

    fn admit(&self) -> Result<Seat, Refused> {
        self.limits.admit("ann", &Arc::default(), &self.allowance)
    }

    fn seat(&self) -> Seat {
        self.admit().unwrap()
    }

    fn change_policy(&mut self, terms: &Terms) {
        self.allowance = Arc::new(Allowance::new(std::slice::from_ref(terms)).unwrap());
    }
}

fn windows(unit: Unit, windows: &[(u64, u32)]) -> Terms {
    let windows = windows.iter().map(|&(limit, seconds)| Window::sliding(limit, seconds)).collect();
    match unit {
        Unit::Records => Terms { records: windows, ..Terms::default() },
        Unit::Subjects => Terms { subjects: windows, ..Terms::default() },
        Unit::Bytes => Terms { bytes: windows, ..Terms::default() },
        Unit::Unmasked => Terms { unmask: windows, ..Terms::default() },
        Unit::Files => Terms { files: windows, ..Terms::default() },
        Unit::Requests => Terms { requests: windows, ..Terms::default() },
        Unit::ZeroHits => Terms { zero_hits: windows, ..Terms::default() },
    }
}

fn held_back(unit: Unit, seconds: u32) -> Take {
    Take::HoldBack(Limit::Budget(Budget::sliding(unit, seconds)))
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

#[test]
fn a_subject_already_seen_costs_nothing_and_a_new_one_beyond_the_limit_is_held_back() {
    let world = World::new(&windows(Unit::Subjects, &[(2, 3_600)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    assert_eq!(seat.take_record(Some(2), None), Take::Release);
    wait(seat.persist()).unwrap();
    drop(seat);
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(3), None), held_back(Unit::Subjects, 3_600));
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    assert_eq!(seat.take_record(None, None), Take::Release);
}

#[test]
fn used_up_records_refuse_the_request_and_say_truly_when_to_come_back() {
    let world = World::new(&windows(Unit::Records, &[(2, 60)]));
    let seat = world.seat();
    assert_eq!(
        (seat.take_record(None, None), seat.take_record(None, None)),
        (Take::Release, Take::Release)
    );
    assert_eq!(seat.take_record(None, None), held_back(Unit::Records, 60));
    wait(seat.persist()).unwrap();
    drop(seat);
    let refused = world.admit().unwrap_err();
    assert_eq!(refused.limit.to_string(), "records-1m");
    assert_eq!(refused.quotas[0].remaining, 0);
    world.clock.advance_ms(60_000);
    assert!(world.admit().is_err());
    let wait_ms = i64::try_from(refused.retry_after_s).unwrap() * 1_000;
    world.clock.advance_ms(wait_ms - 60_000);
    assert_eq!(world.seat().take_record(None, None), Take::Release);
}

#[test]
fn bytes_are_taken_whole_or_not_at_all() {
    let world = World::new(&windows(Unit::Bytes, &[(100, 60)]));
    let seat = world.seat();
    assert_eq!(seat.take_bytes(99), Take::Release);
    assert_eq!(seat.take_bytes(2), held_back(Unit::Bytes, 60));
    assert_eq!(seat.take_bytes(1), Take::Release);
    assert_eq!(seat.take_bytes(u64::MAX), held_back(Unit::Bytes, 60));
}

#[test]
fn a_record_that_one_budget_holds_back_costs_the_others_nothing() {
    let mut terms = windows(Unit::Subjects, &[(1, 60)]);
    terms.records = vec![Window::sliding(10, 60)];
    let world = World::new(&terms);
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    assert_eq!(seat.take_record(Some(2), None), held_back(Unit::Subjects, 60));
    let counters = seat.counters();
    assert_eq!((counters[0].before, counters[0].after), (0, 1));
    assert_eq!((counters[1].before, counters[1].after), (0, 1));
}

#[test]
fn what_is_given_back_or_dropped_unreleased_is_free_again() {
    let world = World::new(&windows(Unit::Subjects, &[(1, 60)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    seat.give_back();
    assert_eq!(seat.take_record(Some(2), None), Take::Release);
    drop(seat);
    assert_eq!(world.seat().take_record(Some(3), None), Take::Release);
    assert_eq!(world.store.rows(), 0);
}

#[test]
fn giving_back_leaves_what_another_answer_holds_of_the_same_subject() {
    let world = World::new(&windows(Unit::Subjects, &[(1, 60)]));
    let (one, two) = (world.seat(), world.seat());
    assert_eq!(one.take_record(Some(1), None), Take::Release);
    assert_eq!(two.take_record(Some(1), None), Take::Release);
    one.give_back();
    assert_eq!(one.take_record(Some(2), None), held_back(Unit::Subjects, 60));
    wait(two.persist()).unwrap();
    drop((one, two));
    assert_eq!(world.seat().take_record(Some(2), None), held_back(Unit::Subjects, 60));
}

#[test]
fn an_answer_that_stalls_counts_from_its_release_and_not_from_its_taking() {
    let world = World::new(&windows(Unit::Records, &[(1, 60)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(None, None), Take::Release);
    world.clock.advance_ms(600_000);
    assert!(world.admit().is_err());
    wait(seat.persist()).unwrap();
    drop(seat);
    world.clock.advance_ms(60_000);
    assert!(world.admit().is_err());
}

#[test]
fn a_restart_does_not_refill() {
    let mut terms = windows(Unit::Subjects, &[(2, 3_600)]);
    terms.records = vec![Window::sliding(5, 3_600)];
    let mut world = World::new(&terms);
    let seat = world.seat();
    for subject in [1, 2, 1] {
        assert_eq!(seat.take_record(Some(subject), None), Take::Release);
    }
    wait(seat.persist()).unwrap();
    drop(seat);
    world.restart();
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(3), None), held_back(Unit::Subjects, 3_600));
    assert_eq!(
        (seat.take_record(Some(1), None), seat.take_record(Some(2), None)),
        (Take::Release, Take::Release)
    );
    assert_eq!(seat.take_record(Some(1), None), held_back(Unit::Records, 3_600));
}

#[test]
fn a_new_window_starts_with_what_the_old_one_knows() {
    let mut world = World::new(&windows(Unit::Subjects, &[(2, 3_600)]));
    let seat = world.seat();
    assert_eq!(
        (seat.take_record(Some(1), None), seat.take_record(Some(2), None)),
        (Take::Release, Take::Release)
    );
    wait(seat.persist()).unwrap();
    drop(seat);
    world.change_policy(&windows(Unit::Subjects, &[(2, 7_200)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(3), None), held_back(Unit::Subjects, 7_200));
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    wait(seat.persist()).unwrap();
    drop(seat);
    world.restart();
    assert_eq!(world.seat().take_record(Some(3), None), held_back(Unit::Subjects, 7_200));
}

#[test]
fn what_a_person_takes_under_one_policy_counts_under_their_other() {
    let hourly = windows(Unit::Records, &[(3, 3_600)]);
    let daily = windows(Unit::Records, &[(100, 86_400)]);
    let mut world = World::new(&hourly);
    drop(world.seat());
    world.change_policy(&daily);
    let seat = world.seat();
    for _ in 0..3 {
        assert_eq!(seat.take_record(None, None), Take::Release);
    }
    wait(seat.persist()).unwrap();
    world.change_policy(&hourly);
    assert!(world.admit().is_err());
}

#[test]
fn a_lost_store_releases_nothing_and_forgets_nothing() {
    let world = World::new(&windows(Unit::Records, &[(3, 60)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(None, None), Take::Release);
    world.store.lost.store(true, Ordering::SeqCst);
    assert!(matches!(wait(seat.persist()), Err(LimitError::Store(_))));
    drop(seat);
    let seat = world.seat();
    assert_eq!(seat.counters()[0].before, 1);
    assert_eq!(seat.take_record(None, None), Take::Release);
    world.store.lost.store(false, Ordering::SeqCst);
    wait(seat.persist()).unwrap();
    let stored: u64 = world.store.load().unwrap().amounts.iter().map(|row| row.amount).sum();
    assert_eq!(stored, 2);
}

#[test]
fn limits_do_not_open_on_a_lost_store() {
    let store = Arc::new(MemoryStore::default());
    store.lost.store(true, Ordering::SeqCst);
    let opened = Limits::open(Settings::default(), &Clock::fixed(START), store);
    assert!(matches!(opened, Err(LimitError::Store(_))));
}

struct Stuck;

impl UsageStore for Stuck {
    fn of<'a>(&'a self, _holder: &'a str) -> UsageFuture<'a> {
        Box::pin(std::future::pending())
    }

    fn load(&self) -> Result<Usage, StoreError> {
        Ok(Usage::default())
    }

    fn add(&self, _: Vec<UsageChange>) -> StoreFuture<'_> {
        Box::pin(std::future::pending())
    }

    fn is_failing(&self) -> bool {
        false
    }
}

#[test]
fn a_store_that_does_not_answer_is_a_lost_store() {
    let settings = Settings { store_deadline: Duration::from_millis(20), ..Settings::default() };
    let limits = Limits::open(settings, &Clock::fixed(START), Arc::new(Stuck)).unwrap();
    let allowance = Arc::new(Allowance::new(&[windows(Unit::Records, &[(1, 60)])]).unwrap());
    let seat = limits.admit("ann", &Arc::default(), &allowance).unwrap();
    assert_eq!(seat.take_record(None, None), Take::Release);
    assert!(matches!(wait(seat.persist()), Err(LimitError::Slow(_))));
    drop(seat);
    assert!(limits.admit("ann", &Arc::default(), &allowance).is_err());
}

#[test]
fn a_write_dropped_half_way_leaves_everything_counted() {
    let world = World::new(&windows(Unit::Records, &[(1, 60)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(None, None), Take::Release);
    let mut persist = seat.persist();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = wait(async { persist.as_mut().poll(&mut context).is_pending() });
    assert!(polled);
    drop((persist, seat));
    assert!(world.admit().is_err());
}

#[test]
fn nothing_new_is_not_written() {
    let world = World::new(&windows(Unit::Subjects, &[(5, 3_600)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    wait(seat.persist()).unwrap();
    wait(seat.persist()).unwrap();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    wait(seat.persist()).unwrap();
    assert_eq!(world.store.writes.load(Ordering::SeqCst), 1);
}

#[test]
fn answers_at_once_never_exceed_a_limit_together() {
    let mut terms = windows(Unit::Subjects, &[(40, 3_600)]);
    terms.records = vec![Window::sliding(60, 3_600)];
    let world = World::new(&terms);
    let released = AtomicU64::new(0);
    let subjects = Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for worker in 0..100_u64 {
            let (world, released, subjects) = (&world, &released, &subjects);
            scope.spawn(move || {
                let Ok(seat) = world.admit() else { return };
                for turn in 0..5 {
                    let subject = (worker * 7 + turn) % 90;
                    if seat.take_record(Some(subject), None) == Take::Release {
                        if worker % 4 == 0 {
                            seat.give_back();
                            continue;
                        }
                        wait(seat.persist()).unwrap();
                        released.fetch_add(1, Ordering::SeqCst);
                        subjects.lock().unwrap().insert(subject);
                    }
                }
            });
        }
    });
    let (released, subjects) = (released.into_inner(), subjects.into_inner().unwrap());
    assert!((41..=60).contains(&released), "{released}");
    assert!((1..=40).contains(&subjects.len()), "{}", subjects.len());
    let stored: u64 = world.store.load().unwrap().amounts.iter().map(|row| row.amount).sum();
    assert_eq!(stored, released);
}

#[test]
fn a_person_has_at_most_their_requests_at_once_and_everybody_the_common_cap() {
    let terms = Terms { concurrent: Some(2), ..Terms::default() };
    let world = World::with(&terms, Settings { in_flight: 3, ..Settings::default() });
    let (one, _two) = (world.seat(), world.seat());
    assert_eq!(world.admit().unwrap_err().limit, Limit::Concurrent);
    let _bob = world.limits.admit("bob", &Arc::default(), &world.allowance).unwrap();
    assert_eq!(
        world.limits.admit("eve", &Arc::default(), &world.allowance).unwrap_err().limit,
        Limit::InFlight
    );
    drop(one);
    assert!(world.admit().is_ok());
}

#[test]
fn a_rate_refuses_and_says_when_it_allows_again() {
    let rate = Some(Rate { per_window: 6, window_s: 60, burst: 2 });
    let world = World::new(&Terms { rate, ..Terms::default() });
    assert!(world.admit().is_ok() && world.admit().is_ok());
    let refused = world.admit().unwrap_err();
    assert_eq!((refused.limit, refused.retry_after_s), (Limit::Rate(Slice::default()), 10));
    let fields = RateLimitFields::of(&refused.quotas).unwrap();
    assert_eq!(
        (fields.policy, fields.state),
        (r#""rate";q=6;w=60"#.parse().unwrap(), r#""rate";r=0;t=10"#.parse().unwrap())
    );
    assert!(world.limits.admit("bob", &Arc::default(), &world.allowance).is_ok());
    world.clock.advance_ms(10_000);
    assert!(world.admit().is_ok());
}

#[test]
fn a_person_for_whom_there_is_no_room_is_refused_until_somebody_can_be_forgotten() {
    let terms = windows(Unit::Records, &[(10, 60)]);
    let world = World::with(&terms, Settings { persons: 1, ..Settings::default() });
    let seat = world.seat();
    assert_eq!(seat.take_record(None, None), Take::Release);
    wait(seat.persist()).unwrap();
    drop(seat);
    let bob = || world.limits.admit("bob", &Arc::default(), &world.allowance);
    assert_eq!(bob().unwrap_err().limit, Limit::Memory);
    world.clock.advance_ms(120_000);
    assert!(bob().is_ok());
}

#[test]
fn grants_whose_uses_are_counted_take_no_places_of_people() {
    let terms = windows(Unit::Files, &[(10, 60)]);
    let world = World::with(&terms, Settings { persons: 1, ..Settings::default() });
    let admit = |name: &str| world.limits.admit(name, &Arc::default(), &world.allowance);
    let seat = admit("%grant:G-1").unwrap();
    assert!(seat.take_file().is_ok());
    wait(seat.persist()).unwrap();
    drop(seat);
    assert_eq!(admit("%grant:G-2").unwrap_err().limit, Limit::Memory);
    let seat = admit("bob").unwrap();
    assert!(seat.take_file().is_ok());
    wait(seat.persist()).unwrap();
    assert_eq!(world.limits.settled("%grant:G-1", Unit::Files), 1);
    assert_eq!(world.limits.standings(None).len(), 2);
}

#[test]
fn subjects_beyond_the_memory_for_them_are_held_back() {
    let terms = windows(Unit::Subjects, &[(100, 60)]);
    let world = World::with(&terms, Settings { subjects: 2, ..Settings::default() });
    let seat = world.seat();
    assert_eq!(
        (seat.take_record(Some(1), None), seat.take_record(Some(2), None)),
        (Take::Release, Take::Release)
    );
    assert_eq!(seat.take_record(Some(3), None), Take::HoldBack(Limit::Memory));
    seat.give_back();
    assert_eq!(seat.take_record(Some(3), None), Take::Release);
}

#[test]
fn an_emptied_window_starts_empty_however_much_a_longer_one_knows() {
    let world = World::new(&windows(Unit::Subjects, &[(1, 60), (100, 86_400)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    wait(seat.persist()).unwrap();
    drop(seat);
    world.clock.advance_ms(62_000);
    wait(world.limits.tidy()).unwrap();
    assert_eq!(world.seat().take_record(Some(2), None), Take::Release);
}

#[test]
fn what_has_left_its_window_is_forgotten_in_memory_and_store() {
    let mut world = World::new(&windows(Unit::Subjects, &[(10, 60)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    wait(seat.persist()).unwrap();
    drop(seat);
    world.restart();
    wait(world.limits.tidy()).unwrap();
    assert_eq!((world.store.rows(), world.limits.purses.len()), (1, 1));
    world.clock.advance_ms(120_000);
    wait(world.limits.tidy()).unwrap();
    assert_eq!((world.store.rows(), world.limits.purses.len()), (0, 0));
}

#[test]
fn one_person_cannot_take_every_place_though_the_policy_sets_no_number() {
    let settings = Settings { in_flight: 100, in_flight_each: 3, ..Settings::default() };
    let world = World::with(&Terms::default(), settings);
    let seats: Vec<_> = (0..3).map(|_| world.seat()).collect();
    assert_eq!(world.admit().unwrap_err().limit, Limit::Concurrent);
    assert!(world.limits.admit("bob", &Arc::default(), &world.allowance).is_ok());
    drop(seats);
    assert!(world.admit().is_ok());
}

#[test]
fn a_subject_unmasked_before_costs_nothing_and_a_new_one_beyond_the_limit_is_held_back() {
    let mut world = World::new(&windows(Unit::Unmasked, &[(1, 3_600)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), Some(1)), Take::Release);
    assert_eq!(seat.take_record(Some(2), None), Take::Release);
    wait(seat.persist()).unwrap();
    drop(seat);
    world.restart();
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(2), Some(2)), held_back(Unit::Unmasked, 3_600));
    assert_eq!(seat.take_record(Some(2), None), Take::Release);
    assert_eq!(seat.take_record(Some(1), Some(1)), Take::Release);
}

#[test]
fn an_unmasked_record_that_is_held_back_costs_no_other_budget() {
    let mut terms = windows(Unit::Unmasked, &[(1, 60)]);
    terms.subjects = vec![Window::sliding(10, 60)];
    terms.records = vec![Window::sliding(10, 60)];
    let world = World::new(&terms);
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), Some(1)), Take::Release);
    assert_eq!(seat.take_record(Some(2), Some(2)), held_back(Unit::Unmasked, 60));
    let after: Vec<u64> = seat.counters().iter().map(|counter| counter.after).collect();
    assert_eq!(after, [1, 1, 1]);
}

#[test]
fn memory_that_is_full_for_the_unmasked_holds_nobody_half() {
    let mut terms = windows(Unit::Unmasked, &[(100, 60)]);
    terms.subjects = vec![Window::sliding(100, 60)];
    let world = World::with(&terms, Settings { subjects: 3, ..Settings::default() });
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), Some(1)), Take::Release);
    assert_eq!(seat.take_record(Some(2), Some(2)), Take::HoldBack(Limit::Memory));
    assert_eq!(seat.take_record(Some(2), None), Take::Release);
    assert_eq!(seat.take_record(Some(3), None), Take::HoldBack(Limit::Memory));
}

#[test]
fn a_file_counts_once_it_is_durable_and_is_free_again_if_it_never_was() {
    let mut world = World::new(&windows(Unit::Files, &[(1, 60)]));
    let (one, two) = (world.seat(), world.seat());
    one.take_file().unwrap();
    assert_eq!(two.take_file().unwrap_err().retry_after_s, 1);
    drop(one);
    two.take_file().unwrap();
    wait(two.persist()).unwrap();
    drop(two);
    world.restart();
    let refused = world.seat().take_file().unwrap_err();
    assert_eq!((refused.limit.to_string(), refused.quotas[0].remaining), ("files-1m".into(), 0));
    world.clock.advance_ms(i64::try_from(refused.retry_after_s).unwrap() * 1_000);
    world.seat().take_file().unwrap();
}

#[test]
fn a_used_up_budget_of_files_or_of_the_unmasked_refuses_no_other_request() {
    for unit in [Unit::Files, Unit::Unmasked] {
        let world = World::new(&windows(unit, &[(0, 60)]));
        let seat = world.seat();
        assert_eq!(seat.take_record(Some(1), None), Take::Release);
        assert_eq!(seat.take_file().is_ok(), unit == Unit::Unmasked);
    }
}

#[test]
fn requests_in_a_short_window_are_refused_beyond_it_and_forgotten_at_a_restart() {
    let requests = vec![Window::sliding(3, 60), Window::sliding(4, 3_599)];
    let mut world = World::new(&Terms { requests, ..Terms::default() });
    for left in [2, 1, 0] {
        assert_eq!(world.seat().quotas()[0].remaining, left);
    }
    let refused = world.admit().unwrap_err();
    assert_eq!((refused.limit.to_string(), refused.retry_after_s), ("requests-1m".into(), 61));
    assert_eq!(refused.quotas.len(), 2);
    world.clock.advance_ms(61_000);
    assert!(world.admit().is_ok());
    assert_eq!(
        world.admit().unwrap_err().limit,
        Limit::Budget(Budget::sliding(Unit::Requests, 3_599))
    );
    world.restart();
    assert!(world.admit().is_ok());
}

#[test]
fn a_clock_that_is_set_back_refills_no_window_of_requests() {
    let requests = vec![Window::sliding(1, 60)];
    let world = World::new(&Terms { requests, ..Terms::default() });
    assert!(world.admit().is_ok());
    world.clock.advance_ms(-3_600_000);
    assert!(world.admit().is_err());
    wait(world.limits.tidy()).unwrap();
    assert!(world.admit().is_err());
    world.clock.advance_ms(3_662_000);
    assert!(world.admit().is_ok());
}

#[test]
fn a_window_of_requests_that_cannot_be_kept_is_refused() {
    for window in [
        Window::sliding(0, 60),
        Window::sliding(1_000_001, 60),
        Window::sliding(1, 366 * 86_400 + 1),
    ] {
        let fault = Allowance::new(&[Terms { requests: vec![window], ..Terms::default() }]);
        assert_eq!(fault.unwrap_err(), AllowanceFault::Rate);
    }
}
