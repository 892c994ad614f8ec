//! The folder of one demo: fresh, readable by its owner only, and gone at the end if it is ours.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::DemoError;
use crate::secret::random_token;

/// A folder that nothing else uses.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// The folder that the user named, which stays; else a new one below the system's temporary
    /// folder, which is removed when this value is dropped.
    pub(super) fn open(named: Option<&Path>) -> Result<Self, DemoError> {
        match named {
            Some(path) => Self::named(path),
            None => Self::temporary(),
        }
    }

    fn named(path: &Path) -> Result<Self, DemoError> {
        let fault = |source| DemoError::File { path: path.display().to_string(), source };
        match make(path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(fault)?,
        }
        if std::fs::read_dir(path).map_err(fault)?.next().is_some() {
            return Err(DemoError::NotEmpty(path.display().to_string()));
        }
        let path = path.canonicalize().map_err(fault)?;
        Ok(Self { path, is_kept: true })
    }

    fn temporary() -> Result<Self, DemoError> {
        let name = format!("menshen-demo-{}", random_token::<6>()?.expose());
        let path = std::env::temp_dir().join(name);
        make(&path)
            .map_err(|source| DemoError::File { path: path.display().to_string(), source })?;
        Ok(Self { path, is_kept: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays after the demo.
    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = remove(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the demo's folder was not removed");
        }
    }
}

/// Tries again for a moment: the threads of a database close their files after it was dropped.
fn remove(path: &Path) -> std::io::Result<()> {
    for _ in 0..10 {
        if std::fs::remove_dir_all(path).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::remove_dir_all(path)
}

/// One new folder; its parent must be there.
fn make(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_temporary_folder_is_private_and_goes_with_its_value() {
        let folder = Folder::open(None).unwrap();
        let path = folder.path().to_owned();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(path.join("x"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_named_folder_stays_and_must_be_empty() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("bank");
        let folder = Folder::open(Some(&path)).unwrap();
        std::fs::write(folder.path().join("x"), "x").unwrap();
        drop(folder);
        assert!(path.join("x").exists());
        assert!(matches!(Folder::open(Some(&path)), Err(DemoError::NotEmpty(_))));
    }
}
