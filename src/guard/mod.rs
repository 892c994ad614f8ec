//! The guard: lets out of a body, and into the backend, only what a plan allows.
//!
//! It takes bytes and gives bytes; sockets, heads and status codes are the proxy's. Whatever it cannot
//! decode or parse is refused: there is no way on which an original body passes unread.

pub mod encoding;
pub mod json;
pub mod mask;
pub mod query;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub use encoding::{Coding, ContentTypeFault, EncodingFault, check_json};
pub use json::{Caps, Fault, Hooks, Outgoing, Report, Take};
pub use query::{CheckedQuery, QueryFault, check_query};

use crate::policy::plan::Plan;
use encoding::Decoder;
use json::{Filter, Mode};

/// Why a body does not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// Its content coding.
    #[error(transparent)]
    Encoding(#[from] EncodingFault),
    /// What it holds.
    #[error(transparent)]
    Json(#[from] Fault),
}

/// A body on its way through the gate: decoded, then filtered.
///
/// Feed chunks with [`push`](Self::push), say the end with [`finish`](Self::finish), and after each
/// take what may go on. What comes out has no content coding.
#[derive(Debug)]
pub struct BodyGuard<H> {
    decoder: Decoder,
    filter: Filter<H>,
    fault: Option<BodyFault>,
}

impl<H: Hooks> BodyGuard<H> {
    /// Guards what goes to the caller: what the plan does not allow is left out, masked or replaced.
    pub fn response(coding: Coding, plan: Arc<Plan>, caps: Caps, hooks: H) -> Self {
        Self::new(Decoder::new(coding, None), plan, caps, Mode::Drop, hooks)
    }

    /// Guards what goes to the backend: what the plan does not allow refuses the body, and so does
    /// more than `body_cap` bytes once decoded.
    pub fn request(coding: Coding, plan: Arc<Plan>, caps: Caps, body_cap: u64, hooks: H) -> Self {
        Self::new(Decoder::new(coding, Some(body_cap)), plan, caps, Mode::Refuse, hooks)
    }

    fn new(decoder: Decoder, plan: Arc<Plan>, caps: Caps, mode: Mode, hooks: H) -> Self {
        Self { decoder, filter: Filter::new(plan, caps, mode, hooks), fault: None }
    }

    /// Reads the next bytes as they came from the network.
    ///
    /// # Errors
    /// The fault, if the body does not pass; the same one again on every later call.
    pub fn push(&mut self, chunk: Bytes) -> Result<(), BodyFault> {
        self.go_on()?;
        let filter = &mut self.filter;
        let outcome = self.decoder.push(chunk, |piece| filter.push(piece).map_err(BodyFault::from));
        self.settle(outcome)
    }

    /// Says that the body is complete.
    ///
    /// # Errors
    /// The fault, if the body does not pass as it stands.
    pub fn finish(&mut self) -> Result<(), BodyFault> {
        self.go_on()?;
        let decoded = self.decoder.finish().map_err(BodyFault::from);
        let outcome = decoded.and_then(|()| self.filter.finish().map_err(BodyFault::from));
        self.settle(outcome)
    }

    /// Takes what may go on so far; nothing once there was a fault.
    pub fn take_output(&mut self) -> Vec<Bytes> {
        if self.fault.is_some() { Vec::new() } else { self.filter.take_output() }
    }

    /// What happened so far. Bytes are those of the decoded body.
    pub fn report(&self) -> &Report {
        self.filter.report()
    }

    /// The owner's hooks.
    pub fn hooks(&self) -> &H {
        self.filter.hooks()
    }

    /// The owner's hooks, to change their state between two calls.
    pub fn hooks_mut(&mut self) -> &mut H {
        self.filter.hooks_mut()
    }

    fn go_on(&self) -> Result<(), BodyFault> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    fn settle(&mut self, outcome: Result<(), BodyFault>) -> Result<(), BodyFault> {
        self.fault = outcome.clone().err();
        outcome
    }
}
