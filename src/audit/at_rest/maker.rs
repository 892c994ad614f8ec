//! The keys that entries are sealed under today, and those of tomorrow, made a day ahead.
//!
//! A key is durable before it is used, and no request waits for one: where the day's key is not there yet,
//! the newest of its class is used a moment longer. Tenants that were named have keys of their own as everybody has;
//! those of callers of several get theirs when one is seen, and again for the day after each day on which they came.
//! Until it is there, the key of all tenants is used, which is kept as long as any of them wants.
//!
//! A number is never given twice, not even when the newest keys were lost, and only the two newest keys of a kind are used. So after a clock that went wrong,
//! entries get keys of their own, whose place in the order says when they were really written.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::RestKey;
use super::day::Day;
use super::frame::{self, KeyName, Lock};
use super::key_file::KeyFile;
use super::newest::{DayKey, Kind, Newest};
use super::wanted::Wanted;
use super::whose::{Tenants, Whose};
use crate::audit::anonymous::anonymous;
use crate::audit::disk::Disk;
use crate::audit::entry::{Entry, Moment};
use crate::audit::folder::{Folder, Part, Replacer};
use crate::audit::groups::Class;
use crate::secret::SecretError;

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

/// The keys in use, and what makes further ones.
#[derive(Debug)]
pub(in crate::audit) struct DayKeys {
    folder: Folder,
    disk: Arc<dyn Disk>,
    rest: RestKey,
    newest: RwLock<Newest>,
    wanted: Mutex<Wanted>,
    /// Held by whoever makes keys.
    making: Mutex<()>,
    /// The number that the next key gets.
    next: AtomicU32,
    /// The last day that everybody has keys for, as the keys were made.
    covered: AtomicU32,
    /// Whether keys are to be made before the day is over.
    is_asked: AtomicBool,
    /// Keys that were made and are not there.
    lost: u32,
}

impl DayKeys {
    /// Reads the newest keys of the log and makes those of this day and the next that are not there.
    pub(in crate::audit) fn open(
        folder: Folder,
        disk: Arc<dyn Disk>,
        rest: RestKey,
        now: Moment,
    ) -> Result<Self, RestError> {
        let newest = RwLock::new(Newest::read(&folder, &rest)?);
        let names = folder.names_of(Part::Keys)?;
        let names = names.iter().filter_map(|name| KeyName::parse(name));
        let there: BTreeSet<u32> = names.map(|name| name.number).collect();
        let told = folder.read_last_key()?.unwrap_or_default();
        let last = there.last().map_or(told, |last| told.max(*last));
        let lost = (1..=last).filter(|number| !there.contains(number)).count();
        let next = AtomicU32::new(last.saturating_add(1));
        let (wanted, making, covered, is_asked) = Default::default();
        let lost = u32::try_from(lost).unwrap_or(u32::MAX);
        let keys =
            Self { folder, disk, rest, newest, wanted, making, next, covered, is_asked, lost };
        keys.tend(now)?;
        Ok(keys)
    }

    /// How many keys were made, and their files are not there, destroyed ones among them, whose files stay.
    pub(in crate::audit) fn lost(&self) -> u32 {
        self.lost
    }

    /// Has tenants get keys of their own, each by itself, and those of this day and the next now.
    pub(in crate::audit) fn name(
        &self,
        tenants: BTreeSet<Tenants>,
        now: Moment,
    ) -> Result<(), RestError> {
        locked(&self.wanted).name(tenants);
        self.is_asked.store(true, Ordering::Relaxed);
        self.tend(now)
    }

    /// Seals an entry, which this JSON says, under the key of its class, its caller's tenants and this moment.
    pub(in crate::audit) fn seal(
        &self,
        entry: &Entry,
        now: Moment,
        json: &[u8],
    ) -> Result<(Vec<u8>, Vec<KeyName>), SecretError> {
        let key = self.current(Lock::Of(entry.class), &entry.tenants, now)?;
        if entry.class != Class::CustomerUsage {
            return Ok((frame::seal(&key.name, &key.sealer, json)?, vec![key.name]));
        }
        let identity = self.current(Lock::Identity, &entry.tenants, now)?;
        let whole = frame::seal(&identity.name, &identity.sealer, json)?;
        let anonymous = anonymous(entry.clone()).unwrap_or_default();
        let sealed = frame::seal_twofold(&key.name, &key.sealer, &anonymous, &whole)?;
        Ok((sealed, vec![key.name, identity.name]))
    }

