//! The two calls by which the log's bytes reach the disk, so that a test can make them fail.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

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

/// The machine's disk.
#[derive(Debug)]
pub(super) struct SystemDisk;

impl Disk for SystemDisk {}
