//! Reviews of accesses: at times somebody looks at who has which right and when it was used last, and attests that it
//! stays or takes it away. A right that nobody attested in time is switched off.
//!
//! A right is a role of a person, under whichever account. What is taken away or lapses becomes a switch of kind `right`,
//! which every gate heeds with its next request; who gives it back gives a reason as with any other switch.

mod rights;

pub use self::rights::{Held, MAX_QUIET_DAYS, Proposal, Used, proposed};

use std::collections::BTreeSet;

use crate::clock::Clock;
use crate::command::{Desk, Doer, Target};
pub use crate::state::{CampaignRow as Campaign, RightRow as Right};
use crate::state::{StateError, Store, VerdictRow, counted_as as of_person};

/// The longest time in which rights are attested, in days.
pub const LONGEST_DAYS: u32 = 92;
/// The most rights of one review.
pub const MOST_RIGHTS: usize = 20_000;
/// The most rights that are decided at once.
pub const BATCH: usize = 200;
/// The longest remark, in characters.
const REMARK_LIMIT: usize = 500;
/// Who closes what nobody decided.
const ITSELF: &str = "menshen";
const DAY_MS: i64 = 86_400_000;

/// What a reviewer says of a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Attested,
    /// It goes, at once.
    Removed,
}

impl Verdict {
    /// The word of the log for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attested => "attested",
            Self::Removed => "removed",
        }
    }
}

impl std::str::FromStr for Verdict {
    type Err = CampaignError;

    fn from_str(word: &str) -> Result<Self, CampaignError> {
        match word {
            "attested" => Ok(Self::Attested),
            "removed" => Ok(Self::Removed),
            _ => Err(CampaignError::Verdict),
        }
    }
}

/// A right, and what a reviewer says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Whose it is, as the review names them.
    pub whose: String,
    /// The role.
    pub role: String,
    /// What is decided.
    pub verdict: Verdict,
    /// Why; a right that is removed needs none.
    pub remark: String,
}

/// Why a review is not opened, or a right not decided.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// There is nothing to attest.
    #[error("nobody has such a right, so there is nothing to review")]
    Empty,
    /// There are too many.
    #[error(
        "a review has at most {MOST_RIGHTS} rights and this one would have {0}: name some of the roles"
    )]
    TooMany(usize),
    /// A right is named that cannot be one.
    #[error("`{0}` cannot be a right: a role and whose it is, of visible characters")]
    NoRight(String),
    /// The time is too short or too long.
    #[error("rights are attested within 1 to {LONGEST_DAYS} days")]
    Time,
    /// The word is none.
    #[error("a verdict must be `attested` or `removed`")]
    Verdict,
    /// A remark cannot be kept.
    #[error("a remark has at most {REMARK_LIMIT} characters, without control characters")]
    Remark,
    /// None, too many at once, or one twice.
    #[error("decide 1 to {BATCH} rights at once, each once")]
    Number,
    /// The review does not run.
    #[error("no review {0} runs: it was closed, its time is over, or there never was one")]
    NotRunning(i64),
    /// It does not have the right.
    #[error("the review has no right `{0}`; nothing was decided")]
    NotThere(String),
    /// Nobody attests their own.
    #[error("nobody decides on their own rights: `{0}` must be decided by somebody else")]
    Oneself(String),
    /// The state has no room.
    #[error("too many reviews are open, or too many rights are switched off")]
    Full,
    /// The state could not be read or written.
    #[error(transparent)]
    State(StateError),
}

/// The reviews.
#[derive(Clone, Debug)]
pub struct Campaigns {
    store: Store,
    clock: Clock,
}

impl Campaigns {
    /// On this state.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// On the state of a desk.
    #[must_use]
    pub fn beside(desk: &Desk) -> Self {
        let (store, clock) = desk.place();
        Self { store, clock }
    }

