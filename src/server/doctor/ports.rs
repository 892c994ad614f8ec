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
    if kind == ErrorKind::PermissionDenied {
        // The system asks for the right before it looks who has the port.
        return match runs {
            true => Finding::good(about, "this user may not bind it, and a gate runs that may"),
            false => Finding::warning(
                about,
                "this user may not bind it here: ports below 1024 take CAP_NET_BIND_SERVICE, which the unit gives",
            ),
        };
    }
    let said = match kind == ErrorKind::AddrNotAvailable {
        true => "no interface of this machine has the address".to_owned(),
        false => error.to_string(),
    };
    Finding::bad(about, said)
}
