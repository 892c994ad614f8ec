//! `menshen registry`: what is registered beside a running gate, a file for each kind.

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::account::{Place, open_state_and_key};
use super::{Failure, Outcome, registry_partner, registry_subject, registry_tenant};
use crate::clock::Clock;
use crate::document::{Content, Pair, Source, parse};
use crate::registry::{Office, RegistryError};

/// The most bytes of a file.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// A name of a file, with what is said of it.
pub(super) type Entry = (String, Map<String, Value>);

/// Arguments of `menshen registry`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Partners: drafted, reviewed, agreed to by two other persons, then active until their contract ends.
    ///
    /// Example: menshen registry partner draft fast-parcel --task delivery --country TH --contract C-118 --nda N-118 --until 2027-06-30 --purpose delivery --level 2 --reason "tender 7" --config menshen.yaml
    Partner(registry_partner::Arguments),
    /// Tenants: registered with who they are and whom to ask, and served until somebody suspends them.
    ///
    /// Example: menshen registry tenant put shop --registration R-7 --owner Lin --contact lin@shop.example --reason "contract 12" --config menshen.yaml
    Tenant(registry_tenant::Arguments),
    /// Say to what data subjects consented or objected, and mark them.
    Subject(registry_subject::Arguments),
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let runtime = super::runtime()?;
    let said = match &arguments.what {
        What::Partner(arguments) => runtime.block_on(registry_partner::act(arguments))?,
        What::Tenant(arguments) => runtime.block_on(registry_tenant::act(arguments))?,
        What::Subject(arguments) => return registry_subject::run(arguments, out),
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

pub(super) fn open(place: &Place) -> Result<Office, Failure> {
    let (store, master) = open_state_and_key(place).map_err(Failure::fault)?;
    Office::new(store, &master, Clock::system()).map_err(Failure::internal)
}

pub(super) fn failure(error: RegistryError) -> Failure {
    match error {
        RegistryError::Store(_) | RegistryError::Secret(_) | RegistryError::Damaged(..) => {
            Failure::internal(error)
        }
        RegistryError::Name(_)
        | RegistryError::Form(_)
        | RegistryError::Unknown(..)
        | RegistryError::State { .. }
        | RegistryError::Missing(_)
        | RegistryError::Over(_)
        | RegistryError::Level { .. }
        | RegistryError::Purpose(_)
        | RegistryError::Command(_)
        | RegistryError::Raced
        | RegistryError::Full
        | RegistryError::TooLong => Failure::fault(error),
    }
}

/// What a file says of many: in YAML a map of names below `section`, in NDJSON a line with `name` for each.
pub(super) fn entries(path: &Path, section: &str) -> Result<Vec<Entry>, Failure> {
    let shown = path.display();
    let fault = |said: String| Failure::Fault(format!("`{shown}`: {said}"));
    let size = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?.len();
    if size > MOST_BYTES {
        return Err(fault(format!("more than {MOST_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    let is_lines = path.extension().is_some_and(|end| end == "ndjson" || end == "jsonl");
    if is_lines {
        of_lines(&text).map_err(fault)
    } else {
        of_yaml(shown.to_string(), text, section)
    }
}

/// Refuses a file in which a name stands twice; what is wrong with each is told all at once.
pub(super) fn all_read<T>(
    entries: Vec<Entry>,
    read: impl Fn(&Map<String, Value>) -> Result<T, RegistryError>,
) -> Result<Vec<(String, T)>, Failure> {
    let (mut all, mut faults) = (Vec::<(String, T)>::new(), Vec::new());
    for (name, members) in entries {
        if all.iter().any(|(known, _)| *known == name) {
            faults.push(format!("`{name}` stands there twice"));
        }
        match read(&members) {
            Ok(read) => all.push((name, read)),
            Err(error) => {
                let said = error.to_string();
                faults.extend(said.lines().map(|line| format!("`{name}`: {line}")));
            }
        }
    }
    if faults.is_empty() { Ok(all) } else { Err(Failure::Fault(faults.join("\n"))) }
}

fn of_lines(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = index + 1;
        let read = serde_json::from_str::<Map<String, Value>>(line);
        let mut members = read.map_err(|error| format!("line {number}: {error}"))?;
        let name = members.remove("name").and_then(|name| name.as_str().map(str::to_owned));
        let name = name.ok_or_else(|| format!("line {number}: `name` must be there, as text"))?;
        entries.push((name, members));
    }
    Ok(entries)
}

fn of_yaml(shown: String, text: String, section: &str) -> Result<Vec<Entry>, Failure> {
    let fault = |said: &str| Failure::Fault(format!("`{shown}`: {said}"));
    let sources = [Source { name: shown.clone(), text }];
    let tree = parse(&sources, 0).map_err(|faults| {
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::Fault(said.join("\n"))
    })?;
    let all = match tree.map(|node| node.content) {
        Some(Content::Map(pairs)) => pairs.into_iter().find(|pair| pair.key == section),
        Some(Content::Null | Content::Text(_) | Content::List(_)) | None => None,
    };
    let Some(Content::Map(all)) = all.map(|pair| pair.value.content) else {
        return Err(fault(&format!("must have `{section}:`, a map of names")));
    };
    let one = |pair: Pair| match value(pair.value.content) {
        Value::Object(members) => Ok((pair.key, members)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(fault(&format!("`{}` must be a map", pair.key)))
        }
    };
    all.into_iter().map(one).collect()
}

/// Scalars stay text: `118` may be the number of a contract.
fn value(content: Content) -> Value {
    match content {
        Content::Null => Value::Null,
        Content::Text(text) => Value::String(text),
        Content::List(items) => items.into_iter().map(|item| value(item.content)).collect(),
        Content::Map(pairs) => {
            let members = pairs.into_iter().map(|pair| (pair.key, value(pair.value.content)));
            Value::Object(members.collect())
        }
    }
}
