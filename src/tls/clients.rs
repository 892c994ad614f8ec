//! Client certificates: whose are believed, and which were taken back.
//!
//! A chain is verified to the authorities of the one listener, whole and against their lists of revoked
//! certificates; an unknown status, or a list past its time, is a refusal. The certificate's names are read
//! elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;

use super::server::{certificates, read};
use super::{TlsError, provider};

/// Whose client certificates a listener believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// The certificates of the authorities, in PEM.
    pub ca: PathBuf,
    /// Their lists of revoked certificates, in PEM; none are asked for if there is no file.
    pub crl: Option<PathBuf>,
    /// Whether a client without a certificate gets a connection.
    pub ask: Ask,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// It may; one that it shows must be good.
    Optional,
    /// It must.
    Required,
}

/// Reads the files and builds the verifier.
pub(super) fn verifier(settings: &ClientSettings) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&settings.ca)? {
        let unusable = |source| TlsError::Unusable { path: settings.ca.clone(), source };
        roots.add(certificate).map_err(unusable)?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    if let Some(path) = &settings.crl {
        // A list that nobody renews says nothing of what was revoked since.
        builder = builder.with_crls(lists(path)?).enforce_revocation_expiration();
    }
    if settings.ask == Ask::Optional {
        builder = builder.allow_unauthenticated();
    }
    let path = settings.crl.as_ref().unwrap_or(&settings.ca).clone();
    builder.build().map_err(|source| TlsError::Clients { path, source })
}

fn lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let pem = read(path)?;
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&pem).collect();
    let lists = lists.unwrap_or_default();
    if lists.is_empty() { Err(TlsError::NoList(path.to_owned())) } else { Ok(lists) }
}
