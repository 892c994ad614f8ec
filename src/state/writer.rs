//! The one thread that writes: it takes what waits, runs it in one transaction and acknowledges
//! only after the commit, so that many callers share one `fsync`.
//!
//! Each piece of work has a savepoint of its own: one that fails does not undo its neighbours. A
//! commit that fails is told to all of them, and the next one starts afresh.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::condition::{self, Condition};
use super::{StateError, connection};

/// How many pieces of work may wait.
const QUEUE: usize = 1024;
/// How many pieces of work share one commit at most.
const BATCH: usize = 128;

/// Runs inside the transaction, or learns why there is none, and gives what shall be told once the
/// commit is known.
type Work = Box<dyn FnOnce(Result<&Connection, StateError>) -> Told + Send>;

struct Told {
    /// Why the work itself failed; its savepoint is then rolled back.
    failure: Option<StateError>,
    tell: Box<dyn FnOnce(Result<(), StateError>) + Send>,
}

/// The sending side of the writer's queue.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Work>,
    condition: Arc<Condition>,
}

impl Writer {
    /// Starts the thread; it ends when the last `Writer` is dropped and the queue is empty.
    ///
    /// # Errors
    /// [`StateError::Folder`] if the system gives no thread.
    pub(super) fn start(connection: Connection, path: PathBuf) -> Result<Self, StateError> {
        let (sender, queue) = mpsc::channel(QUEUE);
        let condition = Arc::new(Condition::new());
        let written = Loop {
            connection: Some(connection),
            path: path.clone(),
            condition: Arc::clone(&condition),
        };
        let shown = path.display().to_string();
        std::thread::Builder::new()
            .name("state-writer".into())
            .spawn(move || written.run(queue))
            .map_err(|error| StateError::Folder { path: shown, reason: error.to_string() })?;
        Ok(Self { queue: sender, condition })
    }

    /// Whether commits fail, or hang.
    pub(super) fn is_failing(&self) -> bool {
        self.condition.is_failing()
    }

    /// Writes something on trial. Only this says that commits fail no more.
    pub(super) async fn write_on_trial(&self) -> Result<(), StateError> {
        let (ack, answer) = oneshot::channel();
        let condition = Arc::clone(&self.condition);
        let job = acknowledged(condition::write_on_trial, move |outcome| {
            // Here, on the writer's thread: no other commit can have failed in between.
            if outcome.is_ok() {
                condition.heals();
            }
            drop(ack.send(outcome));
        });
        self.queue.send(job).await.map_err(|_closed| StateError::Closed)?;
        answer.await.map_err(|_closed| StateError::Closed)?
    }

    /// Runs `work` in a transaction and resolves when it is durable.
    ///
    /// Cancel safety: dropped before it was queued, nothing happens; after that, the write happens.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
    {
        let (ack, answer) = oneshot::channel();
        let job = acknowledged(work, move |outcome| drop(ack.send(outcome)));
        self.queue.send(job).await.map_err(|_closed| StateError::Closed)?;
        answer.await.map_err(|_closed| StateError::Closed)?
    }

    /// Queues `work` without waiting for it; nothing happens if the queue is full.
    pub(super) fn write_sometime<F>(&self, work: F)
    where
        F: FnOnce(&Connection) -> Result<(), StateError> + Send + 'static,
    {
        let report = |outcome: Result<(), StateError>| {
            if let Err(error) = outcome {
                tracing::warn!(%error, "a write that nobody waits for failed");
            }
        };
        if self.queue.try_send(acknowledged(work, report)).is_err() {
            tracing::debug!(
                "the queue of writes is full; a write that nobody waits for is left out"
            );
        }
    }
}

fn acknowledged<T, F, A>(work: F, acknowledge: A) -> Work
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, StateError> + Send + 'static,
    A: FnOnce(Result<T, StateError>) + Send + 'static,
{
    Box::new(move |connection| {
        let outcome = connection.and_then(work);
        let failure = outcome.as_ref().err().cloned();
        let tell = Box::new(move |commit: Result<(), StateError>| {
            // The work's own error says more than that of the commit.
            acknowledge(outcome.and_then(|value| commit.map(|()| value)));
        });
        Told { failure, tell }
    })
}

struct Loop {
    /// `None` after a fault that only a new connection can heal.
    connection: Option<Connection>,
    path: PathBuf,
    condition: Arc<Condition>,
}

impl Loop {
    fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
            self.commit(&mut batch);
        }
    }

    fn commit(&mut self, batch: &mut Vec<Work>) {
        let mut told = Vec::with_capacity(batch.len());
        self.condition.begins();
        let committed = self.connection().and_then(|connection| {
            connection.execute_batch("BEGIN IMMEDIATE")?;
            run_all(connection, batch, &mut told)?;
            Ok(connection.execute_batch("COMMIT")?)
        });
        // Before anybody is told: who comes after them shall not begin what fails in the same way.
        self.condition.ends(committed.is_ok());
        if let Err(error) = &committed {
            tracing::error!(%error, "a commit of the state failed; its writers are told");
            self.roll_back();
            told.extend(batch.drain(..).map(|work| work(Err(error.clone()))));
        }
        for one in told {
            (one.tell)(committed.clone());
        }
    }

    fn connection(&mut self) -> Result<&Connection, StateError> {
        let open = match self.connection.take() {
            Some(open) => open,
            None => connection::open_writer(&self.path)?,
        };
        Ok(self.connection.insert(open))
    }

    /// Leaves no transaction open behind a failed commit; SQLite may have ended it already.
    fn roll_back(&mut self) {
        let Some(connection) = &self.connection else { return };
        if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            self.connection = None;
        }
    }
}

/// Runs the works, each in its savepoint; those that a fault kept from running stay in `batch`.
fn run_all(
    connection: &Connection,
    batch: &mut Vec<Work>,
    told: &mut Vec<Told>,
) -> Result<(), StateError> {
    batch.reverse();
    while let Some(work) = batch.pop() {
        connection.execute_batch("SAVEPOINT work")?;
        let one = work(Ok(connection));
        let failure = one.failure.clone();
        told.push(one);
        if let Some(failure) = failure {
            // A full or failing disk makes SQLite end the whole transaction, not only the savepoint.
            if connection.is_autocommit() {
                return Err(failure);
            }
            connection.execute_batch("ROLLBACK TO work")?;
        }
        connection.execute_batch("RELEASE work")?;
    }
    Ok(())
}
