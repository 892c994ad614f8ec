//! What a request holds while it is with an endpoint: its place on a connection, and the shelf
//! where connections stand that nobody uses.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::client::conn::http1::SendRequest;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::connect::RequestBody;
use super::heard::Heard;
use super::readers::{Holding, Readers, Reading};
use super::streams::Stream;

/// Connections that nobody uses, the one used last at the end.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) idle: Vec<Idle>,
    /// Set when the server drains, or the endpoint is gone: nothing is kept any more.
    pub(super) closed: bool,
    /// How often certificates were replaced; connections made with older ones are not kept.
    pub(super) age: u64,
}

pub(super) struct Idle {
    pub(super) link: Link,
    pub(super) since: Instant,
}

/// An open connection; dropping it closes it at once.
pub(super) struct Link {
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) heard: Heard,
    /// The age of the shelf when it was begun.
    pub(super) age: u64,
    pub(super) _close: DropGuard,
}

/// A request's place on a connection.
pub(super) enum Held {
    /// All of it, with the right to it.
    One(Link, OwnedSemaphorePermit),
    /// One of several.
    Many(Stream),
    Nothing,
}

/// What a request has while it is with an endpoint.
pub(super) struct Lease {
    pub(super) held: Held,
    pub(super) shelf: Arc<Mutex<Shelf>>,
    pub(super) readers: Arc<Readers>,
    /// Present once the answer streams to somebody.
    pub(super) holding: Option<Holding>,
    pub(super) _open: Open,
}

/// A request that is counted among the open ones.
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    /// Also gives how many there are with it.
    pub(super) fn begin(count: &Arc<AtomicUsize>) -> (Self, usize) {
        let before = count.fetch_add(1, Ordering::AcqRel);
        (Self(Arc::clone(count)), before.saturating_add(1))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lease {
    /// Notes that the answer streams to somebody, from whom the place may be called back.
    pub(super) fn streams_to(&mut self, whose: Arc<str>) -> Reading {
        let (holding, reading) = self.readers.note(whose);
        self.holding = Some(holding);
        reading
    }

    /// Keeps the connection for the next request: its answer was read to the end.
    pub(super) fn keep(mut self) {
        // A place among several is given back as it is dropped.
        let Held::One(link, _lease) = std::mem::replace(&mut self.held, Held::Nothing) else {
            return;
        };
        let mut shelf = lock(&self.shelf);
        if !shelf.closed && shelf.age == link.age && !link.sender.is_closed() {
            shelf.idle.push(Idle { link, since: Instant::now() });
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
