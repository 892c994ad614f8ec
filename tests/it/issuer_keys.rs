//! Keys that an issuer publishes over https: fetched, kept, rotated, and what an issuer may do wrong.

use std::sync::{Arc, Mutex};

use menshen::clock::Clock;
use menshen::demo::certificates::Authority;
use serde_json::{Value, json};

use crate::harness::tokens::{Signer, claims};
use crate::harness::upstream::head;
use crate::harness::{Ask, Connection, Gate, NOW_S, OPEN_BANK, Reply, Setup, Step, Upstream};

const FAR: &str = "https://far.example";

/// An issuer with a server of its own, and the keys that it publishes.
struct Issuer {
    server: Upstream,
    folder: tempfile::TempDir,
    published: Arc<Mutex<Reply>>,
}

impl Issuer {
    async fn start() -> Self {
        let authority = Authority::new("the issuer's CA", &Clock::system()).unwrap();
        let server = Upstream::start(Some(&authority.issue(&["localhost"]).unwrap())).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.certificate_pem()).unwrap();
        let published = Arc::new(Mutex::new(Reply::with(404, &[], "")));
        let reply = Arc::clone(&published);
        server.answers_by(move |_| reply.lock().unwrap().clone());
        Self { server, folder, published }
    }

    fn answers(&self, reply: Reply) {
        *self.published.lock().unwrap() = reply;
    }

    fn publishes(&self, keys: &[(&str, &Signer)]) {
        self.answers(Reply::json(jwks(keys)));
    }

    fn yaml(&self) -> String {
        format!(
            "  - name: far\n    issuer: {FAR}\n    audience: menshen\n    keys: \"https://localhost:{}/jwks.json\"\n    \
             ca: {}\n    refresh: 5m\n    keep: 1h\n    attributes: {{ branch: branch }}",
            self.server.address().port(),
            self.folder.path().join("ca.pem").display(),
        )
    }

    async fn gate(&self) -> Gate {
        let setup = Setup::policy(OPEN_BANK).yaml(&self.yaml()).tweak(|config| {
            config.addresses.attempts.burst = 100_000;
        });
        let gate = setup.start().await;
        gate.upstream.answers(Reply::json(r#"{"id":1}"#));
        gate
    }
}

fn jwks(keys: &[(&str, &Signer)]) -> String {
    let key = |(kid, signer): &(&str, &Signer)| {
        let mut jwk: Value = serde_json::from_str(&signer.jwks()).unwrap();
        jwk["keys"][0]["kid"] = json!(kid);
        jwk["keys"][0].take()
    };
    json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() }).to_string()
}

fn token(kid: &str, signer: &Signer, now_s: i64, id: usize) -> String {
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": kid });
    signer.sign(&header, &claims(now_s, &json!({ "iss": FAR, "jti": id.to_string() })))
}

async fn status(connection: &mut Connection, token: &str) -> u16 {
    connection.send(Ask::get("/one/1").by(token)).await.status.as_u16()
}

#[tokio::test]
async fn keys_are_fetched_once_and_verify_every_token() {
    let (issuer, signer) = (Issuer::start().await, Signer::new());
    issuer.publishes(&[("a", &signer)]);
    let gate = issuer.gate().await;
    let mut connection = gate.h1().await;
    for id in 0..20 {
        assert_eq!(status(&mut connection, &token("a", &signer, NOW_S, id)).await, 200);
    }
    assert_eq!(issuer.server.hits(), 1);
    let asked = &issuer.server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/jwks.json"));
    assert_eq!(asked.header("authorization"), None);
    gate.advance_s(300);
    assert_eq!(status(&mut connection, &token("a", &signer, NOW_S, 0)).await, 200);
    let stranger = Signer::new();
    assert_eq!(status(&mut connection, &token("a", &stranger, NOW_S, 0)).await, 401);
    assert!(issuer.server.hits() <= 2, "old keys are fetched again, once");
}

