//! Requests in long windows, written ahead in leases, and searches that find nobody.

use super::*;

fn asked(world: &World, times: usize) -> usize {
    (0..times).take_while(|_| ask(world)).count()
}

/// One request with an answer.
fn ask(world: &World) -> bool {
    let Ok(seat) = world.admit() else { return false };
    wait(seat.persist()).unwrap();
    true
}

#[test]
fn requests_in_a_long_window_survive_a_restart_and_a_crash_costs_a_lease_at_most() {
    let mut world = World::new(&windows(Unit::Requests, &[(320, 3_600)]));
    assert_eq!(asked(&world, 101), 101);
    // A lease is a thirty-second: ten. Eleven were written for 101 requests.
    assert_eq!(world.store.writes.load(Ordering::SeqCst), 11);
    world.restart();
    let left = asked(&world, 1_000);
    assert_eq!(left, 320 - 110);
    world.restart();
    assert_eq!(asked(&world, 1), 0);
    world.clock.advance_ms(3_600_000 + 60_001);
    assert_eq!(asked(&world, 1_000), 320);
}

#[test]
fn whoever_asks_rarely_is_charged_for_what_was_asked_and_not_for_leases() {
    let mut world = World::new(&windows(Unit::Requests, &[(320, 3_600)]));
    for _ in 0..50 {
        assert!(ask(&world));
        world.clock.advance_ms(61_000);
    }
    let stored: u64 = world.store.load().unwrap().amounts.iter().map(|row| row.amount).sum();
    assert_eq!(stored, 49 + 10);
    world.restart();
    assert_eq!(asked(&world, 1_000), 320 - 59);
}

#[test]
fn no_hour_sees_more_requests_than_its_limit_whenever_leases_were_taken() {
    let world = World::new(&windows(Unit::Requests, &[(100, 3_600)]));
    let mut times: Vec<i64> = Vec::new();
    for step in 0..2_000_i64 {
        if ask(&world) {
            times.push(world.clock.unix_ms());
        }
        world.clock.advance_ms(17_000 + step % 7 * 9_000);
        let since = world.clock.unix_ms() - 3_600_000;
        assert!(times.iter().filter(|at| **at > since).count() <= 100);
    }
    assert!(times.len() > 1_000, "{}", times.len());
}

#[test]
fn a_clock_set_back_refills_no_long_window_of_requests() {
    let world = World::new(&windows(Unit::Requests, &[(64, 3_600)]));
    assert_eq!(asked(&world, 100), 64);
    for _ in 0..5 {
        world.clock.advance_ms(-7_200_000);
        assert_eq!(asked(&world, 1), 0);
    }
    world.clock.advance_ms(-120_000);
    wait(world.limits.tidy()).unwrap();
    assert_eq!(asked(&world, 1), 0);
}

#[test]
fn parallel_requests_never_exceed_a_long_window_together() {
    let world = World::new(&windows(Unit::Requests, &[(100, 3_600)]));
    let passed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..20 {
                    if ask(&world) {
                        passed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 100);
    let stored: u64 = world.store.load().unwrap().amounts.iter().map(|row| row.amount).sum();
    assert_eq!(stored, 100);
}

/// One search, of which this was found.
fn search(world: &World, found: Option<bool>) -> bool {
    let seat = world.admit().unwrap();
    if seat.take_search().is_err() {
        return false;
    }
    if let Some(anybody) = found {
        seat.found(anybody);
        wait(seat.persist()).unwrap();
    }
    true
}

#[test]
fn only_searches_that_find_nobody_count_and_they_survive_a_restart() {
    let mut world = World::new(&windows(Unit::ZeroHits, &[(2, 600)]));
    for found in [Some(true), None, Some(true), Some(false), Some(true), Some(false)] {
        assert!(search(&world, found), "{found:?}");
    }
    assert!(!search(&world, Some(true)));
    // Other requests go on.
    assert_eq!(world.seat().take_record(Some(1), None), Take::Release);
    world.restart();
    let refused = world.seat().take_search().unwrap_err();
    assert_eq!(refused.limit.to_string(), "zero-hits-10m");
    world.clock.advance_ms(i64::try_from(refused.retry_after_s).unwrap() * 1_000);
    assert!(search(&world, Some(true)));
}

#[test]
fn searches_under_way_count_as_if_they_found_nobody() {
    let world = World::new(&windows(Unit::ZeroHits, &[(2, 600)]));
    let (one, two) = (world.seat(), world.seat());
    assert!(one.take_search().is_ok() && two.take_search().is_ok());
    assert!(!search(&world, Some(true)));
    two.found(true);
    // What leaves meanwhile books nothing of a search that is not decided.
    assert_eq!(one.take_record(Some(1), None), Take::Release);
    wait(one.persist()).unwrap();
    assert!(world.store.load().unwrap().amounts.is_empty());
    assert!(search(&world, Some(true)));
    drop(one);
    assert!(search(&world, Some(false)) && search(&world, Some(false)) && !search(&world, None));
}

#[test]
fn what_held_an_answer_back_first_is_told_with_the_time_when_it_frees() {
    let mut terms = windows(Unit::Subjects, &[(1, 60)]);
    terms.records = vec![Window::sliding(5, 60)];
    let world = World::new(&terms);
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    assert_eq!(seat.refusal().limit, Limit::Rows);
    wait(seat.persist()).unwrap();
    assert_eq!(seat.take_record(Some(2), None), held_back(Unit::Subjects, 60));
    let refused = seat.refusal();
    assert_eq!((refused.limit.to_string().as_str(), refused.retry_after_s), ("subjects-1m", 61));
    assert_eq!(refused.quotas.len(), 2);
}

#[test]
fn an_answer_that_comes_near_a_limit_is_noticed_once() {
    let world = World::new(&windows(Unit::Records, &[(10, 60)]));
    let near = |times: usize| {
        let seat = world.seat();
        for _ in 0..times {
            assert_eq!(seat.take_record(None, None), Take::Release);
        }
        wait(seat.persist()).unwrap();
        seat.came_near()
    };
    assert_eq!(near(8), []);
    assert_eq!(near(1), [("records", "person")]);
    assert_eq!(near(1), []);
}

#[test]
fn requests_of_a_short_window_are_told_to_a_store_that_began_anew() {
    let world = World::new(&windows(Unit::Requests, &[(5, 60)]));
    drop((world.seat(), world.seat()));
    world.clock.advance_ms(5_000);
    drop(world.seat());
    let released = world.limits.released();
    let past = Vec::from_iter(released.iter().flat_map(|released| released.past.iter()));
    assert_eq!(past.iter().map(|(amount, _)| amount).sum::<u64>(), 3);
    assert!(past.iter().all(|(_, age_ms)| *age_ms <= 5_000), "{past:?}");
    assert!(past.iter().any(|(_, age_ms)| *age_ms >= 4_000), "{past:?}");
}
