//! Tests: what CSV is, and each rule of a plan by an example.

use std::sync::Arc;

use crate::guard::json::rules::{Desk, enter, object, record, slot};
use crate::guard::json::{Caps, Outgoing, Report};
use crate::policy::kind::{Kind, Mask};
use crate::policy::plan::{FieldId, Node, NodeId, Plan, RecordPlan, Slot, Verdict};
use crate::policy::value::Value;

use super::{Cause, Fault, Filter};

pub(super) type Outcome = Result<(String, Report, Vec<Outgoing>), Fault>;

/// Filters a body given in pieces.
pub(super) fn run<'a>(
    plan: &Arc<Plan>,
    caps: Caps,
    room: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut filter = Filter::new(plan.clone(), caps, Desk { room, taken: Vec::new() });
    let mut output = Vec::new();
    for piece in pieces {
        filter.push(piece)?;
        output.extend(filter.take_output().concat());
    }
    filter.finish()?;
    output.extend(filter.take_output().concat());
    assert_eq!(filter.report().bytes_out, output.len() as u64);
    let taken = filter.hooks().taken.clone();
    Ok((String::from_utf8(output).unwrap(), filter.report().clone(), taken))
}

/// Filters a body whole and in pieces; all must agree.
pub(super) fn filter(plan: &Arc<Plan>, room: usize, body: &[u8]) -> Outcome {
    let whole = run(plan, Caps::default(), room, [body]);
    for size in [1, 2, 7] {
        assert_eq!(run(plan, Caps::default(), room, body.chunks(size)), whole, "in {size}s");
    }
    whole
}

pub(super) fn out(body: &str) -> String {
    filter(&customers(), usize::MAX, body.as_bytes()).unwrap().0
}

pub(super) fn fault(body: impl AsRef<[u8]>) -> Fault {
    filter(&customers(), usize::MAX, body.as_ref()).unwrap_err()
}

fn phone(verdict: Verdict) -> Slot {
    Slot { field: Some(FieldId(0)), mask: Some(Mask::of(Kind::Phone)), ..slot(verdict) }
}

/// An array of customers: captured `state` and `id`; shut ones are withheld, half ones show less.
pub(super) fn customers() -> Arc<Plan> {
    let clear = slot(Verdict::Clear);
    let members = |phone_verdict, note| {
        [
            ("state", Slot { capture: Some(0), ..clear }),
            ("id", Slot { capture: Some(1), field: Some(FieldId(1)), ..clear }),
            ("name", clear),
            ("phone", phone(phone_verdict)),
            ("ref", Slot { field: Some(FieldId(1)), ..slot(Verdict::Pseudonym) }),
            ("note", Slot { field: Some(FieldId(2)), ..slot(note) }),
            ("address", enter(3)),
            ("tags", enter(4)),
            ("secret", Slot { field: Some(FieldId(3)), ..slot(Verdict::Absent) }),
        ]
    };
    Arc::new(Plan {
        nodes: vec![
            Node::Array(enter(1)),
            record(0, &members(Verdict::Clear, Verdict::Clear)),
            record(0, &members(Verdict::Mask, Verdict::Absent)),
            object(&[("city", clear), ("street", phone(Verdict::Mask)), ("geo", enter(5))]),
            Node::Array(clear),
            object(&[("lat", clear)]),
        ],
        root: enter(0),
        records: vec![RecordPlan {
            entity: "customer".into(),
            subject: Some(1),
            captures: 2,
            cases: vec![Some(NodeId(1)), None, Some(NodeId(2)), None],
            assumed: 0,
            taking: 0,
        }],
        fields: ["phone", "id", "note", "secret"].map(Box::from).to_vec(),
        detections: vec![],
    })
}

