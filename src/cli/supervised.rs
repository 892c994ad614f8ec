//! What systemd is told of the gate, if it asked to be: ready, alive, stopping.

use std::convert::Infallible;

use sd_notify::NotifyState;

/// Tells it; where nobody asked, nobody is told.
pub(super) fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told how the gate is");
    }
}

/// Says that the gate is alive, twice in the time in which systemd wants to hear it; only as long as the runtime gets on.
pub(super) async fn watched() -> Infallible {
    let Some(within) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut beat = tokio::time::interval(within / 2);
    loop {
        beat.tick().await;
        tell(NotifyState::Watchdog);
    }
}
