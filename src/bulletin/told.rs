//! Rows of a lane as they are told: read from the state, put together to batches that fit a notice, and sealed.

use serde::{Deserialize, Serialize};

use super::BulletinError;
use super::board::Sealed;
use super::feed::FEED;
use super::seal::Seals;
use super::window::{Posted, Window};
use crate::state::{BulletinRow, FeedRow, Lane, MOST_TOLD_BYTES, Store};

/// Rows that are looked at in one step.
const READ: u32 = 1_000;

/// What a notice of rows has.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) lane: Lane,
    pub(super) birth: String,
    pub(super) after: i64,
    pub(super) upto: i64,
    /// The mark of the gate for which its own rows are left out; for any other these are not all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) without: String,
    pub(super) rows: Vec<FeedRow>,
}

/// What a step needs.
#[derive(Clone, Copy)]
pub(super) struct Hands<'a> {
    pub(super) store: &'a Store,
    pub(super) seals: &'a Seals,
    /// On the steady clock.
    pub(super) now: i64,
    pub(super) unix_ms: i64,
}

/// Whose rows are told, and to whom.
#[derive(Clone, Copy)]
pub(super) struct Telling<'a> {
    pub(super) lane: Lane,
    pub(super) node: &'a str,
    pub(super) birth: &'a str,
    /// The mark of the only one that hears, if there is one alone.
    pub(super) only: &'a str,
}

impl Telling<'_> {
    /// Fills a window with rows up to a limit, as far as there is room for those that are not read; gives how many
    /// notices were too long.
    pub(super) async fn fill(
        self,
        window: &mut Window,
        (place, read, limit): (&str, i64, i64),
        hands: Hands<'_>,
    ) -> Result<u64, BulletinError> {
        let Self { lane, node, birth, only } = self;
        let (word, mut left) = (lane.word(), 0);
        while window.has_room(read) && window.tail() < limit {
            let slice = hands.store.feed_after(lane, window.tail(), READ).await?;
            if slice.upto <= window.tail() {
                break;
            }
            let rows = slice.items.into_iter();
            let rows = rows.filter(|item| item.origin.is_empty() || item.origin != only);
            for (upto, rows) in packed(rows.map(|item| (item.seq, item.row)), slice.upto) {
                if !window.has_room(read) {
                    break;
                }
                let after = window.tail();
                let topic = format!("{word} {node} {place} {after}");
                let notice = (FEED, topic.as_str(), hands.unix_ms);
                let (birth, without) = (birth.to_owned(), only.to_owned());
                let mut told = Told { lane, birth, after, upto, without, rows };
                let mut sealed = seal(hands.seals, notice, &told)?;
                if sealed.is_none() {
                    left += 1;
                    told.rows.clear();
                    sealed = seal(hands.seals, notice, &told)?;
                }
                let Some((tag, sealed)) = sealed else { return Ok(left) };
                window.push(Posted { after, upto, tag, sealed, since: hands.now, last: None });
            }
        }
        Ok(left)
    }
}

/// Rows in batches that fit a notice, each with the number up to which it has all; one that has none says so.
fn packed(rows: impl Iterator<Item = (i64, FeedRow)>, upto: i64) -> Vec<(i64, Vec<FeedRow>)> {
    let (mut batches, mut batch, mut size, mut last) = (Vec::new(), Vec::new(), 0, 0);
    for (seq, row) in rows {
        let mut length = row.told_bytes();
        let row = match row {
            FeedRow::Grant(grant) if length > MOST_TOLD_BYTES => {
                tracing::error!("a grant is too long to be told: it holds at this gate alone");
                let cut = FeedRow::Grant(Box::new(grant.cut()));
                length = cut.told_bytes();
                cut
            }
            row @ (FeedRow::Grant(_) | FeedRow::Link(_) | FeedRow::Word(_)) => row,
        };
        if size + length > MOST_TOLD_BYTES && !batch.is_empty() {
            batches.push((last, std::mem::take(&mut batch)));
            size = 0;
        }
        (size, last) = (size + length, seq);
        batch.push(row);
    }
    batches.push((upto, batch));
    batches
}

pub(super) fn seal<T: Serialize>(
    seals: &Seals,
    (kind, topic, stamp): (&str, &str, i64),
    payload: &T,
) -> Result<Option<Sealed>, BulletinError> {
    let notice = BulletinRow {
        seq: 0,
        id: String::new(),
        kind: kind.to_owned(),
        topic: topic.to_owned(),
        stamp,
        lasts: false,
        origin: String::new(),
        payload: serde_json::to_string(payload).unwrap_or_default(),
    };
    Ok(seals.seal(&notice)?)
}
