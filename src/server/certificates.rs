//! Certificates, authorities and lists of revoked ones that change under a running gate: read again now and
//! then and when the operator asks, recorded, and only then shown.
//!
//! What cannot be used leaves the old ones in place. An old list of revoked certificates ends by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::audit::{Act, Event, Log, LogError};
use crate::listen::Shown;
use crate::tls::{self, ServerSettings, TlsError};

/// How often the files are looked at unasked.
const EVERY: Duration = Duration::from_secs(30);

/// Follows the files of all listeners.
pub(super) struct Certificates {
    pub(super) listeners: Vec<Followed>,
    pub(super) log: Log,
    pub(super) asked: Arc<Notify>,
}

/// The files of one listener.
pub(super) struct Followed {
    address: SocketAddr,
    settings: ServerSettings,
    shown: Arc<Shown>,
    /// What the files held when they were last read, whether or not it could be used.
    seen: Option<[u8; 32]>,
}

impl Followed {
    /// Reads the files for the first time.
    pub(super) fn begin(address: SocketAddr, settings: ServerSettings) -> Result<Self, TlsError> {
        let (config, seen) = tls::server_config_and_print(&settings)?;
        Ok(Self { address, settings, shown: Arc::new(Shown::new(config)), seen: Some(seen) })
    }

    /// What the listener shows.
    pub(super) fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }
}

impl Certificates {
    /// Goes on until told to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.asked.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
            for listener in &mut self.listeners {
                look(listener, &self.log).await;
            }
        }
    }
}

async fn look(listener: &mut Followed, log: &Log) {
    let (address, settings) = (listener.address, listener.settings.clone());
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
    if listener.seen == Some(print) {
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
            listener.seen = Some(print);
            tracing::info!(%address, "new certificates are shown");
        }
        Ok(Err(error)) => {
            listener.seen = Some(print);
            tracing::error!(%address, %error, "new certificates are refused; the old ones stay");
            if let Err(error) = record(log, "certificates_refused", address, false).await {
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
    record(log, "certificates_loaded", listener.address, true).await?;
    listener.shown.replace(config);
    Ok(())
}

async fn record(
    log: &Log,
    name: &str,
    address: SocketAddr,
    succeeded: bool,
) -> Result<(), LogError> {
    let mut entry = log.entry(Event::Change)?;
    let object = format!("listener {address}");
    entry.act = Some(Act {
        name: name.into(),
        object: object.as_str().into(),
        succeeded: Some(succeeded),
        ..Act::default()
    });
    log.append(entry).await.map(drop)
}
