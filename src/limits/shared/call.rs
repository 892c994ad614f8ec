//! What a gate and a shared store say to one another.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A shared store's answer, on its way.
pub type SharedFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, SharedStoreError>> + Send + 'a>>;

/// The shared store could not be asked. The cause is for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the shared store failed: {0}")]
pub struct SharedStoreError(#[source] pub Box<dyn Error + Send + Sync>);

/// The store's clock and the gate's must agree to this: whichever is late or early, nothing may be lent by it.
pub const MAX_SKEW_MS: i64 = 10_000;

/// The store's clock and the gate's are too far apart, by so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its clock is {0} ms ahead of this machine's, and both must agree to {MAX_SKEW_MS} ms")]
pub struct Skewed(pub i64);

impl From<Skewed> for SharedStoreError {
    fn from(skewed: Skewed) -> Self {
        Self(Box::new(skewed))
    }
}

/// What two clocks say, of which one may be wrong: nothing is forgotten before both say that it is time, and what
/// is noted now is as young as either of them says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) early_ms: i64,
    pub(super) late_ms: i64,
}

impl Now {
    pub(super) fn of(store_ms: i64, gate_ms: i64) -> Result<Self, Skewed> {
        let ahead = store_ms.saturating_sub(gate_ms);
        if ahead.saturating_abs() > MAX_SKEW_MS {
            return Err(Skewed(ahead));
        }
        Ok(Self { early_ms: store_ms.min(gate_ms), late_ms: store_ms.max(gate_ms) })
    }
}

/// How often a window is cut: what a subject seen a moment ago may cost nothing for, and what an amount is
/// dated to.
pub(super) const PARTS: i64 = 60;
/// The shortest time for which what was lent may be spent.
const SHORTEST_LOAN_MS: i64 = 60_000;

/// A sliding window over all gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Its length in milliseconds.
    pub window_ms: i64,
}

impl Span {
    /// The span of a window of `seconds`.
    #[must_use]
    pub fn of(seconds: u32) -> Self {
        Self { window_ms: i64::from(seconds.max(1)) * 1_000 }
    }

    /// For how long what was lent may be spent.
    #[must_use]
    pub fn loan_ms(self) -> i64 {
        (self.window_ms / 2).max(SHORTEST_LOAN_MS)
    }

    /// The width of a bucket of amounts, and how long a subject may be seen again for nothing.
    #[must_use]
    pub fn part_ms(self) -> i64 {
        (self.window_ms + PARTS - 1) / PARTS
    }

    /// For how long a store counts what was lent and not heard of: it may be spent at the last moment, seen
    /// again for nothing for a part, released a part later, and counts from then.
    #[must_use]
    pub fn lent_ms(self) -> i64 {
        self.loan_ms() + self.window_ms + 2 * self.part_ms()
    }

    /// For how long a store counts a subject: it may be seen again for nothing for a part, and that
    /// may be released a part later.
    #[must_use]
    pub fn subject_ms(self) -> i64 {
        self.window_ms + 2 * self.part_ms()
    }
}

/// What an account counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counts {
    /// How much.
    Amounts,
    /// Whom, each once.
    Subjects,
}

/// What a gate says and asks about one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The account's name: nothing in it is legible.
    pub account: Arc<str>,
    /// What it counts.
    pub counts: Counts,
    /// Its window.
    pub span: Span,
    /// The highest that may count, over all gates.
    pub limit: u64,
    /// What this gate holds of what it was lent, `spent`, `paid` and `given` included. The store takes it
    /// for true when it hears from a new generation of the gate first.
    pub held: u64,
    /// How much of it was released, of an account of amounts.
    pub spent: u64,
    /// Whom it was released for, of an account of subjects; each took one.
    pub paid: Vec<u64>,
    /// Whether the budget begins anew: what was released before counts no more.
    pub reset: bool,
    /// How much of it the gate gives back.
    pub given: u64,
    /// Asks for a loan, of at least this if that is there.
    pub ask: Option<u64>,
    /// Subjects that may be counted already: those leave without a loan.
    pub claims: Vec<u64>,
    /// What was released before and the store does not know: an amount or a subject, and how many
    /// milliseconds ago.
    pub past: Vec<(u64, i64)>,
}

