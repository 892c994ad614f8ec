//! Finds connections on which nothing moves any more.
//!
//! hyper has no deadline for a client that stops reading its answer, nor for an HTTP/2 connection
//! that never opens a stream. Both show as time without progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Told whenever something moves on a connection; cheap to clone.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    /// Milliseconds from `start` to the last move.
    last_ms: AtomicU64,
    open_requests: AtomicU32,
}

/// Counts a request as open until dropped.
#[derive(Debug)]
pub struct OpenRequest(Progress);

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// A connection on which nothing has happened yet.
    #[must_use]
    pub fn new() -> Self {
        let start = Instant::now();
        Self(Arc::new(Inner {
            start,
            last_ms: AtomicU64::new(0),
            open_requests: AtomicU32::new(0),
        }))
    }

    /// Something moved.
    pub fn moved(&self) {
        let since = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_ms.store(since, Ordering::Relaxed);
    }

    /// A request begins; keep the guard in its answer's body.
    #[must_use]
    pub fn begin(&self) -> OpenRequest {
        self.moved();
        self.0.open_requests.fetch_add(1, Ordering::Relaxed);
        OpenRequest(self.clone())
    }

    /// Waits until nothing has moved for `stall` while a request is open, or for `idle` while none is.
    pub(super) async fn stalled(&self, stall: Duration, idle: Duration) -> Stalled {
        loop {
            let open = self.0.open_requests.load(Ordering::Relaxed) > 0;
            let allowed = if open { stall } else { idle };
            let last = Duration::from_millis(self.0.last_ms.load(Ordering::Relaxed));
            let deadline = self.0.start + last + allowed;
            if Instant::now() >= deadline {
                return if open { Stalled::InRequest } else { Stalled::Idle };
            }
            // Requests come and go meanwhile, so look again at the shorter of both.
            let look_again = Instant::now() + stall.min(idle);
            tokio::time::sleep_until(deadline.min(look_again)).await;
        }
    }
}

/// In which state nothing moved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stalled {
    /// No request was open: the connection may close politely.
    Idle,
    /// A request was open: the peer does not read, or the answer does not come.
    InRequest,
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.moved();
        self.0.0.open_requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(60);
    const IDLE: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_found_after_the_idle_time() {
        let progress = Progress::new();
        let start = Instant::now();
        assert_eq!(progress.stalled(STALL, IDLE).await, Stalled::Idle);
        assert_eq!(start.elapsed(), IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_request_may_take_longer_but_not_for_ever() {
        let progress = Progress::new();
        let _open = progress.begin();
        let start = Instant::now();
        assert_eq!(progress.stalled(STALL, IDLE).await, Stalled::InRequest);
        assert_eq!(start.elapsed(), STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_puts_the_end_off() {
        let progress = Progress::new();
        let open = progress.begin();
        tokio::time::sleep(Duration::from_secs(50)).await;
        progress.moved();
        let start = Instant::now();
        drop(open);
        assert_eq!(progress.stalled(STALL, IDLE).await, Stalled::Idle);
        assert_eq!(start.elapsed(), IDLE);
    }
}
