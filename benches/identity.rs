//! What a bearer token costs, verified anew and found again, also where it is bound to a key; and what an assertion for
//! a backend does.
//!
//! `cargo bench --bench identity` prints the best of several runs on one core. A request with a token that was
//! verified before pays what is found again only; it should stay below 3 µs, also beside a client certificate that the
//! token is bound to, and beside a device. Of a token with a proof of possession that is the token's part: each proof is
//! new, so its signature and its place among those that were taken come on top, and stand in a line of their own.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use menshen::clock::Clock;
use menshen::identity::{
    Asserted, AssertionSettings, Assertions, Certificate, Credentials, Identity, IssuerSettings,
    Place, Settings, Target,
};
use menshen::secret::{MasterKey, Secret};
use menshen::state::Store;
use rcgen::KeyPair;
use serde_json::json;

const COLD: usize = 2_000;
const WARM: u32 = 20_000;
const RUNS: usize = 9;
const PROOFS: usize = 300;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, jwks(&pair)).expect("the keys are written");
    let clock = Clock::system();
    let master = MasterKey::generate().expect("a key");
    let store = Store::open(&folder.path().join("state"), &master, clock.clone());
    let issuer = IssuerSettings::new("corp", "https://login.example", "menshen", file);
    let settings = Settings { issuers: vec![issuer], ..Settings::default() };
    let identity = Identity::new(settings, store.expect("a store"), &master, clock.clone());
    let identity = identity.expect("an identity");
    let named = |id| json!({ "jti": format!("a-token-of-the-bench-{id}") });
    let tokens: Vec<_> = (0..COLD).map(|id| token(&pair, clock.unix_s(), &named(id))).collect();
    println!("token of {} bytes, ES256", tokens.first().map_or(0, String::len));
    let place = Place { host: "a.example".into(), zone: "business".into(), certificate: None };
    let start = Instant::now();
    for token in &tokens {
        show(&identity, token, &place).await;
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / COLD as f64;
    println!("verified anew      {each:>8.2} µs");
    let token = tokens.last().expect("a token");
    println!("found again        {:>8.3} µs", again(&identity, token, &place).await);
    bound(&identity, &pair, clock.unix_s()).await;
    proved(&identity, &pair, &place, clock.unix_s()).await;
    sign(&master, clock);
}

/// The time of one request with a token that was verified before, in µs.
async fn again(identity: &Identity, token: &str, place: &Place) -> f64 {
    let mut fastest = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        for _ in 0..WARM {
            show(identity, token, place).await;
        }
        fastest = fastest.min(start.elapsed() / WARM);
    }
    fastest.as_secs_f64() * 1e6
}

/// A token bound to the certificate of its connection (RFC 8705), of whoever has no device and of whoever has.
async fn bound(identity: &Identity, pair: &KeyPair, now_s: i64) {
    let key = KeyPair::generate().expect("a key");
    let made = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate");
    let certificate = Certificate::read(made.der()).expect("it reads");
    let hash = URL_SAFE_NO_PAD.encode(certificate.sha256());
    let token = token(pair, now_s, &json!({ "cnf": { "x5t#S256": hash }, "jti": "bound" }));
    let certificate = Some(Arc::new(certificate));
    let place = Place { host: "a.example".into(), zone: "business".into(), certificate };
    println!("  of a certificate {:>8.3} µs", again(identity, &token, &place).await);
    let added = identity.add_device("laptop", "corp:wang", made.der()).await;
    added.expect("it is enrolled");
    println!("  and of a device  {:>8.3} µs", again(identity, &token, &place).await);
    identity.revoke_device("laptop").await.expect("it is revoked");
}

