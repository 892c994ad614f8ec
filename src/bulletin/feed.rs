//! What is told in order, since it is too much for a notice each: rows of grants, links and of what data subjects said.
//!
//! A gate puts a few batches of its rows on the board, takes them away when the others have read them, and puts the next
//! ones there. Each says how far it has read of each other one. So the board holds little whatever is told, nothing is
//! missed by whoever was away, and a gate that knows nothing is told everything by any that does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::BulletinError;
use super::board::Sealed;
use super::seal::Seals;
use super::told::{Hands, Telling, Told, seal};
use super::window::Window;
use crate::clock::Clock;
use crate::state::{BulletinRow, FeedBatch, FeedStand, FeedsTaken, Lane, Store};

/// The kind of notice that has rows.
pub(super) const FEED: &str = "feed";
/// The kind of notice that says how far its gate is.
pub(super) const HEARD: &str = "heard";

/// A gate that said nothing for so long is away: nothing waits for it, and it is told when it is back.
const AWAY_MS: i64 = 30_000;
/// So often a gate says where it is if nothing changed.
const SAY_EVERY_MS: i64 = 10_000;
/// Stands for the number behind which rows are all, where they are not.
const NOT_ALL: i64 = i64::MAX;
/// Batches that are taken over in one commit.
const AT_ONCE: usize = 16;
/// Batches that are remembered though what comes before them was not read.
const MOST_AHEAD: usize = 1_000;

/// How far a gate is: with its own rows, and with those of the others that it has read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Whereabouts {
    heads: FeedStand,
    heard: BTreeMap<String, FeedStand>,
}

/// Another gate.
struct Peer {
    stamp: i64,
    /// On the steady clock: when it last said something.
    at: i64,
    is_at: Whereabouts,
}

impl Peer {
    /// How far it has read of this gate.
    fn cursor(&self, node: &str, birth: &str, lane: Lane) -> i64 {
        let heard = self.is_at.heard.get(node).filter(|heard| heard.birth == birth);
        heard.map_or(0, |heard| heard.of(lane))
    }
}

/// This gate's part in what is told in order.
pub(super) struct Feeds {
    node: String,
    heads: FeedStand,
    /// What was read of each other gate; nothing before the state was asked.
    heard: Option<BTreeMap<String, FeedStand>>,
    /// What was read before what comes before it, without its rows.
    ahead: Vec<FeedBatch>,
    peers: BTreeMap<String, Peer>,
    /// The marks of those for whom the windows are.
    audience: Vec<String>,
    /// For each lane what is on the board that is new, and what is there for whoever is behind.
    windows: BTreeMap<Lane, [Window; 2]>,
    /// What this gate said last, and when.
    said: Option<(Whereabouts, i64)>,
    stamp: i64,
}

/// What is to be put on the board, and to be taken away.
#[derive(Default)]
pub(super) struct Served {
    pub(super) posts: Vec<Sealed>,
    pub(super) drops: Vec<Sealed>,
    /// Notices that are too long.
    pub(super) left: u64,
}

impl Feeds {
    pub(super) fn new(node: &str) -> Self {
        let (heads, heard, ahead, peers, audience, windows, said) = Default::default();
        let node = node.to_owned();
        Self { node, heads, heard, ahead, peers, audience, windows, said, stamp: 0 }
    }

    /// Notes where another gate is.
    pub(super) fn hear(&mut self, notice: &BulletinRow, clock: &Clock) -> bool {
        let Ok(is_at) = serde_json::from_str::<Whereabouts>(&notice.payload) else { return false };
        let known = self.peers.get(&notice.origin).map_or(i64::MIN, |peer| peer.stamp);
        if notice.origin != self.node && notice.topic == notice.origin && notice.stamp > known {
            let peer = Peer { stamp: notice.stamp, at: steady_ms(clock), is_at };
            self.peers.insert(notice.origin.clone(), peer);
        }
        true
    }

