//! `menshen switch`: what is switched off by command, beside a running gate.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::account::{Place, open_state, operator};
use super::device::time;
use super::output::Format;
use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::command::{
    ACTIVATED, Asked, CommandError, Desk, Doer, Done, Kind, SwitchRow, Target, Way,
};
use crate::policy::Program;
use crate::server::load_policies;

/// Arguments of `menshen switch`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen switch on exports --reason \"incident 4711\" \\\n           --state /var/lib/menshen/state --key /etc/menshen/master.key"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Switch something off: requests are refused from the next one on, open streams are cut.
    On(Turn),
    /// Let it go on.
    Off(Turn),
    /// List what is switched off, and what waits for a second person.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        place: Place,
    },
    /// Agree to what another person asked for; it is done then.
    Confirm(Numbered),
    /// Take back what waits for a second person.
    Withdraw(Numbered),
}

#[derive(Debug, Args)]
struct Turn {
    /// person, role, right, tenant, partner, route or exports.
    kind: Kind,
    /// Which one; exports take none. A person is named by the person's name or by an account (`corp:wang`),
    /// a right by the role and whose it is (`teller@corp:wang`).
    #[arg(default_value = "")]
    name: String,
    /// Why; the log has it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Refuse a role or route that these policy files do not define.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Numbered {
    /// The number of what was asked for; `menshen switch list` shows it.
    number: i64,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(act(&arguments.action, out))
}

async fn act(action: &Action, out: &mut dyn Write) -> Outcome {
    let said = match action {
        Action::On(turn) => turned(turn, Way::On).await?,
        Action::Off(turn) => turned(turn, Way::Off).await?,
        Action::List { format, place } => {
            let desk = open(place)?;
            let on = desk.switches().await.map_err(failure)?;
            let asked = desk.asked().await.map_err(failure)?;
            match format {
                Format::Human => table(&on, &asked),
                Format::Json => {
                    let lines = on.iter().map(line).chain(asked.iter().map(waiting));
                    lines.map(|line| format!("{line}\n")).collect()
                }
            }
        }
        Action::Confirm(Numbered { number, place }) => {
            let desk = open(place)?;
            let waiting = desk.asked().await.map_err(failure)?;
            if waiting.iter().any(|asked| asked.id == *number && asked.verb == ACTIVATED) {
                let said = "that is a policy: agree with `menshen policy confirm`, which looks at what its files are by now";
                return Err(Failure::fault(said));
            }
            let (asked, done) = desk.agree(&doer(), *number).await.map_err(failure)?;
            let told = match done {
                Done::Changed => "is done",
                Done::Already | Done::Waits(_) => "was so already",
            };
            format!("{} `{}`: {told}\n", asked.verb, asked.object)
        }
        Action::Withdraw(Numbered { number, place }) => {
            open(place)?.take_back(&doer(), *number).await.map_err(failure)?;
            format!("number {number} is taken back\n")
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

async fn turned(turn: &Turn, way: Way) -> Result<String, Failure> {
    let target = Target::new(turn.kind, &turn.name).map_err(failure)?;
    if let Some(policies) = &turn.policies {
        let program = load_policies(policies).map_err(Failure::fault)?;
        check_known(&program, &target)?;
    }
    let desk = open(&turn.place)?;
    let done = desk.turn(&doer(), way, &target, &turn.reason).await.map_err(failure)?;
    Ok(match (done, way) {
        (Done::Changed, Way::On) => {
            format!(
                "`{target}` is switched off; a running gate knows within a quarter of a second\n"
            )
        }
        (Done::Changed, Way::Off) => format!("`{target}` goes on\n"),
        (Done::Already, Way::On) => format!("`{target}` was switched off already\n"),
        (Done::Already, Way::Off) => format!("`{target}` was not switched off\n"),
        (Done::Waits(id), Way::On | Way::Off) => {
            format!(
                "the policy wants a second person: have one run `menshen switch confirm {id}` within an hour\n"
            )
        }
    })
}

/// A typing error must not pass for a switch that holds.
fn check_known(program: &Program, target: &Target) -> Result<(), Failure> {
    let name = target.name();
    let is_known = match target.kind() {
        Kind::Role => program.roles().any(|(role, ..)| role == name),
        Kind::Route => program.routes().iter().any(|route| route.name() == name),
        Kind::Right => name
            .split_once('@')
            .is_some_and(|(right, _)| program.roles().any(|(role, ..)| role == right)),
        Kind::Person | Kind::Tenant | Kind::Partner | Kind::Exports => true,
    };
    match is_known {
        true => Ok(()),
        false => Err(Failure::fault(format!("the policy has no {target}"))),
    }
}

/// Who runs the command.
pub(super) fn doer() -> Doer {
    let (name, uid) = operator();
    Doer::user(&name, uid)
}

pub(super) fn open(place: &Place) -> Result<Desk, Failure> {
    Ok(Desk::new(open_state(place).map_err(Failure::fault)?, Clock::system()))
}

pub(super) fn failure(error: CommandError) -> Failure {
    match error {
        CommandError::State(error) => Failure::internal(error),
        CommandError::Kind(_)
        | CommandError::Name { .. }
        | CommandError::NoName
        | CommandError::Right
        | CommandError::Reason
        | CommandError::NotAsked(_)
        | CommandError::SamePerson
        | CommandError::OtherWays(_)
        | CommandError::NotHeld(_)
        | CommandError::Uses(_)
        | CommandError::Oneself
        | CommandError::Full => Failure::fault(error),
    }
}

fn table(on: &[SwitchRow], asked: &[Asked]) -> String {
    let mut table = format!("{:<32} {:<20} {:<24} REASON\n", "SWITCHED OFF", "SINCE", "BY");
    for row in on {
        let what = format!("{} {}", row.kind, row.name);
        let by = match row.approved_by.as_str() {
            "" => row.done_by.clone(),
            second => format!("{} and {second}", row.done_by),
        };
        let since = time(row.since_ms.div_euclid(1000));
        table.push_str(&format!("{what:<32} {since:<20} {by:<24} {}\n", row.reason));
    }
    if !asked.is_empty() {
        table.push_str("\nwaiting for a second person:\n");
    }
    for Asked { id, verb, object, reason, asked_by, until_s } in asked {
        let until = time(*until_s);
        table.push_str(&format!(
            "{id}: {verb} {object}, asked by {asked_by}, until {until}: {reason}\n"
        ));
    }
    table
}

fn line(row: &SwitchRow) -> serde_json::Value {
    json!({
        "kind": row.kind,
        "name": row.name,
        "reason": row.reason,
        "by": row.done_by,
        "approved_by": row.approved_by,
        "since": time(row.since_ms.div_euclid(1000)),
    })
}

fn waiting(asked: &Asked) -> serde_json::Value {
    json!({
        "waits": asked.id,
        "verb": asked.verb,
        "object": asked.object,
        "reason": asked.reason,
        "asked_by": asked.asked_by,
        "until": time(asked.until_s),
    })
}
