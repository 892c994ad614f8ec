//! What a listener shows and whom it believes, which may be replaced while it listens.
//!
//! A client certificate is good for as long as its connection, so a replacement ends every connection that
//! showed one: its requests from then on have none, and the client is told to connect anew.

use std::any::Any;
use std::sync::{Arc, OnceLock};

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
    der: Arc<[u8]>,
    hex: Arc<str>,
    read: Arc<OnceLock<Box<dyn Any + Send + Sync>>>,
}

impl ClientCertificate {
    pub(super) fn new(der: &[u8]) -> Self {
        let hash = digest(&SHA256, der);
        let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { der: der.into(), hex: hex.into(), read: Arc::default() }
    }

    /// SHA-256 of it in hexadecimal, as the log has it.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// What `read` makes of it, given in DER: made once for the connection, since every request asks.
    pub fn once<T: Clone + Send + Sync + 'static>(&self, read: impl Fn(&[u8]) -> T) -> T {
        let made = self.read.get_or_init(|| Box::new(read(&self.der)));
        made.downcast_ref::<T>().cloned().unwrap_or_else(|| read(&self.der))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_certificate_is_read_once_for_all_requests_of_its_connection() {
        let reads = AtomicUsize::new(0);
        let read = |der: &[u8]| {
            reads.fetch_add(1, Ordering::Relaxed);
            der.len()
        };
        let shown = ClientCertificate::new(b"abc");
        let request = shown.clone();
        assert_eq!((shown.once(read), request.once(read), shown.once(read)), (3, 3, 3));
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        assert_eq!(
            request.once(|der| der.to_vec()),
            b"abc",
            "another reading is none of the first"
        );
        assert!(shown.hex().starts_with("ba7816bf8f01cfea"));
    }
}
