//! Budgets that several gates share: each is lent a part of what is left and spends it without asking.
//!
//! Whatever a gate was lent counts as used until it says otherwise, so that no loss on the way, no pause, restart or
//! emptying of the store ever lets the gates together exceed a limit; it only makes them stricter.

mod call;
mod cell;
mod desk;
mod lease;
mod memory;
mod rounds;
mod seat;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

pub use self::call::{
    Beat, Call, Counts, Item, MAX_SKEW_MS, Pulse, Reply, SharedFuture, SharedStore,
    SharedStoreError, Skewed, Span, Standing,
};
pub(super) use self::cell::Cell;
pub use self::desk::{Account, Desk, SETTLE_MS};
pub(super) use self::lease::Want;
pub use self::memory::MemoryShared;
pub use self::rounds::Released;
pub(super) use self::seat::{Part, Receipt, SharedSeat, Short};
use crate::clock::Clock;
use crate::secret::Tagger;

/// What becomes of a limit while the shared store cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhenLost {
    /// What this gate was lent before may be spent; beyond that nothing.
    #[default]
    Local,
    /// Nothing.
    Deny,
}

/// How a gate shares.
#[derive(Clone, Debug)]
pub struct SharedSettings {
    /// This gate's name, another for each.
    pub node: Arc<str>,
    /// How many gates share, if that is known: a store that was emptied waits for all of them.
    pub gates: Option<u64>,
    /// How long to wait for the store before it counts as lost.
    pub deadline: Duration,
    /// How long a request waits for what another gate holds and does not need.
    pub patience: Duration,
    /// Accounts held in memory.
    pub accounts: usize,
    /// A loan is at most what is left, divided by the gates and by this.
    pub parts: u64,
}

impl Default for SharedSettings {
    fn default() -> Self {
        Self {
            node: "gate".into(),
            gates: None,
            deadline: Duration::from_millis(200),
            patience: Duration::from_millis(300),
            accounts: 1_000_000,
            parts: 4,
        }
    }
}

/// Whether the store lends, and since when not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedHealth {
    /// It answers, and knows what this gate used.
    pub is_up: bool,
    /// Gates that were heard of lately.
    pub gates: u64,
    /// How often it was lost.
    pub losses: u64,
    /// Portions refused since nobody could be asked.
    pub stricter: u64,
    /// Gates for which a store that began anew waits.
    pub waiting: u64,
}

/// What is known of the store.
#[derive(Debug, Default)]
struct Link {
    /// The life of the store in which this gate told everything, while it answers.
    up: Option<Arc<str>>,
    /// As `up`, but also while it is lost.
    told: Option<Arc<str>>,
    /// In steady time: when the store last heard a sign of life.
    heard_at: i64,
    generation: i64,
    /// Signs of life so far: no two lives get one name.
    beats: u64,
    gates: u64,
    /// Every gate, and how many milliseconds it had been quiet when this one last asked: a store that began
    /// anew has forgotten them.
    known: BTreeMap<Arc<str>, i64>,
    losses: u64,
    stricter: u64,
    /// This run gave a sign of life before.
    came_before: bool,
    /// Gates that have not told yet what they used.
    waiting: u64,
    /// Why it is lost as it was last said, and when.
    told_cause: Option<(String, i64)>,
}

/// Answers that wait for the store on a thread of their own; the others are held to what is lent.
const MAX_WAITING: usize = 64;
/// How often a full table is looked through for room.
const LOOK_MS: i64 = 1_000;
/// A gate that gave no sign of life for so long asks for nothing: a store that began anew asks those who did.
const SILENT_MS: i64 = 5_000;
/// Names of gates that are remembered.
const MAX_KNOWN: usize = 1_000;

impl Link {
    /// The life of the store, if it answers.
    fn life(&self, now: i64) -> Option<Arc<str>> {
        self.up.clone().filter(|_| now - self.heard_at < SILENT_MS)
    }

    /// Notes who was heard of. Nobody knows what the others did while this gate heard nothing, so they do not
    /// become quieter then.
    fn remember(&mut self, pulse: &Pulse, sent: i64) {
        let passed = Some(sent - self.heard_at).filter(|passed| *passed < SILENT_MS).unwrap_or(0);
        self.heard_at = sent;
        self.known.values_mut().for_each(|quiet| *quiet += passed);
        let heard =
            pulse.nodes.iter().map(|(node, at)| (Arc::clone(node), (pulse.now_ms - at).max(0)));
        self.known.extend(heard);
        while self.known.len() > MAX_KNOWN {
            let quietest = self.known.iter().max_by_key(|(_, quiet)| **quiet);
            let Some(quietest) = quietest.map(|(node, _)| Arc::clone(node)) else { break };
            self.known.remove(&quietest);
        }
    }
}

