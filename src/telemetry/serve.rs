//! A small listener for monitoring: `GET /metrics` and `GET /healthz` over plain HTTP, nothing else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Health, Telemetry};

/// Connections at once; monitoring needs one or two.
const CONNECTIONS: usize = 16;
/// From accept to the end of the one answer.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// A request's head.
const HEAD_BYTES: usize = 8 * 1024;
/// How long to wait when the system gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// What Prometheus asks for and accepts.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where monitoring may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The address; without encryption, so on loopback unless the operator says otherwise.
    pub address: SocketAddr,
}

/// A bound socket that is not served yet.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Serves on this socket.
    #[must_use]
    pub fn on(socket: TcpListener) -> Self {
        Self(socket)
    }

    /// The address that was bound, with the real port where 0 was asked for.
    ///
    /// # Errors
    /// What the system said.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves until told to stop. `health` is asked at each request.
    pub async fn serve(
        self,
        telemetry: Arc<Telemetry>,
        health: impl Fn() -> Health + Clone + Send + Sync + 'static,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.0.accept() => accepted,
            };
            let Ok((stream, _peer)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let (telemetry, health, stop) = (Arc::clone(&telemetry), health.clone(), stop.clone());
            tasks.spawn(async move {
                let talk =
                    tokio::time::timeout(CONNECTION_TIME, converse(stream, telemetry, health));
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ended = talk => {}
                }
                drop(place);
            });
        }
    }
}

async fn converse(stream: TcpStream, telemetry: Arc<Telemetry>, health: impl Fn() -> Health) {
    let answer = |request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), &telemetry, &health());
        std::future::ready(Ok::<_, Infallible>(response))
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_TIME)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection for metrics failed");
    }
}

fn answer(
    method: &Method,
    path: &str,
    telemetry: &Telemetry,
    health: &Health,
) -> Response<Full<Bytes>> {
    if method != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    match path {
        "/metrics" => {
            let mut response = plain(StatusCode::OK, telemetry.text(health));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
            response
        }
        "/healthz" => {
            let (status, reason) = match health {
                health if health.is_serving() => (StatusCode::OK, "ok"),
                Health { is_draining: true, .. } => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
                Health { can_record: false, .. } => {
                    (StatusCode::SERVICE_UNAVAILABLE, "the log cannot be written")
                }
                _ => (StatusCode::SERVICE_UNAVAILABLE, "the state cannot be written"),
            };
            // Another gate would not reach it either, and the others are served: no reason to take this one out.
            let down = health.upstreams.iter().filter(|upstream| upstream.is_down());
            let down = down.map(|upstream| {
                let faults = upstream.faults().map(|(place, why)| format!("  {place}: {why}\n"));
                format!("upstream {} is down\n{}", upstream.name, faults.collect::<String>())
            });
            plain(status, format!("{reason}\n{}", down.collect::<String>()))
        }
        _ => plain(StatusCode::NOT_FOUND, "/metrics or /healthz\n".to_owned()),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
