//! Where a request came in, which is what its session is bound to: another host, zone or client certificate
//! makes another session of the same cookie value, and there is none.

use std::sync::Arc;

use super::Certificate;
use super::credentials::COOKIE_LENGTH;
use crate::secret::{Secret, random_token};
use crate::state::StateError;

/// The host that was asked, the zone of the listener, and what TLS knows of the client.
#[derive(Clone, Debug)]
pub struct Place {
    /// In lower case, without port.
    pub host: Arc<str>,
    /// Such as `business`.
    pub zone: Arc<str>,
    /// The certificate that the client showed for this connection.
    pub certificate: Option<Arc<Certificate>>,
}

/// A session cookie and where it was shown. It names a session only together with that place.
#[derive(Clone, Debug)]
pub struct Cookie {
    value: Secret<String>,
    place: Place,
}

impl Cookie {
    /// The cookie of this value, shown at that place.
    #[must_use]
    pub fn shown(value: Secret<String>, place: Place) -> Self {
        Self { value, place }
    }

    /// A new one for that place: 256 random bits.
    pub(super) fn random(place: &Place) -> Result<Self, StateError> {
        let value = random_token::<{ COOKIE_LENGTH * 3 / 4 }>()?;
        Ok(Self { value, place: place.clone() })
    }

    /// The value, for the browser.
    #[must_use]
    pub fn value(&self) -> &Secret<String> {
        &self.value
    }

    /// Where it was shown.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What a session is named by.
    pub(super) fn parts(&self) -> [&[u8]; 4] {
        let Place { host, zone, certificate } = &self.place;
        let key: &[u8] = certificate.as_ref().map_or(&[], |certificate| certificate.key());
        [self.value.expose().as_bytes(), host.as_bytes(), zone.as_bytes(), key]
    }
}
