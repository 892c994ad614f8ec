//! Where the keys of an issuer come from: a file, or what it publishes over https.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::fetch::Fetch;
use super::key_ring::KeyRing;
use super::keys::{KeyFileError, KeySet};
use super::published::{Address, Published};
use super::settings::{IssuerSettings, KeySource};
use super::shelf::Shelf;
use super::token_cache::TokenCache;
use crate::clock::Clock;

/// How long a request waits for a look at a key file; it then goes on with the old keys.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// The keys of one issuer, kept up to date.
#[derive(Debug)]
pub(super) enum Keys {
    File { path: PathBuf, ring: Arc<KeyRing>, issuer: String, cache: Arc<TokenCache> },
    Published(Arc<Published>),
}

impl Keys {
    /// Reads the file, if it is one. Blocks.
    pub(super) fn load(
        settings: &IssuerSettings,
        clock: &Clock,
        cache: &Arc<TokenCache>,
        shelf: &Shelf,
    ) -> Result<Self, KeyFileError> {
        let (issuer, cache) = (settings.name.clone(), Arc::clone(cache));
        Ok(match &settings.keys {
            KeySource::File(path) => {
                let ring = Arc::new(KeyRing::load(path)?);
                Self::File { path: path.clone(), ring, issuer, cache }
            }
            KeySource::Url { url, ca, refresh_s, keep_s } => {
                let (refresh_s, keep_s) = (i64::from(*refresh_s), i64::from(*keep_s));
                let address =
                    Address { issuer, url: url.clone(), ca: ca.clone(), refresh_s, keep_s };
                Self::Published(Arc::new(Published::new(
                    address,
                    clock.clone(),
                    cache,
                    shelf.clone(),
                )))
            }
        })
    }

    /// Takes up what was published before the restart.
    pub(super) async fn recall(&self) {
        match self {
            Self::File { .. } => {}
            Self::Published(published) => published.recall().await,
        }
    }

    /// The keys as they are now and for how many seconds they are good; nothing if there are none.
    pub(super) fn now(&self) -> Option<(Arc<KeySet>, i64)> {
        match self {
            Self::File { ring, .. } => Some((ring.keys(), i64::MAX)),
            Self::Published(published) => published.keys(),
        }
    }

    /// Looks whether there are others, if it is time.
    pub(super) async fn keep(&self, fetch: &Arc<dyn Fetch>, now: i64) {
        match self {
            Self::File { ring, .. } if ring.is_due(now) => self.look().await,
            Self::File { .. } => {}
            Self::Published(published) if published.is_old() => {
                published.renew(fetch, published.is_very_old()).await;
            }
            Self::Published(_) => {}
        }
    }

    /// A token names a key that is not among them: it may be a new one.
    pub(super) async fn learn(&self, fetch: &Arc<dyn Fetch>) {
        match self {
            Self::File { .. } => {}
            Self::Published(published) => published.renew(fetch, true).await,
        }
    }

    /// Reads the file if it changed. Blocks. What is published is left to its time.
    pub(super) fn reload(&self) -> Result<(), KeyFileError> {
        match self {
            Self::File { path, ring, cache, .. } => {
                if ring.refresh(path)? {
                    cache.clear();
                }
                Ok(())
            }
            Self::Published(_) => Ok(()),
        }
    }

    async fn look(&self) {
        let Self::File { path, ring, issuer, cache } = self else { return };
        let (path, ring, cache) = (path.clone(), Arc::clone(ring), Arc::clone(cache));
        // The cache is emptied there, whether or not somebody still waits.
        let look = tokio::task::spawn_blocking(move || {
            let changed = ring.refresh(&path)?;
            if changed {
                cache.clear();
            }
            Ok::<_, KeyFileError>(changed)
        });
        let Ok(look) = tokio::time::timeout(LOOK_PATIENCE, look).await else {
            tracing::error!("the key file could not be read in time; the old keys stay in use");
            return;
        };
        match look {
            Ok(Ok(true)) => tracing::info!(issuer, "the issuer's keys were read"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the issuer's old keys stay in use"),
            Err(error) => tracing::error!(%error, "the key file could not be looked at"),
        }
    }
}
