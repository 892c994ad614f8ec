//! One holder's ledger with the turn of writing it, and how it is locked together with others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ledger::Ledger;

/// One holder, as long as anything about them counts.
#[derive(Debug)]
pub(super) struct Purse {
    /// The holder's text; ledgers are locked in the order of it.
    pub(super) text: Arc<str>,
    ledger: Mutex<Ledger>,
    /// One write at a time: what is owed is written in order and settled by its length.
    pub(super) saving: tokio::sync::Mutex<()>,
}

impl Purse {
    pub(super) fn new(text: Arc<str>, ledger: Ledger) -> Self {
        Self { text, ledger: Mutex::new(ledger), saving: tokio::sync::Mutex::new(()) }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
