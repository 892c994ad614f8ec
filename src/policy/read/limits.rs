//! Limits: `rate: 120/min burst 20`, `subjects: [40/h, 200/day]`, `export: { rows: 500/file }`.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::super::limits::{Export, Factor, Limits, OffHours, Per, Rate, Window};
use super::super::model::{LimitRule, Model};
use super::pseudonyms::zone;
use super::roles::audience;
use super::scope;
use super::{Sections, caps};
use crate::document::Code;
use crate::document::{Content, Node, Pair};
use crate::document::{Reader, cut, duration};

const KEYS: [&str; 17] = [
    "to",
    "per",
    "on",
    "zone",
    "off-hours",
    "when-reached",
    "rate",
    "concurrent",
    "page",
    "records",
    "subjects",
    "bytes",
    "unmask",
    "files",
    "zero-hits",
    "export",
    "store-lost",
];
const OFF_HOURS_KEYS: [&str; 2] = ["hours", "factor"];
const EXPORT_KEYS: [&str; 3] = ["rows", "files", "grant"];
const WINDOW_LIMIT: usize = 8;

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    for node in sections.items("limits", reader) {
        let limit = read_one(reader, model, node);
        model.limits.extend(limit);
    }
}

/// Reads one limit.
pub(super) fn read_one(reader: &mut Reader<'_>, model: &Model, node: &Node) -> Option<LimitRule> {
    let keys = reader.keys(node, "a limit", &KEYS);
    let Some(Pair { value: to, key_span: span, .. }) = keys.find("to") else {
        reader.missing(node.span, "a limit", "to", "teller");
        return None;
    };
    if keys.pairs.iter().all(|pair| !limits_something(&pair.key)) {
        let message = "a limit that limits nothing".to_owned();
        let what = KEYS.iter().filter(|key| limits_something(key));
        let help = format!("write what is limited: {}", listed(what));
        reader.fault(node.span, Code::WrongValue, message, Some(help));
    }
    let to = audience(reader, model, to);
    let per = scope::per(reader, &keys, &to);
    let on = keys.find("on").map(|pair| scope::on(reader, model, &pair.value));
    let named = keys.find("zone").and_then(|pair| zone(reader, &pair.value));
    let zone = named.unwrap_or(TimeZone::UTC);
    let day = zone.iana_name().unwrap_or("UTC").into();
    let mut limits = Limits::default();
    for pair in &keys.pairs {
        limits.tighten(&limit(reader, pair, &day));
    }
    caps::check(reader, &keys, per, &limits);
    let off_hours = keys.find("off-hours").and_then(|pair| off_hours(reader, pair, zone));
    let off_hours = off_hours.map(|(hours, factor)| (hours, factor.of(&limits)));
    let on = on.unwrap_or_default();
    Some(LimitRule { to, per, on, limits, off_hours, tenant: None, span: *span })
}

/// `{ hours: Mon-Fri 08:00-20:00, factor: 0.25 }`: outside of the hours a part of the limits holds.
fn off_hours(reader: &mut Reader<'_>, pair: &Pair, zone: TimeZone) -> Option<(OffHours, Factor)> {
    let keys = reader.keys(&pair.value, "`off-hours`", &OFF_HOURS_KEYS);
    let mut said = |key: &str, example: &str| {
        let found = keys.find(key).map(|pair| &pair.value);
        if found.is_none() {
            reader.missing(pair.value.span, "`off-hours`", key, example);
        }
        let node = found?;
        Some((reader.text(node, &format!("`{key}`"))?, node.span))
    };
    let (hours, factor) = (said("hours", "Mon-Fri 08:00-20:00"), said("factor", "0.25"));
    let read = hours.map(|(text, span)| (OffHours::outside(text, zone), text, span));
    if let Some((None, text, span)) = &read {
        let message = format!("`{}` is no span of hours", cut(text));
        let help = "write hours such as `Mon-Fri 08:00-20:00, Sat 09:00-12:00`".to_owned();
        reader.fault(*span, Code::WrongValue, message, Some(help));
    }
    let part = factor.map(|(text, span)| (Factor::parse(text), text, span));
    if let Some((None, text, span)) = &part {
        let message = format!("`factor` must be less than 1, got `{}`", cut(text));
        let help = "write `0.5`, `0.25` or `0`, with at most three digits".to_owned();
        reader.fault(*span, Code::WrongValue, message, Some(help));
    }
    Some((read?.0?, part?.0?))
}

