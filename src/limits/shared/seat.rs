//! What one request takes of accounts that several gates share: all of a portion, or nothing of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lease::{Taken, Term, TooLate, Want};
use super::{Cell, Shared, WhenLost};

/// One account that a request is held to.
#[derive(Clone, Debug)]
pub(in crate::limits) struct Part {
    pub(in crate::limits) cell: Arc<Cell>,
    pub(in crate::limits) limit: u64,
    pub(in crate::limits) when_lost: WhenLost,
}

/// Why a portion may not leave: the first account that does not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::limits) struct Short {
    pub(in crate::limits) part: usize,
    /// The store cannot be asked, so nobody knows whether it is used up.
    pub(in crate::limits) is_lost: bool,
}

/// What was taken, and of which part.
pub(in crate::limits) type Receipt = Vec<(usize, Want, Taken)>;

/// What a request took and did not release yet.
#[derive(Debug, Default)]
struct Held {
    /// By part.
    amounts: Vec<(u64, Term)>,
    subjects: Vec<(usize, u64, Taken)>,
}

/// The accounts of one request, and what it holds of them.
pub(in crate::limits) struct SharedSeat {
    shared: Arc<Shared>,
    parts: Vec<Part>,
    held: Mutex<Held>,
}

impl SharedSeat {
    pub(super) fn new(shared: Arc<Shared>, parts: Vec<Part>) -> Self {
        let held = Held { amounts: vec![(0, 0); parts.len()], subjects: Vec::new() };
        Self { shared, parts, held: Mutex::new(held) }
    }

    /// Every account.
    pub(in crate::limits) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Takes what `want` says of each part by its number, of all of them or of none. Waits for the store only where what was
    /// lent does not reach; the other tasks of this thread go on meanwhile.
    pub(in crate::limits) fn take(
        &self,
        want: impl Fn(usize) -> Option<Want>,
    ) -> Result<Receipt, Short> {
        match self.try_take(&want) {
            Ok(receipt) => Ok(receipt),
            Err(short) if self.shared.is_lost() || !can_wait() => Err(self.named(&short)),
            Err(short) => {
                let Some(_place) = self.shared.wait_place() else { return Err(self.named(&short)) };
                tokio::task::block_in_place(|| {
                    tokio::runtime::Handle::current().block_on(self.take_waiting(want))
                })
            }
        }
    }

    /// As [`take`](Self::take), where one may wait.
    pub(in crate::limits) async fn take_waiting(
        &self,
        want: impl Fn(usize) -> Option<Want>,
    ) -> Result<Receipt, Short> {
        // More than once: one thing is asked for after the other, and somebody else may have taken what was lent meanwhile.
        for _ in 0..self.parts.len() + 4 {
            let short = match self.try_take(&want) {
                Ok(receipt) => return Ok(receipt),
                Err(short) => short,
            };
            let asked = self.asked_first(short);
            if !self.shared.fetch(&self.lacking(&asked)).await {
                return Err(self.named(&self.still_short(asked)));
            }
        }
        self.try_take(&want).map_err(|short| self.named(&short))
    }

    /// Keeps what was taken until it leaves or is given back.
    pub(in crate::limits) fn keep(&self, receipt: Receipt) {
        let mut held = self.held();
        for (part, want, taken) in receipt {
            match want {
                Want::Subject(subject) => held.subjects.push((part, subject, taken)),
                Want::Amount(more) => {
                    let Taken::Paid(_, term) = taken else { continue };
                    if let Some((sum, since)) = held.amounts.get_mut(part) {
                        // Of two, the older one: if that is void, all of it leaves too late.
                        *since = if *sum == 0 { term } else { term.min(*since) };
                        *sum = sum.saturating_add(more);
                    }
                }
            }
        }
    }

    /// Frees what was taken.
    pub(in crate::limits) fn revert(&self, receipt: Receipt) {
        for (index, _, taken) in receipt {
            self.free(index, taken);
        }
    }

    /// Frees all that was kept.
    pub(in crate::limits) fn give_back(&self) {
        let Held { amounts, subjects } = self.take_held();
        for (index, (amount, term)) in amounts.into_iter().enumerate() {
            self.free(index, Taken::Paid(amount, term));
        }
        for (index, _, taken) in subjects {
            self.free(index, taken);
        }
    }

