//! The newest keys of each kind: those that entries are sealed under.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::RestKey;
use super::day::Day;
use super::frame::{KeyName, Lock};
use super::key_file::{KeyFile, State};
use super::maker::RestError;
use super::whose::{Tenants, Whose};
use crate::audit::folder::{Folder, Part};
use crate::secret::Sealer;

/// What a key is for, beside its day: what it opens, and whose entries.
pub(super) type Kind = (Lock, Whose);

/// A key in use.
#[derive(Debug)]
pub(super) struct DayKey {
    pub(super) name: KeyName,
    pub(super) sealer: Sealer,
    /// What its file holds.
    pub(super) file: Vec<u8>,
    is_used: AtomicBool,
}

impl DayKey {
    pub(super) fn new(name: KeyName, sealer: Sealer, file: Vec<u8>) -> Self {
        Self { name, sealer, file, is_used: AtomicBool::new(false) }
    }

    /// Notes that something is sealed under it; whether that is the first since this process knows it.
    pub(super) fn is_first_use(&self) -> bool {
        !self.is_used.swap(true, Ordering::Relaxed)
    }
}

/// The two newest keys of each kind, older first.
#[derive(Debug, Default)]
pub(super) struct Newest(HashMap<Kind, Vec<Arc<DayKey>>>);

impl Newest {
    /// Those of a log. Of tenants only those that are no older than everybody's: older ones are not used again, and so
    /// not every file is read.
    pub(super) fn read(folder: &Folder, rest: &RestKey) -> Result<Self, RestError> {
        let mut names = Vec::new();
        for file in folder.names_of(Part::Keys)? {
            names.push(KeyName::parse(&file).ok_or(RestError::Damaged(file))?);
        }
        names.sort_unstable_by_key(|name| name.number);
        let mut newest = Self::default();
        for name in names.into_iter().rev() {
            if newest.of(&(name.lock, Whose::Everybody)).len() == 2 {
                continue;
            }
            if let Some((whose, key)) = in_use(folder, name, rest)? {
                let of_kind = newest.0.entry((name.lock, whose)).or_default();
                if of_kind.len() < 2 {
                    of_kind.insert(0, Arc::new(key));
                }
            }
        }
        Ok(newest)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<DayKey>> {
        self.0.values().flatten().map(Arc::clone).collect()
    }

    fn of(&self, kind: &Kind) -> &[Arc<DayKey>] {
        self.0.get(kind).map(Vec::as_slice).unwrap_or_default()
    }

    /// The key of this day.
    pub(super) fn of_day(&self, kind: &Kind, day: Day) -> Option<Arc<DayKey>> {
        self.of(kind).iter().rev().find(|key| key.name.day == day).cloned()
    }

    /// The key of this day, or the newest that there is.
    pub(super) fn of_day_or_last(&self, kind: &Kind, day: Day) -> Option<Arc<DayKey>> {
        self.of_day(kind, day).or_else(|| self.of(kind).last().cloned())
    }

    /// The days that a kind needs a key for, in order. Both, unless the newest are of this day, or of this
    /// day and the next.
    pub(super) fn missing(&self, kind: &Kind, today: Day) -> Vec<Day> {
        let tomorrow = today.plus(1);
        match self.of(kind).iter().map(|key| key.name.day).collect::<Vec<_>>().as_slice() {
            [.., one, other] if (*one, *other) == (today, tomorrow) => Vec::new(),
            [.., last] if *last == today => vec![tomorrow],
            _ => vec![today, tomorrow],
        }
    }

    /// The tenants for whose keys of today, or of later, there was use.
    pub(super) fn came(&self, today: Day) -> impl Iterator<Item = &Tenants> {
        let is_used =
            move |key: &Arc<DayKey>| key.name.day >= today && key.is_used.load(Ordering::Relaxed);
        self.0.iter().filter_map(move |((_, whose), keys)| match whose {
            Whose::Of(tenants) if keys.iter().any(is_used) => Some(tenants),
            Whose::Of(_) | Whose::Everybody | Whose::Tenants => None,
        })
    }

    /// Takes new keys, in the order in which they were made.
    pub(super) fn take(&mut self, made: Vec<(Kind, DayKey)>, today: Day) {
        for (kind, key) in made {
            let of_kind = self.0.entry(kind).or_default();
            of_kind.push(Arc::new(key));
            let surplus = of_kind.len().saturating_sub(2);
            of_kind.drain(..surplus);
        }
        // Keys of tenants that do not come any more are not used again.
        self.0.retain(|(_, whose), keys| {
            let is_current = keys.last().is_some_and(|key| key.name.day >= today);
            is_current || !matches!(whose, Whose::Of(_))
        });
    }
}

/// The key and whose it is, unless it was destroyed.
fn in_use(
    folder: &Folder,
    name: KeyName,
    rest: &RestKey,
) -> Result<Option<(Whose, DayKey)>, RestError> {
    let file = name.file();
    let bytes = folder.read_of(Part::Keys, &file)?;
    let read = KeyFile::read(name, &bytes);
    let key = read.ok_or_else(|| RestError::Damaged(file.clone()))?;
    let whose = key.whose(name, std::slice::from_ref(rest));
    match (key.unwrap_with(name, rest), key.state) {
        (_, State::Destroyed { .. }) => Ok(None),
        (Some(Ok(sealer)), State::Kept { .. }) => {
            Ok(Some((whose, DayKey::new(name, sealer, bytes))))
        }
        (Some(Err(_altered)), State::Kept { .. }) => Err(RestError::Damaged(file)),
        (None, State::Kept { under, .. }) => {
            Err(RestError::OtherKey { file, under, given: rest.id().to_owned() })
        }
    }
}
