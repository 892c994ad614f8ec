//! Reads the log as it grows, tells it to the detections, and sees to what follows from what they find: durable before
//! the cursor moves on, so that a crash neither loses a finding nor makes two of one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::StartError;
use crate::audit::{Actor, Alert, Concern, Entry, EntryId, Event, Followed, Follower, Found, Log};
use crate::policy::{Consequence, Program};
use crate::proxy::{Curb, Curbs, Gate, Policies};
use crate::review::{Finding, Names, Review, Rules};
use crate::secret::MasterKey;
use crate::state::{CurbRow, FindingRow, NewFinding, StateError, Store};
use crate::telemetry::Telemetry;

/// How often to look whether somebody was released, by another process.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What is known is kept so often, if entries came.
const KEEP_EVERY: Duration = Duration::from_secs(2);
/// The pause before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What the reviewer works with.
struct Parts {
    store: Store,
    log: Log,
    policies: Arc<Policies>,
    curbs: Arc<Curbs>,
    telemetry: Arc<Telemetry>,
}

/// Reads on, for as long as the gate runs.
pub(super) struct Reviewer {
    parts: Parts,
    names: Names,
    follower: Follower,
    review: Review,
    program: Arc<Program>,
    rules: Rules,
    /// The state of the findings that the curbs are taken from.
    change: i64,
    /// Findings that are not kept yet.
    pending: Vec<Finding>,
    /// Whether a finding may wait for its entry in the log.
    untold: bool,
    kept: Instant,
    kept_at: u64,
}

/// Takes over who is held, before any port opens.
///
/// # Errors
/// Any [`StateError`] of a read.
pub(super) async fn load_curbs(store: &Store) -> Result<Arc<Curbs>, StateError> {
    let curbs = Curbs::default();
    curbs.replace(store.curbs().await?.into_iter().map(curb));
    Ok(Arc::new(curbs))
}

impl Reviewer {
    /// Goes on where the last one was; the first begins with what is recorded from now on.
    ///
    /// # Errors
    /// [`StartError`] if the state cannot be read, or no key derived.
    pub(super) async fn begin(
        store: Store,
        gate: &Gate,
        master: &MasterKey,
    ) -> Result<Self, StartError> {
        let names = Names::derive(master)?;
        let parts = Parts {
            store,
            log: gate.log.clone(),
            policies: Arc::clone(&gate.policies),
            curbs: Arc::clone(&gate.curbs),
            telemetry: Arc::clone(&gate.telemetry),
        };
        let (cursor, cells) = parts.store.load_review().await?;
        let durable = parts.log.health().durable;
        let next = cursor.filter(|cursor| *cursor <= durable).unwrap_or(durable);
        let program = parts.policies.live();
        let rules = Rules::of(&program, Some(&names));
        Ok(Self {
            follower: parts.log.follow(next),
            review: Review::restore(cells),
            rules,
            program,
            names,
            parts,
            change: -1,
            pending: Vec::new(),
            untold: true,
            kept: Instant::now(),
            kept_at: next,
        })
    }

