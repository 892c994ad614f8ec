//! A file that grows by a line for each entry.
//!
//! It is opened for each batch, so whoever rotates files may do so at any time.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::ShipError;
use super::batch::Batch;
use super::carrier::blocking;

/// No entry's line is longer.
const LONGEST_LINE: u64 = 128 * 1024;

pub(super) async fn deliver(path: &Path, batch: &Batch) -> Result<(), ShipError> {
    let (path, lines) = (path.to_owned(), batch.lines());
    blocking(move || {
        let fault = |source| ShipError::File { path: path.display().to_string(), source };
        append(&path, &lines).map_err(fault)
    })
    .await
}

fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    let end = end_of_lines(&mut file)?;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    file.write_all(lines)?;
    file.sync_all()
}

/// Where the last whole line ends: a crash or a full disk may have left half of one, which is sent again.
fn end_of_lines(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LONGEST_LINE);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(LONGEST_LINE).read_to_end(&mut tail)?;
    match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(place) => Ok(from + place as u64 + 1),
        None if from == 0 => Ok(0),
        // No file of ours: nothing of it is cut off.
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "the file is not one of lines")),
    }
}
