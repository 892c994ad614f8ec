//! The rounds of a gate: asks for more, tells what was spent, gives back what others need, and tells everything
//! again to a store that began anew.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::call::{Beat, Call, Item, Pulse, Reply, Standing};
use super::lease::Want;
use super::seat::Lack;
use super::{Cell, Counts, Link, SILENT_MS, Shared, Span};

/// Accounts in one call.
const MAX_ITEMS: usize = 200;
/// How often it is said again why the store is lost.
const REPEAT_MS: i64 = 60_000;
/// Things of the past in one call: the store does nothing else meanwhile.
const MAX_PAST: usize = 4_000;
/// How long a call with everything may take, since it is larger.
const TELLING_TIME: Duration = Duration::from_secs(2);
/// How often somebody who waits asks again.
const AGAIN: Duration = Duration::from_millis(25);
/// A gate that was not heard of for this long takes no part in how much is lent.
const PRESENT_MS: i64 = 5_000;

/// What this gate released of one account, whatever a store knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// Whose, and which: the parts of the account's name.
    pub owner: Vec<Vec<u8>>,
    /// What it counts.
    pub counts: Counts,
    /// Its window.
    pub span: Span,
    /// Amounts or subjects, and how many milliseconds ago.
    pub past: Vec<(u64, i64)>,
}

/// One account of a call under way.
struct Sent {
    cell: Arc<Cell>,
    item: Item,
    retold: u64,
    _turn: OwnedMutexGuard<()>,
}

impl Shared {
    /// One round; call it ten times a second. `released` gives all that this gate released and that counts.
    pub async fn round(&self, released: impl FnOnce() -> Vec<Released> + Send) {
        let Some(pulse) = self.beat().await else { return };
        if self.link().told.as_ref() != Some(&pulse.epoch) {
            if self.tell_everything(&pulse.epoch, released).await {
                self.link().told = Some(Arc::clone(&pulse.epoch));
                // Says so at once.
                self.beat().await;
            }
            return;
        }
        self.return_recalled(&pulse).await;
        self.tell_news().await;
    }

    /// Gives everything back, at the end.
    pub async fn leave(&self) {
        self.calls.close();
        if tokio::time::timeout(self.settings.deadline, self.calls.wait()).await.is_err() {
            tracing::debug!("calls to the shared store are still under way");
        }
        let cells = Vec::from_iter(self.cells().values().cloned());
        for some in cells.chunks(MAX_ITEMS) {
            self.send(some, |cell| Some(cell.lease().return_all(self.steady_ms()))).await;
        }
        let left = self.store.leave(Arc::clone(&self.run));
        if !matches!(tokio::time::timeout(self.settings.deadline, left).await, Ok(Ok(()))) {
            tracing::debug!("the shared store was not told that this gate ends");
        }
    }

    /// Gives back what lies unused, forgets what is over, and sees that nothing in use gets too old; call it every
    /// ten seconds.
    pub async fn tidy(&self) {
        let now = self.steady_ms();
        let mut idle = Vec::new();
        self.cells().retain(|_, cell| {
            let mut lease = cell.lease();
            lease.expire(now);
            if Arc::strong_count(cell) == 1 && lease.is_forgotten(now) {
                return false;
            }
            if lease.is_idle(now) {
                idle.push(Arc::clone(cell));
            } else if lease.ages(now) || lease.is_dirty() {
                drop(lease);
                self.soil(cell);
            }
            true
        });
        for some in idle.chunks(MAX_ITEMS) {
            self.send(some, |cell| Some(cell.lease().return_all(self.steady_ms()))).await;
        }
    }

    /// Asks for what a request lacks. `false` if that is in vain.
    pub(super) async fn fetch(&self, lacks: &[Lack]) -> bool {
        let most = self.settings.patience.as_millis() / AGAIN.as_millis();
        for waited in 0_u128.. {
            let cells = Vec::from_iter(lacks.iter().map(|lack| Arc::clone(&lack.cell)));
            let asked = self.send_waiting(&cells, |cell| {
                let lack = lacks.iter().find(|lack| Arc::ptr_eq(&lack.cell, cell))?;
                Some(asking(cell, lack, self.steady_ms()))
            });
            let Some(standings) = asked.await else { return false };
            let now = self.steady_ms();
            let short = standings.iter().filter(|(item, standing)| is_short(item, standing));
            let short = Vec::from_iter(short.map(|(item, standing)| (item, standing.elsewhere)));
            if short.is_empty() {
                return true;
            }
            let may_come = |account: &Arc<str>| {
                let lack = lacks.iter().find(|lack| lack.cell.name() == account);
                lack.is_some_and(|lack| lack.cell.is_worth_waiting(now))
            };
            if !short.iter().all(|(item, elsewhere)| *elsewhere > 0 && may_come(&item.account)) {
                return false;
            }
            if waited >= most {
                lacks.iter().for_each(|lack| lack.cell.waited_in_vain(now));
                return false;
            }
            tokio::time::sleep(AGAIN).await;
        }
        false
    }

