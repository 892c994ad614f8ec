//! Where grants are asked for, agreed to, taken back and looked at: kept sealed in the state, each step with its act in
//! the same transaction, so that no step is without a record.

use super::approval::{ApprovalFault, Approver, Terms, check_approval};
use super::ask::{Ask, AskFault};
use super::steps::{Approval, Emergency, Grant, Review, State, StepFault, Told, Verdict};
use crate::clock::Clock;
use crate::secret::{MasterKey, Sealer, SecretError, random_token};
use crate::state::{GrantRow, GrantStep, StateError, Store};

/// How many requests of a person may wait at once.
pub const PER_PERSON: i64 = 10;
/// How many emergencies of a person may wait to be reviewed.
pub const MOST_OWING: i64 = 3;
/// So many are listed.
const LISTED: u32 = 500;
/// So many are read in one step.
const BATCH: u32 = 1000;
/// How often a step is tried anew that another one came before.
const TRIES: usize = 3;
/// The longest reason, in bytes.
const REASON_BYTES: usize = 500;

/// Why a grant is not what somebody wants it to be.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// What was asked for cannot be read.
    #[error(transparent)]
    Ask(#[from] AskFault),
    /// There is none of that name, or not for this caller.
    #[error("there is no grant `{0}`")]
    Unknown(String),
    /// It is at another place in its life.
    #[error(transparent)]
    Step(#[from] StepFault),
    /// Somebody may not agree to it.
    #[error(transparent)]
    Approval(#[from] ApprovalFault),
    /// Nobody reviews what they held or agreed to.
    #[error("nobody reviews what they held or agreed to themselves: another person must")]
    OwnReview,
    /// Nobody said why.
    #[error("say why: a reason of 1 to {REASON_BYTES} bytes in one line")]
    Reason,
    /// Too many wait already.
    #[error(
        "{PER_PERSON} requests of this person wait already; have them decided, or take one back"
    )]
    Full,
    /// Too many emergencies wait to be reviewed.
    #[error(
        "{MOST_OWING} emergencies of this person wait to be reviewed; have somebody else review one"
    )]
    Owing,
    /// It cannot be read or written.
    #[error(transparent)]
    State(StateError),
    /// The library refused, or the row was altered.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The row does not read.
    #[error("the grant `{0}` is damaged")]
    Damaged(String),
}

impl From<StateError> for GrantError {
    fn from(error: StateError) -> Self {
        if error == StateError::Full { Self::Full } else { Self::State(error) }
    }
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The account, as the log names it.
    pub account: String,
    /// Who that is, whichever account they use.
    pub person: String,
    /// The roles that they hold.
    pub roles: Vec<String>,
}

/// What changed since the last look.
#[derive(Debug, Default)]
pub struct News {
    /// The grants, as they are now.
    pub grants: Vec<Grant>,
    /// Those that do not read: each opens nothing.
    pub unreadable: Vec<Unreadable>,
    /// The newest change among them.
    pub change: i64,
    /// Whether there may be more.
    pub is_more: bool,
}

/// A grant that does not read, by what stands beside what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its name.
    pub id: String,
    /// Who holds it.
    pub person: String,
    /// Whether it opened at once and nobody reviewed it.
    pub owes_review: bool,
}

/// Grants as they were kept.
#[derive(Debug, Default)]
pub struct Listed {
    /// Those that read.
    pub grants: Vec<Grant>,
    /// Those that do not.
    pub unreadable: Vec<Unreadable>,
}

/// Where grants are asked for and given.
#[derive(Debug)]
pub struct Counter {
    store: Store,
    sealer: Sealer,
    clock: Clock,
}

impl Counter {
    /// On this state.
    ///
    /// # Errors
    /// [`SecretError`] if no key can be derived.
    pub fn new(store: Store, master: &MasterKey, clock: Clock) -> Result<Self, SecretError> {
        Ok(Self { store, sealer: master.sealer("grants")?, clock })
    }

