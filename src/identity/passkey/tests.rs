//! Ceremonies as an authenticator in software holds them, and everything that can be bent about them.

#[path = "../../../tests/it/harness/authenticator.rs"]
#[allow(dead_code, reason = "the tests of the whole gate use the rest of it")]
mod authenticator;

use authenticator::{
    ATTESTED, BACKED_UP, BACKUP_ELIGIBLE, EXTENSIONS, Made, Passkey, Shown, USER_PRESENT,
    USER_VERIFIED, none,
};

use super::*;

const CHALLENGE: &str = "Y2hhbGxlbmdl";
const ORIGIN: &str = "https://bank.example";
const HOST: &str = "bank.example";
const EXPECTED: Expected<'_> = Expected { challenge: CHALLENGE, origin: ORIGIN, rp_id: HOST };

fn made(made: &Made) -> Result<Registered, Fault> {
    register(&made.client_data, &made.attestation_object, &EXPECTED)
}

fn key() -> Passkey {
    Passkey::new(-7, HOST)
}

fn shown(passkey: &Passkey, shown: &Shown, sign_count: u32) -> Result<Asserted, Fault> {
    let assertion = Assertion {
        client_data: &shown.client_data,
        authenticator_data: &shown.authenticator_data,
        signature: &shown.signature,
    };
    let is_backup_eligible = passkey.flags & BACKUP_ELIGIBLE != 0;
    let known = Known { key: &passkey.cose_key(), sign_count, is_backup_eligible };
    assert(&assertion, &known, &EXPECTED)
}

/// The registration of a key whose authenticator data are these.
fn with_data(passkey: &Passkey, data: &[u8]) -> Result<Registered, Fault> {
    let client_data = passkey.make(CHALLENGE, ORIGIN).client_data;
    made(&Made { client_data, attestation_object: none(data) })
}

/// The registration of a key with this attestation object.
fn with_object(object: &[u8]) -> Result<Registered, Fault> {
    let client_data = key().make(CHALLENGE, ORIGIN).client_data;
    register(&client_data, object, &EXPECTED)
}

#[test]
fn keys_of_every_algorithm_offered_are_made_and_sign() {
    for algorithm in Algorithm::ALL {
        let mut passkey = Passkey::new(algorithm.number(), HOST);
        let registered = made(&passkey.make(CHALLENGE, ORIGIN)).unwrap();
        assert_eq!((registered.algorithm, registered.sign_count), (algorithm, 0));
        assert_eq!((&registered.id, &registered.key), (&passkey.id, &passkey.cose_key()));
        assert!(registered.is_user_verified && !registered.is_backup_eligible);
        let signed = passkey.sign(CHALLENGE, ORIGIN);
        let asserted = shown(&passkey, &signed, 0).unwrap();
        assert_eq!((asserted.sign_count, asserted.is_user_verified), (1, true), "{algorithm:?}");
        let other = Passkey::new(algorithm.number(), HOST);
        assert_eq!(shown(&other, &signed, 0), Err(Fault::Signature), "{algorithm:?}");
    }
}

#[test]
fn a_signature_is_over_every_bit_of_what_was_said() {
    let mut passkey = key();
    let signed = passkey.sign(CHALLENGE, ORIGIN);
    for place in 32..signed.authenticator_data.len() {
        let mut bent = signed.authenticator_data.clone();
        bent[place] ^= 0x04;
        let bent = Shown {
            client_data: signed.client_data.clone(),
            authenticator_data: bent,
            signature: signed.signature.clone(),
        };
        assert_eq!(shown(&passkey, &bent, 0), Err(Fault::Signature), "byte {place}");
    }
    let spaced = [signed.client_data.as_slice(), b" "].concat();
    let bent = Shown { client_data: spaced, ..signed };
    assert_eq!(shown(&passkey, &bent, 0), Err(Fault::Signature));
}

#[test]
fn a_cleared_bit_of_user_verification_is_seen_and_cannot_be_set_again() {
    let mut passkey = key();
    passkey.flags = USER_PRESENT;
    let mut signed = passkey.sign(CHALLENGE, ORIGIN);
    assert!(!shown(&passkey, &signed, 0).unwrap().is_user_verified);
    signed.authenticator_data[32] |= USER_VERIFIED;
    assert_eq!(shown(&passkey, &signed, 0), Err(Fault::Signature));
    assert!(!made(&passkey.make(CHALLENGE, ORIGIN)).unwrap().is_user_verified);
}

#[test]
fn nobody_present_is_refused() {
    let mut passkey = key();
    passkey.flags = USER_VERIFIED;
    let signed = passkey.sign(CHALLENGE, ORIGIN);
    assert_eq!(shown(&passkey, &signed, 0), Err(Fault::Absent));
    assert_eq!(made(&passkey.make(CHALLENGE, ORIGIN)), Err(Fault::Absent));
}

