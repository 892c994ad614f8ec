//! Bearer tokens as attackers send them. The unit tests know more of them; these go the whole way.

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use crate::harness::tokens::{Signer, claims, header, sign, unsigned};
use crate::harness::{Ask, Gate, NOW_S, OPEN_BANK, Reply, Setup};

async fn started() -> Gate {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| {
        // The test guesses more often than an address may.
        config.addresses.attempts.burst = 1000;
    });
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate
}

#[tokio::test]
async fn a_forged_token_opens_nothing() {
    let gate = started().await;
    let good = claims(NOW_S, &json!({}));
    let changed = |name: &str, value: serde_json::Value| {
        let mut header = header();
        header[name] = value;
        header
    };
    let hmac = |key: &[u8]| {
        let header = changed("alg", json!("HS256"));
        sign(&header, &good, &EncodingKey::from_secret(key), Algorithm::HS256)
    };
    let stranger = Signer::new();
    let with_own_key = {
        let jwks: serde_json::Value = serde_json::from_str(&stranger.jwks()).unwrap();
        changed("jwk", jwks["keys"][0].clone())
    };
    let whole = gate.signer.sign(&header(), &good);
    let parts: Vec<&str> = whole.split('.').collect();
    let other = gate.signer.sign(&header(), &claims(NOW_S, &json!({ "roles": ["stranger"] })));
    let others: Vec<&str> = other.split('.').collect();
    let no_alg = unsigned(&changed("alg", json!("none")), &good);
    let tokens = [
        ("no algorithm", format!("{no_alg}.")),
        ("no algorithm, old signature", format!("{no_alg}.{}", parts[2])),
        ("None", format!("{}.", unsigned(&changed("alg", json!("None")), &good))),
        ("HS256 with the public PEM", hmac(gate.signer.public_pem().as_bytes())),
        ("HS256 with the JWK Set", hmac(gate.signer.jwks().as_bytes())),
        ("HS256 with nothing", hmac(b"")),
        ("another key", stranger.sign(&header(), &good)),
        ("a key in the token", stranger.sign(&with_own_key, &good)),
        (
            "a key at an address",
            stranger.sign(&changed("jku", json!("https://evil.example/jwks")), &good),
        ),
        ("an unknown key", gate.signer.sign(&changed("kid", json!("k2")), &good)),
        ("a path as key", gate.signer.sign(&changed("kid", json!("../../jwks.json")), &good)),
        ("another algorithm", gate.signer.sign(&changed("alg", json!("ES384")), &good)),
        ("a critical extension", gate.signer.sign(&changed("crit", json!(["exp"])), &good)),
        ("no critical extension", gate.signer.sign(&changed("crit", json!([])), &good)),
        ("an encrypted token", gate.signer.sign(&changed("typ", json!("JWE")), &good)),
        ("claims of another token", format!("{}.{}.{}", parts[0], others[1], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{whole}.x")),
        ("padding", format!("{whole}=")),
        ("too long", "a".repeat(9000)),
    ];
    let mut connection = gate.h1().await;
    for (what, token) in tokens {
        let answer = connection.send(Ask::get("/one/1").by(&token)).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        let asked = answer.header("www-authenticate").unwrap();
        assert_eq!(asked, "Bearer error=\"invalid_token\"", "{what}");
        assert!(!answer.text().contains("signature"), "{what}: no hint for the next try");
    }
    assert_eq!(gate.upstream.hits(), 0);
    connection.send(Ask::get("/one/1").by(&whole)).await.expect(200);
}

#[tokio::test]
async fn a_token_for_another_time_place_or_house_opens_nothing() {
    let gate = started().await;
    let mut connection = gate.h1().await;
    for changes in [
        json!({ "exp": NOW_S - 31 }),
        json!({ "exp": null }),
        json!({ "exp": (NOW_S + 300).to_string() }),
        json!({ "exp": NOW_S as f64 - 30.5 }),
        json!({ "nbf": NOW_S as f64 + 30.5 }),
        json!({ "nbf": NOW_S + 31 }),
        json!({ "nbf": "now" }),
        json!({ "iat": NOW_S + 31 }),
        json!({ "auth_time": NOW_S + 31 }),
        json!({ "aud": "another" }),
        json!({ "aud": [] }),
        json!({ "aud": null }),
        json!({ "aud": { "menshen": true } }),
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": "https://login.example/" }),
        json!({ "iss": ["https://login.example"] }),
        json!({ "iss": null }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": 7 }),
        json!({ "sub": "a\nb" }),
        json!({ "roles": 7 }),
        json!({ "roles": [["teller"]] }),
        json!({ "cnf": { "jkt": "x" } }),
    ] {
        let answer = connection.send(Ask::get("/one/1").by(&gate.token(&changes))).await;
        assert_eq!(answer.status, 401, "{changes}: {}", answer.text());
    }
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn no_two_accounts_have_one_name_in_the_log() {
    let mut gate = started().await;
    // With the issuer's name and two more it has the 200 bytes that a line of the log has.
    let long = "a".repeat(193);
    let mut connection = gate.h1().await;
    for (sub, status) in [
        (long.clone() + "bb", 200),
        (long.clone() + "bc", 200),
        (long + "bbb", 401),
        ("wang\u{200b}".to_owned(), 401),
        ("wang".to_owned(), 200),
    ] {
        let token = gate.token(&json!({ "sub": sub }));
        connection.send(Ask::get("/one/1").by(&token)).await.expect(status);
    }
    let entries = gate.entries().await;
    let actors = entries.iter().filter_map(|entry| Some(entry.actor.as_ref()?.account.to_string()));
    assert_eq!(actors.collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn a_token_ends_when_it_says_also_if_it_was_good_a_moment_ago() {
    let gate = started().await;
    let token = gate.token(&json!({ "exp": NOW_S + 60 }));
    let mut connection = gate.h1().await;
    for (seconds, status) in [(0, 200), (60, 200), (29, 200), (1, 401)] {
        gate.advance_s(seconds);
        connection.send(Ask::get("/one/1").by(&token)).await.expect(status);
    }
}

#[tokio::test]
async fn two_credentials_or_one_in_a_strange_form_are_refused() {
    let gate = started().await;
    gate.add_account("wang", "a quiet lantern", "teller").await;
    let (token, cookie) = (gate.teller(), gate.sign_in("wang", "a quiet lantern").await);
    let mut connection = gate.h1().await;
    let get = || Ask::get("/one/1").header("menshen-purpose", "service");
    for ask in [
        get().bearer(&token).cookie(&cookie),
        get().bearer(&token).bearer(&token),
        get().cookie(&cookie).cookie(&cookie),
        get().header("cookie", &format!("__Host-menshen={cookie}; __Host-menshen={cookie}")),
        get().bearer(&token).header("cookie", "__Host-menshen=x"),
        get().header("authorization", &token),
        get().header("authorization", &format!("Basic {token}")),
        get().header("authorization", &format!("Bearer {token}, Bearer {token}")),
        get().header("authorization", "Bearer"),
        get().header("cookie", &format!("__Host-menshen=\"{cookie}\"")),
    ] {
        let answer = connection.send(ask.clone()).await;
        assert_eq!(answer.status, 401, "{ask:?}: {}", answer.text());
    }
    for ask in [
        Ask::get(&format!("/one/1?access_token={token}")),
        Ask::get("/one/1").header("x-access-token", &token),
        Ask::get("/one/1").header("proxy-authorization", &format!("Bearer {token}")),
        Ask::get("/one/1").header("cookie", &format!("menshen={cookie}")),
        Ask::get("/one/1").header("cookie", &format!("__host-menshen={cookie}")),
    ] {
        connection.send(ask).await.expect(401);
    }
    assert_eq!(gate.upstream.hits(), 0);
    connection.send(get().bearer(&token)).await.expect(200);
    connection.send(get().cookie(&cookie)).await.expect(200);
    connection
        .send(get().header("cookie", &format!("a=b; __Host-menshen={cookie}; c=d")))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_key_that_was_taken_away_opens_nothing_after_a_restart() {
    let mut gate = started().await;
    let token = gate.teller();
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(200);
    std::fs::write(gate.path("jwks.json"), Signer::new().jwks()).unwrap();
    gate.restart().await;
    gate.ask(Ask::get("/one/1").by(&token)).await.expect(401);
}
