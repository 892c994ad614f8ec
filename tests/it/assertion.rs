//! What a backend is told about the caller, and that nobody else can tell it.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use menshen::clock::Clock;
use menshen::policy::same_to_a_backend;
use serde_json::{Value, json};

use crate::harness::clients::Authority;
use crate::harness::upstream::Asked;
use crate::harness::{Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup};

const ONE: &str = "{\"id\":1,\"name\":\"a\"}";

async fn bank(assertion: &str) -> Gate {
    let policy = OPEN_BANK.replace(
        "    match: GET bank.example/one/{id}\n    to: core\n",
        "    match: GET bank.example/one/{id}\n    to: core\n    headers: { send: [x-channel, crm.name] }\n",
    );
    let setup = Setup::policy(&policy).plain().core(&format!("assertion: {assertion}"));
    let gate = setup.yaml("assertions: { issuer: \"https://gate.example\" }").start().await;
    gate.upstream.answers(Reply::json(ONE));
    gate
}

/// The claims, as a backend reads them that knows nothing but the published keys.
async fn read(gate: &Gate, token: &str, audience: &str) -> Option<Value> {
    let set = gate.ask(Ask::get("/.menshen/jwks.json")).await;
    let set: JwkSet = serde_json::from_str(set.expect(200).text()).unwrap();
    let kid = decode_header(token).unwrap().kid.unwrap();
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&[audience]);
    rules.set_issuer(&["https://gate.example"]);
    rules.validate_exp = false;
    let key = DecodingKey::from_jwk(set.find(&kid)?).unwrap();
    decode(token, &key, &rules).ok().map(|data| data.claims)
}

fn last(gate: &Gate) -> Asked {
    gate.upstream.asked().pop().unwrap()
}

#[tokio::test]
async fn a_backend_is_told_who_asks_for_what_and_under_which_entry() {
    let gate = bank("{ audience: core-banking }").await;
    let answer = gate.ask(Ask::get("/one/1").by(&gate.teller())).await;
    let id = answer.expect(200).header("menshen-request-id").unwrap().to_owned();
    let token = last(&gate).header("menshen-assertion").unwrap().to_owned();
    assert_eq!(
        read(&gate, &token, "core-banking").await.unwrap(),
        json!({
            "iss": "https://gate.example", "aud": "core-banking", "iat": NOW_S, "exp": NOW_S + 60,
            "sub": "corp:wang", "kind": "staff", "roles": ["teller"], "acr": "2",
            "purpose": "service", "rid": id, "jti": id,
        })
    );
    assert_eq!(read(&gate, &token, "crm").await, None, "it is good for no other upstream");
    let again = gate.ask(Ask::get("/one/1").by(&gate.teller())).await;
    again.expect(200);
    let second = last(&gate).header("menshen-assertion").unwrap().to_owned();
    let claims = read(&gate, &second, "core-banking").await.unwrap();
    assert_ne!(claims["jti"], id, "each request has its own");
}

#[tokio::test]
async fn an_assertion_lasts_a_minute_and_its_key_a_period() {
    let gate = bank("{ audience: core }").await;
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    let token = last(&gate).header("menshen-assertion").unwrap().to_owned();
    let claims = read(&gate, &token, "core").await.unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
    gate.advance_s(30 * 86_400);
    assert!(read(&gate, &token, "core").await.is_some(), "what is under way is still read");
    gate.advance_s(30 * 86_400);
    assert_eq!(read(&gate, &token, "core").await, None, "the key of last period is gone");
}

