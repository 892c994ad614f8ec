//! Who else has to do with the data: partners that receive them for a task, under a contract to which two persons
//! agreed, and tenants that work on the platform.
//!
//! Which step may follow which is pure ([`Partner`], [`Tenant`]); the [`Office`] keeps each step sealed with its act, so
//! that none is without a record; the [`Registry`] is what a gate knows of it and asks for each request.

mod contract;
mod known;
mod office;
mod partner;
mod published;
mod read;
mod tenant;

#[cfg(test)]
mod tests;

pub use contract::Contract;
pub use known::{Asked, Asks, Listing, News, Registry, Unfit};
pub use office::{Listed, Noted, Office, Said};
pub use partner::{Demands, Partner, Proposal, Signature, Stage, Standing, Step};
pub use published::{Change, Published, Receiver};
pub use tenant::{Particulars, Tenant, Turn};

use crate::command::CommandError;
use crate::secret::SecretError;
use crate::state::StateError;

/// How long the history is kept.
pub const KEPT_YEARS: i64 = 3;
/// The longest name, in characters.
const NAME_LIMIT: usize = 100;

/// What is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Somebody who receives data for a task.
    Partner,
    /// Somebody who works on the platform with data of its own.
    Tenant,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Tenant => "tenant",
        }
    }

    /// The kind that a word is for.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Partner, Self::Tenant].into_iter().find(|kind| kind.word() == word)
    }
}

/// Why a step is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The name cannot be one.
    #[error("a {} is named by 1 to {NAME_LIMIT} visible characters", .0.word())]
    Name(Kind),
    /// What is said cannot be so.
    #[error("{}", .0.join("\n"))]
    Form(Vec<String>),
    /// There is none of that name.
    #[error("there is no {} `{}` in the registry", .0.word(), .1)]
    Unknown(Kind, String),
    /// It is at another place in its life.
    #[error("it is {state}, so it cannot be {step}")]
    State {
        /// Where it is.
        state: &'static str,
        /// What was to be done.
        step: &'static str,
    },
    /// It lacks what nobody agrees without.
    #[error("nobody agrees to it without {}", .0.join(" and "))]
    Missing(Vec<&'static str>),
    /// Its contract has ended.
    #[error("its contract ended with {0}; draft it anew with another one")]
    Over(String),
    /// It protects data less than the policy asks.
    #[error("its attested level is {has}, and the policy asks for {asks}")]
    Level {
        /// What was attested.
        has: u8,
        /// What the policy asks.
        asks: u8,
    },
    /// The policy has no such purpose.
    #[error("the policy has no purpose `{0}`")]
    Purpose(String),
    /// Another person must, or nobody said why.
    #[error(transparent)]
    Command(CommandError),
    /// Somebody took another step at the same time.
    #[error("somebody else took a step at the same time; look at it anew")]
    Raced,
    /// There is no room.
    #[error("there are too many partners and tenants already")]
    Full,
    /// It says too much.
    #[error("what is said of it is too long")]
    TooLong,
    /// It was altered, or is of a newer menshen.
    #[error("the {} `{}` does not read", .0.word(), .1)]
    Damaged(Kind, String),
    /// The state could not be read or written.
    #[error(transparent)]
    Store(StateError),
    /// No key could be derived.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl From<StateError> for RegistryError {
    fn from(error: StateError) -> Self {
        if error == StateError::Full {
            return Self::Full;
        }
        let is_raced = matches!(error, StateError::Unknown(_));
        if is_raced { Self::Raced } else { Self::Store(error) }
    }
}

impl From<CommandError> for RegistryError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

fn check_name(kind: Kind, name: &str) -> Result<(), RegistryError> {
    let is_one = !name.is_empty()
        && name.chars().count() <= NAME_LIMIT
        && name.trim() == name
        && !name.chars().any(char::is_control);
    if is_one { Ok(()) } else { Err(RegistryError::Name(kind)) }
}
