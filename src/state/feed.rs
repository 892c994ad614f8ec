//! What is too much for a notice each: grants, links and what data subjects said, told from gate to gate in the order
//! of their rows. How the rows travel is `bulletin`'s business; what one does here stands beside its table.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::act::{self, Deed};
use super::grant::GrantTold;
use super::link::LinkTold;
use super::subject_word::WordTold;
use super::{StateError, Store, grant, link, subject_word};

/// The longest row that is told whole, in bytes as it stands in a notice.
pub const MOST_TOLD_BYTES: usize = 14 * 1024;

/// Rows of one kind that are told in order. Whatever ends something has a lane of its own where there may be many, so
/// that it does not wait behind what opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// Grants.
    Grants,
    /// Links that were ended.
    Ends,
    /// Objections, withdrawals and marks.
    Closings,
    /// Links that were put.
    Links,
    /// Consents, and the ends of marks.
    Openings,
}

impl Lane {
    /// Every one, the urgent first.
    pub const ALL: [Self; 5] =
        [Self::Grants, Self::Ends, Self::Closings, Self::Links, Self::Openings];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Grants => "grants",
            Self::Ends => "ends",
            Self::Closings => "closings",
            Self::Links => "links",
            Self::Openings => "openings",
        }
    }
}

/// A row as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedRow {
    /// A grant after a step.
    Grant(Box<GrantTold>),
    /// A link that was put or ended.
    Link(Box<LinkTold>),
    /// What was said of a data subject.
    Word(Box<WordTold>),
}

impl FeedRow {
    /// Its bytes in a notice, as text within a text.
    #[must_use]
    pub fn told_bytes(&self) -> usize {
        let text = serde_json::to_string(self).unwrap_or_default();
        let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        text.len() + escaped + 1
    }
}

/// A row, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedItem {
    /// Its number here.
    pub seq: i64,
    /// What [`FeedStand::origin`] says of the gate that it was taken over from; empty for this one.
    pub origin: String,
    /// What it says.
    pub row: FeedRow,
}

/// Rows of a lane, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedSlice {
    /// Those that still mean something.
    pub items: Vec<FeedItem>,
    /// All up to this number were looked at.
    pub upto: i64,
}

/// Rows that another gate told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedBatch {
    /// Of which lane.
    pub lane: Lane,
    /// Which gate told them.
    pub node: String,
    /// Out of which state of that gate.
    pub birth: String,
    /// They are all that it has behind this number,
    pub after: i64,
    /// up to this one.
    pub upto: i64,
    /// The rows.
    pub rows: Vec<FeedRow>,
}

/// How far something is in each lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedStand {
    /// Of which state.
    pub birth: String,
    /// The number in each lane.
    pub upto: BTreeMap<Lane, i64>,
}

impl FeedStand {
    /// What rows are marked with that were taken over from this gate: a state that came out of a backup has another
    /// mark, and needs again what it told before.
    #[must_use]
    pub fn origin(&self, node: &str) -> String {
        origin(&self.birth, node)
    }

    /// How far it is in a lane.
    #[must_use]
    pub fn of(&self, lane: Lane) -> i64 {
        self.upto.get(&lane).copied().unwrap_or(0)
    }
}

/// What became of rows that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedsTaken {
    /// So many were new here.
    pub fresh: usize,
    /// How far this gate has read of each other one, by name.
    pub heard: BTreeMap<String, FeedStand>,
}

impl Store {
    /// The newest number of each lane here.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn feed_heads(&self) -> Result<FeedStand, StateError> {
        self.read(|connection| {
            let birth = connection
                .prepare_cached("SELECT birth FROM feed_birth")?
                .query_row([], |row| row.get(0))?;
            let mut upto = BTreeMap::new();
            for lane in Lane::ALL {
                let head: Option<i64> =
                    connection.prepare_cached(head(lane))?.query_row([], |row| row.get(0))?;
                upto.insert(lane, head.unwrap_or(0));
            }
            Ok(FeedStand { birth, upto })
        })
        .await
    }

    /// The rows of a lane behind a number, in order; so many are looked at.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn feed_after(
        &self,
        lane: Lane,
        after: i64,
        most: u32,
    ) -> Result<FeedSlice, StateError> {
        let now_s = self.clock.unix_s();
        self.read(move |connection| match lane {
            Lane::Grants => grant::feed(connection, after, most),
            Lane::Ends => link::feed(connection, false, (after, most), now_s),
            Lane::Links => link::feed(connection, true, (after, most), now_s),
            Lane::Closings => subject_word::feed(connection, false, (after, most), now_s),
            Lane::Openings => subject_word::feed(connection, true, (after, most), now_s),
        })
        .await
    }

    /// How far this gate has read of each other one, by name.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn feeds_heard(&self) -> Result<BTreeMap<String, FeedStand>, StateError> {
        self.read(heard).await
    }

    /// Begins the numbers of this state anew where others have read further than it ever counted: it was put back from a
    /// copy together with its log, so that nothing else tells. What was read of them is read once more, then, since they
    /// left out what came from here. Notes an act; `false` if it counted so far, whatever it has forgotten of it.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn renew_feeds(&self, read: BTreeMap<Lane, i64>) -> Result<bool, StateError> {
        let is_further = move |connection: &Connection| {
            for (lane, upto) in &read {
                if *upto > counted(connection, *lane)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        if !self.read(is_further).await? {
            return Ok(false);
        }
        let doer = self.doer();
        self.write(move |connection| {
            renew_birth(connection)?;
            connection.execute("DELETE FROM feeds_heard", [])?;
            let deed = Deed {
                name: "feeds_begun_anew",
                object: "state",
                detail: "other gates read of it what it does not have: it was put back from a copy",
                reason: "",
                done_by: &doer.name,
                approved_by: "",
                at_ms: doer.at_ms,
            };
            act::note_deed(connection, &deed)
        })
        .await?;
        Ok(true)
    }

    /// Takes over rows of other gates, all in one commit, with acts for the log of what is new. In
    /// whichever order they come, what is older or less strict than what is known here changes nothing.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing was taken.
    pub async fn take_feeds(&self, came: Vec<FeedBatch>) -> Result<FeedsTaken, StateError> {
        let (now_ms, now_s) = (self.clock.unix_ms(), self.clock.unix_s());
        self.write(move |connection| {
            let (mut fresh, mut news) = (0, BTreeMap::new());
            for batch in &came {
                let new = take(connection, batch, now_s)?;
                fresh += new.grants + new.links.len() + new.words.len();
                let of_node: &mut New<'_> = news.entry(&*batch.node).or_default();
                of_node.links.extend(new.links);
                of_node.words.extend(new.words);
            }
            for (node, New { links, words, .. }) in news {
                link::note_shared(connection, &links, node, now_ms)?;
                subject_word::note_shared(connection, &words, node, now_ms)?;
            }
            Ok(FeedsTaken { fresh, heard: heard(connection)? })
        })
        .await
    }
}