impl Item {
    /// An item that says and asks nothing.
    #[must_use]
    pub fn about(account: Arc<str>, counts: Counts, span: Span, limit: u64) -> Self {
        Self {
            account,
            counts,
            span,
            limit,
            held: 0,
            reset: false,
            spent: 0,
            paid: Vec::new(),
            given: 0,
            ask: None,
            claims: Vec::new(),
            past: Vec::new(),
        }
    }
}

/// One call of a gate: all that it has to say at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The life of the store that the gate knows.
    pub epoch: Arc<str>,
    /// This run of this gate.
    pub run: Arc<str>,
    /// Grows with every new connection; what is older is not heard.
    pub generation: i64,
    /// The gate's time.
    pub now_ms: i64,
    /// A loan is at most what is left divided by this, or what is asked for at least.
    pub divisor: u64,
    /// What the call is about.
    pub items: Vec<Item>,
}

/// How one account stands after a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The store began anew and does not know yet what was used: it lends nothing.
    pub closed: bool,
    /// The loan.
    pub granted: u64,
    /// What counts over all gates, all loans included.
    pub used: u64,
    /// Loans of other gates.
    pub elsewhere: u64,
    /// Whether each claim was counted already, and is now as of this moment.
    pub claims: Vec<bool>,
    /// Until the oldest of it leaves the window.
    pub relaxes_ms: i64,
}

/// What a store says to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// How each account stands, in the order of the call.
    Settled(Vec<Standing>),
    /// The store began anew since: nothing of the call was heard.
    Stranger,
    /// The clocks disagree: nothing of the call was heard.
    Skewed(Skewed),
}

/// A gate's sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The gate.
    pub node: Arc<str>,
    /// This run of it.
    pub run: Arc<str>,
    /// The gate's time.
    pub now_ms: i64,
    /// The life of the store that the gate has told everything, if it has.
    pub ready: Option<Arc<str>>,
    /// The name for a new life of the store, should it be needed.
    pub fresh: Arc<str>,
    /// Gates that this one knows, and for how many milliseconds each was quiet when it last asked.
    pub known: Vec<(Arc<str>, i64)>,
    /// How many gates there are, if the operator says so: a new life lends nothing before so many told what they
    /// used. Else it waits for those that are known, and for a while.
    pub gates: Option<u64>,
}

/// What a store says to a sign of life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The life of the store.
    pub epoch: Arc<str>,
    /// The store's time.
    pub now_ms: i64,
    /// Every gate that it has heard of, and when last.
    pub nodes: Vec<(Arc<str>, i64)>,
    /// Accounts of which somebody else needs what this gate holds.
    pub recalled: Vec<Arc<str>>,
    /// The run that this gate's name had with the last sign of life.
    pub previous: Option<Arc<str>>,
    /// Gates that have told in this life what they used.
    pub told: u64,
    /// Gates that may have used something and have not told it.
    pub waits_for: Vec<Arc<str>>,
}

/// Lends budgets to several gates. Whatever is lent counts as used until it is given back, told as
/// spent, or so old that nothing spent of it counts any more.
pub trait SharedStore: Send + Sync {
    /// Hears a sign of life; begins a new life if it remembers none.
    ///
    /// # Errors
    /// [`SharedStoreError`] if it cannot be asked.
    fn beat(&self, beat: Beat) -> SharedFuture<'_, Pulse>;

    /// Hears a call, all of it in one step.
    ///
    /// # Errors
    /// [`SharedStoreError`] if it cannot be asked; it may have heard, or hear later, all the same.
    fn settle(&self, call: Call) -> SharedFuture<'_, Reply>;

    /// Says that a gate ends well: what is lent to this run was given back before.
    ///
    /// # Errors
    /// [`SharedStoreError`] if it cannot be asked.
    fn leave(&self, run: Arc<str>) -> SharedFuture<'_, ()>;
}
