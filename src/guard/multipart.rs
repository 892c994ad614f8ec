//! Forms with files (`multipart/form-data`, RFC 7578), read strictly and written anew.
//!
//! Parsers of such bodies differ in what they forgive: text before the first part, headers that nobody
//! needs, names in several encodings. All of that is refused, and what goes on has a boundary of ours.

use bytes::Bytes;

const MOST_PARTS: usize = 256;
const LONGEST_HEAD: usize = 4 * 1024;
const LONGEST_NAME: usize = 256;
const LONGEST_FILENAME_CHARS: usize = 128;
const LONGEST_BOUNDARY: usize = 70;
/// How often a boundary is chosen that stands in a file already.
const MOST_TRIES: u32 = 64;

/// Why a form with files is refused. Names are cut to 64 characters; values are not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MultipartFault {
    /// No parts of the form that the content type says, or something besides them.
    #[error("the form is not made of parts as its content type says")]
    Malformed,
    /// Too many parts.
    #[error("the form has more than {MOST_PARTS} parts")]
    TooMany,
    /// A head of a part that more than one reading is possible of.
    #[error("a part of the form has a head that cannot be read in one way")]
    Head,
    /// A part of text that is not UTF-8, or holds a zero byte.
    #[error("part `{0}` is not text in UTF-8")]
    NotText(String),
    /// A file that the route does not take.
    #[error("no file is taken as `{0}`")]
    Undeclared(String),
    /// A file of a type that the route does not take.
    #[error("file `{0}` is of a type that is not taken, or not of the type that it says")]
    Type(String),
    /// A file that is larger than the route takes.
    #[error("file `{name}` is larger than {most} bytes")]
    TooLarge {
        /// The part's name.
        name: String,
        /// The most bytes.
        most: u64,
    },
    /// More files than the route takes.
    #[error("more than {most} files are sent as `{name}`")]
    TooManyFiles {
        /// The part's name.
        name: String,
        /// The most files.
        most: u32,
    },
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    /// Set where it is a file.
    pub(super) file: Option<FileHead>,
    pub(super) content: Bytes,
}

/// What a client says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileHead {
    pub(super) name: String,
    pub(super) media_type: String,
}

/// Whether a text can be a boundary (RFC 2046, without the space).
pub(super) fn is_boundary(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    (1..=LONGEST_BOUNDARY).contains(&text.len()) && text.bytes().all(is_fine)
}

/// The parts of a body.
///
/// # Errors
/// [`MultipartFault`] for whatever two readers could take differently.
pub(super) fn parts(body: &Bytes, boundary: &str) -> Result<Vec<Part>, MultipartFault> {
    let opening = format!("--{boundary}");
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = body.clone();
    if !rest.starts_with(opening.as_bytes()) {
        return Err(MultipartFault::Malformed);
    }
    skip(&mut rest, opening.len());
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            skip(&mut rest, 2);
            let is_end = rest.is_empty() || rest.as_ref() == b"\r\n";
            return if is_end { Ok(parts) } else { Err(MultipartFault::Malformed) };
        }
        if !rest.starts_with(b"\r\n") {
            return Err(MultipartFault::Malformed);
        }
        skip(&mut rest, 2);
        if parts.len() >= MOST_PARTS {
            return Err(MultipartFault::TooMany);
        }
        let near = rest.get(..LONGEST_HEAD.min(rest.len())).unwrap_or_default();
        let end = find(near, b"\r\n\r\n").ok_or(MultipartFault::Head)?;
        let head = rest.split_to(end);
        skip(&mut rest, 4);
        let end = find(&rest, delimiter.as_bytes()).ok_or(MultipartFault::Malformed)?;
        let content = rest.split_to(end);
        skip(&mut rest, delimiter.len());
        let (name, file) = read_head(&head)?;
        parts.push(Part { name, file, content });
    }
}

