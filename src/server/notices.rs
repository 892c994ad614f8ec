//! Reads what people must be told from the log as it grows, keeps it until each target has it, and sends it: beside
//! the requests, never on their way.
//!
//! What is found and how far was read are kept in one commit, so a crash neither loses a notice nor makes two of one.
//! A target that is down keeps its own, and nobody else's, waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::{Act, Alert, Concern, Entry, Event, Log};
use crate::clock::Clock;
use crate::notify::{Message, Notice, NotifyError, Settings, send};
use crate::ship::{Batch, ShipError, Shipped, Source};
use crate::state::{NewNotice, NoticeRow, StateError, Store};
use crate::telemetry::Telemetry;

/// How often to look for new entries.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How far was read is kept so often, if nothing had to be told.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// The pause after the log or the state could not be read.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause after a failure; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// No target may ask for more.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// So often it is tried at least, however far the clock jumps.
const LEAST_TRIES: u32 = 5;

/// What notices are made of and sent with.
pub(super) struct Notices {
    pub(super) targets: Vec<Settings>,
    pub(super) source: Source,
    pub(super) store: Store,
    pub(super) log: Log,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) clock: Clock,
}

impl Notices {
    /// Begins where the last gate stopped reading; the first one with what is recorded from now on.
    ///
    /// # Errors
    /// Any [`StateError`].
    pub(super) async fn begin(&self) -> Result<u64, StateError> {
        let names = self.targets.iter().map(|target| target.name.clone()).collect();
        let forgotten = self.store.keep_notices_of(names).await?;
        if forgotten > 0 {
            tracing::warn!(forgotten, "notices waited for targets that are not there any more");
        }
        let durable = self.log.health().durable;
        let Some((next, last)) = self.store.notice_cursor().await? else {
            return self.begin_at(durable).await;
        };
        // In a log that was restored other entries stand there; what was told before is not told again.
        let is_same = match next.checked_sub(1) {
            _ if next > durable => false,
            None => true,
            Some(_) if last.is_empty() => true,
            Some(before) => {
                let source = self.source.clone();
                let found = tokio::task::spawn_blocking(move || source.id_at(before)).await;
                matches!(found, Ok(Ok(Some(id))) if id == last)
            }
        };
        if !is_same {
            tracing::warn!("the log is not the one that notices were read from; they begin anew");
        }
        if is_same { Ok(next) } else { self.begin_at(durable).await }
    }

    /// Durable, so that what comes before the first notice is not lost by a crash either.
    async fn begin_at(&self, next: u64) -> Result<u64, StateError> {
        self.store.queue_notices(Vec::new(), None, (next, String::new())).await?;
        Ok(next)
    }

