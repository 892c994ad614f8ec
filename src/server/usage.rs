//! Lets the limits keep what they count in the state's store.

use std::sync::{Arc, Mutex, PoisonError};

use super::StartError;
use crate::clock::Clock;
use crate::limits::{
    self, AmountRow, Limits, NotABudget, SeenRow, StoreError, StoreFuture, Usage, UsageChange,
    UsageFuture, UsageStore,
};
use crate::state::{self, StateError, Store};

/// The limits as they stand by the state, for whoever looks at them beside a gate.
///
/// # Errors
/// [`StartError`] if the counters cannot be read.
pub async fn read_limits(
    store: Store,
    clock: &Clock,
    counted_as: impl Fn(&str) -> Arc<str>,
) -> Result<Limits, StartError> {
    let usage = StoredUsage::load(store, counted_as).await?;
    Ok(Limits::open(limits::Settings::default(), clock, Arc::new(usage))?)
}

/// The counters of the state folder.
pub(super) struct StoredUsage {
    store: Store,
    /// What was there at the start, handed over once.
    at_start: Mutex<Option<state::Usage>>,
}

impl StoredUsage {
    /// Reads what was used; `counted_as` says under what an account is counted.
    pub(super) async fn load(
        store: Store,
        counted_as: impl Fn(&str) -> Arc<str>,
    ) -> Result<Self, StateError> {
        let mut usage = store.load_usage(i64::MIN).await?;
        usage.amounts.iter_mut().for_each(|row| row.person = counted_as(&row.person).to_string());
        usage.seen.iter_mut().for_each(|row| row.person = counted_as(&row.person).to_string());
        Ok(Self { store, at_start: Mutex::new(Some(usage)) })
    }
}

impl UsageStore for StoredUsage {
    fn load(&self) -> Result<Usage, StoreError> {
        let taken = self.at_start.lock().unwrap_or_else(PoisonError::into_inner).take();
        let rows = taken.ok_or_else(|| StoreError("the counters were read already".into()))?;
        from_store(rows)
    }

    fn of<'a>(&'a self, person: &'a str) -> UsageFuture<'a> {
        Box::pin(async move {
            let rows = self.store.usage_of(person).await;
            from_store(rows.map_err(|error| StoreError(Box::new(error)))?)
        })
    }

    fn add(&self, changes: Vec<UsageChange>) -> StoreFuture<'_> {
        Box::pin(async move {
            let changes = changes.into_iter().map(to_store).collect();
            self.store.add_usage(changes).await.map_err(|error| StoreError(Box::new(error)))
        })
    }

    fn is_failing(&self) -> bool {
        self.store.is_failing()
    }
}

fn from_store(rows: state::Usage) -> Result<Usage, StoreError> {
    let unknown = |error: NotABudget| StoreError(Box::new(error));
    let mut usage = Usage::default();
    for row in rows.amounts {
        let budget = row.budget.parse().map_err(unknown)?;
        let (holder, bucket, amount) = (row.person.into(), row.bucket, row.amount);
        usage.amounts.push(AmountRow { holder, budget, bucket, amount });
    }
    for row in rows.seen {
        let budget = row.budget.parse().map_err(unknown)?;
        let (holder, subject, bucket) = (row.person.into(), row.subject, row.bucket);
        usage.seen.push(SeenRow { holder, budget, subject, bucket });
    }
    Ok(usage)
}

fn to_store(change: UsageChange) -> state::UsageChange {
    match change {
        UsageChange::Add(AmountRow { holder, budget, bucket, amount }) => {
            let (person, budget) = (holder.to_string(), budget.to_string());
            state::UsageChange::Add(state::UsageRow { person, budget, bucket, amount })
        }
        UsageChange::Return(AmountRow { holder, budget, bucket, amount }) => {
            let (person, budget) = (holder.to_string(), budget.to_string());
            state::UsageChange::Return(state::UsageRow { person, budget, bucket, amount })
        }
        UsageChange::Saw(SeenRow { holder, budget, subject, bucket }) => {
            let (person, budget) = (holder.to_string(), budget.to_string());
            state::UsageChange::See(state::SeenRow { person, budget, bucket, subject })
        }
        UsageChange::Forget { budget, before } => {
            state::UsageChange::Forget { budget: budget.to_string(), before }
        }
    }
}
