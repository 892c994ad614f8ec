//! `uploads`: the files that a body may bring, and who must call them clean.

use super::super::opaque::MediaRange;
use super::super::sending::{FileRule, Uploads};
use super::opaque::size;
use crate::document::{Code, Keys, Node, Pair, Reader, cut};

const KEYS: [&str; 2] = ["files", "scanner"];
const FILE_KEYS: [&str; 3] = ["types", "size", "most"];
const FILE_LIMIT: usize = 16;
const TYPE_LIMIT: usize = 32;
/// Bodies are held whole until they are judged.
const BYTES_LIMIT: u64 = 64 * 1024 * 1024;

/// Reads `uploads` of the route with these keys.
pub(super) fn uploads(reader: &mut Reader<'_>, route: &Keys<'_>) -> Option<Uploads> {
    let pair = route.find("uploads")?;
    if let Some(other) = route.find("opaque") {
        let message = "an opaque route takes no files".to_owned();
        let help = "make two routes: one that gives files, one that takes them".to_owned();
        reader.fault(other.key_span, Code::Contradiction, message, Some(help));
    }
    let keys = reader.keys(&pair.value, "`uploads`", &KEYS);
    let Some(files) = keys.find("files") else {
        let example = "{ document: { types: [application/pdf], size: 5MiB } }";
        reader.missing(pair.key_span, "`uploads`", "files", example);
        return None;
    };
    let pairs = reader.map(&files.value, "`files`");
    if pairs.is_empty() || pairs.len() > FILE_LIMIT {
        let message = format!("`files` must name at least one part, at most {FILE_LIMIT}");
        reader.fault(files.key_span, Code::WrongValue, message, None);
    }
    let files: Vec<FileRule> =
        pairs.into_iter().filter_map(|pair| file(reader, pair)).take(FILE_LIMIT).collect();
    let scanner = keys.find("scanner").and_then(|pair| {
        let name = reader.text(&pair.value, "`scanner`")?;
        reader.check_name(pair.value.span, name).then(|| name.into())
    });
    let uploads = Uploads { files, scanner };
    if uploads.most_bytes() > BYTES_LIMIT {
        let message = format!(
            "the files of one body may have {} MiB together, got {} MiB",
            BYTES_LIMIT >> 20,
            uploads.most_bytes() >> 20
        );
        let help = "lower `size` or `most`: a body is held in memory until it is judged".to_owned();
        reader.fault(pair.key_span, Code::TooLarge, message, Some(help));
    }
    Some(uploads)
}

fn file(reader: &mut Reader<'_>, pair: &Pair) -> Option<FileRule> {
    let keys = reader.keys(&pair.value, "a file", &FILE_KEYS);
    let is_name = !pair.key.contains(['"', '\\', '.']) && !pair.key.chars().any(char::is_control);
    if !is_name || pair.key.is_empty() || pair.key.len() > 64 {
        let message = format!("`{}` is no name of a part", cut(&pair.key));
        reader.fault(pair.key_span, Code::WrongValue, message, None);
    }
    for (key, example) in [("types", "[application/pdf, image/*]"), ("size", "5MiB")] {
        if keys.find(key).is_none() {
            reader.missing(pair.key_span, "a file", key, example);
        }
    }
    let types = keys.find("types").map_or(Vec::new(), |p| types(reader, &p.value));
    let size_bytes = keys.find("size").and_then(|p| size(reader, "`size`", &p.value))?;
    let most = keys.find("most").and_then(|p| reader.number(&p.value, "`most`", 1, 64));
    Some(FileRule { name: pair.key.as_str().into(), types, size_bytes, most: most.unwrap_or(1) })
}

fn types(reader: &mut Reader<'_>, node: &Node) -> Vec<MediaRange> {
    let mut found = Vec::new();
    let words = reader.words(node, "`types`");
    if words.is_empty() || words.len() > TYPE_LIMIT {
        let message = format!("`types` must name one media type, at most {TYPE_LIMIT}");
        reader.fault(node.span, Code::WrongValue, message, None);
    }
    for (word, span) in words.into_iter().take(TYPE_LIMIT) {
        let is_token = |part: &str| {
            let is_fine =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b);
            !part.is_empty() && part.bytes().all(is_fine)
        };
        match word.split_once('/') {
            Some((kind, "*")) if is_token(kind) => {
                found.push(MediaRange { kind: kind.into(), subtype: None });
            }
            Some((kind, subtype)) if is_token(kind) && is_token(subtype) => {
                found.push(MediaRange { kind: kind.into(), subtype: Some(subtype.into()) });
            }
            Some(_) | None => {
                let message = format!("`{}` is no media type", cut(word));
                let help = "write it in lower case, such as `application/pdf` or `image/*`";
                reader.fault(span, Code::WrongValue, message, Some(help.to_owned()));
            }
        }
    }
    found
}
