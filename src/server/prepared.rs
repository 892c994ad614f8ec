//! Another configuration, as far as a running gate can take it up: set up whole before any of it holds, then put in force
//! without anything that can fail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::sync::watch;

use super::acme::Wanted;
use super::certificates::{Files, Followed};
use super::check::check_files;
use super::policies::{Backends, check_backends};
use super::{StartError, open};
use crate::admin;
use crate::clock::Clock;
use crate::config::{self, Config, told_apart};
use crate::identity::NextSettings;
use crate::listen::{self, RedirectSettings};
use crate::proxy::{Configured, Gate};
use crate::scan::{self, Way};
use crate::secret::MasterKey;
use crate::ship::{self, To};
use crate::tls::{self, ServerSettings};
use crate::upstream::NextUpstreams;

/// What of a running gate takes up another configuration.
pub(super) struct Handles {
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

/// What a listener shows and how it listens.
#[derive(Clone)]
pub(super) struct Held {
    socket: Arc<listen::Settings>,
    tls: ServerSettings,
}

/// A configuration that was set up and does not hold yet.
pub(super) struct Prepared {
    /// With what of it a running gate cannot have left as it was.
    pub(super) config: Box<Config>,
    upstreams: NextUpstreams,
    identity: NextSettings,
    configured: Configured,
    /// In the order of the gate's; `None` for one that the configuration no longer has.
    listeners: Vec<Option<NextListener>>,
}

/// How a listener goes on.
struct NextListener {
    socket: listen::Settings,
    /// Other files, and what was made of them.
    tls: Option<(ServerSettings, Arc<ServerConfig>, [u8; 32])>,
}

impl Handles {
    /// The listeners as they are, for [`Handles::prepare`]. `files` are theirs, held until it is in force.
    pub(super) fn held(&self, files: &[&mut Files]) -> Vec<Held> {
        let listeners = self.listeners.iter().zip(files);
        let held = |(listener, files): (&Arc<Followed>, &&mut Files)| Held {
            socket: listener.shown.settings(),
            tls: files.settings.clone(),
        };
        listeners.map(held).collect()
    }

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
        let config = Box::new(confined(config, before));
        check_backends(&self.gate.policies.live(), &Backends::of(&config))?;
        Ok(Prepared {
            upstreams: self.gate.upstreams.prepare(&config.upstreams)?,
            identity: self.gate.identity.prepare(config.identity.clone())?,
            listeners: self.next_listeners(&config, held)?,
            configured: open::configured(&config, &self.master, self.clock.clone())?,
            config,
        })
    }

    fn next_listeners(
        &self,
        config: &Config,
        held: &[Held],
    ) -> Result<Vec<Option<NextListener>>, StartError> {
        let admin = self.admin.as_ref().and(held.len().checked_sub(1));
        let ports = held.get(..admin.unwrap_or(held.len())).unwrap_or_default();
        let names = |addresses: &mut dyn Iterator<Item = SocketAddr>| {
            told_apart(&addresses.map(|address| address.to_string()).collect::<Vec<_>>())
        };
        let new = names(&mut config.listeners.iter().map(|one| one.socket.address));
        let old = names(&mut ports.iter().map(|one| one.socket.address));
        let mut next = Vec::new();
        for (name, held) in old.iter().zip(ports) {
            let same = new.iter().zip(&config.listeners).find(|(other, _)| *other == name);
            next.push(same.map(|(_, listener)| next_listener(listener, held)).transpose()?);
        }
        if let Some(held) = admin.and_then(|at| held.get(at)) {
            let listener = config.admin.as_ref().map(|admin| &admin.listener);
            next.push(listener.map(|listener| next_listener(listener, held)).transpose()?);
        }
        Ok(next)
    }

    /// Puts it in force: new connections and requests have it from now on.
    pub(super) fn take(&self, prepared: Prepared, files: &mut [&mut Files]) -> Box<Config> {
        let Prepared { config, upstreams, identity, configured, listeners } = prepared;
        for ((next, listener), files) in listeners.into_iter().zip(&self.listeners).zip(files) {
            let Some(NextListener { socket, tls }) = next else { continue };
            if let Some((settings, tls, print)) = tls {
                (files.settings, files.seen) = (settings, Some(print));
                listener.shown.replace(tls);
            }
            listener.shown.set(socket);
        }
        if let (Some(kept), Some(settings)) = (&self.redirect, &config.redirect) {
            let address = kept.load().address;
            kept.store(Arc::new(RedirectSettings { address, ..settings.clone() }));
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

fn next_listener(listener: &config::Listener, held: &Held) -> Result<NextListener, StartError> {
    // Where it listens does not change.
    let address = held.socket.address;
    let socket = listen::Settings { address, ..listener.socket.clone() };
    if listener.tls == held.tls {
        return Ok(NextListener { socket, tls: None });
    }
    if listener.tls.is_awaited() && !held.tls.is_awaited() {
        // Until it was issued, what is shown stays.
        let (certificate, key) = (held.tls.certificate.clone(), held.tls.key.clone());
        let acme = held.tls.acme.clone();
        let until = ServerSettings { certificate, key, acme, ..listener.tls.clone() };
        let (made, print) = (tls::server_config(&until)?, tls::print(&listener.tls)?);
        return Ok(NextListener { socket, tls: Some((listener.tls.clone(), made, print)) });
    }
    let (made, print) = tls::server_config_and_print(&listener.tls)?;
    Ok(NextListener { socket, tls: Some((listener.tls.clone(), made, print)) })
}

/// The configuration with those scanners and places of the log as they were for which the process has given up its rights: to
/// start programs, and to write to new folders.
fn confined(mut config: Config, before: &Config) -> Config {
    let old = |name: &str| before.scanners.iter().find(|one| one.name == name);
    config.scanners = kept(config.scanners, |one: &scan::Settings| {
        let is_open = !matches!(one.way, Way::Command(_));
        (is_open, old(&one.name).map(|old| (old.way == one.way, old.clone())))
    });
    let old = |name: &str| before.ship.iter().find(|one| one.name == name);
    config.ship = kept(config.ship, |one: &ship::Settings| {
        let is_open = !matches!(one.to, To::File(_));
        (is_open, old(&one.name).map(|old| (old.to == one.to, old.clone())))
    });
    config
}

/// What `judge` says of each: whether it needs no right, and the one of before with whether it needs the same. One that needs
/// another right stays as it was, or waits for the restart.
fn kept<S>(wanted: Vec<S>, judge: impl Fn(&S) -> (bool, Option<(bool, S)>)) -> Vec<S> {
    let keep = |one: S| match judge(&one) {
        (true, _) | (false, Some((true, _))) => Some(one),
        (false, Some((false, before))) => Some(before),
        (false, None) => None,
    };
    wanted.into_iter().filter_map(keep).collect()
}
