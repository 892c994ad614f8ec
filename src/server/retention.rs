//! Looks after the end of the log's entries, once an hour.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::audit::{Class, Day, Hold, Log, Period, Periods, TenantPeriods};
use crate::command::Errand;
use crate::policy::{KEPT, LOG_PURGE, Program, Retention};
use crate::proxy::Policies;
use crate::state::{HoldRow, StateError, Store};
use crate::telemetry::Telemetry;

const EVERY: Duration = Duration::from_secs(3600);

/// What looks after it.
pub(super) struct Keeper {
    pub(super) log: Log,
    pub(super) store: Store,
    pub(super) policies: Arc<Policies>,
    pub(super) telemetry: Arc<Telemetry>,
}

impl Keeper {
    /// Goes on until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            self.round().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn round(&self) {
        let live = self.policies.live();
        let Some(periods) = periods(&live) else { return };
        let takes_two = live.two_person().iter().any(|word| word == LOG_PURGE);
        let holds = match holds(&self.store, takes_two).await {
            Ok(Some(holds)) => holds,
            Err(error) => {
                tracing::error!(%error, "legal holds cannot be read, so nothing of the log is destroyed");
                return;
            }
            Ok(None) => {
                tracing::error!(
                    "a legal hold cannot be understood, so nothing of the log is destroyed"
                );
                return;
            }
        };
        let log = self.log.clone();
        let tended =
            tokio::task::spawn_blocking(move || log.tend_retention(&periods, &holds)).await;
        match tended {
            Ok(Ok(tended)) => {
                if tended.announced + tended.destroyed > 0 {
                    tracing::info!(?tended, "entries of the log reach the end of their time");
                }
                self.telemetry.retention(tended.waiting, tended.held);
            }
            Ok(Err(error)) => tracing::error!(%error, "entries of the log could not be destroyed"),
            Err(error) => tracing::error!(%error, "the log's retention ended by a panic"),
        }
    }
}

/// What the log is told of a policy's retention; `None` if nothing of it is destroyed.
#[must_use]
pub fn periods(program: &Program) -> Option<Periods> {
    let platform = program.retention()?;
    let own = program.tenant_retention().iter();
    Some(Periods {
        staff_access: period(platform, "staff_access"),
        customer_usage: period(platform, "customer_usage"),
        customer_identity: period(platform, "customer_identity"),
        security: period(platform, "security"),
        ledger: period(platform, "ledger"),
        tenants: own.map(|(name, own)| (name.to_string(), of_tenant(own))).collect(),
    })
}

fn of_tenant(own: &Retention) -> TenantPeriods {
    TenantPeriods {
        staff_access: period(own, "staff_access"),
        customer_usage: period(own, "customer_usage"),
        customer_identity: period(own, "customer_identity"),
    }
}

fn period(retention: &Retention, class: &str) -> Period {
    let bounds = KEPT.iter().find(|kept| kept.class == class).map(|kept| kept.bounds);
    // A class that nobody knows is kept for ever.
    let least = bounds.map_or(u32::MAX, |(least, _)| least);
    Period { least, months: retention.months(class) }
}

/// The tenants whose entries are kept for times of their own.
pub(super) fn tenants(program: &Program) -> Vec<String> {
    program.tenant_retention().keys().map(ToString::to_string).collect()
}

/// What keeps entries of the log: legal holds, and that nobody agreed yet where the end takes two persons. `None` if one
/// cannot be understood.
///
/// # Errors
/// Any [`StateError`] of a read.
pub async fn holds(store: &Store, takes_two: bool) -> Result<Option<Vec<Hold>>, StateError> {
    let rows = store.holds().await?;
    let Some(mut holds) = rows.iter().map(hold).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    if takes_two {
        let agreed = store.last_agreed(Errand::LogPurge.verb()).await?;
        // What does not read is no day to which anybody agreed.
        holds.push(Hold::until_agreed(agreed.and_then(|day| day.parse().ok())));
    }
    Ok(Some(holds))
}

/// What the log is told of a hold; `None` if it cannot be understood.
fn hold(row: &HoldRow) -> Option<Hold> {
    let class = match row.class.as_str() {
        "" => None,
        word => Some(Class::ALL.iter().copied().find(|class| class.word() == word)?),
    };
    let day = |text: &str| text.parse::<Day>().ok();
    Some(Hold { id: row.id, class, from: day(&row.from_day)?, to: day(&row.to_day)? })
}
