//! The interface for the security team: who may use it, that it does what it says, that all of it is recorded first, and
//! that its description says all of it and nothing else.

use std::collections::BTreeSet;

use menshen::audit::{Entry, Event};
use menshen::identity::Standing;
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::clients::Authority;
use crate::harness::process::menshen;
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup};

const PASSWORD: &str = "lanterns-at-dusk";
const WHY: &str = "incident 4711";

/// A gate with the interface on a port of its own; `more` are further keys of `admin`.
fn setup_with(policy: &str, more: &str) -> Setup {
    setup_of(&format!("{OPEN_BANK}{policy}"), more)
}

fn setup_of(policy: &str, more: &str) -> Setup {
    let admin = format!(
        "admin:\n  address: \"127.0.0.1:0\"\n  certificate: gate.pem\n  key: gate.key\n  \
         rights: {{ switches: [security], limits: [risk], detections: [security], registry: [security], published: [website] }}\n{more}"
    );
    Setup::policy(policy).yaml(&admin)
}

pub(crate) async fn gate_with(policy: &str, more: &str) -> Gate {
    answering(setup_with(policy, more).start().await)
}

fn answering(gate: Gate) -> Gate {
    gate.upstream.answers_by(|asked| match asked.target.as_str() {
        "/all" => Reply::json(r#"[{"id":1}]"#),
        _ => Reply::json(r#"{"id":1}"#),
    });
    gate
}

async fn gate() -> Gate {
    gate_with("", "").await
}

/// A token of somebody in the security team, with a one-time code just shown.
pub(crate) fn security(gate: &Gate, name: &str) -> String {
    gate.token(&json!({ "sub": name, "roles": ["security"] }))
}

fn description() -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide/admin-api.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Asks the interface, and holds what comes back against its description.
async fn ask(gate: &Gate, ask: Ask) -> Answer {
    let address = gate.server().admin_address().unwrap();
    let (method, path) = (ask.method.as_str().to_lowercase(), ask.path.clone());
    let answer = Client::new(address, &gate.ca_pem).h2().await.send(ask).await;
    let description = description();
    let Some(operation) = operation(&description, &method, &path) else {
        assert!([401, 404].contains(&answer.status.as_u16()), "{path}: {}", answer.status);
        return answer;
    };
    let status = answer.status.as_str();
    let mut told = &operation["responses"][status];
    assert!(told.is_object(), "{method} {path}: {status} is not described");
    if let Some(name) = told["$ref"].as_str() {
        told = description.pointer(&name[1..]).unwrap();
    }
    let content = told["content"].as_object().unwrap();
    let (kind, form) = content.iter().next().unwrap();
    assert_eq!(answer.header("content-type"), Some(kind.as_str()), "{method} {path} {status}");
    if kind.ends_with("json") {
        let mut schema = form["schema"].clone();
        schema["components"] = description["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let body = answer.json();
        assert!(validator.is_valid(&body), "{method} {path} {status}: {body}");
    }
    answer
}

fn operation<'d>(description: &'d Value, method: &str, path: &str) -> Option<&'d Value> {
    let is_it = |template: &str| {
        let (a, b): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.starts_with('{') || *a == b)
    };
    let paths = description["paths"].as_object().unwrap();
    paths.iter().find(|(template, _)| is_it(template)).and_then(|(_, path)| path.get(method))
}

fn turn(kind: &str, name: &str, way: &str) -> Value {
    let mut body = json!({ "kind": kind, "turn": way, "reason": WHY });
    if !name.is_empty() {
        body["name"] = name.into();
    }
    body
}

pub(crate) async fn post(gate: &Gate, token: &str, path: &str, body: Value) -> Answer {
    ask(gate, Ask::post(path, &body.to_string()).bearer(token)).await
}

pub(crate) async fn get(gate: &Gate, token: &str, path: &str) -> Answer {
    ask(gate, Ask::get(path).bearer(token)).await
}

#[test]
fn the_description_has_every_operation_with_its_answers_and_nothing_else() {
    let described = description();
    let mut told = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let statuses: Vec<u16> = statuses.map(|status| status.parse().unwrap()).collect();
            told.insert((method.to_uppercase(), path.clone(), statuses));
        }
    }
    let offered = menshen::admin::operations();
    let offered: BTreeSet<_> = offered.map(|(m, p, s)| (m.to_owned(), p.to_owned(), s)).collect();
    assert_eq!(offered, told);
}

