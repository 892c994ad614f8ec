//! Networks from which probes come: load balancers and monitoring, which ask often and always from the same place.

use std::net::IpAddr;
use std::str::FromStr;

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    /// How many of them count, from the left.
    prefix: u32,
    is_v6: bool,
}

/// It is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}`: must be an address, or a network such as `10.0.0.0/8` or `2001:db8::/32`")]
pub struct UnknownNetwork(String);

impl Network {
    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, is_v6) = bits(address);
        is_v6 == self.is_v6 && masked(bits, self.prefix) == self.bits
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        let unknown = || UnknownNetwork(text.chars().take(64).collect());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_no_address| unknown())?;
        let (bits, is_v6) = bits(address);
        let most = if is_v6 { 128 } else { 32 };
        let prefix = match prefix {
            None => most,
            Some(text) => text.parse().ok().filter(|n| *n <= most).ok_or_else(unknown)?,
        };
        Ok(Self { bits: masked(bits, prefix), prefix, is_v6 })
    }
}

/// Left-aligned, so that a prefix is one of both families.
fn bits(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, false),
        IpAddr::V6(v6) => (v6.to_bits(), true),
    }
}

fn masked(bits: u128, prefix: u32) -> u128 {
    match prefix {
        0 => 0,
        prefix => bits & (u128::MAX << 128_u32.saturating_sub(prefix).min(127)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.2.3/32", "::ffff:10.1.2.3", "10.1.2.2"),
            ("192.0.2.128/25", "192.0.2.129", "192.0.2.127"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("0.0.0.0/0", "192.0.2.1", "::1"),
            ("128.0.0.0/1", "255.0.0.1", "127.0.0.1"),
        ] {
            let found: Network = network.parse().unwrap();
            assert!(found.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!found.contains(outside.parse().unwrap()), "{network} {outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "10.0.0.0/", "host", "/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