#[test]
fn columns_that_may_not_pass_leave_no_trace() {
    let table = [
        ("id,state,name\n1,open,a\n", "id,state,name\n1,open,a\n"),
        ("id,secret,state,password\n1,s,open,p\n", "id,state\n1,open\n"),
        ("secret,id,x,state\r\ns,1,x,open\r\n", "id,state\r\n1,open\r\n"),
        ("state,id,Name,NAME, name,name \nopen,1,a,b,c,d\n", "state,id\nopen,1\n"),
        (
            "state,id,address.city,address.geo.lat,address.x,address,tags,tags.0\nopen,1,c,2.5,x,{},[],t\n",
            "state,id,address.city,address.geo.lat\nopen,1,c,2.5\n",
        ),
        (
            "\"id\",\"state\",\"secret\"\n\"1\",\"open\",\"s\"\n",
            "\"id\",\"state\"\n\"1\",\"open\"\n",
        ),
        (",id,state\n0,1,open\n", "id,state\n1,open\n"),
    ];
    for (body, wanted) in table {
        assert_eq!(out(body), wanted);
        let open = body.trim_end_matches(['\r', '\n']);
        assert_eq!(out(open), wanted, "the last row may lack its end");
    }
}

#[test]
fn cells_in_clear_keep_their_bytes_and_their_quotes() {
    let body = "id,name,state\n1,\"a \"\"b\"\", c\r\nd\",open\n2,  x\ty ,open\n3,,\"open\"\n";
    assert_eq!(out(body), body);
    let formula = "id,name,state\n1,=1+1,open\n-2,\"@x\"\"y\",open\n";
    assert_eq!(out(formula), "id,name,state\n1,\"'=1+1\",open\n-2,\"'@x\"\"y\",open\n");
}

#[test]
fn cells_are_masked_or_replaced_and_an_empty_one_stays_empty() {
    let body = "id,state,phone,ref,address.street\n1,half,13812345678,abc,\"13812345678\"\n2,half,,,\"\"\n";
    let wanted = "id,state,phone,ref,address.street\n1,half,138****5678,p~id~3,\"138****5678\"\n2,half,,,\"\"\n";
    let (output, report, _) = filter(&customers(), 9, body.as_bytes()).unwrap();
    assert_eq!(output, wanted);
    assert_eq!((report.fields[0].clear, report.fields[0].masked), (0, 4));
    assert_eq!((report.fields[1].clear, report.fields[1].pseudonym), (2, 2));
}

#[test]
fn a_column_that_passes_for_some_records_is_empty_for_others() {
    let body = "id,state,note,secret\n1,open,n,s\n2,half,n,s\n3,shut,n,s\n";
    let (output, report, _) = filter(&customers(), 9, body.as_bytes()).unwrap();
    assert_eq!(output, "id,state,note\n1,open,n\n2,half,\n");
    assert_eq!((report.fields[2].clear, report.fields[2].withheld), (1, 1));
    assert_eq!(report.fields[3].withheld, 2);
}

#[test]
fn a_row_that_its_conditions_withhold_or_that_lacks_its_subject_vanishes() {
    let body = "state,id\nshut,1\n,2\nopen,\nopen,\"\"\nopen,3\n";
    let (output, report, taken) = filter(&customers(), 9, body.as_bytes()).unwrap();
    assert_eq!(output, "state,id\nopen,3\n");
    assert_eq!((report.records_released, report.records_withheld), (1, 2));
    assert_eq!(report.records_without_subject, 2);
    assert_eq!(taken.len(), 1);
    assert_eq!((&taken[0].subject, taken[0].is_outermost), (&Value::Text("3".into()), true));
    for (header, counts) in [("id,name", (1, 0)), ("state,name", (0, 1))] {
        let body = format!("{header}\nopen,x\n");
        let (output, report, _) = filter(&customers(), 9, body.as_bytes()).unwrap();
        assert_eq!(output, format!("{header}\n"));
        assert_eq!((report.records_withheld, report.records_without_subject), counts);
    }
}

