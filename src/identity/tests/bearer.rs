//! Bearer tokens: every way to confuse a verifier that we know of, and the honest ones.
#![expect(clippy::wildcard_enum_match_arm, reason = "the crate's list of algorithms is open")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::KeyPair;
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://id.example";
/// Every algorithm that a token may have, one of each family and length.
pub(super) const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

/// A signing key and its public half as a JWK.
pub(super) struct Signer {
    kid: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
    pair: KeyPair,
}

impl Signer {
    pub(super) fn new(kid: &'static str, algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pair = KeyPair::generate_for(kind).unwrap();
        let pem = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        Self { kid, algorithm, key: key.unwrap(), pair }
    }

    fn jwk(&self) -> Value {
        let raw = self.pair.public_key_raw();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |crv: &str| {
            let (x, y) = raw[1..].split_at((raw.len() - 1) / 2);
            json!({ "kty": "EC", "crv": crv, "x": text(x), "y": text(y) })
        };
        let mut jwk = match self.algorithm {
            Algorithm::EdDSA => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(raw) }),
            Algorithm::ES256 => point("P-256"),
            Algorithm::ES384 => point("P-384"),
            _ => serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap())
                .unwrap(),
        };
        jwk["kid"] = json!(self.kid);
        if jwk["kty"] == "RSA" {
            jwk["alg"] = json!(self.algorithm);
        }
        jwk
    }

    pub(super) fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.kid })
    }

    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub(super) fn sign_text(&self, header: &str, claims: &str) -> String {
        sign(header, claims, &self.key, self.algorithm)
    }
}

/// A part of a token.
pub(super) fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn sign(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), key, algorithm).unwrap();
    format!("{text}.{signature}")
}

pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "menshen", "sub": "u17", "exp": NOW_S + 300, "iat": NOW_S - 10,
        "roles": ["teller", "teller", "auditor"], "jti": "t1",
    })
}

pub(super) fn changed(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

pub(super) fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// A gate with one issuer whose file has the keys of these signers.
pub(super) struct Gate {
    house: House,
    identity: Identity,
}

impl Gate {
    pub(super) fn new(signers: &[&Signer]) -> Self {
        Self::with(signers, |_| {})
    }

    fn with(signers: &[&Signer], set: impl FnOnce(&mut IssuerSettings)) -> Self {
        let mut house = House::new();
        let file = house.path("jwks.json");
        write_keys(&file, signers);
        let mut issuer = IssuerSettings::new("corp", ISSUER, "menshen", file);
        set(&mut issuer);
        house.settings.issuers = vec![issuer];
        let identity = house.open();
        Self { house, identity }
    }

    pub(super) async fn show(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        self.identity.authenticate(Credentials::Bearer(secret(token)), &here()).await
    }

    pub(super) async fn fault(&self, token: &str) -> TokenFault {
        match self.show(token).await {
            Err(AuthError::Token(fault)) => fault,
            other => panic!("expected a fault of the token, got {other:?}"),
        }
    }
}

fn write_keys(file: &std::path::Path, signers: &[&Signer]) {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    std::fs::write(file, json!({ "keys": keys }).to_string()).unwrap();
}

#[tokio::test]
async fn a_good_token_of_every_accepted_algorithm_makes_its_caller() {
    for algorithm in ALGORITHMS {
        let signer = Signer::new("a", algorithm);
        let gate = Gate::new(&[&signer]);
        let caller = gate.show(&signer.sign(&signer.header(), &claims())).await.unwrap();
        assert_eq!(caller.account, "corp:u17", "{algorithm:?}");
        assert_eq!(caller.roles, ["auditor", "teller"]);
        assert_eq!((caller.assurance, caller.factor_time(1)), (1, None));
    }
}

#[tokio::test]
async fn claims_become_attributes_assurance_and_the_age_of_the_factor() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::with(&[&signer], |issuer| {
        issuer.attributes =
            [("branch_code".into(), "branch".into()), ("x".into(), "y".into())].into();
        issuer.assurance = [("urn:mfa".into(), 2)].into();
        issuer.roles_claim = vec!["realm_access".into(), "roles".into()];
    });
    let mut claims = claims();
    claims["branch_code"] = json!("sh01");
    claims["acr"] = json!("urn:mfa");
    claims["auth_time"] = json!(NOW_S - 60);
    claims["realm_access"] = json!({ "roles": ["partner"] });
    let caller = gate.show(&signer.sign(&signer.header(), &claims)).await.unwrap();
    assert_eq!(caller.attributes, [("branch".into(), Attribute::Text("sh01".into()))].into());
    assert_eq!((caller.assurance, caller.factor_time(2)), (2, Some(NOW_S - 60)));
    assert_eq!(caller.roles, ["partner"]);
    let CredentialRef::Bearer { issuer, token, jti } = &caller.credential else { panic!() };
    assert_eq!(
        (issuer.as_str(), token.len(), jti.as_ref().map(String::len)),
        ("corp", 22, Some(22))
    );
}

