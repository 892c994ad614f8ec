//! Carries the log's entries to other places: in order, at least once, from where a durable cursor stands.
//!
//! It reads the log's folder like any reader, so whoever writes the log never waits for it, and a place that is
//! down for days costs no memory. What leaves is the canonical JSON of an entry, as the log has it,
//! or a view of it for other tools.

mod batch;
mod call;
mod carrier;
mod connect;
mod cursor;
mod file;
mod http;
mod nats;
mod s3;
mod settings;
mod syslog;
mod webhook;
mod witness;

use std::io;
use std::time::Duration;

pub use batch::{Batch, Shipped, Source};
pub use call::call;
pub use carrier::{Carrier, Carrying};
pub use connect::{Stream, Wire, check as check_peer, dial, secure};
pub use cursor::Cursor;
pub use http::{Answer, ask};
pub use s3::Bucket;
pub use settings::{
    Endpoint, Form, IdentityFiles, NatsLogin, NatsSettings, Peer, S3Settings, Security, Settings,
    SyslogSettings, To, WebhookSettings,
};

pub use witness::{Cosigned, Matter, WitnessError, WitnessSettings, WitnessedLog, check_witness};

use crate::audit::ReadError;
use crate::secret::{self, FileError, Secret};
use crate::tls::client::ClientTlsError;

/// Why entries did not get to their place. They are sent again.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The log cannot be read on.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// A file could not be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file with a secret is not of the form that is wanted.
    #[error("`{path}`: must be {wanted}")]
    Form {
        /// The file.
        path: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// Others may read a file with a secret.
    #[error("`{0}`: others may read it; take their rights away with `chmod 600`")]
    Public(String),
    /// Another process carries to the same place.
    #[error("`{0}`: another menshen carries the log there; stop that one, or give `--from`")]
    Busy(String),
    /// The certificates for a peer cannot be used.
    #[error("{peer}: {source}")]
    Tls {
        /// The peer.
        peer: String,
        /// What is wrong with them.
        source: ClientTlsError,
    },
    /// No connection, or it broke.
    #[error("{peer}: {source}")]
    Connection {
        /// The peer.
        peer: String,
        /// What the system said.
        source: io::Error,
    },
    /// A connection without TLS would leave this machine.
    #[error("{0}: without TLS only an address of this machine is spoken to")]
    Exposed(String),
    /// It took too long.
    #[error("{peer}: took longer than {} s", .time.as_secs())]
    Slow {
        /// The peer.
        peer: String,
        /// The deadline.
        time: Duration,
    },
    /// It answered that it does not take them.
    #[error("{peer}: answered with status {status}")]
    Status {
        /// The peer.
        peer: String,
        /// The status.
        status: u16,
        /// When to come again, if it said so.
        again: Option<Duration>,
    },
    /// It answered that it does not take them, in words.
    #[error("{peer}: {said}")]
    Refused {
        /// The peer.
        peer: String,
        /// What it said, or what is missing.
        said: String,
    },
    /// They are too many for it at once.
    #[error("{0}: the batch is too large for it")]
    TooLarge(String),
}

impl ShipError {
    /// How long the peer asks to be left alone.
    #[must_use]
    pub fn again(&self) -> Option<Duration> {
        match self {
            Self::Status { again, .. } => *again,
            Self::Log(_)
            | Self::File { .. }
            | Self::Form { .. }
            | Self::Public(_)
            | Self::Busy(_)
            | Self::Tls { .. }
            | Self::Connection { .. }
            | Self::Exposed(_)
            | Self::Slow { .. }
            | Self::Refused { .. }
            | Self::TooLarge(_) => None,
        }
    }
}

/// Reads the certificates and secrets that a place needs, to see that they can be used. Blocks.
///
/// # Errors
/// [`ShipError`], as a delivery would give it.
pub fn check(settings: &Settings) -> Result<(), ShipError> {
    match &settings.to {
        To::File(_) => Ok(()),
        To::Syslog(syslog) => connect::check(&syslog.peer),
        To::Webhook(hook) => {
            hook.token.as_deref().map(read_secret).transpose()?;
            connect::check(&hook.endpoint.peer)
        }
        To::Nats(nats) => {
            match &nats.login {
                NatsLogin::None => {}
                NatsLogin::Token(file) | NatsLogin::Password { file, .. } => {
                    read_secret(file)?;
                }
            }
            connect::check(&nats.peer)
        }
        To::S3(store) => {
            s3::check(store)?;
            connect::check(&store.endpoint.peer)
        }
    }
}

/// A secret from a file that only its owner may read, without the line's end. Blocks.
///
/// # Errors
/// [`ShipError::Public`], [`ShipError::Form`] or [`ShipError::File`].
pub fn read_secret(path: &std::path::Path) -> Result<Secret<String>, ShipError> {
    secret::read_private(path).map_err(|error| match error {
        FileError::Unread { path, source } => ShipError::File { path, source },
        FileError::Public(path) => ShipError::Public(path),
        FileError::Long(path) => ShipError::Form { path, wanted: secret::SHORT },
    })
}
