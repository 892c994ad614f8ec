//! Many people, days of traffic and a store that fails: never above a limit, and not below it while all is well.

use std::collections::VecDeque;

use super::*;

/// How much is played.
struct Scale {
    people: usize,
    /// Distinct subjects within this many seconds, and records within the other.
    short_s: u32,
    long_s: u32,
    hours: i64,
}

const SUBJECTS: u64 = 40;
const RECORDS: u64 = 300;
/// Simulated time between two rounds, shorter than a gate's silence.
const STEP_MS: i64 = 4_000;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    fn one_of(&mut self, count: usize) -> usize {
        usize::try_from(self.roll(count as u64)).unwrap()
    }
}

/// What was released to one person, over all gates: of each record when, by which gate and about whom.
#[derive(Default)]
struct Given(VecDeque<(i64, usize, u64)>);

impl Given {
    fn within(&self, now: i64, ms: i64) -> impl Iterator<Item = &(i64, usize, u64)> {
        self.0.iter().filter(move |(at, ..)| now - at < ms)
    }

    fn records(&self, now: i64, ms: i64) -> u64 {
        self.within(now, ms).count() as u64
    }

    fn subjects(&self, now: i64, ms: i64) -> u64 {
        let subjects = self.within(now, ms).map(|(.., subject)| *subject);
        subjects.collect::<std::collections::HashSet<_>>().len() as u64
    }
}

struct World {
    scale: Scale,
    clock: Clock,
    memory: Arc<MemoryShared>,
    wires: Vec<Arc<Wire>>,
    gates: Vec<Arc<Shared>>,
    runs: u32,
    given: Vec<Given>,
    away_until: Vec<i64>,
    dice: Dice,
    healthy_from: i64,
    released: u64,
    refused: u64,
    /// The lowest that stood of a limit when something was refused, in thousandths, while all was well.
    lowest: u64,
}

const NAMES: [&str; 3] = ["one", "two", "three"];

impl World {
    fn new(scale: Scale) -> Self {
        let clock = Clock::fixed(START);
        let memory = Arc::new(MemoryShared::new(clock.clone()));
        let store: Arc<dyn SharedStore> = memory.clone();
        let wires = Vec::from(NAMES.map(|_| Wire::to(Arc::clone(&store))));
        let gates = NAMES.iter().zip(&wires);
        let gates = gates.map(|(name, wire)| share(name, wire, &clock, Some(3), 0)).collect();
        Self {
            given: (0..scale.people).map(|_| Given::default()).collect(),
            away_until: vec![0; scale.people],
            scale,
            clock,
            memory,
            wires,
            gates,
            runs: 0,
            dice: Dice(0x9e37_79b9_7f4a_7c15),
            healthy_from: START + 10_000,
            released: 0,
            refused: 0,
            lowest: 1_000,
        }
    }

    fn spans(&self) -> [(Counts, Span, u64); 2] {
        [
            (Counts::Subjects, Span::of(self.scale.short_s), SUBJECTS),
            (Counts::Amounts, Span::of(self.scale.long_s), RECORDS),
        ]
    }

    async fn round(&self) {
        for (at, gate) in self.gates.iter().enumerate() {
            gate.round(|| self.released_by(at)).await;
        }
    }

    /// What a gate would find in its own books.
    fn released_by(&self, gate: usize) -> Vec<Released> {
        let now = self.clock.unix_ms();
        let mut all = Vec::new();
        for (person, given) in self.given.iter().enumerate() {
            for (counts, span, _) in self.spans() {
                let own = given.within(now, span.window_ms).filter(|(_, by, _)| *by == gate);
                let past = own.map(|(at, _, subject)| match counts {
                    Counts::Subjects => (*subject, now - at),
                    Counts::Amounts => (1, now - at),
                });
                let owner = vec![person.to_string().into_bytes(), vec![counts as u8]];
                all.push(Released { owner, counts, span, past: past.collect() });
            }
        }
        all.retain(|released| !released.past.is_empty());
        all
    }

    /// One record of one subject through one gate.
    async fn ask(&mut self, person: usize, gate: usize, subject: u64) -> Result<(), Option<usize>> {
        let name = person.to_string();
        let parts = self.spans().map(|(counts, span, limit)| {
            let cell = self.gates[gate].cell(&[name.as_bytes(), &[counts as u8]], counts, span);
            Part { cell: cell.unwrap(), limit, when_lost: WhenLost::Local }
        });
        let seat = self.gates[gate].seat(parts.into()).await;
        let wants = [Want::Subject(subject), Want::Amount(1)];
        match seat.take_waiting(|part| wants.get(part).copied()).await {
            Ok(receipt) => seat.keep(receipt),
            Err(short) => return Err((!short.is_lost).then_some(short.part)),
        }
        seat.book().map_err(|_late| None)?;
        let now = self.clock.unix_ms();
        let [(_, short, _), (_, long, _)] = self.spans();
        let given = &mut self.given[person];
        given.0.push_back((now, gate, subject));
        // A little longer than anything counts, to see what still did when something is refused.
        while given.0.front().is_some_and(|(at, ..)| now - at > 2 * long.window_ms) {
            given.0.pop_front();
        }
        self.released += 1;
        assert!(given.subjects(now, short.window_ms) <= SUBJECTS, "person {person}");
        assert!(given.records(now, long.window_ms) <= RECORDS, "person {person}");
        Ok(())
    }

