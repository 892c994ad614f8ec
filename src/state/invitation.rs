//! The arrival of somebody who was invited.

use rusqlite::params;

use super::challenge::{ChallengeId, ChallengeRow, insert, use_up_ticket};
use super::session::{NewSessionRow, begin};
use super::{StateError, Store, act};
use crate::secret::Secret;

/// What an invitation is exchanged for.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The invitation, which is used up.
    pub invitation: ChallengeId,
    /// The PHC string of the password that the person set.
    pub hash: Secret<String>,
    /// Their session; it names the account.
    pub session: NewSessionRow,
    /// A ticket to enrol a factor.
    pub ticket: Option<ChallengeRow>,
}

impl Store {
    /// Uses up the invitation and does all that it is good for, or neither; `false` if it or the account is no more.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing has changed then.
    pub async fn accept_invitation(&self, invited: Invited) -> Result<bool, StateError> {
        let now = self.clock.unix_s();
        let account = invited.session.account.clone();
        let doer = act::Doer { name: account.as_str().into(), at_ms: self.clock.unix_ms() };
        let done = self.write(move |connection| {
            if !use_up_ticket(connection, &invited.invitation, &account, now)? {
                return Err(StateError::Unknown(account));
            }
            connection.execute(
                "UPDATE accounts SET password_hash = ?2, password_set_s = ?3, changed_s = ?3
                 WHERE name = ?1",
                params![account, invited.hash.expose(), now],
            )?;
            connection.execute("DELETE FROM sessions WHERE account = ?1", [&account])?;
            begin(connection, &invited.session, now)?;
            if let Some(ticket) = &invited.ticket {
                connection.execute(
                    "DELETE FROM challenges WHERE account = ?1 AND kind = ?2 AND session IS NULL",
                    params![account, ticket.kind],
                )?;
                insert(connection, ticket)?;
            }
            act::note(connection, "invitation_accepted", &account, &doer)
        });
        match done.await {
            Ok(()) => Ok(true),
            Err(StateError::Unknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
