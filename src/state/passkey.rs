//! Rows of passkeys: public keys, and how often each has signed.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::challenge::{ChallengeId, use_up_ticket};
use super::failure::note_network;
use super::session::{Elevated, NewSessionRow, begin, end_surplus};
use super::{StateError, Store, act, device};

/// A passkey as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyRow {
    /// The credential id.
    pub id: Vec<u8>,
    /// Whose it is.
    pub account: String,
    /// The host that it signs for.
    pub host: String,
    /// What the person calls it.
    pub name: String,
    /// Its COSE key.
    pub public_key: Vec<u8>,
    /// Whether it knew its person when it was made.
    pub verifies: bool,
    /// Whether it may be copied by its maker.
    pub is_backup_eligible: bool,
    /// Keyed hash of all above.
    pub tag: [u8; 32],
    /// Whether it has been copied.
    pub is_backed_up: bool,
    /// How often it has signed, as far as it says.
    pub sign_count: u32,
    /// When it was made, Unix seconds.
    pub created_s: i64,
    /// When it was last used, Unix seconds.
    pub used_s: Option<i64>,
}

/// A signature of a passkey that was found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasskeyUse {
    /// The credential id.
    pub id: Vec<u8>,
    /// Whose it is.
    pub account: String,
    /// The count that the signature was compared with.
    pub count_before: u32,
    /// The count that it brings.
    pub sign_count: u32,
    /// Whether it has been copied.
    pub is_backed_up: bool,
    /// The network that it was shown from, as a keyed hash; known from now on.
    pub network: [u8; 32],
}

/// How the making of a passkey ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasskeyAdded {
    /// It stands.
    Done,
    /// Somebody has a passkey of that id.
    Exists,
    /// The account has as many as it may have.
    TooMany,
    /// The ticket was used or taken back meanwhile.
    TicketGone,
    /// The account is gone or was disabled meanwhile.
    AccountGone,
}

const COLUMNS: &str = "id, account, host, name, public_key, verifies, backup_eligible, tag,
     backed_up, sign_count, created_s, used_s";

