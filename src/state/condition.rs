//! Whether what is written becomes durable, as far as the last commits showed.
//!
//! A commit that fails says so for all who come, before they begin what could not be counted. An ordinary one that succeeds takes
//! nothing back: on a disk that is full a small write may find a place where the next one does not.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use super::StateError;
use crate::clock::Clock;
use rusqlite::Connection;

/// A commit that takes so long has a disk that hangs.
const HANGS_MS: i64 = 3_000;
/// What is written on trial, more than any answer counts in one step.
const TRIAL_BYTES: i64 = 256 * 1024;

/// How the writer's commits go.
#[derive(Debug)]
pub(super) struct Condition {
    has_failed: AtomicBool,
    /// When the commit under way began; 0 while there is none.
    began_ms: AtomicI64,
    /// The machine's, also where a test says what time it is: a disk does not hang by the calendar.
    clock: Clock,
}

impl Condition {
    pub(super) fn new() -> Self {
        let (has_failed, began_ms) = Default::default();
        Self { has_failed, began_ms, clock: Clock::system() }
    }

    /// A commit begins.
    pub(super) fn begins(&self) {
        self.began_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// It is over.
    pub(super) fn ends(&self, succeeded: bool) {
        if !succeeded {
            self.has_failed.store(true, Ordering::Release);
        }
        self.began_ms.store(0, Ordering::Relaxed);
    }

    /// What was written on trial is durable.
    pub(super) fn heals(&self) {
        if self.has_failed.swap(false, Ordering::AcqRel) {
            tracing::info!("the state can be written again");
        }
    }

    /// Whether a write that is asked for now is likely to fail.
    pub(super) fn is_failing(&self) -> bool {
        let began_ms = self.began_ms.load(Ordering::Relaxed);
        let hangs = began_ms != 0 && self.now_ms().saturating_sub(began_ms) > HANGS_MS;
        hangs || self.has_failed.load(Ordering::Acquire)
    }

    /// Milliseconds of some steady time, never 0.
    fn now_ms(&self) -> i64 {
        let steady = self.clock.steady().as_millis();
        i64::try_from(steady).unwrap_or(i64::MAX).saturating_add(1)
    }
}

/// Writes so much that it tells whether there is room, and leaves nothing of it.
pub(super) fn write_on_trial(connection: &Connection) -> Result<(), StateError> {
    connection.execute("INSERT INTO trial (filler) VALUES (zeroblob(?1))", [TRIAL_BYTES])?;
    // What is deleted is overwritten, so this too is written.
    connection.execute("DELETE FROM trial", [])?;
    Ok(())
}
