//! TLS on both sides of the gate: rustls with aws-lc-rs, 1.3 and 1.2 with AEAD and ECDHE only.
//!
//! The provider is always named explicitly, so that no other crate can bring a second one.

mod challenge;
pub mod client;
mod clients;
mod exchange;
mod server;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::VerifierBuilderError;

pub use challenge::{ACME_TLS, Challenges};
pub use clients::{Ask, ClientSettings};
pub use exchange::{ExchangeError, exchange};
pub use server::{Pair, Presented, ServerSettings, ends_at_s, present, print};

/// Why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file could not be read.
    #[error("`{path}`: {source}", path = path.display())]
    File {
        /// The file as the operator named it.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no certificate.
    #[error("`{path}`: no certificate found; a PEM file with `BEGIN CERTIFICATE` is expected", path = .0.display())]
    NoCertificate(PathBuf),
    /// A certificate of the file is not one.
    #[error("`{path}`: a certificate in it cannot be read", path = .0.display())]
    Form(PathBuf),
    /// The file holds no private key.
    #[error("`{path}`: no private key found; a PEM file with `BEGIN PRIVATE KEY` is expected", path = .0.display())]
    NoKey(PathBuf),
    /// Certificate and key do not fit, or their form is not supported.
    #[error("`{path}`: {source}", path = path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// The file holds no list of revoked certificates.
    #[error("`{path}`: no list found; a PEM file with `BEGIN X509 CRL` is expected", path = .0.display())]
    NoList(PathBuf),
    /// No answer to a challenge can be shown.
    #[error("a challenge cannot be answered: {0}")]
    Challenge(rustls::Error),
    /// No certificate can be made to be shown until there is one.
    #[error("no certificate can be made: {0}")]
    Placeholder(#[from] rcgen::Error),
    /// Client certificates cannot be judged by these files.
    #[error("`{path}`: {source}", path = path.display())]
    Clients {
        /// The file of the lists, or of the authorities.
        path: PathBuf,
        /// What rustls said.
        source: VerifierBuilderError,
    },
}

/// The one cryptographic provider; its first key exchange is the hybrid X25519MLKEM768.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
