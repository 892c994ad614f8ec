//! How a notice stands on the board: sealed under a key that gates of one master key derive, behind a keyed name, so that
//! nobody else can read, write or alter one, nor put it in another's place.

use serde::{Deserialize, Serialize};

use crate::secret::{MasterKey, Sealer, SecretError, Tagger};
use crate::state::BulletinRow;

/// The longest sealed notice.
pub const MOST_BYTES: usize = 16 * 1024;

/// What was on the board and is of no gate of this key: forged, altered, moved, or of another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a notice on the board was not sealed by a gate of this master key, or was altered")]
pub struct NotOurs;

/// A notice as it is sealed.
#[derive(Serialize, Deserialize)]
struct Told {
    id: String,
    kind: String,
    topic: String,
    stamp: i64,
    lasts: bool,
    origin: String,
    payload: String,
}

/// Seals and opens notices.
#[derive(Debug)]
pub struct Seals {
    sealer: Sealer,
    names: Tagger,
    node: String,
}

impl Seals {
    /// Those of gates with this master key; `node` is this one.
    ///
    /// # Errors
    /// [`SecretError`] if no key can be derived.
    pub fn derive(master: &MasterKey, node: &str) -> Result<Self, SecretError> {
        let (sealer, names) = (master.sealer("bulletin")?, master.tagger("bulletin-topic")?);
        Ok(Self { sealer, names, node: node.to_owned() })
    }

    /// A notice as it goes to the board: the same notice gives the same bytes at every gate. Nothing if it is too long.
    ///
    /// # Errors
    /// [`SecretError`] if the library refuses.
    pub fn seal(&self, notice: &BulletinRow) -> Result<Option<(String, Vec<u8>)>, SecretError> {
        let BulletinRow { seq: _, id, kind, topic, stamp, lasts, origin, payload } = notice.clone();
        let origin = if origin.is_empty() { self.node.clone() } else { origin };
        let tag = self.tag(&kind, &topic);
        let told = Told { id, kind, topic, stamp, lasts, origin, payload };
        let text = serde_json::to_vec(&told).unwrap_or_default();
        let sealed = self.sealer.seal_deterministic(&label(&tag), &text)?;
        Ok((sealed.len() <= MOST_BYTES).then_some((tag, sealed)))
    }

    /// The notice that stands on the board.
    ///
    /// # Errors
    /// [`NotOurs`].
    pub fn open(&self, tag: &str, sealed: &[u8]) -> Result<BulletinRow, NotOurs> {
        if sealed.len() > MOST_BYTES {
            return Err(NotOurs);
        }
        let text = self.sealer.open(&label(tag), sealed).ok().ok_or(NotOurs)?;
        let told: Told = serde_json::from_slice(&text).ok().ok_or(NotOurs)?;
        let Told { id, kind, topic, stamp, lasts, origin, payload } = told;
        if self.tag(&kind, &topic) != tag {
            return Err(NotOurs);
        }
        Ok(BulletinRow { seq: 0, id, kind, topic, stamp, lasts, origin, payload })
    }

    /// This gate.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    fn tag(&self, kind: &str, topic: &str) -> String {
        self.names.reference(&[kind.as_bytes(), topic.as_bytes()])
    }
}

/// Bound to its place, so that none can be put in another's.
fn label(tag: &str) -> String {
    format!("bulletin {tag}")
}
