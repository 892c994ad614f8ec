//! Reviews of accesses as a reviewer meets them: by command beside a running gate, and over the interface.

use std::sync::Arc;

use menshen::audit::Effect;
use menshen::campaign::{Campaigns, Right};
use menshen::clock::Clock;
use menshen::command::{Desk, Doer, Kind, Target, Way};
use menshen::secret::MasterKey;
use menshen::state::Store;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::harness::client::{Client, finish};
use crate::harness::process::menshen;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, Step, soon};

async fn bank(yaml: &str) -> Gate {
    let gate = Setup::policy(OPEN_BANK).yaml(yaml).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate
}

fn lin() -> Doer {
    Doer { name: "lin".to_owned(), person: "lin".to_owned() }
}

/// Beside the gate, on its clock.
fn store(gate: &Gate) -> Store {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap()
}

async fn turn(gate: &Gate, way: Way, right: &str) {
    let target = Target::new(Kind::Right, right).unwrap();
    let desk = Desk::new(store(gate), gate.clock.clone());
    desk.turn(&lin(), way, &target, "ticket 12").await.unwrap();
}

fn view(token: &str) -> Ask {
    Ask::get("/one/1").by(token)
}

#[tokio::test]
async fn whoever_lost_the_right_to_a_role_acts_without_it_under_all_accounts_and_nobody_else_does()
{
    let mut gate = bank("").await;
    gate.identity().set_person("corp:wang", Some("e1042")).await.unwrap();
    gate.advance_s(2);
    let (wang, li) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    let stranger = gate.token(&json!({ "roles": ["stranger"] }));
    for right in ["teller@corp:wang", "teller@e1042"] {
        gate.ask(view(&wang)).await.expect(200);
        turn(&gate, Way::On, right).await;
        // Whoever was on the way when it ended is told that it did; whoever comes then never had it.
        gate.until(403, &view(&wang)).await;
        let refused = gate.ask(view(&wang)).await;
        assert!(!refused.text().contains("suspended"), "as if they never had it");
        gate.ask(view(&li)).await.expect(200);
        gate.ask(view(&stranger)).await.expect(403);
        turn(&gate, Way::Off, right).await;
        gate.until(200, &view(&wang)).await;
    }
    let entries = gate.entries().await;
    let denied = entries.iter().filter_map(|entry| {
        let decision = entry.decision.as_ref().filter(|d| d.effect == Effect::Deny)?;
        Some((entry.actor.as_ref()?, decision.unmet.iter().collect::<Vec<_>>()))
    });
    let of_wang = denied.filter(|(_, unmet)| unmet.iter().any(|text| text.contains("right")));
    let told: Vec<_> = of_wang
        .map(|(actor, unmet)| {
            (actor.roles.iter().count(), unmet.last().copied().unwrap().to_owned())
        })
        .collect();
    assert_eq!(told.first().unwrap(), &(0, "`right teller@corp:wang` is switched off".to_owned()));
    assert_eq!(told.last().unwrap(), &(0, "`right teller@e1042` is switched off".to_owned()));
}

