//! A folder that a backup is being restored into. Everything comes out in a folder below it and stands in its place
//! only when all of it is verified and marked as restored: whatever a crash leaves, no gate starts on it unasked.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::BackupError;

/// Where it comes out. What stands there after a crash is of no use, and the next try removes it.
const UNFINISHED: &str = "unfinished-restore";
/// What goes to its place first: it says that it was restored.
const FIRST: &str = "state";

/// The folder.
#[derive(Debug)]
pub struct Fresh {
    into: PathBuf,
}

impl Fresh {
    /// Takes a folder that is empty or not there, or has only what an interrupted restore left.
    ///
    /// # Errors
    /// [`BackupError::NotEmpty`], or what the system says.
    pub fn begin(into: &Path) -> Result<Self, BackupError> {
        let fault = |source| BackupError::file(into, source);
        DirBuilder::new().recursive(true).mode(0o700).create(into).map_err(fault)?;
        for entry in fs::read_dir(into).map_err(fault)? {
            if entry.map_err(fault)?.file_name() != OsStr::new(UNFINISHED) {
                return Err(BackupError::NotEmpty(into.to_owned()));
            }
        }
        let fresh = Self { into: into.to_owned() };
        let work = fresh.work();
        if work.exists() {
            fs::remove_dir_all(&work).map_err(|source| BackupError::file(&work, source))?;
        }
        Ok(fresh)
    }

    /// Where the backup is to come out.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.into.join(UNFINISHED)
    }

    /// Puts everything in its place, the state first, which must be marked by now.
    ///
    /// # Errors
    /// What the system says; some of it may be in its place then.
    pub fn finish(self) -> Result<(), BackupError> {
        let work = self.work();
        sync(&work)?;
        let fault = |source| BackupError::file(&work, source);
        let mut names = vec![FIRST.into()];
        for entry in fs::read_dir(&work).map_err(fault)? {
            let name = entry.map_err(fault)?.file_name();
            names.extend((name != OsStr::new(FIRST)).then_some(name));
        }
        for name in names {
            let to = self.into.join(&name);
            let moved = fs::rename(work.join(&name), &to).and_then(|()| sync_folder(&self.into));
            moved.map_err(|source| BackupError::file(&to, source))?;
        }
        fs::remove_dir(&work).and_then(|()| sync_folder(&self.into)).map_err(fault)
    }
}

/// Has the disk know the names of all files below; their contents it has.
fn sync(dir: &Path) -> Result<(), BackupError> {
    let fault = |source| BackupError::file(dir, source);
    for entry in fs::read_dir(dir).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if entry.file_type().map_err(fault)?.is_dir() {
            sync(&entry.path())?;
        }
    }
    sync_folder(dir).map_err(fault)
}

fn sync_folder(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_left_is_removed_and_nothing_else_and_the_state_is_in_its_place_first() {
        let dir = tempfile::tempdir().unwrap();
        let into = dir.path().join("new");
        let fill = |fresh: &Fresh| {
            for name in ["log/tile", "state", "policies"] {
                fs::create_dir_all(fresh.work().join(name)).unwrap();
            }
            fs::write(fresh.work().join("state/menshen.db"), "marked").unwrap();
        };
        let names = || {
            let listed = fs::read_dir(&into).unwrap();
            let mut names: Vec<_> = listed.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let crashed = Fresh::begin(&into).unwrap();
        fill(&crashed);
        fs::write(crashed.work().join("half"), "").unwrap();
        assert_eq!(names(), ["unfinished-restore"]);
        let again = Fresh::begin(&into).unwrap();
        fill(&again);
        // Something in the way of the second: the state stands already.
        fs::create_dir_all(into.join("log/in-the-way")).unwrap();
        fs::create_dir_all(into.join("policies/in-the-way")).unwrap();
        assert!(again.finish().is_err());
        assert!(into.join("state/menshen.db").exists());
        assert!(matches!(Fresh::begin(&into), Err(BackupError::NotEmpty(_))));
        fs::remove_dir_all(&into).unwrap();
        let whole = Fresh::begin(&into).unwrap();
        fill(&whole);
        whole.finish().unwrap();
        assert_eq!(names(), ["log", "policies", "state"]);
    }
}
