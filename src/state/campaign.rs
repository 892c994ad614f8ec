//! Rows of reviews of accesses. What may be decided is `campaign`'s business.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::act::{self, Deed};
use super::command::{self, CommandRow};
use super::{StateError, Store};

/// Reviews that are kept; the oldest that are closed are forgotten first.
const MOST: i64 = if cfg!(test) { 3 } else { 1_000 };
/// Rights that lapse in one commit: the log has an entry for each before anything that was commanded since holds.
const LAPSE_AT_ONCE: u32 = if cfg!(test) { 2 } else { 200 };
/// What nobody decided in time.
const LAPSED: &str = "lapsed";
/// What somebody took away.
const REMOVED: &str = "removed";
const RIGHTS: &str =
    "SELECT whose, role, used_ms, proposal, verdict, decided_by, decided_ms, remark
    FROM campaign_rights WHERE campaign = ?1";

/// A review of accesses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignRow {
    /// Its number.
    pub id: i64,
    /// Of what.
    pub about: String,
    /// Who opened it.
    pub opened_by: String,
    /// When, Unix milliseconds.
    pub opened_ms: i64,
    /// Until when rights are attested, Unix milliseconds.
    pub until_ms: i64,
    /// When it was closed.
    pub closed_ms: Option<i64>,
    /// How many rights it has, and how many of them somebody decided.
    pub rights: (u32, u32),
}

/// A right under review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RightRow {
    /// Whose.
    pub whose: String,
    /// To which role.
    pub role: String,
    /// When it was used last, Unix milliseconds.
    pub used_ms: Option<i64>,
    /// `keep`, or why it should go.
    pub proposal: String,
    /// What was decided; empty while nothing is.
    pub verdict: String,
    /// Who decided it.
    pub decided_by: String,
    /// When, Unix milliseconds.
    pub decided_ms: Option<i64>,
    /// What they had to say.
    pub remark: String,
}

/// What somebody decides on a right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictRow {
    /// Whose.
    pub whose: String,
    /// To which role.
    pub role: String,
    /// `attested` or `removed`.
    pub verdict: &'static str,
    /// Why.
    pub remark: String,
}

