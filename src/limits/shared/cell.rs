//! One account on one gate: its lease, and whose turn it is to ask for it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::call::{Counts, Span};
use super::lease::Lease;

/// For how long nobody waits again for what others hold, after somebody waited in vain.
const VAIN_MS: i64 = 2_000;

/// One account on one gate.
#[derive(Debug)]
pub(in crate::limits) struct Cell {
    name: Arc<str>,
    window_ms: i64,
    lease: Mutex<Lease>,
    /// One call about it at a time: a call says how much is held, so calls must arrive in their order.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    is_dirty: AtomicBool,
    vain_until: AtomicI64,
}

impl Cell {
    pub(super) fn new(name: Arc<str>, counts: Counts, span: Span) -> Self {
        Self {
            lease: Mutex::new(Lease::new(Arc::clone(&name), counts, span)),
            name,
            window_ms: span.window_ms,
            turn: Arc::default(),
            is_dirty: AtomicBool::new(false),
            vain_until: AtomicI64::new(i64::MIN),
        }
    }

    pub(in crate::limits) fn lease(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The length of its window.
    pub(super) fn window_ms(&self) -> i64 {
        self.window_ms
    }

    /// Says whether it was clean.
    pub(super) fn soil(&self) -> bool {
        !self.is_dirty.swap(true, Ordering::AcqRel)
    }

    pub(super) fn clean(&self) {
        self.is_dirty.store(false, Ordering::Release);
    }

    /// Whether waiting for others may help.
    pub(super) fn is_worth_waiting(&self, now: i64) -> bool {
        now >= self.vain_until.load(Ordering::Relaxed)
    }

    pub(super) fn waited_in_vain(&self, now: i64) {
        self.vain_until.store(now + VAIN_MS, Ordering::Relaxed);
    }
}
