//! The server side: what a listener shows and accepts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::clients::{ClientSettings, verifier};
use super::{TlsError, provider};

/// A listener's certificate chain and key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The leaf's private key (PKCS#8, SEC1 or PKCS#1).
    pub key: PathBuf,
    /// Whose client certificates are believed; `None` asks for none.
    pub clients: Option<ClientSettings>,
    /// Whether HTTP/1.1 is spoken alone.
    pub http1_alone: bool,
    /// The names for which the gate orders the certificate itself, if it does. Both files are one then, which may not be
    /// there yet.
    pub acme: Vec<String>,
}

impl ServerSettings {
    /// Whether the certificate was ordered and is not there yet.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.acme.is_empty() && !self.certificate.exists()
    }
}

/// Reads the files and builds the configuration: TLS 1.3 and 1.2, HTTP/2 and HTTP/1.1, no early data.
///
/// # Errors
/// [`TlsError`] names the file and what is wrong with it; a key that does not fit its certificate too.
pub fn server_config(settings: &ServerSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, key) = match settings.is_awaited() {
        true => placeholder(&settings.acme)?,
        false => (certificates(&settings.certificate)?, private_key(&settings.key)?),
    };
    let unusable = |source| TlsError::Unusable { path: settings.certificate.clone(), source };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?;
    let builder = match &settings.clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(verifier(clients)?),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
    if settings.clients.is_some() {
        // A resumed connection would show a certificate that nobody looks at again: not at its end, not at
        // the lists, not at the authorities.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if settings.http1_alone {
        config.alpn_protocols.remove(0);
    }
    // Every suite offered is a strong one; that the server chooses is what auditors look for.
    config.ignore_client_order = true;
    // A replayed 0-RTT request would be a request nobody sent.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// [`server_config`], and the [`print()`] of what it was made of.
///
/// # Errors
/// As [`server_config`].
pub fn server_config_and_print(
    settings: &ServerSettings,
) -> Result<(Arc<ServerConfig>, [u8; 32]), TlsError> {
    let mut before = print(settings)?;
    let mut config = server_config(settings)?;
    // Files that change while they are read belong to two sets; the next look finds those that go on.
    for _ in 0..3 {
        let after = print(settings)?;
        if after == before {
            break;
        }
        before = after;
        config = server_config(settings)?;
    }
    Ok((config, before))
}

/// SHA-256 over the files, by which a change of any is seen.
///
/// # Errors
/// [`TlsError::File`].
pub fn print(settings: &ServerSettings) -> Result<[u8; 32], TlsError> {
    let mut context = Context::new(&SHA256);
    let clients = settings.clients.iter();
    let of_clients =
        clients.flat_map(|clients| [Some(&clients.ca), clients.crl.as_ref()]).flatten();
    let shown = [&settings.certificate, &settings.key].into_iter();
    let shown = shown.filter(|_| !settings.is_awaited());
    for path in shown.chain(of_clients) {
        let bytes = read(path)?;
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(&bytes);
    }
    let mut print = [0; 32];
    for (to, from) in print.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    Ok(print)
}

/// When the first of the certificates in the file to end does, in Unix seconds: a chain holds no longer than its weakest link.
///
/// # Errors
/// [`TlsError::File`], [`TlsError::NoCertificate`] or [`TlsError::Form`].
pub fn ends_at_s(path: &Path) -> Result<i64, TlsError> {
    let form = || TlsError::Form(path.to_owned());
    let mut earliest = i64::MAX;
    for certificate in certificates(path)? {
        let (_, read) = X509Certificate::from_der(&certificate).ok().ok_or_else(form)?;
        earliest = earliest.min(read.validity().not_after.timestamp());
    }
    Ok(earliest)
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// What is shown until there is a certificate: one that nobody believes, made for this moment.
fn placeholder(names: &[String]) -> Result<Pair, TlsError> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(names.to_vec())?.self_signed(&key)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((vec![certificate.der().clone()], der))
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
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

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
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
        let settings = ServerSettings {
            certificate: dir.join("chain.pem"),
            key: dir.join("key.pem"),
            clients: None,
            http1_alone: false,
            acme: Vec::new(),
        };
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

    #[test]
    fn a_certificate_that_is_awaited_is_made_for_the_moment_and_seen_once_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let own = files(dir.path(), false);
        let both = dir.path().join("both.pem");
        let acme = vec!["bank.example".to_owned()];
        let (certificate, key) = (both.clone(), both.clone());
        let settings = ServerSettings { certificate, key, acme, ..own.clone() };
        assert!(settings.is_awaited());
        let (_, before) = server_config_and_print(&settings).unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        std::fs::write(&both, read(&own.certificate) + &read(&own.key)).unwrap();
        let (_, after) = server_config_and_print(&settings).unwrap();
        assert!(!settings.is_awaited() && before != after);
        std::fs::write(&both, "").unwrap();
        assert!(server_config(&settings).is_err(), "what is there and cannot be used is a fault");
    }
}
