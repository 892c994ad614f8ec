//! A permit or a denial for one request, under a policy of 2,000 rules: menshen and Cedar in one run.
//!
//! `cargo run --release` here. Cedar is asked for the request alone: it has no fields, no masks and no
//! limits, so this is the part of a decision that both make. Its policies are the same rules, one
//! `permit` for each role, entity and action, with the same condition on the caller's zone.

#[path = "../../../benches/decide/large.rs"]
mod large;

use std::fmt::Write as _;
use std::hint::black_box;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use menshen::document::Source;
use menshen::policy::{Factor, Principal, Program, Query, Value, compile};
use menshen::route::Path;

const NOW_S: i64 = 1_790_000_000;
const ROUNDS: usize = 200;

fn main() {
    let text = large::policy(large::BANK);
    let source = Source { name: "large.yaml".to_owned(), text };
    let program = compile(&[source]).expect("the policy compiles");
    let menshen = menshen(&program);
    println!("menshen, plan and limits too  {:>9.2} µs", micros(menshen));
    for rules in [100, large::BANK.rules] {
        let policies = PolicySet::from_str(&policies(rules)).expect("Cedar's policies");
        let cedar = cedar(&policies);
        println!("Cedar, {rules:>5} policies        {:>9.2} µs", micros(cedar));
    }
}

/// Caller and route stand ready, as request and entities do for Cedar.
fn menshen(program: &Program) -> Duration {
    let principal = Arc::new(Principal {
        account: "wang.li".to_owned(),
        roles: vec!["role7".to_owned()],
        attributes: [("branch".to_owned(), Value::from("sh01"))].into(),
        factors: vec![Factor { level: 2, at_unix_s: NOW_S - 50 }],
        assurance: 2,
        ..Principal::default()
    });
    let path = Path::parse("/api/e0/17").expect("a path");
    let found = program.find("business", "bank.example", "GET", &path).expect("a route");
    let query = Query {
        zone: "business",
        principal: &principal,
        route: &found.route,
        params: &found.params,
        method: "GET",
        host: "bank.example",
        purpose: Some("service"),
        ticket: None,
        grant: None,
        now_unix_s: NOW_S,
    };
    median(|| assert!(black_box(program.decide(black_box(&query))).is_ok()), 100)
}

fn policies(count: usize) -> String {
    let mut text = String::new();
    for rule in 0..count {
        let (role, entity) =
            (rule % large::BANK.roles, rule / large::BANK.roles % large::BANK.entities);
        writeln!(
            text,
            "permit(principal in Role::\"role{role}\", action in [Action::\"view\", Action::\"search\"], \
             resource in Kind::\"e{entity}\") when {{ context.zone == \"business\" && \
             [\"service\", \"complaint\"].contains(context.purpose) }};"
        )
        .expect("text");
    }
    text
}

fn cedar(policies: &PolicySet) -> Duration {
    let uid = |text: &str| EntityUid::from_str(text).expect("a name");
    let entities = Entities::from_json_str(
        r#"[{ "uid": { "type": "User", "id": "wang.li" }, "attrs": {}, "parents": [{ "type": "Role", "id": "role7" }] },
            { "uid": { "type": "Record", "id": "17" }, "attrs": {}, "parents": [{ "type": "Kind", "id": "e0" }] }]"#,
        None,
    )
    .expect("entities");
    let context = Context::from_json_str(r#"{ "zone": "business", "purpose": "service" }"#, None);
    let request = Request::new(
        uid(r#"User::"wang.li""#),
        uid(r#"Action::"view""#),
        uid(r#"Record::"17""#),
        context.expect("a context"),
        None,
    )
    .expect("a request");
    let authorizer = Authorizer::new();
    let decide = || authorizer.is_authorized(black_box(&request), policies, &entities).decision();
    median(|| assert_eq!(black_box(decide()), Decision::Allow), 1)
}

fn median(mut once: impl FnMut(), times: u32) -> Duration {
    let mut all: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..times).for_each(|_| once());
            start.elapsed() / times
        })
        .collect();
    all.sort_unstable();
    all[all.len() / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