    /// Goes on until told to stop. What was not sent by then is sent after the next start.
    pub(super) fn spawn(
        self,
        next: u64,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        let (mut wakes, mut going) = (Vec::new(), Vec::new());
        for settings in &self.targets {
            let wake = Arc::new(Notify::new());
            wakes.push(Arc::clone(&wake));
            let messenger = Messenger {
                settings: settings.clone(),
                store: self.store.clone(),
                log: self.log.clone(),
                telemetry: Arc::clone(&self.telemetry),
                clock: self.clock.clone(),
                wake,
                tried: HashMap::new(),
                has_failed: false,
            };
            let stop = stop.clone();
            going.push(tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = messenger.run() => {}
                }
            }));
        }
        let stop = stop.clone();
        going.push(tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.read_on(next, &wakes) => {}
            }
        }));
        going
    }

    /// As [`Notices::begin`] and [`Notices::spawn`] in a gate that runs: a state that cannot be read now can be later. Ends
    /// when all of it has.
    pub(super) async fn begin_and_go(self, tasks: &TaskTracker, stop: &CancellationToken) {
        let next = loop {
            match self.begin().await {
                Ok(next) => break next,
                Err(error) => {
                    tracing::error!(%error, "people cannot be told yet; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        for task in self.spawn(next, tasks, stop) {
            // One that panicked has ended, too.
            task.await.unwrap_or_default();
        }
    }

    async fn read_on(&self, mut next: u64, wakes: &[Arc<Notify>]) {
        let mut kept = Instant::now();
        loop {
            let pause = match self.step(next, &mut kept).await {
                Ok((read, is_full)) => {
                    if read > next {
                        wakes.iter().for_each(|wake| wake.notify_one());
                    }
                    next = read;
                    if is_full { Duration::ZERO } else { LOOK_EVERY }
                }
                Err(error) => {
                    tracing::error!(%error, "what people must be told cannot be read; it is tried again");
                    PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Reads some entries and keeps what they have to tell; gives how far it is, and whether there is more.
    async fn step(&self, next: u64, kept: &mut Instant) -> Result<(u64, bool), NoticeError> {
        let source = self.source.clone();
        let read = tokio::task::spawn_blocking(move || source.after(next));
        let batch = read.await.map_err(|_panicked| NoticeError::Read)??;
        let Some((_, last)) = batch.range() else { return Ok((next, false)) };
        let last_id = batch.entries.last().map(|entry| entry.id.clone()).unwrap_or_default();
        let rows = self.rows(&batch);
        let rest = rows.last().map(|row| self.rest(row));
        // Where nothing has to be told the cursor is not worth a write each time.
        if !rows.is_empty() || kept.elapsed() >= KEEP_EVERY {
            *kept = Instant::now();
            self.store.queue_notices(rows, rest, (last + 1, last_id)).await?;
        }
        Ok((last + 1, batch.is_full))
    }

    fn rows(&self, batch: &Batch) -> Vec<NewNotice> {
        let mut rows = Vec::new();
        for notice in batch.entries.iter().filter_map(read) {
            for target in self.targets.iter().filter(|target| target.wants(notice.kind)) {
                // Nobody is told over a target that it does not work.
                if notice.kind == crate::notify::Kind::Undelivered && notice.what == target.name {
                    continue;
                }
                rows.extend(row(&target.name, &notice));
            }
        }
        rows
    }

    /// What the notices become that there is no room for.
    fn rest(&self, newest: &NewNotice) -> NewNotice {
        let notice: Option<Notice> = serde_json::from_str(&newest.notice).ok();
        let rest = notice.map(|notice| Notice::others(&notice));
        rest.and_then(|rest| row("", &rest)).unwrap_or_else(|| newest.clone())
    }
}

/// Why nothing could be read or kept.
#[derive(Debug, thiserror::Error)]
enum NoticeError {
    #[error("the log could not be looked at")]
    Read,
    #[error(transparent)]
    Log(#[from] ShipError),
    #[error(transparent)]
    State(#[from] StateError),
}

fn read(entry: &Shipped) -> Option<Notice> {
    if !Notice::may_be_in(&entry.event) {
        return None;
    }
    Notice::of(&Entry::decode(&entry.text).ok()?)
}

fn row(target: &str, notice: &Notice) -> Option<NewNotice> {
    Some(NewNotice {
        target: target.to_owned(),
        merge_key: notice.merge_key(),
        notice: serde_json::to_string(notice).ok()?,
        count: notice.count,
        since_ms: notice.at_ms,
    })
}

/// What sends to one target.
struct Messenger {
    settings: Settings,
    store: Store,
    log: Log,
    telemetry: Arc<Telemetry>,
    clock: Clock,
    wake: Arc<Notify>,
    /// How often each was tried, and when it is to be again.
    tried: HashMap<i64, (u32, Instant)>,
    has_failed: bool,
}

impl Messenger {
    async fn run(mut self) {
        loop {
            let wait = match self.round().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::error!(%error, "notices that wait cannot be read; it is tried again");
                    PAUSE
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Tries each that is due, the oldest first; gives how long until the next is.
    async fn round(&mut self) -> Result<Duration, StateError> {
        let rows = self.store.notices_for(&self.settings.name).await?;
        self.telemetry.notices_waiting(&self.settings.name, rows.len() as u64);
        self.tried.retain(|id, _| rows.iter().any(|row| row.id == *id));
        let mut sent = false;
        for row in rows {
            let due = self.tried.get(&row.id).map(|(_, due)| *due);
            if due.is_none_or(|due| due <= Instant::now()) {
                sent |= self.try_one(row).await?;
            }
        }
        if sent {
            return Ok(Duration::ZERO);
        }
        let next = self.tried.values().map(|(_, due)| *due).min();
        let until = next.map(|due| due.saturating_duration_since(Instant::now()));
        Ok(until.map_or(LONGEST_PAUSE, |until| until.max(Duration::from_millis(50))))
    }

    /// Whether it is out of the way.
    async fn try_one(&mut self, row: NoticeRow) -> Result<bool, StateError> {
        let target = self.settings.name.clone();
        let Ok(notice) = serde_json::from_str::<Notice>(&row.notice) else {
            tracing::error!(target_name = target, "a notice of another menshen cannot be read");
            self.store.notice_done(row).await?;
            return Ok(true);
        };
        let id = format!("{}-{}", notice.entry, row.count);
        let notice = Notice { count: row.count, ..notice };
        let message = Message { id, notice, at_ms: self.clock.unix_ms() };
        match send(&self.settings, &message).await {
            Ok(delivered) => {
                for refused in &delivered.refused {
                    tracing::warn!(target_name = target, refused, "a recipient was not taken");
                    self.telemetry.notice_failed(&target);
                }
                if std::mem::take(&mut self.has_failed) {
                    tracing::info!(target_name = target, "notices get there again");
                }
                self.telemetry.notice_sent(&target);
                self.store.notice_done(row).await?;
                Ok(true)
            }
            Err(error) => self.failed(row, &error).await,
        }
    }

    async fn failed(&mut self, row: NoticeRow, error: &NotifyError) -> Result<bool, StateError> {
        let target = self.settings.name.clone();
        self.telemetry.notice_failed(&target);
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::warn!(target_name = target, %error, "a notice was not sent; it is tried again");
        }
        let tries = self.tried.get(&row.id).map_or(1, |(tries, _)| tries.saturating_add(1));
        let age_ms = self.clock.unix_ms().saturating_sub(row.since_ms);
        let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
        if age >= self.settings.give_up_after && tries >= LEAST_TRIES {
            self.give_up(row, error).await?;
            return Ok(true);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(10));
        let pause = pause.min(LONGEST_PAUSE);
        let pause = error.again().map_or(pause, |asked| asked.min(LONGEST_ASKED).max(pause));
        self.tried.insert(row.id, (tries, Instant::now() + pause));
        Ok(false)
    }

    /// Recorded before it is forgotten.
    async fn give_up(&self, row: NoticeRow, error: &NotifyError) -> Result<(), StateError> {
        let target = self.settings.name.as_str();
        tracing::error!(target_name = target, %error, "a notice is given up");
        self.telemetry.notice_given_up(target, row.count);
        if let Ok(mut entry) = self.log.entry(Event::Alert) {
            let mut alert = Alert::new(Concern::Notice, row.count);
            alert.kinds.push(target);
            entry.alert = Some(alert);
            let notice = serde_json::from_str::<Notice>(&row.notice).ok();
            let object = notice.map(|n| format!("{} {}", n.kind.word(), n.entry));
            entry.act = Some(Act {
                name: "notice_given_up".into(),
                object: object.unwrap_or_default().as_str().into(),
                ..Act::default()
            });
            if let Err(error) = self.log.append(entry).await {
                // It waits on: what is given up unrecorded is lost to everybody.
                tracing::error!(%error, "a notice that is given up is not recorded");
                return Ok(());
            }
        }
        self.store.notice_done(row).await
    }
}