#[tokio::test]
async fn what_is_switched_over_the_interface_holds_when_it_answers_and_was_recorded_before() {
    let mut gate = gate().await;
    let (lin, teller) = (security(&gate, "lin"), gate.teller());
    let export = || Ask::get("/all").by(&teller);
    gate.ask(export()).await.expect(200);
    let done = post(&gate, &lin, "/v1/switches", turn("exports", "", "on")).await;
    assert_eq!(done.expect(200).json(), json!({ "changed": true }));
    gate.ask(export()).await.expect(403);
    let again = post(&gate, &lin, "/v1/switches", turn("exports", "", "on")).await;
    assert_eq!(again.expect(200).json(), json!({ "changed": false }));
    let listed = get(&gate, &lin, "/v1/switches").await;
    let listed = listed.expect(200).json();
    assert_eq!(listed["switches"][0]["kind"], "exports");
    assert_eq!(
        (&listed["switches"][0]["by"], &listed["switches"][0]["reason"]),
        (&json!("corp:lin"), &json!(WHY))
    );
    post(&gate, &lin, "/v1/switches", turn("exports", "", "off")).await.expect(200);
    gate.ask(export()).await.expect(200);
    let entries = gate.entries().await;
    let acts: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let act = entry.act.as_ref()?;
            Some((entry.event, act.name.as_str(), act.object.as_str()))
        })
        .collect();
    let turned = (Event::Admin, "switch_turned", "exports on");
    let place = |act: &(Event, &str, &str)| acts.iter().position(|other| other == act).unwrap();
    assert!(place(&turned) < place(&(Event::Change, "switch_on", "exports")), "{acts:?}");
    assert!(acts.contains(&(Event::Admin, "switches_listed", "switches")));
    let asked = entries.iter().find(|entry| entry.event == Event::Admin).unwrap();
    assert_eq!(asked.actor.as_ref().unwrap().account.as_str(), "corp:lin");
    assert_eq!(asked.why.as_ref().unwrap().reason.as_str(), WHY);
    assert!(asked.origin.is_some() && asked.auth.is_some());
}

#[tokio::test]
async fn only_who_has_the_right_and_a_second_factor_uses_it_and_refusals_are_recorded() {
    let mut gate = gate().await;
    let body = || turn("person", "corp:wang", "on");
    let weak = gate.token(&json!({ "sub": "lin", "roles": ["security"], "acr": "1" }));
    for (token, status) in [(gate.teller(), 403), (weak, 401), ("nonsense".to_owned(), 401)] {
        post(&gate, &token, "/v1/switches", body()).await.expect(status);
        get(&gate, &token, "/v1/switches").await.expect(status);
        get(&gate, &token, "/v1/openapi.yaml").await.expect(status);
    }
    ask(&gate, Ask::get("/v1/switches")).await.expect(401);
    let lin = security(&gate, "lin");
    let read = get(&gate, &lin, "/v1/openapi.yaml").await;
    assert!(read.expect(200).text().starts_with("openapi: 3.1.0"));
    for path in
        ["/", "/v1", "/v1/switches/", "/v1/switches?kind=person", "/one/1", "/.menshen/login"]
    {
        get(&gate, &lin, path).await.expect(404);
    }
    post(&gate, &lin, "/v1/switches", turn("person", "corp:lin", "on")).await.expect(200);
    get(&gate, &lin, "/v1/switches").await.expect(403);
    let entries = gate.entries().await;
    let refused = |entry: &&Entry| {
        entry.event == Event::Admin && entry.result.as_ref().is_some_and(|r| r.status == Some(403))
    };
    assert!(entries.iter().filter(refused).count() >= 4, "each refusal is there");
}

