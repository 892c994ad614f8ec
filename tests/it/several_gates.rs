//! Two gates that share one store: together they never give more than a limit, whatever becomes of the store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use menshen::audit::Concern;
use menshen::clock::Clock;
use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::harness::{Answer, Ask, Connection, Gate, OPEN_BANK, Reply, Setup, SharedStore, soon};

/// A gate and a connection to it that stays: many new ones would be held off.
struct Door {
    gate: Gate,
    line: Connection,
}

impl Door {
    async fn of(gate: Gate) -> Self {
        let line = gate.h2().await;
        Self { gate, line }
    }

    async fn restart(&mut self) {
        self.gate.restart().await;
        self.line = self.gate.h2().await;
    }
}

/// Doors of two gates with one policy, one master key and one issuer.
async fn doors(store: &SharedStore, limits: &str) -> [Door; 2] {
    let [one, two] = gates(store, limits).await;
    [Door::of(one).await, Door::of(two).await]
}

async fn gates(store: &SharedStore, limits: &str) -> [Gate; 2] {
    let policy = format!("{OPEN_BANK}limits:\n  - to: teller\n{limits}");
    pair(|| Setup::policy(&policy).yaml(&store.yaml(2))).await
}

/// Two gates by one setup, with one master key and one issuer.
pub(crate) async fn pair(setup: impl Fn() -> Setup) -> [Gate; 2] {
    let mut one = setup().prepare(Clock::system()).await;
    let second = setup().tweak(|config| {
        config.node = "gate-2".to_owned();
        config.shared.as_mut().unwrap().settings.node = "gate-2".into();
    });
    let mut two = second.prepare(Clock::system()).await;
    for name in ["master.key", "jwks.json"] {
        std::fs::copy(one.path(name), two.path(name)).unwrap();
    }
    for gate in [&mut one, &mut two] {
        gate.upstream.answers_by(|asked| {
            let id = asked.target.strip_prefix("/one/").unwrap_or("0");
            Reply::json(format!(r#"{{"id":"{id}","name":"n{id}"}}"#))
        });
        gate.start().await;
    }
    [one, two]
}

async fn view(door: &mut Door, token: &str, id: u32) -> Answer {
    door.line.send(Ask::get(&format!("/one/{id}")).by(token)).await
}

/// Asks until it is given, for a while.
async fn given_soon(door: &mut Door, token: &str, id: u32) {
    let given = async {
        while view(door, token, id).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(&format!("customer {id}"), given).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reached_the_limit_on_one_gate_is_stopped_on_the_other() {
    let store = SharedStore::start();
    let [mut one, mut two] = doors(&store, "    subjects: [40/h]\n").await;
    let token = one.gate.token(&json!({}));
    for id in 1..=40 {
        view(&mut one, &token, id).await.expect(200);
    }
    let refused = view(&mut two, &token, 41).await;
    refused.expect(429);
    assert!(refused.header("ratelimit").unwrap().contains("\"subjects-1h\";r=0"), "{refused:?}");
    view(&mut one, &token, 41).await.expect(429);
    for id in [1, 17, 40] {
        view(&mut two, &token, id).await.expect(200);
    }
    let colleague = one.gate.token(&json!({ "sub": "li" }));
    view(&mut two, &colleague, 41).await.expect(200);
    one.restart().await;
    view(&mut one, &token, 42).await.expect(429);
    view(&mut two, &token, 42).await.expect(429);
    view(&mut one, &token, 3).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_is_reached_though_both_gates_hold_a_part_of_it() {
    let store = SharedStore::start();
    let [mut one, mut two] = doors(&store, "    records: [60/h]\n").await;
    let token = one.gate.token(&json!({}));
    for id in 1..=60 {
        given_soon(if id % 3 == 0 { &mut two } else { &mut one }, &token, id).await;
    }
    view(&mut one, &token, 61).await.expect(429);
    view(&mut two, &token, 61).await.expect(429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_paused_a_gate_gives_what_it_was_lent_and_no_more() {
    let store = SharedStore::start();
    let [mut one, mut two] = doors(&store, "    subjects: [80/h]\n").await;
    let token = one.gate.token(&json!({}));
    view(&mut one, &token, 1).await.expect(200);
    store.pause();
    let mut given = BTreeSet::from([1]);
    for id in 2..=60 {
        let answer = view(&mut one, &token, id).await;
        if answer.status == 200 {
            given.insert(id);
        } else {
            answer.expect(429);
        }
    }
    // Of 80, a loan is 80 / (2 gates * 4).
    assert!((2..=10).contains(&given.len()), "{given:?}");
    // Of this one nothing was ever lent here.
    view(&mut two, &token, 61).await.expect(429);
    store.go_on();
    given_soon(&mut two, &token, 62).await;
    given_soon(&mut one, &token, 63).await;
    let entries = one.gate.entries().await;
    let lost = entries.iter().filter_map(|entry| entry.alert.as_ref());
    assert_eq!(lost.filter(|alert| alert.concern == Concern::SharedStoreLost).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_may_give_nothing_at_all_while_the_store_is_lost() {
    let mut store = SharedStore::start();
    let [mut one, mut two] = doors(&store, "    subjects: [80/h]\n    store-lost: deny\n").await;
    let token = one.gate.token(&json!({}));
    view(&mut one, &token, 1).await.expect(200);
    store.kill();
    soon("a refusal", async { while view(&mut one, &token, 1).await.status == 200 {} }).await;
    view(&mut one, &token, 2).await.expect(429);
    store.again();
    given_soon(&mut one, &token, 3).await;
    given_soon(&mut two, &token, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_killed_emptied_and_paused_under_load_never_lets_more_out() {
    const LIMIT: usize = 50;
    let mut store = SharedStore::start();
    let gates = Arc::new(gates(&store, &format!("    subjects: [{LIMIT}/h]\n")).await);
    let (token, stop) = (gates[0].token(&json!({})), Arc::new(AtomicBool::new(false)));
    let (tasks, mut running) = (TaskTracker::new(), Vec::new());
    for worker in 0..4_u32 {
        let (gates, token, stop) = (Arc::clone(&gates), token.clone(), Arc::clone(&stop));
        running.push(tasks.spawn(async move {
            let mut seen = BTreeSet::new();
            let mut connections = [gates[0].h2().await, gates[1].h2().await];
            let mut id = worker * 1_000;
            while !stop.load(Ordering::SeqCst) {
                id += 1;
                let ask = Ask::get(&format!("/one/{id}")).by(&token);
                if connections[(id % 2) as usize].send(ask).await.status == 200 {
                    seen.insert(id);
                }
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            seen
        }));
    }
    let short = || tokio::time::sleep(Duration::from_millis(400));
    for round in 0..3 {
        short().await;
        store.flush().await;
        short().await;
        store.pause();
        short().await;
        store.go_on();
        short().await;
        if round == 1 {
            store.kill();
            short().await;
            store.again();
        }
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.store(true, Ordering::SeqCst);
    let mut seen = BTreeSet::new();
    for task in running {
        seen.extend(task.await.unwrap());
    }
    assert!(seen.len() <= LIMIT, "{} were given", seen.len());
    assert!(seen.len() >= LIMIT / 2, "{} were given", seen.len());
}
