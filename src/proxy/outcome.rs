//! What a permitted request really disclosed, written to the log when its answer ends in any way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::body::Cut;
use super::heard::Heard;
use super::mark::Carried;
use super::rejection::{PLACE_NEEDED, REVOKED, SWITCHED, UNREAD};
use crate::audit::{self, ContentHash, Entry, Extent, Log, LogError, SubjectRef};
use crate::telemetry::Trace;

/// The word for the log where a backend was replaced under what lasts.
pub(super) const REPLACED: &str = "backend_replaced";

/// The outcome of one permitted request.
///
/// It is written exactly once: by [`Outcome::ended`], or when it is dropped on the way, which means
/// that the client left before there was an answer.
#[derive(Debug)]
pub(super) struct Outcome {
    disclosure: Disclosure,
    /// What the answer is: a look or a file, and the mark of that.
    carried: Carried,
    /// The hash of what left of a file.
    hash: Option<ContentHash>,
    started: Instant,
    written: bool,
    /// Complete once the answer has ended.
    pub(super) trace: Option<Trace>,
    /// A drain waits until every outcome is written.
    _unwritten: TaskTrackerToken,
}

/// What was disclosed so far; shared with the task that feeds a stream.
#[derive(Clone, Debug)]
pub(super) struct Disclosure {
    log: Log,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    entry: Entry,
    /// Data subjects that no longer fit the entry and are not recorded yet.
    parts: Vec<Entry>,
    /// Whose record is changed; named even if the answer shows nothing of it or never comes.
    acted_on: Option<SubjectRef>,
    /// The caller, where the policy says whose record is whose.
    own: Option<SubjectRef>,
    /// Whether that record is acted on although no case ties the caller, where the policy wants that flagged.
    unlinked: bool,
    /// Which consents the request heard.
    heard: Option<Arc<Heard>>,
    /// Why its answer was given up, of which a caller who does not read is not told.
    given_up: Option<Cut>,
}

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
    pub(super) fn begin(
        log: Log,
        entry: Entry,
        carried: Carried,
        started: Instant,
        unwritten: TaskTrackerToken,
    ) -> Self {
        let (acted_on, own, unlinked, heard, given_up) = Default::default();
        let parts = Vec::new();
        let shared = Shared { entry, parts, acted_on, own, unlinked, heard, given_up };
        let shared = Arc::new(Mutex::new(shared));
        let disclosure = Disclosure { log, shared };
        let hash = carried.is_file().then(ContentHash::default);
        let (written, trace) = (false, None);
        Self { disclosure, carried, hash, started, written, trace, _unwritten: unwritten }
    }

    pub(super) fn carried(&self) -> &Carried {
        &self.carried
    }

    /// Takes note of bytes that are handed to the connection.
    pub(super) fn leaves(&mut self, bytes: &[u8]) {
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
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
        let ending = self.disclosure.how_it_ended(ending);
        let total_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (acted_on, unlinked) = self.disclosure.acted();
        let consents = self.disclosure.heard();
        let hash = self.hash.take();
        let entry = self.disclosure.with(|entry| {
            // An entry of a change names a handful of subjects, so this one always fits.
            acted_on.map_or(Ok(()), |subject| entry.add_subject(subject)).unwrap_or_default();
            if unlinked {
                let data = entry.data.get_or_insert_default();
                data.unlinked = data.unlinked.or(Some(1));
            }
            if let Some(data) = &mut entry.data {
                self.carried.describe(data);
                if let Some(hash) = hash {
                    data.file = Some(extent(ending));
                    data.file_bytes = Some(hash.bytes());
                    data.sha256 = hash.finish().as_str().into();
                }
            }
            // Also where they withheld everything.
            if !consents.is_empty() {
                let data = entry.data.get_or_insert_default();
                data.consents = consents.iter().map(String::as_str).collect();
            }
            let limited = entry.data.as_ref().is_some_and(|data| data.held_back.is_some());
            let result = entry.result.get_or_insert_default();
            result.total_us = Some(total_us);
            result.ended = Some(recorded(ending, limited));
            if let Some(cause) = cause(ending) {
                result.cause = cause.into();
            }
            entry.clone()
        });
        if let Some(trace) = &self.trace {
            let ended = entry.result.as_ref().and_then(|result| result.ended);
            trace.know(|known| known.ended = ended.map(audit::Ending::word));
        }
        for part in self.disclosure.take_parts() {
            self.disclosure.log.append_detached(part);
        }
        self.disclosure.log.append_detached(entry);
    }
}

/// An answer that a limit ended well is a whole file; whoever was cut off has the beginning of one.
fn extent(ending: Ending) -> Extent {
    match ending {
        Ending::Complete => Extent::Complete,
        Ending::Refused | Ending::ClientLeft | Ending::Cut(_) => Extent::Cut,
    }
}

