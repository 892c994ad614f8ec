//! What a listener shows, whom it believes and what it allows, which may be replaced while it listens.
//!
//! A client certificate is good for as long as its connection, so a replacement ends every connection that
//! showed one: its requests from then on have none, and the client is told to connect anew.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::Settings;
use crate::tls::Challenges;

/// The TLS configuration and the settings of a listener at this moment.
#[derive(Debug)]
pub struct Shown {
    current: ArcSwap<Current>,
    /// What is answered to an authority that looks whether names are ours.
    pub(super) challenges: Arc<Challenges>,
}

/// A configuration, and when its TLS is one no more.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) settings: Arc<Settings>,
    pub(super) tls: Arc<ServerConfig>,
    pub(super) replaced: CancellationToken,
}

impl Shown {
    /// Begins with this configuration.
    #[must_use]
    pub fn new(settings: Settings, tls: Arc<ServerConfig>, challenges: Arc<Challenges>) -> Self {
        let (settings, replaced) = (Arc::new(settings), CancellationToken::new());
        Self { current: ArcSwap::from_pointee(Current { settings, tls, replaced }), challenges }
    }

    /// Shows another one from the next connection on.
    pub fn replace(&self, tls: Arc<ServerConfig>) {
        let settings = self.settings();
        let next = Current { settings, tls, replaced: CancellationToken::new() };
        self.current.swap(Arc::new(next)).replaced.cancel();
    }

    /// Holds new connections to other caps and deadlines; the zone and the forwarders are those of each request from now on.
    /// Where it listens does not change.
    pub fn set(&self, settings: Settings) {
        let settings = Arc::new(settings);
        let current = self.current();
        self.current.store(Arc::new(Current { settings, ..(*current).clone() }));
    }

    /// The settings at this moment.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.current.load().settings)
    }

    pub(super) fn current(&self) -> Arc<Current> {
        self.current.load_full()
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
