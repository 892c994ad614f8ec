//! A gate on a state that was restored from a backup: it starts once somebody has answered for what was done since, and
//! takes budgets as used up that may have been used since.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{StartError, memory};
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::Identity;
use crate::limits::Limits;
use crate::secret::MasterKey;
use crate::state::{RestoreRow, StateError, Store};

/// How often to look whether somebody let budgets go on.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Opens the state, unless it was restored and nobody has answered for what was done since the backup.
///
/// # Errors
/// [`StartError::Restored`], or what the state says.
pub(super) async fn open_settled(
    config: &Config,
    master: &MasterKey,
    clock: &Clock,
) -> Result<Store, StartError> {
    let store = Store::open(&config.state, master, clock.clone())?;
    let rows = store.restores().await?;
    match rows.into_iter().rfind(|row| row.settled_ms.is_none()) {
        Some(RestoreRow { backup, .. }) => Err(StartError::Restored(memory::origin(&backup))),
        None => Ok(store),
    }
}

/// Has what was used or revoked since the backup count no more, and tells the limits of the time that is missing.
///
/// # Errors
/// Any [`StateError`]; no request may be admitted then.
pub(super) async fn begin(
    store: &Store,
    identity: &Identity,
    limits: &Limits,
) -> Result<(), StateError> {
    identity.begin_after_restore().await?;
    limits.unknown_until(gap_end(&store.restores().await?));
    if limits.is_any_used_up() {
        tracing::warn!(
            "budgets that may have been used since the backup are taken as used up until their windows have passed"
        );
    }
    Ok(())
}

/// When the time ended of which nobody knows what was released; the latest, and none that somebody let go.
fn gap_end(rows: &[RestoreRow]) -> Option<i64> {
    rows.iter().filter(|row| row.released_ms.is_none()).filter_map(|row| row.until_ms).max()
}

/// Hears of it when somebody lets budgets go on, as long as any may be used up.
pub(super) async fn follow(store: Store, limits: Arc<Limits>, stop: CancellationToken) {
    while limits.is_any_used_up() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        match store.restores().await {
            Ok(rows) => limits.unknown_until(gap_end(&rows)),
            Err(error) => tracing::warn!(%error, "whether budgets may go on could not be read"),
        }
    }
}
