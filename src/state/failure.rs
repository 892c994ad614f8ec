//! Failed sign-ins: who may still try, and who must wait.
//!
//! An attempt is charged before it is judged and taken back if it was right, so that a thousand
//! guesses at once, a dropped connection or a restart gain nothing.
//!
//! A network from which somebody signed in lately is known. The failures of a name are counted apart for each
//! known network, and together for all others: strangers who guess lock each other out, not the office. Which
//! networks are known does not depend on the name, so that a lock tells nothing about it.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::act;
use super::{StateError, Store};

/// The most failures kept; beyond it the oldest are forgotten. Password hashing, at some hundred a
/// second, cannot reach it within a window of 15 minutes.
const MOST_ROWS: i64 = 200_000;
/// The most networks kept; beyond it those that were not seen for longest are forgotten.
const MOST_NETWORKS: i64 = 50_000;
/// The most locks kept, with those that ended lately; beyond it those that end first are forgotten.
const MOST_LOCKS: i64 = if cfg!(test) { 20 } else { 100_000 };

/// How many failures are too many.
#[derive(Clone, Copy, Debug)]
pub struct FailureRules {
    /// Failures of one name within the window that lock it.
    pub per_name: u32,
    /// Failures from one address within the window after which it must wait.
    pub per_address: u32,
    /// The window in seconds.
    pub window_s: i64,
    /// How long a name is locked the first time, in seconds. Each further time in a row it is twice as long.
    pub lock_s: i64,
    /// The longest lock in seconds. After as long without another one the next is a first one again.
    pub longest_lock_s: i64,
    /// How long a network stays known after somebody signed in from it, in seconds.
    pub known_s: i64,
}

/// Who tries, as keyed hashes.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The name as typed, known or not.
    pub name: [u8; 32],
    /// The source network.
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
    bucket: Bucket,
    address: [u8; 32],
    at_s: i64,
    /// Whether it was the one that locks the name.
    has_locked: bool,
}

/// Failures that are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bucket {
    name: [u8; 32],
    /// The known network, or nothing for all others.
    network: Vec<u8>,
}

/// What a right answer takes back.
#[derive(Clone, Debug)]
pub enum Settled {
    /// Only its own charge: more is still to be shown, such as a code, and earlier failures stand.
    One(Charged),
    /// All failures of the name from its network, which is known from now on.
    All(Charged),
    /// Nothing was charged: what was shown cannot be guessed.
    Nothing,
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
        self.write(move |connection| charge(connection, attempt, rules, now)).await
    }

    /// Forgets all failures and locks of an account, whose name has this keyed hash.
    ///
    /// # Errors
    /// [`StateError::Unknown`] if there is no such account.
    pub async fn unlock(&self, account: &str, name: [u8; 32]) -> Result<(), StateError> {
        let (account, doer) = (account.to_owned(), self.doer());
        self.write(move |connection| {
            let sql = "SELECT 1 FROM accounts WHERE name = ?1";
            if !connection.prepare_cached(sql)?.exists([&account])? {
                return Err(StateError::Unknown(account));
            }
            for table in ["failures", "lockouts"] {
                let sql = format!("DELETE FROM {table} WHERE name = ?1");
                connection.prepare_cached(&sql)?.execute([name])?;
            }
            act::note(connection, "account_unlocked", &account, &doer)
        })
        .await
    }
}

