//! The JSON filter beside a naive one over what an independent parser reads.

use std::sync::Arc;

use bytes::Bytes;
use menshen::guard::json::{Caps, Cause, Fault, Filter, Mode, Outgoing, Report};
use menshen::guard::{BodyGuard, Charset, Wire};
use menshen::policy::Format;
use menshen::policy::plan::{Node, NodeId, ObjectNode, Plan, Slot, Verdict};

use super::encoding::{WAYS, codings, encode};
use super::input::{Input, small_caps};
use super::naive::{Naive, trim, writes};
use super::plans::{Desk, NAMES, plan};
use super::tree::{Print, Tree, may_hold_surrogate, read};

/// What a filter gave: the bytes, what it reports, whom it counted.
type Outcome = Result<(Vec<u8>, Report, Vec<Outgoing>), Fault>;

/// Any bytes as a JSON body.
pub fn filter(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    judge(&input, input.body);
}

/// Bytes as directions to write a good JSON body, which fuzzers reach more with.
pub fn tree(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    let mut body = Vec::new();
    Writer { directions: input.body.iter(), depth: 0 }.value(&mut body);
    judge(&input, &body);
    let Some(tree) = read(&body, 7) else { panic!("{}", shown(&body)) };
    passes_whole(&input, &tree, &body);
}

/// Any bytes as a body of lines.
pub fn lines(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    let plan = plan(input.plan);
    let whole = agree(&input, input.body, |pieces| {
        drive(Filter::lines(plan.clone(), Caps::default(), desk(input.room)), pieces)
    });
    capped(&input, input.body, &whole, |pieces| {
        drive(Filter::lines(plan.clone(), small_caps(), desk(input.room)), pieces)
    });
    if may_hold_surrogate(input.body) {
        return;
    }
    let wanted = read_lines(input.body).and_then(|lines| {
        let mut naive = naive(&plan, input.room);
        let passed = naive.lines(&lines).ok()?;
        Some((passed, naive.held_back, naive.desk.taken))
    });
    match (whole, wanted) {
        (Ok((output, report, taken)), Some((passed, held_back, counted))) => {
            let got = read_lines(&output).expect("lines come out as lines");
            assert_eq!(got, passed, "{} gives {}", shown(input.body), shown(&output));
            assert_eq!((report.records_held_back, taken), (held_back, counted));
        }
        (Err(_), None) => {}
        (Err(fault), Some(_)) if is_cap(&fault) => {}
        (got, wanted) => panic!("{} gives {got:?}, not {wanted:?}", shown(input.body)),
    }
}

/// Any bytes as a body on its way to the backend.
pub fn request(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    let plan = plan(input.plan);
    let whole = agree(&input, input.body, |pieces| {
        drive(Filter::new(plan.clone(), Caps::default(), Mode::Refuse, desk(0)), pieces)
    });
    if may_hold_surrogate(input.body) {
        return;
    }
    let may = read(input.body, 5).is_some_and(|body| writes(&plan, &body) == Ok(true));
    match whole {
        Ok((output, ..)) => {
            assert!(may, "{} was let in", shown(input.body));
            assert_eq!(shown(&output), shown(input.body), "it passes whole");
        }
        Err(fault) => assert!(!may || is_cap(&fault), "{}: {fault}", shown(input.body)),
    }
}

/// Any bytes as a body on its way to the backend, where members that may not be written are left out.
pub fn trimmed(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    let plan = plan(input.plan);
    let run = |mode| {
        agree(&input, input.body, |pieces| {
            drive(Filter::new(plan.clone(), Caps::default(), mode, desk(0)), pieces)
        })
    };
    let whole = run(Mode::Trim);
    if let Ok(refusing) = run(Mode::Refuse) {
        assert_eq!(whole, Ok(refusing), "what may be written loses nothing");
    }
    if may_hold_surrogate(input.body) {
        return;
    }
    let wanted = read(input.body, 5).and_then(|body| trim(&plan, &body).ok());
    match whole {
        Ok((output, ..)) => {
            let got = read(&output, output.len().max(1));
            assert!(got.is_some(), "{} gives {}", shown(input.body), shown(&output));
            assert_eq!(got, wanted, "{} gives {}", shown(input.body), shown(&output));
        }
        Err(fault) => {
            assert!(wanted.is_none() || is_cap(&fault), "{}: {fault}", shown(input.body));
        }
    }
}

