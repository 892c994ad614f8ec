//! Budgets of several holders at once, and of slices of requests.

use std::collections::HashMap;

use proptest::prelude::{prop_assert, proptest};

use super::*;

fn teller(windows: Terms) -> Terms {
    Terms { holder: Holder::Role("teller".into()), ..windows }
}

fn world(terms: &[Terms]) -> World {
    let mut world = World::new(&Terms::default());
    world.allowance = Arc::new(Allowance::new(terms).unwrap());
    world
}

fn seat(world: &World, asker: Asker<'_>) -> Seat {
    world.limits.admit(asker, &Arc::default(), &world.allowance).unwrap()
}

fn give(world: &World, asker: Asker<'_>, subject: u64) -> Take {
    let seat = seat(world, asker);
    let take = seat.take_record(Some(subject), None);
    wait(seat.persist()).unwrap();
    take
}

fn on(purpose: &str) -> Arc<Occasion> {
    Arc::new(Occasion { purpose: Some(purpose.into()), ..Occasion::default() })
}

#[test]
fn a_role_shares_one_budget_and_each_person_has_another() {
    let mut world = world(&[
        windows(Unit::Subjects, &[(3, 3_600)]),
        teller(windows(Unit::Subjects, &[(4, 3_600)])),
    ]);
    for subject in 1..=3 {
        assert_eq!(give(&world, "ann".into(), subject), Take::Release);
    }
    assert_eq!(give(&world, "ann".into(), 4), held_back(Unit::Subjects, 3_600));
    assert_eq!(give(&world, "bob".into(), 4), Take::Release);
    // Whom a colleague saw costs the role nothing more.
    assert_eq!(give(&world, "bob".into(), 1), Take::Release);
    world.restart();
    assert_eq!(give(&world, "bob".into(), 5), held_back(Unit::Subjects, 3_600));
    assert_eq!(give(&world, "eve".into(), 3), Take::Release);
}

#[test]
fn what_one_holder_has_no_room_for_costs_the_others_nothing() {
    let world =
        world(&[windows(Unit::Records, &[(10, 60)]), teller(windows(Unit::Records, &[(1, 60)]))]);
    let seat = seat(&world, "ann".into());
    assert_eq!(seat.take_record(None, None), Take::Release);
    assert_eq!(seat.take_record(None, None), held_back(Unit::Records, 60));
    let after: Vec<_> = seat.counters().iter().map(|c| (c.holder.clone(), c.after)).collect();
    assert_eq!(after, [(Holder::Role("teller".into()), 1), (Holder::Person, 1)]);
}

#[test]
fn a_shared_budget_that_is_used_up_refuses_and_tells_nothing_of_how_it_stands() {
    let world =
        world(&[windows(Unit::Records, &[(10, 60)]), teller(windows(Unit::Records, &[(1, 60)]))]);
    assert_eq!(give(&world, "ann".into(), 1), Take::Release);
    let refused = world.limits.admit("bob", &Arc::default(), &world.allowance).unwrap_err();
    assert_eq!(refused.holder, Holder::Role("teller".into()));
    let told: Vec<_> = refused.quotas.iter().map(|q| (q.quota, q.remaining)).collect();
    assert_eq!(told, [(10, 10)]);
}

#[test]
fn each_tenant_of_a_caller_counts_and_who_has_none_counts_with_the_others_who_have_none() {
    let terms = Terms { holder: Holder::Tenant, ..windows(Unit::Subjects, &[(1, 60)]) };
    let world = world(&[terms]);
    let of = |person, tenants| Asker { person, tenants, partner: None };
    let (north, both) = (["north".to_owned()], ["north".to_owned(), "south".to_owned()]);
    assert_eq!(give(&world, of("ann", &both), 1), Take::Release);
    assert_eq!(give(&world, of("bob", &north), 2), held_back(Unit::Subjects, 60));
    assert_eq!(give(&world, of("bob", &north), 1), Take::Release);
    assert_eq!(give(&world, of("eve", &[]), 2), Take::Release);
    assert_eq!(give(&world, of("kim", &[]), 3), held_back(Unit::Subjects, 60));
}

