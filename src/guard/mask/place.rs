//! Postcodes and addresses of the internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{between, joined, stars};
use crate::policy::kind::Style;

/// The first three of 5 to 10 digits and letters.
pub(super) fn postcode(text: &str, out: &mut String) -> Option<()> {
    let code = joined(text, b" -", |byte| byte.is_ascii_alphanumeric())?;
    if (5..=10).contains(&code.len()) { between(&code, 3, 0, out) } else { None }
}

/// `203.0.***.7`, of IPv6 all but the last 16 bits; or the network, `203.0.113.0/24`, `2001:db8::/48`.
pub(super) fn ip(style: Style, text: &str, out: &mut String) -> Option<()> {
    if style == Style::Network {
        return network(text, out);
    }
    match text.parse().ok()? {
        IpAddr::V4(address) => {
            let [first, second, _, last] = address.octets();
            out.push_str(&format!("{first}.{second}.***.{last}"));
        }
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => return None,
        IpAddr::V6(address) => {
            for part in address.segments().into_iter().take(7) {
                out.push_str(&format!("{part:x}:"));
            }
            stars(4, out);
        }
    }
    Some(())
}

fn network(text: &str, out: &mut String) -> Option<()> {
    let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let (network, width) = match address.parse().ok()? {
        IpAddr::V4(address) => {
            let [first, second, third, _] = address.octets();
            (Ipv4Addr::new(first, second, third, 0).to_string(), "24")
        }
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => return None,
        IpAddr::V6(address) => {
            let [first, second, third, ..] = address.segments();
            (Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0).to_string(), "48")
        }
    };
    let is_address_or_network = length.is_none_or(|length| length == width && address == network);
    if is_address_or_network {
        out.extend([network.as_str(), "/", width]);
    }
    is_address_or_network.then_some(())
}
