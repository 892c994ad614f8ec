//! Connections over which several requests go at once (HTTP/2): each with at most so many, the fullest first, so that
//! those that are not needed become idle.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http2::SendRequest;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::connect::{Allowed, RequestBody};

/// The open ones of one endpoint.
pub(super) struct Streams {
    open: Mutex<Vec<Shared>>,
    /// Requests at once over one connection.
    most: usize,
    /// Told when a request has ended, so that one that waits takes its place.
    freed: Arc<Notify>,
}

struct Shared {
    sender: SendRequest<RequestBody>,
    allowed: Allowed,
    places: Arc<Semaphore>,
    /// Closes the connection when it is dropped: by the last request, if the connection is not kept.
    close: Arc<DropGuard>,
    age: u64,
    used: Instant,
    /// The right to a connection.
    _lease: OwnedSemaphorePermit,
}

/// How many requests there is room for.
pub(super) struct Seats {
    /// Connections that are open,
    pub(super) connections: usize,
    /// and the requests that they take together.
    pub(super) places: usize,
    /// What one more would take, as far as that is known.
    pub(super) usual: usize,
}

/// The place of one request on a connection.
pub(super) struct Stream {
    pub(super) sender: SendRequest<RequestBody>,
    place: Option<OwnedSemaphorePermit>,
    close: Arc<DropGuard>,
    freed: Arc<Notify>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        drop(self.place.take());
        self.freed.notify_one();
    }
}

impl Streams {
    pub(super) fn new(most: usize) -> Self {
        Self {
            open: Mutex::default(),
            most: most.min(Semaphore::MAX_PERMITS),
            freed: Arc::default(),
        }
    }

    /// A place on an open connection, if there is one.
    pub(super) fn take(&self) -> Option<Stream> {
        let mut open = self.lock();
        open.retain(|shared| !shared.sender.is_closed());
        open.iter_mut().find_map(|shared| {
            let taken = self.most.saturating_sub(shared.places.available_permits());
            if taken >= shared.allowed.requests() {
                return None;
            }
            let place = Arc::clone(&shared.places).try_acquire_owned().ok()?;
            shared.used = Instant::now();
            Some(self.stream(shared, place))
        })
    }

    /// Keeps a new connection, and gives its first place.
    pub(super) fn add(
        &self,
        (sender, allowed): (SendRequest<RequestBody>, Allowed),
        close: DropGuard,
        lease: OwnedSemaphorePermit,
        age: u64,
    ) -> Option<Stream> {
        let places = Arc::new(Semaphore::new(self.most));
        let place = Arc::clone(&places).try_acquire_owned().ok()?;
        let (close, used) = (Arc::new(close), Instant::now());
        let shared = Shared { sender, allowed, places, close, age, used, _lease: lease };
        let stream = self.stream(&shared, place);
        self.lock().push(shared);
        // There are more places than this one.
        self.freed.notify_waiters();
        Some(stream)
    }

    fn stream(&self, shared: &Shared, place: OwnedSemaphorePermit) -> Stream {
        Stream {
            sender: shared.sender.clone(),
            place: Some(place),
            close: Arc::clone(&shared.close),
            freed: Arc::clone(&self.freed),
        }
    }

    /// How many requests there is room for.
    pub(super) fn seats(&self) -> Seats {
        let open = self.lock();
        let allowed = || open.iter().map(|shared| shared.allowed.requests().min(self.most));
        Seats {
            connections: open.len(),
            places: allowed().fold(0, usize::saturating_add),
            usual: allowed().max().unwrap_or(self.most),
        }
    }

    /// Resolves when there may be a place that was not there before.
    pub(super) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Gives no further request to the connection of this one; it closes with its last.
    pub(super) fn give_up(&self, stream: &Stream) {
        self.lock().retain(|shared| !Arc::ptr_eq(&shared.close, &stream.close));
        self.freed.notify_waiters();
    }

    /// Keeps none that are closed, that were begun before `age`, or that had no request for `kept`.
    pub(super) fn tidy(&self, age: u64, kept: Duration) {
        self.lock().retain(|shared| {
            let is_idle = shared.places.available_permits() >= self.most;
            let is_stale = is_idle && shared.used.elapsed() >= kept;
            !shared.sender.is_closed() && shared.age >= age && !is_stale
        });
    }

    /// Keeps none.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Shared>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
