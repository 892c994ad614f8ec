//! Orders the certificates that listeners have by ACME, before those they show end: one after the other, and never so often that
//! the authority minds. Whatever fails, those that are shown stay.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::bound::all_listeners;
use super::certificates::record;
use crate::acme::{self, AcmeError, Orders, Pace, due_s, file_of, folder, span_of, store};
use crate::audit::Log;
use crate::clock::Clock;
use crate::config::Config;
use crate::telemetry::Telemetry;
use crate::tls::Challenges;

/// How often to look in any case: clocks are set, and machines sleep.
const LOOK_EVERY_S: i64 = 3600;
/// Two orders of one certificate have at least so much between them, whatever an authority issues or suggests.
const APART_S: i64 = 60;
/// How long is believed that an authority has no opinion about when to renew.
const NO_OPINION_S: i64 = 6 * 3600;
/// An opinion is asked for again after so long at least, and at most.
const OPINION_S: (i64, i64) = (600, 24 * 3600);
/// So often a failure that goes on is recorded again.
const RECORD_EVERY_S: i64 = 24 * 3600;
/// The pause after the directory's authority could not be read.
const PAUSE: Duration = Duration::from_secs(60);

/// Which certificates are wanted, and from whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    settings: Option<acme::Settings>,
    names: Vec<Vec<String>>,
}

impl Wanted {
    /// What the configuration says; listeners of the same names share one.
    pub(super) fn of(config: &Config) -> Self {
        let mut names: Vec<Vec<String>> = Vec::new();
        for listener in all_listeners(config).filter(|one| !one.tls.acme.is_empty()) {
            if !names.contains(&listener.tls.acme) {
                names.push(listener.tls.acme.clone());
            }
        }
        Self { settings: config.acme.clone(), names }
    }
}

/// Keeps the certificates.
pub(super) struct Keeper {
    /// The folder of the state, below which they are kept.
    pub(super) state: PathBuf,
    pub(super) challenges: Arc<Challenges>,
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) log: Log,
    pub(super) telemetry: Arc<Telemetry>,
    /// Wakes whoever shows them.
    pub(super) renewed: Arc<Notify>,
    /// The real time, by which certificates are judged.
    pub(super) clock: Clock,
}

/// One certificate.
struct One {
    names: Vec<String>,
    file: PathBuf,
    /// When to look again, Unix seconds.
    at_s: i64,
    ordered_s: Option<i64>,
    recorded_s: Option<i64>,
    pace: Pace,
    /// What the authority suggests, and until when that is believed.
    suggested: (Option<(i64, i64)>, i64),
    /// Chooses the moment within a window: the same until it is renewed.
    chance: u64,
}

