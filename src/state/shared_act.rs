//! What follows here from what was done at another gate. It is noted for this gate's log in the same transaction, so
//! that it is recorded before what it lets go on goes on; the words differ from those of the act itself, which one log
//! has alone.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::act::{self, Deed};
use super::bulletin::{BulletinRow, FINDING, REGISTRY, RESET, SWITCH};
use super::command::changed_now;
use super::finding::newest_change;
use super::registry::{RegistryNotice, take_over};
use super::reset::forget_usage;
use super::{FindingRow, StateError};

/// A budget that began anew elsewhere longer ago does not here: what was counted since would be forgotten.
const LATE_MS: i64 = 10_000;

/// A switch as the notice of it has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SwitchNotice {
    pub(super) is_on: bool,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) reason: String,
    pub(super) done_by: String,
    pub(super) approved_by: String,
    pub(super) at_ms: i64,
}

impl SwitchNotice {
    /// What it is about: `tenant hq`.
    pub(super) fn topic(&self) -> String {
        format!("{} {}", self.kind, self.name).trim_end().to_owned()
    }
}

/// A finding as the notice of it has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FindingNotice {
    pub(super) detection: String,
    pub(super) consequence: String,
    pub(super) holder: String,
    pub(super) account: String,
    pub(super) cause: String,
    pub(super) at_ms: i64,
    pub(super) count: i64,
    pub(super) said: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) released: Option<Released>,
}

/// Who let somebody go on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Released {
    pub(super) at_ms: i64,
    pub(super) by: String,
    pub(super) reason: String,
}

impl FindingNotice {
    pub(super) fn of(row: &FindingRow) -> Self {
        let released = row.released_ms.map(|at_ms| Released {
            at_ms,
            by: row.released_by.clone().unwrap_or_default(),
            reason: row.reason.clone().unwrap_or_default(),
        });
        Self {
            detection: row.detection.clone(),
            consequence: row.consequence.clone(),
            holder: row.holder.clone(),
            account: row.account.clone(),
            cause: row.cause.clone(),
            at_ms: row.at_ms,
            count: i64::try_from(row.count).unwrap_or(i64::MAX),
            said: row.said.clone(),
            released,
        }
    }

    /// What makes it the same at every gate.
    pub(super) fn topic(&self) -> String {
        serde_json::json!([self.detection, self.holder, self.cause]).to_string()
    }

    /// Whether it must be kept until it is released. A factor that was shown since is newer than an old finding.
    pub(super) fn lasts(&self) -> bool {
        self.released.is_none() && self.consequence != "step-up"
    }
}

/// A budget that began anew.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ResetNotice {
    pub(super) holder: String,
    pub(super) budget: String,
    pub(super) reason: String,
    pub(super) done_by: String,
    pub(super) approved_by: String,
    pub(super) at_ms: i64,
}

/// What a notice tells of.
pub(super) enum SharedAct {
    Switch(SwitchNotice),
    Finding(FindingNotice),
    Reset(ResetNotice),
    Registry(RegistryNotice),
}

/// What a notice tells of, if it is understood.
pub(super) fn read(notice: &BulletinRow) -> Option<SharedAct> {
    let payload = notice.payload.as_str();
    match notice.kind.as_str() {
        SWITCH => serde_json::from_str(payload).ok().map(SharedAct::Switch),
        FINDING => serde_json::from_str(payload).ok().map(SharedAct::Finding),
        RESET => serde_json::from_str(payload).ok().map(SharedAct::Reset),
        REGISTRY => serde_json::from_str(payload).ok().map(SharedAct::Registry),
        _ => None,
    }
}

/// Does here what was done at `origin`, with the notice's stamp.
pub(super) fn perform(
    connection: &Connection,
    act: SharedAct,
    (origin, stamp): (&str, i64),
    now_ms: i64,
) -> Result<(), StateError> {
    match act {
        SharedAct::Switch(switch) => turn(connection, &switch, (origin, stamp)),
        SharedAct::Finding(finding) => hold(connection, &finding, origin),
        SharedAct::Reset(reset) => begin_anew(connection, &reset, origin, now_ms),
        SharedAct::Registry(step) => register(connection, &step, origin),
    }
}

