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
        let wait = if gate.tidy_commands().await { LOOK_EVERY } else { PAUSE };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
