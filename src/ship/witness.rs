//! One question to a witness of the log's checkpoints (C2SP tlog-witness): the newest one, and that it continues what they saw.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;

use super::settings::Endpoint;
use super::{Answer, ShipError, ask};
use crate::audit::note::{NoteError, Verifier, Witness};
use crate::audit::{Broken, WitnessQuestion, cosigned_checkpoints, keep_cosigned};

/// What is read of an answer.
const MOST_OF_ANSWER: usize = 16 * 1024;
/// From the look-up of the name to the last byte.
const DEADLINE: Duration = Duration::from_secs(30);
/// Of an answer that says how many entries the witness saw.
const SIZE: &str = "text/x.tlog.size";

/// A witness as the operator's file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessSettings {
    /// The operator's name for it, and that of the file that keeps what it cosigned.
    pub name: String,
    /// Its address; what it is asked is asked below that.
    pub endpoint: Endpoint,
    /// Its key.
    pub key: Witness,
    /// How often it is asked.
    pub every: Duration,
    /// How long it may have cosigned nothing before an alert.
    pub alert_after: Duration,
}

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// It could not be asked, or answered with another status.
    #[error(transparent)]
    Ship(#[from] ShipError),
    /// The log's own files do not hold.
    #[error("the log is broken: {0}")]
    Log(#[from] Broken),
    /// What it answered is not its cosignature.
    #[error("{peer}: {source}")]
    Answer {
        /// The witness.
        peer: String,
        /// What is wrong with it.
        source: NoteError,
    },
    /// It was never told of this log.
    #[error("{0}: it does not know this log; whoever runs it must be given the log's verifier key")]
    Unknown(String),
    /// It knows another key of this log.
    #[error("{0}: it knows the log by another key; give it the log's verifier key")]
    OtherKey(String),
    /// It saw a log that was longer.
    #[error(
        "{peer}: it saw {seen} entries of this log, which has {entries}: the end was cut off, or an older copy put in its place"
    )]
    Longer {
        /// The witness.
        peer: String,
        /// How many it saw.
        seen: u64,
        /// How many there are.
        entries: u64,
    },
    /// It saw other entries.
    #[error(
        "{peer}: it saw other entries than the first {seen} of this log: the log was rewritten"
    )]
    Rewritten {
        /// The witness.
        peer: String,
        /// How many it saw.
        seen: u64,
    },
}

/// What is the matter where a witness does not cosign; each is told by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matter {
    /// It says nothing that could be believed.
    Silence,
    /// It saw more than there is.
    Shorter,
    /// It saw other entries, or the log does not hold.
    Altered,
}

impl WitnessError {
    /// What is the matter.
    #[must_use]
    pub fn matter(&self) -> Matter {
        match self {
            Self::Longer { .. } => Matter::Shorter,
            Self::Rewritten { .. } | Self::Log(_) => Matter::Altered,
            Self::Ship(_) | Self::Answer { .. } | Self::Unknown(_) | Self::OtherKey(_) => {
                Matter::Silence
            }
        }
    }
}

/// What a witness cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// How many entries.
    pub entries: u64,
    /// When, in Unix seconds, by its own clock.
    pub at_s: u64,
}

/// The log whose checkpoints are shown to witnesses.
#[derive(Clone, Debug)]
pub struct WitnessedLog {
    /// Its folder.
    pub dir: PathBuf,
    /// Its key.
    pub verifier: Verifier,
}

impl WitnessedLog {
    /// How many entries the witness of this name saw, as the log's folder keeps it. Blocks.
    #[must_use]
    pub fn seen_by(&self, name: &str) -> u64 {
        let file = format!("witnessed/{name}");
        let kept = cosigned_checkpoints(&self.dir, &self.verifier).unwrap_or_else(|error| {
            tracing::error!(%error, "what witnesses cosigned cannot be read, nor be backed up");
            Vec::new()
        });
        kept.iter().find(|(path, ..)| *path == file).map_or(0, |(_, checkpoint, _)| checkpoint.size)
    }

