//! Certificates, authorities and lists of revoked ones that change under a running gate: read again now and
//! then and when the operator asks, recorded, and only then shown.
//!
//! What cannot be used leaves the old ones in place. An old list of revoked certificates ends by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::backend_certificates;
use crate::audit::{Act, Alert, Concern, Event, Log, LogError};
use crate::clock::Clock;
use crate::config;
use crate::listen::Shown;
use crate::tls::{self, Challenges, Pair, Presented, ServerSettings, TlsError};
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
    /// What is really shown, whatever became of the files since.
    pub(super) pair: Arc<Pair>,
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
        let Presented { config, pair, print } = tls::present(&settings, None)?;
        let shown = Arc::new(Shown::new(listener.socket.clone(), config, Arc::clone(challenges)));
        let files = Mutex::new(Files { settings, pair, seen: Some(print), warned_s: None });
        Ok(Self { shown, files })
    }

    fn address(&self) -> SocketAddr {
        self.shown.settings().address
    }
}

impl Files {
    /// Has this shown from the next connection on.
    pub(super) fn take(&mut self, shown: &Shown, presented: Presented) {
        let Presented { config, pair, print } = presented;
        (self.pair, self.seen) = (pair, Some(print));
        shown.replace(config);
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
    let now_s = clock.unix_s();
    let Some(ends_s) = near_end_s(&files.pair, &files.settings, now_s) else {
        files.warned_s = None;
        return;
    };
    if files.warned_s.is_some_and(|before| now_s.saturating_sub(before) < ALERT_EVERY_S) {
        return;
    }
    let days = ends_s.saturating_sub(now_s).div_euclid(24 * 3600);
    let address = listener.address();
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

/// When the pair ends, Unix seconds, if that is soon. One that the gate orders itself may be good for a few days only; of it
/// somebody is told when a sixth is left and no other came.
fn near_end_s(pair: &Pair, settings: &ServerSettings, now_s: i64) -> Option<i64> {
    let length_s = pair.length_s().filter(|_| !settings.acme.is_empty());
    let near_s = length_s.map_or(NEAR_S, |length_s| NEAR_S.min(length_s / 6));
    pair.ends_at_s().filter(|ends_s| ends_s.saturating_sub(now_s) <= near_s)
}

async fn look(listener: &Followed, log: &Log) {
    let mut files = listener.files.lock().await;
    let address = listener.address();
    let (settings, pair) = (files.settings.clone(), Arc::clone(&files.pair));
    let read = tokio::task::spawn_blocking(move || {
        let is_gone = settings.is_awaited() && pair.is_of(&settings.certificate);
        Ok::<_, TlsError>((tls::print(&settings, Some(&pair))?, is_gone))
    });
    let print = match read.await {
        Ok(Ok((print, is_gone))) => {
            if is_gone {
                tracing::error!(%address, "the file of a listener's certificate is gone; what is shown stays until another is issued");
            }
            print
        }
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
    let (settings, pair) = (files.settings.clone(), Arc::clone(&files.pair));
    let made = tokio::task::spawn_blocking(move || tls::present(&settings, Some(&pair))).await;
    let made = made.map_err(|error| tracing::error!(%address, %error, "no TLS configuration"));
    match made {
        Ok(Ok(presented)) => {
            if let Err(error) = replace((listener, &mut files), presented, log).await {
                tracing::error!(%address, %error, "new certificates could not be recorded; the old ones stay");
                return;
            }
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
    (listener, files): (&Followed, &mut Files),
    presented: Presented,
    log: &Log,
) -> Result<(), LogError> {
    let object = format!("listener {}", listener.address());
    record(log, "certificates_loaded", &object, true).await?;
    files.take(&listener.shown, presented);
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    fn pair(file: &std::path::Path, days: i64) -> Arc<Pair> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["bank.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after =
            params.not_before + Duration::from_secs(u64::try_from(days * DAY).unwrap());
        let pem = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
        std::fs::write(file, pem).unwrap();
        tls::present(&settings(file, false), None).unwrap().pair
    }

    fn settings(file: &std::path::Path, is_ordered: bool) -> ServerSettings {
        let acme = if is_ordered { vec!["bank.example".to_owned()] } else { Vec::new() };
        let (certificate, key) = (file.to_owned(), file.to_owned());
        ServerSettings { certificate, key, clients: None, http1_alone: false, acme }
    }

    #[test]
    fn the_end_that_is_warned_of_is_that_of_the_pair_which_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("both.pem");
        let shown = pair(&file, 90);
        let begins_s = 1_767_225_600;
        let ends_s = begins_s + 90 * DAY;
        // Whatever stands in the file since.
        pair(&file, 3000);
        for (is_ordered, near) in [(false, 14), (true, 14)] {
            let settings = settings(&file, is_ordered);
            let told = |now_s| near_end_s(&shown, &settings, now_s);
            assert_eq!(told(ends_s - near * DAY - 1), None);
            assert_eq!(told(ends_s - near * DAY), Some(ends_s));
            std::fs::remove_file(&file).unwrap_or_default();
            assert_eq!(told(ends_s + DAY), Some(ends_s), "it has ended");
        }
        let short = pair(&file, 6);
        let ordered = settings(&file, true);
        assert_eq!(near_end_s(&short, &ordered, begins_s + 4 * DAY), None);
        assert_eq!(near_end_s(&short, &ordered, begins_s + 5 * DAY), Some(begins_s + 6 * DAY));
    }
}
