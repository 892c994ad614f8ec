//! The life of a grant: which step may follow which. Pure: who takes a step and when, callers bring.

use serde::{Deserialize, Serialize};

use super::ask::Scope;

/// Where a grant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Somebody asked, and it waits for others to agree.
    Asked,
    /// It opens what it says.
    Approved,
    /// Somebody said no.
    Refused,
    /// Its time is over, or nobody decided in time.
    Expired,
    /// Somebody took it back.
    Revoked,
    /// It was used as often as it may be.
    UsedUp,
    /// Somebody else looked at what was done under it.
    Reviewed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Asked,
        Self::Approved,
        Self::Refused,
        Self::Expired,
        Self::Revoked,
        Self::UsedUp,
        Self::Reviewed,
    ];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::UsedUp => "used-up",
            Self::Reviewed => "reviewed",
        }
    }
}

/// That somebody agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The account.
    pub account: String,
    /// Who that is, whichever account they use.
    pub person: String,
    /// When, Unix milliseconds.
    pub at_ms: i64,
}

/// It opened before anybody agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    /// Until when somebody else must have reviewed it, Unix seconds.
    pub review_until_s: i64,
    /// The highest grade that it opens; what is blocked if nobody reviews it.
    pub grade: u8,
    /// Whether it is an exercise.
    pub drill: bool,
    /// What was said of its review so far.
    #[serde(default)]
    pub told: Told,
}

/// How far somebody was reminded of a review.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// Not at all.
    #[default]
    Nothing,
    /// Half of its time is over.
    Due,
    /// All of its time is over, and the holder is blocked.
    Overdue,
}

/// What a reviewer says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was needed, and used for what it was for.
    Fit,
    /// It was not.
    Unfit,
}

/// That somebody looked at what was done under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The account.
    pub account: String,
    /// What they say.
    pub verdict: Verdict,
    /// When, Unix milliseconds.
    pub at_ms: i64,
}

/// A grant and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub id: String,
    /// The account that it is for.
    pub holder: String,
    /// Who that is, whichever account they use.
    pub person: String,
    /// The roles of the holder when they asked.
    pub roles: Vec<String>,
    /// What it opens.
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// A ticket or case.
    pub ticket: String,
    /// When it was asked for, Unix milliseconds.
    pub asked_ms: i64,
    /// Until when it waits to be decided, Unix seconds.
    pub waits_until_s: i64,
    /// From when on it shall hold, Unix seconds; else as soon as it is approved.
    pub from_s: Option<i64>,
    /// How long it holds from then on, in seconds.
    pub lasts_s: u32,
    /// Until when it holds, Unix seconds, once it is approved.
    pub until_s: Option<i64>,
    /// How often it may be used; none means as often as one likes.
    pub uses: Option<u32>,
    /// Who agreed so far.
    pub approvals: Vec<Approval>,
    /// Where it is.
    pub state: State,
    /// Set if it opened at once.
    pub emergency: Option<Emergency>,
    /// Who looked at it.
    pub review: Option<Review>,
}

/// Why a step cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepFault {
    /// It is somewhere else in its life.
    #[error("the grant is {state}, so it cannot be {what}", state = .0.word(), what = .1)]
    State(State, &'static str),
    /// The moment lies before one that was.
    #[error("the clock stands before the moment when it was asked for")]
    Clock,
}

impl Grant {
    /// Where it is at a moment: what waits or holds ends by itself.
    #[must_use]
    pub fn state_at(&self, now_s: i64) -> State {
        let is_over = match self.state {
            State::Asked => now_s >= self.waits_until_s,
            State::Approved => self.until_s.is_none_or(|until| now_s >= until),
            State::Refused | State::Expired | State::Revoked | State::UsedUp | State::Reviewed => {
                false
            }
        };
        if is_over { State::Expired } else { self.state }
    }

    /// Whether it opens anything now, or will.
    #[must_use]
    pub fn is_live(&self, now_s: i64) -> bool {
        self.state_at(now_s) == State::Approved
    }

    /// How far it is, as one number: every step makes it larger, and of two steps from the same place the stricter by
    /// more. So gates that took steps at once agree on one, whoever hears of the other first.
    #[must_use]
    pub fn weight(&self) -> i64 {
        let rank = match self.state {
            State::Asked => 0,
            State::Approved => 1,
            State::Expired => 2,
            State::UsedUp => 3,
            State::Refused => 4,
            State::Revoked => 5,
            State::Reviewed => 6,
        };
        let agreed = i64::try_from(self.approvals.len()).unwrap_or(99).min(99);
        let told = self.emergency.map_or(0, |emergency| match emergency.told {
            Told::Nothing => 0,
            Told::Due => 1,
            Told::Overdue => 2,
        });
        rank * 1000 + agreed * 10 + told
    }

    /// Whether it opened at once and nobody reviewed it in time.
    #[must_use]
    pub fn is_overdue(&self, now_s: i64) -> bool {
        let late = |emergency: &Emergency| now_s >= emergency.review_until_s;
        self.review.is_none() && self.emergency.as_ref().is_some_and(late)
    }

    /// When its review must be reminded of next, Unix seconds: after half of its time, and when that is over. None where
    /// none is owed.
    #[must_use]
    pub fn review_s(&self) -> Option<i64> {
        let Emergency { review_until_s, told, .. } =
            self.emergency.filter(|_| self.review.is_none())?;
        let asked_s = self.asked_ms.div_euclid(1000);
        Some(match told {
            Told::Nothing => asked_s.saturating_add(review_until_s.saturating_sub(asked_s) / 2),
            Told::Due => review_until_s,
            Told::Overdue => i64::MAX,
        })
    }

