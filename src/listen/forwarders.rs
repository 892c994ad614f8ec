//! Who the client is where somebody trusted stands in front of a listener: by the PROXY protocol, or by a header.
//!
//! Nobody else is believed: whoever is not in the networks cannot speak the PROXY protocol here, and their headers tell
//! nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};
use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::limits::Network;

/// The longest head of version 1, by its specification.
const MOST_OF_V1: usize = 107;
/// The most of what follows the fixed part of version 2: addresses, and what forwarders add to them.
const MOST_OF_V2: usize = 2048;
/// The most hops that are looked at.
const MOST_HOPS: usize = 32;
/// Who is not known: no network of anybody's has this address.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How a forwarder tells for whom it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Before the handshake, by the PROXY protocol, version 1 or 2.
    ByProxyProtocol,
    /// In each request, by `X-Forwarded-For`.
    ByXForwardedFor,
    /// In each request, by `Forwarded` (RFC 7239).
    ByForwarded,
}

/// Who may stand in front of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarders {
    /// Where they are.
    pub networks: Vec<Network>,
    /// How they tell.
    pub told: Told,
}

impl Forwarders {
    /// Whether somebody at this address is one of them.
    pub(super) fn trust(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Whether each connection begins with the PROXY protocol; else one brings the requests of many.
    #[must_use]
    pub fn introduce(&self) -> bool {
        self.told == Told::ByProxyProtocol
    }

    /// The client of a request that a forwarder at `peer` brings: the last address in the header that is not a forwarder's; `peer`
    /// itself where there is no header.
    ///
    /// What stands before that the client may have written. Where the header does not tell it is [`NOBODY`], and not the
    /// forwarder: conditions may trust that one.
    pub(super) fn client(&self, headers: &HeaderMap, peer: SocketAddr) -> SocketAddr {
        let name = match self.told {
            // Only a connection from before the operator changed it brings requests of many without a word of whose.
            Told::ByProxyProtocol => return NOBODY,
            Told::ByXForwardedFor => X_FORWARDED_FOR,
            Told::ByForwarded => FORWARDED,
        };
        let lines: Vec<_> = headers.get_all(name).iter().collect();
        let (mut client, mut hops) = (peer, 0);
        for line in lines.iter().rev() {
            let Some(addresses) = self.addresses(line) else { return NOBODY };
            for address in addresses.into_iter().rev() {
                hops += 1;
                client = address.filter(|_| hops <= MOST_HOPS).unwrap_or(NOBODY);
                if !self.trust(client.ip()) {
                    return client;
                }
            }
        }
        client
    }

    /// What each hop of a line tells; `None` if the line cannot be taken apart.
    fn addresses(&self, line: &HeaderValue) -> Option<Vec<Option<SocketAddr>>> {
        let line = line.to_str().ok()?;
        Some(match self.told {
            Told::ByForwarded => {
                split(line, ',')?.into_iter().map(|hop| forwarded_for(hop.trim())).collect()
            }
            Told::ByXForwardedFor | Told::ByProxyProtocol => {
                line.split(',').map(|hop| address(hop.trim())).collect()
            }
        })
    }
}

/// Reads the head of the PROXY protocol, and nothing behind it; gives the client, or `peer` where a forwarder speaks for itself.
///
/// # Errors
/// What the connection says, or that there is no such head.
pub(super) async fn introduction<S: AsyncRead + Unpin>(
    stream: &mut S,
    peer: SocketAddr,
) -> io::Result<SocketAddr> {
    let mut head = vec![0; v2::PROTOCOL_PREFIX.len()];
    stream.read_exact(&mut head).await?;
    if head == v2::PROTOCOL_PREFIX {
        let mut rest = [0; 4];
        stream.read_exact(&mut rest).await?;
        let [_, _, high, low] = rest;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > MOST_OF_V2 {
            return Err(invalid("the head is longer than 2 KiB"));
        }
        head.extend_from_slice(&rest);
        let fixed = head.len();
        head.resize(fixed + length, 0);
        stream.read_exact(head.get_mut(fixed..).unwrap_or_default()).await?;
    } else if head.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        while !head.ends_with(v1::PROTOCOL_SUFFIX.as_bytes()) {
            if head.len() >= MOST_OF_V1 {
                return Err(invalid("the head is longer than 107 bytes"));
            }
            head.push(stream.read_u8().await?);
        }
    } else {
        return Err(invalid("it does not begin with the PROXY protocol"));
    }
    client_of(&head, peer)
}

