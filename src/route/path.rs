//! A request path, normalised once. Whatever two readers could read differently is refused.

/// The longest raw path that is read.
pub const PATH_LIMIT_BYTES: usize = 4096;
/// The most segments a path may have.
pub const SEGMENT_LIMIT: usize = 64;

/// Why a path was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("the path must begin with `/`")]
    NotAbsolute,
    /// Longer than [`PATH_LIMIT_BYTES`].
    #[error("the path must be at most {PATH_LIMIT_BYTES} bytes")]
    TooLong,
    /// More segments than [`SEGMENT_LIMIT`].
    #[error("the path must have at most {SEGMENT_LIMIT} segments")]
    TooManySegments,
    /// `//`.
    #[error("a segment of the path is empty")]
    EmptySegment,
    /// `.` or `..`, plain or encoded.
    #[error("a segment of the path is `.` or `..`")]
    DotSegment,
    /// `%` without two hexadecimal digits.
    #[error("a `%` in the path must be followed by two hexadecimal digits")]
    InvalidEscape,
    /// The decoded segment is itself an escape, which a second decoder would decode again.
    #[error("the path is encoded twice")]
    DoubleEncoding,
    /// The decoded segment is not UTF-8.
    #[error("the decoded path must be UTF-8")]
    InvalidUtf8,
    /// An encoded `/`, or a `\` in any form.
    #[error("the path must not contain an encoded `/` or a `\\`")]
    Separator,
    /// NUL or another control character, in any form.
    #[error("the path must not contain control characters")]
    Control,
    /// `;`, in any form: some backends cut a segment there.
    #[error("the path must not contain path parameters (`;`)")]
    Parameter,
    /// `?` or `#` where the path was expected to have ended.
    #[error("the path must not contain `?` or `#`")]
    Delimiter,
    /// A byte that must be encoded in a URL, such as a space or raw UTF-8.
    #[error("the path contains a character that must be percent-encoded")]
    Unencoded,
}

/// A path of which there is one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    segments: Vec<String>,
    canonical: String,
    trailing_slash: bool,
}

impl Path {
    /// Reads the path of a request target, without its query.
    ///
    /// # Errors
    /// [`PathError`] for every form that a backend could read as another path.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        if raw.len() > PATH_LIMIT_BYTES {
            return Err(PathError::TooLong);
        }
        let rest = raw.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
        let mut path =
            Self { segments: Vec::new(), canonical: String::new(), trailing_slash: false };
        if rest.is_empty() {
            path.canonical.push('/');
            return Ok(path);
        }
        let body = rest.strip_suffix('/').unwrap_or(rest);
        path.trailing_slash = body.len() != rest.len();
        for raw_segment in body.split('/') {
            path.push(&decode(raw_segment)?)?;
        }
        if path.trailing_slash {
            path.canonical.push('/');
        }
        Ok(path)
    }

    /// The decoded segments; none for `/`.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The canonical form: this, and nothing else, is forwarded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// Whether the path ends with `/` (and is not `/` itself), which makes it another path.
    #[must_use]
    pub fn has_trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    fn push(&mut self, segment: &str) -> Result<(), PathError> {
        if self.segments.len() >= SEGMENT_LIMIT {
            return Err(PathError::TooManySegments);
        }
        self.canonical.push('/');
        encode(segment, &mut self.canonical);
        self.segments.push(segment.to_owned());
        Ok(())
    }
}

fn decode(raw: &str) -> Result<String, PathError> {
    if raw.is_empty() {
        return Err(PathError::EmptySegment);
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        let escaped = byte == b'%';
        let value = if escaped { escape(bytes.next(), bytes.next())? } else { byte };
        check_byte(value, escaped)?;
        decoded.push(value);
    }
    let text = String::from_utf8(decoded).ok().ok_or(PathError::InvalidUtf8)?;
    check_segment(&text)?;
    Ok(text)
}

fn escape(high: Option<u8>, low: Option<u8>) -> Result<u8, PathError> {
    let digit = |byte: Option<u8>| {
        let digit =
            byte.and_then(|b| char::from(b).to_digit(16)).ok_or(PathError::InvalidEscape)?;
        u8::try_from(digit).ok().ok_or(PathError::InvalidEscape)
    };
    Ok(digit(high)? << 4 | digit(low)?)
}

