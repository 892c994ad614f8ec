//! `menshen registry partner`: drafted by one, reviewed by another, agreed to by two, active until the contract ends.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Failure;
use super::account::Place;
use super::registry::{all_read, entries, failure, open};
use super::registry_public::published;
use super::registry_steps::{FromFile, Looked, Named, Print, all, steps};
use super::switch::doer;
use crate::clock::Clock;
use crate::registry::{Contract, Kind, Noted, Partner, Said, Step};

/// Arguments of `menshen registry partner`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write down what shall hold; what holds already goes on until the new contract is active.
    Draft(Box<Draft>),
    /// Say that the draft was looked at; not by whoever drafted it.
    Review(Named),
    /// Agree to it; two persons must, neither of them who drafted it.
    Approve(Named),
    /// Let it receive data from now on, until its contract ends.
    Activate(Named),
    /// Refuse it from the next request on; open streams are cut.
    Suspend(Named),
    /// Let it go on.
    Resume(Named),
    /// End it.
    End(Named),
    /// Show one, with all that was done.
    Show(Looked),
    /// List all.
    List {
        /// Only what everybody may read: who receives data for which task, where and since when, and what changed.
        #[arg(long)]
        public: bool,
        #[command(flatten)]
        print: Print,
    },
    /// Draft all of a file: `partners:` in YAML, or a line of JSON for each. Nothing is drafted if anything is wrong.
    Import(FromFile),
}

#[derive(Debug, Args)]
struct Draft {
    /// As callers have it as their attribute `partner`, or as their account if they are of that kind.
    name: String,
    /// What it does.
    #[arg(long, value_name = "TEXT")]
    task: Option<String>,
    /// Where it is: `TH`.
    #[arg(long, value_name = "COUNTRY")]
    country: Option<String>,
    /// The number of the contract.
    #[arg(long, value_name = "NUMBER")]
    contract: Option<String>,
    /// The number of the agreement to keep data secret.
    #[arg(long, value_name = "NUMBER")]
    nda: Option<String>,
    /// The contract's last day: `2027-06-30`, in UTC.
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
    /// A purpose of the policy; may be given again. Without any it receives nothing.
    #[arg(long = "purpose", value_name = "PURPOSE")]
    purposes: Vec<String>,
    /// A field that it may receive, in whatever form: `customer.phone`, or `customer` for all; may be given again. Without
    /// any the policy alone says which.
    #[arg(long = "field", value_name = "FIELD")]
    fields: Vec<String>,
    /// How well it protects data, as somebody attested: 0 to 3.
    #[arg(long, value_name = "LEVEL", default_value_t = 0)]
    level: u8,
    /// Why; the log has it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn act(arguments: &Arguments) -> Result<String, Failure> {
    match &arguments.action {
        Action::Draft(draft) => drafted(draft).await,
        Action::Review(named) => taken(named, Step::Review).await,
        Action::Approve(named) => taken(named, Step::Approve).await,
        Action::Activate(named) => taken(named, Step::Activate).await,
        Action::Suspend(named) => taken(named, Step::Suspend).await,
        Action::Resume(named) => taken(named, Step::Resume).await,
        Action::End(named) => taken(named, Step::End).await,
        Action::Show(looked) => steps(looked, Kind::Partner, shown).await,
        Action::List { public: true, print: Print { format, place } } => {
            let list = open(place)?.published().await.map_err(failure)?;
            Ok(published(&list, *format))
        }
        Action::List { public: false, print } => all(print, Kind::Partner, table).await,
        Action::Import(from) => imported(from).await,
    }
}

async fn drafted(draft: &Draft) -> Result<String, Failure> {
    let Draft { name, task, country, contract, nda, until, .. } = draft;
    let Draft { purposes, fields, level, reason, place, .. } = draft;
    let texts = [
        ("task", task),
        ("country", country),
        ("contract", contract),
        ("nda", nda),
        ("until", until),
    ];
    let said = texts.into_iter().filter_map(|(key, text)| Some((key, text.clone()?)));
    let mut members: Map<String, Value> =
        said.map(|(key, text)| (key.to_owned(), Value::String(text))).collect();
    members.insert("purposes".to_owned(), json!(purposes));
    members.insert("fields".to_owned(), json!(fields));
    members.insert("level".to_owned(), json!(level));
    let contract = Contract::read(&members).map_err(failure)?;
    open(place)?.draft(&doer(), name, contract, reason).await.map_err(failure)?;
    Ok(format!("`{name}` is drafted; another person reviews it, and two others than you approve\n"))
}

async fn taken(named: &Named, step: Step) -> Result<String, Failure> {
    let Named { name, reason, place } = named;
    let partner = open(place)?.take(&doer(), name, step, reason).await.map_err(failure)?;
    let agreed = partner.proposal.as_ref().map_or(0, |proposal| proposal.approved.len());
    Ok(match (step, agreed) {
        (Step::Approve, 1) => format!("`{name}` is approved by one; another person must, too\n"),
        (Step::Approve, _) => format!("`{name}` is approved; activate it to let it receive data\n"),
        (_, _) => format!("`{name}` is {}\n", step.done()),
    })
}

async fn imported(FromFile { file, reason, place }: &FromFile) -> Result<String, Failure> {
    let read = all_read(entries(file, "partners")?, Contract::read)?;
    let (office, doer, count) = (open(place)?, doer(), read.len());
    for (done, (name, contract)) in read.into_iter().enumerate() {
        office.draft(&doer, &name, contract, reason).await.map_err(|error| {
            Failure::Fault(format!("`{name}`: {error}; {done} before it are drafted"))
        })?;
    }
    Ok(format!("{count} partners are drafted; each is still reviewed and approved\n"))
}

fn partner(noted: &Noted) -> Option<&Partner> {
    match &noted.said {
        Said::Partner(partner) => Some(partner),
        Said::Tenant(_) => None,
    }
}

/// What holds, or else what is on its way.
fn contract(partner: &Partner) -> Contract {
    let proposed = partner.proposal.as_ref().map(|proposal| &proposal.contract);
    partner.contract.as_ref().or(proposed).cloned().unwrap_or_default()
}

fn table(all: &[Noted]) -> String {
    let now_s = Clock::system().unix_s();
    let mut table = format!(
        "{:<24} {:<10} {:<12} {:<6} {:<12} TASK\n",
        "PARTNER", "STATE", "UNTIL", "LEVEL", "ON ITS WAY"
    );
    for partner in all.iter().filter_map(partner) {
        let Contract { until, level, task, .. } = contract(partner);
        let way = partner.proposal.as_ref().map_or("", |proposal| proposal.stage.word());
        let (name, state) = (&partner.name, partner.state(now_s));
        table
            .push_str(&format!("{name:<24} {state:<10} {until:<12} {level:<6} {way:<12} {task}\n"));
    }
    table
}

fn shown(steps: &[Noted]) -> String {
    let now_s = Clock::system().unix_s();
    let mut said = String::new();
    if let Some(partner) = steps.last().and_then(partner) {
        said.push_str(&format!("{}: {}\n", partner.name, partner.state(now_s)));
        let proposal = partner.proposal.as_ref();
        let drafted = proposal.map(|proposal| (proposal.stage.word(), &proposal.contract));
        let all = partner.contract.as_ref().map(|contract| ("holds", contract));
        for (what, contract) in all.into_iter().chain(drafted) {
            let Contract { task, country, .. } = contract;
            said.push_str(&format!("  {what}: {task} ({country}), {}\n", contract.words()));
        }
    }
    said
}
