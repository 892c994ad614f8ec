//! OCSF 1.3: a request as *API Activity*, a session as *Authentication*, an alert as *Detection Finding*, everything
//! else as *Entity Management*. Tests hold each against the schema that OCSF publishes.

use serde_json::{Map, Value, json};

use super::VERSION;
use crate::audit::{Access, Actor, Alert, Entry, Event, Origin};
use crate::report::{failed_after, is_allowed};

const SCHEMA: &str = "1.3.0";
/// The methods that it knows; any other stands beside what it maps.
const METHODS: [&str; 8] = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT"];
const SUCCESS: u8 = 1;
const FAILURE: u8 = 2;

/// A category and class of OCSF.
#[derive(Clone, Copy)]
struct Class(u32, u32);

const API_ACTIVITY: Class = Class(6, 6003);
const AUTHENTICATION: Class = Class(3, 3002);
const ENTITY_MANAGEMENT: Class = Class(3, 3004);
const DETECTION_FINDING: Class = Class(2, 2004);

/// What is told of every kind of event.
struct Told {
    class: Class,
    activity: (u32, String),
    severity: u8,
    status: u8,
    own: Value,
}

/// A request, with what was disclosed where that is known, or another event.
#[must_use]
pub fn ocsf(access: &Access) -> Value {
    let entry = &access.entry;
    let Told { class: Class(category, class), activity, severity, status, own } = match entry.event
    {
        Event::Decision | Event::Outcome => request(access),
        Event::Session => session(entry),
        Event::Alert => finding(access),
        Event::Change | Event::Grant | Event::Custody | Event::Shadow | Event::Admin => {
            change(access)
        }
    };
    let mut event = json!({
        "activity_id": activity.0,
        "activity_name": activity.1,
        "category_uid": category,
        "class_uid": class,
        "type_uid": class * 100 + activity.0,
        "severity_id": severity,
        "status_id": status,
        "time": entry.time.0,
        "metadata": metadata(access),
        "unmapped": {
            "event": entry.event,
            "node": entry.node,
            "why": entry.why,
            "data": access.told().data,
            "decision": entry.decision,
            "act": entry.act,
            "http_method": entry.request.as_ref().map(|request| request.method.as_str()).filter(is_other),
        },
    });
    if let (Value::Object(event), Value::Object(own)) = (&mut event, own) {
        event.extend(own);
    }
    without_nothing(event)
}

/// An entry that cannot be read, so that nobody misses its number.
#[must_use]
pub fn ocsf_unreadable(index: u64, why: &str, at_ms: i64) -> Value {
    let Class(category, class) = ENTITY_MANAGEMENT;
    json!({
        "activity_id": 0, "activity_name": "unreadable", "category_uid": category, "class_uid": class,
        "type_uid": class * 100, "severity_id": 1, "status_id": 0, "time": at_ms,
        "metadata": { "version": SCHEMA, "uid": format!("unreadable-{index}"), "sequence": index, "product": product() },
        "entity": { "name": format!("entry {index}"), "type": "log entry" },
        "unmapped": { "not_read": why },
    })
}

fn request(access: &Access) -> Told {
    let entry = &access.entry;
    let request = entry.request.clone().unwrap_or_default();
    let activity = match request.method.as_str() {
        "POST" => 1,
        "GET" | "HEAD" | "" => 2,
        "PUT" | "PATCH" => 3,
        "DELETE" => 4,
        _ => 99,
    };
    // An outcome that stands alone is one of a request that was allowed.
    let is_denied = entry.decision.is_some() && !is_allowed(access);
    let failed = failed_after(access);
    let operation = match request.route.is_empty() {
        true => "none",
        false => request.route.as_str(),
    };
    let result = access.told().result.as_ref().or(entry.result.as_ref());
    let own = json!({
        "actor": actor(entry.actor.as_ref()),
        "src_endpoint": endpoint(entry.origin.as_ref()),
        "api": { "operation": operation, "request": { "uid": entry.decided_by.unwrap_or(entry.id) } },
        "http_request": {
            "http_method": METHODS.iter().find(|method| **method == request.method.as_str()),
            "user_agent": entry.origin.as_ref().and_then(|origin| some(origin.user_agent.as_str())),
        },
        "resources": resources(access),
        "count": access.subject_count.max(1),
        "status_code": result.and_then(|result| result.status).map(|status| status.to_string()),
        "status_detail": failed,
    });
    let (severity, status) = match (is_denied, failed) {
        (true, _) => (2, FAILURE),
        (false, Some(_)) => (1, FAILURE),
        (false, None) => (1, SUCCESS),
    };
    Told { class: API_ACTIVITY, activity: (activity, operation.to_owned()), severity, status, own }
}

/// Whether OCSF has no word for a method, such as `PATCH`.
fn is_other(method: &&str) -> bool {
    !method.is_empty() && !METHODS.contains(method)
}

fn session(entry: &Entry) -> Told {
    let act = entry.act.clone().unwrap_or_default();
    let activity = match act.name.as_str() {
        "sign_in" | "passkey_sign_in" | "sign_in_at_issuer" => 1,
        "sign_out" | "sign_out_everywhere" | "signed_out_by_issuer" | "session_end" => 2,
        _ => 99,
    };
    let failed = act.succeeded == Some(false);
    let account = entry.actor.as_ref().map(|actor| actor.account.as_str());
    let name = account.filter(|name| !name.is_empty()).unwrap_or(act.object.as_str());
    let own = json!({
        "user": { "name": some(name).unwrap_or("unknown") },
        "service": { "name": "menshen" },
        "src_endpoint": entry.origin.as_ref().map(|origin| endpoint(Some(origin))),
        "count": act.count,
    });
    let (severity, status) = if failed { (2, FAILURE) } else { (1, SUCCESS) };
    Told {
        class: AUTHENTICATION,
        activity: (activity, act.name.to_string()),
        severity,
        status,
        own,
    }
}

