//! The front door of a log that is being written: open it, append to it, ask how it is, close it.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::at_rest::{AtRest, DayKeys, Opener, RestError, RestKey, Rewrapped, Tenants, rewrap};
use super::copies::{Copies, CopySettings};
use super::disk::{Disk, SystemDisk};
use super::entry::{Entry, EntryError, EntryId, Moment, Stamp};
use super::fault::Broken;
use super::folder::Folder;
use super::follow::{Feed, Follower};
use super::groups::{Act, Event};
use super::journal::Journal;
use super::note::{NoteError, Signer, Verifier};
use super::publish::Publisher;
use super::reader::Reader;
use super::recover::{self, Recovered, Recovery};
use super::retention::{self, Hold, Periods, Swept, Tended};
use super::shared::Shared;
use super::writer::Writer;
use crate::clock::Clock;
use crate::secret::{MasterKey, SecretError};

/// How long an entry may take to become durable.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a log cannot be opened, or an entry not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process writes this log.
    #[error("log `{0}`: another menshen writes it; stop that one or choose another folder")]
    Locked(String),
    /// The system refused a file operation on opening.
    #[error("log `{path}`: {source}")]
    Folder {
        /// The folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The log does not hold; nothing is written to it.
    #[error(
        "log `{path}`: {broken}; look into it with `menshen log verify`, nothing is written to a broken log"
    )]
    Broken {
        /// The folder.
        path: String,
        /// What and where.
        broken: Broken,
    },
    /// The log's name cannot be used.
    #[error(transparent)]
    Name(#[from] NoteError),
    /// The keys that entries are sealed under cannot be used.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The keys could not be derived.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The entry cannot be written.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The disk refused. The entry is not recorded; the next one tries again.
    #[error("the log cannot be written: {0}")]
    Unavailable(Arc<io::Error>),
    /// More entries wait than the queue may hold. The entry is not recorded.
    #[error("the log cannot keep up: its queue is full")]
    Overloaded,
    /// The disk neither takes the entry nor refuses it. It may still be recorded later.
    #[error("the log did not take an entry within {} s", .0.as_secs())]
    Slow(Duration),
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The log's name for ever: it stands in every checkpoint. Visible characters without `+`.
    pub origin: String,
    /// The name of this node in entries.
    pub node: String,
    /// Entries that may wait for the disk; as many again for detached ones.
    pub queue_entries: usize,
    /// Memory of entries that wait for the disk, about, in bytes; as much again for detached ones.
    pub queue_bytes: usize,
    /// The size of a segment of the journal, 64 KiB to 64 MiB.
    pub segment_bytes: u64,
    /// Tiles and checkpoint are at most this far behind, if the disk allows.
    pub publish_interval: Duration,
    /// How the entries are kept.
    pub at_rest: AtRest,
    /// Where copies of the checkpoint go.
    pub copies: Option<CopySettings>,
    /// Where appended entries go.
    pub sink: Sink,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            origin: String::from("menshen.log"),
            node: String::from("menshen"),
            queue_entries: 4096,
            queue_bytes: 32 * 1024 * 1024,
            segment_bytes: 4 * 1024 * 1024,
            publish_interval: Duration::from_secs(1),
            at_rest: AtRest::default(),
            copies: None,
            sink: Sink::Folder,
        }
    }
}

/// Where appended entries go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sink {
    /// Into the log's folder.
    #[default]
    Folder,
    /// Nowhere: each is acknowledged at once and forgotten. For measuring what the log costs; no program has it.
    #[cfg(feature = "unrecorded")]
    Nowhere,
}

/// Says that an entry is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its place in the log.
    pub index: u64,
    /// Its id.
    pub id: EntryId,
}

/// How the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the last write succeeded and no outcome is missing from the log.
    pub is_healthy: bool,
    /// What the disk said, if the last write failed.
    pub failure: Option<String>,
    /// What the disk said, if tiles and checkpoint cannot follow; entries are durable none the less.
    pub publish_failure: Option<String>,
    /// Detached entries that could not be queued since the log was opened.
    pub missed: u64,
    /// Durable entries.
    pub durable: u64,
    /// Entries that the checkpoint covers.
    pub published: u64,
    /// Entries that wait for the disk.
    pub queued: usize,
}

