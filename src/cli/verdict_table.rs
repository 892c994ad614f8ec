//! The rights of a review as a table that a reviewer fills in, and what was filled in.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use super::Failure;
use super::csv::{quoted, table, unguarded};
use crate::campaign::{Judged, Right};

/// Of a file at most so many bytes are read.
const FILE_BYTES: u64 = 1024 * 1024;
const COLUMNS: [&str; 6] = ["whose", "role", "used", "proposal", "verdict", "remark"];
/// The table of what is not decided yet: one that was filled in before would undo what somebody else said since. `used`
/// says when a right was used last.
pub(super) fn written(rights: &[Right], used: impl Fn(&Right) -> String) -> String {
    let open = rights.iter().filter(|right| right.verdict.is_empty());
    let rows = open.map(|right| {
        let Right { whose, role, proposal, verdict, remark, .. } = right;
        [whose, role, &used(right), proposal, verdict, remark].map(|cell| quoted(cell)).join(",")
    });
    std::iter::once(COLUMNS.join(",")).chain(rows).map(|row| row + "\r\n").collect()
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
    let mut judged = Vec::new();
    for (line, row) in table(text) {
        let row = row.map_err(|fault| format!("line {line}: {fault}"))?;
        let cell = |name: &str| row.get(name).and_then(Value::as_str).map(|c| unguarded(c.trim()));
        let needed = |name| cell(name).ok_or_else(|| format!("it has no column `{name}`"));
        let (whose, role, verdict) = (needed("whose")?, needed("role")?, needed("verdict")?);
        if verdict.is_empty() {
            continue;
        }
        judged.push(Judged {
            whose: whose.to_owned(),
            role: role.to_owned(),
            verdict: verdict.parse().map_err(|error| format!("line {line}: {error}"))?,
            remark: cell("remark").unwrap_or_default().to_owned(),
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
        assert!(table.contains("\n\"'=1+1\","), "{table}");
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
