//! Tables: read and judged as one would without caring for speed or memory.

use menshen::guard::json::{Hooks as _, Outgoing, Take};
use menshen::guard::mask::mask;
use menshen::policy::plan::{Node, NodeId, Plan, RecordId, Slot, Verdict};
use menshen::policy::value::Value;

use super::plans::Desk;

pub type Rows = Vec<Vec<String>>;

/// Reads rows; `None` for what must be refused.
pub fn read(text: &str) -> Option<Rows> {
    let mut rows = vec![vec![]];
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let mut cell = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next()? {
                    '"' if chars.next_if_eq(&'"').is_none() => break,
                    char => cell.push(char),
                }
            }
        } else {
            while let Some(char) = chars.next_if(|char| !matches!(char, ',' | '\r' | '\n' | '"')) {
                cell.push(char);
            }
        }
        if cell.chars().any(|char| char < ' ' && !matches!(char, '\t' | '\r' | '\n')) {
            return None;
        }
        rows.last_mut()?.push(cell);
        match (chars.next(), chars.peek()) {
            (Some(','), None) => rows.last_mut()?.push(String::new()),
            (Some(','), Some(_)) | (None, _) => {}
            (Some('\r'), Some('\n')) => {
                chars.next();
                rows.push(vec![]);
            }
            (Some('\n'), _) => rows.push(vec![]),
            _ => return None,
        }
    }
    if rows.last()?.is_empty() {
        rows.pop();
    }
    Some(rows)
}

/// The rows that go out, and how many are held back; `None` for what must be refused.
pub fn judge(plan: &Plan, desk: &mut Desk, rows: &Rows) -> Option<(Rows, u64)> {
    let (header, rows) = rows.split_first()?;
    let record = &plan.records[0];
    let nodes: Vec<NodeId> = record.cases.iter().flatten().copied().collect();
    let distinct = header.iter().enumerate().all(|(i, name)| !header[..i].contains(name));
    if !distinct || !header.iter().any(|name| is_listed(plan, nodes[0], name)) {
        return None;
    }
    let is_shown = |name: &str| nodes.iter().any(|node| shows(lookup(plan, *node, name)));
    let shown: Vec<usize> = (0..header.len()).filter(|i| is_shown(&header[*i])).collect();
    let mut out = Rows::new();
    if !shown.is_empty() {
        out.push(shown.iter().map(|i| header[*i].clone()).collect());
    }
    let (mut is_limited, mut held_back) = (false, 0);
    for row in rows {
        if row.len() != header.len() {
            return None;
        }
        let Some((node, outgoing)) = conditions(plan, desk, header, row) else { continue };
        if !header.iter().any(|name| shows(lookup(plan, node, name))) {
            continue;
        }
        if is_limited || desk.take(&outgoing) == Take::HoldBack {
            is_limited = true;
            held_back += 1;
            continue;
        }
        let cell = |i: &usize| passed(desk, &row[*i], lookup(plan, node, &header[*i]));
        out.push(shown.iter().map(cell).collect());
    }
    Some((out, held_back))
}

/// The form that a row's conditions call for, and what is counted; `None` withholds it.
fn conditions(
    plan: &Plan,
    desk: &mut Desk,
    header: &[String],
    row: &[String],
) -> Option<(NodeId, Outgoing)> {
    let cell = |name: &str| header.iter().position(|n| n == name).map(|i| row[i].as_str());
    let text = |name: &str| cell(name).filter(|text| !text.is_empty()).map(Value::from);
    let captures = [text("state"), text("id")];
    let node = plan.records[0].cases[desk.case(RecordId(0), &captures)]?;
    let subject = captures[1].clone()?;
    Some((node, Outgoing { record: RecordId(0), subject, is_outermost: true, unmasks: false }))
}

fn passed(desk: &Desk, text: &str, slot: Option<Slot>) -> String {
    let slot = slot.filter(|_| !text.is_empty());
    let passed = match slot.map(|slot| (slot.verdict, slot)) {
        Some((Verdict::Clear, _)) => text.to_owned(),
        Some((Verdict::Mask, slot)) => mask(slot.mask.expect("a mask"), text),
        Some((Verdict::Pseudonym, _)) => desk.clone().pseudonym("customer.phone", text),
        _ => String::new(),
    };
    tamed(&passed)
}

/// What a spreadsheet may be given in place of this text.
fn tamed(text: &str) -> String {
    let number = text.strip_prefix(['+', '-']).unwrap_or("x");
    let is_number = number.parse::<f64>().is_ok_and(|_| {
        let (whole, rest) = number.split_once(['.', 'e', 'E']).unwrap_or((number, "0"));
        !whole.is_empty()
            && !rest.is_empty()
            && !number.contains(".e")
            && !number.contains(".E")
            && number.starts_with(|char: char| char.is_ascii_digit())
    });
    let starts = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if text.starts_with(starts) && !is_number { format!("'{text}") } else { text.to_owned() }
}

/// The slot that a column's name leads to, step by step.
fn lookup(plan: &Plan, node: NodeId, name: &str) -> Option<Slot> {
    let Some(Node::Object(object)) = plan.node(node) else { return None };
    let member = |name: &str| object.members.iter().find(|(n, _)| **n == *name).map(|(_, s)| *s);
    match name.split_once('.') {
        None => member(name),
        Some((first, rest)) => match member(first)?.verdict {
            Verdict::Enter(inside) => lookup(plan, inside, rest),
            Verdict::Absent | Verdict::Clear | Verdict::Mask | Verdict::Pseudonym => None,
        },
    }
}

fn shows(slot: Option<Slot>) -> bool {
    slot.is_some_and(|s| matches!(s.verdict, Verdict::Clear | Verdict::Mask | Verdict::Pseudonym))
}

/// Whether a column is declared, or lies inside of a field that is closed.
fn is_listed(plan: &Plan, node: NodeId, name: &str) -> bool {
    let is_closed = |slot: Slot| slot == Slot::of(Verdict::Absent);
    let mut outer = name.match_indices('.').filter_map(|(dot, _)| name.get(..dot));
    lookup(plan, node, name).is_some()
        || outer.any(|outer| lookup(plan, node, outer).is_some_and(is_closed))
}
