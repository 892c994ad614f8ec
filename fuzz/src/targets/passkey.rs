//! What browsers and authenticators say: no bytes make the verifier fall over, and none has two readings.

use menshen::identity::passkey::{
    Assertion, Ceremony, Expected, Fault, Known, Registered, assert, challenge_of, register,
};

const EXPECTED: Expected<'_> =
    Expected { challenge: "Y2hhbGxlbmdl", origin: "https://bank.example", rp_id: "bank.example" };

/// Client data, the length of which stands in front, and what the authenticator says: as a registration, then as
/// a signature, which nobody can have made.
pub fn passkey(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_be_bytes(*length));
    let Some((client_data, said)) = rest.split_at_checked(length) else { return };
    for ceremony in [Ceremony::Registration, Ceremony::Assertion] {
        let challenge = challenge_of(client_data, ceremony);
        assert_eq!(challenge, challenge_of(client_data, ceremony));
    }
    if let Ok(registered) = register(client_data, said, &EXPECTED) {
        made(client_data, said, &registered);
    }
    let (authenticator_data, signature) = said.split_at(said.len().min(37));
    let assertion = Assertion { client_data, authenticator_data, signature };
    let known = Known { key: said, sign_count: 0, is_backup_eligible: false };
    assert!(assert(&assertion, &known, &EXPECTED).is_err(), "nobody has signed");
}

/// An attestation object alone, so that every change falls into its CBOR, its data and its key.
pub fn attestation(said: &[u8]) {
    let client_data = br#"{"type":"webauthn.create","challenge":"Y2hhbGxlbmdl","origin":"https://bank.example","crossOrigin":false}"#;
    let Ok(registered) = register(client_data, said, &EXPECTED) else { return };
    made(client_data, said, &registered);
    // Its key can be used, and the signature of nobody is not that of its holder.
    let asked =
        br#"{"type":"webauthn.get","challenge":"Y2hhbGxlbmdl","origin":"https://bank.example"}"#;
    let start = said.windows(32).position(|window| window == HOST_HASH);
    let start = start.expect("the hash of the host stands in it");
    let flags = [1 | u8::from(registered.is_backup_eligible) << 3];
    let data = [&said[start..start + 32], &flags, &u32::MAX.to_be_bytes()].concat();
    let assertion =
        Assertion { client_data: asked, authenticator_data: &data, signature: &[0x30, 0, 0] };
    let is_backup_eligible = registered.is_backup_eligible;
    let known = Known { key: &registered.key, sign_count: 0, is_backup_eligible };
    let said = assert(&assertion, &known, &EXPECTED);
    assert!(matches!(said, Err(Fault::Signature)), "{said:?}");
}

/// SHA-256 of `bank.example`.
const HOST_HASH: [u8; 32] = [
    0x05, 0xbe, 0x55, 0xaf, 0x50, 0x8c, 0x55, 0x55, 0xd8, 0x06, 0xd5, 0xbd, 0x54, 0x90, 0xf5, 0xe2,
    0x1d, 0xab, 0x9a, 0x10, 0x1b, 0x88, 0x36, 0x7f, 0x8d, 0x1d, 0x06, 0x3f, 0x8c, 0x3b, 0xfc, 0x3f,
];

fn made(client_data: &[u8], said: &[u8], registered: &Registered) {
    let again = |said: &[u8]| register(client_data, said, &EXPECTED);
    assert_eq!(again(said).as_ref(), Ok(registered));
    assert!(again(&[said, &[0]].concat()).is_err(), "something stands behind it");
    assert!(again(&said[..said.len() - 1]).is_err(), "it is cut");
    assert!((1..=1023).contains(&registered.id.len()));
    assert!(!registered.key.is_empty() && registered.key.len() < said.len());
}
