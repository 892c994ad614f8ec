//! Tells the other gates what is done here, takes over what is done there, and says when it cannot.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::audit::{Alert, Concern, Event};
use crate::bulletin::{Bulletin, BulletinError, Round, Seals};
use crate::clock::Clock;
use crate::config::Config;
use crate::proxy::Gate;
use crate::secret::MasterKey;
use crate::shared::RedisBoard;
use crate::state::Store;

/// How often the board is read: what is done at one gate is read at the next after two of these at most.
const ROUND: Duration = Duration::from_millis(150);
/// So many rounds fail before the board counts as lost.
const LOST_AFTER: u32 = 3;
/// Between two alerts of a kind, or two lines of the operator's log.
const QUIET: Duration = Duration::from_secs(60);
/// How long a start waits for the board before it goes on without.
const PATIENCE: Duration = Duration::from_secs(3);

/// Keeps this gate's part in the board.
pub(super) struct Keeper {
    bulletin: Bulletin,
    gate: Arc<Gate>,
    store: Store,
    failed: u32,
    told_lost: Option<Instant>,
    /// Whether the log says that the board is lost.
    is_alerted: bool,
    told_forged: Option<Instant>,
    /// What was forged since that was last told.
    forged: u64,
    /// Whether all that the others told in order was read.
    knows_all: bool,
}

impl Keeper {
    /// This gate's part, if there is a store that several share; nothing is asked yet.
    ///
    /// # Errors
    /// [`StartError`] if the settings cannot be used.
    pub(super) fn open(
        config: &Config,
        clock: &Clock,
        master: &MasterKey,
        (store, gate): (&Store, &Arc<Gate>),
    ) -> Result<Option<Self>, StartError> {
        let Some(shared) = &config.shared else { return Ok(None) };
        let board = RedisBoard::new(&shared.redis, super::shared::fingerprint(master)?)?;
        let seals = Seals::derive(master, &config.node)?;
        Ok(Some(Self {
            bulletin: Bulletin::new(store.clone(), Arc::new(board), seals, clock.clone()),
            gate: Arc::clone(gate),
            store: store.clone(),
            failed: 0,
            told_lost: None,
            is_alerted: false,
            told_forged: None,
            forged: 0,
            knows_all: false,
        }))
    }

    /// The first round, before a port opens: what was done while this gate was away holds from its first request on.
    pub(super) async fn begin(&mut self) {
        let mut answered = false;
        let reads = async {
            loop {
                answered |= self.round().await;
                if answered && self.knows_all {
                    return;
                }
                tokio::time::sleep(ROUND).await;
            }
        };
        let is_late = tokio::time::timeout(PATIENCE, reads).await.is_err();
        if is_late && answered {
            tracing::warn!(
                "not all grants, links and statements of other gates are known here yet; the rest comes"
            );
        } else if is_late {
            tracing::error!(
                "the board of gates does not answer: what is done at others is not known here"
            );
        }
        // What came holds from the first request on.
        self.gate.look_for_links().await;
        self.gate.look_for_subjects().await;
        match self.store.curbs().await {
            Ok(rows) => self.gate.curbs.replace(rows.into_iter().map(super::review::curb)),
            Err(error) => tracing::error!(%error, "who is held cannot be read; it stays as it is"),
        }
    }

    /// Goes on until the gate ends.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut every = interval(ROUND);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            self.round().await;
        }
    }

    /// One round; whether the board answered.
    async fn round(&mut self) -> bool {
        match self.bulletin.round().await {
            Ok(round) => {
                self.answered(round).await;
                true
            }
            Err(error) => {
                self.lost(&error);
                false
            }
        }
    }

    async fn answered(&mut self, round: Round) {
        if self.failed >= LOST_AFTER {
            tracing::info!("the board of gates answers again");
        }
        self.failed = 0;
        self.is_alerted = false;
        let Round { taken, forged, left, behind } = round;
        self.knows_all = behind == 0;
        self.gate.telemetry.board_read(taken as u64, forged, (left, behind));
        if taken > 0 {
            // At once; detections look for releases by themselves.
            self.gate.tidy_commands().await;
        }
        if left > 0 {
            tracing::error!(left, "notices of gates are not understood here, or find no room");
        }
        self.forged += forged;
        if self.forged > 0 && is_due(&mut self.told_forged) {
            tracing::error!(
                count = self.forged,
                "on the board of gates stands what no gate of this master key sealed; somebody else writes there"
            );
            let forged = std::mem::take(&mut self.forged);
            self.alert(Concern::ForgedNotice, forged);
        }
    }

    /// A board that comes and goes is told once in a while.
    fn lost(&mut self, error: &BulletinError) {
        self.failed = self.failed.saturating_add(1);
        if self.failed < LOST_AFTER {
            return;
        }
        let is_new = self.failed == LOST_AFTER;
        self.gate.telemetry.board_lost(is_new);
        if is_due(&mut self.told_lost) {
            tracing::error!(
                %error,
                "the board of gates is lost: what is done at one is not known at the others; what is known here stays"
            );
            if !std::mem::replace(&mut self.is_alerted, true) {
                self.alert(Concern::BoardLost, 1);
            }
        }
    }

    fn alert(&self, concern: Concern, count: u64) {
        match self.gate.log.entry(Event::Alert) {
            Ok(mut entry) => {
                entry.alert = Some(Alert::new(concern, count));
                self.gate.log.append_detached(entry);
            }
            Err(error) => tracing::error!(%error, "an alert has no id, so it is not in the log"),
        }
    }
}

/// Whether something may be told again; if so it is.
fn is_due(told: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    let is_due = told.is_none_or(|told| now.duration_since(told) >= QUIET);
    if is_due {
        *told = Some(now);
    }
    is_due
}
