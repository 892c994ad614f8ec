//! `menshen detection`: what was found, releasing whom it holds, drills, and a log read again with other thresholds.

mod replay;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::account::Place;
use super::device::time;
use super::output::{self, Format};
use super::switch::{doer, failure, open};
use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::command::{FindingRow, NewFinding};
use crate::policy::Detection;
use crate::review::{Drill, Rules, drill};
use crate::server::{load_policies, to_keep};

/// Arguments of `menshen detection`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen detection release corp:wang --reason \"checked with her manager\" \\\n           --state /var/lib/menshen/state --key /etc/menshen/master.key"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the findings that hold somebody, the newest first; with `--all` the others as well.
    List {
        /// Also those that were released, only told, or drills.
        #[arg(long)]
        all: bool,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        place: Place,
    },
    /// Show one finding.
    Show {
        /// Its number.
        number: i64,
        #[command(flatten)]
        place: Place,
    },
    /// Let somebody go on whom findings hold; a running gate knows within a quarter of a second.
    Release {
        /// Whom: an account (`corp:wang`), or a person by name (`person/e1042`).
        holder: String,
        /// Why; the log has it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        place: Place,
    },
    /// Tell a detection a story that it must find; a running gate records it as a drill, and nothing follows.
    Drill {
        /// The detection; `all` for every one that is on.
        name: String,
        /// The policy, whose thresholds the story goes by.
        #[arg(long, value_name = "DIR")]
        policies: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Read a log again and say what the detections of a policy would have found in it.
    Replay(replay::Arguments),
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    if let Action::Replay(arguments) = &arguments.action {
        return replay::run(arguments, out);
    }
    super::runtime()?.block_on(act(&arguments.action, out))
}

