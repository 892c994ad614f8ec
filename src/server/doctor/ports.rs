//! Ports: whether each can be bound, or the gate has it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::super::bound::all_listeners;
use super::Finding;
use crate::audit::is_written;
use crate::config::Config;

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let runs = is_written(&config.log);
    let listeners = all_listeners(config).map(|one| one.socket.address);
    let others = config.metrics.map(|metrics| metrics.address);
    let redirect = config.redirect.as_ref().map(|redirect| redirect.address);
    listeners.chain(others).chain(redirect).map(|address| port(address, runs)).collect()
}

fn port(address: SocketAddr, runs: bool) -> Finding {
    let about = format!("port {address}");
    let Err(error) = TcpListener::bind(address) else {
        return Finding::good(
            about,
            if runs { "free, and a gate runs without it" } else { "free" },
        );
    };
    let kind = error.kind();
    if kind == ErrorKind::AddrInUse && runs {
        return Finding::good(about, "in use, and a gate runs");
    }
    if kind == ErrorKind::AddrInUse {
        let said = "in use, and no gate runs: by systemd for the gate, or by another program (`ss -ltnp` names it)";
        return Finding::warning(about, said);
    }
    let said = match kind == ErrorKind::PermissionDenied {
        true => {
            "this user may not bind it: ports below 1024 take CAP_NET_BIND_SERVICE, which the unit gives"
        }
        false if kind == ErrorKind::AddrNotAvailable => {
            "no interface of this machine has the address"
        }
        false => return Finding::bad(about, error.to_string()),
    };
    Finding::bad(about, said)
}
