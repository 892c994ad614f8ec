//! What one of several gates learns of grants, links and what data subjects said holds at the others, whatever becomes
//! of the store between them; and a use of a grant is taken once over all of them.

use std::sync::Arc;
use std::time::Duration;

use menshen::audit::Entry;
use menshen::clock::Clock;
use menshen::consent::{Register, Says, Statement};
use menshen::link::{Link, Links, Taken, Ticket};
use menshen::policy::ConsentKind;
use menshen::secret::MasterKey;
use menshen::state::Store;
use serde_json::json;
use tokio::sync::{Barrier, Semaphore};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::grants::{admin, answering, approve, asks, hotel_setup, manager, scan_of};
use crate::harness::client::finish;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, SharedStore, Step, soon};
use crate::several_gates::pair;

async fn hotels(store: &SharedStore) -> [Gate; 2] {
    let gates = pair(|| hotel_setup("").yaml(&store.yaml(2))).await;
    gates.iter().for_each(answering);
    gates
}

/// The bank, where a case opens the phone and marketing needs a consent.
fn bank() -> String {
    let bank = OPEN_BANK.replace("2: {}, sealed", "2: { link: call }, sealed").replace(
        "purposes: [service]\n",
        "purposes: { service: {}, marketing: { consent: required } }\n",
    );
    format!(
        "{bank}  - name: tied tellers see more\n    allow: [view, search, export]\n    to: teller\n    \
         of: customer\n    clear: [phone]\n"
    )
}

