//! Limits per address, before anybody is known and before any cryptography.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::allowance::{Limit, Rate};
use super::concurrency::{Concurrency, Full, Place};
use super::handshake::{Handshake, Handshakes};
use super::probe::Network;
use super::rate::{KeyedRate, TooFast};
use super::slice::Slice;
use crate::clock::Clock;

/// Connections of all probes at once.
const MOST_PROBES: u32 = 256;

/// What one address may do.
#[derive(Clone, Debug)]
pub struct AddressSettings {
    /// New connections per address.
    pub connections: Rate,
    /// Connections of one address at once.
    pub concurrent: u32,
    /// Connections of everybody at once.
    pub concurrent_total: u32,
    /// Attempts to sign in, or requests with credentials that did not hold, per address.
    pub attempts: Rate,
    /// Handshakes of one address that are not over, at once.
    pub handshakes: u32,
    /// How much of all processors handshakes may take, in percent; further ones wait.
    pub handshake_percent: u32,
    /// Where probes come from: they are counted apart, and neither wait nor are refused for others.
    pub probes: Vec<Network>,
    /// Addresses remembered per rate; further ones are refused until one has been quiet.
    pub addresses: usize,
}

impl Default for AddressSettings {
    fn default() -> Self {
        Self {
            connections: Rate { per_window: 600, window_s: 60, burst: 100 },
            concurrent: 128,
            concurrent_total: 8_192,
            attempts: Rate { per_window: 30, window_s: 60, burst: 10 },
            handshakes: 32,
            handshake_percent: 50,
            probes: Vec::new(),
            addresses: 65_536,
        }
    }
}

/// An address did too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{limit}` of an address is used up for {} s", wait.as_secs().max(1))]
pub struct AddressRefused {
    /// Which limit.
    pub limit: Limit,
    /// How long to wait.
    pub wait: Duration,
}

/// Counts what addresses do. An IPv6 address counts as its /64: a host can pick any in there.
#[derive(Debug)]
pub struct AddressLimits {
    connections: ArcSwap<AddressRate>,
    attempts: ArcSwap<AddressRate>,
    open: Arc<Concurrency<IpAddr>>,
    per_address: AtomicU32,
    handshakes: Arc<Handshakes>,
    probes: ArcSwap<Vec<Network>>,
    open_probes: Arc<Concurrency<IpAddr>>,
}

/// A rate, and who used how much of it.
#[derive(Debug)]
struct AddressRate {
    rate: Rate,
    used: KeyedRate<IpAddr>,
}

impl AddressRate {
    fn new(rate: Rate, settings: &AddressSettings, clock: &Clock) -> Self {
        Self { rate, used: KeyedRate::new(rate, settings.addresses, clock) }
    }

    fn shared(rate: Rate, settings: &AddressSettings, clock: &Clock) -> ArcSwap<Self> {
        ArcSwap::from_pointee(Self::new(rate, settings, clock))
    }
}

/// An open connection's place; dropping it makes room.
#[derive(Debug)]
pub struct AddressSeat {
    _place: Place<IpAddr>,
}

impl AddressLimits {
    /// Limits that nobody has used yet.
    #[must_use]
    pub fn new(settings: &AddressSettings, clock: &Clock) -> Self {
        Self {
            connections: AddressRate::shared(settings.connections, settings, clock),
            attempts: AddressRate::shared(settings.attempts, settings, clock),
            open: Concurrency::new(settings.concurrent_total),
            per_address: AtomicU32::new(settings.concurrent),
            handshakes: Handshakes::new(settings.handshakes, settings.handshake_percent, cores()),
            probes: ArcSwap::from_pointee(settings.probes.clone()),
            open_probes: Concurrency::new(MOST_PROBES),
        }
    }

    /// Holds addresses to these from now on. Connections that are open stay, and count. A rate that changes begins anew
    /// for everybody; one that does not remembers who used it.
    pub fn set(&self, settings: &AddressSettings, clock: &Clock) {
        let rates =
            [(&self.connections, settings.connections), (&self.attempts, settings.attempts)];
        for (kept, rate) in rates {
            if kept.load().rate != rate {
                kept.store(Arc::new(AddressRate::new(rate, settings, clock)));
            }
        }
        self.open.set_cap(settings.concurrent_total);
        self.per_address.store(settings.concurrent, Ordering::Relaxed);
        self.handshakes.set(settings.handshakes, settings.handshake_percent, cores());
        self.probes.store(Arc::new(settings.probes.clone()));
    }

    fn is_probe(&self, address: IpAddr) -> bool {
        self.probes.load().iter().any(|network| network.contains(address))
    }

    /// Begins a TLS handshake as soon as the share of all of them allows it; the caller limits how long it waits. `None`
    /// if the address has too many unfinished ones: close the connection without a word.
    pub async fn handshake(&self, address: IpAddr) -> Option<Handshake> {
        if self.is_probe(address) {
            return Some(self.handshakes.begin_at_once());
        }
        self.handshakes.begin(network(address)).await
    }

    /// Begins the TLS handshake of somebody who brings the requests of many.
    #[must_use]
    pub fn handshake_forwarder(&self) -> Handshake {
        self.handshakes.begin_at_once()
    }

