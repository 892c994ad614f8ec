//! The matrix as one page of HTML that needs nothing else: no network, no script, no colour to be
//! understood. The script only narrows the tables. Every name and condition comes from files, so
//! everything is escaped.

use std::collections::BTreeMap;

use crate::policy::{Cell, Matrix, MatrixRow};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What each form means.
const LEGEND: [(&str, &str); 4] = [
    ("clear", "as the backend holds it"),
    ("masked", "a part of it, by its kind"),
    ("pseudonym", "a keyed name, equal for equal values"),
    ("write", "a request may carry it"),
];

/// The whole page.
pub(super) fn page(matrix: &Matrix, version: &str) -> String {
    let short: String = version.chars().take(12).collect();
    let legend: String = LEGEND
        .iter()
        .map(|(form, said)| format!("<li><span class=\"form {form}\">{form}</span> {said}</li>\n"))
        .collect();
    let tables: String = entities(matrix).iter().map(|entity| table(matrix, entity)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"referrer\" content=\"no-referrer\"/>\n\
         <title>Who sees what</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Who sees what</h1>\n\
         <p class=\"faint\">Policy version <code>{}</code>. Role by role: whoever holds several roles gets what each of \
         them gives, less what any of them is denied, within the strictest limits.</p>\n\
         <ul class=\"legend\">\n{legend}<li><span class=\"none\">–</span> nothing</li>\n\
         <li><sup>1</sup> a condition below; of several, one is enough</li>\n</ul>\n\
         <form id=\"find\" hidden=\"hidden\"><label>Only fields and routes with <input name=\"text\" type=\"search\"/></label></form>\n\
         {tables}{}{}{}<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escaped(&short),
        routes(matrix),
        limits(matrix),
        notes(matrix),
    )
}