#[tokio::test]
async fn a_claim_that_is_null_is_an_attribute_that_holds_nothing_and_not_as_good_as_none() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate =
        Gate::with(&[&signer], |i| i.attributes = [("tenant".into(), "tenant".into())].into());
    let shown = async |claims: Value| {
        gate.show(&signer.sign(&signer.header(), &claims)).await.unwrap().attributes.clone()
    };
    assert_eq!(shown(claims()).await, [].into());
    let emptied = shown(changed("tenant", json!(null))).await;
    assert_eq!(emptied, [("tenant".into(), Attribute::Null)].into());
    // A session keeps attributes as JSON.
    let kept = serde_json::to_string(&emptied).unwrap();
    assert_eq!(kept, r#"{"tenant":null}"#);
    assert_eq!(
        serde_json::from_str::<std::collections::BTreeMap<String, Attribute>>(&kept).unwrap(),
        emptied
    );
}

#[tokio::test]
async fn an_unknown_acr_gives_no_more_than_a_password() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::with(&[&signer], |i| i.assurance = [("urn:mfa".into(), 2)].into());
    let caller = gate.show(&signer.sign(&signer.header(), &changed("acr", json!("gold")))).await;
    assert_eq!(caller.unwrap().assurance, 1);
}

#[tokio::test]
async fn an_unsigned_token_is_refused_however_it_spells_none() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let mut header = signer.header();
        header["alg"] = json!(none);
        let token = signer.sign(&header, &claims());
        let unsigned = token.rsplit_once('.').unwrap().0;
        assert_eq!(gate.fault(&format!("{unsigned}.")).await, TokenFault::Algorithm, "{none}");
        assert_eq!(gate.fault(&token).await, TokenFault::Algorithm, "{none}");
        assert_eq!(gate.fault(unsigned).await, TokenFault::Malformed, "{none}");
    }
}

#[tokio::test]
async fn a_public_key_used_as_a_shared_secret_is_refused() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let signer = Signer::new("a", algorithm);
        let gate = Gate::new(&[&signer]);
        let pem = signer.pair.public_key_pem();
        let jwk = signer.jwk().to_string();
        for public in [pem.as_bytes(), signer.pair.public_key_raw(), jwk.as_bytes()] {
            for hmac in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let header = json!({ "alg": hmac, "typ": "JWT", "kid": "a" }).to_string();
                let key = EncodingKey::from_secret(public);
                let token = sign(&header, &claims().to_string(), &key, hmac);
                assert_eq!(gate.fault(&token).await, TokenFault::Algorithm);
            }
        }
    }
}

