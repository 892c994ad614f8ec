//! The policy in force as it was read, and those that two persons agreed to. What they mean is `server`'s business.

use rusqlite::{OptionalExtension as _, params};

use super::command::{self, CommandRow, Leave};
use super::{StateError, Store};

/// Agreements that are kept.
const MOST: u32 = 1_000;
/// How long one is good for, if it is not used.
const GOOD_MS: i64 = 86_400_000;

/// A policy that was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    /// Its version.
    pub version: String,
    /// Its files: JSON list of name and text.
    pub sources: String,
}

impl Store {
    /// Keeps the policy that comes into force.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn keep_policy(&self, policy: PolicyRow) -> Result<(), StateError> {
        let now_ms = self.clock.unix_ms();
        self.write(move |connection| {
            connection.execute(
                "INSERT INTO policy_in_force (one, version, sources, since_ms) VALUES (1, ?1, ?2, ?3)
                 ON CONFLICT (one) DO UPDATE SET version = excluded.version,
                    sources = excluded.sources, since_ms = excluded.since_ms
                 WHERE version <> excluded.version",
                params![policy.version, policy.sources, now_ms],
            )?;
            // It was agreed to once; to come back another time it is agreed to anew.
            let sql = "DELETE FROM policies_agreed WHERE version = ?1";
            connection.execute(sql, [policy.version])?;
            Ok(())
        })
        .await
    }

    /// The policy that was in force last, if one ever was.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn kept_policy(&self) -> Result<Option<PolicyRow>, StateError> {
        self.read(|connection| {
            let sql = "SELECT version, sources FROM policy_in_force";
            let row = connection.query_row(sql, [], |row| {
                Ok(PolicyRow { version: row.get(0)?, sources: row.get(1)? })
            });
            Ok(row.optional()?)
        })
        .await
    }

    /// Notes that two persons agree to a policy, whose version is the command's name.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if what was asked for is gone.
    pub async fn agree_policy(&self, row: CommandRow, leave: Leave) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let (asked_by, approved_by) = command::take_leave(connection, &leave, &doer)?;
            connection.execute(
                "INSERT INTO policies_agreed (version, asked_by, approved_by, agreed_ms)
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT (version) DO UPDATE SET
                    asked_by = excluded.asked_by, approved_by = excluded.approved_by,
                    agreed_ms = excluded.agreed_ms",
                params![row.name, asked_by, approved_by, doer.at_ms],
            )?;
            connection.execute(
                "DELETE FROM policies_agreed WHERE version IN (SELECT version FROM policies_agreed
                 ORDER BY agreed_ms DESC LIMIT -1 OFFSET ?1)",
                [MOST],
            )?;
            command::note(connection, &row, &row.verb, [&asked_by, &approved_by], doer.at_ms)?;
            command::changed_now(connection)
        })
        .await
    }

    /// Whether two persons agreed to a policy within a day, and it was not in force since.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn is_policy_agreed(&self, version: &str) -> Result<bool, StateError> {
        let (version, since_ms) = (version.to_owned(), self.clock.unix_ms() - GOOD_MS);
        self.read(move |connection| {
            let sql = "SELECT 1 FROM policies_agreed WHERE version = ?1 AND agreed_ms > ?2";
            let values = params![version, since_ms];
            let found = connection.query_row(sql, values, |_row| Ok(())).optional()?;
            Ok(found.is_some())
        })
        .await
    }
}