    /// Asks for accounts that nothing is known of.
    pub(super) async fn warm(&self, cold: &[(Arc<Cell>, u64)]) {
        let cells = Vec::from_iter(cold.iter().map(|(cell, _)| Arc::clone(cell)));
        let asked = self.send_waiting(&cells, |cell| {
            let (_, limit) = cold.iter().find(|(one, _)| Arc::ptr_eq(one, cell))?;
            let mut item = cell.lease().tell(*limit, self.steady_ms());
            item.ask = Some(0);
            Some(item)
        });
        asked.await;
    }

    async fn beat(&self) -> Option<Pulse> {
        let (ready, known, number) = {
            let mut link = self.link();
            link.beats += 1;
            (link.told.clone(), link.known.clone().into_iter().collect(), link.beats)
        };
        let beat = Beat {
            node: Arc::clone(&self.settings.node),
            run: Arc::clone(&self.run),
            now_ms: self.clock.unix_ms(),
            ready,
            fresh: format!("{}.{number}", self.run).into(),
            known,
            gates: self.settings.gates,
        };
        let sent = self.steady_ms();
        match tokio::time::timeout(self.settings.deadline, self.store.beat(beat)).await {
            Ok(Ok(pulse)) if self.is_alone_by_name(&pulse) => {
                self.heard_of(&pulse, sent);
                Some(pulse)
            }
            Ok(Ok(_)) => self.lose(&format_args!(
                "another gate calls itself `{}`, too: each needs a `node` of its own",
                self.settings.node
            )),
            Ok(Err(error)) => self.lose(&error),
            Err(elapsed) => self.lose(&elapsed),
        }
    }

    /// Whether nobody else gave a sign of life by this gate's name since its own last one.
    fn is_alone_by_name(&self, pulse: &Pulse) -> bool {
        let mut link = self.link();
        let came_before = std::mem::replace(&mut link.came_before, true);
        pulse.previous.as_ref().is_none_or(|run| !came_before || *run == self.run)
    }

    /// Says for whom a store that began anew waits, once.
    fn note_waiting(&self, link: &mut Link, pulse: &Pulse) {
        let missing = self.settings.gates.unwrap_or(0).saturating_sub(pulse.told);
        let waiting = missing.max(u64::try_from(pulse.waits_for.len()).unwrap_or(u64::MAX));
        if waiting > 0 && waiting != link.waiting && link.told.as_ref() == Some(&pulse.epoch) {
            let (told, waits_for) = (pulse.told, pulse.waits_for.join(", "));
            tracing::warn!(
                told,
                gates = self.settings.gates,
                waits_for,
                "the shared store began anew: a budget is lent only when every gate has told what counts of it"
            );
        }
        link.waiting = waiting;
    }

    fn heard_of(&self, pulse: &Pulse, sent: i64) {
        let mut link = self.link();
        let present = pulse.nodes.iter().filter(|(_, at)| pulse.now_ms - at < PRESENT_MS).count();
        link.gates = u64::try_from(present).unwrap_or(1).max(1);
        link.remember(pulse, sent);
        self.note_waiting(&mut link, pulse);
        let knows_all = link.told.as_ref() == Some(&pulse.epoch);
        if knows_all && link.up.is_none() {
            // Calls of before may still be on their way; they are not heard after one of this generation.
            link.generation = self.clock.unix_ms().max(link.generation + 1);
            tracing::info!(gates = link.gates, "the shared store lends");
        }
        link.up = knows_all.then(|| Arc::clone(&pulse.epoch));
    }

    fn lose<T>(&self, error: &dyn std::fmt::Display) -> Option<T> {
        let now = self.steady_ms();
        let mut link = self.link();
        let was_up = link.up.take().is_some();
        link.losses = link.losses.saturating_add(u64::from(was_up));
        let cause = error.to_string();
        let passed = now.saturating_sub(link.told_cause.as_ref().map_or(i64::MIN, |told| told.1));
        let is_news = link.told_cause.as_ref().is_none_or(|(told, _)| *told != cause);
        if was_up || passed >= REPEAT_MS || (is_news && passed >= REPEAT_MS / 10) {
            tracing::error!(%error, "the shared store of budgets is lost: limits are stricter until it is back");
            link.told_cause = Some((cause, now));
        }
        None
    }

