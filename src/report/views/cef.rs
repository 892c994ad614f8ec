//! CEF 0, as ArcSight defines it: a head of seven fields, then pairs of keys from its dictionary.

use std::net::IpAddr;

use super::VERSION;
use crate::audit::{Access, Effect, Event};
use crate::report::failed_after;

/// References of people in one line; `cn1` has the number of all.
const MOST_PEOPLE: usize = 20;

/// A request, with what was disclosed where that is known, or another event, as a line.
#[must_use]
pub fn cef(access: &Access) -> String {
    let entry = &access.entry;
    let request = entry.request.clone().unwrap_or_default();
    let act = entry.act.clone().unwrap_or_default();
    let effect = entry.decision.as_ref().map(|decision| decision.effect);
    let kind = match effect {
        Some(effect) => format!("{}.{effect}", entry.event),
        None => entry.event.to_string(),
    };
    let concern = entry.alert.as_ref().map(|alert| alert.concern.word());
    let names = [request.route.as_str(), act.name.as_str(), concern.unwrap_or(entry.event.word())];
    let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let severity = match (entry.event, effect) {
        (Event::Alert, _) => 7,
        (_, Some(Effect::Deny | Effect::Error)) => 5,
        (_, Some(Effect::Allow) | None) => 2,
    };
    line(&kind, name, severity, &pairs(access))
}

/// An entry that cannot be read, so that nobody misses its number.
#[must_use]
pub fn cef_unreadable(index: u64, why: &str) -> String {
    let pairs = [("externalId", format!("unreadable-{index}")), ("msg", why.to_owned())];
    line("unreadable", "entry not read", 2, &pairs)
}

fn pairs(access: &Access) -> Vec<(&'static str, String)> {
    let entry = &access.entry;
    let told = access.told();
    let request = entry.request.clone().unwrap_or_default();
    let act = entry.act.clone().unwrap_or_default();
    let why = entry.why.clone().unwrap_or_default();
    let actor = entry.actor.clone().unwrap_or_default();
    let result = told.result.clone().or(entry.result.clone()).unwrap_or_default();
    let mut pairs = vec![("rt", entry.time.0.to_string()), ("externalId", entry.id.to_string())];
    pairs.push(("dvchost", entry.node.to_string()));
    pairs.push(("cat", entry.event.to_string()));
    match entry.origin.as_ref().and_then(|origin| origin.address) {
        Some(IpAddr::V4(address)) => pairs.push(("src", address.to_string())),
        // `src` is for the other kind only.
        Some(IpAddr::V6(address)) => {
            pairs.push(("c6a2Label", "Source IPv6 Address".to_owned()));
            pairs.push(("c6a2", address.to_string()));
        }
        None => {}
    }
    let port = entry.origin.as_ref().and_then(|origin| origin.port);
    pairs.extend(port.map(|port| ("spt", port.to_string())));
    pairs.push(("suser", actor.account.to_string()));
    pairs.push(("requestMethod", request.method.to_string()));
    pairs.extend(entry.decision.as_ref().map(|one| ("act", one.effect.to_string())));
    let succeeded = act.succeeded.map(|yes| if yes { "success" } else { "failure" }.to_owned());
    let status = result.status.map(|status| match failed_after(access) {
        // It was cut, whatever the head said.
        Some(_) if status < 400 => "failure".to_owned(),
        Some(_) | None => status.to_string(),
    });
    let outcome = status.or(succeeded);
    pairs.extend(outcome.map(|outcome| ("outcome", outcome)));
    let data = told.data.clone().unwrap_or_default();
    pairs.push(("fileHash", data.sha256.to_string()));
    let people: Vec<_> =
        access.subjects.iter().take(MOST_PEOPLE).map(|one| one.token().to_owned()).collect();
    let found = entry.alert.as_ref().and_then(|alert| alert.found.as_ref());
    pairs.push(("msg", found.map(|found| found.said.to_string()).unwrap_or_default()));
    for (label, key, value) in [
        ("purpose", ["cs1Label", "cs1"], why.purpose.to_string()),
        ("reason", ["cs2Label", "cs2"], why.reason.to_string()),
        ("object", ["cs3Label", "cs3"], act.object.to_string()),
        ("references", ["cs4Label", "cs4"], people.join(",")),
        (
            "decidedBy",
            ["cs5Label", "cs5"],
            entry.decided_by.map(|id| id.to_string()).unwrap_or_default(),
        ),
        ("fields", ["cs6Label", "cs6"], data.clear.iter().collect::<Vec<_>>().join(",")),
    ] {
        if !value.is_empty() {
            let [name, place] = key;
            pairs.extend([(name, label.to_owned()), (place, value)]);
        }
    }
    if access.subject_count > 0 {
        pairs.push(("cn1Label", "people".to_owned()));
        pairs.push(("cn1", access.subject_count.to_string()));
    }
    pairs.retain(|(_, value)| !value.is_empty());
    pairs
}

fn line(kind: &str, name: &str, severity: u8, pairs: &[(&str, String)]) -> String {
    let extension: Vec<_> =
        pairs.iter().map(|(key, value)| format!("{key}={}", value_of(value))).collect();
    format!(
        "CEF:0|menshen|menshen|{VERSION}|{}|{}|{severity}|{}",
        head(kind),
        head(name),
        extension.join(" ")
    )
}

/// Text in the head: a stroke ends a field there, and a line ends the event.
fn head(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// Text in the extension, where a sign of equality ends a key.
fn value_of(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('=', "\\=");
    text.replace('\n', "\\n").replace('\r', "\\r")
}