fn limits_something(key: &str) -> bool {
    !["to", "per", "on", "zone", "off-hours", "when-reached", "store-lost"].contains(&key)
}

fn listed<'k>(keys: impl Iterator<Item = &'k &'static str>) -> String {
    let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
    keys.join(", ")
}

/// What one key limits.
fn limit(reader: &mut Reader<'_>, pair: &Pair, day: &Arc<str>) -> Limits {
    let mut limits = Limits::default();
    let node = &pair.value;
    match pair.key.as_str() {
        "rate" => rate(reader, node, &mut limits, day),
        "concurrent" => limits.concurrent = reader.number(node, "`concurrent`", 1, 100_000),
        "page" => limits.page = reader.number(node, "`page`", 1, 1_000_000),
        "records" => limits.records = windows(reader, node, ("`records`", false), day),
        "subjects" => limits.subjects = windows(reader, node, ("`subjects`", false), day),
        "bytes" => limits.kibibytes = windows(reader, node, ("`bytes`", true), day),
        "unmask" => limits.unmask = windows(reader, node, ("`unmask`", false), day),
        "files" => limits.files = windows(reader, node, ("`files`", false), day),
        "zero-hits" => limits.zero_hits = windows(reader, node, ("`zero-hits`", false), day),
        "when-reached" => limits.refuse_whole = refuses(reader, node),
        "export" => export(reader, node, &mut limits, day),
        "store-lost" => limits.denies_when_lost = denies_when_lost(reader, node),
        _ => {}
    }
    limits
}

/// `end` or `refuse`.
fn refuses(reader: &mut Reader<'_>, node: &Node) -> bool {
    let Some(word) = reader.text(node, "`when-reached`") else { return true };
    if !["end", "refuse"].contains(&word) {
        let message = format!("`when-reached` must be `end` or `refuse`, got `{}`", cut(word));
        reader.fault(node.span, Code::WrongValue, message, None);
    }
    word == "refuse"
}

/// `deny`, or `local`.
fn denies_when_lost(reader: &mut Reader<'_>, node: &Node) -> bool {
    let Some(text) = reader.text(node, "`store-lost`") else { return true };
    if !["deny", "local"].contains(&text) {
        let message = format!("`store-lost` must be `deny` or `local`, got `{}`", cut(text));
        let help = "`local`, which is meant without it, goes on with what this gate was lent";
        reader.fault(node.span, Code::WrongValue, message, Some(help.to_owned()));
    }
    text != "local"
}

/// `120/min` is a window, `120/min burst 20` a pace.
fn rate(reader: &mut Reader<'_>, node: &Node, limits: &mut Limits, day: &Arc<str>) {
    let Some(text) = reader.text(node, "`rate`") else { return };
    let (pace, burst) = text.split_once(" burst ").map_or((text, None), |(p, b)| (p, Some(b)));
    let pace = count_per(pace, false, day).filter(|(count, _)| *count > 0);
    match (pace, burst.map(|burst| burst.trim().parse::<u32>())) {
        (Some((count, per)), None) => limits.requests = vec![Window { per, count }],
        (Some((count, Per::Seconds(per_s))), Some(Ok(burst))) if burst > 0 => {
            limits.rate = Some(Rate { count, per_s, burst });
        }
        (None, _) | (Some(_), Some(_)) => {
            let message = format!("`rate` must be requests per time, got `{}`", cut(text));
            let help = "write `120/min` or `120/min burst 20`".to_owned();
            reader.fault(node.span, Code::WrongValue, message, Some(help));
        }
    }
}

/// `none`, or bounds.
fn export(reader: &mut Reader<'_>, node: &Node, limits: &mut Limits, day: &Arc<str>) {
    const FORMS: &str = "write `none` or `{ rows: 500/file, files: 3/day, grant: required }`";
    match &node.content {
        Content::Text(text) if text == "none" => limits.export = Export::None,
        Content::Map(pairs) if !pairs.is_empty() => export_bounds(reader, node, limits, day),
        Content::Map(_) | Content::Null => {
            let message = "an `export` that limits nothing".to_owned();
            reader.fault(node.span, Code::WrongValue, message, Some(FORMS.to_owned()));
        }
        Content::Text(text) => {
            let message = format!("`export` must be `none` or a map, got `{}`", cut(text));
            reader.fault(node.span, Code::WrongValue, message, Some(FORMS.to_owned()));
        }
        Content::List(_) => {
            let message = "`export` must be `none` or a map".to_owned();
            reader.fault(node.span, Code::WrongShape, message, Some(FORMS.to_owned()));
        }
    }
}

