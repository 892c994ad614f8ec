//! Keeps connections to one endpoint: at most so many, the last one used first.
//!
//! A request holds a lease; whoever holds one has a connection or may open one. A request is sent
//! again only if hyper gives it back, which means that not a byte of it was written.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::response::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::body::UpstreamBody;
use super::connect::{Allowed, Connector, Driver, Opened, Purpose, RequestBody, Sender};
use super::error::{Stage, UpstreamError, is_unprocessed};
use super::head::{check_head, for_many, for_one};
use super::lease::{Held, Idle, Lease, Link, Open, Shelf, lock};
use super::readers::Readers;
use super::settings::{Settings, Timeouts};
use super::socket::{Switch, switched};
use super::streams::{Seats, Stream, Streams};

/// How long a connection whose answer has ended may take to be ready for the next request.
const READY_GRACE: Duration = Duration::from_millis(100);

/// The connections to one endpoint.
pub(super) struct Pool {
    connector: Connector,
    timeouts: Timeouts,
    /// Fields that the head of an answer may have.
    fields: usize,
    connections: usize,
    /// Requests that may wait for a place on a connection.
    waiting: usize,
    /// Requests that have a connection or open one.
    leases: Arc<Semaphore>,
    /// Connections that exist, those being closed included.
    sockets: Arc<Semaphore>,
    shelf: Arc<Mutex<Shelf>>,
    /// Answers that stream, whose places are called back where nobody reads them.
    readers: Arc<Readers>,
    /// Connections over which several requests go at once, and whose turn it is to open one.
    streams: Streams,
    opening: tokio::sync::Mutex<()>,
    /// Whether such a connection may come of opening one.
    may_share: AtomicBool,
    /// Requests that it has, from when they come to when their answer was read.
    open: Arc<AtomicUsize>,
    /// Connections that became WebSockets. They stand beside those for requests, and are never kept.
    sockets_open: Arc<Semaphore>,
    /// How many there are of them: they are work for the endpoint, and wait for no place.
    switched: Arc<AtomicUsize>,
    tasks: TaskTracker,
}

/// What was opened.
enum Begun {
    One(Link),
    Many(http2::SendRequest<RequestBody>, Allowed, (DropGuard, u64)),
}

/// A place for a request.
enum Place {
    /// On a connection that others use.
    Shared(Stream),
    /// The right to a connection.
    Own(OwnedSemaphorePermit),
}

/// A request that was not answered.
pub(super) enum Unanswered {
    /// Not a byte of it was written.
    Unsent(Box<Request<RequestBody>>, UpstreamError),
    /// It was written, and the backend says that it did nothing with it.
    Unprocessed(UpstreamError),
    /// It was written, so it may have been acted on, and not a byte of an answer came; over a connection that was used
    /// before, if so.
    Silent(UpstreamError, bool),
    /// Some of an answer came, or the request itself failed.
    Failed(UpstreamError),
}

impl Unanswered {
    pub(super) fn error(&self) -> &UpstreamError {
        match self {
            Self::Unsent(_, error)
            | Self::Unprocessed(error)
            | Self::Silent(error, _)
            | Self::Failed(error) => error,
        }
    }

    pub(super) fn into_error(self) -> UpstreamError {
        match self {
            Self::Unsent(_, error)
            | Self::Unprocessed(error)
            | Self::Silent(error, _)
            | Self::Failed(error) => error,
        }
    }
}

impl Pool {
    /// A pool without connections.
    pub(super) fn new(connector: Connector, settings: &Settings, tasks: &TaskTracker) -> Self {
        let connections = settings.connections.min(Semaphore::MAX_PERMITS);
        let each = settings.http2.unwrap_or(1).max(1);
        Self {
            connector,
            timeouts: settings.timeouts,
            fields: settings.caps.headers,
            connections,
            waiting: settings.waiting,
            leases: Arc::new(Semaphore::new(connections)),
            sockets: Arc::new(Semaphore::new(connections)),
            shelf: Arc::default(),
            readers: Arc::default(),
            streams: Streams::new(each),
            opening: tokio::sync::Mutex::default(),
            may_share: AtomicBool::new(settings.http2.is_some()),
            open: Arc::default(),
            sockets_open: Arc::new(Semaphore::new(settings.sockets.min(Semaphore::MAX_PERMITS))),
            switched: Arc::default(),
            tasks: tasks.clone(),
        }
    }

