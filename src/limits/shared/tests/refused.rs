//! Whoever is refused: told of what is used up, and counted by nothing of it.

use super::*;

/// One subject in a minute, and one record in an hour.
const SUBJECT: (Counts, u32) = (Counts::Subjects, 60);
const RECORD: (Counts, u32) = (Counts::Amounts, 3_600);

/// Asks a gate for a record of a subject, and releases it if that may be; else says which part is used up.
async fn ask(gate: &Arc<Shared>, subject: u64, parts: &[(Counts, u32)]) -> Result<(), usize> {
    let part = |(counts, seconds): &(Counts, u32)| {
        let cell = gate.cell(&[b"ann", &[*counts as u8]], *counts, Span::of(*seconds)).unwrap();
        Part { cell, limit: 1, when_lost: WhenLost::Local }
    };
    let seat = gate.seat(parts.iter().map(part).collect()).await;
    let want = |part: usize| match parts.get(part)?.0 {
        Counts::Subjects => Some(Want::Subject(subject)),
        Counts::Amounts => Some(Want::Amount(1)),
    };
    match seat.take_waiting(want).await {
        Ok(receipt) => seat.keep(receipt),
        Err(short) => return Err(short.part),
    }
    seat.book().map_err(|_late| usize::MAX)
}

async fn rounds(gates: &[Arc<Shared>], clock: &Clock) {
    for _ in 0..3 {
        clock.advance_ms(100);
        for gate in gates {
            gate.round(Vec::new).await;
        }
    }
}

#[test]
fn who_asks_in_vain_is_told_of_what_is_used_up_and_keeps_no_subject_alive() {
    wait(async {
        let clock = Clock::fixed(START);
        let store: Arc<dyn SharedStore> = Arc::new(MemoryShared::new(clock.clone()));
        let gate = |name| share(name, &Wire::to(Arc::clone(&store)), &clock, Some(2), 0);
        let gates = ["one", "two"].map(gate);
        rounds(&gates, &clock).await;
        rounds(&gates, &clock).await;
        assert_eq!(ask(&gates[0], 7, &[SUBJECT, RECORD]).await, Ok(()));
        rounds(&gates, &clock).await;
        // The other gate asks for a subject that counts already, and the records of the hour are used up.
        for _ in 0..11 {
            clock.advance_ms(5_000);
            rounds(&gates, &clock).await;
            assert_eq!(ask(&gates[1], 7, &[SUBJECT, RECORD]).await, Err(1));
        }
        // The minute is over, and a part of it: somebody else may be seen.
        clock.advance_ms(8_000);
        rounds(&gates, &clock).await;
        assert_eq!(ask(&gates[1], 8, &[SUBJECT]).await, Ok(()));
    });
}
