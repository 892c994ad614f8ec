//! What a permitted request really disclosed, written to the log when its answer ends in any way.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::body::Cut;
use crate::audit::{self, Entry, Log, SubjectRef};

/// The outcome of one permitted request.
///
/// It is written exactly once: by [`Outcome::ended`], or when it is dropped on the way, which means
/// that the client left before there was an answer.
#[derive(Debug)]
pub(super) struct Outcome {
    log: Log,
    disclosure: Disclosure,
    started: Instant,
    written: bool,
}

/// What was disclosed so far; shared with the task that feeds a stream.
#[derive(Clone, Debug)]
pub(super) struct Disclosure(Arc<Mutex<Entry>>);

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client has all of it.
    Complete,
    /// Nothing of the backend's answer was given.
    Refused,
    /// The client went away.
    ClientLeft,
    /// It was cut off.
    Cut(Cut),
}

impl Outcome {
    /// Begins the outcome of the request that `entry` will describe.
    pub(super) fn begin(log: Log, entry: Entry, started: Instant) -> Self {
        let disclosure = Disclosure(Arc::new(Mutex::new(entry)));
        Self { log, disclosure, started, written: false }
    }

    pub(super) fn disclosure(&self) -> Disclosure {
        self.disclosure.clone()
    }

    /// Writes the outcome.
    pub(super) fn ended(mut self, ending: Ending) {
        self.write(ending);
    }

    fn write(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.written, true) {
            return;
        }
        let total_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let entry = self.disclosure.with(|entry| {
            let limited = entry.data.as_ref().is_some_and(|data| data.held_back.is_some());
            let result = entry.result.get_or_insert_default();
            result.total_us = Some(total_us);
            result.ended = Some(recorded(ending, limited));
            entry.clone()
        });
        self.log.append_detached(entry);
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.write(Ending::ClientLeft);
    }
}

fn recorded(ending: Ending, limited: bool) -> audit::Ending {
    match ending {
        Ending::Complete if limited => audit::Ending::Limited,
        Ending::Complete => audit::Ending::Complete,
        Ending::Refused => audit::Ending::Refused,
        Ending::ClientLeft => audit::Ending::AbortedByClient,
        Ending::Cut(Cut::Guard | Cut::Uncounted) => audit::Ending::AbortedByFilter,
        Ending::Cut(Cut::Upstream) => audit::Ending::AbortedByUpstream,
        Ending::Cut(Cut::Limit) => audit::Ending::Limited,
    }
}

impl Disclosure {
    /// Reads or changes the entry; never held across an await.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Entry) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a data subject that is about to be disclosed. Long lists leave in parts, so that an
    /// export of any length needs little memory. `false` if the log cannot take it.
    pub(super) fn add_subject(&self, log: &Log, subject: SubjectRef) -> bool {
        let part = self.with(|entry| {
            entry.add_subject(subject).ok()?;
            Some(entry.part_is_due().then(|| log.stamp().ok().map(|stamp| entry.take_part(stamp))))
        });
        match part {
            None | Some(Some(None)) => false,
            Some(None) => true,
            Some(Some(Some(part))) => {
                log.append_detached(part);
                true
            }
        }
    }
}
