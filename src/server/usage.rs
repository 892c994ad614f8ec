//! Lets the limits keep what they count in the state's store.

use std::sync::{Mutex, PoisonError};

use crate::limits::{
    AmountRow, NotABudget, SeenRow, StoreError, StoreFuture, Usage, UsageChange, UsageStore,
};
use crate::state::{self, StateError, Store};

/// The counters of the state folder.
pub(super) struct StoredUsage {
    store: Store,
    /// What was there at the start, handed over once.
    at_start: Mutex<Option<state::Usage>>,
}

impl StoredUsage {
    pub(super) async fn load(store: Store) -> Result<Self, StateError> {
        let at_start = Mutex::new(Some(store.load_usage(i64::MIN).await?));
        Ok(Self { store, at_start })
    }
}

impl UsageStore for StoredUsage {
    fn load(&self) -> Result<Usage, StoreError> {
        let taken = self.at_start.lock().unwrap_or_else(PoisonError::into_inner).take();
        let rows = taken.ok_or_else(|| StoreError("the counters were read already".into()))?;
        let unknown = |error: NotABudget| StoreError(Box::new(error));
        let mut usage = Usage::default();
        for row in rows.amounts {
            let budget = row.budget.parse().map_err(unknown)?;
            let (person, bucket, amount) = (row.person.into(), row.bucket, row.amount);
            usage.amounts.push(AmountRow { person, budget, bucket, amount });
        }
        for row in rows.seen {
            let budget = row.budget.parse().map_err(unknown)?;
            let (person, subject, bucket) = (row.person.into(), row.subject, row.bucket);
            usage.seen.push(SeenRow { person, budget, subject, bucket });
        }
        Ok(usage)
    }

    fn add(&self, changes: Vec<UsageChange>) -> StoreFuture<'_> {
        Box::pin(async move {
            let changes = changes.into_iter().map(to_store).collect();
            self.store.add_usage(changes).await.map_err(|error| StoreError(Box::new(error)))
        })
    }
}

fn to_store(change: UsageChange) -> state::UsageChange {
    match change {
        UsageChange::Add(AmountRow { person, budget, bucket, amount }) => {
            let (person, budget) = (person.to_string(), budget.to_string());
            state::UsageChange::Add(state::UsageRow { person, budget, bucket, amount })
        }
        UsageChange::Saw(SeenRow { person, budget, subject, bucket }) => {
            let (person, budget) = (person.to_string(), budget.to_string());
            state::UsageChange::See(state::SeenRow { person, budget, bucket, subject })
        }
        UsageChange::Forget { budget, before } => {
            state::UsageChange::Forget { budget: budget.to_string(), before }
        }
    }
}