/// Makes that nobody takes the numbers of this state for those that they know.
pub(super) fn renew_birth(connection: &Connection) -> Result<(), StateError> {
    connection.execute("UPDATE feed_birth SET birth = lower(hex(randomblob(12)))", [])?;
    Ok(())
}

/// The highest number that was ever given in a lane, also to what is forgotten.
fn counted(connection: &Connection, lane: Lane) -> Result<i64, StateError> {
    let sql = match lane {
        Lane::Grants => "SELECT change FROM grant_change",
        Lane::Ends | Lane::Links => "SELECT seq FROM sqlite_sequence WHERE name = 'links'",
        Lane::Closings | Lane::Openings => {
            "SELECT seq FROM sqlite_sequence WHERE name = 'subject_words'"
        }
    };
    let counted = connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(counted.unwrap_or(0))
}

fn origin(birth: &str, node: &str) -> String {
    format!("{birth} {node}")
}

fn head(lane: Lane) -> &'static str {
    match lane {
        Lane::Grants => "SELECT max(change) FROM grants",
        Lane::Ends => "SELECT max(seq) FROM links WHERE is_put = 0",
        Lane::Links => "SELECT max(seq) FROM links",
        Lane::Closings => {
            "SELECT max(seq) FROM subject_words WHERE act IN ('object', 'withdraw', 'mark')"
        }
        Lane::Openings => "SELECT max(seq) FROM subject_words",
    }
}

fn heard(connection: &Connection) -> Result<BTreeMap<String, FeedStand>, StateError> {
    let mut statement =
        connection.prepare_cached("SELECT lane, node, birth, upto FROM feeds_heard")?;
    let mut rows = statement.query([])?;
    let mut heard: BTreeMap<String, FeedStand> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (lane, node, birth): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let Some(lane) = Lane::ALL.into_iter().find(|known| known.word() == lane) else { continue };
        let stand = heard.entry(node).or_default();
        stand.birth = birth;
        stand.upto.insert(lane, row.get(3)?);
    }
    Ok(heard)
}

/// What was new of a gate's rows.
#[derive(Default)]
struct New<'a> {
    grants: usize,
    links: Vec<&'a LinkTold>,
    words: Vec<&'a WordTold>,
}

fn take<'a>(
    connection: &Connection,
    batch: &'a FeedBatch,
    now_s: i64,
) -> Result<New<'a>, StateError> {
    let FeedBatch { lane, node, birth, after, upto, rows } = batch;
    let mut new = New::default();
    let sql = "SELECT upto FROM feeds_heard WHERE lane = ?1 AND node = ?2 AND birth = ?3";
    let known = connection
        .prepare_cached(sql)?
        .query_row(params![lane.word(), node, birth], |row| row.get::<_, i64>(0))
        .optional()?;
    if known.is_some_and(|known| known >= *upto) {
        return Ok(new);
    }
    if *after <= known.unwrap_or(0) {
        read_up_to(connection, batch, known.is_none())?;
    }
    let origin = origin(birth, node);
    for row in rows {
        match row {
            FeedRow::Grant(told) => {
                new.grants += usize::from(grant::take_over(connection, told, (&origin, node))?);
            }
            FeedRow::Link(told) if link::take_over(connection, told, &origin, now_s)? => {
                new.links.push(told);
            }
            FeedRow::Word(told) if subject_word::take_over(connection, told, &origin)? => {
                new.words.push(told);
            }
            FeedRow::Link(_) | FeedRow::Word(_) => {}
        }
    }
    Ok(new)
}

fn read_up_to(
    connection: &Connection,
    batch: &FeedBatch,
    is_first: bool,
) -> Result<(), StateError> {
    let FeedBatch { lane, node, birth, upto, .. } = batch;
    if is_first {
        // Whatever was read of a state that the gate has no more.
        let sql = "DELETE FROM feeds_heard WHERE node = ?1 AND birth <> ?2";
        connection.prepare_cached(sql)?.execute([node, birth])?;
    }
    let sql = "INSERT INTO feeds_heard (lane, node, birth, upto) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (lane, node) DO UPDATE SET birth = ?3, upto = ?4";
    connection.prepare_cached(sql)?.execute(params![lane.word(), node, birth, upto])?;
    Ok(())
}
