//! Ways to break a promise that were found by reading the source, each held shut by a test.

use std::task::Poll;

use menshen::config::Config;

use crate::harness::{Ask, Gate, OPEN_BANK, Setup};

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
