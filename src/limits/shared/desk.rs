//! What a shared store does, values in and values out: the whole rule in one place. The script for Redis
//! says the same in its own language, and one suite of tests holds both to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::call::{Beat, Call, Counts, Item, MAX_SKEW_MS, Now, Pulse, Reply, Skewed, Standing};

/// How long a new life waits for gates that it has not heard of, where nobody says how many there are.
pub const SETTLE_MS: i64 = 3_000;
/// A gate may have been lent something this long after its last sign of life.
const SLACK_MS: i64 = 10_000;
/// A gate that was not heard of for this long is forgotten: nothing that it released counts any more.
const FORGOTTEN_MS: i64 = 400 * 86_400_000;
/// Gates that are named as waited for.
const MAX_WAITED_FOR: usize = 10;
/// Accounts recalled from one gate at once.
const MAX_RECALLED: usize = 500;

/// One life of a store, from empty to lost.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Epoch {
    id: Arc<str>,
    began_ms: i64,
    /// Loans that count for up to this long are made: everybody who may have used something that still
    /// counted for that long has told it.
    opened_ms: i64,
}

/// What one run of a gate was lent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Loan {
    amount: u64,
    /// Nothing spent of it counts after this.
    until_ms: i64,
    generation: i64,
}

/// One account: what counts of it, and what is lent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// By bucket.
    amounts: BTreeMap<i64, u64>,
    /// When each subject was told last.
    subjects: BTreeMap<u64, i64>,
    loans: BTreeMap<Arc<str>, Loan>,
}

/// A shared store, but for where it is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Desk {
    epoch: Option<Epoch>,
    nodes: BTreeMap<Arc<str>, i64>,
    /// Which run last gave a sign of life by each name.
    runs: BTreeMap<Arc<str>, Arc<str>>,
    last_ms: i64,
    /// Gates that may have used something before this life, and when they were last heard of.
    expected: BTreeMap<Arc<str>, i64>,
    /// Gates that have told in this life what they used.
    ready: BTreeSet<Arc<str>>,
    recalls: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// How many gates there are, if somebody said so.
    gates: Option<u64>,
    /// Kept apart by a carrier that stores them one by one.
    #[serde(skip)]
    accounts: HashMap<Arc<str>, Account>,
}

impl Desk {
    /// Hears a sign of life.
    ///
    /// # Errors
    /// [`Skewed`] if the clocks disagree. If it is the store's that jumped, what it kept may have ended before its time:
    /// it begins anew when they agree.
    pub fn beat(&mut self, beat: &Beat, now_ms: i64) -> Result<Pulse, Skewed> {
        let Now { late_ms: now, .. } = Now::of(now_ms, beat.now_ms).inspect_err(|_| {
            self.epoch = self.epoch.take().filter(|_| (now_ms - self.last_ms).abs() <= MAX_SKEW_MS);
        })?;
        self.last_ms = now_ms;
        let mut heard = std::mem::take(&mut self.nodes);
        heard.retain(|_, at| now - *at < FORGOTTEN_MS);
        let epoch = match self.epoch.take() {
            Some(epoch) => epoch,
            None => {
                self.expected.clone_from(&heard);
                self.ready.clear();
                self.accounts.clear();
                Epoch { id: Arc::clone(&beat.fresh), began_ms: now, opened_ms: 0 }
            }
        };
        heard.insert(Arc::clone(&beat.node), now);
        for (node, quiet_ms) in &beat.known {
            let at = now - quiet_ms;
            let last = self.expected.entry(Arc::clone(node)).or_insert(at);
            *last = (*last).max(at);
        }
        self.expected.entry(Arc::clone(&beat.node)).or_insert(now);
        if beat.ready.as_ref() == Some(&epoch.id) {
            self.ready.insert(Arc::clone(&beat.node));
        }
        self.gates = beat.gates;
        self.nodes = heard;
        self.epoch = Some(epoch);
        Ok(self.pulse(beat, now_ms))
    }

    /// Says that a gate ends well.
    pub fn leave(&mut self, run: &str) {
        self.recalls.remove(run);
    }