impl Store {
    /// Opens a review; gives its number.
    ///
    /// # Errors
    /// [`StateError::Full`] if too many are open, or if so many rights could not all be switched off.
    pub async fn open_campaign(
        &self,
        about: String,
        until_ms: i64,
        rights: Vec<RightRow>,
    ) -> Result<i64, StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            make_room(connection)?;
            check_could_lapse(connection, rights.len())?;
            connection.execute(
                "INSERT INTO campaigns (about, opened_by, opened_ms, until_ms) VALUES (?1, ?2, ?3, ?4)",
                params![about, doer.name.as_ref(), doer.at_ms, until_ms],
            )?;
            let id = connection.last_insert_rowid();
            let sql = "INSERT INTO campaign_rights
                (campaign, whose, role, used_ms, proposal, verdict, decided_by, remark)
                VALUES (?1, ?2, ?3, ?4, ?5, '', '', '')";
            let mut insert = connection.prepare_cached(sql)?;
            for RightRow { whose, role, used_ms, proposal, .. } in &rights {
                insert.execute(params![id, whose, role, used_ms, proposal])?;
            }
            let detail = format!("{} rights", rights.len());
            note(connection, "campaign_opened", (id, &detail, &about), (&doer.name, doer.at_ms))?;
            Ok(id)
        })
        .await
    }

    /// All reviews, the newest first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn campaigns(&self) -> Result<Vec<CampaignRow>, StateError> {
        self.read(|connection| {
            let sql = "SELECT id, about, opened_by, opened_ms, until_ms, closed_ms,
                (SELECT count(*) FROM campaign_rights WHERE campaign = id),
                (SELECT count(*) FROM campaign_rights WHERE campaign = id AND verdict <> '')
                FROM campaigns ORDER BY id DESC";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], campaign_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The rights of a review, by whose they are.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such review.
    pub async fn campaign_rights(&self, id: i64) -> Result<Vec<RightRow>, StateError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(RIGHTS)?;
            let rows = statement.query_map([id], right_row)?.collect::<Result<Vec<_>, _>>()?;
            if rows.is_empty() { Err(StateError::Unknown(id.to_string())) } else { Ok(rows) }
        })
        .await
    }

    /// Decides rights of a review that runs, all in one commit; what is removed is switched off in it.
    ///
    /// # Errors
    /// [`StateError::Unknown`] with the first right that the review does not have, or its number if it does not run;
    /// nothing was decided then.
    pub async fn decide_rights(
        &self,
        id: i64,
        verdicts: Vec<VerdictRow>,
    ) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let sql =
                "SELECT 1 FROM campaigns WHERE id = ?1 AND closed_ms IS NULL AND until_ms > ?2";
            let runs = connection.query_row(sql, [id, doer.at_ms], |_row| Ok(())).optional()?;
            runs.ok_or_else(|| StateError::Unknown(id.to_string()))?;
            for VerdictRow { whose, role, verdict, remark } in &verdicts {
                let right = format!("{role}@{whose}");
                let sql = "UPDATE campaign_rights
                    SET verdict = ?4, decided_by = ?5, decided_ms = ?6, remark = ?7
                    WHERE campaign = ?1 AND whose = ?2 AND role = ?3";
                let by = doer.name.as_ref();
                let values = params![id, whose, role, verdict, by, doer.at_ms, remark];
                if connection.execute(sql, values)? == 0 {
                    return Err(StateError::Unknown(right));
                }
                let name = format!("right_{verdict}");
                note(connection, &name, (id, &right, remark), (&doer.name, doer.at_ms))?;
                if *verdict == REMOVED {
                    suspend(connection, id, &right, (&doer.name, doer.at_ms))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Closes every review whose time is over: rights that nobody decided are switched off, some in each call. Gives what
    /// is closed by now, with the number of rights that lapsed.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing was closed then.
    pub async fn close_campaigns(&self) -> Result<Vec<(i64, u64)>, StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let sql = "SELECT id FROM campaigns WHERE closed_ms IS NULL AND until_ms <= ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let due = statement.query_map([doer.at_ms], |row| row.get(0))?;
            let due = due.collect::<Result<Vec<i64>, _>>()?;
            let by = (doer.name.as_ref(), doer.at_ms);
            let close = |id: i64| Ok(close(connection, id, by)?.map(|lapsed| (id, lapsed)));
            due.into_iter().filter_map(|id| close(id).transpose()).collect()
        })
        .await
    }

    /// When the newest closed review was opened that had each role, Unix milliseconds.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn reviewed_roles(&self) -> Result<Vec<(String, i64)>, StateError> {
        self.read(|connection| {
            let sql = "SELECT role, max(opened_ms) FROM campaign_rights
                JOIN campaigns ON campaigns.id = campaign WHERE closed_ms IS NOT NULL GROUP BY role";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Gives how many lapsed, once all have.
fn close(connection: &Connection, id: i64, by: (&str, i64)) -> Result<Option<u64>, StateError> {
    let sql = format!("{RIGHTS} AND verdict = '' LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let open = statement
        .query_map(params![id, LAPSE_AT_ONCE], right_row)?
        .collect::<Result<Vec<_>, _>>()?;
    let sql = "UPDATE campaign_rights SET verdict = ?4, decided_ms = ?5
        WHERE campaign = ?1 AND whose = ?2 AND role = ?3";
    let mut lapse = connection.prepare_cached(sql)?;
    for RightRow { whose, role, .. } in &open {
        lapse.execute(params![id, whose, role, LAPSED, by.1])?;
        suspend(connection, id, &format!("{role}@{whose}"), by)?;
    }
    let count = "SELECT count(*) FROM campaign_rights WHERE campaign = ?1 AND verdict = ?2";
    let count = |verdict: &str| connection.query_row(count, params![id, verdict], |row| row.get(0));
    let (left, lapsed): (u32, u32) = (count("")?, count(LAPSED)?);
    if left > 0 {
        return Ok(None);
    }
    connection.execute("UPDATE campaigns SET closed_ms = ?2 WHERE id = ?1", params![id, by.1])?;
    let detail = format!("{lapsed} rights lapsed");
    note(connection, "campaign_closed", (id, &detail, ""), by)?;
    Ok(Some(u64::from(lapsed)))
}

/// Switches a right off; one that is off already stays so.
fn suspend(
    connection: &Connection,
    id: i64,
    right: &str,
    (by, at_ms): (&str, i64),
) -> Result<(), StateError> {
    let command = CommandRow {
        verb: "switch_on".to_owned(),
        kind: command::RIGHT.to_owned(),
        name: right.to_owned(),
        detail: String::new(),
        reason: format!("review of accesses {id}"),
    };
    command::switch(connection, command, true, ([by.to_owned(), String::new()], at_ms))?;
    Ok(())
}

/// A review that could not end what nobody attests would be none: there is room for all of it before it opens.
fn check_could_lapse(connection: &Connection, rights: usize) -> Result<(), StateError> {
    let sql = "SELECT (SELECT count(*) FROM switches WHERE kind = ?1) + (SELECT count(*)
        FROM campaign_rights JOIN campaigns ON campaigns.id = campaign WHERE closed_ms IS NULL)";
    let held: i64 = connection.query_row(sql, [command::RIGHT], |row| row.get(0))?;
    let wanted = i64::try_from(rights).unwrap_or(i64::MAX).saturating_add(held);
    if wanted > command::MOST_RIGHTS { Err(StateError::Full) } else { Ok(()) }
}

/// What is closed makes room for what is opened.
fn make_room(connection: &Connection) -> Result<(), StateError> {
    let rows: i64 = connection.query_row("SELECT count(*) FROM campaigns", [], |row| row.get(0))?;
    if rows < MOST {
        return Ok(());
    }
    let sql = "DELETE FROM campaigns WHERE id = (SELECT min(id) FROM campaigns WHERE closed_ms IS NOT NULL)
               RETURNING id";
    let oldest = connection.query_row(sql, [], |row| row.get::<_, i64>(0)).optional()?;
    let oldest = oldest.ok_or(StateError::Full)?;
    connection.execute("DELETE FROM campaign_rights WHERE campaign = ?1", [oldest])?;
    Ok(())
}

fn note(
    connection: &Connection,
    name: &str,
    (id, detail, reason): (i64, &str, &str),
    (done_by, at_ms): (&str, i64),
) -> Result<(), StateError> {
    let object = format!("campaign {id}");
    let (object, approved_by) = (object.as_str(), "");
    act::note_deed(connection, &Deed { name, object, detail, reason, done_by, approved_by, at_ms })
}

fn campaign_row(row: &Row<'_>) -> rusqlite::Result<CampaignRow> {
    Ok(CampaignRow {
        id: row.get(0)?,
        about: row.get(1)?,
        opened_by: row.get(2)?,
        opened_ms: row.get(3)?,
        until_ms: row.get(4)?,
        closed_ms: row.get(5)?,
        rights: (row.get(6)?, row.get(7)?),
    })
}

fn right_row(row: &Row<'_>) -> rusqlite::Result<RightRow> {
    Ok(RightRow {
        whose: row.get(0)?,
        role: row.get(1)?,
        used_ms: row.get(2)?,
        proposal: row.get(3)?,
        verdict: row.get(4)?,
        decided_by: row.get(5)?,
        decided_ms: row.get(6)?,
        remark: row.get(7)?,
    })
}
