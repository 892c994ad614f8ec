//! Notices: what was done at one gate and all gates of one key must know, the newest of each topic. They are
//! written in the transaction of what they tell. How they get from gate to gate is `bulletin`'s business, what follows
//! from one that came `shared_act`'s.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use super::act::{self, Deed};
use super::{StateError, Store, shared_act};

/// Notices that are kept. What may be forgotten is, for a new one; else that one is not told to others.
const MOST: i64 = if cfg!(test) { 20 } else { 20_000 };
/// How long a notice is kept that need not be: a gate that was away for longer may bring back what it replaced.
const KEPT_MS: i64 = 40 * 86_400_000;
/// The same for a budget that began anew, which means nothing to whoever hears of it late.
const RESET_KEPT_MS: i64 = 3_600_000;
const COLUMNS: &str = "seq, id, kind, topic, stamp, lasts, origin, payload";

/// The kind of notice that tells of a switch.
pub(super) const SWITCH: &str = "switch";
/// Of a finding that holds somebody, or held.
pub(super) const FINDING: &str = "finding";
/// Of a budget that began anew.
pub(super) const RESET: &str = "reset";
/// Of a step of a partner or a tenant.
pub(super) const REGISTRY: &str = "registry";

/// What all gates must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulletinRow {
    /// Its number here; later ones have larger ones.
    pub seq: i64,
    /// Its name, the same at every gate.
    pub id: String,
    /// What kind of act it tells of.
    pub kind: String,
    /// What it is about.
    pub topic: String,
    /// When, Unix milliseconds; later than whatever its gate knew of the topic.
    pub stamp: i64,
    /// Whether it is kept until another of its topic comes.
    pub lasts: bool,
    /// The gate where it was done; empty for this one.
    pub origin: String,
    /// What was done, in JSON.
    pub payload: String,
}

impl BulletinRow {
    /// Whether it replaces another of its topic: the later one does, and at one moment the one that lasts.
    fn replaces(&self, other: &Self) -> bool {
        (self.stamp, self.lasts, &self.id) > (other.stamp, other.lasts, &other.id)
    }

    /// Whether it is over, so that nobody need know of it.
    #[must_use]
    pub fn is_over(&self, now_ms: i64) -> bool {
        let kept_ms = if self.kind == RESET { RESET_KEPT_MS } else { KEPT_MS };
        !self.lasts && self.stamp < now_ms.saturating_sub(kept_ms)
    }
}

/// What became of notices that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulletinTaken {
    /// So many were new here.
    pub fresh: usize,
    /// A newer one of their topic is known here: the kind and topic of each.
    pub outdated: Vec<(String, String)>,
    /// So many cannot be read, or do not fit in.
    pub left: usize,
}

/// Something to tell the other gates.
pub(super) struct News<'a, P> {
    pub(super) kind: &'a str,
    pub(super) topic: &'a str,
    pub(super) lasts: bool,
    pub(super) payload: &'a P,
    pub(super) at_ms: i64,
}

/// Notes for the other gates what was done, in the transaction that does it.
pub(super) fn post<P: Serialize>(
    connection: &Connection,
    news: &News<'_, P>,
) -> Result<(), StateError> {
    let News { kind, topic, lasts, payload, at_ms } = news;
    let known = find(connection, kind, topic)?;
    let after = known.as_ref().map_or(i64::MIN, |known| known.stamp.saturating_add(1));
    let id: String = connection
        .prepare_cached("SELECT lower(hex(randomblob(12)))")?
        .query_row([], |r| r.get(0))?;
    let notice = BulletinRow {
        seq: 0,
        id,
        kind: (*kind).to_owned(),
        topic: (*topic).to_owned(),
        stamp: after.max(*at_ms),
        lasts: *lasts,
        origin: String::new(),
        payload: serde_json::to_string(payload).unwrap_or_default(),
    };
    if keep(connection, &notice)? {
        return Ok(());
    }
    tracing::error!(kind, topic, "no room for one more notice: other gates do not hear of this");
    let object = format!("{kind} {topic}");
    let deed = Deed {
        name: "not_shared",
        object: &object,
        detail: "",
        reason: "",
        done_by: "gate",
        approved_by: "",
        at_ms: *at_ms,
    };
    act::note_deed(connection, &deed)
}

