//! What a bearer token costs, verified anew and found again; and what an assertion for a backend does.
//!
//! `cargo bench --bench identity` prints the best of several runs on one core. A request with a token that was
//! verified before pays the second line only; it should stay below 3 µs.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::expect_used, reason = "a benchmark may stop")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use menshen::clock::Clock;
use menshen::identity::{
    Asserted, AssertionSettings, Assertions, Credentials, Identity, IssuerSettings, Place, Settings,
};
use menshen::secret::{MasterKey, Secret};
use menshen::state::Store;
use rcgen::KeyPair;
use serde_json::json;

const COLD: usize = 2_000;
const WARM: u32 = 20_000;
const RUNS: usize = 9;

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
    let tokens: Vec<_> = (0..COLD).map(|id| token(&pair, clock.unix_s(), id)).collect();
    println!("token of {} bytes, ES256", tokens.first().map_or(0, String::len));
    let place = Place { host: "a.example".into(), zone: "business".into(), certificate: None };
    let start = Instant::now();
    for token in &tokens {
        show(&identity, token, &place).await;
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / COLD as f64;
    println!("verified anew      {each:>8.2} µs");
    let token = tokens.last().expect("a token");
    let mut fastest = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        for _ in 0..WARM {
            show(&identity, token, &place).await;
        }
        fastest = fastest.min(start.elapsed() / WARM);
    }
    println!("found again        {:>8.3} µs", fastest.as_secs_f64() * 1e6);
    sign(&master, clock);
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

fn token(pair: &KeyPair, now_s: i64, id: usize) -> String {
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" });
    let claims = json!({
        "iss": "https://login.example", "aud": "menshen", "sub": "wang", "iat": now_s,
        "exp": now_s + 3600, "roles": ["teller", "auditor"], "branch": "sh01", "acr": "2",
        "auth_time": now_s, "jti": format!("a-token-of-the-bench-{id}"),
    });
    let text = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", text(&header), text(&claims));
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("a key");
    let signed = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256);
    format!("{message}.{}", signed.expect("a signature"))
}

fn jwks(pair: &KeyPair) -> String {
    let point = pair.public_key_raw().get(1..).expect("a point");
    let (x, y) = point.split_at(32);
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = json!({ "kty": "EC", "crv": "P-256", "kid": "k1", "x": text(x), "y": text(y) });
    json!({ "keys": [key] }).to_string()
}