fn charge(
    connection: &Connection,
    attempt: Attempt,
    rules: FailureRules,
    now: i64,
) -> Result<Charge, StateError> {
    forget(connection, rules, now)?;
    let bucket = bucket(connection, &attempt)?;
    let until = locked_until(connection, &bucket, &attempt.address, rules)?;
    if let Some(until) = until.filter(|until| *until > now) {
        let retry_after_s = u64::try_from(until.saturating_sub(now)).unwrap_or(1);
        return Ok(Charge::Locked { retry_after_s });
    }
    connection
        .prepare_cached(
            "INSERT INTO failures (name, bucket, address, at_s) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![bucket.name, bucket.network, attempt.address, now])?;
    let id = connection.last_insert_rowid();
    connection
        .prepare_cached("DELETE FROM failures WHERE attempt <= ?1")?
        .execute([id.saturating_sub(MOST_ROWS)])?;
    let has_locked = failures_of(connection, &bucket)? >= i64::from(rules.per_name);
    if has_locked {
        lock(connection, &bucket, rules, now)?;
    }
    let address = attempt.address;
    Ok(Charge::Admitted(Charged { attempt: id, bucket, address, at_s: now, has_locked }))
}

/// Forgets what is too old to count.
fn forget(connection: &Connection, rules: FailureRules, now: i64) -> Result<(), StateError> {
    for (sql, age_s) in [
        ("DELETE FROM failures WHERE at_s <= ?1", rules.window_s),
        ("DELETE FROM lockouts WHERE until_s <= ?1", rules.longest_lock_s),
        ("DELETE FROM networks WHERE last_s <= ?1", rules.known_s),
    ] {
        connection.prepare_cached(sql)?.execute([now.saturating_sub(age_s)])?;
    }
    Ok(())
}

fn bucket(connection: &Connection, attempt: &Attempt) -> Result<Bucket, StateError> {
    let mut known = connection.prepare_cached("SELECT 1 FROM networks WHERE address = ?1")?;
    let network = if known.exists([attempt.address])? { attempt.address.to_vec() } else { vec![] };
    Ok(Bucket { name: attempt.name, network })
}

/// The later of: the end of the name's lock, and when the address has room in its window again.
fn locked_until(
    connection: &Connection,
    bucket: &Bucket,
    address: &[u8; 32],
    rules: FailureRules,
) -> Result<Option<i64>, StateError> {
    let name = connection
        .prepare_cached("SELECT until_s FROM lockouts WHERE name = ?1 AND bucket = ?2")?
        .query_row(params![bucket.name, bucket.network], |row| row.get(0))
        .optional()?;
    let address: Option<i64> = connection
        .prepare_cached(
            "SELECT at_s FROM failures WHERE address = ?1 ORDER BY at_s DESC LIMIT 1 OFFSET ?2",
        )?
        .query_row(params![address, rules.per_address.saturating_sub(1)], |row| row.get(0))
        .optional()?;
    Ok(name.max(address.map(|at| at.saturating_add(rules.window_s))))
}

/// Locks for twice as long as the time before.
fn lock(
    connection: &Connection,
    bucket: &Bucket,
    rules: FailureRules,
    now: i64,
) -> Result<(), StateError> {
    let times: u32 = connection
        .prepare_cached("SELECT times FROM lockouts WHERE name = ?1 AND bucket = ?2")?
        .query_row(params![bucket.name, bucket.network], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let longer = rules.lock_s.saturating_mul(1_i64 << times.min(16));
    let until = now.saturating_add(longer.min(rules.longest_lock_s.max(rules.lock_s)));
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO lockouts (name, bucket, until_s, times) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![bucket.name, bucket.network, until, times.saturating_add(1)])?;
    connection
        .prepare_cached(
            "DELETE FROM lockouts WHERE until_s <
             (SELECT until_s FROM lockouts ORDER BY until_s DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([MOST_LOCKS])?;
    Ok(())
}

fn failures_of(connection: &Connection, bucket: &Bucket) -> Result<i64, StateError> {
    let sql = "SELECT count(*) FROM failures WHERE name = ?1 AND bucket = ?2";
    let mut count = connection.prepare_cached(sql)?;
    Ok(count.query_row(params![bucket.name, bucket.network], |row| row.get(0))?)
}

/// Takes back what a right answer was charged; part of the transaction that rewards it.
///
/// Among strangers it takes back no more than that: else the owner of a name, signing in from a new place, would
/// give whoever guesses there new guesses.
pub(super) fn settle(connection: &Connection, settled: &Settled) -> Result<(), StateError> {
    let (Settled::One(charged) | Settled::All(charged)) = settled else { return Ok(()) };
    let bucket = &charged.bucket;
    let forgives = matches!(settled, Settled::All(_)) && !bucket.network.is_empty();
    connection
        .prepare_cached("DELETE FROM failures WHERE attempt = ?1")?
        .execute([charged.attempt])?;
    if forgives {
        for table in ["failures", "lockouts"] {
            let sql = format!("DELETE FROM {table} WHERE name = ?1 AND bucket = ?2");
            connection.prepare_cached(&sql)?.execute(params![bucket.name, bucket.network])?;
        }
    } else if charged.has_locked {
        unlock_again(connection, charged)?;
    }
    match settled {
        Settled::One(_) | Settled::Nothing => Ok(()),
        Settled::All(_) => note_network(connection, &charged.address, charged.at_s),
    }
}

/// Takes back the lock that a right attempt led to.
fn unlock_again(connection: &Connection, charged: &Charged) -> Result<(), StateError> {
    let bucket = &charged.bucket;
    connection
        .prepare_cached(
            "UPDATE lockouts SET times = times - 1, until_s = ?3 WHERE name = ?1 AND bucket = ?2",
        )?
        .execute(params![bucket.name, bucket.network, charged.at_s])?;
    connection.prepare_cached("DELETE FROM lockouts WHERE times <= 0")?.execute([])?;
    Ok(())
}

/// Somebody signed in from there.
pub(super) fn note_network(
    connection: &Connection,
    address: &[u8; 32],
    at_s: i64,
) -> Result<(), StateError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO networks (address, last_s) VALUES (?1, ?2)")?
        .execute(params![address, at_s])?;
    connection
        .prepare_cached(
            "DELETE FROM networks WHERE last_s <
             (SELECT last_s FROM networks ORDER BY last_s DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([MOST_NETWORKS])?;
    Ok(())
}
