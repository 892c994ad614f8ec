//! The board that all gates see: sealed notices, the last that was put there of each topic.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// Topics on a board; it takes no more.
pub const MOST_NOTICES: usize = 50_000;

/// A sealed notice, under the keyed name of its topic.
pub(super) type Sealed = (String, Vec<u8>);

/// What a gate says to the board, in one call.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The life of the board that the gate knows; in another it reads from the beginning.
    pub life: String,
    /// What a board that begins anew is called from then on.
    pub fresh: String,
    /// How far the gate has read.
    pub cursor: u64,
    /// At most so many are read.
    pub most: usize,
    /// What it puts there.
    pub posts: Vec<Sealed>,
    /// What it takes away, if it is still the same.
    pub drops: Vec<Sealed>,
}

/// What the board has that the gate has not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The board's life: another if it lost what it knew, or may have.
    pub life: String,
    /// How far it was read.
    pub cursor: u64,
    /// What was put there since, whoever did.
    pub notices: Vec<Sealed>,
    /// Whether there is more.
    pub more: bool,
    /// So many found no room.
    pub refused: u64,
    /// What no gate can have written and was cleared away unread.
    pub strange: u64,
}

/// Why the board cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BoardError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// What a board answers.
pub type BoardFuture<'a> = Pin<Box<dyn Future<Output = Result<Seen, BoardError>> + Send + 'a>>;

/// A board.
pub trait Board: Send + Sync {
    /// Puts notices there, takes others away, and reads on.
    fn exchange(&self, exchange: Exchange) -> BoardFuture<'_>;
}

/// A board in memory: the model that others are held to.
#[derive(Debug, Default)]
pub struct MemoryBoard(Mutex<Posted>);

#[derive(Debug, Default)]
struct Posted {
    life: Option<String>,
    count: u64,
    notices: BTreeMap<String, (u64, Vec<u8>)>,
}

impl MemoryBoard {
    /// Forgets everything.
    pub fn flush(&self) {
        *self.posted() = Posted::default();
    }

    /// Every notice.
    #[must_use]
    pub fn notices(&self) -> Vec<Sealed> {
        let posted = self.posted();
        posted.notices.iter().map(|(tag, (_, bytes))| (tag.clone(), bytes.clone())).collect()
    }

    fn posted(&self) -> std::sync::MutexGuard<'_, Posted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Posted {
    fn exchange(&mut self, exchange: Exchange) -> Seen {
        let Exchange { life, fresh, cursor, most, posts, drops } = exchange;
        let now = self.life.get_or_insert(fresh).clone();
        let from = if now == life { cursor } else { 0 };
        let mut refused = 0;
        for (tag, bytes) in posts {
            match self.notices.get(&tag) {
                Some((_, known)) if *known == bytes => continue,
                None if self.notices.len() >= MOST_NOTICES => {
                    refused += 1;
                    continue;
                }
                Some(_) | None => {}
            }
            self.count += 1;
            self.notices.insert(tag, (self.count, bytes));
        }
        for (tag, bytes) in drops {
            if self.notices.get(&tag).is_some_and(|(_, known)| *known == bytes) {
                self.notices.remove(&tag);
            }
        }
        let mut after = Vec::from_iter(self.notices.iter().filter(|(_, (at, _))| *at > from));
        after.sort_unstable_by_key(|(_, (at, _))| *at);
        let more = after.len() > most;
        after.truncate(most);
        let cursor = after.last().map_or(from, |(_, (at, _))| *at);
        let notices = after.into_iter().map(|(tag, (_, bytes))| (tag.clone(), bytes.clone()));
        Seen { life: now, cursor, notices: notices.collect(), more, refused, strange: 0 }
    }
}

impl Board for MemoryBoard {
    fn exchange(&self, exchange: Exchange) -> BoardFuture<'_> {
        Box::pin(async move { Ok(self.posted().exchange(exchange)) })
    }
}

impl<B: Board> Board for Arc<B> {
    fn exchange(&self, exchange: Exchange) -> BoardFuture<'_> {
        self.as_ref().exchange(exchange)
    }
}
