//! An authenticator in software: one passkey that says it knows its person, for a story without hands. What it makes
//! and signs is what a browser would send (WebAuthn Level 3), and the gate verifies it as it does any other.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::DemoError;
use super::tour::door::text_at;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;
const ID_LENGTH: u8 = 16;

/// A passkey of algorithm ES256.
pub(super) struct Passkey {
    key: EcdsaKeyPair,
    id: [u8; ID_LENGTH as usize],
    host: String,
    user_handle: String,
    signed: u32,
}

impl Passkey {
    /// A new one for this host.
    pub(super) fn new(host: &str) -> Result<Self, DemoError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING);
        let mut id = [0; ID_LENGTH as usize];
        aws_lc_rs::rand::fill(&mut id).map_err(|_no_randomness| DemoError::TokenKey)?;
        let key = key.map_err(|_no_key| DemoError::TokenKey)?;
        Ok(Self { key, id, host: host.to_owned(), user_handle: String::new(), signed: 0 })
    }

    /// Made for the options that the gate gave: `credential.toJSON()`.
    pub(super) fn make(&mut self, options: &Value) -> Value {
        text_at(options, "/publicKey/user/id").clone_into(&mut self.user_handle);
        let client_data = self.client_data("webauthn.create", options);
        let new = [&[0; 16], [0, ID_LENGTH].as_slice(), &self.id, &self.cose_key()].concat();
        let data = self.data(USER_PRESENT | USER_VERIFIED | ATTESTED, &new);
        let length = u8::try_from(data.len()).unwrap_or(u8::MAX);
        let head = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58";
        let attestation = [head.as_slice(), &[length], &data].concat();
        self.credential(json!({
            "clientDataJSON": text(&client_data),
            "attestationObject": text(&attestation),
        }))
    }

    /// Signs for the options that the gate gave: `credential.toJSON()`.
    pub(super) fn sign(&mut self, options: &Value) -> Result<Value, DemoError> {
        self.signed = self.signed.saturating_add(1);
        let client_data = self.client_data("webauthn.get", options);
        let data = self.data(USER_PRESENT | USER_VERIFIED, &[]);
        let message = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &message);
        let signature = signature.map_err(|_unsigned| DemoError::TokenKey)?;
        Ok(self.credential(json!({
            "clientDataJSON": text(&client_data),
            "authenticatorData": text(&data),
            "signature": text(signature.as_ref()),
            "userHandle": self.user_handle,
        })))
    }

    fn credential(&self, response: Value) -> Value {
        json!({ "id": text(&self.id), "type": "public-key", "response": response })
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let said = json!({
            "type": kind,
            "challenge": text_at(options, "/publicKey/challenge"),
            "origin": format!("https://{}", self.host),
            "crossOrigin": false,
        });
        said.to_string().into_bytes()
    }

    fn data(&self, flags: u8, behind: &[u8]) -> Vec<u8> {
        let host = digest(&SHA256, self.host.as_bytes());
        [host.as_ref(), &[flags], &self.signed.to_be_bytes(), behind].concat()
    }

    /// The public point as a COSE key: behind a byte its two coordinates.
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at_checked(32).unwrap_or_default();
        [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32], x, &[0x22, 0x58, 32], y].concat()
    }
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
