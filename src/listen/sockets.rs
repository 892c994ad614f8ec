//! Sockets that were bound before the gate began, by whoever starts it: systemd, for one.
//!
//! They stay open while one gate ends and the next begins, so that whoever connects meanwhile waits and is not refused.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Bound sockets that nobody serves yet.
#[derive(Debug, Default)]
pub struct Sockets(Vec<std::net::TcpListener>);

impl Sockets {
    /// Those that the environment names (`LISTEN_FDS`, `LISTEN_PID`), as systemd does. Call it before there are threads.
    ///
    /// # Errors
    /// One of them listens to nothing that the gate can serve.
    pub fn handed_over() -> io::Result<Self> {
        let mut handed = listenfd::ListenFd::from_env();
        let mut sockets = Vec::new();
        for at in 0..handed.len() {
            sockets.extend(handed.take_tcp_listener(at)?);
        }
        Ok(Self(sockets))
    }

    /// The socket of this address, if it was handed over; else it is bound.
    ///
    /// # Errors
    /// What the system said.
    pub async fn bind(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        let is_it =
            |socket: &std::net::TcpListener| socket.local_addr().is_ok_and(|own| own == address);
        let Some(at) = self.0.iter().position(is_it) else {
            return TcpListener::bind(address).await.map_err(|error| self.explained(error));
        };
        let socket = self.0.remove(at);
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    }

    /// An address that is in use may be that of a socket that was handed over by another spelling.
    fn explained(&self, error: io::Error) -> io::Error {
        let others: Vec<_> = self.left_over().iter().map(SocketAddr::to_string).collect();
        if error.kind() != io::ErrorKind::AddrInUse || others.is_empty() {
            return error;
        }
        let others = others.join(", ");
        io::Error::new(
            error.kind(),
            format!("{error}; handed over was {others}, which must be the address to the letter"),
        )
    }

    /// The addresses of those that no part of the gate asked for.
    #[must_use]
    pub fn left_over(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}
