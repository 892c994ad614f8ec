//! Tells people what needs one of them: by mail, by a signed webhook, and in the rooms of DingTalk, WeCom, Feishu and
//! Slack, in five languages.
//!
//! What is told is read from the log's entries, so nothing is told that is not recorded. A notice has names of ours
//! (accounts, routes, detections, places) and ids of entries; never a value of a customer, and never a reason that
//! somebody wrote. Who keeps the queue and looks at the clock is `server/notices.rs`.

mod chat;
mod kind;
mod mail;
mod notice;
mod send;
mod settings;
mod sign;
mod smtp;
mod words;

pub use kind::{Kind, Topic};
pub use notice::Notice;
pub use send::{Delivered, Message, check, send};
pub use settings::{App, ChatSettings, HookSettings, MailSettings, Settings, Start, To};
pub use words::Language;

use crate::ship::ShipError;

/// Why a notice did not get to its target. It is sent again.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// No connection, no TLS, no file with a secret, or an answer that is not one of success.
    #[error(transparent)]
    Way(#[from] ShipError),
    /// The file with the address of a room does not hold one.
    #[error("`{0}`: must hold one URL that begins with `https://`")]
    Address(String),
    /// The secret cannot sign.
    #[error("`{path}`: must be {wanted}")]
    Secret {
        /// The file.
        path: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The app answered that it does not take it.
    #[error("{peer}: answered with code {code}: {said}")]
    Refused {
        /// The app's server.
        peer: String,
        /// Its code.
        code: i64,
        /// Its words.
        said: String,
    },
    /// What came back is no answer of such an app.
    #[error("{0}: the answer is not one of this app")]
    Answer(String),
    /// The mail server said something else than what goes on.
    #[error("{peer}: to `{asked}` it said: {said}")]
    Mail {
        /// The server.
        peer: String,
        /// What it was asked; never a password.
        asked: &'static str,
        /// What it said.
        said: String,
    },
    /// The mail server lacks what is needed.
    #[error("{peer}: the mail server does not offer {lacking}")]
    Lacking {
        /// The server.
        peer: String,
        /// What.
        lacking: &'static str,
    },
}

impl NotifyError {
    /// How long the target asks to be left alone.
    #[must_use]
    pub fn again(&self) -> Option<std::time::Duration> {
        match self {
            Self::Way(error) => error.again(),
            Self::Address(_)
            | Self::Secret { .. }
            | Self::Refused { .. }
            | Self::Answer(_)
            | Self::Mail { .. }
            | Self::Lacking { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