    /// Hears a call.
    pub fn settle(&mut self, call: &Call, now_ms: i64) -> Reply {
        if self.epoch.as_ref().is_none_or(|epoch| epoch.id != call.epoch) {
            return Reply::Stranger;
        }
        let now = match Now::of(now_ms, call.now_ms) {
            Ok(now) => now,
            Err(skewed) => return Reply::Skewed(skewed),
        };
        let mut standings = Vec::new();
        for item in &call.items {
            let mut account = self.accounts.remove(&item.account).unwrap_or_default();
            let lends = self.lends(item.span.lent_ms(), now.early_ms);
            let (standing, recalled) = account.settle(call, item, lends, now);
            for run in recalled {
                let names = self.recalls.entry(run).or_default();
                if names.len() < MAX_RECALLED {
                    names.insert(Arc::clone(&item.account));
                }
            }
            self.accounts.insert(Arc::clone(&item.account), account);
            standings.push(standing);
        }
        Reply::Settled(standings)
    }

    /// Takes accounts out, to be stored.
    pub fn take_accounts(&mut self) -> HashMap<Arc<str>, Account> {
        std::mem::take(&mut self.accounts)
    }

    /// Puts in an account that was stored.
    pub fn put_account(&mut self, name: Arc<str>, account: Account) {
        self.accounts.insert(name, account);
    }

    /// Whether loans that count for so long are made: everybody who may have released something, or been lent
    /// something, that still counts has told it in this life, or it has been long enough.
    fn lends(&mut self, lent_ms: i64, now_ms: i64) -> bool {
        let Some(epoch) = self.epoch.as_mut() else { return false };
        let age_ms = now_ms - epoch.began_ms;
        if lent_ms <= epoch.opened_ms || age_ms > lent_ms {
            return true;
        }
        let ready = u64::try_from(self.ready.len()).unwrap_or(u64::MAX);
        let waited = self.gates.map_or(age_ms >= SETTLE_MS, |gates| ready >= gates);
        let oldest = epoch.began_ms - lent_ms - SLACK_MS;
        let mut expected = self.expected.iter().filter(|(_, at)| **at >= oldest);
        if ready == 0 || !waited || expected.any(|(node, _)| !self.ready.contains(node)) {
            return false;
        }
        epoch.opened_ms = lent_ms;
        true
    }

    fn pulse(&mut self, beat: &Beat, now_ms: i64) -> Pulse {
        let epoch = self.epoch.as_ref().map_or(&beat.fresh, |epoch| &epoch.id);
        let epoch = Arc::clone(epoch);
        let nodes = self.nodes.iter().map(|(node, at)| (Arc::clone(node), *at)).collect();
        let recalled = self.recalls.remove(&beat.run).unwrap_or_default().into_iter().collect();
        let previous = self.runs.insert(Arc::clone(&beat.node), Arc::clone(&beat.run));
        let told = u64::try_from(self.ready.len()).unwrap_or(u64::MAX);
        let silent = self.expected.keys().filter(|node| !self.ready.contains(*node));
        let waits_for = silent.take(MAX_WAITED_FOR).cloned().collect();
        Pulse { epoch, now_ms, nodes, recalled, previous, told, waits_for }
    }
}

impl Account {
    /// Hears what one gate says of it; gives the runs of gates whose loans are wanted, too.
    fn settle(
        &mut self,
        call: &Call,
        item: &Item,
        lends: bool,
        now: Now,
    ) -> (Standing, Vec<Arc<str>>) {
        self.age(item, now.early_ms);
        let newest = self.loans.get(&call.run).map_or(0, |loan| loan.generation);
        if call.generation < newest {
            // It was on its way while the gate began anew, which told all of it again.
            let claims = vec![false; item.claims.len()];
            return (Standing { closed: true, claims, ..Standing::default() }, Vec::new());
        }
        self.hear(call, item, now.late_ms);
        let claims = item.claims.iter().map(|subject| {
            let counts = lends && self.subjects.contains_key(subject);
            if counts {
                self.subjects.insert(*subject, now.late_ms);
            }
            counts
        });
        let claims = Vec::from_iter(claims);
        // Whom it counts already, needs no loan.
        let is_known = !claims.is_empty() && !claims.contains(&false);
        let least = item.ask.map(|least| if is_known { 0 } else { least });
        let granted = if lends { self.lend(call, item, least, now.late_ms) } else { 0 };
        let others = self.loans.iter().filter(|(run, loan)| **run != call.run && loan.amount > 0);
        let others = Vec::from_iter(others.map(|(run, loan)| (Arc::clone(run), loan.amount)));
        let is_short = !is_known && least.is_some_and(|least| granted < least.max(1));
        let standing = Standing {
            closed: !lends,
            granted,
            used: self.used(item.counts),
            elsewhere: others.iter().fold(0, |sum, (_, amount)| sum.saturating_add(*amount)),
            claims,
            relaxes_ms: self.relaxes_ms(item, now.early_ms),
        };
        let recalled = others.into_iter().filter(|_| lends && is_short).map(|(run, _)| run);
        (standing, recalled.collect())
    }

