//! What is done at one gate and must be known at all of one key: switches, whom detections hold and who was
//! released, budgets that begin anew, steps of partners and tenants; and in order, since it is more: grants, links and
//! what data subjects said (`feed.rs`).
//!
//! Each gate has it durably in its own state first. It puts every notice on a board that all see, reads what the others
//! put there, and takes it over into its own state. The board may lose everything: whoever knows a notice puts it
//! there again. What is unknown or was altered there counts for nothing, since only gates with the key can seal.

mod board;
mod feed;
mod round;
mod seal;
mod told;
mod window;

#[cfg(test)]
mod tests;

pub use self::board::{Board, BoardError, BoardFuture, Exchange, MOST_NOTICES, MemoryBoard, Seen};
pub use self::round::{Bulletin, Round};
pub use self::seal::{MOST_BYTES, NotOurs, Seals};

use crate::secret::SecretError;
use crate::state::StateError;

/// Why a gate did not hear of the others, or they not of it.
#[derive(Debug, thiserror::Error)]
pub enum BulletinError {
    /// The board.
    #[error("the board cannot be asked: {0}")]
    Board(#[from] BoardError),
    /// The gate's own state.
    #[error("the state: {0}")]
    State(#[from] StateError),
    /// The cryptographic library.
    #[error(transparent)]
    Secret(#[from] SecretError),
}
