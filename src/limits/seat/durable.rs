//! How what was taken is made durable before it is released.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::Inner;
use super::stake::lock_all;
use crate::limits::store::StoreError;

/// Changes a holder may owe to a failing store before answers stop altogether.
const MAX_OWED: usize = 2_000_000;

/// Why what was taken may not be released, or limits cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store did not answer in time.
    #[error("the store of what was released did not answer within {} ms", .0.as_millis())]
    Slow(Duration),
    /// The store has failed for so long that too much is waiting to be written.
    #[error("the store of what was released has too many writes outstanding")]
    Behind,
    /// The store remembers more than may be held in memory.
    #[error("the store remembers more persons or subjects than the cap of {0}")]
    TooMany(usize),
    /// What was taken of a shared budget came too late.
    #[error("what was lent of a shared budget is too old, and the shared store did not renew it")]
    Shared,
}

/// A future that makes what was taken durable.
pub type Persist = Pin<Box<dyn Future<Output = Result<(), LimitError>> + Send>>;

impl Inner {
    pub(super) async fn persist(&self) -> Result<(), LimitError> {
        let deadline = self.means.store_deadline;
        let saved = tokio::time::timeout(deadline, self.save()).await;
        saved.unwrap_or(Err(LimitError::Slow(deadline)))
    }

    /// Writes what is owed. Answers of one holder that end together share a write: each books first,
    /// and whoever gets the turn writes what all have booked. Turns are waited for in the order of the
    /// holders, so that no two answers wait for each other.
    async fn save(&self) -> Result<(), LimitError> {
        let booked = self.book()?;
        // After the own books: what a store that began anew is told of them misses nothing.
        if let Some(sharing) = self.shared.get() {
            sharing.seat().book().map_err(|_late| LimitError::Shared)?;
        }
        let mut turns = Vec::new();
        for (stake, booked) in self.stakes.iter().zip(booked) {
            if stake.purse.ledger().settled() >= booked {
                continue;
            }
            let turn = stake.purse.saving.lock().await;
            // Whoever had the turn may have written it.
            if stake.purse.ledger().settled() < booked {
                turns.push((&stake.purse, turn));
            }
        }
        if turns.is_empty() {
            return Ok(());
        }
        let mut owed = Vec::new();
        let mut counts = Vec::new();
        for (purse, _) in &turns {
            let ledger = purse.ledger();
            owed.extend_from_slice(ledger.owed());
            counts.push(ledger.owed().len());
        }
        self.means.store.add(owed).await?;
        for ((purse, _), count) in turns.iter().zip(counts) {
            purse.ledger().settle(count);
        }
        Ok(())
    }

    /// Books what is held; gives how many changes of each holder must be in the store for all of it to be.
    fn book(&self) -> Result<Vec<u64>, LimitError> {
        let mut ledgers = lock_all(&self.stakes);
        if ledgers.iter().any(|ledger| ledger.owed().len() > MAX_OWED) {
            return Err(LimitError::Behind);
        }
        let now = self.means.clock.unix_ms();
        let stakes = self.stakes.iter().zip(&mut ledgers);
        let booked = stakes.map(|(stake, ledger)| {
            ledger.book(stake.sitting, now);
            ledger.booked()
        });
        Ok(booked.collect())
    }
}
