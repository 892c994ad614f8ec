//! Signing in at an issuer: the way there and back, and an issuer, a browser or a stranger that misbehaves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use menshen::clock::Clock;
use menshen::config::Config;
use menshen::demo::certificates::Authority;
use serde_json::{Value, json};

use crate::harness::tokens::{Signer, header, sign, unsigned};
use crate::harness::upstream::Asked;
use crate::harness::{Answer, Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup, Upstream, holds};

const CLIENT: &str = "gate-client";
const SECRET: &str = "s3cret-of-the-gate";
const START: &str = "/.menshen/oidc/far";
const CALLBACK: &str = "/.menshen/oidc/far/callback";
const LOGOUT: &str = "/.menshen/oidc/far/logout";

type Tweak<T> = Box<dyn Fn(&mut T) + Send>;
type MakeToken = Box<dyn Fn(&Value) -> String + Send>;

/// What the provider knows and how it misbehaves.
struct Mind {
    /// Code to nonce and challenge.
    codes: HashMap<String, (String, String)>,
    claims: Tweak<Value>,
    metadata: Tweak<Value>,
    /// Replaces the signed token.
    token: Option<MakeToken>,
    checks_pkce: bool,
    is_down: bool,
}

struct Provider {
    server: Upstream,
    folder: tempfile::TempDir,
    signer: Arc<Signer>,
    mind: Arc<Mutex<Mind>>,
    issuer: String,
}

impl Provider {
    async fn start() -> Self {
        let authority = Authority::new("the provider's CA", &Clock::system()).unwrap();
        let server = Upstream::start(Some(&authority.issue(&["localhost"]).unwrap())).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.certificate_pem()).unwrap();
        std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
        let issuer = format!("https://localhost:{}", server.address().port());
        let mind = Arc::new(Mutex::new(Mind {
            codes: HashMap::new(),
            claims: Box::new(|_| {}),
            metadata: Box::new(|_| {}),
            token: None,
            checks_pkce: true,
            is_down: false,
        }));
        let signer = Arc::new(Signer::new());
        let (us, known, key) = (issuer.clone(), Arc::clone(&mind), Arc::clone(&signer));
        server.answers_by(move |asked| answer(&us, &mut known.lock().unwrap(), &key, asked));
        Self { server, folder, signer, mind, issuer }
    }

    async fn gate(&self) -> Gate {
        self.gate_with(|_| {}).await
    }

    async fn gate_with(&self, tweak: impl Fn(&mut Config) + Send + Sync + 'static) -> Gate {
        let folder = self.folder.path().display();
        let yaml = format!(
            "  - name: far\n    issuer: \"{issuer}\"\n    audience: menshen\n    keys: \"{issuer}/jwks.json\"\n    \
             ca: {folder}/ca.pem\n    attributes: {{ branch: branch }}\n    assurance: {{ \"2\": 2, \"3\": 3 }}\n    \
             sign-in: {{ client-id: {CLIENT}, client-secret: {folder}/secret, scopes: [profile] }}",
            issuer = self.issuer,
        );
        let gate = Setup::policy(&policy()).yaml(&yaml).tweak(move |config| {
            config.addresses.attempts.burst = 100_000;
            tweak(config);
        });
        let gate = gate.start().await;
        gate.upstream.answers(Reply::json(r#"{"id":1,"name":"li"}"#));
        gate
    }

    fn claims(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.mind.lock().unwrap().claims = Box::new(change);
    }

    fn metadata(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.mind.lock().unwrap().metadata = Box::new(change);
    }

    fn token(&self, make: impl Fn(&Value) -> String + Send + 'static) {
        self.mind.lock().unwrap().token = Some(Box::new(make));
    }

    /// Somebody signs in there: gives the code for what the gate asked.
    fn code(&self, asked: &HashMap<String, String>) -> String {
        let mut mind = self.mind.lock().unwrap();
        let code = format!("code-{}", mind.codes.len());
        let kept = (asked["nonce"].clone(), asked["code_challenge"].clone());
        mind.codes.insert(code.clone(), kept);
        code
    }

    /// An order to sign out, changed.
    fn order(&self, changes: &Value) -> String {
        let mut claims = json!({
            "iss": self.issuer, "aud": CLIENT, "iat": NOW_S, "exp": NOW_S + 120, "jti": "o1", "sub": "wang",
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        change(&mut claims, changes);
        let mut header = header();
        header["typ"] = json!("logout+jwt");
        format!("logout_token={}", self.signer.sign(&header, &claims))
    }
}

fn change(claims: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        match value.is_null() {
            true => drop(claims.as_object_mut().unwrap().remove(name)),
            false => claims[name] = value.clone(),
        }
    }
}

fn policy() -> String {
    let vault = concat!(
        "  vault.view:\n    match: GET bank.example/vault/{id}\n    to: core\n    action: view\n",
        "    require: { assurance: 3, fresh: 15m }\n    returns: { customer: $ }\n",
        "roles:",
    );
    OPEN_BANK.replacen("roles:", vault, 1)
}

fn answer(issuer: &str, mind: &mut Mind, signer: &Signer, asked: &Asked) -> Reply {
    if mind.is_down {
        return Reply::with(503, &[], "");
    }
    match asked.target.as_str() {
        "/.well-known/openid-configuration" => {
            let mut metadata = json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks.json"),
                "authorization_response_iss_parameter_supported": true,
                "code_challenge_methods_supported": ["S256"],
            });
            (mind.metadata)(&mut metadata);
            Reply::json(metadata.to_string())
        }
        "/jwks.json" => Reply::json(signer.jwks()),
        "/token" => tokens(issuer, mind, signer, asked),
        _ => Reply::with(404, &[], ""),
    }
}

