//! Ways to break a promise that were found by reading the source, each held shut by a test.

use std::collections::BTreeSet;
use std::task::Poll;
use std::time::Duration;

use menshen::audit::{Ending, Entry, Event};
use menshen::config::Config;
use serde_json::json;

use crate::harness::client::finish;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, Step};

/// How many entries of its log are not those of its start.
async fn recorded(gate: &mut Gate) -> usize {
    gate.entries().await.len().saturating_sub(1)
}

#[tokio::test]
async fn invented_cookies_cannot_fill_the_log() {
    for path in ["/.menshen/code", "/.menshen/logout"] {
        let mut gate = Setup::policy(OPEN_BANK).start().await;
        let mut connection = gate.h1().await;
        for n in 0..200 {
            let cookie = format!("{n:0>43}");
            let ask = Ask::post(path, r#"{"code":"123456"}"#).cookie(&cookie);
            assert!(connection.send(ask).await.status.as_u16() < 500);
        }
        let entries = recorded(&mut gate).await;
        assert!(entries < 50, "{path}: {entries} entries");
    }
}

#[tokio::test]
async fn a_guess_at_a_password_is_recorded_though_nobody_waits_for_the_answer() {
    const GUESSES: usize = 9;
    let one_at_a_time = |config: &mut Config| config.identity.hashes_at_once = 1;
    let mut gate = Setup::policy(OPEN_BANK).tweak(one_at_a_time).start().await;
    gate.add_account("wang", "a quiet lantern", "teller").await;
    let mut connections = Vec::new();
    for _ in 0..GUESSES {
        connections.push(gate.h2().await);
    }
    let guess = Ask::post("/.menshen/login", r#"{"account":"wang","password":"a loud lantern"}"#);
    let waiting = connections.iter_mut().map(|connection| connection.begin(guess.clone()));
    let mut waiting: Vec<_> = waiting.map(Box::pin).collect();
    // Once the first is told, all have been taken in and most still wait for their hash.
    std::future::poll_fn(|context| {
        let told = waiting.iter_mut().any(|one| one.as_mut().poll(context).is_ready());
        if told { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    drop(waiting);
    drop(connections);
    let entries = gate.entries().await;
    let acts: Vec<_> = entries.iter().filter_map(|entry| entry.act.as_ref()).collect();
    let guesses = acts.iter().filter(|act| act.name.as_str() == "sign_in").count();
    assert!(guesses > GUESSES / 2, "{acts:?}");
}

#[tokio::test]
async fn a_sign_in_is_recorded_under_the_accounts_name_however_it_was_typed() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    gate.add_account("wang", "a quiet lantern", "teller").await;
    let typed = r#"{"account":" WANG ","password":"a quiet lantern"}"#;
    gate.ask(Ask::post("/.menshen/login", typed)).await.expect(200);
    let entries = gate.entries().await;
    let signed_in = entries.iter().filter_map(|entry| entry.act.as_ref());
    let objects: Vec<_> =
        signed_in.filter(|a| a.name.as_str() == "sign_in").map(|a| a.object.as_str()).collect();
    assert_eq!(objects, ["wang"]);
}

#[tokio::test]
async fn what_a_stream_disclosed_is_recorded_though_the_gate_stops_in_its_midst() {
    let mut gate = Setup::policy(OPEN_BANK).yaml("drain: 1s").start().await;
    let row = format!(r#"{{"id":"1","name":"{}"}},"#, "x".repeat(100_000));
    gate.upstream.answers(Reply::open(["[".to_owned(), row.repeat(5)]).then(Step::Stall));
    let ask = Ask::get("/all").bearer(&gate.teller());
    let (mut one, mut two) = (gate.h1().await, gate.h2().await);
    let open = [one.begin(ask.clone()).await.unwrap(), two.begin(ask).await.unwrap()];
    assert!(open.iter().all(|response| response.status().is_success()));
    let entries = gate.entries().await;
    let outcomes: Vec<_> = entries.iter().filter(|e| e.event == Event::Outcome).collect();
    assert_eq!(outcomes.len(), 2, "{entries:?}");
    for outcome in outcomes {
        assert_eq!(outcome.subjects.as_ref().map(|subjects| subjects.count), Some(1));
        assert_eq!(outcome.result.as_ref().unwrap().ended, Some(Ending::AbortedByClient));
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_gives_the_backends_connection_back() {
    let impatient = |config: &mut Config| {
        config.proxy.unread_time = Duration::from_millis(200);
        config.upstreams[0].connections = 1;
    };
    let gate = Setup::policy(OPEN_BANK).tweak(impatient).start().await;
    let token = gate.teller();
    let row = format!(r#"{{"id":"1","name":"{}"}},"#, "x".repeat(100_000));
    gate.upstream.answers_by(move |asked| match asked.target.as_str() {
        "/all" => Reply::open(std::iter::once("[").chain(std::iter::repeat_n(row.as_str(), 100))),
        _ => Reply::json(r#"{"id":"1"}"#),
    });
    let mut connection = gate.h2().await;
    let unread = connection.begin(Ask::get("/all").bearer(&token)).await.unwrap();
    assert!(unread.status().is_success());
    connection.send(Ask::get("/one/1").bearer(&token)).await.expect(200);
    assert!(finish(unread).await.cut.is_some(), "what was cut off must not look whole");
}

#[tokio::test]
async fn an_answer_that_nobody_reads_gives_way_to_a_request_that_waits() {
    let narrow = |config: &mut Config| config.upstreams[0].connections = 2;
    let gate = Setup::policy(OPEN_BANK).tweak(narrow).start().await;
    let (token, other) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    let row = format!(r#"{{"id":"1","name":"{}"}}"#, "x".repeat(100_000));
    let rows = std::iter::repeat_n(row, 60).collect::<Vec<_>>().join(",");
    gate.upstream.answers_by(move |asked| match asked.target.as_str() {
        "/all" => Reply::json(format!("[{rows}]")),
        _ => Reply::json(r#"{"id":"1"}"#),
    });
    let mut connection = gate.h2().await;
    let mut unread = Vec::new();
    for _ in 0..2 {
        unread.push(connection.begin(Ask::get("/all").bearer(&token)).await.unwrap());
    }
    for _ in 0..3 {
        gate.ask(Ask::get("/one/1").bearer(&other)).await.expect(200);
    }
    let mut cut = 0;
    for answer in unread {
        cut += usize::from(finish(answer).await.cut.is_some());
    }
    assert_eq!(cut, 1, "the other was in nobody's way");
    let entries = gate.entries_ended().await;
    let results = entries.iter().filter_map(|entry| entry.result.as_ref());
    let gave_way: Vec<_> =
        results.filter(|result| result.cause.as_str() == "place_needed").collect();
    assert_eq!(gave_way.len(), 1);
    assert_eq!(gave_way[0].ended, Some(Ending::AbortedByClient));
}

/// A policy whose tellers see the customers of their branch, bare and in an envelope.
const BRANCHES: &str = "
grades: { 1: {}, 2: {}, sealed: {} }
entities:
  customer:
    subject: id
    fields: { id: 1, name: 1, branch: 1, address: { city: 1, street: 2 } }
routes:
  bare.view: { match: 'GET bank.example/bare/{id}', to: core, action: view, returns: { customer: $ } }
  wrapped.view:
    match: GET bank.example/wrapped/{id}
    to: core
    action: view
    returns: { customer: $.data, pass: [$.next] }
  bare.update:
    match: PATCH bank.example/bare/{id}
    to: core
    action: update
    accepts: { customer: $ }
    returns: { customer: $ }
    reads: bare.view
  wrapped.delete: { match: 'DELETE bank.example/wrapped/{id}', to: core, action: delete, reads: wrapped.view }
roles: { teller: {} }
rules:
  - name: tellers serve their branch
    allow: [view, update, delete]
    to: teller
    of: customer
    clear: [id, name]
    write: [name, address.city]
    where: record.branch == caller.branch
";

#[tokio::test]
async fn a_hidden_record_is_told_like_a_missing_one_however_the_backend_says_so() {
    let gate = Setup::policy(BRANCHES).start().await;
    let token = gate.teller();
    let hidden = r#"{"id":"1","name":"x","branch":"other"}"#;
    let wrapped = format!(r#"{{"next":null,"data":{hidden}}}"#);
    let json = [("content-type", "application/json")];
    let none = || Reply::raw("HTTP/1.1 204 No Content\r\n\r\n");
    let ways = [
        ("/bare/1", Reply::json(hidden)),
        ("/bare/1", Reply::with(404, &json, r#"{"error":"no such customer"}"#)),
        ("/bare/1", Reply::with(410, &json, "{}")),
        ("/bare/1", Reply::json("null")),
        ("/bare/1", Reply::json("{}")),
        ("/bare/1", none()),
        ("/wrapped/1", Reply::json(wrapped)),
        ("/wrapped/1", Reply::with(404, &json, "{}")),
        ("/wrapped/1", Reply::json(r#"{"next":null,"data":null}"#)),
        ("/wrapped/1", Reply::json(r#"{"next":null}"#)),
        ("/wrapped/1", none()),
    ];
    let (mut connection, mut answers) = (gate.h1().await, BTreeSet::new());
    for (path, reply) in ways {
        gate.upstream.answers(reply.clone());
        let asks = match path {
            "/bare/1" => vec![Ask::get(path), Ask::patch(path, r#"{"name":"y"}"#)],
            _ => vec![Ask::get(path), Ask::new("DELETE", path)],
        };
        for ask in asks {
            let answer = connection.send(ask.bearer(&token)).await;
            answer.expect(404);
            let id = answer.header("menshen-request-id").unwrap().to_owned();
            let told = String::from_utf8(answer.bytes()).unwrap().replace(&id, "ID");
            let told = told.lines().filter(|line| !line.starts_with("date"));
            answers.insert(told.collect::<Vec<_>>().join("\n"));
        }
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(gate.upstream.connections(), 1, "a new connection takes time, which tells as well");
}

#[tokio::test]
async fn a_token_with_an_absurd_time_of_authentication_ends_no_connection() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":"1"}"#));
    let mut connection = gate.h1().await;
    for time in [i64::MIN, -1, 0] {
        let token = gate.token(&serde_json::json!({ "auth_time": time }));
        connection.send(Ask::get("/one/1").bearer(&token)).await.expect(200);
    }
}

#[tokio::test]
async fn an_answer_that_is_refused_at_its_end_counts_as_disclosed_to_nobody() {
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    let rows: Vec<_> = (0..1000).map(|n| format!(r#"{{"id":"{n}"}}"#)).collect();
    gate.upstream.answers(Reply::json(format!("[{}}}", rows.join(","))));
    gate.ask(Ask::get("/all").bearer(&gate.teller())).await.expect(502);
    for entry in gate.entries().await {
        assert_eq!(entry.subjects, None, "{entry:?}");
    }
}

#[tokio::test]
async fn an_account_that_is_refused_in_a_loop_cannot_fill_the_log_and_is_still_counted() {
    const REFUSED: usize = 400;
    let mut gate = Setup::policy(OPEN_BANK).start().await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    for _ in 0..REFUSED {
        connection.send(Ask::get("/list?undeclared=1").bearer(&token)).await.expect(400);
    }
    let entries = gate.entries().await;
    assert!(entries.len() < REFUSED / 2, "{}", entries.len());
    let by_account = |entry: &&Entry| {
        entry.actor.as_ref().is_some_and(|actor| actor.account.as_str() == "corp:wang")
    };
    let gathered = |entry: &Entry| entry.act.as_ref().and_then(|act| act.count).unwrap_or(1);
    let told: u64 = entries.iter().filter(by_account).map(gathered).sum();
    assert_eq!(told, REFUSED as u64);
}

#[tokio::test]
async fn nobody_signs_in_on_a_host_that_is_not_published() {
    let gate = Setup::policy(OPEN_BANK).start().await;
    let mut elsewhere = gate.client();
    "other.example".clone_into(&mut elsewhere.host);
    for path in ["/.menshen/login", "/.menshen/style.css", "/.menshen/session", "/nothing"] {
        gate.ask(Ask::get("/.menshen/login")).await.expect(200);
        elsewhere.h1().await.send(Ask::get(path)).await.expect(404);
    }
}

/// The data subjects that the outcomes of a log name, as references.
fn named(entries: &[Entry]) -> usize {
    let outcomes = entries.iter().filter(|entry| entry.event == Event::Outcome);
    outcomes.filter_map(|entry| entry.subjects.as_ref()).map(|subjects| subjects.refs.len()).sum()
}

#[tokio::test]
async fn whose_record_was_changed_is_recorded_though_the_answer_shows_nothing() {
    let record = r#"{"id":"1","name":"x","branch":"sh01"}"#;
    for (path, body) in [("/wrapped/1", None), ("/bare/1", Some(r#"{"name":"y"}"#))] {
        for status in [204, 500] {
            let mut gate = Setup::policy(BRANCHES).start().await;
            let change = Reply::raw(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"));
            gate.upstream.answers_by(move |asked| match asked.method.as_str() {
                "GET" if asked.target == "/bare/1" => Reply::json(record),
                "GET" => Reply::json(format!(r#"{{"data":{record}}}"#)),
                _ => change.clone(),
            });
            let ask = match body {
                None => Ask::new("DELETE", path),
                Some(body) => Ask::patch(path, body),
            };
            gate.ask(ask.bearer(&gate.teller())).await.expect(status);
            assert_eq!(named(&gate.entries().await), 1, "{path} {status}");
        }
    }
}

#[tokio::test]
async fn a_change_that_was_made_is_not_told_as_refused_for_a_limit_or_a_row() {
    let policy = format!("{BRANCHES}limits:\n  - {{ to: teller, subjects: 1/day }}\n");
    let gate = Setup::policy(&policy).start().await;
    let token = gate.teller();
    let record =
        |id: &str, branch: &str| format!(r#"{{"id":"{id}","name":"x","branch":"{branch}"}}"#);
    gate.upstream.answers(Reply::json(record("1", "sh01")));
    gate.ask(Ask::get("/bare/1").bearer(&token)).await.expect(200);
    for changed in [record("2", "sh01"), record("2", "other")] {
        gate.upstream.answers_by(move |asked| match asked.method.as_str() {
            "GET" => Reply::json(record("2", "sh01")),
            _ => Reply::json(&changed),
        });
        let change = Ask::patch("/bare/2", r#"{"name":"y"}"#).bearer(&token);
        assert_eq!(gate.ask(change).await.expect(204).text(), "");
    }
}
