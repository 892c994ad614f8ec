//! Business links: an account and a data subject are tied for a while, by a case of some kind (a queue ticket, a call, an
//! appointment, an order, a parcel). Business systems say so; the policy says which data need which kind.
//!
//! What is known in memory is a keyed hash of who, what kind and whose, and when it ends: nobody reads a customer in
//! it, and a look takes well under a microsecond. The state has every link that was put or ended, in order.

mod links;

pub use links::{Links, News};

use crate::secret::SecretError;
use crate::state::StateError;
pub use crate::state::Taken;

/// The most links at a time.
pub const MOST: usize = 10_000_000;
/// The longest life of a link, in seconds.
pub const LONGEST_S: i64 = 31 * 24 * 3600;
/// The most links of one call.
pub const BATCH: usize = 1000;

/// A tie between an account and a data subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The account, as the log names it.
    pub account: String,
    /// The kind of case: a word of the policy.
    pub kind: String,
    /// The entity of the subject.
    pub entity: String,
    /// The subject's key; of a number its digits.
    pub subject: String,
    /// The case in the business system's words, such as its number; empty where none is told.
    pub reference: String,
    /// When it ends, Unix seconds.
    pub until_s: i64,
}

/// A link, or the end of one, as it is listed: the subject by a keyed reference alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// When it was put or ended, Unix milliseconds.
    pub at_ms: i64,
    /// Whether it was put; else it was ended.
    pub is_put: bool,
    /// The account.
    pub account: String,
    /// The kind of case.
    pub kind: String,
    /// The subject's reference: the same for the same subject.
    pub subject: String,
    /// The case.
    pub reference: String,
    /// When it ends, Unix seconds.
    pub until_s: i64,
    /// Who said so.
    pub done_by: String,
}

/// A ticket, as far as it is taken once.
#[derive(Clone, Copy, Debug)]
pub struct Ticket<'a> {
    /// The system that made it.
    pub issuer: &'a str,
    /// Its own name.
    pub id: &'a str,
    /// When it was made, Unix seconds.
    pub issued_s: i64,
}

/// Why a link is not put or ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A member cannot be one.
    #[error("`{0}`: must be {1}")]
    Form(&'static str, &'static str),
    /// Its end has passed, or lies too far ahead.
    #[error("`until` must lie ahead, at most 31 days")]
    Until,
    /// None, or too many at once.
    #[error("a call has 1 to {BATCH} links")]
    Number,
    /// There is no room for more.
    #[error("there are {MOST} links already; end some, or let them end")]
    Full,
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// No key could be derived.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl Link {
    /// Refuses what could be no link, at this time.
    ///
    /// # Errors
    /// [`LinkError::Form`] or [`LinkError::Until`].
    pub fn check(&self, now_s: i64) -> Result<(), LinkError> {
        self.check_form()?;
        if self.until_s <= now_s || self.until_s.saturating_sub(now_s) > LONGEST_S {
            return Err(LinkError::Until);
        }
        Ok(())
    }

    /// Refuses what could be no link at any time.
    ///
    /// # Errors
    /// [`LinkError::Form`].
    pub fn check_form(&self) -> Result<(), LinkError> {
        check_visible("account", &self.account)?;
        if !is_kind(&self.kind) {
            return Err(LinkError::Form("kind", "1 to 32 lower-case letters, digits and `-`"));
        }
        check_visible("entity", &self.entity)?;
        check_visible("subject", &self.subject)?;
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b"-_./:#".contains(&b);
        if self.reference.len() > 64 || !self.reference.bytes().all(is_word) {
            return Err(LinkError::Form("reference", "at most 64 letters, digits and `-_./:#`"));
        }
        Ok(())
    }
}

fn check_visible(name: &'static str, text: &str) -> Result<(), LinkError> {
    let is_visible =
        !text.is_empty() && text.chars().count() <= 255 && !text.chars().any(char::is_control);
    let must_be = LinkError::Form(name, "1 to 255 visible characters");
    if is_visible { Ok(()) } else { Err(must_be) }
}

/// Whether it is the word of a kind of case.
#[must_use]
pub fn is_kind(word: &str) -> bool {
    (1..=32).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests;
