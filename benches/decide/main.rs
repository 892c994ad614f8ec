//! What a decision costs under a large policy, with its plan built (warm) and not yet (cold), what the
//! rules of other routes add, and what the policy costs to compile and to hold.
//!
//! `cargo bench --bench decide` prints medians on one core.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

mod large;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use large::{BANK, ROUTES, Size};
use menshen::document::Source;
use menshen::policy::{Factor, Principal, Program, Query, Value, compile};
use menshen::route::Path;

const NOW_S: i64 = 1_790_000_000;
const BATCH: u32 = 1000;

fn main() {
    let text = large::policy(BANK);
    let (compiled, program) = compile_times(&text);
    println!(
        "{} routes, {} roles, {} rules, {} fields; {} KB of YAML",
        BANK.entities * ROUTES.len(),
        BANK.roles,
        BANK.rules + 1,
        BANK.entities * large::FIELDS,
        text.len() / 1000,
    );
    println!("compile               {:>9.1} ms", millis(compiled));
    println!("memory of the program {:>9.1} MB", memory(&text));
    println!("cold decision         {:>9.2} µs", micros(cold(&program)));
    println!("warm decision         {:>9.3} µs", micros(warm(&program)));
    for factor in [1, 4, 8] {
        let size = Size { entities: BANK.entities * factor, rules: BANK.rules * factor, ..BANK };
        // 5000 rules are the most that a policy may have.
        if size.rules > 5000 {
            continue;
        }
        let program = program_of(&large::policy(size));
        println!("warm, {:>5} rules     {:>9.3} µs", size.rules, micros(warm(&program)));
    }
    println!("route and decision    {:>9.3} µs", micros(with_route(&program)));
}

fn program_of(text: &str) -> Program {
    let source = Source { name: "large.yaml".to_owned(), text: text.to_owned() };
    compile(&[source]).expect("the policy compiles")
}

fn compile_times(text: &str) -> (Duration, Program) {
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..7 {
        let start = Instant::now();
        last = Some(program_of(text));
        times.push(start.elapsed());
    }
    (median(&mut times), last.expect("a program"))
}

/// Megabytes that eight more programs take, divided by eight.
fn memory(text: &str) -> f64 {
    let before = resident_kib();
    let programs: Vec<Program> = (0..8).map(|_| program_of(text)).collect();
    let after = resident_kib();
    black_box(&programs);
    after.saturating_sub(before) as f64 / 1024.0 / 8.0
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: 0 kB");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// The first decision of each pair of a role and a route.
fn cold(program: &Program) -> Duration {
    let mut times = Vec::new();
    for role in 0..BANK.roles {
        let principal = principal(role);
        for e in 0..BANK.entities {
            let found = found(program, "GET", &format!("/api/e{e}/17"));
            let start = Instant::now();
            black_box(decide(program, &principal, &found));
            times.push(start.elapsed());
        }
    }
    median(&mut times)
}

/// Decisions of one caller over routes whose plans are built, a batch at a time.
fn warm(program: &Program) -> Duration {
    let principal = principal(7);
    let founds: Vec<_> = (0..8)
        .flat_map(|e| [format!("/api/e{e}/17"), format!("/api/e{e}")])
        .map(|path| found(program, "GET", &path))
        .collect();
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        for at in 0..BATCH {
            let found = founds.get(at as usize % founds.len()).expect("a route");
            black_box(decide(program, &principal, found));
        }
        times.push(start.elapsed() / BATCH);
    }
    median(&mut times)
}

fn with_route(program: &Program) -> Duration {
    let principal = principal(7);
    let mut times = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        for _ in 0..BATCH {
            let found = found(program, "GET", "/api/e3/17");
            black_box(decide(program, &principal, &found));
        }
        times.push(start.elapsed() / BATCH);
    }
    median(&mut times)
}

fn principal(role: usize) -> Arc<Principal> {
    Arc::new(Principal {
        account: "wang.li".to_owned(),
        roles: vec![format!("role{role}")],
        attributes: [("branch".to_owned(), Value::from("sh01"))].into(),
        factors: vec![
            Factor { level: 1, at_unix_s: NOW_S - 60 },
            Factor { level: 2, at_unix_s: NOW_S - 50 },
        ],
        assurance: 2,
        ..Principal::default()
    })
}

fn found(program: &Program, method: &str, path: &str) -> menshen::policy::RouteMatch {
    let path = Path::parse(path).expect("a path");
    program.find("business", "bank.example", method, &path).expect("a route")
}

fn decide(
    program: &Program,
    principal: &Arc<Principal>,
    found: &menshen::policy::RouteMatch,
) -> bool {
    let decision = program.decide(&Query {
        zone: "business",
        principal,
        route: &found.route,
        params: &found.params,
        search: None,
        method: "GET",
        host: "bank.example",
        purpose: Some("service"),
        ticket: None,
        grant: None,
        ties: None,
        now_unix_s: NOW_S,
    });
    assert!(decision.is_ok(), "the decision is a permit");
    black_box(decision).is_ok()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
