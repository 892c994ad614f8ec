//! What is done at one of several gates holds at the others: switches, whom detections hold and who was released,
//! budgets that begin anew; whatever becomes of the store between them.

use std::sync::Arc;
use std::time::Duration;

use menshen::audit::{Alert, Concern, Entry};
use menshen::bulletin::Seals;
use menshen::clock::Clock;
use menshen::command::{Desk, Doer, Kind, Target, Way};
use menshen::secret::MasterKey;
use menshen::state::Store;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::harness::client::finish;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, SharedStore, Step, soon};
use crate::monitoring::metrics;
use crate::several_gates::pair;

const METRICS: &str = "metrics: { address: \"127.0.0.1:0\" }\n";
const BOARD: &str = "{menshen}:";

async fn banks(store: &SharedStore, policy: &str, yaml: &str) -> [Gate; 2] {
    pair(|| Setup::policy(policy).yaml(&format!("{yaml}{}", store.yaml(2)))).await
}

/// As `menshen switch` opens it, beside a gate.
fn state(gate: &Gate) -> Store {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    Store::open(&gate.path("state"), &master, Clock::system()).unwrap()
}

fn lin() -> Doer {
    Doer { name: "lin".to_owned(), person: "lin".to_owned() }
}

async fn turn(gate: &Gate, way: Way, name: &str) {
    let target = Target::new(Kind::Person, name).unwrap();
    let desk = Desk::new(state(gate), Clock::system());
    desk.turn(&lin(), way, &target, "incident 4711").await.unwrap();
}

fn view(token: &str) -> Ask {
    Ask::get("/one/1").by(token)
}

/// The acts in a gate's log, with where they were done.
fn acts(gate: &Gate) -> Vec<(String, String)> {
    let act = |entry: Entry| entry.act.map(|a| (a.name.to_string(), a.detail.to_string()));
    gate.entries_so_far().into_iter().filter_map(act).collect()
}