/// A log that is being written. Clones write to the same log.
#[derive(Clone, Debug)]
pub struct Log {
    owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    verifier: Verifier,
    folder: Folder,
    opener: Opener,
    signer: Arc<Signer>,
    disk: Arc<dyn Disk>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    swept: Mutex<Swept>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl Log {
    /// Opens the log in `dir`, or begins one, and recovers what a crash left behind.
    ///
    /// Takes an exclusive lock on the folder and starts two threads: one writes, one publishes.
    /// Reads the journal and the right edge of the tree, not the whole log.
    ///
    /// # Errors
    /// [`LogError::Locked`], [`LogError::Folder`], [`LogError::Broken`] if what is there does not
    /// hold, [`LogError::Name`], [`LogError::Secret`].
    pub fn open(
        dir: &Path,
        settings: Settings,
        clock: Clock,
        keys: &MasterKey,
    ) -> Result<(Self, Recovery), LogError> {
        Self::open_on(Arc::new(SystemDisk), dir, settings, clock, keys)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        settings: Settings,
        clock: Clock,
        keys: &MasterKey,
    ) -> Result<(Self, Recovery), LogError> {
        let seed = keys.derive("audit-checkpoint")?;
        let signer = Arc::new(Signer::new(&settings.origin, seed.expose())?);
        let folder = Folder::new(dir);
        let failed = |source| LogError::Folder { path: dir.display().to_string(), source };
        // Whom the log names is sealed, but who looked and when is for reviewers only.
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700).create(folder.journal()).map_err(failed)?;
        let lock = lock(&folder)?;
        folder.remove_temporary().map_err(failed)?;
        let recovered = recover::recover(&folder, disk.as_ref(), &signer)?;
        let mut report = recovered.report.clone();
        let copies = settings.copies.clone().map(Copies::new);
        let checked = copies.as_ref().map(|copies| copies.check(signer.verifier(), report.entries));
        checked
            .transpose()
            .map_err(|broken| LogError::Broken { path: dir.display().to_string(), broken })?;
        let rest = rest_key(&settings.at_rest, keys)?;
        let opener = Opener::new(dir, rest.iter().cloned().collect());
        let now = Moment(clock.unix_ms());
        let day_keys = rest.map(|rest| DayKeys::open(folder.clone(), Arc::clone(&disk), rest, now));
        let day_keys = day_keys.transpose()?;
        report.keys_missing = day_keys.as_ref().map_or(0, DayKeys::lost);
        let (durable, covered) = (recovered.frontier.size(), recovered.published.edge.size());
        let segment_bytes = settings.segment_bytes.clamp(64 * 1024, 64 * 1024 * 1024);
        let shared = Arc::new(Shared::new(settings, clock, day_keys, durable, covered));
        let journal = Journal::new(folder.clone(), Arc::clone(&disk), segment_bytes);
        let log =
            Self::start(disk, folder, lock, shared, (journal, opener, copies), signer, recovered);
        let log = log.map_err(failed)?;
        log.tell_found("torn_tail_removed", report.torn_bytes)?;
        log.tell_found("keys_missing", report.keys_missing.into())?;
        if report.keys_missing > 0 {
            tracing::error!(
                keys = report.keys_missing,
                log = %dir.display(),
                "keys of the log are missing, what they open cannot be read: put those that are not there back from a copy of `keys`"
            );
        }
        Ok((log, report))
    }

    /// Has the log itself say what was found on opening it.
    fn tell_found(&self, name: &str, count: u64) -> Result<(), LogError> {
        if count > 0 {
            let mut entry = self.entry(Event::Custody)?;
            entry.act = Some(Act { name: name.into(), count: Some(count), ..Act::default() });
            self.append_detached(entry);
        }
        Ok(())
    }

    fn start(
        disk: Arc<dyn Disk>,
        folder: Folder,
        lock: Claim,
        shared: Arc<Shared>,
        (journal, opener, copies): (Journal, Opener, Option<Copies>),
        signer: Arc<Signer>,
        recovered: Recovered,
    ) -> io::Result<Self> {
        let Recovered { published, frontier, report: _ } = recovered;
        let verifier = signer.verifier().clone();
        let writer =
            Writer { shared: Arc::clone(&shared), journal, frontier, signer: Arc::clone(&signer) };
        let publisher = Publisher {
            shared: Arc::clone(&shared),
            folder,
            disk: Arc::clone(&disk),
            verifier: verifier.clone(),
            published,
            lock,
            copies,
        };
        // Made first, so that the first thread ends again if the second cannot be started.
        let (folder, threads) = (Folder::new(opener.dir()), Mutex::default());
        let swept = Mutex::default();
        let owner = Owner { shared, verifier, folder, opener, signer, disk, threads, swept };
        let log = Self { owner: Arc::new(owner) };
        log.spawn("log-writer", move || writer.run())?;
        log.spawn("log-publisher", move || publisher.run())?;
        Ok(log)
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        self.threads().push(thread);
        Ok(())
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.owner.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that checks this log's checkpoints.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.owner.verifier
    }

