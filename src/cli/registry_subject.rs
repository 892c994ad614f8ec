//! `menshen registry subject`: consents, objections and marks of data subjects, one by one or from a file.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::account::{Place, open_state_and_key, operator};
use super::device::time;
use super::output::Format;
use super::{Failure, Outcome, csv, registry_file};
use crate::clock::Clock;
use crate::consent::{ConsentError, Listed, Register, Statement};
use crate::policy::Program;
use crate::server::{compile_policies, read_policies};

/// Arguments of `menshen registry subject`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: menshen registry subject consent customer 4711 marketing --kind explicit --notice 3 \\\n           --reference F-118 --config menshen.yaml"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The subject consents to a purpose.
    Consent(Consent),
    /// The subject objects to a purpose: a later consent ends that.
    Object(Refusal),
    /// The subject takes a consent back, or all of them.
    Withdraw(Withdrawal),
    /// Mark the subject with a word of the policy.
    Mark(Mark),
    /// Take a mark away.
    Unmark(Unmark),
    /// Show what was said of a subject, the newest first.
    Show(Show),
    /// Register all statements of a file, or none: NDJSON, or CSV with a line of names.
    Import(Import),
}

#[derive(Debug, Args)]
struct Who {
    /// The entity, as the policy names it.
    entity: String,
    /// The subject's key; of a number its digits.
    subject: String,
}

#[derive(Debug, Args)]
struct Consent {
    #[command(flatten)]
    who: Who,
    /// The purpose.
    purpose: String,
    /// explicit, separate, guardian or deemed.
    #[arg(long)]
    kind: String,
    /// The number of the notice that was shown.
    #[arg(long, value_name = "NUMBER")]
    notice: Option<String>,
    /// Until when: a time of RFC 3339, or a span such as `365d`.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The third party that it is for; with `--what`, `--until` and `--protection`.
    #[arg(long, value_name = "PARTNER")]
    recipient: Option<String>,
    /// What the third party gets, such as `name,phone`.
    #[arg(long, value_name = "WORDS")]
    what: Option<String>,
    /// How it protects that, such as the number of a contract.
    #[arg(long, value_name = "WORDS")]
    protection: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, Args)]
struct Refusal {
    #[command(flatten)]
    who: Who,
    /// The purpose.
    purpose: String,
    /// Only what this third party does.
    #[arg(long, value_name = "PARTNER")]
    recipient: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, Args)]
struct Withdrawal {
    #[command(flatten)]
    who: Who,
    /// The purpose; without it all consents that stand.
    purpose: Option<String>,
    /// The consent to this third party.
    #[arg(long, value_name = "PARTNER", requires = "purpose")]
    recipient: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, Args)]
struct Mark {
    #[command(flatten)]
    who: Who,
    /// The word of the policy, such as `do-not-disclose`.
    mark: String,
    /// Until when: a time of RFC 3339, or a span such as `365d`.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, Args)]
struct Unmark {
    #[command(flatten)]
    who: Who,
    /// The word of the policy.
    mark: String,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Debug, Args)]
