//! What the gate knows of devices, in memory, since every request asks.
//!
//! It reads what is new about once a second, since `menshen device` writes beside it. While it cannot be read
//! nobody is let in.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::due::Due;
use crate::state::{DeviceRow, StateError, Store};

/// Seconds between two looks for changes.
const INTERVAL_S: i64 = 1;
/// A use is noted at most once in so many seconds.
const TOUCH_AFTER_S: i64 = 300;

/// The devices that are not revoked.
#[derive(Debug)]
pub(super) struct Enrolled {
    store: Store,
    due: Due,
    looking: tokio::sync::Mutex<()>,
    newest: AtomicI64,
    known: RwLock<Known>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) name: String,
    account: String,
    key: [u8; 32],
    passkey: Option<Vec<u8>>,
    /// Whether the row is as the gate wrote it.
    is_whole: bool,
    used_s: AtomicI64,
}

/// What a request shows of devices.
#[derive(Debug)]
pub(super) enum Found {
    /// One that is enrolled for the account.
    Own(Arc<Device>),
    /// None of those that the account has.
    Without,
    /// None, and the account has none.
    NoneToHave,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<String, Arc<Device>>,
    by_key: HashMap<[u8; 32], Arc<Device>>,
    by_passkey: HashMap<Vec<u8>, Arc<Device>>,
    /// How many each account has.
    of_account: HashMap<String, usize>,
}

impl Enrolled {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            due: Due::every(INTERVAL_S),
            looking: tokio::sync::Mutex::new(()),
            newest: AtomicI64::new(-1),
            known: RwLock::default(),
        }
    }

    /// Reads what is new if it is time. Whoever comes meanwhile waits, so that nobody is let in by what was.
    ///
    /// # Errors
    /// Any [`StateError`] of a read; the next asker tries again.
    pub(super) async fn look(
        &self,
        now: i64,
        is_whole: impl Fn(&DeviceRow) -> bool,
    ) -> Result<(), StateError> {
        if !self.due.is_due(now) {
            return Ok(());
        }
        let _only_one = self.looking.lock().await;
        if self.due.is_due(now) {
            let rows = self.store.devices_after(self.newest.load(Ordering::Acquire)).await?;
            self.take_over(rows, is_whole);
            self.due.looked(now);
        }
        Ok(())
    }

    /// Has the next asker look: something was changed here.
    pub(super) fn changed(&self) {
        self.due.again();
    }

    fn take_over(&self, rows: Vec<(i64, DeviceRow)>, is_whole: impl Fn(&DeviceRow) -> bool) {
        let Some((newest, _)) = rows.last() else { return };
        let newest = *newest;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (_, row) in rows {
            known.remove(&row.name);
            if row.revoked_s.is_none() {
                let is_whole = is_whole(&row);
                known.insert(Device::of(row, is_whole));
            }
        }
        drop(known);
        self.newest.fetch_max(newest, Ordering::AcqRel);
    }

    /// The device of the account with this key or, if none has it, this passkey.
    pub(super) fn find(
        &self,
        account: &str,
        key: Option<&[u8; 32]>,
        passkey: Option<&[u8]>,
    ) -> Found {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if !known.of_account.contains_key(account) {
            return Found::NoneToHave;
        }
        let own = |device: &&Arc<Device>| device.account == account;
        let by_key = key.and_then(|key| known.by_key.get(key)).filter(own);
        let shown = by_key
            .or_else(|| passkey.and_then(|id| known.by_passkey.get(id)).filter(own))
            .map(Arc::clone);
        drop(known);
        match shown {
            Some(device) if device.is_whole => Found::Own(device),
            Some(device) => {
                let device = &device.name;
                tracing::error!(device, "a device was altered in the state; it is none");
                Found::Without
            }
            None => Found::Without,
        }
    }

    /// Whether the account has a device of this name.
    pub(super) fn has(&self, name: &str, account: &str) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.by_name.get(name).is_some_and(|device| device.is_whole && device.account == account)
    }

    /// Notes that a device is in use, unless that was noted a moment ago.
    pub(super) fn touch(&self, device: &Device, now: i64) {
        if now.saturating_sub(device.used_s.load(Ordering::Relaxed)) >= TOUCH_AFTER_S {
            device.used_s.store(now, Ordering::Relaxed);
            self.store.touch_device(device.name.clone());
        }
    }
}

impl Device {
    fn of(row: DeviceRow, is_whole: bool) -> Self {
        let DeviceRow { name, account, key, passkey, used_s, tag: _, created_s: _, revoked_s: _ } =
            row;
        let used_s = AtomicI64::new(used_s.unwrap_or(i64::MIN));
        Self { name, account, key, passkey, is_whole, used_s }
    }
}

