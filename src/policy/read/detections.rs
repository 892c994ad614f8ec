//! Detections: `sequential-ids: { count: 20, within: 5m, action: block }`, or `off`.

use super::super::detections::{Consequence, Detection, Hours, Knob, OwnRecord, Terms};
use super::super::model::Model;
use super::Sections;
use crate::document::{Code, Content, Keys, Node, Pair, Reader, accepted, cut, duration};

/// Who releases what a detection holds.
const RELEASE: &str = "release";
const OFF: &str = "off";
/// Every key that some detection takes.
const KEYS: [&str; 13] = [
    "action",
    "except",
    "count",
    "within",
    "times",
    "least",
    "days",
    "percent",
    "hours",
    "zone",
    "subjects",
    "of",
    "attribute",
];
/// Canaries, and watched subjects, of a policy.
const SUBJECT_LIMIT: usize = 1000;

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    for pair in sections.definitions("detections", reader) {
        if pair.key == RELEASE {
            model.detections.release = roles(reader, model, &pair.value, "`release`");
            continue;
        }
        let Some(detection) = Detection::named(&pair.key) else {
            let message = format!("unknown key `{}` in `detections`", cut(&pair.key));
            let names: Vec<&str> =
                Detection::ALL.iter().map(|one| one.name()).chain([RELEASE]).collect();
            reader.fault(
                pair.key_span,
                Code::UnknownKey,
                message,
                Some(accepted(&pair.key, &names)),
            );
            continue;
        };
        one(reader, model, detection, pair);
    }
}

fn one(reader: &mut Reader<'_>, model: &mut Model, detection: Detection, pair: &Pair) {
    let mut terms = model.detections.terms.remove(&detection).unwrap_or_default();
    match &pair.value.content {
        Content::Text(text) if text == OFF => terms.consequence = None,
        Content::Map(_) => {
            terms.consequence = Some(detection.usually());
            said(reader, model, (detection, pair), &mut terms);
        }
        Content::Text(_) | Content::Null | Content::List(_) => {
            let message = format!("`{}` must be `off` or a map", detection.name());
            let help = "write `off`, or what it asks: `{ action: alert }`".to_owned();
            reader.fault(pair.value.span, Code::WrongShape, message, Some(help));
        }
    }
    model.detections.terms.insert(detection, terms);
}

/// What a map says of a detection.
fn said(
    reader: &mut Reader<'_>,
    model: &mut Model,
    (detection, pair): (Detection, &Pair),
    terms: &mut Terms,
) {
    let keys = reader.keys(&pair.value, "a detection", &KEYS);
    let example = |key: &str| match key {
        "hours" => "'Mon-Fri 08:00-20:00'",
        "zone" => "Asia/Shanghai",
        "subjects" => "{ customer: [C-000000] }",
        "of" => "customer",
        _ => "customer_id",
    };
    for key in detection.needs().iter().filter(|key| keys.find(key).is_none()) {
        reader.missing(pair.value.span, &format!("`{}`", detection.name()), key, example(key));
    }
    for pair in &keys.pairs {
        let knob = detection.knobs().iter().find(|knob| knob.key == pair.key);
        match pair.key.as_str() {
            "action" => action(reader, &pair.value, terms),
            "except" => terms.except = roles(reader, model, &pair.value, "`except`"),
            _ if detection.needs().contains(&pair.key.as_str()) => {}
            _ => match knob {
                Some(knob) => number(reader, pair, knob, terms),
                None => {
                    let message = format!("`{}` says nothing to `{}`", pair.key, detection.name());
                    reader.fault(pair.key_span, Code::Contradiction, message, None);
                }
            },
        }
    }
    match detection {
        Detection::OffHours => hours(reader, model, &keys),
        Detection::Canary => {
            let found = subjects(reader, model, &keys, "canaries");
            model.detections.canaries.extend(found);
        }
        Detection::Watched => {
            let found = subjects(reader, model, &keys, "watched subjects");
            model.detections.watched.extend(found);
        }
        Detection::OwnRecord | Detection::Colleague => own_record(reader, model, &keys),
        Detection::OwnMedian
        | Detection::SequentialIds
        | Detection::ZeroHits
        | Detection::ManyOpeners
        | Detection::NewPlace
        | Detection::Dormant
        | Detection::ExportThenLeave
        | Detection::SteadyDraw
        | Detection::PageDepth
        | Detection::SwitchedOff
        | Detection::PartnerVolume
        | Detection::Unlinked
        | Detection::MutualApprovals => {}
    }
}

fn action(reader: &mut Reader<'_>, node: &Node, terms: &mut Terms) {
    let Some(word) = reader.text(node, "`action`") else { return };
    match Consequence::named(word) {
        Some(consequence) => terms.consequence = Some(consequence),
        None => {
            let known = Consequence::ALL.map(Consequence::name);
            let message = format!("`{}` is nothing that follows from a finding", cut(word));
            reader.fault(node.span, Code::WrongValue, message, Some(accepted(word, &known)));
        }
    }
}

