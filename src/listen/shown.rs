//! What a listener shows and whom it believes, which may be replaced while it listens.
//!
//! A client certificate is good for as long as its connection, so a replacement ends every connection that
//! showed one: its requests from then on have none, and the client is told to connect anew.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

/// The TLS configuration of a listener at this moment.
#[derive(Debug)]
pub struct Shown(ArcSwap<Current>);

/// A configuration, and when it is one no more.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) tls: Arc<ServerConfig>,
    pub(super) replaced: CancellationToken,
}

impl Shown {
    /// Begins with this configuration.
    #[must_use]
    pub fn new(tls: Arc<ServerConfig>) -> Self {
        Self(ArcSwap::from_pointee(Current { tls, replaced: CancellationToken::new() }))
    }

    /// Shows another one from the next connection on.
    pub fn replace(&self, tls: Arc<ServerConfig>) {
        let old = self.0.swap(Arc::new(Current { tls, replaced: CancellationToken::new() }));
        old.replaced.cancel();
    }

    pub(super) fn current(&self) -> Arc<Current> {
        self.0.load_full()
    }
}

/// The certificate that a client showed and TLS verified for this connection.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate itself, in DER.
    pub der: Arc<[u8]>,
}

impl ClientCertificate {
    /// SHA-256 of it in hexadecimal, as the log has it.
    #[must_use]
    pub fn hex(&self) -> String {
        digest(&SHA256, &self.der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
