//! WebSockets: the terms under which one passes, since nothing in it can be judged.

/// The terms of a route that is a WebSocket; part of its leave to pass unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Pages of these origins may open it; of its own host if none is named.
    pub(super) origins: Vec<Box<str>>,
    /// The subprotocols that may be agreed on.
    pub(super) protocols: Vec<Box<str>>,
    /// Whether `permessage-deflate` may be agreed on.
    pub(super) compresses: bool,
    pub(super) caps: SocketCaps,
}

/// How much, how fast, how long and how many. All of it is counted as it crosses the wire, packed where it is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketCaps {
    /// The most bytes from the caller.
    pub sent_bytes: u64,
    /// The most bytes for the caller.
    pub received_bytes: u64,
    /// The largest message, either way.
    pub message_bytes: u64,
    /// The most frames from the caller within a second.
    pub frames_per_s: u32,
    /// How long it may be silent both ways.
    pub idle_s: u32,
    /// How long it may last.
    pub lifetime_s: u32,
    /// How many one person has open at once.
    pub each: u32,
    /// How many all together have open at once.
    pub all: u32,
}

impl SocketCaps {
    /// Whether none of them is above another's.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.sent_bytes <= other.sent_bytes
            && self.received_bytes <= other.received_bytes
            && self.message_bytes <= other.message_bytes
            && self.frames_per_s <= other.frames_per_s
            && self.idle_s <= other.idle_s
            && self.lifetime_s <= other.lifetime_s
            && self.each <= other.each
            && self.all <= other.all
    }
}

impl Socket {
    /// Whether a page of this origin may open it where `own` is the origin of what it opens.
    #[must_use]
    pub fn opens_for(&self, origin: &str, own: &str) -> bool {
        let is = |known: &str| known.eq_ignore_ascii_case(origin);
        if self.origins.is_empty() { is(own) } else { self.origins.iter().any(|known| is(known)) }
    }

    /// Whether a subprotocol may be agreed on.
    #[must_use]
    pub fn speaks(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|known| **known == *protocol)
    }

    /// Whether messages may be packed (RFC 7692).
    #[must_use]
    pub fn compresses(&self) -> bool {
        self.compresses
    }

    /// How much, how fast, how long and how many.
    #[must_use]
    pub fn caps(&self) -> &SocketCaps {
        &self.caps
    }

    /// Whether all that these terms let pass would pass under the others.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let among =
            |mine: &[Box<str>], theirs: &[Box<str>]| mine.iter().all(|m| theirs.contains(m));
        // No origin stands for the route's own, which is none of those that are named.
        let origins = self.origins.is_empty() == other.origins.is_empty();
        origins
            && among(&self.origins, &other.origins)
            && among(&self.protocols, &other.protocols)
            && self.compresses <= other.compresses
            && self.caps.is_within(&other.caps)
    }
}
