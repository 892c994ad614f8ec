//! Keeps the index of the log near its end, on a thread of its own in small pieces; no request waits for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::unsigned::unsigned;
use crate::audit::{Log, Opener};
use crate::clock::Clock;
use crate::index::{Index, IndexError};
use crate::secret::MasterKey;
use crate::telemetry::Telemetry;

/// After a fault.
const PAUSE: Duration = Duration::from_secs(30);
/// Between two looks for what was destroyed.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// Entries in one piece.
const BATCH: usize = 2_000;

/// What keeps the index.
pub(super) struct Indexer {
    pub(super) dir: PathBuf,
    pub(super) log_dir: PathBuf,
    pub(super) log: Log,
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
        let this = Arc::new(self);
        let mut open = None;
        let mut purged = None;
        loop {
            let is_due = purged.is_none_or(|at: Instant| at.elapsed() >= PURGE_EVERY);
            let working = Arc::clone(&this);
            let taken = open.take();
            let work = move || working.piece(taken, is_due);
            let done = tokio::task::spawn_blocking(work).await;
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
                    open = None;
                    PAUSE
                }
                Err(error) => {
                    tracing::error!(%error, "the work on the index ended by a panic");
                    open = None;
                    PAUSE
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Also gives how long the next piece can wait.
    fn piece(&self, open: Option<Index>, purge: bool) -> Result<(Index, Duration), IndexError> {
        let mut index = match open.filter(Index::is_current) {
            Some(index) => index,
            None => self.open()?,
        };
        let read = match index.read_on(BATCH) {
            Err(error) if error.calls_for_rebuild() => {
                tracing::warn!(%error, "the index of the log is made anew");
                let (dir, log) = (&self.dir, &self.log_dir);
                index = Index::rebuild(dir, log, self.opener.clone(), &self.master)?;
                index.read_on(BATCH)?
            }
            read => read?,
        };
        let durable = self.log.health().durable;
        self.telemetry.index_lag(durable.saturating_sub(read.position));
        if purge {
            self.nag(&mut index)?;
            let gone = index.purge()?;
            if gone > 0 {
                tracing::info!(entries = gone, "destroyed entries left the index of the log");
            }
        }
        Ok((index, read.pause(BATCH)))
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