#[test]
fn another_challenge_origin_host_or_ceremony_is_refused() {
    for (challenge, origin, fault) in [
        ("Y2hhbGxlbmdm", ORIGIN, Fault::Challenge),
        ("Y2hhbGxlbmdl=", ORIGIN, Fault::Challenge),
        ("", ORIGIN, Fault::Challenge),
        (CHALLENGE, "http://bank.example", Fault::Origin),
        (CHALLENGE, "https://bank.example:8443", Fault::Origin),
        (CHALLENGE, "https://bank.example.evil.example", Fault::Origin),
        (CHALLENGE, "https://BANK.example", Fault::Origin),
        (CHALLENGE, "https://bank.example/", Fault::Origin),
        (CHALLENGE, "null", Fault::Origin),
    ] {
        let mut passkey = key();
        assert_eq!(made(&passkey.make(challenge, origin)), Err(fault), "{challenge} {origin}");
        let signed = passkey.sign(challenge, origin);
        assert_eq!(shown(&passkey, &signed, 0), Err(fault), "{challenge} {origin}");
    }
    let mut elsewhere = Passkey::new(-7, "evil.example");
    assert_eq!(made(&elsewhere.make(CHALLENGE, ORIGIN)), Err(Fault::RelyingParty));
    let signed = elsewhere.sign(CHALLENGE, ORIGIN);
    assert_eq!(shown(&elsewhere, &signed, 0), Err(Fault::RelyingParty));
    let passkey = key();
    let kinds = ["webauthn.create", "webauthn.get", "payment.get", ""];
    for (kind, register_fault, assert_fault) in
        kinds.map(|k| (k, k != "webauthn.create", k != "webauthn.get"))
    {
        let data = authenticator::client_data(kind, CHALLENGE, ORIGIN);
        let object = passkey.make(CHALLENGE, ORIGIN).attestation_object;
        let registered = register(&data, &object, &EXPECTED);
        assert_eq!(registered.err(), register_fault.then_some(Fault::Type), "{kind}");
        let signed = passkey.sign_over(data, passkey.data(passkey.flags, &[]));
        assert_eq!(
            shown(&passkey, &signed, 0).err(),
            assert_fault.then_some(Fault::Type),
            "{kind}"
        );
    }
}

#[test]
fn client_data_that_could_be_read_in_two_ways_are_refused() {
    let good = r#"{"type":"webauthn.get","challenge":"Y2hhbGxlbmdl","origin":"https://bank.example","crossOrigin":false}"#;
    let open = good.strip_suffix('}').unwrap();
    let cases = [
        (good.to_owned(), None),
        (format!("{open},\"other\":{{\"a\":[1]}}}}"), None),
        (good.replace("false", "true"), Some(Fault::Framed)),
        (good.replace("false", "null"), Some(Fault::Framed)),
        (good.replace("false", "\"false\""), Some(Fault::Framed)),
        (format!("{open},\"topOrigin\":\"https://evil.example\"}}"), Some(Fault::Framed)),
        (format!("{open},\"origin\":\"https://bank.example\"}}"), Some(Fault::ClientData)),
        (format!("{open},\"ori\\u0067in\":\"https://bank.example\"}}"), Some(Fault::ClientData)),
        (format!("{open},\"challenge\":\"x\"}}"), Some(Fault::ClientData)),
        (format!("{open},\"other\":1,\"other\":1}}"), Some(Fault::ClientData)),
        (format!("\u{feff}{good}"), Some(Fault::ClientData)),
        (format!("{good}{good}"), Some(Fault::ClientData)),
        (format!("[{good}]"), Some(Fault::ClientData)),
        (good.replace("\"webauthn.get\"", "[\"webauthn.get\"]"), Some(Fault::ClientData)),
        (good.replace("\"challenge\"", "\"Challenge\""), Some(Fault::ClientData)),
        (format!("{good}{}", " ".repeat(4096)), Some(Fault::ClientData)),
        ("[".repeat(4000), Some(Fault::ClientData)),
        (String::new(), Some(Fault::ClientData)),
    ];
    let passkey = key();
    for (text, fault) in cases {
        let data = passkey.data(passkey.flags, &[]);
        let signed = passkey.sign_over(text.clone().into_bytes(), data);
        assert_eq!(shown(&passkey, &signed, 0).err(), fault, "{text}");
    }
    let not_text = [good.as_bytes(), b"\xff"].concat();
    let signed = passkey.sign_over(not_text, passkey.data(passkey.flags, &[]));
    assert_eq!(shown(&passkey, &signed, 0), Err(Fault::ClientData));
}