fn tokens(issuer: &str, mind: &mut Mind, signer: &Signer, asked: &Asked) -> Reply {
    let form = pairs(std::str::from_utf8(&asked.body).unwrap());
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}")));
    assert_eq!(asked.header("authorization"), Some(basic.as_str()));
    assert_eq!(form["redirect_uri"], format!("https://bank.example{CALLBACK}"));
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
    let kept = mind.codes.get(&form["code"]).cloned();
    let kept = kept.filter(|(_, asked)| !mind.checks_pkce || *asked == challenge);
    let Some((nonce, _)) = kept else {
        return Reply::with(400, &[], r#"{"error":"invalid_grant"}"#);
    };
    let half = digest(&SHA256, b"access");
    let mut claims = json!({
        "iss": issuer, "aud": CLIENT, "sub": "wang", "iat": NOW_S, "exp": NOW_S + 300, "nonce": nonce,
        "roles": ["teller"], "branch": "sh01", "acr": "2", "auth_time": NOW_S, "sid": "s1",
        "at_hash": URL_SAFE_NO_PAD.encode(&half.as_ref()[..16]),
    });
    (mind.claims)(&mut claims);
    let token = match &mind.token {
        Some(make) => make(&claims),
        None => signer.sign(&header(), &claims),
    };
    Reply::json(
        json!({ "id_token": token, "access_token": "access", "token_type": "Bearer" }).to_string(),
    )
}

fn pairs(query: &str) -> HashMap<String, String> {
    let decode =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// The value of a cookie that an answer gives.
fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let all = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let found = all.filter_map(|line| line.strip_prefix(&format!("{name}="))).next()?;
    Some(found.split(';').next().unwrap().to_owned())
}

/// What the gate asked the provider, and what the browser keeps.
struct Begun {
    asked: HashMap<String, String>,
    kept: String,
}

async fn begin(gate: &Gate, path: &str, session: Option<&str>) -> Begun {
    let mut ask = Ask::get(path).header("accept", "text/html");
    if let Some(session) = session {
        ask = ask.cookie(session);
    }
    let answer = gate.ask(ask).await;
    let to = answer.expect(303).header("location").unwrap().to_owned();
    let kept = cookie(&answer, "__Host-menshen-oidc").unwrap();
    let line = answer.header("set-cookie").unwrap();
    assert!(line.contains("HttpOnly") && line.contains("Secure") && line.contains("SameSite=Lax"));
    Begun { asked: pairs(to.split_once('?').unwrap().1), kept }
}