    /// Forgets what no longer counts.
    fn age(&mut self, item: &Item, now_ms: i64) {
        let oldest = (now_ms - item.span.window_ms).div_euclid(item.span.part_ms());
        self.amounts.retain(|bucket, _| *bucket >= oldest);
        self.subjects.retain(|_, at| now_ms - *at < item.span.subject_ms());
        self.loans.retain(|_, loan| loan.until_ms > now_ms);
    }

    /// Takes in what a gate released and gives back.
    fn hear(&mut self, call: &Call, item: &Item, now_ms: i64) {
        let loan = self.loans.entry(Arc::clone(&call.run)).or_default();
        if call.generation > loan.generation {
            (loan.generation, loan.amount) = (call.generation, item.held);
        }
        if item.reset {
            self.amounts.clear();
            self.subjects.clear();
        }
        let paid = u64::try_from(item.paid.len()).unwrap_or(u64::MAX);
        let over = item.spent.saturating_add(paid).saturating_add(item.given);
        loan.amount = loan.amount.saturating_sub(over);
        loan.until_ms = now_ms + item.span.lent_ms();
        self.date(item.spent, 0, item, now_ms);
        self.subjects.extend(item.paid.iter().map(|subject| (*subject, now_ms)));
        for (what, age_ms) in &item.past {
            match item.counts {
                Counts::Amounts => self.date(*what, *age_ms, item, now_ms),
                Counts::Subjects => {
                    let at = self.subjects.entry(*what).or_insert(i64::MIN);
                    *at = (*at).max(now_ms - age_ms);
                }
            }
        }
    }

    fn date(&mut self, amount: u64, age_ms: i64, item: &Item, now_ms: i64) {
        if amount > 0 {
            let bucket = (now_ms - age_ms).div_euclid(item.span.part_ms());
            let held = self.amounts.entry(bucket).or_default();
            *held = held.saturating_add(amount);
        }
    }

    fn lend(&mut self, call: &Call, item: &Item, least: Option<u64>, now_ms: i64) -> u64 {
        let Some(least) = least else { return 0 };
        let left = item.limit.saturating_sub(self.used(item.counts));
        let granted = left.min(least.max(left / call.divisor.max(1)));
        let loan = self.loans.entry(Arc::clone(&call.run)).or_default();
        loan.amount = loan.amount.saturating_add(granted);
        loan.until_ms = now_ms + item.span.lent_ms();
        granted
    }

    fn used(&self, counts: Counts) -> u64 {
        let counted = match counts {
            Counts::Amounts => self.amounts.values().fold(0, |sum: u64, n| sum.saturating_add(*n)),
            Counts::Subjects => u64::try_from(self.subjects.len()).unwrap_or(u64::MAX),
        };
        self.loans.values().fold(counted, |sum, loan| sum.saturating_add(loan.amount))
    }

    fn relaxes_ms(&self, item: &Item, now_ms: i64) -> i64 {
        let span = item.span;
        let amounts = self.amounts.keys().next();
        let amounts = amounts.map(|bucket| (bucket + 1) * span.part_ms() + span.window_ms);
        let subjects = self.subjects.values().min().map(|at| at + span.subject_ms());
        let at = amounts.into_iter().chain(subjects).min();
        at.map_or(span.window_ms, |at| (at - now_ms).max(1))
    }
}
