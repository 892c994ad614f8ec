//! What the log says to somebody who asks: a customer, a supervisor, whoever reviews it each month.
//!
//! Pure: requests of the log in, reports out. Who may read them and that it is recorded is not decided here.

mod monthly;
mod page;
mod partner;
mod person;
mod subject;
mod trace;
mod views;
mod words;

pub use monthly::Monthly;
pub use page::page;
pub use partner::{FileGiven, Given, Ledger};
pub use person::{Habits, Person};
pub use subject::{How, Look, Post, looks};
pub use trace::{AtOnce, Received, Trace};
pub use views::{cef, cef_unreadable, ocsf, ocsf_unreadable};
pub use words::{LANGUAGES, Words};

use crate::audit::{Access, Effect};

/// When somebody did something, as their house counts the day.
pub trait Hours {
    /// A moment as people there write it.
    fn shown(&self, ms: i64) -> String;
    /// Whether it is outside the house's working hours.
    fn is_off(&self, ms: i64) -> bool;
}

/// Whether data may have been given.
fn is_allowed(access: &Access) -> bool {
    access.entry.decision.as_ref().is_some_and(|decision| decision.effect == Effect::Allow)
}

/// Why a request that was allowed did not end as it should: refused after all, cut, or failed behind the gate.
fn failed_after(access: &Access) -> Option<String> {
    use crate::audit::Ending;
    let result = access.told().result.as_ref()?;
    let ended = result.ended.filter(|ended| *ended != Ending::Complete);
    let status = result.status.filter(|status| *status >= 400);
    let cause = Some(result.cause.to_string()).filter(|cause| !cause.is_empty());
    let said = ended.map(|ended| ended.to_string()).or(status.map(|status| status.to_string()))?;
    Some(cause.map_or(said.clone(), |cause| format!("{said}: {cause}")))
}

/// Whether anything was given, or nobody knows.
fn is_disclosed(access: &Access) -> bool {
    use crate::audit::Ending;
    let refused = access.told().result.as_ref().is_some_and(|r| r.ended == Some(Ending::Refused));
    is_allowed(access) && !refused
}
