//! Grants through the whole gate: asked for where it hurts, agreed to by somebody else, used as often as they may be and
//! no further, taken back on open streams, and every step in the log.

use std::sync::Arc;

use menshen::audit::{Entry, Event};
use serde_json::{Value, json};
use tokio::sync::{Barrier, Semaphore};
use tokio_util::task::TaskTracker;

use crate::harness::client::{Client, finish};
use crate::harness::upstream::{chunk, head};
use crate::harness::{Answer, Ask, Gate, Reply, Setup, Step, soon};

const PASSPORT: &str = "E12345678";
const PNG: &str = "\u{1}PNG of a passport";

pub(crate) const HOTEL: &str = r#"
grades: { 1: {}, 2: {}, 3: {}, 4: { grant: required } }
purposes: [service]
entities:
  guest: { subject: id, fields: { id: 1, name: 2, passport: { grade: 4, kind: passport } } }
routes:
  guest.view: { match: "GET bank.example/guests/{id}", to: core, action: view, returns: { guest: $ } }
  guest.list: { match: GET bank.example/guests, to: core, action: search, returns: { guest: "$[]" } }
  guest.scan:
    match: GET bank.example/guests/{id}/scan
    to: core
    action: view
    opaque: { types: [image/png], size: 64KiB, grade: 4, of: guest, subject: id }
  guest.drop: { match: "DELETE bank.example/guests/{id}", to: core, action: delete, reads: guest.view }
roles: { teller: { rank: 1 }, manager: { rank: 5 }, auditor: { rank: 1 }, security: { rank: 1 } }
rules:
  - { name: desk, allow: [view, search], to: [teller, manager], of: guest, clear: [id, name, passport], masked: passport }
  - { name: papers, allow: view, to: teller, route: guest.scan }
  - { name: bosses remove, allow: delete, to: manager, of: guest }
grants:
  - to: teller
    lends: manager
    grade: 4
    longest: 1h
    fresh: 5m
    break-glass: { longest: 10m, fresh: 5m, review: 1h }
"#;

async fn hotel() -> Gate {
    hotel_with("").await
}

pub(crate) async fn hotel_with(more: &str) -> Gate {
    let gate = hotel_setup(more).start().await;
    answering(&gate);
    gate
}

pub(crate) fn hotel_setup(more: &str) -> Setup {
    let admin = "admin:\n  address: \"127.0.0.1:0\"\n  certificate: gate.pem\n  key: gate.key\n  \
                 rights: { grants: [manager, auditor, security], limits: [security] }\nbodies: { held-kib: 4 }\n";
    Setup::policy(&format!("{HOTEL}{more}")).yaml(admin)
}

pub(crate) fn answering(gate: &Gate) {
    gate.upstream.answers_by(|asked| {
        let id = asked.target.split('/').nth(2).unwrap_or("G7").to_owned();
        match asked.target.as_str() {
            path if path.ends_with("/scan") => {
                Reply::with(200, &[("content-type", "image/png")], PNG)
            }
            "/guests" => Reply::json(format!("[{},{}]", guest("G7"), guest("G8"))),
            // The backend lies about one.
            "/guests/G6" => Reply::json(guest("G8")),
            "/guests/G404" => Reply::with(404, &[], ""),
            _ => Reply::json(guest(&id)),
        }
    });
}

fn guest(id: &str) -> String {
    json!({ "id": id, "name": "n", "passport": PASSPORT }).to_string()
}

pub(crate) fn manager(gate: &Gate, name: &str) -> String {
    gate.token(&json!({ "sub": name, "roles": ["manager"] }))
}

pub(crate) async fn look(gate: &Gate, path: &str) -> Answer {
    gate.ask(Ask::get(path).by(&gate.teller())).await
}

pub(crate) async fn asks(gate: &Gate, token: &str, fields: Value) -> Answer {
    gate.ask(Ask::post("/.menshen/grants", &fields.to_string()).bearer(token)).await
}

/// Asks for one look at the scan of one guest.
pub(crate) fn scan_of(key: &str) -> Value {
    json!({ "route": "guest.scan", "subjects": format!("guest:{key}"), "uses": "1", "reason": "police asks" })
}

