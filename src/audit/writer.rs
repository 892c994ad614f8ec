//! The one who writes: takes what waits, makes it durable together, tells everyone.

use std::sync::Arc;

use super::batch::Batch;
use super::entry::Entry;
use super::follow::Tails;
use super::groups::{Act, Event};
use super::journal::Journal;
use super::log::{LogError, Receipt};
use super::merkle::{Frontier, leaf_hash};
use super::note::Signer;
use super::queue::Item;
use super::shared::Shared;

/// The writer's state, which lives on its own thread: a sync blocks.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Journal,
    pub(super) frontier: Frontier,
    pub(super) signer: Arc<Signer>,
}

impl Drop for Writer {
    /// However the thread ends, nobody may wait for it any longer.
    fn drop(&mut self) {
        self.shared.queue.abandon();
        self.shared.writer_stopped();
    }
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(items) = self.shared.queue.take() {
            let missed = self.shared.take_missed();
            let confession = if missed > 0 { self.confess(missed) } else { None };
            let confesses = confession.is_some();
            let is_idle = items.is_empty() && !confesses;
            if is_idle || !self.commit(items, confession) || !confesses {
                self.shared.restore_missed(missed);
            }
        }
    }

    /// The entry that says how many detached entries could not be queued.
    fn confess(&self, missed: u64) -> Option<Item> {
        let mut entry = Entry::new(Event::Custody, self.shared.stamp().ok()?);
        let name = "outcomes_missed".into();
        entry.act = Some(Act { name, count: Some(missed), ..Act::default() });
        self.shared.item(entry, None).ok()
    }

    /// Whether the items are durable. A confession that is not is made anew the next time.
    fn commit(&mut self, items: Vec<Item>, confession: Option<Item>) -> bool {
        match self.write(items.iter().chain(&confession)) {
            Ok(frontier) => {
                let first = self.frontier.size();
                self.frontier = frontier;
                // First, so that whoever hears how much is durable finds it at hand.
                hand_over(items.iter().chain(&confession), first, &self.shared.tails);
                self.shared.durable(self.frontier.size());
                acknowledge(items.into_iter().chain(confession), first);
                self.shared.tails.tell();
                true
            }
            Err(error) => {
                let error = Arc::new(error);
                self.shared.failed(&error);
                self.refuse(items, &error);
                false
            }
        }
    }

    fn write<'a>(&mut self, items: impl Iterator<Item = &'a Item>) -> std::io::Result<Frontier> {
        let first = self.frontier.size();
        let mut frontier = self.frontier.clone();
        let stored = items.flat_map(|item| item.written.iter().map(|one| one.stored.clone()));
        let entries: Vec<_> = stored.collect();
        for entry in &entries {
            frontier.push(leaf_hash(entry));
        }
        let root = frontier.root();
        let signature = self.signer.sign(&self.signer.checkpoint(frontier.size(), root));
        let batch = Batch { first, entries, root, signature }.encode();
        let batch = batch.ok_or_else(|| std::io::Error::other("a batch exceeds the format"))?;
        self.journal.append(first, &batch)?;
        Ok(frontier)
    }

    fn refuse(&self, items: Vec<Item>, error: &Arc<std::io::Error>) {
        let mut detached = Vec::new();
        for item in items {
            match item.waiting {
                // Whoever dropped the future does not want to know.
                Some(waiting) => drop(waiting.send(Err(LogError::Unavailable(Arc::clone(error))))),
                None => detached.push(item),
            }
        }
        let dropped = self.shared.queue.put_back(detached);
        self.shared.missed(dropped as u64);
    }
}

fn hand_over<'a>(items: impl Iterator<Item = &'a Item>, first: u64, tails: &Tails) {
    let mut index = first;
    for item in items {
        tails.push(index, &item.written);
        index += item.written.len() as u64;
    }
}

fn acknowledge(items: impl Iterator<Item = Item>, first: u64) {
    let mut index = first;
    for item in items {
        let receipt = Receipt { index, id: item.id };
        index += item.written.len() as u64;
        if let Some(waiting) = item.waiting {
            drop(waiting.send(Ok(receipt)));
        }
    }
}