fn skip(bytes: &mut Bytes, count: usize) {
    *bytes = bytes.split_off(count.min(bytes.len()));
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = hay.get(from..)?.iter().position(|byte| *byte == first)? + from;
        if hay.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Name and file of a part. Of headers only `Content-Disposition` and `Content-Type` may stand there.
fn read_head(head: &[u8]) -> Result<(String, Option<FileHead>), MultipartFault> {
    let text = std::str::from_utf8(head).ok().ok_or(MultipartFault::Head)?;
    let (mut disposition, mut media_type) = (None, None);
    for line in text.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or(MultipartFault::Head)?;
        let slot = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut media_type,
            _ => return Err(MultipartFault::Head),
        };
        let is_plain = !value.chars().any(char::is_control);
        if slot.replace(value.trim()).is_some() || !is_plain {
            return Err(MultipartFault::Head);
        }
    }
    let (name, filename) = disposition.and_then(disposed).ok_or(MultipartFault::Head)?;
    let Some(filename) = filename else {
        let is_text = media_type.is_none_or(|media_type| {
            let plain = media_type.to_ascii_lowercase().replace([' ', '"'], "");
            ["text/plain", "text/plain;charset=utf-8"].contains(&plain.as_str())
        });
        return if is_text { Ok((name, None)) } else { Err(MultipartFault::Head) };
    };
    let media_type = media_type.unwrap_or("application/octet-stream").to_ascii_lowercase();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
    Ok((name, Some(FileHead { name: cleaned(&filename), media_type })))
}

/// `form-data; name="…"; filename="…"`.
fn disposed(value: &str) -> Option<(String, Option<String>)> {
    let mut rest = value.strip_prefix("form-data")?.trim();
    let (mut name, mut filename) = (None, None);
    while !rest.is_empty() {
        let (parameter, after) = rest.strip_prefix(';')?.trim_start().split_once("=\"")?;
        let (text, after) = after.split_once('"')?;
        let slot = match parameter {
            "name" => &mut name,
            "filename" => &mut filename,
            _ => return None,
        };
        if text.contains('\\') || text.len() > LONGEST_NAME * 4 || slot.replace(text).is_some() {
            return None;
        }
        rest = after.trim_start();
    }
    let name = name.filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME)?;
    Some((name.to_owned(), filename.map(str::to_owned)))
}

/// A file's name as it may go on: no folder, nothing that a shell, a browser or a file system reads.
fn cleaned(filename: &str) -> String {
    let last = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_turned = |c: char| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = last
        .chars()
        .filter(|c| !c.is_control() && !is_turned(*c) && !"<>:\"|?*%;&$`'{}\u{feff}".contains(*c));
    let kept: String = kept.take(LONGEST_FILENAME_CHARS).collect();
    let kept = kept.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if kept.is_empty() { "file".to_owned() } else { kept.to_owned() }
}

/// Whether a file begins as files of its type do; `true` for types of which nothing is known.
pub(super) fn begins_as(media_type: &str, content: &[u8]) -> bool {
    let starts = |starts: &[&[u8]]| starts.iter().any(|start| content.starts_with(start));
    match media_type {
        "application/pdf" => starts(&[b"%PDF-"]),
        "image/png" => starts(&[b"\x89PNG\r\n\x1a\n"]),
        "image/jpeg" => starts(&[b"\xff\xd8\xff"]),
        "image/gif" => starts(&[b"GIF87a", b"GIF89a"]),
        "image/bmp" => starts(&[b"BM"]),
        "image/tiff" => starts(&[b"II*\0", b"MM\0*"]),
        "image/webp" => starts(&[b"RIFF"]) && content.get(8..12) == Some(b"WEBP"),
        "application/zip" => starts(&[b"PK\x03\x04", b"PK\x05\x06"]),
        other if other.starts_with("application/vnd.openxmlformats-") => starts(&[b"PK\x03\x04"]),
        other if other.starts_with("text/") => std::str::from_utf8(content).is_ok(),
        _ => true,
    }
}

