//! Where the addresses of an upstream are by now: names are looked up again by time, and what was known
//! last stays while that fails.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::connect::{Socket, Target};
use super::settings::Address;

/// The most endpoints of one name.
const MOST: usize = 32;

/// Looks a name up.
pub(super) type Lookup = Arc<dyn Fn(&str, u16) -> Looking + Send + Sync>;
type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// What the system's resolver says.
pub(super) fn by_system() -> Lookup {
    Arc::new(|host, port| {
        let host = host.to_owned();
        Box::pin(async move {
            tokio::net::lookup_host((host.as_str(), port)).await.map(Iterator::collect)
        })
    })
}

/// Where a target is. Sorted, so that the same answer in another order is the same.
pub(super) async fn sockets(
    target: &Target,
    lookup: &Lookup,
    limit: Duration,
) -> io::Result<Vec<Socket>> {
    if let Some(socket) = target.socket() {
        return Ok(vec![socket]);
    }
    let Address::Host { host, port } = &target.address else { return Ok(Vec::new()) };
    let found = timeout(limit, lookup(host, *port)).await;
    let found = found.unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into()))?;
    let mut sockets: Vec<Socket> = found.into_iter().map(Socket::Tcp).collect();
    sockets.sort();
    sockets.dedup();
    sockets.truncate(MOST);
    if sockets.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(sockets) }
}