    /// Keeps what somebody asks for, until others agree; in an emergency it holds at once. What they may ask for at
    /// all the caller has checked.
    ///
    /// # Errors
    /// [`GrantError`]; nothing is kept then.
    pub async fn ask(
        &self,
        who: &Who,
        ask: Ask,
        (lasts_s, waits_s): (u32, u32),
        emergency: Option<Emergency>,
    ) -> Result<Grant, GrantError> {
        let id = format!("G-{}", random_token::<9>()?.expose());
        let now_ms = self.clock.unix_ms();
        let now_s = now_ms.div_euclid(1000);
        let mut grant = Grant {
            id,
            holder: who.account.clone(),
            person: who.person.clone(),
            roles: who.roles.clone(),
            scope: ask.scope,
            reason: ask.reason,
            ticket: ask.ticket,
            asked_ms: now_ms,
            waits_until_s: now_s.saturating_add(i64::from(waits_s)),
            from_s: ask.from_s,
            lasts_s,
            until_s: None,
            uses: ask.uses,
            approvals: Vec::new(),
            state: State::Asked,
            emergency,
            review: None,
        };
        let act = match &grant.emergency {
            None => "grant_asked",
            Some(Emergency { drill: true, .. }) => "glass_broken_drill",
            Some(Emergency { drill: false, .. }) => "glass_broken",
        };
        let is_emergency = grant.emergency.is_some();
        if is_emergency {
            grant.from_s = None;
            grant.open(now_s);
        }
        let reason = grant.reason.clone();
        match self.put(&grant, 0, who, Step { act, reason, ..Step::default() }).await {
            Err(GrantError::Full) if is_emergency => Err(GrantError::Owing),
            kept => kept.map(|()| grant),
        }
    }

    /// Somebody agrees, under the terms of the policy in force. `factor` is the assurance reached, and how old a factor
    /// of the assurance is that the terms ask.
    ///
    /// # Errors
    /// [`GrantError`]; nothing changed then.
    pub async fn approve(
        &self,
        who: &Who,
        id: &str,
        (terms, ring_s): (Terms, u32),
        stands_high_enough: bool,
        (assurance, factor_age_s): (u8, Option<i64>),
    ) -> Result<Grant, GrantError> {
        for _ in 0..TRIES {
            let (mut grant, change) = self.one(id).await?;
            let at_ms = self.clock.unix_ms();
            let since_ms = at_ms.saturating_sub(i64::from(ring_s).saturating_mul(1000));
            // How often the holder of this one agreed to what this approver held.
            let owed = self.store.approvals_of(&who.person, &grant.person, since_ms).await?;
            let (account, person) = (who.account.clone(), who.person.clone());
            let approver =
                Approver { account, person, stands_high_enough, assurance, factor_age_s, owed };
            check_approval(&grant, &terms, &approver)?;
            let Approver { account, person, .. } = approver;
            grant.approve(Approval { account, person, at_ms }, terms.number)?;
            let step = Step {
                act: "grant_approved",
                approved_by: who.account.clone(),
                approval: Some((grant.person.clone(), who.person.clone())),
                ..Step::default()
            };
            match self.put(&grant, change, who, step).await {
                Err(GrantError::State(StateError::Unknown(_))) => {}
                done => return done.map(|()| grant),
            }
        }
        Err(GrantError::State(StateError::TimedOut))
    }

