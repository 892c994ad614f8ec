//! `menshen log retention`: what of the log goes when, and the schedule that anybody may see.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::gate_file::open_state;
use super::{Failure, Outcome};
use crate::audit::{AtRest, Fate, Hold, Line, NOTICE_DAYS, RestKey, survey};
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::{KEPT, LOG_PURGE, Program, Retention};
use crate::secret::MasterKey;
use crate::server::{self, load_policies, periods};

/// Arguments of `menshen log retention`.
#[derive(Debug, Args)]
pub(super) struct RetentionArgs {
    /// The log's folder.
    #[arg(default_value = "log")]
    dir: PathBuf,
    /// The policy, whose `retention` says how long each class is kept.
    #[arg(long, value_name = "DIR", default_value = "policies")]
    policies: PathBuf,
    /// Print the schedule of the policy instead, for everybody to see; no log is needed.
    #[arg(long)]
    schedule: bool,
    /// The schedule of this tenant's callers.
    #[arg(long, value_name = "NAME", requires = "schedule")]
    tenant: Option<String>,
    /// How to print; `markdown` and `html` are for the schedule.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// The gate's `menshen.yaml`, whose state knows the legal holds, and whose key tells tenants apart; without it holds
    /// are not looked at, and what is of a tenant is shown with the latest time at which it can go.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
    /// A table.
    Markdown,
    /// A table for a page.
    Html,
}

pub(super) fn run(args: &RetentionArgs, out: &mut dyn Write) -> Outcome {
    let program = load_policies(&args.policies).map_err(Failure::fault)?;
    let (Some(retention), Some(periods)) = (program.retention(), periods(&program)) else {
        let said = "the policy has no `retention`: nothing of the log is destroyed\n";
        return out.write_all(said.as_bytes()).map_err(Failure::internal);
    };
    let said = if args.schedule {
        schedule(of_tenant(&program, retention, args.tenant.as_deref())?, args.format)
    } else {
        super::log::need_log(&args.dir).map_err(Failure::fault)?;
        let now = crate::audit::Moment(Clock::system().unix_ms());
        let takes_two = program.two_person().iter().any(|word| word == LOG_PURGE);
        let holds = holds(args.config.as_deref(), takes_two)?;
        let keys = args.config.as_deref().map(rest_keys).transpose()?.unwrap_or_default();
        let lines = survey(&args.dir, &keys, &periods, &holds, now);
        let lines = lines.map_err(Failure::internal)?;
        lines.iter().map(|line| told(line, args.format)).collect()
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

fn holds(config: Option<&Path>, takes_two: bool) -> Result<Vec<Hold>, Failure> {
    let Some(config) = config else {
        // To what was agreed only the state knows.
        return Ok(takes_two.then(|| Hold::until_agreed(None)).into_iter().collect());
    };
    let (_, store) = open_state(config)?;
    let read = super::runtime()?.block_on(server::holds(&store, takes_two));
    let read = read.map_err(Failure::internal)?;
    read.ok_or_else(|| Failure::Fault("a hold in the state cannot be understood".to_owned()))
}

/// What tells whose entries a key opens.
fn rest_keys(config: &Path) -> Result<Vec<RestKey>, Failure> {
    let config = Config::load(config).map_err(Failure::fault)?;
    let master = MasterKey::read(&config.key).map_err(Failure::fault)?;
    let mut keys = vec![RestKey::new(&master).map_err(Failure::internal)?];
    if let AtRest::Under(own) = server::at_rest(&config).map_err(Failure::fault)? {
        keys.push(own);
    }
    Ok(keys)
}

fn of_tenant<'p>(
    program: &'p Program,
    platform: &'p Retention,
    tenant: Option<&str>,
) -> Result<&'p Retention, Failure> {
    match tenant {
        Some(name) if !program.tenants().any(|known| known == name) => {
            let known: Vec<&str> = program.tenants().collect();
            let known = if known.is_empty() { "no tenant".to_owned() } else { known.join(", ") };
            Err(Failure::Fault(format!("tenant `{name}` has no file; there are files of {known}")))
        }
        Some(name) => Ok(program.tenant_retention().get(name).unwrap_or(platform)),
        None => Ok(platform),
    }
}

fn told(line: &Line, format: Form) -> String {
    let Line { class, whose, from, to, keys, fate } = line;
    match format {
        Form::Json => {
            let (word, until) = match fate {
                Fate::Kept(day) => ("kept", Some(day.to_string())),
                Fate::ToAnnounce(day) => ("to_announce", Some(day.to_string())),
                Fate::Announced(day) => ("announced", Some(day.to_string())),
                Fate::Due => ("due", None),
                Fate::Held(_) => ("held", None),
                Fate::Destroyed => ("destroyed", None),
            };
            let line = json!({
                "class": class, "whose": whose, "from": from, "to": to, "keys": keys, "fate": word, "until": until,
            });
            format!("{line}\n")
        }
        Form::Human | Form::Markdown | Form::Html => {
            let first =
                if matches!(fate, Fate::Kept(_)) && from != to { ", the first day" } else { "" };
            let class = format!("{class} {whose}");
            format!("{:<18} {from} to {to}{first} {fate}\n", class.trim_end())
        }
    }
}

/// What anybody may know: which class is kept how long, and what happens then.
fn schedule(retention: &Retention, format: Form) -> String {
    let rows: Vec<(&str, &str, u32)> =
        KEPT.iter().map(|kept| (kept.class, kept.about, retention.months(kept.class))).collect();
    let ends = format!(
        "Each day's entries are destroyed when they are older than that, after an announcement of {NOTICE_DAYS} days. \
         A legal hold keeps them longer."
    );
    match format {
        Form::Json => rows
            .iter()
            .map(|(class, about, months)| {
                format!("{}\n", json!({ "class": class, "about": about, "months": months }))
            })
            .collect(),
        Form::Html => {
            let row = |(class, about, months): &(&str, &str, u32)| {
                format!("<tr><td>{class}</td><td>{about}</td><td>{months}</td></tr>\n")
            };
            let rows: String = rows.iter().map(row).collect();
            format!(
                "<table>\n<tr><th>class</th><th>about</th><th>months</th></tr>\n{rows}</table>\n<p>{ends}</p>\n"
            )
        }
        Form::Human | Form::Markdown => {
            let row = |(class, about, months): &(&str, &str, u32)| {
                format!("| `{class}` | {about} | {months} |\n")
            };
            let rows: String = rows.iter().map(row).collect();
            format!("| class | about | months |\n|---|---|---|\n{rows}\n{ends}\n")
        }
    }
}
