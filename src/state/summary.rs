//! Accounts as an operator sees them in a list.

use super::account::{AccountRow, COLUMNS, from_row};
use super::{StateError, Store, act};

/// An account and what it has.
#[derive(Clone, Debug)]
pub struct SummaryRow {
    /// The account.
    pub account: AccountRow,
    /// How many passkeys.
    pub passkeys: u32,
    /// How many recovery codes that are not used up.
    pub recovery_codes: u32,
    /// How many sessions that have not expired.
    pub sessions: u32,
    /// How it stands, if anything was said of it.
    pub standing: Option<String>,
    /// When somebody last signed in, Unix seconds, and from which address.
    pub signed_in: Option<(i64, String)>,
}

impl Store {
    /// All accounts by name, at most `limit`.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn summaries(&self, limit: u32) -> Result<Vec<SummaryRow>, StateError> {
        let now = self.clock.unix_s();
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS}, signed_in_s, signed_in_from,
                   (SELECT count(*) FROM passkeys WHERE account = accounts.name) AS passkeys,
                   (SELECT count(*) FROM recovery WHERE account = accounts.name) AS recovery_codes,
                   (SELECT count(*) FROM sessions WHERE account = accounts.name AND expires_s > ?2)
                     AS sessions,
                   (SELECT standing FROM roster WHERE account = accounts.name) AS standing
                 FROM accounts ORDER BY name LIMIT ?1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map((limit, now), |row| {
                let at: Option<i64> = row.get("signed_in_s")?;
                let from: Option<String> = row.get("signed_in_from")?;
                Ok(SummaryRow {
                    account: from_row(row)?,
                    passkeys: row.get("passkeys")?,
                    recovery_codes: row.get("recovery_codes")?,
                    sessions: row.get("sessions")?,
                    standing: row.get("standing")?,
                    signed_in: at.map(|at| (at, from.unwrap_or_default())),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Ends all sessions of an account, notes the act, and says how many there were.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such account.
    pub async fn end_sessions_of(&self, account: &str) -> Result<usize, StateError> {
        let (account, doer) = (account.to_owned(), self.doer());
        self.write(move |connection| {
            let sql = "SELECT 1 FROM accounts WHERE name = ?1";
            if !connection.prepare_cached(sql)?.exists([&account])? {
                return Err(StateError::Unknown(account));
            }
            let ended =
                connection.execute("DELETE FROM sessions WHERE account = ?1", [&account])?;
            act::note(connection, "sessions_ended", &account, &doer)?;
            Ok(ended)
        })
        .await
    }
}
