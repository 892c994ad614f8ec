//! Who may agree to a grant. Pure: how high somebody stands and what they showed, callers bring; within what a grant
//! may be given, the policy in force says at that very moment.

use super::ask::Scope;
use super::steps::Grant;

/// What is asked of a grant and of who agrees to it, by the policy in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How many people must agree.
    pub number: u8,
    /// The assurance that each must show.
    pub assurance: u8,
    /// How old that factor may be, in seconds.
    pub fresh_s: u32,
    /// How long it lasts at most, in seconds.
    pub longest_s: u32,
    /// How often it may be used at most.
    pub uses: Option<u32>,
    /// How many people it may be about at most.
    pub subjects: Option<u32>,
    /// How many records a search may give at most; none where no grant is about a search.
    pub rows: Option<u32>,
    /// After so many grants the other way round nobody agrees any more.
    pub ring: u32,
}

/// Somebody who would agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// The account.
    pub account: String,
    /// Who that is, whichever account they use.
    pub person: String,
    /// Whether the policy lets them: by their rank above the holder's, or by a role.
    pub stands_high_enough: bool,
    /// The assurance that they reached.
    pub assurance: u8,
    /// How long ago they showed a factor of the assurance that is asked, in seconds.
    pub factor_age_s: Option<i64>,
    /// How many grants the holder of this one agreed to for this approver lately.
    pub owed: u32,
}

/// Why somebody may not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalFault {
    /// It is their own.
    #[error(
        "nobody agrees to what they asked for themselves: another person must, not another account"
    )]
    Oneself,
    /// They did already.
    #[error("this person has agreed already: another one must")]
    Twice,
    /// They do not stand high enough, or no longer.
    #[error("the policy asks somebody of a higher rank, or of another role, to agree")]
    Rank,
    /// They agreed to each other's too often.
    #[error("the two have granted each other too much lately: somebody else must agree")]
    Ring,
    /// They must show a fresh factor.
    #[error("a factor of assurance {assurance} shown within the last {fresh_s} s is needed")]
    Factor {
        /// Of which assurance.
        assurance: u8,
        /// How old it may be.
        fresh_s: u32,
    },
    /// It lasts longer, is used more often or is about more people than the policy lets it.
    #[error("the policy does not let it be given with {0} than {1}")]
    TooWide(&'static str, u32),
    /// The policy has no `rows` for it.
    #[error("the policy lets no grant be about a search here: it says no `rows`")]
    NoSearch,
}

/// A clock may run this much ahead of the one that recorded a factor.
const CLOCK_SKEW_S: i64 = 60;

/// Whether somebody may agree to a grant, under the policy in force.
///
/// # Errors
/// [`ApprovalFault`]: the first that stands against it.
pub fn check_approval(
    grant: &Grant,
    terms: &Terms,
    approver: &Approver,
) -> Result<(), ApprovalFault> {
    if approver.person == grant.person || approver.account == grant.holder {
        return Err(ApprovalFault::Oneself);
    }
    if grant.approvals.iter().any(|other| other.person == approver.person) {
        return Err(ApprovalFault::Twice);
    }
    if !approver.stands_high_enough {
        return Err(ApprovalFault::Rank);
    }
    if approver.owed >= terms.ring {
        return Err(ApprovalFault::Ring);
    }
    check_fresh((approver.assurance, approver.factor_age_s), terms.assurance, terms.fresh_s)?;
    check_width(&grant.scope, (grant.lasts_s, grant.uses), terms)
}

/// Whether a factor is strong and fresh enough.
///
/// # Errors
/// [`ApprovalFault::Factor`].
pub fn check_fresh(
    (reached, age_s): (u8, Option<i64>),
    assurance: u8,
    fresh_s: u32,
) -> Result<(), ApprovalFault> {
    let is_fresh = age_s.is_some_and(|age| (-CLOCK_SKEW_S..=i64::from(fresh_s)).contains(&age));
    if reached >= assurance && is_fresh {
        return Ok(());
    }
    Err(ApprovalFault::Factor { assurance, fresh_s })
}

/// Whether a grant is within what the policy lets be given.
///
/// # Errors
/// [`ApprovalFault::TooWide`].
pub fn check_width(
    scope: &Scope,
    (lasts_s, wanted): (u32, Option<u32>),
    terms: &Terms,
) -> Result<(), ApprovalFault> {
    let Terms { longest_s, uses, subjects, rows, .. } = *terms;
    if lasts_s > longest_s {
        return Err(ApprovalFault::TooWide("longer seconds", longest_s));
    }
    if let Some(most) = uses.filter(|most| wanted.is_none_or(|wanted| wanted > *most)) {
        return Err(ApprovalFault::TooWide("more uses", most));
    }
    let is_search = !scope.search.is_empty();
    if is_search {
        let most = rows.ok_or(ApprovalFault::NoSearch)?;
        if !scope.rows.is_some_and(|rows| (1..=most).contains(&rows)) {
            return Err(ApprovalFault::TooWide("more rows", most));
        }
    }
    let named = u32::try_from(scope.subjects.len()).unwrap_or(u32::MAX);
    // A search says by itself whom it is about.
    let is_nobody = named == 0 && !is_search;
    match subjects.filter(|most| is_nobody || named > *most) {
        Some(most) => Err(ApprovalFault::TooWide("more people", most)),
        None => Ok(()),
    }
}