    /// Somebody says no.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn refuse(&self, who: &Who, id: &str, reason: &str) -> Result<Grant, GrantError> {
        self.step(who, id, ("grant_refused", reason), Grant::refuse).await
    }

    /// Somebody takes it back.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn revoke(&self, who: &Who, id: &str, reason: &str) -> Result<Grant, GrantError> {
        self.step(who, id, ("grant_revoked", reason), Grant::revoke).await
    }

    /// Notes that it was used as often as it may be.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn use_up(&self, id: &str) -> Result<Grant, GrantError> {
        let reason = "as often as it may be";
        self.step(&gate(), id, ("grant_used_up", reason), Grant::use_up).await
    }

    /// Somebody else looked at what was done under it.
    ///
    /// # Errors
    /// [`GrantError`]: also if they held it or agreed to it.
    pub async fn review(
        &self,
        who: &Who,
        id: &str,
        verdict: Verdict,
        note: &str,
    ) -> Result<Grant, GrantError> {
        let at_ms = self.clock.unix_ms();
        let review = Review { account: who.account.clone(), verdict, at_ms };
        let act = match verdict {
            Verdict::Fit => "grant_reviewed",
            Verdict::Unfit => "grant_reviewed_unfit",
        };
        let take = |grant: &mut Grant, _now_s| {
            let took_part = grant.approvals.iter().any(|approval| approval.person == who.person);
            if grant.person == who.person || took_part {
                return Err(GrantError::OwnReview);
            }
            Ok(grant.review(review.clone())?)
        };
        self.step(who, id, (act, note), take).await
    }

    /// Says of each emergency whose review is due, or overdue, that it is: once each.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn remind(&self) -> Result<(), GrantError> {
        let now_s = self.clock.unix_s();
        let mut after = String::new();
        loop {
            let rows = self.store.grants_owing(now_s, &after, LISTED).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for row in &rows {
                self.remind_of(row, now_s).await?;
            }
        }
    }

    async fn remind_of(&self, row: &GrantRow, now_s: i64) -> Result<(), GrantError> {
        // What does not read was told when it was read; the others are still to be reminded of.
        let Ok(grant) = self.open(row) else { return Ok(()) };
        let is_drill = grant.emergency.is_some_and(|emergency| emergency.drill);
        let Some(told) = grant.to_tell(now_s) else { return Ok(()) };
        let act = match (told, is_drill) {
            (Told::Overdue, false) => "grant_review_overdue",
            (Told::Overdue, true) => "grant_review_overdue_drill",
            (Told::Nothing | Told::Due, false) => "grant_review_due",
            (Told::Nothing | Told::Due, true) => "grant_review_due_drill",
        };
        let reason = "nobody reviewed it yet";
        match self.step(&gate(), &row.id, (act, reason), |grant, _| grant.tell(told)).await {
            // Somebody was quicker.
            Ok(_) | Err(GrantError::Step(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Notes of all whose time is over that it is.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn tidy(&self) -> Result<(), GrantError> {
        let mut after = String::new();
        loop {
            let rows = self.store.grants_over(self.clock.unix_s(), &after, LISTED).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.id);
            for row in &rows {
                let reason = "its time is over";
                match self.step(&gate(), &row.id, ("grant_expired", reason), Grant::expire).await {
                    // Somebody was quicker, or it does not read and holds up no other.
                    Ok(_)
                    | Err(GrantError::Step(_) | GrantError::Damaged(_) | GrantError::Secret(_)) => {
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// One grant.
    ///
    /// # Errors
    /// [`GrantError::Unknown`], or that it cannot be read.
    pub async fn grant(&self, id: &str) -> Result<Grant, GrantError> {
        Ok(self.one(id).await?.0)
    }

    /// Grants in one of these states, the newest first: all, or a person's.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn list(&self, person: Option<&str>, states: &[State]) -> Result<Listed, GrantError> {
        let words: Vec<&str> = states.iter().map(|state| state.word()).collect();
        Ok(self.readable(&self.store.grants(person, &words, LISTED).await?))
    }

    /// One that does not read is said, and hides no other.
    fn readable(&self, rows: &[GrantRow]) -> Listed {
        let mut listed = Listed::default();
        for row in rows {
            match self.open(row) {
                Ok(grant) => listed.grants.push(grant),
                Err(_unreadable) => {
                    let (id, person) = (row.id.clone(), row.person.clone());
                    let owes_review = row.review_s.is_some();
                    listed.unreadable.push(Unreadable { id, person, owes_review });
                }
            }
        }
        listed
    }

    /// What changed after a change.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn news(&self, after: i64) -> Result<News, GrantError> {
        let rows = self.store.grants_after(after, BATCH).await?;
        let change = rows.last().map_or(after, |row| row.change);
        let is_more = rows.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX);
        let Listed { grants, unreadable } = self.readable(&rows);
        Ok(News { grants, unreadable, change, is_more })
    }

    /// Now, in Unix seconds.
    #[must_use]
    pub fn now_s(&self) -> i64 {
        self.clock.unix_s()
    }

    async fn step<F: Into<GrantError>>(
        &self,
        who: &Who,
        id: &str,
        (act, reason): (&'static str, &str),
        take: impl Fn(&mut Grant, i64) -> Result<(), F>,
    ) -> Result<Grant, GrantError> {
        check_reason(reason)?;
        for _ in 0..TRIES {
            let (mut grant, change) = self.one(id).await?;
            take(&mut grant, self.clock.unix_s()).map_err(Into::into)?;
            let step = Step { act, reason: reason.to_owned(), ..Step::default() };
            match self.put(&grant, change, who, step).await {
                Err(GrantError::State(StateError::Unknown(_))) => {}
                done => return done.map(|()| grant),
            }
        }
        Err(GrantError::State(StateError::TimedOut))
    }

    async fn one(&self, id: &str) -> Result<(Grant, i64), GrantError> {
        let row = self.store.grant(id).await?;
        let unknown = || GrantError::Unknown(id.chars().take(64).collect());
        let row = row.ok_or_else(unknown)?;
        Ok((self.open(&row)?, row.change))
    }

    fn open(&self, row: &GrantRow) -> Result<Grant, GrantError> {
        let opened = self.sealer.open(&label(&row.id), &row.sealed)?;
        let read = serde_json::from_slice(&opened);
        read.map_err(|_damaged| GrantError::Damaged(row.id.clone()))
    }

    async fn put(
        &self,
        grant: &Grant,
        change: i64,
        who: &Who,
        step: Step,
    ) -> Result<(), GrantError> {
        let text = serde_json::to_vec(grant);
        let text = text.map_err(|_never| GrantError::Damaged(grant.id.clone()))?;
        let until_s = match grant.state {
            State::Asked => grant.waits_until_s,
            State::Approved => grant.until_s.unwrap_or_default(),
            State::Refused | State::Expired | State::Revoked | State::UsedUp | State::Reviewed => {
                i64::MAX
            }
        };
        let row = GrantRow {
            id: grant.id.clone(),
            person: grant.person.clone(),
            state: grant.state.word().to_owned(),
            asked_ms: grant.asked_ms,
            until_s,
            review_s: grant.review_s(),
            sealed: self.sealer.seal(&label(&grant.id), &text)?,
            change,
            weight: grant.weight(),
        };
        let Step { act, reason, approved_by, approval } = step;
        let is_drill = grant.emergency.is_some_and(|emergency| emergency.drill);
        let drill = if is_drill { " (drill)" } else { "" };
        let detail = format!("{} for {}{drill}", grant.scope.counted(), grant.holder);
        let step = GrantStep { act, detail, reason, approved_by, approval };
        // Elsewhere nobody would know that it must be reviewed, so the glass could be broken there again.
        if change == 0 && grant.emergency.is_some() && !row.can_be_told(&step, &who.account) {
            return Err(GrantError::Ask(AskFault::TooLong));
        }
        let store = self.store.clone().acting_as(&who.account);
        Ok(store.put_grant(row, step, (PER_PERSON, MOST_OWING)).await?)
    }
}

#[derive(Default)]
struct Step {
    act: &'static str,
    reason: String,
    approved_by: String,
    approval: Option<(String, String)>,
}

/// Whoever takes the steps that nobody takes.
fn gate() -> Who {
    Who { account: "gate".to_owned(), person: String::new(), roles: Vec::new() }
}

fn label(id: &str) -> String {
    format!("grants\n{id}")
}

fn check_reason(reason: &str) -> Result<(), GrantError> {
    let is_one = !reason.trim().is_empty()
        && reason.len() <= REASON_BYTES
        && !reason.chars().any(char::is_control);
    if is_one { Ok(()) } else { Err(GrantError::Reason) }
}
