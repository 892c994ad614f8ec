//! One connection: HTTP/2 or HTTP/1.1 as the handshake agreed, with every cap set.
//!
//! hyper's own builders, not the sniffing one: a client that says nothing would keep that open.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::time::Duration;
use tokio::io::AsyncBufReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use super::budget::Budget;
use super::shown::ClientCertificate;
use super::watch::{Progress, Stalled, Watch};
use super::{Ends, FAREWELL, Facts, Handler, Illegible, Serving, Settings, Shaken};
use crate::limits::AddressSeat;

pub(super) async fn serve<H: Handler>(
    serving: Serving<H>,
    Shaken { mut stream, client, brings_many }: Shaken,
    place: AddressSeat,
) {
    let speaks_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
    if !speaks_h2 && !is_asked(&mut stream, &serving).await {
        return;
    }
    let watch = Watch::new();
    let begun = (client, place);
    let facts = serving.facts(stream.get_ref().1, begun, watch.request());
    let (handler, known) = (Arc::clone(&serving.handler), facts.clone());
    let requests = watch.clone();
    let current = Arc::clone(&serving.current);
    let shows_client = facts.client.is_some();
    let Settings { requests_per_second, resets, .. } = *serving.settings;
    let budget = speaks_h2.then(|| Budget::new(requests_per_second, resets));
    let counted = budget.clone();
    let shown = Arc::clone(&serving.shown);
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        let mut facts = Facts { progress: requests.request(), ..facts.clone() };
        // The operator may have changed both since the connection began; only who is still trusted is believed.
        let settings = shown.settings();
        facts.zone = Arc::clone(&settings.zone);
        let trusted = settings.forwarders.as_ref();
        let trusted = trusted.filter(|some| brings_many && some.trust(client.ip()));
        facts.is_forwarded = trusted.is_some();
        if let Some(forwarders) = trusted {
            facts.peer = forwarders.client(request.headers(), client);
        }
        if current.replaced.is_cancelled() {
            // Whoever signed for it may not be believed any more.
            facts.client = None;
        }
        let asked = counted.as_ref().map(Budget::asked);
        async move {
            let answered = answer(&*handler, request, facts).await;
            if let Some(asked) = asked {
                asked.answered();
            }
            Ok::<_, Infallible>(answered)
        }
    });
    let io = TokioIo::new(stream);
    if speaks_h2 {
        let connection = http2_builder(&serving).serve_connection(io, service);
        let on = Driven { serving: &serving, watch: &watch, shows_client, budget };
        Box::pin(drive(connection, on, |c| c.graceful_shutdown())).await;
    } else {
        let connection = http1_builder(&serving.settings).serve_connection(io, service);
        let connection = connection.with_upgrades();
        let on = Driven { serving: &serving, watch: &watch, shows_client, budget };
        let ended = Box::pin(drive(connection, on, |c| c.graceful_shutdown())).await;
        if let Some(what) = ended.and_then(|error| illegible(&error)) {
            serving.handler.illegible(what, known).await;
        }
    }
}

/// What could not be read, where a connection ended with this error and an answer that hyper gave for it.
fn illegible(error: &hyper::Error) -> Option<Illegible> {
    if error.is_parse_too_large() {
        return Some(Illegible::TooLarge);
    }
    // The beginning of HTTP/2 is not answered.
    (error.is_parse() && !error.is_parse_version_h2()).then_some(Illegible::Malformed)
}

impl<H> Serving<H> {
    /// What is known of every request on a connection.
    fn facts(
        &self,
        session: &rustls::ServerConnection,
        (peer, place): (SocketAddr, AddressSeat),
        progress: Progress,
    ) -> Facts {
        let client = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|leaf| ClientCertificate::new(leaf));
        let replaced = client.as_ref().map(|_| self.current.replaced.clone());
        Facts {
            peer,
            zone: Arc::clone(&self.settings.zone),
            server_name: session.server_name().map(|name| name.to_ascii_lowercase().into()),
            tls_version: match session.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "TLSv1.2",
            },
            header_lines: self.settings.header_lines,
            is_forwarded: false,
            client,
            progress,
            ends: Ends::new(&self.stop, replaced, place),
        }
    }
}

