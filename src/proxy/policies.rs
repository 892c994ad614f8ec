//! The policy in force, and the candidate that may decide beside it: read by every request once,
//! replaced in one step by whoever loads a new one.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use crate::policy::Program;

/// The policies. A request keeps the program that it began with.
#[derive(Debug)]
pub struct Policies {
    live: ArcSwap<Program>,
    candidate: ArcSwapOption<Program>,
    waiting: ArcSwapOption<Waiting>,
    changes: watch::Sender<()>,
}

/// A policy that makes something wider and waits for two persons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its version.
    pub version: String,
    /// What becomes wider, each in words; never empty.
    pub wider: Vec<String>,
}

impl Waiting {
    /// The first of it, and how much more there is.
    #[must_use]
    pub fn in_short(&self) -> String {
        let first = self.wider.first().map_or("", String::as_str);
        match self.wider.len().saturating_sub(1) {
            0 => first.to_owned(),
            more => format!("{more} more beside: {first}"),
        }
    }
}

impl Policies {
    /// Begins with this program.
    #[must_use]
    pub fn new(program: Arc<Program>) -> Self {
        let (live, candidate) = (ArcSwap::new(program), ArcSwapOption::empty());
        let (waiting, changes) = (ArcSwapOption::empty(), watch::Sender::new(()));
        Self { live, candidate, waiting, changes }
    }

    /// The program that decides new requests.
    #[must_use]
    pub fn live(&self) -> Arc<Program> {
        self.live.load_full()
    }

    /// Tells when another program decides.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Lets another program decide from the next request on, and has open streams judged anew.
    pub fn replace(&self, program: Arc<Program>) {
        self.live.store(program);
        self.changes.send_replace(());
    }

    /// The policy of the files, if it waits for two persons.
    #[must_use]
    pub fn waiting(&self) -> Option<Arc<Waiting>> {
        self.waiting.load_full()
    }

    /// Says which one waits, or that none does.
    pub fn set_waiting(&self, waiting: Option<Waiting>) {
        self.waiting.store(waiting.map(Arc::new));
    }

    /// The candidate, if there is one. What it says of a request changes nothing.
    #[must_use]
    pub fn candidate(&self) -> Option<Arc<Program>> {
        self.candidate.load_full()
    }

    /// Lets another candidate decide beside the live policy.
    pub fn replace_candidate(&self, program: Arc<Program>) {
        self.candidate.store(Some(program));
    }
}