#[tokio::test]
async fn the_algorithm_is_that_of_the_key_and_not_of_the_header() {
    let signers = [
        Signer::new("rs", Algorithm::RS256),
        Signer::new("ps", Algorithm::PS256),
        Signer::new("es", Algorithm::ES256),
        Signer::new("e3", Algorithm::ES384),
        Signer::new("ed", Algorithm::EdDSA),
    ];
    let gate = Gate::new(&signers.each_ref());
    for signer in &signers {
        for other in &signers {
            // A good signature by `signer`, whose header names the key of `other` and either `alg`.
            for alg in [signer.algorithm, other.algorithm] {
                let header = json!({ "alg": alg, "kid": other.kid });
                let shown = gate.show(&signer.sign(&header, &claims())).await;
                let expected = match (signer.kid == other.kid, alg == other.algorithm) {
                    (true, _) => Ok(()),
                    (false, true) => Err(AuthError::Token(TokenFault::Signature)),
                    (false, false) => Err(AuthError::Token(TokenFault::Algorithm)),
                };
                assert_eq!(shown.map(drop), expected, "{} as {}", signer.kid, other.kid);
            }
        }
    }
    let rs = &signers[0];
    let pss = sign(&rs.header().to_string(), &claims().to_string(), &rs.key, Algorithm::PS256);
    assert_eq!(gate.fault(&pss).await, TokenFault::Signature);
    // The same key with a longer hash, which its issuer did not name.
    let longer = json!({ "alg": "RS512", "kid": "rs" }).to_string();
    let longer = sign(&longer, &claims().to_string(), &rs.key, Algorithm::RS512);
    assert_eq!(gate.fault(&longer).await, TokenFault::Algorithm);
}

#[tokio::test]
async fn a_token_brings_no_key_of_its_own() {
    let (ours, theirs) = (Signer::new("a", Algorithm::EdDSA), Signer::new("b", Algorithm::EdDSA));
    let gate = Gate::new(&[&ours]);
    for (name, value) in [
        ("jwk", theirs.jwk()),
        ("jwk", ours.jwk()),
        ("jwk", json!(null)),
        ("jku", json!("https://evil.example")),
        ("x5u", json!("https://evil.example")),
        ("x5c", json!(["AAAA"])),
    ] {
        let mut header = json!({ "alg": "EdDSA", "kid": "a" });
        header[name] = value;
        // Whoever signed it: the header alone is reason enough.
        for signer in [&ours, &theirs] {
            assert_eq!(gate.fault(&signer.sign(&header, &claims())).await, TokenFault::OwnKey);
        }
    }
    let header = |kid: Value| json!({ "alg": "EdDSA", "kid": kid, "x5t": "AAAA" });
    assert!(gate.show(&ours.sign(&header(json!("a")), &claims())).await.is_ok());
    let theirs = async |kid: Value| gate.fault(&theirs.sign(&header(kid), &claims())).await;
    assert_eq!(theirs(json!("a")).await, TokenFault::Signature);
    assert_eq!(theirs(json!("b")).await, TokenFault::Key);
    assert_eq!(theirs(json!(["a"])).await, TokenFault::Claim("kid"));
}

#[tokio::test]
async fn a_token_without_kid_is_refused_where_there_are_several_keys() {
    let (a, b) = (Signer::new("a", Algorithm::EdDSA), Signer::new("b", Algorithm::EdDSA));
    let token = a.sign(&json!({ "alg": "EdDSA" }), &claims());
    assert_eq!(Gate::new(&[&a, &b]).fault(&token).await, TokenFault::Key);
    assert!(Gate::new(&[&a]).show(&token).await.is_ok());
}

#[tokio::test]
async fn crit_and_foreign_types_are_refused() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("b64", json!(false)),
    ] {
        let mut header = signer.header();
        header[name] = value;
        assert_eq!(gate.fault(&signer.sign(&header, &claims())).await, TokenFault::Critical);
    }
    for (typ, accepted) in [
        ("at+jwt", true),
        ("application/at+jwt", true),
        ("jwt", true),
        ("dpop+jwt", false),
        ("logout+jwt", false),
        ("", false),
    ] {
        let mut header = signer.header();
        header["typ"] = json!(typ);
        let shown = gate.show(&signer.sign(&header, &claims())).await;
        let expected = if accepted { Ok(()) } else { Err(AuthError::Token(TokenFault::Type)) };
        assert_eq!(shown.map(drop), expected, "{typ}");
    }
}

