//! Budgets that begin anew by command: for one holder and one budget, in the running gate and over restarts, in the log
//! with who and why; and how budgets are shown.

use std::time::Duration;

use menshen::clock::Clock;
use menshen::command::{Desk, Doer, Done};
use menshen::secret::MasterKey;
use menshen::state::Store;
use serde_json::json;

use crate::harness::process::menshen;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup};

const WHY: &str = "ticket 12";
/// No request goes by older knowledge of commands.
const AT_ONCE: Duration = Duration::from_millis(250);
const PASSWORD: &str = "lanterns-at-dusk";

fn setup(limits: &str) -> Setup {
    Setup::policy(&format!("{OPEN_BANK}limits:\n  - to: teller\n    {limits}\n"))
}

async fn answering(gate: Gate) -> Gate {
    gate.upstream.answers_by(|asked| {
        let id = asked.target.rsplit('/').next().unwrap().to_owned();
        Reply::json(format!(r#"{{"id":"{id}","name":"n{id}"}}"#))
    });
    gate
}

fn desk(gate: &Gate) -> Desk {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let store = Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap();
    Desk::new(store, gate.clock.clone())
}

fn lin() -> Doer {
    Doer { name: "lin".to_owned(), person: "lin".to_owned() }
}

async fn reset(gate: &Gate, holder: &str, budget: &str) {
    let done = desk(gate).reset(&lin(), holder, budget, WHY).await.unwrap();
    assert_eq!(done, Done::Changed);
    tokio::time::sleep(AT_ONCE).await;
}

async fn view(gate: &Gate, token: &str, id: u32) -> u16 {
    gate.ask(Ask::get(&format!("/one/{id}")).by(token)).await.status.as_u16()
}

#[tokio::test]
async fn a_budget_begins_anew_for_one_person_alone_and_a_restart_knows_it() {
    let mut gate = answering(setup("subjects: [2/h, 4/day]").start().await).await;
    let (wang, li) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    for token in [&wang, &li] {
        assert_eq!([view(&gate, token, 1).await, view(&gate, token, 2).await], [200, 200]);
        assert_eq!(view(&gate, token, 3).await, 429);
    }
    reset(&gate, "corp:wang", "subjects-1h").await;
    assert_eq!([view(&gate, &wang, 3).await, view(&gate, &wang, 4).await], [200, 200]);
    assert_eq!(view(&gate, &wang, 5).await, 429, "the day is used up, whatever the hour says");
    assert_eq!(view(&gate, &li, 3).await, 429, "nobody else has begun anew");
    gate.restart().await;
    assert_eq!([view(&gate, &wang, 5).await, view(&gate, &li, 3).await], [429, 429]);
    reset(&gate, "corp:wang", "subjects-1d").await;
    reset(&gate, "corp:wang", "subjects-1h").await;
    gate.restart().await;
    assert_eq!([view(&gate, &wang, 5).await, view(&gate, &wang, 6).await], [200, 200]);
    assert_eq!(view(&gate, &wang, 7).await, 429);
    let entries = gate.entries().await;
    let entry = entries
        .iter()
        .find(|entry| entry.act.as_ref().is_some_and(|act| act.name.as_str() == "limits_reset"));
    let entry = entry.unwrap();
    let act = entry.act.as_ref().unwrap();
    assert_eq!((act.object.as_str(), act.detail.as_str()), ("limits corp:wang", "subjects-1h"));
    assert_eq!(entry.actor.as_ref().unwrap().account.as_str(), "lin");
    assert_eq!(entry.why.as_ref().unwrap().reason.as_str(), WHY);
}

#[tokio::test]
async fn it_begins_anew_for_the_person_whichever_account_is_named() {
    let mut gate = answering(setup("records: 2/h").start().await).await;
    gate.add_account("wang", PASSWORD, "teller").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    for account in ["wang", "corp:wang"] {
        gate.identity().set_person(account, Some("e1042")).await.unwrap();
    }
    gate.advance_s(2);
    let token = gate.teller();
    let by_session = Ask::get("/one/1").cookie(&session);
    for name in ["wang", "corp:wang", "e1042"] {
        assert_eq!(view(&gate, &token, 1).await, 200);
        gate.ask(by_session.clone()).await.expect(200);
        assert_eq!(view(&gate, &token, 1).await, 429);
        reset(&gate, name, "records-1h").await;
    }
    assert_eq!(view(&gate, &token, 1).await, 200);
    gate.restart().await;
    gate.ask(by_session.clone()).await.expect(200);
    gate.ask(by_session).await.expect(429);
}

#[tokio::test]
async fn where_the_policy_wants_two_persons_one_alone_resets_nothing() {
    let policy =
        format!("{OPEN_BANK}limits:\n  - to: teller\n    records: 1/h\ntwo-person: limits\n");
    let gate = answering(Setup::policy(&policy).start().await).await;
    let token = gate.teller();
    assert_eq!([view(&gate, &token, 1).await, view(&gate, &token, 1).await], [200, 429]);
    let asked = desk(&gate).reset(&lin(), "corp:wang", "records-1h", WHY).await.unwrap();
    let Done::Waits(id) = asked else { panic!("{asked:?}") };
    tokio::time::sleep(AT_ONCE).await;
    assert_eq!(view(&gate, &token, 1).await, 429);
    let chen = Doer { name: "chen".to_owned(), person: "chen".to_owned() };
    desk(&gate).agree(&chen, id).await.unwrap();
    tokio::time::sleep(AT_ONCE).await;
    assert_eq!(view(&gate, &token, 1).await, 200);
}

#[tokio::test]
async fn the_commands_show_what_counts_and_reset_it() {
    let mut gate = setup("subjects: [2/h]").prepare(Clock::system()).await;
    gate.start().await;
    let gate = answering(gate).await;
    let token = gate.teller();
    assert_eq!([view(&gate, &token, 1).await, view(&gate, &token, 2).await], [200, 200]);
    let (state, key) = (gate.path("state"), gate.path("master.key"));
    let run = |words: &[&str]| {
        let place = ["--state", state.to_str().unwrap(), "--key", key.to_str().unwrap()];
        let ran = menshen(&[&["limits"], words, &place].concat());
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.code(), String::from_utf8(said).unwrap())
    };
    for words in [vec!["show"], vec!["show", "corp:wang"]] {
        let (code, said) = run(&words);
        let row: Vec<_> = said.lines().nth(1).unwrap_or_default().split_whitespace().collect();
        assert!(code == Some(0) && row.starts_with(&["corp:wang", "subjects-1h", "2"]), "{said}");
    }
    let (_, said) = run(&["show", "corp:wang", "--format", "json"]);
    assert!(said.contains(r#""budget":"subjects-1h""#), "{said}");
    let (_, said) = run(&["show", "nobody"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    let begin = ["reset", "corp:wang", "--budget", "subjects-1h"];
    let (code, said) = run(&[&begin[..], &["--reason", "ticket 12"]].concat());
    assert!(code == Some(0) && said.contains("begins anew"), "{said}");
    tokio::time::sleep(AT_ONCE).await;
    assert_eq!([view(&gate, &token, 3).await, view(&gate, &token, 4).await], [200, 200]);
    let (code, said) = run(&["reset", "corp:wang", "--budget", "people-1h", "--reason", "x"]);
    assert!(code == Some(64) && said.contains("is not a budget's name"), "{said}");
    let (code, said) = run(&begin);
    assert!(code == Some(64) && said.contains("--reason"), "{said}");
}
