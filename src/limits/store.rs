//! What limits ask of a store: to remember what was released, durably, in two simple tables.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::budget::Budget;

/// A store's answer, on its way.
pub type StoreFuture<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// What a store remembers of somebody, on its way.
pub type UsageFuture<'a> = Pin<Box<dyn Future<Output = Result<Usage, StoreError>> + Send + 'a>>;

/// The store could not read or write. The cause is for the operator, not for the caller.
#[derive(Debug, thiserror::Error)]
#[error("the store of what was released failed: {0}")]
pub struct StoreError(#[source] pub Box<dyn Error + Send + Sync>);

/// An amount that was released in one bucket of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmountRow {
    /// The text of whose budget it is: a person's name, or a shared holder's.
    pub holder: Arc<str>,
    /// Which budget.
    pub budget: Budget,
    /// Which bucket of the budget's window.
    pub bucket: i64,
    /// How much.
    pub amount: u64,
}

/// The newest bucket of time in which a subject was released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRow {
    /// The text of whose budget it is: a person's name, or a shared holder's.
    pub holder: Arc<str>,
    /// Which budget.
    pub budget: Budget,
    /// The subject's keyed hash.
    pub subject: u64,
    /// Which bucket of the budget's window.
    pub bucket: i64,
}

/// One change to what the store remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageChange {
    /// Adds to the amount of this holder, budget and bucket.
    Add(AmountRow),
    /// Takes back from the amount of this holder, budget and bucket what was added and did not happen; never below nothing.
    Return(AmountRow),
    /// Raises the bucket of this holder, budget and subject; a lower one changes nothing.
    Saw(SeenRow),
    /// Removes every amount and subject of a budget that is older than a bucket.
    Forget {
        /// Which budget, for all holders.
        budget: Budget,
        /// The oldest bucket to keep.
        before: i64,
    },
}

/// Everything a store remembers.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// All amounts.
    pub amounts: Vec<AmountRow>,
    /// All subjects.
    pub seen: Vec<SeenRow>,
}

/// Remembers what was released, over restarts.
pub trait UsageStore: Send + Sync {
    /// Everything remembered; read once, before the first request.
    ///
    /// # Errors
    /// [`StoreError`] if anything cannot be read, down to a single row.
    fn load(&self) -> Result<Usage, StoreError>;

    /// Everything remembered of one holder.
    ///
    /// # Errors
    /// [`StoreError`] if anything cannot be read, down to a single row.
    fn of<'a>(&'a self, holder: &'a str) -> UsageFuture<'a>;

    /// Makes changes durable, all or none.
    ///
    /// The future must either finish the write when dropped or undo it; a repeated write after an
    /// error may count twice, which is the strict side.
    ///
    /// # Errors
    /// [`StoreError`] unless the changes will survive a loss of power.
    fn add(&self, changes: Vec<UsageChange>) -> StoreFuture<'_>;

    /// Whether a write failed and none succeeds yet, as far as the store knows without being asked.
    fn is_failing(&self) -> bool;
}

#[cfg(test)]
pub(crate) mod memory {
    //! A store in memory that can be told to fail, and that outlives the limits opened on it.

    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    type Tables = (BTreeMap<(String, Budget, i64), u64>, BTreeMap<(String, Budget, u64), i64>);

    #[derive(Default)]
    pub(crate) struct MemoryStore {
        tables: Mutex<Tables>,
        pub(crate) lost: AtomicBool,
        pub(crate) writes: AtomicUsize,
    }

    impl MemoryStore {
        fn fault(&self) -> Result<(), StoreError> {
            if self.lost.load(Ordering::SeqCst) {
                return Err(StoreError("the disk is gone".into()));
            }
            Ok(())
        }

        pub(crate) fn rows(&self) -> usize {
            let tables = self.tables.lock().unwrap();
            tables.0.len() + tables.1.len()
        }
    }

    impl UsageStore for MemoryStore {
        fn load(&self) -> Result<Usage, StoreError> {
            self.fault()?;
            let tables = self.tables.lock().unwrap();
            let amounts = tables.0.iter().map(|((holder, budget, bucket), amount)| AmountRow {
                holder: holder.as_str().into(),
                budget: budget.clone(),
                bucket: *bucket,
                amount: *amount,
            });
            let seen = tables.1.iter().map(|((holder, budget, subject), bucket)| SeenRow {
                holder: holder.as_str().into(),
                budget: budget.clone(),
                subject: *subject,
                bucket: *bucket,
            });
            Ok(Usage { amounts: amounts.collect(), seen: seen.collect() })
        }

        fn of<'a>(&'a self, holder: &'a str) -> UsageFuture<'a> {
            Box::pin(async move {
                let mut usage = self.load()?;
                usage.amounts.retain(|row| *row.holder == *holder);
                usage.seen.retain(|row| *row.holder == *holder);
                Ok(usage)
            })
        }

        fn is_failing(&self) -> bool {
            self.lost.load(Ordering::SeqCst)
        }

        fn add(&self, changes: Vec<UsageChange>) -> StoreFuture<'_> {
            Box::pin(async move {
                tokio::task::yield_now().await;
                self.fault()?;
                self.writes.fetch_add(1, Ordering::SeqCst);
                let mut tables = self.tables.lock().unwrap();
                for change in changes {
                    match change {
                        UsageChange::Add(row) => {
                            let key = (row.holder.to_string(), row.budget, row.bucket);
                            *tables.0.entry(key).or_default() += row.amount;
                        }
                        UsageChange::Return(row) => {
                            let key = (row.holder.to_string(), row.budget, row.bucket);
                            if let Some(amount) = tables.0.get_mut(&key) {
                                *amount = amount.saturating_sub(row.amount);
                            }
                        }
                        UsageChange::Saw(row) => {
                            let key = (row.holder.to_string(), row.budget, row.subject);
                            let bucket = tables.1.entry(key).or_insert(row.bucket);
                            *bucket = row.bucket.max(*bucket);
                        }
                        UsageChange::Forget { budget, before } => {
                            tables.0.retain(|key, _| key.1 != budget || key.2 >= before);
                            tables.1.retain(|key, bucket| key.1 != budget || *bucket >= before);
                        }
                    }
                }
                Ok(())
            })
        }
    }
}
