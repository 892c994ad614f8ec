//! What a client certificate says, once TLS has verified its chain: names, key, end. Pure.
//!
//! Only subject alternative names count. A common name is a text for people and names nobody.

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// The largest certificate that is read.
const SIZE_LIMIT: usize = 16 * 1024;
/// The most names of a certificate, and the longest in bytes.
const NAMES_LIMIT: usize = 32;
const NAME_LIMIT: usize = 255;

/// A certificate whose chain and possession TLS has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    sha256: [u8; 32],
    key: [u8; 32],
    names: Vec<SubjectName>,
    not_after_s: i64,
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// A URI, compared byte for byte.
    Uri(String),
    /// A host name, in lower case.
    Dns(String),
    /// A mail address, compared byte for byte.
    Email(String),
}

/// Why a client certificate is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// It is no certificate, or too large, or has too many or too long names.
    #[error("the client certificate cannot be read")]
    Unreadable,
    /// It has ended since the connection began.
    #[error("the client certificate has expired")]
    Expired,
    /// Its names are those of several machines.
    #[error("the client certificate names more than one machine")]
    Ambiguous,
}

/// The text names nothing that a certificate could.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` must be `uri:`, `dns:` or `email:` and a name of at most 255 visible characters")]
pub struct UnknownName(pub String);

impl std::str::FromStr for SubjectName {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let unknown = || UnknownName(text.chars().take(80).collect());
        let (kind, name) = text.split_once(':').ok_or_else(unknown)?;
        let is_plain = |name: &str| {
            (1..=NAME_LIMIT).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic())
        };
        if !is_plain(name) {
            return Err(unknown());
        }
        match kind {
            "uri" if name.contains(':') => Ok(Self::Uri(name.to_owned())),
            "dns" if !name.contains('*') => Ok(Self::Dns(name.to_ascii_lowercase())),
            "email" if name.contains('@') => Ok(Self::Email(name.to_owned())),
            _ => Err(unknown()),
        }
    }
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`CertificateFault::Unreadable`].
    pub fn read(der: &[u8]) -> Result<Self, CertificateFault> {
        let unreadable = CertificateFault::Unreadable;
        if der.len() > SIZE_LIMIT {
            return Err(unreadable);
        }
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_no_certificate| unreadable)?;
        if !rest.is_empty() {
            return Err(unreadable);
        }
        Ok(Self {
            sha256: sha256(der),
            key: sha256(certificate.public_key().raw),
            names: names(&certificate)?,
            not_after_s: certificate.validity().not_after.timestamp(),
        })
    }

    /// SHA-256 of the whole: what a token is bound to (RFC 8705, `x5t#S256`).
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// SHA-256 of its SubjectPublicKeyInfo: the same while a certificate is renewed for its key.
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// Refuses a certificate that ended while its connection was open, at `now` in Unix seconds.
    ///
    /// # Errors
    /// [`CertificateFault::Expired`].
    pub fn check(&self, now: i64) -> Result<(), CertificateFault> {
        if now > self.not_after_s { Err(CertificateFault::Expired) } else { Ok(()) }
    }

    /// Whether it has this name.
    #[must_use]
    pub fn is_named(&self, name: &SubjectName) -> bool {
        self.names.contains(name)
    }
}

fn names(certificate: &X509Certificate<'_>) -> Result<Vec<SubjectName>, CertificateFault> {
    let unreadable = CertificateFault::Unreadable;
    let found = certificate.subject_alternative_name().map_err(|_twice_or_broken| unreadable)?;
    let Some(found) = found else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for name in &found.value.general_names {
        let (text, name): (&str, fn(String) -> SubjectName) = match name {
            GeneralName::URI(text) => (text, SubjectName::Uri),
            GeneralName::DNSName(text) => {
                (text, |text| SubjectName::Dns(text.to_ascii_lowercase()))
            }
            GeneralName::RFC822Name(text) => (text, SubjectName::Email),
            GeneralName::Invalid(..) => return Err(unreadable),
            GeneralName::OtherName(..)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_) => continue,
        };
        if text.len() > NAME_LIMIT || names.len() >= NAMES_LIMIT {
            return Err(unreadable);
        }
        names.push(name(text.to_owned()));
    }
    Ok(names)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest(&SHA256, bytes).as_ref()) {
        *to = *from;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.to_owned().try_into().unwrap())
    }

    #[test]
    fn names_are_those_of_the_subject_alternative_name_and_never_the_common_name() {
        let der = made(|params| {
            params.distinguished_name.push(DnType::CommonName, "reports.bank.example");
            params.subject_alt_names = vec![
                uri("spiffe://bank.example/reports"),
                SanType::DnsName("Desk.bank.example".to_owned().try_into().unwrap()),
                SanType::Rfc822Name("a@bank.example".to_owned().try_into().unwrap()),
            ];
        });
        let read = Certificate::read(&der).unwrap();
        let is_named = |text: &str| read.is_named(&text.parse().unwrap());
        assert!(is_named("uri:spiffe://bank.example/reports"));
        assert!(is_named("dns:desk.bank.example") && is_named("dns:DESK.bank.example"));
        assert!(is_named("email:a@bank.example"));
        assert!(!is_named("dns:reports.bank.example"), "the common name names nobody");
        assert!(!is_named("uri:spiffe://bank.example/report"));
        assert!(!is_named("uri:SPIFFE://bank.example/reports"));
        let only_common = made(|params| {
            params.distinguished_name.push(DnType::CommonName, "reports.bank.example");
        });
        let read = Certificate::read(&only_common).unwrap();
        assert!(!read.is_named(&"dns:reports.bank.example".parse().unwrap()));
    }

    #[test]
    fn a_certificate_ends_while_its_connection_goes_on() {
        let read = Certificate::read(&made(|_| {})).unwrap();
        assert_eq!(read.check(1_893_456_000), Ok(()));
        assert_eq!(read.check(1_893_456_001), Err(CertificateFault::Expired));
    }

    #[test]
    fn a_renewed_certificate_has_the_same_key_and_another_hash() {
        let key = KeyPair::generate().unwrap();
        let certificate = |year| {
            let mut params = CertificateParams::default();
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            Certificate::read(params.self_signed(&key).unwrap().der()).unwrap()
        };
        let (old, new) = (certificate(2030), certificate(2031));
        assert_eq!(old.key(), new.key());
        assert_ne!(old.sha256(), new.sha256());
    }

    #[test]
    fn what_is_no_certificate_or_too_much_of_one_is_refused() {
        let good = made(|_| {});
        let with_tail = [good.as_slice(), b"x"].concat();
        let many = made(|params| {
            params.subject_alt_names = (0..33).map(|n| uri(&format!("urn:x:{n}"))).collect();
        });
        let long = made(|params| {
            params.subject_alt_names = vec![uri(&format!("urn:{}", "x".repeat(300)))];
        });
        for der in [&b""[..], b"x", &good[..good.len() - 1], &with_tail, &many, &long] {
            assert_eq!(Certificate::read(der), Err(CertificateFault::Unreadable));
        }
        for cut in 0..good.len() {
            assert!(Certificate::read(&good[..cut]).is_err());
        }
    }

    #[test]
    fn a_name_in_the_configuration_says_of_what_kind_it_is() {
        for text in ["", "x", "cn:x", "uri:x", "dns:*.bank.example", "dns:", "email:x", "uri:a b:c"]
        {
            assert!(text.parse::<SubjectName>().is_err(), "{text}");
        }
    }
}
