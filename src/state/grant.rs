//! Rows of grants. What they say is sealed; which step may follow which is `grant`'s business.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::act::{self, Deed};
use super::{FeedItem, FeedRow, FeedSlice, MOST_TOLD_BYTES, StateError, Store};

/// The most grants that are kept, those that are over too.
const MOST: i64 = if cfg!(test) { 50 } else { 1_000_000 };
/// How long it is kept who agreed to whose, in milliseconds: longer than any ring is looked for.
const APPROVALS_KEPT_MS: i64 = 400 * 86_400_000;
/// What later steps of a grant may add to what is told of it, in bytes: the account of whoever reviews it, and reminders.
const LATER_STEPS_BYTES: usize = 2 * 1024;
/// So long a gate waits for the one where a grant is from to say what time brought about, in seconds.
const LATE_S: i64 = 3_600;

/// A grant as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Its name.
    pub id: String,
    /// Who holds it, whichever account they use.
    pub person: String,
    /// The word for where it is.
    pub state: String,
    /// When it was asked for, Unix milliseconds.
    pub asked_ms: i64,
    /// When what it is now ends by itself, Unix seconds.
    pub until_s: i64,
    /// When the review that it owes must be reminded of next, Unix seconds; none where it owes none.
    pub review_s: Option<i64>,
    /// What it says.
    pub sealed: Vec<u8>,
    /// Which change brought it here; 0 for a new one.
    pub change: i64,
    /// Grows with every step, the more the stricter it is: of two gates' the heavier holds.
    pub weight: i64,
}

/// A step of a grant, as the log names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantStep {
    /// The act, such as `grant_approved`.
    pub act: &'static str,
    /// What it is about, without anybody's key.
    pub detail: String,
    /// Why.
    pub reason: String,
    /// Who agreed, where somebody did.
    pub approved_by: String,
    /// That agreement: the holder and who agreed.
    pub approval: Option<(String, String)>,
}

/// The last step of a grant, as it is kept for other gates' logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTold {
    act: String,
    detail: String,
    done_by: String,
    approved_by: String,
    at_ms: i64,
}

/// A grant as other gates are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantTold {
    id: String,
    person: String,
    state: String,
    asked_ms: i64,
    until_s: i64,
    review_s: Option<i64>,
    /// What it says, in base64; empty where that is too long to be told.
    sealed: String,
    weight: i64,
    step: StepTold,
    /// Whoever agreed, to whose and when.
    approvals: Vec<(String, String, i64)>,
}

impl GrantTold {
    fn of(row: GrantRow, step: StepTold, approvals: Vec<(String, String, i64)>) -> Self {
        Self {
            id: row.id,
            person: row.person,
            state: row.state,
            asked_ms: row.asked_ms,
            until_s: row.until_s,
            review_s: row.review_s,
            sealed: BASE64_STANDARD.encode(&row.sealed),
            weight: row.weight,
            step,
            approvals,
        }
    }

    /// The same without what it says, which is too long to be told: it opens nothing elsewhere, and whatever ends it
    /// does so there, too, as does a review that it owes.
    #[must_use]
    pub fn cut(self) -> Self {
        let step = StepTold { detail: String::new(), ..self.step };
        Self { sealed: String::new(), step, ..self }
    }
}

impl GrantRow {
    /// Whether other gates can be told all of it, now and after whatever step may follow on this one, which has about as
    /// much to say.
    #[must_use]
    pub fn can_be_told(&self, step: &GrantStep, done_by: &str) -> bool {
        let (act, detail) = (step.act.to_owned(), step.detail.clone());
        let (done_by, approved_by) = (done_by.to_owned(), step.approved_by.clone());
        let step = StepTold { act, detail, done_by, approved_by, at_ms: self.asked_ms };
        let told = GrantTold::of(self.clone(), step, Vec::new());
        FeedRow::Grant(Box::new(told)).told_bytes() <= MOST_TOLD_BYTES - LATER_STEPS_BYTES
    }
}

