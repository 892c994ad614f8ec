//! Orders the certificates that listeners have by ACME, before those they show end: one after the other, and never so often that
//! the authority minds. Whatever fails, those that are shown stay.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::bound::all_listeners;
use super::certificates::record;
use crate::acme::{self, AcmeError, Orders, Pace, alone_s, due_s, file_of, folder, span_of, store};
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
    settings: acme::Settings,
    file: PathBuf,
    /// When to look again, Unix seconds.
    at_s: i64,
    ordered_s: Option<i64>,
    /// Until when the directory wants to be left alone.
    alone_until_s: i64,
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
        let mut all = Vec::new();
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            all = self.wanted_of(all, &wanted);
            let mut next = self.wanted.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                changed = next.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.keep(wanted.settings, &mut all) => {}
            }
            // An order that was left half-way answers nothing any more.
            self.challenges.clear();
        }
    }

    /// Those that are wanted now. A directory that was asked for one of them before remembers that, and so do we.
    fn wanted_of(&self, mut before: Vec<One>, wanted: &Wanted) -> Vec<One> {
        let Some(settings) = &wanted.settings else { return Vec::new() };
        let now_s = self.clock.unix_s();
        let one = |names: &Vec<String>| {
            let is_it =
                |one: &One| one.names == *names && one.settings.directory == settings.directory;
            match before.iter().position(is_it) {
                Some(at) => before.swap_remove(at).under(settings, now_s),
                None => One::new(names, settings, file_of(&self.state, names), now_s),
            }
        };
        wanted.names.iter().map(one).collect()
    }

    async fn keep(&self, settings: Option<acme::Settings>, all: &mut [One]) {
        let Some(settings) = settings.filter(|_| !all.is_empty()) else {
            return std::future::pending().await;
        };
        let (challenges, clock) = (Arc::clone(&self.challenges), self.clock.clone());
        let orders = Orders::new(settings, &folder(&self.state), challenges, clock);
        loop {
            for one in all.iter_mut() {
                if one.at_s <= self.clock.unix_s() {
                    self.visit(&orders, one).await;
                }
            }
            let now_s = self.clock.unix_s();
            let next_s = all.iter().map(|one| one.at_s.saturating_sub(now_s)).min();
            let wait_s = next_s.unwrap_or(LOOK_EVERY_S).clamp(1, LOOK_EVERY_S);
            tokio::time::sleep(Duration::from_secs(u64::try_from(wait_s).unwrap_or(1))).await;
        }
    }

    /// Orders it if it is time, and says when to look again.
    async fn visit(&self, orders: &Orders, one: &mut One) {
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
        orders: &Orders,
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
                let alone_s = alone_s(orders.asked_s(), error.is_too_often());
                let (pause_s, failures) = (one.pace.failed(alone_s, chance()), one.pace.failures());
                one.alone_until_s = later(now_s, alone_s);
                tracing::error!(names, %error, failures, again_in_s = pause_s, "no certificate was issued; what is shown stays");
                self.telemetry.ordered(false);
                one.at_s = later(now_s, pause_s);
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
        orders: &Orders,
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
    fn new(names: &[String], settings: &acme::Settings, file: PathBuf, now_s: i64) -> Self {
        Self {
            names: names.to_vec(),
            settings: settings.clone(),
            file,
            at_s: now_s,
            ordered_s: None,
            alone_until_s: now_s,
            recorded_s: None,
            pace: Pace::default(),
            suggested: (None, 0),
            chance: chance(),
        }
    }

    /// Goes on under these: what the operator put right is tried as soon as the directory lets us, and what failed before counts.
    fn under(self, settings: &acme::Settings, now_s: i64) -> Self {
        if self.settings == *settings {
            return self;
        }
        let at_s = now_s.max(self.alone_until_s);
        Self { settings: settings.clone(), at_s, ..self }
    }

    fn told(&self) -> String {
        self.names.join(", ")
    }
}

fn later(now_s: i64, seconds: u64) -> i64 {
    now_s.saturating_add(i64::try_from(seconds).unwrap_or(LOOK_EVERY_S))
}

/// Any number. Without randomness it is 0, which only has many gates come at one moment.
fn chance() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_or(0, |()| u64::from_be_bytes(bytes))
}