fn number(reader: &mut Reader<'_>, pair: &Pair, knob: &Knob, terms: &mut Terms) {
    let what = format!("`{}`", knob.key);
    if !knob.is_time() {
        if let Some(number) = reader.number(&pair.value, &what, knob.least, knob.most) {
            terms.set(knob.key, number);
        }
        return;
    }
    let Some(text) = reader.text(&pair.value, &what) else { return };
    match duration(text).filter(|seconds| (knob.least..=knob.most).contains(seconds)) {
        Some(seconds) => terms.set(knob.key, seconds),
        None => {
            let (least, most) = (knob.least, knob.most / 3600);
            let message = format!("{what} must be from {least}s to {most}h, got `{}`", cut(text));
            let help = "write a number and a unit: `5m`, `1h`, `1d`".to_owned();
            reader.fault(pair.value.span, Code::WrongValue, message, Some(help));
        }
    }
}

fn roles(reader: &mut Reader<'_>, model: &Model, node: &Node, what: &str) -> Vec<Box<str>> {
    let known: Vec<&str> = model.roles.iter().map(|role| role.name.as_ref()).collect();
    let mut found = Vec::new();
    for (word, span) in reader.words(node, what) {
        match known.contains(&word) {
            true => found.push(word.into()),
            false => reader.unknown(span, "role", word, &known),
        }
    }
    found
}

fn hours(reader: &mut Reader<'_>, model: &mut Model, keys: &Keys<'_>) {
    let (Some(hours), Some(zone)) = (keys.find("hours"), keys.find("zone")) else { return };
    let Some(text) = reader.text(&hours.value, "`hours`") else { return };
    let Some(name) = reader.text(&zone.value, "`zone`") else { return };
    let (week, known) = (Hours::week(text), Hours::zone(name));
    if week.is_none() {
        let message = format!("`{}` is no span of hours", cut(text));
        let help = "write hours such as 'Mon-Fri 08:00-20:00, Sat 09:00-12:00'".to_owned();
        reader.fault(hours.value.span, Code::WrongValue, message, Some(help));
    }
    if known.is_none() {
        let message = format!("`{}` is no time zone", cut(name));
        let help = "write an IANA name such as 'Asia/Shanghai' or 'UTC'".to_owned();
        reader.fault(zone.value.span, Code::WrongValue, message, Some(help));
    }
    if let (Some(week), Some(zone)) = (week, known) {
        model.detections.hours = Some(Hours::new(week, zone));
    }
}

/// Data subjects by their entity and key, so many at most.
fn subjects(
    reader: &mut Reader<'_>,
    model: &Model,
    keys: &Keys<'_>,
    what: &str,
) -> Vec<(Box<str>, Box<str>)> {
    let mut subjects = Vec::new();
    let Some(pair) = keys.find("subjects") else { return subjects };
    for pair in reader.map(&pair.value, "`subjects`") {
        if !is_counted_entity(reader, model, &pair.key, pair.key_span) {
            continue;
        }
        for (key, span) in reader.words(&pair.value, "the key of a data subject") {
            if subjects.len() >= SUBJECT_LIMIT {
                let message = format!("a policy must have at most {SUBJECT_LIMIT} {what}");
                reader.fault(span, Code::TooLarge, message, None);
                return subjects;
            }
            subjects.push((pair.key.as_str().into(), key.into()));
        }
    }
    subjects
}

fn own_record(reader: &mut Reader<'_>, model: &mut Model, keys: &Keys<'_>) {
    let (Some(of), Some(attribute)) = (keys.find("of"), keys.find("attribute")) else { return };
    let Some(entity) = reader.text(&of.value, "`of`") else { return };
    let Some(attribute) = reader.text(&attribute.value, "`attribute`") else { return };
    if is_counted_entity(reader, model, entity, of.value.span) {
        let own = OwnRecord { entity: entity.into(), attribute: attribute.into() };
        if model.detections.own.as_ref().is_some_and(|other| *other != own) {
            let message = "`own-record` and `colleague` say otherwise whose record is whose";
            let help = Some("one entity and one attribute tell it for both".to_owned());
            reader.fault(of.value.span, Code::Contradiction, message.to_owned(), help);
        }
        model.detections.own = Some(own);
    }
}

/// Whether the entity is there and tells whose its records are.
fn is_counted_entity(
    reader: &mut Reader<'_>,
    model: &Model,
    name: &str,
    span: crate::document::Span,
) -> bool {
    let known: Vec<&str> = model.entities.iter().map(|entity| entity.name.as_ref()).collect();
    match model.entities.iter().find(|entity| entity.name.as_ref() == name) {
        None => reader.unknown(span, "entity", &cut(name), &known),
        Some(entity) if entity.subject.is_none() => {
            let message =
                format!("records of `{}` are about nobody: it has no `subject`", cut(name));
            reader.fault(span, Code::Contradiction, message, None);
        }
        Some(_) => return true,
    }
    false
}