/// A token bound to a key that makes proofs (RFC 9449): its own part, and a whole request with a new proof.
async fn proved(identity: &Identity, pair: &KeyPair, place: &Place, now_s: i64) {
    let holder = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let (x, y) = point(&holder);
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
    let token = token(pair, now_s, &json!({ "cnf": { "jkt": thumbprint }, "jti": "proved" }));
    let target = Target {
        method: "GET".to_owned(),
        origin: "https://a.example".to_owned(),
        path: "/one".to_owned(),
    };
    let ask = async |proof: &str| {
        let shown = (Secret::new(token.clone()), Secret::new(proof.to_owned()));
        identity.authenticate_proved((&shown.0, &shown.1), black_box(&target), place).await
    };
    let mut fastest = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        for _ in 0..WARM {
            // Refused as soon as the token is found and the proof looked at.
            black_box(ask("x").await.expect_err("it is no proof"));
        }
        fastest = fastest.min(start.elapsed() / WARM);
    }
    println!("  of a proof's key {:>8.3} µs", fastest.as_secs_f64() * 1e6);
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256",
        "jwk": { "kty": "EC", "crv": "P-256", "x": x, "y": y } });
    let ath = URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()));
    let proofs: Vec<_> = (0..PROOFS)
        .map(|id| {
            let claims = json!({ "htm": "GET", "htu": "https://a.example/one", "iat": now_s,
                "jti": format!("{id}"), "ath": ath });
            signed(&holder, &header, &claims)
        })
        .collect();
    let start = Instant::now();
    for proof in &proofs {
        black_box(ask(proof).await.expect("the proof is good"));
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / proofs.len() as f64;
    println!("a proof, durably   {each:>8.1} µs");
}

/// What it costs to tell a backend who asks.
fn sign(master: &MasterKey, clock: Clock) {
    let assertions = Assertions::new(AssertionSettings::default(), master, clock);
    let assertions = assertions.expect("a key to sign by");
    let (roles, mut fastest) = (["teller".to_owned(), "auditor".to_owned()], Duration::MAX);
    let asserted = Asserted {
        audience: "core",
        account: "corp:wang",
        kind: "staff",
        roles: &roles,
        acr: "2",
        purpose: Some("service"),
        request: "01a0c450-6c7b-7101-8101-010101010101",
        id: "01a0c450-6c7b-7101-8101-010101010101",
    };
    for _ in 0..RUNS {
        let start = Instant::now();
        for _ in 0..COLD {
            black_box(assertions.sign(black_box(asserted)).expect("an assertion"));
        }
        fastest = fastest.min(start.elapsed() / u32::try_from(COLD).unwrap_or(u32::MAX));
    }
    println!("assertion signed   {:>8.2} µs", fastest.as_secs_f64() * 1e6);
}

async fn show(identity: &Identity, token: &str, place: &Place) {
    let credentials = Credentials::Bearer(Secret::new(token.to_owned()));
    let caller = identity.authenticate(black_box(credentials), place).await;
    black_box(caller.expect("the token is good"));
}

fn token(pair: &KeyPair, now_s: i64, more: &serde_json::Value) -> String {
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" });
    let mut claims = json!({
        "iss": "https://login.example", "aud": "menshen", "sub": "wang", "iat": now_s,
        "exp": now_s + 3600, "roles": ["teller", "auditor"], "branch": "sh01", "acr": "2",
        "auth_time": now_s,
    });
    let more = more.as_object().expect("claims").clone();
    claims.as_object_mut().expect("claims").extend(more);
    signed(pair, &header, &claims)
}

fn signed(pair: &KeyPair, header: &serde_json::Value, claims: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", text(header), text(claims));
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key");
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256);
    format!("{message}.{}", signature.expect("a signature"))
}

fn jwks(pair: &KeyPair) -> String {
    let (x, y) = point(pair);
    let key = json!({ "kty": "EC", "crv": "P-256", "kid": "k1", "x": x, "y": y });
    json!({ "keys": [key] }).to_string()
}

/// The point of a public key, as a JWK has it.
fn point(pair: &KeyPair) -> (String, String) {
    let (x, y) = pair.public_key_raw().get(1..).expect("a point").split_at(32);
    (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
}
