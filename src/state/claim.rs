//! The claim of the one gate that serves on a state folder: it counts in memory, and would not see what another one gives out.
//!
//! Whoever writes beside it (`menshen account`) takes no claim.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::StateError;

/// The name of the file that is locked. It stays, empty; only the locks say something, and end with the process.
const FILE: &str = "lock";

/// Held for as long as a gate serves on a folder.
#[derive(Debug)]
pub struct Claim {
    _file: File,
    /// Where the file system locks folders.
    _folder: Option<File>,
}

impl Claim {
    /// Takes the folder, which is made if it is missing, or says that another gate has it: by a file, and by the folder itself,
    /// since a file can be removed and another one locked in its place.
    ///
    /// # Errors
    /// [`StateError::Claimed`], or [`StateError::Folder`].
    pub fn take(dir: &Path) -> Result<Self, StateError> {
        let shown = || dir.display().to_string();
        let fault =
            |error: std::io::Error| StateError::Folder { path: shown(), reason: error.to_string() };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fault)?;
        let mut private = OpenOptions::new();
        private.create(true).truncate(false).write(true).mode(0o600);
        let file = private.open(dir.join(FILE)).map_err(fault)?;
        let folder = File::open(dir).map_err(fault)?;
        let is_locked = match folder.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => return Err(StateError::Claimed(shown())),
            Err(TryLockError::Error(_)) => false,
        };
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file, _folder: is_locked.then_some(folder) }),
            Err(TryLockError::WouldBlock) => Err(StateError::Claimed(shown())),
            Err(TryLockError::Error(error)) => Err(fault(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_gate_has_a_folder_and_whoever_comes_after_it_has_it_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        let one = Claim::take(&folder).unwrap();
        let other = Claim::take(&folder).unwrap_err();
        assert_eq!(other, StateError::Claimed(folder.display().to_string()));
        std::fs::remove_file(folder.join(FILE)).unwrap();
        assert!(Claim::take(&folder).is_err(), "the folder is locked, not only a file in it");
        drop(one);
        // The file is still there, as after a crash.
        assert!(folder.join(FILE).exists());
        Claim::take(&folder).unwrap();
    }
}
