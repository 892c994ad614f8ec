//! Shows the log's checkpoints to a witness for as long as the gate runs, and says so when it does not cosign.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::audit::{Act, Alert, Concern, Event, Log};
use crate::clock::Clock;
use crate::ship::{Cosigned, Matter, WitnessError, WitnessSettings, WitnessedLog};
use crate::telemetry::Telemetry;

/// The pause after a question that failed, unless the next is due before.
const PAUSE: Duration = Duration::from_secs(60);
/// So often an alert is raised again while it lasts.
const ALERT_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What asks one witness.
pub(super) struct Asker {
    pub(super) settings: WitnessSettings,
    pub(super) shown: WitnessedLog,
    pub(super) log: Log,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) clock: Clock,
}

/// How it goes with the witness, by the steady clock.
struct Standing {
    /// How many entries it saw.
    seen: u64,
    /// When it cosigned last, or when the gate began to ask.
    since: Duration,
    /// When the last alert of each matter was raised. No cosignature in between makes it news: who cosigns and contradicts
    /// itself in turn would fill the log.
    alerted: HashMap<Matter, Duration>,
    has_failed: bool,
}

impl Asker {
    /// Goes on until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        let (shown, name) = (self.shown.clone(), self.settings.name.clone());
        let seen = tokio::task::spawn_blocking(move || shown.seen_by(&name)).await.unwrap_or(0);
        let mut standing = Standing {
            seen,
            since: self.clock.steady(),
            alerted: HashMap::new(),
            has_failed: false,
        };
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                asked = self.shown.show_to(&self.settings, standing.seen) => asked,
            };
            let pause = match asked {
                Ok(cosigned) => self.cosigned(&mut standing, cosigned),
                Err(error) => self.failed(&mut standing, &error),
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn cosigned(&self, standing: &mut Standing, cosigned: Cosigned) -> Duration {
        let Cosigned { entries, at_s } = cosigned;
        if std::mem::take(&mut standing.has_failed) {
            tracing::info!(witness = self.settings.name, entries, "a witness cosigns again");
        }
        (standing.seen, standing.since) = (entries, self.clock.steady());
        self.telemetry.witness_cosigned(&self.settings.name, entries, at_s);
        self.settings.every
    }

    fn failed(&self, standing: &mut Standing, error: &WitnessError) -> Duration {
        let (name, now) = (&self.settings.name, self.clock.steady());
        self.telemetry.witness_failed(name);
        standing.has_failed = true;
        let matter = error.matter();
        let is_late = now.saturating_sub(standing.since) >= self.settings.alert_after;
        if matter == Matter::Silence && !is_late {
            tracing::warn!(witness = name, %error, "a witness did not cosign; it is asked again");
            return PAUSE.min(self.settings.every);
        }
        let told = standing.alerted.get(&matter);
        if told.is_none_or(|at| now.saturating_sub(*at) >= ALERT_EVERY) {
            self.alert(matter, error);
            standing.alerted.insert(matter, now);
        }
        PAUSE.min(self.settings.every)
    }

    fn alert(&self, matter: Matter, error: &WitnessError) {
        let name = &self.settings.name;
        let concern = match matter {
            Matter::Silence => Concern::WitnessSilent,
            Matter::Shorter | Matter::Altered => Concern::WitnessDisagrees,
        };
        tracing::error!(witness = name, %error, "a witness does not confirm the log");
        let mut entry = match self.log.entry(Event::Alert) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(%error, "an alert has no id, so it is not in the log");
                return;
            }
        };
        let mut alert = Alert::new(concern, 1);
        alert.kinds.push(name);
        entry.alert = Some(alert);
        entry.act = Some(Act {
            name: concern.word().into(),
            object: name.as_str().into(),
            detail: error.to_string().as_str().into(),
            ..Act::default()
        });
        self.log.append_detached(entry);
    }
}
