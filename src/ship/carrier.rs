//! One place's way: read, deliver, move the cursor; one step at a time.

use std::time::Duration;

use tokio::time::Instant;

use super::batch::{Batch, Caps, Source};
use super::cursor::{Cursor, Mark};
use super::settings::{Settings, To};
use super::{ShipError, file, nats, s3, syslog, webhook};
use crate::clock::Clock;

/// From the first byte of a batch to its confirmation.
const DEADLINE: Duration = Duration::from_secs(120);
/// The pause after a failure; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// No peer may ask for more.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrying {
    /// Carried so many entries.
    Carried(u64),
    /// Gathers further entries for a batch.
    Gathering,
    /// Everything is there.
    Nothing,
}

/// Carries a log's entries to one place.
#[derive(Debug)]
pub struct Carrier {
    settings: Settings,
    source: Source,
    cursor: Cursor,
    clock: Clock,
    is_checked: bool,
    /// At most so many at a time, since the peer took no more.
    most: usize,
    gathering_since: Option<Instant>,
    failures: u32,
    /// When the oldest entry that is not there yet was written, in Unix milliseconds.
    waiting_since_ms: Option<i64>,
}

impl Carrier {
    /// Goes on from where the cursor stands.
    #[must_use]
    pub fn new(settings: Settings, source: Source, cursor: Cursor, clock: Clock) -> Self {
        let most = caps(&settings.to).entries;
        Self {
            settings,
            source,
            cursor,
            clock,
            is_checked: false,
            most,
            gathering_since: None,
            failures: 0,
            waiting_since_ms: None,
        }
    }

    /// Where it carries to.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The place of the entry that is sent next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.cursor.next()
    }

    /// When the oldest entry that is known not to be there yet was written, in Unix milliseconds.
    #[must_use]
    pub fn waiting_since_ms(&self) -> Option<i64> {
        self.waiting_since_ms
    }

    /// Delivers what comes next and moves the cursor.
    ///
    /// # Errors
    /// [`ShipError`]; the cursor stands where it stood, and the next step tries the same again.
    pub async fn step(&mut self) -> Result<Carrying, ShipError> {
        let done = self.try_step().await;
        match &done {
            Ok(_) => self.failures = 0,
            Err(ShipError::TooLarge(_)) => self.most = (self.most / 2).max(1),
            Err(_) => self.failures = self.failures.saturating_add(1),
        }
        done
    }

    /// How long to wait before the step that follows this failure.
    #[must_use]
    pub fn pause(&self, error: &ShipError) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(10));
        // Spread a little, so that many gates do not come back to a server all at once.
        let spread = u32::from(self.position().to_be_bytes()[7]) % 25;
        let pause = doubled.min(LONGEST_PAUSE) * (100 + spread) / 100;
        error.again().map_or(pause, |asked| asked.min(LONGEST_ASKED).max(pause))
    }

    async fn try_step(&mut self) -> Result<Carrying, ShipError> {
        if !self.is_checked {
            self.check().await?;
        }
        let batch = self.read().await?;
        let Some((_, last)) = batch.range() else {
            (self.gathering_since, self.waiting_since_ms) = (None, None);
            return Ok(Carrying::Nothing);
        };
        let oldest = batch.entries.first().and_then(|entry| entry.at_ms());
        self.waiting_since_ms = oldest.or(self.waiting_since_ms);
        let since = *self.gathering_since.get_or_insert_with(Instant::now);
        if !batch.is_full && since.elapsed() < self.settings.gather {
            return Ok(Carrying::Gathering);
        }
        let delivered = tokio::time::timeout(DEADLINE, self.deliver(&batch)).await;
        delivered.unwrap_or_else(|_elapsed| {
            Err(ShipError::Slow { peer: self.settings.name.clone(), time: DEADLINE })
        })?;
        let id = batch.entries.last().map(|entry| entry.id.clone()).unwrap_or_default();
        self.cursor.keep(Mark { next: last + 1, last: id })?;
        self.gathering_since = None;
        self.waiting_since_ms = None;
        // Slowly, since a peer that took no more may well go on so.
        let more = self.most + (self.most / 16).max(1);
        self.most = more.min(caps(&self.settings.to).entries);
        Ok(Carrying::Carried(batch.entries.len() as u64))
    }

    /// Whether the log is still the one that the cursor stands in; after a restore from a backup it is not, and all
    /// of it is carried again rather than some of it lost.
    async fn check(&mut self) -> Result<(), ShipError> {
        let Mark { next, last } = self.cursor.mark.clone();
        if let Some(before) = next.checked_sub(1)
            && !last.is_empty()
        {
            let source = self.source.clone();
            let found = blocking(move || source.id_at(before)).await?;
            if found.as_deref() != Some(last.as_str()) {
                let target = self.settings.name.as_str();
                tracing::warn!(target, "the log is not the one that was carried; it goes whole");
                self.cursor.keep(Mark::default())?;
            }
        }
        self.is_checked = true;
        Ok(())
    }

    async fn read(&self) -> Result<Batch, ShipError> {
        let caps = Caps { entries: self.most, ..caps(&self.settings.to) };
        let (source, next) = (self.source.clone(), self.cursor.next());
        let form = self.settings.form;
        blocking(move || source.read(next, caps, form)).await
    }

    async fn deliver(&self, batch: &Batch) -> Result<(), ShipError> {
        match &self.settings.to {
            To::File(path) => file::deliver(path, batch).await,
            To::Syslog(settings) => syslog::deliver(settings, batch).await,
            To::Webhook(settings) => webhook::deliver(settings, batch).await,
            To::Nats(settings) => nats::deliver(settings, batch).await,
            To::S3(settings) => s3::deliver(settings, batch, self.clock.unix_s()).await,
        }
    }
}

fn caps(to: &To) -> Caps {
    match to {
        To::S3(_) => Caps { entries: 8192, bytes: 4 * 1024 * 1024 },
        To::File(_) | To::Syslog(_) | To::Webhook(_) | To::Nats(_) => {
            Caps { entries: 512, bytes: 1024 * 1024 }
        }
    }
}

/// Runs what blocks on a thread for that.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ShipError> + Send + 'static,
) -> Result<T, ShipError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            let source = std::io::Error::other(error);
            Err(ShipError::File { path: String::from("the log"), source })
        }
    }
}
