//! What of another configuration holds while the gate runs; the rest waits for a restart. `change.rs` says the same by keys.

use super::{Admin, Config, Listener, told_apart};
use crate::acme::file_of;
use crate::listen::RedirectSettings;
use crate::scan::{self, Way};
use crate::ship::{self, To};
use crate::{identity, limits, listen};

impl Config {
    /// What of `next` holds in a gate that was started with `started` and has `before` in force: what that cannot take up any
    /// more is as it was.
    pub(crate) fn running(next: Self, before: &Self, started: &Self) -> Self {
        let Self {
            // Something is open that cannot be another one, or the process has given up the right to it.
            node: _,
            state: _,
            log: _,
            index: _,
            key: _,
            log_key: _,
            checkpoint_copies: _,
            backup: _,
            policies: _,
            policies_watch: _,
            config_watch: _,
            shadow: _,
            metrics: _,
            traces: _,
            shared: _,
            confine: _,
            confine_calls: _,
            // Each of these is taken up, as far as it goes.
            file,
            text,
            notify,
            ship,
            witnesses,
            admin,
            listeners,
            acme,
            redirect,
            upstreams,
            vouching,
            assertions,
            scanners,
            identity,
            case_issuers,
            limits,
            addresses,
            proxy,
            caps,
            drain,
        } = next;
        Self {
            file,
            text,
            notify,
            ship: places(ship, before, started),
            witnesses,
            admin: admin_of(admin, before, started),
            listeners: same_ports(listeners, before, started),
            acme,
            redirect: redirect_of(redirect, before),
            upstreams,
            vouching,
            assertions,
            scanners: programs(scanners, before, started),
            identity: identity::Settings {
                token_cache: started.identity.token_cache,
                hashes_at_once: started.identity.hashes_at_once,
                hashes_waiting: started.identity.hashes_waiting,
                hash_patience_s: started.identity.hash_patience_s,
                ..identity
            },
            case_issuers,
            limits: limits::Settings {
                in_flight: limits.in_flight,
                in_flight_each: limits.in_flight_each,
                ..started.limits.clone()
            },
            addresses,
            proxy,
            caps,
            drain,
            ..started.clone()
        }
    }
}

/// The listeners that are open, in their order: ports are bound once.
fn same_ports(next: Vec<Listener>, before: &Config, started: &Config) -> Vec<Listener> {
    let names = |all: &[Listener]| {
        let addresses = all.iter().map(|one| one.socket.address.to_string());
        told_apart(&addresses.collect::<Vec<_>>())
    };
    let (old, new) = (names(&before.listeners), names(&next));
    let open = old.iter().zip(&before.listeners).map(|(name, before)| {
        let same = new.iter().zip(&next).find(|(other, _)| *other == name);
        same.map_or_else(|| before.clone(), |(_, next)| at_home(next.clone(), before, started))
    });
    open.collect()
}

/// The listener at the address that it has, and what it ordered below the state that the gate was started with.
fn at_home(next: Listener, before: &Listener, started: &Config) -> Listener {
    let Listener { socket, mut tls } = next;
    if !tls.acme.is_empty() {
        tls.certificate = file_of(&started.state, &tls.acme);
        tls.key = tls.certificate.clone();
    }
    Listener { socket: listen::Settings { address: before.socket.address, ..socket }, tls }
}

fn admin_of(next: Option<Admin>, before: &Config, started: &Config) -> Option<Admin> {
    let before = before.admin.as_ref()?;
    let next = next.map(|Admin { listener, settings }| Admin {
        listener: at_home(listener, &before.listener, started),
        settings,
    });
    next.or_else(|| Some(before.clone()))
}

fn redirect_of(next: Option<RedirectSettings>, before: &Config) -> Option<RedirectSettings> {
    let before = before.redirect.as_ref()?;
    let next = next.map(|next| RedirectSettings { address: before.address, ..next });
    next.or_else(|| Some(before.clone()))
}

/// Where the log is carried: what is written to on this machine only with the right to it, which a start gives.
fn places(next: Vec<ship::Settings>, before: &Config, started: &Config) -> Vec<ship::Settings> {
    let needs_right = |one: &ship::Settings| matches!(one.to, To::File(_));
    kept(
        next,
        (&before.ship, &started.ship),
        |one| &one.name,
        |one, old| !needs_right(one) || old.is_some_and(|old| old.to == one.to),
    )
}

fn programs(next: Vec<scan::Settings>, before: &Config, started: &Config) -> Vec<scan::Settings> {
    let command = |one: &scan::Settings| match &one.way {
        Way::Command(command) => Some((command.program.clone(), command.arguments.clone())),
        Way::Icap(_) => None,
    };
    kept(
        next,
        (&before.scanners, &started.scanners),
        |one| &one.name,
        |one, old| command(one).is_none() || old.is_some_and(|old| command(old) == command(one)),
    )
}

/// Each that `may` go on, beside the one of its name with which the gate was started. Another stays as it was before, or waits
/// for the restart.
fn kept<S: Clone>(
    next: Vec<S>,
    (before, started): (&[S], &[S]),
    name: impl Fn(&S) -> &String,
    may: impl Fn(&S, Option<&S>) -> bool,
) -> Vec<S> {
    let of = |all: &[S], one: &S| all.iter().find(|other| name(other) == name(one)).cloned();
    let keep = |one: S| match may(&one, of(started, &one).as_ref()) {
        true => Some(one),
        false => of(before, &one),
    };
    next.into_iter().filter_map(keep).collect()
}
