//! Entries that are carried together, read from the log's folder.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use super::ShipError;
use super::settings::Form;
use crate::audit::{Access, Closed, Day, Entry, Frame, OpenedFrames, Opener};
use crate::report::{cef, cef_unreadable, ocsf, ocsf_unreadable};

/// An entry as it leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Its place in the log.
    pub index: u64,
    /// Its id; of what cannot be read, one made of its place.
    pub id: String,
    /// The kind of event.
    pub event: String,
    /// When, as RFC 3339 has it; empty where that cannot be read.
    pub time: String,
    /// Its canonical JSON, or what it is in another form.
    pub text: Vec<u8>,
}

/// What of an entry is needed beside its text.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    event: String,
    time: String,
}

impl Shipped {
    fn of(index: u64, frame: Frame, form: Form) -> Self {
        let json = match frame {
            Frame::Json(json) => json,
            Frame::Closed(closed) => return Self::closed(index, &closed, form),
        };
        let read = serde_json::from_slice::<Envelope>(&json);
        // Whatever it is, it is in the log, so it goes along.
        let Envelope { id, event, time } = read.unwrap_or_else(|_other_form| Envelope {
            id: unreadable(index),
            event: "unreadable".to_owned(),
            time: String::new(),
        });
        let text = match form {
            Form::Json => json,
            Form::Ocsf | Form::Cef => in_form(index, &json, form).into_bytes(),
        };
        Self { index, id, event, time, text }
    }

    /// Says what stands there that cannot be read, so that nobody misses an index.
    fn closed(index: u64, closed: &Closed, form: Form) -> Self {
        let text = match form {
            Form::Json => serde_json::json!({ "index": index, "not_read": closed }).to_string(),
            Form::Ocsf => {
                let day_ms = closed.day.map_or(0, Day::start_ms);
                ocsf_unreadable(index, &closed.to_string(), day_ms).to_string()
            }
            Form::Cef => cef_unreadable(index, &closed.to_string()),
        };
        let (event, time) = ("unreadable".to_owned(), String::new());
        Self { index, id: unreadable(index), event, time, text: text.into_bytes() }
    }

    /// When it was written, in Unix milliseconds.
    pub(super) fn at_ms(&self) -> Option<i64> {
        self.time.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond())
    }
}

/// An entry in the form of another tool. It stands alone there: an outcome names its decision.
fn in_form(index: u64, json: &[u8], form: Form) -> String {
    match (Entry::decode(json), form) {
        (Ok(entry), Form::Cef) => cef(&Access::alone(index, entry)),
        (Ok(entry), Form::Ocsf | Form::Json) => ocsf(&Access::alone(index, entry)).to_string(),
        (Err(error), Form::Cef) => cef_unreadable(index, &error.to_string()),
        (Err(error), Form::Ocsf | Form::Json) => {
            ocsf_unreadable(index, &error.to_string(), 0).to_string()
        }
    }
}

fn unreadable(index: u64) -> String {
    format!("unreadable-{index}")
}

/// Entries in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The node whose log it is.
    pub node: String,
    /// The entries.
    pub entries: Vec<Shipped>,
    /// The form that they are in.
    pub form: Form,
    /// Whether there was room for no more.
    pub is_full: bool,
}

impl Batch {
    /// The places of the first and the last entry.
    #[must_use]
    pub fn range(&self) -> Option<(u64, u64)> {
        Some((self.entries.first()?.index, self.entries.last()?.index))
    }

    /// A line for each entry.
    #[must_use]
    pub fn lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for entry in &self.entries {
            lines.extend_from_slice(&entry.text);
            lines.push(b'\n');
        }
        lines
    }
}

/// How much is carried at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caps {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// The log that entries are read from.
#[derive(Clone)]
pub struct Source {
    /// The node whose log it is.
    pub node: String,
    /// The log's folder.
    pub dir: PathBuf,
    /// What opens its entries.
    pub opener: Opener,
    /// How many entries it has, where somebody knows without a look at the folder.
    pub durable: Option<Arc<dyn Fn() -> u64 + Send + Sync>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Source {
    /// Some of the entries from `next` on; none where there is none yet. Blocks.
    pub(super) fn read(&self, next: u64, caps: Caps, form: Form) -> Result<Batch, ShipError> {
        let mut batch = Batch { node: self.node.clone(), form, ..Batch::default() };
        if self.durable.as_ref().is_some_and(|durable| durable() <= next) {
            return Ok(batch);
        }
        let mut bytes = 0_usize;
        for read in OpenedFrames::new(&self.dir, next, self.opener.clone()) {
            let (index, frame) = read?;
            let entry = Shipped::of(index, frame, form);
            bytes = bytes.saturating_add(entry.text.len());
            if !batch.entries.is_empty() && bytes > caps.bytes {
                batch.is_full = true;
                break;
            }
            batch.entries.push(entry);
            if batch.entries.len() >= caps.entries {
                batch.is_full = true;
                break;
            }
        }
        Ok(batch)
    }

    /// Some of the entries from `next` on, as many as are carried at a time. Blocks.
    ///
    /// # Errors
    /// [`ShipError::Log`].
    pub fn after(&self, next: u64) -> Result<Batch, ShipError> {
        self.read(next, Caps { entries: 512, bytes: 1024 * 1024 }, Form::Json)
    }

    /// The id of the entry at a place. Blocks.
    ///
    /// # Errors
    /// [`ShipError::Log`].
    pub fn id_at(&self, index: u64) -> Result<Option<String>, ShipError> {
        let caps = Caps { entries: 1, bytes: usize::MAX };
        let batch = self.read(index, caps, Form::Json)?;
        Ok(batch.entries.into_iter().next().map(|entry| entry.id))
    }
}
