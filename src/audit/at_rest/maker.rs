//! The keys that entries are sealed under today, and those of tomorrow, made a day ahead.
//!
//! A key is durable before it is used, and no request waits for one: where the day's key is not there yet,
//! the newest of its class is used a moment longer. A number is never given twice, and only the two newest
//! keys of a class are used. So after a clock that went wrong, entries get keys of their own, whose place
//! in the order says when they were really written.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::RestKey;
use super::day::Day;
use super::frame::{self, KeyName, Lock};
use super::key_file::{KeyFile, State};
use crate::audit::anonymous::anonymous;
use crate::audit::disk::Disk;
use crate::audit::entry::{Entry, Moment};
use crate::audit::folder::{Folder, Part, Replacer};
use crate::audit::groups::Class;
use crate::secret::{Sealer, SecretError};

/// Why the keys of a log cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// The system refused a file.
    #[error("keys of the log: {0}")]
    File(#[from] io::Error),
    /// The newest keys cannot be opened.
    #[error(
        "key of the log `{file}` is wrapped under the key `{under}`, the one given is `{given}`; give the \
         right `log-key`, or wrap them anew with `menshen key rotate`"
    )]
    OtherKey {
        /// The file.
        file: String,
        /// What wraps it.
        under: String,
        /// What was given.
        given: String,
    },
    /// A file is no key.
    #[error("key of the log `{0}` is damaged; put it back from a copy of the log's `keys` folder")]
    Damaged(String),
    /// The library refused.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// A key in use.
#[derive(Debug)]
struct DayKey {
    name: KeyName,
    sealer: Sealer,
}

/// The keys in use, and what makes further ones.
#[derive(Debug)]
pub(in crate::audit) struct DayKeys {
    folder: Folder,
    disk: Arc<dyn Disk>,
    rest: RestKey,
    /// The two newest of each class, older first.
    newest: RwLock<HashMap<Lock, Vec<Arc<DayKey>>>>,
    /// The number that the next key gets.
    next: AtomicU32,
    /// The last day that every class has a key for, as the keys were made.
    covered: AtomicU32,
}

impl DayKeys {
    /// Reads the newest keys of the log and makes those of this day and the next that are not there.
    pub(in crate::audit) fn open(
        folder: Folder,
        disk: Arc<dyn Disk>,
        rest: RestKey,
        now: Moment,
    ) -> Result<Self, RestError> {
        let mut names = Vec::new();
        for file in folder.names_of(Part::Keys)? {
            names.push(KeyName::parse(&file).ok_or(RestError::Damaged(file))?);
        }
        names.sort_unstable_by_key(|name| name.number);
        let next = names.last().map_or(1, |name| name.number.saturating_add(1));
        let mut newest: HashMap<_, Vec<_>> = HashMap::new();
        for name in names.into_iter().rev() {
            let of_class = newest.entry(name.lock).or_default();
            if of_class.len() < 2
                && let Some(key) = in_use(&folder, name, &rest)?
            {
                of_class.insert(0, Arc::new(key));
            }
        }
        let (newest, next) = (RwLock::new(newest), AtomicU32::new(next));
        let keys = Self { folder, disk, rest, newest, next, covered: AtomicU32::new(0) };
        keys.tend(now)?;
        Ok(keys)
    }

    /// Seals an entry, which this JSON says, under the key of its class and this moment.
    pub(in crate::audit) fn seal(
        &self,
        entry: &Entry,
        now: Moment,
        json: &[u8],
    ) -> Result<Vec<u8>, SecretError> {
        let key = self.current(Lock::Of(entry.class), now)?;
        if entry.class != Class::CustomerUsage {
            return frame::seal(&key.name, &key.sealer, json);
        }
        let identity = self.current(Lock::Identity, now)?;
        let whole = frame::seal(&identity.name, &identity.sealer, json)?;
        let anonymous = anonymous(entry.clone()).unwrap_or_default();
        frame::seal_twofold(&key.name, &key.sealer, &anonymous, &whole)
    }

    fn current(&self, lock: Lock, now: Moment) -> Result<Arc<DayKey>, SecretError> {
        let day = Day::of_ms(now.0);
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        let of_lock = newest.get(&lock).map(Vec::as_slice).unwrap_or_default();
        let of_day = of_lock.iter().rev().find(|key| key.name.day == day);
        of_day.or(of_lock.last()).cloned().ok_or(SecretError::Crypto)
    }

    /// Whether [`DayKeys::tend`] has something to do.
    pub(in crate::audit) fn are_due(&self, now: Moment) -> bool {
        self.covered.load(Ordering::Relaxed) != Day::of_ms(now.0).plus(1).0
    }

    /// Makes the keys of this day and of the next that are not there.
    pub(in crate::audit) fn tend(&self, now: Moment) -> Result<(), RestError> {
        if !self.are_due(now) {
            return Ok(());
        }
        let today = Day::of_ms(now.0);
        let mut made = Vec::new();
        let mut files = Replacer::new(&self.folder, self.disk.as_ref());
        for lock in Lock::ALL {
            for day in self.missing(lock, today) {
                // Counted on only when it is there: a number that is left out would look like a lost key.
                let number = self.next.load(Ordering::Relaxed);
                let name = KeyName { number, lock, day };
                let (file, sealer) = KeyFile::draw(name, now, &self.rest)?;
                files.put(&self.folder.part(Part::Keys).join(name.file()), &file.write())?;
                self.next.store(number.saturating_add(1), Ordering::Relaxed);
                made.push(Arc::new(DayKey { name, sealer }));
            }
        }
        files.settle()?;
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        for key in made {
            let of_class = newest.entry(key.name.lock).or_default();
            of_class.push(key);
            let surplus = of_class.len().saturating_sub(2);
            of_class.drain(..surplus);
        }
        self.covered.store(today.plus(1).0, Ordering::Relaxed);
        Ok(())
    }

    /// The days that a lock needs a key for, in order. Both, unless the newest are of this day, or of this
    /// day and the next.
    fn missing(&self, lock: Lock, today: Day) -> Vec<Day> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        let of_class = newest.get(&lock).map(Vec::as_slice).unwrap_or_default();
        let tomorrow = today.plus(1);
        match of_class.iter().map(|key| key.name.day).collect::<Vec<_>>().as_slice() {
            [.., one, other] if (*one, *other) == (today, tomorrow) => Vec::new(),
            [.., last] if *last == today => vec![tomorrow],
            _ => vec![today, tomorrow],
        }
    }
}

/// The key, unless it was destroyed.
fn in_use(folder: &Folder, name: KeyName, rest: &RestKey) -> Result<Option<DayKey>, RestError> {
    let file = name.file();
    let read = KeyFile::read(name, &folder.read_of(Part::Keys, &file)?);
    let key = read.ok_or_else(|| RestError::Damaged(file.clone()))?;
    match (key.unwrap_with(name, rest), key.state) {
        (_, State::Destroyed { .. }) => Ok(None),
        (Some(Ok(sealer)), State::Kept { .. }) => Ok(Some(DayKey { name, sealer })),
        (Some(Err(_altered)), State::Kept { .. }) => Err(RestError::Damaged(file)),
        (None, State::Kept { under, .. }) => {
            Err(RestError::OtherKey { file, under, given: rest.id().to_owned() })
        }
    }
}