#[tokio::test]
async fn a_thousand_invented_kids_cause_one_fetch_in_thirty_seconds() {
    let (issuer, signer) = (Issuer::start().await, Signer::new());
    issuer.publishes(&[("a", &signer)]);
    let gate = issuer.gate().await;
    let mut connection = gate.h1().await;
    gate.advance_s(31);
    for id in 0..1000 {
        let forged = token(&format!("invented-{id}"), &signer, NOW_S, id);
        assert_eq!(status(&mut connection, &forged).await, 401);
    }
    assert_eq!(issuer.server.hits(), 2, "that of the start, and one more");
    gate.advance_s(31);
    assert_eq!(status(&mut connection, &token("another", &signer, NOW_S, 0)).await, 401);
    assert_eq!(issuer.server.hits(), 3);
}

#[tokio::test]
async fn a_rotation_under_load_loses_nobody() {
    let (issuer, old, new) = (Issuer::start().await, Signer::new(), Signer::new());
    issuer.publishes(&[("old", &old)]);
    let gate = issuer.gate().await;
    gate.advance_s(31);
    issuer.publishes(&[("old", &old), ("new", &new)]);
    let mut load = tokio::task::JoinSet::new();
    for person in 0..8 {
        let (client, now_s) = (gate.client(), gate.clock.unix_s());
        let tokens: Vec<_> = (0..20)
            .map(|id| match id % 2 {
                0 => token("old", &old, now_s, person * 100 + id),
                _ => token("new", &new, now_s, person * 100 + id),
            })
            .collect();
        load.spawn(async move {
            let mut connection = client.h1().await;
            for token in tokens {
                assert_eq!(status(&mut connection, &token).await, 200);
            }
        });
    }
    load.join_all().await;
    assert_eq!(issuer.server.hits(), 2, "one flight for all who ask for the new key");
    // Once the old key is no longer published its tokens end, cached or not.
    issuer.publishes(&[("new", &new)]);
    gate.advance_s(601);
    let mut connection = gate.h1().await;
    let now_s = gate.clock.unix_s();
    assert_eq!(status(&mut connection, &token("new", &new, now_s, 1)).await, 200);
    assert_eq!(status(&mut connection, &token("old", &old, NOW_S, 0)).await, 401);
}

#[tokio::test]
async fn whatever_an_issuer_publishes_the_last_good_keys_stay_and_not_for_ever() {
    let (issuer, signer) = (Issuer::start().await, Signer::new());
    issuer.publishes(&[("a", &signer)]);
    let gate = issuer.gate().await;
    let mut connection = gate.h1().await;
    let good: Value = serde_json::from_str(&jwks(&[("a", &signer)])).unwrap();
    let with = |key: Value| json!({ "keys": [good["keys"][0], key] }).to_string();
    let twice = with(good["keys"][0].clone());
    let shared = with(json!({ "kty": "oct", "k": "AAAA", "kid": "b" }));
    let location = [("location", "https://evil.example/jwks.json")];
    let huge = [head(200, &[("content-length", "10000000000")]), vec![b' '; 600_000]].concat();
    let endless = Reply::open((0..40).map(|_| vec![b' '; 16 * 1024]));
    let replies = [
        ("a redirect", Reply::with(302, &location, "")),
        ("a fault", Reply::with(500, &[], jwks(&[("a", &signer)]))),
        ("no JSON", Reply::json("<html>")),
        ("nothing", Reply::json("")),
        ("no keys", Reply::json(r#"{"keys":[]}"#)),
        ("a shared secret", Reply::json(shared)),
        ("two of one name", Reply::json(twice)),
        ("ten gigabytes", Reply::raw(huge)),
        ("no end", endless),
        ("no HTTP", Reply::raw("SSH-2.0\r\n\r\n").then(Step::Close)),
        ("a reset", Reply::raw("").then(Step::Reset)),
    ];
    for (id, (what, reply)) in replies.into_iter().enumerate() {
        issuer.answers(reply);
        gate.advance_s(300);
        let hits = issuer.server.hits();
        // A kid that is not known has the gate wait for the fetch.
        let invented = token("b", &signer, gate.clock.unix_s(), id);
        assert_eq!(status(&mut connection, &invented).await, 401, "{what}");
        assert_eq!(issuer.server.hits(), hits + 1, "{what}");
        let honest = token("a", &signer, gate.clock.unix_s(), id);
        assert_eq!(status(&mut connection, &honest).await, 200, "{what}");
    }
    let cached = token("a", &signer, gate.clock.unix_s(), 99);
    assert_eq!(status(&mut connection, &cached).await, 200);
    gate.advance_s(300);
    assert_eq!(status(&mut connection, &cached).await, 503, "an hour is over");
    issuer.publishes(&[("a", &signer)]);
    gate.advance_s(31);
    assert_eq!(status(&mut connection, &cached).await, 200, "and it is back");
}

#[tokio::test]
async fn a_key_of_a_new_kind_beside_the_others_is_passed_over() {
    let (issuer, signer) = (Issuer::start().await, Signer::new());
    let mut keys: Value = serde_json::from_str(&jwks(&[("a", &signer)])).unwrap();
    let list = keys["keys"].as_array_mut().unwrap();
    list.push(json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": "b" }));
    list.push(json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "weak" }));
    issuer.answers(Reply::json(keys.to_string()));
    let gate = issuer.gate().await;
    let mut connection = gate.h1().await;
    assert_eq!(status(&mut connection, &token("a", &signer, NOW_S, 0)).await, 200);
    assert_eq!(status(&mut connection, &token("weak", &signer, NOW_S, 0)).await, 401);
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_stops_nobody_else_and_is_asked_again() {
    let (issuer, signer) = (Issuer::start().await, Signer::new());
    let gate = issuer.gate().await;
    let mut connection = gate.h1().await;
    let waiting = token("a", &signer, NOW_S, 0);
    let answer = connection.send(Ask::get("/one/1").by(&waiting)).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("30")));
    assert_eq!(status(&mut connection, &gate.teller()).await, 200, "of another issuer");
    issuer.publishes(&[("a", &signer)]);
    assert_eq!(status(&mut connection, &waiting).await, 503, "not asked again at once");
    gate.advance_s(31);
    assert_eq!(status(&mut connection, &waiting).await, 200);
}

