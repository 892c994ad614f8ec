//! Masks and the detector: what must hold of any text, and that a body gives the same wherever it is cut.

use std::sync::Arc;

use bytes::Bytes;
use menshen::guard::detect::{Fate, examine, may_hold};
use menshen::guard::json::{Caps, Filter, Mode};
use menshen::guard::mask::{WHOLLY_MASKED, is_masked_form, mask};
use menshen::policy::kind::{Kind, Mask};
use menshen::policy::plan::{
    DetectId, Detection, Node, NodeId, ObjectNode, OnHit, Plan, Slot, Sought, Verdict,
};

use super::plans::Desk;

const KINDS: [Kind; 8] = [
    Kind::BankCard,
    Kind::BankAccount,
    Kind::CnResidentId,
    Kind::KrResidentNumber,
    Kind::ThNationalId,
    Kind::IdNik,
    Kind::Phone,
    Kind::Email,
];

/// Any text in a field that is not graded for what it may hold.
pub fn detect(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    if text.len() > 4096 {
        return;
    }
    let kinds = KINDS.iter().enumerate().filter(|(at, _)| choice == 0 || choice >> at & 1 == 1);
    let sought = kinds.map(|(_, kind)| Sought { mask: Mask::of(*kind), on_hit: OnHit::Mask });
    let detection = Detection { name: "a".into(), sought: sought.collect() };
    let found = examine(&detection, text);
    assert!(found.is_none() || may_hold(text.as_bytes()), "{text:?} is passed at a glance");
    let wanted = match found.map(|found| found.fate) {
        Some(Fate::Masked(masked)) => {
            assert_eq!(examine(&detection, &masked), None, "{text:?} becomes {masked:?}");
            masked
        }
        Some(other) => panic!("{other:?}"),
        None => text.to_owned(),
    };
    let slot = Slot { detect: Some(DetectId(0)), ..Slot::of(Verdict::Clear) };
    passes(slot, vec![detection], text, &wanted);
}

/// Any text, masked as one of its kinds.
pub fn masked(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let every: Vec<Mask> = Mask::every().collect();
    let form = every[usize::from(choice) % every.len()];
    let wanted = mask(form, text);
    assert!(wanted.len() <= (text.len() + 16).clamp(WHOLLY_MASKED.len(), 288), "{wanted:?}");
    let again = mask(form, &wanted);
    assert!(again == wanted || again == WHOLLY_MASKED, "{text:?}, {wanted:?}, {again:?}");
    assert!(is_masked_form(form, &wanted), "{text:?}: {wanted:?} could be written back");
    if text.len() <= 4096 {
        passes(Slot { mask: Some(form), ..Slot::of(Verdict::Mask) }, Vec::new(), text, &wanted);
    }
}

/// A text passes as wanted, twice in a body, escaped in three ways, wherever the body is cut.
fn passes(slot: Slot, detections: Vec<Detection>, text: &str, wanted: &str) {
    let object = ObjectNode { members: vec![("a".into(), slot)], ..ObjectNode::default() };
    let plan = Arc::new(Plan {
        nodes: vec![Node::Object(object)],
        root: Slot::of(Verdict::Enter(NodeId(0))),
        detections,
        ..Plan::nothing()
    });
    let plain = serde_json::to_string(text).expect("a text");
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    let escaped = format!("\"{}\"", units.collect::<String>());
    let slashes = plain.replace('/', "\\/");
    for value in [plain, escaped, slashes] {
        let body = format!("{{\"a\":{value},\"x\":{value},\"a\":{value}}}");
        for size in [body.len(), 1, 7] {
            let mut filter =
                Filter::new(plan.clone(), Caps::default(), Mode::Drop, Desk::default());
            for piece in body.as_bytes().chunks(size) {
                filter.push(Bytes::copy_from_slice(piece)).expect("good JSON");
            }
            filter.finish().expect("good JSON");
            let output = filter.take_output().concat();
            let texts: Members = serde_json::from_slice(&output).expect("JSON comes out");
            assert_eq!(texts.0, [wanted, wanted], "{body}");
        }
    }
}

/// The values of members that are all called `a`.
struct Members(Vec<String>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members, A::Error> {
                let mut values = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    assert_eq!(name, "a");
                    values.push(value);
                }
                Ok(Members(values))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}