async fn banks(store: &SharedStore) -> [Gate; 2] {
    let policy = bank();
    let gates = pair(|| Setup::policy(&policy).yaml(&store.yaml(2))).await;
    for gate in &gates {
        gate.upstream.answers_by(|_| Reply::json(r#"{"id":"1","name":"n","phone":"13800138000"}"#));
    }
    gates
}

/// As commands open it, beside a gate.
fn state(gate: &Gate) -> (Store, MasterKey) {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let store = Store::open(&gate.path("state"), &master, Clock::system()).unwrap();
    (store, master)
}

fn links(gate: &Gate) -> Links {
    let (store, master) = state(gate);
    Links::new(store, &master, Clock::system()).unwrap()
}

fn link() -> Link {
    Link {
        account: "corp:wang".into(),
        kind: "call".into(),
        entity: "customer".into(),
        subject: "1".into(),
        reference: String::new(),
        until_s: Clock::system().unix_s() + 600,
    }
}

async fn say(gate: &Gate, says: Says) {
    let (store, master) = state(gate);
    let register = Register::new(store, &master, Clock::system()).unwrap();
    let (entity, subject) = ("customer".into(), "1".into());
    let statement = Statement { entity, subject, says, reference: String::new() };
    register.put("crm", &[statement]).await.unwrap();
}

fn consent() -> Says {
    let until_s = Clock::system().unix_s() + 600;
    let (purpose, kind) = ("marketing".into(), ConsentKind::Explicit);
    Says::Consent { purpose, kind, notice: 1, until_s, recipient: None }
}

fn scan(token: &str) -> Ask {
    Ask::get("/guests/G7/scan").by(token)
}

/// Asks at one gate and has it agreed to at another.
async fn granted(one: &Gate, two: &Gate, fields: serde_json::Value) -> String {
    let told = asks(one, &one.teller(), fields).await.expect(201).json();
    let id = told["id"].as_str().unwrap().to_owned();
    let mei = manager(one, "mei");
    let agreed = async {
        while approve(two, &mei, &id).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the other gate to hear of it", agreed).await;
    id
}

/// The names of the acts in a gate's log, with where they were done.
fn acts(gate: &Gate) -> Vec<(String, String)> {
    let act = |entry: Entry| entry.act.map(|act| (act.name.to_string(), act.detail.to_string()));
    gate.entries_so_far().into_iter().filter_map(act).collect()
}

async fn act(gate: &Gate, name: &str, end: &str) {
    let looking = async {
        while !acts(gate).iter().any(|(known, detail)| known == name && detail.ends_with(end)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(name, looking).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_asked_for_at_one_gate_agreed_to_at_another_and_one_use_is_one_over_both() {
    let store = SharedStore::start();
    let [one, two] = hotels(&store).await;
    let wang = one.teller();
    granted(&one, &two, scan_of("G7")).await;
    act(&one, "grant_approved_shared", "at gate-2").await;
    // Many looks at once, half of them at each gate: one passes.
    let (barrier, tasks) = (Arc::new(Barrier::new(64)), TaskTracker::new());
    let mut lines = Vec::new();
    for n in 0..64 {
        lines.push([&one, &two][n % 2].h1().await);
    }
    let asking = lines.into_iter().map(|mut line| {
        let (barrier, ask) = (Arc::clone(&barrier), scan(&wang));
        tasks.spawn(async move {
            barrier.wait().await;
            line.send(ask).await.status.as_u16()
        })
    });
    let asking: Vec<_> = asking.collect();
    let mut passed = 0;
    for asked in asking {
        let status = asked.await.unwrap();
        assert!([200, 403, 429].contains(&status), "{status}");
        passed += usize::from(status == 200);
    }
    assert!(passed <= 1, "{passed}");
    if passed == 0 {
        // The gates asked each other for it until nobody waited any more; it is still there.
        one.until(200, &scan(&wang)).await;
    }
    for gate in [&two, &one, &two, &one] {
        let status = gate.ask(scan(&wang)).await.status.as_u16();
        assert!([403, 429].contains(&status), "{status}");
    }
    one.until(403, &scan(&wang)).await;
    two.until(403, &scan(&wang)).await;
    act(&one, "grant_approved_shared", "at gate-2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_taken_back_at_one_gate_cuts_the_open_stream_of_another_and_opens_nothing()
{
    let store = SharedStore::start();
    let [one, two] = hotels(&store).await;
    let wang = one.teller();
    let fields = json!({ "route": "guest.list guest.scan", "subjects": "guest:G7", "uses": "1", "reason": "r" });
    let id = granted(&one, &two, fields.clone()).await;
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"[{{"id":"G7","name":"{}","passport":"E1"}},"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    two.upstream.answers(Reply::raw(first).then(Step::Wait(Arc::new(Semaphore::new(0)))));
    let mut line = two.h2().await;
    let stream = line.begin(Ask::get("/guests").by(&wang)).await.unwrap();
    let revoke = format!("/v1/grants/{id}/revoke");
    let since = Instant::now();
    admin(&one, &manager(&one, "mei"), &revoke, json!({ "reason": "enough" })).await.expect(200);
    let cut = soon("the cut", finish(stream)).await;
    println!("from the command at one gate to the cut at the other: {:?}", since.elapsed());
    assert!(cut.cut.is_some() && !cut.body.ends_with(b"]"));
    act(&two, "grant_revoked_shared", "at gate-1").await;
    answering(&two);
    two.ask(scan(&wang)).await.expect(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_lost_no_use_is_taken_that_another_gate_may_take_and_a_revocation_comes_later()
 {
    let mut store = SharedStore::start();
    let [one, two] = hotels(&store).await;
    let wang = one.teller();
    let often =
        json!({ "route": "guest.scan", "subjects": "guest:G7", "uses": "1", "reason": "r" });
    let id = granted(&one, &two, often).await;
    // It is known at both, and neither has taken its use.
    act(&one, "grant_approved_shared", "at gate-2").await;
    store.kill();
    let mut passed = 0;
    for gate in [&one, &two, &one, &two] {
        let status = gate.ask(scan(&wang)).await.status.as_u16();
        assert!([200, 403, 429].contains(&status), "{status}");
        passed += usize::from(status == 200);
    }
    assert_eq!(passed, 0, "nobody was lent it");
    let revoke = format!("/v1/grants/{id}/revoke");
    admin(&two, &manager(&one, "mei"), &revoke, json!({ "reason": "enough" })).await.expect(200);
    store.again();
    act(&one, "grant_revoked_shared", "at gate-2").await;
    one.until(403, &scan(&wang)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emergency_is_known_at_all_gates_and_so_is_its_review() {
    let store = SharedStore::start();
    let [one, two] = hotels(&store).await;
    let mut fields = scan_of("G7");
    (fields["emergency"], fields["uses"]) = ("true".into(), "5".into());
    let opened = asks(&one, &one.teller(), fields).await.expect(201).json();
    let id = opened["id"].as_str().unwrap();
    two.until(200, &scan(&one.teller())).await;
    act(&two, "glass_broken_shared", "at gate-1").await;
    let eve = one.token(&json!({ "sub": "eve", "roles": ["auditor"] }));
    let said = json!({ "verdict": "fit", "reason": "seen" });
    admin(&two, &eve, &format!("/v1/grants/{id}/review"), said).await.expect(200);
    // What still holds ends with it.
    one.until(403, &scan(&one.teller())).await;
}

/// Asks until the phone is shown, or is not.
async fn phone(gate: &Gate, token: &str, is_shown: bool) {
    let mut line = gate.h1().await;
    let asking = async {
        loop {
            let answer = line.send(Ask::get("/one/1").by(token)).await;
            if answer.status == 200 && (answer.json()["phone"] == "13800138000") == is_shown {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the phone", asking).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_begins_or_ends_at_one_gate_does_so_at_the_other_also_for_its_ticket() {
    let store = SharedStore::start();
    let [one, two] = banks(&store).await;
    let wang = one.teller();
    phone(&two, &wang, false).await;
    let ticket = Ticket { issuer: "queue", id: "T-1", issued_s: Clock::system().unix_s() - 5 };
    assert_eq!(links(&one).take_ticket(&link(), &ticket).await.unwrap(), Taken::Now);
    let since = Instant::now();
    phone(&two, &wang, true).await;
    println!("from a ticket at one gate to the case at the other: {:?}", since.elapsed());
    act(&two, "links_put_shared", "at gate-1").await;
    links(&two).end("crm", &[link()]).await.unwrap();
    phone(&one, &wang, false).await;
    assert_eq!(links(&two).take_ticket(&link(), &ticket).await.unwrap(), Taken::Before);
    assert_eq!(links(&one).take_ticket(&link(), &ticket).await.unwrap(), Taken::Before);
    phone(&two, &wang, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_at_one_gate_holds_at_the_other_and_a_gate_that_was_away_knows_it_at_once() {
    let store = SharedStore::start();
    let [one, mut two] = banks(&store).await;
    let ask = Ask::get("/one/1").bearer(&one.teller()).header("menshen-purpose", "marketing");
    two.until(404, &ask).await;
    say(&one, consent()).await;
    two.until(200, &ask).await;
    let since = Instant::now();
    say(&one, Says::Withdraw { purpose: "marketing".into(), recipient: String::new() }).await;
    two.until(404, &ask).await;
    println!("from a withdrawal at one gate to the other: {:?}", since.elapsed());
    say(&two, consent()).await;
    one.until(200, &ask).await;
    two.stop().await;
    say(&one, Says::Object { purpose: "marketing".into(), recipient: String::new() }).await;
    one.until(404, &ask).await;
    two.start().await;
    two.ask(ask.clone()).await.expect(404);
}

/// Tells how fast an import at one gate is known at another: run it alone with `--ignored --no-capture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn how_fast_an_import_at_one_gate_is_known_at_the_other_and_an_objection_beside_it() {
    const COUNT: usize = 40_000;
    let store = SharedStore::start();
    let [one, two] = banks(&store).await;
    let (here, master) = state(&one);
    let register = Register::new(here, &master, Clock::system()).unwrap();
    let one_of = |n: usize, says: Says| Statement {
        entity: "customer".into(),
        subject: format!("c-{n}"),
        says,
        reference: String::new(),
    };
    for from in (0..COUNT).step_by(20_000) {
        let import: Vec<_> = (from..from + 20_000).map(|n| one_of(n, consent())).collect();
        register.put("crm", &import).await.unwrap();
    }
    let no = Says::Object { purpose: "marketing".into(), recipient: String::new() };
    register.put("crm", &[one_of(COUNT, no)]).await.unwrap();
    let since = Instant::now();
    let (there, master) = state(&two);
    let known = Register::new(there, &master, Clock::system()).unwrap();
    let heard = async |n: usize| {
        let subject = format!("c-{n}");
        loop {
            known.load().await.unwrap();
            let said = known.said("customer", &subject, "marketing", None);
            if said.is_some_and(|said| said != menshen::policy::Said::Nothing) {
                return since.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    println!("the objection after {:?}", heard(COUNT).await);
    println!("{COUNT} consents after {:?}", heard(COUNT - 1).await);
}
