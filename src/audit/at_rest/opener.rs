//! Opens sealed entries for a reader, and says of those it cannot open why.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::RestKey;
use super::day::Day;
use super::frame::{self, Behind, KeyName, Parts};
use super::key_file::{KeyFile, State};
use crate::audit::entry::{EntryError, Moment};
use crate::audit::folder::{Folder, Part};
use crate::audit::groups::Class;
use crate::secret::Sealer;

/// Keys that are kept at hand; beyond, they are read again.
const MAX_AT_HAND: usize = 4096;

/// An entry that is there and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Closed {
    /// Its class, where what stands there still tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The day of its key: that of its writing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<Day>,
    /// Why it cannot be read.
    #[serde(flatten)]
    pub lost: Lost,
}

/// Why an entry cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Lost {
    /// It was destroyed.
    Destroyed {
        /// When.
        on: Moment,
        /// The certificate that says so.
        certificate: String,
    },
    /// The file of its key is not there.
    Missing,
    /// The file of its key is not what it was.
    Damaged,
    /// No key was given that opens it.
    Locked {
        /// The id of the key that does.
        under: String,
    },
    /// What stands there is not what was written, or no entry of a version that this program knows.
    Altered {
        /// Its place.
        entry: u64,
    },
}

impl Closed {
    /// What stands at this place is no entry that can be read.
    pub(in crate::audit) fn altered(entry: u64) -> Self {
        Self { class: None, day: None, lost: Lost::Altered { entry } }
    }

    /// By which several are put in order.
    #[must_use]
    pub fn order(&self) -> impl Ord + use<> {
        let place = match self.lost {
            Lost::Altered { entry } => entry,
            Lost::Destroyed { .. } | Lost::Missing | Lost::Damaged | Lost::Locked { .. } => 0,
        };
        (self.day, self.class.map(Class::word), place)
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(class), Some(day)) = (self.class, self.day) {
            write!(f, "{class} of {day}: ")?;
        }
        match &self.lost {
            Lost::Destroyed { on, certificate } => {
                let day = Day::of_ms(on.0);
                write!(f, "destroyed on {day}, certificate {certificate}")
            }
            Lost::Missing => f.write_str("key missing"),
            Lost::Damaged => f.write_str("key damaged"),
            Lost::Locked { under } => write!(f, "sealed under the key `{under}`"),
            Lost::Altered { entry } => {
                write!(
                    f,
                    "entry {entry} was altered, or sealed under another key than the one of its name"
                )
            }
        }
    }
}

/// What stands at a place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// An entry's JSON.
    Json(Vec<u8>),
    /// An entry that cannot be read.
    Closed(Closed),
}

#[derive(Clone, Debug)]
enum Key {
    Open(Arc<Sealer>),
    Lost(Lost),
}

/// Opens the entries of one log.
#[derive(Clone, Debug)]
pub struct Opener {
    folder: Folder,
    given: Vec<RestKey>,
    at_hand: HashMap<KeyName, Key>,
}

impl Opener {
    /// Opens what these keys open, of the log in `dir`. Without any it still says what was destroyed.
    #[must_use]
    pub fn new(dir: &Path, given: Vec<RestKey>) -> Self {
        Self { folder: Folder::new(dir), given, at_hand: HashMap::new() }
    }

    /// One that opens the same and has no key at hand: destroyed keys do not stay in memory.
    #[must_use]
    pub fn afresh(&self) -> Self {
        let (folder, given) = (self.folder.clone(), self.given.clone());
        Self { folder, given, at_hand: HashMap::new() }
    }

    /// What it was given to open with.
    pub(in crate::audit) fn given(&self) -> &[RestKey] {
        &self.given
    }

    /// The log's folder.
    pub(in crate::audit) fn dir(&self) -> &Path {
        self.folder.root()
    }

    /// The JSON of the entry that is stored at this place, or why it cannot be read.
    pub(in crate::audit) fn open(&mut self, index: u64, stored: Vec<u8>) -> Frame {
        self.open_under(index, stored, &mut Vec::new())
    }

    /// The same, and which keys it took. One entry that was altered keeps nobody from reading the others.
    pub(in crate::audit) fn open_under(
        &mut self,
        index: u64,
        stored: Vec<u8>,
        under: &mut Vec<KeyName>,
    ) -> Frame {
        let opened = self.try_open(stored, under);
        opened.unwrap_or_else(|_altered| Frame::Closed(Closed::altered(index)))
    }

    fn try_open(&mut self, stored: Vec<u8>, under: &mut Vec<KeyName>) -> Result<Frame, EntryError> {
        let (name, head, sealed) = match frame::parts(&stored)? {
            Parts::Legible(_) => return Ok(Frame::Json(stored)),
            Parts::Sealed { key, head, sealed } => (key, head, sealed),
        };
        let sealer = match self.key(name) {
            Key::Open(sealer) => sealer,
            Key::Lost(lost) => return Ok(closed(name, lost)),
        };
        under.push(name);
        match frame::open(&sealer, head, sealed)? {
            Behind::Json(json) => Ok(Frame::Json(json)),
            Behind::Twofold { anonymous, inner } => self.open_inner(&inner, anonymous, under),
        }
    }

    /// The whole entry, or what is left without anybody in it when the key to the whole is destroyed.
    fn open_inner(
        &mut self,
        inner: &[u8],
        left: Option<Vec<u8>>,
        under: &mut Vec<KeyName>,
    ) -> Result<Frame, EntryError> {
        let Parts::Sealed { key: name, head, sealed } = frame::parts(inner)? else {
            return Err(EntryError::Form);
        };
        match (self.key(name), left) {
            (Key::Open(sealer), _) => {
                under.push(name);
                match frame::open(&sealer, head, sealed)? {
                    Behind::Json(json) => Ok(Frame::Json(json)),
                    Behind::Twofold { .. } => Err(EntryError::Form),
                }
            }
            (Key::Lost(Lost::Destroyed { .. }), Some(anonymous)) => Ok(Frame::Json(anonymous)),
            (Key::Lost(lost), _) => Ok(closed(name, lost)),
        }
    }

    fn key(&mut self, name: KeyName) -> Key {
        if let Some(key) = self.at_hand.get(&name) {
            return key.clone();
        }
        let key = self.look_up(name);
        if self.at_hand.len() >= MAX_AT_HAND {
            self.at_hand.clear();
        }
        self.at_hand.insert(name, key.clone());
        key
    }

    fn look_up(&self, name: KeyName) -> Key {
        let bytes = match self.folder.read_of(Part::Keys, &name.file()) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Key::Lost(Lost::Missing),
            Err(_unreadable) => return Key::Lost(Lost::Damaged),
        };
        let Some(file) = KeyFile::read(name, &bytes) else { return Key::Lost(Lost::Damaged) };
        match self.given.iter().find_map(|rest| file.unwrap_with(name, rest)) {
            Some(Ok(sealer)) => return Key::Open(Arc::new(sealer)),
            Some(Err(_altered)) => return Key::Lost(Lost::Damaged),
            None => {}
        }
        Key::Lost(match file.state {
            State::Destroyed { destroyed: on, certificate } => Lost::Destroyed { on, certificate },
            State::Kept { under, .. } => Lost::Locked { under },
        })
    }
}

fn closed(name: KeyName, lost: Lost) -> Frame {
    Frame::Closed(Closed { class: Some(name.lock.class()), day: Some(name.day), lost })
}
