//! The CSV filter beside a naive one over whole rows.

use std::sync::Arc;

use bytes::Bytes;
use menshen::guard::csv::{Fault, Filter};
use menshen::guard::json::{Caps, Outgoing, Report};
use menshen::policy::kind::{Kind, Mask};
use menshen::policy::plan::{
    FieldId, Node, NodeId, ObjectNode, Plan, RecordId, RecordPlan, Slot, Verdict,
};

use super::input::{Input, small_caps};
use super::plans::Desk;
use super::table::{judge, read};

type Outcome = Result<(Vec<u8>, Report, Vec<Outgoing>), Fault>;

/// Any bytes as a table.
pub fn filter(data: &[u8]) {
    let Some(input) = Input::of(data) else { return };
    let plan = plan(input.plan);
    let [whole, bytes, pieces] =
        input.splits(input.body).map(|pieces| run(&plan, Caps::default(), &input, &pieces));
    assert_eq!(whole, bytes, "byte by byte");
    assert_eq!(whole, pieces, "in pieces");
    let [small, bytes, pieces] =
        input.splits(input.body).map(|pieces| run(&plan, small_caps(), &input, &pieces));
    assert_eq!(small, bytes, "byte by byte, under small caps");
    assert_eq!(small, pieces, "in pieces, under small caps");
    if let Ok(small) = small {
        assert_eq!(Ok(small), whole, "small caps refuse more and change nothing");
    }
    let mut desk = Desk { room: input.room, taken: vec![] };
    let text = std::str::from_utf8(input.body).ok();
    let text = text.map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let wanted = text.and_then(read).and_then(|rows| judge(&plan, &mut desk, &rows));
    let shown = input.body.escape_ascii();
    match (whole, wanted) {
        (Ok((output, report, taken)), Some((rows, held_back))) => {
            let output = String::from_utf8(output).expect("text stays text");
            let output = output.strip_prefix('\u{feff}').unwrap_or(&output);
            assert_eq!(read(output).as_ref(), Some(&rows), "{shown} gives {output:?}");
            assert_eq!(report.records_held_back, held_back);
            assert_eq!(report.records_released, taken.len() as u64);
            assert_eq!(taken, desk.taken);
        }
        (Err(_), None) => {}
        (Err(fault), Some(_)) if is_cap(&fault) => {}
        (got, wanted) => panic!("{shown} gives {got:?}, not {wanted:?}"),
    }
}

fn run(plan: &Arc<Plan>, caps: Caps, input: &Input<'_>, pieces: &[Bytes]) -> Outcome {
    let mut filter = Filter::new(plan.clone(), caps, Desk { room: input.room, taken: vec![] });
    let mut output = Vec::new();
    for piece in pieces {
        filter.push(piece)?;
        output.extend(filter.take_output().concat());
    }
    filter.finish()?;
    output.extend(filter.take_output().concat());
    Ok((output, filter.report().clone(), filter.hooks().taken.clone()))
}

fn is_cap(fault: &Fault) -> bool {
    use menshen::guard::csv::Cause;
    matches!(
        fault.cause,
        Cause::RowTooLarge { .. }
            | Cause::TooManyColumns { .. }
            | Cause::NameTooLong { .. }
            | Cause::ValueTooLong { .. }
    )
}

/// Two forms of a record with a field of each treatment; the number says which goes where.
pub fn plan(number: u8) -> Arc<Plan> {
    let treatments = [Verdict::Clear, Verdict::Mask, Verdict::Pseudonym, Verdict::Absent];
    let mut chance = usize::from(number);
    let mut slot = || {
        chance = chance.wrapping_mul(5).wrapping_add(3);
        Slot {
            mask: Some(Mask::of([Kind::Phone, Kind::PersonName][chance / 4 % 2])),
            field: Some(FieldId(0)),
            ..Slot::of(treatments[chance % 4])
        }
    };
    let mut form = |inside: u32| {
        let state = Slot { capture: Some(0), ..slot() };
        let id = Slot { capture: Some(1), ..slot() };
        let address = Slot::of(Verdict::Enter(NodeId(inside)));
        let members = [
            ("state", state),
            ("id", id),
            ("name", slot()),
            ("phone", slot()),
            ("address", address),
        ];
        let inner = [("city", slot()), ("street", slot())];
        (object(Some(RecordId(0)), &members), object(None, &inner))
    };
    let ((full, full_address), (half, half_address)) = (form(3), form(4));
    Arc::new(Plan {
        nodes: vec![
            Node::Array(Slot::of(Verdict::Enter(NodeId(1)))),
            full,
            half,
            full_address,
            half_address,
        ],
        root: Slot::of(Verdict::Enter(NodeId(0))),
        records: vec![RecordPlan {
            entity: "customer".into(),
            subject: Some(1),
            captures: 2,
            cases: vec![Some(NodeId(1)), None, Some(NodeId(2)), None],
            assumed: 0,
            taking: 0,
        }],
        fields: vec!["customer.phone".into()],
        ..Plan::nothing()
    })
}

fn object(record: Option<RecordId>, members: &[(&str, Slot)]) -> Node {
    let members = members.iter().map(|(name, slot)| ((*name).into(), *slot)).collect();
    Node::Object(ObjectNode { members, record, unmasks: false })
}
