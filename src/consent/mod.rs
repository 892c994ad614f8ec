//! What is known of data subjects: to what they consented, to what they objected, and what is marked of them (a word
//! of the policy, such as `do-not-disclose`). Whoever asks people says so; the policy says what it means.
//!
//! Of a subject and a purpose the last word counts: a withdrawal and an objection are one *no*, which a later consent
//! ends. What is known in memory is a keyed hash of whose word it is and about what; the state has every statement.

mod register;
mod statement;

pub use register::{News, Register};
pub use statement::{Recipient, Says, Statement, StatementFault};

use crate::secret::SecretError;
use crate::state::StateError;

/// The most consents, objections and marks at a time; of what closes a tenth more.
pub const MOST: usize = 10_000_000;
/// The most statements of one call.
pub const BATCH: usize = 20_000;
/// The end of what has none, Unix seconds.
pub const FOREVER_S: i64 = u32::MAX as i64;

/// A statement as it is listed: the subject by a keyed reference alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// When it was registered, Unix milliseconds.
    pub at_ms: i64,
    /// `consent`, `object`, `withdraw`, `mark` or `unmark`.
    pub says: &'static str,
    /// The entity.
    pub entity: String,
    /// The subject's reference: the same for the same subject.
    pub subject: String,
    /// The purpose, or the mark.
    pub word: String,
    /// The third party.
    pub recipient: String,
    /// The kind of consent.
    pub kind: String,
    /// The notice that was shown, 0 where none is told.
    pub notice: u16,
    /// When it ends, Unix seconds; nothing where it has no end.
    pub until_s: Option<i64>,
    /// Whether it stands at this moment.
    pub stands: bool,
    /// What a third party gets.
    pub what: String,
    /// How a third party protects it.
    pub protection: String,
    /// Where the statement is kept.
    pub reference: String,
    /// Who registered it.
    pub done_by: String,
}

/// Why statements are not registered.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// None, or too many at once.
    #[error("a call has 1 to {BATCH} statements")]
    Number,
    /// Silence is no answer of somebody who has given one.
    #[error("statement {}: the subject has answered before, which a deemed consent does not replace", .0 + 1)]
    Spoken(usize),
    /// There is no room for more.
    #[error("there are {MOST} consents and marks already")]
    Full,
    /// The history is full.
    #[error(
        "the state keeps as many statements as it may; those go by themselves that have been over for three years: feed what \
         changed, not everything every night"
    )]
    Kept,
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// No key could be derived.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

#[cfg(test)]
mod tests;
