//! Programs that show a client certificate and nothing else: callers by a name in it.

use super::caller::{Caller, CredentialRef, Factor, FactorMethod};
use super::client_cert::CertificateFault;
use super::settings::MachineSettings;
use super::{AuthError, Identity, Place};

/// What the accounts of machines begin with; no issuer may have that name.
pub(super) const PREFIX: &str = "machine";

impl Identity {
    /// The machine that the certificate names in this zone. A certificate that names none is nobody's: it may
    /// still be that of a device, whose user has to sign in.
    pub(super) fn machine_caller(&self, place: &Place) -> Result<Caller, AuthError> {
        let certificate = place.certificate.as_deref().ok_or(AuthError::Missing)?;
        let is_meant = |machine: &&MachineSettings| {
            certificate.is_named(&machine.name_in_certificate)
                && machine.zones.iter().any(|zone| **zone == *place.zone)
        };
        let settings = self.settings();
        let mut meant = settings.machines.iter().filter(is_meant);
        let machine = meant.next().ok_or(AuthError::Missing)?;
        if meant.next().is_some() {
            return Err(CertificateFault::Ambiguous.into());
        }
        let reference = self.log_tagger.reference(&[b"certificate", &certificate.sha256()]);
        Ok(Caller {
            account: format!("{PREFIX}:{}", machine.name),
            kind: machine.kind,
            roles: machine.roles.clone(),
            attributes: machine.attributes.clone(),
            assurance: 3,
            // TLS has the key prove itself for this connection, of which every record depends on that.
            factors: vec![Factor {
                level: 3,
                at_unix_s: Some(self.clock.unix_s()),
                method: FactorMethod::Certificate,
            }],
            credential: CredentialRef::ClientCertificate { reference },
            ..Caller::default()
        })
    }
}
