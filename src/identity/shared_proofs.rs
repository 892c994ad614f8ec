//! Proofs of possession that other gates took. Each gate remembers its own; where several share a store, that says of each
//! proof whether any of them took it before. Without its word no proof is believed.

use std::fmt::Debug;
use std::pin::Pin;

/// A proof that is good by itself and was not taken at this gate.
#[derive(Clone, Copy, Debug)]
pub struct ProofShown {
    /// Its keyed hash, the same at all gates of one master key.
    pub name: [u8; 32],
    /// When it was made, by its own word, in Unix seconds.
    pub made_s: i64,
    /// Until when a gate believes it, Unix seconds.
    pub until_s: i64,
    /// How far ahead of the time it may have been made, in seconds.
    pub ahead_s: i64,
    /// This gate's time, Unix milliseconds.
    pub now_ms: i64,
}

/// What the store knows of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedProof {
    /// No gate took it; from now on one has.
    Once,
    /// A gate took it before.
    Replayed,
    /// Nothing: it may have been taken before the store began anew.
    Unknown,
}

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SharedProofsError(pub Box<dyn std::error::Error + Send + Sync>);

/// What the store will say.
pub type SharedProofFuture<'a> =
    Pin<Box<dyn Future<Output = Result<SharedProof, SharedProofsError>> + Send + 'a>>;

/// Knows which proofs were taken at any gate.
pub trait SharedProofs: Debug + Send + Sync {
    /// Takes a proof for all gates, unless one took it.
    fn take(&self, proof: ProofShown) -> SharedProofFuture<'_>;
}