#[tokio::test]
async fn an_open_stream_is_cut_when_the_right_behind_it_ends() {
    let gate = Setup::policy(OPEN_BANK).yaml("bodies: { held-kib: 4 }").start().await;
    let record = format!(r#"[{{"id":1,"note":"{}"}},"#, "n".repeat(9000));
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    let never = Arc::new(Semaphore::new(0));
    gate.upstream.answers(Reply::raw(first).then(Step::Wait(never)));
    let mut connection = gate.h2().await;
    let open = connection.begin(Ask::get("/all").by(&gate.teller())).await.unwrap();
    turn(&gate, Way::On, "teller@corp:wang").await;
    let ended = soon("the stream to end", finish(open)).await;
    assert!(ended.cut.is_some(), "cut, and not ended as if it were whole");
}

const ADMIN: &str = "admin:\n  address: \"127.0.0.1:0\"\n  certificate: gate.pem\n  key: gate.key\n  \
                     rights: { campaigns: [auditor] }";

#[tokio::test]
async fn a_reviewer_attests_and_removes_over_the_interface_and_the_rest_lapses() {
    let mut gate = bank(ADMIN).await;
    let campaigns = Campaigns::beside(&Desk::new(store(&gate), gate.clock.clone()));
    let right = |whose: &str| Right {
        whose: whose.to_owned(),
        role: "teller".to_owned(),
        proposal: "keep".to_owned(),
        ..Right::default()
    };
    let rights = ["corp:wang", "corp:li", "corp:zhao", "corp:mei"].map(right).to_vec();
    let id = campaigns.open(&lin(), "half a year", 14, rights).await.unwrap();
    let mei = gate.token(&json!({ "sub": "mei", "roles": ["auditor", "teller"] }));
    let path = format!("/v1/campaigns/{id}");
    let shown = interface(&gate, Ask::get(&path).bearer(&mei)).await;
    assert_eq!(shown.expect(200).json()["rights"].as_array().unwrap().len(), 4);
    let decide = |whose: &str, verdict: &str| {
        let body =
            json!({ "verdicts": [{ "whose": whose, "role": "teller", "verdict": verdict }] });
        Ask::post(&format!("{path}/verdicts"), &body.to_string()).bearer(&mei)
    };
    interface(&gate, decide("corp:wang", "attested")).await.expect(200);
    interface(&gate, decide("corp:li", "removed")).await.expect(200);
    let own = interface(&gate, decide("corp:mei", "attested")).await;
    assert!(own.expect(409).text().contains("their own rights"), "{}", own.text());
    interface(&gate, decide("corp:chen", "attested")).await.expect(409);
    interface(&gate, decide("corp:zhao", "perhaps")).await.expect(422);
    let by_teller = interface(&gate, Ask::get(&path).bearer(&gate.teller())).await;
    by_teller.expect(403);
    let token = |name: &str| gate.token(&json!({ "sub": name }));
    // What was removed holds when it was answered.
    gate.ask(view(&token("li"))).await.expect(403);
    gate.ask(view(&token("zhao"))).await.expect(200);
    gate.advance_s(14 * 86_400);
    let token = |name: &str| gate.token(&json!({ "sub": name }));
    gate.until(403, &view(&token("zhao"))).await;
    gate.until(403, &view(&token("mei"))).await;
    gate.ask(view(&token("wang"))).await.expect(200);
    let late = interface(&gate, {
        let mei = gate.token(&json!({ "sub": "mei", "roles": ["auditor"] }));
        let body = json!({ "verdicts": [{ "whose": "corp:zhao", "role": "teller", "verdict": "attested" }] });
        Ask::post(&format!("{path}/verdicts"), &body.to_string()).bearer(&mei)
    });
    late.await.expect(409);
    let entries = gate.entries().await;
    let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
    let told: Vec<_> = acts
        .filter(|act| {
            act.object.as_str().starts_with("campaign") || act.object.as_str().starts_with("right")
        })
        .filter(|act| {
            !act.name.as_str().ends_with("_shown") && act.name.as_str() != "rights_decided"
        })
        .map(|act| format!("{} {} {}", act.name, act.object, act.detail).trim_end().to_owned())
        .collect();
    assert_eq!(
        told,
        [
            format!("campaign_opened campaign {id} 4 rights"),
            format!("right_attested campaign {id} teller@corp:wang"),
            format!("right_removed campaign {id} teller@corp:li"),
            "switch_on right teller@corp:li".to_owned(),
            "switch_on right teller@corp:mei".to_owned(),
            "switch_on right teller@corp:zhao".to_owned(),
            format!("campaign_closed campaign {id} 2 rights lapsed"),
        ]
    );
}

async fn interface(gate: &Gate, ask: Ask) -> Answer {
    let address = gate.server().admin_address().unwrap();
    Client::new(address, &gate.ca_pem).h2().await.send(ask).await
}

#[tokio::test]
async fn a_review_opened_by_command_knows_who_used_what_from_the_log_and_the_accounts() {
    // One role is nobody's, so that there is nothing to review of it.
    let policy = OPEN_BANK.replace("stranger: {} }", "stranger: {}, vacant: {} }");
    let mut gate = Setup::policy(&policy).prepare(Clock::system()).await;
    gate.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.add_account("chen", "lanterns-at-dusk", "teller").await;
    let both = gate.token(&json!({ "roles": ["teller", "stranger"] }));
    gate.ask(view(&both)).await.expect(200);
    gate.ask(view(&gate.token(&json!({ "sub": "li", "roles": ["stranger"] })))).await.expect(403);
    gate.stop().await;
    let config = gate.path("menshen.yaml");
    let run = |arguments: &[&str]| {
        let output = menshen(
            &[&["review", "campaign"], arguments, &["--config", config.to_str().unwrap()]].concat(),
        );
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), said, String::from_utf8(output.stderr).unwrap())
    };
    let (code, due, _) = run(&["due"]);
    assert_eq!((code, due.lines().count()), (Some(1), 2), "{due}");
    let (code, said, complaint) = run(&["open", "--about", "first half"]);
    assert_eq!(code, Some(0), "{complaint}");
    assert!(said.starts_with("review 1: 4 rights, 3 of them proposed for removal"), "{said}");
    let (_, shown, _) = run(&["show", "1", "--format", "json"]);
    let rows: Vec<serde_json::Value> =
        shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            ["whose", "role", "proposal"]
                .map(|name| row[name].as_str().unwrap().to_owned())
                .join(" ")
        })
        .collect();
    assert_eq!(
        told,
        [
            "chen teller dormant",
            "corp:li stranger unused",
            "corp:wang stranger unused",
            "corp:wang teller keep"
        ]
    );
    let (_, table, _) = run(&["show", "1", "--format", "csv"]);
    let filled = table
        .replace("keep,,", "keep,attested,")
        .replace("dormant,,", "dormant,removed,left in May");
    let file = gate.path("rights.csv");
    std::fs::write(&file, filled).unwrap();
    let (code, said, complaint) = run(&["decide", "1", file.to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (Some(0), "2 decided\n"), "{complaint}");
    let (code, _, complaint) = run(&["attest", "1", "corp:nobody", "teller"]);
    assert_eq!(code, Some(64));
    assert!(complaint.contains("has no right `teller@corp:nobody`"), "{complaint}");
    let (code, _, complaint) = run(&["open", "--role", "teler"]);
    assert_eq!(code, Some(64));
    assert!(complaint.contains("no role `teler`"), "{complaint}");
    gate.start().await;
    gate.ask(view(&gate.teller())).await.expect(200);
    let session = gate.sign_in("chen", "lanterns-at-dusk").await;
    gate.ask(Ask::get("/one/1").cookie(&session)).await.expect(403);
}
