//! What whoever reviews the log each month looks at: every download with its reason, changed rights, refusals, large
//! answers, findings, what happened to the log itself (Korea's safety measures art. 8, GB/T 35273 7.1, 11.7).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::{Hours, is_allowed};
use crate::audit::{Access, Act, Concern, Entry, Event, Mode};

/// Lines of a list; further ones are counted. A program that reads the log has them all.
const MOST_LINES: usize = 20_000;
/// Answers on at least so many people are told as large.
const LARGE: u64 = 100;

/// A line of the review.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When.
    pub time: String,
    /// Who.
    pub who: String,
    /// What.
    pub what: String,
    /// How many people or things.
    pub count: u64,
    /// Why, as they said.
    pub why: String,
    /// What the reviewer should see first.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub flag: &'static str,
}

/// Lines, and how many did not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// The lines, the oldest first.
    pub lines: Vec<Line>,
    /// Further ones.
    pub beyond: u64,
}

impl Lines {
    fn push(&mut self, line: Line) {
        if self.lines.len() < MOST_LINES { self.lines.push(line) } else { self.beyond += 1 }
    }
}

/// The review of a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Monthly {
    /// `2026-10`.
    pub month: String,
    /// The zone that its days are of.
    pub zone: String,
    /// The log, its size and root when the report was made.
    pub log: String,
    /// See `log`.
    pub entries: u64,
    /// See `log`.
    pub root: String,
    /// Requests and events that were looked through.
    pub seen: u64,
    /// Entries that could not be read.
    pub unread: u64,
    /// Allowed requests without an outcome.
    pub without_outcome: u64,
    /// Every file that was taken, with its reason.
    pub downloads: Lines,
    /// Answers on many people.
    pub large: Lines,
    /// Rights, policies, accounts, switches that were changed.
    pub changes: Lines,
    /// What the security team did.
    pub admin: Lines,
    /// What detections and the guard noticed.
    pub alerts: Lines,
    /// What happened to the log: readings, destruction, holds, repairs.
    pub custody: Lines,
    /// Refusals by person.
    pub denials: BTreeMap<String, u64>,
    /// Requests outside working hours by person.
    pub off_hours: BTreeMap<String, u64>,
}

impl Monthly {
    /// Takes a request or event; the newest or the oldest first, as the log gives them.
    pub fn take(&mut self, access: &Access, hours: &dyn Hours) {
        let entry = &access.entry;
        self.seen += 1;
        self.without_outcome += u64::from(access.is_without_outcome());
        let who = who(entry);
        match entry.event {
            Event::Decision | Event::Outcome => self.take_request(access, &who, hours),
            Event::Change | Event::Grant => self.changes.push(line(entry, who, hours)),
            Event::Admin => self.admin.push(line(entry, who, hours)),
            // Marks come by themselves and say nothing to a person.
            Event::Custody if is_mark(entry) => {}
            Event::Custody => self.custody.push(line(entry, who, hours)),
            Event::Alert => self.alerts.push(line(entry, who, hours)),
            Event::Session | Event::Shadow => {}
        }
    }

    fn take_request(&mut self, access: &Access, who: &str, hours: &dyn Hours) {
        let entry = &access.entry;
        if !is_allowed(access) {
            *self.denials.entry(who.to_owned()).or_default() += 1;
        }
        if hours.is_off(entry.time.0) {
            *self.off_hours.entry(who.to_owned()).or_default() += 1;
        }
        let data = access.told().data.as_ref();
        let is_file = data.is_some_and(|data| data.mode == Some(Mode::Download));
        let is_large = access.subject_count >= LARGE;
        if !is_allowed(access) || !(is_file || is_large) {
            return;
        }
        let mut one = line(entry, who.to_owned(), hours);
        one.count = access.subject_count;
        if is_file {
            let has_reason = entry.why.as_ref().is_some_and(|why| !why.reason.is_empty());
            one.flag = if has_reason { "" } else { "NO REASON" };
            let mark = data.map(|data| data.watermark.to_string()).unwrap_or_default();
            one.what = format!("{} {mark}", one.what).trim_end().to_owned();
            self.downloads.push(one);
        } else {
            self.large.push(one);
        }
    }

