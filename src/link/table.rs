//! The links that are known, in little memory: 12 bytes for each, in shards so that none of them is ever moved all at
//! once while a request waits.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

const SHARDS: usize = 256;

/// The keys are keyed hashes already: their bits are as good as those of any hasher.
#[derive(Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |n, b| (n << 8) | u64::from(*b));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// A keyed hash in two halves, so that a place of the table has 12 bytes and none of them is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag(u32, u32);

impl From<u64> for Tag {
    fn from(tag: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & 0xffff_ffff).unwrap_or(0);
        Self(half(tag >> 32), half(tag))
    }
}

impl Hash for Tag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64((u64::from(self.0) << 32) | u64::from(self.1));
    }
}

type Shard = HashMap<Tag, u32, BuildHasherDefault<AsIs>>;

/// When each link ends, by its keyed hash.
#[derive(Debug)]
pub(super) struct Table {
    shards: Vec<RwLock<Shard>>,
    len: AtomicUsize,
}

impl Default for Table {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), len: AtomicUsize::new(0) }
    }
}

impl Table {
    /// The shard goes by other bits than the place within it.
    fn shard(&self, tag: u64) -> Option<&RwLock<Shard>> {
        let at = usize::try_from((tag >> 24) & 0xff).unwrap_or(0);
        self.shards.get(at)
    }

    /// When the link ends, in Unix seconds.
    pub(super) fn until_s(&self, tag: u64) -> Option<i64> {
        let shard = self.shard(tag)?.read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&tag.into()).map(|until| i64::from(*until))
    }

    /// `false` if there is no room for it.
    pub(super) fn put(&self, tag: u64, until_s: i64, most: usize) -> bool {
        let until = u32::try_from(until_s.max(0)).unwrap_or(u32::MAX);
        let Some(shard) = self.shard(tag) else { return false };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = !shard.contains_key(&tag.into());
        if is_new && self.len() >= most {
            return false;
        }
        shard.insert(tag.into(), until);
        if is_new {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    pub(super) fn remove(&self, tag: u64) {
        let Some(shard) = self.shard(tag) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.remove(&tag.into()).is_some() {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Forgets what has ended, a shard at a time.
    pub(super) fn forget_ended(&self, now_s: i64) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let before = shard.len();
            shard.retain(|_, until| i64::from(*until) > now_s);
            self.len.fetch_sub(before.saturating_sub(shard.len()), Ordering::Relaxed);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// The bytes that are allocated: of the table of the standard library, 7 of 8 places and a byte more for each.
    pub(super) fn bytes(&self) -> usize {
        let place = size_of::<(Tag, u32)>() + 1;
        let places = |shard: &RwLock<Shard>| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            (shard.capacity() / 7).saturating_mul(8)
        };
        self.shards.iter().map(places).sum::<usize>().saturating_mul(place)
    }
}