#[tokio::test]
async fn claims_that_are_missing_or_of_another_type_are_refused() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate =
        Gate::with(&[&signer], |i| i.attributes = [("branch".into(), "branch".into())].into());
    let wrong = [
        (without("iss"), TokenFault::Issuer),
        (changed("iss", json!(7)), TokenFault::Claim("iss")),
        (changed("iss", json!([ISSUER])), TokenFault::Claim("iss")),
        (changed("iss", json!(null)), TokenFault::Claim("iss")),
        (changed("iss", json!("https://id.example/")), TokenFault::Issuer),
        (without("aud"), TokenFault::Claim("aud")),
        (changed("aud", json!({ "menshen": 1 })), TokenFault::Claim("aud")),
        (changed("aud", json!(["menshen", 7])), TokenFault::Claim("aud")),
        (changed("aud", json!([])), TokenFault::Audience),
        (changed("aud", json!("other")), TokenFault::Audience),
        (changed("aud", json!("menshen2")), TokenFault::Audience),
        (without("sub"), TokenFault::Claim("sub")),
        (changed("sub", json!(17)), TokenFault::Claim("sub")),
        (changed("sub", json!("")), TokenFault::Claim("sub")),
        (changed("sub", json!("a\nb")), TokenFault::Claim("sub")),
        (changed("sub", json!("a".repeat(196))), TokenFault::Claim("sub")),
        (changed("sub", json!("王".repeat(66))), TokenFault::Claim("sub")),
        (changed("sub", json!("wang\u{200b}")), TokenFault::Claim("sub")),
        (changed("sub", json!("wang\u{202e}")), TokenFault::Claim("sub")),
        (changed("sub", json!("wang\u{2060}")), TokenFault::Claim("sub")),
        (without("exp"), TokenFault::Claim("exp")),
        (changed("exp", json!("9999999999")), TokenFault::Claim("exp")),
        (changed("exp", json!(-1)), TokenFault::Claim("exp")),
        (changed("exp", json!(1e300)), TokenFault::Claim("exp")),
        (changed("exp", json!(u64::MAX)), TokenFault::Claim("exp")),
        (changed("nbf", json!("0")), TokenFault::Claim("nbf")),
        (changed("jti", json!(1)), TokenFault::Claim("jti")),
        (changed("acr", json!(2)), TokenFault::Claim("acr")),
        (changed("auth_time", json!("now")), TokenFault::Claim("auth_time")),
        (changed("auth_time", json!(NOW_S + 31)), TokenFault::NotYet),
        (changed("roles", json!([1])), TokenFault::Claim("roles")),
        (changed("roles", json!([["teller"]])), TokenFault::Claim("roles")),
        (changed("roles", json!({ "teller": true })), TokenFault::Claim("roles")),
        (changed("roles", json!("")), TokenFault::Claim("roles")),
        (changed("roles", json!(null)), TokenFault::Claim("roles")),
        (changed("exp", json!(-0.5)), TokenFault::Claim("exp")),
        (changed("exp", json!(1e13)), TokenFault::Claim("exp")),
        (changed("branch", json!({})), TokenFault::Claim("of an attribute")),
        (changed("branch", json!(1.5)), TokenFault::Claim("of an attribute")),
        (changed("cnf", json!({ "jwk": {} })), TokenFault::Bound),
    ];
    for (claims, fault) in wrong {
        let found = gate.fault(&signer.sign(&signer.header(), &claims)).await;
        assert_eq!(found, fault, "{claims}");
    }
}

#[tokio::test]
async fn a_list_of_audiences_may_name_us() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let claims = changed("aud", json!(["other", "menshen"]));
    assert!(gate.show(&signer.sign(&signer.header(), &claims)).await.is_ok());
}