fn judge(input: &Input<'_>, body: &[u8]) {
    let plan = plan(input.plan);
    let whole = agree(input, body, |pieces| {
        drive(Filter::new(plan.clone(), Caps::default(), Mode::Drop, desk(input.room)), pieces)
    });
    capped(input, body, &whole, |pieces| {
        drive(Filter::new(plan.clone(), small_caps(), Mode::Drop, desk(input.room)), pieces)
    });
    packed(input, &plan, body, &whole);
    if may_hold_surrogate(body) {
        return;
    }
    let tree = read(body, 1 + usize::from(input.flags));
    if let (Ok(_), Some(tree)) = (&whole, &tree) {
        printed(input, &plan, tree);
    }
    match (whole, tree) {
        (Ok((output, report, taken)), Some(tree)) => {
            let mut naive = naive(&plan, input.room);
            let Ok(wanted) = naive.body(&tree) else { panic!("{} was let out", shown(body)) };
            let got = read(&output, output.len().max(1));
            assert_eq!(got, wanted, "{} gives {}", shown(body), shown(&output));
            assert_eq!(output.is_empty(), wanted.is_none());
            assert_eq!(report.root_withheld, wanted.is_none());
            assert_eq!(
                (report.limited, report.records_held_back),
                (naive.is_limited, naive.held_back)
            );
            assert_eq!(report.records_released, taken.len() as u64);
            assert_eq!(taken, naive.desk.taken);
        }
        (Ok(_), None) => panic!("{} is no JSON and was let out", shown(body)),
        (Err(_), None) => {}
        (Err(Fault { cause: Cause::DuplicateCondition, .. }), Some(tree)) => {
            assert!(naive(&plan, input.room).body(&tree).is_err(), "{}", shown(body));
        }
        (Err(fault), Some(_)) => assert!(is_cap(&fault), "{}: {fault}", shown(body)),
    }
}

/// However a body is printed, what leaves is printed as if nothing had been removed.
fn printed(input: &Input<'_>, plan: &Arc<Plan>, tree: &Tree) {
    let Ok(wanted) = naive(plan, input.room).body(tree) else { return };
    for print in [Print::Compact, Print::Pretty, Print::CommaFirst] {
        let (mut body, mut left) = (Vec::new(), Vec::new());
        tree.print(print, 0, &mut body);
        if let Some(wanted) = &wanted {
            wanted.print(print, 0, &mut left);
        }
        let outcome = agree(input, &body, |pieces| {
            let desk = desk(input.room);
            drive(Filter::new(plan.clone(), Caps::default(), Mode::Drop, desk), pieces)
        });
        match outcome {
            Ok((output, ..)) => assert_eq!(shown(&output), shown(&left), "{}", shown(&body)),
            Err(fault) => assert!(is_cap(&fault), "{fault}: {}", shown(&body)),
        }
    }
}

/// The filter gives the same for every split; gives it for the whole body.
fn agree(input: &Input<'_>, body: &[u8], run: impl Fn(&[Bytes]) -> Outcome) -> Outcome {
    let [whole, bytes, pieces] = input.splits(body).map(|pieces| run(&pieces));
    assert_eq!(whole, bytes, "byte by byte: {}", shown(body));
    assert_eq!(whole, pieces, "in pieces: {}", shown(body));
    whole
}

/// Under small caps a body gives the same for every split: what it gives under large ones, but for white
/// space that is left out, or a cap's fault.
fn capped(input: &Input<'_>, body: &[u8], wide: &Outcome, run: impl Fn(&[Bytes]) -> Outcome) {
    match (agree(input, body, run), wide) {
        (Err(fault), _) if is_cap(&fault) => {}
        (Err(fault), wide) => assert_eq!(Some(&fault), wide.as_ref().err()),
        (Ok(_), Err(fault)) => panic!("{} passes under small caps only: {fault}", shown(body)),
        (Ok((output, _, taken)), Ok((wide, _, counted))) => {
            let tight = |bytes: &[u8]| -> Vec<u8> {
                bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
            };
            assert_eq!((tight(&output), &taken), (tight(wide), counted));
        }
    }
}

