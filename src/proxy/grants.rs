//! What people were granted, as the gate knows it: asked by each request, read anew many times a second. Here what
//! `grant` keeps becomes what `policy` judges; neither knows the other.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;

use super::Gate;
use super::rejection::{Rejection, Wanted};
use crate::clock::Clock;
use crate::grant::{Counter, Grant as Kept, GrantError, News, State};
use crate::identity::Caller;
use crate::limits::{Allowance, AllowanceFault, Asker, CallerRate, Occasion, Seat, Terms, Window};
use crate::policy::{Action, Coverage, Grant, Permit, Subjects, Value};

/// The first characters of a name under which uses are counted; no account's name begins with the first.
const COUNTED: &str = "%grant:";
/// Requests under one grant at once, which its uses bound.
const AT_ONCE: u32 = 10_000;
/// So many that ended are remembered, for streams that began under them.
const MOST_ENDED: usize = 100_000;

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

/// What holds, as it was read last.
#[derive(Debug, Default)]
struct Known {
    /// By account, the narrowest first.
    held: HashMap<String, Vec<Held>>,
    /// Whose they are, by name.
    holders: HashMap<String, String>,
    /// What opened at once and nobody has reviewed: by name, the person, until when, and which grade.
    open: HashMap<String, Opened>,
    /// What was taken back or is over; what was used up is not among them.
    ended: HashSet<String>,
}

#[derive(Debug)]
struct Opened {
    person: String,
    review_until_s: i64,
    grade: u8,
}

#[derive(Clone, Debug)]
struct Held {
    grant: Arc<Grant>,
    uses: Option<u32>,
    lasts_s: u32,
    until_s: i64,
}

impl Grants {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(counter: Counter, clock: &Clock) -> Self {
        let (known, touched, looking) = Default::default();
        let (change, changes) = (AtomicI64::new(0), watch::Sender::new(()));
        Self { counter, known, change, changes, touched, looking, asked: CallerRate::new(clock) }
    }

    /// What an account holds now, the narrowest first; `named` alone, where the request names one.
    fn of(&self, account: &str, named: Option<&str>, now_s: i64) -> Vec<Held> {
        let known = self.read();
        let held = known.held.get(account).map_or(&[][..], Vec::as_slice);
        let holds =
            |held: &&Held| held.until_s > now_s && named.is_none_or(|named| held.grant.id == named);
        held.iter().filter(holds).cloned().collect()
    }

    /// Whether what began under a grant may go on: it was not taken back, nor did its time end. A stream that is its
    /// last use goes on.
    pub(super) fn stands(&self, id: &str) -> bool {
        !self.read().ended.contains(id)
    }

    /// Tells when something was granted or taken back.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Whether a person may see nothing of this grade until somebody reviewed what they had opened at once.
    pub(super) fn is_blocked(&self, person: &str, grade: u8, now_s: i64) -> bool {
        let blocks = |opened: &Opened| {
            opened.person == person && opened.review_until_s <= now_s && opened.grade <= grade
        };
        grade > 0 && self.read().open.values().any(blocks)
    }

    /// The allowance of a grant's uses; none where it may be used as often as one likes.
    fn allowance(&self, id: &str) -> Result<Option<Allowance>, AllowanceFault> {
        let Some(Held { uses: Some(uses), lasts_s, .. }) = self.held(id) else { return Ok(None) };
        let terms = Terms {
            concurrent: Some(AT_ONCE),
            // What was used counts for as long as the grant can last.
            files: vec![Window::sliding(u64::from(uses), lasts_s.saturating_add(3_600))],
            ..Terms::default()
        };
        Allowance::new(&[terms]).map(Some)
    }

    fn held(&self, id: &str) -> Option<Held> {
        let known = self.read();
        let held = known.held.get(known.holders.get(id)?)?;
        held.iter().find(|held| held.grant.id == id).cloned()
    }