impl Known {
    fn insert(&mut self, device: Device) {
        let device = Arc::new(device);
        self.by_name.insert(device.name.clone(), Arc::clone(&device));
        self.by_key.insert(device.key, Arc::clone(&device));
        if let Some(id) = &device.passkey {
            self.by_passkey.insert(id.clone(), Arc::clone(&device));
        }
        let count = self.of_account.entry(device.account.clone()).or_default();
        *count = count.saturating_add(1);
    }

    fn remove(&mut self, name: &str) {
        let Some(device) = self.by_name.remove(name) else { return };
        self.by_key.remove(&device.key);
        if let Some(id) = &device.passkey {
            self.by_passkey.remove(id);
        }
        if let Some(count) = self.of_account.get_mut(&device.account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_account.remove(&device.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::secret::MasterKey;

    fn row(name: &str, account: &str, key: u8) -> DeviceRow {
        let (passkey, tag) = (Some(vec![key]), [0; 32]);
        let (account, name) = (account.into(), name.into());
        let (created_s, used_s, revoked_s) = (0, None, None);
        DeviceRow { name, account, key: [key; 32], passkey, tag, created_s, used_s, revoked_s }
    }

    fn empty() -> (tempfile::TempDir, Enrolled) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(0);
        let store = Store::open(folder.path(), &MasterKey::generate().unwrap(), clock).unwrap();
        (folder, Enrolled::new(store))
    }

    fn name(found: Found) -> Option<String> {
        match found {
            Found::Own(device) => Some(device.name.clone()),
            Found::Without | Found::NoneToHave => None,
        }
    }

    #[tokio::test]
    async fn a_device_is_its_accounts_alone_by_its_key_before_its_passkey() {
        let (_folder, devices) = empty();
        let rows = vec![(1, row("laptop", "wang", 1)), (2, row("phone", "wang", 2))];
        devices.take_over(rows, |_| true);
        let find = |account, key: Option<u8>, passkey: Option<u8>| {
            let (key, passkey) = (key.map(|key| [key; 32]), passkey.map(|id| [id]));
            devices.find(account, key.as_ref(), passkey.as_ref().map(<[u8; 1]>::as_slice))
        };
        assert_eq!(name(find("wang", Some(1), Some(2))).as_deref(), Some("laptop"));
        assert_eq!(name(find("wang", Some(9), Some(2))).as_deref(), Some("phone"));
        assert!(matches!(find("wang", Some(9), Some(9)), Found::Without));
        assert!(matches!(find("wang", None, None), Found::Without));
        assert!(matches!(find("li", Some(1), Some(1)), Found::NoneToHave));
    }

    #[tokio::test]
    async fn a_device_that_is_revoked_given_away_or_altered_is_none() {
        let (_folder, devices) = empty();
        devices.take_over(vec![(1, row("laptop", "wang", 1))], |_| true);
        devices.take_over(vec![(2, row("laptop", "li", 1))], |_| false);
        assert!(matches!(devices.find("wang", Some(&[1; 32]), None), Found::NoneToHave));
        assert!(matches!(devices.find("li", Some(&[1; 32]), None), Found::Without));
        let revoked = DeviceRow { revoked_s: Some(1), ..row("laptop", "li", 1) };
        devices.take_over(vec![(3, revoked)], |_| true);
        assert!(matches!(devices.find("li", Some(&[1; 32]), None), Found::NoneToHave));
        let known = devices.known.read().unwrap();
        let left = known.by_key.len() + known.by_passkey.len() + known.of_account.len();
        assert_eq!(left, 0, "nothing is kept of it");
    }

    #[tokio::test]
    async fn what_another_process_does_to_a_device_is_known_within_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(0);
        let master = MasterKey::generate().unwrap();
        let open = || Store::open(folder.path(), &master, clock.clone()).unwrap();
        let (devices, other) = (Enrolled::new(open()), open());
        let find = || devices.find("corp:wang", Some(&[1; 32]), None);
        devices.look(0, |_| true).await.unwrap();
        other.insert_device(row("laptop", "corp:wang", 1)).await.unwrap();
        devices.look(1, |_| true).await.unwrap();
        assert_eq!(name(find()).as_deref(), Some("laptop"));
        other.touch_device("laptop".into());
        other.revoke_device("laptop").await.unwrap();
        devices.look(2, |_| true).await.unwrap();
        assert!(matches!(find(), Found::NoneToHave));
        other.insert_device(row("phone", "corp:wang", 2)).await.unwrap();
        devices.changed();
        devices.look(2, |_| true).await.unwrap();
        assert!(matches!(find(), Found::Without), "it has another");
    }
}