fn check_byte(byte: u8, escaped: bool) -> Result<(), PathError> {
    match byte {
        0..=0x1f | 0x7f => Err(PathError::Control),
        b'/' | b'\\' => Err(PathError::Separator),
        b';' => Err(PathError::Parameter),
        b'?' | b'#' if !escaped => Err(PathError::Delimiter),
        b if !escaped && !is_plain(b) => Err(PathError::Unencoded),
        _ => Ok(()),
    }
}

fn check_segment(text: &str) -> Result<(), PathError> {
    if text == "." || text == ".." {
        return Err(PathError::DotSegment);
    }
    if text.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    let twice = text.as_bytes().windows(3).any(|window| match window {
        [b'%', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    });
    if twice { Err(PathError::DoubleEncoding) } else { Ok(()) }
}

/// RFC 3986 `pchar` without `;`: what stands in a canonical path as it is.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte)
}

fn encode(segment: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in segment.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
            continue;
        }
        let digit = |n: u8| HEX.get(usize::from(n)).copied().map_or('0', char::from);
        out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_path_has_one_form() {
        let path = Path::parse("/api/%63ustomers/%e7%8e%8b%20a").unwrap();
        assert_eq!(path.segments(), ["api", "customers", "王 a"]);
        assert_eq!(path.as_str(), "/api/customers/%E7%8E%8B%20a");
        assert_eq!(Path::parse("/").unwrap().as_str(), "/");
    }

    #[test]
    fn a_trailing_slash_makes_another_path() {
        let path = Path::parse("/api/").unwrap();
        assert!(path.has_trailing_slash());
        assert_eq!((path.segments().len(), path.as_str()), (1, "/api/"));
    }

    #[test]
    fn every_form_with_two_readings_is_refused() {
        for (raw, error) in [
            ("", PathError::NotAbsolute),
            ("api", PathError::NotAbsolute),
            ("//", PathError::EmptySegment),
            ("/a//b", PathError::EmptySegment),
            ("/a//", PathError::EmptySegment),
            ("/a/./b", PathError::DotSegment),
            ("/a/..", PathError::DotSegment),
            ("/a/%2e%2E/b", PathError::DotSegment),
            ("/a/.%2e", PathError::DotSegment),
            ("/a%2fb", PathError::Separator),
            ("/a%5Cb", PathError::Separator),
            ("/a\\b", PathError::Separator),
            ("/a%00", PathError::Control),
            ("/a%0d%0a", PathError::Control),
            ("/a%c2%85", PathError::Control),
            ("/王", PathError::Unencoded),
            ("/a b", PathError::Unencoded),
            ("/a;v=1", PathError::Parameter),
            ("/a%3bv", PathError::Parameter),
            ("/a#b", PathError::Delimiter),
            ("/a?b", PathError::Delimiter),
            ("/a%", PathError::InvalidEscape),
            ("/a%4", PathError::InvalidEscape),
            ("/a%zz", PathError::InvalidEscape),
            ("/a%+1", PathError::InvalidEscape),
            ("/a%ff", PathError::InvalidUtf8),
            ("/a/%252e%252e", PathError::DoubleEncoding),
        ] {
            assert_eq!(Path::parse(raw), Err(error), "{raw}");
        }
    }

    #[test]
    fn length_and_depth_are_capped() {
        assert_eq!(Path::parse(&"/a".repeat(65)), Err(PathError::TooManySegments));
        assert!(Path::parse(&"/a".repeat(64)).is_ok());
        let long = format!("/{}", "a".repeat(PATH_LIMIT_BYTES));
        assert_eq!(Path::parse(&long), Err(PathError::TooLong));
    }

    proptest! {
        #[test]
        fn the_canonical_form_reads_back_as_itself(raw in "/[a-c%/.;2-5eEfF \\PC]{0,40}") {
            if let Ok(path) = Path::parse(&raw) {
                prop_assert_eq!(Path::parse(path.as_str()), Ok(path));
            }
        }
    }
}
