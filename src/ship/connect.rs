//! Connections to the places: TLS with pinned authorities, or plain within this machine.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::ShipError;
use super::carrier::blocking;
use super::settings::{Peer, Security};
use crate::tls::client::{ClientIdentity, client_config};

/// For one address.
const DEADLINE: Duration = Duration::from_secs(10);
/// How many addresses of a name are tried.
const MAX_ADDRESSES: usize = 4;

/// A connection of either kind.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}
/// Whatever carries bytes both ways.
pub type Stream = Box<dyn Wire>;

impl Peer {
    /// Its name in what is told of it.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What the system said of a connection to it.
    #[must_use]
    pub fn broken(&self, source: io::Error) -> ShipError {
        ShipError::Connection { peer: self.shown(), source }
    }

    /// What it said, or what is missing.
    #[must_use]
    pub fn refused(&self, said: impl Into<String>) -> ShipError {
        ShipError::Refused { peer: self.shown(), said: said.into() }
    }
}

/// Connects, and secures the connection.
pub(super) async fn connect(peer: &Peer) -> Result<Stream, ShipError> {
    let stream = dial(peer).await?;
    secure(peer, stream).await
}

/// Connects.
///
/// # Errors
/// [`ShipError`]; one is that an address without TLS is not of this machine.
pub async fn dial(peer: &Peer) -> Result<TcpStream, ShipError> {
    let found = tokio::net::lookup_host((peer.host.as_str(), peer.port)).await;
    let mut last = peer.broken(io::Error::other("the name has no address"));
    for address in found.map_err(|error| peer.broken(error))?.take(MAX_ADDRESSES) {
        if peer.security == Security::PlainOnLoopback && !address.ip().is_loopback() {
            return Err(ShipError::Exposed(peer.shown()));
        }
        match tokio::time::timeout(DEADLINE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = peer.broken(error),
            Err(_elapsed) => last = ShipError::Slow { peer: peer.shown(), time: DEADLINE },
        }
    }
    Err(last)
}

/// Speaks TLS on the connection, where that is to be.
///
/// # Errors
/// [`ShipError`] if it is not the one whose certificate is trusted.
pub async fn secure(peer: &Peer, stream: impl Wire + 'static) -> Result<Stream, ShipError> {
    let Security::Tls { server_name, .. } = &peer.security else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(server_name.clone());
    let name = name.map_err(|error| peer.broken(io::Error::other(error)))?;
    let (owned, shown) = (peer.clone(), peer.shown());
    // Read each time: what is replaced counts from the next connection on.
    let config = blocking(move || tls(&owned)).await?;
    let shaken = tokio::time::timeout(DEADLINE, TlsConnector::from(config).connect(name, stream));
    match shaken.await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(peer.broken(error)),
        Err(_elapsed) => Err(ShipError::Slow { peer: shown, time: DEADLINE }),
    }
}

/// The client's side of TLS, of the files as they are now.
fn tls(peer: &Peer) -> Result<Arc<ClientConfig>, ShipError> {
    let fault = |source| ShipError::Tls { peer: peer.shown(), source };
    match &peer.security {
        Security::PlainOnLoopback => Err(ShipError::Exposed(peer.shown())),
        Security::Tls { ca, identity, .. } => {
            let files = identity.as_ref();
            let files =
                files.map(|files| Ok::<_, ShipError>((read(&files.chain)?, read(&files.key)?)));
            let files = files.transpose()?;
            let identity = files.as_ref();
            let identity =
                identity.map(|(chain_pem, key_pem)| ClientIdentity { chain_pem, key_pem });
            let mut config = client_config(&read(ca)?, identity).map_err(fault)?;
            // Not all that is spoken here is HTTP.
            Arc::make_mut(&mut config).alpn_protocols.clear();
            Ok(config)
        }
    }
}

/// Reads the files that a peer's connections need, to see that they can be used.
///
/// # Errors
/// [`ShipError`], as a connection would give it.
pub fn check(peer: &Peer) -> Result<(), ShipError> {
    match &peer.security {
        Security::PlainOnLoopback => Ok(()),
        Security::Tls { .. } => tls(peer).map(drop),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ShipError> {
    std::fs::read(path)
        .map_err(|source| ShipError::File { path: path.display().to_string(), source })
}
