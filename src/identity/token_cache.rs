//! Tokens that were verified a moment ago, by their SHA-256: a signature costs a hundred look-ups.
//!
//! Bounded, honours the end of each token, and is emptied when keys change.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

use super::caller::Caller;

/// SHA-256 of a token.
pub(super) type TokenHash = [u8; 32];

/// The cache.
#[derive(Debug)]
pub(super) struct TokenCache {
    limit: usize,
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Counts the emptyings, so that what was verified with old keys is not put in afterwards.
    generation: u64,
    entries: HashMap<TokenHash, Verified>,
}

#[derive(Debug)]
struct Verified {
    at_s: i64,
    until_s: i64,
    caller: Arc<Caller>,
}

impl Verified {
    /// Before the moment of the verification (the clock was set back) its times must be judged anew.
    fn holds(&self, now_s: i64) -> bool {
        (self.at_s..self.until_s).contains(&now_s)
    }
}

/// A token that is not in the cache may be put in if no keys change meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Miss(u64);

impl TokenCache {
    /// An empty cache for at most `limit` tokens.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, inner: RwLock::default() }
    }

    /// The caller of a token that was verified and has not ended at `now_s`.
    pub(super) fn find(&self, token: &TokenHash, now_s: i64) -> Result<Arc<Caller>, Miss> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        match inner.entries.get(token) {
            Some(verified) if verified.holds(now_s) => Ok(Arc::clone(&verified.caller)),
            Some(_) | None => Err(Miss(inner.generation)),
        }
    }

    /// Remembers the caller of a token until `until_s`.
    pub(super) fn insert(
        &self,
        miss: Miss,
        token: TokenHash,
        caller: &Arc<Caller>,
        until_s: i64,
        now_s: i64,
    ) {
        let mut inner = self.lock();
        if inner.generation != miss.0 {
            return;
        }
        if inner.entries.len() >= self.limit {
            inner.entries.retain(|_, verified| verified.holds(now_s));
        }
        if inner.entries.len() >= self.limit {
            // All still good: an arbitrary half goes, which keeps the mean cost of an insertion flat.
            let mut keep = false;
            inner.entries.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        if inner.entries.len() < self.limit {
            let verified = Verified { at_s: now_s, until_s, caller: Arc::clone(caller) };
            inner.entries.insert(token, verified);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let mut inner = self.lock();
        inner.generation = inner.generation.wrapping_add(1);
        inner.entries.clear();
    }

    fn lock(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Arc<Caller> {
        Arc::new(Caller { account: "a".into(), ..Caller::default() })
    }

    fn put(cache: &TokenCache, token: TokenHash, until_s: i64) {
        let miss = cache.find(&token, 0).unwrap_err();
        cache.insert(miss, token, &caller(), until_s, 0);
    }

    #[test]
    fn a_token_is_forgotten_when_it_ends() {
        let cache = TokenCache::new(4);
        put(&cache, [1; 32], 10);
        assert!(cache.find(&[1; 32], 9).is_ok());
        assert!(cache.find(&[1; 32], 10).is_err());
    }

    #[test]
    fn a_clock_set_back_before_the_verification_makes_a_token_be_judged_anew() {
        let cache = TokenCache::new(4);
        let miss = cache.find(&[1; 32], 100).unwrap_err();
        cache.insert(miss, [1; 32], &caller(), 200, 100);
        assert!(cache.find(&[1; 32], 100).is_ok());
        assert!(cache.find(&[1; 32], 99).is_err());
    }

    #[test]
    fn the_cache_never_grows_beyond_its_limit() {
        let cache = TokenCache::new(4);
        (0..100).for_each(|n| put(&cache, [n; 32], 10));
        assert!(cache.lock().entries.len() <= 4);
        put(&TokenCache::new(0), [1; 32], 10);
    }

    #[test]
    fn what_was_verified_with_old_keys_is_not_put_in_after_they_changed() {
        let cache = TokenCache::new(4);
        let miss = cache.find(&[1; 32], 0).unwrap_err();
        cache.clear();
        cache.insert(miss, [1; 32], &caller(), 10, 0);
        assert!(cache.find(&[1; 32], 0).is_err());
    }
}
