//! Rows of what is commanded beside a running gate. The words are `command`'s business.

use rusqlite::{Connection, Row, params};

use super::act::{self, Deed};
use super::bulletin::{self, News};
use super::shared_act::SwitchNotice;
use super::{StateError, Store};

/// The most switches; a gate compares every request with those of people.
const MOST_SWITCHES: i64 = if cfg!(test) { 5 } else { 1_000 };
/// The most rights that are switched off: a review of accesses may end many at once.
pub(super) const MOST_RIGHTS: i64 = if cfg!(test) { 7 } else { 100_000 };
/// What rights are called.
pub(super) const RIGHT: &str = "right";
/// The most commands that wait for a second person.
const MOST_ASKED: i64 = if cfg!(test) { 5 } else { 1_000 };

/// Something that is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwitchRow {
    /// What kind of thing.
    pub kind: String,
    /// Which one.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub done_by: String,
    /// Who agreed; empty where nobody had to.
    pub approved_by: String,
    /// Since when, Unix milliseconds.
    pub since_ms: i64,
}

/// Something that is commanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRow {
    /// What is to be done.
    pub verb: String,
    /// To what kind of thing.
    pub kind: String,
    /// To which one.
    pub name: String,
    /// To what of it, or how.
    pub detail: String,
    /// Why.
    pub reason: String,
}

/// A command that waits for a second person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedRow {
    /// Its number.
    pub id: i64,
    /// What was asked for.
    pub command: CommandRow,
    /// Who asked, as the log names them.
    pub asked_by: String,
    /// Who that is, whichever account they used.
    pub person: String,
    /// When, Unix milliseconds.
    pub asked_ms: i64,
}

/// How a command comes to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// One person is enough.
    Alone,
    /// It was asked for under this number, and somebody else agrees now.
    Agreed(i64),
}

impl Store {
    /// A number that grows with each command that changes what holds.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn command_change(&self) -> Result<i64, StateError> {
        self.read(|connection| {
            let sql = "SELECT change FROM command";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
        })
        .await
    }

    /// All that is switched off.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn switches(&self) -> Result<Vec<SwitchRow>, StateError> {
        self.read(|connection| {
            let sql = "SELECT kind, name, reason, done_by, approved_by, since_ms FROM switches
                       ORDER BY since_ms, kind, name";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(SwitchRow {
                    kind: row.get(0)?,
                    name: row.get(1)?,
                    reason: row.get(2)?,
                    done_by: row.get(3)?,
                    approved_by: row.get(4)?,
                    since_ms: row.get(5)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Switches something off (`is_on`), or lets it go on; `false` if it was so already, and then nothing is noted.
    ///
    /// # Errors
    /// [`StateError::Full`] if too much is switched off, [`StateError::Unknown`] if what was asked for is gone.
    pub async fn set_switch(
        &self,
        command: CommandRow,
        is_on: bool,
        leave: Leave,
    ) -> Result<bool, StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let (done_by, approved_by) = take_leave(connection, &leave, &doer)?;
            if is_on {
                check_switches(connection, &command.kind)?;
            }
            switch(connection, command, is_on, ([done_by, approved_by], doer.at_ms))
        })
        .await
    }

    /// Keeps a command until a second person agrees; gives its number.
    ///
    /// # Errors
    /// [`StateError::Full`] if too many wait.
    pub async fn ask(&self, command: CommandRow, person: &str) -> Result<i64, StateError> {
        let (doer, person) = (self.doer(), person.to_owned());
        self.write(move |connection| {
            check_room(connection, "asked", MOST_ASKED)?;
            let CommandRow { verb, kind, name, detail, reason } = &command;
            let asked_by = doer.name.as_ref();
            connection.execute(
                "INSERT INTO asked (verb, kind, name, detail, reason, asked_by, person, asked_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![verb, kind, name, detail, reason, asked_by, person, doer.at_ms],
            )?;
            let id = connection.last_insert_rowid();
            note(connection, &command, &format!("{verb}_asked"), [asked_by, ""], doer.at_ms)?;
            Ok(id)
        })
        .await
    }

    /// The commands that were asked for since a moment, the oldest first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn asked(&self, since_ms: i64) -> Result<Vec<AskedRow>, StateError> {
        self.read(move |connection| {
            let sql = "SELECT id, verb, kind, name, detail, reason, asked_by, person, asked_ms
                       FROM asked WHERE asked_ms >= ?1 ORDER BY id";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([since_ms], asked_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Takes a command back that waits.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if none of that number waits.
    pub async fn withdraw_asked(&self, id: i64) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let row = take_asked(connection, id)?;
            let verb = format!("{}_taken_back", row.command.verb);
            note(connection, &row.command, &verb, [&doer.name, ""], doer.at_ms)
        })
        .await
    }

    /// Forgets the commands that nobody agreed to in time.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn forget_asked(&self, before_ms: i64) -> Result<(), StateError> {
        self.write(move |connection| {
            connection.execute("DELETE FROM asked WHERE asked_ms < ?1", [before_ms])?;
            Ok(())
        })
        .await
    }

    /// For which commands the policy wants a second person.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn two_person(&self) -> Result<String, StateError> {
        self.read(|connection| {
            let sql = "SELECT two_person FROM command";
            Ok(connection.query_row(sql, [], |row| row.get(0))?)
        })
        .await
    }

    /// Says so, whenever a policy comes into force.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn set_two_person(&self, words: String) -> Result<(), StateError> {
        self.write(move |connection| {
            let sql = "UPDATE command SET two_person = ?1 WHERE two_person <> ?1";
            connection.execute(sql, [words])?;
            Ok(())
        })
        .await
    }
}

