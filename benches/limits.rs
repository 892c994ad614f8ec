//! What admission costs: five budgets, few persons and a million, and many tasks at once.
//!
//! `cargo bench --bench limits` prints bytes for each person, and for each admission and its end the nanoseconds of
//! processor time, which a busy machine does not stretch; also under 1, 2, 8 and 64 tasks. The store does
//! nothing: what a write costs, `log.rs` knows.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use menshen::clock::Clock;
use menshen::limits::{
    Allowance, Asker, Holder, Limits, Occasion, Settings, StoreError, StoreFuture, Take, Terms,
    Usage, UsageChange, UsageFuture, UsageStore, Window,
};

/// A few, whose budgets stay in the processor's caches, and a million.
const PERSONS: [usize; 2] = [1_000, 1_000_000];
const ADMISSIONS: usize = 400_000;

/// Forgets at once.
struct Nowhere;

impl UsageStore for Nowhere {
    fn load(&self) -> Result<Usage, StoreError> {
        Ok(Usage::default())
    }

    fn of<'a>(&'a self, _holder: &'a str) -> UsageFuture<'a> {
        Box::pin(async { Ok(Usage::default()) })
    }

    fn add(&self, changes: Vec<UsageChange>) -> StoreFuture<'_> {
        drop(changes);
        Box::pin(async { Ok(()) })
    }

    fn is_failing(&self) -> bool {
        false
    }
}

/// Five budgets of a person.
fn own() -> Terms {
    Terms {
        subjects: vec![Window::sliding(4_000_000 / 10, 3_600), Window::sliding(900_000, 86_400)],
        records: vec![
            Window::sliding(u64::MAX >> 2, 3_600),
            Window::sliding(u64::MAX >> 1, 86_400),
        ],
        bytes: vec![Window::sliding(u64::MAX >> 1, 86_400)],
        ..Terms::default()
    }
}

fn main() {
    PERSONS.into_iter().for_each(measure);
}

fn measure(count: usize) {
    println!("{count} persons with five budgets, and a subject in two of them");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let settings = Settings {
        persons: count + 16,
        subjects: 4 * count,
        in_flight: 100_000,
        ..Settings::default()
    };
    let limits = Limits::open(settings, &Clock::system(), Arc::new(Nowhere));
    let limits = Arc::new(limits.expect("limits"));
    let persons: Arc<Vec<String>> =
        Arc::new((0..count).map(|n| format!("person-{n:07}")).collect());
    let five = Arc::new(Allowance::new(&[own()]).expect("an allowance"));
    let role = Terms {
        holder: Holder::Role("teller".into()),
        records: vec![Window::sliding(u64::MAX >> 1, 86_400)],
        ..Terms::default()
    };
    let shared = Arc::new(Allowance::new(&[own(), role]).expect("an allowance"));

    let before = resident_bytes();
    runtime.block_on(async {
        for (n, person) in (0_u64..).zip(persons.iter()) {
            let seat = limits.admit(&**person, &Arc::default(), &five).expect("a seat");
            assert_eq!(seat.take_record(Some(n), None), Take::Release);
            seat.persist().await.expect("a write");
        }
    });
    println!("{:>8} B   each", resident_bytes().saturating_sub(before) / count);

    let start = processor_ns();
    let mut dice = Dice(7);
    for _ in 0..ADMISSIONS {
        let occasion: Arc<Occasion> = Arc::default();
        black_box((any_of(&persons, &mut dice).as_bytes().last(), occasion));
    }
    println!(
        "{:>8.0} ns  of what follows is the loop: a name among them, and the occasion",
        nanoseconds(start, ADMISSIONS)
    );
    for (name, allowance) in [("five budgets", &five), ("and one of a role", &shared)] {
        let start = processor_ns();
        let mut dice = Dice(7);
        for _ in 0..ADMISSIONS {
            black_box(admit(&limits, &persons, allowance, &mut dice));
        }
        println!("{:>8.0} ns  an admission and its end, {name}", nanoseconds(start, ADMISSIONS));
    }
    for tasks in [1_usize, 2, 8, 64] {
        for (name, allowance) in [("", &five), (" and one of a role", &shared)] {
            let (start, wall) = (processor_ns(), Instant::now());
            runtime.block_on(many(tasks, &limits, &persons, allowance));
            let each = nanoseconds(start, ADMISSIONS);
            let rate = ADMISSIONS as f64 / wall.elapsed().as_secs_f64() / 1e6;
            println!(
                "{each:>8.0} ns  {tasks} tasks at once, five budgets{name}; {rate:.2} M/s by the wall's clock"
            );
        }
    }
}

async fn many(
    tasks: usize,
    limits: &Arc<Limits>,
    persons: &Arc<Vec<String>>,
    allowance: &Arc<Allowance>,
) {
    let mut running = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let (limits, persons) = (Arc::clone(limits), Arc::clone(persons));
        // A request's allowance is its own; a count of references that all tasks share would be measured with it.
        let allowance = Arc::new(Allowance::clone(allowance));
        running.spawn(async move {
            let mut dice = Dice(task as u64 + 1);
            for n in 0..ADMISSIONS / tasks {
                black_box(admit(&limits, &persons, &allowance, &mut dice));
                if n % 256 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    while running.join_next().await.is_some() {}
}

fn admit(limits: &Limits, persons: &[String], allowance: &Arc<Allowance>, dice: &mut Dice) -> bool {
    let person = any_of(persons, dice);
    let occasion: Arc<Occasion> = Arc::default();
    limits.admit(Asker::from(person), &occasion, allowance).is_ok()
}

fn any_of<'p>(persons: &'p [String], dice: &mut Dice) -> &'p str {
    persons.get(dice.below(persons.len())).map_or("", String::as_str)
}

fn nanoseconds(start: u64, times: usize) -> f64 {
    processor_ns().saturating_sub(start) as f64 / times as f64
}

/// What all threads of this process have run for so far.
fn processor_ns() -> u64 {
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    sum
}

/// Numbers that are spread, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end
    }
}

/// Memory that is in use by this process.
fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}
