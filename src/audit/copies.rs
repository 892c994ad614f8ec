//! Copies of the checkpoint in a second place, which the log's own folder cannot take back.
//!
//! Each copy is a file of its own, named by the number of entries, and never written again. A log that is
//! shorter than a copy says was cut off or rolled back, and is not opened.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use super::fault::{Broken, Fault};
use super::folder::sync_folder;
use super::note::{Checkpoint, MAX_NOTE_BYTES, Verifier};

/// Where copies go, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySettings {
    /// The folder; best one that those who write the log cannot write.
    pub folder: PathBuf,
    /// How long a checkpoint may wait to be copied.
    pub every: Duration,
}

/// Makes copies.
#[derive(Debug)]
pub(super) struct Copies {
    settings: CopySettings,
    /// When the last one was made, and of how many entries.
    last: Option<(Duration, u64)>,
}

impl Copies {
    pub(super) fn new(settings: CopySettings) -> Self {
        Self { settings, last: None }
    }

    /// The newest copy, if there is one, and whether the log is at least as long.
    ///
    /// # Errors
    /// [`Fault::Shorter`], or a copy that is not of this log.
    pub(super) fn check(&self, verifier: &Verifier, entries: u64) -> Result<(), Broken> {
        let Some((name, note)) = self.newest() else { return Ok(()) };
        let shown = self.settings.folder.join(&name).display().to_string();
        let copy = verifier.open(&note);
        let copy = copy.map_err(|e| Broken::new(&shown, None, Fault::Checkpoint(e)))?;
        if copy.size > entries {
            let size = copy.size;
            return Err(Broken::new(shown, entries, Fault::Shorter { entries, size }));
        }
        Ok(())
    }

    fn newest(&self) -> Option<(String, Vec<u8>)> {
        let listed = fs::read_dir(&self.settings.folder).ok()?;
        let names = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let newest = names.filter(|name| name.parse::<u64>().is_ok()).max()?;
        let path = self.settings.folder.join(&newest);
        if fs::metadata(&path).ok()?.len() > MAX_NOTE_BYTES as u64 {
            return Some((newest, Vec::new()));
        }
        let note = fs::read(path).ok()?;
        Some((newest, note))
    }

    /// Copies the checkpoint if that is due: some time after the last, or at the end.
    pub(super) fn copy(
        &mut self,
        checkpoint: &Checkpoint,
        note: &[u8],
        now: Duration,
        is_last: bool,
    ) -> io::Result<()> {
        let is_due = match self.last {
            None => true,
            Some((_, size)) if size == checkpoint.size => false,
            Some((at, _)) => is_last || now.saturating_sub(at) >= self.settings.every,
        };
        if is_due {
            self.put(checkpoint.size, note)?;
            self.last = Some((now, checkpoint.size));
        }
        Ok(())
    }

    fn put(&self, size: u64, note: &[u8]) -> io::Result<()> {
        let folder = &self.settings.folder;
        fs::create_dir_all(folder)?;
        let (path, temporary) = (folder.join(format!("{size:020}")), folder.join("new.tmp"));
        if path.try_exists()? {
            return Ok(());
        }
        let mut file = File::create(&temporary)?;
        file.write_all(note)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder(folder)
    }
}
