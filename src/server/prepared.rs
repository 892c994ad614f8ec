//! Another configuration, as far as a running gate can take it up: set up whole before any of it holds, then put in force
//! without anything that can fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::acme::Wanted;
use super::bound::all_listeners;
use super::certificates::{Files, Followed};
use super::check::check_files;
use super::policies::{Backends, check_backends};
use super::{StartError, open};
use crate::admin;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::identity::NextSettings;
use crate::listen::{self, RedirectSettings};
use crate::proxy::{Configured, Gate};
use crate::secret::MasterKey;
use crate::tls::{self, Pair, Presented, ServerSettings, TlsError};
use crate::upstream::NextUpstreams;

/// What of a running gate takes up another configuration.
pub(super) struct Handles {
    /// What the gate was started with.
    pub(super) started: Box<Config>,
    pub(super) gate: Arc<Gate>,
    pub(super) master: MasterKey,
    pub(super) clock: Clock,
    /// The listeners, that of the security team last.
    pub(super) listeners: Vec<Arc<Followed>>,
    pub(super) redirect: Option<Arc<ArcSwap<RedirectSettings>>>,
    pub(super) admin: Option<Arc<ArcSwap<admin::Settings>>>,
    /// Milliseconds.
    pub(super) drain_ms: Arc<AtomicU64>,
    /// Which certificates are ordered.
    pub(super) wanted: watch::Sender<Wanted>,
}

/// What a listener shows.
#[derive(Clone)]
pub(super) struct Held {
    tls: ServerSettings,
    pair: Arc<Pair>,
}

/// A configuration that was set up and does not hold yet.
pub(super) struct Prepared {
    /// What of it holds in a running gate.
    pub(super) config: Box<Config>,
    upstreams: NextUpstreams,
    identity: NextSettings,
    configured: Configured,
    /// In the order of the gate's.
    listeners: Vec<NextListener>,
}

/// How a listener goes on.
struct NextListener {
    socket: listen::Settings,
    /// Other files, and what was made of them.
    tls: Option<(ServerSettings, Presented)>,
}

/// The listeners as they are, for [`Handles::prepare`]. `files` are theirs, held until it is in force.
pub(super) fn held(files: &[&mut Files]) -> Vec<Held> {
    let held =
        |files: &&mut Files| Held { tls: files.settings.clone(), pair: Arc::clone(&files.pair) };
    files.iter().map(held).collect()
}

impl Handles {
    /// Reads all that the new configuration names, and sets up what is new. Blocks. Nothing holds yet.
    ///
    /// # Errors
    /// [`StartError`], as a start would give it; or a route of the policy in force would lose its backend.
    pub(super) fn prepare(
        &self,
        config: Config,
        before: &Config,
        held: &[Held],
    ) -> Result<Prepared, StartError> {
        check_files(&config)?;
        let config = Box::new(Config::running(config, before, &self.started));
        check_backends(&self.gate.policies.live(), &Backends::of(&config))?;
        let listeners = all_listeners(&config).zip(held);
        Ok(Prepared {
            upstreams: self.gate.upstreams.prepare(&config.upstreams)?,
            identity: self.gate.identity.prepare(config.identity.clone())?,
            listeners: listeners
                .map(|(one, held)| next_listener(one, held))
                .collect::<Result<_, _>>()?,
            configured: open::configured(&config, &self.master, self.clock.clone())?,
            config,
        })
    }

    /// Puts it in force: new connections and requests have it from now on.
    pub(super) fn take(&self, prepared: Prepared, files: &mut [&mut Files]) -> Box<Config> {
        let Prepared { config, upstreams, identity, configured, listeners } = prepared;
        for ((next, listener), files) in listeners.into_iter().zip(&self.listeners).zip(files) {
            let NextListener { socket, tls } = next;
            if let Some((settings, presented)) = tls {
                files.settings = settings;
                files.take(&listener.shown, presented);
            }
            listener.shown.set(socket);
        }
        if let (Some(kept), Some(settings)) = (&self.redirect, &config.redirect) {
            kept.store(Arc::new(settings.clone()));
        }
        if let (Some(kept), Some(admin)) = (&self.admin, &config.admin) {
            kept.store(Arc::new(admin.settings.clone()));
        }
        let drain_ms = u64::try_from(config.drain.as_millis()).unwrap_or(u64::MAX);
        self.drain_ms.store(drain_ms, Ordering::Relaxed);
        let wanted = Wanted::of(&config);
        self.wanted.send_if_modified(|now| {
            let is_other = *now != wanted;
            *now = wanted;
            is_other
        });
        self.gate.addresses.set(&config.addresses, &self.clock);
        self.gate.limits.set_in_flight(config.limits.in_flight, config.limits.in_flight_each);
        self.gate.identity.take(identity);
        self.gate.configured.store(Arc::new(configured));
        self.gate.upstreams.take(upstreams);
        config
    }
}

impl Prepared {
    /// Takes up what new issuers published last, so that it is there when they are believed.
    pub(super) async fn recall_keys(&self) {
        self.identity.recall_keys().await;
    }
}

fn next_listener(listener: &config::Listener, held: &Held) -> Result<NextListener, TlsError> {
    let socket = listener.socket.clone();
    if listener.tls == held.tls {
        return Ok(NextListener { socket, tls: None });
    }
    let presented = tls::present(&listener.tls, Some(&held.pair))?;
    Ok(NextListener { socket, tls: Some((listener.tls.clone(), presented)) })
}
