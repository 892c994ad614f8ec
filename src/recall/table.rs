//! What is known, in little memory: 8 bytes for each and what is known of it, in shards so that none of them is ever
//! moved all at once while a request waits.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

const SHARDS: usize = 256;

/// The keys are keyed hashes already: their bits are as good as those of any hasher.
#[derive(Debug, Default)]
pub(crate) struct AsIs(u64);

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

/// A keyed hash in two halves, so that no byte of a place of the table is idle.
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

/// What is known of something, which ends by itself.
pub(crate) trait Ends: Copy {
    /// When, in Unix seconds.
    fn ends_s(&self) -> i64;
}

/// Nothing but its end.
impl Ends for u32 {
    fn ends_s(&self) -> i64 {
        i64::from(*self)
    }
}

type Shard<V> = HashMap<Tag, V, BuildHasherDefault<AsIs>>;

/// What is known, by keyed hash.
#[derive(Debug)]
pub(crate) struct Table<V> {
    shards: Vec<RwLock<Shard<V>>>,
    len: AtomicUsize,
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), len: AtomicUsize::new(0) }
    }
}

impl<V: Ends> Table<V> {
    /// The shard goes by other bits than the place within it.
    fn shard(&self, tag: u64) -> Option<&RwLock<Shard<V>>> {
        let at = usize::try_from((tag >> 24) & 0xff).unwrap_or(0);
        self.shards.get(at)
    }

    /// What is known of it, though it may have ended.
    pub(crate) fn get(&self, tag: u64) -> Option<V> {
        let shard = self.shard(tag)?.read().unwrap_or_else(PoisonError::into_inner);
        shard.get(&tag.into()).copied()
    }

    /// `false` if there is no room for it.
    pub(crate) fn put(&self, tag: u64, value: V, most: usize) -> bool {
        let Some(shard) = self.shard(tag) else { return false };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = !shard.contains_key(&tag.into());
        if is_new && self.len() >= most {
            return false;
        }
        shard.insert(tag.into(), value);
        if is_new {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    pub(crate) fn remove(&self, tag: u64) {
        let Some(shard) = self.shard(tag) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.remove(&tag.into()).is_some() {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Forgets what has ended, a shard at a time.
    pub(crate) fn forget_ended(&self, now_s: i64) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let before = shard.len();
            shard.retain(|_, value| value.ends_s() > now_s);
            self.len.fetch_sub(before.saturating_sub(shard.len()), Ordering::Relaxed);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// The bytes that are allocated: of the table of the standard library, 7 of 8 places and a byte more for each.
    pub(crate) fn bytes(&self) -> usize {
        let place = size_of::<(Tag, V)>() + 1;
        let places = |shard: &RwLock<Shard<V>>| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            (shard.capacity() / 7).saturating_mul(8)
        };
        self.shards.iter().map(places).sum::<usize>().saturating_mul(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_no_more_than_it_may_and_forgets_what_has_ended() {
        let table: Table<u32> = Table::default();
        for tag in 0..10_u64 {
            assert_eq!(table.put(tag << 20, 100 + u32::try_from(tag).unwrap(), 8), tag < 8);
        }
        assert!(table.put(0, 500, 8), "one that is there is put anew");
        assert_eq!((table.len(), table.get(0)), (8, Some(500)));
        table.forget_ended(103);
        assert_eq!(table.len(), 5);
        table.remove(0);
        table.remove(0);
        assert_eq!((table.len(), table.get(0)), (4, None));
    }
}
