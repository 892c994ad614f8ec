//! The door of a port: who may come in, and who it is.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::forwarders::{Forwarders, introduction};
use crate::limits::{AddressLimits, AddressSeat};

/// How long to wait when the system gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Of so many failures to accept in a row one is told, so that they cannot fill a disk.
const SAID_EVERY: u32 = 600;

/// Accepts connections and counts them.
pub(super) struct Door {
    pub(super) socket: TcpListener,
    pub(super) addresses: Arc<AddressLimits>,
}

/// Somebody who came in.
pub(super) struct Visitor {
    pub(super) stream: TcpStream,
    /// Who connected.
    pub(super) peer: SocketAddr,
    /// For whom, as far as is known before any request.
    pub(super) client: SocketAddr,
    /// Whether that is one of those who may stand in front, and nobody behind it.
    pub(super) is_forwarder: bool,
    /// Who might stand in front when they came.
    pub(super) forwarders: Option<Arc<Forwarders>>,
    /// Their place among the connections.
    pub(super) place: AddressSeat,
}

impl Door {
    /// The next one who may come in; an address that connects too often is closed on without a word. `forwarders` says who may
    /// stand in front now.
    pub(super) async fn next(&self, forwarders: impl Fn() -> Option<Arc<Forwarders>>) -> Visitor {
        let mut failures = 0_u32;
        loop {
            let (stream, peer) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, mostly: wait for some to close instead of spinning.
                    if failures.is_multiple_of(SAID_EVERY) {
                        tracing::error!(%error, "cannot accept connections");
                    }
                    failures = failures.wrapping_add(1);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let forwarders = forwarders();
            let is_forwarder = forwarders.as_ref().is_some_and(|some| some.trust(peer.ip()));
            let counted = match is_forwarder {
                true => self.addresses.connect_forwarder(),
                false => self.addresses.connect(peer.ip()),
            };
            match counted {
                Ok(place) => {
                    return Visitor { stream, peer, client: peer, is_forwarder, forwarders, place };
                }
                Err(refused) => tracing::debug!(%peer, %refused, "connection refused"),
            }
        }
    }
}

impl Visitor {
    /// Hears for whom a forwarder comes, where that is told before anything else.
    ///
    /// # Errors
    /// Nobody else connects there; or the head is none; or whom it is for has too many connections.
    pub(super) async fn introduced(mut self, addresses: &AddressLimits) -> io::Result<Self> {
        if !self.forwarders.as_deref().is_some_and(Forwarders::introduce) {
            return Ok(self);
        }
        if !self.is_forwarder {
            return Err(io::Error::other("only forwarders connect here"));
        }
        let client = introduction(&mut self.stream, self.peer).await?;
        if client != self.peer {
            let place = addresses.connect(client.ip()).map_err(io::Error::other)?;
            self = Self { client, is_forwarder: false, place, ..self };
        }
        Ok(self)
    }
}
