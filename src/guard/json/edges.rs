//! Tests: what reads a block at a time gives the same wherever something stands in the block. An attacker who
//! reads the source chooses the place.

use std::sync::Arc;

use proptest::prelude::*;

use crate::policy::kind::{Kind, Mask};
use crate::policy::plan::{FieldId, Node, NodeId, Plan, RecordPlan, Slot, Verdict};

use super::rules::{Outcome, enter, object, record, run, slot};
use super::{Caps, Cause, Mode};

/// Rows with a member in clear, a masked, an absent and a deciding one.
fn plan() -> Arc<Plan> {
    let masked = Slot { mask: Some(Mask::of(Kind::Phone)), ..slot(Verdict::Mask) };
    let state = Slot { capture: Some(0), ..slot(Verdict::Clear) };
    let members = [
        ("state", state),
        ("open", slot(Verdict::Clear)),
        ("phone", masked),
        ("hash", slot(Verdict::Absent)),
    ];
    Arc::new(Plan {
        nodes: vec![Node::Array(enter(1)), record(0, &members)],
        root: enter(0),
        records: vec![RecordPlan {
            entity: "customer".into(),
            subject: None,
            captures: 1,
            cases: vec![Some(NodeId(1)), None, None, None],
            assumed: 0,
            taking: 0,
        }],
        ..Plan::nothing()
    })
}

const ROW: &str = concat!(
    r#"{"state":"open","open":"aaaaaaaaaaaaaaaaaaaa","phone":"13812345678","#,
    r#""hash":"bbbbbbbbbbbbbbbbbbbb","other":"cccccccccccccccccccc"}"#
);

/// Filters a body whole and in pieces about as long as blocks and windows; all must agree.
fn judge(plan: &Arc<Plan>, body: &[u8]) -> Outcome {
    let of = |size: usize| run(plan, Caps::default(), Mode::Drop, usize::MAX, body.chunks(size));
    let whole = of(body.len());
    for size in [1, 15, 16, 17, 63, 64, 65] {
        assert_eq!(of(size), whole, "in pieces of {size}: {}", String::from_utf8_lossy(body));
    }
    whole
}

/// Three rows, and something put into a text of the last one but one, at each place.
fn with_each(put: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let body = format!("[{ROW},{ROW},{ROW}]").into_bytes();
    let places = ROW.len() + 2..2 * ROW.len() + 2;
    let in_texts: Vec<usize> = places.filter(|at| b"abc5".contains(&body[*at])).collect();
    let put = put.to_vec();
    in_texts.into_iter().filter_map(move |at| {
        // Within a run of its letter, so not in a name.
        let inside = body[at - 1] == body[at] || body[at - 1] == b'4';
        inside.then(|| (at, [&body[..at], &put[..], &body[at..]].concat()))
    })
}

#[test]
fn bytes_that_are_no_text_are_found_at_every_place_also_in_what_is_left_out() {
    let plan = plan();
    let no_text: [&[u8]; 7] = [
        b"\xff",
        b"\x80",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe5\xae",
        b"\xf0\x9f\x98",
    ];
    for bytes in no_text {
        for (at, body) in with_each(bytes) {
            assert_eq!(judge(&plan, &body), Err(Cause::InvalidUtf8.at(at as u64)), "{bytes:?}");
        }
    }
    for char in ["é", "客", "😀"] {
        for (_, body) in with_each(char.as_bytes()) {
            assert!(judge(&plan, &body).is_ok());
        }
    }
}

#[test]
fn what_no_text_of_json_may_hold_is_found_at_every_place() {
    let plan = plan();
    for control in [b"\0", b"\n", b"\t", b"\x1f"] {
        for (at, body) in with_each(control) {
            assert_eq!(judge(&plan, &body), Err(Cause::ControlCharacter.at(at as u64)));
        }
    }
    for (escape, bad) in [(r"\x", 1), (r"\u12g4", 4), (r"\'", 1)] {
        for (at, body) in with_each(escape.as_bytes()) {
            assert_eq!(
                judge(&plan, &body),
                Err(Cause::BadEscape.at((at + bad) as u64)),
                "{escape}"
            );
        }
    }
    for (_, body) in with_each(br#"","open":["x"],"hash":""#) {
        let (output, _) = judge(&plan, &body).unwrap();
        assert!(!output.contains('x') && !output.contains('b') && !output.contains('c'));
    }
}

