//! The client side of TLS: whom we trust as an upstream, and who we are to it.
//!
//! Trust is pinned to the given certificates; the system's roots are never asked.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a client configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    /// A file is not PEM.
    #[error("not in PEM form: {0}")]
    Pem(#[from] pem::Error),
    /// There is nothing to trust.
    #[error("the file of trusted certificates has no certificate in it")]
    NoTrust,
    /// A trusted certificate is not one.
    #[error("a trusted certificate cannot be used: {0}")]
    Trust(#[source] rustls::Error),
    /// Our own certificate and key do not fit.
    #[error("the client certificate or its key cannot be used: {0}")]
    Identity(#[source] rustls::Error),
    /// The provider lacks a protocol version.
    #[error("the cryptographic provider does not offer TLS 1.3 and 1.2: {0}")]
    Provider(#[source] rustls::Error),
}

/// Who we are to an upstream that asks.
#[derive(Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// Our certificate and its chain, in PEM.
    pub chain_pem: &'a [u8],
    /// Its private key, in PEM.
    pub key_pem: &'a [u8],
}

/// A configuration that trusts the certificates in `trust_pem` and nobody else; TLS 1.3 or 1.2, HTTP/1.1.
///
/// # Errors
/// [`ClientTlsError`] says which of the files cannot be used.
pub fn client_config(
    trust_pem: &[u8],
    identity: Option<ClientIdentity<'_>>,
) -> Result<Arc<ClientConfig>, ClientTlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(trust_pem) {
        roots.add(certificate?).map_err(ClientTlsError::Trust)?;
    }
    if roots.is_empty() {
        return Err(ClientTlsError::NoTrust);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(ClientTlsError::Provider)?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(ClientIdentity { chain_pem, key_pem }) => {
            let chain = CertificateDer::pem_slice_iter(chain_pem).collect::<Result<Vec<_>, _>>()?;
            let key = PrivateKeyDer::from_pem_slice(key_pem)?;
            builder.with_client_auth_cert(chain, key).map_err(ClientTlsError::Identity)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([String::from(name)]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_file_without_a_certificate_trusts_nobody_and_is_refused() {
        assert!(matches!(client_config(b"", None), Err(ClientTlsError::NoTrust)));
        let (_, key) = certificate("a.test");
        assert!(matches!(client_config(key.as_bytes(), None), Err(ClientTlsError::NoTrust)));
    }

    #[test]
    fn a_broken_file_is_refused() {
        let broken = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(client_config(broken, None), Err(ClientTlsError::Pem(_))));
    }

    #[test]
    fn a_key_that_does_not_fit_its_certificate_is_refused() {
        let (trust, _) = certificate("ca.test");
        let (chain, _) = certificate("a.test");
        let (_, key) = certificate("b.test");
        let identity = ClientIdentity { chain_pem: chain.as_bytes(), key_pem: key.as_bytes() };
        let made = client_config(trust.as_bytes(), Some(identity));
        assert!(matches!(made, Err(ClientTlsError::Identity(_))));
    }
}
