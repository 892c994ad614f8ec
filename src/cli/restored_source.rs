//! Where acts since a backup are read from: the log of the gate that was lost, or a file of what was carried elsewhere.
//! An entry at a time, and no line is taken into memory beyond the length of an entry.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::Failure;
use crate::audit::note::Signer;
use crate::audit::{Broken, Entry, Moment, Opener, Reader, RestKey, check_keys, verify};
use crate::backup::Found;
use crate::secret::MasterKey;
use crate::state::RestoreRow;

/// No entry's line is longer.
const LONGEST_LINE: u64 = 128 * 1024;
/// So much is told of what is wrong with a source.
const TOLD: usize = 8;

/// An entry, or what is wrong in its place.
pub(super) type Piece = Result<Box<Entry>, String>;

/// One source.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) keys: &'a [MasterKey],
    pub(super) since: &'a RestoreRow,
}

/// What a source has.
#[derive(Debug, Default)]
struct Seen {
    /// Something of the gate that the state is of.
    is_of_node: bool,
    /// Something from before the backup, so that it does not begin too late.
    reaches_back: bool,
}

/// What is wrong with sources.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    pub(super) said: Vec<String>,
    pub(super) count: u64,
}

impl Gaps {
    fn add(&mut self, said: String) {
        self.count += 1;
        if self.said.len() < TOLD {
            self.said.push(said);
        }
    }
}

impl Source<'_> {
    /// The entries since the backup, in order.
    pub(super) fn pieces(&self) -> Result<Box<dyn Iterator<Item = Piece> + '_>, Failure> {
        let entries = self.read()?.filter_map(|(is_later, piece)| match piece {
            Ok(entry) => (is_later || self.is_since(&entry)).then_some(Ok(entry)),
            Err(said) => Some(Err(said)),
        });
        Ok(Box::new(entries))
    }

    /// Reads all of it and says what is wrong with it.
    fn look(&self, gaps: &mut Gaps) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        let mut found = Gaps::default();
        for (_, piece) in self.read()? {
            match piece {
                Ok(entry) => {
                    seen.is_of_node |= is_of(&self.since.backup, entry.node.as_str());
                    seen.reaches_back |= entry.time.0 <= self.since.made_ms;
                }
                Err(said) => found.add(said),
            }
        }
        if self.path.is_dir() {
            seen.reaches_back = true;
            self.check_log().unwrap_or_else(|said| found.add(said));
        }
        gaps.count += found.count;
        let named = found.said.iter().map(|said| format!("`{}`: {said}", self.path.display()));
        gaps.said.extend(named);
        Ok(seen)
    }

    /// Whether the log is whole, signed with this gate's key, and has all that the backup knew.
    fn check_log(&self) -> Result<(), String> {
        let text = std::fs::read_to_string(self.path.join("verifier.key"));
        let text = text.map_err(|error| format!("`verifier.key`: {error}"))?;
        let name = text.split('+').next().unwrap_or_default();
        let master = self.keys.last().ok_or("no key")?;
        let seed = master.derive("audit-checkpoint").map_err(|error| error.to_string())?;
        let signer = Signer::new(name, seed.expose()).map_err(|error| error.to_string())?;
        let broken = |broken: Broken| format!("{broken} ({})", broken.fault.to_do());
        let whole = verify(self.path, signer.verifier(), None).map_err(broken)?;
        check_keys(self.path, signer.verifier(), &whole.needed).map_err(broken)?;
        let (entries, known) = (whole.entries, self.since.entries);
        match entries < known {
            true => Err(format!("it has {entries} entries, and {known} were known already")),
            false => Ok(()),
        }
    }

    /// All entries, and whether each comes later than the backup by its place.
    fn read(&self) -> Result<Box<dyn Iterator<Item = (bool, Piece)> + '_>, Failure> {
        if self.path.is_dir() { self.log() } else { self.lines() }
    }

    fn log(&self) -> Result<Box<dyn Iterator<Item = (bool, Piece)> + '_>, Failure> {
        super::log::need_log(self.path).map_err(Failure::fault)?;
        let keys: Result<Vec<_>, _> = self.keys.iter().map(RestKey::new).collect();
        let opener = Opener::new(self.path, keys.map_err(Failure::internal)?);
        let known = self.since.entries;
        let entries = Reader::new(self.path, 0, opener).filter_map(move |read| match read {
            Ok((index, record)) => match record.entry() {
                Some(entry) => Some((index >= known, Ok(Box::new(entry)))),
                None => (index >= known).then(|| {
                    (
                        true,
                        Err(format!("entry {index} cannot be read with the keys that there are")),
                    )
                }),
            },
            Err(error) => Some((true, Err(error.to_string()))),
        });
        Ok(Box::new(entries))
    }

    fn lines(&self) -> Result<Box<dyn Iterator<Item = (bool, Piece)> + '_>, Failure> {
        let file = File::open(self.path);
        let file =
            file.map_err(|error| Failure::Fault(format!("`{}`: {error}", self.path.display())))?;
        let lines =
            Lines { reader: BufReader::new(file), number: 0, line: Vec::new(), is_over: false };
        Ok(Box::new(lines.map(|piece| (false, piece))))
    }

    fn is_since(&self, entry: &Entry) -> bool {
        let of_act = entry.act.as_ref().and_then(|act| act.at).map(|at| at.0);
        of_act.unwrap_or(entry.time.0).max(entry.time.0) >= self.since.made_ms
    }
}

/// Whether a backup, or a copy that was put back, is of this node.
fn is_of(backup: &str, node: &str) -> bool {
    Found::is_of(backup, node) || backup.starts_with(&format!("copy of {node} of "))
}