/// A word of why, where how it ended does not say it.
fn cause(ending: Ending) -> Option<&'static str> {
    match ending {
        Ending::Cut(Cut::Switched) => Some(SWITCHED),
        Ending::Cut(Cut::Replaced) => Some(REPLACED),
        Ending::Cut(Cut::Revoked) => Some(REVOKED),
        Ending::Cut(Cut::Stalled) => Some(UNREAD),
        Ending::Cut(Cut::CalledBack) => Some(PLACE_NEEDED),
        Ending::Cut(
            Cut::Guard
            | Cut::Upstream
            | Cut::Limit
            | Cut::Uncounted
            | Cut::Unrecorded
            | Cut::Withdrawn
            | Cut::Unfinished,
        )
        | Ending::Complete
        | Ending::Refused
        | Ending::ClientLeft => None,
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
        Ending::Cut(Cut::Guard | Cut::Uncounted | Cut::Unrecorded | Cut::Unfinished) => {
            audit::Ending::AbortedByFilter
        }
        Ending::Cut(Cut::Stalled | Cut::CalledBack) => audit::Ending::AbortedByClient,
        Ending::Cut(Cut::Upstream | Cut::Replaced) => audit::Ending::AbortedByUpstream,
        Ending::Cut(Cut::Withdrawn | Cut::Revoked | Cut::Switched) => {
            audit::Ending::AbortedByPolicy
        }
        Ending::Cut(Cut::Limit) => audit::Ending::Limited,
    }
}

impl Disclosure {
    /// Reads or changes the entry; never held across an await.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Entry) -> T) -> T {
        change(&mut self.shared().entry)
    }

    /// Adds a data subject that is about to be disclosed; `false` if it cannot be recorded.
    pub(super) fn add_subject(&self, subject: SubjectRef) -> bool {
        let mut shared = self.shared();
        let is_own = shared.own.as_ref() == Some(&subject);
        if shared.entry.add_subject(subject).is_err() {
            return false;
        }
        if is_own {
            shared.entry.subjects.get_or_insert_default().own = true;
        }
        if shared.entry.part_is_due() {
            let Ok(stamp) = self.log.stamp() else { return false };
            let part = shared.entry.take_part(stamp);
            shared.parts.push(part);
        }
        true
    }

    /// Records the subjects that no longer fit the entry, durably, before they are disclosed. So an
    /// export of any length needs little memory, and is no faster than its record.
    ///
    /// # Errors
    /// [`LogError`]; nothing more may be released then.
    pub(super) async fn record_parts(&self) -> Result<(), LogError> {
        // All are handed over before the first is waited for, so that they share a write.
        let waiting: Vec<_> =
            self.take_parts().into_iter().map(|part| self.log.append(part)).collect();
        for recorded in waiting {
            recorded.await?;
        }
        Ok(())
    }

    /// Notes who the caller is among the people that records are about.
    pub(super) fn is_of(&self, own: Option<SubjectRef>) {
        let mut shared = self.shared();
        shared.entry.actor.get_or_insert_default().own.clone_from(&own);
        shared.own = own;
    }

    /// Notes whose record is about to be changed.
    pub(super) fn acts_on(&self, subject: SubjectRef) {
        self.shared().acted_on = Some(subject);
    }

    /// Notes that the record that is acted on is one to which no case ties the caller.
    pub(super) fn acts_unlinked(&self) {
        self.shared().unlinked = true;
    }

    /// Has the entry tell which consents the request heard.
    pub(super) fn hears(&self, heard: Option<Arc<Heard>>) {
        self.shared().heard = heard;
    }

    /// Notes why an answer was given up that its caller does not read.
    pub(super) fn is_given_up(&self, cut: Cut) {
        self.shared().given_up = Some(cut);
    }

    /// What is known better than by whoever saw it end.
    fn how_it_ended(&self, seen: Ending) -> Ending {
        match (seen, self.shared().given_up) {
            (Ending::ClientLeft | Ending::Cut(Cut::Unfinished), Some(cut)) => Ending::Cut(cut),
            (
                Ending::Complete | Ending::Refused | Ending::ClientLeft | Ending::Cut(_),
                Some(_) | None,
            ) => seen,
        }
    }

    fn heard(&self) -> Vec<String> {
        let heard = self.shared().heard.take();
        heard.map_or_else(Vec::new, |heard| heard.words())
    }

    fn acted(&self) -> (Option<SubjectRef>, bool) {
        let mut shared = self.shared();
        (shared.acted_on.take(), shared.unlinked)
    }

    /// Forgets what was judged and will not be given: it was not disclosed.
    pub(super) fn forget(&self) {
        let mut shared = self.shared();
        shared.entry.subjects = None;
        shared.entry.data = None;
        shared.parts.clear();
    }

    fn take_parts(&self) -> Vec<Entry> {
        std::mem::take(&mut self.shared().parts)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
