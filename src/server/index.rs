//! Keeps the index of the log near its end, on a thread of its own in small pieces; no request waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::unsigned::unsigned;
use crate::audit::{Feed, Log, Opener};
use crate::clock::Clock;
use crate::index::{Index, IndexError};
use crate::secret::MasterKey;
use crate::telemetry::Telemetry;
use crate::turn::beside;

/// After a fault.
const PAUSE: Duration = Duration::from_secs(30);
/// Between two looks for what was destroyed.
const PURGE_EVERY: Duration = Duration::from_secs(60);

/// What keeps the index.
pub(super) struct Indexer {
    pub(super) dir: PathBuf,
    pub(super) log_dir: PathBuf,
    pub(super) log: Log,
    pub(super) feed: Feed,
    pub(super) opener: Opener,
    pub(super) master: MasterKey,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) clock: Clock,
    /// Whether the reviews that nobody signed were told since the start.
    pub(super) told: AtomicBool,
}

impl Indexer {
    /// Goes on until told to stop. A fault is told and tried again: requests do not need the index.
    pub(super) async fn run(self, stop: CancellationToken) {
        let (goes_on, told) = mpsc::channel();
        let kept = async {
            if let Err(error) = beside("log-index", move || self.keep(&told)).await {
                tracing::error!(%error, "the index of the log is not kept: it has no thread");
            }
        };
        let stopped = async {
            stop.cancelled().await;
            drop(goes_on);
        };
        tokio::join!(kept, stopped);
    }

    /// Until the other side of `told` is gone. A time of the test's own would stand still.
    fn keep(self, told: &mpsc::Receiver<()>) {
        let began = Instant::now();
        let mut open = None;
        let mut purged = None;
        loop {
            let is_due = purged.is_none_or(|at: Instant| at.elapsed() >= PURGE_EVERY);
            let done =
                catch_unwind(AssertUnwindSafe(|| self.piece(open.take(), began.elapsed(), is_due)));
            if is_due {
                purged = Some(Instant::now());
            }
            let wait = match done {
                Ok(Ok((index, pause))) => {
                    open = Some(index);
                    pause
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "the index of the log is not kept; it is tried again");
                    PAUSE
                }
                Err(_panic) => {
                    tracing::error!("the work on the index of the log ended by a panic");
                    PAUSE
                }
            };
            if told.recv_timeout(wait) == Err(mpsc::RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    /// Also gives how long the next piece can wait.
    fn piece(
        &self,
        open: Option<Index>,
        now: Duration,
        purge: bool,
    ) -> Result<(Index, Duration), IndexError> {
        let mut index = match open.filter(Index::is_current) {
            Some(index) => index,
            None => self.open()?,
        };
        let (log, feed) = (&self.log, &self.feed);
        let reach = match index.follow(log, feed, now) {
            Err(error) if error.calls_for_rebuild() => {
                tracing::warn!(%error, "the index of the log is made anew");
                let (dir, folder) = (&self.dir, &self.log_dir);
                index = Index::rebuild(dir, folder, self.opener.clone(), &self.master)?;
                index.follow(log, feed, now)?
            }
            reach => reach?,
        };
        self.telemetry.index_lag(log.health().durable.saturating_sub(reach.position));
        if purge {
            self.nag(&mut index)?;
            let gone = index.purge()?;
            if gone > 0 {
                tracing::info!(entries = gone, "destroyed entries left the index of the log");
            }
        }
        Ok((index, reach.pause))
    }

    /// Tells of reviews that nobody signed: once in words, always as a number.
    fn nag(&self, index: &mut Index) -> Result<(), IndexError> {
        let months = unsigned(index, self.clock.unix_ms())?;
        self.telemetry.unsigned_reviews(months.len());
        if !months.is_empty() && !self.told.swap(true, Ordering::Relaxed) {
            let months = months.join(", ");
            tracing::warn!(
                months,
                "nobody has signed the review of these months; `menshen report monthly`, then `menshen review sign`"
            );
        }
        Ok(())
    }

    fn open(&self) -> Result<Index, IndexError> {
        let (index, was_rebuilt) =
            Index::open_or_rebuild(&self.dir, &self.log_dir, &self.opener, &self.master)?;
        if was_rebuilt {
            tracing::warn!("the index of the log could not be used and is made anew");
        }
        Ok(index)
    }
}
