//! What is switched off by command: refused from the next request on, cut where it streams, in the log with who and
//! why, and still off after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use menshen::audit::{Effect, Ending, Entry};
use menshen::command::{CommandError, Desk, Doer, Done, Kind, Target, Way};
use menshen::identity::{CallerKind, NewAccount};
use menshen::secret::{MasterKey, Secret};
use menshen::state::Store;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::harness::client::finish;
use crate::harness::process::menshen;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, Step, soon};

const WHY: &str = "incident 4711";
/// What a switch may take in a gate that has little to do; a busy test machine gets some more.
const AT_ONCE: Duration = Duration::from_millis(250);
const PASSWORD: &str = "lanterns-at-dusk";

async fn bank() -> Gate {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers_by(|asked| match asked.target.as_str() {
        "/all" => Reply::json(r#"[{"id":1}]"#),
        "/list" => Reply::json(r#"{"items":[{"id":1}]}"#),
        _ => Reply::json(r#"{"id":1}"#),
    });
    gate
}

/// As `menshen switch` opens it, beside the gate.
fn desk(gate: &Gate) -> Desk {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let store = Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap();
    Desk::new(store, gate.clock.clone())
}

fn lin() -> Doer {
    Doer { name: "lin".to_owned(), person: "lin".to_owned() }
}

fn target(text: &str) -> Target {
    let (kind, name) = text.split_once(' ').unwrap_or((text, ""));
    Target::new(kind.parse().unwrap(), name).unwrap()
}

async fn turn(gate: &Gate, way: Way, what: &str) {
    let done = desk(gate).turn(&lin(), way, &target(what), WHY).await.unwrap();
    assert_eq!(done, Done::Changed);
}

/// Asks until that is the status; how long it took.
async fn until(gate: &Gate, ask: &Ask, status: u16) -> Duration {
    let start = Instant::now();
    gate.until(status, ask).await;
    start.elapsed()
}

async fn view(gate: &Gate, token: &str) -> Answer {
    gate.ask(Ask::get("/one/1").by(token)).await
}

#[tokio::test]
async fn what_is_switched_off_is_refused_from_the_next_request_on_and_nothing_else_is() {
    let gate = bank().await;
    let teller = gate.token(&json!({ "tenant": "hq" }));
    let other =
        gate.token(&json!({ "sub": "li", "roles": ["teller", "stranger"], "tenant": "sh" }));
    let view = |token: &str| Ask::get("/one/1").by(token);
    let export = |token: &str| Ask::get("/all").by(token);
    let list = |token: &str| Ask::get("/list").by(token);
    for (what, stopped, free) in [
        ("person corp:wang", view(&teller), view(&other)),
        ("role stranger", view(&other), view(&teller)),
        ("tenant hq", view(&teller), view(&other)),
        ("route one.view", view(&other), list(&other)),
        ("exports", export(&teller), view(&teller)),
    ] {
        gate.ask(stopped.clone()).await.expect(200);
        turn(&gate, Way::On, what).await;
        // Nothing older than this lets a request pass, whatever the gate is busy with.
        tokio::time::sleep(AT_ONCE).await;
        let refused = gate.ask(stopped.clone()).await;
        let told = refused.expect(403).text();
        assert!(told.contains("This access is suspended"), "{told}");
        assert!(!told.contains(WHY) && !told.contains(what), "only the log says why: {told}");
        gate.ask(free).await.expect(200);
        turn(&gate, Way::Off, what).await;
        until(&gate, &stopped, 200).await;
    }
}

#[tokio::test]
async fn a_partner_is_switched_off_by_its_account_and_nobody_else_of_that_name_is() {
    let gate = bank().await;
    for (name, kind) in [("acme", CallerKind::Partner), ("acme-staff", CallerKind::Staff)] {
        let account = NewAccount {
            name: name.to_owned(),
            display_name: name.to_owned(),
            kind,
            roles: vec!["teller".to_owned()],
            attributes: BTreeMap::new(),
            password: Secret::new(PASSWORD.to_owned()),
        };
        gate.identity().add_account(account).await.unwrap();
    }
    let partner = Ask::get("/one/1").cookie(&gate.sign_in("acme", PASSWORD).await);
    let staff = Ask::get("/one/1").cookie(&gate.sign_in("acme-staff", PASSWORD).await);
    turn(&gate, Way::On, "partner acme").await;
    turn(&gate, Way::On, "partner acme-staff").await;
    tokio::time::sleep(AT_ONCE).await;
    gate.ask(partner).await.expect(403);
    gate.ask(staff).await.expect(200);
}

#[tokio::test]
async fn whoever_is_switched_off_is_so_under_each_of_their_accounts() {
    let gate = bank().await;
    gate.add_account("wang", PASSWORD, "teller").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    for account in ["wang", "corp:wang"] {
        gate.identity().set_person(account, Some("e1042")).await.unwrap();
    }
    gate.advance_s(2);
    let by_session = Ask::get("/one/1").cookie(&session);
    let by_token = Ask::get("/one/1").by(&gate.teller());
    for name in ["corp:wang", "wang", "e1042"] {
        turn(&gate, Way::On, &format!("person {name}")).await;
        tokio::time::sleep(AT_ONCE).await;
        gate.ask(by_session.clone()).await.expect(403);
        gate.ask(by_token.clone()).await.expect(403);
        let change = json!({ "old": PASSWORD, "new": "seven ferries at dawn" }).to_string();
        gate.ask(Ask::post("/.menshen/password", &change).cookie(&session)).await.expect(403);
        turn(&gate, Way::Off, &format!("person {name}")).await;
        until(&gate, &by_session, 200).await;
        gate.ask(by_token.clone()).await.expect(200);
    }
}

#[tokio::test]
async fn open_streams_of_what_is_switched_off_are_cut_and_others_go_on() {
    let mut gate = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }").start().await;
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"[{{"id":1,"note":"{}"}},"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    let go_on = Arc::new(Semaphore::new(0));
    let rest = [chunk(br#"{"id":2}]"#), b"0\r\n\r\n".to_vec()].concat();
    gate.upstream
        .answers(Reply::raw(first).then(Step::Wait(Arc::clone(&go_on))).then(Step::Send(rest)));
    let (wang, li) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    let (mut mine, mut other) = (gate.h2().await, gate.h1().await);
    let stopped = mine.begin(Ask::get("/all").by(&wang)).await.unwrap();
    let free = other.begin(Ask::get("/all").by(&li)).await.unwrap();
    turn(&gate, Way::On, "person corp:wang").await;
    let start = Instant::now();
    assert!(finish(stopped).await.cut.is_some());
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    turn(&gate, Way::Off, "person corp:wang").await;
    go_on.add_permits(2);
    let whole = finish(free).await;
    assert_eq!((whole.cut, whole.body.ends_with(b"]")), (None, true));
    let entries = gate.entries().await;
    let ended = entries.iter().filter_map(|entry| entry.result.as_ref());
    let ended: Vec<_> = ended.filter_map(|r| Some((r.ended?, r.cause.as_str()))).collect();
    assert!(ended.contains(&(Ending::AbortedByPolicy, "switched_off")), "{ended:?}");
    assert!(ended.contains(&(Ending::Complete, "")), "{ended:?}");
}

#[tokio::test]
async fn an_export_under_way_stops_when_exports_are_switched_off_and_a_look_does_not() {
    let gate = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }").start().await;
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"{{"id":1,"note":"{}"}}"#, "n".repeat(9000));
    let go_on = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&go_on);
    gate.upstream.answers_by(move |asked| {
        let (open, close) =
            if asked.target == "/all" { ("[", "]") } else { (r#"{"items":["#, "]}") };
        let begun = format!("{open}{record},");
        let rest = [chunk(format!("{record}{close}").as_bytes()), b"0\r\n\r\n".to_vec()].concat();
        Reply::raw([head(200, &headers), chunk(begun.as_bytes())].concat())
            .then(Step::Wait(Arc::clone(&wait)))
            .then(Step::Send(rest))
    });
    let token = gate.teller();
    let (mut first, mut second) = (gate.h1().await, gate.h1().await);
    let export = first.begin(Ask::get("/all").by(&token)).await.unwrap();
    let look = second.begin(Ask::get("/list").by(&token)).await.unwrap();
    turn(&gate, Way::On, "exports").await;
    let cut = finish(export).await;
    assert!(cut.cut.is_some() && !cut.body.ends_with(b"]"), "it does not end as if it were whole");
    go_on.add_permits(2);
    assert_eq!(finish(look).await.cut, None);
}

#[tokio::test]
async fn an_answer_that_was_held_does_not_leave_once_it_is_switched_off() {
    let mut gate = bank().await;
    let (arrived, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&go_on));
    gate.upstream.answers_by(move |_| {
        tell.add_permits(1);
        Reply([vec![Step::Wait(Arc::clone(&wait))], Reply::json(r#"{"id":1}"#).0].concat())
    });
    let (wang, li) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    let (mut mine, mut other) = (gate.h1().await, gate.h1().await);
    let asking = async {
        tokio::join!(
            mine.send(Ask::get("/one/1").by(&wang)),
            other.send(Ask::patch("/one/1", r#"{"name":"x"}"#).by(&wang))
        )
    };
    let switching = async {
        soon("both to arrive", arrived.acquire_many(2)).await.unwrap().forget();
        turn(&gate, Way::On, "person corp:wang").await;
        tokio::time::sleep(AT_ONCE).await;
        go_on.add_permits(3);
        until(&gate, &Ask::get("/one/1").by(&li), 200).await;
    };
    let ((looked, changed), ()) = tokio::join!(asking, switching);
    looked.expect(403);
    changed.expect(200);
    let entries = gate.entries().await;
    let refused =
        |entry: &&Entry| entry.result.as_ref().is_some_and(|r| r.cause.as_str() == "switched_off");
    assert_eq!(entries.iter().filter(refused).count(), 1, "nothing of it was disclosed");
    assert!(entries.iter().filter(refused).all(|entry| entry.subjects.is_none()));
}

#[tokio::test]
async fn a_restart_keeps_what_is_switched_off_also_when_it_was_while_no_gate_ran() {
    let mut gate = bank().await;
    let (wang, li) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    turn(&gate, Way::On, "person corp:wang").await;
    gate.restart().await;
    view(&gate, &wang).await.expect(403);
    view(&gate, &li).await.expect(200);
    gate.stop().await;
    turn(&gate, Way::On, "person corp:li").await;
    turn(&gate, Way::Off, "person corp:wang").await;
    gate.start().await;
    view(&gate, &wang).await.expect(200);
    view(&gate, &li).await.expect(403);
}

#[tokio::test]
async fn each_switch_is_in_the_log_with_who_and_why_before_anything_goes_on() {
    let mut gate = bank().await;
    let ask = Ask::get("/one/1").by(&gate.teller());
    turn(&gate, Way::On, "route one.view").await;
    until(&gate, &ask, 403).await;
    turn(&gate, Way::Off, "route one.view").await;
    until(&gate, &ask, 200).await;
    let entries = gate.entries().await;
    let place = |name: &str| {
        entries.iter().position(|entry| {
            let Some(act) = entry.act.as_ref() else { return false };
            let by = entry.actor.as_ref().map(|actor| actor.account.as_str());
            let why = entry.why.as_ref().map(|why| why.reason.as_str());
            act.name.as_str() == name
                && act.object.as_str() == "route one.view"
                && (by, why) == (Some("lin"), Some(WHY))
        })
    };
    let (on, off) = (place("switch_on").unwrap(), place("switch_off").unwrap());
    let stopped = |entry: &Entry| {
        entry
            .decision
            .as_ref()
            .is_some_and(|d| format!("{:?}", d.unmet).contains("`route one.view` is switched off"))
    };
    let last_stopped = entries.iter().rposition(stopped).unwrap();
    let allowed = entries.iter().skip(last_stopped).position(|entry| {
        entry.decision.as_ref().is_some_and(|decision| decision.effect == Effect::Allow)
    });
    assert!(on < off && off < last_stopped + allowed.unwrap(), "{on} {off} {last_stopped}");
}

#[tokio::test]
async fn a_running_gate_that_is_asked_all_the_time_knows_of_a_switch_at_once() {
    let gate = bank().await;
    let ask = Ask::get("/one/1").by(&gate.teller());
    let mut took = Vec::new();
    for _ in 0..10 {
        for (way, status) in [(Way::On, 403), (Way::Off, 200)] {
            turn(&gate, way, "person corp:wang").await;
            took.push(until(&gate, &ask, status).await);
        }
    }
    took.sort_unstable();
    println!("median {:?}, longest {:?}", took[took.len() / 2], took[took.len() - 1]);
    // A fifth of a second at most. A test machine that is busy with other things may pause now and then for longer.
    assert!(took[took.len() / 2] < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn while_commands_cannot_be_read_nobody_passes() {
    let gate = bank().await;
    let ask = Ask::get("/one/1").by(&gate.teller());
    gate.ask(ask.clone()).await.expect(200);
    let state = rusqlite::Connection::open(gate.path("state").join("menshen.db")).unwrap();
    state.busy_timeout(Duration::from_secs(5)).unwrap();
    state.execute_batch("ALTER TABLE command RENAME TO elsewhere").unwrap();
    tokio::time::sleep(AT_ONCE).await;
    gate.ask(ask.clone()).await.expect(503);
    state.execute_batch("ALTER TABLE elsewhere RENAME TO command").unwrap();
    gate.ask(ask).await.expect(200);
}

#[tokio::test]
async fn the_commands_switch_list_and_say_what_they_did() {
    let gate = bank().await;
    let ask = Ask::get("/one/1").by(&gate.teller());
    let place = |words: &[&str]| {
        let (state, key) = (gate.path("state"), gate.path("master.key"));
        let place = ["--state", state.to_str().unwrap(), "--key", key.to_str().unwrap()];
        let ran = menshen(&[&["switch"], words, &place].concat());
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.code(), String::from_utf8(said).unwrap())
    };
    let reason = ["--reason", "incident 4711"];
    let switched = |words: &[&str]| place(&[words, &reason].concat());
    let (code, said) = switched(&["on", "person", "corp:wang"]);
    assert!(code == Some(0) && said.contains("`person corp:wang` is switched off"), "{said}");
    tokio::time::sleep(AT_ONCE).await;
    gate.ask(ask.clone()).await.expect(403);
    let (_, said) = switched(&["on", "person", "corp:wang"]);
    assert!(said.contains("was switched off already"), "{said}");
    switched(&["on", "exports"]);
    let (_, said) = place(&["list"]);
    assert!(said.contains("person corp:wang") && said.contains("operator uid"), "{said}");
    let (_, said) = place(&["list", "--format", "json"]);
    assert!(said.contains(r#""kind":"exports""#) && said.contains(WHY), "{said}");
    switched(&["off", "person", "corp:wang"]);
    until(&gate, &ask, 200).await;
    let policies = gate.path("policies");
    let known = ["--policies", policies.to_str().unwrap()];
    for (words, told) in [
        (vec!["on", "exports", "all", "--reason", "x"], "takes no name"),
        (vec!["on", "role", "--reason", "x"], "needs the name of one"),
        (vec!["on", "person", "wang", "--reason", " "], "say why"),
        (vec!["on", "planet", "mars", "--reason", "x"], "must be one of person"),
        (vec!["confirm", "7"], "nothing waits"),
        ([&["on", "route", "one.veiw", "--reason", "x"], &known[..]].concat(), "the policy has no"),
    ] {
        let (code, said) = place(&words);
        assert!(code == Some(64) && said.contains(told), "{words:?}: {said}");
    }
}

#[tokio::test]
async fn what_two_persons_must_agree_to_is_done_once_a_second_one_does() {
    let mut gate = bank().await;
    let desk = desk(&gate);
    desk.set_two_person(&["tenant".to_owned(), "exports-off".to_owned()]).await.unwrap();
    let (token, hq) = (gate.token(&json!({ "tenant": "hq" })), target("tenant hq"));
    let ask = Ask::get("/one/1").by(&token);
    let Done::Waits(id) = desk.turn(&lin(), Way::On, &hq, WHY).await.unwrap() else { panic!() };
    tokio::time::sleep(AT_ONCE).await;
    gate.ask(ask.clone()).await.expect(200);
    let same = Doer { name: "corp:lin".to_owned(), person: "lin".to_owned() };
    let refused = desk.agree(&same, id).await.unwrap_err();
    assert!(matches!(refused, CommandError::SamePerson), "{refused}");
    let operator = Doer::user("operator uid 0", 0);
    let refused = desk.agree(&operator, id).await.unwrap_err();
    assert!(refused.to_string().contains("agree in the same way"), "{refused}");
    let chen = Doer { name: "chen".to_owned(), person: "chen".to_owned() };
    let (asked, done) = desk.agree(&chen, id).await.unwrap();
    assert_eq!((asked.object.as_str(), done), ("tenant hq", Done::Changed));
    until(&gate, &ask, 403).await;
    assert!(
        matches!(desk.agree(&chen, id).await, Err(CommandError::NotAsked(_))),
        "it is done once"
    );
    // To stop all exports one is enough here, to let them go on it is not; and an hour is all that it waits.
    let exports = Target::new(Kind::Exports, "").unwrap();
    assert_eq!(desk.turn(&chen, Way::On, &exports, WHY).await.unwrap(), Done::Changed);
    let Done::Waits(id) = desk.turn(&chen, Way::Off, &exports, WHY).await.unwrap() else {
        panic!()
    };
    gate.advance_s(3601);
    assert!(matches!(desk.agree(&lin(), id).await, Err(CommandError::NotAsked(_))));
    // What the gate has not recorded yet it records when it starts.
    gate.restart().await;
    let entries = gate.entries().await;
    let agreed = entries.iter().find(|entry| {
        entry.act.as_ref().is_some_and(|act| {
            act.name.as_str() == "switch_on" && act.object.as_str() == "tenant hq"
        })
    });
    let agreed = agreed.unwrap();
    assert_eq!(agreed.actor.as_ref().unwrap().account.as_str(), "lin");
    assert_eq!(agreed.act.as_ref().unwrap().approved_by.as_str(), "chen");
    let acts: Vec<_> = entries.iter().filter_map(|e| Some(e.act.as_ref()?.name.as_str())).collect();
    assert!(acts.contains(&"switch_on_asked") && acts.contains(&"switch_off_asked"), "{acts:?}");
}
