//! `menshen log trace`: whose copy a file is that was found somewhere, whole or in part.
//!
//! Three ways, from the surest: its bytes, the marks that stand in it, the order of its records.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::log::{LogCommandError, need_log};
use super::log_custody::record;
use super::log_keys::{LogKeys, Unread};
use super::log_print::who_and_what;
use crate::audit::{ContentHash, Entry, Extent, Fit, Mode, OrderKey, Reader, Record};

/// The largest file whose text is looked at.
const TEXT_BYTES: u64 = 256 * 1024 * 1024;
/// Enough keys to tell an order; more make it no surer.
const KEYS: usize = 5_000;
/// Marks are a `w` and 16 characters of base32 in lower case.
const MARK_BYTES: usize = 17;

/// Whose copy is this file?
#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// The log's folder.
    #[arg(default_value = "log")]
    dir: PathBuf,
    /// The file that was found.
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
    #[command(flatten)]
    keys: LogKeys,
    /// The column or member with the keys of the people the records are about.
    #[arg(long, value_name = "NAME", requires = "key")]
    column: Option<String>,
}

/// Why a file leads to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    Bytes(Extent),
    Mark,
    Order(Fit),
}

/// Runs the command and gives the exit code: 0 if somebody was found, 1 if not.
pub(super) fn run_trace(args: &TraceArgs, out: &mut dyn Write) -> Result<u8, LogCommandError> {
    need_log(&args.dir)?;
    let sha256 = hash_of(&args.file)?;
    let text = text_of(&args.file)?;
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let marks: BTreeSet<&str> = marks(&text).chain(marks(&name)).collect();
    let order = match (args.keys.master()?, &args.column) {
        (Some(key), Some(column)) => Some((OrderKey::new(&key)?, keys(&text, column))),
        (_, _) => None,
    };
    writeln!(
        out,
        "sha256 {sha256}, {} marks, {} keys",
        marks.len(),
        order.as_ref().map_or(0, |(_, keys)| keys.len())
    )?;
    // Kept until the reading is recorded, with how many there are.
    let (mut told, mut found) = (Vec::new(), 0);
    let mut decisions = BTreeMap::new();
    let mut unread = Unread::default();
    for read in Reader::new(&args.dir, 0, args.keys.opener(&args.dir)?) {
        let entry = match read?.1 {
            Record::Entry(entry) => *entry,
            Record::Closed(one) => {
                unread.add(one);
                continue;
            }
        };
        let Some(data) = &entry.data else { continue };
        let mark = data.watermark.as_str();
        let is_file = data.mode == Some(Mode::Download) && !mark.is_empty();
        if !is_file {
            continue;
        }
        if entry.decided_by.is_some() {
            if data.sha256.as_str() == sha256 {
                let extent = data.file.unwrap_or(Extent::Cut);
                let decision = entry.decided_by.and_then(|id| decisions.get(&id)).unwrap_or(&entry);
                found += tell(decision, Lead::Bytes(extent), &mut told)?;
            }
            continue;
        }
        if marks.contains(mark) {
            found += tell(&entry, Lead::Mark, &mut told)?;
        }
        if let Some((key, keys)) = &order {
            let fit = key.fit(mark, keys);
            if fit.is_telling() {
                found += tell(&entry, Lead::Order(fit), &mut told)?;
            }
        }
        decisions.insert(entry.id, entry);
    }
    record(&args.keys, &args.dir, "log_traced", &format!("whose copy is sha256 {sha256}"), found)?;
    out.write_all(&told)?;
    for line in unread.lines() {
        writeln!(out, "{line}")?;
    }
    if found == 0 {
        writeln!(out, "nobody: no file that the log knows has these bytes, marks or order")?;
    }
    Ok(u8::from(found == 0))
}

fn tell(entry: &Entry, lead: Lead, out: &mut dyn Write) -> io::Result<usize> {
    let why = match lead {
        Lead::Bytes(Extent::Complete) => "the same bytes, all of the file".to_owned(),
        Lead::Bytes(Extent::Cut) => "the same bytes, as far as they left".to_owned(),
        Lead::Mark => "its mark stands in it".to_owned(),
        Lead::Order(Fit { pairs, in_order }) => format!(
            "its order: {in_order} of {pairs} neighbours, where chance gives some {}",
            pairs / 2
        ),
    };
    writeln!(out, "{}\n    {why}; request {}", who_and_what(entry), entry.id)?;
    Ok(1)
}

