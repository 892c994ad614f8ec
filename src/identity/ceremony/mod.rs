//! Passkeys of local accounts: who may register one, what it raises, and how one signs in.
//!
//! Level 3 needs a passkey that knew its person when it was made and knows them now; a passkey that merely
//! was there gives level 2, beside a password. One that signs in alone must know its person. A challenge
//! is taken from the store before its answer is judged, so each is answered once.

mod assertion;
mod codes;
mod office;
mod registration;

pub use codes::PendingCodes;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::passkey::Fault;
use super::{Identity, SignInError};
use crate::secret;
use crate::state::{ChallengeId, ChallengeRow, PasskeyRow, SessionId};

/// How long a challenge waits for its answer, in seconds: what the text recommends as time-out.
pub const CHALLENGE_S: u32 = 300;

const REGISTER: &str = "passkey_register";
const SIGN_IN: &str = "passkey_sign_in";
const RAISE: &str = "passkey_raise";
const TICKET: &str = "passkey_ticket";

/// The page that a passkey is used on.
#[derive(Clone, Debug)]
pub struct Site {
    /// The host without port, to which passkeys belong.
    pub host: String,
    /// The origin of its pages, such as `https://bank.example`.
    pub origin: String,
}

/// What a browser needs to make a passkey. Ids are in base64url.
#[derive(Clone, Debug)]
pub struct CreationOptions {
    /// What is to be signed.
    pub challenge: String,
    /// The account, for its name in the authenticator.
    pub account: String,
    /// The name for people.
    pub display_name: String,
    /// What the authenticator gives back at a sign-in: a keyed hash, so that it tells nobody who.
    pub user_handle: String,
    /// Passkeys that the account has already.
    pub exclude: Vec<String>,
}

/// What a browser needs to sign with a passkey.
#[derive(Clone, Debug)]
pub struct RequestOptions {
    /// What is to be signed.
    pub challenge: String,
    /// The passkeys that would do, in base64url; empty where any may be shown.
    pub allow: Vec<String>,
    /// Whether the authenticator must know the person.
    pub must_verify: bool,
}

/// A new passkey as it came from the browser.
#[derive(Clone, Debug)]
pub struct NewPasskey {
    /// What the person calls it.
    pub name: String,
    /// Its credential id.
    pub id: Vec<u8>,
    /// What the browser says.
    pub client_data: Vec<u8>,
    /// What the authenticator says.
    pub attestation_object: Vec<u8>,
}

/// A signature as it came from the browser.
#[derive(Clone, Debug)]
pub struct ShownPasskey {
    /// The credential id.
    pub id: Vec<u8>,
    /// Whose it says to be.
    pub user_handle: Option<Vec<u8>>,
    /// What the browser says.
    pub client_data: Vec<u8>,
    /// What the authenticator says.
    pub authenticator_data: Vec<u8>,
    /// The signature over both.
    pub signature: Vec<u8>,
}

/// A passkey of an account, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyInfo {
    /// Its credential id in base64url.
    pub id: String,
    /// What the person calls it.
    pub name: String,
    /// The host that it signs for.
    pub host: String,
    /// Whether it knows its person, so that it gives level 3.
    pub verifies: bool,
    /// Whether its maker has copied it to other devices.
    pub is_backed_up: bool,
    /// When it was made, Unix seconds.
    pub created_s: i64,
    /// When it was last used, Unix seconds.
    pub used_s: Option<i64>,
}

/// Why a passkey was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyFault {
    /// Nobody asked for this answer, or it came too late, twice, or in another session.
    #[error("the challenge is not open here")]
    Challenge,
    /// There is no such passkey here, or it is somebody else's.
    #[error("the passkey is not known here")]
    Unknown,
    /// It must know its person and did not.
    #[error("the passkey must check who uses it, by fingerprint, face or PIN")]
    Unverified,
    /// The name is empty, long or has control characters.
    #[error("a passkey's name must have 1 to 255 visible characters")]
    Name,
    /// A passkey of that id is registered already.
    #[error("the passkey is registered already")]
    Exists,
    /// The account has ten.
    #[error("the account has 10 passkeys; an operator can remove one")]
    TooMany,
    /// The ticket is not good, or not any more.
    #[error("the ticket is not good")]
    Ticket,
    /// What is stored of it was altered.
    #[error("the passkey is damaged in the state")]
    Damaged,
    /// It is not what it should be.
    #[error(transparent)]
    Verification(#[from] Fault),
}

