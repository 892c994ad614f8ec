//! How much memory slow streams take: answers that have begun, of which each holds a part of a record, and
//! that nobody ends.
//!
//! `cargo bench --bench streams` opens 10,000 in the guard alone and 10,000 through the whole gate, which runs
//! as a process of its own, and ends with a failure where one takes more than its budget. A number
//! (`-- 2000`) opens so many instead. The budgets stand in `docs/guide/operator.md`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

mod gate;
mod guard;
#[path = "../shared/gate.rs"]
mod shared;

/// What one stream may take in the guard, in KiB: mostly buffers for what goes out, and the part of a
/// record that it holds.
const GUARD_KIB: f64 = 20.0;
/// What one stream may take in the gate, connections with TLS on both sides and all.
const GATE_KIB: f64 = 80.0;

fn main() {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let count: usize = count.unwrap_or(10_000);
    let in_guard = guard::kib_per_stream(count);
    tell("guard", count, in_guard, GUARD_KIB);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let in_gate = runtime.expect("a runtime").block_on(gate::kib_per_stream(count));
    tell("gate", count, in_gate, GATE_KIB);
    assert!(in_guard <= GUARD_KIB, "a stream takes too much memory in the guard");
    assert!(in_gate <= GATE_KIB, "a stream takes too much memory in the gate");
}

fn tell(part: &str, count: usize, kib: f64, budget: f64) {
    let whole = kib * count as f64 / 1024.0;
    println!(
        "{part:<6}{count:>7} streams  {kib:>6.1} KiB each (budget {budget})  {whole:>7.1} MiB"
    );
}

/// The resident memory of a process, in KiB.
fn resident_kib(process: &str) -> f64 {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(path).expect("the status of a process");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("its memory");
    let kib = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
    kib.expect("a number")
}