#[test]
fn whether_the_last_row_was_left_out_does_not_show_at_the_one_before() {
    for end in ["\n", "\r\n"] {
        let body = |last: &str| format!("id,state{end}1,open{last}");
        let wanted = format!("id,state{end}1,open{end}");
        for last in ["", end, &format!("{end}2,shut"), &format!("{end}2,shut{end}")] {
            assert_eq!(out(&body(last)), wanted, "{last:?}");
        }
    }
}

#[test]
fn behind_a_limit_no_row_goes_out_and_all_are_counted() {
    let body = "id,state\n1,open\n2,open\n3,shut\n4,open\n5,open\n";
    let (output, report, _) = filter(&customers(), 2, body.as_bytes()).unwrap();
    assert_eq!(output, "id,state\n1,open\n2,open\n");
    assert!(report.limited);
    assert_eq!((report.records_held_back, report.records_withheld), (2, 1));
}

#[test]
fn a_row_of_one_empty_cell_does_not_become_an_empty_line() {
    let nodes = vec![Node::Array(enter(1)), record(0, &[("name", slot(Verdict::Clear))])];
    let only = RecordPlan {
        entity: "thing".into(),
        subject: None,
        captures: 0,
        cases: vec![Some(NodeId(1))],
        assumed: 0,
        taking: 0,
    };
    let plan = Arc::new(Plan {
        nodes,
        root: enter(0),
        records: vec![only],
        fields: vec![],
        detections: vec![],
    });
    let (output, report, _) = filter(&plan, 9, b"name\n\n\"\"\na\n").unwrap();
    assert_eq!(output, "name\n\"\"\n\"\"\na\n");
    assert_eq!(report.records_released, 3);
    let (output, report, _) = filter(&plan, 9, b"x,name\n1,\n").unwrap();
    assert_eq!((output.as_str(), report.records_released), ("name\n\"\"\n", 1));
}

#[test]
fn a_body_that_two_readers_could_take_differently_is_refused() {
    for (body, wanted) in [
        ("id,state\n1,op\"en\n", Cause::BareQuote.at(13)),
        ("id,state\n1,\"op\"en\n", Cause::BehindQuote.at(15)),
        ("id,state\n1,\"open\n", Cause::Truncated.at(17)),
        ("id,state\n1,\"open\" \n", Cause::BehindQuote.at(17)),
        ("id,state\n1,open\r2,open\n", Cause::BareReturn.at(16)),
        ("id,state\n1,open\r", Cause::BareReturn.at(16)),
        ("id,state\n1,open\r\r\n", Cause::BareReturn.at(16)),
        ("id,state\n1,\0open\n", Cause::ControlCharacter.at(11)),
        ("id,state\n\0,open\n", Cause::ControlCharacter.at(9)),
        ("id,state\n1,\"\u{1e}\"\n", Cause::ControlCharacter.at(12)),
        ("id,state\n1,open\u{b}\n", Cause::ControlCharacter.at(15)),
        ("id,state\n1\n", Cause::CellCount { columns: 2 }.at(9)),
        ("id,state\n1,open\n\n", Cause::CellCount { columns: 2 }.at(16)),
        ("id,state\n1,open,x\n", Cause::CellCount { columns: 2 }.at(17)),
        ("id,state\n1,open,\n", Cause::CellCount { columns: 2 }.at(16)),
        ("id;state\n1;open\n", Cause::NoHeader.at(0)),
        ("id\tstate\n1\topen\n", Cause::NoHeader.at(0)),
        ("1,open\n", Cause::NoHeader.at(0)),
        ("\nid,state\n", Cause::NoHeader.at(0)),
        ("", Cause::NoHeader.at(0)),
        ("ID,State\n1,open\n", Cause::NoHeader.at(0)),
        ("id,state,id\n1,open,2\n", Cause::DuplicateColumn.at(0)),
        ("id,\"id\"\n", Cause::DuplicateColumn.at(0)),
        ("id,x,x\n", Cause::DuplicateColumn.at(0)),
        ("id,,\n", Cause::DuplicateColumn.at(0)),
        // A line for one spreadsheet; to others it is the header.
        ("sep=,\nid,state\n1,open\n", Cause::NoHeader.at(0)),
    ] {
        assert_eq!(fault(body), wanted, "{body:?}");
    }
    assert_eq!(fault(b"id,state\n1,\xffopen\n"), Cause::InvalidUtf8.at(11));
    assert_eq!(fault(b"id,state\n1,\"\xe4\xbd\n\""), Cause::InvalidUtf8.at(12));
    assert_eq!(fault(b"\xff\xfei\0d\0"), Cause::ControlCharacter.at(3));
}

