//! How JSON texts follow one another in a body, where that is no array: one a line, one behind each record
//! separator, or one an event.
//!
//! The filter knows lines. The other framings are turned into lines on the way in and back on the
//! way out, so that one judge reads all of them; what frames the texts is written anew and never passed on.
//! A JSON text holds no line end that could not be another white space, and no bare one in a string: that
//! an end of line comes as CR inside a line changes no meaning and hides no fault.

mod events;
mod sequence;

use bytes::Bytes;

use events::Events;
use sequence::Sequence;

/// Why a body's framing is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingFault {
    /// A sequence does not begin with its separator.
    #[error("the sequence does not begin with a record separator")]
    NoSeparator,
    /// A text of a sequence does not end with LF, so nobody can say that it is whole (RFC 7464, 2.4).
    #[error("a text of the sequence does not end with LF")]
    TextNotEnded,
    /// The stream ends in the middle of an event.
    #[error("the stream ends in the middle of an event")]
    EventNotEnded,
}

/// How the texts of a body are framed.
#[derive(Debug)]
pub(super) enum Framing {
    /// As the filter reads them: one text, or one a line.
    None,
    /// A JSON text sequence (RFC 7464).
    Sequence(Sequence),
    /// A stream of events whose data are JSON.
    Events(Events),
}

impl Framing {
    pub(super) fn sequence() -> Self {
        Self::Sequence(Sequence::default())
    }

    pub(super) fn events() -> Self {
        Self::Events(Events::default())
    }

    /// What the filter is to read of the next bytes.
    pub(super) fn unframe(&mut self, piece: Bytes) -> Result<Bytes, FramingFault> {
        match self {
            Self::None => Ok(piece),
            Self::Sequence(sequence) => Ok(sequence.unframe(&piece)?.into()),
            Self::Events(events) => Ok(events.unframe(&piece).into()),
        }
    }

    /// Says that the body is complete.
    pub(super) fn finish(&mut self) -> Result<(), FramingFault> {
        match self {
            Self::None => Ok(()),
            Self::Sequence(sequence) => sequence.finish(),
            Self::Events(events) => events.finish(),
        }
    }

    /// What leaves of what the filter let out.
    pub(super) fn frame(&mut self, pieces: Vec<Bytes>) -> Vec<Bytes> {
        let framed = match self {
            Self::None => return pieces,
            Self::Sequence(sequence) => sequence.frame(&pieces),
            Self::Events(events) => events.frame(&pieces),
        };
        if framed.is_empty() { Vec::new() } else { vec![framed.into()] }
    }
}

/// Appends bytes with one of them replaced by another.
fn extend_replaced(into: &mut Vec<u8>, bytes: &[u8], from: u8, to: u8) {
    into.extend(bytes.iter().map(|byte| if *byte == from { to } else { *byte }));
}
