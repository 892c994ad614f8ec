//! Traces without a gate: what is drawn, what is told, and that nobody waits.

use serde_json::Value;

use super::*;
use crate::telemetry::Health;

const REQUEST: [u8; 16] = [1, 2, 3, 4, 5, 6, 0x77, 8, 0x89, 10, 11, 12, 13, 14, 15, 200];
const WELL: Health = Health {
    is_draining: false,
    can_record: true,
    can_count: true,
    missed_entries: 0,
    connections: 0,
    open_requests: 0,
    upstreams: Vec::new(),
};

fn parent(line: &str) -> Option<Parent> {
    let line = HeaderValue::from_str(line).unwrap();
    Parent::read(&HeaderMap::from_iter([(TRACEPARENT, line)]))
}

fn traces(one_in: u32, queue: usize) -> (Traces, mpsc::Receiver<Recorded>, Arc<Telemetry>) {
    let telemetry = Arc::new(Telemetry::new());
    let settings = Settings { one_in, queue, ..Settings::default() };
    let traces = Traces::recorded(&settings, Arc::clone(&telemetry));
    let out = traces.out().unwrap();
    (traces, out, telemetry)
}

fn told(trace: &Trace) -> String {
    let mut headers = HeaderMap::new();
    trace.tell(&mut headers);
    headers.get(TRACEPARENT).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_trace_of_its_own_has_the_id_of_the_request() {
    let (traces, _out, _) = traces(1, 8);
    let trace = traces.begin(REQUEST, 1_800_000_000_000, None);
    assert_eq!(trace.continued(), None);
    // The backend is told of the stage that asks it.
    assert_eq!(
        told(&trace),
        "00-010203040506770889 0a0b0c0d0e0fc8-890a0b0c0d0e0fc9-01".replace(' ', "")
    );
    let unrecorded = Traces::unrecorded(Arc::new(Telemetry::new()));
    let trace = unrecorded.begin(REQUEST, 0, None);
    assert_eq!(
        told(&trace),
        "00-010203040506770889 0a0b0c0d0e0fc8-890a0b0c0d0e0fc8-00".replace(' ', "")
    );
}

#[test]
fn one_in_so_many_is_drawn_and_a_parent_says_for_itself() {
    let (traces, mut out, _) = traces(50, 2048);
    for n in 0..10_000_u32 {
        let mut request = REQUEST;
        request[12..].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
        drop(traces.begin(request, 0, None));
    }
    let drawn = std::iter::from_fn(|| out.try_recv().ok()).count();
    assert!((100..=320).contains(&drawn), "{drawn}");
    let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = traces.begin(REQUEST, 0, parent(sampled));
    assert_eq!(trace.continued().unwrap().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(told(&trace).starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-890a0b0c0d0e0f"));
    drop(trace);
    let recorded = out.try_recv().unwrap();
    assert_eq!(recorded.parent.unwrap().to_string(), "00f067aa0ba902b7");
    drop(traces.begin(REQUEST, 0, parent(&sampled.replace("-01", "-00"))));
    assert!(out.try_recv().is_err());
}

#[test]
fn a_full_queue_drops_counts_and_keeps_nobody_waiting() {
    let (traces, mut out, telemetry) = traces(1, 3);
    for _ in 0..10 {
        drop(traces.begin(REQUEST, 0, None));
    }
    let text = telemetry.text(&WELL);
    let line = "menshen_traced_requests_total{outcome=\"dropped\"} 7";
    assert!(text.lines().any(|l| l == line), "{text}");
    assert_eq!(std::iter::from_fn(|| out.try_recv().ok()).count(), 3);
}

#[test]
fn stages_follow_one_another_and_are_capped() {
    let (traces, mut out, _) = traces(1, 8);
    let trace = traces.begin(REQUEST, 1_800_000_000_000, None);
    trace.enters(Stage::Route);
    for _ in 0..100 {
        trace.enters(Stage::Forward);
    }
    trace.know(|known| {
        (known.method, known.template) = ("GET".to_owned(), "/one/{id}".to_owned());
        (known.status, known.upstream) = (Some(502), "core".to_owned());
    });
    let held_by_the_body = trace.clone();
    drop(trace);
    assert!(out.try_recv().is_err(), "it is not over yet");
    drop(held_by_the_body);
    let message = export("gate-1", &[out.try_recv().unwrap()]);
    let message: Value = serde_json::from_slice(&message).unwrap();
    let spans = message["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 33);
    let [whole, head, route, forward, ..] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((whole["name"].as_str(), whole["kind"].as_u64()), (Some("GET /one/{id}"), Some(2)));
    assert_eq!(whole["status"]["code"], 2);
    assert_eq!(whole.get("parentSpanId"), None);
    assert_eq!(whole["startTimeUnixNano"], "1800000000000000000");
    for (span, name) in [(head, "head"), (route, "route"), (forward, "forward")] {
        assert_eq!(span["name"], name);
        assert_eq!(span["parentSpanId"], whole["spanId"]);
        assert_eq!(span["traceId"], whole["traceId"]);
    }
    assert_eq!(head["endTimeUnixNano"], route["startTimeUnixNano"]);
    assert_eq!(forward["attributes"][0]["value"]["stringValue"], "core");
    let mut ids: Vec<_> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 33);
}
