//! `menshen limits`: how budgets stand by the state, and that one begins anew.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use super::account::{Place, open_existing, open_state};
use super::output::Format;
use super::switch::{doer, failure};
use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::command::{Desk, Done};
use crate::limits::{Budget, Standing};
use crate::server::read_limits;

/// Arguments of `menshen limits`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen limits show corp:wang --state /var/lib/menshen/state \\\n           --key /etc/menshen/master.key"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what counts of budgets at this moment.
    Show {
        /// A person, by name or account, or what several share, as this command names it; everybody if left out.
        person: Option<String>,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        place: Place,
    },
    /// Let a budget of somebody begin anew: nothing that was released counts any more.
    Reset {
        /// A person, by name or account, or what several share.
        person: String,
        /// The budget, as `limits show` names it: `subjects-1h`.
        #[arg(long)]
        budget: Budget,
        /// Why; the log has it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        place: Place,
    },
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(act(&arguments.action, out))
}

async fn act(action: &Action, out: &mut dyn Write) -> Outcome {
    let said = match action {
        Action::Show { person, format, place } => {
            let standings = shown(person.as_deref(), place).await?;
            match format {
                Format::Human => table(&standings),
                Format::Json => standings.iter().map(|s| format!("{}\n", line(s))).collect(),
            }
        }
        Action::Reset { person, budget, reason, place } => {
            let desk = Desk::new(open_state(place).map_err(Failure::fault)?, Clock::system());
            let budget = budget.to_string();
            let done = desk.reset(&doer(), person, &budget, reason).await.map_err(failure)?;
            match done {
                Done::Changed | Done::Already => {
                    format!(
                        "`{budget}` of `{person}` begins anew; a running gate knows within a quarter of a second\n"
                    )
                }
                Done::Waits(id) => {
                    format!(
                        "the policy wants a second person: have one run `menshen switch confirm {id}` within an hour\n"
                    )
                }
            }
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

async fn shown(person: Option<&str>, place: &Place) -> Result<Vec<Standing>, Failure> {
    let identity = open_existing(place).map_err(Failure::fault)?;
    identity.load_roster().await.map_err(Failure::internal)?;
    let store = open_state(place).map_err(Failure::fault)?;
    let limits = read_limits(store, &Clock::system(), |account| identity.counted_as(account)).await;
    let limits = limits.map_err(Failure::internal)?;
    let Some(person) = person else { return Ok(limits.standings(None)) };
    let counted = identity.counted_as(person);
    let of_account = limits.standings(Some(&counted));
    match of_account.is_empty() {
        true => Ok(limits.standings(Some(&crate::identity::counted_as(person)))),
        false => Ok(of_account),
    }
}

fn table(standings: &[Standing]) -> String {
    let mut table = format!("{:<32} {:<36} {:>12} EASES\n", "WHOSE", "BUDGET", "USED");
    for Standing { holder, budget, used, eases_in_s } in standings {
        let eases = eases_in_s.map_or_else(|| "-".to_owned(), |s| format!("in {s} s"));
        let budget = budget.to_string();
        table.push_str(&format!("{holder:<32} {budget:<36} {used:>12} {eases}\n"));
    }
    table
}

fn line(standing: &Standing) -> serde_json::Value {
    json!({
        "holder": &*standing.holder,
        "budget": standing.budget.to_string(),
        "used": standing.used,
        "eases_in_s": standing.eases_in_s,
    })
}