    /// What is to be said of its review now, if anything.
    #[must_use]
    pub fn to_tell(&self, now_s: i64) -> Option<Told> {
        self.review_s().filter(|at| *at <= now_s)?;
        Some(if self.is_overdue(now_s) { Told::Overdue } else { Told::Due })
    }

    /// Notes that this was said of its review.
    ///
    /// # Errors
    /// [`StepFault`] if it was said already, or nobody owes a review.
    pub fn tell(&mut self, told: Told) -> Result<(), StepFault> {
        let state = self.state;
        match &mut self.emergency {
            Some(emergency) if self.review.is_none() && emergency.told < told => {
                emergency.told = told;
                Ok(())
            }
            Some(_) | None => Err(StepFault::State(state, "reminded of")),
        }
    }

    /// Somebody agrees; it holds once as many did as are asked.
    ///
    /// # Errors
    /// [`StepFault`] unless it was asked for and nobody decided, or if the clock was set back behind that.
    pub fn approve(&mut self, approval: Approval, needed: u8) -> Result<(), StepFault> {
        let now_s = approval.at_ms.div_euclid(1000);
        self.expect(&[State::Asked], "approved", now_s)?;
        if approval.at_ms < self.asked_ms {
            return Err(StepFault::Clock);
        }
        self.approvals.push(approval);
        if self.approvals.len() >= usize::from(needed) {
            self.open(now_s);
        }
        Ok(())
    }

    /// It holds from now on, or from when it shall.
    pub(super) fn open(&mut self, now_s: i64) {
        let from = self.from_s.unwrap_or(now_s).max(now_s);
        self.from_s = Some(from);
        self.until_s = Some(from.saturating_add(i64::from(self.lasts_s)));
        self.state = State::Approved;
    }

    /// Somebody says no.
    ///
    /// # Errors
    /// [`StepFault`] unless it was asked for and nobody decided.
    pub fn refuse(&mut self, now_s: i64) -> Result<(), StepFault> {
        self.step(&[State::Asked], State::Refused, now_s)
    }

    /// Somebody takes it back, the holder too. Its last use may still be under way.
    ///
    /// # Errors
    /// [`StepFault`] unless it waits or holds, or was used up and would hold otherwise.
    pub fn revoke(&mut self, now_s: i64) -> Result<(), StepFault> {
        let is_over = self.until_s.is_none_or(|until| now_s >= until);
        if self.state == State::UsedUp && is_over {
            return Err(StepFault::State(self.state, State::Revoked.word()));
        }
        self.step(&[State::Asked, State::Approved, State::UsedUp], State::Revoked, now_s)
    }

    /// It was used as often as it may be.
    ///
    /// # Errors
    /// [`StepFault`] unless it holds.
    pub fn use_up(&mut self, now_s: i64) -> Result<(), StepFault> {
        self.step(&[State::Approved], State::UsedUp, now_s)
    }

    /// Notes that its time is over.
    ///
    /// # Errors
    /// [`StepFault`] unless that is so.
    pub fn expire(&mut self, now_s: i64) -> Result<(), StepFault> {
        if self.state_at(now_s) != State::Expired || self.state == State::Expired {
            return Err(StepFault::State(self.state, State::Expired.word()));
        }
        self.state = State::Expired;
        Ok(())
    }

    /// Somebody looked at what was done under it. What still holds ends with that.
    ///
    /// # Errors
    /// [`StepFault`] unless it held once.
    pub fn review(&mut self, review: Review) -> Result<(), StepFault> {
        let now_s = review.at_ms.div_euclid(1000);
        let held = [State::Approved, State::Expired, State::Revoked, State::UsedUp];
        self.expect(&held, "reviewed", now_s)?;
        if self.until_s.is_none() {
            // It expired or was revoked before anybody agreed.
            return Err(StepFault::State(self.state_at(now_s), "reviewed"));
        }
        self.state = State::Reviewed;
        self.review = Some(review);
        Ok(())
    }

    fn step(&mut self, from: &[State], to: State, now_s: i64) -> Result<(), StepFault> {
        self.expect(from, to.word(), now_s)?;
        self.state = to;
        Ok(())
    }

    fn expect(&self, states: &[State], what: &'static str, now_s: i64) -> Result<(), StepFault> {
        let state = self.state_at(now_s);
        if states.contains(&state) { Ok(()) } else { Err(StepFault::State(state, what)) }
    }

    /// What it is, in one sentence for whoever decides.
    #[must_use]
    pub fn sentence(&self) -> String {
        let often = match self.uses {
            Some(1) => "once".to_owned(),
            Some(uses) => format!("up to {uses} times"),
            None => "as often as needed".to_owned(),
        };
        let from = self.from_s.map_or_else(String::new, |at| format!(", from {}", when(at)));
        let until = match self.until_s {
            Some(at) => format!("until {}", when(at)),
            None => format!("for {}", span(self.lasts_s)),
        };
        let holder = &self.holder;
        format!("{holder} may {} {often}, {until}{from}", self.scope.sentence())
    }
}

fn when(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).map_or_else(|_| unix_s.to_string(), |at| at.to_string())
}

/// `90m`, `1h`, `2d`.
pub(super) fn span(seconds: u32) -> String {
    match seconds {
        s if s.is_multiple_of(86_400) => format!("{}d", s / 86_400),
        s if s.is_multiple_of(3_600) => format!("{}h", s / 3_600),
        s if s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