impl Store {
    /// Adds a passkey to its account, and notes that the person did it. A ticket is used up with it.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing has changed then.
    pub async fn insert_passkey(
        &self,
        row: PasskeyRow,
        ticket: Option<ChallengeId>,
        most: u32,
    ) -> Result<PasskeyAdded, StateError> {
        let now = self.clock.unix_s();
        let doer = act::Doer { name: row.account.as_str().into(), at_ms: self.clock.unix_ms() };
        self.write(move |connection| {
            let standing: i64 = connection
                .prepare_cached("SELECT count(*) FROM passkeys WHERE account = ?1")?
                .query_row([&row.account], |row| row.get(0))?;
            if standing >= i64::from(most) {
                return Ok(PasskeyAdded::TooMany);
            }
            let is_enabled: bool = connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM accounts WHERE name = ?1 AND disabled = 0)",
                )?
                .query_row([&row.account], |row| row.get(0))?;
            if !is_enabled {
                return Ok(PasskeyAdded::AccountGone);
            }
            if !insert(connection, &row)? {
                return Ok(PasskeyAdded::Exists);
            }
            if let Some(ticket) = ticket
                && !use_up_ticket(connection, &ticket, &row.account, now)?
            {
                connection.execute("DELETE FROM passkeys WHERE id = ?1", [&row.id])?;
                return Ok(PasskeyAdded::TicketGone);
            }
            act::note(connection, "passkey_added", &row.account, &doer)?;
            Ok(PasskeyAdded::Done)
        })
        .await
    }

    /// The passkey of that id, whoever's it is.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn passkey(&self, id: Vec<u8>) -> Result<Option<PasskeyRow>, StateError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM passkeys WHERE id = ?1");
            Ok(connection.prepare_cached(&sql)?.query_row([id], from_row).optional()?)
        })
        .await
    }

    /// The passkeys of an account, the oldest first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn passkeys(&self, account: &str) -> Result<Vec<PasskeyRow>, StateError> {
        let account = account.to_owned();
        self.read(move |connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM passkeys WHERE account = ?1 ORDER BY created_s, id");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([account], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Removes a passkey, and its device for ever, ends the account's sessions and notes the acts.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if the account has no such passkey.
    pub async fn remove_passkey(&self, account: &str, id: Vec<u8>) -> Result<(), StateError> {
        self.remove_passkey_as(self.doer(), account, id).await
    }

    /// The same, as its holder does it.
    ///
    /// # Errors
    /// As [`Store::remove_passkey`].
    pub async fn remove_own_passkey(&self, account: &str, id: Vec<u8>) -> Result<(), StateError> {
        let doer = act::Doer { name: account.into(), at_ms: self.clock.unix_ms() };
        self.remove_passkey_as(doer, account, id).await
    }

    async fn remove_passkey_as(
        &self,
        doer: act::Doer,
        account: &str,
        id: Vec<u8>,
    ) -> Result<(), StateError> {
        let (account, now) = (account.to_owned(), self.clock.unix_s());
        self.write(move |connection| {
            let removed = connection.execute(
                "DELETE FROM passkeys WHERE id = ?1 AND account = ?2",
                params![id, account],
            )?;
            if removed == 0 {
                return Err(StateError::Unknown(account));
            }
            connection.execute("DELETE FROM sessions WHERE account = ?1", [&account])?;
            act::note(connection, "passkey_removed", &account, &doer)?;
            device::revoke_by_passkey(connection, &id, now, &doer)
        })
        .await
    }

    /// Begins a session with a passkey: counts its use, and ends the account's oldest sessions beyond `most`.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if the account is gone or was disabled meanwhile; nothing has changed then.
    pub async fn begin_passkey_session(
        &self,
        session: NewSessionRow,
        most: u32,
        used: PasskeyUse,
    ) -> Result<Elevated, StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| {
            if !count_use(connection, &used, now)? {
                return Ok(Elevated::Replayed);
            }
            begin(connection, &session, now)?;
            connection
                .prepare_cached("UPDATE sessions SET passkey = ?2 WHERE id = ?1")?
                .execute(params![session.id, used.id])?;
            end_surplus(connection, &session.account, most, now)?;
            Ok(Elevated::Done)
        })
        .await
    }
}

/// One statement, so that of two signatures judged by the same count only one is taken.
pub(super) fn count_use(
    connection: &Connection,
    used: &PasskeyUse,
    now: i64,
) -> Result<bool, StateError> {
    let counted = connection
        .prepare_cached(
            "UPDATE passkeys SET sign_count = ?4, backed_up = ?5, used_s = ?6
             WHERE id = ?1 AND account = ?2 AND sign_count = ?3",
        )?
        .execute(params![
            used.id,
            used.account,
            used.count_before,
            used.sign_count,
            used.is_backed_up,
            now
        ])?;
    if counted == 1 {
        note_network(connection, &used.network, now)?;
    }
    Ok(counted == 1)
}

fn insert(connection: &Connection, row: &PasskeyRow) -> Result<bool, StateError> {
    let sql = format!(
        "INSERT INTO passkeys ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (id) DO NOTHING"
    );
    let added = connection.prepare_cached(&sql)?.execute(params![
        row.id,
        row.account,
        row.host,
        row.name,
        row.public_key,
        row.verifies,
        row.is_backup_eligible,
        row.tag,
        row.is_backed_up,
        row.sign_count,
        row.created_s,
        row.used_s
    ])?;
    Ok(added == 1)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<PasskeyRow> {
    Ok(PasskeyRow {
        id: row.get("id")?,
        account: row.get("account")?,
        host: row.get("host")?,
        name: row.get("name")?,
        public_key: row.get("public_key")?,
        verifies: row.get("verifies")?,
        is_backup_eligible: row.get("backup_eligible")?,
        tag: row.get("tag")?,
        is_backed_up: row.get("backed_up")?,
        sign_count: row.get("sign_count")?,
        created_s: row.get("created_s")?,
        used_s: row.get("used_s")?,
    })
}
