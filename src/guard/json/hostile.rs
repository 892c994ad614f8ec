//! Property tests with an enemy: whatever is done to a body, what must not pass does not.

use std::sync::Arc;

use proptest::prelude::*;

use crate::policy::kind::{Kind, Mask};
use crate::policy::plan::{Node, NodeId, Plan, RecordPlan, Slot, Verdict};

use super::rules::{enter, object, record, run, slot};
use super::{Caps, Mode};

/// No part of this may ever go out.
const CANARY: &str = "tweet";

/// Rows with a clear, a masked, an absent and a captured member, nested ones, and a row condition.
fn plan() -> Arc<Plan> {
    let masked = Slot { mask: Some(Mask::of(Kind::Phone)), ..slot(Verdict::Mask) };
    let state = Slot { capture: Some(0), ..slot(Verdict::Clear) };
    let members = [
        ("open", slot(Verdict::Clear)),
        ("phone", masked),
        ("state", state),
        ("more", enter(2)),
        ("hash", slot(Verdict::Absent)),
    ];
    let half = [("open", slot(Verdict::Mask)), ("state", state)];
    Arc::new(Plan {
        nodes: vec![
            Node::Array(enter(1)),
            record(0, &members),
            object(&[("open", slot(Verdict::Clear)), ("list", enter(3))]),
            Node::Array(enter(2)),
            record(0, &half),
        ],
        root: enter(0),
        records: vec![RecordPlan {
            entity: "customer".into(),
            subject: None,
            captures: 1,
            cases: vec![Some(NodeId(1)), None, Some(NodeId(4)), None],
            assumed: 0,
            taking: 0,
        }],
        fields: vec![],
        detections: vec![],
    })
}

/// A member that must not pass; in rows that are shut, none passes.
fn any_secret() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "hash",
        "phone",
        "secret",
        "Open",
        "open ",
        "",
        "ope",
        "openn",
        "stat\\u0065x",
        "\\u0068ash",
        "open\\u0000",
        "\\\"open\\\"",
        "o\\/pen",
        "ph\\u006fne",
    ]);
    let value = prop::sample::select(vec![
        r#""CANARY""#,
        r#""13\"CANARY""#,
        r#"["CANARY"]"#,
        r#"{"open":"CANARY"}"#,
        r#"[[{"open":"CANARY"}]]"#,
        r#"{"more":{"open":"CANARY"}}"#,
        r#""\u0074weet CANARY""#,
        r#"{"CANARY":1}"#,
    ]);
    (name, value)
        .prop_map(|(name, value)| format!(r#""{name}":{}"#, value.replace("CANARY", CANARY)))
}

fn any_harmless() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r#""open":"fine""#,
        r#""open":1.5e3"#,
        r#""more":{"open":true,"list":[{"open":null}]}"#,
        r#""phone":null"#,
        r#""more":{"hash":"tweet","list":[{"secret":"tweet"}]}"#,
        r#""more":["tweet"]"#,
        r#""open":["tweet"]"#,
        r#""open":{"open":"tweet"}"#,
        r#""more":"tweet""#,
    ])
    .prop_map(str::to_owned)
}

