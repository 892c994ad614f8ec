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
    /// Whether the certificate was ordered and is not there: what cannot be looked at is there.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.acme.is_empty() && matches!(self.certificate.try_exists(), Ok(false))
    }

    fn pair(&self) -> [&PathBuf; 2] {
        [&self.certificate, &self.key]
    }
}

/// A chain and its key, as a listener shows them.
#[derive(Debug)]
pub struct Pair {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// Where the chain was read; nowhere, if it was made for the moment.
    file: Option<PathBuf>,
    print: [u8; 32],
}

impl Pair {
    /// What is to be shown. While what was ordered is not there that is what is `shown` already; only without it, it is one that
    /// nobody believes, made for the moment.
    fn read(settings: &ServerSettings, shown: Option<&Arc<Self>>) -> Result<Arc<Self>, TlsError> {
        if settings.is_awaited() {
            return shown.map_or_else(
                || placeholder(&settings.acme).map(Arc::new),
                |shown| Ok(Arc::clone(shown)),
            );
        }
        let (chain, key) = (certificates(&settings.certificate)?, private_key(&settings.key)?);
        let (file, print) = (Some(settings.certificate.clone()), print_of(&settings.pair())?);
        Ok(Arc::new(Self { chain, key, file, print }))
    }

    /// Whether it was read from this file.
    #[must_use]
    pub fn is_of(&self, file: &Path) -> bool {
        self.file.as_deref() == Some(file)
    }

    /// When the first of its certificates to end does, in Unix seconds, if all can be read.
    #[must_use]
    pub fn ends_at_s(&self) -> Option<i64> {
        earliest_end_s(&self.chain)
    }

    /// For how many seconds its own certificate is good in all.
    #[must_use]
    pub fn length_s(&self) -> Option<i64> {
        let (_, read) = X509Certificate::from_der(self.chain.first()?).ok()?;
        let validity = read.validity();
        Some(validity.not_after.timestamp().saturating_sub(validity.not_before.timestamp()))
    }
}

/// What a listener presents, all of it from one moment.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The configuration.
    pub config: Arc<ServerConfig>,
    /// The pair in it.
    pub pair: Arc<Pair>,
    /// The [`print()`] of what it was made of.
    pub print: [u8; 32],
}

/// Reads the files and builds the configuration: TLS 1.3 and 1.2, HTTP/2 and HTTP/1.1, no early data.
///
/// `shown` is the pair that the listener shows now, which goes on while one that was ordered is not there.
///
/// # Errors
/// [`TlsError`] names the file and what is wrong with it; a key that does not fit its certificate too.
pub fn present(
    settings: &ServerSettings,
    shown: Option<&Arc<Pair>>,
) -> Result<Presented, TlsError> {
    let mut before = print(settings, shown)?;
    let mut made = server_config(settings, shown)?;
    // Files that change while they are read belong to two sets; the next look finds those that go on.
    for _ in 0..3 {
        let after = print(settings, shown)?;
        if after == before {
            break;
        }
        before = after;
        made = server_config(settings, shown)?;
    }
    let (config, pair) = made;
    Ok(Presented { config, pair, print: before })
}

fn server_config(
    settings: &ServerSettings,
    shown: Option<&Arc<Pair>>,
) -> Result<(Arc<ServerConfig>, Arc<Pair>), TlsError> {
    let pair = Pair::read(settings, shown)?;
    let unusable = |source| TlsError::Unusable { path: settings.certificate.clone(), source };
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(unusable)?;
    let builder = match &settings.clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(verifier(clients)?),
    };
    let (chain, key) = (pair.chain.clone(), pair.key.clone_key());
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
    Ok((Arc::new(config), pair))
}

/// SHA-256 over the files, by which a change of any is seen. A pair that goes on without its file is as it was.
///
/// # Errors
/// [`TlsError::File`].
pub fn print(settings: &ServerSettings, shown: Option<&Arc<Pair>>) -> Result<[u8; 32], TlsError> {
    let pair = match settings.is_awaited() {
        true => shown.map_or([0; 32], |shown| shown.print),
        false => print_of(&settings.pair())?,
    };
    let clients = settings.clients.iter();
    let files = clients.flat_map(|clients| [Some(&clients.ca), clients.crl.as_ref()]).flatten();
    let clients = print_of(&files.collect::<Vec<_>>())?;
    Ok(sum(&[&pair, &clients]))
}

