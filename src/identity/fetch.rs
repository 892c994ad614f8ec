//! What identity needs of the network: a document of an issuer over https. Who has sockets implements it.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use crate::secret::Secret;

/// The largest answer of an issuer in bytes.
pub const FETCH_LIMIT: usize = 256 * 1024;

/// What is asked of an issuer.
#[derive(Clone, Debug)]
pub struct FetchAsk {
    /// Where, `https` only.
    pub url: String,
    /// The file of certificates that vouch for the server; nobody else's do.
    pub ca: PathBuf,
    /// A form to post; without one it is a GET.
    pub form: Option<Secret<String>>,
    /// The value of `Authorization`, if there is one.
    pub authorization: Option<Secret<String>>,
}

impl FetchAsk {
    /// A GET of a document.
    #[must_use]
    pub fn document(url: &str, ca: PathBuf) -> Self {
        Self { url: url.to_owned(), ca, form: None, authorization: None }
    }
}

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address is none, or not one of https.
    #[error("`{0}` must be an address such as `https://login.example/jwks.json`")]
    Url(String),
    /// The certificates that vouch for the server cannot be used.
    #[error("`{path}`: {reason}")]
    Ca {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached, or is not the one that it should be.
    #[error("`{url}` cannot be fetched: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// It answered with another status than 200. It is not followed anywhere.
    #[error("`{url}` answered with status {status}; 200 is expected, redirects are not followed")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
    },
    /// It answered with more than 256 KiB.
    #[error("`{0}` answered with more than 256 KiB")]
    TooLarge(String),
    /// It did not answer in time.
    #[error("`{0}` did not answer within 5 seconds")]
    TimedOut(String),
    /// This program fetches nothing.
    #[error("nothing is fetched here")]
    Never,
}

/// A document on its way.
pub type FetchFuture = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchError>> + Send>>;

/// Fetches documents, each within a few seconds and at most [`FETCH_LIMIT`] bytes.
pub trait Fetch: fmt::Debug + Send + Sync {
    /// Fetches one.
    fn fetch(&self, ask: FetchAsk) -> FetchFuture;
}

/// Fetches nothing: for commands, and before a gate has said how.
#[derive(Debug)]
pub(super) struct NoFetch;

impl Fetch for NoFetch {
    fn fetch(&self, _ask: FetchAsk) -> FetchFuture {
        Box::pin(async { Err(FetchError::Never) })
    }
}