async fn back(gate: &Gate, query: &str, kept: &str) -> Answer {
    let ask = Ask::get(&format!("{CALLBACK}?{query}")).header("accept", "text/html");
    gate.ask(ask.header("cookie", &format!("__Host-menshen-oidc={kept}"))).await
}

fn good(provider: &Provider, begun: &Begun) -> String {
    let code = provider.code(&begun.asked);
    format!("code={code}&state={}&iss={}", begun.asked["state"], provider.issuer)
}

/// The whole way; gives the last answer.
async fn sign_in(gate: &Gate, provider: &Provider, path: &str, session: Option<&str>) -> Answer {
    let begun = begin(gate, path, session).await;
    back(gate, &good(provider, &begun), &begun.kept).await
}

fn session_of(answer: &Answer) -> String {
    cookie(answer.expect(200), "__Host-menshen").unwrap()
}

async fn use_session(gate: &Gate, session: &str) -> u16 {
    gate.ask(Ask::get("/one/1").cookie(session)).await.status.as_u16()
}

#[tokio::test]
async fn somebody_signs_in_at_an_issuer_and_works_in_the_session() {
    let provider = Provider::start().await;
    let mut gate = provider.gate().await;
    let login =
        gate.ask(Ask::get("/.menshen/login?next=/one/1").header("accept", "text/html")).await;
    assert!(login.expect(200).text().contains("href=\"/.menshen/oidc/far?next=%2Fone%2F1\""));
    let begun = begin(&gate, &format!("{START}?next=%2Fone%2F1"), None).await;
    let asked = &begun.asked;
    assert_eq!((&*asked["response_type"], &*asked["scope"]), ("code", "openid profile"));
    assert_eq!((&*asked["client_id"], &*asked["code_challenge_method"]), (CLIENT, "S256"));
    assert_eq!(asked["redirect_uri"], format!("https://bank.example{CALLBACK}"));
    assert!(!asked.contains_key("prompt") && asked["nonce"] != asked["state"]);
    let answer = back(&gate, &good(&provider, &begun), &begun.kept).await;
    let session = session_of(&answer);
    assert_eq!(answer.header("refresh"), Some("0; url=/one/1"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(cookie(&answer, "__Host-menshen-oidc").as_deref(), Some(""));
    assert!(answer.text().contains("href=\"/one/1\""));
    assert_eq!(use_session(&gate, &session).await, 200);
    let shown = gate.ask(Ask::get("/.menshen/session").cookie(&session)).await;
    let shown = shown.expect(200).json();
    assert_eq!((&shown["account"], &shown["assurance"]), (&json!("far:wang"), &json!(2)));
    let page = Ask::get("/.menshen/session").cookie(&session).header("accept", "text/html");
    gate.ask(page).await.expect(200);
    let out = Ask::post("/.menshen/logout", "{}").cookie(&session);
    gate.ask(out.header("sec-fetch-site", "same-origin")).await.expect(204);
    assert_eq!(use_session(&gate, &session).await, 401);
    let entries = gate.entries().await;
    let acts: Vec<_> = entries.iter().filter_map(|entry| entry.act.as_ref()).collect();
    let signed_in = acts.iter().find(|act| act.name.as_str() == "sign_in_at_issuer").unwrap();
    assert_eq!((signed_in.object.as_str(), signed_in.succeeded), ("far:wang", Some(true)));
    let log = gate.log_text();
    for secret in ["code-0", &asked["state"], &asked["nonce"], SECRET, &session] {
        assert!(!holds(&log, secret), "{secret}");
    }
}

#[tokio::test]
async fn an_answer_of_another_issuer_than_the_one_asked_is_refused() {
    let provider = Provider::start().await;
    let gate = provider.gate().await;
    let begun = begin(&gate, START, None).await;
    let (code, state) = (provider.code(&begun.asked), &begun.asked["state"]);
    let evil = format!("code={code}&state={state}&iss=https://evil.example");
    back(&gate, &evil, &begun.kept).await.expect(401);
    let nobody = format!("code={code}&state={state}");
    back(&gate, &nobody, &begun.kept).await.expect(401);
    let hits = provider.server.asked().iter().filter(|asked| asked.target == "/token").count();
    assert_eq!(hits, 0, "the code was not handed to anybody");
    let other = Ask::get(&format!("/.menshen/oidc/near/callback?{}", good(&provider, &begun)));
    gate.ask(other.header("cookie", &format!("__Host-menshen-oidc={}", begun.kept)))
        .await
        .expect(404);
    gate.ask(Ask::get("/.menshen/oidc/corp")).await.expect(404);
}

#[tokio::test]
async fn an_answer_without_its_cookie_or_with_a_foreign_state_is_refused() {
    let provider = Provider::start().await;
    let gate = provider.gate().await;
    let (mine, theirs) = (begin(&gate, START, None).await, begin(&gate, START, None).await);
    // Login CSRF: the attacker's answer in the victim's browser.
    back(&gate, &good(&provider, &theirs), &mine.kept).await.expect(401);
    gate.ask(Ask::get(&format!("{CALLBACK}?{}", good(&provider, &mine)))).await.expect(401);
    back(&gate, &good(&provider, &mine), "AAAA").await.expect(401);
    back(&gate, &good(&provider, &mine), &mine.kept[1..]).await.expect(401);
    let twice = format!("{}; __Host-menshen-oidc={}", mine.kept, theirs.kept);
    back(&gate, &good(&provider, &mine), &twice).await.expect(401);
    let doubled = format!("{}&state=x", good(&provider, &mine));
    back(&gate, &doubled, &mine.kept).await.expect(400);
    // What was begun on one host or zone is no good on another.
    let elsewhere = Ask::get(&format!("{CALLBACK}?{}", good(&provider, &mine)));
    let elsewhere = elsewhere.header("cookie", &format!("__Host-menshen-oidc={}", mine.kept));
    gate.public_client().h1().await.send(elsewhere).await.expect(401);
    let answer = good(&provider, &mine);
    session_of(&back(&gate, &answer, &mine.kept).await);
    back(&gate, &answer, &mine.kept).await.expect(401);
    let late = begin(&gate, START, None).await;
    gate.advance_s(600);
    back(&gate, &good(&provider, &late), &late.kept).await.expect(401);
}

#[tokio::test]
async fn a_code_of_another_sign_in_is_refused_by_pkce_and_by_nonce() {
    let provider = Provider::start().await;
    let gate = provider.gate().await;
    let (mine, theirs) = (begin(&gate, START, None).await, begin(&gate, START, None).await);
    let injected = |begun: &Begun| {
        let code = provider.code(&theirs.asked);
        format!("code={code}&state={}&iss={}", begun.asked["state"], provider.issuer)
    };
    back(&gate, &injected(&mine), &mine.kept).await.expect(401);
    // A provider that does not look at the verifier.
    provider.mind.lock().unwrap().checks_pkce = false;
    let again = begin(&gate, START, None).await;
    back(&gate, &injected(&again), &again.kept).await.expect(401);
    session_of(&sign_in(&gate, &provider, START, None).await);
}

#[tokio::test]
async fn a_token_that_is_not_what_it_should_be_signs_nobody_in() {
    let provider = Provider::start().await;
    let gate = provider.gate().await;
    for changes in [
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "aud": "menshen" }),
        json!({ "aud": "another-client" }),
        json!({ "aud": [CLIENT, "another-client"] }),
        json!({ "aud": [CLIENT, "another-client"], "azp": "another-client" }),
        json!({ "azp": "another-client" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "exp": NOW_S - 31 }),
        json!({ "exp": null }),
        json!({ "iat": null }),
        json!({ "iat": NOW_S + 31 }),
        json!({ "sub": null }),
        json!({ "sub": "a\nb" }),
        json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }),
        json!({ "roles": 7 }),
        json!({ "cnf": { "x5t#S256": URL_SAFE_NO_PAD.encode([1; 32]) } }),
    ] {
        let wrong = changes.clone();
        provider.claims(move |claims| change(claims, &wrong));
        let answer = sign_in(&gate, &provider, START, None).await;
        assert_eq!(answer.status, 401, "{changes}");
        assert_eq!(cookie(&answer, "__Host-menshen"), None, "{changes}");
    }
    provider.claims(|claims| change(claims, &json!({ "aud": [CLIENT, "b"], "azp": CLIENT })));
    session_of(&sign_in(&gate, &provider, START, None).await);
}

