//! Other upstreams while the gate runs: those that are as they were go on with their connections, new ones begin, and what
//! is gone ends when its requests have.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::error::OpenError;
use super::group::Group;
use super::settings::Settings;
use super::{Groups, Upstreams, keep};

/// Upstreams that were set up and are not used yet.
pub struct NextUpstreams(Groups);

impl Upstreams {
    /// Sets up what is new or other than now: reads its certificates, connects nowhere. Blocks.
    ///
    /// # Errors
    /// [`OpenError`] for the first that cannot be set up; what there is goes on.
    pub fn prepare(&self, settings: &[Settings]) -> Result<NextUpstreams, OpenError> {
        let (now, mut next) = (self.groups.load(), HashMap::new());
        for settings in settings {
            let before = now.get(&settings.name);
            let group = match before.filter(|group| group.settings == *settings) {
                Some(same) => Arc::clone(same),
                None => Arc::new(self.begun(settings, before)?),
            };
            if next.insert(settings.name.clone(), group).is_some() {
                return Err(OpenError::Twice(settings.name.clone()));
            }
        }
        Ok(NextUpstreams(next))
    }

    fn begun(&self, settings: &Settings, before: Option<&Arc<Group>>) -> Result<Group, OpenError> {
        // Counters that went back would be read as a restart.
        let counts = before.map_or_else(Arc::default, |before| Arc::clone(&before.counts));
        let stop = self.stop.child_token();
        Group::open(settings, &self.lookup, (&self.tasks, stop), counts)
    }

    /// Uses these from the next request on. One that is under way ends where it began: connections of what is gone close
    /// when their answer has ended.
    pub fn take(&self, next: NextUpstreams) {
        let next = Arc::new(next.0);
        let before = self.groups.swap(Arc::clone(&next));
        let is_in = |groups: &Groups, group: &Arc<Group>| {
            groups.get(&group.settings.name).is_some_and(|other| Arc::ptr_eq(other, group))
        };
        if self.is_kept.load(Ordering::Acquire) {
            let new = next.values().filter(|group| !is_in(&before, group));
            new.for_each(|group| keep::begin(group, &self.tasks));
        }
        for group in before.values().filter(|group| !is_in(&next, group)) {
            group.retire();
        }
    }
}
