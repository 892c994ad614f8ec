//! The demo: a bank's backend with invented customers, and throw-away certificates for it.
//!
//! The backend is as careless as real ones are, so that the gate in front of it has work to do.
//! Tests and benchmarks use it too.

mod answers;
pub mod backend;
mod branches;
pub mod certificates;
#[cfg(test)]
mod client;
mod desk;
mod export;
mod names;
mod numbers;
pub mod orders;
pub mod people;
mod random;
mod store;

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
}
