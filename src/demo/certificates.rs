//! Throw-away certificates for the demo and the tests: an authority, what it issues, and files.
//!
//! Never for a server that anybody else reaches: the authority's key lives in this process only.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::DemoError;
use crate::clock::Clock;
use crate::secret::Secret;

/// How long a certificate is good for; longer than any demo, shorter than a habit.
const VALID_DAYS: i64 = 30;

/// A certificate authority that exists as long as this value does.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    clock: Clock,
}

/// A server's certificate chain and the key that belongs to it.
pub struct Issued {
    /// The server's certificate, then the authority's, in PEM.
    pub chain_pem: String,
    /// PKCS #8 in PEM.
    pub key_pem: Secret<String>,
}

/// Where [`Issued::write`] put the two files.
#[derive(Clone, Debug)]
pub struct Files {
    /// The chain, readable by all.
    pub chain: PathBuf,
    /// The key, readable by its owner only.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority called `common_name`, good from yesterday for 30 days.
    ///
    /// # Errors
    /// [`DemoError::Certificate`] if no key can be made.
    pub fn new(common_name: &str, clock: &Clock) -> Result<Self, DemoError> {
        let key = KeyPair::generate()?;
        let mut params = params(Vec::new(), common_name, clock)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate_pem, clock: clock.clone() })
    }

    /// The authority's own certificate in PEM, for whoever shall trust it.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The SHA-256 of its public key in base64: by that Chromium can be told to trust what it issued
    /// (`--ignore-certificate-errors-spki-list`), with a profile of its own and nowhere else.
    #[must_use]
    pub fn key_hash(&self) -> String {
        let key = self.issuer.key().subject_public_key_info();
        STANDARD.encode(digest(&SHA256, &key))
    }

    /// A server certificate for `names`, which are host names or IP addresses.
    ///
    /// # Errors
    /// [`DemoError::Certificate`] if a name is neither, or [`DemoError::NoName`] if there is none.
    pub fn issue(&self, names: &[&str]) -> Result<Issued, DemoError> {
        let common_name = names.first().ok_or(DemoError::NoName)?;
        let sans = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = params(sans, common_name, &self.clock)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            chain_pem: format!("{}{}", certificate.pem(), self.certificate_pem),
            key_pem: Secret::new(key.serialize_pem()),
        })
    }
}

fn params(
    sans: Vec<String>,
    common_name: &str,
    clock: &Clock,
) -> Result<CertificateParams, DemoError> {
    let mut params = CertificateParams::new(sans)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = jiff::Timestamp::from_second(clock.unix_s()).map_err(DemoError::Clock)?;
    let today = now.to_zoned(TimeZone::UTC).date();
    let midnight = |date: jiff::civil::Date| {
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    params.not_before = midnight(today.saturating_sub(1.day()));
    params.not_after = midnight(today.saturating_add(VALID_DAYS.days()));
    Ok(params)
}

impl Issued {
    /// Writes `NAME.pem` and `NAME.key` into `folder`, replacing older ones.
    ///
    /// # Errors
    /// [`DemoError::File`].
    pub fn write(&self, folder: &Path, name: &str) -> Result<Files, DemoError> {
        let chain = folder.join(format!("{name}.pem"));
        let key = folder.join(format!("{name}.key"));
        replace(&chain, &self.chain_pem, 0o644)?;
        replace(&key, self.key_pem.expose(), 0o600)?;
        Ok(Files { chain, key })
    }

    /// A TLS server for HTTP/1.1 that shows this certificate.
    ///
    /// # Errors
    /// [`DemoError::Pem`] or [`DemoError::Tls`] if the certificate and its key do not fit.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, DemoError> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(self.chain_pem.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.expose().as_bytes());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain.map_err(DemoError::Pem)?, key.map_err(DemoError::Pem)?)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Writes `text` to a file that anybody may read, such as an authority's certificate.
///
/// # Errors
/// [`DemoError::File`].
pub fn write_public(path: &Path, text: &str) -> Result<(), DemoError> {
    replace(path, text, 0o644)
}

/// Writes `text` to a file that its owner alone may read.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), DemoError> {
    replace(path, text, 0o600)
}

/// Writes beside and renames, so that the file never exists with other permissions or half full.
fn replace(path: &Path, text: &str, mode: u32) -> Result<(), DemoError> {
    let fault = |source| DemoError::File { path: path.display().to_string(), source };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match std::fs::remove_file(&beside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fault(e)),
        Ok(()) | Err(_) => {}
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(&beside).map_err(fault)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)?;
    std::fs::rename(&beside, path).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls_pki_types::{ServerName, UnixTime};
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    const NOON: u64 = 1_790_000_000;

    fn clock() -> Clock {
        Clock::fixed(i64::try_from(NOON).unwrap() * 1_000)
    }

    fn accepts(trusted: &Authority, shown: &Issued, name: &'static str, at: u64) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        let pem = trusted.certificate_pem().as_bytes();
        roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let chain: Vec<_> = CertificateDer::pem_slice_iter(shown.chain_pem.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let name = ServerName::try_from(name).unwrap();
        verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now).is_ok()
    }

    #[test]
    fn a_certificate_is_good_for_its_names_under_its_authority_and_within_its_time() {
        let authority = Authority::new("demo CA", &clock()).unwrap();
        let stranger = Authority::new("demo CA", &clock()).unwrap();
        let issued = authority.issue(&["crm.example", "127.0.0.1"]).unwrap();
        assert!(accepts(&authority, &issued, "crm.example", NOON));
        assert!(accepts(&authority, &issued, "127.0.0.1", NOON));
        assert!(!accepts(&authority, &issued, "other.example", NOON));
        assert!(!accepts(&stranger, &issued, "crm.example", NOON));
        assert!(!accepts(&authority, &issued, "crm.example", NOON + 31 * 86_400));
        assert!(!accepts(&authority, &issued, "crm.example", NOON - 3 * 86_400));
    }

    #[test]
    fn a_certificate_without_a_name_is_refused() {
        let authority = Authority::new("demo CA", &clock()).unwrap();
        assert!(matches!(authority.issue(&[]), Err(DemoError::NoName)));
    }

    #[test]
    fn a_key_file_is_private_even_where_a_public_one_stood() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("gate.key"), "old").unwrap();
        let issued = Authority::new("demo CA", &clock()).unwrap().issue(&["localhost"]).unwrap();
        let files = issued.write(folder.path(), "gate").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files.key), 0o600);
        let written = std::fs::read_to_string(&files.key).unwrap();
        assert_eq!(&written, issued.key_pem.expose());
        assert!(std::fs::read_to_string(&files.chain).unwrap().contains("BEGIN CERTIFICATE"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
