//! Tokens bound to a key that proves itself at each request (DPoP, RFC 9449), and proofs as thieves show them.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::harness::tokens::sign;
use crate::harness::{Ask, Gate, OPEN_BANK, Reply, Setup, SharedStore, soon};
use crate::several_gates::pair;

/// A client's key.
struct Holder(KeyPair);

impl Holder {
    fn new() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap())
    }

    fn point(&self) -> (String, String) {
        let raw = self.0.public_key_raw();
        (URL_SAFE_NO_PAD.encode(&raw[1..33]), URL_SAFE_NO_PAD.encode(&raw[33..]))
    }

    fn thumbprint(&self) -> String {
        let (x, y) = self.point();
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
    }

    fn token(&self, gate: &Gate) -> String {
        gate.token(&json!({ "cnf": { "jkt": self.thumbprint() } }))
    }

    /// A proof for viewing `/one/1` now with this token, but for what `changes` says.
    fn proof(&self, gate: &Gate, token: &str, id: &str, changes: &Value) -> String {
        let (x, y) = self.point();
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let mut claims = json!({
            "htm": "GET",
            "htu": "https://bank.example/one/1",
            "iat": gate.clock.unix_s(),
            "jti": id,
            "ath": URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())),
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let key = EncodingKey::from_ec_pem(self.0.serialize_pem().as_bytes()).unwrap();
        sign(&header, &claims, &key, Algorithm::ES256)
    }
}

fn view(token: &str, proof: &str) -> Ask {
    Ask::get("/one/1").header("authorization", &format!("DPoP {token}")).header("dpop", proof)
}

async fn started(yaml: &str) -> Gate {
    let setup = Setup::policy(OPEN_BANK).yaml(yaml);
    let setup = setup.tweak(|config| config.addresses.attempts.burst = 1000);
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate
}