    /// How many requests it has, those that became WebSockets among them.
    pub(super) fn open(&self) -> usize {
        let switched = self.switched.load(Ordering::Acquire);
        self.open.load(Ordering::Acquire).saturating_add(switched)
    }

    /// Sends a request and gives the head of the answer; its body follows as it is read.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<UpstreamBody>, Unanswered> {
        self.name_host(&mut request);
        let deadline = Instant::now() + self.timeouts.wait;
        let (mut lease, reused) = match self.lease(deadline).await {
            Ok(begun) => begun,
            Err(error) => return Err(Unanswered::Unsent(Box::new(request), error)),
        };
        let answer = match self.exchange(&mut lease.held, request, reused).await {
            // The connection had closed before it took the request: that says nothing of the endpoint.
            Err(Unanswered::Unsent(request, _)) if reused => {
                let deadline = Instant::now() + self.timeouts.wait;
                match self.hold_another(&mut lease.held, deadline).await {
                    Ok(()) => self.exchange(&mut lease.held, *request, false).await,
                    Err(error) => Err(Unanswered::Unsent(request, error)),
                }
            }
            answer => answer,
        };
        let response = answer?;
        check_head(&response, self.fields).map_err(Unanswered::Failed)?;
        let idle = self.timeouts.body_idle;
        let version = response.version();
        Ok(response.map(|body| UpstreamBody::new((body, version), lease, idle)))
    }

    /// Sends a request that asks for another protocol, over a connection of its own, which `replaced` will end.
    pub(super) async fn switch(
        &self,
        mut request: Request<RequestBody>,
        replaced: CancellationToken,
    ) -> Result<Switch, Unanswered> {
        self.name_host(&mut request);
        let Ok(place) = Arc::clone(&self.sockets_open).try_acquire_owned() else {
            return Err(Unanswered::Unsent(Box::new(request), UpstreamError::QueueFull));
        };
        let (open, _) = Open::begin(&self.switched);
        let (mut sender, driver) = match Box::pin(self.connector.connect(Purpose::Switch)).await {
            Ok(Opened { sender: Sender::One(sender, _), driver }) => (sender, driver),
            // HTTP/2 was not offered.
            Ok(Opened { sender: Sender::Many(..), .. }) => {
                return Err(Unanswered::Failed(UpstreamError::Switched));
            }
            Err(error) => return Err(Unanswered::Unsent(Box::new(request), error)),
        };
        let _close = self.drive(driver, None);
        let limit = self.timeouts.head;
        let sent = timeout(limit, sender.send_request(for_one(request))).await;
        let answer = match sent {
            Ok(answer) => answer.map_err(|error| Unanswered::Failed(UpstreamError::of_head(error))),
            Err(_late) => Err(Unanswered::Failed(UpstreamError::Timeout(Stage::Head, limit))),
        }?;
        let fields = answer.headers().len();
        if fields > self.fields {
            return Err(Unanswered::Failed(UpstreamError::Fields(fields)));
        }
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Switch::Refused(answer.status()));
        }
        let (head, socket) = switched(answer, limit, replaced, (place, open)).await?;
        Ok(Switch::Done(head, socket))
    }

    /// Asks for a path, and gives the status.
    pub(super) async fn check(&self, path: &str) -> Result<StatusCode, UpstreamError> {
        Ok(self.ask(Method::GET, path).await?.status)
    }

    /// Asks over a connection of its own, which is closed then. It carries nothing of a caller, and does not wait where
    /// requests do.
    pub(super) async fn ask(&self, method: Method, path: &str) -> Result<Parts, UpstreamError> {
        let body = Empty::<Bytes>::new().map_err(Into::into).boxed_unsync();
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap_or_default();
        self.name_host(&mut request);
        let answer = match self.begin(None).await? {
            Begun::One(mut link) => link.sender.send_request(for_one(request)).await,
            Begun::Many(mut sender, _, _open) => sender.send_request(for_many(request)).await,
        };
        Ok(answer.map_err(UpstreamError::of_head)?.into_parts().0)
    }

    /// Closes connections that have been idle for too long.
    pub(super) fn close_stale(&self) {
        let kept = self.timeouts.keep_alive;
        let usable = |i: &Idle| i.since.elapsed() < kept && !i.link.sender.is_closed();
        let age = {
            let mut shelf = lock(&self.shelf);
            shelf.idle.retain(usable);
            shelf.age
        };
        self.streams.tidy(age, kept);
    }

    /// Closes all idle connections, and from now on each one whose answer ends.
    pub(super) fn drain(&self) {
        let mut shelf = lock(&self.shelf);
        shelf.closed = true;
        shelf.idle.clear();
        self.streams.clear();
    }

    /// Closes idle connections now, and those in use when their answer ends: they were made with certificates of before.
    pub(super) fn renew(&self) {
        let mut shelf = lock(&self.shelf);
        shelf.age += 1;
        shelf.idle.clear();
        self.streams.tidy(shelf.age, Duration::MAX);
    }

    fn name_host(&self, request: &mut Request<RequestBody>) {
        if !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, self.connector.authority().clone());
        }
    }

    /// Also says whether its connection was used before.
    async fn lease(&self, deadline: Instant) -> Result<(Lease, bool), UpstreamError> {
        let (open, requests) = Open::begin(&self.open);
        if requests > self.places().saturating_add(self.waiting) {
            return Err(UpstreamError::QueueFull);
        }
        let (held, reused) = self.hold(deadline).await?;
        let (shelf, readers) = (Arc::clone(&self.shelf), Arc::clone(&self.readers));
        Ok((Lease { held, shelf, readers, holding: None, _open: open }, reused))
    }

    /// A place on a connection: one that is open, or a new one.
    async fn hold(&self, deadline: Instant) -> Result<(Held, bool), UpstreamError> {
        let lease = match self.place(deadline).await? {
            Place::Shared(stream) => return Ok((Held::Many(stream), true)),
            Place::Own(lease) => lease,
        };
        if let Some(link) = self.take_idle().await {
            return Ok((Held::One(link, lease), true));
        }
        if !self.may_share.load(Ordering::Acquire) {
            return Ok((self.open_one(lease, deadline).await?, false));
        }
        // One at a time, so that whoever waits meanwhile finds a place on what was opened.
        let turn = timeout_at(deadline, self.opening.lock()).await;
        let turn = turn.ok().ok_or(UpstreamError::Busy(self.timeouts.wait))?;
        if let Some(stream) = self.streams.take() {
            return Ok((Held::Many(stream), true));
        }
        // After one that failed all find out at once, and not one after the other.
        let _turn = self.may_share.load(Ordering::Acquire).then_some(turn);
        Ok((self.open_one(lease, deadline).await?, false))
    }

    /// Places that there are, and those on connections that may still be opened.
    fn places(&self) -> usize {
        let may_share = self.may_share.load(Ordering::Acquire);
        let Seats { connections, places, usual } = self.streams.seats();
        let more = self.connections.saturating_sub(connections);
        places.saturating_add(more.saturating_mul(if may_share { usual } else { 1 }))
    }

    /// Waits for a place, where none is free at once, and has those called back meanwhile whose answers nobody reads.
    async fn place(&self, deadline: Instant) -> Result<Place, UpstreamError> {
        let mut calling = pin!(self.readers.call_back());
        loop {
            let mut freed = pin!(self.streams.freed());
            // From here on a place that becomes free is noticed.
            freed.as_mut().enable();
            if let Some(stream) = self.streams.take() {
                return Ok(Place::Shared(stream));
            }
            tokio::select! {
                lease = self.permit(&self.leases, deadline) => return lease.map(Place::Own),
                () = freed => {}
                never = &mut calling => match never {},
            }
        }
    }

    /// Another place, for a connection that closed before it took the request.
    async fn hold_another(&self, held: &mut Held, deadline: Instant) -> Result<(), UpstreamError> {
        *held = match std::mem::replace(held, Held::Nothing) {
            Held::One(_, lease) => self.open_one(lease, deadline).await?,
            Held::Many(_) | Held::Nothing => self.hold(deadline).await?.0,
        };
        Ok(())
    }

    async fn open_one(
        &self,
        lease: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<Held, UpstreamError> {
        let begun = self.connect(deadline).await;
        if begun.is_err() {
            self.may_share.store(false, Ordering::Release);
        }
        let (sender, allowed, (close, age)) = match begun? {
            Begun::One(link) => {
                self.may_share.store(false, Ordering::Release);
                return Ok(Held::One(link, lease));
            }
            Begun::Many(sender, allowed, open) => (sender, allowed, open),
        };
        self.may_share.store(true, Ordering::Release);
        let shelf = lock(&self.shelf);
        let stream = self.streams.add((sender, allowed), close, lease, age);
        if shelf.closed {
            self.streams.clear();
        }
        // Certificates may have been replaced while it was opened.
        self.streams.tidy(shelf.age, Duration::MAX);
        drop(shelf);
        stream.map_or(Err(UpstreamError::Busy(self.timeouts.wait)), |stream| Ok(Held::Many(stream)))
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
    async fn connect(&self, deadline: Instant) -> Result<Begun, UpstreamError> {
        let socket = self.permit(&self.sockets, deadline).await?;
        self.begin(Some(socket)).await
    }

    async fn begin(&self, socket: Option<OwnedSemaphorePermit>) -> Result<Begun, UpstreamError> {
        let age = lock(&self.shelf).age;
        // Boxed, so that requests that need no new connection do not carry what opening one takes.
        let Opened { sender, driver } = Box::pin(self.connector.connect(Purpose::Requests)).await?;
        let close = self.drive(driver, socket);
        Ok(match sender {
            Sender::One(sender, heard) => Begun::One(Link { sender, heard, age, _close: close }),
            Sender::Many(sender, allowed) => Begun::Many(sender, allowed, (close, age)),
        })
    }

    /// Drives a connection until it closes, or the guard is dropped; it is one of those that exist for as long.
    fn drive(&self, driver: Driver, socket: Option<OwnedSemaphorePermit>) -> DropGuard {
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
        close.drop_guard()
    }

    async fn exchange(
        &self,
        held: &mut Held,
        request: Request<RequestBody>,
        reused: bool,
    ) -> Result<Response<Incoming>, Unanswered> {
        let limit = self.timeouts.head;
        let (sent, heard) = match held {
            Held::One(link, _) => {
                let heard = (link.heard.clone(), link.heard.bytes());
                let sending = link.sender.try_send_request(for_one(request));
                (timeout(limit, sending).await, Some(heard))
            }
            Held::Many(stream) => {
                let sending = stream.sender.try_send_request(for_many(request));
                let sent = timeout(limit, sending).await;
                if !matches!(sent, Ok(Ok(_))) {
                    // Others would wait for it in vain, too, and what is sent once more must not meet it again.
                    self.streams.give_up(stream);
                }
                (sent, None)
            }
            Held::Nothing => {
                let busy = UpstreamError::Busy(self.timeouts.wait);
                return Err(Unanswered::Unsent(Box::new(request), busy));
            }
        };
        let error = match sent {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(mut failed)) => match failed.take_message() {
                Some(request) => {
                    let error = UpstreamError::Closed(failed.into_error());
                    return Err(Unanswered::Unsent(Box::new(request), error));
                }
                None => {
                    let error = failed.into_error();
                    let is_unprocessed = is_unprocessed(&error);
                    let error = UpstreamError::of_head(error);
                    if is_unprocessed {
                        return Err(Unanswered::Unprocessed(error));
                    }
                    error
                }
            },
            Err(_late) => UpstreamError::Timeout(Stage::Head, limit),
        };
        // In HTTP/2 a head comes whole or not at all.
        let has_come = heard.is_some_and(|(heard, before)| heard.bytes() != before);
        let is_silent = !has_come && !matches!(error, UpstreamError::RequestBody(_));
        Err(if is_silent { Unanswered::Silent(error, reused) } else { Unanswered::Failed(error) })
    }
}

#[cfg(test)]
impl Pool {
    /// Whether the connection to be used next is known to be closed.
    pub(super) fn newest_idle_is_closed(&self) -> bool {
        lock(&self.shelf).idle.last().is_none_or(|i| i.link.sender.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use http_body_util::Full;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::connect::Target;
    use super::super::heard::Heard;
    use super::super::secure::Way;
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
        let way = Way::open(&settings).unwrap();
        let target = Target::new(&settings, &settings.addresses[0], &way).unwrap();
        let connector = Connector::new(target.socket().unwrap(), &target, &settings, &tasks);
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
