//! How a session can be raised: which factors of its account reach how far, on which host.

use super::{AuthError, Cookie, Identity, PasskeyInfo};
use crate::state::{AccountRow, PasskeyRow};

/// Factors that can be shown for a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// A one-time code, or a recovery code in its place.
    pub code: bool,
    /// A passkey.
    pub passkey: bool,
}

impl Ways {
    /// Whether there is one.
    #[must_use]
    pub fn any(self) -> bool {
        self.code || self.passkey
    }
}

/// What a session's holder may know of their own factors.
#[derive(Clone, Debug, Default)]
pub struct Factors {
    /// The passkeys of this host, the oldest first.
    pub passkeys: Vec<PasskeyInfo>,
    /// What the session could show.
    pub ways: Ways,
    /// The level that must be shown anew before a factor is added or removed; none if it just was.
    pub unproved: Option<u8>,
}

impl Identity {
    /// The factors that would raise this session to that assurance, on its host; `by_device` names those alone that
    /// are a device of the account, since no other counts for so much where the account has devices.
    ///
    /// # Errors
    /// [`AuthError`] if the session is no more.
    pub async fn ways_to(
        &self,
        cookie: &Cookie,
        assurance: u8,
        by_device: bool,
    ) -> Result<Ways, AuthError> {
        let session = self.live_session(cookie).await?;
        let mut passkeys = self.store.passkeys(&session.row.name).await?;
        if by_device {
            let devices = self.device_passkeys(&session.row.name).await?;
            passkeys.retain(|passkey| devices.contains(&passkey.id));
            let ways = ways(&session.row, 0, &passkeys, assurance, &cookie.place().host);
            return Ok(Ways { code: false, ..ways });
        }
        let left = self.store.recovery_codes_left(&session.row.name).await?;
        Ok(ways(&session.row, left, &passkeys, assurance, &cookie.place().host))
    }

    /// The factors of whoever holds this session.
    ///
    /// # Errors
    /// [`AuthError`] if the session is no more.
    pub async fn factors(&self, cookie: &Cookie) -> Result<Factors, AuthError> {
        let session = self.live_session(cookie).await?;
        let passkeys = self.store.passkeys(&session.row.name).await?;
        let host = &*cookie.place().host;
        let left = self.store.recovery_codes_left(&session.row.name).await?;
        let ways = ways(&session.row, left, &passkeys, 0, host);
        let unproved = self.unproved(&session, &passkeys);
        let here = passkeys.iter().filter(|passkey| passkey.host == host);
        Ok(Factors { passkeys: here.map(PasskeyInfo::from).collect(), ways, unproved })
    }
}

fn ways(
    account: &AccountRow,
    recovery_codes: u32,
    passkeys: &[PasskeyRow],
    assurance: u8,
    host: &str,
) -> Ways {
    let reaches = |passkey: &PasskeyRow| assurance <= if passkey.verifies { 3 } else { 2 };
    Ways {
        code: assurance <= 2 && (account.totp_secret.is_some() || recovery_codes > 0),
        passkey: passkeys.iter().any(|passkey| passkey.host == host && reaches(passkey)),
    }
}
