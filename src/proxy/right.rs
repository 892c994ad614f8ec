//! The right under which a stream goes on, watched for as long as it does.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::body::Cut;
use super::curbs::Curbs;
use super::grants::Grants;
use super::park::Asking;
use super::policies::Policies;
use super::question::Question;
use super::rejection::{Rejection, Wanted};
use super::standing::{Shown, Standing};
use super::{Gate, admitted, switched};
use crate::clock::Clock;
use crate::command::{Switches, Target};
use crate::identity::Identity;
use crate::listen::Facts;
use crate::policy::{Grant, Permit, Program};
use crate::registry::{Registry, Unfit};
use crate::upstream::Replaced;

/// How often a stream looks whether the time of its grant is over.
const END_EVERY: Duration = Duration::from_millis(500);

/// The right under which a stream goes on, for as long as it does.
pub(super) struct Right {
    policies: Arc<Policies>,
    changes: watch::Receiver<()>,
    identity: Arc<Identity>,
    roster: watch::Receiver<()>,
    switches: Arc<Switches>,
    switched: watch::Receiver<()>,
    curbs: Arc<Curbs>,
    held: watch::Receiver<()>,
    grants: Arc<Grants>,
    granted: watch::Receiver<()>,
    registry: Arc<Registry>,
    registered: watch::Receiver<()>,
    clock: Clock,
    question: Arc<Question>,
    permit: Arc<Permit>,
    /// The newest program under which the right was found to stand.
    stands_under: Arc<Program>,
    /// Of what stays open, or takes long.
    standing: Option<Standing>,
    /// The same: when the backend that it comes from is another one.
    replaced: Option<Replaced>,
}

impl Right {
    /// The right that the permit gave, as the answer to this question.
    pub(super) fn new(gate: &Gate, question: Arc<Question>, permit: Arc<Permit>) -> Self {
        Self {
            changes: gate.policies.changes(),
            policies: Arc::clone(&gate.policies),
            roster: gate.identity.roster_changes(),
            identity: Arc::clone(&gate.identity),
            switched: gate.switches.changes(),
            switches: Arc::clone(&gate.switches),
            held: gate.curbs.changes(),
            curbs: Arc::clone(&gate.curbs),
            granted: gate.grants.changes(),
            grants: Arc::clone(&gate.grants),
            registered: gate.registry.changes(),
            registry: Arc::clone(&gate.registry),
            clock: gate.clock.clone(),
            stands_under: Arc::clone(question.program()),
            question,
            permit,
            standing: None,
            replaced: None,
        }
    }

    /// The right to what stays open, asked again at once and for as long as it does; `shown` is by what it was given.
    ///
    /// # Errors
    /// [`Rejection`], where the right to it ended meanwhile.
    pub(super) async fn lasting(
        gate: &Gate,
        question: Arc<Question>,
        permit: Arc<Permit>,
        shown: Option<Box<Shown>>,
    ) -> Result<Self, Rejection> {
        let mut right = Self::new(gate, Arc::clone(&question), Arc::clone(&permit));
        if let Some(shown) = shown {
            right.standing = Some(Standing::begin(gate, *shown, question, permit).await?);
        }
        Ok(right)
    }

    /// Also lost with the backend that the stream comes from, or when what that is believed by is replaced.
    pub(super) fn resting_on(self, replaced: Option<Replaced>) -> Self {
        Self { replaced, ..self }
    }

    /// The same of an answer that ends, and may take long until then: it ends, too, when that by which it was begun is taken back.
    ///
    /// # Errors
    /// [`Rejection`], where that cannot be read any more.
    pub(super) fn of_long(
        mut self,
        gate: &Gate,
        asking: &Asking<'_>,
        facts: &Facts,
    ) -> Result<Self, Rejection> {
        if self.standing.is_none() {
            self.standing = Some(Standing::of_long(gate, asking, facts)?);
        }
        Ok(self)
    }

