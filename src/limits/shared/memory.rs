//! A shared store in memory: for gates of one process, and for tests that lose, delay and empty it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::call::{Beat, Call, Pulse, Reply, SharedFuture, SharedStore};
use super::desk::Desk;
use crate::clock::Clock;

/// A shared store in memory.
#[derive(Debug)]
pub struct MemoryShared {
    desk: Mutex<Desk>,
    clock: Clock,
}

impl MemoryShared {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { desk: Mutex::default(), clock }
    }

    /// Forgets everything, as a restart without a disk does.
    pub fn flush(&self) {
        *self.desk() = Desk::default();
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedStore for MemoryShared {
    fn beat(&self, beat: Beat) -> SharedFuture<'_, Pulse> {
        Box::pin(async move { Ok(self.desk().beat(&beat, self.clock.unix_ms())?) })
    }

    fn settle(&self, call: Call) -> SharedFuture<'_, Reply> {
        Box::pin(async move { Ok(self.desk().settle(&call, self.clock.unix_ms())) })
    }

    fn leave(&self, run: Arc<str>) -> SharedFuture<'_, ()> {
        Box::pin(async move {
            self.desk().leave(&run);
            Ok(())
        })
    }
}
