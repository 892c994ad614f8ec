//! What is kept of ACME below the gate's state: accounts, and certificates each with its key in one file, so that a crash leaves
//! a pair that fits.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::due::Span;
use super::{AcmeError, Obtained};
use crate::secret::Secret;

/// Where they are kept, below the state.
#[must_use]
pub fn folder(state: &Path) -> PathBuf {
    state.join("acme")
}

/// The file of the certificate for these names, with its key.
#[must_use]
pub fn file_of(state: &Path, names: &[String]) -> PathBuf {
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let first = names.first().map_or("none", String::as_str);
    let may = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let first: String = first.chars().filter(|c| may(*c)).take(64).collect();
    folder(state).join(format!("{first}-{}.pem", short_print(&sorted)))
}

/// Puts a certificate and its key in place of those before, in one step.
///
/// # Errors
/// [`AcmeError::File`]; those before stay.
pub fn store(path: &Path, obtained: &Obtained) -> Result<(), AcmeError> {
    write_private(path, obtained.pem.expose().as_bytes())
}

/// From when to when the certificate in the file is good, and how the authority calls it; nothing if there is none that can be
/// read.
#[must_use]
pub fn span_of(path: &Path) -> Option<(Span, CertificateDer<'static>)> {
    let pem = std::fs::read(path).ok()?;
    let first = CertificateDer::pem_slice_iter(&pem).next()?.ok()?;
    Some((span(&first)?, first))
}

pub(super) fn span(certificate: &CertificateDer<'_>) -> Option<Span> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    let validity = read.validity();
    let (begins_s, ends_s) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    (begins_s < ends_s).then_some(Span { begins_s, ends_s })
}

/// A chain and its key as they are kept, the certificate first and the key last.
pub(super) fn in_pem(chain: &[CertificateDer<'_>], key: &KeyPair) -> Secret<String> {
    let mut pem = String::new();
    for certificate in chain {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for (at, letter) in STANDARD.encode(certificate).chars().enumerate() {
            if at > 0 && at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(letter);
        }
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    pem.push_str(Secret::new(key.serialize_pem()).expose());
    Secret::new(pem)
}

/// Writes a file for its owner alone, durable before it takes the place of another.
pub(super) fn write_private(path: &Path, content: &[u8]) -> Result<(), AcmeError> {
    let failed = |source| AcmeError::File { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let new = path.with_extension("new");
    // One of a crash may have another mode.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)?;
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// A few letters that tell texts apart.
pub(super) fn short_print(texts: &[&str]) -> String {
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    context.finish().as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