    /// A person opens some records; whoever is refused asks again for as long as a request waits, and goes away then.
    async fn visit(&mut self, person: usize) {
        let gate = if self.dice.roll(5) > 0 { person % 3 } else { self.dice.one_of(3) };
        for _ in 0..=self.dice.roll(8) {
            let subject = self.dice.roll(90) + person as u64 * 30;
            let mut outcome = self.ask(person, gate, subject).await;
            for _ in 0..3 {
                if outcome.is_ok() {
                    break;
                }
                self.clock.advance_ms(100);
                self.round().await;
                outcome = self.ask(person, gate, subject).await;
            }
            let Err(short) = outcome else { continue };
            self.refused += 1;
            let now = self.clock.unix_ms();
            if now >= self.healthy_from {
                self.measure(person, short.expect("all is well, so a budget is named"), now);
            }
            let pause = u64::from(self.scale.short_s) * 250;
            let pause = pause + self.dice.roll(pause);
            self.away_until[person] = now + i64::try_from(pause).unwrap();
            return;
        }
    }

    /// How much of the budget that refused had been given.
    fn measure(&mut self, person: usize, part: usize, now: i64) {
        let (counts, span, limit) = self.spans()[part];
        // A gate tells what it released with its next round.
        let told = STEP_MS + 1_000;
        let stood = match counts {
            Counts::Subjects => self.given[person].subjects(now, span.subject_ms() + told),
            Counts::Amounts => {
                self.given[person].records(now, span.window_ms + span.part_ms() + told)
            }
        };
        self.lowest = self.lowest.min(stood * 1_000 / limit);
    }

    /// Something fails, or is mended.
    fn disturb(&mut self) {
        let gate = self.dice.one_of(3);
        let on = self.dice.roll(2) == 0;
        match self.dice.roll(6) {
            0 => self.memory.flush(),
            1 => {
                self.runs += 1;
                let wire = &self.wires[gate];
                self.gates[gate] = share(NAMES[gate], wire, &self.clock, Some(3), self.runs);
            }
            2 => self.wires[gate].loses_answers.store(on, Ordering::SeqCst),
            3 => self.wires[gate].is_slow.store(on, Ordering::SeqCst),
            _ => self.wires.iter().for_each(|wire| wire.is_cut.store(on, Ordering::SeqCst)),
        }
    }

    async fn mend(&mut self) {
        for wire in &self.wires {
            for flag in [&wire.is_cut, &wire.loses_answers, &wire.is_slow] {
                flag.store(false, Ordering::SeqCst);
            }
            wire.arrive().await;
        }
        let longest = Span::of(self.scale.long_s).lent_ms();
        self.healthy_from = self.clock.unix_ms() + longest + 60_000;
    }

    /// The first half with faults, the second without.
    async fn play(mut self) -> Self {
        let (began, whole_ms) = (self.clock.unix_ms(), self.scale.hours * 3_600_000);
        self.healthy_from = i64::MAX;
        let mut is_mended = false;
        for step in 0_u64.. {
            let passed = self.clock.unix_ms() - began;
            if passed >= whole_ms {
                break;
            }
            self.clock.advance_ms(STEP_MS);
            self.round().await;
            if step % 15 == 0 {
                for gate in &self.gates {
                    gate.tidy().await;
                }
            }
            if passed > whole_ms / 3 && !is_mended {
                is_mended = true;
                self.mend().await;
            } else if !is_mended && self.dice.roll(60) == 0 {
                self.disturb();
            }
            for _ in 0..=self.scale.people / 40 {
                let person = self.dice.one_of(self.scale.people);
                if self.away_until[person] <= self.clock.unix_ms() {
                    self.visit(person).await;
                }
            }
        }
        self
    }
}

fn play(scale: Scale) {
    let world = wait(World::new(scale).play());
    let World { released, refused, lowest, .. } = world;
    let told = format!("{released} released, {refused} refused, at {lowest}/1000 at least");
    eprintln!("{told}");
    assert!(refused > 100 && released > 1_000, "{told}");
    assert!(lowest >= 990, "{told}");
}

#[test]
fn people_never_get_more_than_their_limits_and_hardly_less_while_all_is_well() {
    play(Scale { people: 60, short_s: 600, long_s: 3_600, hours: 9 });
}

#[test]
#[ignore = "minutes: cargo test --release -- --ignored a_thousand_people"]
fn a_thousand_people_for_ten_days_never_get_more_than_their_limits_and_hardly_less() {
    play(Scale { people: 1_000, short_s: 3_600, long_s: 86_400, hours: 240 });
}