fn register(
    connection: &Connection,
    step: &RegistryNotice,
    origin: &str,
) -> Result<(), StateError> {
    if !take_over(connection, step)? {
        return Ok(());
    }
    let RegistryNotice { act, reason, done_by, approved_by, at_ms, .. } = step;
    let word = format!("{act}_shared");
    note(connection, &word, (&step.topic(), origin), reason, [done_by, approved_by], *at_ms)
}

fn turn(
    connection: &Connection,
    switch: &SwitchNotice,
    (origin, stamp): (&str, i64),
) -> Result<(), StateError> {
    let SwitchNotice { is_on, kind, name, reason, done_by, approved_by, at_ms } = switch;
    let changed = if *is_on {
        // Whatever else is switched off: here, too, rather than not.
        let sql = "INSERT INTO switches (kind, name, reason, done_by, approved_by, since_ms)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (kind, name) DO NOTHING";
        let values = params![kind, name, reason, done_by, approved_by, at_ms];
        connection.prepare_cached(sql)?.execute(values)?
    } else {
        // Never what was switched off since: its own notice may have found no room.
        let sql = "DELETE FROM switches WHERE kind = ?1 AND name = ?2 AND since_ms < ?3";
        connection.prepare_cached(sql)?.execute(params![kind, name, stamp])?
    };
    if changed == 0 {
        return Ok(());
    }
    let word = if *is_on { "switch_on_shared" } else { "switch_off_shared" };
    let by = [done_by.as_str(), approved_by.as_str()];
    note(connection, word, (&switch.topic(), origin), reason, by, *at_ms)?;
    changed_now(connection)
}

fn hold(connection: &Connection, finding: &FindingNotice, origin: &str) -> Result<(), StateError> {
    let FindingNotice { detection, consequence, holder, account, cause, .. } = finding;
    let change = newest_change(connection)?.saturating_add(1);
    let object = format!("finding of `{detection}` on {holder}");
    if let Some(Released { at_ms, by, reason }) = &finding.released {
        let sql = "UPDATE findings SET released_ms = ?4, released_by = ?5, reason = ?6, change = ?7
                   WHERE detection = ?1 AND holder = ?2 AND cause = ?3 AND released_ms IS NULL";
        let values = params![detection, holder, cause, at_ms, by, reason, change];
        if connection.prepare_cached(sql)?.execute(values)? == 0 {
            return Ok(());
        }
        let word = "findings_released_shared";
        return note(connection, word, (&object, origin), reason, [by, ""], *at_ms);
    }
    // Its entry is in the log of the gate that found it.
    let sql = "INSERT INTO findings (detection, consequence, holder, account, cause, at_ms, count,
                                     said, drill, told, change)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 1, ?9)
               ON CONFLICT (detection, holder, cause) DO NOTHING";
    let FindingNotice { at_ms, count, said, .. } = finding;
    let values =
        params![detection, consequence, holder, account, cause, at_ms, count, said, change];
    if connection.prepare_cached(sql)?.execute(values)? == 0 {
        return Ok(());
    }
    note(connection, "finding_shared", (&object, origin), said, ["gate", ""], *at_ms)
}

fn begin_anew(
    connection: &Connection,
    reset: &ResetNotice,
    origin: &str,
    now_ms: i64,
) -> Result<(), StateError> {
    let ResetNotice { holder, budget, reason, done_by, approved_by, at_ms } = reset;
    let by = [done_by.as_str(), approved_by.as_str()];
    let object = format!("limits {holder}: {budget}");
    let is_late = at_ms.saturating_add(LATE_MS) < now_ms;
    let word = if is_late { "limits_reset_came_late" } else { "limits_reset_shared" };
    if !is_late {
        forget_usage(connection, holder, budget, (now_ms, true))?;
    }
    note(connection, word, (&object, origin), reason, by, *at_ms)?;
    changed_now(connection)
}

/// Notes for this gate's log what came, and from where.
fn note(
    connection: &Connection,
    name: &str,
    (object, origin): (&str, &str),
    reason: &str,
    [done_by, approved_by]: [&str; 2],
    at_ms: i64,
) -> Result<(), StateError> {
    let detail = format!("at {origin}");
    act::note_deed(
        connection,
        &Deed { name, object, detail: &detail, reason, done_by, approved_by, at_ms },
    )
}