fn client_of(head: &[u8], peer: SocketAddr) -> io::Result<SocketAddr> {
    match HeaderResult::parse(head) {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            v1::Addresses::Tcp4(own) => (own.source_address, own.source_port).into(),
            v1::Addresses::Tcp6(own) => (own.source_address, own.source_port).into(),
            v1::Addresses::Unknown => peer,
        }),
        HeaderResult::V2(Ok(header)) if header.command == v2::Command::Local => Ok(peer),
        HeaderResult::V2(Ok(header)) => match header.addresses {
            v2::Addresses::IPv4(own) => Ok((own.source_address, own.source_port).into()),
            v2::Addresses::IPv6(own) => Ok((own.source_address, own.source_port).into()),
            v2::Addresses::Unspecified => Ok(peer),
            v2::Addresses::Unix(_) => Err(invalid("a socket of Unix is nobody's address")),
        },
        HeaderResult::V1(Err(error)) => Err(invalid(&error.to_string())),
        HeaderResult::V2(Err(error)) => Err(invalid(&error.to_string())),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// The parts between signs that stand outside quotes: what stands inside them, such as a host, the client may have written.
/// `None` if a quote is not closed: it would swallow what the forwarder wrote behind it.
fn split(text: &str, sign: char) -> Option<Vec<&str>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(|c: char| {
        let ends = c == sign && !is_quoted;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = is_quoted && c == '\\' && !is_escaped;
        ends
    });
    let parts = parts.collect();
    (!is_quoted).then_some(parts)
}

/// `192.0.2.60`, `192.0.2.60:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    alone.or_else(|_| text.parse()).ok()
}

