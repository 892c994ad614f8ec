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
