//! Keeps connections to one upstream: at most so many, the last one used first.
//!
//! A request holds a lease; whoever holds one has a connection or may open one. A request is sent
//! again only if hyper gives it back, which means that not a byte of it was written.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::body::UpstreamBody;
use super::connect::{Connector, RequestBody};
use super::error::{OpenError, Stage, UpstreamError};
use super::settings::{Settings, Timeouts};

/// How long a connection whose answer has ended may take to be ready for the next request.
const READY_GRACE: Duration = Duration::from_millis(100);

/// The connections to one upstream.
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
    tasks: TaskTracker,
}

/// Connections that nobody uses, the one used last at the end.
#[derive(Default)]
struct Shelf {
    idle: Vec<Idle>,
    /// Set when the server drains: nothing is kept any more.
    closed: bool,
}

struct Idle {
    link: Link,
    since: Instant,
}

/// An open connection; dropping it closes it at once.
struct Link {
    sender: SendRequest<RequestBody>,
    _close: DropGuard,
}

/// The right to one connection, and the connection once there is one.
pub(super) struct Lease {
    link: Option<Link>,
    shelf: Arc<Mutex<Shelf>>,
    _lease: OwnedSemaphorePermit,
    _queue: OwnedSemaphorePermit,
}

/// A request that was not answered.
enum Unanswered {
    /// Not a byte of it was written.
    Unsent(Box<Request<RequestBody>>, hyper::Error),
    /// It may have been acted on.
    Failed(UpstreamError),
}

impl Pool {
    /// A pool without connections.
    pub(super) fn open(settings: &Settings, tasks: &TaskTracker) -> Result<Self, OpenError> {
        if settings.connections == 0 {
            return Err(OpenError::NoConnections(settings.name.clone()));
        }
        let connections = settings.connections.min(Semaphore::MAX_PERMITS);
        let queue = connections.saturating_add(settings.waiting).min(Semaphore::MAX_PERMITS);
        Ok(Self {
            connector: Connector::open(settings)?,
            timeouts: settings.timeouts,
            queue: Arc::new(Semaphore::new(queue)),
            leases: Arc::new(Semaphore::new(connections)),
            sockets: Arc::new(Semaphore::new(connections)),
            shelf: Arc::default(),
            tasks: tasks.clone(),
        })
    }

    /// Sends a request and gives the head of the answer; its body follows as it is read.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<UpstreamBody>, UpstreamError> {
        self.address(&mut request);
        let deadline = Instant::now() + self.timeouts.wait;
        let mut lease = self.lease(deadline).await?;
        let (link, reused) = match self.take_idle().await {
            Some(link) => (link, true),
            None => (self.connect(deadline).await?, false),
        };
        let answer = match self.exchange(lease.link.insert(link), request).await {
            Err(Unanswered::Unsent(request, _)) if reused => {
                lease.link = None;
                let deadline = Instant::now() + self.timeouts.wait;
                let link = self.connect(deadline).await?;
                self.exchange(lease.link.insert(link), *request).await
            }
            answer => answer,
        };
        let response = answer.map_err(|unanswered| match unanswered {
            Unanswered::Unsent(_, error) => UpstreamError::Closed(error),
            Unanswered::Failed(error) => error,
        })?;
        check_head(&response)?;
        let idle = self.timeouts.body_idle;
        Ok(response.map(|body| UpstreamBody::new(body, lease, idle)))
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
        let lease = self.permit(&self.leases, deadline).await?;
        Ok(Lease { link: None, shelf: Arc::clone(&self.shelf), _lease: lease, _queue: queue })
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
        let (sender, driver) = self.connector.connect().await?;
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
        Ok(Link { sender, _close: close.drop_guard() })
    }

    async fn exchange(
        &self,
        link: &mut Link,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let limit = self.timeouts.head;
        let late = UpstreamError::Timeout(Stage::Head, limit);
        let sent = timeout(limit, link.sender.try_send_request(request)).await;
        let answered = sent.ok().ok_or(Unanswered::Failed(late))?;
        answered.map_err(|mut failed| match failed.take_message() {
            Some(request) => Unanswered::Unsent(Box::new(request), failed.into_error()),
            None => Unanswered::Failed(UpstreamError::of_head(failed.into_error())),
        })
    }
}

impl Lease {
    /// Keeps the connection for the next request: its answer was read to the end.
    pub(super) fn keep(mut self) {
        let Some(link) = self.link.take() else { return };
        let mut shelf = lock(&self.shelf);
        if !shelf.closed && !link.sender.is_closed() {
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

    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

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
        let pool = Pool::open(&Settings::new("crm", "127.0.0.1", port, transport), &tasks).unwrap();
        let stale = leave_stale_connection(&pool).await;
        tasks.spawn(async move {
            tokio::task::yield_now().await;
            drop(stale);
        });
        let body = Full::new(Bytes::from_static(b"once")).map_err(Into::into).boxed_unsync();
        let response = pool.send(Request::post("/pay").body(body).unwrap()).await.unwrap();
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
        let link = Link { sender, _close: CancellationToken::new().drop_guard() };
        lock(&pool.shelf).idle.push(Idle { link, since: Instant::now() });
        Box::new((connection, far))
    }
}
