//! `menshen grant`: asks a running gate for grants and decides on them, as whoever the token names. Nothing here goes
//! past the gate: it asks the same of this command as of a browser.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::output::Format;
use super::{Failure, Outcome};
use crate::ship::{Endpoint, call};

/// Arguments of `menshen grant`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen grant ask --gate https://bank.example --ca ca.pem --token clerk.token \\\n           --route guest.scan --subjects guest:G7 --uses 1 --reason \"police asks\""
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Ask to be granted something.
    Ask(Box<Wish>),
    /// List one's own grants, and those that wait for oneself to decide.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        gate: Gate,
    },
    /// Agree to what somebody else asked for.
    Approve(Named),
    /// Say no to it.
    Refuse(Reasoned),
    /// Take a grant back.
    Revoke(Reasoned),
    /// Say whether what was done under a grant was fit, over the interface for the security team.
    Review {
        /// What you say of it.
        #[arg(long, value_enum)]
        verdict: Verdict,
        #[command(flatten)]
        of: Reasoned,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Verdict {
    Fit,
    Unfit,
}

/// Where the gate is, and who asks.
#[derive(Debug, Args)]
struct Gate {
    /// The gate, or its interface for the security team: `https://bank.example:8443`.
    #[arg(long, value_name = "URL")]
    gate: String,
    /// Connect there rather than looking the name up.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<SocketAddr>,
    /// The authorities that vouch for it.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The file with your token.
    #[arg(long, value_name = "FILE")]
    token: PathBuf,
}

#[derive(Debug, Args)]
struct Named {
    /// The grant, such as `G-Zx81…`.
    id: String,
    #[command(flatten)]
    gate: Gate,
}

#[derive(Debug, Args)]
struct Reasoned {
    /// The grant, such as `G-Zx81…`.
    id: String,
    /// Why; the log has it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    gate: Gate,
}

#[derive(Debug, Args)]
struct Wish {
    /// The routes.
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
    /// The actions; those of the routes if left out.
    #[arg(long, value_name = "ACTION")]
    action: Vec<String>,
    /// About whom: `entity:key`.
    #[arg(long, value_name = "ENTITY:KEY")]
    subjects: Vec<String>,
    /// The search that it is about, as it stands in the request: `branch=12&status=open`; any page of it.
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// How many records that search may give, over all pages; as many as the policy lets it if left out.
    #[arg(long, value_name = "N", requires = "query")]
    rows: Option<u32>,
    /// The fields that it shall open; all that the rules show if left out.
    #[arg(long, value_name = "FIELD")]
    fields: Vec<String>,
    /// The role that it shall lend.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// How often.
    #[arg(long, value_name = "N")]
    uses: Option<u32>,
    /// For how long: `30m`.
    #[arg(long, value_name = "TIME")]
    lasts: Option<String>,
    /// The case that it belongs to.
    #[arg(long, value_name = "TEXT")]
    ticket: Option<String>,
    /// Open it at once; somebody else must review it.
    #[arg(long)]
    emergency: bool,
    /// Mark it as an exercise.
    #[arg(long, requires = "emergency")]
    drill: bool,
    /// Why; the log has it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    gate: Gate,
}

const PATH: &str = "/.menshen/grants";
const DECIDE: &str = "/.menshen/grants/decide";

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(act(&arguments.action, out))
}

async fn act(action: &Action, out: &mut dyn Write) -> Outcome {
    let said = match action {
        Action::Ask(wish) => line(&sent(&wish.gate, PATH, Some(&fields(wish))).await?),
        Action::List { format, gate } => {
            let told = sent(gate, PATH, None).await?;
            listed(&told, *format)
        }
        Action::Approve(Named { id, gate }) => {
            let decision = json!({ "id": id, "decision": "approve" });
            line(&sent(gate, DECIDE, Some(&decision)).await?)
        }
        Action::Refuse(Reasoned { id, reason, gate }) => {
            let decision = json!({ "id": id, "decision": "refuse", "reason": reason });
            line(&sent(gate, DECIDE, Some(&decision)).await?)
        }
        Action::Revoke(Reasoned { id, reason, gate }) => {
            let decision = json!({ "id": id, "decision": "revoke", "reason": reason });
            line(&sent(gate, DECIDE, Some(&decision)).await?)
        }
        Action::Review { verdict, of: Reasoned { id, reason, gate } } => {
            let verdict = match verdict {
                Verdict::Fit => "fit",
                Verdict::Unfit => "unfit",
            };
            let said = json!({ "verdict": verdict, "reason": reason });
            line(&sent(gate, &format!("/v1/grants/{id}/review"), Some(&said)).await?)
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

fn fields(wish: &Wish) -> Value {
    let mut fields = Map::new();
    let mut say = |name: &str, value: String| {
        if !value.is_empty() {
            fields.insert(name.to_owned(), value.into());
        }
    };
    say("route", wish.route.join(" "));
    say("action", wish.action.join(" "));
    say("subjects", wish.subjects.join(" "));
    say("query", wish.query.clone().unwrap_or_default());
    say("rows", wish.rows.map_or_else(String::new, |rows| rows.to_string()));
    say("fields", wish.fields.join(" "));
    say("role", wish.role.clone().unwrap_or_default());
    say("uses", wish.uses.map_or_else(String::new, |uses| uses.to_string()));
    say("lasts", wish.lasts.clone().unwrap_or_default());
    say("ticket", wish.ticket.clone().unwrap_or_default());
    say("reason", wish.reason.clone());
    for (name, is_so) in [("emergency", wish.emergency), ("drill", wish.drill)] {
        say(name, if is_so { "true".to_owned() } else { String::new() });
    }
    Value::Object(fields)
}

/// Asks the gate; what it refuses is a fault, in its words.
async fn sent(gate: &Gate, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let wanted = || Failure::Fault(format!("gate `{}`: must read `https://host:port`", gate.gate));
    let endpoint = Endpoint::https(&gate.gate, gate.ca.clone(), gate.address).ok_or_else(wanted)?;
    let shown = gate.token.display();
    let token = std::fs::read_to_string(&gate.token);
    let token = token.map_err(|error| Failure::Fault(format!("`{shown}`: {error}")))?;
    let answered = call(&endpoint, path, token.trim(), body).await;
    let (status, answer) = answered.map_err(|error| Failure::Fault(error.to_string()))?;
    let told: Value = serde_json::from_slice(&answer).unwrap_or_default();
    if (200..300).contains(&status) {
        return Ok(told);
    }
    let said = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (title, detail) = (said("title"), said("detail"));
    let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
    Err(Failure::Fault(format!("the gate answers {status}: {title}{detail}")))
}

fn listed(told: &Value, format: Format) -> String {
    let of = |name: &str| told.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    match format {
        Format::Json => format!("{told}\n"),
        Format::Human => {
            let waiting: String = of("to_decide").iter().map(line).collect();
            let mine: String = of("grants").iter().map(line).collect();
            let waiting = match waiting.as_str() {
                "" => waiting,
                lines => format!("waits for you to decide\n{lines}"),
            };
            let mine = if mine.is_empty() { "no grants of yours\n".to_owned() } else { mine };
            format!("{waiting}{mine}")
        }
    }
}

/// `G-… approved: corp:clerk may view guest.scan of guest G7 once, until …`.
fn line(grant: &Value) -> String {
    let said = |name: &str| grant.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let text = format!("{} {}: {}", said("id"), said("state"), said("sentence"));
    // What the gate says is shown on a terminal.
    let shown: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("{shown}\n")
}
