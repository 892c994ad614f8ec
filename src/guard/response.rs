//! The guard of an answer: its content type judged, its encoding undone, its JSON filtered.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::encoding::{Decoder, EncodingFault, Refusal, check_type};
use super::json::{Caps, Fault, Filter, Hooks, Mode, Report};
use crate::policy::plan::Plan;

/// Why an answer does not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseFault {
    /// It cannot be decoded.
    #[error(transparent)]
    Encoding(#[from] EncodingFault),
    /// It is not JSON that can be judged.
    #[error(transparent)]
    Json(#[from] Fault),
}

/// Takes an answer as the backend sends it, gives what the plan lets pass. The same rules as for
/// [`Filter`] hold: nothing unjudged comes out, and after a fault nothing comes out at all.
#[derive(Debug)]
pub struct ResponseGuard<H> {
    decoder: Decoder,
    filter: Filter<H>,
}

impl<H: Hooks> ResponseGuard<H> {
    /// A guard for one answer with these headers.
    ///
    /// # Errors
    /// [`Refusal`] for a content type or encoding that cannot be judged.
    pub fn new(
        plan: Arc<Plan>,
        caps: Caps,
        content_type: Option<&HeaderValue>,
        encoding: Option<&HeaderValue>,
        hooks: H,
    ) -> Result<Self, Refusal> {
        check_type(content_type)?;
        let decoder = Decoder::of(encoding)?;
        Ok(Self { decoder, filter: Filter::new(plan, caps, Mode::Drop, hooks) })
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// [`ResponseFault`], if the answer does not pass.
    pub fn push(&mut self, chunk: Bytes) -> Result<(), ResponseFault> {
        let filter = &mut self.filter;
        self.decoder.push(chunk, |piece| Ok(filter.push(piece)?))
    }

    /// Says that the answer is complete.
    ///
    /// # Errors
    /// [`ResponseFault`], if it does not pass as it stands.
    pub fn finish(&mut self) -> Result<(), ResponseFault> {
        self.decoder.finish()?;
        Ok(self.filter.finish()?)
    }

    /// Takes what may go out so far.
    pub fn take_output(&mut self) -> Vec<Bytes> {
        self.filter.take_output()
    }

    /// What happened so far.
    pub fn report(&self) -> &Report {
        self.filter.report()
    }

    /// The hooks, to see what they noted.
    pub fn hooks(&self) -> &H {
        self.filter.hooks()
    }
}

/// Whether a request body with these headers can be judged: JSON, not encoded.
///
/// # Errors
/// [`Refusal`].
pub fn check_request_type(
    content_type: Option<&HeaderValue>,
    encoding: Option<&HeaderValue>,
) -> Result<(), Refusal> {
    check_type(content_type)?;
    match Decoder::of(encoding) {
        Ok(Decoder::Identity) => Ok(()),
        Ok(Decoder::Gzip(_)) | Err(_) => Err(Refusal::RequestEncoding),
    }
}
