//! Makes a backup: gathers, cuts into parts, seals, puts each part into every place, and the manifest last.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::runtime::Handle;

use super::part::{MANIFEST, Manifest, PART_BYTES, Parts, object};
use super::place::{Found, Shelf};
use super::porter::{Hanging, Porter};
use super::{BackupError, Settings};
use crate::audit::LogSnapshot;
use crate::audit::note::Verifier;
use crate::clock::Clock;
use crate::secret::MasterKey;
use crate::state::Store;

/// What a backup is made of.
#[derive(Debug)]
pub struct Maker {
    /// The node.
    pub node: String,
    /// The state.
    pub store: Store,
    /// The state's folder, in which its snapshot stands for a while.
    pub state: PathBuf,
    /// The log's folder.
    pub log: PathBuf,
    /// The key of its checkpoints.
    pub verifier: Verifier,
    /// The policy: a folder, or one file.
    pub policies: PathBuf,
    /// Single files, each under its name in the backup.
    pub files: Vec<(String, PathBuf)>,
    /// Whether the log has a key of its own.
    pub has_log_key: bool,
    /// The master key.
    pub master: MasterKey,
    /// The time.
    pub clock: Clock,
    /// Places that hang since an earlier backup.
    pub hanging: Hanging,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// Bytes before sealing.
    pub bytes: u64,
    /// Entries of the log.
    pub entries: u64,
    /// The places that have it.
    pub places: Vec<String>,
    /// The places that do not, and why.
    pub failed: Vec<(String, String)>,
    /// Old ones that were removed.
    pub removed: u64,
}

/// Makes one, and removes those whose time is over. Blocks, on a thread that may.
///
/// # Errors
/// [`BackupError`] if nothing could be read, or no place has it.
pub fn make(maker: &Maker, settings: &Settings, runtime: &Handle) -> Result<Made, BackupError> {
    let at_s = maker.clock.unix_s();
    let name = Found::name_of(&maker.node, at_s);
    let scratch = Scratch::make(&maker.state)?;
    let mut writer = Writer::begin(&name, maker, settings, runtime)?;
    // The state first: the log may know more than it, never less.
    let snapshot = scratch.0.join(Store::file_name());
    maker.store.snapshot_to(&snapshot)?;
    writer.file(&format!("state/{}", Store::file_name()), &snapshot)?;
    for (path, file) in policy_files(&maker.policies)?.iter().chain(&maker.files) {
        writer.file(path, file)?;
    }
    let fault = |source| BackupError::file(&maker.log, source);
    let log = LogSnapshot::take(&maker.log, &maker.verifier).map_err(fault)?;
    let entries = log.entries();
    for file in log.files() {
        let (path, bytes) = file.map_err(fault)?;
        writer.head(&format!("log/{path}"), bytes.len() as u64)?;
        writer.write(&bytes)?;
    }
    let made = writer.finish(maker, settings, entries, at_s)?;
    drop(scratch);
    Ok(made)
}

/// A folder that is gone when this is dropped; one backup has it at a time.
struct Scratch(PathBuf, #[expect(dead_code, reason = "holds the lock")] File);

impl Scratch {
    fn make(state: &Path) -> Result<Self, BackupError> {
        let (dir, lock) = (state.join("backup.tmp"), state.join("backup.lock"));
        let opened =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
        let file = opened.map_err(|source| BackupError::file(&lock, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy),
            Err(TryLockError::Error(source)) => return Err(BackupError::file(&lock, source)),
        }
        let fault = |source| BackupError::file(&dir, source);
        if dir.exists() {
            // Left behind by a crash.
            fs::remove_dir_all(&dir).map_err(fault)?;
        }
        DirBuilder::new().mode(0o700).create(&dir).map_err(fault)?;
        Ok(Self(dir, file))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "what a backup left in the state's folder could not be removed");
        }
    }
}

fn policy_files(policies: &Path) -> Result<Vec<(String, PathBuf)>, BackupError> {
    let fault = |source| BackupError::file(policies, source);
    let name = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        format!("policies/{}", name.unwrap_or_default())
    };
    if policies.is_file() {
        return Ok(vec![(name(policies), policies.to_owned())]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(policies).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_file() {
            files.push((name(&path), path));
        }
    }
    files.sort();
    Ok(files)
}

/// Writes the parts of one backup into all places.
struct Writer {
    name: String,
    parts: Parts,
    key: crate::secret::Secret<String>,
    porters: Vec<Porter>,
    failed: Vec<(String, String)>,
    part: Vec<u8>,
    next: u64,
    bytes: u64,
    files: u64,
}

impl Writer {
    fn begin(
        name: &str,
        maker: &Maker,
        settings: &Settings,
        runtime: &Handle,
    ) -> Result<Self, BackupError> {
        let (parts, key) = Parts::begin(name)?;
        let places = settings.places.iter();
        let porters = places.map(|one| Porter::start(one, &maker.hanging, (&maker.clock, runtime)));
        let mut writer = Self {
            name: name.to_owned(),
            parts,
            key,
            porters: porters.collect(),
            failed: Vec::new(),
            part: Vec::with_capacity(PART_BYTES),
            next: 0,
            bytes: 0,
            files: 0,
        };
        let (manifest, node) = (format!("{name}/{MANIFEST}"), maker.node.clone());
        let exists = Arc::new(AtomicBool::new(false));
        let found = Arc::clone(&exists);
        writer.everywhere(move |shelf| {
            if shelf.get(&manifest)?.is_some() {
                found.store(true, Ordering::Relaxed);
            }
            clear(shelf, &node);
            Ok(())
        })?;
        writer.settle()?;
        match exists.load(Ordering::Relaxed) {
            true => Err(BackupError::Exists(name.to_owned())),
            false => Ok(writer),
        }
    }