/// The entries of a file, one a line.
struct Lines {
    reader: BufReader<File>,
    number: u64,
    line: Vec<u8>,
    is_over: bool,
}

impl Lines {
    /// The next line, cut where no entry is longer; whether there was one.
    fn take(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        self.number += 1;
        let mut bounded = self.reader.by_ref().take(LONGEST_LINE + 1);
        let read = bounded.read_until(b'\n', &mut self.line)?;
        if self.line.len() as u64 > LONGEST_LINE && !self.line.ends_with(b"\n") {
            self.reader.skip_until(b'\n')?;
        }
        Ok(read > 0)
    }
}

impl Iterator for Lines {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.is_over {
            return None;
        }
        match self.take() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                self.is_over = true;
                return Some(Err(format!("line {}: {error}", self.number)));
            }
        }
        if self.line.len() as u64 > LONGEST_LINE {
            return Some(Err(format!("line {} is longer than any entry", self.number)));
        }
        let entry = Entry::decode(&self.line);
        Some(entry.map(Box::new).map_err(|error| format!("line {}: {error}", self.number)))
    }
}

/// Reads all of the sources and says what keeps them from telling everything that was done since the backup. One of them
/// must have its moment; where a file goes on with another, nobody can tell whether one between them is missing.
pub(super) fn gaps_of(sources: &[Source<'_>]) -> Result<Gaps, Failure> {
    let (mut gaps, mut all) = (Gaps::default(), Seen::default());
    for source in sources {
        let seen = source.look(&mut gaps)?;
        all.is_of_node |= seen.is_of_node;
        all.reaches_back |= seen.reaches_back;
    }
    let made = sources.first().map(|source| Moment(source.since.made_ms));
    if let Some(made) = made.filter(|_| !all.reaches_back) {
        gaps.add(format!("nothing is from before {made}, so what came next may be missing"));
    }
    if !all.is_of_node {
        gaps.add("nothing is of the gate that the state is of".to_owned());
    }
    Ok(gaps)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::audit::{EntryId, Event, Stamp};

    const MADE_MS: i64 = 1_800_000_000_000;

    fn line(at_ms: i64, node: &str) -> String {
        let id = EntryId::new(at_ms, [7; 10]);
        let entry = Entry::new(Event::Change, Stamp { id, time: Moment(at_ms), node: node.into() });
        serde_json::to_string(&entry).unwrap() + "\n"
    }

    fn since(backup: &str) -> RestoreRow {
        let (settled_ms, until_ms, released_ms) = (None, None, None);
        let (backup, made_ms, entries) = (backup.to_owned(), MADE_MS, 3);
        RestoreRow { backup, made_ms, entries, settled_ms, until_ms, released_ms }
    }

    /// What is wrong with a file of these lines, and how many entries since the backup it has.
    fn looked(text: &[u8], backup: &str) -> (Vec<String>, usize) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let since = since(backup);
        let source = Source { path: file.path(), keys: &[], since: &since };
        let read = source.pieces().unwrap().filter(Result::is_ok).count();
        let name = format!("`{}`: ", file.path().display());
        let said = gaps_of(&[source]).unwrap().said;
        (said.into_iter().map(|said| said.replace(&name, "")).collect(), read)
    }

    #[test]
    fn a_copy_that_was_cut_begins_late_or_is_of_another_gate_is_known_as_such() {
        let backup = "gate-1-20270115T080000Z";
        let (before, after) = (line(MADE_MS - 1, "gate-1"), line(MADE_MS + 1, "gate-1"));
        let whole = format!("{before}{after}");
        assert_eq!(looked(whole.as_bytes(), backup), (vec![], 1));
        assert_eq!(
            looked(whole.trim_end().as_bytes(), backup),
            (vec![], 1),
            "no line end, but all"
        );
        let (said, read) = looked(&whole.as_bytes()[..whole.len() - 9], backup);
        assert!(said.len() == 1 && said[0].starts_with("line 2: it is not"), "{said:?}");
        assert_eq!(read, 0);
        let (said, read) = looked(after.as_bytes(), backup);
        assert!(said.len() == 1 && said[0].starts_with("nothing is from before"), "{said:?}");
        assert_eq!(read, 1);
        let (said, _) = looked(whole.as_bytes(), "gate-2-20270115T080000Z");
        assert_eq!(said, ["nothing is of the gate that the state is of"]);
        let copy = "copy of gate-1 of 2027-01-15T08:00:00.000Z, put back by hand";
        assert_eq!(looked(whole.as_bytes(), copy).0, Vec::<String>::new());
        assert_eq!(looked(b"", backup).0.len(), 2);
    }

    #[test]
    fn a_line_without_an_end_is_not_taken_into_memory_and_what_follows_is_read() {
        let before = line(MADE_MS, "gate-1");
        let mut text = before.clone().into_bytes();
        text.extend(vec![b'x'; 20 * 1024 * 1024]);
        text.push(b'\n');
        text.extend(before.as_bytes());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&text).unwrap();
        let reader = BufReader::new(File::open(file.path()).unwrap());
        let mut lines = Lines { reader, number: 0, line: Vec::new(), is_over: false };
        assert!(lines.next().unwrap().is_ok());
        assert_eq!(lines.next().unwrap().unwrap_err(), "line 2 is longer than any entry");
        assert!(lines.line.capacity() < 1024 * 1024, "{}", lines.line.capacity());
        assert!(lines.next().unwrap().is_ok() && lines.next().is_none());
    }
}