    /// Counts a new connection of somebody who brings the requests of many: among everybody's only.
    ///
    /// # Errors
    /// [`AddressRefused`]; close the connection without a word.
    pub fn connect_forwarder(&self) -> Result<AddressSeat, AddressRefused> {
        self.open.enter(Vec::new()).map(|place| AddressSeat { _place: place }).map_err(too_many)
    }

    /// Counts a new connection, open until the seat is dropped.
    ///
    /// # Errors
    /// [`AddressRefused`]; close the connection without a word.
    pub fn connect(&self, address: IpAddr) -> Result<AddressSeat, AddressRefused> {
        let key = network(address);
        let entered = if self.is_probe(address) {
            self.open_probes.enter(Vec::new())
        } else {
            self.connections.load().used.check(&key).map_err(too_fast)?;
            self.open.enter(vec![(key, self.per_address.load(Ordering::Relaxed))])
        };
        entered.map(|place| AddressSeat { _place: place }).map_err(too_many)
    }

    /// Counts an attempt to prove who one is; ask before checking any password or token.
    ///
    /// # Errors
    /// [`AddressRefused`]; answer 429 and check nothing.
    pub fn attempt(&self, address: IpAddr) -> Result<(), AddressRefused> {
        self.attempts.load().used.check(&network(address)).map(|_| ()).map_err(too_fast)
    }

    /// How many connections there are.
    #[must_use]
    pub fn connected(&self) -> u32 {
        self.open.running().saturating_add(self.open_probes.running())
    }

    /// Forgets addresses that have been quiet; call it once a minute.
    pub fn tidy(&self) {
        self.connections.load().used.sweep();
        self.attempts.load().used.sweep();
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn too_many(full: Full) -> AddressRefused {
    let limit = match full {
        Full::Key(_) => Limit::Concurrent,
        Full::Everybody => Limit::InFlight,
    };
    AddressRefused { limit, wait: Duration::from_secs(1) }
}

fn too_fast(refused: TooFast) -> AddressRefused {
    let limit = if refused.no_room { Limit::Memory } else { Limit::Rate(Slice::default()) };
    AddressRefused { limit, wait: refused.wait }
}

/// What counts as one source: an IPv4 address, or the /64 of an IPv6 address.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            const HOST_BITS: u32 = 64;
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> HOST_BITS << HOST_BITS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(concurrent: u32, attempts: u32) -> AddressLimits {
        let settings = AddressSettings {
            concurrent,
            attempts: Rate { per_window: 1, window_s: 60, burst: attempts },
            ..AddressSettings::default()
        };
        AddressLimits::new(&settings, &Clock::fixed(1_800_000_000_000))
    }

    #[test]
    fn an_address_keeps_at_most_its_connections() {
        let limits = limits(2, 1);
        let home = IpAddr::from([127, 0, 0, 1]);
        let seats = (limits.connect(home).unwrap(), limits.connect(home).unwrap());
        assert_eq!(limits.connect(home).unwrap_err().limit, Limit::Concurrent);
        assert!(limits.connect(IpAddr::from([127, 0, 0, 2])).is_ok());
        drop(seats);
        assert!(limits.connect(home).is_ok());
    }

    #[test]
    fn other_settings_hold_from_then_on_and_whoever_is_connected_stays() {
        let (limits, clock) = (limits(2, 1), Clock::fixed(1_800_000_000_000));
        let home = IpAddr::from([127, 0, 0, 1]);
        let _seats = (limits.connect(home).unwrap(), limits.connect(home).unwrap());
        let rate = Rate { per_window: 1, window_s: 60, burst: 1 };
        let more = AddressSettings { concurrent: 3, attempts: rate, ..AddressSettings::default() };
        assert!(limits.attempt(home).is_ok());
        limits.set(&more, &clock);
        let _third = limits.connect(home).unwrap();
        assert_eq!(limits.connect(home).unwrap_err().limit, Limit::Concurrent);
        assert!(limits.attempt(home).is_err(), "the same rate remembers");
        let probes = vec!["127.0.0.0/8".parse().unwrap()];
        limits.set(&AddressSettings { probes, ..more }, &clock);
        assert!(limits.connect(home).is_ok(), "now it is a probe");
    }

    #[test]
    fn hosts_of_one_ipv6_network_share_their_attempts() {
        let limits = limits(1, 2);
        assert!(limits.attempt("2001:db8::1".parse().unwrap()).is_ok());
        assert!(limits.attempt("2001:db8::2".parse().unwrap()).is_ok());
        let refused = limits.attempt("2001:db8::3".parse().unwrap()).unwrap_err();
        assert_eq!(
            (refused.limit, refused.wait),
            (Limit::Rate(Slice::default()), Duration::from_secs(60))
        );
        assert!(limits.attempt("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_the_same_address() {
        let limits = limits(1, 1);
        assert!(limits.attempt("192.0.2.1".parse().unwrap()).is_ok());
        assert!(limits.attempt("::ffff:192.0.2.1".parse().unwrap()).is_err());
    }
}