    /// Tells a store that began anew what is held and what was released. Nothing is taken from it before.
    async fn tell_everything(
        &self,
        epoch: &Arc<str>,
        released: impl FnOnce() -> Vec<Released>,
    ) -> bool {
        {
            let mut link = self.link();
            link.up = None;
            link.generation = self.clock.unix_ms().max(link.generation + 1);
        }
        let held = Vec::from_iter(self.cells().values().cloned());
        // First what is held, then what was released: whatever leaves in between is in both, not in neither.
        let now = self.steady_ms();
        let mut items = Vec::from_iter(held.iter().map(|cell| cell.lease().tell_anew(now)));
        for Released { owner, counts, span, past } in released() {
            let owner = Vec::from_iter(owner.iter().map(Vec::as_slice));
            let name: Arc<str> = self.names.reference(&owner).into();
            let mut item = Item::about(name, counts, span, 0);
            item.past = past;
            items.push(item);
        }
        items.retain(|item| item.held > 0 || !item.past.is_empty());
        for some in in_letters(items) {
            if self.call(epoch, some, TELLING_TIME).await.is_none() {
                return false;
            }
        }
        true
    }

    async fn return_recalled(&self, pulse: &Pulse) {
        let recalled = {
            let cells = self.cells();
            let recalled = pulse.recalled.iter().filter_map(|name| cells.get(name).cloned());
            Vec::from_iter(recalled)
        };
        for some in recalled.chunks(MAX_ITEMS) {
            self.send(some, |cell| Some(cell.lease().return_all(self.steady_ms()))).await;
        }
    }

    /// Tells what was spent since, and asks for more where it runs low.
    async fn tell_news(&self) {
        let dirty = std::mem::take(&mut *super::lock(&self.dirty));
        dirty.iter().for_each(|cell| cell.clean());
        for some in dirty.chunks(MAX_ITEMS) {
            let now = self.steady_ms();
            self.send(some, |cell| {
                let mut lease = cell.lease();
                let runs_low = lease.runs_low(now);
                if !runs_low && !lease.is_dirty() && !lease.ages(now) {
                    return None;
                }
                let limit = lease.limit();
                let mut item = lease.tell(limit, now);
                item.ask = runs_low.then_some(0);
                Some(item)
            })
            .await;
        }
    }

    /// Sends what there is to say about accounts of which nobody else speaks now.
    async fn send(&self, cells: &[Arc<Cell>], say: impl Fn(&Arc<Cell>) -> Option<Item>) {
        let (at, mut sent) = (self.steady_ms(), Vec::new());
        for cell in cells {
            match Arc::clone(&cell.turn).try_lock_owned() {
                Ok(turn) => {
                    let retold = cell.lease().retold();
                    let Some(item) = say(cell) else { continue };
                    sent.push(Sent { cell: Arc::clone(cell), item, retold, _turn: turn });
                }
                Err(_busy) => self.soil(cell),
            }
        }
        self.deliver(sent, at).await;
    }

    /// As [`send`](Self::send), but waits until nobody else speaks.
    async fn send_waiting(
        &self,
        cells: &[Arc<Cell>],
        say: impl Fn(&Arc<Cell>) -> Option<Item>,
    ) -> Option<Vec<(Item, Standing)>> {
        let mut cells = cells.to_vec();
        // In one order, so that nobody waits for one another.
        cells.sort_by(|a, b| a.name().cmp(b.name()));
        cells.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let (mut at, mut sent) = (i64::MAX, Vec::new());
        for cell in &cells {
            let turn = Arc::clone(&cell.turn).lock_owned().await;
            at = at.min(self.steady_ms());
            let retold = cell.lease().retold();
            let Some(item) = say(cell) else { continue };
            sent.push(Sent { cell: Arc::clone(cell), item, retold, _turn: turn });
        }
        self.deliver(sent, at).await
    }

    /// Sends what was said at `at`, and takes over what is answered, also if whoever asked has left: what is lent is not
    /// lost then.
    async fn deliver(&self, sent: Vec<Sent>, at: i64) -> Option<Vec<(Item, Standing)>> {
        if sent.is_empty() {
            return Some(Vec::new());
        }
        let (me, letter) = (self.me.upgrade()?, Letter(sent));
        self.calls.spawn(async move { me.deliver_now(letter, at).await }).await.ok().flatten()
    }

