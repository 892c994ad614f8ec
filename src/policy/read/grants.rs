//! `grants`: who may be granted what, by whom and for how long.

use super::super::granting::{Approvers, BreakGlass, GrantRule, GrantTerms};
use super::super::model::{Action, Audience, Model};
use super::Sections;
use super::roles::audience;
use super::routes::action_named;
use crate::document::{Code, Keys, Node, Reader, cut};

const KEYS: [&str; 16] = [
    "to",
    "action",
    "route",
    "lends",
    "grade",
    "by",
    "number",
    "assurance",
    "fresh",
    "longest",
    "uses",
    "subjects",
    "rows",
    "waits",
    "ring",
    "break-glass",
];
const GLASS_KEYS: [&str; 5] = ["longest", "assurance", "fresh", "review", "subjects"];
/// The word for whoever stands above.
const HIGHER: &str = "higher-rank";
/// The word for everybody, and for as often as one likes.
const ANY: &str = "any";
/// The most people that one grant names.
const MOST_SUBJECTS: u32 = 200;
/// The most records that a grant about a search gives.
const MOST_ROWS: u32 = 1_000_000;
/// The longest that a grant lasts or is looked back at: a year.
const YEAR_S: u32 = 365 * 86_400;

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    for node in sections.items("grants", reader) {
        let keys = reader.keys(node, "an entry of `grants`", &KEYS);
        let Some(to) = keys.find("to") else {
            reader.missing(node.span, "an entry of `grants`", "to", "teller");
            continue;
        };
        let to = audience(reader, model, &to.value);
        let rule = GrantRule {
            to,
            actions: actions(reader, &keys),
            routes: routes(reader, &keys, model),
            lends: keys
                .find("lends")
                .map_or_else(Vec::new, |pair| roles(reader, model, &pair.value)),
            grade: number(reader, &keys, "grade", 1, 4)
                .and_then(|n| u8::try_from(n).ok())
                .unwrap_or(3),
            by: by(reader, &keys, model),
            terms: terms(reader, &keys),
            span: node.span,
        };
        model.grants.push(rule);
    }
}

fn terms(reader: &mut Reader<'_>, keys: &Keys<'_>) -> GrantTerms {
    let shipped = GrantTerms::default();
    let small = |number: Option<u32>, otherwise| {
        number.and_then(|n| u8::try_from(n).ok()).unwrap_or(otherwise)
    };
    GrantTerms {
        number: small(number(reader, keys, "number", 1, 5), shipped.number),
        assurance: small(number(reader, keys, "assurance", 1, 3), shipped.assurance),
        fresh_s: duration(reader, keys, "fresh").unwrap_or(shipped.fresh_s),
        longest_s: duration(reader, keys, "longest").unwrap_or(shipped.longest_s),
        uses: or_any(reader, keys, "uses", 1_000_000).unwrap_or(shipped.uses),
        subjects: or_any(reader, keys, "subjects", MOST_SUBJECTS).unwrap_or(shipped.subjects),
        rows: number(reader, keys, "rows", 1, MOST_ROWS),
        waits_s: duration(reader, keys, "waits").unwrap_or(shipped.waits_s),
        ring: ring(reader, keys).unwrap_or(shipped.ring),
        break_glass: keys.find("break-glass").map(|pair| break_glass(reader, &pair.value)),
    }
}

fn break_glass(reader: &mut Reader<'_>, node: &Node) -> BreakGlass {
    let keys = reader.keys(node, "`break-glass`", &GLASS_KEYS);
    let assurance = number(reader, &keys, "assurance", 1, 3).and_then(|n| u8::try_from(n).ok());
    BreakGlass {
        longest_s: duration(reader, &keys, "longest").unwrap_or(1800),
        assurance: assurance.unwrap_or(2),
        fresh_s: duration(reader, &keys, "fresh").unwrap_or(300),
        review_s: duration(reader, &keys, "review").unwrap_or(86_400),
        subjects: number(reader, &keys, "subjects", 1, MOST_SUBJECTS).unwrap_or(1),
    }
}

fn actions(reader: &mut Reader<'_>, keys: &Keys<'_>) -> Vec<Action> {
    let Some(pair) = keys.find("action") else { return Vec::new() };
    let words = reader.words(&pair.value, "`action`");
    not_empty(reader, &pair.value, words.is_empty(), "`action`");
    words.into_iter().filter_map(|(word, span)| action_named(reader, word, span)).collect()
}

