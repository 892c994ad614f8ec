//! An authority for client certificates, what it issues, and its list of revoked ones.

use std::sync::Arc;

use menshen::tls::client::{ClientIdentity, client_config};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};

use super::client::Client;

/// Whoever signs for clients.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A client's certificate and key.
pub(crate) struct Shown {
    pub(crate) pem: String,
    pub(crate) der: Vec<u8>,
    pub(crate) key_pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate with this URI, if any, good until 2030.
    pub(crate) fn issue(&self, uri: &str, serial: u64) -> Shown {
        self.issue_for(&KeyPair::generate().unwrap(), uri, serial)
    }

    /// The same for a key that there is already.
    pub(crate) fn issue_for(&self, key: &KeyPair, uri: &str, serial: u64) -> Shown {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "spiffe://bank.example/reports");
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_after = date_time_ymd(2030, 1, 1);
        params.use_authority_key_identifier_extension = true;
        if !uri.is_empty() {
            params.subject_alt_names = vec![SanType::URI(uri.to_owned().try_into().unwrap())];
        }
        let made = params.signed_by(key, &self.issuer).unwrap();
        Shown { pem: made.pem(), der: made.der().to_vec(), key_pem: key.serialize_pem() }
    }

    /// Its list of these serial numbers, good until that year.
    pub(crate) fn list(&self, revoked: &[u64], until: i32) -> String {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 1, 2),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(until, 1, 2),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

impl Client {
    /// The same client with a certificate of its own.
    pub(crate) fn showing(&self, ca_pem: &str, shown: &Shown) -> Self {
        let (chain_pem, key_pem) = (shown.pem.as_bytes(), shown.key_pem.as_bytes());
        let identity = ClientIdentity { chain_pem, key_pem };
        let config = client_config(ca_pem.as_bytes(), Some(identity)).unwrap();
        Self { config: Arc::clone(&config), ..self.clone() }
    }
}