impl Store {
    /// Writes a grant after a step, with the act of it in the same transaction. `most` is, for a new one, how many of
    /// the person's may wait to be decided, and how many to be reviewed.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if somebody took another step meanwhile, [`StateError::Full`] if there is no room.
    pub async fn put_grant(
        &self,
        row: GrantRow,
        step: GrantStep,
        most: (i64, i64),
    ) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            if row.change == 0 {
                check_room(connection, &row, most)?;
            }
            connection.execute("UPDATE grant_change SET change = change + 1", [])?;
            let next = "(SELECT change FROM grant_change)";
            let told = told(&step, &doer);
            let GrantRow { id, person, state, asked_ms, until_s, review_s, sealed, change, weight } =
                &row;
            let changed = if *change == 0 {
                let sql = format!(
                    "INSERT INTO grants (id, person, state, asked_ms, until_s, sealed, review_s, weight, step, change)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, {next})"
                );
                connection.prepare_cached(&sql)?.execute(params![
                    id, person, state, asked_ms, until_s, sealed, review_s, weight, told
                ])?
            } else {
                let sql = format!(
                    "UPDATE grants SET state = ?2, until_s = ?3, sealed = ?4, review_s = ?6, weight = ?7, step = ?8,
                     origin = '', change = {next} WHERE id = ?1 AND change = ?5"
                );
                let values = params![id, state, until_s, sealed, change, review_s, weight, told];
                connection.prepare_cached(&sql)?.execute(values)?
            };
            if changed != 1 {
                return Err(StateError::Unknown(id.clone()));
            }
            if let Some((holder, approver)) = &step.approval {
                let old = doer.at_ms.saturating_sub(APPROVALS_KEPT_MS);
                connection.execute("DELETE FROM grant_approvals WHERE at_ms < ?1", [old])?;
                let sql = "INSERT INTO grant_approvals (grant_id, holder, approver, at_ms)
                           VALUES (?1, ?2, ?3, ?4)";
                let values = params![id, holder, approver, doer.at_ms];
                connection.prepare_cached(sql)?.execute(values)?;
            }
            let object = format!("grant {id}");
            let GrantStep { act, detail, reason, approved_by, approval: _ } = &step;
            let (done_by, at_ms) = (&*doer.name, doer.at_ms);
            let deed =
                Deed { name: act, object: &object, detail, reason, done_by, approved_by, at_ms };
            act::note_deed(connection, &deed)
        })
        .await
    }

    /// One grant.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn grant(&self, id: &str) -> Result<Option<GrantRow>, StateError> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql = format!("{SELECT} WHERE id = ?1");
            Ok(connection.prepare_cached(&sql)?.query_row([id], row).optional()?)
        })
        .await
    }

    /// The grants that changed after a change, the oldest first, so many at most.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn grants_after(&self, change: i64, most: u32) -> Result<Vec<GrantRow>, StateError> {
        self.read(move |connection| {
            let sql = format!("{SELECT} WHERE change > ?1 ORDER BY change LIMIT ?2");
            rows(connection, &sql, params![change, most])
        })
        .await
    }

    /// Grants in one of these states, the newest first: all, or a person's; so many at most.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn grants(
        &self,
        person: Option<&str>,
        states: &[&str],
        most: u32,
    ) -> Result<Vec<GrantRow>, StateError> {
        let states: Vec<String> = states.iter().map(|state| format!("'{state}'")).collect();
        // The words are ours.
        let states = states.join(", ");
        let person = person.map(str::to_owned);
        self.read(move |connection| {
            let sql = format!(
                "{SELECT} WHERE state IN ({states}) AND (?1 IS NULL OR person = ?1)
                 ORDER BY asked_ms DESC, id LIMIT ?2"
            );
            rows(connection, &sql, params![person, most])
        })
        .await
    }

    /// The grants in a state that ended by itself before a moment, by name behind this one, so many at most. Of those
    /// that came from another gate that one says so first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn grants_over(
        &self,
        now_s: i64,
        after: &str,
        most: u32,
    ) -> Result<Vec<GrantRow>, StateError> {
        let after = after.to_owned();
        self.read(move |connection| {
            let sql = format!(
                "{SELECT} WHERE state IN ('asked', 'approved') AND until_s <= ?1 AND id > ?2
                 AND (origin = '' OR until_s <= ?4) ORDER BY id LIMIT ?3"
            );
            let late_s = now_s.saturating_sub(LATE_S);
            rows(connection, &sql, params![now_s, after, most, late_s])
        })
        .await
    }

    /// The grants that owe a review of which somebody must be reminded by a moment, by name behind this one, so many at
    /// most. Of those that came from another gate that one reminds first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn grants_owing(
        &self,
        now_s: i64,
        after: &str,
        most: u32,
    ) -> Result<Vec<GrantRow>, StateError> {
        let after = after.to_owned();
        self.read(move |connection| {
            let sql = format!(
                "{SELECT} WHERE review_s <= ?1 AND id > ?2 AND (origin = '' OR review_s <= ?4)
                 ORDER BY id LIMIT ?3"
            );
            let late_s = now_s.saturating_sub(LATE_S);
            rows(connection, &sql, params![now_s, after, most, late_s])
        })
        .await
    }

    /// How many grants of a holder somebody agreed to since a moment.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn approvals_of(
        &self,
        holder: &str,
        approver: &str,
        since_ms: i64,
    ) -> Result<u32, StateError> {
        let (holder, approver) = (holder.to_owned(), approver.to_owned());
        self.read(move |connection| {
            let sql = "SELECT count(*) FROM grant_approvals
                       WHERE holder = ?1 AND approver = ?2 AND at_ms >= ?3";
            let values = params![holder, approver, since_ms];
            Ok(connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
        })
        .await
    }
}