fn export_bounds(reader: &mut Reader<'_>, node: &Node, limits: &mut Limits, day: &Arc<str>) {
    let (mut most, mut needs_grant) = (None, false);
    for pair in reader.keys(node, "`export`", &EXPORT_KEYS).pairs {
        let value = &pair.value;
        match pair.key.as_str() {
            "rows" => most = rows(reader, value),
            "files" => limits.files = windows(reader, value, ("`files`", false), day),
            "grant" => needs_grant = is_required(reader, value),
            _ => {}
        }
    }
    limits.export = Export::Bounded { rows: most, needs_grant };
}

/// `500/file`.
fn rows(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    let text = reader.text(node, "`rows`")?;
    let digits = text.trim().strip_suffix("/file").map(str::trim_end);
    let plain = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let most = plain.and_then(|digits| digits.parse().ok()).filter(|most| *most > 0);
    if most.is_none() {
        let message = format!("`rows` must be records in one file, got `{}`", cut(text));
        let help = "write `500/file`, or `export: none`".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some(help));
    }
    most
}

fn is_required(reader: &mut Reader<'_>, node: &Node) -> bool {
    let Some(text) = reader.text(node, "`grant`") else { return true };
    if text != "required" {
        let message = format!("`grant` must be `required`, got `{}`", cut(text));
        let help = "leave it out where none is needed".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some(help));
    }
    true
}

fn windows(
    reader: &mut Reader<'_>,
    node: &Node,
    (what, bytes): (&str, bool),
    day: &Arc<str>,
) -> Vec<Window> {
    let mut found: Vec<Window> = Vec::new();
    if matches!(&node.content, Content::List(items) if items.is_empty()) {
        let message = format!("{what} names no limit");
        reader.fault(node.span, Code::WrongValue, message, Some("leave it out".to_owned()));
    }
    for (word, span) in reader.words(node, what) {
        let window = count_per(word, bytes, day).map(|(count, per)| Window { per, count });
        let fresh = |w: &Window| found.len() < WINDOW_LIMIT && found.iter().all(|o| o.per != w.per);
        match window {
            Some(window) if fresh(&window) => found.push(window),
            Some(_) => {
                let message =
                    format!("{what} must name each length of window once, at most {WINDOW_LIMIT}");
                reader.fault(span, Code::WrongValue, message, None);
            }
            None => {
                let message = format!("{what} must be a count per time, got `{}`", cut(word));
                let help =
                    if bytes { "write `100MiB/day`" } else { "write `500/h` or `[40/h, 200/day]`" };
                reader.fault(span, Code::WrongValue, message, Some(help.to_owned()));
            }
        }
    }
    found.sort_unstable();
    found
}

/// `500/h` as a count and a time; with `bytes`, `100MiB/day` as KiB and a time.
fn count_per(text: &str, bytes: bool, day: &Arc<str>) -> Option<(u32, Per)> {
    let (count, per) = text.trim().split_once('/')?;
    let per = match per.trim() {
        "s" | "sec" | "second" => Per::Seconds(1),
        "m" | "min" | "minute" => Per::Seconds(60),
        "h" | "hour" => Per::Seconds(3600),
        "d" | "day" => Per::Seconds(86_400),
        "w" | "week" => Per::Seconds(604_800),
        "calendar-day" => Per::Day(Arc::clone(day)),
        other => Per::Seconds(duration(other).filter(|seconds| *seconds > 0)?),
    };
    let (digits, factor) = if bytes { split_unit(count.trim())? } else { (count.trim(), 1) };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let count = digits.parse::<u32>().ok().filter(|_| plain)?.checked_mul(factor)?;
    Some((count, per))
}

fn split_unit(text: &str) -> Option<(&str, u32)> {
    [("KiB", 1), ("MiB", 1024), ("GiB", 1024 * 1024)]
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
}
