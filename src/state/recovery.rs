//! Rows of recovery codes: keyed hashes, each used up by deleting it.

use rusqlite::{Connection, params};

use super::{StateError, Store, act};

/// Keyed hash of an account and one of its codes.
pub type RecoveryTag = [u8; 32];

impl Store {
    /// Gives the account these codes in place of all that it has, and notes the act.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such account.
    pub async fn set_recovery_codes(
        &self,
        account: &str,
        codes: Vec<RecoveryTag>,
    ) -> Result<(), StateError> {
        let (account, doer) = (account.to_owned(), self.doer());
        self.write(move |connection| {
            let sql = "SELECT 1 FROM accounts WHERE name = ?1";
            if !connection.prepare_cached(sql)?.exists([&account])? {
                return Err(StateError::Unknown(account));
            }
            connection.execute("DELETE FROM recovery WHERE account = ?1", [&account])?;
            let mut add = connection
                .prepare_cached("INSERT OR IGNORE INTO recovery (account, code) VALUES (?1, ?2)")?;
            for code in &codes {
                add.execute(params![account, code])?;
            }
            act::note(connection, "recovery_codes_made", &account, &doer)
        })
        .await
    }

    /// How many codes the account has left.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn recovery_codes_left(&self, account: &str) -> Result<u32, StateError> {
        let account = account.to_owned();
        self.read(move |connection| {
            let sql = "SELECT count(*) FROM recovery WHERE account = ?1";
            Ok(connection.prepare_cached(sql)?.query_row([account], |row| row.get(0))?)
        })
        .await
    }
}

/// Uses up a code of an account that is not switched off; part of the transaction that rewards it. One statement,
/// so that of two requests with the same code only one finds it.
pub(super) fn use_up(
    connection: &Connection,
    account: &str,
    code: &RecoveryTag,
) -> Result<bool, StateError> {
    let used = connection
        .prepare_cached(
            "DELETE FROM recovery WHERE account = ?1 AND code = ?2
             AND EXISTS (SELECT 1 FROM accounts WHERE name = ?1 AND disabled = 0)",
        )?
        .execute(params![account, code])?;
    Ok(used == 1)
}
