//! An authenticator in software: makes passkeys and signs with them, rightly or as the test bends it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub(crate) const USER_PRESENT: u8 = 0x01;
pub(crate) const USER_VERIFIED: u8 = 0x04;
pub(crate) const BACKUP_ELIGIBLE: u8 = 0x08;
pub(crate) const BACKED_UP: u8 = 0x10;
pub(crate) const ATTESTED: u8 = 0x40;
pub(crate) const EXTENSIONS: u8 = 0x80;

enum Key {
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
}

/// A passkey in somebody's hands. What is public may be bent.
pub(crate) struct Passkey {
    key: Key,
    pub(crate) id: Vec<u8>,
    pub(crate) user_handle: Vec<u8>,
    pub(crate) rp_id: String,
    pub(crate) flags: u8,
    pub(crate) sign_count: u32,
}

/// What a new passkey hands over.
pub(crate) struct Made {
    pub(crate) client_data: Vec<u8>,
    pub(crate) attestation_object: Vec<u8>,
}

/// What a passkey signed.
pub(crate) struct Shown {
    pub(crate) client_data: Vec<u8>,
    pub(crate) authenticator_data: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl Passkey {
    /// A key of this COSE algorithm that knows its person.
    pub(crate) fn new(algorithm: i64, rp_id: &str) -> Self {
        let key = match algorithm {
            -7 => Key::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
            -35 => Key::Es384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap()),
            -8 => Key::EdDsa(Ed25519KeyPair::generate().unwrap()),
            -257 => Key::Rs256(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
            other => panic!("no such algorithm: {other}"),
        };
        let mut id = vec![0; 32];
        aws_lc_rs::rand::fill(&mut id).unwrap();
        Self {
            key,
            id,
            user_handle: Vec::new(),
            rp_id: rp_id.to_owned(),
            flags: USER_PRESENT | USER_VERIFIED,
            sign_count: 0,
        }
    }

    pub(crate) fn make(&self, challenge: &str, origin: &str) -> Made {
        let client_data = client_data("webauthn.create", challenge, origin);
        Made {
            client_data,
            attestation_object: none(&self.data(self.flags | ATTESTED, &self.attested())),
        }
    }

    /// Signs once more.
    pub(crate) fn sign(&mut self, challenge: &str, origin: &str) -> Shown {
        self.sign_count += 1;
        let client_data = client_data("webauthn.get", challenge, origin);
        let authenticator_data = self.data(self.flags, &[]);
        self.sign_over(client_data, authenticator_data)
    }

    pub(crate) fn sign_over(&self, client_data: Vec<u8>, authenticator_data: Vec<u8>) -> Shown {
        let hash = digest(&SHA256, &client_data);
        let message = [authenticator_data.as_slice(), hash.as_ref()].concat();
        let random = SystemRandom::new();
        let signature = match &self.key {
            Key::Es256(key) | Key::Es384(key) => {
                key.sign(&random, &message).unwrap().as_ref().to_vec()
            }
            Key::EdDsa(key) => key.sign(&message).as_ref().to_vec(),
            Key::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature).unwrap();
                signature
            }
        };
        Shown { client_data, authenticator_data, signature }
    }

    /// Authenticator data with these flags and this behind the counter.
    pub(crate) fn data(&self, flags: u8, behind: &[u8]) -> Vec<u8> {
        let hash = digest(&SHA256, self.rp_id.as_bytes());
        [hash.as_ref(), &[flags], &self.sign_count.to_be_bytes(), behind].concat()
    }

    /// The new key as it stands in authenticator data.
    pub(crate) fn attested(&self) -> Vec<u8> {
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        [&[0; 16], length.as_slice(), &self.id, &self.cose_key()].concat()
    }

    pub(crate) fn cose_key(&self) -> Vec<u8> {
        match &self.key {
            Key::Es256(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = point[1..].split_at(32);
                [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32], x, &[0x22, 0x58, 32], y].concat()
            }
            Key::Es384(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = point[1..].split_at(48);
                let head = [0xa5, 1, 2, 3, 0x38, 34, 0x20, 2, 0x21, 0x58, 48];
                [head.as_slice(), x, &[0x22, 0x58, 48], y].concat()
            }
            Key::EdDsa(key) => {
                let head = [0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32];
                [head.as_slice(), key.public_key().as_ref()].concat()
            }
            Key::Rs256(key) => {
                // The modulus in the key's DER: behind two headers and a zero, 256 bytes for 2048 bits.
                let modulus = &key.public_key().as_ref()[9..265];
                let head = [0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59, 1, 0];
                [head.as_slice(), modulus, &[0x21, 0x43, 1, 0, 1]].concat()
            }
        }
    }

    /// As a browser's `credential.toJSON()` gives a new passkey.
    pub(crate) fn made_json(&self, made: &Made) -> Value {
        json!({
            "id": text(&self.id), "rawId": text(&self.id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": text(&made.client_data),
                "attestationObject": text(&made.attestation_object),
                "transports": ["internal"],
            },
        })
    }

    /// As a browser's `credential.toJSON()` gives a signature.
    pub(crate) fn shown_json(&self, shown: &Shown) -> Value {
        json!({
            "id": text(&self.id), "rawId": text(&self.id), "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": text(&shown.client_data),
                "authenticatorData": text(&shown.authenticator_data),
                "signature": text(&shown.signature),
                "userHandle": text(&self.user_handle),
            },
        })
    }
}

pub(crate) fn client_data(kind: &str, challenge: &str, origin: &str) -> Vec<u8> {
    format!(
        r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#
    )
    .into_bytes()
}

/// An attestation object without a statement.
pub(crate) fn none(data: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(data.len()).unwrap().to_be_bytes();
    let length = if high == 0 { vec![0x58, low] } else { vec![0x59, high, low] };
    [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData".as_slice(), &length, data].concat()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
