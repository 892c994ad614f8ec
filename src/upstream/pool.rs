//! Keeps connections to one endpoint: at most so many, the last one used first.
//!
//! A request holds a lease; whoever holds one has a connection or may open one. A request is sent
//! again only if hyper gives it back, which means that not a byte of it was written.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::body::UpstreamBody;
use super::connect::{Connector, Opened, RequestBody};
use super::error::{Stage, UpstreamError};
use super::heard::Heard;
use super::settings::{Settings, Timeouts};

/// How long a connection whose answer has ended may take to be ready for the next request.
const READY_GRACE: Duration = Duration::from_millis(100);

/// The connections to one endpoint.
pub(super) struct Pool {
    connector: Connector,
    timeouts: Timeouts,
    /// Requests that have a connection or wait for one.
    queue: Arc<Semaphore>,
    /// Requests that have a connection or open one.
    leases: Arc<Semaphore>,
    /// Connections that exist, those being closed included.
    sockets: Arc<Semaphore>,
    shelf: Arc<Mutex<Shelf>>,
    /// Requests that it has, from when they come to when their answer was read.
    open: Arc<AtomicUsize>,
    tasks: TaskTracker,
}

/// Connections that nobody uses, the one used last at the end.
#[derive(Default)]
struct Shelf {
    idle: Vec<Idle>,
    /// Set when the server drains, or the endpoint is gone: nothing is kept any more.
    closed: bool,
    /// How often certificates were replaced; connections made with older ones are not kept.
    age: u64,
}

struct Idle {
    link: Link,
    since: Instant,
}

/// An open connection; dropping it closes it at once.
struct Link {
    sender: SendRequest<RequestBody>,
    heard: Heard,
    /// The age of the shelf when it was begun.
    age: u64,
    _close: DropGuard,
}

/// The right to one connection, and the connection once there is one.
pub(super) struct Lease {
    link: Option<Link>,
    shelf: Arc<Mutex<Shelf>>,
    _lease: OwnedSemaphorePermit,
    _queue: OwnedSemaphorePermit,
    _open: Open,
}

/// A request that is counted among the open ones.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A request that was not answered.
pub(super) enum Unanswered {
    /// Not a byte of it was written.
    Unsent(Box<Request<RequestBody>>, UpstreamError),
    /// It was written, so it may have been acted on, and not a byte of an answer came; over a connection that was used
    /// before, if so.
    Silent(UpstreamError, bool),
    /// Some of an answer came, or the request itself failed.
    Failed(UpstreamError),
}

impl Unanswered {
    pub(super) fn error(&self) -> &UpstreamError {
        match self {
            Self::Unsent(_, error) | Self::Silent(error, _) | Self::Failed(error) => error,
        }
    }

    pub(super) fn into_error(self) -> UpstreamError {
        match self {
            Self::Unsent(_, error) | Self::Silent(error, _) | Self::Failed(error) => error,
        }
    }
}

impl Pool {
    /// A pool without connections.
    pub(super) fn new(connector: Connector, settings: &Settings, tasks: &TaskTracker) -> Self {
        let connections = settings.connections.min(Semaphore::MAX_PERMITS);
        let queue = connections.saturating_add(settings.waiting).min(Semaphore::MAX_PERMITS);
        Self {
            connector,
            timeouts: settings.timeouts,
            queue: Arc::new(Semaphore::new(queue)),
            leases: Arc::new(Semaphore::new(connections)),
            sockets: Arc::new(Semaphore::new(connections)),
            shelf: Arc::default(),
            open: Arc::default(),
            tasks: tasks.clone(),
        }
    }

