//! `retention: { staff_access: 30 }`: for how many months each class of the log is kept; in a tenant's file, those of
//! its callers.

use super::super::model::Model;
use super::super::retention::{KEPT, Kept, Own, Retention};
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
    within(reader, node, Retention::default(), &KEPT)
}

/// What a tenant's own file says, from what the platform's say and no further than it may go.
pub(super) fn of_tenant(
    reader: &mut Reader<'_>,
    node: &Node,
    platform: Option<Retention>,
) -> Option<Retention> {
    let Some(platform) = platform else {
        let message = "without `retention` in the platform's files the log destroys nothing";
        let help = "a tenant's file only says what differs from theirs; take it out".to_owned();
        reader.fault(node.span, Code::Contradiction, message.to_owned(), Some(help));
        return None;
    };
    let own = |kept: &Kept| {
        let ((least, most), months) = (kept.bounds, platform.months(kept.class));
        match Own::of(kept.class) {
            Own::Longer => Some(Kept { bounds: (months, most), ..*kept }),
            Own::Shorter => Some(Kept { bounds: (least, months), ..*kept }),
            Own::Not => None,
        }
    };
    let allowed: Vec<Kept> = KEPT.iter().filter_map(own).collect();
    Some(within(reader, node, platform, &allowed))
}

/// What is said of these classes within their bounds; what is left out is as in `retention`.
fn within(
    reader: &mut Reader<'_>,
    node: &Node,
    mut retention: Retention,
    allowed: &[Kept],
) -> Retention {
    let names: Vec<&str> = allowed.iter().map(|kept| kept.class).collect();
    let keys = reader.keys(node, "`retention`", &names);
    for kept in allowed {
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