#[tokio::test]
async fn an_issuer_that_is_slow_keeps_nobody_waiting_for_long() {
    let (issuer, signer) = (Issuer::start().await, Signer::new());
    issuer.publishes(&[("a", &signer)]);
    let gate = issuer.gate().await;
    issuer.answers(Reply(vec![Step::Send(head(200, &[("content-length", "100")])), Step::Stall]));
    gate.advance_s(301);
    let (mut one, mut two) = (gate.h1().await, gate.h1().await);
    let honest = token("a", &signer, NOW_S, 0);
    // The keys are old: they are fetched beside the request, which goes on with those that it has.
    let at_once = std::time::Duration::from_secs(4);
    let answered = tokio::time::timeout(at_once, status(&mut one, &honest)).await;
    assert_eq!(answered.ok(), Some(200));
    let invented = token("b", &signer, NOW_S, 0);
    assert_eq!(status(&mut two, &invented).await, 401, "after the deadline of the fetch");
}

#[tokio::test]
async fn a_server_that_others_vouch_for_is_not_believed() {
    let (issuer, signer) = (Issuer::start().await, Signer::new());
    issuer.publishes(&[("a", &signer)]);
    let other = Authority::new("somebody else", &Clock::system()).unwrap();
    std::fs::write(issuer.folder.path().join("ca.pem"), other.certificate_pem()).unwrap();
    let gate = issuer.gate().await;
    assert_eq!(gate.ask(Ask::get("/one/1").by(&token("a", &signer, NOW_S, 0))).await.status, 503);
    assert_eq!(issuer.server.hits(), 0);
}

#[tokio::test]
async fn keys_at_an_address_need_https_and_somebody_who_vouches() {
    let gate = Setup::policy(OPEN_BANK).prepare(Clock::fixed(NOW_S * 1000)).await;
    let file = gate.path("menshen.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    let fault = |lines: &str| {
        std::fs::write(&file, yaml.replace("keys: jwks.json", lines)).unwrap();
        menshen::config::Config::load(&file).unwrap_err().to_string()
    };
    assert!(fault("keys: \"http://far.example/jwks\"\n    ca: ca.pem").contains("`https://`"));
    assert!(fault("keys: \"https://far.example/jwks\"").contains("`ca`"));
    assert!(fault("keys: jwks.json\n    ca: ca.pem").contains("`ca` is for keys at an address"));
}