/// A gate's part in a shared store.
pub struct Shared {
    me: Weak<Self>,
    store: Arc<dyn SharedStore>,
    clock: Clock,
    settings: SharedSettings,
    names: Tagger,
    run: Arc<str>,
    link: Mutex<Link>,
    cells: Mutex<HashMap<Arc<str>, Arc<Cell>>>,
    /// What has something to tell.
    dirty: Mutex<Vec<Arc<Cell>>>,
    /// Places to wait for the store.
    places: Arc<Semaphore>,
    /// When a full table was last looked through.
    looked_at: AtomicI64,
    /// How far the calendar has run ahead of the steady clock: a machine that slept, or was moved, did not count
    /// that time.
    slept_ms: AtomicI64,
    /// The calendar less the steady clock, at the start.
    offset_ms: i64,
    /// Calls under way, also those whose asker has left.
    calls: TaskTracker,
}

impl Shared {
    /// Shares by a store, in a run of this gate that has a name of its own. Nothing is lent before a
    /// [`round`](Self::round).
    #[must_use]
    pub fn new(
        store: Arc<dyn SharedStore>,
        clock: &Clock,
        settings: SharedSettings,
        names: Tagger,
        run: &str,
    ) -> Arc<Self> {
        let run = format!("{}~{run}", settings.node).into();
        let offset_ms = clock.unix_ms() - steady_ms(clock);
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            store,
            clock: clock.clone(),
            settings,
            names,
            run,
            link: Mutex::default(),
            cells: Mutex::default(),
            dirty: Mutex::default(),
            places: Arc::new(Semaphore::new(MAX_WAITING)),
            looked_at: AtomicI64::new(i64::MIN),
            slept_ms: AtomicI64::new(0),
            offset_ms,
            calls: TaskTracker::new(),
        })
    }

    /// How the store stands.
    pub fn health(&self) -> SharedHealth {
        let link = self.link();
        let Link { gates, losses, stricter, waiting, .. } = *link;
        let is_up = link.life(self.steady_ms()).is_some();
        SharedHealth { is_up, gates, losses, stricter, waiting }
    }

    /// Counts a portion that was refused since nobody could be asked.
    pub(super) fn count_stricter(&self) {
        let mut link = self.link();
        link.stricter = link.stricter.saturating_add(1);
    }

    /// The seat of a request at accounts; waits where one was never asked for.
    pub(super) async fn seat(self: &Arc<Self>, parts: Vec<Part>) -> SharedSeat {
        let now = self.steady_ms();
        let cold = parts.iter().filter(|part| part.cell.lease().is_cold(now));
        let cold = Vec::from_iter(cold.map(|part| (Arc::clone(&part.cell), part.limit)));
        if !cold.is_empty() && !self.is_lost() {
            self.warm(&cold).await;
        }
        SharedSeat::new(Arc::clone(self), parts)
    }

    /// The account of a holder's budget; nothing if there is no room for another.
    pub(super) fn cell(&self, owner: &[&[u8]], counts: Counts, span: Span) -> Option<Arc<Cell>> {
        let name: Arc<str> = self.names.reference(owner).into();
        let mut cells = self.cells();
        if let Some(cell) = cells.get(&name) {
            return Some(Arc::clone(cell));
        }
        let now = self.steady_ms();
        let looked = now.saturating_sub(self.looked_at.load(Ordering::Relaxed)) < LOOK_MS;
        if cells.len() >= self.settings.accounts && !looked {
            self.looked_at.store(now, Ordering::Relaxed);
            cells.retain(|_, cell| Arc::strong_count(cell) > 1 || !cell.lease().is_forgotten(now));
        }
        if cells.len() >= self.settings.accounts {
            return None;
        }
        let cell = Arc::new(Cell::new(Arc::clone(&name), counts, span));
        cells.insert(name, Arc::clone(&cell));
        Some(cell)
    }

    /// Lets a budget begin anew over all gates, but for what each knows of it itself.
    pub(super) fn reset(&self, owner: &[&[u8]], counts: Counts, span: Span) {
        if let Some(cell) = self.cell(owner, counts, span) {
            cell.lease().reset();
            self.soil(&cell);
        }
    }

    /// Whether nobody can be asked.
    pub(super) fn is_lost(&self) -> bool {
        self.link().life(self.steady_ms()).is_none()
    }

    /// Milliseconds on a clock that nobody sets back, and that goes on while the machine sleeps.
    pub(super) fn steady_ms(&self) -> i64 {
        let steady = steady_ms(&self.clock);
        let ahead = self.clock.unix_ms().saturating_sub(steady).saturating_sub(self.offset_ms);
        steady.saturating_add(self.slept_ms.fetch_max(ahead, Ordering::Relaxed).max(ahead))
    }

    /// A place to wait for the store, if one is free.
    pub(super) fn wait_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Notes that an account may have something to tell, or runs low.
    fn soil(&self, cell: &Arc<Cell>) {
        if cell.soil() {
            lock(&self.dirty).push(Arc::clone(cell));
        }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        lock(&self.link)
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Cell>>> {
        lock(&self.cells)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn steady_ms(clock: &Clock) -> i64 {
    i64::try_from(clock.steady().as_millis()).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
