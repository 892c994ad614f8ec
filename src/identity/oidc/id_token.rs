//! What an issuer's token says of who signed in (OpenID Connect Core section 3.1.3.7).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::OidcFault;
use super::begun::Sealed;
use super::provider::Tokens;
use crate::identity::Identity;
use crate::identity::caller::Caller;
use crate::identity::claims::{Claims, TokenFault, is_name};
use crate::identity::keys::Algorithm;
use crate::identity::settings::IssuerSettings;
use crate::state::IssuerTag;

/// Who signed in.
pub(super) struct Proved {
    pub(super) caller: Caller,
    /// Keyed hash of the issuer's name of its session.
    pub(super) sid: Option<IssuerTag>,
}

impl Identity {
    pub(super) async fn judge_id_token(
        &self,
        issuer: &IssuerSettings,
        tokens: &Tokens,
        begun: &Sealed,
    ) -> Result<Proved, OidcFault> {
        let client = issuer.sign_in.as_ref().ok_or(OidcFault::Unknown)?;
        let verified = self.bearer.claims_of(&issuer.name, &tokens.id_token, &["jwt"]).await?;
        let (claims, algorithm) = verified;
        let now = self.clock.unix_s();
        let judged = claims.judge(&as_client(issuer, &client.client_id), now)?;
        if judged.issued_s.is_none() {
            return Err(TokenFault::Claim("iat").into());
        }
        if judged.caller.binding.is_bound() {
            return Err(TokenFault::Bound.into());
        }
        self.bearer.revocations().check(&judged, &issuer.name, (now, issuer.leeway_s))?;
        let nonce = claims.text("nonce")?.unwrap_or_default();
        if verify_slices_are_equal(nonce.as_bytes(), begun.nonce.as_bytes()).is_err() {
            return Err(OidcFault::Nonce);
        }
        check_party(&claims, &client.client_id)?;
        check_access_token(&claims, algorithm, &tokens.access_token)?;
        let caller = judged.caller;
        check_age(&caller, begun, now, i64::from(issuer.leeway_s))?;
        let sid = claims.text("sid")?.filter(|sid| is_name(sid));
        let sid = sid.map(|sid| self.sid_tag(&issuer.name, sid));
        Ok(Proved { caller, sid })
    }

    pub(super) fn sid_tag(&self, issuer: &str, sid: &str) -> IssuerTag {
        self.session_tagger.tag(&[b"oidc-sid", issuer.as_bytes(), sid.as_bytes()])
    }
}

/// The same issuer, as it speaks to us as its client rather than to the API.
pub(super) fn as_client(issuer: &IssuerSettings, client_id: &str) -> IssuerSettings {
    IssuerSettings { audience: client_id.to_owned(), is_bound: false, ..issuer.clone() }
}

/// Several audiences need one that it was made for, and that must be us.
fn check_party(claims: &Claims, client_id: &str) -> Result<(), OidcFault> {
    match claims.text("azp")? {
        Some(party) if party != client_id => Err(OidcFault::Party),
        None if claims.audiences()?.len() > 1 => Err(OidcFault::Party),
        Some(_) | None => Ok(()),
    }
}

/// `at_hash`: the access token beside it is the one that it was made with.
fn check_access_token(
    claims: &Claims,
    algorithm: Algorithm,
    access_token: &str,
) -> Result<(), OidcFault> {
    let Some(told) = claims.text("at_hash")? else { return Ok(()) };
    let hash = match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &SHA256,
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &SHA384,
        Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => &SHA512,
    };
    let hashed = digest(hash, access_token.as_bytes());
    let half = hashed.as_ref().get(..hashed.as_ref().len() / 2).unwrap_or_default();
    let expected = URL_SAFE_NO_PAD.encode(half);
    if verify_slices_are_equal(told.as_bytes(), expected.as_bytes()).is_err() {
        return Err(OidcFault::Apart);
    }
    Ok(())
}

/// Whoever was asked to show a factor anew has done so.
fn check_age(caller: &Caller, begun: &Sealed, now: i64, leeway_s: i64) -> Result<(), OidcFault> {
    if !begun.is_raising() {
        return Ok(());
    }
    let at = caller.factor_time(0);
    // Without `max_age` the prompt alone was asked for: since then.
    let most = begun.max_age_s.map_or(now.saturating_sub(begun.at_s), i64::from);
    let is_fresh = |at: i64| now.saturating_sub(at) <= most.saturating_add(leeway_s);
    match at {
        Some(at) if is_fresh(at) => Ok(()),
        None if begun.max_age_s.is_none() => Ok(()),
        Some(_) | None => Err(OidcFault::Stale),
    }
}
