//! Upstreams: the backends behind menshen, each with its endpoints, and each of those with its own pool of connections.
//!
//! Sends what it is given and streams what comes back. It follows no redirect, decodes nothing and
//! retries nothing that may have been acted on, unless that does no harm and was declared; what may pass is decided elsewhere.

mod balance;
mod body;
mod connect;
mod endpoint;
mod error;
mod group;
mod head;
mod heard;
mod keep;
mod lease;
mod pool;
mod probe;
mod readers;
mod renew;
mod resolve;
mod secure;
mod settings;
mod socket;
mod standing;
mod streams;
mod telling;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Request;
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::body::{Replaced, UpstreamBody};
pub use self::error::{BoxError, OpenError, Stage, UpstreamError};
pub use self::group::Asked;
pub use self::probe::{ProbeError, Probed, probe};
pub use self::readers::Reading;
pub use self::renew::NextUpstreams;
pub use self::secure::Fresh;
pub use self::settings::{
    Address, Caps, Eject, Health, IdentityFiles, Settings, Timeouts, TlsSettings, Transport,
};
pub use self::socket::{Switch, UpstreamSocket};
pub use self::telling::{SeenEndpoint, SeenUpstream};

use self::group::Group;
use self::resolve::{Lookup, by_system};
use crate::policy::Permit;

type Groups = HashMap<String, Arc<Group>>;

/// All upstreams by name.
pub struct Upstreams {
    groups: ArcSwap<Groups>,
    lookup: Lookup,
    tasks: TaskTracker,
    /// Whether that has begun.
    is_kept: AtomicBool,
    /// Ends what goes on beside requests.
    stop: CancellationToken,
}

impl Upstreams {
    /// Sets up every upstream: reads its certificates, connects nowhere.
    ///
    /// Connections run on `tasks`; call [`Upstreams::drain`] before waiting for it to end.
    ///
    /// # Errors
    /// [`OpenError`] for the first upstream that cannot be set up.
    pub fn open(settings: &[Settings], tasks: &TaskTracker) -> Result<Self, OpenError> {
        Self::open_with(settings, tasks, &by_system())
    }

    fn open_with(
        settings: &[Settings],
        tasks: &TaskTracker,
        lookup: &Lookup,
    ) -> Result<Self, OpenError> {
        let upstreams = Self {
            groups: ArcSwap::default(),
            lookup: Arc::clone(lookup),
            tasks: tasks.clone(),
            is_kept: AtomicBool::new(false),
            stop: CancellationToken::new(),
        };
        upstreams.take(upstreams.prepare(settings)?);
        Ok(upstreams)
    }

    /// Begins to look names up again and to ask endpoints whether they are well, until [`Upstreams::drain`].
    pub fn keep(&self) {
        self.is_kept.store(true, Ordering::Release);
        self.groups.load().values().for_each(|group| keep::begin(group, &self.tasks));
    }

    /// Closes connections that have been idle for too long; call it every few seconds.
    pub fn close_stale(&self) {
        self.each(|endpoint| endpoint.pool.close_stale());
    }

    /// Closes all idle connections at once and those in use when their answer ends.
    pub fn drain(&self) {
        self.stop.cancel();
        self.each(|endpoint| endpoint.pool.drain());
    }

    fn each(&self, act: impl Fn(&endpoint::Endpoint)) {
        for group in self.groups.load().values() {
            group.endpoints().iter().for_each(|endpoint| act(endpoint));
        }
    }

    /// Sends a request to the upstream that the permit names: the one way to a backend for what somebody asks.
    ///
    /// Cancel safe: dropped, it closes the connection that it had begun to use.
    /// [`UpstreamError::Unsettled`] for a permit whose record was not tested yet.
    pub async fn forward<B>(&self, permit: &Permit, request: Request<B>) -> Asked
    where
        B: Body<Data = Bytes> + Clone + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if !permit.is_settled() {
            return Asked { answer: Err(UpstreamError::Unsettled), retries: 0 };
        }
        let Some(group) = self.group(permit.upstream()) else {
            return Asked::of_unknown(permit.upstream());
        };
        let lasting = permit.route().stays_open().then(|| group.lasting());
        let mut asked = group.send(request, permit.route().repeats()).await;
        if let (Ok(answer), Some(lasting)) = (&mut asked.answer, lasting) {
            answer.body_mut().rest_on(lasting);
        }
        asked
    }

    /// Asks the upstream that the permit names for another protocol, over a connection that serves nothing else. Also says
    /// how often it was tried once more.
    ///
    /// # Errors
    /// As for [`Upstreams::forward`].
    pub async fn switch(
        &self,
        permit: &Permit,
        request: Request<Full<Bytes>>,
    ) -> (Result<Switch, UpstreamError>, u32) {
        if !permit.is_settled() {
            return (Err(UpstreamError::Unsettled), 0);
        }
        let Some(group) = self.group(permit.upstream()) else {
            return (Err(UpstreamError::Unknown(permit.upstream().into())), 0);
        };
        group.switch(request.map(|body| body.map_err(Into::into).boxed_unsync())).await
    }

    fn group(&self, name: &str) -> Option<Arc<Group>> {
        self.groups.load().get(name).cloned()
    }

    #[cfg(test)]
    async fn send<B>(&self, name: &str, request: Request<B>) -> Asked
    where
        B: Body<Data = Bytes> + Clone + Send + 'static,
        B::Error: Into<BoxError>,
    {
        match self.group(name) {
            Some(group) => group.send(request, None).await,
            None => Asked::of_unknown(name),
        }
    }
}

/// Certificates that are replaced while the gate runs.
impl Upstreams {
    /// The upstreams that have certificates.
    #[must_use]
    pub fn secured(&self) -> Vec<String> {
        let groups = self.groups.load();
        let secured = groups.values().filter(|group| group.way.secure().is_some());
        secured.map(|group| group.settings.name.clone()).collect()
    }

    /// Reads the files of an upstream again; `None` if they are what they were. Blocks.
    ///
    /// # Errors
    /// [`OpenError::File`] for one that cannot be read.
    pub fn look_at_certificates(&self, name: &str) -> Result<Option<Fresh>, OpenError> {
        let Some(group) = self.group(name) else { return Ok(None) };
        group.way.secure().map_or(Ok(None), |secure| secure.look())
    }

    /// Uses them from the next connection on, and keeps none that was made with others. Of those that cannot be used it is
    /// only noted that they were seen.
    pub fn take_certificates(&self, name: &str, fresh: Fresh) {
        let Some(group) = self.group(name) else { return };
        let is_usable = fresh.fault().is_none();
        if let Some(secure) = group.way.secure() {
            secure.take(fresh);
        }
        if is_usable {
            group.renew();
        }
    }
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.groups.load().keys()).finish()
    }
}