    /// The rows in a notice; nothing if it cannot be read.
    pub(super) fn read(&self, notice: &BulletinRow) -> Option<FeedBatch> {
        let told = serde_json::from_str(&notice.payload).ok()?;
        let Told { lane, birth, mut after, upto, without, rows } = told;
        if !without.is_empty() && without != self.heads.origin(&self.node) {
            // They hold, and what comes next is not behind them.
            after = NOT_ALL;
        }
        Some(FeedBatch { lane, node: notice.origin.clone(), birth, after, upto, rows })
    }

    /// Whether a batch of this gate's own was put there by a run that is over.
    pub(super) fn is_stale(&self, tag: &str) -> bool {
        !self.windows.values().flatten().any(|window| window.has(tag))
    }

    /// Takes over what is new; gives how much that was.
    pub(super) async fn take(
        &mut self,
        store: &Store,
        mut came: Vec<FeedBatch>,
    ) -> Result<usize, BulletinError> {
        let heard = match self.heard.take() {
            Some(heard) => heard,
            None => store.feeds_heard().await?,
        };
        let is_known = |batch: &FeedBatch| {
            let known = heard.get(&batch.node).filter(|known| known.birth == batch.birth);
            known.is_some_and(|known| known.of(batch.lane) >= batch.upto)
        };
        came.retain(|batch| !is_known(batch));
        if came.is_empty() {
            self.heard = Some(heard);
            return Ok(0);
        }
        let emptied = |batch: &FeedBatch| FeedBatch { rows: Vec::new(), ..batch.clone() };
        let ahead = self.ahead.iter().chain(&came).filter(|batch| batch.after < NOT_ALL);
        let mut ahead: Vec<FeedBatch> = ahead.map(emptied).collect();
        ahead.sort_by_key(|batch| batch.after);
        came.extend(ahead.iter().cloned());
        let (mut came, mut fresh, mut heard) = (came.into_iter().peekable(), 0, heard);
        while came.peek().is_some() {
            // A few at a time: requests write to the state as well.
            let some = came.by_ref().take(AT_ONCE).collect();
            let taken: FeedsTaken = store.take_feeds(some).await?;
            (fresh, heard) = (fresh + taken.fresh, taken.heard);
        }
        let is_ahead = |batch: &FeedBatch| {
            let stand = heard.get(&batch.node).filter(|stand| stand.birth == batch.birth);
            stand.map_or(0, |stand| stand.of(batch.lane)) < batch.upto
        };
        ahead.retain(is_ahead);
        // Without memory of it, it is told again.
        ahead.truncate(MOST_AHEAD);
        self.ahead = ahead;
        self.heard = Some(heard);
        Ok(fresh)
    }

    /// How many rows the others have that this gate has not read, as far as numbers tell.
    pub(super) fn behind(&self) -> u64 {
        let mut behind = 0_i64;
        for (node, peer) in &self.peers {
            let heads = &peer.is_at.heads;
            let heard = self.heard.as_ref().and_then(|heard| heard.get(node));
            let heard = heard.filter(|heard| heard.birth == heads.birth);
            for lane in Lane::ALL {
                let read = heard.map_or(0, |heard| heard.of(lane));
                behind = behind.saturating_add(heads.of(lane).saturating_sub(read).max(0));
            }
        }
        behind.unsigned_abs()
    }

    /// What the others need next, and where this gate is.
    pub(super) async fn serve(
        &mut self,
        store: &Store,
        seals: &Seals,
        clock: &Clock,
    ) -> Result<Served, BulletinError> {
        let (now, mut served) = (steady_ms(clock), Served::default());
        self.heads = store.feed_heads().await?;
        if self.heard.is_none() {
            self.heard = Some(store.feeds_heard().await?);
        }
        self.peers.retain(|_, peer| now.saturating_sub(peer.at) < AWAY_MS);
        let is_anew = self.begin_anew(store).await?;
        let peers = self.peers.iter();
        let audience: Vec<String> =
            peers.map(|(node, peer)| peer.is_at.heads.origin(node)).collect();
        if is_anew || audience != self.audience {
            self.audience = audience;
            // What is left out for one is needed by another, and of another birth nothing that was read counts.
            let old = std::mem::take(&mut self.windows);
            served.drops.extend(old.into_values().flatten().flat_map(Window::into_drops));
        }
        if !self.peers.is_empty() {
            let hands = Hands { store, seals, now, unix_ms: clock.unix_ms() };
            for lane in Lane::ALL {
                self.serve_lane(lane, hands, &mut served).await?;
            }
        }
        self.say(seals, (now, clock.unix_ms()), &mut served)?;
        Ok(served)
    }