    /// Lets what was read hold. What opens is in the log before it does; what closes closes whatever the log does, and
    /// the next look tries again. `true` if there may be more to read.
    fn install(&self, news: &News, is_recorded: bool) -> bool {
        let now_s = self.counter.now_s();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for grant in &news.grants {
            known.put(grant, is_recorded, now_s);
        }
        drop(known);
        if is_recorded {
            self.change.store(news.change, Ordering::Release);
        }
        self.changes.send_replace(());
        is_recorded && news.is_more
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Those that ended long ago have no stream.
    fn end(&mut self, id: &str) {
        if self.ended.len() >= MOST_ENDED {
            self.ended.clear();
        }
        self.ended.insert(id.to_owned());
    }

    /// Knows a grant as it is now.
    fn put(&mut self, kept: &Kept, is_recorded: bool, now_s: i64) {
        if let Some(holder) = self.holders.remove(&kept.id)
            && let Some(held) = self.held.get_mut(&holder)
        {
            held.retain(|held| held.grant.id != kept.id);
            if held.is_empty() {
                self.held.remove(&holder);
            }
        }
        self.open.remove(&kept.id);
        let ended = [State::Revoked, State::Expired, State::Refused, State::Reviewed];
        if ended.contains(&kept.state) {
            self.end(&kept.id);
        }
        if let Some(emergency) = kept.emergency.filter(|_| kept.review.is_none()) {
            let (person, grade) = (kept.person.clone(), emergency.grade);
            let opened = Opened { person, review_until_s: emergency.review_until_s, grade };
            self.open.insert(kept.id.clone(), opened);
        }
        if !is_recorded || !kept.is_live(now_s) {
            return;
        }
        let held = Held {
            grant: Arc::new(judged(kept)),
            uses: kept.uses,
            lasts_s: kept.lasts_s,
            until_s: kept.until_s.unwrap_or_default(),
        };
        let all = self.held.entry(kept.holder.clone()).or_default();
        let at = all.partition_point(|other| width(&other.grant) <= width(&held.grant));
        all.insert(at, held);
        self.holders.insert(kept.id.clone(), kept.holder.clone());
    }
}

/// How far a grant reaches: about whom first, then fields, routes, actions.
fn width(grant: &Grant) -> (usize, usize, usize, usize) {
    let of = |count: usize| if count == 0 { usize::MAX } else { count };
    let Coverage { subjects, fields, routes, actions, .. } = &grant.coverage;
    (
        subjects.as_ref().map_or(usize::MAX, Subjects::count),
        fields.as_ref().map_or(usize::MAX, Vec::len),
        of(routes.len()),
        actions.len(),
    )
}

/// What the policy judges.
pub(super) fn judged(kept: &Kept) -> Grant {
    let scope = &kept.scope;
    let texts = |texts: Vec<String>| Value::List(texts.into_iter().map(Value::Text).collect());
    let keys = scope.subjects.iter().map(|(_, key)| key.clone()).collect();
    // `guest.scan` is a scan too, as policies call it.
    let last = |name: &String| name.rsplit('.').next().unwrap_or_default().to_owned();
    let named = scope.routes.iter().chain(&scope.fields).chain(&scope.actions);
    let mut words: Vec<String> = named.flat_map(|name| [name.clone(), last(name)]).collect();
    words.sort_unstable();
    words.dedup();
    let attributes = BTreeMap::from([
        ("subjects".to_owned(), texts(keys)),
        ("scope".to_owned(), texts(words)),
        ("ticket".to_owned(), Value::Text(kept.ticket.clone())),
        ("holder".to_owned(), Value::Text(kept.holder.clone())),
    ]);
    let mut coverage = coverage(&kept.scope);
    (coverage.from_unix_s, coverage.until_unix_s) = (kept.from_s, kept.until_s);
    Grant { id: kept.id.clone(), attributes, coverage }
}

/// What a scope covers, without its time.
pub(super) fn coverage(scope: &crate::grant::Scope) -> Coverage {
    let action = |word: &String| {
        let found = Action::NAMES.iter().find(|(name, _)| *name == word.as_str());
        found.map(|(_, action)| *action)
    };
    Coverage {
        actions: scope.actions.iter().filter_map(action).collect(),
        routes: scope.routes.clone(),
        role: scope.role.clone(),
        fields: Some(scope.fields.clone()).filter(|fields| !fields.is_empty()),
        subjects: Some(Subjects::from_iter(scope.subjects.iter().cloned()))
            .filter(|subjects| subjects.count() > 0),
        parameters: scope.parameters.clone(),
        purpose: scope.purpose.clone(),
        zones: scope.zones.clone(),
        device: scope.device,
        assurance: scope.assurance,
        from_unix_s: None,
        until_unix_s: None,
    }
}

impl Gate {
    /// Looks for what was granted or taken back.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`]: what is known is old.
    pub(super) async fn look_for_grants(&self) -> Result<(), Rejection> {
        let _only_one = self.grants.looking.lock().await;
        loop {
            let news = self.grants.counter.news(self.grants.change.load(Ordering::Acquire)).await;
            let news = news.map_err(|error| {
                tracing::error!(%error, "grants could not be read, so nothing passes");
                Rejection::StoreUnavailable
            })?;
            if news.grants.is_empty() {
                return Ok(());
            }
            let is_recorded = self.record_acts().await.is_ok();
            if !self.grants.install(&news, is_recorded) {
                return Ok(());
            }
        }
    }

