//! How fast the JSON filter is, beside what is known to be fast: GB/s of input on one core, by CPU time, all in
//! one run.
//!
//! `cargo run --release` here. The customers have 21 fields, of which three are left out and three masked; the
//! filter's plan is compiled from a policy that says so. The others do the same work as far as they can, and
//! validate less: none of them counts, masks by kind, or takes a body in chunks. The further bodies are unlike
//! the customers, and pass in clear but for one field.

mod bodies;
mod peers;

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use menshen::document::Source;
use menshen::guard::json::{Caps, Filter, Hooks, Mode, Outgoing, Take};
use menshen::policy::plan::RecordId;
use menshen::policy::{Plan, Principal, Query, Value, compile};
use menshen::route::Path;
use rustix::time::{ClockId, clock_gettime};

const CHUNK_BYTES: usize = 16 * 1024;
const RUNS: usize = 25;

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

fn main() {
    println!("{:<34}{:>8}{:>8}{:>8}", "customers", "1 KB", "100 KB", "10 MB");
    let customers = [1_000, 100_000, 10_000_000].map(bodies::customers);
    let plan = plan(bodies::CUSTOMER, "customer");
    row("filter, whole", &customers, |body| filter(&plan, body, body.len()));
    row("filter, 16 KiB chunks", &customers, |body| filter(&plan, body, CHUNK_BYTES));
    for (name, peer) in peers::ALL {
        row(name, &customers, |body| peer(body));
    }
    println!("\n{:<34}{:>8}{:>8}{:>8}", "10 MB of other bodies", "filter", "jiter", "serde");
    for (name, fields, body) in bodies::others() {
        let plan = self::plan(fields, "thing");
        let ours = rate(body.len(), || filter(&plan, &body, CHUNK_BYTES));
        let jiter = rate(body.len(), || peers::jiter_skip(&body));
        let serde = rate(body.len(), || peers::serde_value(&body));
        println!("{name:<34}{ours:>8.2}{jiter:>8.2}{serde:>8.2}");
    }
}

fn row(name: &str, bodies: &[Bytes], run: impl Fn(&Bytes) -> usize) {
    let rates = bodies.iter().map(|body| format!("{:>8.2}", rate(body.len(), || run(body))));
    println!("{name:<34}{}", rates.collect::<String>());
}

/// Input bytes per nanosecond of this thread in the fastest of several runs, each of them long enough to measure.
fn rate(bytes: usize, run: impl Fn() -> usize) -> f64 {
    let times = (2_000_000 / bytes).max(1);
    let fastest = (0..RUNS).map(|_| {
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
fn filter(plan: &Arc<Plan>, body: &Bytes, chunk_bytes: usize) -> usize {
    let mut filter = Filter::new(Arc::clone(plan), Caps::default(), Mode::Drop, Teller);
    let mut length = 0;
    let mut take = |filter: &mut Filter<Teller>| {
        length += black_box(filter.take_output()).iter().map(Bytes::len).sum::<usize>();
    };
    for start in (0..body.len()).step_by(chunk_bytes) {
        let chunk = body.slice(start..body.len().min(start + chunk_bytes));
        filter.push(chunk).expect("the body is valid");
        take(&mut filter);
    }
    filter.finish().expect("the body is complete");
    take(&mut filter);
    length
}

/// What a clerk may see of an export of this entity.
fn plan(fields: &str, entity: &str) -> Arc<Plan> {
    let rule = match entity {
        "customer" => bodies::CUSTOMER_RULE,
        _ => "clear: [id, values, text, deep]",
    };
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
        now_unix_s: 1_790_000_000,
    };
    let permit = program.decide(&query).unwrap_or_else(|denial| panic!("{denial:?}"));
    Arc::clone(permit.plan())
}
