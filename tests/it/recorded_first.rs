//! Promise 4: what is not in the log does not happen, and how it ended follows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use menshen::audit::{Effect, Ending, Entry, Event};
use menshen::clock::Clock;
use tokio::sync::Semaphore;

use crate::harness::gate;
use crate::harness::process::menshen;
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Process, Reply, Setup, Step, soon};
use crate::monitoring::metrics;

fn decision_of<'e>(entries: &'e [Entry], answer: &Answer) -> Option<&'e Entry> {
    let id = answer.header("menshen-request-id").unwrap();
    entries.iter().find(|entry| entry.id.to_string() == id)
}

fn ended(entry: &Entry) -> Option<Ending> {
    entry.result.as_ref()?.ended
}

#[tokio::test]
async fn a_change_is_durable_in_the_log_before_the_backend_hears_of_it() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let (log, key) = (gate.path("log"), gate.path("master.key"));
    let found = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&found);
    gate.upstream.answers_by(move |asked| {
        let entries = gate::entries(&log, &key);
        let mut routes = entries.into_iter().filter_map(|entry| {
            let is_allowed = entry.decision.as_ref()?.effect == Effect::Allow;
            Some(entry.request?.route.as_str().to_owned()).filter(|_| is_allowed)
        });
        seen.lock().unwrap().push((asked.method.clone(), routes.next_back().unwrap_or_default()));
        Reply::json(r#"{"id":1}"#)
    });
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for ask in [
        Ask::patch("/one/1", r#"{"name":"b"}"#),
        Ask::post("/one", r#"{"name":"c"}"#),
        Ask::new("DELETE", "/one/1"),
    ] {
        let answer = connection.send(ask.by(&token)).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
    let expected = [("PATCH", "one.update"), ("POST", "one.create"), ("DELETE", "one.delete")];
    let expected = expected.map(|(method, route)| (method.to_owned(), route.to_owned()));
    assert_eq!(*found.lock().unwrap(), expected);
}

#[tokio::test]
async fn whatever_is_answered_is_in_the_log_before_its_first_byte() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for (ask, status) in [
        (Ask::get("/one/1").by(&token), 200),
        (Ask::get("/one/1"), 401),
        (Ask::get("/nowhere").by(&token), 404),
        (Ask::get("/list?phone=1").by(&token), 403),
        (Ask::get("/list?x=1").by(&token), 400),
        (Ask::get("/one/1").bearer("no.token.atall"), 401),
        (Ask::get("/one/1").header("host", "evil.example"), 421),
        (Ask::get("/one/%2e%2e/x"), 400),
    ] {
        let answer = connection.send(ask).await;
        let entries = gate.entries_so_far();
        let entry = decision_of(&entries, answer.expect(status));
        let entry = entry.unwrap_or_else(|| panic!("{status} was told and not recorded"));
        let effect = entry.decision.as_ref().unwrap().effect;
        assert_eq!(effect == Effect::Allow, status == 200, "{entry:?}");
    }
}

#[tokio::test]
async fn every_permit_has_an_outcome_that_says_what_was_disclosed() {
    let mut gate = Gate::demo().await;
    gate.upstream.answers(Reply::json(
        r#"{"id":"C1","name":"王小明","phone":"13812345678","branch":"sh01","segment":"retail","extra":1}"#,
    ));
    let token = gate.teller();
    let answer = gate.ask(Ask::get("/api/customers/C1").by(&token)).await;
    answer.expect(200);
    let entries = gate.entries().await;
    let decision = decision_of(&entries, &answer).unwrap();
    let outcome = entries.iter().find(|entry| entry.decided_by == Some(decision.id)).unwrap();
    assert_eq!((outcome.event, ended(outcome)), (Event::Outcome, Some(Ending::Complete)));
    assert_eq!(outcome.subjects.as_ref().unwrap().count, 1);
    let data = outcome.data.as_ref().unwrap();
    let names =
        |names: &menshen::audit::FieldNames| names.iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(data.records, Some(1));
    assert_eq!(data.bytes, Some(answer.body.len() as u64));
    assert!(names(&data.clear).contains(&"customer.name".to_owned()), "{data:?}");
    assert!(names(&data.masked).contains(&"customer.phone".to_owned()), "{data:?}");
    assert!(names(&data.withheld).contains(&"extra".to_owned()), "{data:?}");
    assert_eq!(decision.actor.as_ref().unwrap().account.as_str(), "corp:wang");
    assert_eq!(decision.why.as_ref().unwrap().purpose.as_str(), "service");
}

#[tokio::test]
async fn strangers_cannot_fill_the_disk_and_none_of_them_is_forgotten() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    let mut connection = gate.h2().await;
    for n in 0..100 {
        connection.send(Ask::get(&format!("/nowhere/{n}"))).await.expect(404);
    }
    let entries = gate.entries().await;
    let denials = entries.iter().filter(|entry| entry.event == Event::Decision);
    let (gathered, single): (Vec<_>, Vec<_>) = denials.partition(|entry| entry.act.is_some());
    assert!(single.len() < 50, "{}", single.len());
    let count: u64 = gathered.iter().filter_map(|entry| entry.act.as_ref()?.count).sum();
    assert_eq!(count + single.len() as u64, 100);
}

#[tokio::test]
async fn what_could_not_be_read_is_counted_and_in_the_log_and_cannot_fill_it() {
    let mut gate =
        Setup::policy(OPEN_BANK).yaml("metrics: { address: \"127.0.0.1:0\" }").start().await;
    let client = gate.client();
    let host = "host: bank.example\r\n";
    let large = format!("GET /one/1 HTTP/1.1\r\n{host}x: {}\r\n\r\n", "x".repeat(40_000));
    for (request, status) in [
        (format!("GET /one/ 1 HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("G@T /one/1 HTTP/1.1\r\n{host}\r\n"), 400),
        (format!("GET /one/1 HTTP/1.1\r\n{host}no colon\r\n\r\n"), 400),
        (
            format!("POST /one HTTP/1.1\r\n{host}content-length: 1\r\ncontent-length: 2\r\n\r\n"),
            400,
        ),
        (large.clone(), 431),
    ] {
        assert_eq!(client.raw(request.as_bytes()).await, Some(status));
    }
    for _ in 0..25 {
        assert_eq!(client.raw(large.as_bytes()).await, Some(431));
    }
    let counted = async {
        while !metrics(&gate).await.contains("menshen_denials_total{cause=\"illegible\"} 30\n") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon("the count", counted).await;
    let entries = gate.entries().await;
    let denials = entries.iter().filter(|entry| entry.event == Event::Decision);
    let (gathered, single): (Vec<_>, Vec<_>) = denials.partition(|entry| entry.act.is_some());
    let told = |entry: &Entry| {
        let result = entry.result.as_ref().unwrap();
        assert_eq!(result.cause.as_str(), "illegible");
        let address = entry.origin.as_ref().unwrap().address;
        assert_eq!(address.map(|address| address.is_loopback()), Some(true));
        result.status.unwrap()
    };
    let statuses: Vec<u16> = single.iter().map(|entry| told(entry)).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 4);
    assert!(statuses.iter().all(|status| [400, 431].contains(status)), "{statuses:?}");
    let count: u64 = gathered.iter().filter_map(|entry| entry.act.as_ref()?.count).sum();
    assert_eq!((single.len(), count), (20, 10));
    assert!(gathered.iter().all(|entry| entry.origin.is_some()), "with the address");
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_recorded_as_such() {
    let setup = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }");
    let mut gate = setup.start().await;
    let record = format!(r#"{{"id":1,"note":"{}"}}"#, "n".repeat(3000));
    let chunks: Vec<String> =
        (0..8).map(|n| format!("{}{record}", if n == 0 { "[" } else { "," })).collect();
    gate.upstream.answers(Reply::open(chunks).then(Step::Stall));
    let token = gate.teller();
    for mut connection in [gate.h1().await, gate.h2().await] {
        let response = soon("a head", connection.begin(Ask::get("/all").by(&token))).await.unwrap();
        assert_eq!(response.status(), 200);
        drop((response, connection));
    }
    let entries = gate.entries().await;
    let outcomes: Vec<_> = entries.iter().filter(|entry| entry.event == Event::Outcome).collect();
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        assert_eq!(ended(outcome), Some(Ending::AbortedByClient));
        assert!(outcome.data.as_ref().unwrap().records.unwrap() >= 1);
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_recorded_as_such() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    let arrived = Arc::new(Semaphore::new(0));
    let tell = Arc::clone(&arrived);
    gate.upstream.answers_by(move |_| {
        tell.add_permits(1);
        Reply(vec![Step::Stall])
    });
    let token = gate.teller();
    for mut connection in [gate.h1().await, gate.h2().await] {
        let mut waiting = Box::pin(connection.begin(Ask::get("/one/1").by(&token)));
        tokio::select! {
            answered = &mut waiting => panic!("{answered:?}"),
            permit = soon("the request to arrive", arrived.acquire()) => permit.unwrap().forget(),
        }
        drop(waiting);
        drop(connection);
    }
    let entries = gate.entries().await;
    let outcomes: Vec<_> = entries.iter().filter(|entry| entry.event == Event::Outcome).collect();
    assert_eq!(
        outcomes.iter().map(|o| ended(o)).collect::<Vec<_>>(),
        [Some(Ending::AbortedByClient); 2]
    );
}

#[tokio::test]
async fn a_full_disk_stops_everything_with_503_until_it_has_room_again() {
    let gate = Setup::policy(OPEN_BANK).prepare(Clock::system()).await;
    gate.upstream.answers(Reply::json(r#"{"id":1,"name":"CANARY"}"#));
    let process = Process::run(&gate, "info").await;
    let token = gate.teller();
    let mut connection = process.client().h1().await;
    let read = || Ask::get("/one/1").by(&token);
    let change = || Ask::post("/one", r#"{"name":"c"}"#).by(&token);
    connection.send(read()).await.expect(200);
    connection.send(change()).await.expect(200);

    process.limit_files(Some(0));
    let hits = gate.upstream.hits();
    for ask in [change(), change(), Ask::new("DELETE", "/one/1").by(&token)] {
        let answer = connection.send(ask).await;
        assert_eq!(answer.expect(503).json()["title"], "The access cannot be recorded");
    }
    assert_eq!(gate.upstream.hits(), hits, "no change reached the backend");
    for ask in [read(), Ask::get("/list").by(&token), Ask::get("/one/1"), Ask::get("/nowhere")] {
        let answer = connection.send(ask).await;
        assert_eq!(answer.expect(503).json()["title"], "The access cannot be recorded");
        assert!(answer.header("retry-after").is_some());
        assert!(!answer.text().contains("CANARY"));
    }

    process.limit_files(None);
    connection.send(read()).await.expect(200);
    connection.send(change()).await.expect(200);
    let (status, said) = process.stop().await;
    assert!(status.success(), "{said}");
    assert!(said.contains("could not be recorded"), "{said}");
    let log = gate.path("log");
    let verified = menshen(&["log", "verify", log.to_str().unwrap()]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    let mut effects = BTreeMap::new();
    for entry in gate.entries_so_far() {
        *effects.entry(entry.event.word()).or_insert(0) += 1;
    }
    assert_eq!(effects.get("decision"), Some(&4), "those answered, and no other: {effects:?}");
}
