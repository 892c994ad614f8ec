//! What browsers and authenticators say: no bytes make the verifier fall over, and none has two readings.

use menshen::identity::passkey::{
    Assertion, Ceremony, Expected, Known, Registered, assert, challenge_of, register,
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

fn made(client_data: &[u8], said: &[u8], registered: &Registered) {
    let again = |said: &[u8]| register(client_data, said, &EXPECTED);
    assert_eq!(again(said).as_ref(), Ok(registered));
    assert!(again(&[said, &[0]].concat()).is_err(), "something stands behind it");
    assert!(again(&said[..said.len() - 1]).is_err(), "it is cut");
    assert!((1..=1023).contains(&registered.id.len()));
    assert!(!registered.key.is_empty() && registered.key.len() < said.len());
}