    /// Has it done in each place that has not failed yet.
    ///
    /// # Errors
    /// [`BackupError::Nowhere`] once no place is left.
    fn everywhere(
        &mut self,
        work: impl Fn(&Shelf<'_>) -> Result<(), BackupError> + Clone + Send + 'static,
    ) -> Result<(), BackupError> {
        self.keep(|porter| porter.give(Box::new(work.clone())))
    }

    /// Waits until all of that is done.
    ///
    /// # Errors
    /// As above.
    fn settle(&mut self) -> Result<(), BackupError> {
        self.keep(Porter::settle)
    }

    fn keep(&mut self, goes_on: impl Fn(&Porter) -> bool) -> Result<(), BackupError> {
        let failed = &mut self.failed;
        self.porters.retain(|porter| {
            let goes_on = goes_on(porter);
            if !goes_on {
                failed.push((porter.name.clone(), porter.failure()));
            }
            goes_on
        });
        if self.porters.is_empty() {
            let said: Vec<_> =
                self.failed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
            return Err(BackupError::Nowhere(said.join("; ")));
        }
        Ok(())
    }

    /// A file of the disk.
    fn file(&mut self, path: &str, file: &Path) -> Result<(), BackupError> {
        let fault = |source| BackupError::file(file, source);
        let mut opened = File::open(file).map_err(fault)?;
        let length = opened.metadata().map_err(fault)?.len();
        self.head(path, length)?;
        let (mut left, mut buffer) = (length, vec![0; 64 * 1024]);
        while left > 0 {
            let read = opened.read(&mut buffer).map_err(fault)?;
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(read);
            let Some(bytes) = buffer.get(..wanted).filter(|bytes| !bytes.is_empty()) else {
                let ended = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Err(fault(ended));
            };
            self.write(bytes)?;
            left -= bytes.len() as u64;
        }
        Ok(())
    }

    /// What comes before a file's bytes: the length of its path, the path, the number of bytes.
    fn head(&mut self, path: &str, length: u64) -> Result<(), BackupError> {
        let path_length = u16::try_from(path.len());
        let path_length = path_length.map_err(|_long| BackupError::Damaged(path.to_owned()))?;
        self.files += 1;
        self.write(&path_length.to_be_bytes())?;
        self.write(path.as_bytes())?;
        self.write(&length.to_be_bytes())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), BackupError> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = PART_BYTES.saturating_sub(self.part.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.len() >= PART_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BackupError> {
        let part = std::mem::take(&mut self.part);
        if part.is_empty() {
            return Ok(());
        }
        let sealed = self.parts.seal(self.next, &part)?;
        let object = object(&self.name, self.next);
        let sealed: Arc<[u8]> = sealed.into();
        self.everywhere(move |shelf| shelf.put(&object, &sealed))?;
        self.next += 1;
        Ok(())
    }

    fn finish(
        mut self,
        maker: &Maker,
        settings: &Settings,
        entries: u64,
        at_s: i64,
    ) -> Result<Made, BackupError> {
        self.flush()?;
        let manifest = Manifest {
            version: 1,
            node: maker.node.clone(),
            made_ms: at_s.saturating_mul(1000),
            parts: self.next,
            bytes: self.bytes,
            files: self.files,
            entries,
            has_log_key: maker.has_log_key,
            key: self.key.expose().clone(),
        };
        let sealed: Arc<[u8]> = manifest.seal(&self.name, &maker.master)?.into();
        let object = format!("{}/{MANIFEST}", self.name);
        self.everywhere(move |shelf| shelf.put(&object, &sealed))?;
        self.settle()?;
        let places = self.porters.iter().map(|porter| porter.name.clone()).collect();
        let removed = self.prune(maker, settings);
        let Self { name, bytes, failed, .. } = self;
        Ok(Made { name, bytes, entries, places, failed, removed })
    }

    /// Removes this node's backups whose time is over, from places that have the new one; never that one. A place that
    /// fails at this has the new one none the less.
    fn prune(&self, maker: &Maker, settings: &Settings) -> u64 {
        let keep_s = i64::try_from(settings.keep.as_secs()).unwrap_or(i64::MAX);
        let oldest = maker.clock.unix_s().saturating_sub(keep_s);
        let removed = Arc::new(AtomicU64::new(0));
        for porter in &self.porters {
            let (node, new) = (maker.node.clone(), self.name.clone());
            let removed = Arc::clone(&removed);
            porter.give(Box::new(move |shelf| {
                for old in shelf.found().unwrap_or_default() {
                    let is_own = old.name == Found::name_of(&node, old.at_s);
                    if !is_own || old.at_s >= oldest || old.name == new {
                        continue;
                    }
                    match shelf.remove(&old.name) {
                        Ok(()) => {
                            removed.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => tracing::error!(%error, "an old backup could not be removed"),
                    }
                }
                Ok(())
            }));
        }
        for porter in &self.porters {
            if !porter.settle() {
                tracing::error!(place = porter.name, "old backups could not be removed");
            }
        }
        removed.load(Ordering::Relaxed)
    }
}

/// Removes what earlier backups of this node left behind that were not finished: tried again and again, they would
/// fill the place.
fn clear(shelf: &Shelf<'_>, node: &str) {
    for left in shelf.unfinished().unwrap_or_default() {
        if left.name != Found::name_of(node, left.at_s) {
            continue;
        }
        if let Err(error) = shelf.clear(&left.name) {
            tracing::warn!(%error, "what an unfinished backup left behind could not be removed");
        }
    }
}