fn print_of(files: &[&PathBuf]) -> Result<[u8; 32], TlsError> {
    let read: Result<Vec<_>, _> = files.iter().map(|path| read(path)).collect();
    Ok(sum(&read?.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}

fn sum(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut print = [0; 32];
    for (to, from) in print.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    print
}

/// When the first of the certificates in the file to end does, in Unix seconds.
///
/// # Errors
/// [`TlsError::File`], [`TlsError::NoCertificate`] or [`TlsError::Form`].
pub fn ends_at_s(path: &Path) -> Result<i64, TlsError> {
    earliest_end_s(&certificates(path)?).ok_or_else(|| TlsError::Form(path.to_owned()))
}

/// A chain holds no longer than its weakest link.
fn earliest_end_s(chain: &[CertificateDer<'_>]) -> Option<i64> {
    let mut earliest = i64::MAX;
    for certificate in chain {
        let (_, read) = X509Certificate::from_der(certificate).ok()?;
        earliest = earliest.min(read.validity().not_after.timestamp());
    }
    Some(earliest)
}

/// What is shown until there is a certificate: one that nobody believes, made for this moment.
fn placeholder(names: &[String]) -> Result<Pair, TlsError> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(names.to_vec())?.self_signed(&key)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(Pair { chain: vec![certificate.der().clone()], key: der, file: None, print: [0; 32] })
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
        let config = present(&files(dir.path(), false), None).unwrap().config;
        assert_eq!(config.max_early_data_size, 0);
        assert!(config.ignore_client_order);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = present(&files(dir.path(), true), None);
        assert!(matches!(refused, Err(TlsError::Unusable { .. })));
    }

    #[test]
    fn a_missing_or_empty_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = files(dir.path(), false);
        std::fs::write(&settings.certificate, "").unwrap();
        assert!(matches!(present(&settings, None), Err(TlsError::NoCertificate(_))));
        settings.certificate = dir.path().join("absent.pem");
        let said = present(&settings, None).unwrap_err().to_string();
        assert!(said.contains("absent.pem"), "{said}");
    }

    /// A listener whose certificate is ordered, with the pair that will be issued.
    fn ordered(dir: &Path) -> (ServerSettings, String) {
        let own = files(dir, false);
        let both = dir.join("both.pem");
        let acme = vec!["bank.example".to_owned()];
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let issued = read(&own.certificate) + &read(&own.key);
        (ServerSettings { certificate: both.clone(), key: both, acme, ..own }, issued)
    }

    #[test]
    fn a_certificate_that_is_awaited_is_made_for_the_moment_and_seen_once_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, issued) = ordered(dir.path());
        assert!(settings.is_awaited());
        let before = present(&settings, None).unwrap();
        assert!(!before.pair.is_of(&settings.certificate));
        std::fs::write(&settings.certificate, issued).unwrap();
        let after = present(&settings, Some(&before.pair)).unwrap();
        assert!(!settings.is_awaited() && before.print != after.print);
        assert!(after.pair.is_of(&settings.certificate));
        std::fs::write(&settings.certificate, "").unwrap();
        let refused = present(&settings, Some(&after.pair));
        assert!(refused.is_err(), "what is there and cannot be used is a fault");
    }

    #[test]
    fn a_pair_that_is_shown_goes_on_while_its_file_or_that_of_other_names_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, issued) = ordered(dir.path());
        std::fs::write(&settings.certificate, issued).unwrap();
        let good = present(&settings, None).unwrap();
        std::fs::remove_file(&settings.certificate).unwrap();
        let clients = dir.path().join("clients.pem");
        std::fs::copy(dir.path().join("chain.pem"), &clients).unwrap();
        let clients =
            Some(ClientSettings { ca: clients, crl: None, ask: super::super::Ask::Optional });
        let other = dir.path().join("other.pem");
        let (certificate, key) = (other.clone(), other);
        for (what, next, is_news) in [
            ("gone", settings.clone(), false),
            ("gone, and other clients", ServerSettings { clients, ..settings.clone() }, true),
            ("other names", ServerSettings { certificate, key, ..settings.clone() }, false),
        ] {
            let made = present(&next, Some(&good.pair)).unwrap();
            assert!(Arc::ptr_eq(&made.pair, &good.pair), "{what}");
            assert_eq!(made.print != good.print, is_news, "{what}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_looked_at_is_a_fault_and_none_that_is_awaited() {
        let dir = tempfile::tempdir().unwrap();
        let (settings, _) = ordered(dir.path());
        // Below what is no folder: like one that may not be entered, for whoever may enter all.
        let hidden = dir.path().join("chain.pem").join("both.pem");
        let hidden = ServerSettings { certificate: hidden.clone(), key: hidden, ..settings };
        assert!(!hidden.is_awaited());
        assert!(matches!(present(&hidden, None), Err(TlsError::File { .. })));
    }
}
