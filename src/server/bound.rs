//! The ports: bound before anything is served, so that a start is all or nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use super::StartError;
use super::certificates::Followed;
use crate::config::{self, Config};
use crate::listen::{Listener, Redirect, Sockets};
use crate::telemetry;
use crate::tls::{Challenges, TlsError};

/// Ports that are bound and not served yet.
pub(super) struct Bound {
    pub(super) listeners: Vec<(SocketAddr, Listener)>,
    pub(super) metrics: Option<(SocketAddr, telemetry::Listener)>,
    pub(super) admin: Option<(SocketAddr, Listener)>,
    pub(super) redirect: Option<(SocketAddr, Redirect)>,
}

impl Bound {
    pub(super) async fn bind(
        config: &Config,
        (certificates, challenges): (&[Arc<Followed>], &Arc<Challenges>),
        mut sockets: Sockets,
    ) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        for (settings, followed) in all_listeners(config).zip(certificates) {
            let address = settings.socket.address;
            let refused = |source| StartError::Listen { address, source };
            let listener = Listener::bind(Arc::clone(&followed.shown), &mut sockets);
            let listener = listener.await.map_err(refused)?;
            listeners.push((listener.address().map_err(refused)?, listener));
        }
        let mut metrics = None;
        if let Some(settings) = config.metrics {
            let address = settings.address;
            let refused = |source| StartError::Listen { address, source };
            let socket = sockets.bind(address).await.map_err(refused)?;
            let listener = telemetry::Listener::on(socket);
            metrics = Some((listener.address().map_err(refused)?, listener));
        }
        let mut redirect = None;
        if let Some(settings) = config.redirect.clone() {
            let address = settings.address;
            let refused = |source| StartError::Listen { address, source };
            let bound = Redirect::bind(settings, Arc::clone(challenges), &mut sockets);
            let bound = bound.await.map_err(refused)?;
            redirect = Some((bound.address().map_err(refused)?, bound));
        }
        for address in sockets.left_over() {
            tracing::warn!(%address, "a socket was handed over that no listener names; it is closed: have `ListenStream` of menshen.socket say the `address` of each listener");
        }
        let admin = if config.admin.is_some() { listeners.pop() } else { None };
        Ok(Self { listeners, metrics, admin, redirect })
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(address, _)| *address).collect()
    }

    pub(super) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(address, _)| *address)
    }

    pub(super) fn redirect_address(&self) -> Option<SocketAddr> {
        self.redirect.as_ref().map(|(address, _)| *address)
    }

    pub(super) fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(address, _)| *address)
    }
}

/// All listeners that speak TLS; that of the security team comes last.
pub(super) fn all_listeners(config: &Config) -> impl Iterator<Item = &config::Listener> {
    config.listeners.iter().chain(config.admin.as_ref().map(|admin| &admin.listener))
}

/// The certificates of the listeners, as they are now.
pub(super) fn follow_certificates(
    config: &Config,
    challenges: &Arc<Challenges>,
) -> Result<Vec<Arc<Followed>>, TlsError> {
    all_listeners(config).map(|one| Followed::begin(one, challenges).map(Arc::new)).collect()
}