#[tokio::test]
async fn an_id_token_under_another_algorithm_key_or_type_signs_nobody_in() {
    let provider = Provider::start().await;
    let gate = provider.gate().await;
    let stranger = Signer::new();
    provider.token(move |claims| stranger.sign(&header(), claims));
    sign_in(&gate, &provider, START, None).await.expect(401);
    provider
        .token(|claims| format!("{}.", unsigned(&json!({ "alg": "none", "kid": "k1" }), claims)));
    sign_in(&gate, &provider, START, None).await.expect(401);
    provider.token(|claims| {
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        sign(&json!({ "alg": "HS256", "kid": "k1" }), claims, &key, Algorithm::HS256)
    });
    sign_in(&gate, &provider, START, None).await.expect(401);
    let signer = Arc::clone(&provider.signer);
    provider.token(move |claims| {
        signer.sign(&json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" }), claims)
    });
    sign_in(&gate, &provider, START, None).await.expect(401);
}

#[tokio::test]
async fn a_session_is_raised_at_its_issuer_and_only_by_what_the_token_proves() {
    let provider = Provider::start().await;
    let gate = provider.gate().await;
    let first = session_of(&sign_in(&gate, &provider, START, None).await);
    let vault = |session: &str| {
        let ask = Ask::get("/vault/1").cookie(session).header("accept", "text/html");
        ask.header("sec-fetch-site", "same-origin").header("sec-fetch-mode", "navigate")
    };
    let led = gate.ask(vault(&first)).await;
    let to = led.expect(303).header("location").unwrap().to_owned();
    let there = "/.menshen/oidc/far?level=3&max_age=900&next=%2F%2Emenshen%2Fstep%2Dup%3Fr%3D";
    assert!(to.starts_with(there), "{to}");
    let name = &to[there.len()..].replace("%5F", "_").replace("%2D", "-");
    let begun = begin(&gate, &to, Some(&first)).await;
    assert_eq!((&*begun.asked["prompt"], &*begun.asked["max_age"]), ("login", "900"));
    assert_eq!(begun.asked["acr_values"], "3");
    // The provider looked away: it tells of no more than before. Nobody is led round in circles.
    let missed = back(&gate, &good(&provider, &begun), &begun.kept).await;
    let second = session_of(&missed);
    assert!(missed.header("refresh").is_none() && missed.text().contains("level 3"));
    assert_eq!(use_session(&gate, &first).await, 401, "one session, not two");
    assert_eq!(use_session(&gate, &second).await, 200);
    // An old sign-in does not become fresh by being told again.
    provider.claims(|claims| change(claims, &json!({ "acr": "3", "auth_time": NOW_S - 1000 })));
    sign_in(&gate, &provider, &to, Some(&second)).await.expect(401);
    provider.claims(|claims| change(claims, &json!({ "acr": "3", "auth_time": null })));
    sign_in(&gate, &provider, &to, Some(&second)).await.expect(401);
    provider.claims(|claims| change(claims, &json!({ "acr": "3", "sub": "li" })));
    sign_in(&gate, &provider, &to, Some(&second)).await.expect(401);
    assert_eq!(use_session(&gate, &second).await, 200);
    provider.claims(|claims| change(claims, &json!({ "acr": "3", "amr": ["hwk"] })));
    let raised = sign_in(&gate, &provider, &to, Some(&second)).await;
    let kept = format!("/.menshen/step-up?r={name}");
    assert_eq!(raised.header("refresh"), Some(format!("0; url={kept}").as_str()));
    let third = session_of(&raised);
    let page = gate.ask(Ask::get(&kept).cookie(&third).header("accept", "text/html")).await;
    assert!(page.expect(200).text().contains("/vault/1"), "it was kept, and went along");
    let send = Ask::new("POST", "/.menshen/step-up").form(&format!("r={name}")).cookie(&third);
    let sent = gate.ask(send.header("sec-fetch-site", "same-origin")).await;
    assert_eq!(sent.expect(200).json()["id"], 1);
    gate.ask(Ask::get("/vault/1").cookie(&third)).await.expect(200);
}

#[tokio::test]
async fn a_return_address_elsewhere_is_not_gone_to() {
    let provider = Provider::start().await;
    let gate = provider.gate().await;
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "%2F%2Fevil.example",
        "a",
        "",
    ] {
        let answer = sign_in(&gate, &provider, &format!("{START}?next={next}"), None).await;
        session_of(&answer);
        assert_eq!(answer.header("refresh"), Some("0; url=/.menshen/session"), "{next}");
    }
}

