//! How a route takes the body of a request: in which forms, and what becomes of what may not be written.

use super::opaque::MediaRange;

/// What a route says of the bodies that it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// The forms that a body may come in; none where there is no body.
    pub(super) forms: Vec<BodyForm>,
    pub(super) unwritable: Unwritable,
    pub(super) uploads: Option<Uploads>,
}

/// The files that a body may bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploads {
    pub(super) files: Vec<FileRule>,
    pub(super) scanner: Option<Box<str>>,
}

/// The files that a part of one name may bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRule {
    /// The part's name.
    pub(super) name: Box<str>,
    pub(super) types: Vec<MediaRange>,
    pub(super) size_bytes: u64,
    pub(super) most: u32,
}

/// A form in which a body may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BodyForm {
    /// One JSON text.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`, where the route takes files.
    Multipart,
}

impl BodyForm {
    /// The forms that policy files name; files make the third.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("json", Self::Json), ("form", Self::Form)];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Form => "form",
            Self::Multipart => "multipart",
        }
    }
}

/// What becomes of a member that the caller may not write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unwritable {
    /// It refuses the body.
    #[default]
    Refuse,
    /// It is left out, and the log says so.
    Drop,
}

impl Sending {
    /// The forms that a body may come in.
    #[must_use]
    pub fn forms(&self) -> &[BodyForm] {
        &self.forms
    }

    /// The files that a body may bring.
    #[must_use]
    pub fn uploads(&self) -> Option<&Uploads> {
        self.uploads.as_ref()
    }

    /// What becomes of a member that the caller may not write.
    #[must_use]
    pub fn unwritable(&self) -> Unwritable {
        self.unwritable
    }
}

impl Uploads {
    /// What holds for files that are sent in a part of this name.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&FileRule> {
        self.files.iter().find(|rule| *rule.name == *name)
    }

    /// The scanner that must call every file clean, by the operator's name for it.
    #[must_use]
    pub fn scanner(&self) -> Option<&str> {
        self.scanner.as_deref()
    }

    /// The most bytes that all files of a body have together.
    #[must_use]
    pub fn most_bytes(&self) -> u64 {
        let each = self.files.iter().map(|rule| rule.size_bytes.saturating_mul(rule.most.into()));
        each.fold(0, u64::saturating_add)
    }
}

impl FileRule {
    /// Whether a file may be of a media type, in lower case and without parameters.
    #[must_use]
    pub fn accepts(&self, media_type: &str) -> bool {
        self.types.iter().any(|range| range.holds(media_type))
    }

    /// The largest file, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The most files of this name in one body.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.most
    }
}