#[test]
fn one_byte_order_mark_may_stand_before_the_header_and_passes_with_it() {
    let body = "\u{feff}id,state\n1,open\n";
    assert_eq!(out(body), body);
    let quoted = "\u{feff}\"id\",state\n1,open\n";
    assert_eq!(out(quoted), quoted);
    assert_eq!(out("\u{feff}\u{feff}id,state,name\n1,open,a\n"), "\u{feff}state,name\n");
    assert_eq!(out("id,\u{feff}state,state\n1,\u{feff}shut,open\n"), "id,state\n1,open\n");
    for begun in ["\u{fec0}", "\u{ffff}", "\u{f000}"] {
        assert_eq!(out(&format!("{begun},id,state\n0,1,open\n")), "id,state\n1,open\n");
    }
    for (begun, at) in [(&b"\xef"[..], 0), (b"\xef\xbb", 0), (b"\xef\xbbid", 0)] {
        assert_eq!(fault(begun), Cause::InvalidUtf8.at(at));
    }
    assert_eq!(fault(b"\xef\xbb\xbf"), Cause::NoHeader.at(3));
}

#[test]
fn every_cap_holds_to_the_byte() {
    let caps =
        Caps { record_bytes: 40, value_bytes: 11, key_bytes: 8, columns: 4, ..Caps::default() };
    let all = |body: &str| {
        let whole = run(&customers(), caps, 9, [body.as_bytes()]);
        for size in [1, 3] {
            assert_eq!(run(&customers(), caps, 9, body.as_bytes().chunks(size)), whole);
        }
        whole.map(|(output, ..)| output)
    };
    let row = |bytes: usize| format!("1,open,{}\n", "x".repeat(bytes - "1,open,\n".len()));
    let good = format!("id,state,name\n{}{}", row(40), row(40));
    assert_eq!(all(&good), Ok(good.clone()));
    let large = Cause::RowTooLarge { cap: 40 }.at(14 + 40 + 40);
    assert_eq!(all(&format!("id,state,name\n{}{}", row(40), row(41))), Err(large));
    let phone = |digits: usize| format!("id,state,phone\n1,half,\"{}\"\n", "1".repeat(digits));
    assert!(all(&phone(11)).is_ok());
    assert_eq!(all(&phone(12)), Err(Cause::ValueTooLong { cap: 11 }.at(15)));
    assert_eq!(all("id,state\n123456789012,open\n"), Err(Cause::ValueTooLong { cap: 11 }.at(9)));
    assert!(all("id,state,\"12345678\"\n").is_ok());
    assert_eq!(all("id,state,123456789\n"), Err(Cause::NameTooLong { cap: 8 }.at(0)));
    assert!(all("id,state,a,b\n").is_ok());
    assert_eq!(all("id,state,a,b,c\n"), Err(Cause::TooManyColumns { cap: 4 }.at(14)));
}

#[test]
fn a_plan_under_which_no_record_passes_gives_nothing() {
    let plan = Arc::new(Plan::nothing());
    let (output, report, _) = filter(&plan, 9, b"id,state\n1,open\n").unwrap();
    assert_eq!((output.as_str(), report.root_withheld), ("", true));
    assert!(filter(&plan, 9, b"id,state\n1\n").is_err());
    let (output, report, _) = filter(&customers(), 9, b"secret\ns\n").unwrap();
    assert_eq!((output.as_str(), report.root_withheld), ("", false));
    assert_eq!(report.records_withheld, 1);
}