#[tokio::test]
async fn a_name_that_stands_twice_is_refused_in_header_and_claims() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let claims = claims().to_string();
    let twice = claims.replacen('{', r#"{"sub":"admin","#, 1);
    let header = signer.header().to_string();
    assert_eq!(gate.fault(&signer.sign_text(&header, &twice)).await, TokenFault::Malformed);
    let header = header.replacen('{', r#"{"alg":"none","#, 1);
    assert_eq!(gate.fault(&signer.sign_text(&header, &claims)).await, TokenFault::Malformed);
    let inside =
        claims.replacen('{', r#"{"realm_access":{"roles":["teller"],"roles":["admin"]},"#, 1);
    let header = signer.header().to_string();
    assert_eq!(gate.fault(&signer.sign_text(&header, &inside)).await, TokenFault::Malformed);
}

#[tokio::test]
async fn claims_that_are_nested_too_deep_are_refused() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let nested = |lists: usize| {
        let inside = format!("{{\"deep\":{}{},", "[".repeat(lists), "]".repeat(lists));
        signer.sign_text(
            &signer.header().to_string(),
            &claims().to_string().replacen('{', &inside, 1),
        )
    };
    assert!(gate.show(&nested(7)).await.is_ok());
    for lists in [8, 120, 2_000] {
        assert_eq!(gate.fault(&nested(lists)).await, TokenFault::Malformed, "{lists}");
    }
}

#[tokio::test]
async fn longer_hashes_are_accepted_where_the_key_names_them() {
    for algorithm in [Algorithm::RS384, Algorithm::RS512, Algorithm::PS384, Algorithm::PS512] {
        let signer = Signer::new("a", algorithm);
        let gate = Gate::new(&[&signer]);
        assert!(gate.show(&signer.sign(&signer.header(), &claims())).await.is_ok());
        let other = sign(
            &signer.header().to_string(),
            &claims().to_string(),
            &signer.key,
            Algorithm::RS256,
        );
        assert_eq!(gate.fault(&other).await, TokenFault::Signature, "{algorithm:?}");
    }
}

#[tokio::test]
async fn a_hardware_key_of_which_the_issuer_tells_is_named_as_a_factor() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::with(&[&signer], |issuer| {
        issuer.methods_assurance = [("hwk".into(), 3)].into();
    });
    let token = signer.sign(&signer.header(), &changed("amr", json!(["pwd", "hwk"])));
    let caller = gate.show(&token).await.unwrap();
    let told: Vec<_> = caller.factors.iter().map(|factor| (factor.level, factor.method)).collect();
    assert_eq!(told, [(3, FactorMethod::HardwareKey), (1, FactorMethod::Password)]);
    assert_eq!(caller.assurance, 3);
    for amr in [json!("hwk"), json!([7]), json!({})] {
        let token = signer.sign(&signer.header(), &changed("amr", amr));
        assert_eq!(gate.fault(&token).await, TokenFault::Claim("amr"));
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_within_a_second_though_it_was_cached() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let other = gate.house.open();
    let token = |id: &str| signer.sign(&signer.header(), &changed("jti", json!(id)));
    let (one, two) = (token("x1"), token("x2"));
    assert!(gate.show(&one).await.is_ok() && gate.show(&two).await.is_ok());
    other.revoke_tokens("corp:u17", Some("x1")).await.unwrap();
    gate.house.advance_s(1);
    assert_eq!(gate.fault(&one).await, TokenFault::Revoked);
    assert!(gate.show(&two).await.is_ok(), "only the one with that id");
    other.revoke_tokens("corp:u17", None).await.unwrap();
    gate.house.advance_s(1);
    assert_eq!(gate.fault(&two).await, TokenFault::Revoked);
    let after =
        |seconds: i64| signer.sign(&signer.header(), &changed("iat", json!(NOW_S + seconds)));
    assert_eq!(gate.fault(&after(31)).await, TokenFault::Revoked, "within the leeway");
    assert!(gate.show(&after(32)).await.is_ok(), "issued afterwards");
    assert_eq!(
        gate.fault(&signer.sign(&signer.header(), &without("iat"))).await,
        TokenFault::Revoked
    );
    let mut theirs = changed("sub", json!("u18"));
    theirs["jti"] = json!("t3");
    assert!(gate.show(&signer.sign(&signer.header(), &theirs)).await.is_ok(), "of somebody else");
    // A gate that starts afterwards knows of it from its first token on.
    let again = gate.house.open();
    assert!(again.authenticate(Credentials::Bearer(secret(&one)), &here()).await.is_err());
    assert!(other.revoke_tokens("wang", None).await.is_err());
    let acts = other.pending_acts().await.unwrap();
    let names: Vec<_> = acts.iter().map(|act| act.name.as_str()).collect();
    assert_eq!(names, ["token_revoked", "tokens_revoked"]);
}

#[tokio::test]
async fn garbage_is_malformed_and_never_a_panic() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let good = signer.sign(&signer.header(), &claims());
    let deep = format!("{}{}", "[".repeat(2500), "]".repeat(2500));
    for token in ["", ".", "..", "...", "a.b.c", "e30.e30.", "é.é.é", &format!("{good}.x")] {
        gate.fault(token).await;
    }
    gate.fault(&signer.sign_text("[]", &claims().to_string())).await;
    gate.fault(&signer.sign_text(&signer.header().to_string(), &deep)).await;
    gate.fault(&good.replace('.', "=.")).await;
    for place in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        assert!(gate.show(&String::from_utf8(bytes).unwrap()).await.is_err(), "at {place}");
    }
}

