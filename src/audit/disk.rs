//! The two calls by which the log's bytes reach the disk, so that a test can make them fail, and whether they reach a file
//! that anybody will find.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;

/// Writes and syncs files; every byte of the log passes here.
pub(super) trait Disk: Send + Sync + std::fmt::Debug {
    /// Writes all bytes at the position.
    fn write(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        file.write_all_at(bytes, position)
    }

    /// Returns when the file's bytes are durable.
    fn sync(&self, file: &File) -> io::Result<()> {
        rustix::fs::fdatasync(file).map_err(io::Error::from)
    }
}

/// A file that must stand in its place as long as a log is written: what goes on being written to a file that was
/// removed, or stands in a folder that was moved away, is in no log that anybody will ever read.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    /// That of this open file.
    pub(super) fn of(path: PathBuf, file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self { path, device: meta.dev(), inode: meta.ino() })
    }

    /// Whether it is there still, and has at least so many bytes.
    pub(super) fn check(&self, bytes: u64) -> io::Result<()> {
        let found = std::fs::metadata(&self.path);
        let is_same = |meta: &Metadata| {
            (meta.dev(), meta.ino()) == (self.device, self.inode) && meta.len() >= bytes
        };
        if found.is_ok_and(|meta| is_same(&meta)) {
            return Ok(());
        }
        let what = "was removed, replaced or cut while the gate writes the log; stop the gate, put the log's folder back as it was, \
                    and start it again";
        Err(io::Error::other(format!("`{}` {what}", self.path.display())))
    }
}

/// The machine's disk.
#[derive(Debug)]
pub(super) struct SystemDisk;

impl Disk for SystemDisk {}
