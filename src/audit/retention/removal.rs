//! What stands in the place of bundles that were removed: which key each of their entries was under, signed with the
//! log's key. Their hashes stay in the tree.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::iter;

use crate::audit::at_rest::KeyName;
use crate::audit::entry::Moment;
use crate::audit::fault::{Broken, Fault, unreadable};
use crate::audit::folder::{Folder, Part};
use crate::audit::note::{NoteError, Signer, Verifier};
use crate::audit::tile::WIDTH;

/// The key of each entry of a bundle in their order: runs of entries under the same key, so that years of them fit
/// in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::audit) struct Runs(Vec<(KeyName, u64)>);

impl Runs {
    /// Adds so many entries under this key.
    pub(super) fn push(&mut self, key: KeyName, count: u64) {
        match self.0.last_mut().filter(|(last, _)| *last == key) {
            Some((_, before)) => *before = before.saturating_add(count),
            None if count > 0 => self.0.push((key, count)),
            None => {}
        }
    }

    /// How many runs.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many entries.
    pub(super) fn entries(&self) -> u64 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The keys, one of each run.
    pub(super) fn keys(&self) -> impl Iterator<Item = KeyName> {
        self.0.iter().map(|(key, _)| *key)
    }

    /// The key of each entry.
    pub(in crate::audit) fn each(&self) -> impl Iterator<Item = KeyName> {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        self.0.iter().flat_map(move |(key, run)| iter::repeat_n(*key, count(*run)))
    }
}

/// A signed list of bundles that were removed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit) struct Removal {
    pub(super) number: u32,
    pub(super) time: Moment,
    /// By the number of the bundle: the key of each entry.
    pub(super) bundles: BTreeMap<u64, Runs>,
}

impl Removal {
    pub(super) fn name(&self) -> String {
        format!("{:08}", self.number)
    }

    /// The first entry and the last.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.bundles.first_key_value()?.0, self.bundles.last_key_value()?.0);
        Some((first * WIDTH, last * WIDTH + WIDTH - 1))
    }

    fn text(&self, log: &str) -> String {
        let mut text = format!("{log} removed\nremoval {}\ntime {}\n", self.name(), self.time);
        let mut keys: Vec<KeyName> = self.bundles.values().flat_map(Runs::keys).collect();
        keys.sort_unstable_by_key(|key| key.number);
        keys.dedup();
        // Writing to a text cannot fail.
        for key in &keys {
            writeln!(text, "key {}", key.file()).unwrap_or_default();
        }
        for (bundle, entries) in &self.bundles {
            write!(text, "bundle {bundle}").unwrap_or_default();
            for (key, count) in &entries.0 {
                let place = keys.iter().position(|one| one == key);
                write!(text, " {}*{count}", place.unwrap_or_default()).unwrap_or_default();
            }
            text.push('\n');
        }
        text
    }

    pub(super) fn sign(&self, signer: &Signer) -> String {
        let text = self.text(signer.verifier().name());
        signer.verifier().note_of(&text, &signer.sign_text(&text))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().skip(1).peekable();
        let number = lines.next()?.strip_prefix("removal ")?.parse().ok()?;
        let time: jiff::Timestamp = lines.next()?.strip_prefix("time ")?.parse().ok()?;
        let mut keys = Vec::new();
        while let Some(name) = lines.peek().and_then(|line| line.strip_prefix("key ")) {
            keys.push(KeyName::parse(name)?);
            lines.next();
        }
        let bundles: Option<_> = lines.map(|line| bundle(line, &keys)).collect();
        Some(Self { number, time: Moment(time.as_millisecond()), bundles: bundles? })
    }

    fn open(note: &[u8], verifier: &Verifier) -> Result<Self, NoteError> {
        let text = verifier.open_text(note)?;
        let read = Self::parse(&text).filter(|read| read.text(verifier.name()) == text);
        read.ok_or(NoteError::Form)
    }
}

/// `bundle 12 0*5 1*251`: so many entries under each of the keys.
fn bundle(line: &str, keys: &[KeyName]) -> Option<(u64, Runs)> {
    let (index, runs) = line.strip_prefix("bundle ")?.split_once(' ')?;
    let mut entries = Runs::default();
    for run in runs.split(' ') {
        let (key, count) = run.split_once('*')?;
        entries.push(*keys.get(key.parse::<usize>().ok()?)?, count.parse().ok()?);
    }
    (entries.entries() == WIDTH).then_some((index.parse().ok()?, entries))
}

/// The bundles of a log that were removed, by their numbers.
#[derive(Clone, Debug, Default)]
pub(in crate::audit) struct Removals {
    notes: usize,
    last: u32,
    /// By the number of the bundle: the note that names it, and the keys.
    bundles: BTreeMap<u64, (u32, Runs)>,
}

impl Removals {
    /// As the folder says, for a reader, who trusts it; only what is new is read. Nothing is ever removed by this.
    pub(in crate::audit) fn refresh(&mut self, folder: &Folder) -> io::Result<()> {
        let names = folder.names_of(Part::Removed)?;
        if names.len() < self.notes {
            *self = Self::default();
        }
        for name in names.iter().skip(self.notes) {
            let note = folder.read_of(Part::Removed, name)?;
            let note = String::from_utf8_lossy(&note);
            let (text, _signature) = note.split_once("\n\n").unwrap_or_default();
            Removal::parse(text).into_iter().for_each(|one| self.take(one));
        }
        self.notes = names.len();
        Ok(())
    }

    /// As the log's key has signed them.
    pub(in crate::audit) fn verified(folder: &Folder, verifier: &Verifier) -> Result<Self, Broken> {
        let names = folder.names_of(Part::Removed);
        let names = names.map_err(|e| Broken::new("removed", None, unreadable(&e)))?;
        let mut all = Self { notes: names.len(), ..Self::default() };
        for name in names {
            let broken = |fault| Broken::new(format!("removed/{name}"), None, fault);
            let note = folder.read_of(Part::Removed, &name).map_err(|e| broken(unreadable(&e)))?;
            let read = Removal::open(&note, verifier);
            let read = read.map_err(|error| broken(Fault::Removal(error)))?;
            if read.name() != name {
                return Err(broken(Fault::Removal(NoteError::Form)));
            }
            all.take(read);
        }
        Ok(all)
    }

    fn take(&mut self, one: Removal) {
        let Removal { number, bundles, .. } = one;
        self.last = self.last.max(number);
        self.bundles.extend(bundles.into_iter().map(|(index, keys)| (index, (number, keys))));
    }

    /// The greatest number of a note; 0 if there is none.
    pub(super) fn last(&self) -> u32 {
        self.last
    }

    /// The key of each entry of this bundle, if it was removed.
    pub(in crate::audit) fn bundle(&self, index: u64) -> Option<&Runs> {
        self.bundles.get(&index).map(|(_, keys)| keys)
    }

    /// The number of the note that names this bundle.
    pub(in crate::audit) fn note_of(&self, index: u64) -> Option<u32> {
        self.bundles.get(&index).map(|(note, _)| *note)
    }

    /// The bundles, and the key of each of their entries.
    pub(super) fn bundles(&self) -> impl Iterator<Item = (u64, &Runs)> {
        self.bundles.iter().map(|(index, (_, keys))| (*index, keys))
    }
}
