//! `menshen registry tenant`: who works on the platform, whom to ask, and whether it is served.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Failure;
use super::account::Place;
use super::device::time;
use super::registry::{all_read, entries, failure, open};
use super::registry_steps::{FromFile, Looked, Named, Print, all, steps};
use super::switch::doer;
use crate::registry::{Kind, Noted, Particulars, Said, Tenant, Turn};

/// Arguments of `menshen registry tenant`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Register one, or say anew who it is; one that was ended is served again.
    Put(Box<Put>),
    /// Refuse its callers from the next request on; open streams are cut.
    Suspend(Named),
    /// Let it go on.
    Resume(Named),
    /// End it.
    End(Named),
    /// Show one, with all that was done.
    Show(Looked),
    /// List all.
    List(Print),
    /// Register all of a file: `tenants:` in YAML, or a line of JSON for each. Nothing is if anything is wrong.
    Import(FromFile),
}

#[derive(Debug, Args)]
struct Put {
    /// As callers have it as their attribute `tenant`.
    name: String,
    /// Its number in a register.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    registration: String,
    /// Who answers for it.
    #[arg(long, value_name = "NAME", default_value = "")]
    owner: String,
    /// Whom to ask, and how.
    #[arg(long, value_name = "TEXT", default_value = "")]
    contact: String,
    /// Why; the log has it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn act(arguments: &Arguments) -> Result<String, Failure> {
    match &arguments.action {
        Action::Put(put) => registered(put).await,
        Action::Suspend(named) => turned(named, Turn::Suspended).await,
        Action::Resume(named) => turned(named, Turn::Active).await,
        Action::End(named) => turned(named, Turn::Ended).await,
        Action::Show(looked) => steps(looked, Kind::Tenant, shown).await,
        Action::List(print) => all(print, Kind::Tenant, table).await,
        Action::Import(FromFile { file, reason, place }) => {
            let read = all_read(entries(file, "tenants")?, Particulars::read)?;
            let (office, doer, count) = (open(place)?, doer(), read.len());
            for (done, (name, particulars)) in read.into_iter().enumerate() {
                let put = office.put_tenant(&doer, &name, particulars, reason).await;
                put.map_err(|error| {
                    Failure::Fault(format!("`{name}`: {error}; {done} before it are registered"))
                })?;
            }
            Ok(format!("{count} tenants are registered\n"))
        }
    }
}

async fn registered(put: &Put) -> Result<String, Failure> {
    let Put { name, registration, owner, contact, reason, place } = put;
    let members = json!({ "registration": registration, "owner": owner, "contact": contact });
    let members: Map<String, Value> = members.as_object().cloned().unwrap_or_default();
    let particulars = Particulars::read(&members).map_err(failure)?;
    let put = open(place)?.put_tenant(&doer(), name, particulars, reason).await;
    let tenant = put.map_err(failure)?;
    Ok(format!("`{name}` is registered and {}\n", tenant.turn.word()))
}

async fn turned(named: &Named, to: Turn) -> Result<String, Failure> {
    let Named { name, reason, place } = named;
    let turned = open(place)?.turn_tenant(&doer(), name, to, reason).await.map_err(failure)?;
    Ok(format!("`{name}` is {}\n", turned.turn.word()))
}

fn tenant(noted: &Noted) -> Option<&Tenant> {
    match &noted.said {
        Said::Tenant(tenant) => Some(tenant),
        Said::Partner(_) => None,
    }
}

fn table(all: &[Noted]) -> String {
    let mut table = format!(
        "{:<24} {:<10} {:<16} {:<24} CONTACT\n",
        "TENANT", "STATE", "REGISTRATION", "OWNER"
    );
    for Tenant { name, particulars, turn, .. } in all.iter().filter_map(tenant) {
        let (state, Particulars { registration, owner, contact }) = (turn.word(), particulars);
        table.push_str(&format!(
            "{name:<24} {state:<10} {registration:<16} {owner:<24} {contact}\n"
        ));
    }
    table
}

fn shown(steps: &[Noted]) -> String {
    let mut said = String::new();
    if let Some(Tenant { name, particulars, turn, since_ms }) = steps.last().and_then(tenant) {
        let Particulars { registration, owner, contact } = particulars;
        let since = time(since_ms.div_euclid(1000));
        said.push_str(&format!("{name}: {}, since {since}\n", turn.word()));
        said.push_str(&format!("  registration {registration}, {owner}, {contact}\n"));
    }
    said
}
