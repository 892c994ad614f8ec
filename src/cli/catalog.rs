//! `menshen catalog drift`: fields that backends have and nobody declared. None of them passes; this says
//! which they are, since when, and how they would be written down.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::output;
use super::{Failure, Outcome, runtime};
use crate::clock::Clock;
use crate::policy::Program;
use crate::secret::MasterKey;
use crate::server::load_policies;
use crate::state::{FieldRow, Store};

/// Arguments of `menshen catalog`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the fields that backends gave and the catalogue does not know; exit 1 if there are any.
    Drift(Drift),
}

#[derive(Debug, Args)]
struct Drift {
    /// The state folder.
    ///
    /// Example: menshen catalog drift --state /var/lib/menshen --key /etc/menshen/master.key
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// The master key file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A policy: what it declares by now is left out.
    #[arg(long, value_name = "PATH")]
    policies: Option<PathBuf>,
    /// Text for people, one JSON document, or entities to paste into the catalogue, each field closed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Human,
    Json,
    Yaml,
}

/// A field for programs.
#[derive(Debug, Serialize)]
struct Unknown {
    route: String,
    field: String,
    first_seen: String,
    last_seen: String,
    answers: u64,
}

impl From<FieldRow> for Unknown {
    fn from(row: FieldRow) -> Self {
        Self {
            route: row.route,
            field: row.field,
            first_seen: day(row.first_day),
            last_seen: day(row.last_day),
            answers: row.answers,
        }
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    let Command::Drift(drift) = &arguments.command;
    let key = MasterKey::read(&drift.key).map_err(Failure::fault)?;
    if !Store::exists(&drift.state) {
        let state = drift.state.display();
        return Err(Failure::Fault(format!(
            "`{state}`: no menshen keeps its state in this folder"
        )));
    }
    let policy = drift.policies.as_ref().map(|path| load_policies(path));
    let policy = policy.transpose().map_err(Failure::fault)?;
    let rows = runtime()?.block_on(async {
        let store = Store::open(&drift.state, &key, Clock::system())?;
        store.unknown_fields().await
    });
    let unknown = undeclared(rows.map_err(Failure::fault)?, policy.as_ref());
    match drift.format {
        Format::Human => human(&unknown, out).map_err(Failure::internal)?,
        Format::Json => output::json(out, &unknown)?,
        Format::Yaml => write!(out, "{}", stub(&unknown)).map_err(Failure::internal)?,
    }
    if unknown.is_empty() { Ok(()) } else { Err(Failure::Finding) }
}

fn undeclared(rows: Vec<FieldRow>, policy: Option<&Program>) -> Vec<Unknown> {
    let is_unknown = |row: &FieldRow| !policy.is_some_and(|policy| policy.declares(&row.field));
    rows.into_iter().filter(is_unknown).map(Unknown::from).collect()
}

fn human(unknown: &[Unknown], out: &mut dyn Write) -> std::io::Result<()> {
    if unknown.is_empty() {
        return writeln!(out, "no field that the catalogue does not know");
    }
    for field in unknown {
        let Unknown { route, field, first_seen, last_seen, answers } = field;
        let in_answers = if *answers == 1 { "answer" } else { "answers" };
        writeln!(out, "{field}  on {route}, {first_seen} to {last_seen}, {answers} {in_answers}")?;
    }
    writeln!(out, "none of them passes; `--format yaml` writes them down, each closed")
}

/// What stands below a name.
#[derive(Debug, Default)]
struct Members(BTreeMap<String, Members>);

impl Members {
    fn add(&mut self, path: &[&str]) {
        if let Some((first, rest)) = path.split_first() {
            self.0.entry((*first).to_owned()).or_default().add(rest);
        }
    }

    fn write(&self, indent: usize, text: &mut String) {
        for (name, below) in &self.0 {
            let gap = " ".repeat(indent);
            if below.0.is_empty() {
                text.push_str(&format!("{gap}{}: ungraded\n", key(name)));
            } else {
                text.push_str(&format!("{gap}{}:\n", key(name)));
                below.write(indent + 2, text);
            }
        }
    }
}

/// A member's name as a key; the names that are kept hold letters, digits, `_`, `-`, `$` and `[]`.
fn key(name: &str) -> String {
    let is_plain = name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && !name.contains(['[', '$'])
        && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
            .contains(&name.to_ascii_lowercase().as_str());
    if is_plain { name.to_owned() } else { format!("\"{name}\"") }
}

/// The fields as entities of a catalogue.
fn stub(unknown: &[Unknown]) -> String {
    let mut entities: BTreeMap<&str, Members> = BTreeMap::new();
    let mut beside = String::new();
    for Unknown { route, field, .. } in unknown {
        match field.split('.').collect::<Vec<_>>().as_slice() {
            [entity, path @ ..] if !entity.starts_with('$') => {
                entities.entry(entity).or_default().add(path);
            }
            _ => beside.push_str(&format!(
                "# {field} on {route}: no field of a record; to let it pass, name it in `pass`\n"
            )),
        }
    }
    let mut text = String::new();
    if !entities.is_empty() {
        text.push_str(
            "# Add these to the entities of the catalogue and give each a grade.\nentities:\n",
        );
    }
    for (entity, members) in &entities {
        text.push_str(&format!("  {}:\n    fields:\n", key(entity)));
        members.write(6, &mut text);
    }
    text + &beside
}

/// A day as `2027-01-15`.
fn day(days: i64) -> String {
    let at = days.checked_mul(86_400).and_then(|s| jiff::Timestamp::from_second(s).ok());
    at.unwrap_or_default().strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(route: &str, field: &str) -> Unknown {
        let row = FieldRow {
            route: route.into(),
            field: field.into(),
            first_day: 20_833,
            last_day: 20_834,
            answers: 2,
        };
        row.into()
    }

    #[test]
    fn what_is_unknown_is_written_down_closed() {
        let fields = [
            unknown("customer.view", "customer.address.zip"),
            unknown("customer.search", "customer.address.zip"),
            unknown("customer.view", "customer.accounts[].iban"),
            unknown("customer.view", "customer.no"),
            unknown("customer.view", "$.debug"),
        ];
        let wanted = "\
# Add these to the entities of the catalogue and give each a grade.
entities:
  customer:
    fields:
      \"accounts[]\":
        iban: ungraded
      address:
        zip: ungraded
      \"no\": ungraded
# $.debug on customer.view: no field of a record; to let it pass, name it in `pass`
";
        assert_eq!(stub(&fields), wanted);
        let mut out = Vec::new();
        human(&fields[..1], &mut out).unwrap();
        let line = "customer.address.zip  on customer.view, 2027-01-15 to 2027-01-16, 2 answers\n";
        assert!(String::from_utf8(out).unwrap().starts_with(line));
    }
}
