//! Where backups are kept: folders, and stores that speak S3.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tokio::runtime::Handle;

use super::BackupError;
use super::part::{MANIFEST, MOST_BYTES};
use crate::clock::Clock;
use crate::ship::{Bucket, S3Settings};

/// One place, by the operator's name for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceSettings {
    /// Its name.
    pub name: String,
    /// The place.
    pub place: Place,
}

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A store that speaks S3.
    S3(Box<S3Settings>),
}

/// A backup that was finished.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// When it was made, in Unix seconds.
    pub at_s: i64,
    /// Its name, `NODE-YYYYMMDDTHHMMSSZ`.
    pub name: String,
}

impl Found {
    /// The name of a node's backup of this moment.
    pub(super) fn name_of(node: &str, at_s: i64) -> String {
        let time = jiff::Timestamp::from_second(at_s).unwrap_or_default();
        let safe =
            |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
        let node: String = node.chars().map(safe).collect();
        format!("{node}-{}", time.strftime("%Y%m%dT%H%M%SZ"))
    }

    /// Whether the backup of this name is of this node.
    #[must_use]
    pub fn is_of(backup: &str, node: &str) -> bool {
        Self::parse(backup).is_some_and(|found| Self::name_of(node, found.at_s) == backup)
    }

    /// What a name says of it.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (_, time) = name.rsplit_once('-')?;
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
        let at_s = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        name.chars().all(is_plain).then(|| Self { at_s, name: name.to_owned() })
    }
}

/// A place that is being worked with. Everything blocks, on a thread for that.
#[derive(Debug)]
pub(super) struct Shelf<'a> {
    pub(super) place: &'a Place,
    pub(super) clock: &'a Clock,
    pub(super) runtime: &'a Handle,
}

impl Place {
    /// The finished backups of all nodes that are here, the oldest first. Blocks.
    ///
    /// # Errors
    /// [`BackupError`]
    pub fn found(&self, clock: &Clock, runtime: &Handle) -> Result<Vec<Found>, BackupError> {
        Shelf { place: self, clock, runtime }.found()
    }
}

impl Shelf<'_> {
    pub(super) fn put(&self, object: &str, bytes: &[u8]) -> Result<(), BackupError> {
        match self.place {
            Place::Folder(folder) => {
                let path = folder.join(object);
                write(&path, bytes).map_err(|source| BackupError::file(&path, source))
            }
            Place::S3(store) => {
                let put = Bucket::new(store);
                let put = put.put(object, bytes.to_vec(), self.clock.unix_s());
                Ok(self.runtime.block_on(put)?)
            }
        }
    }

    pub(super) fn get(&self, object: &str) -> Result<Option<Vec<u8>>, BackupError> {
        match self.place {
            Place::Folder(folder) => {
                let path = folder.join(object);
                match read(&path) {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(BackupError::file(&path, source)),
                }
            }
            Place::S3(store) => {
                let got = Bucket::new(store);
                let got = got.get(object, MOST_BYTES, self.clock.unix_s());
                Ok(self.runtime.block_on(got)?)
            }
        }
    }

    /// The finished backups that are here, the oldest first.
    pub(super) fn found(&self) -> Result<Vec<Found>, BackupError> {
        Ok(self
            .listed()?
            .into_iter()
            .filter(|(_, is_whole)| *is_whole)
            .map(|(one, _)| one)
            .collect())
    }

    /// Those that were begun and not finished.
    pub(super) fn unfinished(&self) -> Result<Vec<Found>, BackupError> {
        Ok(self
            .listed()?
            .into_iter()
            .filter(|(_, is_whole)| !is_whole)
            .map(|(one, _)| one)
            .collect())
    }

    /// All that are here, and whether each was finished, the oldest first.
    fn listed(&self) -> Result<BTreeMap<Found, bool>, BackupError> {
        let mut listed = BTreeMap::new();
        match self.place {
            Place::Folder(folder) => {
                let fault = |source| BackupError::file(folder, source);
                let entries = match fs::read_dir(folder) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listed),
                    entries => entries.map_err(fault)?,
                };
                for entry in entries {
                    let entry = entry.map_err(fault)?;
                    let found = Found::parse(&entry.file_name().to_string_lossy());
                    if let Some(found) = found.filter(|_| entry.path().is_dir()) {
                        listed.insert(found, entry.path().join(MANIFEST).is_file());
                    }
                }
            }
            Place::S3(store) => {
                let bucket = Bucket::new(store);
                for object in self.runtime.block_on(bucket.list("", self.clock.unix_s()))? {
                    let Some((name, part)) = object.split_once('/') else { continue };
                    if let Some(found) = Found::parse(name) {
                        *listed.entry(found).or_default() |= part == MANIFEST;
                    }
                }
            }
        }
        Ok(listed)
    }

    /// Removes a backup, its manifest first.
    pub(super) fn remove(&self, name: &str) -> Result<(), BackupError> {
        match self.place {
            Place::Folder(folder) => {
                let manifest = folder.join(name).join(MANIFEST);
                fs::remove_file(&manifest)
                    .map_err(|source| BackupError::file(&manifest, source))?;
            }
            Place::S3(store) => {
                let (bucket, now_s) = (Bucket::new(store), self.clock.unix_s());
                self.runtime.block_on(bucket.remove(&format!("{name}/{MANIFEST}"), now_s))?;
            }
        }
        self.clear(name)
    }

    /// Removes what there is of a backup that has no manifest.
    pub(super) fn clear(&self, name: &str) -> Result<(), BackupError> {
        match self.place {
            Place::Folder(folder) => {
                let dir = folder.join(name);
                fs::remove_dir_all(&dir).map_err(|source| BackupError::file(&dir, source))
            }
            Place::S3(store) => {
                let (bucket, now_s) = (Bucket::new(store), self.clock.unix_s());
                let objects = self.runtime.block_on(bucket.list(&format!("{name}/"), now_s))?;
                for object in objects {
                    self.runtime.block_on(bucket.remove(&object, now_s))?;
                }
                Ok(())
            }
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = path.with_extension("tmp");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > MOST_BYTES as u64 {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than a part"));
    }
    fs::read(path)
}