#[tokio::test]
async fn a_bound_token_with_a_proof_for_this_very_request_is_good_once() {
    let mut gate = started("").await;
    let holder = Holder::new();
    let token = holder.token(&gate);
    let proof = |id: &str| holder.proof(&gate, &token, id, &json!({}));
    let first = proof("1");
    gate.ask(view(&token, &first)).await.expect(200);
    let again = gate.ask(view(&token, &first)).await;
    let challenge = again.expect(401).header("www-authenticate").unwrap();
    assert!(challenge.starts_with(r#"DPoP error="invalid_dpop_proof""#), "{challenge}");
    gate.h2().await.send(view(&token, &proof("2"))).await.expect(200);
    let third = proof("3");
    gate.ask(view(&token, &third)).await.expect(200);
    gate.restart().await;
    gate.ask(view(&token, &third)).await.expect(401);
    let fourth = holder.proof(&gate, &token, "4", &json!({}));
    let asks = (0..8).map(|_| gate.ask(view(&token, &fourth)));
    let mut statuses = Vec::new();
    let tasks: Vec<_> = asks.map(Box::pin).collect();
    for answer in futures_joined(tasks).await {
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    let entries = gate.entries().await;
    let entry = entries.iter().find(|e| e.decision.is_some() && e.data.is_some()).unwrap();
    assert_eq!(entry.auth.as_ref().unwrap().credential.as_str(), "dpop");
}

/// All at once, on one task.
async fn futures_joined<F: Future>(mut tasks: Vec<std::pin::Pin<Box<F>>>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = tasks.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (task, done) in tasks.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = task.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}

#[tokio::test]
async fn a_stolen_bound_token_or_proof_opens_nothing() {
    let gate = started("").await;
    let (holder, thief) = (Holder::new(), Holder::new());
    let token = holder.token(&gate);
    let own = |changes: &Value| holder.proof(&gate, &token, "x", changes);
    let now = gate.clock.unix_s();
    let mut connection = gate.h1().await;
    connection.send(Ask::get("/one/1").by(&token)).await.expect(401);
    connection
        .send(Ask::get("/one/1").by(&token).header("dpop", &own(&json!({}))))
        .await
        .expect(401);
    let schemed = Ask::get("/one/1").header("authorization", &format!("DPoP {token}"));
    connection.send(schemed).await.expect(401);
    let twice = view(&token, &own(&json!({}))).header("dpop", &own(&json!({})));
    connection.send(twice).await.expect(401);
    let loose = gate.teller();
    let for_loose = holder.proof(&gate, &loose, "y", &json!({}));
    connection.send(view(&loose, &for_loose)).await.expect(401);
    for (what, proof) in [
        ("of another key", thief.proof(&gate, &token, "x", &json!({}))),
        ("for another token", holder.proof(&gate, &loose, "x", &json!({}))),
        ("for another method", own(&json!({ "htm": "DELETE" }))),
        ("for another record", own(&json!({ "htu": "https://bank.example/one/2" }))),
        ("for another host", own(&json!({ "htu": "https://other.example/one/1" }))),
        ("too old", own(&json!({ "iat": now - 61 }))),
        ("of the future", own(&json!({ "iat": now + 60 }))),
        ("without an id", own(&json!({ "jti": "" }))),
        ("the token itself", token.clone()),
        ("nothing", String::new()),
        ("endless", "x".repeat(9000)),
    ] {
        let answer = connection.send(view(&token, &proof)).await;
        assert_eq!(answer.status.as_u16(), 401, "{what}");
    }
    assert_eq!(gate.upstream.hits(), 0);
    connection.send(view(&token, &own(&json!({})))).await.expect(200);
}

#[tokio::test]
async fn a_proof_must_have_the_gates_nonce_where_it_asks_for_one() {
    let gate = started("dpop: { nonce: true }").await;
    let holder = Holder::new();
    let token = holder.token(&gate);
    let mut connection = gate.h1().await;
    let without = holder.proof(&gate, &token, "1", &json!({}));
    let answer = connection.send(view(&token, &without)).await;
    let challenge = answer.expect(401).header("www-authenticate").unwrap();
    assert!(challenge.contains(r#"error="use_dpop_nonce""#), "{challenge}");
    let nonce = answer.header("dpop-nonce").unwrap().to_owned();
    let with = |id: &str| holder.proof(&gate, &token, id, &json!({ "nonce": nonce }));
    connection.send(view(&token, &with("2"))).await.expect(200);
    connection.send(view(&token, &with("2"))).await.expect(401);
    gate.advance_s(300);
    connection.send(view(&token, &with("3"))).await.expect(200);
    gate.advance_s(300);
    let old = connection.send(view(&token, &with("4"))).await;
    assert_ne!(old.expect(401).header("dpop-nonce"), Some(nonce.as_str()));
}

/// As if the store had begun a minute ago: of every proof that is shown now it is known whether any gate took it.
async fn has_been_there(store: &SharedStore, gate: &Gate) {
    let began = (gate.clock.unix_ms() - 60_000).to_string();
    store.command(&["HSET", "{menshen}:proofs", "began", &began]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_one_gate_took_is_refused_at_the_other() {
    let store = SharedStore::start();
    let gates = pair(|| Setup::policy(OPEN_BANK).yaml(&store.yaml(2))).await;
    let [one, two] = &gates;
    let holder = Holder::new();
    let token = holder.token(one);
    let proof = |id: &str| holder.proof(one, &token, id, &json!({}));
    has_been_there(&store, one).await;
    for (id, first, second) in [("1", one, two), ("2", two, one)] {
        let proof = proof(id);
        first.ask(view(&token, &proof)).await.expect(200);
        let again = second.ask(view(&token, &proof)).await;
        let challenge = again.expect(401).header("www-authenticate").unwrap();
        assert!(challenge.contains("invalid_dpop_proof"), "{challenge}");
        first.ask(view(&token, &proof)).await.expect(401);
    }
    let shown_before = proof("3");
    one.ask(view(&token, &shown_before)).await.expect(200);
    let hits = two.upstream.hits();
    store.flush().await;
    // What it knew is gone: for a while nobody can say of any proof that it was not used.
    two.ask(view(&token, &shown_before)).await.expect(503);
    let told = two.ask(view(&token, &proof("4"))).await;
    assert!(told.expect(503).header("retry-after").is_some(), "{told:?}");
    assert_eq!(two.upstream.hits(), hits);
    has_been_there(&store, one).await;
    two.ask(view(&token, &proof("5"))).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_of_several_gates_is_lost_no_proof_is_believed() {
    let mut store = SharedStore::start();
    let gates = pair(|| Setup::policy(OPEN_BANK).yaml(&store.yaml(2))).await;
    let [one, two] = &gates;
    let holder = Holder::new();
    let token = holder.token(one);
    let proof = |id: &str| holder.proof(one, &token, id, &json!({}));
    has_been_there(&store, one).await;
    one.ask(view(&token, &proof("1"))).await.expect(200);
    store.pause();
    for n in 0..12 {
        one.ask(view(&token, &proof(&format!("p{n}")))).await.expect(503);
    }
    assert_eq!(one.upstream.hits(), 1);
    // Callers without a proof are none the worse, nor is this address held to be a guesser's.
    one.ask(Ask::get("/one/1").by(&one.teller())).await.expect(200);
    store.go_on();
    let (gate, made) = (one, std::cell::Cell::new(0));
    let back = async {
        loop {
            made.set(made.get() + 1);
            let shown = proof(&format!("q{}", made.get()));
            if gate.ask(view(&token, &shown)).await.status == 200 {
                return;
            }
        }
    };
    soon("a proof that is believed again", back).await;
    store.kill();
    two.ask(view(&token, &proof("2"))).await.expect(503);
    store.again();
    // Started anew, it knows of no proof that was taken before.
    two.ask(view(&token, &proof("3"))).await.expect(503);
    has_been_there(&store, one).await;
    two.ask(view(&token, &proof("4"))).await.expect(200);
}
