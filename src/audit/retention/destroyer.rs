//! Announces what will go and destroys what is due, each recorded first.
//!
//! The certificate is durable first and is the intent: a crash after it is made good by the next round. Then the
//! entry of the log, then the keys.

use std::collections::BTreeMap;

use super::certificate::Certificate;
use super::judge::judge;
use super::remover::remove;
use super::{Fate, Hold, Periods};
use crate::audit::at_rest::{Day, KeyFile, KeyName, State, Whose};
use crate::audit::entry::Moment;
use crate::audit::fault::Broken;
use crate::audit::folder::{Folder, Part, Replacer};
use crate::audit::groups::{Act, Event};
use crate::audit::log::{Keeper, LogError};
use crate::audit::merkle::sha256;

/// The most keys that one certificate names.
const MAX_KEYS: usize = 200;

/// What a round did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tended {
    /// Keys whose end was announced now.
    pub announced: u64,
    /// Keys that were destroyed now.
    pub destroyed: u64,
    /// Keys whose end is announced and has not come.
    pub waiting: u64,
    /// Keys that a hold keeps.
    pub held: u64,
    /// Entries whose bundles were removed now, since nobody can open any of them.
    pub removed: u64,
}

/// A round.
pub(in crate::audit) fn tend(
    keeper: &Keeper<'_>,
    periods: &Periods,
    holds: &[Hold],
) -> Result<Tended, LogError> {
    let round = Round { keeper, folder: keeper.folder, now: keeper.now() };
    round.finish_last()?;
    let keys = KeyFile::all(round.folder).map_err(|e| round.failed(e))?;
    let fates = judge(&keys, keeper.given(), periods, holds, round.now);
    let with = |wanted: fn(&Fate) -> bool| -> Vec<&(KeyName, KeyFile)> {
        let both = keys.iter().zip(&fates).filter(|(_, fate)| wanted(fate));
        both.map(|(key, _)| key).collect()
    };
    let mut tended = Tended::default();
    let due = with(|fate| *fate == Fate::Due);
    for some in due.chunks(MAX_KEYS) {
        round.destroy(some)?;
        tended.destroyed += some.len() as u64;
    }
    let new = with(|fate| matches!(fate, Fate::ToAnnounce(_)));
    round.announce(&new)?;
    tended.announced = new.len() as u64;
    tended.waiting =
        tended.announced + with(|fate| matches!(fate, Fate::Announced(_))).len() as u64;
    tended.held = with(|fate| matches!(fate, Fate::Held(_))).len() as u64;
    // Last: what is wrong with a note of removal keeps nothing from its end.
    tended.removed = remove(keeper)?;
    Ok(tended)
}

struct Round<'a> {
    keeper: &'a Keeper<'a>,
    folder: &'a Folder,
    now: Moment,
}

