//! Keeps this gate's part in a store that several gates share, and says when the store is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::audit::{Alert, Concern, Event, Log};
use crate::clock::Clock;
use crate::config::Config;
use crate::limits::Limits;
use crate::limits::shared::{Shared, SharedHealth};
use crate::secret::{MasterKey, SecretError, random_token};
use crate::shared::{RedisProofs, RedisShared};
use crate::telemetry::Telemetry;

/// How often the store hears of this gate.
const ROUND: Duration = Duration::from_millis(100);
/// How many rounds go by before what lies unused is given back.
const TIDY_ROUNDS: u64 = 100;
/// Rounds between two alerts.
const ALERT_ROUNDS: u64 = 600;
/// How long a start waits for the store before it goes on without.
const PATIENCE: Duration = Duration::from_secs(5);

/// This gate's part in the store, if there is one; nothing is asked yet.
pub(super) fn open(
    config: &Config,
    clock: &Clock,
    master: &MasterKey,
) -> Result<Option<Arc<Shared>>, StartError> {
    let Some(store) = &config.shared else { return Ok(None) };
    let redis = RedisShared::new(&store.redis, fingerprint(master)?)?;
    let (names, run) = (master.tagger("shared-account")?, random_token::<12>()?);
    let settings = store.settings.clone();
    Ok(Some(Shared::new(Arc::new(redis), clock, settings, names, run.expose())))
}

/// Which proofs of possession any gate took, if there is a store; it is told that this gate is there.
pub(super) async fn proofs(
    config: &Config,
    clock: &Clock,
    master: &MasterKey,
) -> Result<Option<Arc<RedisProofs>>, StartError> {
    let Some(store) = &config.shared else { return Ok(None) };
    let proofs = RedisProofs::new(&store.redis, fingerprint(master)?)?;
    if let Err(error) = proofs.begin(clock.unix_ms()).await {
        tracing::warn!(%error, "the shared store does not answer: no proof of possession is believed until it does");
    }
    Ok(Some(Arc::new(proofs)))
}

/// What tells gates of one master key from others, which would count the same persons under other names.
pub(super) fn fingerprint(master: &MasterKey) -> Result<String, SecretError> {
    Ok(master.tagger("shared-store")?.reference(&[b"fingerprint"]))
}

/// What reviewers were told of losses.
#[derive(Default)]
struct Told {
    losses: u64,
    /// No other alert before so many.
    quiet_rounds: u64,
}

/// Keeps the part.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) limits: Arc<Limits>,
    pub(super) log: Log,
    pub(super) telemetry: Arc<Telemetry>,
}

impl Keeper {
    /// The first rounds, until the store lends or has let this gate wait for too long.
    pub(super) async fn begin(&self) {
        let mut told = Told::default();
        let lends = async {
            while !self.shared.health().is_up {
                self.round(&mut told).await;
                tokio::time::sleep(ROUND / 4).await;
            }
        };
        if tokio::time::timeout(PATIENCE, lends).await.is_err() {
            tracing::error!(
                "the shared store of budgets does not answer: limits are stricter until it does"
            );
            self.alert(1);
        }
    }

    /// Goes on until the gate ends.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut told = Told { losses: self.shared.health().losses, ..Told::default() };
        let mut every = tokio::time::interval(ROUND);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for number in 1_u64.. {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            self.round(&mut told).await;
            if number.is_multiple_of(TIDY_ROUNDS) {
                self.shared.tidy().await;
            }
        }
    }

    /// One round. A store that comes and goes is told once in a while, with how often it went.
    async fn round(&self, told: &mut Told) {
        self.shared.round(|| self.limits.released()).await;
        let SharedHealth { is_up, gates, losses, stricter, waiting } = self.shared.health();
        self.telemetry.shared_store(is_up, (gates, waiting), losses, stricter);
        told.quiet_rounds = told.quiet_rounds.saturating_sub(1);
        if losses > told.losses && told.quiet_rounds == 0 {
            self.alert(losses - told.losses);
            *told = Told { losses, quiet_rounds: ALERT_ROUNDS };
        }
    }

    /// Reviewers see since when limits are stricter.
    fn alert(&self, count: u64) {
        match self.log.entry(Event::Alert) {
            Ok(mut entry) => {
                entry.alert = Some(Alert::new(Concern::SharedStoreLost, count));
                self.log.append_detached(entry);
            }
            Err(error) => tracing::error!(%error, "an alert has no id, so it is not in the log"),
        }
    }
}