#[tokio::test]
async fn an_oversize_token_is_refused_though_its_signature_is_good() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let padded = |length: usize| {
        signer.sign(&signer.header(), &changed("padding", json!("x".repeat(length))))
    };
    assert!(gate.show(&padded(5_000)).await.is_ok());
    assert_eq!(gate.show(&padded(8_000)).await, Err(AuthError::TokenTooLong));
}

#[tokio::test]
async fn time_is_judged_by_our_clock_with_the_leeway_and_no_more() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let sign = |name: &str, at: i64| signer.sign(&signer.header(), &changed(name, json!(at)));
    for (token, expected) in [
        (sign("exp", NOW_S - 29), None),
        (sign("exp", NOW_S - 30), Some(TokenFault::Expired)),
        (sign("nbf", NOW_S + 30), None),
        (sign("nbf", NOW_S + 31), Some(TokenFault::NotYet)),
        (sign("iat", NOW_S + 31), Some(TokenFault::NotYet)),
    ] {
        let expected = expected.map_or(Ok(()), |fault| Err(AuthError::Token(fault)));
        assert_eq!(gate.show(&token).await.map(drop), expected);
    }
}

#[tokio::test]
async fn a_time_with_a_fraction_counts_as_the_second_that_gives_the_token_less() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let sign = |name: &str, seconds: i64| {
        let half_past = serde_json::from_str(&format!("{seconds}.5")).unwrap();
        signer.sign(&signer.header(), &changed(name, half_past))
    };
    for (token, expected) in [
        (sign("exp", NOW_S - 29), None),
        (sign("exp", NOW_S - 30), Some(TokenFault::Expired)),
        (sign("nbf", NOW_S + 29), None),
        (sign("nbf", NOW_S + 30), Some(TokenFault::NotYet)),
        (sign("iat", NOW_S + 29), None),
        (sign("iat", NOW_S + 30), Some(TokenFault::NotYet)),
        (sign("auth_time", NOW_S + 30), Some(TokenFault::NotYet)),
    ] {
        let expected = expected.map_or(Ok(()), |fault| Err(AuthError::Token(fault)));
        assert_eq!(gate.show(&token).await.map(drop), expected);
    }
    let shown = gate.show(&sign("auth_time", NOW_S - 60)).await.unwrap();
    assert_eq!(shown.factor_time(0), Some(NOW_S - 60), "no younger than it is");
}

#[tokio::test]
async fn one_role_need_not_stand_in_a_list_and_is_one_whatever_is_in_it() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    for one in ["teller", "teller auditor", "teller,auditor"] {
        let token = signer.sign(&signer.header(), &changed("roles", json!(one)));
        assert_eq!(gate.show(&token).await.unwrap().roles, [one]);
    }
}

#[tokio::test]
async fn a_cached_token_still_expires() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::new(&[&signer]);
    let token = signer.sign(&signer.header(), &claims());
    let first = gate.show(&token).await.unwrap();
    gate.house.advance_s(329);
    assert_eq!(gate.show(&token).await.unwrap(), first);
    gate.house.advance_s(1);
    assert_eq!(gate.fault(&token).await, TokenFault::Expired);
}

#[tokio::test]
async fn a_token_whose_key_left_the_file_is_refused_though_it_was_cached() {
    let (old, new) = (Signer::new("old", Algorithm::EdDSA), Signer::new("new", Algorithm::ES256));
    let gate = Gate::new(&[&old]);
    let token = old.sign(&old.header(), &claims());
    assert!(gate.show(&token).await.is_ok());
    write_keys(&gate.house.path("jwks.json"), &[&new]);
    gate.house.advance_s(5);
    assert_eq!(gate.fault(&token).await, TokenFault::Key);
    assert!(gate.show(&new.sign(&new.header(), &claims())).await.is_ok());
}

