//! What goes on beside requests: names are looked up again, and endpoints asked whether they are well.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::endpoint::Endpoint;
use super::group::Group;
use super::settings::Health;

/// Begins both for one upstream, until told to stop.
pub(super) fn begin(group: &Arc<Group>, tasks: &TaskTracker) {
    let stop = &group.stop;
    if group.has_names() {
        let (group, stop) = (Arc::clone(group), stop.clone());
        tasks.spawn(async move { stop.run_until_cancelled(follow_names(&group)).await });
    }
    if let Some(health) = &group.settings.health {
        let (group, health, stop) = (Arc::clone(group), Arc::new(health.clone()), stop.clone());
        let checks = tasks.clone();
        tasks.spawn(async move {
            stop.clone().run_until_cancelled(ask_often(&group, &health, &checks, &stop)).await
        });
    }
}

async fn follow_names(group: &Group) {
    loop {
        group.resolve().await;
        tokio::time::sleep(group.settings.resolve_every).await;
    }
}

async fn ask_often(
    group: &Arc<Group>,
    health: &Arc<Health>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    loop {
        for endpoint in group.endpoints().iter() {
            let (group, endpoint) = (Arc::clone(group), Arc::clone(endpoint));
            let (health, stop) = (Arc::clone(health), stop.clone());
            tasks.spawn(
                async move { stop.run_until_cancelled(ask(&group, &endpoint, &health)).await },
            );
        }
        tokio::time::sleep(health.every).await;
    }
}

async fn ask(group: &Group, endpoint: &Endpoint, health: &Health) {
    let fault = endpoint.check(health).await.err().map(|unwell| unwell.to_string());
    let mut standing = endpoint.standing();
    let changed = standing.checked(fault.is_none(), health, Instant::now());
    let why = fault.clone().unwrap_or_default();
    if let Some(fault) = fault {
        standing.note(fault);
    }
    drop(standing);
    let (upstream, endpoint) = (&group.settings.name, &endpoint.socket);
    match changed {
        Some(true) => tracing::error!(%upstream, %endpoint, %why, "an endpoint is down"),
        Some(false) => tracing::info!(%upstream, %endpoint, "an endpoint is up again"),
        None => {}
    }
}
