//! The keys that an issuer publishes over https: fetched again when they grow old or a token names a new one.
//!
//! One fetch at a time, and at most one in 30 seconds, whatever tokens strangers invent. Keys that were good
//! stay in use while the issuer is down or publishes nonsense, but not for longer than the operator says.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::due::Due;
use super::fetch::{Fetch, FetchAsk, FetchError};
use super::keys::{KeyFault, KeySet};
use super::shelf::Shelf;
use super::token_cache::TokenCache;
use crate::clock::Clock;

/// Seconds between two fetches at least.
const APART_S: i64 = 30;
/// How long a request waits for a fetch that somebody else began.
const PATIENCE: Duration = Duration::from_secs(6);

/// Why keys could not be renewed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenewalFault {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("what it publishes {0}")]
    Keys(#[from] KeyFault),
}

/// Where keys are and how long they are good for.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) issuer: String,
    pub(super) url: String,
    pub(super) ca: PathBuf,
    pub(super) refresh_s: i64,
    pub(super) keep_s: i64,
}

/// The keys and their age.
#[derive(Debug)]
pub(super) struct Published {
    address: Address,
    clock: Clock,
    cache: Arc<TokenCache>,
    shelf: Shelf,
    keys: RwLock<Option<Arc<KeySet>>>,
    /// When they were fetched, in seconds of the steady clock; long ago before the first time.
    fetched_s: AtomicI64,
    attempts: Due,
    flight: Arc<Mutex<()>>,
    tasks: TaskTracker,
}

impl Published {
    /// None fetched yet.
    pub(super) fn new(
        address: Address,
        clock: Clock,
        cache: Arc<TokenCache>,
        shelf: Shelf,
    ) -> Self {
        Self {
            address,
            clock,
            cache,
            shelf,
            keys: RwLock::default(),
            fetched_s: AtomicI64::new(i64::MIN),
            attempts: Due::every(APART_S),
            flight: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Takes up what was published last before the restart, with the age that it has by now.
    pub(super) async fn recall(&self) {
        let Address { issuer, url, .. } = &self.address;
        let (document, fetched_s) = match self.shelf.get(issuer, url).await {
            Ok(Some(kept)) => kept,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, issuer, "the issuer's last keys could not be read");
                return;
            }
        };
        let age_s = self.clock.unix_s().saturating_sub(fetched_s);
        // A clock that was set back says nothing of the age.
        if !(0..self.address.keep_s).contains(&age_s) {
            return;
        }
        if let Ok(kept) = KeySet::parse_published(&document) {
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(kept));
            self.fetched_s.store(self.now_s().saturating_sub(age_s), Ordering::Relaxed);
        }
    }

    /// The keys, and for how many seconds they are still good; nothing if there are none.
    pub(super) fn keys(&self) -> Option<(Arc<KeySet>, i64)> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let left = self.address.keep_s.saturating_sub(self.age_s());
        (left > 0).then_some((keys, left))
    }

    /// Whether they should be fetched again.
    pub(super) fn is_old(&self) -> bool {
        self.age_s() >= self.address.refresh_s
    }

    /// Whether they are so old that a request rather waits for new ones.
    pub(super) fn is_very_old(&self) -> bool {
        self.age_s() >= self.address.refresh_s.saturating_mul(2)
    }

    fn age_s(&self) -> i64 {
        let age = self.now_s().saturating_sub(self.fetched_s.load(Ordering::Relaxed));
        // A clock that a test sets back: nothing is known of the age.
        if age < 0 { i64::MAX } else { age }
    }

    fn now_s(&self) -> i64 {
        i64::try_from(self.clock.steady().as_secs()).unwrap_or(i64::MAX)
    }

    /// Fetches the keys unless that was tried a moment ago, and waits for it if `is_awaited`; waits as well
    /// for a fetch that somebody else began.
    ///
    /// The fetch goes on if whoever asked leaves: otherwise strangers who leave could keep keys from coming.
    pub(super) async fn renew(self: &Arc<Self>, fetch: &Arc<dyn Fetch>, is_awaited: bool) {
        let Ok(turn) = Arc::clone(&self.flight).try_lock_owned() else {
            if is_awaited {
                // Late or not, what is there now is what counts.
                drop(tokio::time::timeout(PATIENCE, self.flight.lock()).await);
            }
            return;
        };
        if !self.attempts.is_now(self.now_s()) {
            return;
        }
        let (published, fetch) = (Arc::clone(self), Arc::clone(fetch));
        let flight = self.tasks.spawn(async move {
            published.fetch_once(&fetch).await;
            drop(turn);
        });
        if is_awaited && tokio::time::timeout(PATIENCE, flight).await.is_err() {
            tracing::warn!(issuer = self.address.issuer, "the issuer's keys take their time");
        }
    }

    async fn fetch_once(&self, fetch: &Arc<dyn Fetch>) {
        let ask = FetchAsk::document(&self.address.url, self.address.ca.clone());
        let renewed = fetch.fetch(ask).await.map_err(RenewalFault::from);
        let renewed = renewed.and_then(|text| Ok((KeySet::parse_published(&text)?, text)));
        let issuer = &self.address.issuer;
        match renewed {
            Ok((new, text)) => {
                self.adopt(new);
                let (url, now) = (&self.address.url, self.clock.unix_s());
                if let Err(error) = self.shelf.put(issuer, url, text, now).await {
                    tracing::warn!(%error, issuer, "the issuer's keys could not be kept for a restart");
                }
            }
            Err(error) => {
                let left = self.keys().map_or(0, |(_, left)| left);
                tracing::error!(%error, issuer, "the issuer's old keys stay in use for {left} s");
            }
        }
    }

    /// Has these in use from now on.
    fn adopt(&self, new: KeySet) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = keys.as_ref().is_none_or(|old| !old.is_same(&new));
        if is_new {
            *keys = Some(Arc::new(new));
        }
        drop(keys);
        self.fetched_s.store(self.now_s(), Ordering::Relaxed);
        if is_new {
            self.cache.clear();
            tracing::info!(issuer = self.address.issuer, "the issuer's keys were fetched");
        }
    }
}