    /// Puts the lists in the order of time.
    pub fn sort(&mut self) {
        for list in [
            &mut self.downloads,
            &mut self.large,
            &mut self.changes,
            &mut self.admin,
            &mut self.alerts,
            &mut self.custody,
        ] {
            list.lines.sort_by(|a, b| a.time.cmp(&b.time));
        }
    }

    /// The review as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let Self { month, zone, log, entries, root, seen, unread, without_outcome, .. } = self;
        let mut text = format!(
            "# Review of {month}\n\nLog `{log}`, {entries} entries, root {root}. Times in {zone}.\n\n\
             | looked through | not readable | allowed without outcome |\n|---|---|---|\n\
             | {seen} | {unread} | {without_outcome} |\n"
        );
        let lists = [
            ("Downloads, each with its reason", &self.downloads),
            ("Answers on many people", &self.large),
            ("Changed rights, policies, accounts, switches", &self.changes),
            ("What the security team did", &self.admin),
            ("Findings and alerts", &self.alerts),
            ("The log itself", &self.custody),
        ];
        // Writing to a text cannot fail.
        for (title, list) in lists {
            write!(text, "\n## {title}\n\n").unwrap_or_default();
            if list.lines.is_empty() {
                text.push_str("None.\n");
                continue;
            }
            text.push_str("| time | who | what | number | why | |\n|---|---|---|---|---|---|\n");
            for Line { time, who, what, count, why, flag } in &list.lines {
                let [who, what, why] = [who, what, why].map(|cell| cell.replace('|', "\\|"));
                writeln!(text, "| {time} | {who} | {what} | {count} | {why} | {flag} |")
                    .unwrap_or_default();
            }
            if list.beyond > 0 {
                writeln!(text, "\nand {} further ones", list.beyond).unwrap_or_default();
            }
        }
        for (title, people) in
            [("Refusals by person", &self.denials), ("Outside working hours", &self.off_hours)]
        {
            write!(text, "\n## {title}\n\n").unwrap_or_default();
            if people.is_empty() {
                text.push_str("None.\n");
            }
            for (who, count) in people {
                writeln!(text, "- {who}: {count}").unwrap_or_default();
            }
        }
        text
    }
}

fn who(entry: &Entry) -> String {
    let Some(actor) = &entry.actor else { return "the gate".to_owned() };
    let roles: Vec<_> = actor.roles.iter().collect();
    let account =
        if actor.account.is_empty() { "somebody unknown" } else { actor.account.as_str() };
    if roles.is_empty() { account.to_owned() } else { format!("{account} ({})", roles.join(", ")) }
}

fn is_mark(entry: &Entry) -> bool {
    entry.act.as_ref().is_some_and(|act| act.name.as_str() == "state_marked")
}

fn line(entry: &Entry, who: String, hours: &dyn Hours) -> Line {
    let why = entry.why.clone().unwrap_or_default();
    let parts = [why.purpose.as_str(), why.ticket.as_str(), why.reason.as_str()];
    let why = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    let time = hours.shown(entry.time.0);
    let mut line = Line { time, who, why, ..Line::default() };
    if let Some(Act { name, object, detail, approved_by, count, succeeded, .. }) = &entry.act {
        line.what = [name.as_str(), object.as_str(), detail.as_str()].join(" ").trim().to_owned();
        if !approved_by.is_empty() {
            line.what.push_str(&format!(", approved by {approved_by}"));
        }
        line.count = count.unwrap_or_default();
        line.flag = if *succeeded == Some(false) { "FAILED" } else { "" };
    } else if let Some(alert) = &entry.alert {
        line.count = alert.count;
        line.what = match &alert.found {
            Some(found) => format!("{} ({}): {}", found.detection, found.action, found.said),
            None => alert.concern.to_string(),
        };
        line.flag = if alert.concern == Concern::Finding { "FINDING" } else { "" };
    } else if let Some(request) = &entry.request {
        line.what = format!("{} {}", request.method, request.route);
    }
    line
}
