//! Any traffic over any faults: the sum of all gates never exceeds the limit in any span of its window.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Round(usize),
    Release(usize, u64),
    /// Takes, and releases some steps later or never.
    Hold(usize, u64),
    Let(bool),
    Cut(usize, bool),
    LoseAnswers(usize, bool),
    Slow(usize, bool),
    Arrive(usize),
    Crash(usize),
    Flush,
    Pass(i64),
    Idle,
}

fn step() -> impl Strategy<Value = Step> {
    let gate = 0..3_usize;
    prop_oneof![
        20 => gate.clone().prop_map(Step::Round),
        30 => (gate.clone(), 1..6_u64).prop_map(|(g, n)| Step::Release(g, n)),
        5 => (gate.clone(), 1..6_u64).prop_map(|(g, n)| Step::Hold(g, n)),
        5 => any::<bool>().prop_map(Step::Let),
        2 => (gate.clone(), any::<bool>()).prop_map(|(g, on)| Step::Cut(g, on)),
        2 => (gate.clone(), any::<bool>()).prop_map(|(g, on)| Step::LoseAnswers(g, on)),
        2 => (gate.clone(), any::<bool>()).prop_map(|(g, on)| Step::Slow(g, on)),
        2 => gate.clone().prop_map(Step::Arrive),
        1 => gate.prop_map(Step::Crash),
        1 => Just(Step::Flush),
        12 => (1..4_000_i64).prop_map(Step::Pass),
        3 => (10_000..90_000_i64).prop_map(Step::Pass),
        2 => Just(Step::Idle),
    ]
}

async fn play(counts: Counts, steps: &[Step]) -> u64 {
    let clock = Clock::fixed(START);
    let memory = Arc::new(MemoryShared::new(clock.clone()));
    let store: Arc<dyn SharedStore> = memory.clone();
    // Their clocks agree as well as they must.
    let skews = [("one", -4_000), ("two", 0), ("three", 4_500)];
    let mut gates = Vec::from(skews.map(|(name, ahead_ms)| {
        let clock = Clock::fixed(START + ahead_ms);
        let gate = Gate::new(name, &store, &clock, (counts, 120, 24), Some(3));
        Gate { ahead_ms, ..gate }
    }));
    let clocks = Vec::from_iter(gates.iter().map(|gate| gate.clock.clone()));
    let pass = |ms: i64| {
        clock.advance_ms(ms);
        clocks.iter().for_each(|clock| clock.advance_ms(ms));
    };
    let mut held: Vec<(usize, SharedSeat, u64)> = Vec::new();
    for _ in 0..35 {
        for gate in &gates {
            gate.round().await;
        }
        pass(100);
    }
    for step in steps {
        match *step {
            Step::Round(at) => gates[at].round().await,
            Step::Release(at, what) => drop(gates[at].release(what * 5 % 29).await),
            Step::Hold(at, what) => {
                let seat = gates[at].seat().await;
                let want = gates[at].want(what);
                if let Ok(receipt) = seat.take_waiting(|_| Some(want)).await {
                    seat.keep(receipt);
                    held.push((at, seat, what));
                }
            }
            Step::Let(leaves) => {
                let Some((at, seat, what)) = held.pop() else { continue };
                if leaves {
                    gates[at].book(&seat, &[what]);
                }
            }
            Step::Cut(at, on) => gates[at].wire.is_cut.store(on, Ordering::SeqCst),
            Step::LoseAnswers(at, on) => gates[at].wire.loses_answers.store(on, Ordering::SeqCst),
            Step::Slow(at, on) => gates[at].wire.is_slow.store(on, Ordering::SeqCst),
            Step::Arrive(at) => gates[at].wire.arrive().await,
            Step::Crash(at) => {
                held.retain(|(of, ..)| *of != at);
                gates[at].restart();
            }
            Step::Flush => memory.flush(),
            Step::Pass(ms) => pass(ms),
            Step::Idle => {
                for gate in &gates {
                    gate.shared.tidy().await;
                }
            }
        }
    }
    most(&gates)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_is_lost_on_the_way_amounts_never_exceed_the_limit(
        steps in proptest::collection::vec(step(), 50..600)
    ) {
        prop_assert!(wait(play(Counts::Amounts, &steps)) <= 24);
    }

    #[test]
    fn whatever_is_lost_on_the_way_subjects_never_exceed_the_limit(
        steps in proptest::collection::vec(step(), 50..600)
    ) {
        prop_assert!(wait(play(Counts::Subjects, &steps)) <= 24);
    }
}
