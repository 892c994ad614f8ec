//! Looks at the gate's own pages that anybody may open. They tell nothing of anybody, so they are counted and told
//! together once a minute: a flood of them fills no disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::Gate;
use crate::audit::{Act, Event, Origin};
use crate::limits::network;

/// Addresses and pages told apart in a minute; looks beyond them are counted without their address.
const KEYS: usize = 4096;

/// A page that anybody may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Open {
    SignIn,
    Code,
    /// The way to an issuer.
    Issuer,
    /// The keys of assertions.
    Keys,
}

impl Open {
    /// The word for the log.
    fn word(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Code => "one_time_code",
            Self::Issuer => "issuer",
            Self::Keys => "jwks",
        }
    }
}

/// What was looked at in the current minute.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<HashMap<Key, Counted>>);

/// The address, unless too many were told apart, and the page.
type Key = (Option<IpAddr>, Open);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    count: u64,
    first_ms: i64,
    last_ms: i64,
}

impl Looks {
    fn count(&self, address: IpAddr, page: Open, now_ms: i64) {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Some(network(address)), page);
        let is_told_apart = minute.len() < KEYS || minute.contains_key(&key);
        let key = if is_told_apart { key } else { (None, page) };
        let fresh = Counted { count: 0, first_ms: now_ms, last_ms: now_ms };
        let counted = minute.entry(key).or_insert(fresh);
        counted.count += 1;
        counted.last_ms = now_ms;
    }

    fn take(&self) -> HashMap<Key, Counted> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Gate {
    /// Counts a look at a page.
    pub(super) fn looked_at(&self, page: Open, address: IpAddr) {
        self.looks.count(address, page, self.clock.unix_ms());
    }

    /// Writes one entry for each address and page of the minute.
    pub(super) async fn write_looks(&self) {
        for ((address, page), counted) in self.looks.take() {
            let Ok(mut entry) = self.log.entry(Event::Session) else { continue };
            entry.origin = address.map(|at| Origin { address: Some(at), ..Origin::default() });
            let span_s = (counted.last_ms - counted.first_ms).max(0) / 1000;
            entry.act = Some(Act {
                name: "pages_shown".into(),
                object: page.word().into(),
                detail: format!("within {span_s} s").as_str().into(),
                count: Some(counted.count),
                ..Act::default()
            });
            if let Err(error) = self.log.append(entry).await {
                let count = counted.count;
                tracing::error!(%error, count, "looks at pages could not be recorded");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_counted_by_address_and_page_and_none_is_lost_beyond_the_cap() {
        let looks = Looks::default();
        for n in 0..10_000_u32 {
            looks.count(IpAddr::from(n.to_be_bytes()), Open::SignIn, i64::from(n));
        }
        for n in 0..5 {
            looks.count(format!("2001:db8::{n}").parse().unwrap(), Open::Code, 0);
        }
        let minute = looks.take();
        assert!(minute.len() <= KEYS + 2, "{}", minute.len());
        assert_eq!(minute.values().map(|counted| counted.count).sum::<u64>(), 10_005);
        assert_eq!(minute[&(None, Open::Code)].count, 5);
        assert!(looks.take().is_empty());
    }

    #[test]
    fn the_hosts_of_one_ipv6_network_look_together() {
        let looks = Looks::default();
        for (n, at_ms) in (0..3).zip([5_000, 6_000, 9_000]) {
            looks.count(format!("2001:db8::{n}").parse().unwrap(), Open::SignIn, at_ms);
        }
        let counted = Counted { count: 3, first_ms: 5_000, last_ms: 9_000 };
        assert_eq!(looks.take().into_values().collect::<Vec<_>>(), [counted]);
    }
}