#[tokio::test]
async fn what_means_nothing_is_refused_and_said_to_be() {
    let gate = gate().await;
    let lin = security(&gate, "lin");
    let wrong = |change: Value| {
        let mut body = turn("person", "corp:wang", "on");
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    for (change, said) in [
        (json!({ "kind": "planet" }), "must be one of person"),
        (json!({ "name": "" }), "needs the name of one"),
        (json!({ "turn": "maybe" }), "must be `on` or `off`"),
        (json!({ "reason": " " }), "say why"),
        (json!({ "reason": 7 }), "`reason` must be there"),
        (json!({ "kind": "exports" }), "takes no name"),
        (json!({ "kind": "exports", "name": {} }), "`name` must be there, as text"),
        (json!({ "kind": "exports", "name": 7 }), "`name` must be there, as text"),
        (json!({ "until": "tomorrow" }), "`until` means nothing here"),
    ] {
        let told = post(&gate, &lin, "/v1/switches", wrong(change)).await;
        assert!(told.expect(422).text().contains(said), "{}", told.text());
    }
    let told = post(&gate, &lin, "/v1/switches", turn("route", "one.veiw", "on")).await;
    assert!(told.expect(409).text().contains("the policy has no route one.veiw"));
    let form = Ask::new("POST", "/v1/switches").bearer(&lin).form("kind=exports&turn=on&reason=x");
    ask(&gate, form).await.expect(415);
    ask(&gate, Ask::post("/v1/switches", "[]").bearer(&lin)).await.expect(422);
    let large = format!(r#"{{"reason":"{}"}}"#, "x".repeat(20_000));
    ask(&gate, Ask::post("/v1/switches", &large).bearer(&lin)).await.expect(413);
    post(&gate, &lin, "/v1/requests/7/confirm", json!({})).await.expect(404);
    post(&gate, &lin, "/v1/requests/x/confirm", json!({})).await.expect(404);
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
}

#[tokio::test]
async fn nobody_operates_and_reviews_by_one_account_or_by_two() {
    let policy = "apart: [[security, auditor]]\n";
    let policy =
        format!("{}{policy}", OPEN_BANK.replace("roles: {", "roles: { auditor: {}, security: {},"));
    let mut gate = answering(setup_of(&policy, "").start().await);
    let switches = |token: String| Ask::get("/v1/switches").bearer(&token);
    ask(&gate, switches(security(&gate, "lin"))).await.expect(200);
    let both = gate.token(&json!({ "sub": "lin", "roles": ["security", "auditor"] }));
    ask(&gate, switches(both)).await.expect(403);
    let teller_too =
        gate.token(&json!({ "sub": "lin", "roles": ["teller", "security", "auditor"] }));
    gate.ask(Ask::get("/one/1").by(&teller_too)).await.expect(403);
    // A local account of the same person has the other role.
    gate.add_account("lin", PASSWORD, "auditor").await;
    for account in ["lin", "corp:lin"] {
        gate.identity().set_person(account, Some("e7")).await.unwrap();
    }
    gate.advance_s(2);
    ask(&gate, switches(security(&gate, "lin"))).await.expect(403);
    // Once it is taken away there, the gate knows in a second; so too if that account is left for good.
    gate.identity().set_roles("lin", vec![]).await.unwrap();
    gate.advance_s(2);
    ask(&gate, switches(security(&gate, "lin"))).await.expect(200);
    gate.identity().set_roles("lin", vec!["auditor".to_owned()]).await.unwrap();
    gate.advance_s(2);
    ask(&gate, switches(security(&gate, "lin"))).await.expect(403);
    let said = menshen(&[
        "check",
        "--people",
        "--config",
        &gate.path("menshen.yaml").display().to_string(),
    ]);
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    gate.identity()
        .set_roles("lin", vec!["auditor".to_owned(), "security".to_owned()])
        .await
        .unwrap();
    let said = menshen(&[
        "check",
        "--people",
        "--config",
        &gate.path("menshen.yaml").display().to_string(),
    ]);
    let told = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.status.code(), Some(1), "{told}");
    assert!(told.contains("`e7` holds `security` and `auditor`"), "{told}");
    gate.identity().set_standing("lin", Standing::Left).await.unwrap();
    gate.advance_s(2);
    ask(&gate, switches(security(&gate, "lin"))).await.expect(200);
    let entries = gate.entries().await;
    let told = |entry: &Entry| {
        let unmet = &entry.decision.as_ref()?.unmet;
        unmet.iter().any(|reason| reason.contains("holds `security` and `auditor`")).then_some(())
    };
    assert_eq!(entries.iter().filter_map(told).count(), 4);
}

#[tokio::test]
async fn two_accounts_of_one_person_are_not_two_persons() {
    let mut gate = gate_with("two-person: [tenant]\n", "").await;
    gate.add_account("lin", PASSWORD, "security").await;
    for account in ["lin", "corp:lin"] {
        gate.identity().set_person(account, Some("e7")).await.unwrap();
    }
    gate.advance_s(2);
    let (lin, chen) = (security(&gate, "lin"), security(&gate, "chen"));
    let hq = gate.token(&json!({ "tenant": "hq" }));
    let waits = post(&gate, &lin, "/v1/switches", turn("tenant", "hq", "on")).await;
    let id = waits.expect(202).json()["waits"].as_i64().unwrap();
    gate.ask(Ask::get("/one/1").by(&hq)).await.expect(200);
    let confirm = format!("/v1/requests/{id}/confirm");
    // The other account, over a token of the same issuer too: it is the person that counts.
    post(&gate, &lin, &confirm, json!({})).await.expect(409);
    gate.identity().set_person("corp:lin", None).await.unwrap();
    gate.identity().set_person("corp:lin2", Some("e7")).await.unwrap();
    gate.advance_s(2);
    let told = post(&gate, &security(&gate, "lin2"), &confirm, json!({})).await;
    assert!(told.expect(409).text().contains("another person must, not another account"));
    let listed = get(&gate, &chen, "/v1/requests").await;
    assert_eq!(listed.expect(200).json()["requests"][0]["object"], "tenant hq");
    post(&gate, &chen, &confirm, json!({})).await.expect(200);
    gate.ask(Ask::get("/one/1").by(&hq)).await.expect(403);
    let off = post(&gate, &chen, "/v1/switches", turn("tenant", "hq", "off")).await;
    let id = off.expect(202).json()["waits"].as_i64().unwrap();
    post(&gate, &lin, &format!("/v1/requests/{id}/withdraw"), json!({})).await.expect(200);
    post(&gate, &lin, &format!("/v1/requests/{id}/confirm"), json!({})).await.expect(404);
    // One person is enough for what the policy does not name; and a new policy may name more.
    post(&gate, &lin, "/v1/switches", turn("exports", "", "on")).await.expect(200);
    let entries = gate.entries().await;
    let agreed = entries.iter().filter_map(|entry| entry.act.as_ref());
    let agreed: Vec<_> = agreed.filter(|act| act.name.as_str() == "switch_on").collect();
    assert_eq!(agreed[0].approved_by.as_str(), "corp:chen");
    assert_eq!(agreed[1].approved_by.as_str(), "");
}

#[tokio::test]
async fn budgets_are_shown_and_begin_anew_for_who_has_that_right() {
    let policy = "limits:\n  - to: teller\n    subjects: 1/h\ntwo-person: [limits]\n";
    let gate = gate_with(policy, "").await;
    gate.upstream.answers_by(|asked| {
        let id = asked.target.rsplit('/').next().unwrap().to_owned();
        Reply::json(format!(r#"{{"id":"{id}"}}"#))
    });
    let teller = gate.teller();
    let view = |id: u32| gate.ask(Ask::get(&format!("/one/{id}")).by(&teller));
    view(1).await.expect(200);
    view(2).await.expect(429);
    let risk = |name: &str| gate.token(&json!({ "sub": name, "roles": ["risk"] }));
    let (lin, chen) = (risk("lin"), risk("chen"));
    for path in ["/v1/limits", "/v1/limits/corp%3Awang"] {
        let shown = get(&gate, &lin, path).await;
        let budget = &shown.expect(200).json()["budgets"][0];
        assert_eq!(
            (&budget["holder"], &budget["budget"], &budget["used"]),
            (&json!("corp:wang"), &json!("subjects-1h"), &json!(1))
        );
        get(&gate, &security(&gate, "zhu"), path).await.expect(403);
    }
    let path = "/v1/limits/corp%3Awang/reset";
    let body = json!({ "budget": "subjects-1h", "reason": WHY });
    post(&gate, &security(&gate, "zhu"), path, body.clone()).await.expect(403);
    let wrong = json!({ "budget": "people", "reason": WHY });
    post(&gate, &lin, path, wrong).await.expect(422);
    let asked = post(&gate, &lin, path, body).await;
    let id = asked.expect(202).json()["waits"].as_i64().unwrap();
    let confirm = format!("/v1/requests/{id}/confirm");
    // Whoever may switch may not agree to this, nor see it.
    post(&gate, &security(&gate, "zhu"), &confirm, json!({})).await.expect(403);
    let seen = get(&gate, &security(&gate, "zhu"), "/v1/requests").await;
    assert_eq!(seen.expect(200).json(), json!({ "requests": [] }));
    post(&gate, &chen, &confirm, json!({})).await.expect(200);
    view(2).await.expect(200);
}

#[tokio::test]
async fn a_program_uses_it_with_a_certificate_that_names_it_for_this_zone() {
    let authority = Authority::new("clients");
    let machines = |zone: &str, name: &str| {
        format!(
            "  - {{ name: {name}, certificate: \"uri:spiffe://bank.example/{name}\", \
             zones: [{zone}], roles: [security] }}\n"
        )
    };
    let machines =
        format!("machines:\n{}{}", machines("admin", "watch"), machines("business", "desk"));
    let setup = setup_with("", "  clients: { ca: clients.pem, ask: optional }\n").yaml(&machines);
    let clock = menshen::clock::Clock::fixed(crate::harness::NOW_S * 1000);
    let mut gate = setup.prepare(clock).await;
    std::fs::write(gate.path("clients.pem"), &authority.pem).unwrap();
    gate.start().await;
    let gate = answering(gate);
    let address = gate.server().admin_address().unwrap();
    let body = turn("exports", "", "on").to_string();
    for (name, status) in [("desk", 401), ("watch", 200)] {
        let shown = authority.issue(&format!("spiffe://bank.example/{name}"), 7);
        let client = Client::new(address, &gate.ca_pem).showing(&gate.ca_pem, &shown);
        client.h2().await.send(Ask::post("/v1/switches", &body)).await.expect(status);
    }
    gate.ask(Ask::get("/all").by(&gate.teller())).await.expect(403);
}

#[tokio::test]
async fn findings_are_shown_and_released_by_the_roles_that_the_policy_names_and_never_by_oneself() {
    let policy =
        "detections:\n  sequential-ids: { count: 3, action: block }\n  release: [teller]\n";
    let gate = gate_with(policy, "").await;
    let (lin, wang) =
        (security(&gate, "lin"), gate.token(&json!({ "roles": ["teller", "security"] })));
    // The answer that sets the block off is held back if that comes before it leaves.
    for id in 1..=3 {
        gate.ask(Ask::get(&format!("/one/{id}")).by(&wang)).await;
    }
    crate::harness::soon("the finding", async {
        while !gate.entries_so_far().iter().any(|entry| entry.alert.is_some()) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let listed = get(&gate, &lin, "/v1/findings").await;
    let found = listed.expect(200).json()["findings"][0].clone();
    assert_eq!((&found["holder"], &found["holds"]), (&json!("corp:wang"), &json!(true)));
    let path = format!("/v1/findings/{}/release", found["number"]);
    let release = async |token: &str| post(&gate, token, &path, json!({ "reason": WHY })).await;
    release(&lin).await.expect(403);
    // Whom the finding holds is stopped here as everywhere.
    release(&wang).await.expect(403);
    let named = gate.token(&json!({ "sub": "mo", "roles": ["teller", "security"] }));
    assert_eq!(release(&named).await.expect(200).json()["released"], json!([found["number"]]));
    release(&named).await.expect(409);
    let mut entries = gate.entries_so_far().into_iter();
    let act = entries.find(|entry| {
        entry.act.as_ref().is_some_and(|act| act.name.as_str() == "findings_released")
            && entry.event == Event::Change
    });
    assert_eq!(act.unwrap().actor.unwrap().account.as_str(), "corp:mo");
}

#[tokio::test]
async fn a_finding_of_when_accounts_were_linked_stays_ones_own_when_they_are_no_longer() {
    let policy = "detections:\n  sequential-ids: { count: 3, action: block }\n";
    let gate = gate_with(policy, "").await;
    let wang = gate.token(&json!({ "roles": ["teller", "security"] }));
    gate.identity().set_person("corp:wang", Some("e7")).await.unwrap();
    gate.advance_s(2);
    for id in 1..=3 {
        gate.ask(Ask::get(&format!("/one/{id}")).by(&wang)).await;
    }
    let mo = gate.token(&json!({ "sub": "mo", "roles": ["security"] }));
    crate::harness::soon("the finding", async {
        while !gate.entries_so_far().iter().any(|entry| entry.alert.is_some()) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let found = get(&gate, &mo, "/v1/findings").await.expect(200).json()["findings"][0].clone();
    assert_eq!(found["account"], "corp:wang");
    assert_ne!(found["holder"], "corp:wang", "held as a person");
    gate.identity().set_person("corp:wang", None).await.unwrap();
    gate.advance_s(2);
    let path = format!("/v1/findings/{}/release", found["number"]);
    post(&gate, &wang, &path, json!({ "reason": WHY })).await.expect(409);
    for other in ["/v1/findings/99/release", "/v1/findings/person/release"] {
        post(&gate, &mo, other, json!({ "reason": WHY })).await.expect(404);
    }
    post(&gate, &mo, &path, json!({ "reason": WHY })).await.expect(200);
}

#[tokio::test]
async fn another_sites_page_switches_nothing_with_a_session() {
    let gate = gate_with("", "  zone: business\n  assurance: 1\n").await;
    gate.add_account("lin", PASSWORD, "security").await;
    let session = gate.sign_in("lin", PASSWORD).await;
    let body = turn("person", "corp:wang", "on").to_string();
    let by = |site: &str| {
        Ask::post("/v1/switches", &body).cookie(&session).header("sec-fetch-site", site)
    };
    for site in ["cross-site", "same-site"] {
        ask(&gate, by(site)).await.expect(403);
    }
    let form = Ask::new("POST", "/v1/switches").cookie(&session);
    ask(&gate, form.header("content-type", "text/plain").body(body.as_bytes())).await.expect(403);
    let preflight = Ask::new("OPTIONS", "/v1/switches").header("origin", "https://evil.example");
    let told = ask(&gate, preflight).await;
    assert!(told.header("access-control-allow-origin").is_none() && told.status.is_client_error());
    ask(&gate, by("same-origin")).await.expect(200);
}

#[tokio::test]
async fn a_caller_who_asks_too_often_is_told_when_to_come_back() {
    let gate = gate().await;
    let (lin, chen) = (security(&gate, "lin"), security(&gate, "chen"));
    for _ in 0..60 {
        get(&gate, &lin, "/v1/requests").await.expect(200);
    }
    let told = get(&gate, &lin, "/v1/requests").await;
    assert!(told.expect(429).header("retry-after").is_some());
    get(&gate, &chen, "/v1/requests").await.expect(200);
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
}

#[test]
fn rights_that_are_none_and_keys_that_lack_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let read = |admin: &str| {
        let text = format!(
            "node: n\nstate: s\nlog: l\nkey: k\npolicies: p\nlisteners:\n  - {{ address: \"127.0.0.1:1\", \
             zone: z, certificate: c, key: k }}\nupstreams: {{ core: {{ address: \"127.0.0.1:9\", plain: loopback }} }}\n{admin}"
        );
        let source = menshen::document::Source { name: "menshen.yaml".to_owned(), text };
        menshen::config::Config::parse(source, folder.path()).map_err(|faults| faults.to_string())
    };
    let whole = "admin: { address: \"127.0.0.1:2\", certificate: c, key: k, rights: { switches: [security] } }";
    assert!(read(whole).is_ok(), "{:?}", read(whole).err());
    for (admin, said) in [
        ("admin: { address: \"127.0.0.1:2\", certificate: c, key: k }", "`rights`"),
        (
            "admin: { address: \"127.0.0.1:2\", certificate: c, key: k, rights: { planets: [a] } }",
            "planets",
        ),
        (
            "admin: { address: \"x\", certificate: c, key: k, rights: { switches: [a] } }",
            "`address`",
        ),
        ("admin: { address: \"127.0.0.1:2\", key: k, rights: { switches: [a] } }", "`certificate`"),
        (
            "admin: { address: \"127.0.0.1:2\", certificate: c, key: k, assurance: 9, rights: { switches: [a] } }",
            "`assurance`",
        ),
    ] {
        let faults = read(admin).map(drop).unwrap_err();
        assert!(faults.contains(said), "{faults}");
    }
}