pub(crate) async fn asked(gate: &Gate, fields: Value) -> String {
    let told = asks(gate, &gate.teller(), fields).await;
    let told = told.expect(201).json();
    assert_eq!(told["state"], "asked");
    told["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn admin(gate: &Gate, token: &str, path: &str, body: Value) -> Answer {
    let address = gate.server().admin_address().unwrap();
    let ask = Ask::post(path, &body.to_string()).bearer(token);
    Client::new(address, &gate.ca_pem).h2().await.send(ask).await
}

pub(crate) async fn approve(gate: &Gate, token: &str, id: &str) -> Answer {
    admin(gate, token, &format!("/v1/grants/{id}/approve"), json!({})).await
}

pub(crate) async fn granted(gate: &Gate, fields: Value) -> String {
    let id = asked(gate, fields).await;
    approve(gate, &manager(gate, "mei"), &id).await.expect(200);
    id
}

#[tokio::test]
async fn a_clerk_who_is_refused_asks_a_manager_agrees_one_look_and_the_second_is_refused() {
    let mut gate = hotel().await;
    let refused = look(&gate, "/guests/G7/scan").await;
    let told = refused.expect(403).json();
    let mut fields = told["grant"]["fields"].clone();
    assert_eq!(
        fields,
        json!({ "route": "guest.scan", "action": "view", "subjects": "guest:G7", "uses": "1", "purpose": "service" })
    );
    assert_eq!(told["grant"]["post"], "/.menshen/grants");
    // What it says to ask for, with a reason, is what is asked.
    fields["reason"] = "police asks".into();
    let id = asked(&gate, fields).await;
    look(&gate, "/guests/G7/scan").await.expect(403);
    let mei = manager(&gate, "mei");
    let listed = gate.ask(Ask::get("/.menshen/grants").bearer(&mei)).await;
    let waits = listed.expect(200).json()["to_decide"][0].clone();
    let sentence = "corp:wang may view guest.scan of guest G7 for service once, for 1h";
    assert_eq!((&waits["id"], &waits["sentence"]), (&json!(id), &json!(sentence)));
    let told = approve(&gate, &mei, &id).await;
    assert_eq!(told.expect(200).json()["state"], "approved");
    assert_eq!(look(&gate, "/guests/G7/scan").await.expect(200).text(), PNG);
    let again = look(&gate, "/guests/G7/scan").await;
    assert!(again.expect(403).json().get("grant").is_some(), "asking is offered once more");
    let poll = Ask::get(&format!("/.menshen/grants?id={id}")).bearer(&gate.teller());
    let used_up = async {
        while gate.ask(poll.clone()).await.expect(200).json()["state"] != "used-up" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    soon("the end of it", used_up).await;
    let eve = gate.token(&json!({ "sub": "eve", "roles": ["auditor"] }));
    let fit = json!({ "verdict": "fit", "reason": "one look, as asked" });
    let own = admin(&gate, &mei, &format!("/v1/grants/{id}/review"), fit.clone()).await;
    own.expect(409);
    admin(&gate, &eve, &format!("/v1/grants/{id}/review"), fit).await.expect(200);
    let entries = gate.entries().await;
    let of_it = |entry: &&Entry| entry.why.as_ref().is_some_and(|why| why.grant.as_str() == id);
    let story: Vec<String> = entries
        .iter()
        .filter(of_it)
        .map(|entry| match &entry.act {
            Some(act) => act.name.as_str().to_owned(),
            None => entry.event.to_string(),
        })
        .collect();
    let whole = ["grant_asked", "grant_approved", "decision", "grant_used_up", "grant_reviewed"];
    assert_eq!(story, whole);
    let steps = entries.iter().filter(of_it).filter(|entry| entry.act.is_some());
    assert!(steps.clone().all(|entry| entry.event == Event::Grant));
    let text = String::from_utf8(gate.log_text()).unwrap();
    assert!(!text.contains("guest:G7") && !text.contains("guest G7"), "the log names nobody");
}

#[tokio::test]
async fn nobody_agrees_who_asked_or_stands_no_higher_or_shows_an_old_factor() {
    let gate = hotel().await;
    let id = asked(&gate, scan_of("G7")).await;
    // The same person as a manager; another account of theirs is another token of the same name.
    approve(&gate, &manager(&gate, "wang"), &id).await.expect(409);
    let peer = gate.token(&json!({ "sub": "eve", "roles": ["auditor"] }));
    approve(&gate, &peer, &id).await.expect(403);
    let stale = gate.clock.unix_s() - 301;
    let stale = gate.token(&json!({ "sub": "mei", "roles": ["manager"], "auth_time": stale }));
    let told = approve(&gate, &stale, &id).await;
    assert_eq!(told.expect(401).json()["step_up"]["max_age"], 300);
    let weak = gate.token(&json!({ "sub": "mei", "roles": ["manager"], "acr": "1" }));
    approve(&gate, &weak, &id).await.expect(401);
    look(&gate, "/guests/G7/scan").await.expect(403);
    approve(&gate, &manager(&gate, "mei"), "G-unknown").await.expect(404);
    // Nobody agrees to what nobody decided in time.
    gate.advance_s(86_400);
    approve(&gate, &manager(&gate, "mei"), &id).await.expect(409);
}

#[tokio::test]
async fn a_second_account_of_the_same_person_agrees_to_nothing() {
    let gate = hotel().await;
    gate.add_account("wang-admin", "lanterns-at-dusk", "manager").await;
    gate.identity().set_person("corp:wang", Some("wang")).await.unwrap();
    gate.identity().set_person("wang-admin", Some("wang")).await.unwrap();
    gate.advance_s(2);
    let id = asked(&gate, scan_of("G7")).await;
    let secret = gate.enrol("wang-admin").await;
    let session = gate.sign_in("wang-admin", "lanterns-at-dusk").await;
    let code = json!({ "code": gate.code(&secret) }).to_string();
    let raised = gate.ask(Ask::post("/.menshen/code", &code).cookie(&session)).await;
    let session = crate::harness::gate::session_of(raised.expect(200));
    let decide = json!({ "id": id, "decision": "approve" }).to_string();
    let decide = Ask::post("/.menshen/grants/decide", &decide);
    let told = gate.ask(decide.cookie(&session)).await;
    assert!(told.expect(409).text().contains("another person must"), "{}", told.text());
}

#[tokio::test]
async fn a_grant_is_for_its_guest_even_if_the_backend_gives_another() {
    let gate = hotel().await;
    let fields = json!({ "route": "guest.view guest.list", "action": "view search", "subjects": "guest:G6", "reason": "r" });
    granted(&gate, fields).await;
    let lied = look(&gate, "/guests/G6").await;
    let seen = lied.expect(200).json();
    assert_eq!(seen["id"], "G8");
    assert_ne!(seen["passport"], PASSPORT, "it fell back to the masked form");
    let list = look(&gate, "/guests").await;
    assert!(!list.expect(200).text().contains(PASSPORT));
    look(&gate, "/guests/G7/scan").await.expect(403);
}

#[tokio::test]
async fn of_many_looks_at_once_one_passes_and_a_restart_gives_none_back() {
    let mut gate = hotel().await;
    let id = granted(&gate, scan_of("G7")).await;
    let token = gate.teller();
    let tasks = TaskTracker::new();
    let start = Arc::new(Barrier::new(16));
    let mut running = Vec::new();
    for _ in 0..16 {
        let (client, start, token) = (gate.client(), Arc::clone(&start), token.clone());
        running.push(tasks.spawn(async move {
            let mut connection = client.h2().await;
            soon("all to connect", start.wait()).await;
            let mut passed = 0;
            for _ in 0..4 {
                let answer = connection.send(Ask::get("/guests/G7/scan").by(&token)).await;
                passed += usize::from(answer.status == 200);
            }
            passed
        }));
    }
    let mut passed = 0;
    for task in running {
        passed += task.await.unwrap();
    }
    assert_eq!(passed, 1, "the uses of {id}");
    gate.restart().await;
    look(&gate, "/guests/G7/scan").await.expect(403);
}

#[tokio::test]
async fn a_look_that_gave_nothing_is_no_use() {
    let gate = hotel().await;
    granted(
        &gate,
        json!({ "route": "guest.view", "subjects": "guest:G404", "uses": "1", "reason": "r" }),
    )
    .await;
    for _ in 0..3 {
        look(&gate, "/guests/G404").await.expect(404);
    }
    let own = gate.ask(Ask::get("/.menshen/grants").bearer(&gate.teller())).await;
    let own = own.expect(200).json()["grants"][0].clone();
    assert_eq!((&own["state"], &own["used"]), (&json!("approved"), &json!(0)));
}

#[tokio::test]
async fn what_is_taken_back_or_over_opens_nothing_more() {
    let gate = hotel().await;
    let fields = |key: &str| json!({ "route": "guest.scan", "subjects": format!("guest:{key}"), "reason": "r", "lasts": "10m" });
    let revoked = granted(&gate, fields("G7")).await;
    let lasting = granted(&gate, fields("G8")).await;
    look(&gate, "/guests/G7/scan").await.expect(200);
    look(&gate, "/guests/G8/scan").await.expect(200);
    let eve = gate.token(&json!({ "sub": "eve", "roles": ["auditor"] }));
    let why = json!({ "reason": "wrong guest" });
    admin(&gate, &eve, &format!("/v1/grants/{revoked}/revoke"), why.clone()).await.expect(200);
    look(&gate, "/guests/G7/scan").await.expect(403);
    admin(&gate, &eve, &format!("/v1/grants/{revoked}/revoke"), why).await.expect(409);
    approve(&gate, &manager(&gate, "mei"), &revoked).await.expect(409);
    look(&gate, "/guests/G8/scan").await.expect(200);
    gate.advance_s(600);
    look(&gate, "/guests/G8/scan").await.expect(403);
    approve(&gate, &manager(&gate, "mei"), &lasting).await.expect(409);
}

#[tokio::test]
async fn an_open_stream_ends_when_its_grant_is_taken_back() {
    let gate = hotel().await;
    let fields = json!({ "route": "guest.list", "subjects": "guest:G7", "reason": "r" });
    let id = granted(&gate, fields).await;
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let name = "n".repeat(9000);
    let record = format!(r#"[{{"id":"G7","name":"{name}","passport":"{PASSPORT}"}},"#);
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    let never = Arc::new(Semaphore::new(0));
    gate.upstream.answers(Reply::raw(first).then(Step::Wait(never)));
    let mut connection = gate.h2().await;
    let stream = connection.begin(Ask::get("/guests").by(&gate.teller())).await.unwrap();
    let mei = manager(&gate, "mei");
    let why = json!({ "reason": "enough" });
    admin(&gate, &mei, &format!("/v1/grants/{id}/revoke"), why).await.expect(200);
    let cut = soon("the cut", finish(stream)).await;
    assert!(cut.cut.is_some(), "it goes on");
}

#[tokio::test]
async fn what_the_policy_lets_nobody_grant_is_neither_offered_nor_taken() {
    let gate = hotel().await;
    let teller = gate.teller();
    for (fields, status) in [
        (json!({ "route": "guest.scan", "subjects": "guest:G7" }), 422),
        (json!({ "route": "guest.scam", "subjects": "guest:G7", "reason": "r" }), 422),
        (json!({ "route": "guest.scan", "reason": "r" }), 409),
        (json!({ "route": "guest.scan", "subjects": "guest:G7 guest:G8", "reason": "r" }), 409),
        (
            json!({ "route": "guest.scan", "subjects": "guest:G7", "lasts": "2h", "reason": "r" }),
            409,
        ),
        (
            json!({ "route": "guest.scan", "subjects": "guest:G7", "role": "auditor", "reason": "r" }),
            409,
        ),
        (json!({ "route": "guest.scan", "subjects": "guest:G7", "uses": "0", "reason": "r" }), 422),
        (json!({ "route": "guest.scan", "subjects": "gest:G7", "reason": "r" }), 422),
        (
            json!({ "route": "guest.scan", "subjects": "guest:G7", "purpose": "servce", "reason": "r" }),
            422,
        ),
        (
            json!({ "route": "guest.scan", "subjects": "guest:G7", "parameters": "no=G7", "reason": "r" }),
            422,
        ),
        (
            json!({ "route": "guest.scan", "subjects": "guest:G7", "reason": "r",
                    "from": (gate.clock.unix_s() + 86_460).to_string() }),
            422,
        ),
    ] {
        asks(&gate, &teller, fields.clone()).await.expect(status);
    }
    // Nobody grants a manager anything here.
    let boss = asks(&gate, &manager(&gate, "mei"), scan_of("G7")).await;
    boss.expect(409);
    let refused = gate.ask(Ask::get("/guests/G7").by(&manager(&gate, "mei"))).await;
    assert_ne!(refused.expect(200).json()["passport"], PASSPORT);
    for _ in 0..10 {
        asked(&gate, scan_of("G7")).await;
    }
    let flood = asks(&gate, &teller, scan_of("G7")).await;
    assert!(flood.expect(409).text().contains("wait already"), "{}", flood.text());
}

#[tokio::test]
async fn a_role_is_lent_for_one_guest_and_a_change_of_another_is_not_made() {
    let gate = hotel().await;
    let remove = |id: &str| Ask::new("DELETE", &format!("/guests/{id}")).by(&gate.teller());
    gate.ask(remove("G7")).await.expect(403);
    let fields = json!({ "route": "guest.drop", "subjects": "guest:G7", "role": "manager", "uses": "1", "reason": "r" });
    granted(&gate, fields).await;
    gate.ask(remove("G8")).await.expect(403);
    gate.ask(remove("G7")).await.expect(204);
    gate.ask(remove("G7")).await.expect(403);
    // The backend gives another guest's record than the path says.
    let fields =
        json!({ "route": "guest.drop", "subjects": "guest:G6", "role": "manager", "reason": "r" });
    granted(&gate, fields).await;
    gate.ask(remove("G6")).await.expect(404);
}

#[tokio::test]
async fn broken_glass_opens_at_once_and_blocks_whoever_is_not_reviewed_in_time() {
    let mut gate = hotel().await;
    let mut fields = scan_of("G7");
    fields["emergency"] = "true".into();
    fields["uses"] = "5".into();
    let stale = gate.clock.unix_s() - 301;
    let stale = gate.token(&json!({ "auth_time": stale }));
    asks(&gate, &stale, fields.clone()).await.expect(401);
    let opened = asks(&gate, &gate.teller(), fields.clone()).await;
    let opened = opened.expect(201).json();
    assert_eq!((&opened["state"], &opened["emergency"]), (&json!("approved"), &json!(true)));
    look(&gate, "/guests/G7/scan").await.expect(200);
    look(&gate, "/guests/G8/scan").await.expect(403);
    gate.advance_s(600);
    look(&gate, "/guests/G7/scan").await.expect(403);
    // Granted in the ordinary way meanwhile: it holds until the review is overdue.
    granted(&gate, json!({ "route": "guest.scan", "subjects": "guest:G8", "reason": "r" })).await;
    look(&gate, "/guests/G8/scan").await.expect(200);
    gate.advance_s(3000);
    granted(&gate, json!({ "route": "guest.scan", "subjects": "guest:G9", "reason": "r" })).await;
    let blocked = look(&gate, "/guests/G9/scan").await;
    assert!(blocked.expect(403).text().contains("must be reviewed"), "{}", blocked.text());
    look(&gate, "/guests/G7").await.expect(200);
    let id = opened["id"].as_str().unwrap();
    let said = json!({ "verdict": "unfit", "reason": "nobody was in danger" });
    let review = format!("/v1/grants/{id}/review");
    let own = gate.token(&json!({ "sub": "wang", "roles": ["security"] }));
    admin(&gate, &own, &review, said.clone()).await.expect(409);
    let eve = gate.token(&json!({ "sub": "eve", "roles": ["auditor"] }));
    admin(&gate, &eve, &review, said).await.expect(200);
    look(&gate, "/guests/G9/scan").await.expect(200);
    let entries = gate.entries().await;
    let acts: Vec<&str> =
        entries.iter().filter_map(|e| Some(e.act.as_ref()?.name.as_str())).collect();
    assert!(acts.contains(&"glass_broken") && acts.contains(&"grant_reviewed_unfit"), "{acts:?}");
}

#[tokio::test]
async fn whoever_breaks_the_glass_has_a_tighter_budget_than_on_other_days() {
    let limits = "limits:\n  - { to: any, on: { grant: emergency }, files: 2/h }\n";
    let gate = hotel_with(limits).await;
    let mut fields = scan_of("G7");
    fields["emergency"] = "true".into();
    fields["uses"] = "5".into();
    asks(&gate, &gate.teller(), fields).await.expect(201);
    look(&gate, "/guests/G7/scan").await.expect(200);
    look(&gate, "/guests/G7/scan").await.expect(200);
    let refused = look(&gate, "/guests/G7/scan").await;
    let told = refused.expect(429).header("ratelimit").unwrap();
    assert!(told.contains("\"files-1h;grant=emergency\";r=0"), "{told}");
    // What somebody agreed to is not counted there.
    granted(&gate, json!({ "route": "guest.scan", "subjects": "guest:G8", "reason": "r" })).await;
    look(&gate, "/guests/G8/scan").await.expect(200);
}

#[tokio::test]
async fn a_browser_is_shown_where_to_ask_and_asks_there() {
    let gate = hotel().await;
    let page = Ask::get("/guests/G7/scan").by(&gate.teller()).header("accept", "text/html");
    let refused = gate.ask(page).await;
    let told = refused.expect(403).text();
    assert!(told.contains("/.menshen/grants?") && told.contains("Ask for a grant"), "{told}");
    let form = Ask::get("/.menshen/grants?route=guest%2Escan&subjects=guest%3AG7&uses=1")
        .bearer(&gate.teller())
        .header("accept", "text/html");
    let shown = gate.ask(form).await;
    assert!(shown.expect(200).text().contains("name=\"reason\""), "{}", shown.text());
    let send = Ask::new("POST", "/.menshen/grants").bearer(&gate.teller());
    let body = "route=guest.scan&subjects=guest%3AG7&uses=1&reason=%3Cb%3E";
    let foreign = send.clone().form(body).header("origin", "https://evil.example");
    gate.ask(foreign).await.expect(403);
    let sent = gate.ask(send.form(body).header("origin", "https://bank.example")).await;
    let told = sent.expect(200).text();
    assert!(told.contains("guest G7") && told.contains("&#60;b&#62;"), "{told}");
}

#[tokio::test]
async fn a_grant_that_is_named_is_the_one_that_is_used() {
    let gate = hotel().await;
    let fields =
        json!({ "route": "guest.scan", "subjects": "guest:G7", "uses": "2", "reason": "r" });
    let (one, two) = (granted(&gate, fields.clone()).await, granted(&gate, fields).await);
    let ask = Ask::get("/guests/G7/scan").by(&gate.teller()).header("menshen-grant", &two);
    gate.ask(ask.clone()).await.expect(200);
    gate.ask(ask.clone()).await.expect(200);
    gate.ask(ask).await.expect(403);
    let none = Ask::get("/guests/G7/scan").by(&gate.teller()).header("menshen-grant", "G-none");
    gate.ask(none).await.expect(403);
    let other = Ask::get("/guests/G7/scan").by(&manager(&gate, "tan"));
    gate.ask(other.header("menshen-grant", &one)).await.expect(403);
    look(&gate, "/guests/G7/scan").await.expect(200);
}

/// What the command says, and how it ends.
async fn command(gate: &Gate, token: &str, arguments: &[&str]) -> (bool, String) {
    let file = gate.path("a.token");
    std::fs::write(&file, token).unwrap();
    let address = gate.server().addresses()[0].to_string();
    let mut menshen = std::process::Command::new(env!("CARGO_BIN_EXE_menshen"));
    menshen.args(["grant"]).args(arguments).args([
        "--gate",
        "https://bank.example",
        "--address",
        &address,
    ]);
    menshen.arg("--ca").arg(gate.path("ca.pem")).arg("--token").arg(file);
    let told = tokio::task::spawn_blocking(move || menshen.output().unwrap());
    let told = soon("the command", told).await.unwrap();
    let text = [told.stdout, told.stderr].concat();
    (told.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn the_command_asks_the_gate_and_is_told_what_it_refuses() {
    let gate = hotel().await;
    let (teller, mei) = (gate.teller(), manager(&gate, "mei"));
    let wish =
        ["ask", "--route", "guest.scan", "--subjects", "guest:G7", "--uses", "1", "--reason", "r"];
    let (done, said) = command(&gate, &teller, &wish).await;
    assert!(
        done && said.contains(" asked: corp:wang may view guest.scan of guest G7 once"),
        "{said}"
    );
    let id = said.split(' ').next().unwrap().to_owned();
    let (done, said) = command(&gate, &teller, &["approve", &id]).await;
    assert!(!done && said.contains("409") && said.contains("another person must"), "{said}");
    let (done, said) = command(&gate, &mei, &["list"]).await;
    assert!(done && said.starts_with("waits for you to decide") && said.contains(&id), "{said}");
    let (done, said) = command(&gate, &mei, &["approve", &id]).await;
    assert!(done && said.contains(" approved: "), "{said}");
    look(&gate, "/guests/G7/scan").await.expect(200);
    look(&gate, "/guests/G7/scan").await.expect(403);
    let (done, said) = command(&gate, "nonsense", &["list"]).await;
    assert!(!done && said.contains("401"), "{said}");
}