/// Waits for the first byte over HTTP/1.1, so that a connection on which nobody asked anything yet holds no buffers for
/// it; `false` if none comes in time.
async fn is_asked<H>(stream: &mut TlsStream<TcpStream>, serving: &Serving<H>) -> bool {
    let leaving = async {
        serving.stop.finish.cancelled().await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        begun = stream.fill_buf() => begun.is_ok_and(|bytes| !bytes.is_empty()),
        () = tokio::time::sleep(serving.settings.head_timeout) => false,
        () = serving.stop.cut.cancelled() => false,
        () = leaving => false,
    }
}

async fn answer<H: Handler>(
    handler: &H,
    request: Request<Incoming>,
    facts: Facts,
) -> Response<H::Body> {
    let progress = facts.progress.clone();
    let _open = progress.begin();
    handler.handle(request, facts).await
}

/// What ends a connection besides itself.
struct Driven<'a, H> {
    serving: &'a Serving<H>,
    watch: &'a Watch,
    shows_client: bool,
    /// Of HTTP/2; requests of HTTP/1.1 come one after another.
    budget: Option<Budget>,
}

impl<H> Driven<'_, H> {
    async fn full(&self) {
        match &self.budget {
            Some(budget) => budget.full().await,
            None => std::future::pending().await,
        }
    }

    async fn spent(&self) {
        match &self.budget {
            Some(budget) => budget.spent().await,
            None => std::future::pending().await,
        }
    }
}

/// Drives a connection to its end or its stall; once told to stop, to the end of its open requests. Gives the error that it
/// ended with by itself.
async fn drive<C, H>(
    connection: C,
    on: Driven<'_, H>,
    farewell: impl Fn(std::pin::Pin<&mut C>),
) -> Option<hyper::Error>
where
    C: Future<Output = hyper::Result<()>>,
{
    tokio::pin!(connection);
    let Driven { serving, watch, shows_client, .. } = on;
    let Settings { stall_timeout, head_timeout, .. } = *serving.settings;
    let mut ending = false;
    loop {
        let idle_timeout = if ending { FAREWELL } else { head_timeout };
        tokio::select! {
            ended = connection.as_mut() => {
                let error = ended.err()?;
                tracing::debug!(%error, "connection ended with an error");
                return Some(error);
            }
            () = serving.stop.cut.cancelled() => return None,
            () = on.spent() => {
                tracing::debug!("too many requests of a connection were taken back; it is cut");
                return None;
            }
            () = on.full(), if !ending => {}
            () = stopped(serving, watch), if !ending => {}
            () = serving.current.replaced.cancelled(), if shows_client && !ending => {}
            stalled = watch.stalled(stall_timeout, idle_timeout) => match stalled {
                Stalled::Idle if !ending => {}
                Stalled::Unused | Stalled::Idle | Stalled::InRequest => return None,
            }
        }
        farewell(connection.as_mut());
        ending = true;
        watch.moved();
    }
}

/// Waits until the gate stops. Whoever has just been let in may still ask once: they could not know of it, and hyper would
/// close on them without a word.
async fn stopped<H>(serving: &Serving<H>, watch: &Watch) {
    serving.stop.finish.cancelled().await;
    let begun = async {
        while watch.is_unused() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Nobody waits longer for them than for the end of an answer.
    tokio::time::timeout(FAREWELL, begun).await.unwrap_or_default();
}

fn http1_builder(settings: &Settings) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_timeout)
        .max_headers(settings.header_lines)
        .max_header_size(usize::try_from(settings.head_limit_bytes).unwrap_or(32 * 1024))
        .max_buf_size(64 * 1024)
        .half_close(false);
    builder
}

fn http2_builder<H>(serving: &Serving<H>) -> http2::Builder<Tracked> {
    let settings = &serving.settings;
    let mut builder = http2::Builder::new(Tracked(serving.tasks.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(Some(200))
        .max_header_list_size(settings.head_limit_bytes)
        .max_send_buf_size(64 * 1024)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

/// Runs the streams of an HTTP/2 connection where a drain waits for them.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}