/// The `for` of one hop of `Forwarded`; names that are no addresses (`unknown`, `_hidden`) are nobody's.
fn forwarded_for(hop: &str) -> Option<SocketAddr> {
    let pairs = split(hop, ';')?.into_iter().filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    let bare = value.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(value);
    address(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> SocketAddr {
        "10.0.0.9:443".parse().unwrap()
    }

    async fn introduced(sent: &[u8]) -> (io::Result<SocketAddr>, Vec<u8>) {
        let mut stream = sent;
        let client = introduction(&mut stream, peer()).await;
        (client, stream.to_vec())
    }

    fn second(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length, addresses].concat()
    }

    #[tokio::test]
    async fn both_versions_tell_the_client_and_leave_what_follows() {
        let v4 = [&[192, 0, 2, 1, 10, 0, 0, 9][..], &[0x12, 0x67, 1, 187]].concat();
        let with_more = [v4.as_slice(), &[0x04, 0, 3, 1, 2, 3]].concat();
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        (v6[15], v6[32], v6[33]) = (1, 0x12, 0x67);
        for (head, client) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.9 4711 443\r\n".to_vec(), "192.0.2.1:4711"),
            (b"PROXY TCP6 2001:db8::1 2001:db8::9 4711 443\r\n".to_vec(), "[2001:db8::1]:4711"),
            (b"PROXY UNKNOWN\r\n".to_vec(), "10.0.0.9:443"),
            (second(1, 0x11, &v4), "192.0.2.1:4711"),
            (second(1, 0x11, &with_more), "192.0.2.1:4711"),
            (second(1, 0x21, &v6), "[2001:db8::1]:4711"),
            (second(0, 0x11, &v4), "10.0.0.9:443"),
            (second(0, 0, &[]), "10.0.0.9:443"),
        ] {
            let (found, rest) = introduced(&[head.as_slice(), b"\x16\x03\x01"].concat()).await;
            assert_eq!(found.unwrap(), client.parse().unwrap(), "{head:?}");
            assert_eq!(rest, b"\x16\x03\x01", "{head:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_head_of_the_protocol_is_refused() {
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        for sent in [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00".to_vec(),
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.9 4711\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 10.0.0.9 4711 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.9 99999 443\r\n".to_vec(),
            b"proxy TCP4 192.0.2.1 10.0.0.9 4711 443\r\n".to_vec(),
            b"PROXY TCP4 1".to_vec(),
            endless,
            second(1, 0x11, &[192, 0, 2, 1]),
            second(1, 0x31, &[0; 216]),
            second(7, 0x11, &[0; 12]),
            second(1, 0x11, &[0; 4096]),
            Vec::new(),
        ] {
            assert!(introduced(&sent).await.0.is_err(), "{sent:?}");
        }
    }

    fn told(told: Told, lines: &[&str]) -> String {
        let networks = vec!["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        let name = if told == Told::ByForwarded { FORWARDED } else { X_FORWARDED_FOR };
        lines.iter().for_each(|line| {
            headers.append(name.clone(), line.parse().unwrap());
        });
        Forwarders { networks, told }.client(&headers, peer()).ip().to_string()
    }

    #[test]
    fn the_last_address_that_is_no_forwarders_is_the_client_whatever_stands_before() {
        for (lines, client) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            (&["8.8.8.8, 192.0.2.1"], "192.0.2.1"),
            (&["8.8.8.8", "192.0.2.1:4711, 10.1.1.1"], "192.0.2.1"),
            (&["8.8.8.8, [2001:db8::1]:4711, 10.1.1.1, 10.2.2.2"], "2001:db8::1"),
            (&["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            (&["192.0.2.1, nonsense, 10.2.2.2"], "0.0.0.0"),
            (&["192.0.2.1, "], "0.0.0.0"),
            (&["192.0.2.1\"", "192.0.2.9"], "192.0.2.9"),
            (&[], "10.0.0.9"),
        ] {
            assert_eq!(told(Told::ByXForwardedFor, lines), client, "{lines:?}");
            assert_eq!(told(Told::ByProxyProtocol, lines), "0.0.0.0");
        }
    }

    #[test]
    fn the_standard_header_is_read_as_its_specification_has_it() {
        for (lines, client) in [
            (&["for=192.0.2.1"][..], "192.0.2.1"),
            (&["For=\"[2001:db8::1]:4711\";proto=https;by=10.1.1.1"], "2001:db8::1"),
            (&["for=8.8.8.8, for=192.0.2.1;proto=http, for=10.2.2.2"], "192.0.2.1"),
            (&["for=192.0.2.1, for=unknown"], "0.0.0.0"),
            (&["for=_hidden"], "0.0.0.0"),
            (&["by=192.0.2.1"], "0.0.0.0"),
            (&["host=\"evil,for=6.6.6.6;x=\";by=10.1.1.1;for=192.0.2.1"], "192.0.2.1"),
            (&["host=\"a\\\",for=6.6.6.6;x=\";for=192.0.2.1"], "192.0.2.1"),
            // A quote that the client left open would swallow what the forwarder wrote.
            (&["for=6.6.6.6;x=\", for=192.0.2.1"], "0.0.0.0"),
            (&["for=6.6.6.6;x=\", for=192.0.2.1;host=\"a\""], "0.0.0.0"),
            (&["for=6.6.6.6;x=\"", "for=192.0.2.1"], "192.0.2.1"),
            (&[], "10.0.0.9"),
        ] {
            assert_eq!(told(Told::ByForwarded, lines), client, "{lines:?}");
        }
    }
}
