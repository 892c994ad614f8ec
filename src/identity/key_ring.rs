//! The keys of one issuer as they are now: read again when their file changes.
//!
//! A changed file that is refused leaves the old keys in place, loudly: a slip of the hand at the
//! issuer's end must not lock everybody out.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use super::due::Due;
use super::keys::{KeyFileError, KeySet};

/// Seconds between two looks at the file.
const INTERVAL_S: i64 = 5;

/// The current keys and what their file looked like.
#[derive(Debug)]
pub(super) struct KeyRing {
    current: RwLock<(Stamp, Arc<KeySet>)>,
    due: Due,
}

/// Tells one state of a file from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let file = std::fs::metadata(path).ok()?;
        Some(Self { modified: file.modified().ok(), length: file.len(), inode: file.ino() })
    }
}

impl KeyRing {
    /// Reads the file for the first time. Blocks.
    pub(super) fn load(path: &Path) -> Result<Self, KeyFileError> {
        let read = read(path)?;
        Ok(Self { current: RwLock::new(read), due: Due::every(INTERVAL_S) })
    }

    /// The keys as they are now.
    pub(super) fn keys(&self) -> Arc<KeySet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Whether it is time to look at the file; only one of many askers is told so.
    pub(super) fn is_due(&self, now_s: i64) -> bool {
        self.due.is_now(now_s)
    }

    /// Reads the file if it looks different, and says whether the keys were replaced. Blocks.
    pub(super) fn refresh(&self, path: &Path) -> Result<bool, KeyFileError> {
        let seen = self.current.read().unwrap_or_else(PoisonError::into_inner).0.clone();
        if Stamp::of(path).is_some_and(|stamp| stamp == seen) {
            return Ok(false);
        }
        let read = read(path)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(true)
    }
}

/// The stamp is taken first: a change between the two steps is then seen at the next look.
fn read(path: &Path) -> Result<(Stamp, Arc<KeySet>), KeyFileError> {
    let stamp = Stamp::of(path).unwrap_or(Stamp { modified: None, length: 0, inode: 0 });
    Ok((stamp, Arc::new(KeySet::read(path)?)))
}
