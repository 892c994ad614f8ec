//! A table for people: columns that line up, whatever script they are in.

use std::io::{self, Write};

use super::output::Ink;
use crate::document::{columns, printable};

/// The widest column but for the last; what is longer is cut.
const WIDEST: usize = 44;

/// Prints rows under their heads.
pub(super) fn print<const N: usize>(
    out: &mut dyn Write,
    heads: [&str; N],
    rows: &[[String; N]],
    ink: Ink,
) -> io::Result<()> {
    let cells = |row: &[String; N]| -> Vec<String> {
        row.iter().enumerate().map(|(at, cell)| cut(cell, at + 1 == N)).collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let mut widths: Vec<usize> = heads.iter().map(|head| width(head)).collect();
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, widest) in cells.zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(widest.saturating_sub(width(cell)) + 2));
        }
        line.trim_end().to_owned()
    };
    writeln!(out, "{}", ink.dim(&line(&mut heads.iter().copied())))?;
    for row in &rows {
        writeln!(out, "{}", line(&mut row.iter().map(String::as_str)))?;
    }
    Ok(())
}

fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// A cell that steers no terminal and is not too wide.
fn cut(text: &str, is_last: bool) -> String {
    let clean: String = text.chars().map(printable).collect();
    if is_last || width(&clean) <= WIDEST {
        return clean;
    }
    let mut taken = 0;
    let mut short: String = clean
        .chars()
        .take_while(|c| {
            taken += columns(*c);
            taken < WIDEST
        })
        .collect();
    short.push('\u{2026}');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_steers_the_terminal() {
        let rows = [["客户".to_owned(), "x\u{1b}[2J".to_owned()], ["a".repeat(60), "y".into()]];
        let mut out = Vec::new();
        print(&mut out, ["who", "what"], &rows, Ink::Plain).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("who{}what", " ".repeat(43)));
        assert!(lines[1].starts_with(&format!("客户{}x", " ".repeat(42))), "{text}");
        assert!(lines[2].ends_with("a\u{2026}  y") && !text.contains('\u{1b}'));
    }
}