/// The hash of a file of any size.
pub(super) fn hash_of(path: &Path) -> Result<String, LogCommandError> {
    let mut file = open(path)?;
    let mut hash = ContentHash::default();
    let mut piece = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut piece).map_err(|source| failed(path, source))?;
        if read == 0 {
            return Ok(hash.finish());
        }
        hash.update(piece.get(..read).unwrap_or_default());
    }
}

fn open(path: &Path) -> Result<std::fs::File, LogCommandError> {
    std::fs::File::open(path).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> LogCommandError {
    LogCommandError::File { path: path.display().to_string(), source }
}

/// The text of a file as far as it is looked at; what is no text in it does not matter.
fn text_of(path: &Path) -> Result<String, LogCommandError> {
    let mut bytes = Vec::new();
    let mut file = open(path)?.take(TEXT_BYTES);
    file.read_to_end(&mut bytes).map_err(|source| failed(path, source))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The words in a text that may be marks, in any letters.
fn marks(text: &str) -> impl Iterator<Item = &str> {
    let is_mark = |word: &&str| {
        word.len() == MARK_BYTES
            && word.starts_with('w')
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte))
    };
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_mark)
}

/// What the records of a text say in this column, in their order: of a table, of lines of JSON, or of
/// the lists in one JSON text.
fn keys(text: &str, column: &str) -> Vec<String> {
    let mut found = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        members(&value, column, &mut found);
    } else if text.trim_start().starts_with(['{', '[']) {
        for line in text.lines() {
            if let Ok(value) = serde_json::from_str::<Value>(line) {
                members(&value, column, &mut found);
            }
        }
    } else {
        cells(text, column, &mut found);
    }
    found.truncate(KEYS);
    found
}

/// As deep as the JSON parser goes, which has a limit of its own.
fn members(value: &Value, column: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| members(item, column, found)),
        Value::Object(object) => match object.get(column) {
            Some(Value::String(text)) => found.push(text.clone()),
            Some(Value::Number(number)) => found.push(number.to_string()),
            Some(_) | None => object.values().for_each(|inner| members(inner, column, found)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The cells of one column of a table with commas, semicolons or tabs, as a spreadsheet may have saved it.
fn cells(text: &str, column: &str, found: &mut Vec<String>) {
    let head = text.lines().next().unwrap_or_default();
    let separator = [',', ';', '\t'].into_iter().max_by_key(|one| head.matches(*one).count());
    let mut rows = rows(text, separator.unwrap_or(',')).into_iter();
    let names = rows.next().unwrap_or_default();
    let Some(place) = names.iter().position(|name| name == column) else { return };
    let in_place = rows.filter_map(|row| row.into_iter().nth(place));
    found.extend(in_place.filter(|cell| !cell.is_empty()).take(KEYS));
}

/// The rows of a table, forgivingly: whatever was done to the file, something of it may be legible.
fn rows(text: &str, separator: char) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\r' if !is_quoted => {}
            '\n' if !is_quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
                if rows.len() > KEYS {
                    return rows;
                }
            }
            c if c == separator && !is_quoted => row.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_every_form_in_their_order() {
        for text in [
            "id,name\r\n3,\"a,\nb\"\r\n1,c\r\n\"2\",\r\n",
            "\u{feff}name;id\na;3\nb;1\nc;2",
            "{\"id\":3}\n{\"id\":\"1\"}\n{\"id\":2}\n",
            "{\"items\":[{\"id\":3},{\"id\":1},{\"c\":{\"id\":2}}],\"id\":null}",
        ] {
            assert_eq!(keys(text, "id"), ["3", "1", "2"], "{text}");
        }
        assert!(keys("a,b\n1,2\n", "id").is_empty());
    }

    #[test]
    fn marks_are_words_of_their_form() {
        let text = "x,wabcdefghijklmnop\n{\"m\":\"w234567aaaaaaaaaa\"} wabcdefghijklmnopq w1bcdefghijklmnop";
        let found: Vec<&str> = marks(text).collect();
        assert_eq!(found, ["wabcdefghijklmnop", "w234567aaaaaaaaaa"]);
        assert_eq!(marks("all.export-2027-01-15-wabcdefghijklmnop.csv").count(), 1);
    }
}
