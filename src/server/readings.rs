//! Brings into the log what was read of it beside the gate.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::audit::{Act, Event, Left, Log, Readings};

const EVERY: Duration = Duration::from_secs(1);

/// Goes on until told to stop; what is left then comes into the log at the next start.
pub(super) async fn keep(log: Log, readings: Readings, stop: CancellationToken) {
    loop {
        take_over(&log, &readings).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn take_over(log: &Log, readings: &Readings) {
    let waiting = match readings.waiting() {
        Ok(waiting) => waiting,
        Err(error) => {
            tracing::error!(%error, "what was read of the log cannot be taken over");
            return;
        }
    };
    for left in waiting {
        // A crash between the two records a reading twice, never not at all.
        if record(log, &left).await.is_none() {
            return;
        }
        if let Err(error) = readings.forget(&left) {
            tracing::error!(%error, "a reading of the log stays although it is recorded");
            return;
        }
    }
}

async fn record(log: &Log, left: &Left) -> Option<()> {
    let mut entry = log.entry(Event::Custody).ok()?;
    match left.reading.clone() {
        Some(reading) => reading.describe(&mut entry),
        None => {
            tracing::error!(file = left.file, "a record of a reading of the log does not open");
            entry.act = Some(Act {
                name: "reading_unreadable".into(),
                object: left.file.as_str().into(),
                succeeded: Some(false),
                ..Act::default()
            });
        }
    }
    log.append(entry).await.ok().map(drop)
}
