//! Gates that stop for a while, and loans that get too old meanwhile.

use super::lending::{begin, gates, rounds};
use super::*;

async fn hold(gate: &Gate, what: u64) -> SharedSeat {
    let seat = gate.seat().await;
    let want = gate.want(what);
    let receipt = seat.take_waiting(|_| Some(want)).await.unwrap();
    seat.keep(receipt);
    seat
}

/// Releases one after the other until nothing more is given.
async fn use_up(gates: &mut [Gate], clock: &Clock) -> u64 {
    let (mut given, mut refused) = (0, 0);
    while refused < 20 {
        for gate in gates.iter_mut() {
            let done = gate.release(1).await;
            given += u64::from(done);
            refused = if done { 0 } else { refused + 1 };
        }
        rounds(gates, clock, 1).await;
    }
    given
}

#[test]
fn a_gate_that_stood_still_gives_nothing_of_what_it_was_lent_before() {
    wait(async {
        let (clock, _, mut all) = gates(Counts::Amounts, 120);
        begin(&all, &clock).await;
        assert!(all[0].release(1).await);
        let mut others = all.split_off(1);
        // An hour, and a half, and the last of what it may have released.
        for _ in 0..110 {
            clock.advance_ms(60_000);
            rounds(&others, &clock, 1).await;
        }
        assert_eq!(use_up(&mut others, &clock).await, 120);
        let stood = &mut all[0];
        stood.round().await;
        assert!(!stood.release(1).await);
        stood.round().await;
        assert!(!stood.release(1).await);
        others.append(&mut all);
        assert_eq!(most(&others), 120);
    });
}

#[test]
fn what_was_taken_before_a_loan_was_void_does_not_leave_after_it_was_renewed() {
    wait(async {
        let (clock, _, mut all) = gates(Counts::Amounts, 120);
        begin(&all, &clock).await;
        let seat = hold(&all[0], 3).await;
        all[0].wire.is_cut.store(true, Ordering::SeqCst);
        clock.advance_ms(1_800_000);
        all[0].wire.is_cut.store(false, Ordering::SeqCst);
        rounds(&all, &clock, 3).await;
        assert!(all[0].release(1).await, "it is lent anew");
        assert!(!all[0].book(&seat, &[3]));
        drop(seat);
        assert_eq!(use_up(&mut all, &clock).await, 119);
        assert_eq!(most(&all), 120);
    });
}

#[test]
fn what_is_taken_and_freed_for_long_is_not_lost_to_the_gates() {
    wait(async {
        let (clock, _, mut all) = gates(Counts::Amounts, 120);
        begin(&all, &clock).await;
        // As a search does that finds somebody.
        for _ in 0..400 {
            rounds(&all, &clock, 1).await;
            drop(hold(&all[0], 1).await);
            rounds(&all, &clock, 2).await;
            all[0].shared.tidy().await;
            clock.advance_ms(60_000);
        }
        assert_eq!(use_up(&mut all, &clock).await, 120);
    });
}

#[test]
fn what_leaves_while_everything_is_told_anew_is_told_too() {
    wait(async {
        let (clock, memory, mut all) = gates(Counts::Amounts, 120);
        begin(&all, &clock).await;
        let seat = hold(&all[0], 10).await;
        memory.flush();
        let Gate { shared, released, .. } = &mut all[0];
        // It leaves just after it was noted what had left.
        shared
            .round(|| {
                seat.book().unwrap();
                released.push((clock.unix_ms(), 10));
                Vec::new()
            })
            .await;
        begin(&all, &clock).await;
        assert_eq!(use_up(&mut all, &clock).await, 110);
        assert_eq!(most(&all), 120);
    });
}

#[test]
fn nothing_is_lent_while_the_clocks_disagree_and_all_begins_anew_if_the_stores_jumped() {
    wait(async {
        let (clock, true_clock) = (Clock::fixed(START), Clock::fixed(START));
        let memory = Arc::new(MemoryShared::new(clock.clone()));
        let store: Arc<dyn SharedStore> = memory.clone();
        let mut gate =
            Gate::new("one", &store, &true_clock, (Counts::Amounts, 3_600, 120), Some(1));
        rounds(std::slice::from_ref(&gate), &clock, 4).await;
        assert!(gate.release(1).await);
        // Two hours ahead, so that all that counted is over by this clock.
        clock.advance_ms(7_200_000);
        let before = gate.shared.health().losses;
        let mut served = 0;
        for _ in 0..200 {
            gate.round().await;
            served += u64::from(gate.release(1).await);
        }
        assert_eq!(served, 29, "what it was lent");
        assert_eq!(gate.shared.health().losses, before + 1);
        clock.advance_ms(-7_200_000 + 2_000);
        for _ in 0..200 {
            gate.round().await;
            served += u64::from(gate.release(1).await);
        }
        assert_eq!(served, 119);
        assert_eq!(most(&[gate]), 120);
    });
}

#[test]
fn two_gates_by_one_name_are_both_told_so_and_lent_nothing() {
    wait(async {
        let (clock, memory, all) = gates(Counts::Amounts, 120);
        let store: Arc<dyn SharedStore> = memory;
        let wire = Wire::to(store);
        let twin = share("one", &wire, &clock, None, 7);
        begin(&all, &clock).await;
        assert!(all[0].shared.health().is_up);
        for _ in 0..3 {
            twin.round(Vec::new).await;
            all[0].round().await;
        }
        assert!(!all[0].shared.health().is_up && !twin.health().is_up);
        assert!(all[1].shared.health().is_up);
    });
}

#[test]
fn a_gate_says_for_how_many_others_a_new_life_waits() {
    wait(async {
        let clock = Clock::fixed(START);
        let memory = Arc::new(MemoryShared::new(clock.clone()));
        let store: Arc<dyn SharedStore> = memory;
        let three = (Counts::Amounts, 3_600, 120);
        let mut gate = Gate::new("one", &store, &clock, three, Some(3));
        rounds(std::slice::from_ref(&gate), &clock, 4).await;
        assert_eq!(gate.shared.health().waiting, 2);
        assert!(!gate.release(1).await);
        let others = ["two", "three"].map(|n| Gate::new(n, &store, &clock, three, Some(3)));
        rounds(&others, &clock, 4).await;
        rounds(std::slice::from_ref(&gate), &clock, 1).await;
        assert_eq!(gate.shared.health().waiting, 0);
        assert!(gate.release(1).await);
    });
}
