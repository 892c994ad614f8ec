//! Host names as requests and policies write them, brought to one form for comparison.

use std::net::Ipv6Addr;

const HOST_LIMIT_BYTES: usize = 255;

/// The host in lower case and without a port: which port was used says nothing behind a load balancer.
///
/// `None` for what is no host: empty, too long, user info, raw non-ASCII, a trailing dot, a bad port.
#[must_use]
pub fn normalise_host(raw: &str) -> Option<String> {
    if raw.len() > HOST_LIMIT_BYTES {
        return None;
    }
    let name = without_port(raw)?;
    if let Some(address) = ipv6(name) {
        // One address has many spellings (RFC 5952).
        return Some(format!("[{address}]"));
    }
    is_name(name).then(|| name.to_ascii_lowercase())
}

fn without_port(raw: &str) -> Option<&str> {
    let after_bracket = raw.rfind(']').map_or(0, |at| at + 1);
    let tail = raw.get(after_bracket..)?;
    let Some(colon) = tail.find(':') else { return Some(raw) };
    let (name, port) = raw.split_at_checked(after_bracket + colon)?;
    let digits = port.strip_prefix(':')?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse::<u16>().ok().filter(|port| plain && *port != 0)?;
    Some(name)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

fn ipv6(name: &str) -> Option<Ipv6Addr> {
    name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::normalise_host;

    #[test]
    fn case_and_port_do_not_tell_hosts_apart() {
        for raw in ["Bank.Example", "bank.example:443", "bank.example:8443"] {
            assert_eq!(normalise_host(raw).as_deref(), Some("bank.example"), "{raw}");
        }
        for raw in ["[::1]:9", "[0:0::1]", "[0000::0001]:443"] {
            assert_eq!(normalise_host(raw).as_deref(), Some("[::1]"), "{raw}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for raw in ["", "a b", "u@bank.example", "bank.example.", "bank..example", "bänk.example"]
        {
            assert_eq!(normalise_host(raw), None, "{raw}");
        }
        for raw in ["bank.example:", "bank.example:+4", "bank.example:70000", "a:1:2", "[::1", "[]"]
        {
            assert_eq!(normalise_host(raw), None, "{raw}");
        }
    }
}
