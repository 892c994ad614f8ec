//! How a route takes the body of a request: in which forms, and what becomes of what may not be written.

/// What a route says of the bodies that it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// The forms that a body may come in; none where there is no body.
    pub(super) forms: Vec<BodyForm>,
    pub(super) unwritable: Unwritable,
}

/// A form in which a body may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BodyForm {
    /// One JSON text.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

impl BodyForm {
    /// Every form with the name that policy files use.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("json", Self::Json), ("form", Self::Form)];

    /// The name that policy files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Form => "form",
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

    /// What becomes of a member that the caller may not write.
    #[must_use]
    pub fn unwritable(&self) -> Unwritable {
        self.unwritable
    }
}