    /// What an account was granted and has not used up, the narrowest first.
    pub(super) fn granted(
        &self,
        account: &str,
        named: Option<&str>,
        now_s: i64,
    ) -> Vec<Arc<Grant>> {
        let held = self.grants.of(account, named, now_s);
        let is_left =
            |held: &Held| held.uses.is_none_or(|uses| self.used(&held.grant.id) < u64::from(uses));
        held.into_iter().filter(is_left).map(|held| held.grant).collect()
    }

    /// Has a use counted with what is released first, where the permit stands by a grant that may be used so often
    /// only. Taken here, so that of many requests at once only so many pass; given back if nothing is released.
    ///
    /// # Errors
    /// [`Rejection::Grant`] if it is used up.
    pub(super) async fn take_use(&self, permit: &Permit, seat: &Seat) -> Result<(), Rejection> {
        let Some(grant) = permit.grant() else { return Ok(()) };
        let allowance = self.grants.allowance(&grant.id).map_err(|error| {
            tracing::error!(%error, "the uses of a grant cannot be counted, so it opens nothing");
            Rejection::Uncountable
        })?;
        let Some(allowance) = allowance else { return Ok(()) };
        let (name, occasion) = (format!("{COUNTED}{}", grant.id), Arc::new(Occasion::default()));
        let asker = Asker::from(name.as_str());
        let used = self.limits.admit_shared(asker, &occasion, &Arc::new(allowance)).await;
        let used = used.map_err(|refused| Rejection::Limit(Box::new(refused)))?;
        self.touch(&grant.id);
        if used.take_file().is_err() {
            let used_up = Some(grant.id.clone());
            return Err(Rejection::Grant(Box::new(Wanted { used_up, ..Wanted::default() })));
        }
        seat.counts_with(used);
        Ok(())
    }

    /// Counts the use of a grant by a change before the backend is asked: what it does it has done.
    pub(super) async fn use_now(&self, permit: &Permit, seat: &Seat) -> Result<(), Rejection> {
        if permit.grant().is_none() || permit.action().only_reads() {
            return Ok(());
        }
        seat.is_used();
        seat.persist().await.map_err(|error| {
            tracing::error!(%error, "the use of a grant could not be counted, so nothing is done");
            Rejection::StoreUnavailable
        })
    }

    fn touch(&self, id: &str) {
        let mut touched = self.grants.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.insert(id.to_owned());
    }

    /// Notes of grants that their time is over.
    pub(super) async fn tidy_grants(&self) {
        if let Err(error) = self.grants.counter.tidy().await {
            tracing::warn!(%error, "grants whose time is over cannot be noted");
        }
    }

    /// Notes of grants that they are used up.
    pub(super) async fn note_used_up(&self) {
        let touched: Vec<String> = {
            let touched = self.grants.touched.lock().unwrap_or_else(PoisonError::into_inner);
            touched.iter().cloned().collect()
        };
        for id in touched {
            let Some(Held { uses: Some(uses), .. }) = self.grants.held(&id) else {
                self.untouch(&id);
                continue;
            };
            let used = self.used(&id);
            if used < u64::from(uses) {
                continue;
            }
            match self.grants.counter.use_up(&id).await {
                Ok(_) | Err(GrantError::Step(_) | GrantError::Unknown(_)) => self.untouch(&id),
                Err(error) => tracing::warn!(%error, "a grant that is used up cannot be noted"),
            }
        }
    }

    /// How often a grant was used.
    pub(super) fn used(&self, id: &str) -> u64 {
        self.limits.settled(&format!("{COUNTED}{id}"))
    }

    fn untouch(&self, id: &str) {
        let mut touched = self.grants.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.remove(id);
    }

    /// Refuses what is of a grade that somebody opened at once without that anybody reviewed it in time.
    pub(super) fn check_reviewed(
        &self,
        caller: &Caller,
        permit: &Permit,
        now_s: i64,
    ) -> Result<(), Rejection> {
        let person = self.identity.counted_as(&caller.account);
        match self.grants.is_blocked(&person, permit.highest_clear(), now_s) {
            true => Err(Rejection::Unreviewed),
            false => Ok(()),
        }
    }
}

/// The states in which a grant is of interest to whoever decides.
pub(super) const OPEN: [State; 2] = [State::Asked, State::Approved];