    /// Notes that all that was kept leaves now. Nothing may leave if it is too late.
    pub(in crate::limits) fn book(&self) -> Result<(), TooLate> {
        let Held { amounts, subjects } = self.take_held();
        let now = self.shared.steady_ms();
        let mut outcome = Ok(());
        for (index, (amount, term)) in amounts.into_iter().enumerate() {
            let Some(part) = self.parts.get(index).filter(|_| amount > 0) else { continue };
            outcome = outcome.and(part.cell.lease().book_amount(amount, term, now));
        }
        for (index, subject, taken) in subjects {
            let Some(part) = self.parts.get(index) else { continue };
            outcome = outcome.and(part.cell.lease().book_subject(subject, taken, now));
        }
        self.parts.iter().for_each(|part| self.shared.soil(&part.cell));
        outcome
    }

    fn free(&self, index: usize, taken: Taken) {
        if let (Some(part), Taken::Paid(cost, term)) = (self.parts.get(index), taken) {
            part.cell.lease().give_back(cost, part.limit, term);
        }
    }

    fn take_held(&self) -> Held {
        let mut held = self.held();
        let amounts = held.amounts.iter_mut().map(std::mem::take).collect();
        Held { amounts, subjects: std::mem::take(&mut held.subjects) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_take(
        &self,
        want: impl Fn(usize) -> Option<Want>,
    ) -> Result<Receipt, Vec<(usize, Want)>> {
        let now = self.shared.steady_ms();
        let is_lost = self.shared.is_lost();
        let (mut receipt, mut short) = (Receipt::new(), Vec::new());
        for (index, part) in self.parts.iter().enumerate() {
            let Some(want) = want(index) else { continue };
            if is_lost && part.when_lost == WhenLost::Deny {
                short.push((index, want));
                continue;
            }
            match part.cell.lease().take(want, part.limit, now) {
                Taken::Short => short.push((index, want)),
                taken @ (Taken::Paid(..) | Taken::Free(_)) => receipt.push((index, want, taken)),
            }
        }
        if short.is_empty() {
            return Ok(receipt);
        }
        self.revert(receipt);
        Err(short)
    }

    /// Of what is lacking, what is asked for now: amounts before subjects, and these one by one, the shortest window first.
    ///
    /// A subject that counts already counts anew from when it is asked for. Asked for beside something that is used up, it
    /// would do so although nobody is given anything, and whoever asks again and again would keep a window full for ever.
    fn asked_first(&self, short: Vec<(usize, Want)>) -> Vec<(usize, Want)> {
        let (subjects, amounts): (Vec<_>, Vec<_>) =
            short.into_iter().partition(|(_, want)| matches!(want, Want::Subject(_)));
        if !amounts.is_empty() {
            return amounts;
        }
        let window = |(part, _): &(usize, Want)| self.parts.get(*part).map(|p| p.cell.window_ms());
        subjects.into_iter().min_by_key(window).into_iter().collect()
    }

    /// Of what was asked for in vain, what did not come: that is what is used up, and not what came beside it.
    fn still_short(&self, asked: Vec<(usize, Want)>) -> Vec<(usize, Want)> {
        let now = self.shared.steady_ms();
        let is_short = |(index, want): &(usize, Want)| {
            let Some(part) = self.parts.get(*index) else { return false };
            match part.cell.lease().take(*want, part.limit, now) {
                Taken::Short => true,
                taken @ (Taken::Paid(..) | Taken::Free(_)) => {
                    self.free(*index, taken);
                    false
                }
            }
        };
        let still: Vec<_> = asked.iter().copied().filter(is_short).collect();
        if still.is_empty() { asked } else { still }
    }

    fn lacking(&self, short: &[(usize, Want)]) -> Vec<Lack> {
        let parts = short.iter().filter_map(|(index, want)| Some((self.parts.get(*index)?, *want)));
        parts
            .map(|(part, want)| Lack { cell: Arc::clone(&part.cell), limit: part.limit, want })
            .collect()
    }

    fn named(&self, short: &[(usize, Want)]) -> Short {
        let part = short.first().map_or(0, |(part, _)| *part);
        let heard = self.parts.get(part).and_then(|part| part.cell.lease().heard());
        Short { part, is_lost: self.shared.is_lost() || heard.is_none_or(|heard| heard.closed) }
    }
}

/// What a request lacks of one account.
pub(super) struct Lack {
    pub(super) cell: Arc<Cell>,
    pub(super) limit: u64,
    pub(super) want: Want,
}

impl Drop for SharedSeat {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Whether this thread's other tasks can go elsewhere.
fn can_wait() -> bool {
    tokio::runtime::Handle::try_current().is_ok_and(|runtime| {
        runtime.runtime_flavor() != tokio::runtime::RuntimeFlavor::CurrentThread
    })
}