/// What stands before and behind one letter of a name.
fn around(name: &str, at: usize) -> (&str, &str) {
    (name.split_at(at).0, name.split_at(at + 1).1)
}

#[test]
fn a_name_with_any_letter_escaped_is_the_one_it_spells_behind_one_that_taught_the_order() {
    let plan = plan();
    let value = |body: &str| -> serde_json::Value {
        serde_json::from_str(&judge(&plan, body.as_bytes()).unwrap().0).unwrap()
    };
    let wanted = value(&format!("[{ROW},{ROW},{ROW}]"));
    for name in ["state", "open", "phone", "hash"] {
        for (at, letter) in name.char_indices() {
            let (before, behind) = around(name, at);
            let code = u32::from(letter);
            for escaped in [format!("\\u{code:04x}"), format!("\\u{code:04X}")] {
                let sent = format!("\"{before}{escaped}{behind}\":");
                let row = ROW.replace(&format!("\"{name}\":"), &sent);
                assert_eq!(value(&format!("[{ROW},{row},{ROW}]")), wanted, "{sent}");
                let twice = row.replace('}', ",\"state\":\"open\"}");
                let twice = judge(&plan, format!("[{ROW},{twice}]").as_bytes());
                assert_eq!(twice.unwrap_err().cause, Cause::DuplicateCondition);
            }
        }
    }
}

#[test]
fn a_name_that_differs_in_one_letter_is_another_however_long_it_is() {
    for length in 1..=70 {
        let name = "n".repeat(length);
        let plan = Arc::new(Plan {
            nodes: vec![Node::Array(enter(1)), object(&[(&name, slot(Verdict::Clear))])],
            root: enter(0),
            ..Plan::nothing()
        });
        let mut others =
            vec![format!("{name}n"), around(&name, 0).1.to_owned(), format!("{name}\\\"")];
        for at in [0, length / 2, length - 1] {
            let (before, behind) = around(&name, at);
            others
                .extend(["m", "N", "\\u006d", "ñ"].map(|other| format!("{before}{other}{behind}")));
        }
        for other in others {
            let object =
                |name: &str, value: u8| format!("{{\"{name}\":{value},\"pad\":\"{name}\"}}");
            let body = format!("[{},{},{}]", object(&name, 1), object(&other, 2), object(&name, 3));
            let (output, _) = judge(&plan, body.as_bytes()).unwrap();
            assert_eq!(output, format!("[{{\"{name}\":1}},{{}},{{\"{name}\":3}}]"), "{other}");
        }
    }
}