    async fn deliver_now(&self, mut letter: Letter, at: i64) -> Option<Vec<(Item, Standing)>> {
        let (epoch, generation) = {
            let mut link = self.link();
            let Some(life) = link.life(self.steady_ms()) else {
                // What was given back with this comes by the next generation's word.
                link.up = None;
                return None;
            };
            (life, link.generation)
        };
        let items = letter.0.iter().map(|sent| sent.item.clone()).collect();
        let standings = self.call(&epoch, items, self.settings.deadline).await?;
        if self.steady_ms() - at >= SILENT_MS {
            return self.lose(&"this gate was held up");
        }
        // Kept locked: what is held is not told anew while it grows.
        let link = self.link();
        if link.generation != generation {
            return None;
        }
        let mut heard = Vec::new();
        for (sent, standing) in std::mem::take(&mut letter.0).into_iter().zip(standings) {
            sent.cell.lease().learned(&sent.item, &standing, at);
            heard.push((sent.item, standing));
        }
        drop(link);
        Some(heard)
    }

    async fn call(
        &self,
        epoch: &Arc<str>,
        items: Vec<Item>,
        deadline: Duration,
    ) -> Option<Vec<Standing>> {
        let (generation, gates) = {
            let link = self.link();
            // A gate that has not come yet gets its part, too.
            (link.generation, link.gates.max(self.settings.gates.unwrap_or(1)).max(1))
        };
        let count = items.len();
        let call = Call {
            epoch: Arc::clone(epoch),
            run: Arc::clone(&self.run),
            generation,
            now_ms: self.clock.unix_ms(),
            divisor: gates.saturating_mul(self.settings.parts),
            items,
        };
        match tokio::time::timeout(deadline, self.store.settle(call)).await {
            Ok(Ok(Reply::Settled(standings))) if standings.len() == count => Some(standings),
            Ok(Ok(Reply::Settled(_))) => self.lose(&"it answered what nobody asked"),
            Ok(Ok(Reply::Stranger)) => self.lose(&"it began anew"),
            Ok(Ok(Reply::Skewed(skewed))) => self.lose(&skewed),
            Ok(Err(error)) => self.lose(&error),
            Err(elapsed) => self.lose(&elapsed),
        }
    }
}

/// What is on its way. Dropped unanswered, it is said again with the next.
struct Letter(Vec<Sent>);

impl Drop for Letter {
    fn drop(&mut self) {
        for Sent { cell, item, retold, .. } in self.0.drain(..) {
            cell.lease().unheard(item, retold);
        }
    }
}

/// Asks for what a request lacks, and for some more where there is plenty.
fn asking(cell: &Cell, lack: &Lack, now: i64) -> Item {
    let mut lease = cell.lease();
    let in_hand = lease.in_hand(lack.limit, now);
    let mut item = lease.tell(lack.limit, now);
    match lack.want {
        Want::Amount(amount) => item.ask = Some(amount.saturating_sub(in_hand)),
        Want::Subject(subject) => {
            item.claims.push(subject);
            // A loan may be given back if another budget refuses; a subject that was counted may not.
            item.ask = Some(1);
        }
    }
    item
}

fn is_short(item: &Item, standing: &Standing) -> bool {
    let is_known = !item.claims.is_empty() && !standing.claims.contains(&false);
    !is_known && item.ask.is_some_and(|least| standing.granted < least)
}

/// Letters of at most so many items, and as much past in each.
fn in_letters(items: Vec<Item>) -> Vec<Vec<Item>> {
    let (mut letters, mut letter, mut past) = (Vec::new(), Vec::new(), 0);
    for item in items.into_iter().flat_map(in_pieces) {
        if letter.len() >= MAX_ITEMS || past + item.past.len() > MAX_PAST {
            letters.push(std::mem::take(&mut letter));
            past = 0;
        }
        past += item.past.len();
        letter.push(item);
    }
    letters.push(letter);
    letters.retain(|letter| !letter.is_empty());
    letters
}

/// Cuts an item with a long past into several.
fn in_pieces(mut item: Item) -> Vec<Item> {
    let mut pieces = Vec::new();
    while item.past.len() > MAX_PAST {
        let mut piece = Item::about(Arc::clone(&item.account), item.counts, item.span, item.limit);
        piece.held = std::mem::take(&mut item.held);
        piece.past = item.past.split_off(item.past.len() - MAX_PAST);
        pieces.push(piece);
    }
    pieces.push(item);
    pieces
}
