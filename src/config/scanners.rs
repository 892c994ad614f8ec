//! `scanners`: who says of uploaded files whether they are clean.

use std::path::PathBuf;
use std::time::Duration;

use super::read::{host_and_port, wide};
use crate::document::{Code, Keys, Node, Pair, Reader, cut};
use crate::scan::{Command, IcapService, Settings, Way};

const KEYS: [&str; 7] = ["icap", "as", "command", "clean", "found", "timeout", "at-once"];
const TIME: Duration = Duration::from_secs(30);
const AT_ONCE: usize = 4;

/// Reads `scanners` of the configuration.
pub(super) fn scanners(reader: &mut Reader<'_>, keys: &Keys<'_>) -> Vec<Settings> {
    let Some(pair) = keys.find("scanners") else { return Vec::new() };
    let pairs = reader.map(&pair.value, "`scanners`");
    pairs.into_iter().filter_map(|pair| scanner(reader, pair)).collect()
}

fn scanner(reader: &mut Reader<'_>, pair: &Pair) -> Option<Settings> {
    let keys = reader.keys(&pair.value, "a scanner", &KEYS);
    let way = match (keys.find("icap"), keys.find("command")) {
        (Some(icap), None) => service(reader, &keys, &icap.value).map(Way::Icap),
        (None, Some(command)) => program(reader, &keys, &command.value).map(Way::Command),
        (Some(_), Some(other)) => {
            let message = "a scanner has `icap` or `command`, not both".to_owned();
            reader.fault(other.key_span, Code::Contradiction, message, None);
            None
        }
        (None, None) => {
            reader.missing(pair.key_span, "a scanner", "icap", "av.internal:1344/avscan");
            None
        }
    };
    let time = keys.find("timeout").and_then(|p| reader.duration(&p.value, "`timeout`"));
    let at_once = keys.find("at-once").and_then(|p| reader.number(&p.value, "`at-once`", 1, 1024));
    Some(Settings {
        name: pair.key.clone(),
        way: way?,
        time: time.map_or(TIME, |seconds| Duration::from_secs(seconds.into())),
        at_once: at_once.map_or(AT_ONCE, wide),
    })
}

/// `av.internal:1344/avscan`.
fn service(reader: &mut Reader<'_>, keys: &Keys<'_>, node: &Node) -> Option<IcapService> {
    only_of(reader, keys, "icap", &["clean", "found"]);
    let text = reader.text(node, "`icap`")?;
    let place = text.strip_prefix("icap://").unwrap_or(text);
    let found = place.split_once('/').and_then(|(place, path)| {
        let (host, port) = host_and_port(place)?;
        let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic());
        is_plain.then(|| (host, port, format!("/{path}")))
    });
    let Some((host, port, path)) = found else {
        let message = format!("`icap` must be a host, a port and a path, got `{}`", cut(text));
        let help = "write `av.internal:1344/avscan`".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some(help));
        return None;
    };
    let as_requests = match keys.find("as") {
        None => false,
        Some(pair) => match reader.text(&pair.value, "`as`")? {
            "responses" => false,
            "requests" => true,
            other => {
                let known = ["responses", "requests"];
                reader.unknown(pair.value.span, "word", &cut(other), &known);
                return None;
            }
        },
    };
    Some(IcapService { host, port, path, as_requests })
}

/// `[/usr/bin/clamdscan, --no-summary, -]`.
fn program(reader: &mut Reader<'_>, keys: &Keys<'_>, node: &Node) -> Option<Command> {
    only_of(reader, keys, "command", &["as"]);
    let mut words = reader.words(node, "`command`").into_iter().map(|(word, _)| word.to_owned());
    let program = words.next().map(PathBuf::from).filter(|program| program.is_absolute());
    if program.is_none() {
        let message = "`command` must begin with the full path of a program".to_owned();
        let help = "write `[/usr/bin/clamdscan, --no-summary, -]`".to_owned();
        reader.fault(node.span, Code::WrongValue, message, Some(help));
    }
    let mut code = |key: &str, default: u32| {
        let number =
            keys.find(key).and_then(|p| reader.number(&p.value, &format!("`{key}`"), 0, 255));
        i32::try_from(number.unwrap_or(default)).ok()
    };
    let (clean, found) = (code("clean", 0)?, code("found", 1)?);
    if clean == found {
        let message = "`clean` and `found` must be different exit codes".to_owned();
        reader.fault(node.span, Code::Contradiction, message, None);
    }
    Some(Command { program: program?, arguments: words.collect(), clean, found })
}

fn only_of(reader: &mut Reader<'_>, keys: &Keys<'_>, way: &str, others: &[&str]) {
    for pair in others.iter().filter_map(|other| keys.find(other)) {
        let message = format!("`{}` says nothing of `{way}`", pair.key);
        reader.fault(pair.key_span, Code::Contradiction, message, None);
    }
}
