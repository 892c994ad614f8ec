//! Rows of partners and tenants: one for each step, the newest of a name holds. What they say is sealed; which step may
//! follow which is `registry`'s business.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::act::{self, Deed};
use super::bulletin::{self, News};
use super::{StateError, Store};

/// The most names.
const MOST_NAMES: i64 = if cfg!(test) { 5 } else { 10_000 };
/// The most rows, those of the history too.
const MOST_ROWS: i64 = if cfg!(test) { 50 } else { 200_000 };
/// Rows that are forgotten at once.
const FORGOTTEN: u32 = 1_000;
const COLUMNS: &str = "seq, kind, name, at_ms, sealed";

/// What a partner or a tenant is since a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRow {
    /// Its number; later ones have larger ones.
    pub seq: i64,
    /// Of what kind.
    pub kind: String,
    /// Which one.
    pub name: String,
    /// Since when, Unix milliseconds.
    pub at_ms: i64,
    /// What it says.
    pub sealed: Vec<u8>,
}

/// The same, not kept yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRegistryRow {
    /// Of what kind.
    pub kind: String,
    /// Which one.
    pub name: String,
    /// What it says.
    pub sealed: Vec<u8>,
    /// The number of the row that it follows; 0 for the first of its name.
    pub after: i64,
}

/// A step, as the log names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryStep {
    /// The act, such as `partner_approved`.
    pub act: &'static str,
    /// What it comes to.
    pub detail: String,
    /// Why.
    pub reason: String,
    /// Who agreed, where somebody did.
    pub approved_by: String,
    /// Whether the other gates must know.
    pub is_told: bool,
}

/// A step as the notice of it has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RegistryNotice {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) sealed: String,
    pub(super) act: String,
    pub(super) reason: String,
    pub(super) done_by: String,
    pub(super) approved_by: String,
    pub(super) at_ms: i64,
}

impl RegistryNotice {
    /// What it is about: `partner fast-parcel`.
    pub(super) fn topic(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// How the words of steps end that stop somebody.
const STOPS: [&str; 2] = ["_suspended", "_ended"];

impl Store {
    /// Keeps what somebody is since a step, with the act of it in the same transaction; the other gates are told of it
    /// if they must know.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if somebody took another step meanwhile, [`StateError::Full`] if there is no room.
    pub async fn put_registered(
        &self,
        row: NewRegistryRow,
        step: RegistryStep,
    ) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let newest = newest(connection, &row.kind, &row.name)?;
            if newest.map_or(0, |newest| newest.seq) != row.after {
                return Err(StateError::Unknown(row.name.clone()));
            }
            // However many there are: what stops somebody has room.
            if !STOPS.iter().any(|end| step.act.ends_with(end)) {
                check_room(connection, row.after == 0)?;
            }
            let NewRegistryRow { kind, name, sealed, after: _ } = row;
            insert(connection, (&kind, &name), doer.at_ms, &sealed)?;
            let RegistryStep { act, detail, reason, approved_by, is_told } = step;
            let object = format!("{kind} {name}");
            let (done_by, at_ms) = (doer.name.to_string(), doer.at_ms);
            let deed = Deed {
                name: act,
                object: &object,
                detail: &detail,
                reason: &reason,
                done_by: &done_by,
                approved_by: &approved_by,
                at_ms,
            };
            act::note_deed(connection, &deed)?;
            if !is_told {
                return Ok(());
            }
            let (sealed, act) = (BASE64_STANDARD.encode(&sealed), act.to_owned());
            let notice =
                RegistryNotice { kind, name, sealed, act, reason, done_by, approved_by, at_ms };
            let (kind, topic) = (bulletin::REGISTRY, notice.topic());
            let news = News { kind, topic: &topic, lasts: true, payload: &notice, at_ms };
            bulletin::post(connection, &news)
        })
        .await
    }

    /// What somebody is now.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn registered(
        &self,
        kind: &str,
        name: &str,
    ) -> Result<Option<RegistryRow>, StateError> {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        self.read(move |connection| newest(connection, &kind, &name)).await
    }

    /// The rows after one, of all names, in order; so many at most.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn registered_after(
        &self,
        seq: i64,
        most: u32,
    ) -> Result<Vec<RegistryRow>, StateError> {
        self.read(move |connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM registry WHERE seq > ?1 ORDER BY seq LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![seq, most], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What all of a kind are now, by name.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn all_registered(&self, kind: &str) -> Result<Vec<RegistryRow>, StateError> {
        let kind = kind.to_owned();
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM registry WHERE seq IN
                 (SELECT max(seq) FROM registry WHERE kind = ?1 GROUP BY name) ORDER BY name"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([kind], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What somebody was, step by step.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn registered_history(
        &self,
        kind: &str,
        name: &str,
    ) -> Result<Vec<RegistryRow>, StateError> {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM registry WHERE kind = ?1 AND name = ?2 ORDER BY seq"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([kind, name], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Forgets some of what was so before a time, Unix milliseconds; what somebody is now stays.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn forget_registered(&self, before_ms: i64) -> Result<(), StateError> {
        self.write(move |connection| {
            let sql = "DELETE FROM registry WHERE seq IN
                       (SELECT old.seq FROM registry old WHERE old.at_ms < ?1 AND EXISTS
                        (SELECT 1 FROM registry new WHERE new.kind = old.kind
                         AND new.name = old.name AND new.seq > old.seq) LIMIT ?2)";
            connection.prepare_cached(sql)?.execute(params![before_ms, FORGOTTEN])?;
            Ok(())
        })
        .await
    }

    /// What the policy in force asks of partners; empty before a gate ran.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn registry_demands(&self) -> Result<String, StateError> {
        self.read(|connection| {
            let sql = "SELECT demands FROM registry_demands";
            Ok(connection.query_row(sql, [], |row| row.get(0))?)
        })
        .await
    }

    /// Says so, whenever a policy comes into force.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn set_registry_demands(&self, demands: String) -> Result<(), StateError> {
        self.write(move |connection| {
            let sql = "UPDATE registry_demands SET demands = ?1 WHERE demands <> ?1";
            connection.execute(sql, [demands])?;
            Ok(())
        })
        .await
    }
}