    fn current(
        &self,
        lock: Lock,
        tenants: &Tenants,
        now: Moment,
    ) -> Result<Arc<DayKey>, SecretError> {
        let day = Day::of_ms(now.0);
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        if lock.goes_by_tenant() && !tenants.is_empty() {
            if let Some(own) = newest.of_day(&(lock, Whose::Of(tenants.clone())), day) {
                if own.is_first_use() {
                    // They come today, so they get a key for tomorrow.
                    self.is_asked.store(true, Ordering::Relaxed);
                }
                return Ok(own);
            }
            if locked(&self.wanted).see(tenants, day) {
                self.is_asked.store(true, Ordering::Relaxed);
            }
            found = newest.of_day_or_last(&(lock, Whose::Tenants), day);
        }
        let found = found.or_else(|| newest.of_day_or_last(&(lock, Whose::Everybody), day));
        found.ok_or(SecretError::Crypto)
    }

    /// Whether [`DayKeys::tend`] has something to do.
    pub(in crate::audit) fn are_due(&self, now: Moment) -> bool {
        let is_asked = self.is_asked.load(Ordering::Relaxed);
        is_asked || self.covered.load(Ordering::Relaxed) != Day::of_ms(now.0).plus(1).0
    }

    /// Makes the keys of this day and of the next that are not there.
    pub(in crate::audit) fn tend(&self, now: Moment) -> Result<(), RestError> {
        let _only_one = locked(&self.making);
        if !self.are_due(now) {
            return Ok(());
        }
        // Before it is looked who came: who comes meanwhile asks again.
        self.is_asked.store(false, Ordering::Relaxed);
        let made = self.make(Day::of_ms(now.0), now);
        if made.is_err() {
            self.is_asked.store(true, Ordering::Relaxed);
        }
        made
    }

    /// Puts the files of the keys in use back, should somebody have removed them: without them nobody would read what was
    /// sealed since.
    pub(in crate::audit) fn keep(&self) -> io::Result<()> {
        let _only_one = locked(&self.making);
        let in_use = self.newest.read().unwrap_or_else(PoisonError::into_inner).all();
        let mut files = Replacer::beside(&self.folder, self.disk.as_ref(), "keys");
        for key in in_use {
            let path = self.folder.part(Part::Keys).join(key.name.file());
            if !path.try_exists()? {
                tracing::error!(key = %path.display(), "a key of the log was removed; it is put back");
                files.put(&path, &key.file)?;
            }
        }
        files.settle()
    }

    fn make(&self, today: Day, now: Moment) -> Result<(), RestError> {
        let mut made = Vec::new();
        let mut files = Replacer::beside(&self.folder, self.disk.as_ref(), "keys");
        for (kind, day) in self.missing(today) {
            // Counted on only when it is there: a number that is left out would look like a lost key.
            let number = self.next.load(Ordering::Relaxed);
            let name = KeyName { number, lock: kind.0, day };
            let (file, sealer) = KeyFile::draw(name, &kind.1, now, &self.rest)?;
            let file = file.write();
            files.put(&self.folder.part(Part::Keys).join(name.file()), &file)?;
            self.next.store(number.saturating_add(1), Ordering::Relaxed);
            made.push((kind, DayKey::new(name, sealer, file)));
        }
        files.settle()?;
        // Only now: a number that was told and not made would look like a lost key.
        let last = self.next.load(Ordering::Relaxed).saturating_sub(1);
        if self.folder.read_last_key()? != Some(last) {
            files.put(&self.folder.last_key(), format!("{last}\n").as_bytes())?;
            files.settle()?;
        }
        self.newest.write().unwrap_or_else(PoisonError::into_inner).take(made, today);
        self.covered.store(today.plus(1).0, Ordering::Relaxed);
        Ok(())
    }

    /// What is to be made, in order.
    fn missing(&self, today: Day) -> Vec<(Kind, Day)> {
        // Whoever seals takes them in this order, too.
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        let kinds = locked(&self.wanted).kinds(newest.came(today), today);
        let missing = |kind: Kind| {
            let days = newest.missing(&kind, today);
            days.into_iter().map(move |day| (kind.clone(), day))
        };
        kinds.into_iter().flat_map(missing).collect()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
