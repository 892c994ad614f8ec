//! Comma-separated values (RFC 4180): written so that no cell is a formula, read so that no row is taken for two.

use serde_json::{Map, Value};

/// What a spreadsheet would take for a formula.
const FORMULA: [char; 5] = ['=', '+', '-', '@', '\t'];

/// A line that says something: its number, and its members or why it has none.
pub(super) type Line = (usize, Result<Map<String, Value>, String>);

/// RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe.
pub(super) fn quoted(value: &str) -> String {
    let guard = if value.starts_with(FORMULA) { "'" } else { "" };
    if guard.is_empty() && !value.contains(['"', ',', '\n', '\r']) {
        return value.to_owned();
    }
    format!("\"{guard}{}\"", value.replace('"', "\"\""))
}

/// A cell without the apostrophe that kept it from being a formula.
pub(super) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(cell)
}

/// Rows of comma-separated values (RFC 4180, a row a line), the first of which names the members.
pub(super) fn table(text: &str) -> Vec<Line> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let Some((first, head)) = lines.next() else { return Vec::new() };
    let names = match row(head) {
        Ok(names) => names,
        Err(fault) => return vec![(first, Err(fault))],
    };
    if let Some(twice) =
        (1..).zip(&names).find(|(at, name)| names.iter().skip(*at).any(|n| n == *name))
    {
        return vec![(first, Err(format!("the column `{}` stands twice", twice.1)))];
    }
    let members = |line: &str| {
        let values = row(line)?;
        if values.len() != names.len() {
            return Err(format!("{} values under {} names", values.len(), names.len()));
        }
        let pairs = names.iter().cloned().zip(values.into_iter().map(Value::from));
        Ok(pairs.collect())
    };
    lines.map(|(number, line)| (number, members(line))).collect()
}

fn row(line: &str) -> Result<Vec<String>, String> {
    let (mut values, mut rest) = (Vec::new(), line);
    loop {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (value, after) = rest.split_at(end);
                if value.contains('"') {
                    return Err("a `\"` stands inside a value that is not quoted".to_owned());
                }
                (value.to_owned(), after)
            }
        };
        values.push(value);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(values),
            None => return Err("something follows a quoted value".to_owned()),
        }
    }
}

/// The value up to its closing quote, and what follows that.
fn quoted_value(text: &str) -> Result<(String, &str), String> {
    let (mut value, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('"') {
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                value.push('"');
                rest = more;
            }
            None => return Ok((value, after)),
        }
    }
    Err("a quoted value does not end on its line".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_break_out_of_its_column_or_be_a_formula() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
    }

    #[test]
    fn a_table_is_read_row_by_row_and_a_row_that_could_be_two_is_refused() {
        let read = |text: &str| table(text).into_iter().map(|(_, row)| row).collect::<Vec<_>>();
        let rows = read("say,subject\r\nmark,\"a,\"\"b\"\r\n\r\nmark,\n");
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].as_ref().unwrap()["subject"], "a,\"b");
        assert_eq!(rows[1].as_ref().unwrap()["subject"], "");
        for bad in ["say,say\nmark,1", "say,subject\nmark", "a\n\"b", "a\n\"b\"c", "a\nb\"c"] {
            assert!(read(bad)[0].is_err(), "{bad}");
        }
        assert!(read("").is_empty());
    }
}
