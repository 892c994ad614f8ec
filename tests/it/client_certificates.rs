//! Client certificates: whose are believed where, what is bound to them, and what ends them.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use menshen::tls::{Ask as AskFor, ClientSettings};
use rustls::HandshakeKind;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::clients::{Authority, Shown};
use crate::harness::gate::session_of;
use crate::harness::{Ask, Connection, Gate, OPEN_BANK, Reply, Setup, soon};

const REPORTS: &str = "spiffe://bank.example/reports";
const MACHINES: &str = "machines:\n  - { name: reports, certificate: \
                        \"uri:spiffe://bank.example/reports\", zones: [business], roles: [teller] }";
const PASSWORD: &str = "a quiet lantern";

/// A gate that asks for certificates of this authority in the zone `business`, and of another one in `public`.
pub(crate) async fn asking(
    ask: AskFor,
    business: &Authority,
    public: &Authority,
    list: Option<&str>,
) -> Gate {
    let has_list = list.is_some();
    let setup = Setup::policy(OPEN_BANK).yaml(MACHINES).tweak(move |config| {
        config.addresses.attempts.burst = 1000;
        for (listener, name) in config.listeners.iter_mut().zip(["business", "public"]) {
            let folder = listener.tls.certificate.parent().unwrap().to_owned();
            listener.tls.clients = Some(ClientSettings {
                ca: folder.join(format!("{name}.pem")),
                crl: (has_list && name == "business").then(|| folder.join("clients.crl")),
                ask,
            });
        }
    });
    let mut gate = setup.prepare(menshen::clock::Clock::fixed(crate::harness::NOW_S * 1000)).await;
    std::fs::write(gate.path("business.pem"), &business.pem).unwrap();
    std::fs::write(gate.path("public.pem"), &public.pem).unwrap();
    if let Some(list) = list {
        std::fs::write(gate.path("clients.crl"), list).unwrap();
    }
    gate.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate
}

pub(crate) async fn optional() -> (Gate, Authority) {
    let authority = Authority::new("clients");
    let gate = asking(AskFor::Optional, &authority, &Authority::new("others"), None).await;
    (gate, authority)
}

pub(crate) fn showing(gate: &Gate, shown: &Shown) -> Client {
    gate.client().showing(&gate.ca_pem, shown)
}

pub(crate) async fn status(connection: &mut Connection, ask: Ask) -> u16 {
    connection.send(ask).await.status.as_u16()
}

fn view() -> Ask {
    Ask::get("/one/1")
}

/// Whether the gate answers anything at all. In TLS 1.3 a client learns with its first answer that it was
/// turned away.
async fn is_let_in(client: &Client) -> bool {
    let Ok(stream) = client.shake(&["http/1.1"]).await else { return false };
    let io = hyper_util::rt::TokioIo::new(stream);
    let Ok((mut sender, driver)) = hyper::client::conn::http1::handshake(io).await else {
        return false;
    };
    let tasks = tokio_util::task::TaskTracker::new();
    tasks.spawn(driver);
    let body = http_body_util::Full::new(bytes::Bytes::new());
    let request = http::Request::get("/one/1").header("host", &client.host).body(body).unwrap();
    soon("an answer or an end", sender.send_request(request)).await.is_ok()
}