fn entities(matrix: &Matrix) -> Vec<&str> {
    let mut names: Vec<&str> = matrix.rows.iter().map(|row| row.entity.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// One entity: a row for each field, and a group of columns for each role.
fn table(matrix: &Matrix, entity: &str) -> String {
    let rows: Vec<&MatrixRow> = matrix.rows.iter().filter(|row| row.entity == entity).collect();
    let mut roles: Vec<(&str, &[Cell])> = Vec::new();
    let mut fields: Vec<&MatrixRow> = Vec::new();
    let mut found: BTreeMap<(&str, &str), &MatrixRow> = BTreeMap::new();
    for row in &rows {
        if !roles.iter().any(|(role, _)| *role == row.role) {
            roles.push((&row.role, &row.cells));
        }
        if !fields.iter().any(|other| other.field == row.field) {
            fields.push(row);
        }
        found.insert((&row.field, &row.role), row);
    }
    let groups: String = roles
        .iter()
        .map(|(role, cells)| {
            let name = escaped(role);
            format!(
                "<th class=\"role\" scope=\"colgroup\" colspan=\"{}\">{name}</th>",
                cells.len().max(1)
            )
        })
        .collect();
    let actions: String = roles.iter().map(|(_, cells)| columns(cells)).collect();
    let body: String = fields
        .iter()
        .map(|field| {
            let of_roles = roles.iter().filter_map(|(role, _)| found.get(&(&*field.field, *role)));
            let cells = of_roles.map(|row| cells(matrix, row));
            line(field, &cells.collect::<String>())
        })
        .collect();
    format!(
        "<h2>{}</h2>\n<div class=\"scroll\" tabindex=\"0\">\n<table>\n<thead>\n\
         <tr><th class=\"corner\" rowspan=\"2\" scope=\"col\">field</th>{groups}</tr>\n\
         <tr>{actions}</tr>\n</thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n",
        escaped(entity)
    )
}

fn columns(cells: &[Cell]) -> String {
    let column = |(at, cell): (usize, &Cell)| {
        format!("<th{} scope=\"col\">{}</th>", first(at), escaped(cell.action))
    };
    cells.iter().enumerate().map(column).collect()
}

fn first(at: usize) -> &'static str {
    if at == 0 { " class=\"first\"" } else { "" }
}

fn line(field: &MatrixRow, cells: &str) -> String {
    let kind = field.kind.map_or(String::new(), |kind| format!(", {}", escaped(kind)));
    let grade = if field.grade == "sealed" {
        "sealed".to_owned()
    } else {
        format!("grade {}", field.grade)
    };
    format!(
        "<tr data-name=\"{}\"><th scope=\"row\"><code>{}</code><span class=\"grade\">{}{kind}</span></th>{cells}</tr>\n",
        escaped(&format!("{}.{}", field.entity, field.field).to_lowercase()),
        escaped(&field.field),
        escaped(&grade),
    )
}

fn cells(matrix: &Matrix, row: &MatrixRow) -> String {
    let one = |(at, cell): (usize, &Cell)| {
        let entries: Vec<String> = cell
            .entries
            .iter()
            .map(|entry| {
                let form = escaped(entry.form);
                let marks = marks(matrix, &entry.notes);
                format!("<span class=\"form {form}\">{form}</span>{marks}")
            })
            .collect();
        let none = "<span class=\"none\">–</span>".to_owned();
        let said = if entries.is_empty() { none } else { entries.join(" ") };
        format!("<td{}>{said}</td>", first(at))
    };
    row.cells.iter().enumerate().map(one).collect()
}

/// Numbers that lead to the conditions, and show them where a pointer rests.
fn marks(matrix: &Matrix, notes: &[usize]) -> String {
    let mark = |at: &usize| {
        let note = at.checked_sub(1).and_then(|at| matrix.notes.get(at)).map_or("", String::as_str);
        format!("<a href=\"#note-{at}\" title=\"{}\">{at}</a>", escaped(note))
    };
    let marks: Vec<String> = notes.iter().map(mark).collect();
    if marks.is_empty() { String::new() } else { format!("<sup>{}</sup>", marks.join(" ")) }
}

fn routes(matrix: &Matrix) -> String {
    if matrix.routes.is_empty() {
        return String::new();
    }
    let row = |row: &crate::policy::RouteRow| {
        let searched: Vec<String> =
            row.parameters.iter().map(|name| format!("<code>{}</code>", escaped(name))).collect();
        format!(
            "<tr data-name=\"{}\"><th scope=\"row\">{}</th><td><code>{}</code>{}</td><td>{}</td><td><code>{}</code></td><td>{}</td></tr>\n",
            escaped(&row.route.to_lowercase()),
            escaped(&row.role),
            escaped(&row.route),
            marks(matrix, &row.notes),
            escaped(row.action),
            escaped(&row.request),
            searched.join(" "),
        )
    };
    let rows: String = matrix.routes.iter().map(row).collect();
    format!(
        "<h2>Routes that may be used</h2>\n<div class=\"scroll\" tabindex=\"0\">\n<table>\n<thead><tr><th class=\"corner\" scope=\"col\">role</th>\
         <th scope=\"col\">route</th><th scope=\"col\">action</th><th scope=\"col\">request</th>\
         <th scope=\"col\">query parameters</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )
}

fn limits(matrix: &Matrix) -> String {
    let row = |row: &crate::policy::LimitRow| {
        let limits = if row.limits.is_empty() { "none".to_owned() } else { row.limits.join(", ") };
        let (role, limits) = (escaped(&row.role), escaped(&limits));
        format!("<tr data-name=\"\"><th scope=\"row\">{role}</th><td>{limits}</td></tr>\n")
    };
    let rows: String = matrix.limits.iter().map(row).collect();
    format!(
        "<h2>Limits</h2>\n<div class=\"scroll\">\n<table>\n<thead><tr><th class=\"corner\" scope=\"col\">role</th>\
         <th scope=\"col\">at most</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )
}

fn notes(matrix: &Matrix) -> String {
    let note = |(at, note): (usize, &String)| {
        format!("<li id=\"note-{}\">{}</li>\n", at + 1, escaped(note))
    };
    let notes: String = matrix.notes.iter().enumerate().map(note).collect();
    if notes.is_empty() {
        return String::new();
    }
    format!("<h2>Conditions</h2>\n<ol class=\"notes\">\n{notes}</ol>\n")
}

/// Text that is text wherever it stands: in an element or in a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
