//! `retention: { staff_access: 30 }`: for how many months each class of the log is kept.

use super::super::model::Model;
use super::super::retention::{KEPT, Retention};
use super::Sections;
use crate::document::{Code, Node, Reader};

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    let mut first = None;
    for (_, node) in sections.found.iter().filter(|(name, _)| *name == "retention") {
        match first {
            Some(first) => reader.defined_twice(node.span, "retention", first),
            None => first = Some(node.span),
        }
        model.retention = Some(retention(reader, node));
    }
}

fn retention(reader: &mut Reader<'_>, node: &Node) -> Retention {
    let keys = reader.keys(node, "`retention`", &KEPT.map(|kept| kept.class));
    let mut retention = Retention::default();
    for kept in KEPT {
        let Some(pair) = keys.find(kept.class) else { continue };
        let (least, most) = kept.bounds;
        let what = format!("`{}` (in months)", kept.class);
        if let Some(months) = reader.number(&pair.value, &what, least, most) {
            retention.set(kept.class, months);
        }
    }
    let (identity, usage) = ("customer_identity", "customer_usage");
    if keys.find(identity).is_none() {
        let shorter = retention.months(identity).min(retention.months(usage));
        retention.set(identity, shorter);
    } else if retention.months(identity) > retention.months(usage) {
        let message = format!("`{identity}` must not be kept longer than `{usage}`");
        reader.fault(node.span, Code::WrongValue, message, None);
    }
    retention
}