    /// Opens a review of these rights for so many days; gives its number.
    ///
    /// # Errors
    /// [`CampaignError`]; nothing was opened then.
    pub async fn open(
        &self,
        doer: &Doer,
        about: &str,
        days: u32,
        rights: Vec<Right>,
    ) -> Result<i64, CampaignError> {
        check_remark(about)?;
        if rights.is_empty() {
            return Err(CampaignError::Empty);
        }
        if rights.len() > MOST_RIGHTS {
            return Err(CampaignError::TooMany(rights.len()));
        }
        if !(1..=LONGEST_DAYS).contains(&days) {
            return Err(CampaignError::Time);
        }
        for Right { whose, role, .. } in &rights {
            let no_right = |_unusable| CampaignError::NoRight(format!("{role}@{whose}"));
            Target::right(role, whose).map_err(no_right)?;
        }
        let until_ms = self.clock.unix_ms().saturating_add(i64::from(days) * DAY_MS);
        let store = self.store.clone().acting_as(&doer.name);
        let opened = store.open_campaign(about.to_owned(), until_ms, rights).await;
        opened.map_err(
            |error| if error == StateError::Full { CampaignError::Full } else { error.into() },
        )
    }

    /// All reviews, the newest first.
    ///
    /// # Errors
    /// [`CampaignError::State`].
    pub async fn list(&self) -> Result<Vec<Campaign>, CampaignError> {
        Ok(self.store.campaigns().await?)
    }

    /// The rights of a review.
    ///
    /// # Errors
    /// [`CampaignError::NotRunning`] if there is no such review.
    pub async fn rights(&self, id: i64) -> Result<Vec<Right>, CampaignError> {
        self.store.campaign_rights(id).await.map_err(|error| unknown(error, id))
    }

    /// Decides rights, all or none. What is removed is switched off with it. `counted_as` says under whom an account is
    /// counted, so that nobody decides on their own.
    ///
    /// # Errors
    /// [`CampaignError`]; nothing was decided then.
    pub async fn decide(
        &self,
        doer: &Doer,
        id: i64,
        judged: Vec<Judged>,
        counted_as: impl Fn(&str) -> String,
    ) -> Result<(), CampaignError> {
        let each: BTreeSet<_> = judged.iter().map(|right| (&right.whose, &right.role)).collect();
        if judged.is_empty() || judged.len() > BATCH || each.len() < judged.len() {
            return Err(CampaignError::Number);
        }
        for Judged { whose, role, remark, .. } in &judged {
            check_remark(remark)?;
            // A review names people as the log does, and accounts that are nobody else's.
            let names = [whose.clone(), of_person(whose), counted_as(whose)];
            if names.contains(&doer.person) {
                return Err(CampaignError::Oneself(format!("{role}@{whose}")));
            }
        }
        let row = |Judged { whose, role, verdict, remark }| VerdictRow {
            whose,
            role,
            verdict: Verdict::as_str(verdict),
            remark,
        };
        let store = self.store.clone().acting_as(&doer.name);
        let decided = store.decide_rights(id, judged.into_iter().map(row).collect()).await;
        decided.map_err(|error| unknown(error, id))
    }

    /// Closes what is over: whatever nobody attested is switched off, some at a time; call it again and again. Gives each
    /// review that is closed with it, with the number of those rights.
    ///
    /// # Errors
    /// [`CampaignError::State`]; nothing was closed then, and the next call tries again.
    pub async fn close_due(&self) -> Result<Vec<(i64, u64)>, CampaignError> {
        Ok(self.store.clone().acting_as(ITSELF).close_campaigns().await?)
    }

    /// When each role was reviewed last, Unix milliseconds.
    ///
    /// # Errors
    /// [`CampaignError::State`].
    pub async fn reviewed(&self) -> Result<Vec<(String, i64)>, CampaignError> {
        Ok(self.store.reviewed_roles().await?)
    }
}

impl From<StateError> for CampaignError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

fn unknown(error: StateError, id: i64) -> CampaignError {
    let StateError::Unknown(what) = error else { return CampaignError::State(error) };
    if what == id.to_string() {
        CampaignError::NotRunning(id)
    } else {
        CampaignError::NotThere(what)
    }
}

fn check_remark(text: &str) -> Result<(), CampaignError> {
    let is_one = text.chars().count() <= REMARK_LIMIT && !text.chars().any(char::is_control);
    if is_one { Ok(()) } else { Err(CampaignError::Remark) }
}

#[cfg(test)]
mod tests;