    /// Where another gate has read further than this one is, it was put back from a copy: under its old birth it would
    /// tell nothing until it has caught up, nor be told what it forgot. `true` if it has another one now.
    async fn begin_anew(&mut self, store: &Store) -> Result<bool, BulletinError> {
        let (node, heads) = (&self.node, &self.heads);
        let read = |lane| {
            self.peers.values().map(|peer| peer.cursor(node, &heads.birth, lane)).max().unwrap_or(0)
        };
        let read: BTreeMap<Lane, i64> = Lane::ALL.map(|lane| (lane, read(lane))).into();
        let is_further = read.iter().any(|(lane, upto)| *upto > heads.of(*lane));
        if !is_further || !store.renew_feeds(read).await? {
            return Ok(false);
        }
        tracing::error!(
            "other gates know more of this state than it does: it was put back from a copy, so all of it is told anew"
        );
        self.heads = store.feed_heads().await?;
        self.heard = Some(store.feeds_heard().await?);
        self.ahead.clear();
        Ok(true)
    }

    async fn serve_lane(
        &mut self,
        lane: Lane,
        hands: Hands<'_>,
        served: &mut Served,
    ) -> Result<(), BulletinError> {
        let (node, birth) = (&self.node, &self.heads.birth);
        let (mut foremost, mut hindmost) = (0, i64::MAX);
        for peer in self.peers.values() {
            let cursor = peer.cursor(node, birth, lane);
            (foremost, hindmost) = (foremost.max(cursor), hindmost.min(cursor));
        }
        // Who is alone needs nothing back that it told itself.
        let only = match &*self.audience {
            [only] => only.as_str(),
            _several => "",
        };
        let head = self.heads.of(lane);
        let windows = self.windows.entry(lane);
        let [new, old] = windows.or_insert_with(|| [Window::behind(head), Window::behind(0)]);
        let telling = Telling { lane, node, birth, only };
        new.expire(foremost, hands.now, &mut served.drops);
        served.left += telling.fill(new, ("new", foremost, head), hands).await?;
        new.post(foremost, hands.now, &mut served.posts);
        // Whoever is behind gets the rest beside it, so that nothing new waits for what is old.
        old.forget(hindmost, &mut served.drops);
        served.left += telling.fill(old, ("old", hindmost, new.start()), hands).await?;
        old.post(hindmost, hands.now, &mut served.posts);
        Ok(())
    }

    /// Says where this gate is, if that changed, and once in a while.
    fn say(
        &mut self,
        seals: &Seals,
        (now, unix_ms): (i64, i64),
        served: &mut Served,
    ) -> Result<(), BulletinError> {
        // Of those who are gone nobody needs to know.
        let heard = self.heard.iter().flatten().filter(|(node, _)| self.peers.contains_key(*node));
        let heard = heard.map(|(node, stand)| (node.clone(), stand.clone())).collect();
        let is_at = Whereabouts { heads: self.heads.clone(), heard };
        let is_said = self
            .said
            .as_ref()
            .is_some_and(|(said, at)| *said == is_at && now.saturating_sub(*at) < SAY_EVERY_MS);
        if is_said {
            return Ok(());
        }
        self.stamp = unix_ms.max(self.stamp.saturating_add(1));
        match seal(seals, (HEARD, &self.node, self.stamp), &is_at)? {
            Some(sealed) => served.posts.push(sealed),
            None => served.left += 1,
        }
        self.said = Some((is_at, now));
        Ok(())
    }

    /// The board lost what it knew, or may have: what is on it is put there again.
    pub(super) fn again(&mut self) {
        self.said = None;
        self.windows.values_mut().flatten().for_each(Window::again);
    }
}

fn steady_ms(clock: &Clock) -> i64 {
    i64::try_from(clock.steady().as_millis()).unwrap_or(i64::MAX)
}