    /// Asks a witness who saw the first `old` entries, as far as is known, to cosign the newest checkpoint; keeps what it
    /// answers in the log's folder.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub async fn show_to(
        &self,
        witness: &WitnessSettings,
        old: u64,
    ) -> Result<Cosigned, WitnessError> {
        let peer = witness.endpoint.peer.shown();
        let (mut old, mut is_told) = (old, false);
        loop {
            let question = self.question(old).await?;
            let answer = send(&witness.endpoint, &question).await?;
            let size = question.size;
            match (answer.status, seen(&answer)) {
                (200, _) => return self.keep(witness, &question, &answer.body).await,
                (404, _) => return Err(WitnessError::Unknown(peer)),
                (403, _) => return Err(WitnessError::OtherKey(peer)),
                (409, Some(seen)) if seen > size => {
                    return Err(WitnessError::Longer { peer, seen, entries: size });
                }
                // It saw more, or less, than this gate knows of: after a restart, or beside another copy of the log.
                (409, Some(seen)) if seen != old && !is_told => (old, is_told) = (seen, true),
                // It has another root for what it saw.
                (409, _) if old == size => return Err(WitnessError::Rewritten { peer, seen: old }),
                (422, _) => return Err(WitnessError::Rewritten { peer, seen: old }),
                (_, _) => {
                    answer.of_success(&witness.endpoint)?;
                    return Err(WitnessError::Answer { peer, source: NoteError::Form });
                }
            }
        }
    }

    async fn question(&self, old: u64) -> Result<WitnessQuestion, WitnessError> {
        let log = self.clone();
        let made = blocking(move || WitnessQuestion::of(&log.dir, &log.verifier, old)).await?;
        Ok(made?)
    }

    async fn keep(
        &self,
        witness: &WitnessSettings,
        question: &WitnessQuestion,
        answer: &[u8],
    ) -> Result<Cosigned, WitnessError> {
        let peer = || witness.endpoint.peer.shown();
        let cosigned = question.cosigned(answer, &witness.key);
        let (note, at_s) =
            cosigned.map_err(|source| WitnessError::Answer { peer: peer(), source })?;
        let (dir, name) = (self.dir.clone(), witness.name.clone());
        let path = dir.join("witnessed").join(&name).display().to_string();
        let kept = blocking(move || keep_cosigned(&dir, &name, &note)).await?;
        kept.map_err(|source| ShipError::File { path, source })?;
        Ok(Cosigned { entries: question.size, at_s })
    }
}

/// How many entries a witness says that it saw.
fn seen(answer: &Answer) -> Option<u64> {
    let is_size = answer.headers.get(CONTENT_TYPE).is_some_and(|value| value == SIZE);
    str::from_utf8(&answer.body).ok().filter(|_| is_size)?.strip_suffix('\n')?.parse().ok()
}

async fn send(endpoint: &Endpoint, question: &WitnessQuestion) -> Result<Answer, ShipError> {
    let peer = &endpoint.peer;
    let mut request = Request::new(Full::new(Bytes::from(question.body().to_owned())));
    *request.method_mut() = Method::POST;
    let path = format!("{}/add-checkpoint", endpoint.path.trim_end_matches('/'));
    let uri = path.parse::<http::Uri>();
    *request.uri_mut() = uri.map_err(|error| peer.refused(error.to_string()))?;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    request.headers_mut().insert(CONTENT_TYPE, plain);
    let asked = tokio::time::timeout(DEADLINE, ask(endpoint, request, MOST_OF_ANSWER)).await;
    asked.map_err(|_late| ShipError::Slow { peer: peer.shown(), time: DEADLINE })?
}

/// Reads or writes files beside the tasks that must not wait for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ShipError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ShipError::File {
        path: "witnessed".to_owned(),
        source: std::io::Error::other(error),
    })
}

/// Reads the certificates that a witness needs, to see that they can be used. Blocks.
///
/// # Errors
/// [`ShipError`], as a question would give it.
pub fn check_witness(witness: &WitnessSettings) -> Result<(), ShipError> {
    super::check_peer(&witness.endpoint.peer)
}
