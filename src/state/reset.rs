//! Budgets that begin anew by command. What a budget is, is `limits`' business.

use rusqlite::{Connection, params};

use super::bulletin::{self, News};
use super::command::{CommandRow, Leave, changed_now, note, take_leave};
use super::shared_act::ResetNotice;
use super::usage::{amounts_of, seen_of};
use super::{StateError, Store, Usage};

/// How long a running gate may take to hear of it; then it is forgotten, since the counters are.
const HEARD_MS: i64 = 24 * 3600 * 1000;

/// A budget that begins anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetRow {
    /// Its number; later ones have larger ones.
    pub seq: i64,
    /// Whose.
    pub holder: String,
    /// Which budget.
    pub budget: String,
    /// Whether another gate let it begin anew, also what all count together.
    pub is_shared: bool,
}

/// Under what a person is counted; no account has a slash before its colon, so none is counted so.
#[must_use]
pub fn counted_as(person: &str) -> String {
    format!("person/{person}")
}

impl Store {
    /// Forgets what a holder has used of a budget (`detail`), under all names that are the same person's.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if what was asked for is gone.
    pub async fn reset_usage(&self, command: CommandRow, leave: Leave) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let (done_by, approved_by) = take_leave(connection, &leave, &doer)?;
            let at_ms = doer.at_ms;
            let CommandRow { verb, name, detail, reason, .. } = command.clone();
            forget_usage(connection, &name, &detail, (at_ms, false))?;
            note(connection, &command, &verb, [&done_by, &approved_by], at_ms)?;
            let reset =
                ResetNotice { holder: name, budget: detail, reason, done_by, approved_by, at_ms };
            // Each is an act of its own: one more does not replace it.
            let topic = format!("{}: {} at {at_ms}", reset.holder, reset.budget);
            let kind = bulletin::RESET;
            let news = News { kind, topic: &topic, lasts: false, payload: &reset, at_ms };
            bulletin::post(connection, &news)?;
            changed_now(connection)
        })
        .await
    }

    /// The budgets that begin anew since the one of this number.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn resets_after(&self, seq: i64) -> Result<Vec<ResetRow>, StateError> {
        self.read(move |connection| {
            let sql = "SELECT seq, holder, budget, shared FROM resets WHERE seq > ?1 ORDER BY seq";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([seq], |row| {
                Ok(ResetRow {
                    seq: row.get(0)?,
                    holder: row.get(1)?,
                    budget: row.get(2)?,
                    is_shared: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// All use of a holder, under all names that are the same person's.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn usage_of_person(&self, holder: &str) -> Result<Usage, StateError> {
        let holder = holder.to_owned();
        self.read(move |connection| {
            let mut usage = Usage::default();
            for name in names(connection, &holder)? {
                usage.amounts.extend(amounts_of(connection, &name)?);
                usage.seen.extend(seen_of(connection, &name)?);
            }
            Ok(usage)
        })
        .await
    }
}

/// Forgets what a holder used of a budget, for a running gate to do so as well.
pub(super) fn forget_usage(
    connection: &Connection,
    holder: &str,
    budget: &str,
    (at_ms, is_shared): (i64, bool),
) -> Result<(), StateError> {
    for name in names(connection, holder)? {
        for table in ["usage", "seen"] {
            let sql = format!("DELETE FROM {table} WHERE person = ?1 AND budget = ?2");
            connection.execute(&sql, [name.as_str(), budget])?;
        }
        let sql = "INSERT INTO resets (holder, budget, at_ms, shared) VALUES (?1, ?2, ?3, ?4)";
        connection.execute(sql, params![name, budget, at_ms, is_shared])?;
    }
    let before = at_ms.saturating_sub(HEARD_MS);
    connection.execute("DELETE FROM resets WHERE at_ms < ?1", [before])?;
    Ok(())
}

/// All names under which the holder is counted: an account, a person, or what several share.
fn names(connection: &Connection, holder: &str) -> Result<Vec<String>, StateError> {
    let sql = "SELECT DISTINCT other.account, other.person FROM roster AS other
               WHERE other.person = ?1
                  OR other.person = (SELECT person FROM roster WHERE account = ?1)";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([holder], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut names = vec![holder.to_owned(), counted_as(holder)];
    for row in rows {
        let (account, person): (String, String) = row?;
        names.extend([account, counted_as(&person)]);
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}