impl Store {
    /// The notices after the one of this number, the oldest first, at most so many.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn bulletin_after(
        &self,
        seq: i64,
        most: u32,
    ) -> Result<Vec<BulletinRow>, StateError> {
        self.read(move |connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM bulletin WHERE seq > ?1 ORDER BY seq LIMIT ?2");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(params![seq, most], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The newest notice of a topic.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn bulletin_of(
        &self,
        kind: &str,
        topic: &str,
    ) -> Result<Option<BulletinRow>, StateError> {
        let (kind, topic) = (kind.to_owned(), topic.to_owned());
        self.read(move |connection| find(connection, &kind, &topic)).await
    }

    /// Takes over notices of other gates with what follows from them, all in one commit; one that is known, or older
    /// than what is known, changes nothing.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing was taken.
    pub async fn take_bulletin(&self, came: Vec<BulletinRow>) -> Result<BulletinTaken, StateError> {
        let now_ms = self.clock.unix_ms();
        self.write(move |connection| {
            let mut taken = BulletinTaken::default();
            for notice in &came {
                take(connection, notice, now_ms, &mut taken)?;
            }
            Ok(taken)
        })
        .await
    }

    /// Forgets the notices that nobody need know of any more.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn forget_bulletin(&self) -> Result<(), StateError> {
        let now_ms = self.clock.unix_ms();
        self.write(move |connection| {
            let sql = "DELETE FROM bulletin WHERE lasts = 0 AND stamp < CASE kind WHEN ?1 THEN ?2 ELSE ?3 END";
            let (reset, other) = (now_ms - RESET_KEPT_MS, now_ms - KEPT_MS);
            connection.prepare_cached(sql)?.execute(params![RESET, reset, other])?;
            Ok(())
        })
        .await
    }
}

fn take(
    connection: &Connection,
    notice: &BulletinRow,
    now_ms: i64,
    taken: &mut BulletinTaken,
) -> Result<(), StateError> {
    match find(connection, &notice.kind, &notice.topic)? {
        Some(known) if known.id == notice.id => return Ok(()),
        Some(known) if !notice.replaces(&known) => {
            taken.outdated.push((known.kind, known.topic));
            return Ok(());
        }
        Some(_) | None => {}
    }
    // What a newer menshen tells is read again after an update, so it is not kept.
    let Some(act) = shared_act::read(notice) else {
        taken.left += 1;
        return Ok(());
    };
    if !keep(connection, notice)? {
        taken.left += 1;
        // It is not told on, but what is stricter holds here all the same.
    }
    taken.fresh += 1;
    shared_act::perform(connection, act, (&notice.origin, notice.stamp), now_ms)
}

/// Keeps a notice in the place of what it replaces, if there is room.
fn keep(connection: &Connection, notice: &BulletinRow) -> Result<bool, StateError> {
    let BulletinRow { id, kind, topic, stamp, lasts, origin, payload, .. } = notice;
    let sql = "DELETE FROM bulletin WHERE kind = ?1 AND topic = ?2";
    let replaces = connection.prepare_cached(sql)?.execute([kind, topic])? > 0;
    let sql = "SELECT count(*) FROM bulletin";
    let count: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    // A review may end thousands of rights at once; there is room to stop what must be stopped.
    let is_right = kind == SWITCH && topic.starts_with("right ");
    // What was told before has its room: else whoever knows the old one would bring it back.
    if is_right && !replaces && count >= MOST / 2 {
        return Ok(false);
    }
    if count >= MOST {
        let sql = "DELETE FROM bulletin WHERE seq IN
                   (SELECT seq FROM bulletin WHERE lasts = 0 ORDER BY stamp LIMIT 1)";
        if connection.prepare_cached(sql)?.execute([])? == 0 {
            return Ok(false);
        }
    }
    let sql = "INSERT INTO bulletin (id, kind, topic, stamp, lasts, origin, payload)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![id, kind, topic, stamp, lasts, origin, payload];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(true)
}

fn find(
    connection: &Connection,
    kind: &str,
    topic: &str,
) -> Result<Option<BulletinRow>, StateError> {
    let sql = format!("SELECT {COLUMNS} FROM bulletin WHERE kind = ?1 AND topic = ?2");
    Ok(connection.prepare_cached(&sql)?.query_row([kind, topic], from_row).optional()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<BulletinRow> {
    Ok(BulletinRow {
        seq: row.get(0)?,
        id: row.get(1)?,
        kind: row.get(2)?,
        topic: row.get(3)?,
        stamp: row.get(4)?,
        lasts: row.get(5)?,
        origin: row.get(6)?,
        payload: row.get(7)?,
    })
}
