//! What the ports answer while an authority looks whether names are ours (ACME): nothing but what was just ordered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{TlsError, provider};

/// The protocol in which a challenge is asked for (RFC 8737).
pub const ACME_TLS: &[u8] = b"acme-tls/1";
/// The most answers at once; an order has no more names.
const MOST: usize = 128;

/// The answers that are asked for at this moment.
#[derive(Debug, Default)]
pub struct Challenges {
    /// By token: what is told without TLS.
    tokens: RwLock<HashMap<String, String>>,
    /// By name: what is shown in a handshake.
    names: RwLock<HashMap<String, Arc<ServerConfig>>>,
    /// Whether there is any name, so that handshakes need not look.
    has_names: AtomicBool,
}

impl Challenges {
    /// Has this text told for the token, on the port without TLS.
    pub fn put_token(&self, token: &str, text: &str) {
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() < MOST {
            tokens.insert(token.to_owned(), text.to_owned());
        }
    }

    /// Has a certificate with this digest shown to whoever asks for the name in the protocol of challenges, and nothing else.
    ///
    /// # Errors
    /// No such certificate can be made.
    pub fn put_name(&self, name: &str, digest: &[u8; 32]) -> Result<(), TlsError> {
        let config = shown(name, digest)?;
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() < MOST {
            names.insert(name.to_ascii_lowercase(), Arc::new(config));
            self.has_names.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Answers nothing any more.
    pub fn clear(&self) {
        self.has_names.store(false, Ordering::Release);
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.names.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The text for a token.
    #[must_use]
    pub fn of_token(&self, token: &str) -> Option<String> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// What is shown for a name.
    #[must_use]
    pub fn of_name(&self, name: &str) -> Option<Arc<ServerConfig>> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(&name.to_ascii_lowercase()).cloned()
    }

    /// Whether anything is shown in handshakes.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.has_names.load(Ordering::Acquire)
    }
}

/// A certificate that nobody believes but who asked for it.
fn shown(name: &str, digest: &[u8; 32]) -> Result<ServerConfig, TlsError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signs = provider().key_provider.load_private_key(der).map_err(TlsError::Challenge)?;
    // As it is: what reads certificates knows no critical extension but those of a server's.
    let certified = CertifiedKey::new(vec![certificate.der().clone()], signs);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(TlsError::Challenge)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_answered_until_it_is_over_and_nothing_else() {
        let challenges = Challenges::default();
        assert!(!challenges.has_names());
        challenges.put_token("abc", "abc.def");
        challenges.put_name("Bank.Example", &[7; 32]).unwrap();
        assert_eq!(challenges.of_token("abc").as_deref(), Some("abc.def"));
        assert!(challenges.of_token("abd").is_none() && challenges.of_token("").is_none());
        let config = challenges.of_name("bank.EXAMPLE").unwrap();
        assert_eq!(config.alpn_protocols, vec![ACME_TLS.to_vec()]);
        assert!(challenges.of_name("other.example").is_none());
        challenges.clear();
        assert!(
            challenges.of_token("abc").is_none() && challenges.of_name("bank.example").is_none()
        );
        assert!(!challenges.has_names());
    }
}
