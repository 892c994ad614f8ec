//! The way back: opens a backup part by part into a new folder, and verifies what came out.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use tokio::runtime::Handle;

use super::BackupError;
use super::part::{MANIFEST, Manifest, Parts, object};
use super::place::{Place, Shelf};
use crate::audit::note::Verifier;
use crate::audit::{check_keys, verify};
use crate::clock::Clock;
use crate::secret::MasterKey;
use crate::state::check_restored;

/// Which backup is wanted.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Where it is.
    pub place: &'a Place,
    /// Its name; without one the newest.
    pub name: Option<&'a str>,
    /// The master key that it was made under.
    pub master: &'a MasterKey,
    /// The time, which signatures to a store need.
    pub clock: &'a Clock,
}

/// What came back, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The backup's name.
    pub name: String,
    /// The node that it is of.
    pub node: String,
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// When it was made, in Unix milliseconds.
    pub made_ms: i64,
    /// Entries of the log, all verified.
    pub entries: u64,
    /// Local accounts.
    pub accounts: u64,
    /// Whether the log has a key of its own, which is not in the backup.
    pub has_log_key: bool,
}

/// Restores into `dir`, which is made; verifies the log's chain and the state. Blocks, on a thread that may.
///
/// # Errors
/// [`BackupError`]; what was written until then stays in `dir`, and is of no use.
pub fn restore(wanted: &Wanted<'_>, dir: &Path, runtime: &Handle) -> Result<Restored, BackupError> {
    let Wanted { place, name, master, clock } = wanted;
    let shelf = Shelf { place, clock, runtime };
    let name = match name {
        Some(name) => (*name).to_owned(),
        None => {
            let newest = shelf.found()?.pop().map(|found| found.name);
            newest.ok_or_else(|| BackupError::Missing("of any name".to_owned()))?
        }
    };
    let sealed = shelf.get(&format!("{name}/{MANIFEST}"))?;
    let sealed = sealed.ok_or_else(|| BackupError::Missing(name.clone()))?;
    let manifest = Manifest::open(&name, &sealed, master)?;
    make_new(dir)?;
    let parts = Parts::of(&name, &manifest)?;
    let mut unpacker = Unpacker::new(dir);
    for number in 0..manifest.parts {
        let object = object(&name, number);
        let sealed = shelf.get(&object)?;
        let sealed =
            sealed.ok_or_else(|| BackupError::Damaged(format!("`{object}` is missing")))?;
        unpacker.take(&parts.open(number, &sealed)?)?;
    }
    let files = unpacker.finish()?;
    if files != manifest.files {
        let said = format!("{files} files came out of it, not {}", manifest.files);
        return Err(BackupError::Damaged(said));
    }
    let entries = check_log(&dir.join("log"), manifest.entries)?;
    let accounts = check_restored(&dir.join("state"), master)?;
    let Manifest { node, made_ms, bytes, has_log_key, .. } = manifest;
    Ok(Restored { name, node, files, bytes, made_ms, entries, accounts, has_log_key })
}

/// Verifies the restored log from its first entry to its last.
fn check_log(log: &Path, wanted: u64) -> Result<u64, BackupError> {
    let key = log.join("verifier.key");
    let text = fs::read_to_string(&key).map_err(|source| BackupError::file(&key, source))?;
    let verifier: Verifier =
        text.trim_end().parse().map_err(|error| BackupError::Log(format!("its key: {error}")))?;
    let verified = verify(log, &verifier, None);
    let verified = verified.map_err(|broken| BackupError::Log(broken.to_string()))?;
    check_keys(log, &verifier, &verified.needed)
        .map_err(|broken| BackupError::Log(broken.to_string()))?;
    if verified.entries != wanted {
        let said = format!("{} entries came out of it, not {wanted}", verified.entries);
        return Err(BackupError::Log(said));
    }
    Ok(verified.entries)
}

fn make_new(dir: &Path) -> Result<(), BackupError> {
    let fault = |source| BackupError::file(dir, source);
    if dir.exists() && fs::read_dir(dir).map_err(fault)?.next().is_some() {
        return Err(BackupError::NotEmpty(dir.to_owned()));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fault)
}

/// A file that is being written, and how many of its bytes are to come.
struct Open {
    path: PathBuf,
    file: File,
    left: u64,
}

/// Takes the stream of parts apart into files.
struct Unpacker<'a> {
    dir: &'a Path,
    open: Option<Open>,
    /// The beginning of a head.
    waiting: Vec<u8>,
    files: u64,
}

impl<'a> Unpacker<'a> {
    fn new(dir: &'a Path) -> Self {
        Self { dir, open: None, waiting: Vec::new(), files: 0 }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend_from_slice(bytes);
        let mut rest = waiting.as_slice();
        loop {
            let Some(open) = &mut self.open else {
                let Some((path, left, used)) = head(rest)? else { break };
                let path = self.dir.join(path);
                let file = create(&path).map_err(|source| BackupError::file(&path, source))?;
                self.open = Some(Open { path, file, left });
                rest = rest.get(used..).unwrap_or_default();
                continue;
            };
            let fault = |source| BackupError::file(&open.path, source);
            let now = usize::try_from(open.left).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at(now);
            open.file.write_all(now).map_err(fault)?;
            open.left -= now.len() as u64;
            rest = later;
            if open.left > 0 {
                break;
            }
            open.file.sync_all().map_err(fault)?;
            self.files += 1;
            self.open = None;
        }
        self.waiting = rest.to_vec();
        Ok(())
    }

    fn finish(self) -> Result<u64, BackupError> {
        if self.open.is_none() && self.waiting.is_empty() {
            return Ok(self.files);
        }
        Err(BackupError::Damaged("it ends in the midst of a file".to_owned()))
    }
}

/// A file's path, its length, and how many bytes said so; nothing if they are not all here.
fn head(bytes: &[u8]) -> Result<Option<(PathBuf, u64, usize)>, BackupError> {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    let Some((path, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    let Some((size, _)) = rest.split_first_chunk::<8>() else { return Ok(None) };
    let path = PathBuf::from(String::from_utf8_lossy(path).into_owned());
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !is_below || path.as_os_str().is_empty() {
        return Err(BackupError::Damaged(format!("it has a file `{}`", path.display())));
    }
    Ok(Some((path, u64::from_be_bytes(*size), 2 + length + 8)))
}

fn create(path: &Path) -> std::io::Result<File> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