    /// Reads this log from entry `first` on, while it is being written: what is durable by then.
    #[must_use]
    pub fn reader(&self, first: u64) -> Reader {
        let opener = self.owner.opener.clone();
        Reader::new(self.owner.opener.dir(), first, opener)
    }

    /// From now on, has callers of each of these tenants be recorded under keys of their own, so that the entries can be
    /// kept for a time of their own. Their keys of this day and the next are there when it returns. Blocks.
    ///
    /// # Errors
    /// What the disk says; it is tried again then.
    pub fn tell_tenants(&self, names: &[String]) -> Result<(), LogError> {
        let tenants = names.iter().map(|name| Tenants::new([name.as_str()], false)).collect();
        Ok(self.owner.shared.name_tenants(tenants)?)
    }

    /// Announces what will go, destroys what is due and not held, and records both. Blocks.
    ///
    /// To be asked every hour or so, by one at a time. Reads the file of every key.
    ///
    /// # Errors
    /// What the disk or the log says; the next round goes on where this one ended.
    pub fn tend_retention(&self, periods: &Periods, holds: &[Hold]) -> Result<Tended, LogError> {
        let Owner { folder, signer, disk, .. } = self.owner.as_ref();
        let keeper = Keeper { log: self, folder, signer, disk: disk.as_ref() };
        retention::tend(&keeper, periods, holds)
    }

    /// A new id, the time, this node.
    ///
    /// # Errors
    /// [`LogError::Secret`] if the system has no randomness to give.
    pub fn stamp(&self) -> Result<Stamp, LogError> {
        self.owner.shared.stamp()
    }

    /// An entry with nothing but its envelope, to be filled and appended.
    ///
    /// # Errors
    /// As [`Log::stamp`].
    pub fn entry(&self, event: Event) -> Result<Entry, LogError> {
        Ok(Entry::new(event, self.stamp()?))
    }

    /// Records an entry; the future ends when it is durable.
    ///
    /// The entry is queued by the call, not by the first poll: a future that is dropped, at any
    /// time, is still written.
    ///
    /// # Errors
    /// The future gives [`LogError::Unavailable`], [`LogError::Overloaded`], [`LogError::Closed`] or
    /// [`LogError::Entry`]; in each case the entry is not recorded. It gives [`LogError::Slow`] if the
    /// disk hangs, and then the entry may be recorded all the same.
    pub fn append(
        &self,
        entry: Entry,
    ) -> impl Future<Output = Result<Receipt, LogError>> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        let shared = &self.owner.shared;
        let forgotten = shared.forgets().then_some(Receipt { index: 0, id: entry.id });
        let queued = match forgotten {
            Some(_) => Ok(()),
            None => shared.item(entry, Some(sender)).and_then(|item| shared.queue.push(item)),
        };
        async move {
            if let Some(receipt) = forgotten {
                return Ok(receipt);
            }
            queued?;
            match tokio::time::timeout(PATIENCE, receiver).await {
                Ok(told) => told.unwrap_or(Err(LogError::Closed)),
                Err(_elapsed) => Err(LogError::Slow(PATIENCE)),
            }
        }
    }

    /// Records an entry that nobody waits for, such as an outcome from a destructor; never blocks.
    ///
    /// It has a share of the queue of its own and is tried until it is written. If even that share
    /// is full, the entry is counted as missed, the log is unhealthy, and says so in an entry as
    /// soon as it can be written again.
    pub fn append_detached(&self, entry: Entry) {
        let shared = &self.owner.shared;
        if shared.forgets() {
            return;
        }
        let event = entry.event;
        let queued = shared.item(entry, None).and_then(|item| shared.queue.push(item));
        if let Err(error) = queued {
            tracing::error!(%error, %event, "an entry of the log is missed");
            shared.missed(1);
        }
    }

    /// What becomes durable from now on, at hand in memory.
    #[must_use]
    pub fn feed(&self) -> Feed {
        Feed::new(&self.owner.shared)
    }

    /// Reads on from entry `next`, also what was appended before, and goes on as entries become durable.
    #[must_use]
    pub fn follow(&self, next: u64) -> Follower {
        let Owner { shared, opener, .. } = &*self.owner;
        Follower::new(Arc::clone(shared), opener.clone(), next)
    }

    /// How the log is.
    #[must_use]
    pub fn health(&self) -> Health {
        let shared = &self.owner.shared;
        let queued = shared.queue.len();
        let state = shared.state();
        Health {
            is_healthy: state.failure.is_none() && state.missed == 0,
            failure: state.failure.as_ref().map(ToString::to_string),
            publish_failure: state.publish_failure.clone(),
            missed: state.missed_ever,
            durable: state.durable,
            published: state.published,
            queued,
        }
    }

    /// Writes what waits, publishes it, releases the folder. Blocks until done.
    ///
    /// Entries appended afterwards are refused with [`LogError::Closed`].
    pub fn close(&self) {
        self.owner.shared.queue.close();
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the log ended by a panic");
            }
        }
    }
}

