//! What one HTTP/2 connection may ask for: requests a second, and requests that it takes back.
//!
//! Whoever opens a request and resets it at once has the gate work for nobody (CVE-2023-44487); hyper and h2 count
//! only those that nobody has looked at yet.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The time in which so many requests may be taken back.
const RESET_WINDOW: Duration = Duration::from_secs(10);
const REQUEST_WINDOW: Duration = Duration::from_secs(1);

/// The budget of one connection; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: Mutex<Pace>,
    resets: Mutex<Pace>,
    /// Too many requests came: no more are taken.
    full: CancellationToken,
    /// Too many were taken back: the connection is cut.
    spent: CancellationToken,
}

/// So many within a window, evenly refilled (GCRA).
#[derive(Debug)]
struct Pace {
    apart: Duration,
    window: Duration,
    /// When all that was counted would have come at an even pace.
    due: Instant,
}

impl Pace {
    fn new(most: u32, window: Duration) -> Self {
        Self { apart: window / most.max(1), window, due: Instant::now() }
    }

    fn allows(&mut self, now: Instant) -> bool {
        let due = self.due.max(now);
        if due + self.apart > now + self.window {
            return false;
        }
        self.due = due + self.apart;
        true
    }
}

/// A request that is being answered; dropped without an answer it was taken back.
pub(super) struct Asked {
    budget: Option<Budget>,
}

impl Budget {
    pub(super) fn new(requests_per_second: u32, resets: u32) -> Self {
        Self(Arc::new(Inner {
            requests: Mutex::new(Pace::new(requests_per_second, REQUEST_WINDOW)),
            resets: Mutex::new(Pace::new(resets, RESET_WINDOW)),
            full: CancellationToken::new(),
            spent: CancellationToken::new(),
        }))
    }

    /// Counts a request; keep what it gives until there is an answer.
    pub(super) fn asked(&self) -> Asked {
        let mut requests = self.0.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if !requests.allows(Instant::now()) {
            self.0.full.cancel();
        }
        Asked { budget: Some(self.clone()) }
    }

    /// Resolves once too many requests came.
    pub(super) async fn full(&self) {
        self.0.full.cancelled().await;
    }

    /// Resolves once too many were taken back.
    pub(super) async fn spent(&self) {
        self.0.spent.cancelled().await;
    }
}

impl Asked {
    /// There is an answer.
    pub(super) fn answered(mut self) {
        self.budget = None;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(Budget(inner)) = &self.budget else { return };
        let mut resets = inner.resets.lock().unwrap_or_else(PoisonError::into_inner);
        if !resets.allows(Instant::now()) {
            inner.spent.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_may_be_taken_back_in_ten_seconds_and_no_more() {
        let budget = Budget::new(1_000_000, 20);
        for _ in 0..20 {
            drop(budget.asked());
        }
        assert!(!budget.0.spent.is_cancelled());
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(budget.asked());
        assert!(!budget.0.spent.is_cancelled(), "half a second gives one more");
        drop(budget.asked());
        assert!(budget.0.spent.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_answered_was_not_taken_back() {
        let budget = Budget::new(100, 1);
        for _ in 0..500 {
            budget.asked().answered();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!budget.0.spent.is_cancelled() && !budget.0.full.is_cancelled());
        for _ in 0..150 {
            budget.asked().answered();
        }
        assert!(budget.0.full.is_cancelled());
    }
}
