//! Whose an account is and whether it is welcome: two accounts of one person have one budget, whoever is suspended or
//! has left gets nothing more, and each change is in the log with who did it.

use std::sync::Arc;

use menshen::audit::{Ending, Entry};
use menshen::identity::Standing;
use serde_json::json;
use tokio::sync::Barrier;
use tokio_util::task::TaskTracker;

use crate::harness::client::finish;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, Step, soon};

const PASSWORD: &str = "lanterns-at-dusk";

/// Five people an hour for tellers; `/one/N` is the customer N.
async fn bank() -> Gate {
    let policy = format!("{OPEN_BANK}limits:\n  - to: teller\n    subjects: [5/h]\n");
    let gate = Setup::policy(&policy).plain().start().await;
    gate.upstream.answers_by(|asked| {
        let id = asked.target.rsplit('/').next().unwrap().to_owned();
        Reply::json(format!(r#"{{"id":"{id}","name":"n{id}"}}"#))
    });
    gate
}

async fn by_token(gate: &Gate, id: u32) -> Answer {
    gate.ask(Ask::get(&format!("/one/{id}")).by(&gate.teller())).await
}

async fn by_session(gate: &Gate, session: &str, id: u32) -> Answer {
    gate.ask(Ask::get(&format!("/one/{id}")).cookie(session)).await
}

#[tokio::test]
async fn two_accounts_of_one_person_have_one_budget_also_after_a_restart() {
    let mut gate = bank().await;
    gate.add_account("wang", PASSWORD, "teller").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    for id in 1..=3 {
        by_token(&gate, id).await.expect(200);
    }
    for id in 11..=12 {
        by_session(&gate, &session, id).await.expect(200);
    }
    // Linked while the gate runs: what both have used is together the five.
    gate.identity().set_person("wang", Some("e1042")).await.unwrap();
    gate.identity().set_person("corp:wang", Some("e1042")).await.unwrap();
    gate.advance_s(2);
    for id in [1, 3, 11, 12] {
        by_token(&gate, id).await.expect(200);
        by_session(&gate, &session, id).await.expect(200);
    }
    by_token(&gate, 4).await.expect(429);
    by_session(&gate, &session, 4).await.expect(429);
    gate.restart().await;
    by_token(&gate, 4).await.expect(429);
    by_session(&gate, &session, 4).await.expect(429);
    by_session(&gate, &session, 2).await.expect(200);
    // Taken back, neither is refilled, here or after a restart.
    gate.identity().set_person("corp:wang", None).await.unwrap();
    gate.advance_s(2);
    by_token(&gate, 4).await.expect(429);
    gate.restart().await;
    by_token(&gate, 4).await.expect(429);
    let colleague = gate.token(&json!({ "sub": "li" }));
    gate.ask(Ask::get("/one/4").by(&colleague)).await.expect(200);
}

#[tokio::test]
async fn linked_accounts_never_exceed_one_budget_in_parallel() {
    let gate = Arc::new(bank().await);
    gate.add_account("wang", PASSWORD, "teller").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    gate.identity().set_person("wang", Some("e1042")).await.unwrap();
    gate.identity().set_person("corp:wang", Some("e1042")).await.unwrap();
    gate.advance_s(2);
    let (tasks, start) = (TaskTracker::new(), Arc::new(Barrier::new(6)));
    let mut running = Vec::new();
    for n in 0..6 {
        let (gate, start, session) = (Arc::clone(&gate), Arc::clone(&start), session.clone());
        running.push(tasks.spawn(async move {
            soon("all to be ready", start.wait()).await;
            let mut shown = 0;
            for id in n * 10..n * 10 + 3 {
                let answer = match n % 2 {
                    0 => by_token(&gate, id).await,
                    _ => by_session(&gate, &session, id).await,
                };
                shown += u32::from(answer.status == 200);
            }
            shown
        }));
    }
    let mut shown = 0;
    for task in running {
        shown += task.await.unwrap();
    }
    assert_eq!(shown, 5);
}

#[tokio::test]
async fn a_person_has_one_account_of_a_kind() {
    let gate = bank().await;
    gate.add_account("wang", PASSWORD, "teller").await;
    gate.add_account("wang2", PASSWORD, "teller").await;
    let identity = gate.identity();
    identity.set_person("wang", Some("e1042")).await.unwrap();
    identity.set_person("corp:wang", Some("e1042")).await.unwrap();
    for second in ["wang2", "corp:other"] {
        let refused = identity.set_person(second, Some("e1042")).await.unwrap_err().to_string();
        assert!(refused.contains("exists already"), "{refused}");
    }
    identity.set_person("partners:wang", Some("e1042")).await.unwrap();
    for (account, person) in
        [("nobody", "e1"), ("corp:", "e1"), (":x", "e1"), ("wang", "E 1"), ("wang", "")]
    {
        let refused = identity.set_person(account, Some(person)).await;
        assert!(refused.is_err() || account == "corp:", "{account} {person}");
    }
}

#[tokio::test]
async fn whoever_is_suspended_or_has_left_gets_nothing_more_though_a_token_is_good() {
    let gate = bank().await;
    by_token(&gate, 1).await.expect(200);
    for standing in [Standing::Suspended, Standing::Disabled] {
        gate.identity().set_standing("corp:wang", standing).await.unwrap();
        gate.advance_s(2);
        let refused = by_token(&gate, 1).await;
        refused.expect(401);
        assert!(!refused.text().contains("suspend"), "only the log says why: {refused:?}");
        gate.identity().set_standing("corp:wang", Standing::Active).await.unwrap();
        gate.advance_s(2);
        by_token(&gate, 1).await.expect(200);
    }
    gate.add_account("li.na", PASSWORD, "teller").await;
    let session = gate.sign_in("li.na", PASSWORD).await;
    by_session(&gate, &session, 1).await.expect(200);
    gate.identity().set_standing("li.na", Standing::Left).await.unwrap();
    by_session(&gate, &session, 1).await.expect(401);
    for standing in [Standing::Active, Standing::Suspended] {
        let refused = gate.identity().set_standing("li.na", standing).await.unwrap_err();
        assert!(refused.to_string().contains("has left for good"), "{refused}");
    }
    let body = json!({ "account": "li.na", "password": PASSWORD }).to_string();
    gate.ask(Ask::post("/.menshen/login", &body)).await.expect(401);
}

#[tokio::test]
async fn roles_that_change_count_from_the_next_request_of_an_open_session_on() {
    let gate = bank().await;
    gate.add_account("li.na", PASSWORD, "teller").await;
    let session = gate.sign_in("li.na", PASSWORD).await;
    by_session(&gate, &session, 1).await.expect(200);
    gate.identity().set_roles("li.na", vec!["stranger".to_owned()]).await.unwrap();
    by_session(&gate, &session, 1).await.expect(403);
    gate.identity().set_roles("li.na", vec!["teller".to_owned()]).await.unwrap();
    by_session(&gate, &session, 1).await.expect(200);
}

#[tokio::test]
async fn each_change_is_in_the_log_with_what_and_by_whom_and_each_access_with_its_person() {
    let mut gate = bank().await;
    gate.add_account("li.na", PASSWORD, "teller").await;
    let session = gate.sign_in("li.na", PASSWORD).await;
    let identity = gate.identity();
    identity.set_person("li.na", Some("e7")).await.unwrap();
    identity.set_roles("li.na", vec!["teller".to_owned(), "stranger".to_owned()]).await.unwrap();
    identity.set_standing("corp:wang", Standing::Suspended).await.unwrap();
    gate.advance_s(2);
    by_session(&gate, &session, 1).await.expect(200);
    gate.sign_in("li.na", PASSWORD).await;
    let entries = gate.entries().await;
    let told = |entry: &Entry| {
        let act = entry.act.as_ref()?;
        let by = entry.actor.as_ref().map(|actor| !actor.account.as_str().is_empty());
        (by == Some(true)).then(|| {
            format!("{}, {}: {}", act.object.as_str(), act.name.as_str(), act.detail.as_str())
        })
    };
    let told: Vec<String> = entries.iter().filter_map(told).collect();
    for expected in [
        "account li.na, person_linked: person e7",
        "account li.na, roles_replaced: roles stranger, teller",
        "account corp:wang, account_suspended: ",
    ] {
        assert!(told.iter().any(|line| line == expected), "{expected} is not in {told:#?}");
    }
    let persons = entries.iter().filter(|entry| entry.decision.is_some()).filter_map(|entry| {
        let actor = entry.actor.as_ref()?;
        (!actor.person.as_str().is_empty()).then(|| actor.person.as_str().to_owned())
    });
    assert_eq!(persons.collect::<Vec<_>>(), ["e7"]);
}

#[tokio::test]
async fn an_open_stream_of_whoever_is_suspended_is_cut() {
    let mut gate = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }").start().await;
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"[{{"id":1,"note":"{}"}},"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    gate.upstream.answers(Reply::raw(first).then(Step::Stall));
    let mut connection = gate.h2().await;
    let stream = connection.begin(Ask::get("/all").by(&gate.teller())).await.unwrap();
    gate.identity().set_standing("corp:wang", Standing::Suspended).await.unwrap();
    gate.advance_s(2);
    // Anybody's request has the gate look; without one it does so every few seconds.
    gate.ask(Ask::get("/nowhere")).await.expect(404);
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(401);
    assert!(finish(stream).await.cut.is_some());
    let entries = gate.entries().await;
    let ended = entries.iter().filter_map(|entry| entry.result.as_ref()?.ended);
    let ended: Vec<_> = ended.filter(|ended| *ended != Ending::Refused).collect();
    assert_eq!(ended, [Ending::AbortedByPolicy]);
}
