//! The endpoints of one upstream: which of them is asked, when another one is, and which are left out.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::balance::{Chance, choose};
use super::body::UpstreamBody;
use super::connect::{RequestBody, Socket, Target};
use super::endpoint::{Endpoint, Showing};
use super::error::{BoxError, OpenError, Stage, UpstreamError};
use super::pool::Unanswered;
use super::resolve::{Lookup, sockets};
use super::secure::Way;
use super::settings::Settings;
use super::socket::Switch;
use super::standing::{Place, Standing};

/// How long a name that could not be looked up is not asked for again by requests.
const LOOKUP_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// One upstream.
pub(super) struct Group {
    pub(super) settings: Settings,
    pub(super) way: Way,
    targets: Vec<Target>,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    lookup: Lookup,
    /// One looks names up at a time; when that last failed, and how.
    looking: tokio::sync::Mutex<Option<(Instant, io::ErrorKind)>>,
    /// Held while an endpoint is ejected, so that two are not at once.
    ejecting: Mutex<()>,
    chance: Chance,
    pub(super) counts: Arc<Counts>,
    tasks: TaskTracker,
    /// Ends what goes on beside requests.
    pub(super) stop: CancellationToken,
    /// Ends what lasts, WebSockets and streams of events, when this group is gone and when its certificates are replaced; not
    /// when a name is elsewhere, nor with the server, which says so itself.
    lasting: Mutex<CancellationToken>,
}

/// What happened since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) retries: AtomicU64,
    pub(super) ejections: AtomicU64,
    /// Requests that were turned away at once.
    pub(super) refused: AtomicU64,
}

/// What came of a request.
#[derive(Debug)]
pub struct Asked {
    /// The head of the answer, and its body as it is read.
    pub answer: Result<Response<UpstreamBody>, UpstreamError>,
    /// How often it was tried once more, at another endpoint where there is one.
    pub retries: u32,
}

impl Asked {
    /// Of an upstream that there is not.
    pub(super) fn of_unknown(name: &str) -> Self {
        Self { answer: Err(UpstreamError::Unknown(name.into())), retries: 0 }
    }
}

type Switched = Result<Switch, UpstreamError>;

impl Group {
    /// Reads the certificates, and knows the endpoints that need not be looked up.
    pub(super) fn open(
        settings: &Settings,
        lookup: &Lookup,
        (tasks, stop): (&TaskTracker, CancellationToken),
        counts: Arc<Counts>,
    ) -> Result<Self, OpenError> {
        check(settings)?;
        let way = Way::open(settings)?;
        let targets = settings.addresses.iter();
        let targets = targets.map(|address| Target::new(settings, address, &way));
        let targets = targets.collect::<Result<_, _>>()?;
        let group = Self {
            settings: settings.clone(),
            way,
            targets,
            endpoints: ArcSwap::default(),
            lookup: Arc::clone(lookup),
            looking: tokio::sync::Mutex::default(),
            ejecting: Mutex::default(),
            chance: Chance::new(),
            counts,
            tasks: tasks.clone(),
            stop,
            lasting: Mutex::default(),
        };
        let known = group.targets.iter().enumerate();
        group.settle(known.filter_map(|(of, target)| Some((of, target.socket()?))).collect());
        Ok(group)
    }

    pub(super) fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Keeps no connection that was made with certificates of before, wherever its endpoint is by now.
    pub(super) fn renew(&self) {
        self.endpoints().iter().for_each(|endpoint| endpoint.pool.renew());
        std::mem::take(&mut *self.lasting_now()).cancel();
    }

    /// Ends with its last requests.
    pub(super) fn retire(&self) {
        self.stop.cancel();
        self.endpoints().iter().for_each(|endpoint| endpoint.pool.drain());
        self.lasting_now().cancel();
    }

    /// What something rests on that lasts. To be known before its connection is: whatever the certificates were when this
    /// ends, that was made with these or newer ones.
    pub(super) fn lasting(&self) -> CancellationToken {
        self.lasting_now().clone()
    }

    fn lasting_now(&self) -> MutexGuard<'_, CancellationToken> {
        self.lasting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_names(&self) -> bool {
        self.targets.iter().any(|target| target.socket().is_none())
    }

