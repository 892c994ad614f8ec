//! What is commanded beside a running gate: people, roles and people's rights to them, tenants, partners, routes and exports that are switched
//! off, with a second person where the policy wants one.
//!
//! A command is a row of the state with the record of it in the same transaction. The gate brings that into its log
//! before what it lets go on goes on, and looks for commands so often that no request passes on old knowledge.

mod desk;
mod findings;
mod switches;
mod target;

pub(crate) use desk::check_reason;
pub use desk::{ACTIVATED, ASK_LIFE_S, Asked, Desk, Doer, Done, Errand, POLICY, RESET, Way};
pub use findings::{FindingRow, NewFinding};
pub use switches::{Asker, LOOK_EVERY, News, Switches};
pub use target::{Kind, Target};

use crate::state::StateError;
pub use crate::state::SwitchRow;

/// The longest reason, in bytes: the log keeps all of it.
const REASON_LIMIT: usize = 2000;

/// Why a command is not done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nothing of that kind can be switched off.
    #[error("`{0}`: must be one of person, role, right, tenant, partner, route, exports")]
    Kind(String),
    /// The name cannot be one.
    #[error("`{kind}` needs the name of one, of 1 to 255 visible characters")]
    Name {
        /// Of what.
        kind: &'static str,
    },
    /// Exports are switched off all together.
    #[error("`exports` takes no name: all of them are switched off")]
    NoName,
    /// The name says not whose right to which role.
    #[error("`right` needs a role and whose it is: `teller@corp:wang`")]
    Right,
    /// Nobody said why.
    #[error("say why: a reason of 1 to {REASON_LIMIT} bytes, without control characters")]
    Reason,
    /// Nothing of that number waits, or no longer.
    #[error("nothing waits for a second person under number {0}; what does is listed, for an hour")]
    NotAsked(i64),
    /// Whoever asked cannot agree.
    #[error("whoever asked for it cannot agree to it: another person must, not another account")]
    SamePerson,
    /// Who is known as a user of the machine and who as an account cannot be told apart.
    #[error(
        "it was asked for by {0}: agree in the same way, since nobody here can tell whether an operator of the machine and an account are two persons"
    )]
    OtherWays(&'static str),
    /// What was used of a grant does not begin anew.
    #[error("`{0}` counts the uses of a grant, which do not begin anew: ask for another grant")]
    Uses(String),
    /// Nothing holds them.
    #[error("no finding holds `{0}`; `menshen detection list` shows whom findings hold")]
    NotHeld(String),
    /// Nobody releases themselves.
    #[error("nobody releases themselves: another person must")]
    Oneself,
    /// Too much is switched off, or too much waits.
    #[error("too much is switched off or waits already; take something back first")]
    Full,
    /// The state could not be read or written.
    #[error(transparent)]
    State(StateError),
}

impl From<StateError> for CommandError {
    fn from(error: StateError) -> Self {
        if error == StateError::Full { Self::Full } else { Self::State(error) }
    }
}

#[cfg(test)]
mod tests;