fn finding(access: &Access) -> Told {
    let entry = &access.entry;
    let concern = entry.alert.as_ref().map_or("alert", |alert| alert.concern.word());
    let found = entry.alert.as_ref().and_then(|alert| alert.found.as_ref());
    let (title, uid, said) = match found {
        Some(found) => (found.detection.as_str(), found.finding.to_string(), Some(&found.said)),
        None => (concern, entry.id.to_string(), None),
    };
    let severity = match found {
        Some(found) if found.drill => 1,
        Some(found) if found.action.as_str() == "block" => 4,
        Some(_) | None => 3,
    };
    let alert = entry.alert.clone();
    let own = json!({
        "actor": entry.actor.as_ref().map(|one| actor(Some(one))),
        "finding_info": { "title": title, "uid": uid, "desc": said, "types": [concern] },
        "resources": resources(access),
        "count": alert.as_ref().map(|alert: &Alert| alert.count),
    });
    // The status of a finding is another list: 1 is a new one.
    let activity = (1, "Create".to_owned());
    Told { class: DETECTION_FINDING, activity, severity, status: 1, own }
}

fn change(access: &Access) -> Told {
    let entry = &access.entry;
    let act = entry.act.clone().unwrap_or_default();
    let name = match (act.name.as_str(), &entry.difference) {
        ("", Some(_)) => "shadow_differs",
        ("", None) => entry.event.word(),
        (name, _) => name,
    };
    let candidate = entry.difference.as_ref().map(|one| format!("policy {}", one.candidate));
    let object = some(act.object.as_str()).map(str::to_owned).or(candidate);
    let failed = act.succeeded == Some(false);
    let own = json!({
        "actor": entry.actor.as_ref().map(|one| actor(Some(one))),
        "src_endpoint": entry.origin.as_ref().map(|origin| endpoint(Some(origin))),
        "entity": { "name": object.unwrap_or_else(|| name.to_owned()), "type": entry.event.word() },
        "count": act.count.or(entry.difference.as_ref().map(|one| one.count)),
        "comment": entry.why.as_ref().and_then(|why| some(why.reason.as_str()).map(str::to_owned)),
    });
    let status = if failed { FAILURE } else { SUCCESS };
    let activity = (activity_of(name), name.to_owned());
    Told { class: ENTITY_MANAGEMENT, activity, severity: 1, status, own }
}

/// What was done, in OCSF's numbers.
fn activity_of(name: &str) -> u32 {
    let ends: [(&[&str], u32); 6] = [
        (&["_added", "_enrolled", "_made", "_invited", "_begun"], 1),
        (&["_ended", "_destroyed", "_removed", "_left"], 4),
        (&["_enabled", "switch_off"], 8),
        (&["_disabled", "switch_on"], 9),
        (&["_suspended"], 12),
        (
            &[
                "_searched",
                "_shown",
                "_traced",
                "_exported",
                "_replayed",
                "_explained",
                "_reviewed",
            ],
            2,
        ),
    ];
    let found = ends.iter().find(|(ends, _)| ends.iter().any(|end| name.ends_with(end)));
    found.map_or(3, |(_, activity)| *activity)
}

fn metadata(access: &Access) -> Value {
    let entry = &access.entry;
    let has_actor = entry.actor.is_some()
        && !matches!(entry.event, Event::Decision | Event::Outcome | Event::Session);
    json!({
        "version": SCHEMA,
        "uid": entry.id,
        "correlation_uid": entry.decided_by,
        "sequence": access.index,
        "log_name": "menshen",
        "product": product(),
        // It is this profile that lets these classes tell who.
        "profiles": has_actor.then_some(["host"]),
    })
}

fn product() -> Value {
    json!({ "name": "menshen", "vendor_name": "menshen", "version": VERSION })
}

fn actor(actor: Option<&Actor>) -> Value {
    let name = actor.and_then(|actor| some(actor.account.as_str())).unwrap_or("unknown");
    let roles = actor.into_iter().flat_map(|actor| actor.roles.iter());
    let groups: Vec<_> = roles.map(|role| json!({ "name": role })).collect();
    json!({ "user": { "name": name, "groups": (!groups.is_empty()).then_some(groups) } })
}

fn endpoint(origin: Option<&Origin>) -> Value {
    let address = origin.and_then(|origin| origin.address);
    json!({
        "ip": address,
        "name": address.is_none().then_some("unknown"),
        "port": origin.and_then(|origin| origin.port),
        "zone": origin.and_then(|origin| some(origin.zone.as_str())),
    })
}

fn resources(access: &Access) -> Option<Vec<Value>> {
    let references = access.subjects.iter().map(|one| one.token());
    let people: Vec<_> =
        references.map(|one| json!({ "uid": one, "type": "data subject" })).collect();
    (!people.is_empty()).then_some(people)
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// What is not known is left out, since the schema knows no null.
fn without_nothing(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, without_nothing(value)));
            let is_something = |value: &Value| match value {
                Value::Null => false,
                Value::Object(members) => !members.is_empty(),
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => true,
            };
            Value::Object(members.filter(|(_, value)| is_something(value)).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nothing).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