struct Kept {
    /// Where the statement is kept, such as the number of a form.
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    who: Who,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Import {
    /// The file; `.csv` for a table, else a JSON object a line.
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(act(&arguments.action, out))
}

async fn act(action: &Action, out: &mut dyn Write) -> Outcome {
    let said = match action {
        Action::Show(Show { who, format, place }) => {
            let rows = open(place)?.history(&who.entity, &who.subject).await.map_err(failure)?;
            match format {
                Format::Human => table(&rows),
                Format::Json => rows.iter().map(|row| format!("{}\n", line(row))).collect(),
            }
        }
        Action::Import(Import { file, place }) => import(file, place).await?,
        Action::Consent(consent) => {
            one(
                "consent",
                &consent.who,
                &consent.kept,
                &[
                    ("purpose", Some(&consent.purpose)),
                    ("kind", Some(&consent.kind)),
                    ("notice", consent.notice.as_ref()),
                    ("until", consent.until.as_ref()),
                    ("recipient", consent.recipient.as_ref()),
                    ("what", consent.what.as_ref()),
                    ("protection", consent.protection.as_ref()),
                ],
            )
            .await?
        }
        Action::Object(Refusal { who, purpose, recipient, kept }) => {
            let given = [("purpose", Some(purpose)), ("recipient", recipient.as_ref())];
            one("object", who, kept, &given).await?
        }
        Action::Withdraw(Withdrawal { who, purpose, recipient, kept }) => {
            let given = [("purpose", purpose.as_ref()), ("recipient", recipient.as_ref())];
            one("withdraw", who, kept, &given).await?
        }
        Action::Mark(Mark { who, mark, until, kept }) => {
            one("mark", who, kept, &[("mark", Some(mark)), ("until", until.as_ref())]).await?
        }
        Action::Unmark(Unmark { who, mark, kept }) => {
            one("unmark", who, kept, &[("mark", Some(mark))]).await?
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

/// Registers what the arguments of a command say.
async fn one(
    act: &str,
    who: &Who,
    kept: &Kept,
    given: &[(&str, Option<&String>)],
) -> Result<String, Failure> {
    let mut members = Map::new();
    let fixed = [("say", act), ("entity", &who.entity), ("subject", &who.subject)];
    members.extend(fixed.map(|(name, text)| (name.to_owned(), Value::from(text))));
    let given = given.iter().copied().chain([("reference", kept.reference.as_ref())]);
    let given =
        given.filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?.as_str()))));
    members.extend(given);
    let read = Statement::read(&members, Clock::system().unix_s());
    let statement = read.map_err(|faults| {
        Failure::fault(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    if let Some(unknown) = policy(&kept.place)?.and_then(|policy| unknown(&policy, &statement)) {
        return Err(Failure::fault(unknown));
    }
    let register = open(&kept.place)?;
    let ended = register.put(&operator().0, &[statement]).await.map_err(failure)?;
    Ok(match (act, ended) {
        ("withdraw" | "unmark", 0) => "registered; nothing of it stood: see `show`\n".to_owned(),
        ("withdraw" | "unmark", ended) => format!("registered; {ended} ended by it\n"),
        (_, _) => "registered\n".to_owned(),
    })
}

async fn import(file: &std::path::Path, place: &Place) -> Result<String, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::fault(format!("{name}: {error}")))?;
    let is_table = file.extension().is_some_and(|ending| ending == "csv");
    let lines = if is_table { csv::table(&text) } else { registry_file::objects(&text) };
    let (policy, now_s) = (policy(place)?, Clock::system().unix_s());
    let (mut statements, mut faults) = (Vec::new(), Vec::new());
    for (number, members) in lines {
        let read = match members {
            Ok(members) => Statement::read(&members, now_s)
                .map_err(|faults| faults.iter().map(ToString::to_string).collect()),
            Err(fault) => Err(vec![fault]),
        };
        match read {
            Ok(statement) => {
                let unknown = policy.as_ref().and_then(|policy| unknown(policy, &statement));
                faults.extend(unknown.map(|fault| format!("{name}:{number}: {fault}")));
                statements.push(statement);
            }
            Err(found) => {
                faults.extend(found.iter().map(|fault| format!("{name}:{number}: {fault}")));
            }
        }
    }
    if !faults.is_empty() {
        return Err(Failure::fault(faults.join("\n")));
    }
    let ended = open(place)?.put(&operator().0, &statements).await.map_err(failure)?;
    Ok(format!(
        "{} statements registered; {ended} consents and marks ended by them\n",
        statements.len()
    ))
}

/// The policy of the gate, where its file is named: a word that it does not know would do nothing.
fn policy(place: &Place) -> Result<Option<Program>, Failure> {
    let Some(folder) = place.policies().map_err(Failure::fault)? else { return Ok(None) };
    let sources = read_policies(&folder).map_err(Failure::fault)?;
    compile_policies(&sources).map(Some).map_err(Failure::fault)
}

fn unknown(policy: &Program, statement: &Statement) -> Option<String> {
    policy.unknown_of_subjects(&statement.entity, statement.purpose(), statement.mark())
}

fn open(place: &Place) -> Result<Register, Failure> {
    let (store, master) = open_state_and_key(place).map_err(Failure::fault)?;
    Register::new(store, &master, Clock::system()).map_err(Failure::internal)
}

fn failure(error: ConsentError) -> Failure {
    match error {
        ConsentError::State(_) | ConsentError::Secret(_) => Failure::internal(error),
        ConsentError::Number
        | ConsentError::Spoken(_)
        | ConsentError::Full
        | ConsentError::Kept => Failure::fault(error),
    }
}

fn table(rows: &[Listed]) -> String {
    let mut table = format!(
        "{:<20} {:<8} {:<20} {:<16} {:<10} {:<6} {:<20} {:<7} {:<14} BY\n",
        "AT", "", "WORD", "RECIPIENT", "KIND", "NOTICE", "UNTIL", "STANDS", "REFERENCE"
    );
    for row in rows {
        let at = time(row.at_ms.div_euclid(1000));
        let until = row.until_s.map(time).unwrap_or_default();
        let notice = if row.notice == 0 { String::new() } else { row.notice.to_string() };
        let stands = if row.stands { "yes" } else { "no" };
        let Listed { says, word, recipient, kind, reference, done_by, .. } = row;
        table.push_str(&format!(
            "{at:<20} {says:<8} {word:<20} {recipient:<16} {kind:<10} {notice:<6} {until:<20} {stands:<7} {reference:<14} {done_by}\n"
        ));
    }
    table
}

fn line(row: &Listed) -> Value {
    json!({
        "at": time(row.at_ms.div_euclid(1000)),
        "say": row.says,
        "entity": row.entity,
        "subject": row.subject,
        "word": row.word,
        "recipient": row.recipient,
        "kind": row.kind,
        "notice": row.notice,
        "until": row.until_s.map(time),
        "stands": row.stands,
        "what": row.what,
        "protection": row.protection,
        "reference": row.reference,
        "by": row.done_by,
    })
}
