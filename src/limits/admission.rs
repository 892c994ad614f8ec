//! Admission: every holder of a request's limits is asked, and it is seated with all of them or with none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::allowance::{Allowance, Bound, Limit, Rate, Share};
use super::budget::Unit;
use super::concurrency::{Full, Place as Room};
use super::holder::{Asker, Holder};
use super::ledger::Place;
use super::purse::Purse;
use super::quota::{Quota, Refused, seconds_until};
use super::rate::KeyedRate;
use super::seat::{Inner, Seat, Stake, lock_all, own_quotas, sit, used_up};
use super::slice::{Occasion, Slice};
use super::{Limits, MAX_RATES, lock};

/// The texts of the holders of one request, each looked up once.
struct Texts<'a> {
    asker: Asker<'a>,
    person: Arc<str>,
    /// The person's purse, where there is one already.
    own: Option<Arc<Purse>>,
    shared: Vec<(Holder, Vec<Arc<str>>)>,
}

impl<'a> Texts<'a> {
    /// The text of somebody who is known is the one by which their purse is known: they are told alike by their address.
    fn of(asker: Asker<'a>, own: Option<Arc<Purse>>) -> Self {
        let known = own.as_ref().map(|purse| Arc::clone(&purse.text));
        Self {
            asker,
            person: known.unwrap_or_else(|| asker.person.into()),
            own,
            shared: Vec::new(),
        }
    }

    fn of_holder(&mut self, holder: &Holder) -> &[Arc<str>] {
        if !holder.is_shared() {
            return std::slice::from_ref(&self.person);
        }
        let found = self.shared.iter().position(|(known, _)| known == holder);
        let at = found.unwrap_or(self.shared.len());
        if found.is_none() {
            self.shared.push((holder.clone(), self.asker.texts(holder)));
        }
        self.shared.get(at).map_or(&[], |(_, texts)| texts)
    }
}

