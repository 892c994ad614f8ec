//! The policy in force, and the candidate that may decide beside it: read by every request once,
//! replaced in one step by whoever loads a new one.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use super::body::Cut;
use super::curbs::Curbs;
use super::grants::Grants;
use super::question::Question;
use super::{Gate, admitted, switched};
use crate::clock::Clock;
use crate::command::{Switches, Target};
use crate::identity::Identity;
use crate::policy::{Grant, Permit, Program};
use crate::registry::{Registry, Unfit};

/// How often a stream looks whether the time of its grant is over.
const END_EVERY: Duration = Duration::from_millis(500);

/// The policies. A request keeps the program that it began with.
#[derive(Debug)]
pub struct Policies {
    live: ArcSwap<Program>,
    candidate: ArcSwapOption<Program>,
    waiting: ArcSwapOption<Waiting>,
    changes: watch::Sender<()>,
}

/// A policy that makes something wider and waits for two persons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its version.
    pub version: String,
    /// What becomes wider, each in words; never empty.
    pub wider: Vec<String>,
}

impl Waiting {
    /// The first of it, and how much more there is.
    #[must_use]
    pub fn in_short(&self) -> String {
        let first = self.wider.first().map_or("", String::as_str);
        match self.wider.len().saturating_sub(1) {
            0 => first.to_owned(),
            more => format!("{more} more beside: {first}"),
        }
    }
}

impl Policies {
    /// Begins with this program.
    #[must_use]
    pub fn new(program: Arc<Program>) -> Self {
        let (live, candidate) = (ArcSwap::new(program), ArcSwapOption::empty());
        let (waiting, changes) = (ArcSwapOption::empty(), watch::Sender::new(()));
        Self { live, candidate, waiting, changes }
    }

    /// The program that decides new requests.
    #[must_use]
    pub fn live(&self) -> Arc<Program> {
        self.live.load_full()
    }

    /// Lets another program decide from the next request on, and has open streams judged anew.
    pub fn replace(&self, program: Arc<Program>) {
        self.live.store(program);
        self.changes.send_replace(());
    }

    /// The policy of the files, if it waits for two persons.
    #[must_use]
    pub fn waiting(&self) -> Option<Arc<Waiting>> {
        self.waiting.load_full()
    }

    /// Says which one waits, or that none does.
    pub fn set_waiting(&self, waiting: Option<Waiting>) {
        self.waiting.store(waiting.map(Arc::new));
    }

    /// The candidate, if there is one. What it says of a request changes nothing.
    #[must_use]
    pub fn candidate(&self) -> Option<Arc<Program>> {
        self.candidate.load_full()
    }

    /// Lets another candidate decide beside the live policy.
    pub fn replace_candidate(&self, program: Arc<Program>) {
        self.candidate.store(Some(program));
    }
}

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
}

impl Right {
    /// The right that the permit gave, as the answer to this question.
    pub(super) fn new(gate: &Gate, question: Arc<Question>, permit: Arc<Permit>) -> Self {
        Self {
            changes: gate.policies.changes.subscribe(),
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
        }
    }

    /// Ends when the caller's right has ended: the account is not welcome any more, something was switched off, a
    /// detection stops it, or under a policy that came meanwhile the same question is denied, or another plan answers
    /// it. Whether that plan is wider is not asked: a body has one plan. Says how the stream is cut off then.
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
            let account = &self.question.principal().account;
            let stopped = self.curbs.blocks(&self.identity.counted_as(account));
            if stopped || !self.identity.is_welcome(account) {
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
                () = grant_may_end(&self.permit) => Ok(()),
                () = contract_may_end(&self.question) => Ok(()),
            };
            if changed.is_err() {
                // Nothing more will come.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The grant by which it passes, if that was taken back or is over.
    pub(super) fn taken_back(&self) -> Option<&str> {
        let grant = self.permit.grant().filter(|grant| !self.grants.stands(&grant.id));
        grant.map(|grant| grant.id.as_str())
    }

    /// What was switched off that stops the stream.
    pub(super) fn switched_off(&self) -> Option<Target> {
        switched::stops(&self.switches, &self.identity, &self.question)
    }

    /// Why the partner, or the tenant, may not go on.
    pub(super) fn unfit(&self) -> Option<Unfit> {
        let live = self.policies.live();
        admitted::unfit(&self.registry, &self.question, &live, self.clock.unix_s())
            .or_else(|| admitted::beyond(&self.registry, &self.question, &self.permit))
    }

    fn stands(&self, program: &Program) -> bool {
        let again = self.question.decide_on(program);
        again.is_some_and(|answer| answer.is_ok_and(|again| again.releases_as(&self.permit)))
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
