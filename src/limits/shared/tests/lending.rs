//! What is lent, counted once, given back and recalled.

use super::*;

pub(super) fn gates(counts: Counts, limit: u64) -> (Clock, Arc<MemoryShared>, Vec<Gate>) {
    let clock = Clock::fixed(START);
    let memory = Arc::new(MemoryShared::new(clock.clone()));
    let store: Arc<dyn SharedStore> = memory.clone();
    let names = ["one", "two", "three"];
    let gates = names.map(|name| Gate::new(name, &store, &clock, (counts, 3_600, limit), None));
    (clock, memory, gates.into())
}

pub(super) async fn rounds(gates: &[Gate], clock: &Clock, times: usize) {
    for _ in 0..times {
        for gate in gates {
            gate.round().await;
        }
        clock.advance_ms(100);
    }
}

/// Lets the store settle: three seconds, and a little.
pub(super) async fn begin(gates: &[Gate], clock: &Clock) {
    rounds(gates, clock, 35).await;
}

#[test]
fn nothing_is_lent_before_every_gate_could_say_what_it_used() {
    wait(async {
        let (clock, _, mut gates) = gates(Counts::Amounts, 100);
        rounds(&gates, &clock, 5).await;
        assert!(!gates[0].release(1).await);
        begin(&gates, &clock).await;
        assert!(gates[0].release(1).await);
    });
}

#[test]
fn gates_together_release_the_whole_limit_and_no_more() {
    for counts in [Counts::Amounts, Counts::Subjects] {
        wait(async {
            let (clock, _, mut gates) = gates(counts, 400);
            begin(&gates, &clock).await;
            let (mut next, mut refused) = (0, 0);
            while refused < 30 {
                let at = next % 3;
                next += 1;
                let what = if counts == Counts::Amounts { 1 } else { next as u64 };
                if gates[at].release(what).await {
                    refused = 0;
                } else {
                    refused += 1;
                    rounds(&gates, &clock, 1).await;
                }
                if next % 7 == 0 {
                    rounds(&gates, &clock, 1).await;
                }
            }
            assert_eq!(most(&gates), 400, "{counts:?}");
        });
    }
}

#[test]
fn a_subject_seen_on_two_gates_counts_once_and_is_still_served_at_the_limit() {
    wait(async {
        let (clock, _, mut gates) = gates(Counts::Subjects, 40);
        begin(&gates, &clock).await;
        for subject in 0..40 {
            assert!(gates[0].release(subject).await, "{subject}");
            rounds(&gates, &clock, 2).await;
            assert!(gates[1].release(subject).await, "{subject}");
            rounds(&gates, &clock, 2).await;
        }
        assert!(!gates[0].release(40).await);
        assert!(!gates[1].release(40).await);
        clock.advance_ms(600_000);
        rounds(&gates, &clock, 2).await;
        assert!(gates[2].release(7).await);
        assert!(!gates[2].release(41).await);
        assert_eq!(most(&gates), 40);
    });
}

#[test]
fn what_a_gate_was_lent_serves_while_the_store_is_lost_and_then_nothing() {
    wait(async {
        let (clock, _, mut gates) = gates(Counts::Amounts, 1_200);
        begin(&gates, &clock).await;
        assert!(gates[0].release(1).await);
        gates[0].wire.is_cut.store(true, Ordering::SeqCst);
        rounds(&gates, &clock, 1).await;
        let mut served = 0;
        while gates[0].release(1).await {
            served += 1;
        }
        assert_eq!(served, 1_200 / 12 - 1);
        assert_eq!(gates[0].shared.health().losses, 1);
        gates[0].wire.is_cut.store(false, Ordering::SeqCst);
        rounds(&gates, &clock, 2).await;
        assert!(gates[0].release(1).await);
    });
}

#[test]
fn what_another_gate_holds_and_does_not_need_comes_back_when_it_is_wanted() {
    wait(async {
        let (clock, _, mut gates) = gates(Counts::Amounts, 24);
        begin(&gates, &clock).await;
        assert!(gates[0].release(1).await);
        let mut served = 1;
        for _ in 0..60 {
            served += u64::from(gates[1].release(1).await);
            rounds(&gates, &clock, 1).await;
        }
        assert_eq!(served, 24);
    });
}

#[test]
fn an_emptied_store_lends_again_only_after_every_gate_told_what_it_released() {
    wait(async {
        let (clock, memory, mut gates) = gates(Counts::Subjects, 40);
        begin(&gates, &clock).await;
        for subject in 0..30 {
            assert!(gates[subject % 3].release(subject as u64).await);
        }
        memory.flush();
        begin(&gates, &clock).await;
        let mut more = 0;
        for subject in 30..60 {
            more += u64::from(gates[subject % 3].release(subject as u64).await);
            rounds(&gates, &clock, 2).await;
        }
        assert!(more >= 8, "{more}");
        assert!(most(&gates) <= 40);
    });
}

#[test]
fn what_a_lower_limit_forbids_is_not_spent_of_what_a_higher_one_was_lent() {
    wait(async {
        let (clock, _, mut gates) = gates(Counts::Amounts, 1_200);
        begin(&gates, &clock).await;
        assert!(gates[0].release(20).await);
        gates[0].limit = 10;
        assert!(!gates[0].release(1).await);
    });
}

#[test]
fn what_is_taken_and_not_released_is_free_again() {
    wait(async {
        let (clock, _, mut gates) = gates(Counts::Amounts, 10);
        begin(&gates, &clock).await;
        let seat = gates[0].seat().await;
        let receipt = seat.take_waiting(|_| Some(Want::Amount(10))).await.unwrap();
        seat.keep(receipt);
        assert!(!gates[1].release(1).await);
        drop(seat);
        for _ in 0..4 {
            rounds(&gates, &clock, 1).await;
            if gates[1].release(10).await {
                return;
            }
        }
        panic!("what was given back did not come");
    });
}

#[test]
fn whoever_is_refused_by_one_budget_uses_up_nothing_of_another() {
    wait(async {
        let (clock, _, all) = gates(Counts::Subjects, 40);
        begin(&all, &clock).await;
        let part = |gate: &Gate, owner: &[u8], limit| {
            let cell = gate.shared.cell(&[owner], Counts::Subjects, gate.span).unwrap();
            Part { cell, limit, when_lost: WhenLost::Local }
        };
        // Nothing is left of her own, and the role's is asked for each.
        for subject in 0..200 {
            let gate = &all[subject % 3];
            let parts = vec![part(gate, b"role", 6), part(gate, b"ann", 0)];
            let seat = gate.shared.seat(parts).await;
            let taken = seat.take_waiting(|_| Some(Want::Subject(subject as u64))).await;
            assert!(taken.is_err());
            rounds(&all, &clock, 1).await;
        }
        let mut given = 0;
        for subject in 0..60_u64 {
            let gate = &all[usize::try_from(subject).unwrap() % 3];
            let seat = gate.shared.seat(vec![part(gate, b"role", 6)]).await;
            if let Ok(receipt) = seat.take_waiting(|_| Some(Want::Subject(subject))).await {
                seat.keep(receipt);
                seat.book().unwrap();
                given += 1;
            }
            rounds(&all, &clock, 2).await;
        }
        assert_eq!(given, 6);
    });
}
