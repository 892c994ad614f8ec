//! What somebody read of the log: left sealed in its folder, durable before they see it, until the gate that writes
//! the log has an entry of it.
//!
//! Who reads needs the folder and the key, and so does this: it works beside a running gate and without one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Moment};
use super::folder::{Folder, Part, sync_folder};
use super::groups::{Act, Actor, ActorKind, Why};
use super::subject::SubjectRef;
use super::text::Text;
use crate::secret::{MasterKey, Sealer, SecretError, random_token};

const LABEL: &str = "reading";
/// So many are taken over at a time.
const AT_A_TIME: usize = 256;

/// What somebody read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// Who, as the system knows them.
    pub who: String,
    /// What was done, such as `log_searched`.
    pub name: String,
    /// What it was about: a report, a file.
    #[serde(default)]
    pub object: String,
    /// What was asked; people by reference only.
    #[serde(default)]
    pub asked: String,
    /// Why, where somebody said so.
    #[serde(default)]
    pub reason: String,
    /// Who agreed, where two persons had to.
    #[serde(default)]
    pub approved_by: String,
    /// How many entries or requests were shown; none where that is not known yet.
    #[serde(default)]
    pub seen: Option<u64>,
    /// SHA-256 of what was made, in hex.
    #[serde(default)]
    pub sha256: String,
    /// Whom it was about.
    #[serde(default)]
    pub subject: Option<SubjectRef>,
}

impl Reading {
    /// Fills an entry of the event `custody`.
    pub fn describe(self, entry: &mut Entry) {
        entry.actor = Some(Actor {
            account: self.who.as_str().into(),
            kind: Some(ActorKind::Admin),
            ..Actor::default()
        });
        entry.act = Some(Act {
            name: self.name.as_str().into(),
            object: self.object.as_str().into(),
            detail: Text::reason(&self.asked),
            approved_by: self.approved_by.as_str().into(),
            at: Some(Moment(self.at_ms)),
            succeeded: Some(true),
            after: self.sha256.as_str().into(),
            count: self.seen,
            ..Act::default()
        });
        if !self.reason.is_empty() {
            entry.why = Some(Why { reason: Text::reason(&self.reason), ..Why::default() });
        }
        if let Some(subject) = self.subject {
            // One is always fewer than an entry can hold.
            entry.add_subject(subject).unwrap_or_default();
        }
    }
}

/// What was left, by the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The name of the file.
    pub file: String,
    /// What it says; `None` if it does not open, since it was altered or sealed under another key.
    pub reading: Option<Reading>,
}

/// What was read of one log and is not in it yet.
#[derive(Debug)]
pub struct Readings {
    folder: Folder,
    sealer: Sealer,
}

impl Readings {
    /// Of the log in `dir`.
    ///
    /// # Errors
    /// [`SecretError`] if no key can be derived.
    pub fn new(dir: &Path, master: &MasterKey) -> Result<Self, SecretError> {
        Ok(Self { folder: Folder::new(dir), sealer: master.sealer("audit-reading")? })
    }

    /// Leaves one; it is durable when this returns.
    ///
    /// # Errors
    /// What the system says, such as that the folder cannot be written.
    pub fn leave(&self, reading: &Reading) -> io::Result<()> {
        let json = serde_json::to_vec(reading)?;
        let sealed = self.sealer.seal(LABEL, &json).map_err(io::Error::other)?;
        let random = random_token::<9>().map_err(io::Error::other)?;
        let at_ms = reading.at_ms.max(0);
        let name = format!("{at_ms:015}-{}", random.expose());
        let dir = self.folder.part(Part::Readings);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let temporary = dir.join(format!("{name}.tmp"));
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(&name))?;
        sync_folder(&dir)?;
        sync_folder(self.folder.root())
    }

    /// Those that wait, the oldest first, some of them at a time.
    ///
    /// # Errors
    /// What the system says.
    pub fn waiting(&self) -> io::Result<Vec<Left>> {
        let mut left = Vec::new();
        for file in self.folder.names_of(Part::Readings)?.into_iter().take(AT_A_TIME) {
            let sealed = self.folder.read_of(Part::Readings, &file).unwrap_or_default();
            let json = self.sealer.open(LABEL, &sealed).ok();
            let reading = json.and_then(|json| serde_json::from_slice(&json).ok());
            left.push(Left { file, reading });
        }
        Ok(left)
    }

    /// Forgets one that has its entry.
    ///
    /// # Errors
    /// What the system says; it would be recorded once more.
    pub fn forget(&self, left: &Left) -> io::Result<()> {
        fs::remove_file(self.folder.part(Part::Readings).join(&left.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_waits_in_order_and_only_the_key_reads_or_writes_it() {
        let dir = tempfile::tempdir().unwrap();
        let own = Readings::new(dir.path(), &MasterKey::from_bytes([1; 32])).unwrap();
        assert!(own.waiting().unwrap().is_empty());
        for (at_ms, name) in [(20, "later"), (3, "first")] {
            own.leave(&Reading { at_ms, name: name.into(), ..Reading::default() }).unwrap();
        }
        let waiting = own.waiting().unwrap();
        let names: Vec<_> = waiting.iter().map(|l| l.reading.clone().unwrap().name).collect();
        assert_eq!(names, ["first", "later"]);
        let raw = fs::read(dir.path().join("readings").join(&waiting[0].file)).unwrap();
        assert!(!String::from_utf8_lossy(&raw).contains("first"));
        own.forget(&waiting[0]).unwrap();
        fs::write(dir.path().join("readings/forged"), "{}").unwrap();
        let other = Readings::new(dir.path(), &MasterKey::from_bytes([2; 32])).unwrap();
        assert!(other.waiting().unwrap().iter().all(|left| left.reading.is_none()));
        assert_eq!(own.waiting().unwrap().iter().filter(|l| l.reading.is_none()).count(), 1);
    }
}