    /// How many requests it has.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Sends a request and gives the head of the answer; its body follows as it is read.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<UpstreamBody>, Unanswered> {
        self.address(&mut request);
        let deadline = Instant::now() + self.timeouts.wait;
        let begun = async {
            let lease = self.lease(deadline).await?;
            match self.take_idle().await {
                Some(link) => Ok((lease, link, true)),
                None => Ok((lease, self.connect(deadline).await?, false)),
            }
        };
        let (mut lease, link, reused) = match begun.await {
            Ok(begun) => begun,
            Err(error) => return Err(Unanswered::Unsent(Box::new(request), error)),
        };
        let answer = match self.exchange(lease.link.insert(link), request, reused).await {
            // The connection had closed before it took the request: that says nothing of the endpoint.
            Err(Unanswered::Unsent(request, _)) if reused => {
                lease.link = None;
                let deadline = Instant::now() + self.timeouts.wait;
                match self.connect(deadline).await {
                    Ok(link) => self.exchange(lease.link.insert(link), *request, false).await,
                    Err(error) => Err(Unanswered::Unsent(request, error)),
                }
            }
            answer => answer,
        };
        let response = answer?;
        check_head(&response).map_err(Unanswered::Failed)?;
        let idle = self.timeouts.body_idle;
        Ok(response.map(|body| UpstreamBody::new(body, lease, idle)))
    }

    /// Asks for a path over a connection of its own, which is closed then, and gives the status. It carries nothing of a
    /// caller, and does not wait where requests do.
    pub(super) async fn check(&self, path: &str) -> Result<StatusCode, UpstreamError> {
        let mut link = self.begin(None).await?;
        let body = Empty::<Bytes>::new().map_err(Into::into).boxed_unsync();
        let mut request = Request::new(body);
        *request.uri_mut() = path.parse().unwrap_or_default();
        self.address(&mut request);
        let answer = link.sender.send_request(request).await.map_err(UpstreamError::of_head)?;
        Ok(answer.status())
    }

    /// Closes connections that have been idle for too long.
    pub(super) fn close_stale(&self) {
        let kept = self.timeouts.keep_alive;
        let usable = |i: &Idle| i.since.elapsed() < kept && !i.link.sender.is_closed();
        lock(&self.shelf).idle.retain(usable);
    }

    /// Closes all idle connections, and from now on each one whose answer ends.
    pub(super) fn drain(&self) {
        let mut shelf = lock(&self.shelf);
        shelf.closed = true;
        shelf.idle.clear();
    }

    /// Closes idle connections now and those in use when their answer ends: they were made with certificates of before.
    pub(super) fn renew(&self) {
        let mut shelf = lock(&self.shelf);
        shelf.age += 1;
        shelf.idle.clear();
    }

    /// Makes the request one for this upstream: HTTP/1.1, origin form, and a `Host`.
    fn address(&self, request: &mut Request<RequestBody>) {
        *request.version_mut() = Version::HTTP_11;
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
        if !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, self.connector.authority().clone());
        }
    }

    async fn lease(&self, deadline: Instant) -> Result<Lease, UpstreamError> {
        let queue = Arc::clone(&self.queue).try_acquire_owned();
        let queue = queue.ok().ok_or(UpstreamError::QueueFull)?;
        let open = Open::begin(&self.open);
        let lease = self.permit(&self.leases, deadline).await?;
        let shelf = Arc::clone(&self.shelf);
        Ok(Lease { link: None, shelf, _lease: lease, _queue: queue, _open: open })
    }

    async fn permit(
        &self,
        semaphore: &Arc<Semaphore>,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, UpstreamError> {
        let acquired = timeout_at(deadline, Arc::clone(semaphore).acquire_owned()).await;
        let permit = acquired.ok().and_then(Result::ok);
        permit.ok_or(UpstreamError::Busy(self.timeouts.wait))
    }

    /// The idle connection used last that still works.
    async fn take_idle(&self) -> Option<Link> {
        loop {
            let Idle { mut link, since } = lock(&self.shelf).idle.pop()?;
            if since.elapsed() >= self.timeouts.keep_alive || link.sender.is_closed() {
                continue;
            }
            if let Ok(Ok(())) = timeout(READY_GRACE, link.sender.ready()).await {
                return Some(link);
            }
        }
    }

    /// Opens a connection, once the number of those that exist allows it.
    async fn connect(&self, deadline: Instant) -> Result<Link, UpstreamError> {
        let socket = self.permit(&self.sockets, deadline).await?;
        self.begin(Some(socket)).await
    }

    async fn begin(&self, socket: Option<OwnedSemaphorePermit>) -> Result<Link, UpstreamError> {
        let age = lock(&self.shelf).age;
        let Opened { sender, driver, heard } = self.connector.connect().await?;
        let close = CancellationToken::new();
        let closed = close.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                ended = driver => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection to an upstream ended");
                },
                () = closed.cancelled() => {}
            }
            drop(socket);
        });
        Ok(Link { sender, heard, age, _close: close.drop_guard() })
    }

    async fn exchange(
        &self,
        link: &mut Link,
        request: Request<RequestBody>,
        reused: bool,
    ) -> Result<Response<Incoming>, Unanswered> {
        let (limit, before) = (self.timeouts.head, link.heard.bytes());
        let sent = timeout(limit, link.sender.try_send_request(request)).await;
        let error = match sent {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(mut failed)) => match failed.take_message() {
                Some(request) => {
                    let error = UpstreamError::Closed(failed.into_error());
                    return Err(Unanswered::Unsent(Box::new(request), error));
                }
                None => UpstreamError::of_head(failed.into_error()),
            },
            Err(_late) => UpstreamError::Timeout(Stage::Head, limit),
        };
        let is_silent =
            link.heard.bytes() == before && !matches!(error, UpstreamError::RequestBody(_));
        Err(if is_silent { Unanswered::Silent(error, reused) } else { Unanswered::Failed(error) })
    }
}

