//! Who asks, once that is certain: the outcome of authentication.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Binding;

/// An authenticated caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The account: a local name, or `issuer:subject`. What budgets count by and the log names.
    pub account: String,
    /// What the caller is.
    pub kind: CallerKind,
    /// Role names, sorted, each once.
    pub roles: Vec<String>,
    /// What conditions may ask, such as `branch`.
    pub attributes: BTreeMap<String, Attribute>,
    /// Which of them are too old from which Unix second on.
    pub fades: BTreeMap<String, i64>,
    /// The highest level of the factors: 1 password, 2 with a one-time code, 3 with a key.
    pub assurance: u8,
    /// What was presented and when.
    pub factors: Vec<Factor>,
    /// What the caller showed, in a form fit for the log.
    pub credential: CredentialRef,
    /// The device with whose key the caller came: one that was enrolled for this account.
    pub device: Option<String>,
    /// The most that any factor can count for, because the caller has devices and came without.
    pub most_assurance: Option<u8>,
    /// The keys that must be shown beside the credential.
    pub binding: Binding,
    /// What the data are asked for; authentication leaves it empty, the request declares it.
    pub purpose: Option<String>,
}

impl Caller {
    /// When a factor of at least `level` was last presented, Unix seconds; `None` if never, or if
    /// the time is unknown.
    #[must_use]
    pub fn factor_time(&self, level: u8) -> Option<i64> {
        self.factors.iter().filter(|f| f.level >= level).filter_map(|f| f.at_unix_s).max()
    }
}

/// What a caller is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallerKind {
    /// Works here.
    #[default]
    Staff,
    /// Sells through us.
    Merchant,
    /// Another company.
    Partner,
    /// A program.
    Machine,
    /// A customer, asking for their own data.
    Customer,
    /// Runs the gate.
    Admin,
}

impl CallerKind {
    const ALL: [Self; 6] =
        [Self::Staff, Self::Merchant, Self::Partner, Self::Machine, Self::Customer, Self::Admin];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Merchant => "merchant",
            Self::Partner => "partner",
            Self::Machine => "machine",
            Self::Customer => "customer",
            Self::Admin => "admin",
        }
    }
}

/// The word is not one of the kinds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kind `{0}`: must be one of staff, merchant, partner, machine, customer, admin")]
pub struct UnknownKind(pub String);

impl std::str::FromStr for CallerKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

/// A fact about a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// It is there and holds nothing. To conditions that is as if it were absent; whom it confines it confines to
    /// nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// Something the caller proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    /// The assurance it gives.
    pub level: u8,
    /// When it was presented, Unix seconds; `None` if nobody said, which counts as too long ago.
    pub at_unix_s: Option<i64>,
    /// What it was.
    pub method: FactorMethod,
}

/// What a factor was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorMethod {
    /// A password.
    Password,
    /// A one-time code.
    Totp,
    /// A recovery code.
    Recovery,
    /// A passkey.
    Passkey,
    /// A key in hardware, of which the issuer of a bearer token tells.
    HardwareKey,
    /// Whatever the issuer of a bearer token asked for.
    Token,
    /// The key of a client certificate.
    Certificate,
    /// An API key.
    ApiKey,
}

/// The word is not one of the methods that an issuer can tell of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("method `{0}`: must be one of password, totp, passkey, hardware_key")]
pub struct UnknownMethod(pub String);

impl std::str::FromStr for FactorMethod {
    type Err = UnknownMethod;

    fn from_str(word: &str) -> Result<Self, UnknownMethod> {
        match word {
            "password" => Ok(Self::Password),
            "totp" => Ok(Self::Totp),
            "passkey" => Ok(Self::Passkey),
            "hardware_key" => Ok(Self::HardwareKey),
            _ => Err(UnknownMethod(word.to_owned())),
        }
    }
}

/// A credential as the log may name it: keyed hashes, from which nothing can be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialRef {
    /// A bearer token.
    Bearer {
        /// The short name of its issuer.
        issuer: String,
        /// Keyed hash of the token.
        token: String,
        /// Keyed hash of its `jti`, if it has one.
        jti: Option<String>,
    },
    /// A browser session.
    Session {
        /// Keyed hash of the cookie value.
        reference: String,
    },
    /// An API key.
    ApiKey {
        /// Its public part.
        id: String,
    },
    /// A client certificate alone.
    ClientCertificate {
        /// Keyed hash of the certificate.
        reference: String,
    },
}

impl Default for CredentialRef {
    /// A session without a name, until somebody knows better.
    fn default() -> Self {
        Self::Session { reference: String::new() }
    }
}
