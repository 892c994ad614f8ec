//! Orders of an issuer to sign somebody out (OpenID Connect Back-Channel Logout 1.0).

use super::OidcFault;
use super::id_token::as_client;
use crate::identity::Identity;
use crate::identity::claims::{TokenFault, is_name};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The oldest order that is obeyed, in seconds.
const OLDEST_S: i64 = 300;

/// Whom an issuer signed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcSignedOut {
    /// The account, if the issuer names one.
    pub account: Option<String>,
    /// How many sessions ended.
    pub sessions: usize,
}

impl Identity {
    /// Obeys an order to sign out, once.
    ///
    /// # Errors
    /// [`OidcFault`]; nobody is signed out then.
    pub async fn oidc_logout(&self, issuer: &str, token: &str) -> Result<OidcSignedOut, OidcFault> {
        let issuer = &self.sign_in_issuer(issuer)?;
        let client = issuer.sign_in.as_ref().ok_or(OidcFault::Unknown)?;
        let types = &["logout+jwt", "jwt"];
        let (claims, _) = self.bearer.claims_of(&issuer.name, token, types).await?;
        let now = self.clock.unix_s();
        claims.judge_order(&as_client(issuer, &client.client_id), now)?;
        // Without these it may be a token of another kind (section 2.4).
        if !claims.has_event(EVENT) || claims.has("nonce") {
            return Err(OidcFault::Logout);
        }
        let issued = claims.time("iat")?.ok_or(TokenFault::Claim("iat"))?.begun_s;
        if now.saturating_sub(issued) > OLDEST_S {
            return Err(TokenFault::Expired.into());
        }
        let id = claims.text("jti")?.filter(|id| is_name(id)).ok_or(TokenFault::Claim("jti"))?;
        let subject = claims.text("sub")?.filter(|subject| is_name(subject));
        let sid = claims.text("sid")?.filter(|sid| is_name(sid));
        if subject.is_none() && sid.is_none() {
            return Err(OidcFault::Logout);
        }
        let used = [b"oidc-logout", issuer.name.as_bytes(), id.as_bytes()];
        let until_s = issued.saturating_add(OLDEST_S * 2);
        if !self.store.use_once(self.session_tagger.tag(&used), until_s).await? {
            return Err(OidcFault::Replayed);
        }
        let account = subject.map(|subject| format!("{}:{subject}", issuer.name));
        let sid = sid.map(|sid| self.sid_tag(&issuer.name, sid));
        let sessions = self.store.end_issuer_sessions(account.clone(), sid).await?;
        Ok(OidcSignedOut { account, sessions })
    }
}
