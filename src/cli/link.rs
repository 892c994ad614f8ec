//! `menshen link`: who is tied to whom by a case, beside a running gate.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use super::account::{Place, open_state_and_key, operator};
use super::device::time;
use super::output::Format;
use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::link::{Link, LinkError, Links, Listed};

/// Arguments of `menshen link`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen link put corp:wang call customer 4711 --for 30m --reference C-118 \\\n           --state /var/lib/menshen/state --key /etc/menshen/master.key"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tie an account and a data subject by a case; a running gate knows within a second.
    Put {
        #[command(flatten)]
        tie: Tie,
        /// For how long: `30m`, `8h`, `2d`; at most 31 days.
        #[arg(long = "for", value_name = "TIME", default_value = "1h")]
        lasts: String,
        /// The case in the business system.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reference: String,
        #[command(flatten)]
        place: Place,
    },
    /// End a link, or all links of an account.
    End {
        #[command(flatten)]
        what: Ending,
        #[command(flatten)]
        place: Place,
    },
    /// List what was put and ended of an account, the newest first; subjects by their reference.
    List {
        /// The account, as the log names it.
        account: String,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
struct Tie {
    /// The account, as the log names it (`corp:wang`).
    account: String,
    /// The kind of case, a word of the policy.
    kind: String,
    /// The entity of the subject.
    entity: String,
    /// The subject's key.
    subject: String,
}

#[derive(Debug, Args)]
struct Ending {
    /// The account, as the log names it (`corp:wang`).
    account: String,
    /// The kind of case; without it all links of the account end.
    #[arg(requires = "entity")]
    kind: Option<String>,
    /// The entity of the subject.
    #[arg(requires = "subject")]
    entity: Option<String>,
    /// The subject's key.
    subject: Option<String>,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(act(&arguments.action, out))
}

async fn act(action: &Action, out: &mut dyn Write) -> Outcome {
    let (doer, _) = operator();
    let said = match action {
        Action::Put { tie, lasts, reference, place } => {
            let Tie { account, kind, entity, subject } = tie;
            let lasts_s = seconds(lasts)?;
            let link = Link {
                account: account.clone(),
                kind: kind.clone(),
                entity: entity.clone(),
                subject: subject.clone(),
                reference: reference.clone(),
                until_s: Clock::system().unix_s().saturating_add(lasts_s),
            };
            let until = time(link.until_s);
            open(place)?.put(&doer, &[link]).await.map_err(failure)?;
            format!("`{account}` is tied by a `{kind}` until {until}\n")
        }
        Action::End { what: Ending { account, kind, entity, subject }, place } => {
            let links = open(place)?;
            match (kind, entity, subject) {
                (Some(kind), Some(entity), Some(subject)) => {
                    let link = Link {
                        account: account.clone(),
                        kind: kind.clone(),
                        entity: entity.clone(),
                        subject: subject.clone(),
                        reference: String::new(),
                        until_s: 0,
                    };
                    match links.end(&doer, &[link]).await.map_err(failure)? {
                        0 => format!(
                            "no such link of `{account}` stood: see `menshen link list {account}`\n"
                        ),
                        _ => format!("that link of `{account}` is ended\n"),
                    }
                }
                (_, _, _) => {
                    let ended = links.end_all(&doer, account).await.map_err(failure)?;
                    format!("{ended} links of `{account}` are ended\n")
                }
            }
        }
        Action::List { account, format, place } => {
            let rows = open(place)?.history(account).await.map_err(failure)?;
            match format {
                Format::Human => table(&rows),
                Format::Json => rows.iter().map(|row| format!("{}\n", line(row))).collect(),
            }
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

fn seconds(text: &str) -> Result<i64, Failure> {
    let wrong =
        || Failure::fault(format!("`--for`: must be such as `30m`, `8h` or `2d`, got `{text}`"));
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: i64 = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _other => return Err(wrong()),
    };
    Ok(number.saturating_mul(unit))
}

fn open(place: &Place) -> Result<Links, Failure> {
    let (store, master) = open_state_and_key(place).map_err(Failure::fault)?;
    Links::new(store, &master, Clock::system()).map_err(Failure::internal)
}

fn failure(error: LinkError) -> Failure {
    match error {
        LinkError::State(_) | LinkError::Secret(_) => Failure::internal(error),
        LinkError::Form(..) | LinkError::Until | LinkError::Number | LinkError::Full => {
            Failure::fault(error)
        }
    }
}

fn table(rows: &[Listed]) -> String {
    let mut table = format!(
        "{:<20} {:<6} {:<14} {:<23} {:<20} {:<20} BY\n",
        "AT", "", "KIND", "SUBJECT", "UNTIL", "REFERENCE"
    );
    for row in rows {
        let what = if row.is_put { "put" } else { "ended" };
        let until = if row.is_put { time(row.until_s) } else { String::new() };
        let at = time(row.at_ms.div_euclid(1000));
        let Listed { kind, subject, reference, done_by, .. } = row;
        table.push_str(&format!(
            "{at:<20} {what:<6} {kind:<14} {subject:<23} {until:<20} {reference:<20} {done_by}\n"
        ));
    }
    table
}

fn line(row: &Listed) -> serde_json::Value {
    json!({
        "at": time(row.at_ms.div_euclid(1000)),
        "put": row.is_put,
        "account": row.account,
        "kind": row.kind,
        "subject": row.subject,
        "reference": row.reference,
        "until": time(row.until_s),
        "by": row.done_by,
    })
}