/// In whatever coding a body comes, the same goes out.
fn packed(input: &Input<'_>, plan: &Arc<Plan>, body: &[u8], plain: &Outcome) {
    let (field, way) = WAYS[usize::from(input.flags) % WAYS.len()];
    let packed = encode(way, body);
    let run = |pieces: &[Bytes]| {
        let desk = desk(input.room);
        let wire = Wire { format: Format::Json, charset: Charset::UTF_8, codings: codings(field) };
        let mut guard = BodyGuard::response(wire, plan.clone(), Caps::default(), desk);
        let mut output = Vec::new();
        for piece in pieces {
            guard.push(piece.clone())?;
            output.extend(guard.take_output().concat());
        }
        guard.finish()?;
        output.extend(guard.take_output().concat());
        Ok::<_, menshen::guard::BodyFault>(output)
    };
    for pieces in input.splits(&packed) {
        match (run(&pieces), plain) {
            (Ok(output), Ok((plain, ..))) => assert_eq!(shown(&output), shown(plain)),
            (Err(_), Err(_)) => {}
            (got, _) => panic!("{way:?} {}: {got:?}, plain {plain:?}", shown(body)),
        }
    }
}

/// Under rules that let all of it pass, a body passes byte for byte, both ways.
fn passes_whole(input: &Input<'_>, tree: &Tree, body: &[u8]) {
    let mut plan = Plan::nothing();
    let Some(root) = everything(tree, &mut plan.nodes) else { return };
    plan.root = root;
    let plan = Arc::new(plan);
    for mode in [Mode::Drop, Mode::Refuse] {
        let outcome = agree(input, body, |pieces| {
            drive(Filter::new(plan.clone(), Caps::default(), mode, desk(0)), pieces)
        });
        match outcome {
            Ok((output, ..)) => assert_eq!(shown(&output), shown(body)),
            Err(fault) => assert!(is_cap(&fault), "{fault}: {}", shown(body)),
        }
    }
}

/// Rules under which a body passes whole; none where an array or a name twice makes that impossible.
fn everything(tree: &Tree, nodes: &mut Vec<Node>) -> Option<Slot> {
    let node = match tree {
        Tree::List(items) if items.iter().any(Tree::is_container) => return None,
        Tree::List(_) => Node::Array(Slot::of(Verdict::Clear)),
        Tree::Members(members) => {
            let mut listed: Vec<(Box<str>, Slot)> = Vec::new();
            for (name, value) in members {
                if listed.iter().any(|(known, _)| **known == **name) {
                    return None;
                }
                listed.push((name.as_str().into(), everything(value, nodes)?));
            }
            Node::Object(ObjectNode { members: listed, ..ObjectNode::default() })
        }
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => {
            return Some(Slot::of(Verdict::Clear));
        }
    };
    nodes.push(node);
    let id = u32::try_from(nodes.len() - 1).expect("a few nodes");
    Some(Slot::of(Verdict::Enter(NodeId(id))))
}

fn read_lines(body: &[u8]) -> Option<Vec<Tree>> {
    let is_blank = |line: &&[u8]| !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
    body.split(|byte| *byte == b'\n').filter(is_blank).map(|line| read(line, line.len())).collect()
}

fn drive(mut filter: Filter<Desk>, pieces: &[Bytes]) -> Outcome {
    let mut output = Vec::new();
    for piece in pieces {
        if let Err(fault) = filter.push(piece.clone()) {
            assert!(filter.take_output().is_empty(), "nothing comes after a fault");
            assert_eq!(filter.finish(), Err(fault.clone()), "it stays refused");
            return Err(fault);
        }
        output.extend(filter.take_output().concat());
    }
    filter.finish()?;
    output.extend(filter.take_output().concat());
    let report = filter.report().clone();
    assert_eq!(report.bytes_out, output.len() as u64);
    Ok((output, report, filter.hooks().taken.clone()))
}

