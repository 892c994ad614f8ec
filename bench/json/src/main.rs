//! How fast the JSON filter is, beside what is known to be fast: GB/s of input on one core, by CPU time, all in
//! one run.
//!
//! `cargo run --release [FILE.json ...]` here. Everybody does the same job, and what they write is compared: read the
//! body, leave three members out, mask three with the same masks, write the rest. The filter does more: it
//! passes nothing that is not declared, refuses what two readers could read differently, counts people, and takes a
//! body in chunks. Files that are named are public documents, of which everything is declared that they
//! hold. With `--quick`, fewer runs.

mod bodies;
mod corpus;
mod job;
mod peers;

use std::hint::black_box;
use std::sync::Arc;

use bodies::Catalogue;
use bytes::Bytes;
use job::Job;
use menshen::document::Source;
use menshen::guard::json::{Caps, Filter, Hooks, Mode, Outgoing, Take};
use menshen::policy::plan::RecordId;
use menshen::policy::{Plan, Principal, Query, Value, compile};
use menshen::route::Path;
use rustix::time::{ClockId, clock_gettime};

const CHUNK_BYTES: usize = 16 * 1024;
const RUNS: usize = 25;
const QUICK_RUNS: usize = 5;

struct Teller;

impl Hooks for Teller {
    fn case(&mut self, _: RecordId, _: &[Option<Value>]) -> usize {
        0
    }

    fn take(&mut self, record: &Outgoing) -> Take {
        black_box(record);
        Take::Release
    }

    fn pseudonym(&mut self, _: &str, text: &str) -> String {
        text.to_owned()
    }
}

/// A body, what is done with it, and the plan that says so.
struct Case {
    name: String,
    job: Job,
    plan: Arc<Plan>,
    body: Bytes,
}

fn main() {
    let (flags, files): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let runs = if flags.iter().any(|flag| flag == "--quick") { QUICK_RUNS } else { RUNS };
    let files = files.iter().map(|file| public(file));
    let cases: Vec<Case> = customers().into_iter().chain(others()).chain(files).collect();
    cases.iter().for_each(check);
    let (peers, parts) = (peers::ALL.map(|peer| peer.0), peers::PARTS.map(|part| part.0));
    let ratios = ["to the best", "to serde_json", "chunks/whole"];
    let names = peers.iter().chain(&parts).chain(&ratios);
    let names: String = names.map(|name| format!("{name:>15}")).collect();
    println!("{:<16}{:>8}{:>14}{names}", "GB/s", "whole", "16 KiB chunks");
    cases.iter().for_each(|case| row(case, runs));
}

/// What everybody reaches on one body, and what the filter reaches in comparison.
fn row(case: &Case, runs: usize) {
    let rate = |run: &dyn Fn() -> usize| rate(case.body.len(), runs, run);
    let whole = rate(&|| filtered(case, case.body.len()));
    let chunks = rate(&|| filtered(case, CHUNK_BYTES));
    let peers = peers::ALL.map(|(_, peer)| rate(&|| peer(&case.job, &case.body).len()));
    let parts =
        peers::PARTS.map(|(_, part)| rate(&|| black_box(part(&case.job, &case.body)).len()));
    let best = peers.iter().copied().fold(0.0, f64::max);
    print!("{:<16}{whole:>8.2}{chunks:>14.2}", case.name);
    peers.iter().chain(&parts).for_each(|rate| print!("{rate:>15.2}"));
    let serde_json = peers[peers.len() - 1];
    println!("{:>15.2}{:>15.1}{:>15.2}", whole / best, whole / serde_json, chunks / whole);
}

fn customers() -> Vec<Case> {
    let plan = plan(&bodies::CUSTOMER);
    let sizes = [("1 KB", 1_000), ("100 KB", 100_000), ("10 MB", 10_000_000)];
    let case = |(name, bytes): (&str, usize)| Case {
        name: name.to_owned(),
        job: bodies::customers_job(),
        plan: Arc::clone(&plan),
        body: bodies::customers(bytes),
    };
    sizes.map(case).into()
}

fn others() -> Vec<Case> {
    let case = |(name, catalogue, body): (&str, Catalogue, Bytes)| Case {
        name: name.to_owned(),
        job: bodies::others_job(),
        plan: plan(&catalogue),
        body,
    };
    bodies::others().into_iter().map(case).collect()
}

fn public(file: &str) -> Case {
    let body = std::fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let document = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{file}: {error}"));
    let job = corpus::job(&document);
    let name = std::path::Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    Case { name: name.into(), plan: corpus::plan(&job, &document), job, body: body.into() }
}