#[tokio::test]
async fn keys_can_be_reloaded_at_once_and_a_bad_file_leaves_the_old_ones() {
    let (old, new) = (Signer::new("old", Algorithm::EdDSA), Signer::new("new", Algorithm::ES256));
    let gate = Gate::new(&[&old]);
    let file = gate.house.path("jwks.json");
    let token = old.sign(&old.header(), &claims());
    std::fs::write(&file, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#).unwrap();
    let error = gate.identity.reload_keys().unwrap_err().to_string();
    assert!(error.contains("jwks.json") && error.contains("shared secret"), "{error}");
    assert!(gate.show(&token).await.is_ok());
    std::fs::remove_file(&file).unwrap();
    assert!(gate.identity.reload_keys().is_err());
    assert!(gate.show(&token).await.is_ok());
    write_keys(&file, &[&new]);
    gate.identity.reload_keys().unwrap();
    assert_eq!(gate.fault(&token).await, TokenFault::Key);
}

#[tokio::test]
async fn an_issuer_vouches_only_for_its_own_keys() {
    let (ours, theirs) = (Signer::new("a", Algorithm::EdDSA), Signer::new("a", Algorithm::EdDSA));
    let mut house = House::new();
    for (name, signer) in [("one", &ours), ("two", &theirs)] {
        let file = house.path(name);
        write_keys(&file, &[signer]);
        let issuer = format!("https://{name}.example");
        house.settings.issuers.push(IssuerSettings::new(name, &issuer, "menshen", file));
    }
    let identity = house.open();
    let claims = changed("iss", json!("https://one.example"));
    let show = async |signer: &Signer| {
        let token = secret(&signer.sign(&signer.header(), &claims));
        let shown = identity.authenticate(Credentials::Bearer(token), &here()).await;
        shown.map(|caller| caller.account.clone())
    };
    assert_eq!(show(&ours).await, Ok("one:u17".into()));
    assert_eq!(show(&theirs).await, Err(AuthError::Token(TokenFault::Signature)));
}

#[tokio::test]
async fn what_a_token_says_of_a_device_is_believed_until_it_is_too_old() {
    let signer = Signer::new("a", Algorithm::EdDSA);
    let gate = Gate::with(&[&signer], |issuer| {
        let claim = |at: Option<&str>| PostureClaim {
            claim: "compliant".into(),
            at: at.map(str::to_owned),
            age_s: 600,
        };
        issuer.posture =
            [("compliant".into(), claim(Some("checked"))), ("issued".into(), claim(None))].into();
    });
    let token = |changes: Value| {
        let mut claims = claims();
        claims["iat"] = json!(NOW_S);
        claims["exp"] = json!(NOW_S + 3600);
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        signer.sign(&signer.header(), &claims)
    };
    let names =
        |caller: Arc<Caller>| caller.attributes.keys().cloned().collect::<Vec<_>>().join(" ");
    for (checked, wanted) in [
        (json!(NOW_S - 599), "compliant issued"),
        (json!(NOW_S - 600), "issued"),
        (json!(NOW_S + 31), "issued"),
        (json!(null), "issued"),
    ] {
        let token = token(json!({ "compliant": true, "checked": checked }));
        assert_eq!(names(gate.show(&token).await.unwrap()), wanted, "{checked}");
    }
    let bad = token(json!({ "compliant": true, "checked": "yesterday" }));
    let fault = TokenFault::Claim("of the time of a posture");
    assert_eq!(gate.show(&bad).await.unwrap_err(), fault.into());
    let none = token(json!({ "compliant": null, "checked": NOW_S }));
    assert_eq!(names(gate.show(&none).await.unwrap()), "");
    let token = token(json!({ "compliant": true, "checked": NOW_S - 300 }));
    for (advance_s, wanted) in
        [(0, "compliant issued"), (299, "compliant issued"), (1, "issued"), (300, "")]
    {
        gate.house.advance_s(advance_s);
        assert_eq!(names(gate.show(&token).await.unwrap()), wanted, "though it is remembered");
    }
}
