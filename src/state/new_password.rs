//! A password that its owner replaces, in a session that lives on.

use rusqlite::params;

use super::failure::{Settled, settle};
use super::session::SessionId;
use super::{StateError, Store, act};
use crate::secret::Secret;

/// What changes with a new password.
#[derive(Clone, Debug)]
pub struct NewPasswordRow {
    /// The account.
    pub account: String,
    /// The PHC string of the old password: if it is no longer that one, nothing changes.
    pub old: Secret<String>,
    /// The PHC string of the new password.
    pub new: Secret<String>,
    /// The session that lives on.
    pub session: SessionId,
    /// Its new id.
    pub new_session: SessionId,
    /// JSON list of its factors.
    pub factors: String,
}

impl Store {
    /// Replaces the password, gives the session its new id, ends all others, settles the attempt, and notes that
    /// the owner did it. `false` if the session or the old password is no more; nothing has changed then.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing has changed then.
    pub async fn change_own_password(
        &self,
        row: NewPasswordRow,
        settled: Settled,
    ) -> Result<bool, StateError> {
        let now = self.clock.unix_s();
        let doer = act::Doer { name: row.account.as_str().into(), at_ms: self.clock.unix_ms() };
        let done = self.write(move |connection| {
            let gone = || StateError::Unknown(row.account.clone());
            let set = connection.execute(
                "UPDATE accounts SET password_hash = ?2, password_set_s = ?4, changed_s = ?4
                 WHERE name = ?1 AND password_hash = ?3 AND disabled = 0",
                params![row.account, row.new.expose(), row.old.expose(), now],
            )?;
            let moved = connection.execute(
                "UPDATE sessions SET id = ?2, factors = ?4, last_seen_s = ?5
                 WHERE id = ?1 AND account = ?3",
                params![row.session, row.new_session, row.account, row.factors, now],
            )?;
            if set == 0 || moved == 0 {
                return Err(gone());
            }
            connection.execute(
                "DELETE FROM sessions WHERE account = ?1 AND id <> ?2",
                params![row.account, row.new_session],
            )?;
            settle(connection, &settled)?;
            act::note(connection, "password_changed", &row.account, &doer)
        });
        match done.await {
            Ok(()) => Ok(true),
            Err(StateError::Unknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Settles an attempt that was right though it led to nothing.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; it then counts as failed.
    pub async fn take_back(&self, settled: Settled) -> Result<(), StateError> {
        self.write(move |connection| settle(connection, &settled)).await
    }
}