    /// Works until it is stopped. What was not read by then is read after the next start.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = look.tick() => self.look().await,
                batch = self.follower.next() => self.take(batch, &stop).await,
            }
            self.keep(KEEP_EVERY).await;
        }
        self.keep(Duration::ZERO).await;
    }

    async fn take(&mut self, batch: Followed, stop: &CancellationToken) {
        let live = self.parts.policies.live();
        if !Arc::ptr_eq(&live, &self.program) {
            self.rules = Rules::of(&live, Some(&self.names));
            self.program = live;
        }
        for (_, entry) in batch {
            self.pending.extend(self.review.take(&entry, &self.rules));
        }
        let lag = self.parts.log.health().durable.saturating_sub(self.follower.position());
        self.parts.telemetry.review_lag(lag);
        if self.pending.is_empty() {
            return;
        }
        // What follows begins before it is durable: nobody gains by a slow disk.
        self.hold().await;
        while let Err(error) = self.parts.store.add_findings(self.to_keep()).await {
            tracing::error!(%error, "a finding cannot be kept; it is tried again");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        self.pending.clear();
        self.untold = true;
        self.look().await;
    }

    fn to_keep(&self) -> Vec<NewFinding> {
        self.pending.iter().map(|found| to_keep(found, false)).collect()
    }

    /// Looks whether somebody was released, or held by another process.
    async fn look(&mut self) {
        match self.parts.store.findings_change().await {
            Ok(change) if change == self.change => {}
            Ok(change) => {
                if self.hold().await {
                    self.change = change;
                }
                self.untold = true;
            }
            Err(error) => tracing::error!(%error, "findings cannot be read; who is held stays so"),
        }
        if self.untold {
            self.tell().await;
        }
    }

    /// Takes over who is held, with what is not kept yet; whether that could be read.
    async fn hold(&self) -> bool {
        let rows = match self.parts.store.curbs().await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(%error, "who is held cannot be read; it stays as it is");
                return false;
            }
        };
        for consequence in Consequence::ALL {
            let word = consequence.name();
            let held = rows.iter().filter(|row| row.consequence == word).count();
            self.parts.telemetry.held(word, held as u64);
        }
        let pending = self.pending.iter().map(|found| Curb {
            holder: found.holder.clone(),
            consequence: found.consequence,
            since_ms: found.at_ms,
        });
        self.parts.curbs.replace(rows.into_iter().map(curb).chain(pending));
        true
    }

    /// Writes the entries of findings that have none; what fails is tried again.
    async fn tell(&mut self) {
        loop {
            let rows = match self.parts.store.untold_findings().await {
                Ok(rows) if rows.is_empty() => break,
                Ok(rows) => rows,
                Err(_told_before) => return,
            };
            for row in rows {
                if self.tell_one(&row).await.is_none() {
                    return;
                }
            }
        }
        self.untold = false;
    }

    async fn tell_one(&self, row: &FindingRow) -> Option<()> {
        let mut entry = self.parts.log.entry(Event::Alert).ok()?;
        describe(&mut entry, row);
        self.parts.log.append(entry).await.ok()?;
        if !row.is_drill {
            let FindingRow { id, detection, said, consequence, holder, .. } = row;
            tracing::warn!(finding = id, detection, holder, said, consequence, "a detection found");
            let known = Consequence::named(consequence).map_or("alert", Consequence::name);
            self.parts.telemetry.found(detection, known);
        }
        self.parts.store.finding_told(row.id).await.ok()
    }

    /// Keeps what is known, if that was last done so long ago.
    async fn keep(&mut self, every: Duration) {
        let position = self.follower.position();
        let is_due = self.kept.elapsed() >= every && position != self.kept_at;
        // The cursor must not pass a finding that is not kept.
        if !is_due || !self.pending.is_empty() {
            return;
        }
        self.kept = Instant::now();
        let cells = self.review.changed();
        match self.parts.store.keep_review(position, cells.clone()).await {
            Ok(()) => self.kept_at = position,
            Err(error) => {
                tracing::error!(%error, "what detections know cannot be kept; it is tried again");
                self.review.not_kept(cells);
            }
        }
    }
}

/// A finding as it is kept.
#[must_use]
pub fn to_keep(found: &Finding, is_drill: bool) -> NewFinding {
    NewFinding {
        detection: found.detection.name(),
        consequence: found.consequence.name(),
        holder: found.holder.clone(),
        account: found.account.clone(),
        cause: found.trigger.to_string(),
        at_ms: found.at_ms,
        count: found.count,
        said: found.said.clone(),
        is_drill,
    }
}

/// What follows for somebody, as requests ask for it.
pub(super) fn curb(row: CurbRow) -> Curb {
    // A word that nobody knows is the strictest.
    let consequence = Consequence::named(&row.consequence).unwrap_or(Consequence::Block);
    Curb { holder: row.holder, consequence, since_ms: row.since_ms }
}

fn describe(entry: &mut Entry, row: &FindingRow) {
    let person = row.holder.strip_prefix("person/").unwrap_or_default();
    entry.actor = Some(Actor {
        account: row.account.as_str().into(),
        person: person.into(),
        ..Actor::default()
    });
    let mut alert = Alert::new(Concern::Finding, row.count);
    alert.example = EntryId::parse(&row.cause);
    alert.found = Some(Found {
        finding: row.id,
        detection: row.detection.as_str().into(),
        said: row.said.as_str().into(),
        action: row.consequence.as_str().into(),
        drill: row.is_drill,
    });
    entry.alert = Some(alert);
}
