//! What one gate was lent of one account, and what of it the store does not know yet.
//!
//! Nothing here waits or asks. Whatever was lent may be spent without asking, until the loan is too old; what
//! is lost on the way stays counted by the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::call::{Counts, Item, Span, Standing};

/// What is taken of an account at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::limits) enum Want {
    Amount(u64),
    Subject(u64),
}

/// Whether it may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::limits) enum Taken {
    /// It costs this much of the loan, and only as long as that is not void.
    Paid(u64, Term),
    /// It is a subject that the store was told, or will be told, a moment ago; for nothing until then.
    Free(i64),
    /// The loan does not reach.
    Short,
}

/// Counts how often a loan became void: what was taken of one says nothing of the next.
pub(in crate::limits) type Term = u64;

/// What was taken came to be released too late to be covered by its loan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::limits) struct TooLate;

/// The loan of one account.
#[derive(Debug)]
pub(in crate::limits) struct Lease {
    account: Arc<str>,
    counts: Counts,
    span: Span,
    /// What may be taken, by the limit that it was lent under: a lower one may not use it.
    free: BTreeMap<u64, u64>,
    /// Taken by answers under way.
    taken: u64,
    term: Term,
    /// Of loans that became void: to be given back.
    void: u64,
    /// In steady time: when the loan is void.
    good_until: i64,
    /// Released, and not told.
    spent: u64,
    paid: Vec<u64>,
    /// Subjects that were released a moment ago, and until when they cost nothing.
    recent: HashMap<u64, i64>,
    /// How many of them were left when they were last gone through.
    pruned: usize,
    /// The last loan, a measure for the next.
    last_loan: u64,
    limit: u64,
    /// The budget begins anew, and the store does not know yet.
    reset: bool,
    /// How often everything was told anew: what was on its way then is told already.
    retold: u64,
    /// In steady time: when anything was last taken.
    used_at: i64,
    heard: Option<Heard>,
}

/// What the store said last.
#[derive(Clone, Copy, Debug)]
pub(in crate::limits) struct Heard {
    /// What was released over all gates, as far as it was told.
    pub(in crate::limits) used: u64,
    pub(in crate::limits) relaxes_ms: i64,
    pub(in crate::limits) closed: bool,
}

impl Lease {
    pub(in crate::limits) fn new(account: Arc<str>, counts: Counts, span: Span) -> Self {
        Self {
            account,
            counts,
            span,
            free: BTreeMap::new(),
            taken: 0,
            term: 0,
            void: 0,
            good_until: i64::MIN,
            spent: 0,
            paid: Vec::new(),
            recent: HashMap::new(),
            pruned: 0,
            last_loan: 0,
            limit: 0,
            reset: false,
            retold: 0,
            used_at: i64::MIN,
            heard: None,
        }
    }

    /// Takes something under a limit, if the loan reaches.
    pub(in crate::limits) fn take(&mut self, want: Want, limit: u64, now: i64) -> Taken {
        self.limit = limit;
        self.used_at = now;
        let cost = match want {
            Want::Amount(amount) => amount,
            Want::Subject(subject) => match self.recent.get(&subject) {
                Some(until) if *until > now => return Taken::Free(*until),
                Some(_) | None => 1,
            },
        };
        if self.in_hand(limit, now) < cost {
            return Taken::Short;
        }
        let mut left = cost;
        // The one under the highest limit first, since fewest may use it.
        for (_, amount) in self.free.range_mut(..=limit).rev() {
            let part = left.min(*amount);
            *amount -= part;
            left -= part;
        }
        self.free.retain(|_, amount| *amount > 0);
        self.taken = self.taken.saturating_add(cost);
        Taken::Paid(cost, self.term)
    }

