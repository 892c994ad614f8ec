//! Spans in the JSON form of the OpenTelemetry protocol (OTLP 1.x, `ExportTraceServiceRequest`).

use serde_json::{Value, json};

use super::recording::{Known, Recorded, Stage};

const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const ERROR: u8 = 2;

/// The message to a collector about these requests of this node.
#[must_use]
pub fn export(node: &str, requests: &[Recorded]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let spans: Vec<Value> = requests.iter().flat_map(spans).collect();
    let resource = [
        text("service.name", "menshen"),
        text("service.instance.id", node),
        text("service.version", version),
    ];
    let scope = json!({ "name": "menshen", "version": version });
    let message = json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }] });
    message.to_string().into_bytes()
}

fn spans(request: &Recorded) -> impl Iterator<Item = Value> {
    let ends = request.stages.iter().skip(1).map(|(_, at)| *at).chain([request.took_ns]);
    let stages = request.stages.iter().zip(ends).enumerate();
    let stages =
        stages.map(|(place, ((stage, at), end))| of_stage(request, place, *stage, (*at, end)));
    [whole(request)].into_iter().chain(stages)
}

fn whole(request: &Recorded) -> Value {
    let Known { method, route, template, action, status, cause, ended, retries, .. } =
        &request.known;
    let name = match template.is_empty() {
        true => "request".to_owned(),
        false => format!("{method} {template}"),
    };
    let mut attributes: Vec<Value> = [
        ("http.request.method", method.as_str()),
        ("http.route", template),
        ("menshen.route", route),
        ("menshen.action", action),
        ("menshen.cause", cause.unwrap_or_default()),
        ("menshen.ended", ended.unwrap_or_default()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(key, value)| text(key, value))
    .collect();
    attributes.extend(status.map(|status| number("http.response.status_code", status.into())));
    if *retries > 0 {
        attributes.push(number("menshen.retries", (*retries).into()));
    }
    let failed = status.is_some_and(|status| status >= 500);
    let mut span = json!({
        "traceId": request.trace.to_string(),
        "spanId": request.span.to_string(),
        "name": name,
        "kind": SERVER,
        "startTimeUnixNano": request.began_ns.to_string(),
        "endTimeUnixNano": (request.began_ns + request.took_ns).to_string(),
        "attributes": attributes,
        "status": if failed { json!({ "code": ERROR }) } else { json!({}) },
    });
    if let (Some(parent), Some(span)) = (request.parent, span.as_object_mut()) {
        span.insert("parentSpanId".to_owned(), parent.to_string().into());
    }
    span
}

fn of_stage(request: &Recorded, place: usize, stage: Stage, (at, end): (u128, u128)) -> Value {
    let upstream =
        Some(request.known.upstream.as_str()).filter(|name| stage.asks() && !name.is_empty());
    let attributes: Vec<Value> =
        upstream.map(|name| text("menshen.upstream", name)).into_iter().collect();
    json!({
        "traceId": request.trace.to_string(),
        "spanId": request.span_of(place).to_string(),
        "parentSpanId": request.span.to_string(),
        "name": stage.word(),
        "kind": if stage.asks() { CLIENT } else { INTERNAL },
        "startTimeUnixNano": (request.began_ns + at).to_string(),
        "endTimeUnixNano": (request.began_ns + end.max(at)).to_string(),
        "attributes": attributes,
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Whole numbers are strings in this form.
fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}
