//! Finds out that the state can be written again, after it could not: nobody else tries, since requests that would have to be
//! counted are refused meanwhile.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::state::Store;

/// How often it is tried while the state fails.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// Tries while the state fails, one write at a time.
pub(super) async fn keep(store: Store, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TRY_EVERY) => {}
        }
        if store.is_failing()
            && let Err(error) = store.write_on_trial().await
        {
            tracing::debug!(%error, "the state still cannot be written");
        }
    }
}
