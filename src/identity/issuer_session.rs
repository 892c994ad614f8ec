//! Browser sessions of people who signed in at an issuer: they have no account here, only what the issuer
//! told of them then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::caller::{Attribute, Caller, CredentialRef};
use super::session::Used;
use super::{AuthError, Cookie, Identity};
use crate::state::{IssuerSessionRow, StateError};

/// A use is noted at most once in so many seconds.
const TOUCH_AFTER_S: i64 = 60;

/// What the issuer told.
#[derive(Serialize, Deserialize)]
struct Told {
    kind: String,
    roles: Vec<String>,
    attributes: BTreeMap<String, Attribute>,
    #[serde(default)]
    fades: BTreeMap<String, i64>,
}

/// The part of a caller that is not a column.
pub(super) fn to_json(caller: &Caller) -> Result<String, StateError> {
    let told = Told {
        kind: caller.kind.as_str().to_owned(),
        roles: caller.roles.clone(),
        attributes: caller.attributes.clone(),
        fades: caller.fades.clone(),
    };
    serde_json::to_string(&told).map_err(|_never| StateError::Value("an issuer's session"))
}

impl Identity {
    pub(super) async fn issuer_session_caller(
        &self,
        cookie: &Cookie,
        used: Used,
    ) -> Result<Caller, AuthError> {
        let id = self.session_id(cookie);
        let row = self.store.issuer_session(id).await?.ok_or(AuthError::SessionEnded)?;
        let now = self.clock.unix_s();
        self.bearer.look_for_revocations(now).await?;
        if !self.is_live_at_issuer(&row, now) {
            return Err(AuthError::SessionEnded);
        }
        if used == Used::Now && now.saturating_sub(row.last_seen_s) >= TOUCH_AFTER_S {
            self.store.touch_issuer_session(id);
        }
        let damaged = || AuthError::State(StateError::Value("an issuer's session"));
        let told: Told = serde_json::from_str(&row.caller).map_err(|_unread| damaged())?;
        let factors: Vec<super::Factor> =
            serde_json::from_str(&row.factors).map_err(|_unread| damaged())?;
        Ok(Caller {
            account: row.account,
            kind: told.kind.parse().map_err(|_unknown| damaged())?,
            roles: told.roles,
            attributes: told.attributes,
            fades: told.fades,
            assurance: factors.iter().map(|factor| factor.level).max().unwrap_or(0),
            factors,
            credential: CredentialRef::Session { reference: self.session_reference(cookie) },
            ..Caller::default()
        })
    }

    fn is_live_at_issuer(&self, row: &IssuerSessionRow, now: i64) -> bool {
        let idle = now.saturating_sub(row.last_seen_s);
        now < row.expires_s
            && idle < i64::from(self.settings().session.idle_s)
            // An issuer that is no longer configured vouches for nobody.
            && self.sign_in_issuer_of(&row.account).is_some()
            && !self.bearer.revocations().covers(&row.account, row.began_s)
    }
}