const SELECT: &str =
    "SELECT id, person, state, asked_ms, until_s, review_s, sealed, change, weight FROM grants";

fn rows(
    connection: &Connection,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<GrantRow>, StateError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(values, row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn row(row: &Row<'_>) -> rusqlite::Result<GrantRow> {
    Ok(GrantRow {
        id: row.get(0)?,
        person: row.get(1)?,
        state: row.get(2)?,
        asked_ms: row.get(3)?,
        until_s: row.get(4)?,
        review_s: row.get(5)?,
        sealed: row.get(6)?,
        change: row.get(7)?,
        weight: row.get(8)?,
    })
}

fn told(step: &GrantStep, doer: &act::Doer) -> String {
    let told = StepTold {
        act: step.act.to_owned(),
        detail: step.detail.clone(),
        done_by: doer.name.to_string(),
        approved_by: step.approved_by.clone(),
        at_ms: doer.at_ms,
    };
    serde_json::to_string(&told).unwrap_or_default()
}

/// The grants that changed behind a change, as other gates are told of them.
pub(super) fn feed(
    connection: &Connection,
    after: i64,
    most: u32,
) -> Result<FeedSlice, StateError> {
    let sql = "SELECT id, person, state, asked_ms, until_s, review_s, sealed, change, weight, step, origin
               FROM grants WHERE change > ?1 ORDER BY change LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let read = statement.query_map(params![after, most], |columns| {
        Ok((row(columns)?, columns.get::<_, String>(9)?, columns.get::<_, String>(10)?))
    })?;
    let mut slice = FeedSlice { items: Vec::new(), upto: after };
    for read in read {
        let (row, step, origin) = read?;
        let approvals = approvals(connection, &row.id)?;
        slice.upto = row.change;
        let step = serde_json::from_str(&step).unwrap_or_default();
        let (seq, told) = (row.change, GrantTold::of(row, step, approvals));
        let row = FeedRow::Grant(Box::new(told));
        slice.items.push(FeedItem { seq, origin, row });
    }
    Ok(slice)
}

fn approvals(connection: &Connection, id: &str) -> Result<Vec<(String, String, i64)>, StateError> {
    let sql = "SELECT holder, approver, at_ms FROM grant_approvals WHERE grant_id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes over a grant as another gate has it, unless it is as far here: `false` then. Of two steps that were taken at
/// once the stricter holds, at all gates the same.
pub(super) fn take_over(
    connection: &Connection,
    told: &GrantTold,
    (origin, node): (&str, &str),
) -> Result<bool, StateError> {
    for (holder, approver, at_ms) in &told.approvals {
        let sql = "INSERT INTO grant_approvals (grant_id, holder, approver, at_ms)
                   VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        connection.prepare_cached(sql)?.execute(params![told.id, holder, approver, at_ms])?;
    }
    let Ok(sealed) = BASE64_STANDARD.decode(&told.sealed) else { return Ok(false) };
    let sql = format!("{SELECT} WHERE id = ?1");
    let known = connection.prepare_cached(&sql)?.query_row([&told.id], row).optional()?;
    let is_new = known.is_none();
    match known {
        Some(known) if (known.weight, &known.sealed) >= (told.weight, &sealed) => {
            return Ok(false);
        }
        // Nothing of it is open here, and what it says nobody told. A review that it owes is owed all the same.
        None if sealed.is_empty() && told.review_s.is_none() => return Ok(false),
        Some(_) | None => {}
    }
    if is_new && !make_room(connection)? {
        tracing::error!(id = %told.id, "no room for a grant of another gate: it opens nothing here");
        return Ok(false);
    }
    connection.execute("UPDATE grant_change SET change = change + 1", [])?;
    let GrantTold { id, person, state, asked_ms, until_s, review_s, weight, step, .. } = told;
    let sql = "INSERT INTO grants
               (id, person, state, asked_ms, until_s, sealed, review_s, weight, step, origin, change)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, (SELECT change FROM grant_change))
               ON CONFLICT (id) DO UPDATE SET state = ?3, until_s = ?5, sealed = ?6, review_s = ?7, weight = ?8,
               step = ?9, origin = ?10, change = (SELECT change FROM grant_change)";
    let kept = serde_json::to_string(step).unwrap_or_default();
    connection.prepare_cached(sql)?.execute(params![
        id, person, state, asked_ms, until_s, sealed, review_s, weight, kept, origin
    ])?;
    let (name, object) = (format!("{}_shared", step.act), format!("grant {id}"));
    let detail = format!("{}; at {node}", step.detail);
    let detail = detail.trim_start_matches("; ");
    let (done_by, approved_by, at_ms) = (&*step.done_by, &*step.approved_by, step.at_ms);
    // One of before this table had a step names none.
    let name = if step.act.is_empty() { "grant_shared" } else { &name };
    let deed = Deed { name, object: &object, detail, reason: "", done_by, approved_by, at_ms };
    act::note_deed(connection, &deed)?;
    Ok(true)
}

/// The oldest that are over make room; what waits, holds or must be reviewed does not.
fn check_room(
    connection: &Connection,
    row: &GrantRow,
    (most_waiting, most_owing): (i64, i64),
) -> Result<(), StateError> {
    let sql = "SELECT count(*) FROM grants WHERE person = ?1 AND state = 'asked' AND until_s > ?2";
    let values = params![row.person, row.asked_ms.div_euclid(1000)];
    let waiting: i64 = connection.query_row(sql, values, |row| row.get(0))?;
    let sql = "SELECT count(*) FROM grants WHERE person = ?1 AND review_s IS NOT NULL";
    let owing: i64 = connection.query_row(sql, [&row.person], |row| row.get(0))?;
    let is_full =
        if row.review_s.is_some() { owing >= most_owing } else { waiting >= most_waiting };
    if is_full {
        return Err(StateError::Full);
    }
    if make_room(connection)? { Ok(()) } else { Err(StateError::Full) }
}

/// `false` if there is none, and nothing that could go.
fn make_room(connection: &Connection) -> Result<bool, StateError> {
    let all: i64 = connection.query_row("SELECT count(*) FROM grants", [], |row| row.get(0))?;
    if all < MOST {
        return Ok(true);
    }
    let sql = "DELETE FROM grants WHERE id IN (SELECT id FROM grants
               WHERE state NOT IN ('asked', 'approved') AND review_s IS NULL ORDER BY asked_ms LIMIT 100)";
    Ok(connection.execute(sql, [])? > 0)
}