async fn act(action: &Action, out: &mut dyn Write) -> Outcome {
    let said = match action {
        Action::List { all, format, place } => {
            let rows = open(place)?.findings(!all).await.map_err(failure)?;
            match format {
                Format::Human => table(&rows),
                Format::Json => return output::json(out, &rows),
            }
        }
        Action::Show { number, place } => {
            let row = open(place)?.finding(*number).await.map_err(failure)?;
            let row = row.ok_or_else(|| {
                Failure::fault(format!("there is no finding {number}; `list --all` shows them"))
            })?;
            return output::json(out, &row);
        }
        Action::Release { holder, reason, place } => release(holder, reason, place).await?,
        Action::Drill { name, policies, place } => return drills(name, policies, place, out).await,
        // It needs no state.
        Action::Replay(_) => String::new(),
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

async fn release(holder: &str, reason: &str, place: &Place) -> Result<String, Failure> {
    let released = open(place)?.release(&doer(), holder, reason).await.map_err(failure)?;
    let numbers: Vec<String> = released.iter().map(ToString::to_string).collect();
    Ok(format!("`{holder}` goes on: released {}\n", numbers.join(", ")))
}

/// Tells the stories, and notes what was found as drills for the gate to record.
async fn drills(name: &str, policies: &Path, place: &Place, out: &mut dyn Write) -> Outcome {
    let program = load_policies(policies).map_err(Failure::fault)?;
    let rules = Rules::for_drills(&program).map_err(Failure::internal)?;
    let chosen: Vec<Detection> = match name {
        "all" => Detection::ALL.into_iter().filter(|one| rules.is_on(*one)).collect(),
        name => vec![Detection::named(name).ok_or_else(|| unknown(name))?],
    };
    let desk = open(place)?;
    let mut missed = false;
    for detection in chosen {
        let told = drill(detection, &rules, Clock::system().unix_ms());
        missed |= told.as_ref().is_none_or(|told| told.findings.is_empty());
        writeln!(out, "{}", said(detection, told.as_ref())).map_err(Failure::internal)?;
        let found = told.into_iter().flat_map(|told| told.findings);
        let rows: Vec<NewFinding> = found.map(|found| to_keep(&found, true)).collect();
        desk.drilled(rows).await.map_err(failure)?;
    }
    if missed { Err(Failure::Finding) } else { Ok(()) }
}

fn unknown(name: &str) -> Failure {
    let known: Vec<&str> = Detection::ALL.iter().map(|one| one.name()).collect();
    Failure::fault(format!("no detection is called `{name}`; there are {}", known.join(", ")))
}

fn said(detection: Detection, told: Option<&Drill>) -> String {
    let name = detection.name();
    let Some(Drill { entries, findings }) = told else {
        return format!(
            "{name}: no drill: it is off, or the policy has nothing to tell it about (a canary whose key \
             a path takes, a limit by the day)"
        );
    };
    match findings.first() {
        Some(found) => {
            let follows = found.consequence.name();
            format!("{name}: found in {entries} entries: {}; {follows} would follow", found.said)
        }
        None => format!("{name}: NOT found in the {entries} entries of its own story"),
    }
}

fn table(rows: &[FindingRow]) -> String {
    let mut table = format!(
        "{:<6} {:<20} {:<18} {:<9} {:<24} SAW\n",
        "NO", "WHEN", "DETECTION", "ACTION", "WHOM"
    );
    for row in rows {
        let when = time(row.at_ms.div_euclid(1000));
        let FindingRow { id, detection, consequence, holder, said, .. } = row;
        let mut saw = said.clone();
        if row.is_drill {
            saw.push_str(" (drill)");
        }
        if let (Some(by), Some(reason)) = (&row.released_by, &row.reason) {
            saw.push_str(&format!("; released by {by}: {reason}"));
        }
        table.push_str(&format!(
            "{id:<6} {when:<20} {detection:<18} {consequence:<9} {holder:<24} {saw}\n"
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::secret::MasterKey;
    use crate::state::Store;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        detection: Arguments,
    }

    /// A folder with a master key, a state and a policy, and a command line on it.
    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            let key = MasterKey::from_bytes([5; 32]);
            key.write_new(&place.path("key")).unwrap();
            drop(Store::open(&place.path("state"), &key, Clock::system()).unwrap());
            let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/demo");
            std::fs::create_dir(place.path("policies")).unwrap();
            for name in ["catalogue.yaml", "routes.yaml", "rules.yaml"] {
                std::fs::copy(policies.join(name), place.path("policies").join(name)).unwrap();
            }
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn run(&self, words: &[&str]) -> (Outcome, String) {
            let (state, key) = (self.path("state"), self.path("key"));
            let places = ["--state", state.to_str().unwrap(), "--key", key.to_str().unwrap()];
            let line = ["detection"].iter().chain(words).chain(&places);
            let line = Line::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
            let mut out = Vec::new();
            let outcome = run(&line.detection, &mut out);
            (outcome, String::from_utf8(out).unwrap())
        }
    }

    #[test]
    fn a_drill_is_found_listed_as_a_drill_and_holds_nobody() {
        let place = Place::new();
        let policies = place.path("policies");
        let policies = policies.to_str().unwrap();
        let (outcome, said) = place.run(&["drill", "sequential-ids", "--policies", policies]);
        assert!(outcome.is_ok() && said.contains("found in 20 entries"), "{said}");
        assert!(said.contains("block would follow"), "{said}");
        let (outcome, said) = place.run(&["drill", "all", "--policies", policies]);
        assert!(outcome.is_ok(), "{said}");
        assert!(said.lines().count() >= 10, "{said}");
        let (_, said) = place.run(&["list"]);
        assert_eq!(said.lines().count(), 1, "{said}");
        let (_, said) = place.run(&["list", "--all"]);
        assert!(said.lines().count() > 10 && said.contains("(drill)"), "{said}");
        let (outcome, _) = place.run(&["release", "(drill)", "--reason", "over"]);
        let Err(Failure::Fault(said)) = outcome else { panic!("{outcome:?}") };
        assert!(said.contains("no finding holds `(drill)`"), "{said}");
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let place = Place::new();
        let policies = place.path("policies");
        let policies = policies.to_str().unwrap();
        let (outcome, _) = place.run(&["drill", "sequences", "--policies", policies]);
        let Err(Failure::Fault(said)) = outcome else { panic!("{outcome:?}") };
        assert!(said.contains("sequential-ids"), "{said}");
        let (outcome, said) = place.run(&["drill", "canary", "--policies", policies]);
        assert!(matches!(outcome, Err(Failure::Finding)) && said.contains("no drill"), "{said}");
        assert!(place.run(&["show", "7"]).0.is_err());
        assert!(place.run(&["release", "wang", "--reason", " "]).0.is_err());
    }
}
