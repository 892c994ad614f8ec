//! What tests share: callers and records that are named once, and the time it is.

use std::collections::HashMap;

use crate::document::{Code, Node, Pair, Reader};

/// Friday, 15 January 2027, 08:00 UTC, which is 16:00 in Shanghai: when tests happen that do not say.
const DEFAULT_NOW_S: i64 = 1_800_000_000;
/// The keys of `fixtures`.
const KEYS: &[&str] = &["callers", "records", "now"];

/// What tests share.
#[derive(Debug)]
pub(super) struct Fixtures<'t> {
    pub(super) callers: HashMap<&'t str, &'t Node>,
    pub(super) records: HashMap<&'t str, &'t Node>,
    pub(super) now_unix_s: i64,
}

impl<'t> Fixtures<'t> {
    /// Reads the `fixtures` of all files; a name defined twice is a fault.
    pub(super) fn read(reader: &mut Reader<'_>, sections: &[&'t Node]) -> Self {
        let mut defined: HashMap<(&str, &str), &'t Pair> = HashMap::new();
        let mut fixtures =
            Self { callers: HashMap::new(), records: HashMap::new(), now_unix_s: DEFAULT_NOW_S };
        let mut now: Option<&Pair> = None;
        for section in sections {
            for pair in reader.keys(section, "`fixtures`", KEYS).pairs {
                if pair.key == "now" {
                    if let Some(first) = now.replace(pair) {
                        reader.defined_twice(pair.key_span, "now", first.key_span);
                    }
                    let read = time(reader, &pair.value);
                    fixtures.now_unix_s = read.unwrap_or(DEFAULT_NOW_S);
                    continue;
                }
                for named in reader.map(&pair.value, &pair.key) {
                    if !reader.check_name(named.key_span, &named.key) {
                        continue;
                    }
                    if let Some(first) = defined.insert((&pair.key, &named.key), named) {
                        reader.defined_twice(named.key_span, &named.key, first.key_span);
                    }
                    let names = match pair.key.as_str() {
                        "callers" => &mut fixtures.callers,
                        _ => &mut fixtures.records,
                    };
                    names.insert(&named.key, &named.value);
                }
            }
        }
        fixtures
    }

    pub(super) fn caller_names(&self) -> Vec<&'t str> {
        sorted(&self.callers)
    }

    pub(super) fn record_names(&self) -> Vec<&'t str> {
        sorted(&self.records)
    }
}

fn sorted<'t>(names: &HashMap<&'t str, &'t Node>) -> Vec<&'t str> {
    let mut names: Vec<&str> = names.keys().copied().collect();
    names.sort_unstable();
    names
}

/// A moment such as `2027-01-15T08:00:00Z`, in Unix seconds.
pub(super) fn time(reader: &mut Reader<'_>, node: &Node) -> Option<i64> {
    let text = reader.text(node, "`now`")?;
    let moment = text.parse::<jiff::Timestamp>().ok();
    if moment.is_none() {
        let help = "write a date and a time with a zone: `2027-01-15T16:00:00+08:00`".to_owned();
        let message = "`now` must be a moment (RFC 3339)".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some(help));
    }
    moment.map(jiff::Timestamp::as_second)
}