/// What retention needs of a log.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    log: &'a Log,
    pub(super) folder: &'a Folder,
    pub(super) signer: &'a Signer,
    pub(super) disk: &'a dyn Disk,
}

impl Keeper<'_> {
    pub(super) fn now(&self) -> Moment {
        self.log.owner.shared.now()
    }

    /// What opens the keys of the log.
    pub(super) fn given(&self) -> &[RestKey] {
        self.log.owner.opener.given()
    }

    /// What the rounds of retention have been through; one round at a time holds it.
    pub(super) fn swept(&self) -> MutexGuard<'_, Swept> {
        self.log.owner.swept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn entries(&self) -> u64 {
        self.log.owner.shared.state().durable
    }

    pub(super) fn entry(&self, event: Event) -> Result<Entry, LogError> {
        self.log.entry(event)
    }

    /// Records an entry and returns when it is durable.
    pub(super) fn record(&self, entry: Entry) -> Result<(), LogError> {
        let (sender, receiver) = oneshot::channel();
        let shared = &self.log.owner.shared;
        shared.item(entry, Some(sender)).and_then(|item| shared.queue.push(item))?;
        receiver.blocking_recv().unwrap_or(Err(LogError::Closed)).map(drop)
    }
}

impl Log {
    /// Wraps the keys of the entries of the log in `dir` under another key, `to`; no gate may write it.
    ///
    /// # Errors
    /// [`LogError::Locked`], [`LogError::Folder`], or [`LogError::Rest`] if a key is under none of `from`;
    /// nothing is changed then.
    pub fn rewrap(dir: &Path, from: &[RestKey], to: &RestKey) -> Result<Rewrapped, LogError> {
        let _lock = lock(&Folder::new(dir))?;
        Ok(rewrap(dir, from, to)?)
    }
}

/// What wraps the keys of days; nothing for a legible log.
fn rest_key(at_rest: &AtRest, master: &MasterKey) -> Result<Option<RestKey>, SecretError> {
    match at_rest {
        AtRest::UnderMaster => RestKey::new(master).map(Some),
        AtRest::Under(own) => Ok(Some(own.clone())),
        AtRest::Legible => Ok(None),
    }
}

/// Held by whoever writes a log.
#[derive(Debug)]
pub(super) struct Claim {
    lock: File,
    /// None where the file system locks no folders.
    folder: Option<File>,
}

impl Claim {
    pub(super) fn release(&self) -> io::Result<()> {
        self.folder.as_ref().map_or(Ok(()), File::unlock)?;
        self.lock.unlock()
    }
}

/// Takes the file by which others see that somebody writes, and the folder itself: a file can be removed, and another one
/// locked in its place.
fn lock(folder: &Folder) -> Result<Claim, LogError> {
    let shown = folder.root().display().to_string();
    let failed = |source| LogError::Folder { path: shown.clone(), source };
    let opened = File::options().create(true).truncate(false).write(true).open(folder.lock());
    let (lock, root) = (opened.map_err(failed)?, File::open(folder.root()).map_err(failed)?);
    let folder = takes(&root);
    if !takes(&lock).map_err(failed)? || matches!(folder, Ok(false)) {
        return Err(LogError::Locked(shown));
    }
    Ok(Claim { lock, folder: folder.is_ok().then_some(root) })
}

/// Takes a lock; `false` if somebody else has it.
fn takes(file: &File) -> io::Result<bool> {
    // A verifier takes the lock for a moment, to see whether somebody writes.
    for _ in 0..5 {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