#[tokio::test]
async fn the_command_says_what_the_gate_would_take_and_verifies_a_token() {
    let (issuer, signer) = (Issuer::start().await, Signer::new());
    issuer.publishes(&[("a", &signer)]);
    let file = issuer.folder.path().join("jwks.json");
    std::fs::write(&file, jwks(&[("a", &signer)])).unwrap();
    let ca = issuer.folder.path().join("ca.pem");
    let url = format!("https://localhost:{}/jwks.json", issuer.server.address().port());
    let run = async |arguments: Vec<String>, input: String| {
        tokio::task::spawn_blocking(move || menshen_jwks(&arguments, &input)).await.unwrap()
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let at = words(&["check", &url, "--ca", ca.to_str().unwrap()]);
    let (code, said) = run(at, String::new()).await;
    assert_eq!((code, said.contains("ES256")), (Some(0), true), "{said}");
    let in_file = file.to_str().unwrap();
    let good = token("a", &signer, NOW_S, 0);
    let (code, said) = run(words(&["verify", in_file]), good.clone()).await;
    assert_eq!((code, said.contains("key a, ES256")), (Some(0), true), "{said}");
    let (code, said) = run(words(&["verify", in_file]), token("a", &Signer::new(), NOW_S, 0)).await;
    assert_eq!((code, said.contains("signature is wrong")), (Some(1), true), "{said}");
    std::fs::write(&file, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#).unwrap();
    let (code, said) = run(words(&["check", in_file]), String::new()).await;
    assert_eq!((code, said.contains("shared secret")), (Some(64), true), "{said}");
    let (code, _) = run(words(&["check", &url]), String::new()).await;
    assert_eq!(code, Some(64), "nobody vouches for it");
}

/// The exit code, and what was printed on either stream.
fn menshen_jwks(arguments: &[String], input: &str) -> (Option<i32>, String) {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_menshen"))
        .arg("jwks")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap_or_default();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn the_last_good_keys_outlive_a_restart_while_the_issuer_is_down_but_not_their_time() {
    let (issuer, signer) = (Issuer::start().await, Signer::new());
    issuer.publishes(&[("a", &signer)]);
    let mut gate = issuer.gate().await;
    let mut now_s = NOW_S;
    let good = token("a", &signer, now_s, 1);
    assert_eq!(status(&mut gate.h1().await, &good).await, 200);
    issuer.answers(Reply::with(503, &[], ""));
    gate.advance_s(1800);
    now_s += 1800;
    gate.restart().await;
    let good = token("a", &signer, now_s, 2);
    assert_eq!(status(&mut gate.h1().await, &good).await, 200, "half an hour old");
    gate.advance_s(1800);
    now_s += 1800;
    let good = token("a", &signer, now_s, 3);
    assert_eq!(status(&mut gate.h1().await, &good).await, 503, "an hour old");
    gate.restart().await;
    assert_eq!(status(&mut gate.h1().await, &good).await, 503);
    issuer.publishes(&[("a", &signer)]);
    gate.advance_s(31);
    assert_eq!(status(&mut gate.h1().await, &good).await, 200);
}

#[tokio::test]
async fn keys_of_an_issuer_that_were_altered_in_the_state_are_not_used() {
    let (issuer, signer, forger) = (Issuer::start().await, Signer::new(), Signer::new());
    issuer.publishes(&[("a", &signer)]);
    let mut gate = issuer.gate().await;
    let good = token("a", &signer, NOW_S, 1);
    assert_eq!(status(&mut gate.h1().await, &good).await, 200);
    issuer.answers(Reply::with(503, &[], ""));
    gate.stop().await;
    let state = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    let forged = jwks(&[("a", &forger)]).into_bytes();
    let changed = state.execute("UPDATE issuer_keys SET document = ?1", [forged]).unwrap();
    assert_eq!(changed, 1);
    drop(state);
    gate.start().await;
    for signer in [&forger, &signer] {
        let token = token("a", signer, NOW_S, 2);
        assert_eq!(status(&mut gate.h1().await, &token).await, 503);
    }
}
