//! Host names as requests and policies write them, brought to one form for comparison.

const HOST_LIMIT_BYTES: usize = 255;

/// The host in lower case, without a port of 443 or `own_port` (the listener's); any other port stays.
///
/// `None` for what is no host: empty, too long, user info, raw non-ASCII, a trailing dot, a bad port.
#[must_use]
pub fn normalise_host(raw: &str, own_port: Option<u16>) -> Option<String> {
    if raw.len() > HOST_LIMIT_BYTES {
        return None;
    }
    let (name, port) = split_port(raw)?;
    if !is_name(name) && !is_ipv6(name) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    Some(match port {
        Some(port) if port != 443 && Some(port) != own_port => format!("{name}:{port}"),
        Some(_) | None => name,
    })
}

fn split_port(raw: &str) -> Option<(&str, Option<u16>)> {
    let after_bracket = raw.rfind(']').map_or(0, |at| at + 1);
    let tail = raw.get(after_bracket..)?;
    let Some(colon) = tail.find(':') else { return Some((raw, None)) };
    let (name, port) = raw.split_at_checked(after_bracket + colon)?;
    let digits = port.strip_prefix(':')?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let port = digits.parse::<u16>().ok().filter(|port| plain && *port != 0)?;
    Some((name, Some(port)))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

fn is_ipv6(name: &str) -> bool {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::normalise_host;

    #[test]
    fn case_and_the_default_port_do_not_tell_hosts_apart() {
        assert_eq!(normalise_host("Bank.Example:443", None).as_deref(), Some("bank.example"));
        assert_eq!(
            normalise_host("bank.example:8443", Some(8443)).as_deref(),
            Some("bank.example")
        );
        assert_eq!(normalise_host("[::1]:9", None).as_deref(), Some("[::1]:9"));
    }

    #[test]
    fn another_port_is_another_host() {
        assert_eq!(normalise_host("bank.example:80", None).as_deref(), Some("bank.example:80"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for raw in ["", "a b", "u@bank.example", "bank.example.", "bank..example", "bänk.example"]
        {
            assert_eq!(normalise_host(raw, None), None, "{raw}");
        }
        for raw in ["bank.example:", "bank.example:+4", "bank.example:70000", "a:1:2", "[::1", "[]"]
        {
            assert_eq!(normalise_host(raw, None), None, "{raw}");
        }
    }
}
