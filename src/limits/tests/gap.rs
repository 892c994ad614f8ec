//! A time of which nobody knows what was released.

use super::*;

fn both() -> Terms {
    Terms {
        subjects: vec![Window::sliding(3, 3_600)],
        records: vec![Window::sliding(100, 86_400)],
        ..Terms::default()
    }
}

#[test]
fn after_a_gap_windows_that_reach_over_it_are_used_up_for_everybody_until_they_have_passed() {
    let world = World::new(&both());
    world.limits.unknown_until(Some(START));
    for who in ["ann", "bob who was never seen"] {
        let refused = world.limits.admit(who, &Arc::default(), &world.allowance).unwrap_err();
        assert_eq!(refused.limit, Limit::Budget(Budget::sliding(Unit::Records, 86_400)), "{who}");
    }
    world.clock.advance_ms(86_400_000);
    assert!(world.admit().is_err(), "the window still reaches it");
    world.clock.advance_ms(86_400_000 / 60 + 1);
    assert_eq!(world.seat().take_record(Some(1), None), Take::Release);
    assert!(world.limits.is_any_used_up(), "there may be longer windows");
}

#[test]
fn a_gap_lets_nobody_new_be_seen_and_who_was_seen_within_the_window_costs_nothing() {
    let mut world = World::new(&windows(Unit::Subjects, &[(3, 3_600)]));
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    wait(seat.persist()).unwrap();
    drop(seat);
    world.restart();
    world.limits.unknown_until(Some(START));
    let seat = world.seat();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    assert_eq!(seat.take_record(Some(2), None), held_back(Unit::Subjects, 3_600));
}

#[test]
fn a_clock_that_is_set_back_after_a_gap_opens_nothing_and_a_release_opens_all() {
    let world = World::new(&windows(Unit::Files, &[(3, 3_600)]));
    world.limits.unknown_until(Some(START + 7_200_000));
    assert!(world.seat().take_file().is_err());
    let seat = world.seat();
    world.limits.unknown_until(None);
    assert!(seat.take_file().is_err(), "a request keeps the terms that it began with");
    assert!(world.seat().take_file().is_ok());
}

#[test]
fn the_calendars_day_after_a_gap_is_used_up_until_midnight() {
    let zone = Zone::named("Asia/Shanghai").unwrap();
    let day = Window { limit: 5, period: Period::Day(zone.clone()) };
    let world = World::new(&Terms { requests: vec![day], ..Terms::default() });
    world.limits.unknown_until(Some(START));
    assert!(world.admit().is_err());
    let midnight = zone.begins_ms(zone.day(START) + 1);
    world.clock.advance_ms(midnight - START - 1);
    assert!(world.admit().is_err());
    world.clock.advance_ms(1);
    assert!(world.admit().is_ok());
}
