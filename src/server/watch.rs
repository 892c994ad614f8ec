//! Notices that a policy folder may have changed. It says "look", never what changed: events are lost,
//! merged and repeated by every system, so that only the files themselves can tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify_debouncer_full::notify::event::{AccessKind, AccessMode};
use notify_debouncer_full::notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{
    DebounceEventResult, DebouncedEvent, Debouncer, NoCache, new_debouncer_opt,
};
use tokio::sync::Notify;

/// An editor's burst of events is one change.
const QUIET: Duration = Duration::from_millis(200);
/// How often to look in any case: network drives tell nothing, and a link may change further up.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A watched folder.
pub(super) struct Watch {
    folder: PathBuf,
    /// Where the folder really was when it was last looked up.
    watched: Option<PathBuf>,
    events: Option<Debouncer<RecommendedWatcher, NoCache>>,
    changed: Arc<Notify>,
}

impl Watch {
    /// Watches the folder, and the one it stands in: a link to another folder may take its place.
    pub(super) fn begin(folder: &Path) -> Self {
        let changed = Arc::new(Notify::new());
        let mut watch = Self { folder: folder.to_owned(), watched: None, events: None, changed };
        match watch.listen() {
            Ok(events) => watch.events = Some(events),
            Err(error) => {
                let seconds = LOOK_EVERY.as_secs();
                tracing::warn!(%error, "the policy folder is only looked at every {seconds} s");
            }
        }
        watch.follow();
        watch
    }

    fn listen(&self) -> notify::Result<Debouncer<RecommendedWatcher, NoCache>> {
        let (changed, folder) = (Arc::clone(&self.changed), self.folder.clone());
        let heard = move |result: DebounceEventResult| match result {
            Ok(events) if !events.iter().any(|event| may_change(event, &folder)) => {}
            // After an error nothing is certain, so look.
            Ok(_) | Err(_) => changed.notify_one(),
        };
        let options = notify::Config::default();
        let mut events = new_debouncer_opt(QUIET, None, heard, NoCache, options)?;
        events.watch(above(&self.folder), RecursiveMode::NonRecursive)?;
        Ok(events)
    }

    /// Waits until somebody should look.
    pub(super) async fn changed(&mut self) {
        tokio::select! {
            () = self.changed.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        self.follow();
    }

    /// Watches where the folder is now.
    fn follow(&mut self) {
        let now = self.folder.canonicalize().ok();
        let Some(events) = self.events.as_mut().filter(|_| now != self.watched) else { return };
        if let Some(before) = self.watched.take() {
            // It may be gone already.
            events.unwatch(before).unwrap_or_default();
        }
        let Some(now) = now else { return };
        match events.watch(&now, RecursiveMode::NonRecursive) {
            Ok(()) => self.watched = Some(now),
            Err(error) => tracing::warn!(%error, "the policy folder cannot be watched"),
        }
    }
}

/// Whether an event can mean that the policy is another one. Reading the files causes events as well.
fn may_change(event: &DebouncedEvent, folder: &Path) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        EventKind::Access(_) => return false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => {}
    }
    let concerns = |path: &PathBuf| {
        path.parent() != Some(above(folder)) || path.file_name() == folder.file_name()
    };
    event.paths.is_empty() || event.paths.iter().any(concerns)
}

/// The folder that a folder stands in.
fn above(folder: &Path) -> &Path {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}
