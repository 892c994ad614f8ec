//! Whose an account is, and whether it is welcome: for local accounts and for those of issuers alike.
//!
//! Two accounts of one person are counted as one. The gate keeps the roster in memory and reads what is new about
//! once a second, since `menshen account` writes beside it. While it cannot be read nobody is let in.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;

use super::due::Due;
use crate::state::{RosterRow, StateError, Store, counted_as};

/// Seconds between two looks for changes.
const INTERVAL_S: i64 = 1;

/// Whether an account is welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Active,
    /// It was switched off.
    Disabled,
    /// Its holder may not work for a time.
    Suspended,
    /// Its holder has left and will not come back under this name.
    Left,
}

impl Standing {
    pub(super) const ALL: [Self; 4] = [Self::Active, Self::Disabled, Self::Suspended, Self::Left];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Suspended => "suspended",
            Self::Left => "left",
        }
    }

    /// The word of the log for giving an account this standing.
    pub(super) fn act(self) -> &'static str {
        match self {
            Self::Active => "account_enabled",
            Self::Disabled => "account_disabled",
            Self::Suspended => "account_suspended",
            Self::Left => "account_left",
        }
    }

    /// What a row says; a word that nobody knows is no welcome.
    fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|standing| standing.as_str() == word).unwrap_or(Self::Disabled)
    }
}

/// Accounts that are counted together from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The account, under whose name the store has what it has used.
    pub from: String,
    /// Under what it is counted now.
    pub into: String,
}

/// What is known here.
#[derive(Debug)]
pub(super) struct Roster {
    store: Store,
    due: Due,
    looking: tokio::sync::Mutex<()>,
    newest: AtomicI64,
    known: RwLock<People>,
    joined: Mutex<VecDeque<Joined>>,
    has_joined: AtomicBool,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct People {
    accounts: HashMap<String, Known>,
    /// The accounts of each person.
    of: HashMap<Arc<str>, BTreeSet<String>>,
}

#[derive(Clone, Debug)]
struct Known {
    standing: Standing,
    /// Those of a local account.
    roles: Vec<String>,
    /// The person, and under what the person is counted.
    person: Option<(Arc<str>, Arc<str>)>,
}

impl Roster {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            due: Due::every(INTERVAL_S),
            looking: tokio::sync::Mutex::new(()),
            newest: AtomicI64::new(0),
            known: RwLock::default(),
            joined: Mutex::default(),
            has_joined: AtomicBool::new(false),
            changes: watch::Sender::new(()),
        }
    }

    /// Reads all of it before anybody is counted; what is linked already then has joined nothing.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub(super) async fn load(&self) -> Result<(), StateError> {
        self.read().await?;
        self.joined.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.has_joined.store(false, Ordering::Release);
        Ok(())
    }

    /// Reads what is new if it is time. Whoever comes meanwhile waits, so that nobody is counted by what was.
    ///
    /// # Errors
    /// Any [`StateError`] of a read; the next asker tries again.
    pub(super) async fn look(&self, now: i64) -> Result<(), StateError> {
        if !self.due.is_due(now) {
            return Ok(());
        }
        let _only_one = self.looking.lock().await;
        if self.due.is_due(now) {
            self.read().await?;
            self.due.looked(now);
        }
        Ok(())
    }

    async fn read(&self) -> Result<(), StateError> {
        let rows = self.store.roster_after(self.newest.load(Ordering::Acquire)).await?;
        let Some(newest) = rows.last().map(|row| row.change) else { return Ok(()) };
        let rows: Vec<_> = rows.into_iter().map(with_roles).collect::<Result<_, _>>()?;
        // Who joined is known no later than that they did: whoever sees the link sees the flag.
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (row, roles) in rows {
            self.take_over(&mut known, row, roles);
        }
        drop(known);
        self.newest.fetch_max(newest, Ordering::AcqRel);
        self.changes.send_replace(());
        Ok(())
    }

    fn take_over(&self, people: &mut People, row: RosterRow, roles: Vec<String>) {
        let counts = |person: &Option<(Arc<str>, Arc<str>)>| {
            person.as_ref().map_or_else(|| row.account.clone(), |(_, counted)| counted.to_string())
        };
        let person = row.person.as_deref().map(|name| (name.into(), counted_as(name).into()));
        let person_before =
            people.accounts.get(&row.account).and_then(|known| known.person.clone());
        let before = counts(&person_before);
        let into = counts(&person);
        if before != into {
            // What was used under the person before was copied to the account when that changed.
            let from = row.account.clone();
            let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
            joined.push_back(Joined { from, into });
            self.has_joined.store(true, Ordering::Release);
        }
        let standing = Standing::of(&row.standing);
        if let Some(of) = person_before.and_then(|(name, _)| people.of.get_mut(&name)) {
            of.remove(&row.account);
        }
        if let Some((name, _)) = &person {
            people.of.entry(Arc::clone(name)).or_default().insert(row.account.clone());
        }
        people.accounts.insert(row.account, Known { standing, roles, person });
    }

    /// The roles of the local accounts that the same person has beside this one; none of those that were left.
    pub(super) fn roles_elsewhere(&self, account: &str) -> Vec<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let person = known.accounts.get(account).and_then(|known| known.person.as_ref());
        let Some(of) = person.and_then(|(name, _)| known.of.get(name)) else { return Vec::new() };
        let others = of.iter().filter(|other| *other != account);
        let others = others.filter_map(|other| known.accounts.get(other));
        let others = others.filter(|other| other.standing != Standing::Left);
        others.flat_map(|other| other.roles.iter().cloned()).collect()
    }

    /// The other accounts of the same person.
    pub(super) fn accounts_beside(&self, account: &str) -> Vec<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let person = known.accounts.get(account).and_then(|known| known.person.as_ref());
        let of = person.and_then(|(name, _)| known.of.get(name)).into_iter().flatten();
        of.filter(|other| *other != account).cloned().collect()
    }

    /// How an account stands; one that nobody said anything of is welcome.
    pub(super) fn standing(&self, account: &str) -> Standing {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.accounts.get(account).map_or(Standing::Active, |known| known.standing)
    }

    /// Whose an account is, and under what that person is counted.
    pub(super) fn person(&self, account: &str) -> Option<(Arc<str>, Arc<str>)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.accounts.get(account)?.person.clone()
    }

    pub(super) fn next_joined(&self) -> Option<Joined> {
        if !self.has_joined.load(Ordering::Acquire) {
            return None;
        }
        self.joined.lock().unwrap_or_else(PoisonError::into_inner).front().cloned()
    }

    pub(super) fn joined_is_counted(&self) {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        joined.pop_front();
        self.has_joined.store(!joined.is_empty(), Ordering::Release);
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

/// A row with its roles; what cannot be read is not taken for none, since some are kept apart.
fn with_roles(row: RosterRow) -> Result<(RosterRow, Vec<String>), StateError> {
    let roles = row.roles.as_deref().map_or(Ok(Vec::new()), serde_json::from_str);
    let damaged = |error: serde_json::Error| StateError::Damaged { detail: error.to_string() };
    Ok((row, roles.map_err(damaged)?))
}