/// Stops if somebody writes something else than the filter.
fn check(case: &Case) {
    let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
    let mut wanted = read(&peers::ALL[peers::ALL.len() - 1].1(&case.job, &case.body));
    let ours = [case.body.len(), CHUNK_BYTES].map(|size| filter(case, size).concat());
    let theirs = peers::ALL.map(|(_, peer)| peer(&case.job, &case.body));
    let names =
        ["filter, whole", "filter, chunks"].into_iter().chain(peers::ALL.map(|(name, _)| name));
    prune(&mut wanted);
    for (name, bytes) in names.zip(ours.into_iter().chain(theirs)) {
        let mut value = read(&bytes);
        prune(&mut value);
        assert!(
            value == wanted,
            "{}: {name} writes something else than the last of the peers",
            case.name
        );
    }
}

/// Takes out what holds nothing: an object of which nothing passes is no member for the filter.
fn prune(value: &mut serde_json::Value) {
    let is_empty = |value: &serde_json::Value| {
        value.as_object().is_some_and(|members| members.is_empty())
            || value.as_array().is_some_and(|elements| elements.is_empty())
    };
    match value {
        serde_json::Value::Array(elements) => {
            elements.iter_mut().for_each(prune);
            elements.retain(|element| !is_empty(element));
        }
        serde_json::Value::Object(members) => {
            members.values_mut().for_each(prune);
            members.retain(|_, value| !is_empty(value));
        }
        _ => {}
    }
}

/// Input bytes per nanosecond of this thread in the fastest of several runs, each of them long enough to measure.
fn rate(bytes: usize, runs: usize, run: impl Fn() -> usize) -> f64 {
    let times = (2_000_000 / bytes).max(1);
    let fastest = (0..runs).map(|_| {
        let start = cpu_ns();
        for _ in 0..times {
            black_box(run());
        }
        cpu_ns() - start
    });
    (bytes * times) as f64 / fastest.min().expect("several runs") as f64
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Filters a body as the gate does: what was judged is taken after each chunk.
fn filter(case: &Case, chunk_bytes: usize) -> Vec<Bytes> {
    let mut out = Vec::new();
    run_filter(case, chunk_bytes, |pieces| out.extend(pieces));
    out
}

/// The same, of which nothing is kept.
fn filtered(case: &Case, chunk_bytes: usize) -> usize {
    let mut length = 0;
    run_filter(case, chunk_bytes, |pieces| length += pieces.iter().map(Bytes::len).sum::<usize>());
    length
}

fn run_filter(case: &Case, chunk_bytes: usize, mut give: impl FnMut(Vec<Bytes>)) {
    let body = &case.body;
    let mut filter = Filter::new(Arc::clone(&case.plan), Caps::default(), Mode::Drop, Teller);
    for start in (0..body.len()).step_by(chunk_bytes) {
        let chunk = body.slice(start..body.len().min(start + chunk_bytes));
        filter.push(chunk).unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
        give(black_box(filter.take_output()));
    }
    filter.finish().unwrap_or_else(|fault| panic!("{}: {fault}", case.name));
    give(black_box(filter.take_output()));
}

/// What a clerk may see of an export of this entity.
fn plan(Catalogue { entity, fields, rule }: &Catalogue) -> Arc<Plan> {
    let text = format!(
        "grades: {{ 1: {{}}, 2: {{}}, 3: {{}}, 4: {{}}, sealed: {{}} }}\n\
         entities:\n  {entity}:\n    subject: id\n    fields:\n{fields}\
         routes:\n  all:\n    match: GET bank.example/all\n    to: core\n    action: export\n    \
         returns: {{ {entity}: \"$[]\" }}\n\
         roles: {{ clerk: {{}} }}\n\
         rules:\n  - {{ name: clerks export, allow: export, to: clerk, of: {entity}, {rule} }}\n"
    );
    let source = Source { name: "bench.yaml".to_owned(), text };
    let program = compile(&[source]).unwrap_or_else(|faults| panic!("{faults:?}"));
    let principal = Arc::new(Principal {
        account: "li.na".to_owned(),
        roles: vec!["clerk".to_owned()],
        ..Principal::default()
    });
    let path = Path::parse("/all").expect("a path");
    let found = program.find("any", "bank.example", "GET", &path).expect("a route");
    let query = Query {
        zone: "any",
        principal: &principal,
        route: &found.route,
        params: &found.params,
        method: "GET",
        host: "bank.example",
        purpose: None,
        ticket: None,
        grant: None,
        search: None,
        ties: None,
        now_unix_s: 1_790_000_000,
    };
    let permit = program.decide(&query).unwrap_or_else(|denial| panic!("{denial:?}"));
    Arc::clone(permit.plan())
}