impl Lease {
    /// Keeps the connection for the next request: its answer was read to the end.
    pub(super) fn keep(mut self) {
        let Some(link) = self.link.take() else { return };
        let mut shelf = lock(&self.shelf);
        if !shelf.closed && shelf.age == link.age && !link.sender.is_closed() {
            shelf.idle.push(Idle { link, since: Instant::now() });
        }
    }
}

#[cfg(test)]
impl Pool {
    /// Whether the connection to be used next is known to be closed.
    pub(super) fn newest_idle_is_closed(&self) -> bool {
        lock(&self.shelf).idle.last().is_none_or(|i| i.link.sender.is_closed())
    }
}

fn check_head(response: &Response<Incoming>) -> Result<(), UpstreamError> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(UpstreamError::Switched);
    }
    let headers = response.headers();
    if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
        return Err(UpstreamError::TwoLengths);
    }
    // hyper goes by the last coding and drops the others without undoing them (RFC 9112 section 6.1).
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked =
        codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !is_chunked || codings.next().is_some() {
        return Err(UpstreamError::TransferCoding);
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use http_body_util::Full;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::connect::Target;
    use super::super::settings::Transport;
    use super::*;

    /// hyper gives a request back if its connection goes before reading it; that takes a race, which
    /// this decides: the idle connection is driven just far enough to look ready, and then dropped.
    #[tokio::test]
    async fn a_request_that_a_stale_connection_gave_back_is_sent_once_more_with_its_body() {
        let tasks = TaskTracker::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tasks.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            String::from_utf8(request[..length].to_vec()).unwrap()
        });
        let transport = Transport::Plain { beyond_loopback: false };
        let settings = Settings::new("crm", "127.0.0.1", port, transport);
        let target = Target::new(&settings, &settings.addresses[0], None).unwrap();
        let connector = Connector::new(target.socket().unwrap(), &target, &settings);
        let pool = Pool::new(connector, &settings, &tasks);
        let stale = leave_stale_connection(&pool).await;
        tasks.spawn(async move {
            tokio::task::yield_now().await;
            drop(stale);
        });
        let body = Full::new(Bytes::from_static(b"once")).map_err(Into::into).boxed_unsync();
        let response = pool.send(Request::post("/pay").body(body).unwrap()).await;
        let response = response.map_err(Unanswered::into_error).unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let request = server.await.unwrap();
        assert!(
            request.starts_with("POST /pay ") && request.ends_with("\r\n\r\nonce"),
            "{request}"
        );
    }

    async fn leave_stale_connection(pool: &Pool) -> Box<dyn Send> {
        let (near, far) = tokio::io::duplex(64);
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
        let mut connection = Box::pin(connection);
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(&mut connection).poll(&mut context).is_pending());
        let close = CancellationToken::new().drop_guard();
        let link = Link { sender, heard: Heard::default(), age: 0, _close: close };
        lock(&pool.shelf).idle.push(Idle { link, since: Instant::now() });
        Box::new((connection, far))
    }
}