#[test]
fn a_number_is_read_alike_at_every_distance_from_the_end_of_a_block() {
    let plan = plan();
    let digits = "1234567890123456789012345678901234567890";
    for length in 1..=digits.len() {
        let whole = digits.split_at(length).0;
        let good =
            [format!("-{whole}"), format!("{whole}.{whole}"), format!("0.{whole}e-{length}")];
        let bad =
            [format!("0{whole}"), format!("{whole}."), format!("{whole}e"), format!("{whole}.5.1")];
        for number in good.iter().chain(&bad) {
            let row = format!(r#"{{"state":"open","open":{number},"hash":{number}}}"#);
            let outcome = judge(&plan, format!("[{ROW},{row},{row}]").as_bytes());
            match outcome {
                Ok((output, _)) => {
                    assert!(good.contains(number), "{number}");
                    let wanted = format!(r#"{{"state":"open","open":{number}}}"#);
                    assert!(output.ends_with(&format!(",{wanted},{wanted}]")), "{output}");
                }
                Err(fault) => assert!(bad.contains(number), "{number}: {fault}"),
            }
        }
    }
}

#[test]
fn plans_that_a_thread_judges_by_in_turn_do_not_learn_from_one_another() {
    let of = |verdict| {
        let masked = Slot { mask: Some(Mask::of(Kind::Phone)), ..slot(verdict) };
        let nodes =
            vec![Node::Array(enter(1)), object(&[("id", slot(Verdict::Clear)), ("a", masked)])];
        Arc::new(Plan { nodes, root: enter(0), ..Plan::nothing() })
    };
    let body = r#"[{"id":1,"a":"13812345678","b":2},{"id":1,"a":"13812345678","b":2}]"#;
    let [clear, masked, absent] =
        [r#"{"id":1,"a":"13812345678"}"#, r#"{"id":1,"a":"138****5678"}"#, r#"{"id":1}"#];
    let verdicts = [(Verdict::Clear, clear), (Verdict::Mask, masked), (Verdict::Absent, absent)];
    let mut kept = Vec::new();
    for round in 0..300_usize {
        let (verdict, wanted) = verdicts[round * 7 % 3];
        // Now and then one that lives on; the others make room at addresses that are used again.
        let plan = of(verdict);
        let (output, _) = judge(&plan, body.as_bytes()).unwrap();
        assert_eq!(output, format!("[{wanted},{wanted}]"));
        if round % 5 == 0 {
            kept.push((plan, wanted));
        }
        for (plan, wanted) in kept.iter().rev().take(40).step_by(3) {
            let (output, _) = run(plan, Caps::default(), Mode::Drop, 9, [body.as_bytes()]).unwrap();
            assert_eq!(output, format!("[{wanted},{wanted}]"));
        }
    }
}

/// Records with an object inside of which all passes, beside one of which not all does.
fn with_objects() -> Arc<Plan> {
    let clear = |field| Slot { field: Some(FieldId(field)), ..slot(Verdict::Clear) };
    let members = [("at", enter(2)), ("by", enter(3)), ("n", clear(4))];
    Arc::new(Plan {
        nodes: vec![
            Node::Array(enter(1)),
            record(0, &members),
            object(&[("a", clear(0)), ("b", clear(1))]),
            object(&[
                ("c", clear(2)),
                ("d", Slot { field: Some(FieldId(3)), ..slot(Verdict::Absent) }),
            ]),
        ],
        root: enter(0),
        fields: ["at.a", "at.b", "by.c", "by.d", "n"].map(Into::into).into(),
        records: vec![RecordPlan {
            entity: "customer".into(),
            subject: None,
            captures: 0,
            cases: vec![Some(NodeId(1))],
            assumed: 0,
            taking: 0,
        }],
        ..Plan::nothing()
    })
}

#[test]
fn an_object_within_a_record_passes_as_a_whole_only_where_all_in_it_would_have_passed() {
    let plan = with_objects();
    let usual = r#"{"at":{"a":1,"b":"x"},"by":{"c":2,"d":3},"n":4}"#;
    for (inside, wanted) in [
        (r#"{"a":1,"b":"x"}"#, Ok(r#"{"a":1,"b":"x"}"#)),
        (r#"{"a":null,"b":"\u00e9"}"#, Ok(r#"{"a":null,"b":"\u00e9"}"#)),
        (r#"{"a":1}"#, Ok(r#"{"a":1}"#)),
        (r#"{"b":"x","a":1}"#, Ok(r#"{"b":"x","a":1}"#)),
        (r#"{"a":1,"a":2}"#, Ok(r#"{"a":1,"a":2}"#)),
        (r#"{ "a": 1 , "b":"x" }"#, Ok(r#"{ "a": 1 , "b":"x" }"#)),
        (r#"{"a":1,"b":"x","secret":5}"#, Ok(r#"{"a":1,"b":"x"}"#)),
        (r#"{"a":1,"b":{"deep":"x"}}"#, Ok(r#"{"a":1}"#)),
        (r#"{"a":1,"b":["x"]}"#, Ok(r#"{"a":1}"#)),
        (r#"{"c":1,"d":2}"#, Ok("{}")),
        ("{}", Ok("{}")),
        ("null", Ok("null")),
        ("7", Err("")),
    ] {
        let body = format!("[{usual},{{\"at\":{inside},\"by\":{{\"c\":2}},\"n\":4}},{usual}]");
        let at = wanted.map_or_else(|_none| String::new(), |at| format!("\"at\":{at},"));
        let usual = r#"{"at":{"a":1,"b":"x"},"by":{"c":2},"n":4}"#;
        let told = judge(&plan, body.as_bytes()).unwrap();
        let wanted = format!("[{usual},{{{at}\"by\":{{\"c\":2}},\"n\":4}},{usual}]");
        assert_eq!(told.0, wanted, "{inside}");
    }
    for broken in
        [r#"{"a":01,"b":"x"}"#, r#"{"a":1,"b":"x",}"#, r#"{"a":1 "b":"x"}"#, r#"{"a":1,"b":"\q"}"#]
    {
        let body = format!("[{usual},{{\"at\":{broken}}},{usual}]");
        judge(&plan, body.as_bytes()).unwrap_err();
    }
    let shallow = Caps { depth: 2, ..Caps::default() };
    let body = format!("[{usual},{usual}]");
    let fault = run(&plan, shallow, Mode::Drop, usize::MAX, [body.as_bytes()]).unwrap_err();
    assert_eq!(fault, Cause::TooDeep { cap: 2 }.at(7));
}

/// Records that are judged by a member of an object inside, which has another one that simply passes.
fn decided_inside() -> Arc<Plan> {
    let id = Slot { capture: Some(0), ..slot(Verdict::Clear) };
    Arc::new(Plan {
        nodes: vec![
            Node::Array(enter(1)),
            record(0, &[("branch", enter(2))]),
            object(&[("name", slot(Verdict::Clear)), ("id", id)]),
        ],
        root: enter(0),
        records: vec![RecordPlan {
            entity: "customer".into(),
            subject: None,
            captures: 1,
            cases: vec![Some(NodeId(1)), None, None, None],
            assumed: 0,
            taking: 0,
        }],
        ..Plan::nothing()
    })
}

const BRANCHES: [&str; 7] = [
    r#"{"name":"x","id":"open"}"#,
    r#"{"name":"x"}"#,
    r#"{"id":"open"}"#,
    r#"{"id":"shut","name":"x"}"#,
    r#"{"name":"x","name":"y"}"#,
    "{}",
    "null",
];

fn with_branches(rows: &[Vec<usize>]) -> String {
    let row = |branches: &Vec<usize>| {
        let all: Vec<_> =
            branches.iter().map(|at| format!("\"branch\":{}", BRANCHES[*at])).collect();
        format!("{{{}}}", all.join(","))
    };
    format!("[{}]", rows.iter().map(row).collect::<Vec<_>>().join(","))
}

#[test]
fn an_object_that_leads_to_a_deciding_member_may_not_stand_there_twice_though_it_passes_as_a_whole()
{
    let body = with_branches(&[vec![0], vec![0], vec![1, 2]]);
    let fault = judge(&decided_inside(), body.as_bytes()).unwrap_err();
    assert_eq!(fault.cause, Cause::DuplicateCondition, "{body}");
}

proptest! {
    #[test]
    fn objects_that_lead_to_a_deciding_member_are_judged_alike_at_every_split(
        rows in prop::collection::vec(prop::collection::vec(0..BRANCHES.len(), 0..3), 1..6),
    ) {
        // The order of the names is known by then.
        let rows = [&[vec![0], vec![0]][..], &rows].concat();
        let told = judge(&decided_inside(), with_branches(&rows).as_bytes());
        let is_twice = |row: &Vec<usize>| row.len() > 1;
        let is_unheard = |row: &Vec<usize>| row.iter().any(|at| BRANCHES[*at].contains("id"));
        if rows.iter().any(|row| is_twice(row) && is_unheard(row)) {
            prop_assert!(told.is_err());
        }
    }
}
