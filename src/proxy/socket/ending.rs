//! Why a WebSocket ended: what the log says of it, and what both sides are told.

use super::super::body::Cut;
use super::super::outcome::{Ending, REPLACED};
use super::frames::{FrameFault, Sender};
use crate::listen::Departure;

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides said goodbye.
    Closed,
    /// The caller went away.
    CallerLeft,
    /// The backend went away, or takes nothing more.
    BackendLeft,
    /// The backend is no backend any more, or was believed by certificates of before.
    BackendReplaced,
    /// Nothing came for too long.
    Idle,
    /// It was open for as long as it may be.
    Lifetime,
    /// The caller sent as much as it may.
    Sent,
    /// The caller received as much as it may.
    Received,
    /// The caller sent too many frames in a second.
    Rate,
    /// What came is no frame that may come.
    Frame(Sender, FrameFault),
    /// A limit on bytes is used up.
    Limit,
    /// What leaves could not be counted.
    Uncounted,
    /// The caller does not read.
    Unread,
    /// The caller's right has ended.
    Withdrawn,
    /// Something was switched off that stops it.
    Switched,
    /// The gate stops.
    Stopping,
}

impl From<Departure> for End {
    fn from(told: Departure) -> Self {
        match told {
            Departure::Stopping => Self::Stopping,
            Departure::Replaced => Self::Withdrawn,
        }
    }
}

impl From<Cut> for End {
    /// What takes the right away.
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Switched => Self::Switched,
            Cut::Replaced => Self::BackendReplaced,
            Cut::Guard
            | Cut::Upstream
            | Cut::Limit
            | Cut::Uncounted
            | Cut::Unrecorded
            | Cut::Withdrawn
            | Cut::Revoked
            | Cut::Stalled
            | Cut::CalledBack
            | Cut::Unfinished => Self::Withdrawn,
        }
    }
}

impl End {
    /// The word for the log and for metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::CallerLeft => "caller_left",
            Self::BackendLeft => "backend_left",
            Self::BackendReplaced => REPLACED,
            Self::Idle => "idle",
            Self::Lifetime => "lifetime",
            Self::Sent => "sent",
            Self::Received => "received",
            Self::Rate => "rate",
            Self::Frame(Sender::Caller, _) => "caller_frame",
            Self::Frame(Sender::Backend, _) => "backend_frame",
            Self::Limit => "limit",
            Self::Uncounted => "uncounted",
            Self::Unread => "unread",
            Self::Withdrawn => "withdrawn",
            Self::Switched => super::super::rejection::SWITCHED,
            Self::Stopping => "stopping",
        }
    }

    /// How the log says that it ended.
    pub(super) fn ending(self) -> Ending {
        match self {
            Self::Closed | Self::Stopping => Ending::Complete,
            Self::CallerLeft => Ending::ClientLeft,
            Self::BackendLeft => Ending::Cut(Cut::Upstream),
            Self::BackendReplaced => Ending::Cut(Cut::Replaced),
            Self::Idle
            | Self::Lifetime
            | Self::Sent
            | Self::Received
            | Self::Rate
            | Self::Limit => Ending::Cut(Cut::Limit),
            Self::Frame(..) => Ending::Cut(Cut::Guard),
            Self::Uncounted => Ending::Cut(Cut::Uncounted),
            Self::Unread => Ending::Cut(Cut::Stalled),
            Self::Withdrawn => Ending::Cut(Cut::Withdrawn),
            Self::Switched => Ending::Cut(Cut::Switched),
        }
    }

    /// Whether the caller's right ended, for the metric of that.
    pub(super) fn is_withdrawn(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Switched)
    }

    /// The code of the closing frame (RFC 6455 section 7.4.1).
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Closed | Self::Idle | Self::Lifetime => 1000,
            Self::CallerLeft | Self::BackendReplaced | Self::Stopping => 1001,
            Self::Frame(_, FrameFault::TooLarge) | Self::Sent | Self::Received => 1009,
            Self::Frame(..) => 1002,
            Self::Rate | Self::Limit | Self::Withdrawn | Self::Switched | Self::Unread => 1008,
            Self::BackendLeft => 1011,
            Self::Uncounted => 1013,
        }
    }
}