impl Limits {
    /// Admits a request, or says when to come back.
    ///
    /// A used-up budget of subjects, unmasked or not, still admits, since a subject already seen costs
    /// nothing: each record decides then. A used-up budget of records or bytes does not; one of files
    /// refuses [`Seat::take_file`].
    ///
    /// # Errors
    /// [`Refused`]; nothing is held then, but a refused request counts for its rates.
    pub fn admit<'a>(
        &self,
        asker: impl Into<Asker<'a>>,
        occasion: &Arc<Occasion>,
        allowance: &Arc<Allowance>,
    ) -> Result<Seat, Refused> {
        let asker = asker.into();
        let mut texts = Texts::of(asker, self.purses_beside(asker.person).get(asker.person));
        let now = self.means.clock.unix_ms();
        let allowance = &self.gap.tighten(allowance, now);
        let room = self.enter(&mut texts, allowance)?;
        let rates = self.check_rates(&mut texts, allowance)?;
        let mut stakes = self.stakes(&mut texts, allowance, now)?;
        self.count_request(&stakes, allowance)?;
        self.check_budgets(&stakes, allowance, now)?;
        let before = sit(&mut stakes, occasion, allowance, now);
        Ok(Seat::new(Inner {
            stakes,
            allowance: Arc::clone(allowance),
            means: Arc::clone(&self.means),
            before,
            rates,
            searches: AtomicBool::new(false),
            reached: Mutex::default(),
            shared: std::sync::OnceLock::new(),
            beside: std::sync::OnceLock::new(),
            is_used: AtomicBool::new(false),
            room,
        }))
    }

    /// A place among those under way: everybody's, the person's and those that the policy counts.
    fn enter(
        &self,
        texts: &mut Texts<'_>,
        allowance: &Allowance,
    ) -> Result<Room<Arc<str>>, Refused> {
        let is_own = |bound: &&Bound<u32>| !bound.holder.is_shared() && bound.slice.is_all();
        let own = allowance.concurrent().iter().filter(is_own).map(|bound| bound.most).min();
        let mut keys = vec![(
            Arc::clone(&texts.person),
            own.unwrap_or_else(|| self.in_flight_each.load(Ordering::Relaxed)),
        )];
        let others = || allowance.concurrent().iter().filter(|bound| !is_own(bound));
        for bound in others() {
            let texts = texts.of_holder(&bound.holder).iter();
            keys.extend(texts.map(|text| (keyed(text, &bound.slice), bound.most)));
        }
        self.in_flight.enter(keys).map_err(|full| match full {
            Full::Everybody => refused(Limit::InFlight, Holder::Person, 1),
            Full::Key(at) => {
                let mut holders = vec![Holder::Person];
                for bound in others() {
                    let keys = texts.of_holder(&bound.holder).len();
                    holders.extend(std::iter::repeat_n(bound.holder.clone(), keys));
                }
                refused(Limit::Concurrent, holders.get(at).cloned().unwrap_or_default(), 1)
            }
        })
    }

    fn check_rates(
        &self,
        texts: &mut Texts<'_>,
        allowance: &Allowance,
    ) -> Result<Vec<Quota>, Refused> {
        let mut quotas = Vec::new();
        for Bound { holder, slice, most: rate } in allowance.rates() {
            let none = || refused(Limit::Memory, holder.clone(), 60);
            let by_key = self.keyed_rate(*rate).ok_or_else(none)?;
            let period_s = u64::from(rate.window_s).div_ceil(u64::from(rate.per_window.max(1)));
            for text in texts.of_holder(holder) {
                let left = by_key.check(&keyed(text, slice)).map_err(|too_fast| {
                    let wait = u64::try_from(too_fast.wait.as_millis()).unwrap_or(u64::MAX);
                    let wait_s = wait.div_ceil(1_000).max(1);
                    let limit =
                        if too_fast.no_room { Limit::Memory } else { Limit::Rate(slice.clone()) };
                    let own =
                        (!holder.is_shared()).then(|| Quota::of_rate(*rate, slice, 0, wait_s));
                    Refused {
                        quotas: own.into_iter().collect(),
                        ..refused(limit, holder.clone(), wait_s)
                    }
                })?;
                if !holder.is_shared() {
                    quotas.push(Quota::of_rate(*rate, slice, left, period_s));
                }
            }
        }
        Ok(quotas)
    }

    /// The purse of every holder, in the order of their texts, each with the budgets that are its.
    fn stakes(
        &self,
        texts: &mut Texts<'_>,
        allowance: &Allowance,
        now: i64,
    ) -> Result<Vec<Stake>, Refused> {
        let none = |holder: &Holder| refused(Limit::Memory, holder.clone(), 60);
        let own = texts.own.take().or_else(|| self.purse(&texts.person, now));
        let mut stakes = vec![Stake::of(own.ok_or_else(|| none(&Holder::Person))?)];
        let budgets = allowance.budgets().iter().enumerate().map(|(at, share)| (at, share, true));
        let requests = allowance.requests().iter().enumerate();
        for (at, share, is_budget) in budgets.chain(requests.map(|(at, share)| (at, share, false)))
        {
            for text in texts.of_holder(&share.holder) {
                let is_it = |stake: &Stake| {
                    Arc::ptr_eq(&stake.purse.text, text) || stake.purse.text == *text
                };
                let found = stakes.iter().position(is_it);
                let place = found.unwrap_or(stakes.len());
                if found.is_none() {
                    let purse = self.purse(text, now).ok_or_else(|| none(&share.holder))?;
                    stakes.push(Stake::of(purse));
                }
                let Some(stake) = stakes.get_mut(place) else { continue };
                if stake.shares.is_empty() {
                    stake.shares.reserve_exact(allowance.budgets().len());
                }
                if is_budget {
                    stake.shares.push((at, Place::default()));
                } else {
                    stake.requests.push(at);
                }
            }
        }
        stakes.iter_mut().for_each(|stake| self.open_budgets(stake, allowance, now));
        stakes.sort_unstable_by(|one, other| one.purse.text.cmp(&other.purse.text));
        Ok(stakes)
    }

    /// Makes sure that all budgets of a holder are counted, under one lock.
    fn open_budgets(
        &self,
        Stake { purse, shares, .. }: &mut Stake,
        allowance: &Allowance,
        now: i64,
    ) {
        let mut new = Vec::new();
        let mut ledger = purse.ledger();
        for (at, place) in shares {
            let Some(share) = allowance.budgets().get(*at) else { continue };
            let is_new;
            (*place, is_new) = ledger.name(&share.budget, now);
            if is_new {
                new.push(share.budget.clone());
            }
        }
        drop(ledger);
        if !new.is_empty() {
            lock(&self.budgets).extend(new);
        }
    }

    /// Counts the request in the windows of all holders, or in none.
    fn count_request(&self, stakes: &[Stake], allowance: &Allowance) -> Result<(), Refused> {
        if allowance.requests().is_empty() {
            return Ok(());
        }
        let steady = self.means.steady_ms();
        let mut ledgers = lock_all(stakes);
        let asked = |at: &usize| allowance.requests().get(*at);
        let mut full: Option<(&Share, i64)> = None;
        for (stake, ledger) in stakes.iter().zip(&mut ledgers) {
            for share in stake.requests.iter().filter_map(asked) {
                let wait = ledger.requests().full_for(&share.budget, share.limit, steady);
                let Some(wait) = wait else { continue };
                if full.is_none_or(|(_, longest)| wait > longest) {
                    full = Some((share, wait));
                }
            }
        }
        if let Some((share, wait_ms)) = full {
            let limit = Limit::Budget(share.budget.clone());
            let quotas = own_quotas(stakes, &mut ledgers, allowance, &self.means);
            let refused = refused(limit, share.holder.clone(), seconds_until(0, wait_ms));
            return Err(Refused { quotas, ..refused });
        }
        for (stake, ledger) in stakes.iter().zip(&mut ledgers) {
            for share in stake.requests.iter().filter_map(asked) {
                ledger.requests().count(&share.budget, steady);
            }
        }
        Ok(())
    }

    /// Asks the budgets, and counts the request where it is counted durably.
    fn check_budgets(
        &self,
        stakes: &[Stake],
        allowance: &Allowance,
        now: i64,
    ) -> Result<(), Refused> {
        let mut ledgers = lock_all(stakes);
        let used_up = used_up(stakes, &mut ledgers, allowance, Unit::stops_requests, now);
        match used_up {
            None => {
                for (stake, ledger) in stakes.iter().zip(&mut ledgers) {
                    for (share, place) in &stake.shares {
                        let share = allowance.budgets().get(*share);
                        if let Some(share) = share.filter(|s| s.budget.unit == Unit::Requests) {
                            ledger.count_request((*place, share.limit), now);
                        }
                    }
                }
                Ok(())
            }
            Some(used_up) => {
                let quotas = own_quotas(stakes, &mut ledgers, allowance, &self.means);
                Err(used_up.refused(quotas))
            }
        }
    }

    fn keyed_rate(&self, rate: Rate) -> Option<Arc<KeyedRate<Arc<str>>>> {
        let mut rates = lock(&self.rates);
        if let Some(keyed) = rates.get(&rate) {
            return Some(Arc::clone(keyed));
        }
        if rates.len() >= MAX_RATES {
            rates.retain(|_, rate| rate.sweep() > 0 || Arc::strong_count(rate) > 1);
        }
        if rates.len() >= MAX_RATES {
            return None;
        }
        let keyed = Arc::new(KeyedRate::new(rate, self.settings.persons, &self.means.clock));
        rates.insert(rate, Arc::clone(&keyed));
        Some(keyed)
    }
}

/// Under what a holder's requests of a slice are counted.
fn keyed(text: &Arc<str>, slice: &Slice) -> Arc<str> {
    if slice.is_all() { Arc::clone(text) } else { format!("{text}{slice}").into() }
}

fn refused(limit: Limit, holder: Holder, retry_after_s: u64) -> Refused {
    Refused { limit, holder, retry_after_s, quotas: Vec::new() }
}