#[test]
fn a_slice_counts_its_own_requests_and_the_whole_counts_them_too() {
    let marketing = Slice::of(["marketing"], [], []);
    let sliced = Terms { slice: marketing, ..windows(Unit::Subjects, &[(1, 3_600)]) };
    let all = Arc::new(
        Allowance::new(&[windows(Unit::Subjects, &[(3, 3_600)]), sliced.clone()]).unwrap(),
    );
    let care = Arc::new(Allowance::new(&[windows(Unit::Subjects, &[(3, 3_600)])]).unwrap());
    let mut world = World::new(&Terms::default());
    let give = |world: &World, purpose, allowance, subject| {
        let seat = world.limits.admit("ann", &on(purpose), allowance).unwrap();
        let take = seat.take_record(Some(subject), None);
        wait(seat.persist()).unwrap();
        take
    };
    assert_eq!(give(&world, "marketing", &all, 1), Take::Release);
    assert!(matches!(give(&world, "marketing", &all, 2), Take::HoldBack(Limit::Budget(_))));
    assert_eq!(give(&world, "care", &care, 2), Take::Release);
    assert_eq!(give(&world, "care", &care, 3), Take::Release);
    world.restart();
    assert_eq!(give(&world, "care", &care, 4), held_back(Unit::Subjects, 3_600));
    let Take::HoldBack(limit) = give(&world, "marketing", &all, 3) else { panic!("released") };
    assert_eq!(limit.to_string(), "subjects-1h;purpose=marketing");
}

#[test]
fn a_slice_that_a_new_policy_counts_knows_what_answers_under_way_hold() {
    let world = World::new(&Terms::default());
    let seat = world.limits.admit("ann", &on("care"), &world.allowance).unwrap();
    assert_eq!(seat.take_record(Some(1), None), Take::Release);
    let care = Terms { slice: Slice::of(["care"], [], []), ..windows(Unit::Subjects, &[(1, 60)]) };
    let allowance = Arc::new(Allowance::new(&[care]).unwrap());
    let other = world.limits.admit("ann", &on("care"), &allowance).unwrap();
    assert!(matches!(other.take_record(Some(2), None), Take::HoldBack(_)));
    seat.give_back();
    assert_eq!(other.take_record(Some(2), None), Take::Release);
}

#[test]
fn calendar_days_begin_anew_at_midnight_of_their_zone_and_survive_a_restart() {
    let zone = Zone::named("Asia/Shanghai").unwrap();
    let midnight = zone.begins_ms(zone.day(START) + 1);
    let window = Window { limit: 1, period: Period::Day(zone) };
    let mut world = World::new(&Terms { records: vec![window], ..Terms::default() });
    assert_eq!(give(&world, "ann".into(), 1), Take::Release);
    world.restart();
    let refused = world.admit().unwrap_err();
    assert_eq!(refused.limit.to_string(), "records-calendar-day;zone=Asia/Shanghai");
    let wait_ms = i64::try_from(refused.retry_after_s).unwrap() * 1_000;
    assert!((0..1_000).contains(&(START + wait_ms - midnight)));
    world.clock.advance_ms(midnight - START - 1);
    assert!(world.admit().is_err());
    world.clock.advance_ms(1);
    assert_eq!(give(&world, "ann".into(), 1), Take::Release);
}

#[test]
fn a_role_has_at_most_its_requests_at_once_and_its_rate() {
    let rate = Some(Rate { per_window: 6, window_s: 60, burst: 2 });
    let world = world(&[teller(Terms { rate, concurrent: Some(1), ..Terms::default() })]);
    let ann = seat(&world, "ann".into());
    let bob = || world.limits.admit("bob", &Arc::default(), &world.allowance);
    assert_eq!(bob().unwrap_err().limit, Limit::Concurrent);
    drop(ann);
    assert!(bob().is_ok());
    let refused = bob().unwrap_err();
    assert_eq!((refused.limit, refused.quotas), (Limit::Rate(Slice::default()), Vec::new()));
}