/// Takes over what was done at another gate; `false` if it is so here already, or does not read.
pub(super) fn take_over(
    connection: &Connection,
    notice: &RegistryNotice,
) -> Result<bool, StateError> {
    let RegistryNotice { kind, name, at_ms, .. } = notice;
    let Ok(sealed) = BASE64_STANDARD.decode(&notice.sealed) else { return Ok(false) };
    let known = newest(connection, kind, name)?;
    if known.is_some_and(|known| known.sealed == sealed) {
        return Ok(false);
    }
    // However many there are: what is suspended elsewhere is so here, too.
    insert(connection, (kind, name), *at_ms, &sealed)?;
    Ok(true)
}

fn insert(
    connection: &Connection,
    (kind, name): (&str, &str),
    at_ms: i64,
    sealed: &[u8],
) -> Result<(), StateError> {
    let sql = "INSERT INTO registry (kind, name, at_ms, sealed) VALUES (?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute(params![kind, name, at_ms, sealed])?;
    Ok(())
}

fn newest(
    connection: &Connection,
    kind: &str,
    name: &str,
) -> Result<Option<RegistryRow>, StateError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM registry WHERE kind = ?1 AND name = ?2 ORDER BY seq DESC LIMIT 1"
    );
    Ok(connection.prepare_cached(&sql)?.query_row([kind, name], from_row).optional()?)
}

fn check_room(connection: &Connection, is_new: bool) -> Result<(), StateError> {
    let count = |sql: &str| -> Result<i64, StateError> {
        Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    };
    let names = "SELECT count(*) FROM (SELECT DISTINCT kind, name FROM registry)";
    if is_new && count(names)? >= MOST_NAMES {
        return Err(StateError::Full);
    }
    match count("SELECT count(*) FROM registry")? >= MOST_ROWS {
        true => Err(StateError::Full),
        false => Ok(()),
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<RegistryRow> {
    Ok(RegistryRow {
        seq: row.get(0)?,
        kind: row.get(1)?,
        name: row.get(2)?,
        at_ms: row.get(3)?,
        sealed: row.get(4)?,
    })
}
