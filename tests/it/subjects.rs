//! What data subjects said, through the whole gate: registered over the interface, by command and from files; recorded
//! without whom it is about; and decided record by record, on the next one.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use menshen::audit::Event;
use menshen::clock::Clock;
use menshen::consent::Register;
use menshen::policy::{ConsentKind, Said};
use menshen::secret::MasterKey;
use menshen::state::Store;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::harness::client::Client;
use crate::harness::process::menshen;
use crate::harness::upstream::chunk;
use crate::harness::{Answer, Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup, Step, holds};

const ADMIN: &str = "admin:\n  address: \"127.0.0.1:0\"\n  certificate: gate.pem\n  key: gate.key\n  \
                     rights: { registry: [desk], limits: [risk] }";

/// The open bank, whose marketing needs consent and whose customers may be marked.
fn bank() -> String {
    OPEN_BANK
        .replace(
            "purposes: [service]\n",
            "purposes: { service: {}, marketing: { consent: required }, partners: { consent: required }, news: { consent: objection } }\n",
        )
        .replace("    subject: id\n", "    subject: id\n    flags: { hidden: marked('do-not-disclose') }\n")
        .replace("    action: update\n", "    action: update\n    reads: one.view\n")
        .replace("stranger: {} }", "stranger: {}, partner: { external: true } }")
        .replace("    to: teller\n    of: customer", "    to: [teller, partner]\n    of: customer")
}

