//! Two texts side by side, line by line, with what differs marked.

use std::io::Write;

use super::output::Ink;
use crate::document::{columns, printable};

/// The widest left column; longer lines go on below.
const LEFT_LIMIT: usize = 56;
/// Texts with more lines than this are not aligned, but set as they are.
const ALIGNED_LINES: usize = 400;

/// A line on the left, one on the right, or both; the same where nothing differs.
struct Row<'t> {
    left: Option<&'t str>,
    right: Option<&'t str>,
    is_same: bool,
}

/// Prints what was expected on the left and what came on the right.
pub(super) fn print(
    out: &mut dyn Write,
    (expected, got): (&str, &str),
    indent: usize,
    ink: Ink,
) -> std::io::Result<()> {
    let (left, right): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), got.lines().collect());
    let rows = align(&left, &right);
    let widest = left.iter().map(|line| width(line)).max().unwrap_or(0);
    let room = widest.clamp("expected".len(), LEFT_LIMIT);
    let head = ink.dim(&format!("{:room$}     got", "expected"));
    writeln!(out, "{:indent$}  {head}", "")?;
    for row in rows {
        let mut lefts = wrapped(row.left.unwrap_or_default()).into_iter();
        let mut rights = wrapped(row.right.unwrap_or_default()).into_iter();
        loop {
            let (left, right) = (lefts.next(), rights.next());
            if left.is_none() && right.is_none() {
                break;
            }
            let mark = |sign: &'static str, line: Option<&str>| match line {
                Some(_) if !row.is_same => sign,
                Some(_) | None => " ",
            };
            let (minus, plus) = (mark("-", row.left), mark("+", row.right));
            let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
            let gap = " ".repeat(room.saturating_sub(width(&left)));
            let (left, right) = match row.is_same {
                true => (format!("{minus} {left}"), format!("{plus} {right}")),
                false => {
                    (ink.green(&format!("{minus} {left}")), ink.red(&format!("{plus} {right}")))
                }
            };
            let line = format!("{:indent$}{left}{gap}   {right}", "");
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    Ok(())
}

/// The columns of a terminal that a text takes.
fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// A line in pieces that fit the left column, with nothing that would steer the terminal.
fn wrapped(line: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut taken) = (Vec::new(), String::new(), 0);
    for c in line.chars().map(printable) {
        if taken + columns(c) > LEFT_LIMIT {
            // Reasons are prose, and read better in whole words.
            let rest = match piece.rfind(' ') {
                Some(at) if at > LEFT_LIMIT / 2 => piece.split_off(at + 1),
                Some(_) | None => String::new(),
            };
            taken = width(&rest);
            pieces.push(std::mem::replace(&mut piece, rest));
        }
        piece.push(c);
        taken += columns(c);
    }
    pieces.push(piece);
    pieces
}

/// Sets equal lines beside each other (the longest common subsequence).
fn align<'t>(left: &[&'t str], right: &[&'t str]) -> Vec<Row<'t>> {
    let lengths = common(left, right);
    let at =
        |i: usize, j: usize| lengths.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default();
    let (mut i, mut j) = (0, 0);
    let (mut rows, mut only_left, mut only_right) = (Vec::new(), Vec::new(), Vec::new());
    while i < left.len() || j < right.len() {
        let (l, r) = (left.get(i).copied(), right.get(j).copied());
        let is_same = l == r && at(i, j) == at(i + 1, j + 1) + 1;
        if is_same {
            flush(&mut rows, &mut only_left, &mut only_right);
            rows.push(Row { left: l, right: r, is_same });
            (i, j) = (i + 1, j + 1);
        } else if r.is_none() || (l.is_some() && at(i + 1, j) >= at(i, j + 1)) {
            only_left.extend(l);
            i += 1;
        } else {
            only_right.extend(r);
            j += 1;
        }
    }
    flush(&mut rows, &mut only_left, &mut only_right);
    rows
}

/// How many lines what follows line `i` and line `j` has in common; nothing for long texts.
fn common(left: &[&str], right: &[&str]) -> Vec<Vec<usize>> {
    if left.len() > ALIGNED_LINES || right.len() > ALIGNED_LINES {
        return Vec::new();
    }
    let mut lengths = vec![vec![0; right.len() + 1]];
    for l in left.iter().rev() {
        let below = lengths.last().cloned().unwrap_or_default();
        let mut row = vec![0; right.len() + 1];
        for (j, r) in right.iter().enumerate().rev() {
            let length = |cells: &[usize], j: usize| cells.get(j).copied().unwrap_or_default();
            let longest = if l == r {
                length(&below, j + 1) + 1
            } else {
                length(&below, j).max(length(&row, j + 1))
            };
            if let Some(cell) = row.get_mut(j) {
                *cell = longest;
            }
        }
        lengths.push(row);
    }
    lengths.reverse();
    lengths
}

/// Lines that stand on one side only share rows.
fn flush<'t>(rows: &mut Vec<Row<'t>>, left: &mut Vec<&'t str>, right: &mut Vec<&'t str>) {
    for at in 0..left.len().max(right.len()) {
        let (left, right) = (left.get(at).copied(), right.get(at).copied());
        rows.push(Row { left, right, is_same: false });
    }
    left.clear();
    right.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(expected: &str, got: &str) -> String {
        let mut out = Vec::new();
        print(&mut out, (expected, got), 0, Ink::Plain).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn equal_lines_stand_beside_each_other_and_the_others_are_marked() {
        let said = printed("{\n  \"a\": 1,\n  \"b\": 王\n}", "{\n  \"b\": 王\n}");
        let wanted = "  expected      got\n  {             {\n-   \"a\": 1,\n    \"b\": 王       \"b\": 王\n  }             }\n";
        assert_eq!(said, wanted);
    }

    #[test]
    fn nothing_that_came_steers_the_terminal() {
        let said = printed("a", "b\u{1b}[2J\u{9b}");
        assert!(!said.contains(['\u{1b}', '\u{9b}']), "{said:?}");
    }

    #[test]
    fn a_long_line_goes_on_below_in_whole_words() {
        let words = "a reason that is longer than the column has room for, goes on below it";
        let said = printed("x", words);
        let lines: Vec<&str> =
            said.lines().filter_map(|line| Some(line.split_once("+ ")?.1)).collect();
        assert_eq!(lines.join(" "), words, "{said}");
        assert_eq!(printed("x", &"y".repeat(LEFT_LIMIT + 1)).lines().count(), 3);
    }

    #[test]
    fn every_line_of_both_is_printed_whatever_their_length() {
        let long = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        let said = printed(&long, "999");
        assert!((0..1000).all(|n| said.contains(&n.to_string())));
        assert_eq!(printed("", "x").lines().count(), 2);
    }
}
