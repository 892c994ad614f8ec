//! A golden table: several callers, several requests, and for each the status and the form of fields.

use std::collections::HashMap;

use super::caller::Caller;
use super::coverage::Seen;
use super::exchange::{self, Asked, Given};
use super::expectation::plain;
use super::fixtures::Fixtures;
use super::report::Difference;
use crate::document::{Code, Content, Node, Reader, Span, cut};
use crate::policy::Program;
use crate::proxy::{Rehearsal, Rehearsed};

const KEYS: &[&str] = &["callers", "requests"];
const REQUEST_KEYS: &[&str] = &["request", "record", "backend", "reply", "status", "fields"];
/// The forms of a field in an answer.
const FORMS: &[&str] = &["clear", "masked", "pseudonym", "absent"];
/// More cells than this that are wrong help nobody.
const SHOWN_LIMIT: usize = 100;

/// A golden table.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    callers: Vec<(String, Caller)>,
    rows: Vec<Row>,
    now_unix_s: i64,
}

/// One request, and what each caller gets, in the order of the callers.
#[derive(Clone, Debug)]
struct Row {
    asked: Asked,
    status: Vec<u16>,
    fields: Vec<(String, Vec<String>)>,
}

/// Reads a matrix; `known` are the names of all fields.
pub(super) fn read(
    reader: &mut Reader<'_>,
    fixtures: &Fixtures<'_>,
    (program, known): (&Program, &[String]),
    node: &Node,
    now_unix_s: i64,
) -> Option<Matrix> {
    let keys = reader.keys(node, "a matrix", KEYS);
    let (Some(callers), Some(requests)) = (keys.find("callers"), keys.find("requests")) else {
        let lacks = if keys.find("callers").is_none() { "callers" } else { "requests" };
        reader.missing(node.span, "a matrix", lacks, "[…]");
        return None;
    };
    let callers = columns(reader, fixtures, program, &callers.value)?;
    let mut rows = Vec::new();
    for item in reader.list(&requests.value, "`requests`") {
        rows.push(row(reader, fixtures, known, item, callers.len())?);
    }
    if callers.is_empty() || rows.is_empty() {
        let message = "a matrix needs at least one caller and one request".to_owned();
        reader.fault(node.span, Code::WrongValue, message, None);
        return None;
    }
    Some(Matrix { callers, rows, now_unix_s })
}

fn columns(
    reader: &mut Reader<'_>,
    fixtures: &Fixtures<'_>,
    program: &Program,
    node: &Node,
) -> Option<Vec<(String, Caller)>> {
    let mut callers = Vec::new();
    for (name, span) in cells(reader, node, "`callers`") {
        let Some(found) = fixtures.callers.get(name.as_str()) else {
            reader.unknown(span, "caller", &cut(&name), &fixtures.caller_names());
            return None;
        };
        let caller = super::caller::read(reader, fixtures, program, found)?;
        callers.push((name, caller));
    }
    Some(callers)
}

fn row(
    reader: &mut Reader<'_>,
    fixtures: &Fixtures<'_>,
    known: &[String],
    node: &Node,
    columns: usize,
) -> Option<Row> {
    let keys = reader.keys(node, "a request of a matrix", REQUEST_KEYS);
    let asked = exchange::read(reader, fixtures, &keys, ("a request of a matrix", node))?;
    let mut row = Row { asked, status: Vec::new(), fields: Vec::new() };
    if let Some(pair) = keys.find("status") {
        for (text, span) in counted(reader, &pair.value, columns)? {
            let Some(status) =
                text.parse().ok().filter(|status| *status == 101 || (200..=599).contains(status))
            else {
                let message = format!("`{}` is no status", cut(&text));
                reader.fault(span, Code::WrongValue, message, None);
                return None;
            };
            row.status.push(status);
        }
    }
    if let Some(pair) = keys.find("fields") {
        for field in reader.map(&pair.value, "`fields`") {
            let name = plain(&field.key);
            if !known.contains(&name) {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                reader.unknown(field.key_span, "field", &cut(&name), &known);
                return None;
            }
            row.fields.push((name, forms(reader, &field.value, columns)?));
        }
    }
    if row.status.is_empty() && row.fields.is_empty() {
        reader.missing(node.span, "a request of a matrix", "status", "200 403");
        return None;
    }
    Some(row)
}

