//! What a request of the log looks like to a reviewer: lines for people, an object for programs.

use crate::audit::{
    Access, Alert, Concern, Data, Difference, Entry, Event, Found, SubjectRef, SubjectSealer, Text,
};

/// Subjects that a line names.
const NAMED_SUBJECTS: usize = 5;

/// How the people whom the log names are shown: as references, masked, or by name.
#[derive(Debug, Default)]
pub(super) struct Naming<'a> {
    /// Opens references; without it they are shown as such.
    pub(super) sealer: Option<&'a SubjectSealer>,
    /// The token of the one that was asked for by name: who asks knows it.
    pub(super) asked: Option<&'a str>,
    /// Whether all are shown by name.
    pub(super) unmask: bool,
}

impl Naming<'_> {
    /// How one is shown.
    pub(super) fn name(&self, subject: &SubjectRef) -> String {
        let opened = self.sealer.and_then(|sealer| sealer.open(subject).ok());
        let Some(name) = opened else { return format!("#{}", subject.token()) };
        // A key that a backend chose may hold anything; a reviewer's terminal must not obey it.
        let name = Text::reason(&name).to_string();
        let is_open = self.unmask || self.asked == Some(subject.token());
        if is_open { name } else { masked(&name) }
    }

    /// Those of a request, as far as they are kept.
    pub(super) fn names(&self, access: &Access) -> Vec<String> {
        access.subjects.iter().map(|subject| self.name(subject)).collect()
    }
}

/// `customer:10017` as `customer:…17`: enough to tell two apart on a page, not to find one.
fn masked(name: &str) -> String {
    let (entity, key) = name.split_once(':').unwrap_or(("", name));
    let letters: Vec<char> = key.chars().collect();
    let shown = if letters.len() >= 5 { 2 } else { 0 };
    let end: String = letters.iter().skip(letters.len() - shown).collect();
    format!("{entity}:\u{2026}{end}")
}

/// A request as an object: the entries, the people as `naming` shows them, their references.
pub(super) fn json(access: &Access, naming: &Naming<'_>) -> serde_json::Value {
    let mut value = serde_json::to_value(access).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        let references: Vec<_> = access.subjects.iter().map(SubjectRef::token).collect();
        object.insert("references".into(), references.into());
        object.insert("subjects".into(), naming.names(access).into());
        object.insert("without_outcome".into(), access.is_without_outcome().into());
    }
    value
}

/// One line on who did what, and one on what was disclosed where there is something to say.
pub(super) fn human(access: &Access, naming: &Naming<'_>) -> String {
    let mut line = who_and_what(&access.entry);
    verdict(access, &mut line);
    let given = what_was_given(access, naming);
    if !given.is_empty() {
        line.push_str("\n    ");
        line.push_str(&given.join("; "));
    }
    line
}

pub(super) fn who_and_what(entry: &Entry) -> String {
    let mut line = format!("{}  {}", entry.time, entry.event);
    if let Some(actor) = &entry.actor {
        let is_gathered = matches!(entry.event, Event::Shadow | Event::Alert);
        let is_unknown = actor.account.is_empty() && !is_gathered;
        let account = if is_unknown { "somebody unknown" } else { actor.account.as_str() };
        add(&mut line, "", account);
        let roles: Vec<_> = actor.roles.iter().collect();
        if !roles.is_empty() {
            add(&mut line, "", &format!("({})", roles.join(", ")));
        }
    }
    if let Some(address) = entry.origin.as_ref().and_then(|origin| origin.address) {
        add(&mut line, "from ", &address.to_string());
    }
    if let Some(request) = &entry.request {
        add(&mut line, "", request.method.as_str());
        let is_known = !request.route.is_empty();
        add(&mut line, "", if is_known { request.route.as_str() } else { "(no such route)" });
    }
    if let Some(why) = &entry.why {
        add(&mut line, "for ", why.purpose.as_str());
        add(&mut line, "ticket ", why.ticket.as_str());
    }
    if let Some(act) = &entry.act {
        add(&mut line, "", act.name.as_str());
        add(&mut line, "of ", act.object.as_str());
        add(&mut line, "", act.succeeded.map_or("", |did| if did { "done" } else { "failed" }));
        add(&mut line, "× ", &act.count.map(|n| n.to_string()).unwrap_or_default());
    }
    line
}

fn add(line: &mut String, label: &str, text: &str) {
    if !text.is_empty() {
        line.push(' ');
        line.push_str(label);
        line.push_str(text);
    }
}

fn verdict(access: &Access, line: &mut String) {
    let entries = [Some(&access.entry), access.outcome.as_ref()].into_iter().flatten();
    // An outcome has a verdict of its own where the record that was read changed it.
    for decision in entries.filter_map(|entry| entry.decision.as_ref()) {
        add(line, "→ ", decision.effect.word());
        let unmet: Vec<_> = decision.unmet.iter().collect();
        add(line, "unmet: ", &unmet.join(", "));
    }
    let result = access.outcome.as_ref().unwrap_or(&access.entry).result.as_ref();
    let result = result.or(access.entry.result.as_ref());
    if let Some(status) = result.and_then(|result| result.status) {
        add(line, "", &status.to_string());
    }
}