#[tokio::test]
async fn an_issuer_signs_its_people_out_and_nobody_else_can() {
    let provider = Provider::start().await;
    let mut gate = provider.gate().await;
    let wang = session_of(&sign_in(&gate, &provider, START, None).await);
    provider.claims(|claims| change(claims, &json!({ "sub": "li", "sid": "s2" })));
    let li = session_of(&sign_in(&gate, &provider, START, None).await);
    let order = async |gate: &Gate, body: &str| gate.ask(Ask::new("POST", LOGOUT).form(body)).await;
    let stranger = Signer::new();
    let forged = json!({ "iss": provider.issuer, "aud": CLIENT, "iat": NOW_S, "exp": NOW_S + 9, "jti": "o9", "sub": "wang",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
    order(&gate, &format!("logout_token={}", stranger.sign(&header(), &forged))).await.expect(400);
    order(&gate, "logout_token=").await.expect(400);
    order(&gate, "").await.expect(400);
    for changes in [
        json!({ "nonce": "n" }),
        json!({ "events": null }),
        json!({ "events": { "other": {} } }),
        json!({ "sub": null }),
        json!({ "jti": null }),
        json!({ "iat": NOW_S - 301 }),
        json!({ "exp": NOW_S - 31 }),
        json!({ "aud": "another-client" }),
        json!({ "iss": "https://evil.example" }),
    ] {
        assert_eq!(order(&gate, &provider.order(&changes)).await.status, 400, "{changes}");
    }
    assert_eq!((use_session(&gate, &wang).await, use_session(&gate, &li).await), (200, 200));
    let elsewhere = provider.order(&json!({ "sid": "s2", "jti": "o2" }));
    order(&gate, &elsewhere).await.expect(200);
    assert_eq!(use_session(&gate, &li).await, 200, "the session of another person");
    order(&gate, &provider.order(&json!({}))).await.expect(200);
    assert_eq!((use_session(&gate, &wang).await, use_session(&gate, &li).await), (401, 200));
    provider.claims(|_| {});
    let again = session_of(&sign_in(&gate, &provider, START, None).await);
    order(&gate, &provider.order(&json!({}))).await.expect(400);
    assert_eq!(use_session(&gate, &again).await, 200, "an order counts once");
    order(&gate, &provider.order(&json!({ "sub": null, "sid": "s2", "jti": "o3" })))
        .await
        .expect(200);
    assert_eq!(use_session(&gate, &li).await, 401);
    gate.identity().revoke_tokens("far:wang", None).await.unwrap();
    gate.advance_s(1);
    assert_eq!(use_session(&gate, &again).await, 401, "revoked by the operator");
    let entries = gate.entries().await;
    let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
    let outs: Vec<_> = acts.filter(|act| act.name.as_str() == "signed_out_by_issuer").collect();
    assert!(outs.iter().any(|act| act.succeeded == Some(true) && act.count == Some(1)));
    assert!(outs.iter().any(|act| act.succeeded == Some(false)));
}

#[tokio::test]
async fn a_provider_that_is_down_or_not_itself_signs_nobody_in() {
    let provider = Provider::start().await;
    let gate = provider.gate().await;
    provider.mind.lock().unwrap().is_down = true;
    gate.ask(Ask::get(START)).await.expect(503);
    for (name, value) in [
        ("issuer", json!("https://evil.example")),
        ("authorization_endpoint", json!("http://localhost/auth")),
        ("token_endpoint", json!("http://localhost/token")),
        ("token_endpoint", json!(null)),
        ("code_challenge_methods_supported", json!(["plain"])),
    ] {
        provider.mind.lock().unwrap().is_down = false;
        provider.metadata(move |metadata| metadata[name] = value.clone());
        gate.advance_s(5);
        gate.ask(Ask::get(START)).await.expect(503);
    }
    provider.metadata(|_| {});
    gate.advance_s(5);
    let begun = begin(&gate, START, None).await;
    provider.mind.lock().unwrap().is_down = true;
    back(&gate, &good(&provider, &begun), &begun.kept).await.expect(503);
    let denied = begin(&gate, START, None).await;
    let no = format!("error=access_denied&state={}&iss={}", denied.asked["state"], provider.issuer);
    back(&gate, &no, &denied.kept).await.expect(401);
}

#[tokio::test]
async fn a_token_for_the_sign_in_is_none_for_the_api() {
    let provider = Provider::start().await;
    let gate = provider.gate().await;
    session_of(&sign_in(&gate, &provider, START, None).await);
    let claims = json!({ "iss": provider.issuer, "aud": CLIENT, "sub": "wang", "iat": NOW_S, "exp": NOW_S + 300, "roles": ["teller"] });
    let token = provider.signer.sign(&header(), &claims);
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(401);
    let mut config = gate.config();
    let other = tempfile::tempdir().unwrap();
    config.state = other.path().join("state");
    let far = config.identity.issuers.iter_mut().find(|issuer| issuer.name == "far").unwrap();
    far.audience = CLIENT.to_owned();
    let refused = menshen::server::Server::start(config, gate.clock.clone()).await;
    assert!(refused.err().is_some_and(|error| error.to_string().contains("must differ")));
}

/// Drives a gate of its own and a provider that others made; see there.
#[test]
fn a_provider_off_the_shelf_signs_somebody_in_and_out() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc");
    let provider = std::path::Path::new(folder).join("node_modules/oidc-provider");
    assert!(provider.is_dir(), "run `sh tests/setup.sh`");
    let proof = std::process::Command::new("node")
        .arg(format!("{folder}/prove.mjs"))
        .arg(env!("CARGO_BIN_EXE_menshen"))
        .output()
        .unwrap_or_else(|error| panic!("node ({error}): run `sh tests/setup.sh`"));
    let said = String::from_utf8_lossy(&[proof.stdout, proof.stderr].concat()).into_owned();
    assert!(proof.status.success(), "{said}");
    assert!(said.contains("was signed out by it"), "{said}");
}

#[tokio::test]
async fn failed_sign_ins_at_an_issuer_cannot_fill_the_log() {
    let provider = Provider::start().await;
    let mut gate = provider.gate().await;
    begin(&gate, START, None).await;
    for _ in 0..60 {
        gate.advance_s(2);
        back(&gate, "code=c&state=s", "AAAA").await.expect(401);
    }
    for n in 0..60 {
        gate.advance_s(2);
        let order = Ask::post(LOGOUT, &format!("logout_token={n}"));
        gate.ask(order.header("content-type", "application/x-www-form-urlencoded"))
            .await
            .expect(400);
    }
    let entries = gate.entries().await;
    let acts = || entries.iter().filter_map(|entry| entry.act.as_ref());
    for step in ["sign_in_at_issuer", "signed_out_by_issuer"] {
        assert_eq!(acts().filter(|act| act.name.as_str() == step).count(), 20, "{step}");
    }
    let gathered = acts().filter(|act| act.name.as_str() == "refusals_gathered");
    assert_eq!(gathered.filter_map(|act| act.count).sum::<u64>(), 80);
    let looks = acts().find(|act| act.name.as_str() == "pages_shown").unwrap();
    assert_eq!((looks.object.as_str(), looks.count), ("issuer", Some(1)));
}

#[tokio::test]
async fn who_signed_in_at_an_issuer_sees_and_ends_sessions_and_is_sent_there_for_factors() {
    let provider = Provider::start().await;
    let mut gate = provider.gate().await;
    let first = session_of(&sign_in(&gate, &provider, START, None).await);
    gate.advance_s(60);
    let second = session_of(&sign_in(&gate, &provider, START, None).await);
    let listed = gate.ask(Ask::get("/.menshen/devices").cookie(&second)).await;
    let listed = listed.expect(200).json();
    assert_eq!((&listed["account"], &listed["passkeys"]), (&json!("far:wang"), &json!([])));
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!((&sessions[0]["this"], &sessions[1]["this"]), (&json!(true), &json!(false)));
    assert_eq!(sessions[1]["host"], json!("bank.example"));
    assert!(sessions[1]["from"].as_str().unwrap().contains("127."), "{sessions:?}");
    let page = |path: &str| Ask::get(path).cookie(&second).header("accept", "text/html");
    for path in ["/.menshen/devices", "/.menshen/session"] {
        let shown = gate.ask(page(path)).await;
        assert!(shown.expect(200).text().contains("You sign in at far"), "{path}");
        assert!(!shown.text().contains("passkey"), "{path}");
    }
    for path in ["code", "enrol", "password", "recovery"].map(|name| format!("/.menshen/{name}")) {
        let shown = gate.ask(page(&path)).await;
        let text = shown.expect(403).text();
        assert!(text.contains("/.menshen/oidc/far?level=2"), "{path}: {text}");
    }
    let post = |path: &str, body: &str| {
        Ask::post(path, body).cookie(&second).header("origin", "https://bank.example")
    };
    let options = json!({ "for": "register" }).to_string();
    for (path, body) in [
        ("/.menshen/code", r#"{"code":"123456"}"#),
        ("/.menshen/enrol", "{}"),
        ("/.menshen/password", r#"{"old":"a","new":"b"}"#),
        ("/.menshen/recovery", "{}"),
        ("/.menshen/passkey/options", &options),
    ] {
        let told = gate.ask(post(path, body)).await;
        assert!(told.expect(403).text().contains("kept at `far`"), "{path}: {}", told.text());
    }
    let number = sessions[1]["session"].as_str().unwrap();
    let end = json!({ "end": number }).to_string();
    gate.ask(post("/.menshen/devices", &end)).await.expect(204);
    assert_eq!(use_session(&gate, &first).await, 401);
    assert_eq!(use_session(&gate, &second).await, 200);
    gate.ask(post("/.menshen/devices", r#"{"everywhere":"1"}"#)).await.expect(204);
    assert_eq!(use_session(&gate, &second).await, 401);
    let entries = gate.entries().await;
    let acts = || entries.iter().filter_map(|entry| entry.act.as_ref());
    for name in ["session_end", "sign_out_everywhere"] {
        let act = acts().find(|act| act.name.as_str() == name).unwrap();
        assert_eq!((act.object.as_str(), act.succeeded), ("far:wang", Some(true)), "{name}");
    }
}

#[tokio::test]
async fn a_forced_change_of_passwords_keeps_nobody_out_who_has_none_here() {
    let provider = Provider::start().await;
    let gate = provider.gate_with(|config| config.identity.password.must_change = true).await;
    let session = session_of(&sign_in(&gate, &provider, START, None).await);
    assert_eq!(use_session(&gate, &session).await, 200);
}