#[tokio::test]
async fn a_machine_is_known_by_a_name_in_its_certificate_and_by_nothing_else() {
    let (mut gate, authority) = optional().await;
    let shown = authority.issue(REPORTS, 7);
    for mut connection in [showing(&gate, &shown).h1().await, showing(&gate, &shown).h2().await] {
        assert_eq!(status(&mut connection, view()).await, 200);
    }
    let text = URL_SAFE_NO_PAD.encode(&shown.der);
    for other in ["", "spiffe://bank.example/report", "SPIFFE://bank.example/reports"] {
        let mut connection = showing(&gate, &authority.issue(other, 8)).h1().await;
        for header in ["x-client-cert", "x-forwarded-client-cert", "client-cert", "x-ssl-cert"] {
            let ask = view().header(header, &text).header("x-forwarded-user", "machine:reports");
            assert_eq!(status(&mut connection, ask).await, 401, "`{other}`");
        }
    }
    assert_eq!(status(&mut gate.h1().await, view().header("client-cert", &text)).await, 401);
    let page = view().header("accept", "text/html");
    let mut connection = showing(&gate, &authority.issue("", 9)).h1().await;
    assert_eq!(status(&mut connection, page).await, 303, "its user signs in");
    let entries = gate.entries().await;
    let hash = |der: &[u8]| -> String {
        digest(&SHA256, der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let entry = entries.iter().find(|e| e.decision.is_some()).unwrap();
    assert_eq!(entry.actor.as_ref().unwrap().account.as_str(), "machine:reports");
    assert_eq!(entry.auth.as_ref().unwrap().credential.as_str(), "client_cert");
    assert_eq!(entry.origin.as_ref().unwrap().client_certificate.as_str(), hash(&shown.der));
}

#[tokio::test]
async fn a_certificate_of_one_zones_authority_is_nothing_in_another() {
    let (business, public) = (Authority::new("business"), Authority::new("public"));
    let gate = asking(AskFor::Optional, &business, &public, None).await;
    let (theirs, ours) = (public.issue(REPORTS, 1), business.issue(REPORTS, 1));
    assert!(is_let_in(&showing(&gate, &ours)).await);
    assert!(!is_let_in(&showing(&gate, &theirs)).await, "signed for another listener");
    assert!(!is_let_in(&showing(&gate, &Authority::new("business").issue(REPORTS, 1))).await);
    let elsewhere = gate.public_client().showing(&gate.ca_pem, &theirs);
    let mut connection = elsewhere.h1().await;
    assert_eq!(status(&mut connection, view()).await, 401, "the machine is of another zone");
    assert!(!is_let_in(&gate.public_client().showing(&gate.ca_pem, &ours)).await);
}

#[tokio::test]
async fn a_listener_that_must_see_a_certificate_answers_nobody_without() {
    let authority = Authority::new("clients");
    let gate = asking(AskFor::Required, &authority, &Authority::new("others"), None).await;
    assert!(is_let_in(&showing(&gate, &authority.issue("", 1))).await);
    assert!(!is_let_in(&gate.client()).await);
}

#[tokio::test]
async fn a_revoked_certificate_and_a_list_past_its_time_open_no_connection() {
    let authority = Authority::new("clients");
    let others = Authority::new("others");
    let list = authority.list(&[7], 2100);
    let gate = asking(AskFor::Optional, &authority, &others, Some(&list)).await;
    assert!(is_let_in(&showing(&gate, &authority.issue(REPORTS, 8))).await);
    assert!(!is_let_in(&showing(&gate, &authority.issue(REPORTS, 7))).await, "it is on the list");
    assert!(is_let_in(&gate.client()).await, "who shows none is not on it");
    for list in [authority.list(&[], 2026), others.list(&[], 2100)] {
        let gate = asking(AskFor::Optional, &authority, &others, Some(&list)).await;
        let shown = authority.issue(REPORTS, 8);
        assert!(!is_let_in(&showing(&gate, &shown)).await, "nobody knows what was revoked");
    }
}

#[tokio::test]
async fn a_connection_that_showed_a_certificate_is_never_resumed() {
    let (gate, authority) = optional().await;
    let kinds = async |client: Client| {
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let stream = client.shake(&["http/1.1"]).await.unwrap();
            kinds.push(stream.get_ref().1.handshake_kind().unwrap());
            let (mut sender, driver) =
                hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream))
                    .await
                    .unwrap();
            let tasks = tokio_util::task::TaskTracker::new();
            tasks.spawn(driver);
            let body = http_body_util::Full::new(bytes::Bytes::new());
            let ask = http::Request::get("/one/1").header("host", "bank.example").body(body);
            soon("an answer", sender.send_request(ask.unwrap())).await.unwrap();
        }
        kinds
    };
    let shown = kinds(showing(&gate, &authority.issue(REPORTS, 1))).await;
    assert!(shown.iter().all(|kind| *kind != HandshakeKind::Resumed), "{shown:?}");
    let plain = Setup::policy(OPEN_BANK).start().await;
    let resumed = kinds(plain.client()).await;
    assert!(resumed.contains(&HandshakeKind::Resumed), "the test would see it: {resumed:?}");
}

