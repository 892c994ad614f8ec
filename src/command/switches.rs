//! What is switched off, as a gate knows it: asked by each request, read anew many times a second.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::Instant;

use super::{Kind, Target};
use crate::state::{ResetRow as Reset, StateError, Store};

/// How often to look for commands.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What is known is too old to let a request pass; whoever finds it so looks, and waits for that.
const OLD: Duration = Duration::from_millis(200);
/// Nobody has looked yet.
const NEVER: u64 = u64::MAX;

/// What is switched off at this moment.
#[derive(Debug)]
pub struct Switches {
    store: Store,
    on: RwLock<Arc<On>>,
    are_any: AtomicBool,
    are_rights: AtomicBool,
    looking: Mutex<()>,
    /// The change that was read last, beginning with none.
    change: AtomicI64,
    /// The number of the reset that was read last.
    reset: AtomicI64,
    start: Instant,
    /// When somebody looked last, in milliseconds from `start`.
    looked_ms: AtomicU64,
    changes: watch::Sender<()>,
}

/// What is switched off, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct On {
    persons: Vec<String>,
    rights: HashSet<Target>,
    others: HashSet<Target>,
}

impl On {
    /// The right to a role that is switched off, of whoever has one of these names.
    fn right<'n>(&self, role: &str, mut names: impl Iterator<Item = &'n str>) -> Option<Target> {
        if self.rights.is_empty() {
            return None;
        }
        names.find_map(|name| {
            let right = Target::right(role, name).ok()?;
            self.rights.contains(&right).then_some(right)
        })
    }
}

/// What was read and does not hold yet.
#[derive(Debug)]
pub struct News {
    change: i64,
    on: On,
    /// Holders and budgets that begin anew.
    resets: Vec<Reset>,
    newest_reset: i64,
}

impl News {
    /// Holders, with the budget of theirs that begins anew.
    pub fn resets(&self) -> &[Reset] {
        &self.resets
    }
}

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The account.
    pub account: &'a str,
    /// The person whose account it is, where that was said.
    pub person: Option<&'a str>,
    /// The roles that the account has.
    pub roles: &'a [String],
    /// The tenants that it is of.
    pub tenants: &'a [String],
    /// The partners in whose names it asks.
    pub partners: &'a [String],
    /// The route.
    pub route: &'a str,
    /// Whether the answer is an export or another file.
    pub is_file: bool,
}