    /// Gives up a loan that is too old, with all that was taken of it: the store may have forgotten it. Nobody calls
    /// the lease good again that was void for a moment.
    pub(in crate::limits) fn expire(&mut self, now: i64) {
        if now < self.good_until || (self.taken == 0 && self.free.is_empty()) {
            return;
        }
        let free = self.free.values().fold(self.taken, |sum, amount| sum.saturating_add(*amount));
        self.void = self.void.saturating_add(free);
        self.free.clear();
        self.taken = 0;
        self.term += 1;
    }

    /// What may be taken under a limit.
    pub(in crate::limits) fn in_hand(&mut self, limit: u64, now: i64) -> u64 {
        self.expire(now);
        self.free.range(..=limit).fold(0, |sum: u64, (_, amount)| sum.saturating_add(*amount))
    }

    /// Frees what was taken under a limit.
    pub(in crate::limits) fn give_back(&mut self, amount: u64, limit: u64, term: Term) {
        if term != self.term || amount == 0 {
            return;
        }
        self.taken = self.taken.saturating_sub(amount);
        *self.free.entry(limit).or_default() += amount;
    }

    /// Notes that an amount that was taken leaves now.
    pub(in crate::limits) fn book_amount(
        &mut self,
        amount: u64,
        term: Term,
        now: i64,
    ) -> Result<(), TooLate> {
        self.expire(now);
        if term != self.term {
            return Err(TooLate);
        }
        self.taken = self.taken.saturating_sub(amount);
        self.spent = self.spent.saturating_add(amount);
        Ok(())
    }

    /// Notes that a subject that was taken leaves now.
    pub(in crate::limits) fn book_subject(
        &mut self,
        subject: u64,
        as_: Taken,
        now: i64,
    ) -> Result<(), TooLate> {
        self.expire(now);
        let in_time = match as_ {
            Taken::Paid(_, term) if term != self.term => false,
            Taken::Paid(cost, _) => {
                self.taken = self.taken.saturating_sub(cost);
                self.remember(subject, now, now);
                self.paid.push(subject);
                true
            }
            Taken::Free(until) => now < until + self.span.part_ms(),
            Taken::Short => false,
        };
        if in_time { Ok(()) } else { Err(TooLate) }
    }

    /// Whether more should be asked for before it runs out.
    pub(in crate::limits) fn runs_low(&mut self, now: i64) -> bool {
        let limit = self.limit;
        self.last_loan >= 2 && self.in_hand(limit, now) < self.last_loan / 2
    }

    /// Whether there is anything to tell.
    pub(in crate::limits) fn is_dirty(&self) -> bool {
        self.spent > 0 || self.void > 0 || self.reset || !self.paid.is_empty()
    }

    /// Whether it was never asked for, or is too old.
    pub(in crate::limits) fn is_cold(&self, now: i64) -> bool {
        now >= self.good_until
    }

    /// Whether the loan gets so old that it should be renewed, if it is still needed.
    pub(in crate::limits) fn ages(&self, now: i64) -> bool {
        self.taken > 0 && now >= self.good_until - self.span.loan_ms() / 2
    }

    /// Whether something lies here that nobody has used for long.
    pub(in crate::limits) fn is_idle(&self, now: i64) -> bool {
        let idle = self.taken == 0 && now.saturating_sub(self.used_at) > self.span.loan_ms() / 2;
        idle && !self.free.is_empty()
    }

    /// Whether nothing would be lost without it.
    pub(in crate::limits) fn is_forgotten(&self, now: i64) -> bool {
        self.taken == 0 && self.free.is_empty() && self.is_cold(now) && !self.is_dirty()
    }

    /// What counts over all gates, as far as this one heard: without what other gates were lent.
    pub(in crate::limits) fn used(&self) -> Option<u64> {
        let paid = u64::try_from(self.paid.len()).unwrap_or(u64::MAX);
        let here = self.taken.saturating_add(self.spent).saturating_add(paid);
        self.heard.map(|heard| heard.used.saturating_add(here))
    }

