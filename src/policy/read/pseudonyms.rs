//! When pseudonyms change: `pseudonyms: { rotate: month, zone: Asia/Shanghai }`, for all purposes or for one.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::super::model::Model;
use super::super::rotation::{Rotate, Rotation};
use super::Sections;
use crate::document::{Code, Content, Node, Reader, cut};

const KEYS: [&str; 2] = ["rotate", "zone"];

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    let mut first = None;
    for (_, node) in sections.found.iter().filter(|(name, _)| *name == "pseudonyms") {
        match first {
            Some(first) => reader.defined_twice(node.span, "pseudonyms", first),
            None => first = Some(node.span),
        }
        if let Some(rotation) = rotation(reader, node) {
            model.pseudonyms = rotation;
        }
    }
}

pub(super) fn rotation(reader: &mut Reader<'_>, node: &Node) -> Option<Rotation> {
    let keys = reader.keys(node, "`pseudonyms`", &KEYS);
    let Some(pair) = keys.find("rotate") else {
        if matches!(node.content, Content::Map(_)) {
            reader.missing(node.span, "`pseudonyms`", "rotate", "month");
        }
        return None;
    };
    let rotate = rotate(reader, &pair.value);
    let zone = match keys.find("zone") {
        Some(pair) => zone(reader, &pair.value)?,
        None => TimeZone::UTC,
    };
    Some(Rotation { rotate: rotate?, zone })
}

fn rotate(reader: &mut Reader<'_>, node: &Node) -> Option<Rotate> {
    let name = reader.text(node, "`rotate`")?;
    let rotate = Rotate::named(name);
    if rotate.is_none() {
        let known: Vec<&str> = Rotate::NAMES.iter().map(|(name, _)| *name).collect();
        reader.unknown(node.span, "period", &cut(name), &known);
    }
    rotate
}

/// Only a zone that is compiled in: what a policy means must not depend on the machine.
pub(super) fn zone(reader: &mut Reader<'_>, node: &Node) -> Option<TimeZone> {
    let name = reader.text(node, "`zone`")?;
    let zone = TimeZoneDatabase::bundled().get(name).ok();
    if zone.is_none() {
        let message = format!("`{}` is no time zone", cut(name));
        let help = "write an IANA name such as `Asia/Shanghai` or `UTC`".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some(help));
    }
    zone
}