impl PasskeyFault {
    /// The word for the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Challenge => "passkey_challenge",
            Self::Unknown => "passkey_unknown",
            Self::Unverified => "passkey_unverified",
            Self::Name => "passkey_name",
            Self::Exists => "passkey_exists",
            Self::TooMany => "passkey_too_many",
            Self::Ticket => "passkey_ticket",
            Self::Damaged => "passkey_damaged",
            Self::Verification(fault) => fault.word(),
        }
    }
}

impl From<Fault> for SignInError {
    fn from(fault: Fault) -> Self {
        Self::Passkey(fault.into())
    }
}

impl From<PasskeyFault> for SignInError {
    fn from(fault: PasskeyFault) -> Self {
        Self::Passkey(fault)
    }
}

/// What both ceremonies need.
impl Identity {
    /// Keeps a new challenge and gives it.
    async fn ask(
        &self,
        kind: &str,
        account: Option<String>,
        session: Option<SessionId>,
        ticket: Option<ChallengeId>,
    ) -> Result<String, SignInError> {
        // It is no secret: what is signed says it.
        let challenge = secret::random_token::<32>()?.expose().clone();
        let row = ChallengeRow {
            id: self.challenge_id(&challenge),
            kind: kind.to_owned(),
            account,
            session,
            ticket,
            until_s: self.clock.unix_s().saturating_add(i64::from(CHALLENGE_S)),
        };
        self.store.insert_challenge(row).await?;
        Ok(challenge)
    }

    /// Takes the challenge that is answered; one of another kind or session is used up all the same.
    async fn answered(
        &self,
        challenge: &str,
        kind: &str,
        session: Option<SessionId>,
    ) -> Result<ChallengeRow, SignInError> {
        let row = self.store.take_challenge(self.challenge_id(challenge)).await?;
        let now = self.clock.unix_s();
        let row = row.filter(|row| row.kind == kind && row.session == session && now < row.until_s);
        row.ok_or_else(|| PasskeyFault::Challenge.into())
    }

    fn challenge_id(&self, challenge: &str) -> ChallengeId {
        self.passkey_tagger.tag(&[b"challenge", challenge.as_bytes()])
    }

    fn user_handle(&self, account: &str) -> Vec<u8> {
        self.passkey_tagger.tag(&[b"user", account.as_bytes()]).to_vec()
    }

    /// Whether the row is as the gate wrote it.
    pub(in crate::identity) fn is_passkey_whole(&self, row: &PasskeyRow) -> bool {
        row.tag == self.passkey_tag(row)
    }

    /// Whoever can write the file but has not the master key cannot put a key of theirs into it.
    fn passkey_tag(&self, row: &PasskeyRow) -> [u8; 32] {
        self.passkey_tagger.tag(&[
            b"row",
            &row.id,
            row.account.as_bytes(),
            row.host.as_bytes(),
            row.name.as_bytes(),
            &row.public_key,
            &[u8::from(row.verifies), u8::from(row.is_backup_eligible)],
        ])
    }
}

impl From<&PasskeyRow> for PasskeyInfo {
    fn from(row: &PasskeyRow) -> Self {
        Self {
            id: text(&row.id),
            name: row.name.clone(),
            host: row.host.clone(),
            verifies: row.verifies,
            is_backed_up: row.is_backed_up,
            created_s: row.created_s,
            used_s: row.used_s,
        }
    }
}

fn ids_on(passkeys: &[PasskeyRow], host: &str) -> Vec<String> {
    passkeys
        .iter()
        .filter(|passkey| passkey.host == host)
        .map(|passkey| text(&passkey.id))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