/// Parts as a body, and its content type.
pub(super) fn written(parts: &[Part]) -> Result<(Bytes, String), MultipartFault> {
    let stands = |boundary: &str| {
        let needle = format!("--{boundary}");
        parts.iter().any(|part| find(&part.content, needle.as_bytes()).is_some())
    };
    let mut tries = (0..MOST_TRIES).map(|n| format!("menshen-{n:08}-part"));
    let boundary = tries.find(|boundary| !stands(boundary)).ok_or(MultipartFault::Malformed)?;
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        let mut head = format!("Content-Disposition: form-data; name=\"{}\"", part.name);
        if let Some(file) = &part.file {
            head.push_str(&format!(
                "; filename=\"{}\"\r\nContent-Type: {}",
                file.name, file.media_type
            ));
        }
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(&part.content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((Bytes::from(body), format!("multipart/form-data; boundary={boundary}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<Part>, MultipartFault> {
        parts(&Bytes::copy_from_slice(body.as_bytes()), "x")
    }

    #[test]
    fn what_was_read_is_written_with_a_boundary_that_stands_nowhere_in_it() {
        let body = concat!(
            "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\na\r\n--menshen-00000000-part\r\n",
            "--x\r\ncontent-disposition: form-data; name=\"doc\"; filename=\"C:\\u\\..\\a\u{202e}fdp.exe\"\r\n",
        );
        assert_eq!(
            read(&format!("{body}\r\nb\r\n--x--")),
            Err(MultipartFault::Head),
            "a backslash"
        );
        let body = body.replace('\\', "/");
        let parts =
            read(&format!("{body}Content-Type: image/PNG\r\n\r\n\r\n--y\r\n--x--\r\n")).unwrap();
        let file = FileHead { name: "afdp.exe".to_owned(), media_type: "image/png".to_owned() };
        assert_eq!(parts[1].file, Some(file));
        assert_eq!(parts[1].content, "\r\n--y");
        let (body, content_type) = written(&parts).unwrap();
        assert_eq!(content_type, "multipart/form-data; boundary=menshen-00000001-part");
        assert_eq!(super::parts(&body, "menshen-00000001-part").unwrap(), parts);
    }

    #[test]
    fn what_two_readers_could_take_differently_is_refused() {
        let part = "Content-Disposition: form-data; name=\"a\"\r\n\r\nb";
        assert!(read(&format!("--x\r\n{part}\r\n--x--")).is_ok());
        for body in [
            String::new(),
            "--x".to_owned(),
            format!("preamble\r\n--x\r\n{part}\r\n--x--"),
            format!("\r\n--x\r\n{part}\r\n--x--"),
            format!("--x\r\n{part}\r\n--x--epilogue"),
            format!("--x\r\n{part}\r\n--x-- \r\n"),
            format!("--x\r\n{part}\r\n--x"),
            format!("--x\r\n{part}\r\n--xy\r\n{part}\r\n--x--"),
            format!("--x\n{part}\n--x--"),
            format!("--x \r\n{part}\r\n--x--"),
        ] {
            assert!(read(&body).is_err(), "{body:?}");
        }
        for head in [
            "Content-Disposition: form-data; name=a",
            "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
            "Content-Disposition: form-data; name=\"\"",
            "Content-Disposition: form-data; filename=\"a\"",
            "Content-Disposition: form-data; name=\"a\"; filename*=utf-8''b",
            "Content-Disposition: attachment; name=\"a\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=gbk",
            "Content-Disposition: form-data;\r\n name=\"a\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Length: 1",
            "Content-Disposition : form-data; name=\"a\"",
            "",
        ] {
            let refused = read(&format!("--x\r\n{head}\r\n\r\nb\r\n--x--"));
            assert_eq!(refused, Err(MultipartFault::Head), "{head}");
        }
        assert_eq!(
            read(&format!("{}--x--", format!("--x\r\n{part}\r\n").repeat(257))),
            Err(MultipartFault::TooMany)
        );
    }

    #[test]
    fn a_name_has_no_folder_and_nothing_that_is_read_as_more() {
        for (raw, name) in [
            ("../../etc/passwd", "passwd"),
            ("..", "file"),
            (".htaccess", "htaccess"),
            ("a\u{0}b.pdf", "ab.pdf"),
            ("报告.pdf", "报告.pdf"),
            ("a;b%22.pdf ", "ab22.pdf"),
        ] {
            assert_eq!(cleaned(raw), name, "{raw:?}");
        }
        assert_eq!(cleaned(&"长".repeat(500)).chars().count(), 128);
    }

    #[test]
    fn a_file_begins_as_its_type_says() {
        assert!(begins_as("application/pdf", b"%PDF-1.7"));
        assert!(!begins_as("application/pdf", b"MZ"));
        assert!(!begins_as("image/webp", b"RIFF____WAVE"));
        assert!(!begins_as("text/csv", b"\xff\xfe"));
        assert!(begins_as("application/x-other", b"anything"));
    }
}