#[tokio::test]
async fn plain_headers_cannot_be_sent_by_a_caller_in_any_spelling() {
    let plain = "{ account: x-staff-name, roles: X-Roles, assurance: x-level, purpose: crm-name }";
    let gate = bank(&format!("{{ audience: core, header: authorization, plain: {plain} }}")).await;
    let mut ask = Ask::get("/one/1").bearer(&gate.teller());
    for (name, value) in [
        ("x-staff-name", "root"),
        ("X_Staff_Name", "root"),
        ("x.staff.name", "root"),
        ("X-STAFF-NAME", "root"),
        ("x-roles", "admin"),
        ("x_roles", "admin"),
        ("x_forwarded_user", "root"),
        ("menshen_assertion", "root"),
        ("menshen-assertion", "root"),
        ("connection", "x-staff-name"),
        // Sent on by the route, and what a backend may take for the header that tells the purpose.
        ("crm.name", "root"),
        ("x-channel", "app"),
    ] {
        ask = ask.header(name, value);
    }
    gate.ask(ask).await.expect(200);
    let asked = last(&gate);
    let alike = |name: &str| {
        let lines = asked.headers.iter().filter(|(other, _)| same_to_a_backend(other, name));
        lines.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(alike("x-staff-name"), ["corp:wang"]);
    assert_eq!(alike("x-roles"), ["teller"]);
    assert_eq!(alike("x-level"), ["2"]);
    assert_eq!(alike("crm-name"), [""; 0], "none was declared, so nobody may say one");
    assert_eq!(alike("menshen-assertion"), [""; 0]);
    assert_eq!(alike("x-channel"), ["app"]);
    let head = String::from_utf8_lossy(&asked.head).into_owned();
    assert!(!head.contains("root") && !head.contains("admin"), "{head}");
    let bearer = alike("authorization");
    let token = bearer[0].strip_prefix("Bearer ").unwrap();
    assert_eq!(read(&gate, token, "core").await.unwrap()["sub"], "corp:wang");
    assert_eq!(bearer.len(), 1, "the caller's own token goes nowhere");
}

#[tokio::test]
async fn one_role_is_never_read_as_two_nor_one_account_as_another() {
    let gate = bank("{ audience: core, plain: { account: x-user, roles: x-roles } }").await;
    let odd = gate.token(&json!({ "sub": "wáng, a%b", "roles": ["teller", "a,admin"] }));
    gate.ask(Ask::get("/one/1").by(&odd)).await.expect(200);
    let asked = last(&gate);
    assert_eq!(asked.header("x-user"), Some("corp:w%C3%A1ng%2C%20a%25b"));
    assert_eq!(asked.header("x-roles"), Some("a%2Cadmin,teller"));
}

#[tokio::test]
async fn a_backend_that_is_told_nothing_gets_no_assertion() {
    let gate = Setup::policy(OPEN_BANK).plain().start().await;
    gate.upstream.answers(Reply::json(ONE));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    let asked = last(&gate);
    assert!(asked.header("menshen-assertion").is_none() && asked.header("authorization").is_none());
}

#[tokio::test]
async fn a_backend_that_speaks_to_nobody_but_the_gate_is_shown_its_certificate() {
    let authority = Authority::new("backends");
    let strange = Authority::new("somebody else");
    let keys = "certificate: gate-to-core.pem, certificate-key: gate-to-core.key";
    for (shown, keys, status) in [
        (authority.issue("spiffe://bank.example/gate", 1), keys, 200),
        (strange.issue("spiffe://bank.example/gate", 1), keys, 502),
        (strange.issue("", 2), "connections: 4", 502),
    ] {
        let setup = Setup::policy(OPEN_BANK).asking(&authority.pem).core(keys);
        let mut gate = setup.prepare(Clock::fixed(NOW_S * 1000)).await;
        std::fs::write(gate.path("gate-to-core.pem"), &shown.pem).unwrap();
        std::fs::write(gate.path("gate-to-core.key"), &shown.key_pem).unwrap();
        gate.start().await;
        gate.upstream.answers(Reply::json(ONE));
        gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(status);
        assert_eq!(gate.upstream.hits(), usize::from(status == 200));
    }
}

#[tokio::test]
async fn a_record_that_is_read_first_is_asked_for_under_the_same_entry() {
    let policy = format!(
        "{OPEN_BANK}  - {{ name: not the closed, deny: update, to: any, of: customer, \
         where: record.note == \"closed\" }}\n"
    );
    let gate = Setup::policy(
        &policy.replace("    action: update\n", "    action: update\n    reads: one.view\n"),
    );
    let gate = gate.plain().core("assertion: { audience: core }").start().await;
    gate.upstream.answers(Reply::json("{\"id\":1,\"name\":\"a\",\"note\":\"open\"}"));
    gate.ask(Ask::patch("/one/1", "{\"name\":\"b\"}").by(&gate.teller())).await.expect(200);
    let asked = gate.upstream.asked();
    let claims = |asked: &Asked| {
        let token = asked.header("menshen-assertion").unwrap();
        let payload = token.split('.').nth(1).unwrap();
        serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    };
    let (first, second) = (claims(&asked[0]), claims(&asked[1]));
    assert_eq!((asked.len(), &first["rid"]), (2, &second["rid"]));
    assert_ne!(first["jti"], second["jti"]);
}

#[tokio::test]
async fn a_backend_that_fetches_nothing_gets_the_keys_of_the_time_to_come_from_the_command_line() {
    let policy = Setup::policy(OPEN_BANK).plain().core("assertion: { audience: core }");
    let mut gate = policy.prepare(Clock::system()).await;
    gate.start().await;
    gate.upstream.answers(Reply::json(ONE));
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    let config = gate.path("menshen.yaml");
    let told = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .args(["key", "assertions", "--ahead", "3", "--config", config.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let set: JwkSet = serde_json::from_slice(&told.stdout).unwrap();
    let token = last(&gate).header("menshen-assertion").unwrap().to_owned();
    assert_eq!(set.keys.len(), 5, "of the period before, of today, and of three to come");
    assert!(set.find(&decode_header(&token).unwrap().kid.unwrap()).is_some());
    assert!(!String::from_utf8_lossy(&told.stdout).contains("\"d\""), "no private half");
}

#[test]
fn a_header_that_frames_a_request_or_stands_twice_is_refused_in_the_configuration() {
    let faults = |plain: &str| {
        let text = format!(
            "node: a\nstate: s\nlog: l\nkey: k\npolicies: p\nlisteners: []\nupstreams:\n  \
             core: {{ address: \"127.0.0.1:1\", plain: loopback, assertion: {{ audience: a, plain: {plain} }} }}\n"
        );
        let source = menshen::document::Source { name: "menshen.yaml".into(), text };
        let parsed = menshen::config::Config::parse(source, std::path::Path::new(""));
        parsed.err().map(|faults| faults.to_string()).unwrap_or_default()
    };
    for name in
        ["host", "content-length", "Transfer_Encoding", "menshen_assertion", "a b", "authorization"]
    {
        assert!(
            faults(&format!("{{ account: \"{name}\" }}")).contains("cannot carry a fact"),
            "{name}"
        );
    }
    assert!(faults("{ account: x-user, roles: x_user }").contains("cannot carry a fact"));
    assert!(faults("{ name: x-user }").contains("no fact is called `name`"));
    assert!(!faults("{ account: x-user, roles: x-roles }").contains("fact"));
}
