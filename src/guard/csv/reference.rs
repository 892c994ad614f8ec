//! Property tests: for any rows, plan and split, the filter gives what a naive one over whole rows gives.

use std::sync::Arc;

use proptest::prelude::*;

use crate::guard::json::rules::{Desk, enter, object, record};
use crate::guard::json::{Caps, Hooks as _, Outgoing, Take};
use crate::guard::mask::mask;
use crate::policy::kind::{Kind, Mask};
use crate::policy::plan::{FieldId, Node, NodeId, Plan, RecordPlan, Slot, Verdict};
use crate::policy::value::Value;

use super::tests::run;

type Rows = Vec<Vec<String>>;

const SCALARS: &[&str] = &["state", "id", "name", "phone"];
const INSIDE: &[&str] = &["city", "street"];
const COLUMNS: &[&str] =
    &["state", "id", "name", "phone", "address.city", "address.street", "address", "x", "Name"];

/// Reads rows as one would without caring for speed or memory; `None` for what must be refused.
fn read(text: &str) -> Option<Rows> {
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

/// The slot that a name leads to, step by step.
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

/// What a spreadsheet may be given in place of this text.
fn tamed(text: &str) -> String {
    let number = text.strip_prefix(['+', '-']).unwrap_or("x");
    let is_number = !number.is_empty() && number.chars().all(|char| char.is_ascii_digit());
    let starts = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝']);
    if starts && !is_number { format!("'{text}") } else { text.to_owned() }
}

/// The rows that go out, and what is counted; `None` for what must be refused.
fn naive(plan: &Plan, desk: &mut Desk, rows: &Rows) -> Option<(Rows, u64)> {
    let (header, rows) = rows.split_first()?;
    let record = &plan.records[0];
    let nodes: Vec<NodeId> = record.cases.iter().flatten().copied().collect();
    let distinct = header.iter().enumerate().all(|(i, name)| !header[..i].contains(name));
    let is_closed = |slot: Slot| slot == Slot::of(Verdict::Absent);
    let is_listed = |name: &String| {
        let mut outer = name.match_indices('.').filter_map(|(dot, _)| name.get(..dot));
        lookup(plan, nodes[0], name).is_some()
            || outer.any(|outer| lookup(plan, nodes[0], outer).is_some_and(is_closed))
    };
    if !distinct || !header.iter().any(is_listed) {
        return None;
    }
    let is_shown = |name: &str| nodes.iter().any(|node| shows(lookup(plan, *node, name)));
    let shown: Vec<usize> = (0..header.len()).filter(|i| is_shown(&header[*i])).collect();
    let mut out = Rows::new();
    let (mut is_limited, mut held_back) = (false, 0);
    if !shown.is_empty() {
        out.push(shown.iter().map(|i| header[*i].clone()).collect());
    }
    for row in rows {
        if row.len() != header.len() {
            return None;
        }
        let cell = |name: &str| header.iter().position(|n| n == name).map(|i| row[i].as_str());
        let text = |name: &str| cell(name).filter(|text| !text.is_empty()).map(Value::from);
        let captures = [text("state"), text("id")];
        let Some(node) = record.cases[desk.case(crate::policy::plan::RecordId(0), &captures)]
        else {
            continue;
        };
        let is_empty = !header.iter().any(|name| shows(lookup(plan, node, name)));
        let Some(subject) = captures[1].clone() else { continue };
        if is_empty {
            continue;
        }
        let (record, is_outermost) = (crate::policy::plan::RecordId(0), true);
        let outgoing = Outgoing { record, subject, is_outermost, unmasks: false };
        if is_limited || desk.take(&outgoing) == Take::HoldBack {
            is_limited = true;
            held_back += 1;
            continue;
        }
        let passed = shown.iter().map(|i| {
            let (text, slot) = (&row[*i], lookup(plan, node, &header[*i]));
            let slot = slot.filter(|_| !text.is_empty());
            let passed = match slot.map(|slot| (slot.verdict, slot)) {
                Some((Verdict::Clear, _)) => text.clone(),
                Some((Verdict::Mask, slot)) => mask(slot.mask.unwrap(), text),
                Some((Verdict::Pseudonym, _)) => desk.pseudonym("x", text),
                _ => String::new(),
            };
            tamed(&passed)
        });
        out.push(passed.collect());
    }
    Some((out, held_back))
}

fn any_slot() -> impl Strategy<Value = Slot> {
    let verdict = prop_oneof![
        1 => Just(Verdict::Absent),
        3 => Just(Verdict::Clear),
        1 => Just(Verdict::Mask),
        1 => Just(Verdict::Pseudonym),
    ];
    let kinds = vec![Kind::Phone, Kind::PersonName, Kind::Opaque];
    (verdict, prop::sample::select(kinds)).prop_map(|(verdict, kind)| Slot {
        mask: Some(Mask::of(kind)),
        field: Some(FieldId(0)),
        ..Slot::of(verdict)
    })
}

/// Two forms of a record, each with any treatment of each field.
fn any_plan() -> impl Strategy<Value = Arc<Plan>> {
    let slots = prop::collection::vec(any_slot(), 2 * (SCALARS.len() + INSIDE.len()));
    slots.prop_map(|mut slots| {
        let mut form = |inside: u32| {
            let mut members: Vec<(&str, Slot)> =
                SCALARS.iter().map(|name| (*name, slots.pop().unwrap())).collect();
            members[0].1.capture = Some(0);
            members[1].1.capture = Some(1);
            members.push(("address", enter(inside)));
            let inner: Vec<(&str, Slot)> =
                INSIDE.iter().map(|name| (*name, slots.pop().unwrap())).collect();
            (record(0, &members), object(&inner))
        };
        let ((full, full_address), (half, half_address)) = (form(3), form(4));
        Arc::new(Plan {
            nodes: vec![Node::Array(enter(1)), full, half, full_address, half_address],
            root: enter(0),
            records: vec![RecordPlan {
                entity: "customer".into(),
                subject: Some(1),
                captures: 2,
                cases: vec![Some(NodeId(1)), None, Some(NodeId(2)), None],
                assumed: 0,
                taking: 0,
            }],
            fields: vec!["x".into()],
            detections: vec![],
        })
    })
}

fn any_cell() -> impl Strategy<Value = String> {
    let usual = vec!["open", "half", "shut", "13812345678", "张三", "", "a,b"];
    let odd = vec!["=1+1", "-12", "+1+1", "@x", "＝1", "\t", "-", "\"", "a\"b\r\nc"];
    prop_oneof![
        6 => prop::sample::select(usual).prop_map(str::to_owned),
        2 => prop::sample::select(odd).prop_map(str::to_owned),
        1 => "[ !-~\u{4e00}-\u{4e10}\r\n\t]{0,6}",
    ]
}

/// A header and rows as long as it is.
fn any_rows() -> impl Strategy<Value = Rows> {
    let header = prop::sample::subsequence(COLUMNS.to_vec(), 2..=COLUMNS.len()).prop_shuffle();
    header.prop_flat_map(|header| {
        let header: Vec<String> = header.into_iter().map(str::to_owned).collect();
        let rows = prop::collection::vec(prop::collection::vec(any_cell(), header.len()), 0..8);
        rows.prop_map(move |rows| [vec![header.clone()], rows].concat())
    })
}

/// Writes rows with quotes where they must be, and where chance wants them.
fn dressed(rows: &Rows, mut seed: u64, ends_open: bool) -> String {
    let mut chance = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 62 == 0
    };
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().map(|cell| {
            let is_quoted = cell.contains([',', '"', '\r', '\n']) || chance();
            if is_quoted { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
        });
        text.push_str(&cells.collect::<Vec<_>>().join(","));
        text.push_str(if chance() { "\r\n" } else { "\n" });
    }
    if ends_open {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
    }
    text
}

