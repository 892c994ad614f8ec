//! Failed sign-ins: who may still try, and who must wait.
//!
//! An attempt is charged before it is judged and taken back if it was right, so that a thousand
//! guesses at once, a dropped connection or a restart gain nothing.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{StateError, Store};

/// The most failures kept; beyond it the oldest are forgotten. Password hashing, at some hundred a
/// second, cannot reach it within a window of 15 minutes.
const MOST_ROWS: i64 = 200_000;

/// How many failures are too many.
#[derive(Clone, Copy, Debug)]
pub struct FailureRules {
    /// Failures of one name within the window that lock it.
    pub per_name: u32,
    /// Failures from one address within the window after which it must wait.
    pub per_address: u32,
    /// The window in seconds.
    pub window_s: i64,
    /// How long a locked name stays locked, in seconds.
    pub lock_s: i64,
}

/// Who tries, as keyed hashes.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The name as typed, known or not.
    pub name: [u8; 32],
    /// The source address.
    pub address: [u8; 32],
}

/// Whether an attempt may be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charge {
    /// It may, and counts as failed until it is settled.
    Admitted(Charged),
    /// It may not.
    Locked {
        /// Seconds until the next attempt may be judged, at least 1.
        retry_after_s: u64,
    },
}

/// An attempt that counts as failed until it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    attempt: i64,
    name: [u8; 32],
    per_name: u32,
}

/// What a right answer takes back.
#[derive(Clone, Debug)]
pub enum Settled {
    /// Only its own charge: more is still to be shown, such as a code, and earlier failures stand.
    One(Charged),
    /// All failures of the name.
    All(Charged),
}

impl Store {
    /// Charges an attempt, or says how long to wait. Durable when it resolves.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; the attempt must then not be judged.
    pub async fn charge_attempt(
        &self,
        attempt: Attempt,
        rules: FailureRules,
    ) -> Result<Charge, StateError> {
        let now = self.clock.unix_s();
        self.write(move |connection| charge(connection, &attempt, rules, now)).await
    }
}

fn charge(
    connection: &Connection,
    attempt: &Attempt,
    rules: FailureRules,
    now: i64,
) -> Result<Charge, StateError> {
    let since = now.saturating_sub(rules.window_s);
    connection.prepare_cached("DELETE FROM failures WHERE at_s <= ?1")?.execute([since])?;
    connection.prepare_cached("DELETE FROM lockouts WHERE until_s <= ?1")?.execute([now])?;
    let until = locked_until(connection, attempt, rules)?;
    if let Some(until) = until.filter(|until| *until > now) {
        let retry_after_s = u64::try_from(until.saturating_sub(now)).unwrap_or(1);
        return Ok(Charge::Locked { retry_after_s });
    }
    connection
        .prepare_cached("INSERT INTO failures (name, address, at_s) VALUES (?1, ?2, ?3)")?
        .execute(params![attempt.name, attempt.address, now])?;
    let id = connection.last_insert_rowid();
    connection
        .prepare_cached("DELETE FROM failures WHERE attempt <= ?1")?
        .execute([id.saturating_sub(MOST_ROWS)])?;
    if failures_of(connection, &attempt.name)? >= i64::from(rules.per_name) {
        connection
            .prepare_cached("INSERT OR REPLACE INTO lockouts (name, until_s) VALUES (?1, ?2)")?
            .execute(params![attempt.name, now.saturating_add(rules.lock_s)])?;
    }
    let charged = Charged { attempt: id, name: attempt.name, per_name: rules.per_name };
    Ok(Charge::Admitted(charged))
}

/// The later of: the end of the name's lock, and when the address has room in its window again.
fn locked_until(
    connection: &Connection,
    attempt: &Attempt,
    rules: FailureRules,
) -> Result<Option<i64>, StateError> {
    let name = connection
        .prepare_cached("SELECT until_s FROM lockouts WHERE name = ?1")?
        .query_row(params![attempt.name], |row| row.get(0))
        .optional()?;
    let address: Option<i64> = connection
        .prepare_cached(
            "SELECT at_s FROM failures WHERE address = ?1 ORDER BY at_s DESC LIMIT 1 OFFSET ?2",
        )?
        .query_row(params![attempt.address, rules.per_address.saturating_sub(1)], |row| row.get(0))
        .optional()?;
    Ok(name.max(address.map(|at| at.saturating_add(rules.window_s))))
}

fn failures_of(connection: &Connection, name: &[u8; 32]) -> Result<i64, StateError> {
    let mut count = connection.prepare_cached("SELECT count(*) FROM failures WHERE name = ?1")?;
    Ok(count.query_row([name], |row| row.get(0))?)
}

/// Takes back what a right answer was charged; part of the transaction that rewards it.
pub(super) fn settle(connection: &Connection, settled: &Settled) -> Result<(), StateError> {
    let (charged, is_unlocked) = match settled {
        Settled::One(charged) => {
            connection
                .prepare_cached("DELETE FROM failures WHERE attempt = ?1")?
                .execute([charged.attempt])?;
            let left = failures_of(connection, &charged.name)?;
            (charged, left < i64::from(charged.per_name))
        }
        Settled::All(charged) => {
            connection
                .prepare_cached("DELETE FROM failures WHERE name = ?1")?
                .execute([charged.name])?;
            (charged, true)
        }
    };
    if is_unlocked {
        connection
            .prepare_cached("DELETE FROM lockouts WHERE name = ?1")?
            .execute([charged.name])?;
    }
    Ok(())
}
