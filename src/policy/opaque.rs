//! Opaque answers: files, event streams and WebSockets, which pass unread because nothing in them can be judged.
//!
//! An [`Opaque`] is the leave to pass one. There is no other way to one than the permit of a route that
//! the policy calls opaque, so that an answer which should have been judged cannot pass unread.

use super::planner::UNMASKED_FROM;
use super::socket::Socket;

/// The media type of an event stream.
const EVENTS: &str = "text/event-stream";

/// Under which terms an answer passes unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    pub(super) types: Vec<MediaRange>,
    /// The largest answer; none for an event stream or a WebSocket.
    pub(super) size_bytes: Option<u64>,
    /// The grade of all that may stand in it.
    pub(super) grade: u8,
    /// The parameter of the path that is the data subject's key.
    pub(super) subject: Option<Box<str>>,
    /// What it is about: the entity's index and name.
    pub(super) of: Option<(usize, Box<str>)>,
    /// Set for a WebSocket, which has neither type nor size.
    pub(super) socket: Option<Socket>,
}

/// A media type, or all of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MediaRange {
    pub(super) kind: Box<str>,
    /// None for all, as in `image/*`.
    pub(super) subtype: Option<Box<str>>,
}

impl MediaRange {
    /// Whether a media type is of this range.
    pub(super) fn holds(&self, media_type: &str) -> bool {
        let Some((kind, subtype)) = media_type.split_once('/') else { return false };
        *self.kind == *kind && self.subtype.as_deref().is_none_or(|one| one == subtype)
    }
}

impl Opaque {
    /// Whether a media type, in lower case and without parameters, may pass.
    #[must_use]
    pub fn accepts(&self, media_type: &str) -> bool {
        self.types.iter().any(|range| range.holds(media_type))
    }

    /// The value of `Accept` that asks for what may pass.
    #[must_use]
    pub fn accept(&self) -> String {
        let range = |range: &MediaRange| {
            format!("{}/{}", range.kind, range.subtype.as_deref().unwrap_or("*"))
        };
        self.types.iter().map(range).collect::<Vec<_>>().join(", ")
    }

    /// The largest answer in bytes; none for an event stream, which only budgets end.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// Whether the answer is a stream of events, to be passed on as they come.
    #[must_use]
    pub fn is_event_stream(&self) -> bool {
        self.size_bytes.is_none() && self.accepts(EVENTS)
    }

    /// The terms of the WebSocket that it is, if it is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Socket> {
        self.socket.as_ref()
    }

    /// Whether its grade is so high that whoever gets it counts as having seen somebody unmasked.
    #[must_use]
    pub fn unmasks(&self) -> bool {
        self.grade >= UNMASKED_FROM
    }

    /// The name of the entity that the answer is about; empty if it is about none.
    #[must_use]
    pub fn entity(&self) -> &str {
        self.of.as_ref().map_or("", |(_, name)| name)
    }

    /// The parameter of the path that is the data subject's key.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}