fn customer(id: u32) -> String {
    format!(r#"{{"id":{id},"name":"n{id}","phone":"13800138000"}}"#)
}

async fn gate() -> Gate {
    let gate = Setup::policy(&bank()).yaml(ADMIN).start().await;
    gate.upstream.answers_by(|asked| match asked.target.as_str() {
        "/all" => {
            let all: Vec<String> = (1..=10).map(customer).collect();
            Reply::json(format!("[{}]", all.join(",")))
        }
        "/one/99" => Reply::with(404, &[("content-type", "application/json")], r#"{"error":1}"#),
        path => Reply::json(customer(path.rsplit('/').next().unwrap().parse().unwrap_or(1))),
    });
    gate
}

fn register(gate: &Gate) -> Register {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let store = Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap();
    Register::new(store, &master, gate.clock.clone()).unwrap()
}

async fn post(gate: &Gate, role: &str, path: &str, body: &Value) -> Answer {
    let address = gate.server().admin_address().unwrap();
    let token = gate.token(&json!({ "sub": "crm", "roles": [role] }));
    let ask = Ask::post(path, &body.to_string()).bearer(&token);
    Client::new(address, &gate.ca_pem).h2().await.send(ask).await
}

async fn say(gate: &Gate, statements: Value) -> Answer {
    post(gate, "desk", "/v1/registry/subjects", &json!({ "statements": statements })).await
}

fn consent(subject: u32, purpose: &str, kind: &str) -> Value {
    json!({ "say": "consent", "entity": "customer", "subject": subject, "purpose": purpose, "kind": kind })
}

fn word(say: &str, subject: u32, name: &str) -> Value {
    let key = if say.ends_with("mark") { "mark" } else { "purpose" };
    json!({ "say": say, "entity": "customer", "subject": subject, key: name })
}

fn look(gate: &Gate, id: u32, purpose: &str) -> Ask {
    Ask::get(&format!("/one/{id}")).bearer(&gate.teller()).header("menshen-purpose", purpose)
}

async fn view(gate: &Gate, id: u32, purpose: &str) -> u16 {
    gate.ask(look(gate, id, purpose)).await.status.as_u16()
}

/// Asks until the answer has this status: what is said beside the gate is known soon.
async fn until(gate: &Gate, id: u32, purpose: &str, status: u16) {
    let mut connection = gate.h1().await;
    let asking = async {
        while connection.send(look(gate, id, purpose)).await.status.as_u16() != status {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    crate::harness::soon("the status", asking).await;
}

#[tokio::test]
async fn a_consent_that_is_taken_back_between_two_requests_counts_in_the_second() {
    let gate = gate().await;
    assert_eq!(view(&gate, 1, "marketing").await, 404);
    let put = say(&gate, json!([consent(1, "marketing", "explicit")])).await;
    assert_eq!(put.expect(200).json(), json!({ "registered": 1, "ended": 0 }));
    assert_eq!((view(&gate, 1, "marketing").await, view(&gate, 2, "marketing").await), (200, 404));
    let back = say(&gate, json!([word("withdraw", 1, "marketing")])).await;
    assert_eq!(back.expect(200).json(), json!({ "registered": 1, "ended": 1 }));
    assert_eq!(view(&gate, 1, "marketing").await, 404, "the same request a moment later");
    assert_eq!(view(&gate, 1, "service").await, 200, "service goes on");
}

#[tokio::test]
async fn consent_by_silence_opens_no_marketing() {
    let gate = gate().await;
    say(&gate, json!([consent(1, "marketing", "deemed")])).await.expect(200);
    assert_eq!(view(&gate, 1, "marketing").await, 404);
    say(&gate, json!([consent(1, "marketing", "explicit")])).await.expect(200);
    assert_eq!(view(&gate, 1, "marketing").await, 200);
    let silence = say(&gate, json!([consent(1, "marketing", "deemed")])).await;
    assert!(silence.expect(409).text().contains("has answered before"));
}

#[tokio::test]
async fn who_objected_is_in_no_list_and_no_export_and_the_log_counts_them() {
    let mut gate = gate().await;
    let three =
        json!([word("object", 2, "news"), word("object", 5, "news"), word("object", 9, "news")]);
    say(&gate, three).await.expect(200);
    let ask = Ask::get("/all").bearer(&gate.teller()).header("menshen-purpose", "news");
    let export = gate.ask(ask).await.expect(200).json();
    let ids: Vec<u64> =
        export.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 3, 4, 6, 7, 8, 10]);
    let entries = gate.entries().await;
    let outcomes = entries.iter().filter(|entry| entry.event == Event::Outcome);
    let told = outcomes
        .filter_map(|entry| entry.data.as_ref())
        .map(|data| (data.records, data.suppressed));
    assert_eq!(told.collect::<Vec<_>>(), [(Some(7), Some(3))]);
}

#[tokio::test]
async fn a_partner_is_shown_those_alone_who_consented_to_it_separately() {
    let gate = gate().await;
    let token = gate.token(&json!({ "sub": "p1", "roles": ["partner"], "partner": "acme" }));
    let seen = async || {
        let ask = Ask::get("/one/1").bearer(&token).header("menshen-purpose", "partners");
        gate.ask(ask).await.status.as_u16()
    };
    let to = |name: &str| {
        let mut one = consent(1, "partners", "separate");
        one.as_object_mut().unwrap().extend(
            json!({ "recipient": name, "what": "name", "until": "30d", "protection": "dpa-7" })
                .as_object()
                .unwrap()
                .clone(),
        );
        one
    };
    for other in
        [consent(1, "partners", "explicit"), consent(1, "partners", "separate"), to("other")]
    {
        say(&gate, json!([other])).await.expect(200);
        assert_eq!(seen().await, 404, "bundled, or to somebody else");
    }
    let mut incomplete = to("acme");
    incomplete.as_object_mut().unwrap().remove("until");
    let refused = say(&gate, json!([incomplete])).await;
    assert!(refused.expect(422).text().contains("`until` is missing"));
    assert_eq!(seen().await, 404);
    say(&gate, json!([to("acme")])).await.expect(200);
    assert_eq!(seen().await, 200);
    let mut back = word("withdraw", 1, "partners");
    back["recipient"] = "acme".into();
    assert_eq!(say(&gate, json!([back])).await.expect(200).json()["ended"], 1);
    assert_eq!(seen().await, 404);
    assert_eq!(view(&gate, 1, "partners").await, 200, "the own people have a consent of their own");
}

#[tokio::test]
async fn a_marked_guest_answers_to_the_byte_like_one_who_is_not_there() {
    let gate = gate().await;
    say(&gate, json!([word("mark", 1, "do-not-disclose")])).await.expect(200);
    let told = async |id: u32| {
        let answer = gate.ask(Ask::get(&format!("/one/{id}")).by(&gate.teller())).await;
        assert_eq!(answer.status, 404);
        let heads = answer.headers.iter().filter(|(name, _)| *name != "menshen-request-id");
        let heads = heads.filter(|(name, _)| *name != "date");
        let heads: Vec<_> =
            heads.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        let request = answer.json()["request"].as_str().unwrap().to_owned();
        let body = answer.text().replace(&request, "the request");
        (heads, body, answer.body.len())
    };
    assert_eq!(told(1).await, told(99).await);
    say(&gate, json!([word("unmark", 1, "do-not-disclose")])).await.expect(200);
    assert_eq!(view(&gate, 1, "service").await, 200);
}

#[tokio::test]
async fn a_mark_that_is_put_while_a_stream_is_open_holds_on_its_next_record() {
    let gate = Setup::policy(&bank()).yaml("bodies: { held-kib: 16 }").start().await;
    let go = Arc::new(Semaphore::new(0));
    let many = format!("[{}", format!("{},", customer(1)).repeat(600));
    let wait = Arc::clone(&go);
    gate.upstream.answers_by(move |asked| match asked.target.as_str() {
        "/all" => Reply::open(many.as_bytes().chunks(9_000))
            .then(Step::Wait(Arc::clone(&wait)))
            .then(Step::Send(chunk(format!("{},{}]", customer(1), customer(2)).as_bytes())))
            .then(Step::Send(b"0\r\n\r\n".to_vec())),
        _ => Reply::json(customer(1)),
    });
    let (token, mut connection) = (gate.teller(), gate.h1().await);
    let stream = connection.begin(Ask::get("/all").by(&token)).await.unwrap();
    assert_eq!(stream.status(), 200);
    let mut stream = stream.into_body();
    let first = crate::harness::soon("the first records", stream.frame()).await.unwrap().unwrap();
    let mut body = first.into_data().unwrap().to_vec();
    assert!(holds(&body, "n1"), "the first records are on their way");
    let statement = word("mark", 1, "do-not-disclose");
    let statement = menshen::consent::Statement::read(statement.as_object().unwrap(), NOW_S);
    register(&gate).put("crm", &[statement.unwrap()]).await.unwrap();
    until(&gate, 1, "service", 404).await;
    go.add_permits(1);
    while let Some(frame) = crate::harness::soon("the rest", stream.frame()).await {
        body.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    let all: Value = serde_json::from_slice(&body).unwrap();
    let ids: Vec<u64> =
        all.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect();
    assert_eq!((ids.len(), ids[0], ids[600]), (601, 1, 2), "the last of the marked one is gone");
}

#[tokio::test]
async fn where_the_state_cannot_be_read_nobody_has_consented_and_everybody_is_marked() {
    let gate = gate().await;
    say(&gate, json!([consent(1, "marketing", "explicit")])).await.expect(200);
    assert_eq!((view(&gate, 1, "marketing").await, view(&gate, 2, "service").await), (200, 200));
    let file = gate.path("state").join("menshen.db");
    let rename = |from: &str, to: &str| {
        let state = rusqlite::Connection::open(&file).unwrap();
        state.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        state.execute_batch(&format!("ALTER TABLE {from} RENAME TO {to}")).unwrap();
    };
    rename("subject_words", "lost");
    until(&gate, 1, "marketing", 404).await;
    until(&gate, 2, "service", 404).await;
    until(&gate, 2, "news", 404).await;
    rename("lost", "subject_words");
    until(&gate, 1, "marketing", 200).await;
    until(&gate, 2, "service", 200).await;
}

#[tokio::test]
async fn statements_are_registered_over_the_interface_recorded_before_and_without_the_subject() {
    let mut gate = gate().await;
    let secret = json!({ "say": "mark", "entity": "customer", "subject": "SECRET-42", "mark": "do-not-disclose", "reference": "F-7" });
    say(&gate, json!([secret, consent(1, "marketing", "explicit")])).await.expect(200);
    for bad in [
        json!({}),
        json!({ "statements": [] }),
        json!({ "statements": [consent(1, "marketing", "explicit")], "more": 1 }),
        json!({ "statements": [consent(1, "marketing", "loud")] }),
        json!({ "statements": [consent(1, "maketing", "explicit")] }),
        json!({ "statements": [word("mark", 1, "do-not-disclos")] }),
        json!({ "statements": [{ "say": "mark", "entity": "custmer", "subject": 1, "mark": "do-not-disclose" }] }),
        // One that is good beside one that is not.
        json!({ "statements": [consent(2, "marketing", "explicit"), consent(3, "marketing", "")] }),
    ] {
        let refused = post(&gate, "desk", "/v1/registry/subjects", &bad).await;
        assert!([400, 422].contains(&refused.status.as_u16()), "{bad}: {}", refused.status);
    }
    assert_eq!(view(&gate, 2, "marketing").await, 404, "nothing half done");
    let one = json!({ "statements": [consent(2, "marketing", "explicit")] });
    post(&gate, "risk", "/v1/registry/subjects", &one).await.expect(403);
    let who = json!({ "entity": "customer", "subject": "SECRET-42" });
    post(&gate, "risk", "/v1/registry/subjects/show", &who).await.expect(403);
    for subject in [json!(2.5), json!(1e30), json!(["1"]), json!(null)] {
        let nobodys = json!({ "entity": "customer", "subject": subject });
        post(&gate, "desk", "/v1/registry/subjects/show", &nobodys).await.expect(422);
    }
    let shown = post(&gate, "desk", "/v1/registry/subjects/show", &who).await.expect(200).json();
    let mark = &shown["statements"][0];
    assert_eq!(
        (&mark["say"], &mark["word"], &mark["stands"]),
        (&json!("mark"), &json!("do-not-disclose"), &json!(true))
    );
    assert_eq!((&mark["by"], &mark["reference"]), (&json!("corp:crm"), &json!("F-7")));
    let entries = gate.entries().await;
    let acts: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some((entry.event, entry.act.as_ref()?)))
        .filter(|(_, act)| act.name.as_str() == "subjects_registered")
        .collect();
    let place = |event| acts.iter().position(|act| act.0 == event).unwrap();
    assert!(place(Event::Admin) < place(Event::Change), "asked before it was done");
    let done = acts[place(Event::Change)].1;
    assert_eq!(done.object.as_str(), "subjects of customer");
    assert_eq!(done.detail.as_str(), "2: consent marketing, mark do-not-disclose; F-7");
    let text = String::from_utf8(gate.log_text()).unwrap();
    assert!(!text.contains("SECRET-42"));
    let state = std::fs::read(gate.path("state").join("menshen.db")).unwrap();
    assert!(!holds(&state, "SECRET-42"));
}

/// Runs `menshen registry subject`; gives its code and what it said.
fn registry(gate: &Gate, arguments: &[&str]) -> (i32, String) {
    let config = gate.path("menshen.yaml").display().to_string();
    let all = [&["registry", "subject"][..], arguments, &["--config", &config]].concat();
    let ran = menshen(&all);
    let said = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
    (ran.status.code().unwrap(), said)
}

#[tokio::test]
async fn statements_are_registered_by_command_beside_the_gate() {
    let mut gate = Setup::policy(&bank()).prepare(Clock::system()).await;
    gate.start().await;
    let run = |arguments: &[&str]| registry(&gate, arguments);
    let (code, said) = run(&[
        "consent",
        "customer",
        "1",
        "marketing",
        "--kind",
        "explicit",
        "--notice",
        "3",
        "--reference",
        "F-1",
    ]);
    assert_eq!((code, said.as_str()), (0, "registered\n"));
    let known = async |id: &str, purpose: &str| {
        let register = register(&gate);
        register.load().await.unwrap();
        register.said("customer", id, purpose, None).unwrap()
    };
    let yes = Said::Yes { kind: ConsentKind::Explicit, notice: 3 };
    assert_eq!(known("1", "marketing").await, yes);
    let (code, said) = run(&["show", "customer", "1"]);
    assert!(code == 0 && said.contains("F-1") && said.contains("marketing"), "{said}");
    let (code, said) = run(&["withdraw", "customer", "1", "marketing"]);
    assert!(code == 0 && said.contains("1 ended by it"), "{said}");
    let (code, said) = run(&["withdraw", "customer", "1"]);
    assert!(code == 0 && said.contains("nothing of it stood"), "{said}");
    assert_eq!(run(&["object", "customer", "1", "news"]).0, 0);
    assert_eq!(known("1", "news").await, Said::No);
    assert_eq!(run(&["mark", "customer", "1", "do-not-disclose", "--until", "30d"]).0, 0);
    let (code, said) = run(&["unmark", "customer", "1", "do-not-disclose"]);
    assert!(code == 0 && said.contains("1 ended by it"), "{said}");
    for bad in [
        &["mark", "customer", "1", "do-not-disclos"][..],
        &["consent", "customer", "1", "maketing", "--kind", "explicit"],
        &["consent", "customer", "1", "marketing", "--kind", "loud"],
        &["consent", "customer", "1", "partners", "--kind", "separate", "--recipient", "acme"],
    ] {
        let (code, said) = run(bad);
        assert_eq!(code, 64, "{bad:?}: {said}");
    }
    // The gate brings what was done beside it into its log by itself.
    crate::shipping::until("all acts", || {
        let entries = gate.entries_so_far();
        let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
        acts.filter(|act| act.name.as_str() == "subjects_registered").count() == 6
    })
    .await;
    gate.stop().await;
}

#[tokio::test]
async fn a_file_is_registered_whole_or_not_at_all() {
    let mut gate = Setup::policy(&bank()).prepare(Clock::system()).await;
    gate.start().await;
    let run = |arguments: &[&str]| registry(&gate, arguments);
    let known = async |id: &str| {
        let register = register(&gate);
        register.load().await.unwrap();
        register.said("customer", id, "marketing", None).unwrap()
    };
    let file = |name: &str, text: &str| {
        std::fs::write(gate.path(name), text).unwrap();
        gate.path(name).display().to_string()
    };
    let bad = file(
        "bad.csv",
        "say,entity,subject,purpose,kind\nconsent,customer,7,marketing,explicit\nconsent,customer,8,marketing,loud\nmark,customer,9,,\n",
    );
    let (code, said) = run(&["import", &bad]);
    assert!(
        code == 64 && said.contains("bad.csv:3: `kind`") && said.contains("bad.csv:4: `mark`"),
        "{said}"
    );
    assert_eq!(known("7").await, Said::Nothing, "nothing half done");
    let good = file(
        "good.csv",
        "say,entity,subject,purpose,mark,kind\nconsent,customer,7,marketing,,explicit\nmark,customer,8,,do-not-disclose,\n",
    );
    let (code, said) = run(&["import", &good]);
    assert!(code == 0 && said.starts_with("2 statements registered"), "{said}");
    let lines = file(
        "good.ndjson",
        "{\"say\":\"withdraw\",\"entity\":\"customer\",\"subject\":7,\"purpose\":\"marketing\"}\n",
    );
    let (code, said) = run(&["import", &lines]);
    assert!(code == 0 && said.contains("1 consents and marks ended"), "{said}");
    assert_eq!(known("7").await, Said::No);
    gate.stop().await;
}

#[tokio::test]
async fn what_was_said_holds_after_a_restart() {
    let mut gate = gate().await;
    let both = json!([word("mark", 1, "do-not-disclose"), consent(2, "marketing", "explicit")]);
    say(&gate, both).await.expect(200);
    gate.restart().await;
    assert_eq!((view(&gate, 1, "service").await, view(&gate, 2, "marketing").await), (404, 200));
    assert_eq!(view(&gate, 3, "marketing").await, 404);
}

#[tokio::test]
async fn an_entry_names_the_consents_that_opened_and_withheld_and_nobody() {
    let mut gate = gate().await;
    let mut spoken = consent(1, "marketing", "explicit");
    spoken["notice"] = json!(3);
    say(&gate, json!([spoken, word("object", 5, "marketing")])).await.expect(200);
    let ask = Ask::get("/all").bearer(&gate.teller()).header("menshen-purpose", "marketing");
    let shown = gate.ask(ask).await.expect(200).json();
    assert_eq!(shown.as_array().unwrap().len(), 1);
    assert_eq!(view(&gate, 5, "marketing").await, 404);
    assert_eq!(view(&gate, 1, "service").await, 200);
    let entries = gate.entries().await;
    let outcomes = entries.iter().filter(|entry| entry.event == Event::Outcome);
    let told: Vec<Vec<&str>> = outcomes
        .map(|entry| entry.data.iter().flat_map(|data| data.consents.iter()).collect())
        .collect();
    let all = vec!["marketing explicit/3", "marketing no", "marketing nothing"];
    assert_eq!(told, [all, vec!["marketing no"], vec![]]);
}
