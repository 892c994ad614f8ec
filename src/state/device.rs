//! Rows of devices: the keys that were enrolled for somebody. A revoked one stays, so that neither its name
//! nor its key is enrolled again.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{StateError, Store, act};

/// The most devices kept, revoked ones among them.
const MOST_ROWS: i64 = 100_000;

/// A device as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// What the operator calls it.
    pub name: String,
    /// Whose it is.
    pub account: String,
    /// SHA-256 of its key: that of its certificates, or of its passkey.
    pub key: [u8; 32],
    /// The credential id, where it is a passkey.
    pub passkey: Option<Vec<u8>>,
    /// Keyed hash of all above.
    pub tag: [u8; 32],
    /// When it was enrolled, Unix seconds.
    pub created_s: i64,
    /// When it was last used, Unix seconds; coarse.
    pub used_s: Option<i64>,
    /// When it was revoked, Unix seconds.
    pub revoked_s: Option<i64>,
}

const COLUMNS: &str = "name, account, key, tag, created_s, used_s, revoked_s, passkey";

impl Store {
    /// Enrols a device and notes the act. A local account must exist.
    ///
    /// # Errors
    /// [`StateError::Exists`] with its name if the name or the key is enrolled already or was once,
    /// [`StateError::Unknown`] with the account's.
    pub async fn insert_device(&self, row: DeviceRow) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let is_known: bool = connection.query_row(
                "SELECT instr(?1, ':') > 0 OR EXISTS (SELECT 1 FROM accounts WHERE name = ?1)",
                [&row.account],
                |found| found.get(0),
            )?;
            if !is_known {
                return Err(StateError::Unknown(row.account));
            }
            let count: i64 =
                connection.query_row("SELECT count(*) FROM devices", [], |found| found.get(0))?;
            if count >= MOST_ROWS {
                return Err(StateError::Full);
            }
            let taken: Option<String> = connection
                .query_row(
                    "SELECT name FROM devices WHERE name = ?1 OR key = ?2",
                    params![row.name, row.key],
                    |found| found.get(0),
                )
                .optional()?;
            if let Some(taken) = taken {
                return Err(StateError::Exists(taken));
            }
            connection.execute(
                &format!(
                    "INSERT INTO devices ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL, ?6)"
                ),
                params![row.name, row.account, row.key, row.tag, row.created_s, row.passkey],
            )?;
            let thing = format!("device {}", row.name);
            act::note_of(connection, "device_added", &row.account, &thing, &doer)
        })
        .await
    }

    /// All devices by name.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn devices(&self) -> Result<Vec<DeviceRow>, StateError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM devices ORDER BY name");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The devices that changed after `change`, in order, revoked ones among them; all after -1. Each has the number of
    /// its last change before it.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn devices_after(&self, change: i64) -> Result<Vec<(i64, DeviceRow)>, StateError> {
        self.read(move |connection| {
            let sql =
                format!("SELECT {COLUMNS}, change FROM devices WHERE change > ?1 ORDER BY change");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows =
                statement.query_map([change], |row| Ok((row.get("change")?, from_row(row)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The passkeys of an account that are devices of it.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn device_passkeys(&self, account: &str) -> Result<Vec<DeviceRow>, StateError> {
        let account = account.to_owned();
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM devices
                 WHERE account = ?1 AND passkey IS NOT NULL AND revoked_s IS NULL"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([account], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Notes that the device is in use, some time soon.
    pub fn touch_device(&self, name: String) {
        let now = self.clock.unix_s();
        self.writer.write_sometime(move |connection| {
            connection
                .prepare_cached("UPDATE devices SET used_s = ?2 WHERE name = ?1")?
                .execute(params![name, now])?;
            Ok(())
        });
    }

    /// Revokes a device for ever, removes the passkey that it is, ends its account's sessions and notes the act. Gives
    /// the account.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such device, or it is revoked already.
    pub async fn revoke_device(&self, name: &str) -> Result<String, StateError> {
        let (name, doer, now) = (name.to_owned(), self.doer(), self.clock.unix_s());
        self.write(move |connection| {
            let revoked: Option<(String, Option<Vec<u8>>)> = connection
                .query_row(
                    "UPDATE devices SET revoked_s = ?2 WHERE name = ?1 AND revoked_s IS NULL
                     RETURNING account, passkey",
                    params![name, now],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let (account, passkey) = revoked.ok_or_else(|| StateError::Unknown(name.clone()))?;
            for table in ["sessions", "issuer_sessions"] {
                let sql = format!("DELETE FROM {table} WHERE account = ?1");
                connection.execute(&sql, [&account])?;
            }
            if let Some(passkey) = passkey {
                // Whoever has the lost device must not sign in by it as if it were none.
                let removed =
                    connection.execute("DELETE FROM passkeys WHERE id = ?1", [passkey])?;
                if removed > 0 {
                    act::note(connection, "passkey_removed", &account, &doer)?;
                }
            }
            let thing = format!("device {name}");
            act::note_of(connection, "device_revoked", &account, &thing, &doer)?;
            Ok(account)
        })
        .await
    }
}

/// A passkey that is no more is no device either.
pub(super) fn revoke_by_passkey(
    connection: &Connection,
    passkey: &[u8],
    now: i64,
    doer: &act::Doer,
) -> Result<(), StateError> {
    let revoked: Option<(String, String)> = connection
        .query_row(
            "UPDATE devices SET revoked_s = ?2 WHERE passkey = ?1 AND revoked_s IS NULL
             RETURNING name, account",
            params![passkey, now],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((name, account)) = revoked else { return Ok(()) };
    act::note_of(connection, "device_revoked", &account, &format!("device {name}"), doer)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<DeviceRow> {
    Ok(DeviceRow {
        name: row.get("name")?,
        account: row.get("account")?,
        key: row.get("key")?,
        tag: row.get("tag")?,
        created_s: row.get("created_s")?,
        used_s: row.get("used_s")?,
        revoked_s: row.get("revoked_s")?,
        passkey: row.get("passkey")?,
    })
}
