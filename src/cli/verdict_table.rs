//! The rights of a review as a table that a reviewer fills in, and what was filled in.

use std::io::Read as _;
use std::path::Path;

use super::Failure;
use crate::campaign::{Judged, Right};

/// Of a file at most so many bytes are read.
const FILE_BYTES: u64 = 1024 * 1024;
const COLUMNS: [&str; 6] = ["whose", "role", "used", "proposal", "verdict", "remark"];
/// What a spreadsheet would take for a formula.
const FORMULA: [char; 5] = ['=', '+', '-', '@', '\t'];

/// The table (RFC 4180); `used` says when a right was used last.
pub(super) fn written(rights: &[Right], used: impl Fn(&Right) -> String) -> String {
    let mut table = csv::Writer::from_writer(Vec::new());
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    // What is decided is not asked again: a table that was filled in before would undo what somebody else said since.
    let open = rights.iter().filter(|right| right.verdict.is_empty());
    rows.extend(open.map(|right| {
        let Right { whose, role, proposal, verdict, remark, .. } = right;
        [whose, role, &used(right), proposal, verdict, remark].map(|cell| guarded(cell))
    }));
    // What is written to memory does not fail.
    let written = rows.iter().try_for_each(|row| table.write_record(row));
    let bytes = written.ok().and_then(|()| table.into_inner().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn guarded(cell: &str) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell.to_owned() }
}

fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(cell)
}

/// The rows of a file that have a verdict; `-` is standard input.
pub(super) fn read_verdicts(path: &Path) -> Result<Vec<Judged>, Failure> {
    let failed = |error: String| Failure::fault(format!("`{}`: {error}", path.display()));
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().take(FILE_BYTES + 1).read_to_string(&mut text),
        Some(_) | None => {
            std::fs::File::open(path).and_then(|f| f.take(FILE_BYTES + 1).read_to_string(&mut text))
        }
    };
    let read = read.map_err(|error| failed(error.to_string()))?;
    if read as u64 > FILE_BYTES {
        return Err(failed(format!("more than {FILE_BYTES} bytes; decide in parts")));
    }
    parsed(&text).map_err(failed)
}

fn parsed(text: &str) -> Result<Vec<Judged>, String> {
    let mut table = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let heads = table.headers().map_err(|error| error.to_string())?.clone();
    let place = |name: &str| heads.iter().position(|head| head == name);
    let needed = |name: &str| place(name).ok_or_else(|| format!("it has no column `{name}`"));
    let (whose, role, verdict) = (needed("whose")?, needed("role")?, needed("verdict")?);
    let remark = place("remark");
    let mut judged = Vec::new();
    for row in table.records() {
        let row = row.map_err(|error| error.to_string())?;
        let cell = |at: usize| unguarded(row.get(at).unwrap_or_default().trim());
        if cell(verdict).is_empty() {
            continue;
        }
        let line = row.position().map_or(0, csv::Position::line);
        judged.push(Judged {
            whose: cell(whose).to_owned(),
            role: cell(role).to_owned(),
            verdict: cell(verdict).parse().map_err(|error| format!("line {line}: {error}"))?,
            remark: remark.map(cell).unwrap_or_default().to_owned(),
        });
    }
    Ok(judged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Verdict;

    #[test]
    fn what_is_written_and_filled_in_is_read_and_no_cell_is_a_formula() {
        let right = |whose: &str| Right {
            whose: whose.to_owned(),
            role: "teller".to_owned(),
            proposal: "unused".to_owned(),
            ..Right::default()
        };
        let rights = ["corp:wang", "=1+1", "a \"b\", c"].map(right);
        let table = written(&rights, |_| "2026-11-01".to_owned());
        assert!(table.contains("\n'=1+1,"), "{table}");
        assert_eq!(parsed(&table), Ok(Vec::new()), "nothing is decided yet");
        let filled = table.replacen("unused,,", "unused,attested,\"yes, she is\"", 1);
        let filled = filled.replacen("unused,,", "unused,removed,", 1);
        let judged = parsed(&filled).unwrap();
        let told: Vec<_> =
            judged.iter().map(|j| (j.whose.as_str(), j.verdict, j.remark.as_str())).collect();
        assert_eq!(
            told,
            [("corp:wang", Verdict::Attested, "yes, she is"), ("=1+1", Verdict::Removed, "")]
        );
    }

    #[test]
    fn a_table_that_lacks_a_column_or_has_another_word_says_so() {
        assert_eq!(parsed("whose,role\na,b\n").unwrap_err(), "it has no column `verdict`");
        let wrong = parsed("whose,role,verdict\na,b,\na,c,yes\n").unwrap_err();
        assert!(wrong.starts_with("line 3: a verdict must be"), "{wrong}");
    }
}