impl Keeper {
    /// Goes on until told to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            let mut next = self.wanted.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                changed = next.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.keep(wanted) => {}
            }
            // An order that was left half-way answers nothing any more.
            self.challenges.clear();
        }
    }

    async fn keep(&self, wanted: Wanted) {
        let Some(settings) = wanted.settings.filter(|_| !wanted.names.is_empty()) else {
            return std::future::pending().await;
        };
        let mut orders = self.orders(settings).await;
        let file = |names: &[String]| file_of(&self.state, names);
        let now_s = self.clock.unix_s();
        let mut all: Vec<One> =
            wanted.names.iter().map(|names| One::new(names, file(names), now_s)).collect();
        loop {
            for one in &mut all {
                if one.at_s <= self.clock.unix_s() {
                    self.visit(&mut orders, one).await;
                }
            }
            let now_s = self.clock.unix_s();
            let next_s = all.iter().map(|one| one.at_s.saturating_sub(now_s)).min();
            let wait_s = next_s.unwrap_or(LOOK_EVERY_S).clamp(1, LOOK_EVERY_S);
            tokio::time::sleep(Duration::from_secs(u64::try_from(wait_s).unwrap_or(1))).await;
        }
    }

    async fn orders(&self, settings: acme::Settings) -> Orders {
        loop {
            let (settings, folder) = (settings.clone(), folder(&self.state));
            let (challenges, clock) = (Arc::clone(&self.challenges), self.clock.clone());
            let made = move || Orders::new(settings, &folder, challenges, clock);
            match tokio::task::spawn_blocking(made).await {
                Ok(Ok(orders)) => return orders,
                Ok(Err(error)) => {
                    tracing::error!(%error, "no certificates can be ordered; those that are shown stay");
                }
                Err(error) => tracing::error!(%error, "no certificates can be ordered"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Orders it if it is time, and says when to look again.
    async fn visit(&self, orders: &mut Orders, one: &mut One) {
        let now_s = self.clock.unix_s();
        let file = one.file.clone();
        let kept = tokio::task::spawn_blocking(move || span_of(&file)).await.unwrap_or_default();
        let Some((span, certificate)) = kept else {
            return self.order(orders, one, None).await;
        };
        if one.suggested.1 <= now_s {
            one.suggested = match orders.suggested(&certificate).await {
                Ok(Some((window, again_s))) => {
                    let again_s = i64::try_from(again_s).unwrap_or(OPINION_S.1);
                    (Some(window), now_s + again_s.clamp(OPINION_S.0, OPINION_S.1))
                }
                Ok(None) => (None, now_s + NO_OPINION_S),
                Err(error) => {
                    tracing::warn!(names = one.told(), %error, "when to renew a certificate could not be asked");
                    (one.suggested.0, now_s + OPINION_S.0)
                }
            };
        }
        let due_s = due_s(span, one.suggested.0, one.chance);
        if due_s > now_s {
            one.at_s = due_s.min(one.suggested.1);
            return;
        }
        self.order(orders, one, Some(certificate)).await;
    }

    async fn order(
        &self,
        orders: &mut Orders,
        one: &mut One,
        replaces: Option<rustls_pki_types::CertificateDer<'static>>,
    ) {
        let now_s = self.clock.unix_s();
        let earliest_s = one.ordered_s.map_or(now_s, |before| before.saturating_add(APART_S));
        if earliest_s > now_s {
            one.at_s = earliest_s;
            return;
        }
        one.ordered_s = Some(now_s);
        let names = one.told();
        tracing::info!(names, "a certificate is ordered");
        match self.obtained(orders, one, replaces).await {
            Ok(ends_s) => {
                let ends = crate::audit::Moment(ends_s.saturating_mul(1000)).to_string();
                tracing::info!(names, ends, "a certificate was issued");
                self.telemetry.ordered(true);
                (one.pace, one.recorded_s) = (Pace::default(), None);
                (one.suggested, one.chance, one.at_s) = ((None, 0), chance(), now_s);
                self.record("certificate_obtained", &names, true).await;
                self.renewed.notify_one();
            }
            Err(error) => {
                let pause_s = one.pace.failed(orders.asked_s(), error.is_too_often(), chance());
                let failures = one.pace.failures();
                tracing::error!(names, %error, failures, again_in_s = pause_s, "no certificate was issued; what is shown stays");
                self.telemetry.ordered(false);
                one.at_s = now_s.saturating_add(i64::try_from(pause_s).unwrap_or(LOOK_EVERY_S));
                let is_news = one.recorded_s.is_none_or(|before| now_s - before >= RECORD_EVERY_S);
                if is_news {
                    self.record("certificate_order_failed", &names, false).await;
                    one.recorded_s = Some(now_s);
                }
            }
        }
    }

    /// Gives when it ends.
    async fn obtained(
        &self,
        orders: &mut Orders,
        one: &One,
        replaces: Option<rustls_pki_types::CertificateDer<'static>>,
    ) -> Result<i64, AcmeError> {
        let obtained = Box::pin(orders.obtain(&one.names, replaces.as_ref())).await?;
        let (file, ends_s) = (one.file.clone(), obtained.span.ends_s);
        let stored = tokio::task::spawn_blocking(move || store(&file, &obtained)).await;
        let failed = |broken| AcmeError::File {
            path: one.file.clone(),
            source: std::io::Error::other(broken),
        };
        stored.map_err(failed)??;
        Ok(ends_s)
    }

    async fn record(&self, name: &str, names: &str, succeeded: bool) {
        if let Err(error) = record(&self.log, name, &format!("names {names}"), succeeded).await {
            tracing::error!(%error, "what became of an order of a certificate could not be recorded");
        }
    }
}

impl One {
    fn new(names: &[String], file: PathBuf, now_s: i64) -> Self {
        Self {
            names: names.to_vec(),
            file,
            at_s: now_s,
            ordered_s: None,
            recorded_s: None,
            pace: Pace::default(),
            suggested: (None, 0),
            chance: chance(),
        }
    }

    fn told(&self) -> String {
        self.names.join(", ")
    }
}

/// Any number. Without randomness it is 0, which only has many gates come at one moment.
fn chance() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_or(0, |()| u64::from_be_bytes(bytes))
}
