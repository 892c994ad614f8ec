//! Wraps the keys of a log under another key: the entries and their tree stay as they are.

use std::path::Path;

use super::RestKey;
use super::frame::KeyName;
use super::key_file::{KeyFile, State};
use super::maker::RestError;
use crate::audit::disk::SystemDisk;
use crate::audit::folder::{Folder, Part, Replacer};

/// What became of the keys of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Wrapped under the new key now.
    pub wrapped: u64,
    /// Under it already.
    pub already: u64,
    /// Destroyed before.
    pub destroyed: u64,
}

/// Wraps every key of the log in `dir` that is under one of `from` under `to`. No gate may write it.
///
/// All are read before the first is replaced, each in one step; whoever is interrupted goes on by asking
/// again.
///
/// # Errors
/// [`RestError`]: nothing is changed where a key is under none of them, or damaged.
pub(in crate::audit) fn rewrap(
    dir: &Path,
    from: &[RestKey],
    to: &RestKey,
) -> Result<Rewrapped, RestError> {
    let folder = Folder::new(dir);
    let mut done = Rewrapped::default();
    let mut changed = Vec::new();
    for name in folder.names_of(Part::Keys)? {
        let key = KeyName::parse(&name).ok_or_else(|| RestError::Damaged(name.clone()))?;
        let file = KeyFile::read(key, &folder.read_of(Part::Keys, &name)?);
        let file = file.ok_or_else(|| RestError::Damaged(name.clone()))?;
        match &file.state {
            State::Destroyed { .. } => done.destroyed += 1,
            State::Kept { under, .. } if under == to.id() => done.already += 1,
            State::Kept { under, .. } => {
                let Some(from) = from.iter().find(|from| from.id() == under) else {
                    let given = from.first().map_or("", RestKey::id).to_owned();
                    return Err(RestError::OtherKey { file: name, under: under.clone(), given });
                };
                let moved = file.moved(key, from, to);
                changed.push((key, moved.map_err(|_altered| RestError::Damaged(name))?));
            }
        }
    }
    let mut files = Replacer::new(&folder, &SystemDisk);
    for (name, file) in changed {
        files.put(&folder.part(Part::Keys).join(name.file()), &file.write())?;
        done.wrapped += 1;
    }
    files.settle()?;
    Ok(done)
}
