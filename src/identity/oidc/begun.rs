//! What a browser keeps while its user is at the issuer: sealed, good for one host and zone and ten minutes.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{OIDC_S, OidcFault};
use crate::identity::Place;
use crate::secret::{Sealer, Secret};
use crate::state::{SessionId, StateError};

/// The cookie's name. It must come along when the issuer sends the browser back, so it is `Lax`; the session's
/// own is not.
pub const OIDC_COOKIE: &str = "__Host-menshen-oidc";

/// The `Set-Cookie` value that gives a browser what it keeps.
#[must_use]
pub fn set_oidc_cookie(value: &Secret<String>) -> Secret<String> {
    let value = value.expose();
    Secret::new(format!(
        "{OIDC_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={OIDC_S}"
    ))
}

/// The one that takes it away again.
#[must_use]
pub fn clear_oidc_cookie() -> String {
    format!("{OIDC_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// A sign-in that was begun.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sealed {
    pub(super) issuer: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) redirect: String,
    pub(super) next: String,
    pub(super) level: u8,
    pub(super) max_age_s: Option<u32>,
    /// Whose session is to be raised.
    pub(super) account: Option<String>,
    /// Which.
    pub(super) session: Option<SessionId>,
    pub(super) at_s: i64,
}

impl Sealed {
    /// What the issuer is told of the verifier (RFC 7636, S256).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }

    /// Whether somebody who is signed in shall show more.
    pub(super) fn is_raising(&self) -> bool {
        self.level > 0 || self.max_age_s.is_some()
    }

    pub(super) fn seal(&self, sealer: &Sealer, place: &Place) -> Result<Secret<String>, OidcFault> {
        let text = serde_json::to_vec(self).map_err(|_never| StateError::Value("a sign-in"))?;
        let sealed = sealer.seal(&label(place), &text).map_err(|_no_key| StateError::Crypto)?;
        Ok(Secret::new(URL_SAFE_NO_PAD.encode(sealed)))
    }

    pub(super) fn open(
        sealer: &Sealer,
        sealed: &str,
        place: &Place,
        now: i64,
    ) -> Result<Self, OidcFault> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok().ok_or(OidcFault::NotBegun)?;
        let text = sealer.open(&label(place), &bytes).ok().ok_or(OidcFault::NotBegun)?;
        let begun: Self = serde_json::from_slice(&text).ok().ok_or(OidcFault::NotBegun)?;
        let age = now.saturating_sub(begun.at_s);
        (0..i64::from(OIDC_S)).contains(&age).then_some(begun).ok_or(OidcFault::NotBegun)
    }
}

fn label(place: &Place) -> String {
    format!("{} {}", place.zone, place.host)
}