fn any_row() -> impl Strategy<Value = String> {
    let members = prop::collection::vec(prop_oneof![any_secret(), any_harmless()], 0..6);
    let state = prop::sample::select(vec!["open", "open", "half", "shut"]);
    (members, state, 0..6_usize, prop::sample::select(vec!["", " ", "\n"])).prop_map(
        |(mut members, state, place, gap)| {
            members.insert(place.min(members.len()), format!(r#""state":"{state}""#));
            if state == "shut" {
                members.push(format!(r#""open":"{CANARY}""#));
            }
            format!("{gap}{{{}}}{gap}", members.join(&format!("{gap},{gap}")))
        },
    )
}

fn any_body() -> impl Strategy<Value = String> {
    prop::collection::vec(any_row(), 0..5).prop_map(|rows| format!("[{}]", rows.join(",")))
}

/// One way to damage a body.
#[derive(Clone, Debug)]
enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, &'static str),
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let pieces = vec![
        "\"", "\\", ",", ":", "{", "}", "[", "]", " ", "\u{0}", "null", "\\u0022", "\u{feff}",
        "/*", "1", "-", "e",
    ];
    prop_oneof![
        (any::<usize>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 1..9_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (any::<usize>(), 1..30_usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
        (any::<usize>(), prop::sample::select(pieces))
            .prop_map(|(at, text)| Damage::Insert(at, text)),
    ]
}

fn damage(body: &mut Vec<u8>, damage: &Damage) {
    let size = body.len().max(1);
    match *damage {
        Damage::Flip(at, bit) => {
            if let Some(byte) = body.get_mut(at % size) {
                *byte ^= bit;
            }
        }
        Damage::Cut(at) => body.truncate(at % size),
        Damage::Remove(at, count) => {
            let at = at % size;
            body.drain(at.min(body.len())..(at + count).min(body.len()));
        }
        Damage::Repeat(at, count) => {
            let at = (at % size).min(body.len());
            let piece = body[at..(at + count).min(body.len())].to_vec();
            body.splice(at..at, piece);
        }
        Damage::Insert(at, text) => {
            let at = (at % size).min(body.len());
            body.splice(at..at, text.bytes());
        }
    }
}

/// Everything that is let out of a body, also before a fault.
fn let_out(body: &[u8], size: usize) -> String {
    use super::{Filter, rules::desk};
    let mut filter = Filter::new(plan(), Caps::default(), Mode::Drop, desk());
    let mut output = Vec::new();
    for chunk in body.chunks(size) {
        if filter.push(bytes::Bytes::copy_from_slice(chunk)).is_err() {
            break;
        }
        output.extend(filter.take_output().concat());
    }
    if filter.finish().is_ok() {
        output.extend(filter.take_output().concat());
    }
    String::from_utf8(output).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_must_not_pass_does_not(body in any_body(), size in 1..50_usize) {
        let output = let_out(body.as_bytes(), size);
        prop_assert!(!output.contains(CANARY), "{body} gives {output}");
    }

    #[test]
    fn a_damaged_body_gives_what_a_parser_reads_in_it_or_nothing(
        body in any_body(),
        harm in prop::collection::vec(any_damage(), 1..4),
        size in 1..50_usize,
    ) {
        let mut body = body.into_bytes();
        harm.iter().for_each(|harm| damage(&mut body, harm));
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        let whole = run(&plan(), Caps::default(), Mode::Drop, 9, [&body[..]]);
        let split = run(&plan(), Caps::default(), Mode::Drop, 9, body.chunks(size));
        prop_assert_eq!(&whole, &split);
        prop_assert!(is_json || whole.is_err(), "{} passed", String::from_utf8_lossy(&body));
        if let Ok((output, _)) = &whole {
            prop_assert!(output.is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(output).is_ok());
            let may_show = serde_json::from_slice(&body).map_or(true, |tree| shows_in_rows(&tree));
            prop_assert!(may_show || !output.contains(CANARY), "{}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn no_bytes_whatever_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300), size in 1..50_usize) {
        let whole = run(&plan(), Caps::default(), Mode::Drop, 9, [&body[..]]);
        prop_assert_eq!(whole, run(&plan(), Caps::default(), Mode::Drop, 9, body.chunks(size)));
    }
}

/// A body with duplicates, in order.
enum Tree {
    Scalar(String),
    List(Vec<Tree>),
    Members(Vec<(String, Tree)>),
}

impl Tree {
    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Tree> {
        let members = match self {
            Self::Members(members) => members.as_slice(),
            Self::Scalar(_) | Self::List(_) => &[],
        };
        members.iter().filter(move |(n, _)| n == name).map(|(_, value)| value)
    }

    fn has_canary(&self) -> bool {
        matches!(self, Self::Scalar(text) if text.contains(CANARY))
    }
}

/// Whether damage put the canary where the rules let values pass in clear.
fn shows_in_rows(body: &Tree) -> bool {
    let Tree::List(rows) = body else { return false };
    rows.iter().any(|row| {
        row.named("state").any(Tree::has_canary)
            || row.named("open").any(Tree::has_canary)
            || row.named("more").any(shows)
    })
}

/// The same inside of `more`.
fn shows(inner: &Tree) -> bool {
    let in_list = |list: &Tree| matches!(list, Tree::List(items) if items.iter().any(shows));
    inner.named("open").any(Tree::has_canary) || inner.named("list").any(in_list)
}

impl<'de> serde::Deserialize<'de> for Tree {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> serde::de::Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(String::new()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(String::new()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(String::new()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(String::new()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(String::new()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Members(members))
    }
}