/// One way to damage a body.
fn damaged(mut body: Vec<u8>, (kind, at, with): (u8, prop::sample::Index, u8)) -> Vec<u8> {
    let at = at.index(body.len().max(1)).min(body.len());
    match kind {
        0 if at < body.len() => body[at] ^= 1 << (with % 8),
        1 => body.truncate(at),
        2 => drop(body.splice(at..at, *b"\"")),
        3 => drop(body.splice(at..at, *b",")),
        4 => drop(body.splice(at..at, *b"\r")),
        5 => drop(body.splice(at..at, [with])),
        6 => drop(body.drain(at..body.len().min(at + usize::from(with % 16)))),
        _ => {
            let piece = body[at..].to_vec();
            body.extend(piece);
        }
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_filter_gives_what_a_naive_one_gives_for_every_split(
        plan in any_plan(),
        rows in any_rows(),
        seed: u64,
        ends_open: bool,
        room in prop_oneof![3 => Just(usize::MAX), 1 => 0..4_usize],
        size in 1..400_usize,
        damages in prop::collection::vec((0..8_u8, any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let text = dressed(&rows, seed, ends_open);
        let body = damages.into_iter().fold(text.into_bytes(), damaged);
        let mut desk = Desk { room, taken: vec![] };
        let seen = std::str::from_utf8(&body).ok();
        let seen = seen.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
        let wanted = seen.and_then(read).and_then(|rows| naive(&plan, &mut desk, &rows));

        let whole = run(&plan, Caps::default(), room, [&*body]);
        for size in [1, size] {
            prop_assert_eq!(&run(&plan, Caps::default(), room, body.chunks(size)), &whole);
        }
        let text = String::from_utf8_lossy(&body);
        match (whole, wanted) {
            (Ok((output, report, taken)), Some((rows, held_back))) => {
                let rows_out = read(&output);
                prop_assert_eq!(rows_out.as_ref(), Some(&rows), "{:?} gives {:?}", text, output);
                prop_assert_eq!(report.records_held_back, held_back);
                prop_assert_eq!(report.records_released, taken.len() as u64);
                prop_assert_eq!(taken, desk.taken);
            }
            (Err(_), None) => {}
            (got, wanted) => prop_assert!(false, "{:?} gives {:?}, not {:?}", text, got, wanted),
        }
    }

    #[test]
    fn no_bytes_whatever_make_it_panic(
        plan in any_plan(),
        body in prop::collection::vec(prop_oneof![
            prop::sample::select(b"id,state\"\r\n=".to_vec()),
            any::<u8>(),
        ], 0..60),
        size in 1..9_usize,
    ) {
        let body = [b"id,state,name\n1,open,".as_slice(), &body].concat();
        let whole = run(&plan, Caps::default(), 9, [&*body]);
        prop_assert_eq!(run(&plan, Caps::default(), 9, body.chunks(size)), whole);
    }
}
