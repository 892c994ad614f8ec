//! The server side: what a listener shows and accepts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, provider};

/// A listener's certificate chain and key, as PEM files.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The leaf's private key (PKCS#8, SEC1 or PKCS#1).
    pub key: PathBuf,
}

/// Reads the files and builds the configuration: TLS 1.3 and 1.2, HTTP/2 and HTTP/1.1, no early data.
///
/// # Errors
/// [`TlsError`] names the file and what is wrong with it; a key that does not fit its certificate too.
pub fn server_config(settings: &ServerSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(&settings.certificate)?;
    let key = private_key(&settings.key)?;
    let unusable = |source| TlsError::Unusable { path: settings.certificate.clone(), source };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Every suite offered is a strong one; that the server chooses is what auditors look for.
    config.ignore_client_order = true;
    // A replayed 0-RTT request would be a request nobody sent.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.unwrap_or_default();
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(path)?;
    PrivateKeyDer::from_pem_slice(&pem).ok().ok_or_else(|| TlsError::NoKey(path.to_owned()))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, other_key: bool) -> ServerSettings {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["bank.example".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let shown = if other_key { rcgen::KeyPair::generate().unwrap() } else { key };
        let settings =
            ServerSettings { certificate: dir.join("chain.pem"), key: dir.join("key.pem") };
        std::fs::write(&settings.certificate, certificate.pem()).unwrap();
        std::fs::write(&settings.key, shown.serialize_pem()).unwrap();
        settings
    }

    #[test]
    fn the_hybrid_key_exchange_comes_first() {
        let first = provider().kx_groups.first().map(|group| group.name());
        assert_eq!(first, Some(rustls::NamedGroup::X25519MLKEM768));
    }

    #[test]
    fn a_fitting_pair_is_accepted_without_early_data() {
        let dir = tempfile::tempdir().unwrap();
        let config = server_config(&files(dir.path(), false)).unwrap();
        assert_eq!(config.max_early_data_size, 0);
        assert!(config.ignore_client_order);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = server_config(&files(dir.path(), true));
        assert!(matches!(refused, Err(TlsError::Unusable { .. })));
    }

    #[test]
    fn a_missing_or_empty_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = files(dir.path(), false);
        std::fs::write(&settings.certificate, "").unwrap();
        assert!(matches!(server_config(&settings), Err(TlsError::NoCertificate(_))));
        settings.certificate = dir.path().join("absent.pem");
        let said = server_config(&settings).unwrap_err().to_string();
        assert!(said.contains("absent.pem"), "{said}");
    }
}
