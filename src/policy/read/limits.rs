//! Limits: `rate: 120/min burst 20`, `subjects: [40/h, 200/day]`.

use super::super::limits::{Limits, Rate, Window};
use super::super::model::{LimitRule, Model};
use super::Sections;
use super::roles::audience;
use crate::document::Code;
use crate::document::{Content, Node};
use crate::document::{Reader, cut, duration};

const KEYS: [&str; 7] = ["to", "rate", "concurrent", "page", "records", "subjects", "bytes"];
const WINDOW_LIMIT: usize = 8;

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    for node in sections.items("limits", reader) {
        let keys = reader.keys(node, "a limit", &KEYS);
        let Some(to) = keys.find("to") else {
            reader.missing(node.span, "a limit", "to", "teller");
            continue;
        };
        if keys.pairs.len() == 1 {
            let message = "a limit that limits nothing".to_owned();
            let help = "write what is limited: `rate`, `concurrent`, `page`, `records`, `subjects` or `bytes`";
            reader.fault(node.span, Code::WrongValue, message, Some(help.to_owned()));
        }
        let to = audience(reader, model, &to.value);
        let mut limits = Limits::default();
        for pair in &keys.pairs {
            let node = &pair.value;
            match pair.key.as_str() {
                "rate" => limits.rate = rate(reader, node),
                "concurrent" => limits.concurrent = reader.number(node, "`concurrent`", 1, 100_000),
                "page" => limits.page = reader.number(node, "`page`", 1, 1_000_000),
                "records" => limits.records = windows(reader, node, "`records`", false),
                "subjects" => limits.subjects = windows(reader, node, "`subjects`", false),
                "bytes" => limits.kibibytes = windows(reader, node, "`bytes`", true),
                _ => {}
            }
        }
        model.limits.push(LimitRule { to, limits });
    }
}

fn rate(reader: &mut Reader<'_>, node: &Node) -> Option<Rate> {
    let text = reader.text(node, "`rate`")?;
    let (pace, burst) = text.split_once(" burst ").map_or((text, None), |(p, b)| (p, Some(b)));
    let found = count_per(pace, false).and_then(|(count, per_s)| {
        let burst = burst.map_or(Some(count), |burst| burst.trim().parse().ok())?;
        (burst > 0 && count > 0).then_some(Rate { count, per_s, burst })
    });
    if found.is_none() {
        let message = format!("`rate` must be requests per time, got `{}`", cut(text));
        let help = "write `120/min` or `120/min burst 20`".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some(help));
    }
    found
}

fn windows(reader: &mut Reader<'_>, node: &Node, what: &str, bytes: bool) -> Vec<Window> {
    let mut found: Vec<Window> = Vec::new();
    if matches!(&node.content, Content::List(items) if items.is_empty()) {
        let message = format!("{what} names no limit");
        reader.fault(node.span, Code::WrongValue, message, Some("leave it out".to_owned()));
    }
    for (word, span) in reader.words(node, what) {
        let window = count_per(word, bytes).map(|(count, per_s)| Window { count, per_s });
        let fresh =
            |w: &Window| found.len() < WINDOW_LIMIT && found.iter().all(|o| o.per_s != w.per_s);
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

/// `500/h` as a count and seconds; with `bytes`, `100MiB/day` as KiB and seconds.
fn count_per(text: &str, bytes: bool) -> Option<(u32, u32)> {
    let (count, per) = text.trim().split_once('/')?;
    let per_s = match per.trim() {
        "s" | "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3600,
        "d" | "day" => 86_400,
        "w" | "week" => 604_800,
        other => duration(other).filter(|seconds| *seconds > 0)?,
    };
    let (digits, factor) = if bytes { split_unit(count.trim())? } else { (count.trim(), 1) };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let count = digits.parse::<u32>().ok().filter(|_| plain)?.checked_mul(factor)?;
    Some((count, per_s))
}

fn split_unit(text: &str) -> Option<(&str, u32)> {
    [("KiB", 1), ("MiB", 1024), ("GiB", 1024 * 1024)]
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
}