#[test]
fn requests_of_a_role_count_for_all_holders_or_for_none() {
    let own = Terms { requests: vec![Window::sliding(2, 60)], ..Terms::default() };
    let role = teller(Terms { requests: vec![Window::sliding(3, 60)], ..Terms::default() });
    let world = world(&[own, role]);
    let ask = |person: &str| world.limits.admit(person, &Arc::default(), &world.allowance);
    assert!(ask("ann").is_ok() && ask("ann").is_ok());
    assert_eq!(ask("ann").unwrap_err().holder, Holder::Person);
    assert!(ask("bob").is_ok());
    assert_eq!(ask("eve").unwrap_err().holder, Holder::Role("teller".into()));
    world.clock.advance_ms(61_000);
    assert!(ask("eve").is_ok());
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 24, ..Default::default() })]

    /// Persons of two roles and a tenant take at once; no holder ever has more than its limit, whatever
    /// the order in which ledgers would be locked.
    #[test]
    fn parallel_requests_never_overshoot_any_of_several_holders(
        own in 1..12_u64, role in 1..30_u64, tenant in 1..40_u64, seed in 0..1_000_u64
    ) {
        let roles = ["alpha", "zeta"];
        let allowance = |names: &[&str]| {
            let mut terms = vec![
                windows(Unit::Subjects, &[(own, 3_600)]),
                Terms { holder: Holder::Tenant, ..windows(Unit::Records, &[(tenant, 3_600)]) },
            ];
            terms.extend(names.iter().map(|name| Terms {
                holder: Holder::Role((*name).into()),
                ..windows(Unit::Subjects, &[(role, 3_600)])
            }));
            Arc::new(Allowance::new(&terms).unwrap())
        };
        let kinds = [allowance(&roles[..1]), allowance(&roles[1..]), allowance(&roles)];
        let world = World::new(&Terms::default());
        let tenants = ["m".to_owned()];
        let given = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for worker in 0..12_u64 {
                let (world, given, kinds, tenants) = (&world, &given, &kinds, &tenants);
                scope.spawn(move || {
                    let person = format!("p{}", worker % 5);
                    let kind = usize::try_from((worker + seed) % 3).unwrap();
                    let asker = Asker { person: &person, tenants, partner: None };
                    for turn in 0..8 {
                        let Ok(seat) = world.limits.admit(asker, &Arc::default(), &kinds[kind]) else {
                            return;
                        };
                        let subject = (worker * 31 + turn * 7 + seed) % 60;
                        if seat.take_record(Some(subject), None) != Take::Release {
                            continue;
                        }
                        if (worker + turn + seed) % 5 == 0 {
                            continue;
                        }
                        wait(seat.persist()).unwrap();
                        given.lock().unwrap().push((person.clone(), kind, subject));
                    }
                });
            }
        });
        let given = given.into_inner().unwrap();
        prop_assert!(given.len() as u64 <= tenant);
        let mut persons: HashMap<&str, HashSet<u64>> = HashMap::new();
        let mut by_role: [HashSet<u64>; 2] = Default::default();
        for (person, kind, subject) in &given {
            persons.entry(person).or_default().insert(*subject);
            for (at, seen) in by_role.iter_mut().enumerate() {
                if *kind == 2 || *kind == at {
                    seen.insert(*subject);
                }
            }
        }
        prop_assert!(persons.values().all(|seen| seen.len() as u64 <= own));
        prop_assert!(by_role.iter().all(|seen| seen.len() as u64 <= role));
        let usage = world.store.load().unwrap();
        let booked = usage.amounts.iter().filter(|row| *row.holder == *"%tenant:m");
        prop_assert!(booked.map(|row| row.amount).sum::<u64>() == given.len() as u64);
    }
}
