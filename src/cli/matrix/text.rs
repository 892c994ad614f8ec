//! The matrix as text: for people, and as comma-separated values.

use std::fmt::Write as _;

use super::super::csv::quoted;
use super::sections;
use crate::policy::{Cell, Matrix, MatrixRow};

/// A table for each role and entity, then routes, limits and the numbered conditions.
pub(super) fn human(matrix: &Matrix) -> String {
    let mut text = String::new();
    for rows in sections(matrix) {
        let Some(first) = rows.first() else { continue };
        line(&mut text, format_args!("{} · {}", first.role, first.entity));
        table(&mut text, first, rows);
        text.push('\n');
    }
    if matrix.rows.is_empty() {
        line(&mut text, format_args!("no rule shows anything here"));
    }
    if !matrix.routes.is_empty() {
        line(&mut text, format_args!("routes"));
    }
    let width = |cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0);
    let role_width = width(&mut matrix.limits.iter().map(|row| row.role.chars().count()));
    let route_width = width(&mut matrix.routes.iter().map(|row| row.route.chars().count()));
    for row in &matrix.routes {
        let parameters = match row.parameters.as_slice() {
            [] => String::new(),
            names => format!("  query: {}", names.join(", ")),
        };
        let notes = marks(&row.notes);
        line(
            &mut text,
            format_args!(
                "  {:<role_width$}  {:<route_width$} {notes}{parameters}",
                row.role, row.route
            ),
        );
    }
    line(&mut text, format_args!("limits"));
    for row in &matrix.limits {
        let limits = if row.limits.is_empty() { "none".to_owned() } else { row.limits.join(", ") };
        line(&mut text, format_args!("  {:<role_width$}  {limits}", row.role));
    }
    if !matrix.notes.is_empty() {
        line(&mut text, format_args!("conditions; of several, one is enough"));
    }
    for (at, note) in matrix.notes.iter().enumerate() {
        line(&mut text, format_args!("  {:>3}  {note}", at + 1));
    }
    text
}

fn line(text: &mut String, said: std::fmt::Arguments<'_>) {
    let start = text.len();
    // Writing to a text cannot fail.
    writeln!(text, "{said}").unwrap_or_default();
    let trimmed = text.trim_end().len();
    if trimmed > start {
        text.truncate(trimmed);
        text.push('\n');
    }
}

fn table(text: &mut String, head: &MatrixRow, rows: &[MatrixRow]) {
    let names = std::iter::once("grade").chain(head.cells.iter().map(|cell| cell.action));
    let mut lines = vec![std::iter::once("").chain(names).map(str::to_owned).collect::<Vec<_>>()];
    for row in rows {
        let cells = row.cells.iter().map(cell);
        lines.push([row.field.clone(), row.grade.clone()].into_iter().chain(cells).collect());
    }
    let columns = head.cells.len() + 2;
    let width = |column: usize| {
        lines.iter().filter_map(|cells| cells.get(column)).map(|c| c.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for cells in &lines {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(text, format_args!("  {}", padded.collect::<Vec<_>>().join("  ")));
    }
}

fn cell(cell: &Cell) -> String {
    let entries = cell.entries.iter();
    let entries: Vec<String> =
        entries.map(|entry| format!("{}{}", entry.form, marks(&entry.notes))).collect();
    if entries.is_empty() { "–".to_owned() } else { entries.join(" ") }
}

/// Numbers as they stand above a line, with a dot between.
fn marks(notes: &[usize]) -> String {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = |number: &usize| -> String {
        let digits = number.to_string();
        digits
            .chars()
            .filter_map(|c| RAISED.get(usize::try_from(c.to_digit(10)?).ok()?).copied())
            .collect()
    };
    notes.iter().map(raised).collect::<Vec<_>>().join("·")
}

/// A line for each form of a field, with its conditions spelt out.
pub(super) fn csv(matrix: &Matrix) -> String {
    let mut text = String::from("role,entity,field,grade,kind,action,form,conditions\r\n");
    for row in &matrix.rows {
        for cell in &row.cells {
            for entry in &cell.entries {
                let notes =
                    entry.notes.iter().filter_map(|at| matrix.notes.get(at.checked_sub(1)?));
                let notes: Vec<&str> = notes.map(String::as_str).collect();
                let values = [
                    row.role.as_str(),
                    &row.entity,
                    &row.field,
                    &row.grade,
                    row.kind.unwrap_or(""),
                    cell.action,
                    entry.form,
                    &notes.join(" | "),
                ];
                let values: Vec<String> = values.into_iter().map(quoted).collect();
                text.push_str(&values.join(","));
                text.push_str("\r\n");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_raised() {
        assert_eq!(marks(&[1, 20]), "¹·²⁰");
        assert_eq!(marks(&[]), "");
    }
}
