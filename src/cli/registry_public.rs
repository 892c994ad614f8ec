//! `menshen registry partner list --public`: who receives data, for a page that everybody may read. No numbers of contracts
//! and no names of whoever agreed.

use serde_json::json;

use super::output::Format;
use crate::registry::{Contract, Noted, Partner, Said, Standing};

/// Somebody who receives data.
struct Receiver {
    name: String,
    task: String,
    country: String,
    since: String,
}

/// What changed, and when.
struct Change {
    day: String,
    name: String,
    change: &'static str,
    task: String,
}

/// The list of these partners, each with all that was done.
pub(super) fn published(all: &[Vec<Noted>], now_s: i64, format: Format) -> String {
    let (mut receivers, mut changes) = (Vec::new(), Vec::new());
    for steps in all {
        receivers.extend(steps.last().and_then(|noted| receiver(noted, now_s)));
        changes.extend(changes_of(steps, now_s));
    }
    changes.sort_by(|a, b| (&b.day, &a.name).cmp(&(&a.day, &b.name)));
    match format {
        Format::Human => markdown(&receivers, &changes),
        Format::Json => {
            let receivers = receivers.iter().map(|one| {
                let Receiver { name, task, country, since } = one;
                json!({ "name": name, "task": task, "country": country, "since": since })
            });
            let changes = changes.iter().map(|one| {
                let Change { day, name, change, task } = one;
                json!({ "day": day, "name": name, "change": change, "task": task })
            });
            let (receivers, changes): (Vec<_>, Vec<_>) = (receivers.collect(), changes.collect());
            format!("{}\n", json!({ "partners": receivers, "changes": changes }))
        }
    }
}

fn partner(noted: &Noted) -> Option<&Partner> {
    match &noted.said {
        Said::Partner(partner) => Some(partner),
        Said::Tenant(_) => None,
    }
}

/// Who is suspended is so for a while, and still named.
fn receiver(noted: &Noted, now_s: i64) -> Option<Receiver> {
    let partner = partner(noted)?;
    let Contract { task, country, .. } = partner.contract.as_ref()?;
    let is_one = matches!(partner.standing, Standing::Active | Standing::Suspended);
    let is_over = partner.contract.as_ref().is_none_or(|contract| contract.is_over(now_s));
    (is_one && !is_over).then(|| Receiver {
        name: partner.name.clone(),
        task: task.clone(),
        country: country.clone(),
        since: day(partner.since_ms.unwrap_or_default()),
    })
}

fn changes_of(steps: &[Noted], now_s: i64) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut before: Option<&Contract> = None;
    for noted in steps {
        let Some(partner) = partner(noted) else { continue };
        let Some(contract) = &partner.contract else { continue };
        let is_first = partner.since_ms == Some(noted.at_ms);
        let is_same = before.is_some_and(|before| {
            (&before.task, &before.country) == (&contract.task, &contract.country)
        });
        let change = match noted.act.as_str() {
            "partner_activated" if is_first => "added",
            "partner_activated" if is_same => "renewed",
            "partner_activated" => "changed",
            "partner_ended" => "ended",
            _ => continue,
        };
        let (name, task) = (partner.name.clone(), contract.task.clone());
        changes.push(Change { day: day(noted.at_ms), name, change, task });
        before = Some(contract);
    }
    changes.extend(steps.last().and_then(|noted| ended_by_itself(partner(noted)?, now_s)));
    changes
}

fn ended_by_itself(partner: &Partner, now_s: i64) -> Option<Change> {
    let contract = partner.contract.as_ref()?;
    let ended = partner.standing != Standing::Ended && contract.is_over(now_s);
    let (name, task) = (partner.name.clone(), contract.task.clone());
    ended.then(|| Change { day: contract.until.clone(), name, change: "ended", task })
}

fn markdown(receivers: &[Receiver], changes: &[Change]) -> String {
    let mut page = "| partner | task | country | since |\n|---|---|---|---|\n".to_owned();
    for Receiver { name, task, country, since } in receivers {
        let cells = [name, task, country, since].map(|cell| cell_of(cell));
        page.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    page.push_str("\n| day | partner | change | task |\n|---|---|---|---|\n");
    for Change { day, name, change, task } in changes {
        let cells = [day, name, *change, task].map(cell_of);
        page.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    page
}

/// A name is no markup.
fn cell_of(text: &str) -> String {
    let plain = |c: char| match c {
        '<' => "&lt;".to_owned(),
        '&' => "&amp;".to_owned(),
        '|' | '\\' | '`' | '*' | '_' | '[' | ']' => format!("\\{c}"),
        other => other.to_string(),
    };
    text.chars().map(plain).collect()
}

fn day(at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms);
    at.map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d").to_string())
}
