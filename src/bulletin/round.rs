//! A round: reads what others put on the board, takes it over, and puts there what this gate knows.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use super::board::{Board, Exchange, MOST_NOTICES, Sealed};
use super::feed::{FEED, Feeds, HEARD, Served};
use super::seal::Seals;
use super::{BulletinError, Seen};
use crate::clock::Clock;
use crate::secret::random_token;
use crate::state::Store;

/// Notices in one call, either way.
const BATCH: u32 = 200;
/// The same of notices that are full of rows.
const LONG_BATCH: usize = 32;
/// Calls in one round: more wait for the next.
const MOST_CALLS: usize = 500;
/// So often everything is read and told anew, should the board have lost a part.
const WHOLE_EVERY_MS: i64 = 60_000;
/// The same after somebody else wrote there: it may stand in the place of what a gate wrote.
const WHOLE_AGAIN_MS: i64 = 5_000;
/// Once in so many times that everything is read, also what is as it was is looked at: a day, where nobody forges.
const LOOK_CLOSER_EVERY: u64 = 1_440;
/// What nobody of this key sealed is cleared away when everything is told anew, so much at once.
const MOST_GARBAGE: usize = 1_000;

/// What came of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Notices of others that were new here.
    pub taken: usize,
    /// What is on the board and was sealed by no gate of this key.
    pub forged: u64,
    /// Notices that nobody here understands, or that found no room here or on the board.
    pub left: u64,
    /// About so many rows of grants, links and statements other gates have that were not read here yet.
    pub behind: u64,
}

/// A gate's part in the board.
pub struct Bulletin {
    store: Store,
    board: Arc<dyn Board>,
    seals: Seals,
    clock: Clock,
    feeds: Feeds,
    /// The board's life in which this gate read and told everything.
    life: String,
    cursor: u64,
    /// The last of its own notices that it put there.
    told: i64,
    /// What it has read: a notice that is still the same needs no second look.
    read: HashMap<String, u64>,
    digests: RandomState,
    /// On the steady clock: when everything was last read and told.
    whole_at: Option<i64>,
    /// How often everything was read.
    wholes: u64,
    /// To be put there again: the board has an older one.
    again: Vec<(String, String)>,
    drops: Vec<Sealed>,
    /// What no gate sealed.
    garbage: Vec<Sealed>,
}

impl Bulletin {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(store: Store, board: Arc<dyn Board>, seals: Seals, clock: Clock) -> Self {
        let (life, cursor, told, read, digests) = Default::default();
        let (whole_at, wholes, again, drops, garbage) = Default::default();
        let feeds = Feeds::new(seals.node());
        Self {
            store,
            board,
            seals,
            clock,
            feeds,
            life,
            cursor,
            told,
            read,
            digests,
            whole_at,
            wholes,
            again,
            drops,
            garbage,
        }
    }

    /// Reads, takes over, and tells. After an error the next round goes on where this one was.
    ///
    /// # Errors
    /// [`BulletinError`]; what was taken over until then is.
    pub async fn round(&mut self) -> Result<Round, BulletinError> {
        let mut round = Round::default();
        let now = i64::try_from(self.clock.steady().as_millis()).unwrap_or(i64::MAX);
        let every = if self.garbage.is_empty() { WHOLE_EVERY_MS } else { WHOLE_AGAIN_MS };
        let is_due = self.whole_at.is_none_or(|at| now.saturating_sub(at) >= every);
        if is_due {
            for (tag, _) in &self.garbage {
                self.read.remove(tag);
            }
            self.drops.append(&mut self.garbage);
            self.wholes = self.wholes.wrapping_add(1);
            if self.wholes.is_multiple_of(LOOK_CLOSER_EVERY) {
                // What was read long ago may be over by now.
                self.read.clear();
            }
            self.store.forget_bulletin().await?;
            (self.cursor, self.told) = (0, 0);
        }
        // First it reads: nobody puts an old notice over a newer one that they could have known.
        for _ in 0..MOST_CALLS {
            if !self.exchange(Vec::new(), &mut round).await? {
                break;
            }
        }
        self.tell(&mut round).await?;
        self.tell_rows(&mut round).await?;
        if is_due {
            self.whole_at = Some(now);
        }
        round.behind = self.feeds.behind();
        Ok(round)
    }

