//! Certificates of listeners from an authority that speaks ACME (RFC 8555): an account, orders, and when the next is due.
//!
//! It answers no challenge itself: what is to be answered it puts where the ports look. What was issued is tested before it
//! takes the place of anything, and a failure leaves everything as it was.

mod account;
mod client;
mod due;
mod order;
mod stored;

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use account::Accounts;
pub use due::{Pace, Span, alone_s, due_s};
pub use order::{Obtained, Orders};
pub use stored::{file_of, folder, span_of, store};

use account::external_key;
use client::Directory;

use crate::secret;
use crate::unseen::is_unseen;

/// The most of a directory's words that is told on.
const TOLD: usize = 300;

/// Where certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address of the directory, https only.
    pub directory: String,
    /// The certificates that vouch for its server; nobody else is believed.
    pub ca: PathBuf,
    /// Whom the authority may write to: `mailto:…`.
    pub contact: Vec<String>,
    /// How it is shown that the names are ours.
    pub challenge: Challenge,
    /// An account that the authority knows from elsewhere, if it asks for one.
    pub external: Option<ExternalAccount>,
}

/// How it is shown that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A text on the port without TLS (RFC 8555 section 8.3).
    Http01,
    /// A certificate on the port with TLS (RFC 8737).
    TlsAlpn01,
}

/// An account known from elsewhere (RFC 8555 section 7.3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// What the authority calls it.
    pub id: String,
    /// The file with its key, in base64url.
    pub key: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// A file could not be read or written.
    #[error("`{path}`: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificates that vouch for the directory cannot be used.
    #[error("`{path}`: {reason}", path = path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file with the key of the account known from elsewhere is not read.
    #[error(transparent)]
    Secret(#[from] secret::FileError),
    /// The key of the account known from elsewhere is none.
    #[error("`{path}`: no key in base64url", path = .0.display())]
    ExternalKey(PathBuf),
    /// The account that is kept cannot be read.
    #[error("`{path}`: no account of ACME", path = .0.display())]
    Account(PathBuf),
    /// The authority refuses, or answers something else than the protocol has.
    #[error("{}", told(.0))]
    Refused(#[from] instant_acme::Error),
    /// It asks for no challenge that could be answered.
    #[error("`{0}`: the authority does not offer the challenge that is configured")]
    NoChallenge(String),
    /// It asks for proof of other names than were ordered.
    #[error("`{}`: the authority asks for proof of what was not ordered", told(.0))]
    NotOrdered(String),
    /// It does not believe that a name is ours.
    #[error("`{}`: the authority does not believe that it is ours: {}", told(.name), told(.why))]
    NotOurs {
        /// The name.
        name: String,
        /// What it says.
        why: String,
    },
    /// The order came to nothing.
    #[error("the order ended as `{0}`")]
    Ended(String),
    /// No key or request could be made.
    #[error("{0}")]
    Made(#[from] rcgen::Error),
    /// No answer to a challenge could be shown.
    #[error(transparent)]
    Challenge(#[from] crate::tls::TlsError),
    /// What was issued cannot be used.
    #[error("what was issued cannot be used: {0}")]
    Unusable(&'static str),
    /// It took too long.
    #[error("no certificate within {0:?}")]
    Late(Duration),
}

impl AcmeError {
    /// Whether the authority said that this is asked too often.
    #[must_use]
    pub fn is_too_often(&self) -> bool {
        let Self::Refused(instant_acme::Error::Api(problem)) = self else { return false };
        problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:rateLimited")
    }
}

/// Reads the files that the settings name, to see that they can be used. Blocks.
///
/// # Errors
/// [`AcmeError`], as an order would give it.
pub fn check(settings: &Settings) -> Result<(), AcmeError> {
    Directory::open(&settings.ca, Arc::default())?;
    settings.external.iter().try_for_each(|external| external_key(&external.key).map(drop))
}

/// A directory's words in one line that ends, and shows all that stands in it.
fn told(words: &impl Display) -> String {
    let words = words.to_string();
    let mut line = String::new();
    for c in words.chars().take(TOLD) {
        if is_unseen(c) { line.extend(c.escape_unicode()) } else { line.push(c) }
    }
    if words.chars().nth(TOLD).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests;