fn desk(room: usize) -> Desk {
    Desk { room, taken: Vec::new() }
}

pub fn naive(plan: &Plan, room: usize) -> Naive<'_> {
    Naive { plan, desk: desk(room), is_limited: false, held_back: 0 }
}

pub fn is_cap(fault: &Fault) -> bool {
    matches!(
        fault.cause,
        Cause::TooDeep { .. }
            | Cause::KeyTooLong { .. }
            | Cause::ValueTooLong { .. }
            | Cause::NumberTooLong { .. }
            | Cause::RecordTooLarge { .. }
    )
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Writes JSON as bytes direct.
struct Writer<'a> {
    directions: std::slice::Iter<'a, u8>,
    depth: usize,
}

impl Writer<'_> {
    fn next(&mut self) -> usize {
        self.directions.next().copied().map_or(0, usize::from)
    }

    fn gap(&mut self, into: &mut Vec<u8>) {
        let gaps = ["", "", "", "", "", " ", "\n", "\t\r\n   "];
        into.extend_from_slice(gaps[self.next() % gaps.len()].as_bytes());
    }

    fn value(&mut self, into: &mut Vec<u8>) {
        self.gap(into);
        let choice = self.next();
        let is_deep = self.depth > 6 || self.directions.len() == 0;
        match choice % 16 {
            0..=3 if !is_deep => self.list(into),
            4..=9 if !is_deep => self.members(into),
            10 => into.extend_from_slice(["null", "true", "false"][choice / 16 % 3].as_bytes()),
            11 | 12 => {
                let numbers = ["0", "-1", "13812345678", "1.50e+3", "-0.0", "1E400", "0.1"];
                into.extend_from_slice(numbers[choice / 16 % numbers.len()].as_bytes());
            }
            _ => self.text(choice / 16, into),
        }
        self.gap(into);
    }

    fn text(&mut self, choice: usize, into: &mut Vec<u8>) {
        let texts = [
            "open",
            "half",
            "shut",
            "13812345678",
            "张三丰",
            "",
            "x*\\\"\\\\\\n",
            "\\u0068alf",
            "\\ud83d\\ude00",
            "é\\u00e9\\/",
            "long long long long long long text",
            "138****5678",
            "\\\",\\\"phone\\\":\\\"",
            "}]",
            "\u{7f}\u{2028}",
            "p~x",
        ];
        into.push(b'"');
        into.extend_from_slice(texts[choice % texts.len()].as_bytes());
        into.push(b'"');
    }

    fn list(&mut self, into: &mut Vec<u8>) {
        self.depth += 1;
        into.push(b'[');
        for place in 0..self.next() % 5 {
            if place > 0 {
                into.push(b',');
            }
            self.value(into);
        }
        into.push(b']');
        self.depth -= 1;
    }

    fn members(&mut self, into: &mut Vec<u8>) {
        self.depth += 1;
        into.push(b'{');
        for place in 0..self.next() % 7 {
            if place > 0 {
                into.push(b',');
            }
            self.gap(into);
            self.name(into);
            self.gap(into);
            into.push(b':');
            self.value(into);
        }
        into.push(b'}');
        self.depth -= 1;
    }

    fn name(&mut self, into: &mut Vec<u8>) {
        let odd = ["", "A", "a\\u0000", "phone ", "\\\"a\\\"", "new", "etat\u{301}", "0"];
        let choice = self.next();
        let name = match choice % 16 {
            0..8 => NAMES[choice % 8],
            8..12 => NAMES[choice / 16 % 8],
            _ => odd[choice / 16 % odd.len()],
        };
        into.push(b'"');
        match choice % 16 {
            // Escaped, wholly or in its first letter.
            8 => name.encode_utf16().for_each(|unit| into.extend(format!("\\u{unit:04X}").bytes())),
            9 if name.is_ascii() && !name.is_empty() => {
                into.extend(format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]).bytes());
            }
            _ => into.extend_from_slice(name.as_bytes()),
        }
        into.push(b'"');
    }
}
