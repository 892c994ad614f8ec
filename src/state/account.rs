//! Rows of local accounts. What the columns mean is `identity`'s business.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::challenge::{ChallengeId, use_up_ticket};
use super::{StateError, Store, act};
use crate::secret::Secret;

/// A local account as it is stored.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// The name that signs in; it never changes.
    pub name: String,
    /// The name for people.
    pub display_name: String,
    /// The kind of caller.
    pub kind: String,
    /// JSON list of role names.
    pub roles: String,
    /// JSON object of attributes.
    pub attributes: String,
    /// The PHC string of the password.
    pub password_hash: Secret<String>,
    /// The sealed TOTP secret, if one was enrolled.
    pub totp_secret: Option<Vec<u8>>,
    /// Whether the account is switched off.
    pub is_disabled: bool,
    /// When the password was set, Unix seconds.
    pub password_set_s: i64,
}

/// What a new account starts with.
#[derive(Clone, Debug)]
pub struct NewAccountRow {
    /// The name that signs in.
    pub name: String,
    /// The name for people.
    pub display_name: String,
    /// The kind of caller.
    pub kind: String,
    /// JSON list of role names.
    pub roles: String,
    /// JSON object of attributes.
    pub attributes: String,
    /// The PHC string of the password.
    pub password_hash: Secret<String>,
}

pub(super) const COLUMNS: &str = "name, display_name, kind, roles, attributes, password_hash, totp_secret, disabled, password_set_s";

impl Store {
    /// Adds an account.
    ///
    /// # Errors
    /// [`StateError::Exists`] if the name is taken.
    pub async fn insert_account(&self, account: NewAccountRow) -> Result<(), StateError> {
        let (now, doer) = (self.clock.unix_s(), self.doer());
        self.write(move |connection| {
            let added = connection
                .prepare_cached(
                    "INSERT INTO accounts (name, display_name, kind, roles, attributes,
                        password_hash, created_s, changed_s, password_set_s)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7) ON CONFLICT (name) DO NOTHING",
                )?
                .execute(params![
                    account.name,
                    account.display_name,
                    account.kind,
                    account.roles,
                    account.attributes,
                    account.password_hash.expose(),
                    now
                ])?;
            if added == 0 {
                return Err(StateError::Exists(account.name));
            }
            act::note(connection, "account_added", &account.name, &doer)
        })
        .await
    }

    /// The account of that name, if there is one.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn account(&self, name: &str) -> Result<Option<AccountRow>, StateError> {
        let name = name.to_owned();
        self.read(move |connection| find(connection, &name)).await
    }

    /// All accounts by name, at most `limit`.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn accounts(&self, limit: u32) -> Result<Vec<AccountRow>, StateError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM accounts ORDER BY name LIMIT ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([limit], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Replaces the password and ends the account's sessions.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such account.
    pub async fn set_password(&self, name: &str, hash: Secret<String>) -> Result<(), StateError> {
        self.change(
            name,
            "password_replaced",
            "password_set_s = ?3, password_hash",
            move |connection, sql, name, now| {
                connection.execute(sql, params![name, hash.expose(), now])
            },
        )
        .await
    }

    /// Replaces the sealed TOTP secret and ends the account's sessions.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such account.
    pub async fn set_totp(&self, name: &str, sealed: Vec<u8>) -> Result<(), StateError> {
        let column = "totp_last_step = 0, totp_secret";
        self.change(name, "codes_enrolled", column, move |connection, sql, name, now| {
            connection.execute(sql, params![name, sealed, now])
        })
        .await
    }

    /// Gives the account the secret that its holder has just shown a code of, which is hereby used, and ends its
    /// sessions; `false` if the ticket that allowed it is gone.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if the account is gone or was disabled meanwhile; nothing has changed then.
    pub async fn enrol_own_codes(
        &self,
        name: &str,
        sealed: Vec<u8>,
        step: i64,
        ticket: Option<ChallengeId>,
    ) -> Result<bool, StateError> {
        let (name, now) = (name.to_owned(), self.clock.unix_s());
        let doer = act::Doer { name: name.as_str().into(), at_ms: self.clock.unix_ms() };
        self.write(move |connection| {
            if let Some(ticket) = ticket
                && !use_up_ticket(connection, &ticket, &name, now)?
            {
                return Ok(false);
            }
            let sql = "UPDATE accounts SET totp_secret = ?2, totp_last_step = ?3, changed_s = ?4
                       WHERE name = ?1 AND disabled = 0";
            if connection.execute(sql, params![name, sealed, step, now])? == 0 {
                return Err(StateError::Unknown(name));
            }
            connection.execute("DELETE FROM sessions WHERE account = ?1", [&name])?;
            act::note(connection, "codes_enrolled", &name, &doer)?;
            Ok(true)
        })
        .await
    }

    /// Sets one column (`?2`) of one account and ends its sessions: they began under the old value.
    async fn change<F>(
        &self,
        name: &str,
        act: &'static str,
        column: &'static str,
        set: F,
    ) -> Result<(), StateError>
    where
        F: FnOnce(&Connection, &str, &str, i64) -> rusqlite::Result<usize> + Send + 'static,
    {
        let name = name.to_owned();
        let (now, doer) = (self.clock.unix_s(), self.doer());
        self.write(move |connection| {
            let sql = format!("UPDATE accounts SET {column} = ?2, changed_s = ?3 WHERE name = ?1");
            if set(connection, &sql, &name, now)? == 0 {
                return Err(StateError::Unknown(name));
            }
            connection.execute("DELETE FROM sessions WHERE account = ?1", [&name])?;
            act::note(connection, act, &name, &doer)
        })
        .await
    }
}

fn find(connection: &Connection, name: &str) -> Result<Option<AccountRow>, StateError> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE name = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([name], from_row).optional()?)
}

/// Reads the columns of [`COLUMNS`].
pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<AccountRow> {
    Ok(AccountRow {
        name: row.get("name")?,
        display_name: row.get("display_name")?,
        kind: row.get("kind")?,
        roles: row.get("roles")?,
        attributes: row.get("attributes")?,
        password_hash: Secret::new(row.get("password_hash")?),
        totp_secret: row.get("totp_secret")?,
        is_disabled: row.get("disabled")?,
        password_set_s: row.get("password_set_s")?,
    })
}