impl Switches {
    /// Nothing is known yet: [`Switches::look`] and [`Switches::install`] come before the first request.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let (on, are_any, are_rights, looking) = Default::default();
        let (change, reset) = (AtomicI64::new(-1), AtomicI64::new(-1));
        let looked_ms = AtomicU64::new(NEVER);
        let (start, changes) = (Instant::now(), watch::Sender::new(()));
        Self { store, on, are_any, are_rights, looking, change, reset, start, looked_ms, changes }
    }

    /// Whether what is known is too old to let a request pass.
    #[must_use]
    pub fn is_old(&self) -> bool {
        let looked = self.looked_ms.load(Ordering::Acquire);
        looked == NEVER || self.now_ms().saturating_sub(looked) > ms(OLD)
    }

    /// Lets one look at a time.
    pub async fn only_one(&self) -> MutexGuard<'_, ()> {
        self.looking.lock().await
    }

    /// Reads what was commanded since the last look; nothing where nothing was.
    ///
    /// # Errors
    /// Any [`StateError`] of a read; what is known is as old as it was.
    pub async fn look(&self) -> Result<Option<News>, StateError> {
        let began = self.now_ms();
        let change = self.store.command_change().await?;
        if change == self.change.load(Ordering::Acquire) {
            self.looked_ms.store(began, Ordering::Release);
            return Ok(None);
        }
        let mut on = On::default();
        for row in self.store.switches().await? {
            match row.kind.parse().and_then(|kind| Target::new(kind, &row.name)) {
                Ok(target) if target.kind() == Kind::Person => on.persons.push(row.name),
                Ok(target) if target.kind() == Kind::Right => drop(on.rights.insert(target)),
                Ok(target) => drop(on.others.insert(target)),
                Err(error) => tracing::error!(%error, "a switch of a newer menshen is not kept"),
            }
        }
        let known = self.reset.load(Ordering::Acquire);
        let rows = self.store.resets_after(known).await?;
        let newest_reset = rows.last().map_or(known.max(0), |row| row.seq);
        // The counters were read after those that were there at the first look.
        let rows = rows.into_iter().filter(|_| known >= 0);
        let resets = rows.collect();
        Ok(Some(News { change, on, resets, newest_reset }))
    }

    /// Lets what was read hold. Unless all of it `is_recorded`, only what is stricter does, and the next look
    /// tries again.
    pub fn install(&self, news: News, is_recorded: bool) {
        let mut on = self.on.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = news.on;
        if !is_recorded {
            next.others.extend(on.others.iter().cloned());
            next.persons.extend(on.persons.iter().cloned());
            next.rights.extend(on.rights.iter().cloned());
        }
        self.are_any.store(next != On::default(), Ordering::Release);
        self.are_rights.store(!next.rights.is_empty(), Ordering::Release);
        *on = Arc::new(next);
        drop(on);
        if is_recorded {
            self.change.store(news.change, Ordering::Release);
            self.reset.store(news.newest_reset, Ordering::Release);
        }
        self.looked_ms.store(self.now_ms(), Ordering::Release);
        self.changes.send_replace(());
    }

    /// The switch that stops this request, if one does. `is_same` says whether a name is one by which the asking
    /// account is counted too.
    pub fn stops(&self, asker: &Asker<'_>, is_same: impl Fn(&str) -> bool) -> Option<Target> {
        let on = Arc::clone(&self.on.read().unwrap_or_else(PoisonError::into_inner));
        let names_asker = |name: &&String| {
            *name == asker.account || Some(name.as_str()) == asker.person || is_same(name)
        };
        if let Some(name) = on.persons.iter().find(names_asker) {
            return Target::new(Kind::Person, name).ok();
        }
        let names = [Some(asker.account), asker.person].into_iter().flatten();
        if let Some(right) = asker.roles.iter().find_map(|role| on.right(role, names.clone())) {
            return Some(right);
        }
        let roles = asker.roles.iter().map(|role| (Kind::Role, role.as_str()));
        let tenants = asker.tenants.iter().map(|tenant| (Kind::Tenant, tenant.as_str()));
        let partners = asker.partners.iter().map(|partner| (Kind::Partner, partner.as_str()));
        let exports = asker.is_file.then_some((Kind::Exports, ""));
        let asked = roles.chain(tenants).chain(partners).chain(exports);
        let mut asked = asked.chain([(Kind::Route, asker.route)]);
        asked.find_map(|(kind, name)| {
            let target = Target::new(kind, name).ok()?;
            on.others.contains(&target).then_some(target)
        })
    }

    /// Whether any right is switched off.
    #[must_use]
    pub fn are_rights(&self) -> bool {
        self.are_rights.load(Ordering::Acquire)
    }

    /// Of these roles those to which somebody with these names has no right at the moment.
    #[must_use]
    pub fn without_right(&self, roles: &[String], names: &[&str]) -> Vec<Target> {
        let on = Arc::clone(&self.on.read().unwrap_or_else(PoisonError::into_inner));
        roles.iter().filter_map(|role| on.right(role, names.iter().copied())).collect()
    }

    /// Whether anything is switched off.
    #[must_use]
    pub fn are_any(&self) -> bool {
        self.are_any.load(Ordering::Acquire)
    }

    /// How many of a kind are switched off.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        let on = self.on.read().unwrap_or_else(PoisonError::into_inner);
        match kind {
            Kind::Person => on.persons.len(),
            Kind::Right => on.rights.len(),
            Kind::Role | Kind::Tenant | Kind::Partner | Kind::Route | Kind::Exports => {
                on.others.iter().filter(|target| target.kind() == kind).count()
            }
        }
    }

    /// Tells when something was switched on or off.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn now_ms(&self) -> u64 {
        ms(self.start.elapsed())
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER - 1)
}
