//! Reviews of accesses end by themselves: what nobody attested in time is switched off.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::campaign::Campaigns;

/// How often to look whether the time of one is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks until it is stopped. What is due while no gate runs is closed at the next start.
pub(super) async fn keep(campaigns: Campaigns, stop: CancellationToken) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = look.tick() => close(&campaigns).await,
        }
    }
}

async fn close(campaigns: &Campaigns) {
    match campaigns.close_due().await {
        Ok(closed) => {
            for (id, lapsed) in closed {
                tracing::warn!(
                    campaign = id,
                    lapsed,
                    "a review of accesses is over; rights that nobody attested are switched off"
                );
            }
        }
        Err(error) => tracing::error!(%error, "a review of accesses could not be closed"),
    }
}
