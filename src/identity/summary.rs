//! Accounts and their sessions as an operator sees them. Whoever calls this has been authorised.

use super::Identity;
use super::account::{Account, AccountError, LIST_LIMIT};
use super::overview::{SessionInfo, SignedIn, info};
use super::password::NEVER;
use crate::state::{StateError, SummaryRow};

/// An account and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The account.
    pub account: Account,
    /// Whether its person has set a password; one who was only invited has none.
    pub has_password: bool,
    /// How many passkeys it has.
    pub passkeys: u32,
    /// How many recovery codes are left.
    pub recovery_codes: u32,
    /// How many sessions it has.
    pub sessions: u32,
    /// How it stands: `active`, `invited` if nothing signs it in yet, `disabled`, `suspended` or `left`.
    pub standing: String,
    /// The last sign-in, if there was one.
    pub signed_in: Option<SignedIn>,
}

impl Identity {
    /// All accounts by name, with what they have.
    ///
    /// # Errors
    /// [`AccountError::Damaged`] or [`AccountError::State`].
    pub async fn summaries(&self) -> Result<Vec<Summary>, AccountError> {
        let rows = self.store.summaries(LIST_LIMIT).await?;
        rows.into_iter().map(summary).collect()
    }

    /// The sessions of an account, the newest first.
    ///
    /// # Errors
    /// [`AccountError::State`], also if there is no such account.
    pub async fn sessions_of(&self, account: &str) -> Result<Vec<SessionInfo>, AccountError> {
        let known = self.store.account(account).await?;
        known.ok_or_else(|| StateError::Unknown(account.to_owned()))?;
        let rows = self.live_sessions(account).await?;
        Ok(rows.into_iter().map(|row| info(row, None)).collect::<Result<_, _>>()?)
    }

    /// Ends all sessions of an account at once and says how many there were. A passkey, a password or a token opens
    /// another: to keep somebody out, switch the account off.
    ///
    /// # Errors
    /// [`AccountError::State`], also if there is no such account.
    pub async fn end_sessions_of(&self, account: &str) -> Result<usize, AccountError> {
        Ok(self.store.end_sessions_of(account).await?)
    }
}

fn summary(row: SummaryRow) -> Result<Summary, AccountError> {
    let has_password = row.account.password_hash.expose() != NEVER;
    let is_welcome = row.standing.as_deref().is_none_or(|standing| standing == "active");
    let standing = if is_welcome && !has_password && row.passkeys == 0 {
        "invited".to_owned()
    } else {
        row.standing.unwrap_or_else(|| "active".to_owned())
    };
    Ok(Summary {
        has_password,
        standing,
        account: Account::try_from(row.account)?,
        passkeys: row.passkeys,
        recovery_codes: row.recovery_codes,
        sessions: row.sessions,
        signed_in: row.signed_in.map(|(at_s, from)| SignedIn { at_s, from }),
    })
}