    /// The limit that it was last held to.
    pub(in crate::limits) fn limit(&self) -> u64 {
        self.limit
    }

    pub(in crate::limits) fn heard(&self) -> Option<Heard> {
        self.heard
    }

    /// What is to be told now. It is on its way then: [`learned`](Self::learned) or
    /// [`unheard`](Self::unheard) says what became of it.
    pub(in crate::limits) fn tell(&mut self, limit: u64, now: i64) -> Item {
        self.expire(now);
        let mut item = Item::about(Arc::clone(&self.account), self.counts, self.span, limit);
        item.held = self.holds();
        item.spent = std::mem::take(&mut self.spent);
        item.paid = std::mem::take(&mut self.paid);
        item.given = std::mem::take(&mut self.void);
        item.reset = std::mem::take(&mut self.reset);
        item
    }

    /// What is to be told to a store that began anew: what is held, but nothing of what was released, since
    /// all of that is told as well.
    pub(in crate::limits) fn tell_anew(&mut self, now: i64) -> Item {
        self.expire(now);
        (self.spent, self.void, self.paid) = Default::default();
        self.retold += 1;
        self.reset = false;
        self.recent.clear();
        let mut item = Item::about(Arc::clone(&self.account), self.counts, self.span, self.limit);
        item.held = self.holds();
        item
    }

    /// Gives back whatever no answer under way has taken.
    pub(in crate::limits) fn return_all(&mut self, now: i64) -> Item {
        let limit = self.limit;
        let mut item = self.tell(limit, now);
        item.given = self.free.values().fold(item.given, |sum, free| sum.saturating_add(*free));
        self.free.clear();
        self.last_loan = 0;
        item
    }

    /// Takes over what the store answered to a call that was made at `sent`, and not before.
    pub(in crate::limits) fn learned(&mut self, item: &Item, standing: &Standing, sent: i64) {
        self.good_until = self.good_until.max(sent + self.span.loan_ms());
        if standing.granted > 0 {
            *self.free.entry(item.limit).or_default() += standing.granted;
            self.last_loan = standing.granted;
        }
        for (subject, counted) in item.claims.iter().zip(&standing.claims) {
            if *counted {
                self.remember(*subject, sent, sent);
            }
        }
        let Standing { elsewhere, relaxes_ms, closed, .. } = *standing;
        let used = standing.used.saturating_sub(self.holds()).saturating_sub(elsewhere);
        self.heard = Some(Heard { used, relaxes_ms, closed });
    }

    /// Takes back what was told in vain. It may have been heard: then it is told twice, which is stricter. What was
    /// given back is gone, and comes with the next generation, whose word of what is held counts. If all was told anew
    /// meanwhile, this was told with it.
    pub(in crate::limits) fn unheard(&mut self, item: Item, retold: u64) {
        if retold == self.retold {
            self.spent = self.spent.saturating_add(item.spent);
            self.paid.extend(item.paid);
            self.reset |= item.reset;
        }
    }

    /// Lets the budget begin anew: what was released and told counts no more. What is lent stays so.
    pub(in crate::limits) fn reset(&mut self) {
        self.recent.clear();
        self.heard = None;
        self.reset = true;
    }

    /// How often everything was told anew.
    pub(in crate::limits) fn retold(&self) -> u64 {
        self.retold
    }

    fn holds(&self) -> u64 {
        let paid = u64::try_from(self.paid.len()).unwrap_or(u64::MAX);
        let told = self.taken.saturating_add(self.spent).saturating_add(paid);
        let told = told.saturating_add(self.void);
        self.free.values().fold(told, |sum, amount| sum.saturating_add(*amount))
    }

    fn remember(&mut self, subject: u64, at: i64, now: i64) {
        if self.recent.len() > 2 * self.pruned + 64 {
            self.recent.retain(|_, until| *until > now);
            self.pruned = self.recent.len();
        }
        self.recent.insert(subject, at + self.span.part_ms());
    }
}
