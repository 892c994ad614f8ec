//! The demo: a bank's backend with invented customers, the gate set up in front of it with
//! throw-away certificates, a guide to try it by hand, and a tour that tries it by itself.
//!
//! The backend is as careless as real ones are, so that the gate in front of it has work to do.
//! Tests and benchmarks use it too.

mod answers;
pub mod backend;
mod branches;
pub mod cast;
pub mod certificates;
#[cfg(test)]
mod client;
pub mod codes;
mod desk;
mod doorman;
mod export;
mod folder;
pub mod guide;
mod names;
mod numbers;
pub mod orders;
mod passkey;
pub mod people;
mod random;
mod script;
mod shelf;
pub mod stage;
mod store;
pub mod template;
mod tokens;
pub mod tour;

use std::net::SocketAddr;

use crate::config::ConfigError;
use crate::consent::ConsentError;
use crate::identity::{AccountError, IdentityError};
use crate::secret::SecretError;
use crate::server::StartError;
use crate::state::StateError;
use crate::tls::client::ClientTlsError;

/// Why the demo could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No loopback port could be opened for the backend.
    #[error("cannot open a port on 127.0.0.1 for the demo's backend: {0}")]
    Port(std::io::Error),
    /// More or fewer customers than the backend holds in memory.
    #[error("the demo's backend holds 1 to {most} customers, got `{asked}`")]
    Customers {
        /// How many were asked for.
        asked: usize,
        /// The most it holds.
        most: usize,
    },
    /// A record could not be written as JSON.
    #[error("cannot write a customer as JSON: {0}")]
    Record(serde_json::Error),
    /// A key or certificate could not be made.
    #[error("cannot make a throw-away certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A certificate was asked for without a name.
    #[error("a certificate needs at least one host name or IP address")]
    NoName,
    /// The clock shows a time that no certificate can carry.
    #[error("the clock is out of range for a certificate: {0}")]
    Clock(jiff::Error),
    /// A certificate or key is not in PEM.
    #[error("cannot read the certificate just made: {0}")]
    Pem(rustls_pki_types::pem::Error),
    /// The TLS library refused the certificate or its key.
    #[error("the certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// A file could not be written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder that was named holds something.
    #[error("`{0}` is not empty; name a folder that is empty or does not exist yet")]
    NotEmpty(String),
    /// The address can be reached by others.
    #[error("the demo prints its passwords, so it listens on loopback only, got `{0}`")]
    NotLoopback(SocketAddr),
    /// The folder is not that of a demo.
    #[error("`{0}` is not the folder of a running demo; name the one that `menshen demo` printed")]
    NoDemo(String),
    /// Nobody in the demo has this name.
    #[error("nobody in the demo is called `{asked}`; there are {known}")]
    NoAccount {
        /// The name.
        asked: String,
        /// Who there is.
        known: String,
    },
    /// No template has this name.
    #[error("there is no template `{asked}`; there are {known}")]
    NoTemplate {
        /// The name.
        asked: String,
        /// Which there are.
        known: String,
    },
    /// The data of a template cannot be read.
    #[error("the scene of the template `{template}` cannot be read: {fault}")]
    Scene {
        /// The template.
        template: &'static str,
        /// Why.
        fault: serde_json::Error,
    },
    /// What customers said could not be registered.
    #[error(transparent)]
    Said(#[from] ConsentError),
    /// The key that signs the partner's tokens could not be made.
    #[error("cannot make a key for bearer tokens")]
    TokenKey,
    /// No randomness, or the master key could not be written.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The accounts' store.
    #[error(transparent)]
    State(#[from] StateError),
    /// Identity does not start.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An account could not be made.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The configuration that the demo wrote is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The gate does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The tour's client does not accept the authority that was just made.
    #[error("the demo's authority cannot be trusted: {0}")]
    Trust(ClientTlsError),
    /// What the demo has to say could not be printed.
    #[error("the demo could not print: {0}")]
    Print(std::io::Error),
}

impl DemoError {
    /// Whether the command line is to blame, rather than the machine.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::NotEmpty(_)
            | Self::NotLoopback(_)
            | Self::NoDemo(_)
            | Self::NoAccount { .. }
            | Self::NoTemplate { .. }
            | Self::File { .. } => true,
            Self::Port(_)
            | Self::Customers { .. }
            | Self::Record(_)
            | Self::Scene { .. }
            | Self::Said(_)
            | Self::Certificate(_)
            | Self::NoName
            | Self::Clock(_)
            | Self::Pem(_)
            | Self::Tls(_)
            | Self::TokenKey
            | Self::Secret(_)
            | Self::State(_)
            | Self::Identity(_)
            | Self::Account(_)
            | Self::Config(_)
            | Self::Start(_)
            | Self::Trust(_)
            | Self::Print(_) => false,
        }
    }
}
