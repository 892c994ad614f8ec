//! Requests of the log as other tools want them: OCSF 1.x and CEF. Views, not the stored form.

use serde_json::{Value, json};

use super::is_allowed;
use crate::audit::{Access, Effect, Event};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A request as OCSF *API Activity* (6003), another event as *Entity Management* (3004). People by reference.
#[must_use]
pub fn ocsf(access: &Access) -> Value {
    let entry = &access.entry;
    let actor = entry.actor.clone().unwrap_or_default();
    let origin = entry.origin.clone().unwrap_or_default();
    let request = entry.request.clone().unwrap_or_default();
    let is_request = matches!(entry.event, Event::Decision | Event::Outcome);
    let activity = match (is_request, request.method.as_str()) {
        (true, "POST") => 1,
        (true, "GET" | "HEAD" | "") => 2,
        (true, "PUT" | "PATCH") => 3,
        (true, "DELETE") => 4,
        (true, _) => 99,
        (false, _) => 3,
    };
    let (category, class) = if is_request { (6, 6003) } else { (3, 3004) };
    let is_denied = is_request && !is_allowed(access);
    let act = entry.act.clone().unwrap_or_default();
    let operation = if is_request { request.route.to_string() } else { act.name.to_string() };
    let result = access.told().result.clone().unwrap_or_default();
    let references: Vec<_> = access.subjects.iter().map(|one| one.token()).collect();
    let mut event = json!({
        "activity_id": activity,
        "category_uid": category,
        "class_uid": class,
        "type_uid": class * 100 + activity,
        "severity_id": if is_denied { 2 } else { 1 },
        "time": entry.time.0,
        "status_id": if is_denied { 2 } else { 1 },
        "status_code": result.status.map(|status| status.to_string()),
        "metadata": {
            "version": "1.3.0",
            "uid": entry.id,
            "product": { "name": "menshen", "vendor_name": "menshen", "version": VERSION },
        },
        "actor": { "user": { "name": actor.account, "groups": actor.roles.iter().map(|role| json!({ "name": role })).collect::<Vec<_>>() } },
        "src_endpoint": { "ip": origin.address, "port": origin.port, "zone": origin.zone },
        "api": { "operation": operation },
        "resources": references.iter().map(|one| json!({ "uid": one, "type": "data subject" })).collect::<Vec<_>>(),
        "count": access.subject_count,
        "unmapped": { "log_index": access.index, "why": entry.why, "data": access.told().data, "decision": entry.decision },
    });
    if !is_request && let Some(object) = event.as_object_mut() {
        object.insert("entity".into(), json!({ "name": act.object, "type": entry.event.word() }));
    }
    event
}

/// A request as a line of CEF 0.
#[must_use]
pub fn cef(access: &Access) -> String {
    let entry = &access.entry;
    let actor = entry.actor.clone().unwrap_or_default();
    let request = entry.request.clone().unwrap_or_default();
    let act = entry.act.clone().unwrap_or_default();
    let effect = entry.decision.as_ref().map(|decision| decision.effect);
    let kind = match effect {
        Some(effect) => format!("{}.{effect}", entry.event),
        None => entry.event.to_string(),
    };
    let name = if request.route.is_empty() { act.name.as_str() } else { request.route.as_str() };
    let severity = match (entry.event, effect) {
        (Event::Alert, _) => 7,
        (_, Some(Effect::Deny | Effect::Error)) => 5,
        (_, Some(Effect::Allow) | None) => 2,
    };
    let why = entry.why.clone().unwrap_or_default();
    let address = entry.origin.as_ref().and_then(|origin| origin.address);
    let result = access.told().result.clone().unwrap_or_default();
    let mut pairs = vec![("rt", entry.time.0.to_string()), ("externalId", entry.id.to_string())];
    pairs.extend(address.map(|address| ("src", address.to_string())));
    pairs.push(("suser", actor.account.to_string()));
    pairs.push(("requestMethod", request.method.to_string()));
    pairs.push(("outcome", result.status.map(|s| s.to_string()).unwrap_or_default()));
    for (label, key, value) in [
        ("purpose", ["cs1Label", "cs1"], why.purpose.to_string()),
        ("reason", ["cs2Label", "cs2"], why.reason.to_string()),
        ("object", ["cs3Label", "cs3"], act.object.to_string()),
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
    let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    let extension: Vec<_> =
        pairs.map(|(key, value)| format!("{key}={}", value_of(&value))).collect();
    format!(
        "CEF:0|menshen|menshen|{VERSION}|{}|{}|{severity}|{}",
        head(&kind),
        head(name),
        extension.join(" ")
    )
}

fn head(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|")
}

fn value_of(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=")
}
