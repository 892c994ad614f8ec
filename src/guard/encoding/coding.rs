//! The names of content codings, and the list of them that a message carries.

use std::fmt;

use super::EncodingFault;

/// A content coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// gzip (RFC 1952), in one member or several.
    Gzip,
    /// deflate: with the frame of zlib (RFC 1950), as the name means, or without (RFC 1951).
    Deflate,
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878), in one frame or several.
    Zstd,
}

impl Coding {
    /// Every coding with the names that headers use; the first is its own.
    const NAMES: &'static [(&'static str, Self)] = &[
        ("gzip", Self::Gzip),
        ("deflate", Self::Deflate),
        ("br", Self::Brotli),
        ("zstd", Self::Zstd),
        ("x-gzip", Self::Gzip),
    ];

    fn named(name: &[u8]) -> Result<Self, EncodingFault> {
        let known =
            Self::NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        known.map(|(_, coding)| *coding).ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            EncodingFault::Unsupported(name.chars().take(32).collect())
        })
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Self::NAMES.iter().find(|(_, coding)| coding == self);
        f.write_str(own.map_or("", |(name, _)| name))
    }
}

/// What a body is packed with: nothing, one coding, or one over another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codings {
    first: Option<Coding>,
    second: Option<Coding>,
}

impl Codings {
    /// None: the body is as it is.
    pub const NONE: Self = Self { first: None, second: None };

    /// Reads the values of all `Content-Encoding` fields of a message, which are one list (RFC 9110, 5.3).
    ///
    /// # Errors
    /// [`EncodingFault::Unsupported`] for any other coding, and for `identity` beside another;
    /// [`EncodingFault::TooMany`] for three or more.
    pub fn of<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, EncodingFault> {
        let mut names = fields
            .into_iter()
            .flat_map(|field| field.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii);
        let (first, second) = match (names.next(), names.next(), names.next()) {
            (None, ..) => return Ok(Self::NONE),
            (Some(one), None, _) if one.eq_ignore_ascii_case(b"identity") => return Ok(Self::NONE),
            (Some(first), second, None) => (first, second),
            (Some(_), _, Some(_)) => return Err(EncodingFault::TooMany),
        };
        let first = Some(Coding::named(first)?);
        Ok(Self { first, second: second.map(Coding::named).transpose()? })
    }

    /// The codings in the order in which they are undone.
    pub(super) fn last_first(self) -> impl Iterator<Item = Coding> {
        self.second.into_iter().chain(self.first)
    }
}

impl From<Coding> for Codings {
    fn from(coding: Coding) -> Self {
        Self { first: Some(coding), second: None }
    }
}

impl fmt::Display for Codings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.second) {
            (None, _) => f.write_str("identity"),
            (Some(only), None) => only.fmt(f),
            (Some(first), Some(second)) => write!(f, "{first}, {second}"),
        }
    }
}