#[tokio::test]
async fn no_connection_keeps_an_identity_after_its_authority_was_replaced() {
    let (mut gate, old) = optional().await;
    let (new, machine) = (Authority::new("clients of next year"), old.issue(REPORTS, 1));
    let mut h1 = showing(&gate, &machine).h1().await;
    let mut h2 = showing(&gate, &machine).h2().await;
    let mut bystander = gate.h2().await;
    assert_eq!(status(&mut h1, view()).await, 200);
    assert_eq!(status(&mut h2, view()).await, 200);
    std::fs::write(gate.path("business.pem"), "no certificate").unwrap();
    gate.server().reload();
    loaded(&gate, "certificates_refused").await;
    assert_eq!(status(&mut h1, view()).await, 200, "what cannot be used changes nothing");
    std::fs::write(gate.path("business.pem"), &new.pem).unwrap();
    gate.server().reload();
    loaded(&gate, "certificates_loaded").await;
    for connection in [&mut h1, &mut h2] {
        // It may be told to go away before it has asked.
        if let Ok(response) = connection.begin(view()).await {
            assert_eq!(response.status(), 401);
        }
    }
    assert!(!is_let_in(&showing(&gate, &machine)).await);
    assert_eq!(status(&mut bystander, view()).await, 401);
    assert!(bystander.is_open().await, "who showed none goes on");
    let mut renewed = showing(&gate, &new.issue(REPORTS, 1)).h2().await;
    assert_eq!(status(&mut renewed, view()).await, 200);
    gate.stop().await;
}

