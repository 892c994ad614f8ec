//! Carries the log to one place for as long as the gate runs, and says so when that falls behind.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::audit::{Act, Alert, Concern, Event, Log};
use crate::clock::Clock;
use crate::ship::{Carrier, Carrying, Cursor, Settings, ShipError, Source};
use crate::telemetry::{ShipLag, Telemetry};

/// How often to look for new entries.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often to say how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// The pause before a cursor that could not be opened is tried again.
const PAUSE: Duration = Duration::from_secs(10);
/// So long a step may go on when the gate is to stop.
const GRACE: Duration = Duration::from_secs(2);
/// So often an alert is raised again while it lasts.
const ALERT_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What carries to one place.
pub(super) struct Shipper {
    pub(super) settings: Settings,
    /// The folder of cursors.
    pub(super) cursors: PathBuf,
    pub(super) source: Source,
    pub(super) log: Log,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) clock: Clock,
}

impl Shipper {
    /// Goes on until told to stop. What is not there by then goes after the next start.
    pub(super) async fn run(self, stop: CancellationToken) {
        let target = self.settings.name.clone();
        let cursor = loop {
            match Cursor::open(&self.cursors, &target) {
                Ok(cursor) => break cursor,
                Err(error) => {
                    tracing::error!(target_name = target, %error, "the log is not carried")
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        };
        let Self { settings, source, log, telemetry, clock, cursors: _ } = self;
        let carrier = Carrier::new(settings, source, cursor, clock.clone());
        let mut way = Way { carrier, log, telemetry, clock, alerted: None, has_failed: false };
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            () = way.go(&stop) => {}
            () = overdue => {}
        }
    }
}

/// The way to one place.
struct Way {
    carrier: Carrier,
    log: Log,
    telemetry: Arc<Telemetry>,
    clock: Clock,
    /// When the last alert was raised, by the steady clock, while it lasts.
    alerted: Option<Duration>,
    has_failed: bool,
}

impl Way {
    /// A step that was begun is ended: what was delivered would go twice if its cursor were not kept.
    async fn go(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let done = self.carrier.step().await;
            let pause = self.pause(&done);
            self.tell();
            let until = Instant::now() + pause;
            while Instant::now() < until && !stop.is_cancelled() {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep_until(until.min(Instant::now() + TELL_EVERY)) => {}
                }
                self.tell();
            }
        }
    }

    /// Notes how a step went, and how long to wait before the next.
    fn pause(&mut self, done: &Result<Carrying, ShipError>) -> Duration {
        let target = &self.carrier.settings().name;
        match done {
            Ok(carried) => {
                if std::mem::take(&mut self.has_failed) {
                    tracing::info!(target_name = target, "the log is carried again");
                }
                match carried {
                    Carrying::Carried(entries) => {
                        self.telemetry.shipped(target, *entries);
                        Duration::ZERO
                    }
                    Carrying::Gathering | Carrying::Nothing => LOOK_EVERY,
                }
            }
            Err(error) => {
                self.telemetry.ship_failed(target);
                if !std::mem::replace(&mut self.has_failed, true) {
                    tracing::warn!(target_name = target, %error, "the log cannot be carried; it is tried again");
                }
                self.carrier.pause(error)
            }
        }
    }

    /// Says how far it is, and raises the alert when that is too far.
    fn tell(&mut self) {
        let entries = self.log.health().durable.saturating_sub(self.carrier.position());
        let since = self.carrier.waiting_since_ms().filter(|_| entries > 0);
        let age_ms = since.map_or(0, |since| self.clock.unix_ms().saturating_sub(since));
        let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
        let settings = self.carrier.settings();
        let is_behind = age >= settings.alert_after && entries > 0;
        self.telemetry.ship_lag(&settings.name, ShipLag { entries, age, is_behind });
        if !is_behind {
            self.alerted = None;
            return;
        }
        let now = self.clock.steady();
        if self.alerted.is_none_or(|before| now.saturating_sub(before) >= ALERT_EVERY) {
            self.alerted = Some(now);
            self.alert(entries, age);
        }
    }

    fn alert(&self, entries: u64, age: Duration) {
        let target = &self.carrier.settings().name;
        let age_s = age.as_secs();
        tracing::error!(target_name = target, entries, age_s, "the log does not get there");
        let mut entry = match self.log.entry(Event::Alert) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(%error, "an alert has no id, so it is not in the log");
                return;
            }
        };
        let mut alert = Alert::new(Concern::Shipping, entries);
        alert.kinds.push(target);
        entry.alert = Some(alert);
        let detail = format!("the oldest entry waits for {age_s} s");
        entry.act = Some(Act {
            name: "shipping_behind".into(),
            object: target.as_str().into(),
            detail: detail.as_str().into(),
            ..Act::default()
        });
        self.log.append_detached(entry);
    }
}
