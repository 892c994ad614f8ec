//! Upstreams: the backends behind menshen, each with its own pool of connections.
//!
//! Sends what it is given and streams what comes back. It follows no redirect, decodes nothing and
//! retries nothing that may have been acted on; what may pass is decided elsewhere.

mod body;
mod connect;
mod error;
mod pool;
mod settings;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio_util::task::TaskTracker;

pub use self::body::UpstreamBody;
pub use self::error::{BoxError, OpenError, Stage, UpstreamError};
pub use self::settings::{Caps, IdentityFiles, Settings, Timeouts, TlsSettings, Transport};

use self::pool::Pool;
use crate::policy::Permit;

/// All upstreams by name.
pub struct Upstreams {
    pools: HashMap<String, Pool>,
}

impl Upstreams {
    /// Sets up every upstream: reads its certificates, connects nowhere.
    ///
    /// Connections run on `tasks`; call [`Upstreams::drain`] before waiting for it to end.
    ///
    /// # Errors
    /// [`OpenError`] for the first upstream that cannot be set up.
    pub fn open(settings: &[Settings], tasks: &TaskTracker) -> Result<Self, OpenError> {
        let mut pools = HashMap::new();
        for settings in settings {
            let pool = Pool::open(settings, tasks)?;
            if pools.insert(settings.name.clone(), pool).is_some() {
                return Err(OpenError::Twice(settings.name.clone()));
            }
        }
        Ok(Self { pools })
    }

    /// Closes connections that have been idle for too long; call it every few seconds.
    pub fn close_stale(&self) {
        self.pools.values().for_each(Pool::close_stale);
    }

    /// Closes all idle connections at once and those in use when their answer ends.
    pub fn drain(&self) {
        self.pools.values().for_each(Pool::drain);
    }

    /// Sends a request to the upstream that the permit names: the one way to a backend.
    ///
    /// Cancel safe: dropped, it closes the connection that it had begun to use.
    ///
    /// # Errors
    /// [`UpstreamError`]; [`UpstreamError::Unsettled`] for a permit whose record was not tested yet.
    pub async fn forward<B>(
        &self,
        permit: &Permit,
        request: Request<B>,
    ) -> Result<Response<UpstreamBody>, UpstreamError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if !permit.is_settled() {
            return Err(UpstreamError::Unsettled);
        }
        self.send(permit.upstream(), request).await
    }

    async fn send<B>(
        &self,
        name: &str,
        request: Request<B>,
    ) -> Result<Response<UpstreamBody>, UpstreamError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let pool = self.pools.get(name).ok_or_else(|| UpstreamError::Unknown(name.into()))?;
        pool.send(request.map(|body| body.map_err(Into::into).boxed_unsync())).await
    }
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.pools.keys()).finish()
    }
}
