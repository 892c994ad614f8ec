//! `menshen log hold`: legal holds, which keep what would be destroyed.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use super::account::{Place, open_state, operator};
use super::output::Format;
use super::{Failure, Outcome};
use crate::audit::{Class, Day};
use crate::clock::Clock;
use crate::command::Doer;
use crate::state::{HoldRow, StateError};

/// Arguments of `menshen log hold`.
#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Enter a hold: what it covers is not destroyed while it lasts.
    ///
    /// Example: menshen log hold add --document "2027/114" --approver "Li Na, legal" --review 2027-06-01 …
    Add(Add),
    /// List the holds.
    List {
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        #[command(flatten)]
        place: Place,
    },
    /// End a hold that another person entered. What it kept is announced first, as anything else.
    End {
        /// Its number; `menshen log hold list` shows it.
        number: i64,
        /// Why; the log has it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// The number of the document that orders it.
    #[arg(long, value_name = "NUMBER", value_parser = said)]
    document: String,
    /// Who approved it.
    #[arg(long, value_name = "NAME", value_parser = said)]
    approver: String,
    /// The day on which somebody looks at it again.
    #[arg(long, value_name = "DAY")]
    review: Day,
    /// Only entries of this class; without it all.
    #[arg(long, value_name = "CLASS", value_parser = class)]
    class: Option<Class>,
    /// The first day of entries that are kept.
    #[arg(long, value_name = "DAY")]
    from: Day,
    /// The last day.
    #[arg(long, value_name = "DAY")]
    to: Day,
    #[command(flatten)]
    place: Place,
}

fn said(text: &str) -> Result<String, String> {
    let is_one =
        !text.trim().is_empty() && text.len() <= 100 && !text.chars().any(char::is_control);
    is_one.then(|| text.to_owned()).ok_or_else(|| "must be 1 to 100 visible bytes".to_owned())
}

fn class(word: &str) -> Result<Class, String> {
    let known = Class::ALL.iter().copied().find(|class| class.word() == word);
    known.ok_or_else(|| {
        let words: Vec<_> = Class::ALL.iter().map(|class| class.word()).collect();
        format!("must be one of {}", words.join(", "))
    })
}

pub(super) fn run(args: &HoldArgs, out: &mut dyn Write) -> Outcome {
    super::runtime()?.block_on(act(&args.action, out))
}

async fn act(action: &Action, out: &mut dyn Write) -> Outcome {
    let (name, uid) = operator();
    let person = Doer::user(&name, uid).person;
    let said = match action {
        Action::Add(add) => {
            let id = entered(add, &name, person).await?;
            format!("hold {id} keeps what it covers from now on\n")
        }
        Action::List { format, place } => {
            let holds = open_state(place).map_err(Failure::fault)?.holds().await;
            let holds = holds.map_err(Failure::internal)?;
            let today = Day::of_ms(Clock::system().unix_ms());
            let line = |hold: &HoldRow| match format {
                Format::Human => human(hold, today),
                Format::Json => format!("{}\n", machine(hold)),
            };
            holds.iter().map(line).collect()
        }
        Action::End { number, reason, place } => {
            let store = open_state(place).map_err(Failure::fault)?.acting_as(&name);
            let ended = store.end_hold(*number, &person, reason).await;
            ended.map_err(|error| {
                if !matches!(error, StateError::Unknown(_)) {
                    return Failure::internal(error);
                }
                Failure::Fault(format!(
                    "hold {number}: there is none of this number that another person entered; whoever \
                     entered a hold cannot end it"
                ))
            })?;
            format!("hold {number} has ended; what it kept is announced before it goes\n")
        }
    };
    out.write_all(said.as_bytes()).map_err(Failure::internal)
}

async fn entered(add: &Add, name: &str, person: String) -> Result<i64, Failure> {
    if add.to < add.from {
        return Err(Failure::Fault("--to: must not be before --from".to_owned()));
    }
    let hold = HoldRow {
        document: add.document.clone(),
        class: add.class.map(|class| class.word().to_owned()).unwrap_or_default(),
        from_day: add.from.to_string(),
        to_day: add.to.to_string(),
        approver: add.approver.clone(),
        review: add.review.to_string(),
        person,
        ..HoldRow::default()
    };
    let store = open_state(&add.place).map_err(Failure::fault)?.acting_as(name);
    store.add_hold(hold).await.map_err(Failure::internal)
}

fn human(hold: &HoldRow, today: Day) -> String {
    let HoldRow { id, document, class, from_day, to_day, approver, review, done_by, .. } = hold;
    let class = if class.is_empty() { "all classes" } else { class };
    let is_late = review.parse::<Day>().is_ok_and(|review| review < today);
    let late = if is_late { " (OVERDUE)" } else { "" };
    format!(
        "hold {id}: {class} from {from_day} to {to_day}, document {document}, approved by {approver}, \
         entered by {done_by}, review on {review}{late}\n"
    )
}

fn machine(hold: &HoldRow) -> serde_json::Value {
    json!({
        "id": hold.id,
        "document": hold.document,
        "class": hold.class,
        "from": hold.from_day,
        "to": hold.to_day,
        "approver": hold.approver,
        "review": hold.review,
        "entered_by": hold.done_by,
    })
}