fn what_was_given(access: &Access, naming: &Naming<'_>) -> Vec<String> {
    let mut given = Vec::new();
    if access.subject_count > 0 {
        let names = naming.names(access);
        let mut whose = names.iter().take(NAMED_SUBJECTS).cloned().collect::<Vec<_>>().join(", ");
        let further = access.subject_count.saturating_sub(names.len().min(NAMED_SUBJECTS) as u64);
        if further > 0 {
            whose = format!("{whose} and {further} more");
        }
        given.push(format!("whose: {whose}"));
    }
    // Where there is an outcome, what the decision would have let pass is not what was given.
    let told = access.outcome.as_ref().unwrap_or(&access.entry);
    if let Some(data) = &told.data {
        fields(data, &mut given);
    }
    if let Some(difference) = &access.entry.difference {
        differs(difference, &mut given);
    }
    if let Some(alert) = &access.entry.alert {
        noticed(alert, &mut given);
    }
    if access.is_without_outcome() {
        given.push(String::from("no outcome: possibly disclosed up to its permit"));
    } else if let Some(ended) = told.result.as_ref().and_then(|result| result.ended) {
        given.push(ended.word().replace('_', " "));
    }
    given
}

/// What was noticed, how often, and where to look at one.
fn noticed(alert: &Alert, given: &mut Vec<String>) {
    let joined = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
    let mut what = match alert.concern {
        Concern::Detected => format!("what looks like {}", joined(&mut alert.kinds.iter())),
        Concern::NewField => "a field that is not in the catalogue".to_owned(),
        Concern::ForeignTenant => {
            format!("records of `{}` of a foreign tenant, withheld", alert.entity)
        }
        Concern::ClonedPasskey => {
            "a passkey whose counter went back: there may be a copy, it was refused".to_owned()
        }
        Concern::Finding => found(alert),
        Concern::SharedStoreLost => {
            "the shared store of budgets lost: limits are stricter until it is back".to_owned()
        }
        Concern::BoardLost => {
            "the board of gates lost: what is done at one is not known at the others".to_owned()
        }
        Concern::ForgedNotice => {
            "what no gate of this key sealed on the board of gates: it counts for nothing"
                .to_owned()
        }
        Concern::Shipping => {
            format!("entries that do not get to `{}`", joined(&mut alert.kinds.iter()))
        }
        Concern::Backup => {
            format!("no new backup in `{}`", joined(&mut alert.kinds.iter()))
        }
        Concern::WitnessSilent => {
            format!("no cosignature of the witness `{}`", joined(&mut alert.kinds.iter()))
        }
        Concern::WitnessDisagrees => {
            format!("the witness `{}` saw another log", joined(&mut alert.kinds.iter()))
        }
        Concern::Certificate => {
            format!("the certificate of `{}` ends within days", joined(&mut alert.kinds.iter()))
        }
        Concern::Notice => {
            format!("notices that did not get to `{}`", joined(&mut alert.kinds.iter()))
        }
        Concern::Others => "further alerts, too many to be told apart".to_owned(),
    };
    if !alert.fields.is_empty() {
        what.push_str(&format!(" in {}", joined(&mut alert.fields.iter())));
    }
    if !alert.found_in.is_empty() {
        what.push_str(&format!(" (in the {})", alert.found_in));
    }
    given.push(what);
    given.push(format!("× {}", alert.count));
    given.extend(alert.example.map(|id| format!("such as {id}")));
}

/// What a detection found, and what follows.
fn found(alert: &Alert) -> String {
    let Some(found) = &alert.found else { return "a finding".to_owned() };
    let drill = if found.drill { "drill, nobody did it: " } else { "" };
    let Found { finding, detection, said, action, .. } = found;
    format!("{drill}finding {finding} of `{detection}`: {said}; {action}")
}

/// What a candidate policy would have decided otherwise, how often, and where to look at one.
fn differs(difference: &Difference, given: &mut Vec<String>) {
    let joined = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
    given.push(format!("candidate: {}", joined(&mut difference.changes.iter())));
    if !difference.rules.is_empty() {
        given.push(format!("by: {}", joined(&mut difference.rules.iter())));
    }
    given.push(format!("× {}", difference.count));
    given.extend(difference.example.map(|id| format!("such as {id}")));
}

fn fields(data: &Data, given: &mut Vec<String>) {
    let lists = [
        ("clear", &data.clear),
        ("masked", &data.masked),
        ("pseudonym", &data.pseudonym),
        ("withheld", &data.withheld),
    ];
    for (label, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
        let mut text = format!("{label}: {}", names.iter().collect::<Vec<_>>().join(", "));
        if names.beyond() > 0 {
            text.push_str(&format!(" and {} more", names.beyond()));
        }
        given.push(text);
    }
    let mut counts = Vec::new();
    let records = if data.records == Some(1) { "record" } else { "records" };
    for (count, label) in [
        (data.records, records),
        (data.held_back, "held back"),
        (data.withheld_records, "withheld"),
        (data.suppressed, "of them suppressed"),
        (data.unlinked, "without a case"),
        (data.step_up, "asked for a factor"),
        (data.bytes, "bytes"),
    ] {
        counts.extend(count.map(|count| format!("{count} {label}")));
    }
    if !counts.is_empty() {
        given.push(counts.join(", "));
    }
    if !data.consents.is_empty() {
        let consents: Vec<&str> = data.consents.iter().collect();
        given.push(format!("consents: {}", consents.join(", ")));
    }
    file(data, given);
}

/// What a file that was given can be known by.
fn file(data: &Data, given: &mut Vec<String>) {
    if !data.watermark.is_empty() {
        given.push(format!("file marked {}", data.watermark));
    }
    if let Some(extent) = data.file {
        let bytes = data.file_bytes.unwrap_or_default();
        given.push(format!("{extent} in {bytes} bytes, sha256 {}", data.sha256));
    }
}
