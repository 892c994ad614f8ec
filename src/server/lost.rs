//! A gate without a log, whose backups tell of one with its name: its disk is lost. Begun anew it would know of nobody who was
//! suspended, of nothing that was switched off and of no budget, and its backups of nothing would be the newest.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::StartError;
use crate::backup::{Found, PlaceSettings};
use crate::clock::Clock;
use crate::config::Config;

/// How long a place may take to say what it has. A start does not wait for one that hangs.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// Looks into the places of backups, where there is no log yet.
///
/// # Errors
/// [`StartError::Lost`] names a backup of this gate. What cannot be looked into is told, and hinders no start.
pub(super) async fn check(config: &Config, clock: &Clock) -> Result<(), StartError> {
    let Some(settings) = config.backup.as_ref().filter(|_| is_empty(&config.log)) else {
        return Ok(());
    };
    let prefix = format!("{}-", config.node);
    // Another gate's name may begin like this one's.
    let is_own = |one: &Found| one.name.strip_prefix(&prefix).is_some_and(|at| !at.contains('-'));
    for place in &settings.places {
        if let Some(newest) = found(place, clock).await.into_iter().rfind(is_own) {
            let (node, place) = (config.node.clone(), place.name.clone());
            return Err(StartError::Lost { node, place, backup: newest.name });
        }
    }
    Ok(())
}

/// What a place has, the oldest first.
async fn found(place: &PlaceSettings, clock: &Clock) -> Vec<Found> {
    let (look, clock, runtime) = (place.place.clone(), clock.clone(), Handle::current());
    let look = tokio::task::spawn_blocking(move || look.found(&clock, &runtime));
    match timeout(LOOK_WITHIN, look).await {
        Ok(Ok(Ok(found))) => return found,
        Ok(Ok(Err(error))) => {
            tracing::error!(%error, "a place of backups cannot be looked into");
        }
        Ok(Err(_)) | Err(_) => {
            tracing::error!(place = place.name, "a place of backups does not answer");
        }
    }
    Vec::new()
}

/// Whether nothing is there; a folder that cannot be read is told by whoever opens it.
fn is_empty(folder: &Path) -> bool {
    match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