    async fn tell_rows(&mut self, round: &mut Round) -> Result<(), BulletinError> {
        let Served { posts, drops, left } =
            self.feeds.serve(&self.store, &self.seals, &self.clock).await?;
        round.left += left;
        self.drops.extend(drops);
        let mut posts = posts.into_iter().peekable();
        while posts.peek().is_some() {
            let some = posts.by_ref().take(LONG_BATCH).collect();
            if let Err(error) = self.exchange(some, round).await {
                // Nobody knows which of them are there.
                self.feeds.again();
                return Err(error);
            }
        }
        Ok(())
    }

    async fn tell(&mut self, round: &mut Round) -> Result<(), BulletinError> {
        for _ in 0..MOST_CALLS {
            let rows = self.store.bulletin_after(self.told, BATCH).await?;
            let (mut again, asked) = (Vec::new(), self.again.len().min(BATCH as usize));
            for (kind, topic) in self.again.iter().take(asked) {
                again.extend(self.store.bulletin_of(kind, topic).await?);
            }
            if rows.is_empty() && again.is_empty() {
                self.again.drain(..asked);
                if self.again.is_empty() {
                    return Ok(());
                }
                continue;
            }
            let last = rows.last().map_or(self.told, |row| row.seq);
            let mut posts = Vec::with_capacity(rows.len() + again.len());
            for notice in rows.iter().chain(&again) {
                match self.seals.seal(notice)? {
                    Some(sealed) => posts.push(sealed),
                    None => round.left += 1,
                }
            }
            let life = self.life.clone();
            self.exchange(posts, round).await?;
            self.again.drain(..asked);
            if life == self.life {
                self.told = last;
            }
        }
        Ok(())
    }

    /// One call; says whether there is more to read.
    async fn exchange(
        &mut self,
        posts: Vec<Sealed>,
        round: &mut Round,
    ) -> Result<bool, BulletinError> {
        let fresh = random_token::<12>()?.expose().clone();
        let (life, drops) = (self.life.clone(), self.drops.clone());
        let dropped = drops.len();
        let (cursor, most) = (self.cursor, BATCH as usize);
        let exchange = Exchange { life, fresh, cursor, most, posts, drops };
        let seen = self.board.exchange(exchange).await?;
        // After a call that failed they are taken away by the next.
        self.drops.drain(..dropped);
        let Seen { life, cursor, notices, more, refused, strange } = seen;
        round.left += refused;
        round.forged += strange;
        self.take(&notices, round).await?;
        if life != self.life {
            // It lost what it knew, or may have: everything is told again.
            (self.life, self.told) = (life, 0);
            self.feeds.again();
        }
        self.cursor = cursor;
        Ok(more)
    }

    /// Takes over what is new on the board.
    async fn take(&mut self, notices: &[Sealed], round: &mut Round) -> Result<(), BulletinError> {
        let now_ms = self.clock.unix_ms();
        let (mut came, mut rows, mut read) = (Vec::new(), Vec::new(), Vec::new());
        for (tag, sealed) in notices {
            let digest = self.digests.hash_one(sealed);
            if self.read.get(tag) == Some(&digest) {
                continue;
            }
            match self.seals.open(tag, sealed) {
                Ok(notice) if notice.is_over(now_ms) => {
                    self.drops.push((tag.clone(), sealed.clone()));
                }
                Ok(notice) if notice.kind == HEARD => {
                    round.left += u64::from(!self.feeds.hear(&notice, &self.clock));
                }
                Ok(notice) if notice.kind == FEED && notice.origin == self.seals.node() => {
                    if self.feeds.is_stale(tag) {
                        self.drops.push((tag.clone(), sealed.clone()));
                    }
                }
                Ok(notice) if notice.kind == FEED => match self.feeds.read(&notice) {
                    Some(batch) => rows.push(batch),
                    None => round.left += 1,
                },
                Ok(notice) => came.push(notice),
                Err(_not_ours) => {
                    round.forged += 1;
                    if self.garbage.len() == MOST_GARBAGE {
                        // It is come upon again once there is room to clear it away.
                        continue;
                    }
                    self.garbage.push((tag.clone(), sealed.clone()));
                }
            }
            read.push((tag.clone(), digest));
        }
        if !came.is_empty() {
            let taken = self.store.take_bulletin(came).await?;
            round.taken += taken.fresh;
            round.left += taken.left as u64;
            self.again.extend(taken.outdated);
        }
        if !rows.is_empty() {
            round.taken += self.feeds.take(&self.store, rows).await?;
        }
        if self.read.len() + read.len() > 2 * MOST_NOTICES {
            self.read.clear();
        }
        self.read.extend(read);
        Ok(())
    }
}

impl std::fmt::Debug for Bulletin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bulletin").field("life", &self.life).finish_non_exhaustive()
    }
}