impl Round<'_> {
    /// Drops the keys that the last certificate names, where a crash left some.
    fn finish_last(&self) -> Result<(), LogError> {
        let numbers = Certificate::numbers(self.folder).map_err(|e| self.failed(e))?;
        let Some(number) = numbers.last() else { return Ok(()) };
        let last = Certificate::of(self.folder, *number, self.keeper.signer.verifier());
        let last = last.map_err(|broken| self.broken(broken))?;
        let left: Vec<_> = last.keys.iter().filter_map(|key| self.kept(*key)).collect();
        if left.is_empty() {
            return Ok(());
        }
        // It may have an entry already; twice is better than never.
        self.record("entries_destroyed", left.iter(), &last.name(), "")?;
        let left: Vec<KeyName> = left.iter().map(|(name, _)| *name).collect();
        self.drop_keys(&left, &last)
    }

    fn kept(&self, name: KeyName) -> Option<(KeyName, KeyFile)> {
        let read = self.folder.read_of(Part::Keys, &name.file()).ok()?;
        let file = KeyFile::read(name, &read)?;
        matches!(file.state, State::Kept { .. }).then_some((name, file))
    }

    fn destroy(&self, due: &[&(KeyName, KeyFile)]) -> Result<(), LogError> {
        let numbers = Certificate::numbers(self.folder).map_err(|e| self.failed(e))?;
        let keys: Vec<KeyName> = due.iter().map(|(name, _)| *name).collect();
        let certificate = Certificate {
            number: numbers.last().map_or(1, |last| last.saturating_add(1)),
            time: self.now,
            entries: self.keeper.entries(),
            keys,
        };
        let note = certificate.sign(self.keeper.signer);
        let hash = sha256(&[note.as_bytes()]);
        let hash = hash.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let mut files = self.files();
        let path = self.folder.part(Part::Certificates).join(certificate.name());
        let put = files.put(&path, note.as_bytes()).and_then(|()| files.settle());
        put.map_err(|e| self.failed(e))?;
        self.record("entries_destroyed", due.iter().copied(), &certificate.name(), &hash)?;
        self.drop_keys(&certificate.keys, &certificate)
    }

    fn drop_keys(&self, keys: &[KeyName], certificate: &Certificate) -> Result<(), LogError> {
        self.replace(keys, |file| KeyFile {
            state: State::Destroyed {
                destroyed: certificate.time,
                certificate: certificate.name(),
            },
            ..file
        })
    }

    fn announce(&self, new: &[&(KeyName, KeyFile)]) -> Result<(), LogError> {
        self.record("destruction_announced", new.iter().copied(), "", "")?;
        let names: Vec<KeyName> = new.iter().map(|(name, _)| *name).collect();
        self.replace(&names, |file| KeyFile { announced: Some(self.now), ..file })
    }

    /// An entry for each class and, of tenants' parts, whose, with its days.
    fn record<'k>(
        &self,
        what: &str,
        keys: impl Iterator<Item = &'k (KeyName, KeyFile)>,
        certificate: &str,
        hash: &str,
    ) -> Result<(), LogError> {
        let mut by_kind: BTreeMap<(&str, Whose), (Day, Day, u64)> = BTreeMap::new();
        for (name, file) in keys {
            let kind = (name.lock.word(), file.whose(*name, self.keeper.given()));
            let (from, to, count) = by_kind.entry(kind).or_insert((name.day, name.day, 0));
            (*from, *to, *count) = ((*from).min(name.day), (*to).max(name.day), *count + 1);
        }
        for ((word, whose), (from, to, count)) in by_kind {
            let mut entry = self.keeper.entry(Event::Custody)?;
            let object = format!("{word} from {from} to {to} {whose}");
            let object = object.trim_end();
            let detail = format!("certificate {certificate}");
            entry.act = Some(Act {
                name: what.into(),
                object: object.into(),
                detail: if certificate.is_empty() { "" } else { &detail }.into(),
                after: hash.into(),
                count: Some(count),
                ..Act::default()
            });
            self.keeper.record(entry)?;
        }
        Ok(())
    }

    fn replace(
        &self,
        keys: &[KeyName],
        change: impl Fn(KeyFile) -> KeyFile,
    ) -> Result<(), LogError> {
        let mut files = self.files();
        for name in keys {
            let bytes =
                self.folder.read_of(Part::Keys, &name.file()).map_err(|e| self.failed(e))?;
            // One that became damaged meanwhile opens nothing any more.
            let Some(file) = KeyFile::read(*name, &bytes) else { continue };
            let path = self.folder.part(Part::Keys).join(name.file());
            files.put(&path, &change(file).write()).map_err(|e| self.failed(e))?;
        }
        files.settle().map_err(|e| self.failed(e))
    }

    fn files(&self) -> Replacer<'_> {
        Replacer::beside(self.folder, self.keeper.disk, "retention")
    }

    fn failed(&self, source: std::io::Error) -> LogError {
        LogError::Folder { path: self.folder.root().display().to_string(), source }
    }

    fn broken(&self, broken: Broken) -> LogError {
        LogError::Broken { path: self.folder.root().display().to_string(), broken }
    }
}
