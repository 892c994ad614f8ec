//! The certificate of a destruction: which keys were dropped, and when, signed with the log's key.

use std::fmt::Write as _;
use std::io;

use crate::audit::at_rest::KeyName;
use crate::audit::entry::Moment;
use crate::audit::fault::{Broken, Fault, unreadable};
use crate::audit::folder::{Folder, Part};
use crate::audit::note::{NoteError, Signer, Verifier};

/// A signed list of what was destroyed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub(super) number: u32,
    pub(super) time: Moment,
    /// How many entries the log had.
    pub(super) entries: u64,
    pub(super) keys: Vec<KeyName>,
}

impl Certificate {
    /// As it is named in the log and in the files of keys.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{:08}", self.number)
    }

    fn text(&self, log: &str) -> String {
        let Self { time, entries, .. } = self;
        let mut text = format!(
            "{log} destroyed\ncertificate {}\ntime {time}\nentries {entries}\n",
            self.name()
        );
        for key in &self.keys {
            // Writing to a text cannot fail.
            writeln!(text, "key {}", key.file()).unwrap_or_default();
        }
        text
    }

    pub(super) fn sign(&self, signer: &Signer) -> String {
        let text = self.text(signer.verifier().name());
        signer.verifier().note_of(&text, &signer.sign_text(&text))
    }

    /// Reads a certificate and checks its signature.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(note: &[u8], verifier: &Verifier) -> Result<Self, NoteError> {
        let text = verifier.open_text(note)?;
        let read = Self::parse(&text).filter(|read| read.text(verifier.name()) == text);
        read.ok_or(NoteError::Form)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1);
        let number = lines.next()?.strip_prefix("certificate ")?.parse().ok()?;
        let time: jiff::Timestamp = lines.next()?.strip_prefix("time ")?.parse().ok()?;
        let entries = lines.next()?.strip_prefix("entries ")?.parse().ok()?;
        let keys: Option<Vec<_>> =
            lines.map(|line| KeyName::parse(line.strip_prefix("key ")?)).collect();
        Some(Self { number, time: Moment(time.as_millisecond()), entries, keys: keys? })
    }

    /// The numbers of all certificates of a log, in order.
    pub(super) fn numbers(folder: &Folder) -> io::Result<Vec<u32>> {
        let names = folder.names_of(Part::Certificates)?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// One of a log.
    pub(super) fn of(folder: &Folder, number: u32, verifier: &Verifier) -> Result<Self, Broken> {
        let name = format!("{number:08}");
        let broken = |fault| Broken::new(format!("certificates/{name}"), None, fault);
        let note = folder.read_of(Part::Certificates, &name).map_err(|e| broken(unreadable(&e)))?;
        let read = Self::open(&note, verifier).map_err(|e| broken(Fault::Certificate(e)))?;
        if read.number == number {
            Ok(read)
        } else {
            Err(broken(Fault::Certificate(NoteError::Form)))
        }
    }
}