fn forms(reader: &mut Reader<'_>, node: &Node, columns: usize) -> Option<Vec<String>> {
    let mut forms = Vec::new();
    for (form, span) in counted(reader, node, columns)? {
        if !FORMS.contains(&form.as_str()) {
            reader.unknown(span, "form", &cut(&form), FORMS);
            return None;
        }
        forms.push(form);
    }
    Some(forms)
}

/// As many cells as there are callers.
fn counted(reader: &mut Reader<'_>, node: &Node, columns: usize) -> Option<Vec<(String, Span)>> {
    let cells = cells(reader, node, "a row of a matrix");
    if cells.len() != columns {
        let message =
            format!("a row needs {columns} cells, one for each caller, got {}", cells.len());
        reader.fault(node.span, Code::WrongValue, message, None);
        return None;
    }
    Some(cells)
}

/// Words with spaces between, which can be set like a table, or a list.
fn cells(reader: &mut Reader<'_>, node: &Node, what: &str) -> Vec<(String, Span)> {
    match &node.content {
        Content::Text(text) => {
            text.split_whitespace().map(|word| (word.to_owned(), node.span)).collect()
        }
        Content::Null | Content::List(_) | Content::Map(_) => {
            let words = reader.words(node, what);
            words.into_iter().map(|(word, span)| (word.to_owned(), span)).collect()
        }
    }
}

impl Matrix {
    /// How many requests it makes.
    pub(super) fn requests(&self) -> usize {
        self.callers.len() * self.rows.len()
    }

    /// The cells that are not as expected.
    pub(super) fn hold(&self, rehearsal: &Rehearsal<'_>, seen: &mut Seen) -> Vec<Difference> {
        let mut found = Vec::new();
        for row in &self.rows {
            for (column, (name, caller)) in self.callers.iter().enumerate() {
                let cell = |part: &str| format!("{part} for {name}, {}", row.asked.line);
                let (caller, asked) = (caller.clone(), row.asked.clone());
                let given = Given { caller, now_unix_s: self.now_unix_s, asked };
                match given.rehearse(rehearsal) {
                    Ok(told) => {
                        seen.note(&told);
                        row.hold(column, (&told, &given), cell, &mut found);
                    }
                    Err(error) => found.push(Difference::new(cell("request"), "an answer", error)),
                }
            }
        }
        found.truncate(SHOWN_LIMIT);
        found
    }
}

impl Row {
    fn hold(
        &self,
        column: usize,
        (told, given): (&Rehearsed, &Given),
        cell: impl Fn(&str) -> String,
        found: &mut Vec<Difference>,
    ) {
        let got = told.status.as_u16();
        if let Some(wanted) = self.status.get(column).filter(|wanted| **wanted != got) {
            let why = told.reasons.iter().map(|reason| format!("\n{reason}")).collect::<String>();
            found.push(Difference::new(cell("status"), wanted, format!("{got}{why}")));
        }
        let forms = given_forms(told);
        for (field, wanted) in &self.fields {
            let Some(wanted) = wanted.get(column) else { continue };
            let got = forms.get(field).map_or("absent", String::as_str);
            if wanted != got {
                found.push(Difference::new(cell(field), wanted, got));
            } else if got == "absent" && told.records > 0 && !backend_has(given, field) {
                // A field that was never there is absent, and that says nothing.
                let got = "absent, but the backend's answer does not have it either";
                found.push(Difference::new(cell(field), "withheld", got));
            }
        }
    }
}

/// Whether the backend's answer has the field, such as `customer.address.city`, in any place.
fn backend_has(given: &Given, field: &str) -> bool {
    let path: Vec<&str> = field.split('.').skip(1).collect();
    given.backend().is_some_and(|backend| backend.holds(&path))
}

/// The forms of the fields that left, such as `clear` or, over several records, `clear and masked`.
fn given_forms(told: &Rehearsed) -> HashMap<String, String> {
    let mut forms = HashMap::new();
    for fate in told.fields.iter().flatten() {
        let words = [("clear", fate.clear), ("masked", fate.masked), ("pseudonym", fate.pseudonym)];
        let given: Vec<&str> =
            words.iter().filter(|(_, is_given)| *is_given).map(|(word, _)| *word).collect();
        if !given.is_empty() {
            forms.insert(plain(&fate.name), given.join(" and "));
        }
    }
    forms
}