#[test]
fn a_counter_that_goes_back_or_stands_still_betrays_a_copy() {
    let mut passkey = key();
    passkey.sign_count = 7;
    let signed = passkey.sign(CHALLENGE, ORIGIN);
    for (known, outcome) in
        [(0, Ok(8)), (7, Ok(8)), (8, Err(Fault::Cloned)), (9, Err(Fault::Cloned))]
    {
        let said = shown(&passkey, &signed, known).map(|asserted| asserted.sign_count);
        assert_eq!(said, outcome, "{known}");
    }
    let silent = key();
    let signed = silent.sign_over(
        authenticator::client_data("webauthn.get", CHALLENGE, ORIGIN),
        silent.data(silent.flags, &[]),
    );
    assert_eq!(shown(&silent, &signed, 0).map(|asserted| asserted.sign_count), Ok(0));
    assert_eq!(shown(&silent, &signed, 1), Err(Fault::Cloned), "it counted before");
}

#[test]
fn what_is_said_of_copies_must_fit_together() {
    let mut passkey = key();
    passkey.flags |= BACKUP_ELIGIBLE | BACKED_UP;
    let registered = made(&passkey.make(CHALLENGE, ORIGIN)).unwrap();
    assert!(registered.is_backup_eligible && registered.is_backed_up);
    let signed = passkey.sign(CHALLENGE, ORIGIN);
    assert!(shown(&passkey, &signed, 0).unwrap().is_backed_up);
    passkey.flags &= !BACKUP_ELIGIBLE;
    assert_eq!(made(&passkey.make(CHALLENGE, ORIGIN)), Err(Fault::Backup));
    passkey.flags &= !BACKED_UP;
    assert_eq!(shown(&passkey, &signed, 0), Err(Fault::Backup), "it was not eligible before");
}

