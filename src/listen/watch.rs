//! Finds connections on which nothing moves any more.
//!
//! hyper has no deadline for a client that stops reading its answer, nor for an HTTP/2 connection
//! that never opens a stream. The first shows as an answer that nobody takes, the second as time
//! without a request. What the gate itself waits for has deadlines of its own, and is not held
//! against the client.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Told how a request gets on; cheap to clone.
#[derive(Clone, Debug)]
pub struct Progress {
    watch: Watch,
    /// When the client was last offered something, in milliseconds of the watch, or [`OURS`].
    offered_ms: Arc<AtomicU64>,
}

/// The turn is the gate's.
const OURS: u64 = u64::MAX;

/// Counts a request as open until dropped.
#[derive(Debug)]
pub struct OpenRequest {
    progress: Progress,
    number: u64,
}

/// Looks at all requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Watch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    /// Milliseconds from `start` to when a request last began or ended.
    last_ms: AtomicU64,
    requests: AtomicU64,
    /// The open requests; as many as the connection may have streams.
    open: Mutex<BTreeMap<u64, Arc<AtomicU64>>>,
}

/// In which state nothing moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stalled {
    /// No request has ever come.
    Unused,
    /// No request is open: the connection may close politely.
    Idle,
    /// The client does not take the answer to a request.
    InRequest,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Of a request on a connection that nobody looks at.
    #[must_use]
    pub fn new() -> Self {
        Watch::new().request()
    }

    /// The client has something to take; from now on its patience is on trial.
    pub fn offered(&self) {
        self.offered_ms.store(self.watch.now_ms(), Ordering::Relaxed);
    }

    /// The client took all there was and waits for more.
    pub fn taken(&self) {
        self.offered_ms.store(OURS, Ordering::Relaxed);
    }

    /// A request begins; keep the guard in its answer's body.
    #[must_use]
    pub fn begin(&self) -> OpenRequest {
        let inner = &self.watch.0;
        let number = inner.requests.fetch_add(1, Ordering::Relaxed);
        self.watch.open().insert(number, Arc::clone(&self.offered_ms));
        self.watch.moved();
        OpenRequest { progress: self.clone(), number }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let watch = &self.progress.watch;
        watch.moved();
        watch.open().remove(&self.number);
    }
}

impl Watch {
    /// A connection on which nothing has happened yet.
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            start: Instant::now(),
            last_ms: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            open: Mutex::default(),
        }))
    }

    /// Whether no request has come yet.
    pub(super) fn is_unused(&self) -> bool {
        self.0.requests.load(Ordering::Relaxed) == 0
    }

    /// The progress of one more request.
    pub(super) fn request(&self) -> Progress {
        Progress { watch: self.clone(), offered_ms: Arc::new(AtomicU64::new(OURS)) }
    }

    /// The time without a request counts from now.
    pub(super) fn moved(&self) {
        self.0.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Waits until a client has left an answer lying for `stall`, or no request was open for `idle`.
    pub(super) async fn stalled(&self, stall: Duration, idle: Duration) -> Stalled {
        loop {
            let (deadline, state) = self.look(stall, idle);
            let now = Instant::now();
            if now >= deadline {
                return state;
            }
            // Requests come and go meanwhile, so look again at the shorter of both.
            tokio::time::sleep_until(deadline.min(now + stall.min(idle))).await;
        }
    }

    /// What will have stalled when, as things are now.
    fn look(&self, stall: Duration, idle: Duration) -> (Instant, Stalled) {
        let inner = &self.0;
        let open = self.open();
        if open.is_empty() {
            let used = inner.requests.load(Ordering::Relaxed) > 0;
            let last = Duration::from_millis(inner.last_ms.load(Ordering::Relaxed));
            let state = if used { Stalled::Idle } else { Stalled::Unused };
            return (inner.start + last + idle, state);
        }
        let offered = open.values().map(|offered| offered.load(Ordering::Relaxed));
        let deadline = match offered.filter(|ms| *ms != OURS).min() {
            Some(oldest) => inner.start + Duration::from_millis(oldest) + stall,
            None => Instant::now() + stall,
        };
        (deadline, Stalled::InRequest)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(OURS - 1)
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<AtomicU64>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL: Duration = Duration::from_secs(60);
    const IDLE: Duration = Duration::from_secs(20);

    async fn after(watch: &Watch) -> (Stalled, Duration) {
        let start = Instant::now();
        (watch.stalled(STALL, IDLE).await, start.elapsed())
    }

    async fn pass(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_found_after_the_idle_time() {
        let watch = Watch::new();
        assert_eq!(after(&watch).await, (Stalled::Unused, IDLE));
        drop(watch.request().begin());
        assert_eq!(after(&watch).await, (Stalled::Idle, IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_found_after_the_stall_time() {
        let watch = Watch::new();
        let request = watch.request();
        let _open = request.begin();
        request.offered();
        assert_eq!(after(&watch).await, (Stalled::InRequest, STALL));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_again_puts_the_end_off() {
        let watch = Watch::new();
        let request = watch.request();
        let _open = request.begin();
        request.offered();
        pass(50).await;
        request.offered();
        assert_eq!(after(&watch).await, (Stalled::InRequest, STALL));
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_that_is_slow_itself_is_not_held_against_the_client() {
        let watch = Watch::new();
        let request = watch.request();
        let _open = request.begin();
        let waited = tokio::time::timeout(10 * STALL, watch.stalled(STALL, IDLE)).await;
        assert!(waited.is_err(), "it asks, and has nothing to take");
        request.offered();
        request.taken();
        let waited = tokio::time::timeout(10 * STALL, watch.stalled(STALL, IDLE)).await;
        assert!(waited.is_err(), "it took what there was");
    }

    #[tokio::test(start_paused = true)]
    async fn small_requests_do_not_keep_an_answer_alive_that_nobody_takes() {
        let watch = Watch::new();
        let (left_lying, start) = (watch.request(), Instant::now());
        let _open = left_lying.begin();
        left_lying.offered();
        let others = async {
            loop {
                let small = watch.request();
                let _open = small.begin();
                small.offered();
                pass(1).await;
            }
        };
        tokio::select! {
            state = watch.stalled(STALL, IDLE) => assert_eq!(state, Stalled::InRequest),
            () = others => {}
        }
        assert!(start.elapsed() <= STALL + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_time_begins_with_the_end_of_the_last_request() {
        let watch = Watch::new();
        let request = watch.request();
        let (first, second) = (request.begin(), request.begin());
        drop(first);
        pass(50).await;
        drop(second);
        assert_eq!(after(&watch).await, (Stalled::Idle, IDLE));
        assert!(watch.open().is_empty());
    }
}