async fn loaded(gate: &Gate, act: &str) {
    let is_there = || {
        let entries = gate.entries_so_far();
        entries.iter().any(|e| e.act.as_ref().is_some_and(|found| found.name.as_str() == act))
    };
    soon("new certificates", async {
        while !is_there() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        // It is recorded before it is in force.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_ends_while_its_connection_is_open_is_good_for_nothing_more() {
    let (gate, authority) = optional().await;
    let mut connection = showing(&gate, &authority.issue(REPORTS, 1)).h1().await;
    assert_eq!(status(&mut connection, view()).await, 200);
    gate.advance_s(4 * 365 * 86_400);
    assert_eq!(status(&mut connection, view()).await, 401);
    assert_eq!(status(&mut connection, view().by(&gate.teller())).await, 401, "nor beside a token");
}

#[tokio::test]
async fn a_token_bound_to_a_certificate_is_good_beside_that_certificate_alone() {
    let (gate, authority) = optional().await;
    let (own, other) = (authority.issue("", 1), authority.issue("", 2));
    let hash = |shown: &Shown| URL_SAFE_NO_PAD.encode(digest(&SHA256, &shown.der));
    let token = gate.token(&json!({ "cnf": { "x5t#S256": hash(&own) } }));
    let mut holder = showing(&gate, &own).h1().await;
    let mut thief = showing(&gate, &other).h1().await;
    // Twice each, in turn: what is remembered of a verified token is held to its key as well.
    for _ in 0..2 {
        assert_eq!(status(&mut gate.h1().await, view().by(&token)).await, 401);
        assert_eq!(status(&mut thief, view().by(&token)).await, 401);
        assert_eq!(status(&mut holder, view().by(&token)).await, 200);
    }
    let renewed = gate.token(&json!({ "cnf": { "x5t#S256": hash(&other), "x5t": "x" } }));
    assert_eq!(status(&mut thief, view().by(&renewed)).await, 401, "an unknown way of binding");
    assert_eq!(status(&mut thief, view().by(&gate.teller())).await, 200, "an unbound token");
}

#[tokio::test]
async fn an_issuer_whose_tokens_must_be_bound_has_no_others_accepted() {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| config.identity.issuers[0].is_bound = true);
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.ask(view().by(&gate.teller())).await.expect(401);
}

#[tokio::test]
async fn a_session_is_bound_to_the_key_of_the_certificate_it_began_with() {
    let (gate, authority) = optional().await;
    gate.add_account("wang", PASSWORD, "teller").await;
    let key = rcgen::KeyPair::generate().unwrap();
    let own = authority.issue_for(&key, "", 1);
    let mut holder = showing(&gate, &own).h1().await;
    let login = json!({ "account": "wang", "password": PASSWORD }).to_string();
    let answer = holder.send(Ask::post("/.menshen/login", &login)).await;
    let session = session_of(answer.expect(200));
    assert_eq!(status(&mut holder, view().cookie(&session)).await, 200);
    let mut renewed = showing(&gate, &authority.issue_for(&key, "", 2)).h1().await;
    assert_eq!(status(&mut renewed, view().cookie(&session)).await, 200, "renewed for its key");
    let mut thief = showing(&gate, &authority.issue("", 3)).h1().await;
    assert_eq!(status(&mut thief, view().cookie(&session)).await, 401);
    assert_eq!(status(&mut gate.h1().await, view().cookie(&session)).await, 401);
    let loose = gate.sign_in("wang", PASSWORD).await;
    assert_eq!(status(&mut thief, view().cookie(&loose)).await, 401, "nor the other way round");
}

#[tokio::test]
async fn a_certificate_beside_a_token_or_a_cookie_is_no_second_credential_but_both_are() {
    let (mut gate, authority) = optional().await;
    gate.add_account("wang", PASSWORD, "teller").await;
    let mut machine = showing(&gate, &authority.issue(REPORTS, 1)).h1().await;
    let login = json!({ "account": "wang", "password": PASSWORD }).to_string();
    let answer = machine.send(Ask::post("/.menshen/login", &login)).await;
    let session = session_of(answer.expect(200));
    let token = gate.teller();
    assert_eq!(status(&mut machine, view().by(&token)).await, 200);
    assert_eq!(status(&mut machine, view().cookie(&session)).await, 200);
    assert_eq!(status(&mut machine, view().cookie(&session).bearer(&token)).await, 401);
    let strange = gate.token(&json!({ "roles": ["stranger"] }));
    let refused = status(&mut machine, view().by(&strange)).await;
    assert_eq!(refused, 403, "a weaker token is not lifted by the machine's rights");
    assert_eq!(status(&mut machine, view().by("a.b.c")).await, 401, "nor a bad one forgiven");
    let entries = gate.entries().await;
    let permits = entries.iter().filter(|e| e.data.is_some() && e.decision.is_some());
    let who: Vec<_> = permits.map(|e| e.actor.as_ref().unwrap().account.to_string()).collect();
    assert_eq!(who, ["corp:wang", "wang"]);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_use_a_browsers_certificate() {
    let (gate, authority) = optional().await;
    let mut machine = showing(&gate, &authority.issue(REPORTS, 1)).h1().await;
    let change = || Ask::patch("/one/1", r#"{"name":"x"}"#);
    let evil = change().header("sec-fetch-site", "cross-site");
    assert_eq!(status(&mut machine, evil).await, 403);
    assert_eq!(status(&mut machine, change().header("origin", "https://evil.example")).await, 403);
    assert_eq!(status(&mut machine, change()).await, 200, "a program says nothing");
}