#[test]
fn authenticator_data_with_too_little_or_too_much_are_refused() {
    let passkey = key();
    let good = passkey.data(passkey.flags | ATTESTED, &passkey.attested());
    assert!(with_data(&passkey, &good).is_ok());
    for length in 0..good.len() {
        assert!(with_data(&passkey, &good[..length]).is_err(), "{length}");
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(with_data(&passkey, &longer), Err(Fault::Data));
    let no_key = passkey.data(passkey.flags, &[]);
    assert_eq!(with_data(&passkey, &no_key), Err(Fault::Data));
    let extended = |behind: &[u8]| {
        let all = [&passkey.attested(), behind].concat();
        with_data(&passkey, &passkey.data(passkey.flags | ATTESTED | EXTENSIONS, &all))
    };
    assert!(extended(&[0xa1, 0x61, b'x', 0xf5]).is_ok());
    assert_eq!(extended(&[]), Err(Fault::Cbor(CborFault::Cut)));
    assert_eq!(extended(&[0x01]), Err(Fault::Data));
    assert_eq!(extended(&[0xa0, 0x00]), Err(Fault::Data));
    let mut long = key();
    long.id = vec![7; 1024];
    assert_eq!(made(&long.make(CHALLENGE, ORIGIN)), Err(Fault::Data));
    let mut nameless = key();
    nameless.id = Vec::new();
    assert_eq!(made(&nameless.make(CHALLENGE, ORIGIN)), Err(Fault::Data));
    let with_key = passkey.sign_over(
        authenticator::client_data("webauthn.get", CHALLENGE, ORIGIN),
        passkey.data(passkey.flags | ATTESTED, &passkey.attested()),
    );
    assert_eq!(shown(&passkey, &with_key, 0), Err(Fault::Data), "a key beside a signature");
}

#[test]
fn keys_of_another_algorithm_or_form_are_refused() {
    let passkey = key();
    let with_key = |cose: &[u8]| {
        let id = [&[0; 16], [0, 1, 9].as_slice(), cose].concat();
        with_data(&passkey, &passkey.data(passkey.flags | ATTESTED, &id))
    };
    let cose = passkey.cose_key();
    assert!(with_key(&cose).is_ok());
    let bent = |place: usize, byte: u8| {
        let mut bent = cose.clone();
        bent[place] = byte;
        with_key(&bent)
    };
    assert_eq!(bent(4, 0x25), Err(Fault::Algorithm), "-6");
    assert_eq!(bent(4, 0x07), Err(Fault::Algorithm), "7");
    assert_eq!(bent(4, 0x27), Err(Fault::Key), "EdDSA with a point");
    assert_eq!(bent(2, 0x01), Err(Fault::Key), "another key type");
    assert_eq!(bent(6, 0x02), Err(Fault::Key), "another curve");
    assert_eq!(bent(20, cose[20] ^ 1), Err(Fault::Key), "a point that is not on the curve");
    let with_more = [&[0xa6], &cose[1..], &[0x02, 0x41, 0x00]].concat();
    assert_eq!(with_key(&with_more), Err(Fault::Key), "a `kid`");
    let twice = [&[0xa6], &cose[1..], &cose[1..3]].concat();
    assert_eq!(with_key(&twice), Err(Fault::Cbor(CborFault::Duplicate)));
    assert_eq!(with_key(&[0x80]), Err(Fault::Key));
    assert_eq!(with_key(&[0xa0]), Err(Fault::Key));
    let rsa = Passkey::new(-257, HOST).cose_key();
    let exponent = [&rsa[..rsa.len() - 4], &[0x41, 3]].concat();
    assert_eq!(with_key(&exponent), Err(Fault::Key), "the exponent 3");
    let small = [
        &[0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x58, 128],
        [0xff; 128].as_slice(),
        &rsa[rsa.len() - 5..],
    ];
    assert_eq!(with_key(&small.concat()), Err(Fault::Key), "1024 bits");
}

#[test]
fn attestation_objects_of_another_form_are_refused() {
    let passkey = key();
    let data = passkey.data(passkey.flags | ATTESTED, &passkey.attested());
    let good = none(&data);
    assert!(with_object(&good).is_ok());
    let trailing = [good.as_slice(), &[0]].concat();
    assert_eq!(with_object(&trailing), Err(Fault::Cbor(CborFault::Trailing)));
    let packed = [b"\xa3\x63fmt\x66packed".as_slice(), &good[10..]].concat();
    assert_eq!(with_object(&packed), Err(Fault::Attested));
    let statement = [&good[..18], b"\xa1\x63alg\x26", &good[19..]].concat();
    assert_eq!(with_object(&statement), Err(Fault::Attested), "`none` with a statement");
    let indefinite = [&[0xbf], &good[1..], &[0xff]].concat();
    assert_eq!(with_object(&indefinite), Err(Fault::Cbor(CborFault::Indefinite)));
    let twice = [&[0xa4], &good[1..], b"\x63fmt\x64none".as_slice()].concat();
    assert_eq!(with_object(&twice), Err(Fault::Cbor(CborFault::Duplicate)));
    let more = [&[0xa4], &good[1..], b"\x61x\x00".as_slice()].concat();
    assert_eq!(with_object(&more), Err(Fault::Attestation));
    assert_eq!(with_object(&[0xa0]), Err(Fault::Attestation));
    assert_eq!(with_object(&[0x80]), Err(Fault::Attestation));
    let deep = [b"\xa1\x63fmt".as_slice(), &[0x81; 10_000]].concat();
    assert_eq!(with_object(&deep), Err(Fault::Cbor(CborFault::TooDeep)));
    assert_eq!(with_object(&vec![0xa0; 1 << 20]), Err(Fault::Cbor(CborFault::TooLarge)));
    for length in 0..good.len() {
        assert!(with_object(&good[..length]).is_err(), "{length}");
    }
}

#[test]
fn the_challenge_is_read_before_anything_is_verified_but_only_of_the_right_ceremony() {
    let made = key().make(CHALLENGE, ORIGIN);
    let challenge = |ceremony| challenge_of(&made.client_data, ceremony);
    assert_eq!(challenge(Ceremony::Registration).as_deref(), Ok(CHALLENGE));
    assert_eq!(challenge(Ceremony::Assertion), Err(Fault::Type));
}

/// WebAuthn Level 3, section 16, as `tests/vectors/webauthn.py` makes it by the recipe there.
#[test]
fn the_vectors_of_the_w3c_are_made_and_sign() {
    let vectors = include_str!("../../../tests/vectors/webauthn.tsv");
    let rows = vectors.lines().filter(|line| !line.starts_with('#'));
    let mut algorithms = Vec::new();
    for row in rows {
        let columns: Vec<&str> = row.split('\t').collect();
        let [name, challenge, asked, made, object, shown, data, signature] = columns[..] else {
            panic!("{row}");
        };
        let [made, object, shown, data, signature] =
            [made, object, shown, data, signature].map(hex);
        let page =
            |challenge| Expected { challenge, origin: "https://example.org", rp_id: "example.org" };
        let registered = register(&made, &object, &page(challenge)).unwrap();
        let known = Known {
            key: &registered.key,
            sign_count: registered.sign_count,
            is_backup_eligible: registered.is_backup_eligible,
        };
        let assertion =
            Assertion { client_data: &shown, authenticator_data: &data, signature: &signature };
        assert!(assert(&assertion, &known, &page(asked)).is_ok(), "{name}");
        assert_eq!(assert(&assertion, &known, &page(challenge)), Err(Fault::Challenge), "{name}");
        let longer = [signature.as_slice(), &[0]].concat();
        let assertion = Assertion { signature: &longer, ..assertion };
        assert_eq!(assert(&assertion, &known, &page(asked)), Err(Fault::Signature), "{name}");
        algorithms.push(registered.algorithm);
    }
    assert!(Algorithm::ALL.iter().all(|algorithm| algorithms.contains(algorithm)));
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
