//! Looks for what was commanded beside the gate, many times a second.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::command::LOOK_EVERY;
use crate::proxy::Gate;

/// After a look that failed; requests look for themselves meanwhile, and are refused if they fail too.
const PAUSE: Duration = Duration::from_secs(1);

/// Goes on until told to stop.
pub(super) async fn keep(gate: Arc<Gate>, stop: CancellationToken) {
    loop {
        let commands = gate.tidy_commands().await;
        let (links, subjects) = (gate.look_for_links().await, gate.look_for_subjects().await);
        look_at_keys(&gate).await;
        let wait = if commands && links && subjects { LOOK_EVERY } else { PAUSE };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Reads the keys of business systems again whose file changed.
async fn look_at_keys(gate: &Arc<Gate>) {
    let (cases, now_s) = (Arc::clone(&gate.configured().cases), gate.clock.unix_s());
    if cases.is_due(now_s)
        && let Err(error) = tokio::task::spawn_blocking(move || cases.look()).await
    {
        tracing::error!(%error, "the keys of business systems could not be looked at");
    }
}
