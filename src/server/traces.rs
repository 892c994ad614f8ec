//! Sends recorded spans to a collector: OTLP over HTTP, in its JSON form.
//!
//! Nobody waits for it: what cannot be sent is dropped and counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use http_body_util::Full;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Server;
use crate::config::Config;
use crate::ship::{self, ShipError, WebhookSettings};
use crate::telemetry::{Fate, Recorded, Telemetry, Traces, export};

/// How long the last spans may take at the end.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);
/// The most requests of one message.
const BATCH: usize = 256;
/// For one message.
const DEADLINE: Duration = Duration::from_secs(10);
/// What is read of an answer.
const MOST_OF_ANSWER: usize = 64 * 1024;

/// Reads the certificates and the token that the collector asks for.
pub(super) fn check(config: &Config) -> Result<(), ShipError> {
    let collector = config.traces.as_ref().and_then(|traces| traces.collector.as_ref());
    let Some(WebhookSettings { endpoint, token }) = collector else { return Ok(()) };
    token.as_deref().map(ship::read_secret).transpose()?;
    ship::check_peer(&endpoint.peer)
}

/// How the gate traces requests.
pub(super) fn open(config: &Config, telemetry: &Arc<Telemetry>) -> Option<Traces> {
    let traces = config.traces.as_ref()?;
    let telemetry = Arc::clone(telemetry);
    Some(match traces.collector {
        Some(_) => Traces::recorded(&traces.settings, telemetry),
        None => Traces::unrecorded(telemetry),
    })
}

impl Server {
    /// Sends spans to the collector, if there is one.
    pub(super) fn send_traces(&self, config: &Config) {
        let Some(traces) = &config.traces else { return };
        let out = self.gate.traces.as_ref().and_then(Traces::out);
        let (Some(collector), Some(out)) = (traces.collector.clone(), out) else { return };
        let exporter = Exporter {
            collector,
            out,
            node: config.node.clone(),
            gather: traces.settings.gather,
            telemetry: Arc::clone(&self.gate.telemetry),
            is_down: false,
        };
        self.exporter.spawn(exporter.run(self.monitoring.stop.clone()));
    }
}

struct Exporter {
    collector: WebhookSettings,
    out: mpsc::Receiver<Recorded>,
    node: String,
    gather: Duration,
    telemetry: Arc<Telemetry>,
    /// Whether the operator was told that nobody takes them.
    is_down: bool,
}

impl Exporter {
    async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            let stopped = tokio::select! {
                () = self.gather(&mut batch) => false,
                () = stop.cancelled() => true,
            };
            self.send(&std::mem::take(&mut batch)).await;
            if stopped {
                break;
            }
        }
        while let Ok(recorded) = self.out.try_recv() {
            batch.push(recorded);
        }
        for part in batch.chunks(BATCH) {
            self.send(part).await;
        }
    }

    /// Takes what comes within the time after the first. Cancelled, it leaves what it took in the batch.
    async fn gather(&mut self, batch: &mut Vec<Recorded>) {
        let mut until = None;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            let more = self.out.recv_many(batch, room);
            let got = match until {
                None => more.await,
                Some(until) => match timeout_at(until, more).await {
                    Ok(got) => got,
                    Err(_over) => return,
                },
            };
            until.get_or_insert(Instant::now() + self.gather);
            if got == 0 {
                // Nobody records any more.
                return std::future::pending().await;
            }
        }
    }

    async fn send(&mut self, recorded: &[Recorded]) {
        if recorded.is_empty() {
            return;
        }
        let requests = u64::try_from(recorded.len()).unwrap_or(u64::MAX);
        let sent = timeout(DEADLINE, deliver(&self.collector, export(&self.node, recorded))).await;
        let peer = || self.collector.endpoint.peer.shown();
        let sent =
            sent.unwrap_or_else(|_late| Err(ShipError::Slow { peer: peer(), time: DEADLINE }));
        match sent {
            Ok(()) => {
                self.telemetry.traced(Fate::Exported, requests);
                if std::mem::replace(&mut self.is_down, false) {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(error) => {
                self.telemetry.traced(Fate::Failed, requests);
                if !std::mem::replace(&mut self.is_down, true) {
                    tracing::warn!(%error, "spans are lost: the collector does not take them");
                }
            }
        }
    }
}

async fn deliver(collector: &WebhookSettings, message: Vec<u8>) -> Result<(), ShipError> {
    let WebhookSettings { endpoint, token } = collector;
    let json = HeaderValue::from_static("application/json");
    let mut request = Request::new(Full::new(Bytes::from(message)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.path.parse().map_err(|error: http::uri::InvalidUri| {
        ShipError::Refused { peer: endpoint.peer.shown(), said: error.to_string() }
    })?;
    request.headers_mut().insert(CONTENT_TYPE, json);
    if let Some(file) = token {
        let token = ship::read_secret(file)?;
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let form =
            || ShipError::Form { path: file.display().to_string(), wanted: "a bearer token" };
        let mut value = value.map_err(|_not_one| form())?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    ship::ask(endpoint, request, MOST_OF_ANSWER).await?.of_success(endpoint).map(drop)
}
