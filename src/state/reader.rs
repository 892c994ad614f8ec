//! A few threads that read, each with a connection of its own, so that no lookup waits for a
//! commit and none blocks an async thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{StateError, connection};

/// How many lookups may wait per thread.
const QUEUE: usize = 512;
const THREADS: usize = 2;

type Lookup = Box<dyn FnOnce(&Connection) + Send>;

/// The sending side of the readers' queues.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    queues: Vec<mpsc::Sender<Lookup>>,
    next: Arc<AtomicUsize>,
}

impl Readers {
    /// Starts the threads; they end when the last `Readers` is dropped.
    ///
    /// # Errors
    /// [`StateError`] if the file does not open or the system gives no thread.
    pub(super) fn start(path: &Path) -> Result<Self, StateError> {
        let mut queues = Vec::with_capacity(THREADS);
        for _ in 0..THREADS {
            let connection = connection::open_reader(path)?;
            let (sender, mut queue) = mpsc::channel::<Lookup>(QUEUE);
            let run = move || {
                while let Some(lookup) = queue.blocking_recv() {
                    lookup(&connection);
                }
            };
            std::thread::Builder::new().name("state-reader".into()).spawn(run).map_err(
                |error| StateError::Folder {
                    path: path.display().to_string(),
                    reason: error.to_string(),
                },
            )?;
            queues.push(sender);
        }
        Ok(Self { queues, next: Arc::default() })
    }

    /// Runs `lookup` on one of the threads. Cancel safe: a lookup changes nothing.
    pub(super) async fn read<T, F>(&self, lookup: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
    {
        let (ack, answer) = oneshot::channel();
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % THREADS;
        let queue = self.queues.get(turn).ok_or(StateError::Closed)?;
        let job: Lookup = Box::new(move |connection| drop(ack.send(lookup(connection))));
        queue.send(job).await.map_err(|_closed| StateError::Closed)?;
        answer.await.map_err(|_closed| StateError::Closed)?
    }
}