#[test]
fn names_of_unlisted_columns_are_told_unless_the_first_row_may_be_a_customer() {
    let (_, report, _) =
        filter(&customers(), 9, b"id,state,risk,address.risk2,13812345678\n1,open,x,y,z\n")
            .unwrap();
    assert_eq!(report.unlisted_names.iter().collect::<Vec<_>>(), ["risk", "risk2"]);
    assert_eq!(report.unlisted_members, 3);
    let mut filter = Filter::new(customers(), Caps::default(), Desk::default());
    assert_eq!(filter.push(b"Alice,Wonderland\n").unwrap_err().cause, Cause::NoHeader);
    assert!(filter.report().unlisted_names.is_empty());
}

#[test]
fn a_filter_that_met_a_fault_stays_refused_and_gives_nothing_more() {
    let mut filter = Filter::new(customers(), Caps::default(), Desk { room: 9, taken: vec![] });
    let fault = filter.push(b"id,state\n1,open\n2,op\"").unwrap_err();
    assert_eq!(filter.take_output().concat(), b"");
    assert_eq!(filter.push(b"\n").unwrap_err(), fault);
    assert_eq!(filter.finish().unwrap_err(), fault);
    let mut filter = Filter::new(customers(), Caps::default(), Desk::default());
    filter.push(b"id,state,name\n1,open,Alice").unwrap();
    assert!(!format!("{filter:?}").contains("Alice"));
}

/// Filters a table with tabs whole and in pieces; all must agree.
fn tabs(body: &str) -> Result<String, Fault> {
    let run = |size: usize| {
        let desk = Desk { room: usize::MAX, taken: Vec::new() };
        let mut filter = Filter::tabs(customers(), Caps::default(), desk);
        for piece in body.as_bytes().chunks(size) {
            filter.push(piece)?;
        }
        filter.finish()?;
        Ok(String::from_utf8(filter.take_output().concat()).unwrap())
    };
    let whole = run(usize::MAX);
    for size in [1, 2, 7] {
        assert_eq!(run(size), whole, "in {size}s");
    }
    whole
}

#[test]
fn between_tabs_nothing_is_quoted() {
    for (body, wanted) in [
        ("id\tstate\tsecret\n1\topen\ts\n2\tshut\ts\n", "id\tstate\n1\topen\n"),
        ("id\tstate\tname\r\n1\topen\ta, \"b\"\r\n", "id\tstate\tname\r\n1\topen\ta, \"b\"\r\n"),
        (
            "id\tstate\tname\n1\topen\t=1+1\n-2\topen\t\n",
            "id\tstate\tname\n1\topen\t'=1+1\n-2\topen\t\n",
        ),
        ("id\tstate\tphone\n1\thalf\t13812345678", "id\tstate\tphone\n1\thalf\t138****5678\n"),
        ("\u{feff}id\tstate\n1\topen\n", "\u{feff}id\tstate\n1\topen\n"),
        ("id\tstate\tname\n1\topen\t,\n", "id\tstate\tname\n1\topen\t,\n"),
    ] {
        assert_eq!(tabs(body).unwrap(), wanted, "{body:?}");
    }
    for (body, cause) in [
        ("id\tstate\n1\t\"open\"\n", Cause::BareQuote),
        ("\"id\"\tstate\n1\topen\n", Cause::BareQuote),
        ("id\tstate\n1\topen\t\n", Cause::CellCount { columns: 2 }),
        ("id\tstate\n1\n", Cause::CellCount { columns: 2 }),
        ("id\tstate\n1\topen\rx\n", Cause::BareReturn),
        ("id\tstate\n1\top\u{b}en\n", Cause::ControlCharacter),
        ("id,state\n1,open\n", Cause::NoHeader),
        ("id\tid\n1\t2\n", Cause::DuplicateColumn),
        ("", Cause::NoHeader),
    ] {
        assert_eq!(tabs(body).unwrap_err().cause, cause, "{body:?}");
    }
}
