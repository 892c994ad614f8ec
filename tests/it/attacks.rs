//! Ways to break a promise that were found by reading the source, each held shut by a test.

use std::task::Poll;
use std::time::Duration;

use menshen::audit::{Ending, Event};
use menshen::config::Config;

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