/// An empty list would mean all, which nobody who writes one expects.
fn not_empty(reader: &mut Reader<'_>, node: &Node, is_empty: bool, key: &str) {
    if is_empty {
        let message = format!("{key} must name at least one; without the key it is all");
        reader.fault(node.span, Code::WrongValue, message, None);
    }
}

fn routes(reader: &mut Reader<'_>, keys: &Keys<'_>, model: &Model) -> Vec<Box<str>> {
    let Some(pair) = keys.find("route") else { return Vec::new() };
    let known: Vec<&str> = model.routes.iter().map(|route| route.name()).collect();
    let mut found = Vec::new();
    let words = reader.words(&pair.value, "`route`");
    not_empty(reader, &pair.value, words.is_empty(), "`route`");
    for (word, span) in words {
        if known.contains(&word) {
            found.push(word.into());
        } else {
            reader.unknown(span, "route", &cut(word), &known);
        }
    }
    found
}

fn roles(reader: &mut Reader<'_>, model: &Model, node: &Node) -> Vec<usize> {
    let known: Vec<&str> = model.roles.iter().map(|role| role.name.as_ref()).collect();
    let mut found = Vec::new();
    for (word, span) in reader.words(node, "roles of a grant") {
        match known.iter().position(|name| *name == word) {
            Some(index) => found.push(index),
            None => reader.unknown(span, "role", &cut(word), &known),
        }
    }
    found
}

/// `higher-rank`, or the roles whose holders agree.
fn by(reader: &mut Reader<'_>, keys: &Keys<'_>, model: &Model) -> Approvers {
    let Some(pair) = keys.find("by") else { return Approvers::HigherRank };
    if reader.words(&pair.value, "`by`").iter().map(|(word, _)| *word).eq([HIGHER]) {
        return Approvers::HigherRank;
    }
    match audience(reader, model, &pair.value) {
        Audience::Roles(roles) => Approvers::Roles(roles),
        Audience::Any => {
            let message =
                "`by` must be `higher-rank` or name roles: not everybody agrees".to_owned();
            reader.fault(pair.value.span, Code::WrongValue, message, None);
            Approvers::HigherRank
        }
    }
}

fn number(
    reader: &mut Reader<'_>,
    keys: &Keys<'_>,
    key: &str,
    least: u32,
    most: u32,
) -> Option<u32> {
    let pair = keys.find(key)?;
    reader.number(&pair.value, &format!("`{key}`"), least, most)
}

/// A duration of at most a year.
fn duration(reader: &mut Reader<'_>, keys: &Keys<'_>, key: &str) -> Option<u32> {
    let pair = keys.find(key)?;
    let seconds = reader.duration(&pair.value, &format!("`{key}`"))?;
    if (1..=YEAR_S).contains(&seconds) {
        return Some(seconds);
    }
    let message = format!("`{key}` must be from 1s to 365d");
    reader.fault(pair.value.span, Code::WrongValue, message, None);
    None
}

/// A number, or `any`: the inner none.
fn or_any(reader: &mut Reader<'_>, keys: &Keys<'_>, key: &str, most: u32) -> Option<Option<u32>> {
    let pair = keys.find(key)?;
    if reader.words(&pair.value, &format!("`{key}`")).iter().map(|(word, _)| *word).eq([ANY]) {
        return Some(None);
    }
    number(reader, keys, key, 1, most).map(Some)
}

/// `3/30d`: after so many the other way round, within so long.
fn ring(reader: &mut Reader<'_>, keys: &Keys<'_>) -> Option<(u32, u32)> {
    let pair = keys.find("ring")?;
    let text = reader.text(&pair.value, "`ring`")?;
    let read = text.split_once('/').and_then(|(count, days)| {
        let days: u32 = days.trim().strip_suffix('d')?.parse().ok()?;
        let count: u32 = count.trim().parse().ok()?;
        ((1..=365).contains(&days) && (1..=1000).contains(&count)).then(|| (count, days * 86_400))
    });
    if read.is_none() {
        let message = format!("`ring` must be a count and days, got `{}`", cut(text));
        reader.fault(pair.value.span, Code::WrongValue, message, Some("write `3/30d`".to_owned()));
    }
    read
}
