//! The guard: lets out of a body, and into the backend, only what a plan allows.
//!
//! It takes bytes and gives bytes; sockets, heads and status codes are the proxy's. Whatever it cannot
//! decode or parse is refused: there is no way on which an original body passes unread.

mod charset;
mod content_type;
pub mod csv;
pub mod detect;
pub mod encoding;
mod form;
mod framing;
pub mod json;
pub mod mask;
mod multipart;
mod named;
mod order;
pub mod query;
mod request;

#[cfg(test)]
mod one_profile;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub use charset::{Charset, CharsetFault};
pub use content_type::{ContentTypeFault, check_format, check_json, media_type};
pub use encoding::{Coding, Codings, EncodingFault};
pub use form::FormFault;
pub use framing::FramingFault;
pub use json::{Caps, Fault, Hooks, Outgoing, Report, Span, Take, Watermark};
pub use multipart::MultipartFault;
pub use query::{CheckedQuery, QueryFault, check_path, check_query, parameters};
pub use request::{File, Judged, Sent, SentForm, Terms, check_sent, judge_request};

use crate::policy::Format;
use crate::policy::plan::Plan;
use charset::Transcoder;
use encoding::Decoder;
use framing::Framing;
use json::Mode;
use order::Order;

/// Why a body does not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// Its content coding.
    #[error(transparent)]
    Encoding(#[from] EncodingFault),
    /// Its character encoding.
    #[error(transparent)]
    Charset(#[from] CharsetFault),
    /// How its texts follow one another.
    #[error(transparent)]
    Framing(#[from] FramingFault),
    /// What it holds, as JSON.
    #[error(transparent)]
    Json(#[from] Fault),
    /// What it holds, as a table.
    #[error(transparent)]
    Csv(#[from] csv::Fault),
    /// What it holds, as a form.
    #[error(transparent)]
    Form(#[from] FormFault),
    /// What it holds, as a form with files.
    #[error(transparent)]
    Multipart(#[from] MultipartFault),
    /// Of what was sent nothing may be written.
    #[error("nothing of the body may be written")]
    NothingLeft,
}

/// How a body lies on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// What it is.
    pub format: Format,
    /// In which character encoding; only tables may be in another one than UTF-8 and ASCII.
    pub charset: Charset,
    /// What it is packed with.
    pub codings: Codings,
}

/// What reads an unpacked body.
#[derive(Debug)]
enum Filter<H> {
    Json { charset: Charset, framing: Framing, filter: Box<json::Filter<H>> },
    Table { text: Box<Transcoder>, filter: Box<csv::Filter<H>> },
}

/// A body on its way through the gate: unpacked, read as UTF-8 and as the records it holds, then filtered.
///
/// Feed chunks with [`push`](Self::push), say the end with [`finish`](Self::finish), and after each
/// take what may go on. What comes out has no content coding and is in UTF-8.
#[derive(Debug)]
pub struct BodyGuard<H> {
    decoder: Decoder,
    filter: Filter<H>,
    /// Where records have ranks, what brings them in order.
    order: Order,
    is_complete: bool,
    fault: Option<BodyFault>,
}

impl<H: Hooks> BodyGuard<H> {
    /// Guards what goes to the caller: what the plan does not allow is left out, masked or replaced.
    pub fn response(wire: Wire, plan: Arc<Plan>, caps: Caps, hooks: H) -> Self {
        let charset = wire.charset;
        let text = || Box::new(Transcoder::new(charset));
        let filter = match wire.format {
            Format::Json => Filter::whole(charset, plan, caps, Mode::Drop, hooks),
            Format::NdJson => Filter::framed((charset, Framing::None), plan, caps, hooks),
            Format::JsonSeq => Filter::framed((charset, Framing::sequence()), plan, caps, hooks),
            Format::EventStream => Filter::framed((charset, Framing::events()), plan, caps, hooks),
            Format::Csv => {
                let filter = Box::new(csv::Filter::new(plan, caps, hooks));
                Filter::Table { text: text(), filter }
            }
            Format::Tsv => {
                let filter = Box::new(csv::Filter::tabs(plan, caps, hooks));
                Filter::Table { text: text(), filter }
            }
        };
        Self::new(Decoder::new(wire.codings, None), filter)
    }

    /// Guards what goes to the backend: what the plan does not allow refuses the body, or is left out, by
    /// the mode; more than `body_cap` bytes once decoded refuse it.
    pub fn request(
        codings: Codings,
        plan: Arc<Plan>,
        caps: Caps,
        body_cap: u64,
        mode: Mode,
        hooks: H,
    ) -> Self {
        let filter = Filter::whole(Charset::UTF_8, plan, caps, mode, hooks);
        Self::new(Decoder::new(codings, Some(body_cap)), filter)
    }

    fn new(decoder: Decoder, filter: Filter<H>) -> Self {
        Self { decoder, filter, order: Order::default(), is_complete: false, fault: None }
    }

    /// Reads the next bytes as they came from the network.
    ///
    /// # Errors
    /// The fault, if the body does not pass; the same one again on every later call.
    pub fn push(&mut self, chunk: Bytes) -> Result<(), BodyFault> {
        self.go_on()?;
        let filter = &mut self.filter;
        let outcome = self.decoder.push(chunk, |piece| filter.push(piece));
        self.settle(outcome)
    }

    /// Says that the body is complete.
    ///
    /// # Errors
    /// The fault, if the body does not pass as it stands.
    pub fn finish(&mut self) -> Result<(), BodyFault> {
        self.go_on()?;
        let decoded = self.decoder.finish().map_err(BodyFault::from);
        let outcome = decoded.and_then(|()| self.filter.finish());
        self.is_complete = outcome.is_ok();
        self.settle(outcome)
    }

    /// Takes what may go on so far; nothing once there was a fault.
    pub fn take_output(&mut self) -> Vec<Bytes> {
        if self.fault.is_some() {
            return Vec::new();
        }
        self.filter.take_output(&mut self.order, self.is_complete)
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

impl<H: Hooks> Filter<H> {
    /// Reads one JSON text.
    fn whole(charset: Charset, plan: Arc<Plan>, caps: Caps, mode: Mode, hooks: H) -> Self {
        let filter = Box::new(json::Filter::new(plan, caps, mode, hooks));
        Self::Json { charset, framing: Framing::None, filter }
    }

    /// Reads JSON texts that follow one another.
    fn framed(
        (charset, framing): (Charset, Framing),
        plan: Arc<Plan>,
        caps: Caps,
        hooks: H,
    ) -> Self {
        Self::Json { charset, framing, filter: Box::new(json::Filter::lines(plan, caps, hooks)) }
    }

    fn push(&mut self, piece: Bytes) -> Result<(), BodyFault> {
        match self {
            Self::Json { charset, framing, filter } => {
                charset.check_read_as_utf8(&piece)?;
                Ok(filter.push(framing.unframe(piece)?)?)
            }
            Self::Table { text, filter } => text.push(piece, &mut |text| Ok(filter.push(&text)?)),
        }
    }

    fn finish(&mut self) -> Result<(), BodyFault> {
        match self {
            Self::Json { framing, filter, .. } => {
                framing.finish()?;
                Ok(filter.finish()?)
            }
            Self::Table { text, filter } => {
                text.finish::<BodyFault>(&mut |text| Ok(filter.push(&text)?))?;
                Ok(filter.finish()?)
            }
        }
    }

    fn take_output(&mut self, order: &mut Order, is_complete: bool) -> Vec<Bytes> {
        match self {
            Self::Json { framing, filter, .. } => {
                let (output, spans) = (filter.take_output(), filter.take_spans());
                framing.frame(order.pass(output, spans, is_complete))
            }
            Self::Table { filter, .. } => {
                let (output, spans) = (filter.take_output(), filter.take_spans());
                order.pass(output, spans, is_complete)
            }
        }
    }

    fn report(&self) -> &Report {
        match self {
            Self::Json { filter, .. } => filter.report(),
            Self::Table { filter, .. } => filter.report(),
        }
    }

    fn hooks(&self) -> &H {
        match self {
            Self::Json { filter, .. } => filter.hooks(),
            Self::Table { filter, .. } => filter.hooks(),
        }
    }

    fn hooks_mut(&mut self) -> &mut H {
        match self {
            Self::Json { filter, .. } => filter.hooks_mut(),
            Self::Table { filter, .. } => filter.hooks_mut(),
        }
    }
}
