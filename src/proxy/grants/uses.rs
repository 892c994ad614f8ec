//! How often a grant was used: counted as limits count, reserved before the backend is asked and durable before
//! anything leaves.

use std::sync::{Arc, PoisonError};

use super::Held;
use crate::grant::{Grant, GrantError, State};
use crate::limits::{
    Allowance, AllowanceFault, Asker, Limit, Occasion, Refused, Seat, Terms, USES, Unit, Window,
};
use crate::policy::Permit;
use crate::proxy::Gate;
use crate::proxy::rejection::{Rejection, Wanted};

/// Requests under one grant at once, which its uses bound.
const AT_ONCE: u32 = 10_000;

/// The allowance of a grant's uses, and of the records that its search may give; none where neither has an end.
fn allowance(held: &Held) -> Result<Option<Allowance>, AllowanceFault> {
    let Held { uses, rows, lasts_s, .. } = *held;
    if uses.is_none() && rows.is_none() {
        return Ok(None);
    }
    // What was used counts for as long as the grant can last.
    let window = |most: u32| Window::sliding(u64::from(most), lasts_s.saturating_add(3_600));
    let terms = Terms {
        concurrent: Some(AT_ONCE),
        files: uses.map(window).into_iter().collect(),
        records: rows.map(window).into_iter().collect(),
        ..Terms::default()
    };
    Allowance::new(&[terms]).map(Some)
}

/// Whether all the rows of a grant's search were given; anything else, such as a store that is lost, passes.
fn were_given(refused: &Refused) -> bool {
    matches!(&refused.limit, Limit::Budget(budget) if budget.unit == Unit::Records)
}

impl Gate {
    /// Has a use counted with what is released first, where the permit stands by a grant that may be used so often
    /// only. Taken here, so that of many requests at once only so many pass; given back if nothing is released.
    ///
    /// # Errors
    /// [`Rejection::Grant`] if it is used up.
    pub(in crate::proxy) async fn take_use(
        &self,
        permit: &Permit,
        seat: &Seat,
    ) -> Result<(), Rejection> {
        let Some(grant) = permit.grant() else { return Ok(()) };
        let used_up = || Rejection::Grant(Wanted::ended(&grant.id));
        // It may have been used up, or taken back, since it was decided by.
        let held = self.grants.held(&grant.id).ok_or_else(used_up)?;
        let allowance = allowance(&held).map_err(|error| {
            tracing::error!(%error, "the uses of a grant cannot be counted, so it opens nothing");
            Rejection::Uncountable
        })?;
        let Some(allowance) = allowance else { return Ok(()) };
        let (name, occasion) = (format!("{USES}{}", grant.id), Arc::new(Occasion::default()));
        let asker = Asker::from(name.as_str());
        let used = self.limits.admit_shared(asker, &occasion, &Arc::new(allowance)).await;
        let used = used.map_err(|refused| match were_given(&refused) {
            true => used_up(),
            false => Rejection::Limit(Box::new(refused)),
        })?;
        self.touch(&grant.id);
        if used.take_file().is_err() {
            return Err(used_up());
        }
        seat.counts_with(used);
        Ok(())
    }

    /// Counts the use of a grant by a change before the backend is asked: what it does it has done.
    pub(in crate::proxy) async fn use_now(
        &self,
        permit: &Permit,
        seat: &Seat,
    ) -> Result<(), Rejection> {
        if permit.grant().is_none() || permit.action().only_reads() {
            return Ok(());
        }
        seat.is_used();
        seat.persist().await.map_err(|error| {
            tracing::error!(%error, "the use of a grant could not be counted, so nothing is done");
            Rejection::StoreUnavailable
        })
    }

    /// Has those noted as used up that were, before the gate began.
    pub(super) fn touch_used_up(&self, grants: &[Grant]) {
        let is_used_up = |grant: &&Grant| {
            let most = (grant.uses, grant.scope.rows);
            grant.state == State::Approved && !self.is_left(&grant.id, most)
        };
        grants.iter().filter(is_used_up).for_each(|grant| self.touch(&grant.id));
    }

    fn touch(&self, id: &str) {
        let mut touched = self.grants.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.insert(id.to_owned());
    }

    /// Notes of grants that their time is over, and of emergencies that their review is due.
    pub(in crate::proxy) async fn tidy_grants(&self) {
        if let Err(error) = self.grants.counter.tidy().await {
            tracing::warn!(%error, "grants whose time is over cannot be noted");
        }
        if let Err(error) = self.grants.counter.remind().await {
            tracing::error!(%error, "nobody can be reminded of reviews that are due");
        }
    }

    /// Notes of grants that they are used up.
    pub(in crate::proxy) async fn note_used_up(&self) {
        let touched: Vec<String> = {
            let touched = self.grants.touched.lock().unwrap_or_else(PoisonError::into_inner);
            touched.iter().cloned().collect()
        };
        for id in touched {
            let Some(held) = self.grants.held(&id) else {
                self.untouch(&id);
                continue;
            };
            if self.is_left(&id, (held.uses, held.rows)) {
                continue;
            }
            match self.grants.counter.use_up(&id).await {
                Ok(_) | Err(GrantError::Step(_) | GrantError::Unknown(_)) => self.untouch(&id),
                Err(error) => tracing::warn!(%error, "a grant that is used up cannot be noted"),
            }
        }
    }

    /// How often a grant was used.
    pub(in crate::proxy) fn used(&self, id: &str) -> u64 {
        self.limits.settled(&format!("{USES}{id}"), Unit::Files)
    }

    /// Whether a grant may be used once more, and its search may give one more row.
    pub(super) fn is_left(&self, id: &str, (uses, rows): (Option<u32>, Option<u32>)) -> bool {
        let given = || self.limits.settled(&format!("{USES}{id}"), Unit::Records);
        uses.is_none_or(|uses| self.used(id) < u64::from(uses))
            && rows.is_none_or(|rows| given() < u64::from(rows))
    }

    fn untouch(&self, id: &str) {
        let mut touched = self.grants.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.remove(id);
    }
}