    /// Ends when the caller's right has ended: the account is not welcome any more, something was switched off, a
    /// detection stops it, or under a policy that came meanwhile the same question is denied, or another plan answers
    /// it. Whether that plan is wider is not asked: a body has one plan. What stays open also ends when whoever opened it
    /// would not be let in any more, and what takes long when that by which it was begun was taken back. Says how the stream is
    /// cut off then.
    ///
    /// Cancel safe. Costs a comparison of two pointers where nothing changed.
    pub(super) async fn lost(&mut self) -> Cut {
        loop {
            let live = self.policies.live();
            if !Arc::ptr_eq(&live, &self.stands_under) {
                let roles = &self.question.principal().roles;
                let fits = |grant: &Arc<Grant>| self.grants.fits(&grant.id, &live, roles);
                if !self.stands(&live) || !self.permit.grant().is_none_or(fits) {
                    return Cut::Withdrawn;
                }
                self.stands_under = live;
            }
            if self.is_stopped() || !self.identity.is_welcome(&self.question.principal().account) {
                return Cut::Withdrawn;
            }
            if self.taken_back().is_some() {
                return Cut::Withdrawn;
            }
            if self.switched_off().is_some() {
                return Cut::Switched;
            }
            if self.unfit().is_some() {
                return Cut::Withdrawn;
            }
            let changed = tokio::select! {
                changed = self.changes.changed() => changed,
                changed = self.roster.changed() => changed,
                changed = self.switched.changed() => changed,
                changed = self.held.changed() => changed,
                changed = self.granted.changed() => changed,
                changed = self.registered.changed() => changed,
                cut = lost(&mut self.standing) => return cut,
                () = told(self.replaced.as_ref()) => return Cut::Replaced,
                () = grant_may_end(&self.permit) => Ok(()),
                () = contract_may_end(&self.question) => Ok(()),
            };
            if changed.is_err() {
                // Nothing more will come.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Refuses what was taken away while the backend was asked.
    pub(super) fn check(&self) -> Result<(), Rejection> {
        if self.is_stopped() {
            return Err(Rejection::Stopped);
        }
        if self.switched_off().is_some() {
            return Err(Rejection::Switched);
        }
        if let Some(unfit) = self.unfit() {
            return Err(Rejection::Unfit(unfit));
        }
        match self.taken_back() {
            Some(id) => Err(Rejection::Grant(Wanted::ended(id))),
            None => Ok(()),
        }
    }

    /// Whether a detection stops the caller.
    fn is_stopped(&self) -> bool {
        self.curbs.blocks(&self.identity.counted_as(&self.question.principal().account))
    }

    /// The grant by which it passes, if that was taken back or is over.
    fn taken_back(&self) -> Option<&str> {
        let grant = self.permit.grant().filter(|grant| !self.grants.stands(&grant.id));
        grant.map(|grant| grant.id.as_str())
    }

    /// What was switched off that stops the stream.
    fn switched_off(&self) -> Option<Target> {
        switched::stops(&self.switches, &self.identity, &self.question)
    }

    /// Why the partner, or the tenant, may not go on.
    fn unfit(&self) -> Option<Unfit> {
        let live = self.policies.live();
        admitted::unfit(&self.registry, &self.question, &live, self.clock.unix_s())
            .or_else(|| admitted::beyond(&self.registry, &self.question, &self.permit))
    }

    fn stands(&self, program: &Program) -> bool {
        let again = self.question.decide_on(program);
        again.is_some_and(|answer| answer.is_ok_and(|again| again.releases_as(&self.permit)))
    }
}

/// Ends when that stands no more; where nobody asks there is nothing to lose.
async fn lost(standing: &mut Option<Standing>) -> Cut {
    match standing {
        Some(standing) => standing.lost().await,
        None => std::future::pending().await,
    }
}

async fn told(replaced: Option<&Replaced>) {
    match replaced {
        Some(replaced) => replaced.told().await,
        None => std::future::pending().await,
    }
}

/// Waits until it is time to ask whether a grant's time is over: whoever notes that of all grants may be held up.
async fn grant_may_end(permit: &Permit) {
    match permit.grant() {
        Some(_) => tokio::time::sleep(END_EVERY).await,
        None => std::future::pending().await,
    }
}

/// The same of a partner's contract.
async fn contract_may_end(question: &Question) {
    match admitted::partners(question.principal()).is_empty() {
        false => tokio::time::sleep(END_EVERY).await,
        true => std::future::pending().await,
    }
}
