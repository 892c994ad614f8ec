//! Gates that share, over a network that loses, delays and repeats nothing it should not.

mod accuracy;
mod lending;
mod network;
mod paused;
mod refused;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::secret::MasterKey;

pub(super) const START: i64 = 1_800_000_000_000;

/// The way of one gate to a store: it may be cut, lose answers, or bring calls late.
pub(super) struct Wire {
    pub(super) store: Arc<dyn SharedStore>,
    pub(super) is_cut: AtomicBool,
    pub(super) loses_answers: AtomicBool,
    pub(super) is_slow: AtomicBool,
    pub(super) late: Mutex<Vec<Call>>,
}

impl Wire {
    pub(super) fn to(store: Arc<dyn SharedStore>) -> Arc<Self> {
        let (is_cut, loses_answers, is_slow) = Default::default();
        Arc::new(Self { store, is_cut, loses_answers, is_slow, late: Mutex::default() })
    }

    fn fault(&self, flag: &AtomicBool) -> Result<(), SharedStoreError> {
        if flag.load(Ordering::SeqCst) {
            return Err(SharedStoreError("the wire is cut".into()));
        }
        Ok(())
    }

    /// What was under way all the time arrives.
    pub(super) async fn arrive(&self) {
        let late = std::mem::take(&mut *lock(&self.late));
        for call in late {
            drop(self.store.settle(call).await);
        }
    }
}

impl SharedStore for Wire {
    fn beat(&self, beat: Beat) -> SharedFuture<'_, Pulse> {
        Box::pin(async move {
            self.fault(&self.is_cut)?;
            self.fault(&self.is_slow)?;
            let pulse = self.store.beat(beat).await;
            self.fault(&self.loses_answers)?;
            pulse
        })
    }

    fn settle(&self, call: Call) -> SharedFuture<'_, Reply> {
        Box::pin(async move {
            self.fault(&self.is_cut)?;
            if self.is_slow.load(Ordering::SeqCst) {
                lock(&self.late).push(call);
                return Err(SharedStoreError("too slow".into()));
            }
            let reply = self.store.settle(call).await;
            self.fault(&self.loses_answers)?;
            reply
        })
    }

    fn leave(&self, run: Arc<str>) -> SharedFuture<'_, ()> {
        self.store.leave(run)
    }
}

/// One gate with its own memory of what it released, which outlives it.
pub(super) struct Gate {
    pub(super) name: String,
    pub(super) shared: Arc<Shared>,
    pub(super) wire: Arc<Wire>,
    pub(super) clock: Clock,
    pub(super) counts: Counts,
    pub(super) span: Span,
    pub(super) limit: u64,
    pub(super) released: Vec<(i64, u64)>,
    /// How far its clock runs ahead.
    pub(super) ahead_ms: i64,
    gates: Option<u64>,
    runs: u32,
}

impl Gate {
    pub(super) fn new(
        name: &str,
        store: &Arc<dyn SharedStore>,
        clock: &Clock,
        (counts, seconds, limit): (Counts, u32, u64),
        gates: Option<u64>,
    ) -> Self {
        let wire = Wire::to(Arc::clone(store));
        let (span, shared) = (Span::of(seconds), share(name, &wire, clock, gates, 0));
        let (name, clock, released) = (name.to_owned(), clock.clone(), Vec::new());
        let ahead_ms = 0;
        Self { name, shared, wire, clock, counts, span, limit, released, ahead_ms, gates, runs: 0 }
    }

    /// Ends it as a crash does.
    pub(super) fn restart(&mut self) {
        self.runs += 1;
        self.shared = share(&self.name, &self.wire, &self.clock, self.gates, self.runs);
    }

    pub(super) async fn round(&self) {
        let now = self.clock.unix_ms();
        let past = self.released.iter().filter(|(at, _)| now - at <= self.span.window_ms);
        let past = past.map(|(at, what)| (*what, now - at)).collect();
        let (owner, counts, span) = (vec![b"ann".to_vec()], self.counts, self.span);
        self.shared.round(|| vec![Released { owner, counts, span, past }]).await;
    }

    pub(super) async fn seat(&self) -> SharedSeat {
        let cell = self.shared.cell(&[b"ann"], self.counts, self.span).unwrap();
        let part = Part { cell, limit: self.limit, when_lost: WhenLost::Local };
        self.shared.seat(vec![part]).await
    }

    pub(super) fn want(&self, what: u64) -> Want {
        match self.counts {
            Counts::Amounts => Want::Amount(what),
            Counts::Subjects => Want::Subject(what),
        }
    }

    /// Asks for something and releases it if it may.
    pub(super) async fn release(&mut self, what: u64) -> bool {
        let seat = self.seat().await;
        let want = self.want(what);
        let Ok(receipt) = seat.take_waiting(|_| Some(want)).await else { return false };
        seat.keep(receipt);
        self.book(&seat, &[what])
    }

    /// Releases what a seat holds, if it is not too late.
    pub(super) fn book(&mut self, seat: &SharedSeat, what: &[u64]) -> bool {
        let now = self.clock.unix_ms();
        if seat.book().is_err() {
            return false;
        }
        self.released.extend(what.iter().map(|what| (now, *what)));
        true
    }
}

fn share(name: &str, wire: &Arc<Wire>, clock: &Clock, gates: Option<u64>, run: u32) -> Arc<Shared> {
    let settings = SharedSettings {
        node: name.into(),
        gates,
        patience: Duration::ZERO,
        ..SharedSettings::default()
    };
    let names = MasterKey::from_bytes([7; 32]).tagger("test").unwrap();
    Shared::new(Arc::clone(wire) as Arc<dyn SharedStore>, clock, settings, names, &run.to_string())
}

/// The most that ever counted in one window, over all gates.
pub(super) fn most(gates: &[Gate]) -> u64 {
    let Some(first) = gates.first() else { return 0 };
    let released = |gate: &Gate| {
        let ahead_ms = gate.ahead_ms;
        let truly = gate.released.iter().map(move |(at, what)| (at - ahead_ms, *what));
        Vec::from_iter(truly)
    };
    let mut all = Vec::from_iter(gates.iter().flat_map(released));
    all.sort_unstable();
    let (mut most, mut oldest) = (0, 0);
    for newest in 0..all.len() {
        while all[newest].0 - all[oldest].0 >= first.span.window_ms {
            oldest += 1;
        }
        let within = all[oldest..=newest].iter().map(|(_, what)| *what);
        most = most.max(match first.counts {
            Counts::Amounts => within.sum(),
            Counts::Subjects => within.collect::<std::collections::HashSet<_>>().len() as u64,
        });
    }
    most
}

pub(super) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}