    /// Sends a request to an endpoint, and to one other if not a byte of it was written, or if that does no harm and was
    /// declared; never after a byte of an answer.
    pub(super) async fn send<B>(&self, request: Request<B>, declared: Option<bool>) -> Asked
    where
        B: Body<Data = Bytes> + Clone + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if let Err(error) = self.known().await {
            return Asked { answer: Err(error), retries: 0 };
        }
        let declared = declared.unwrap_or(self.settings.repeats_idempotent);
        let repeats = declared && is_idempotent(request.method());
        // Over HTTP/2 a backend may say of what it was sent that it did nothing with it.
        let copy = (repeats || self.settings.http2.is_some()).then(|| boxed(request.clone()));
        let Some(first) = self.choose(None) else {
            return Asked { answer: Err(self.refuse(UpstreamError::AllOut)), retries: 0 };
        };
        let (failed, (again, reused)) = match self.send_to(&first, boxed(request)).await {
            Ok(answer) => return Asked { answer: Ok(answer), retries: 0 },
            Err(Unanswered::Unsent(request, error)) => (error, (Some(*request), false)),
            Err(Unanswered::Unprocessed(error)) => (error, (copy, true)),
            Err(Unanswered::Silent(error, reused)) => (error, (copy.filter(|_| repeats), reused)),
            Err(Unanswered::Failed(error)) => (error, (None, false)),
        };
        // Alone, it is asked again only where its old connection may be all that was wrong.
        let other = self.choose(Some(&first)).or_else(|| reused.then_some(first));
        let (Some(request), Some(other)) = (again, other) else {
            return Asked { answer: Err(self.refuse(failed)), retries: 0 };
        };
        self.counts.retries.fetch_add(1, Ordering::Relaxed);
        let name = &self.settings.name;
        tracing::debug!(upstream = %name, error = %failed, "a request is sent once more");
        let answer = self.send_to(&other, request).await.map_err(Unanswered::into_error);
        Asked { answer: answer.map_err(|error| self.refuse(error)), retries: 1 }
    }

    async fn send_to(
        &self,
        endpoint: &Arc<Endpoint>,
        request: Request<RequestBody>,
    ) -> Result<Response<UpstreamBody>, Unanswered> {
        let (answer, showing) = endpoint.send(request, self.settings.eject.on_5xx).await;
        self.note(endpoint, showing, || fault_of(answer.as_ref().map(Response::status)));
        answer
    }

    fn note(&self, endpoint: &Arc<Endpoint>, showing: Showing, fault: impl FnOnce() -> String) {
        let now = Instant::now();
        match showing {
            Showing::Well => endpoint.standing().succeeded(now),
            Showing::Badly => {
                let mut standing = endpoint.standing();
                standing.note(fault());
                let is_due = standing.failed(&self.settings.eject, now);
                drop(standing);
                if is_due {
                    self.eject(endpoint, now);
                }
            }
            Showing::Neither => {}
        }
    }

    /// Asks an endpoint for another protocol, and one other if not a byte was written.
    pub(super) async fn switch(&self, request: Request<RequestBody>) -> (Switched, u32) {
        if let Err(error) = self.known().await {
            return (Err(error), 0);
        }
        let Some(first) = self.choose(None) else {
            return (Err(self.refuse(UpstreamError::AllOut)), 0);
        };
        let failed = match self.switch_at(&first, request).await {
            Ok(switch) => return (Ok(switch), 0),
            Err(failed) => failed,
        };
        let Unanswered::Unsent(request, error) = failed else {
            return (Err(self.refuse(failed.into_error())), 0);
        };
        let Some(other) = self.choose(Some(&first)) else {
            return (Err(self.refuse(error)), 0);
        };
        self.counts.retries.fetch_add(1, Ordering::Relaxed);
        let answer = self.switch_at(&other, *request).await;
        (answer.map_err(|failed| self.refuse(failed.into_error())), 1)
    }

    async fn switch_at(
        &self,
        endpoint: &Arc<Endpoint>,
        request: Request<RequestBody>,
    ) -> Result<Switch, Unanswered> {
        let rests_on = (self.settings.eject.on_5xx, self.lasting());
        let (answer, showing) = endpoint.switch(request, rests_on).await;
        self.note(endpoint, showing, || fault_of(answer.as_ref().map(Switch::status)));
        answer
    }

    /// The endpoint to ask, another than this one.
    fn choose(&self, but: Option<&Arc<Endpoint>>) -> Option<Arc<Endpoint>> {
        let (all, now) = (self.endpoints(), Instant::now());
        if let ([only], None) = (all.as_slice(), but) {
            // Nothing is to be weighed, as for most upstreams.
            let is_down = only.standing().place(now) == Place::Down;
            return (!is_down).then(|| Arc::clone(only));
        }
        let is_other = |one: &&Arc<Endpoint>| but.is_none_or(|but| !Arc::ptr_eq(one, but));
        let others: Vec<&Arc<Endpoint>> = all.iter().filter(is_other).collect();
        let candidates: Vec<_> =
            others.iter().map(|one| one.candidate(&self.settings, now)).collect();
        let number = choose(&candidates, self.chance.next())?;
        others.get(number).map(|one| Arc::clone(one))
    }

    /// Leaves an endpoint out for a time, unless more than half would be out then.
    fn eject(&self, endpoint: &Arc<Endpoint>, now: Instant) {
        let _one_at_a_time = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.endpoints();
        let present = all.iter().filter(|one| one.is_in(now)).count();
        if !endpoint.is_in(now) || (all.len() - present + 1) * 2 > all.len() {
            return;
        }
        let mut standing = endpoint.standing();
        let out = standing.eject(&self.settings.eject, now);
        let why = standing.fault().unwrap_or_default().to_owned();
        drop(standing);
        self.counts.ejections.fetch_add(1, Ordering::Relaxed);
        let (upstream, seconds) = (&self.settings.name, out.as_secs());
        tracing::warn!(%upstream, endpoint = %endpoint.socket, seconds, %why, "an endpoint failed and is left out for a time");
    }

    /// Counts a request that is turned away without waiting.
    fn refuse(&self, error: UpstreamError) -> UpstreamError {
        if error.is_refused_at_once() {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        error
    }

    /// Waits until there is an endpoint: at once, but for names before they were looked up for the first time.
    async fn known(&self) -> Result<(), UpstreamError> {
        if !self.endpoints.load().is_empty() {
            return Ok(());
        }
        let limit = self.settings.timeouts.connect;
        let known = timeout(limit, async {
            let mut failed = self.looking.lock().await;
            if !self.endpoints.load().is_empty() {
                return Ok(());
            }
            let is_fresh = |(at, _): &(Instant, _)| at.elapsed() < LOOKUP_PAUSE;
            if let Some((_, kind)) = failed.filter(is_fresh) {
                return Err(UpstreamError::Dns(kind.into()));
            }
            // Whoever waits may be gone before it ends, and who comes next must not begin another one at once.
            *failed = Some((Instant::now(), io::ErrorKind::TimedOut));
            let looked = self.look_up().await;
            *failed = looked.as_ref().err().map(|error| (Instant::now(), error.kind()));
            looked.map_err(UpstreamError::Dns)
        });
        known.await.unwrap_or(Err(UpstreamError::Timeout(Stage::Connect, limit)))
    }

    /// Looks the names up again.
    pub(super) async fn resolve(&self) {
        let mut failed = self.looking.lock().await;
        let looked = self.look_up().await;
        *failed = looked.err().map(|error| (Instant::now(), error.kind()));
    }

    /// The endpoints of a name that cannot be looked up stay. An error where there are none at all.
    async fn look_up(&self) -> io::Result<()> {
        let (before, mut found) = (self.endpoints(), Vec::new());
        let mut fault = io::Error::from(io::ErrorKind::NotFound);
        for (of, target) in self.targets.iter().enumerate() {
            match sockets(target, &self.lookup, self.settings.timeouts.connect).await {
                Ok(sockets) => found.extend(sockets.into_iter().map(|socket| (of, socket))),
                Err(error) => {
                    let (upstream, address) = (&self.settings.name, &target.address);
                    tracing::warn!(%upstream, %address, %error, "a name cannot be looked up; what was known of it stays");
                    let stay = before.iter().filter(|one| one.of == of);
                    found.extend(stay.map(|one| (of, one.socket.clone())));
                    fault = error;
                }
            }
        }
        self.settle(found);
        if self.endpoints.load().is_empty() { Err(fault) } else { Ok(()) }
    }

    /// Keeps the endpoints that are still there, with their connections, and closes those of others.
    fn settle(&self, found: Vec<(usize, Socket)>) {
        let (before, now) = (self.endpoints(), Instant::now());
        let mut next: Vec<Arc<Endpoint>> = Vec::new();
        for (of, socket) in found {
            if next.iter().any(|one| one.socket == socket) {
                continue;
            }
            let same = before.iter().find(|one| one.socket == socket && one.of == of);
            let Some(target) = self.targets.get(of) else { continue };
            next.push(same.cloned().unwrap_or_else(|| {
                let is_first = before.is_empty();
                let standing = if is_first { Standing::default() } else { Standing::late(now) };
                let (settings, tasks) = (&self.settings, &self.tasks);
                Arc::new(Endpoint::new((of, target), socket, settings, standing, tasks))
            }));
        }
        let is_gone = |one: &&Arc<Endpoint>| !next.iter().any(|kept| Arc::ptr_eq(kept, one));
        before.iter().filter(is_gone).for_each(|one| one.pool.drain());
        self.endpoints.store(Arc::new(next));
    }
}

/// What was wrong, without anything of the request.
fn fault_of(answered: Result<StatusCode, &Unanswered>) -> String {
    match answered {
        Ok(status) => format!("it answered {status}"),
        Err(unanswered) => unanswered.error().to_string(),
    }
}

fn check(settings: &Settings) -> Result<(), OpenError> {
    if settings.connections == 0 {
        return Err(OpenError::NoConnections(settings.name.clone()));
    }
    if settings.addresses.is_empty() {
        return Err(OpenError::NoAddresses(settings.name.clone()));
    }
    let path = settings.health.as_ref().map(|health| health.path.as_str());
    let is_path =
        |path: &str| path.starts_with('/') && http::uri::PathAndQuery::try_from(path).is_ok();
    match path.filter(|path| !is_path(path)) {
        Some(got) => Err(OpenError::Path { name: settings.name.clone(), got: got.into() }),
        None => Ok(()),
    }
}

fn boxed<B>(request: Request<B>) -> Request<RequestBody>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    request.map(|body| body.map_err(Into::into).boxed_unsync())
}

/// RFC 9110 section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS].contains(method)
}
