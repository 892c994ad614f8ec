//! Business links: put and ended over the interface, by command and by the tickets of business systems; recorded before
//! they hold, and without whom they are about.

use menshen::audit::Event;
use menshen::clock::Clock;
use menshen::identity::{CaseIssuerSettings, CaseTicketFault, CaseTickets, TokenFault};
use menshen::link::Links;
use menshen::secret::MasterKey;
use menshen::state::Store;
use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::process::menshen;
use crate::harness::tokens::{KEY_ID, Signer, sign};
use crate::harness::{Answer, Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup};

const SYSTEM: &str = "https://queue.example";
const ADMIN: &str = "admin:\n  address: \"127.0.0.1:0\"\n  certificate: gate.pem\n  key: gate.key\n  \
                     rights: { links: [desk], limits: [risk] }";
const TICKETS: &str = "links:\n  tickets:\n    queue: { issuer: \"https://queue.example\", audience: menshen, \
                       keys: queue.jwks.json, kinds: [queue, call] }";

fn ticket_header() -> Value {
    json!({ "alg": "ES256", "typ": "menshen-link+jwt", "kid": KEY_ID })
}

fn ticket_claims(now_s: i64, changes: &Value) -> Value {
    let mut claims = json!({
        "iss": SYSTEM, "aud": "menshen", "sub": "corp:wang", "jti": "T-1", "iat": now_s, "exp": now_s + 1800,
        "case": { "kind": "call", "entity": "customer", "subject": 1, "reference": "C-118" },
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

fn ticket(system: &Signer, now_s: i64, changes: &Value) -> String {
    system.sign(&ticket_header(), &ticket_claims(now_s, changes))
}

#[test]
fn only_a_ticket_of_its_system_for_this_gate_this_account_and_this_kind_is_believed() {
    let (dir, system, other) = (tempfile::tempdir().unwrap(), Signer::new(), Signer::new());
    let keys = dir.path().join("queue.jwks.json");
    std::fs::write(&keys, system.jwks()).unwrap();
    let settings = CaseIssuerSettings {
        name: "queue".into(),
        issuer: SYSTEM.into(),
        audience: "menshen".into(),
        keys,
        kinds: vec!["queue".into(), "call".into()],
    };
    let tickets = CaseTickets::load(&[settings]).unwrap();
    let judge = |text: &str| tickets.verify(text, "corp:wang", NOW_S);
    let with = |changes: Value| judge(&ticket(&system, NOW_S, &changes));
    let good = with(json!({})).unwrap();
    assert_eq!((good.subject.as_str(), good.until_s), ("1", NOW_S + 1800));
    let token = |fault| Err(CaseTicketFault::Token(fault));
    assert_eq!(judge(&ticket(&other, NOW_S, &json!({}))), token(TokenFault::Signature), "forged");
    let typed = |typ: &str| {
        let header = json!({ "alg": "ES256", "typ": typ, "kid": KEY_ID });
        judge(&system.sign(&header, &ticket_claims(NOW_S, &json!({}))))
    };
    assert_eq!(typed("JWT"), token(TokenFault::Type), "another token of the same system");
    let unsigned = json!({ "alg": "none", "typ": "menshen-link+jwt", "kid": KEY_ID });
    let unsigned = crate::harness::tokens::unsigned(&unsigned, &ticket_claims(NOW_S, &json!({})));
    assert_eq!(judge(&format!("{unsigned}.")), token(TokenFault::Algorithm));
    let secret = jsonwebtoken::EncodingKey::from_secret(system.public_pem().as_bytes());
    let header = json!({ "alg": "HS256", "typ": "menshen-link+jwt", "kid": KEY_ID });
    let confused =
        sign(&header, &ticket_claims(NOW_S, &json!({})), &secret, jsonwebtoken::Algorithm::HS256);
    assert_eq!(judge(&confused), token(TokenFault::Algorithm));
    for (changes, fault) in [
        (json!({ "iss": "https://other.example" }), TokenFault::Issuer),
        (json!({ "aud": "elsewhere" }), TokenFault::Audience),
        (json!({ "aud": ["menshen", "elsewhere"] }), TokenFault::Audience),
        (json!({ "exp": NOW_S }), TokenFault::Expired),
        (json!({ "exp": null }), TokenFault::Claim("exp")),
        (json!({ "nbf": NOW_S + 3600 }), TokenFault::NotYet),
        (json!({ "jti": null }), TokenFault::Claim("jti")),
        (json!({ "iat": null }), TokenFault::Claim("iat")),
        (json!({ "exp": NOW_S + 32 * 86_400 }), TokenFault::Claim("exp")),
        (json!({ "case": { "kind": "call", "entity": "customer" } }), TokenFault::Claim("case")),
        (
            json!({ "case": { "kind": "call", "entity": "customer", "subject": [1] } }),
            TokenFault::Claim("case"),
        ),
        (
            json!({ "case": { "kind": "call", "entity": "customer", "subject": 1.5 } }),
            TokenFault::Claim("case"),
        ),
        (json!({ "case": "call" }), TokenFault::Claim("case")),
    ] {
        assert_eq!(with(changes.clone()), token(fault), "{changes}");
    }
    assert_eq!(with(json!({ "sub": "corp:li" })), Err(CaseTicketFault::Account));
    let parcel = json!({ "case": { "kind": "parcel", "entity": "customer", "subject": 1 } });
    assert_eq!(with(parcel), Err(CaseTicketFault::Kind));
    assert_eq!(judge(&"x".repeat(9000)), Err(CaseTicketFault::Size));
    let nobody = CaseTickets::load(&[]).unwrap();
    assert_eq!(nobody.verify("x", "corp:wang", NOW_S), Err(CaseTicketFault::Nobody));
}

async fn gate() -> (Gate, Signer) {
    let system = Signer::new();
    let setup = Setup::policy(OPEN_BANK).yaml(ADMIN).yaml(TICKETS);
    let mut gate = setup.prepare(Clock::fixed(NOW_S * 1000)).await;
    std::fs::write(gate.path("queue.jwks.json"), system.jwks()).unwrap();
    gate.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    (gate, system)
}

/// What a gate that is started now would know.
async fn known(gate: &Gate) -> Links {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let store = Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap();
    let links = Links::new(store, &master, gate.clock.clone()).unwrap();
    links.load().await.unwrap();
    links
}

async fn post(gate: &Gate, path: &str, body: &Value) -> Answer {
    let address = gate.server().admin_address().unwrap();
    let token = gate.token(&json!({ "sub": "crm", "roles": ["desk"] }));
    let ask = Ask::post(path, &body.to_string()).bearer(&token);
    Client::new(address, &gate.ca_pem).h2().await.send(ask).await
}

#[tokio::test]
async fn a_ticket_ties_its_account_once_and_what_is_no_good_ticket_is_refused() {
    let (mut gate, system) = gate().await;
    let ask =
        |token: &str, ticket: &str| Ask::get("/one/1").by(token).header("menshen-link", ticket);
    let (wang, li) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    let good = ticket(&system, NOW_S, &json!({}));
    gate.ask(ask(&wang, &good)).await.expect(200);
    assert!(known(&gate).await.ties("corp:wang", "call", "customer", "1"));
    gate.ask(ask(&wang, &good)).await.expect(200);
    let stolen = gate.ask(ask(&li, &good)).await;
    assert_eq!(stolen.expect(403).json()["detail"], "the ticket is for another account");
    let forged = ticket(&Signer::new(), NOW_S, &json!({}));
    gate.ask(ask(&wang, &forged)).await.expect(403);
    gate.ask(ask(&wang, &good).header("menshen-link", &good)).await.expect(403);
    // The case is closed: the same ticket does not open it again, also after a restart.
    let link =
        json!({ "account": "corp:wang", "kind": "call", "entity": "customer", "subject": 1 });
    post(&gate, "/v1/links/end", &json!({ "links": [link] })).await.expect(200);
    let closed = "the ticket was taken before, or its case was ended since: ask for a new one";
    let again = gate.ask(ask(&wang, &good)).await;
    assert_eq!(again.expect(403).json()["detail"], closed);
    gate.restart().await;
    let again = gate.ask(ask(&gate.teller(), &good)).await;
    assert_eq!(again.expect(403).json()["detail"], closed);
    // Nor does one that was made before and is shown only now.
    let kept_back = ticket(&system, NOW_S - 60, &json!({ "jti": "T-2", "exp": NOW_S + 600 }));
    let late = gate.ask(ask(&gate.teller(), &kept_back)).await;
    assert_eq!(late.expect(403).json()["detail"], closed);
    assert!(!known(&gate).await.ties("corp:wang", "call", "customer", "1"));
    // Nor one that its system's clock, which may run ahead a little, dates behind the end.
    gate.clock.advance_ms(1_000);
    let ahead = ticket(&system, NOW_S + 4, &json!({ "jti": "T-4" }));
    let late = gate.ask(ask(&gate.teller(), &ahead)).await;
    assert_eq!(late.expect(403).json()["detail"], closed);
    gate.clock.advance_ms(6_000);
    let newer = ticket(&system, NOW_S + 7, &json!({ "jti": "T-3" }));
    gate.ask(ask(&gate.teller(), &newer)).await.expect(200);
    assert!(known(&gate).await.ties("corp:wang", "call", "customer", "1"));
    let entries = gate.entries().await;
    let puts = entries.iter().filter_map(|entry| entry.act.as_ref());
    let puts: Vec<_> = puts.filter(|act| act.name.as_str() == "links_put").collect();
    assert_eq!(puts.len(), 2, "{puts:?}");
    assert_eq!(puts[0].object.as_str(), "links of corp:wang");
    assert_eq!(puts[0].detail.as_str(), "by a ticket; 1: call; C-118");
    let refused = entries.iter().filter_map(|entry| entry.result.as_ref());
    assert_eq!(refused.filter(|result| result.cause.as_str() == "case_ticket").count(), 7);
}

#[tokio::test]
async fn links_are_put_listed_and_ended_over_the_interface_recorded_before_and_without_the_subject()
{
    let (mut gate, _) = gate().await;
    let link = |account: &str, subject: &str| {
        json!({ "account": account, "kind": "queue", "entity": "customer", "subject": subject,
                "for_s": 600, "reference": "Q-7" })
    };
    let both = json!({ "links": [link("corp:wang", "SECRET-42"), link("corp:li", "SECRET-43")] });
    let done = post(&gate, "/v1/links", &both).await;
    assert_eq!(done.expect(200).json(), json!({ "put": 2 }));
    let oneself =
        post(&gate, "/v1/links", &json!({ "links": [link("corp:crm", "SECRET-42")] })).await;
    assert!(oneself.expect(409).text().contains("nobody ties themselves"));
    let links = known(&gate).await;
    assert!(!links.ties("corp:crm", "queue", "customer", "SECRET-42"));
    assert!(links.ties("corp:wang", "queue", "customer", "SECRET-42"));
    assert!(!links.ties("corp:wang", "queue", "customer", "SECRET-43"));
    for bad in [
        json!({}),
        json!({ "links": [] }),
        json!({ "links": [{ "account": "a" }] }),
        json!({ "links": [link("corp:wang", "1")], "more": 1 }),
        json!({ "links": [{ "account": "a", "kind": "q", "entity": "c", "subject": "1", "for_s": 0 }] }),
        json!({ "links": [{ "account": "a", "kind": "q", "entity": "c", "subject": "1", "for_s": 1e9 }] }),
        json!({ "links": [{ "account": "a", "kind": "q", "entity": "c", "subject": "1", "until": "soon" }] }),
        json!({ "links": [{ "account": "a", "kind": "q", "entity": "c", "subject": "1" }] }),
    ] {
        let refused = post(&gate, "/v1/links", &bad).await;
        assert!([400, 422].contains(&refused.status.as_u16()), "{bad}: {}", refused.status);
    }
    let typo = json!({ "account": "corp:wang", "kind": "queu", "entity": "customer", "subject": "SECRET-42" });
    let none = post(&gate, "/v1/links/end", &json!({ "links": [typo] })).await;
    assert_eq!(none.expect(200).json(), json!({ "ended": 0 }), "no such link stood");
    let unsaid =
        json!({ "account": "corp:wang", "kind": "Queue", "entity": "customer", "subject": "1" });
    for bad in [json!({ "links": [unsaid] }), json!({ "account": "" }), json!({ "links": [] })] {
        let refused = post(&gate, "/v1/links/end", &bad).await;
        assert!([400, 422].contains(&refused.status.as_u16()), "{bad}: {}", refused.status);
    }
    let ended = post(&gate, "/v1/links/end", &json!({ "account": "corp:wang" })).await;
    assert_eq!(ended.expect(200).json(), json!({ "ended": 1 }));
    let links = known(&gate).await;
    assert!(!links.ties("corp:wang", "queue", "customer", "SECRET-42"));
    assert!(links.ties("corp:li", "queue", "customer", "SECRET-43"));
    let address = gate.server().admin_address().unwrap();
    let risk = gate.token(&json!({ "sub": "uma", "roles": ["risk"] }));
    let mut client = Client::new(address, &gate.ca_pem).h2().await;
    client.send(Ask::get("/v1/links/corp:wang").bearer(&risk)).await.expect(403);
    let desk = gate.token(&json!({ "sub": "crm", "roles": ["desk"] }));
    let listed = client.send(Ask::get("/v1/links/corp:wang").bearer(&desk)).await;
    let listed = listed.expect(200).json();
    assert_eq!(listed["links"].as_array().unwrap().len(), 4, "{listed}");
    assert_eq!(listed["links"][1]["by"], "corp:crm");
    drop(client);
    let entries = gate.entries().await;
    let acts: Vec<_> = entries
        .iter()
        .filter_map(|entry| Some((entry.event, entry.act.as_ref()?.name.as_str().to_owned())))
        .collect();
    let place = |event, name: &str| acts.iter().position(|act| *act == (event, name.to_owned()));
    let (asked, done) = (place(Event::Admin, "links_put"), place(Event::Change, "links_put"));
    assert!(asked.unwrap() < done.unwrap(), "{acts:?}");
    let text = String::from_utf8(gate.log_text()).unwrap();
    assert!(!text.contains("SECRET-42") && !text.contains("SECRET-43"));
}

#[tokio::test]
async fn links_are_put_and_ended_by_command_beside_the_gate() {
    let mut gate = Setup::policy(OPEN_BANK).prepare(Clock::system()).await;
    gate.start().await;
    let config = gate.path("menshen.yaml").display().to_string();
    let run = |arguments: &[&str]| {
        let ran = menshen(&[&["link"][..], arguments, &["--config", &config]].concat());
        let said = String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap();
        (ran.status.code().unwrap(), said)
    };
    let wang = ["corp:wang", "call", "customer", "42"];
    let (code, said) =
        run(&[&["put"][..], &wang[..], &["--for", "30m", "--reference", "C-118"]].concat());
    assert_eq!(code, 0, "{said}");
    assert!(known(&gate).await.ties("corp:wang", "call", "customer", "42"));
    let (code, said) = run(&["list", "corp:wang"]);
    assert!(code == 0 && said.contains("C-118") && !said.contains(" 42 "), "{said}");
    let (code, said) = run(&[&["end"][..], &wang[..]].concat());
    assert!(code == 0 && said.contains("is ended"), "{said}");
    let (code, said) = run(&["end", "corp:wang", "cal", "customer", "42"]);
    assert!(code == 0 && said.contains("no such link of `corp:wang` stood"), "{said}");
    assert!(!known(&gate).await.ties("corp:wang", "call", "customer", "42"));
    for bad in ["0m", "60d", "soon", ""] {
        let (code, said) = run(&[&["put"][..], &wang[..], &["--for", bad]].concat());
        assert_eq!(code, 64, "{bad}: {said}");
    }
    // The gate brings what was done beside it into its log by itself.
    crate::shipping::until("all acts", || {
        let entries = gate.entries_so_far();
        let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
        acts.filter(|act| act.name.as_str().starts_with("links_")).count() == 3
    })
    .await;
    gate.stop().await;
}

#[test]
fn faults_in_links_are_told_with_their_place() {
    use menshen::config::Config;
    use menshen::document::Source;
    let fault = |system: &str| {
        let text = format!("links:\n  tickets:\n    queue: {{ {system} }}\n");
        let source = Source { name: "menshen.yaml".into(), text };
        Config::parse(source, std::path::Path::new("")).unwrap_err().to_string()
    };
    for (system, said) in [
        ("issuer: i, audience: a, keys: k", "`kinds`"),
        ("issuer: i, audience: a, keys: k, kinds: []", "at least one kind"),
        ("issuer: i, audience: a, keys: k, kinds: [Call]", "lower-case letters"),
        ("issuer: i, audience: a, kinds: [call]", "`keys`"),
        ("issuer: i, audience: a, keys: k, kinds: [call], secret: s", "`secret`"),
    ] {
        let told = fault(system);
        assert!(told.contains(said), "{system}: {told}");
    }
}
