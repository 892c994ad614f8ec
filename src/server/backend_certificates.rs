//! The certificates for the backends of a running gate, as those of the listeners: recorded, and only then used.

use std::sync::Arc;

use super::certificates::record;
use crate::audit::Log;
use crate::upstream::{OpenError, Upstreams};

/// Looks at the files of every upstream; what cannot be used leaves the old ones in place.
pub(super) async fn look(upstreams: &Arc<Upstreams>, log: &Log) {
    for name in upstreams.secured() {
        let (reads, of) = (Arc::clone(upstreams), name.clone());
        let read = tokio::task::spawn_blocking(move || reads.look_at_certificates(&of)).await;
        let fresh = match read {
            Ok(Ok(Some(fresh))) => fresh,
            Ok(Ok(None)) => continue,
            // Told each time, as with listeners: a file that is missing for good is an operator's fault.
            Ok(Err(error)) => {
                tracing::error!(upstream = %name, %error, "files cannot be read; the old ones stay");
                continue;
            }
            Err(error) => {
                tracing::error!(upstream = %name, %error, "files could not be looked at");
                continue;
            }
        };
        let is_recorded = tell(&name, fresh.fault(), log).await;
        // Those that are not recorded are looked at again.
        if is_recorded {
            upstreams.take_certificates(&name, fresh);
        }
    }
}

async fn tell(name: &str, fault: Option<&OpenError>, log: &Log) -> bool {
    let act = match fault {
        None => "certificates_loaded",
        Some(error) => {
            tracing::error!(%error, "new certificates are refused; the old ones stay");
            "certificates_refused"
        }
    };
    match record(log, act, &format!("upstream {name}"), fault.is_none()).await {
        Ok(()) => {
            tracing::info!(upstream = %name, act, "certificates");
            true
        }
        Err(error) => {
            tracing::error!(upstream = %name, %error, "new certificates could not be recorded; the old ones stay");
            fault.is_some()
        }
    }
}
