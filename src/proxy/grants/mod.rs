//! What people were granted, as the gate knows it: asked by each request, read anew many times a second. Here what
//! `grant` keeps becomes what `policy` judges; neither knows the other.

mod known;
mod uses;

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch;

pub(super) use self::known::coverage;
use self::known::{Held, Known};
use super::Gate;
use super::rejection::Rejection;
use crate::clock::Clock;
use crate::grant::{Counter, News, State, Unreadable};
use crate::identity::Caller;
use crate::limits::CallerRate;
use crate::policy::{Grant, Permit, Program};

/// What people were granted.
#[derive(Debug)]
pub struct Grants {
    pub(super) counter: Counter,
    known: RwLock<Known>,
    /// The change that was read last.
    change: AtomicI64,
    changes: watch::Sender<()>,
    /// Grants of which a use was taken, and which may be used up.
    touched: Mutex<HashSet<String>>,
    /// Held by whoever reads what changed: of two, the one who read first must not install last.
    looking: tokio::sync::Mutex<()>,
    /// How often people ask.
    pub(super) asked: CallerRate,
}

impl Grants {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(counter: Counter, clock: &Clock) -> Self {
        let (known, touched, looking) = Default::default();
        let (change, changes) = (AtomicI64::new(0), watch::Sender::new(()));
        Self { counter, known, change, changes, touched, looking, asked: CallerRate::new(clock) }
    }

    /// Whether what began under a grant may go on: it was not taken back, nor did its time end. A stream that is its
    /// last use goes on.
    pub(super) fn stands(&self, id: &str) -> bool {
        self.read().stands(id, self.counter.now_s())
    }

    /// Whether a policy that came meanwhile would let a holder of these roles be granted it, too. A last use goes on.
    pub(super) fn fits(&self, id: &str, program: &Program, roles: &[String]) -> bool {
        self.held(id).is_none_or(|held| held.fits(program, roles))
    }

    /// Tells when something was granted or taken back, or ended.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn held(&self, id: &str) -> Option<Held> {
        self.read().named(id).cloned()
    }

    /// Lets what was read hold. What opens is in the log before it does; what closes closes whatever the log does, and
    /// the next look tries again. `true` if there may be more to read.
    fn install(&self, news: &News, is_recorded: bool) -> bool {
        let now_s = self.counter.now_s();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for grant in &news.grants {
            known.put(grant, is_recorded, now_s);
        }
        for grant in &news.unreadable {
            let Unreadable { id, owes_review, .. } = grant;
            tracing::error!(
                %id, owes_review,
                "a grant does not read, so it opens nothing and a review that it owes is overdue; the others hold; \
                 the state of a backup, or of the gate that it came from, has it whole"
            );
            known.close(grant);
        }
        drop(known);
        if is_recorded {
            self.change.store(news.change, Ordering::Release);
        }
        self.changes.send_replace(());
        is_recorded && news.is_more
    }

    /// Ends what began under grants whose time is over.
    fn end_over(&self) {
        let now_s = self.counter.now_s();
        if self.read().has_over(now_s) {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.forget_over(now_s);
            drop(known);
            self.changes.send_replace(());
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// Looks for what was granted or taken back.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`]: what is known is old.
    pub(super) async fn look_for_grants(&self) -> Result<(), Rejection> {
        let _only_one = self.grants.looking.lock().await;
        self.grants.end_over();
        loop {
            let news = self.grants.counter.news(self.grants.change.load(Ordering::Acquire)).await;
            let news = news.map_err(|error| {
                tracing::error!(%error, "grants could not be read, so nothing passes");
                Rejection::StoreUnavailable
            })?;
            if news.grants.is_empty() && news.unreadable.is_empty() {
                return Ok(());
            }
            let is_recorded = self.record_acts().await.is_ok();
            let is_more = self.grants.install(&news, is_recorded);
            self.touch_used_up(&news.grants);
            if !is_more {
                return Ok(());
            }
        }
    }

    /// What an account was granted and has not used up, the narrowest first; `named` alone, where the request names
    /// one. None that lends a role which must not be held together with what the person's other grants lend, and none to
    /// which only the holder agreed, or one person twice, by what this gate knows of whose an account is.
    pub(super) fn granted(
        &self,
        caller: &Caller,
        named: Option<&str>,
        (program, now_s): (&Program, i64),
    ) -> Vec<Arc<Grant>> {
        let account = &caller.account;
        let known = self.grants.read();
        let is_meant = |held: &&Held| named.is_none_or(|named| held.grant.id == named);
        let held: Vec<Held> = known.of(account, now_s).filter(is_meant).cloned().collect();
        drop(known);
        let lends = held.iter().any(|held| held.grant.coverage.role.is_some());
        let lent = if lends { self.lent_to(account, now_s) } else { Vec::new() };
        let is_apart = |held: &Held| {
            let role = held.grant.coverage.role.as_slice();
            let others = beside(&lent, &held.grant.id);
            !role.is_empty() && program.held_together(role, &others).is_some()
        };
        let is_left = |held: &Held| self.is_left(&held.grant.id, (held.uses, held.rows));
        let fits = |held: &Held| held.fits(program, &caller.roles);
        let by_others =
            |held: &Held| held.is_agreed_by_others(|account| self.identity.counted_as(account));
        let opens = |held: &Held| fits(held) && is_left(held) && !is_apart(held) && by_others(held);
        let opens = held.into_iter().filter(opens);
        opens.map(|held| held.grant).collect()
    }

    /// The roles that the person has lent by which grants, over all their accounts.
    pub(super) fn lent_to(&self, account: &str, now_s: i64) -> Vec<(String, String)> {
        let accounts = self.identity.accounts_beside(account);
        let known = self.grants.read();
        let all = accounts.iter().map(String::as_str).chain([account]);
        let held = all.flat_map(|account| known.of(account, now_s));
        let lent = |held: &Held| Some((held.grant.id.clone(), held.grant.coverage.role.clone()?));
        held.filter_map(lent).collect()
    }

    /// Refuses what is of a grade that somebody opened at once without that anybody reviewed it in time.
    pub(super) fn check_reviewed(
        &self,
        caller: &Caller,
        permit: &Permit,
        now_s: i64,
    ) -> Result<(), Rejection> {
        match self.owes_review(&caller.account, permit.highest_clear(), now_s) {
            true => Err(Rejection::Unreviewed),
            false => Ok(()),
        }
    }

    /// Whether a person may see nothing of this grade until somebody reviewed what they had opened at once.
    pub(super) fn owes_review(&self, account: &str, grade: u8, now_s: i64) -> bool {
        let known = self.grants.read();
        if grade == 0 || known.open().len() == 0 {
            return false;
        }
        let person = self.identity.counted_as(account);
        // Whose an account is may have been said, or taken back, since.
        known.open().any(|opened| {
            opened.review_until_s <= now_s
                && opened.grade <= grade
                && (*opened.person == *person
                    || opened.holder == account
                    || self.identity.counted_as(&opened.holder) == person)
        })
    }
}

/// The roles that other grants than this lend.
pub(super) fn beside(lent: &[(String, String)], id: &str) -> Vec<String> {
    lent.iter().filter(|(other, _)| other != id).map(|(_, role)| role.clone()).collect()
}

/// The states in which a grant is of interest to whoever decides.
pub(super) const OPEN: [State; 2] = [State::Asked, State::Approved];
