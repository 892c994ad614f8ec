//! What ends whatever outlives the requests of a connection, since it is no connection of HTTP any more.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Shutdown;
use crate::limits::AddressSeat;

/// Why it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The gate stops.
    Stopping,
    /// Whoever signed for the client's certificate may not be believed any more.
    Replaced,
}

/// Kept for as long as it lasts: it has the connection's place among those of its address.
#[derive(Clone, Default)]
pub struct Ends(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stop: Shutdown,
    /// Of a client that showed a certificate.
    replaced: Option<CancellationToken>,
    _place: Option<AddressSeat>,
}

impl Ends {
    pub(super) fn new(
        stop: &Shutdown,
        replaced: Option<CancellationToken>,
        place: AddressSeat,
    ) -> Self {
        Self(Arc::new(Inner { stop: stop.clone(), replaced, _place: Some(place) }))
    }

    /// Waits until it must end. Cancel safe.
    pub async fn told(&self) -> Departure {
        let replaced = async {
            match &self.0.replaced {
                Some(replaced) => replaced.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.0.stop.finish.cancelled() => Departure::Stopping,
            () = replaced => Departure::Replaced,
        }
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ends").finish_non_exhaustive()
    }
}
