//! Certificates, authorities and lists of revoked ones that change under a running gate: read again now and
//! then and when the operator asks, recorded, and only then shown.
//!
//! What cannot be used leaves the old ones in place. An old list of revoked certificates ends by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::backend_certificates;
use crate::acme;
use crate::audit::{Act, Alert, Concern, Event, Log, LogError};
use crate::clock::Clock;
use crate::config;
use crate::listen::Shown;
use crate::tls::{self, Challenges, ServerSettings, TlsError};
use crate::upstream::Upstreams;

/// How often the files are looked at unasked.
const EVERY: Duration = Duration::from_secs(30);
/// So long before a certificate's end somebody is told.
const NEAR_S: i64 = 14 * 24 * 3600;
/// So often again, while it lasts.
const ALERT_EVERY_S: i64 = 24 * 3600;

/// Follows the files of all listeners.
pub(super) struct Certificates {
    listeners: Vec<Arc<Followed>>,
    upstreams: Arc<Upstreams>,
    log: Log,
    asked: Arc<Notify>,
    /// Whoever connects judges the certificates by the real time, whatever the gate's clock is in a test.
    clock: Clock,
}

/// One listener, and its files.
pub(super) struct Followed {
    /// What it shows.
    pub(super) shown: Arc<Shown>,
    /// Held by whoever looks at the files, or names others.
    pub(super) files: Mutex<Files>,
}

/// The files of one listener.
pub(super) struct Files {
    pub(super) settings: ServerSettings,
    /// What the files held when they were last read, whether or not it could be used.
    pub(super) seen: Option<[u8; 32]>,
    /// When its end was last warned of, Unix seconds.
    warned_s: Option<i64>,
}

impl Followed {
    /// Reads the files for the first time.
    pub(super) fn begin(
        listener: &config::Listener,
        challenges: &Arc<Challenges>,
    ) -> Result<Self, TlsError> {
        let settings = listener.tls.clone();
        let (config, seen) = tls::server_config_and_print(&settings)?;
        let shown = Arc::new(Shown::new(listener.socket.clone(), config, Arc::clone(challenges)));
        let files = Mutex::new(Files { settings, seen: Some(seen), warned_s: None });
        Ok(Self { shown, files })
    }

    fn address(&self) -> SocketAddr {
        self.shown.settings().address
    }
}

impl Certificates {
    /// Of these listeners and for these backends.
    pub(super) fn new(
        listeners: Vec<Arc<Followed>>,
        upstreams: Arc<Upstreams>,
        log: Log,
        asked: Arc<Notify>,
    ) -> Self {
        Self { listeners, upstreams, log, asked, clock: Clock::system() }
    }

    /// Goes on until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            for listener in &self.listeners {
                warn_of_end(listener, &self.log, &self.clock).await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.asked.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
            for listener in &self.listeners {
                look(listener, &self.log).await;
            }
            backend_certificates::look(&self.upstreams, &self.log).await;
        }
    }
}

/// Raises the alert where a certificate ends soon, or has ended.
async fn warn_of_end(listener: &Followed, log: &Log, clock: &Clock) {
    let mut files = listener.files.lock().await;
    let settings = files.settings.clone();
    let read =
        move || Ok::<_, TlsError>((tls::ends_at_s(&settings.certificate)?, near_s(&settings)));
    let read = tokio::task::spawn_blocking(read).await;
    // What cannot be read is told by the look at the files.
    let Ok(Ok((ends_s, near_s))) = read else { return };
    let now_s = clock.unix_s();
    let left_s = ends_s.saturating_sub(now_s);
    if left_s > near_s {
        files.warned_s = None;
        return;
    }
    if files.warned_s.is_some_and(|before| now_s.saturating_sub(before) < ALERT_EVERY_S) {
        return;
    }
    let (address, days) = (listener.address(), left_s.div_euclid(24 * 3600));
    tracing::error!(%address, days, "a listener's certificate ends soon, or has ended");
    let Ok(mut entry) = log.entry(Event::Alert) else { return };
    let mut alert = Alert::new(Concern::Certificate, 1);
    alert.kinds.push(&address.to_string());
    entry.alert = Some(alert);
    let ends = crate::audit::Moment(ends_s.saturating_mul(1000)).to_string();
    entry.act = Some(Act {
        name: "certificate_ends".into(),
        object: format!("listener {address}").as_str().into(),
        detail: format!("ends {ends}").as_str().into(),
        ..Act::default()
    });
    if log.append(entry).await.is_ok() {
        files.warned_s = Some(now_s);
    }
}

/// One that the gate orders itself may be good for a few days only; of it somebody is told when a sixth is left and no other came.
fn near_s(settings: &ServerSettings) -> i64 {
    let ordered = Some(&settings.certificate).filter(|_| !settings.acme.is_empty());
    let span = ordered.and_then(|file| acme::span_of(file));
    span.map_or(NEAR_S, |(span, _)| NEAR_S.min(span.ends_s.saturating_sub(span.begins_s) / 6))
}

async fn look(listener: &Followed, log: &Log) {
    let mut files = listener.files.lock().await;
    let (address, settings) = (listener.address(), files.settings.clone());
    let read = tokio::task::spawn_blocking(move || {
        let print = tls::print(&settings)?;
        Ok::<_, TlsError>((print, settings))
    });
    let (print, settings) = match read.await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            // A file that is replaced is missing for a moment; told each time, it is an operator's fault.
            tracing::error!(%address, %error, "a listener's files cannot be read; the old ones stay");
            return;
        }
        Err(error) => {
            tracing::error!(%address, %error, "a listener's files could not be looked at");
            return;
        }
    };
    if files.seen == Some(print) {
        return;
    }
    let made = tokio::task::spawn_blocking(move || tls::server_config_and_print(&settings)).await;
    let made = made.map_err(|error| tracing::error!(%address, %error, "no TLS configuration"));
    match made {
        Ok(Ok((config, print))) => {
            if let Err(error) = replace(listener, config, log).await {
                tracing::error!(%address, %error, "new certificates could not be recorded; the old ones stay");
                return;
            }
            files.seen = Some(print);
            tracing::info!(%address, "new certificates are shown");
        }
        Ok(Err(error)) => {
            files.seen = Some(print);
            tracing::error!(%address, %error, "new certificates are refused; the old ones stay");
            let object = format!("listener {address}");
            if let Err(error) = record(log, "certificates_refused", &object, false).await {
                tracing::error!(%error, "refused certificates could not be recorded");
            }
        }
        Err(()) => {}
    }
}

/// From the next connection on others are believed; reviewers see since when.
async fn replace(
    listener: &Followed,
    config: Arc<ServerConfig>,
    log: &Log,
) -> Result<(), LogError> {
    let object = format!("listener {}", listener.address());
    record(log, "certificates_loaded", &object, true).await?;
    listener.shown.replace(config);
    Ok(())
}

pub(super) async fn record(
    log: &Log,
    name: &str,
    object: &str,
    succeeded: bool,
) -> Result<(), LogError> {
    let mut entry = log.entry(Event::Change)?;
    entry.act = Some(Act {
        name: name.into(),
        object: object.into(),
        succeeded: Some(succeeded),
        ..Act::default()
    });
    log.append(entry).await.map(drop)
}