/// Switches something off or on in a transaction; `false` if it was so already. There must be room for it.
pub(super) fn switch(
    connection: &Connection,
    command: CommandRow,
    is_on: bool,
    ([done_by, approved_by], at_ms): ([String; 2], i64),
) -> Result<bool, StateError> {
    let CommandRow { kind, name, reason, .. } = &command;
    let changed = if is_on {
        connection.execute(
            "INSERT INTO switches (kind, name, reason, done_by, approved_by, since_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (kind, name) DO NOTHING",
            params![kind, name, reason, done_by, approved_by, at_ms],
        )?
    } else {
        let sql = "DELETE FROM switches WHERE kind = ?1 AND name = ?2";
        connection.execute(sql, params![kind, name])?
    };
    if changed > 0 {
        note(connection, &command, &command.verb, [&done_by, &approved_by], at_ms)?;
    }
    // Also what is off already: another gate may be letting it go on at this very moment.
    if changed > 0 || is_on {
        let CommandRow { kind, name, reason, .. } = command;
        let switch = SwitchNotice { is_on, kind, name, reason, done_by, approved_by, at_ms };
        let (kind, topic) = (bulletin::SWITCH, switch.topic());
        let news = News { kind, topic: &topic, lasts: is_on, payload: &switch, at_ms };
        bulletin::post(connection, &news)?;
        changed_now(connection)?;
    }
    Ok(changed > 0)
}

/// Who does it and who agreed. What was asked for is done once.
pub(super) fn take_leave(
    connection: &Connection,
    leave: &Leave,
    doer: &act::Doer,
) -> Result<(String, String), StateError> {
    match leave {
        Leave::Alone => Ok((doer.name.to_string(), String::new())),
        Leave::Agreed(id) => Ok((take_asked(connection, *id)?.asked_by, doer.name.to_string())),
    }
}

pub(super) fn take_asked(connection: &Connection, id: i64) -> Result<AskedRow, StateError> {
    let sql = "DELETE FROM asked WHERE id = ?1
               RETURNING id, verb, kind, name, detail, reason, asked_by, person, asked_ms";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query_map([id], asked_row)?;
    rows.next().transpose()?.ok_or_else(|| StateError::Unknown(id.to_string()))
}

fn asked_row(row: &Row<'_>) -> rusqlite::Result<AskedRow> {
    Ok(AskedRow {
        id: row.get("id")?,
        command: CommandRow {
            verb: row.get("verb")?,
            kind: row.get("kind")?,
            name: row.get("name")?,
            detail: row.get("detail")?,
            reason: row.get("reason")?,
        },
        asked_by: row.get("asked_by")?,
        person: row.get("person")?,
        asked_ms: row.get("asked_ms")?,
    })
}

fn check_room(connection: &Connection, table: &str, most: i64) -> Result<(), StateError> {
    let sql = format!("SELECT count(*) FROM {table}");
    let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    if rows >= most { Err(StateError::Full) } else { Ok(()) }
}

/// Rights have room of their own: however many of them are off, there is room to stop what must be stopped.
fn check_switches(connection: &Connection, kind: &str) -> Result<(), StateError> {
    let sql = "SELECT count(*) FROM switches WHERE (kind = ?1) = ?2";
    let is_right = kind == RIGHT;
    let rows: i64 = connection.query_row(sql, params![RIGHT, is_right], |row| row.get(0))?;
    let most = if is_right { MOST_RIGHTS } else { MOST_SWITCHES };
    if rows >= most { Err(StateError::Full) } else { Ok(()) }
}

pub(super) fn changed_now(connection: &Connection) -> Result<(), StateError> {
    connection.execute("UPDATE command SET change = change + 1", [])?;
    Ok(())
}

pub(super) fn note(
    connection: &Connection,
    command: &CommandRow,
    verb: &str,
    [done_by, approved_by]: [&str; 2],
    at_ms: i64,
) -> Result<(), StateError> {
    let CommandRow { kind, name, detail, reason, .. } = command;
    let object = format!("{kind} {name}");
    let object = object.trim_end();
    let deed = Deed { name: verb, object, detail, reason, done_by, approved_by, at_ms };
    act::note_deed(connection, &deed)
}
