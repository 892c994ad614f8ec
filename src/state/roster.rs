//! Rows of the roster: whose an account is, and whether it is welcome. The words are `identity`'s business.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::act;
use super::usage::copy_usage;
use super::{StateError, Store};

/// The most rows. Beyond it a new one is refused: none may be forgotten for it.
const MOST_ROWS: i64 = if cfg!(test) { 20 } else { 100_000 };
/// Who has left does not come back under the same name: budgets and log would take two people for one.
const LEFT: &str = "left";

/// All rows, each with the roles of a local account.
const ROWS: &str = "SELECT account, person, standing, since_s, change, roles
    FROM roster LEFT JOIN accounts ON accounts.name = roster.account";

/// What is known of an account beside what it signs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterRow {
    /// A local name, or `issuer:subject`.
    pub account: String,
    /// Whose it is, where several accounts are one person's.
    pub person: Option<String>,
    /// Whether it is welcome.
    pub standing: String,
    /// Since when, Unix seconds.
    pub since_s: i64,
    /// JSON list of the roles of a local account; those of an issuer's are in its tokens.
    pub roles: Option<String>,
    /// Grows with each change of any row.
    pub change: i64,
}

impl Store {
    /// The rows that changed after `change`, in order.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn roster_after(&self, change: i64) -> Result<Vec<RosterRow>, StateError> {
        self.read(move |connection| {
            let sql = format!("{ROWS} WHERE change > ?1 ORDER BY change");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([change], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Changes the standing of an account; a local one that is not `active` signs in no more and its sessions end.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such local account, [`StateError::Left`] if it has left,
    /// [`StateError::Full`] if there are too many rows.
    pub async fn set_standing(
        &self,
        account: &str,
        standing: &'static str,
        act: &'static str,
    ) -> Result<(), StateError> {
        let (now, doer, account) = (self.clock.unix_s(), self.doer(), account.to_owned());
        self.write(move |connection| {
            check_known(connection, &account)?;
            if find(connection, &account)?.is_some_and(|row| row.standing == LEFT) {
                return Err(StateError::Left(account));
            }
            connection.execute(
                "INSERT INTO roster (account, standing, since_s, change) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (account) DO UPDATE SET standing = excluded.standing,
                    since_s = excluded.since_s, change = excluded.change",
                params![account, standing, now, next_change(connection)?],
            )?;
            let is_off = standing != "active";
            connection.execute(
                "UPDATE accounts SET disabled = ?2, changed_s = ?3 WHERE name = ?1",
                params![account, is_off, now],
            )?;
            connection.execute("DELETE FROM sessions WHERE account = ?1", [&account])?;
            act::note(connection, act, &account, &doer)
        })
        .await
    }

    /// Says whose an account is, or that it is nobody's in particular. A person has at most one account of a kind:
    /// `kind` is the issuer, with its colon, or empty for local ones.
    ///
    /// Where it was another person's before, what was used under that one is copied to it, so that nobody is refilled.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such local account, [`StateError::Exists`] naming the other account of the
    /// person, [`StateError::Full`] if there are too many rows.
    pub async fn set_person(
        &self,
        account: &str,
        kind: &str,
        person: Option<String>,
        counted: fn(&str) -> String,
    ) -> Result<(), StateError> {
        let (now, doer) = (self.clock.unix_s(), self.doer());
        let (account, kind) = (account.to_owned(), kind.to_owned());
        self.write(move |connection| {
            check_known(connection, &account)?;
            if let Some(person) = &person {
                check_only(connection, &account, &kind, person)?;
            }
            let before = find(connection, &account)?.and_then(|row| row.person);
            if let Some(before) = before.filter(|before| Some(before) != person.as_ref()) {
                copy_usage(connection, &counted(&before), &account)?;
                for other in others(connection, &account, &before)? {
                    copy_usage(connection, &other, &account)?;
                }
            }
            connection.execute(
                "INSERT INTO roster (account, person, since_s, change) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (account) DO UPDATE SET person = excluded.person, change = excluded.change",
                params![account, person, now, next_change(connection)?],
            )?;
            let act = if person.is_some() { "person_linked" } else { "person_unlinked" };
            let detail = person.map(|person| format!("person {person}")).unwrap_or_default();
            act::note_with(connection, act, &account, &detail, &doer)
        })
        .await
    }

    /// Replaces the roles of a local account. Its sessions go on, under the new ones from the next request on.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such account.
    pub async fn set_roles(
        &self,
        account: &str,
        roles: String,
        detail: String,
    ) -> Result<(), StateError> {
        let (now, doer, account) = (self.clock.unix_s(), self.doer(), account.to_owned());
        self.write(move |connection| {
            let sql = "UPDATE accounts SET roles = ?2, changed_s = ?3 WHERE name = ?1";
            if connection.execute(sql, params![account, roles, now])? == 0 {
                return Err(StateError::Unknown(account));
            }
            let sql = "UPDATE roster SET change = (SELECT max(change) + 1 FROM roster)
                       WHERE account = ?1";
            connection.execute(sql, [&account])?;
            act::note_with(connection, "roles_replaced", &account, &detail, &doer)
        })
        .await
    }
}

/// A local account must be there; those of issuers are known by their tokens only.
fn check_known(connection: &Connection, account: &str) -> Result<(), StateError> {
    if account.contains(':') {
        return Ok(());
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM accounts WHERE name = ?1)";
    match connection.query_row(sql, [account], |row| row.get(0))? {
        true => Ok(()),
        false => Err(StateError::Unknown(account.to_owned())),
    }
}

fn check_only(
    connection: &Connection,
    account: &str,
    kind: &str,
    person: &str,
) -> Result<(), StateError> {
    for other in others(connection, account, person)? {
        let colon = other.find(':').map_or(0, |at| at.saturating_add(1));
        if other.get(..colon) == Some(kind) {
            return Err(StateError::Exists(other));
        }
    }
    Ok(())
}

/// The other accounts of a person.
fn others(connection: &Connection, account: &str, person: &str) -> Result<Vec<String>, StateError> {
    let sql = "SELECT account FROM roster WHERE person = ?1 AND account <> ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([person, account], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn next_change(connection: &Connection) -> Result<i64, StateError> {
    let sql = "SELECT count(*), coalesce(max(change), 0) + 1 FROM roster";
    let (count, next): (i64, i64) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if count >= MOST_ROWS { Err(StateError::Full) } else { Ok(next) }
}

fn find(connection: &Connection, account: &str) -> Result<Option<RosterRow>, StateError> {
    let sql = format!("{ROWS} WHERE account = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([account], from_row).optional()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<RosterRow> {
    Ok(RosterRow {
        account: row.get("account")?,
        person: row.get("person")?,
        standing: row.get("standing")?,
        since_s: row.get("since_s")?,
        roles: row.get("roles")?,
        change: row.get("change")?,
    })
}