/// Waits for an act in a gate's log.
async fn act(gate: &Gate, name: &str, detail: &str) {
    let told = (name.to_owned(), detail.to_owned());
    let looking = async {
        while !acts(gate).contains(&told) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(name, looking).await;
}

/// Waits for an alert in a gate's log.
async fn alert(gate: &Gate, concern: Concern) -> Alert {
    let looking = async {
        loop {
            let mut alerts = gate.entries_so_far().into_iter().filter_map(|entry| entry.alert);
            if let Some(found) = alerts.find(|alert| alert.concern == concern) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(concern.word(), looking).await
}

async fn metric_soon(gate: &Gate, line: &str) {
    let told = async {
        while !metrics(gate).await.lines().any(|told| told == line) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(line, told).await;
}

/// A command to the store, as whoever may write there could give.
async fn command<T: redis::FromRedisValue>(store: &SharedStore, words: &[&[u8]]) -> T {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", store.port())).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(std::str::from_utf8(words[0]).unwrap());
    command.arg(&words[1..]);
    command.query_async(&mut connection).await.unwrap()
}

/// Waits until all that a gate tells of topics stands on the board.
async fn posted(store: &SharedStore, gate: &Gate) {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let seals = Seals::derive(&master, "gate-1").unwrap();
    let notices = format!("{BOARD}notices");
    for notice in state(gate).bulletin_after(0, 100).await.unwrap() {
        let (tag, sealed) = seals.seal(&notice).unwrap().unwrap();
        let words: [&[u8]; 3] = [b"HGET", notices.as_bytes(), tag.as_bytes()];
        let posted = async {
            while command::<Option<Vec<u8>>>(store, &words).await.as_ref() != Some(&sealed) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        soon("the board", posted).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_switched_off_at_one_gate_is_refused_at_the_other_and_let_go_on_from_either() {
    let store = SharedStore::start();
    let [one, two] = banks(&store, OPEN_BANK, "").await;
    let (wang, li) = (one.teller(), one.token(&json!({ "sub": "li" })));
    let mut took = Vec::new();
    for _ in 0..3 {
        two.until(200, &view(&wang)).await;
        turn(&one, Way::On, "corp:wang").await;
        let since = Instant::now();
        two.until(403, &view(&wang)).await;
        took.push(since.elapsed());
        two.ask(view(&li)).await.expect(200);
        turn(&two, Way::Off, "corp:wang").await;
        one.until(200, &view(&wang)).await;
    }
    println!("from the command at one gate to a refusal at the other: {took:?}");
    act(&two, "switch_on_shared", "at gate-1").await;
    act(&one, "switch_off_shared", "at gate-2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_of_one_gate_is_cut_by_a_switch_at_another() {
    let store = SharedStore::start();
    let [one, mut two] = banks(&store, OPEN_BANK, "bodies: { held-kib: 4 }\n").await;
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"[{{"id":1,"note":"{}"}},"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    let go_on = Arc::new(Semaphore::new(0));
    two.upstream.answers(Reply::raw(first).then(Step::Wait(go_on)));
    let wang = one.teller();
    let mut line = two.h2().await;
    let stream = line.begin(Ask::get("/all").by(&wang)).await.unwrap();
    turn(&one, Way::On, "corp:wang").await;
    let cut = soon("the stream to be cut", finish(stream)).await;
    assert!(cut.cut.is_some() && !cut.body.ends_with(b"]"));
    let entries = two.entries().await;
    let mut causes = entries.iter().filter_map(|entry| entry.result.as_ref());
    assert!(causes.any(|result| result.cause.as_str() == "switched_off"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_was_away_knows_with_its_first_request_what_was_done_meanwhile() {
    let store = SharedStore::start();
    let [one, mut two] = banks(&store, OPEN_BANK, "").await;
    let (wang, li) = (one.teller(), one.token(&json!({ "sub": "li" })));
    turn(&one, Way::On, "corp:li").await;
    two.until(403, &view(&li)).await;
    two.stop().await;
    turn(&one, Way::On, "corp:wang").await;
    one.until(403, &view(&wang)).await;
    turn(&one, Way::Off, "corp:li").await;
    one.until(200, &view(&li)).await;
    posted(&store, &one).await;
    two.start().await;
    two.ask(view(&wang)).await.expect(403);
    two.ask(view(&li)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_lost_what_is_switched_off_stays_and_what_was_done_is_heard_of_later() {
    let mut store = SharedStore::start();
    let [one, two] = banks(&store, OPEN_BANK, METRICS).await;
    let (wang, li) = (one.teller(), one.token(&json!({ "sub": "li" })));
    turn(&one, Way::On, "corp:wang").await;
    two.until(403, &view(&wang)).await;
    metric_soon(&two, "menshen_board_up 1").await;
    store.kill();
    metric_soon(&two, "menshen_board_up 0").await;
    alert(&two, Concern::BoardLost).await;
    turn(&one, Way::On, "corp:li").await;
    one.until(403, &view(&li)).await;
    two.ask(view(&wang)).await.expect(403);
    two.ask(view(&li)).await.expect(200);
    store.again();
    two.until(403, &view(&li)).await;
    two.ask(view(&wang)).await.expect(403);
    turn(&two, Way::Off, "corp:wang").await;
    one.until(200, &view(&wang)).await;
    metric_soon(&two, "menshen_board_up 1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_board_is_filled_again_and_nothing_that_was_switched_off_goes_on() {
    let store = SharedStore::start();
    let [one, mut two] = banks(&store, OPEN_BANK, "").await;
    let (wang, li) = (one.teller(), one.token(&json!({ "sub": "li" })));
    turn(&one, Way::On, "corp:wang").await;
    two.until(403, &view(&wang)).await;
    two.stop().await;
    for _ in 0..3 {
        store.flush().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    turn(&one, Way::On, "corp:li").await;
    // Another gate stands there now, with neither state nor log.
    for folder in ["state", "log"] {
        std::fs::remove_dir_all(two.path(folder)).unwrap();
    }
    one.until(403, &view(&li)).await;
    posted(&store, &one).await;
    // A gate that knows nothing learns all of it from the board.
    two.start().await;
    two.ask(view(&wang)).await.expect(403);
    two.ask(view(&li)).await.expect(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_writes_on_the_board_counts_for_nothing_and_is_told() {
    let store = SharedStore::start();
    let [one, two] = banks(&store, OPEN_BANK, METRICS).await;
    let (wang, li) = (one.teller(), one.token(&json!({ "sub": "li" })));
    turn(&one, Way::On, "corp:wang").await;
    two.until(403, &view(&wang)).await;
    let (notices, order) = (format!("{BOARD}notices"), format!("{BOARD}order"));
    let forged = json!({ "kind": "switch", "topic": "person corp:li", "lasts": true });
    let forged = forged.to_string();
    let hset: [&[u8]; 4] = [b"HSET", notices.as_bytes(), b"somewhere", forged.as_bytes()];
    command::<()>(&store, &hset).await;
    let zadd: [&[u8]; 4] = [b"ZADD", order.as_bytes(), b"1000", b"somewhere"];
    command::<()>(&store, &zadd).await;
    // Whichever reads it first clears it away a little later.
    let (at_one, at_two) = (alert(&one, Concern::ForgedNotice), alert(&two, Concern::ForgedNotice));
    let told = tokio::select! { told = at_one => told, told = at_two => told };
    assert_eq!(told.count, 1);
    two.ask(view(&li)).await.expect(200);
    two.ask(view(&wang)).await.expect(403);
    // It stands in nobody's way.
    turn(&one, Way::Off, "corp:wang").await;
    two.until(200, &view(&wang)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_row_of_somebody_else_ends_what_gates_tell_each_other() {
    let store = SharedStore::start();
    let [one, two] = banks(&store, OPEN_BANK, METRICS).await;
    let wang = one.teller();
    let (notices, order) = (format!("{BOARD}notices"), format!("{BOARD}order"));
    let (head, long) = (format!("{BOARD}board"), "x".repeat(1 << 20));
    let (notices, order) = (notices.as_bytes(), order.as_bytes());
    let way = [Way::On, Way::Off];
    let attacks: [&[&[u8]]; 5] = [
        // A place that has no next, with and without a notice; a count that is none.
        &[b"ZADD", order, b"1e300", b"ghost"],
        &[b"ZADD", order, b"inf", b"ghost"],
        &[b"HSET", head.as_bytes(), b"count", b"1e300"],
        &[b"HSET", head.as_bytes(), b"count", b"many"],
        &[b"HSET", notices, b"long", long.as_bytes()],
    ];
    for (n, attack) in attacks.into_iter().enumerate() {
        command::<()>(&store, attack).await;
        if attack[1] == notices {
            command::<()>(&store, &[b"ZADD", order, b"1000000", b"long"]).await;
        }
        turn(&one, way[n % 2], "corp:wang").await;
        two.until([403, 200][n % 2], &view(&wang)).await;
    }
    let (at_one, at_two) = (alert(&one, Concern::ForgedNotice), alert(&two, Concern::ForgedNotice));
    tokio::select! { _ = at_one => {}, _ = at_two => {} }
    assert!(!command::<bool>(&store, &[b"HEXISTS", notices, b"long"]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_filled_with_what_nobody_reads_has_room_and_one_full_of_forged_rows_is_cleared() {
    let store = SharedStore::start();
    let [one, two] = banks(&store, OPEN_BANK, METRICS).await;
    let wang = one.teller();
    // 50,000 rows that stand in no order, then 3,000 that do: more than are cleared away at once.
    let script = "for i = 1, 50000 do redis.call('HSET', KEYS[1], 'junk' .. i, 'x') end \
                  for i = 1, 3000 do redis.call('HSET', KEYS[1], 'row' .. i, 'x') \
                  redis.call('ZADD', KEYS[2], 1000 + i, 'row' .. i) end return 0";
    let (notices, order) = (format!("{BOARD}notices"), format!("{BOARD}order"));
    let eval: [&[u8]; 5] = [b"EVAL", script.as_bytes(), b"2", notices.as_bytes(), order.as_bytes()];
    command::<i64>(&store, &eval).await;
    turn(&one, Way::On, "corp:wang").await;
    two.until(403, &view(&wang)).await;
    let cleared = async {
        while command::<u64>(&store, &[b"ZCARD", order.as_bytes()]).await > 10 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), cleared).await.unwrap();
    two.ask(view(&wang)).await.expect(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_with_another_master_key_neither_hears_nor_tells() {
    let store = SharedStore::start();
    let setup = || Setup::policy(OPEN_BANK).yaml(&format!("{METRICS}{}", store.yaml(2)));
    let one = setup().start().await;
    metric_soon(&one, "menshen_board_up 1").await;
    let other = setup().start().await;
    metric_soon(&other, "menshen_board_up 0").await;
    alert(&other, Concern::BoardLost).await;
    one.upstream.answers_by(|_| Reply::json(r#"{"id":"1"}"#));
    other.upstream.answers_by(|_| Reply::json(r#"{"id":"1"}"#));
    turn(&other, Way::On, "corp:wang").await;
    other.until(403, &view(&other.teller())).await;
    one.ask(view(&one.teller())).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_detection_blocks_at_one_gate_is_blocked_at_the_other_until_released_at_either() {
    let store = SharedStore::start();
    let policy = format!("{OPEN_BANK}detections:\n  sequential-ids: {{ action: block }}\n");
    let [one, two] = banks(&store, &policy, "").await;
    let (wang, li) = (one.teller(), one.token(&json!({ "sub": "li" })));
    for id in 0..20 {
        let status = one.ask(Ask::get(&format!("/one/C-{id:04}")).by(&wang)).await.status;
        assert!(status == 200 || id == 19, "{id}: {status}");
    }
    one.until(403, &view(&wang)).await;
    two.until(403, &view(&wang)).await;
    two.ask(view(&li)).await.expect(200);
    let released = state(&two).acting_as("chen").release_findings("corp:wang", "a batch").await;
    assert_eq!(released.unwrap().len(), 1);
    two.until(200, &view(&wang)).await;
    one.until(200, &view(&wang)).await;
    alert(&one, Concern::Finding).await;
    let found = |gate: &Gate| {
        let alerts = gate.entries_so_far().into_iter().filter_map(|entry| entry.alert);
        alerts.filter(|alert| alert.concern == Concern::Finding).count()
    };
    assert_eq!((found(&one), found(&two)), (1, 0), "each finding is an alert in one log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_begins_anew_at_one_gate_does_so_at_all() {
    let store = SharedStore::start();
    let policy = format!("{OPEN_BANK}limits:\n  - to: teller\n    subjects: [8/h]\n");
    let [one, two] = banks(&store, &policy, "").await;
    let wang = one.teller();
    let customer = |id: u32| Ask::get(&format!("/one/{id}")).by(&wang);
    for id in 1..=4 {
        one.until(200, &customer(id)).await;
        two.until(200, &customer(id + 10)).await;
    }
    one.ask(customer(9)).await.expect(429);
    two.ask(customer(9)).await.expect(429);
    let desk = Desk::new(state(&one), Clock::system());
    desk.reset(&lin(), "corp:wang", "subjects-1h", "a batch").await.unwrap();
    for id in 21..=24 {
        one.until(200, &customer(id)).await;
        two.until(200, &customer(id + 10)).await;
    }
    one.until(429, &customer(9)).await;
    two.until(429, &customer(9)).await;
    act(&two, "limits_reset_shared", "at gate-1").await;
}
