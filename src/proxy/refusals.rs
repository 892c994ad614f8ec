//! Refusals past a threshold, gathered per minute: neither an attacker nor a colleague with a loop may
//! fill the disk, and nothing may be lost.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::Gate;
use crate::audit::{Act, Actor, Decision, Effect, Event, Origin, Request};
use crate::limits::network;

/// Refusals of an unknown caller per address and route in a minute that have an entry of their own.
const UNKNOWN_ONE_BY_ONE: u64 = 20;
/// The same over all addresses: an attacker may command many.
const UNKNOWN_IN_ALL: u64 = 2000;
/// Refusals of an account per route in a minute that have an entry of their own.
const KNOWN_ONE_BY_ONE: u64 = 120;
/// Callers and routes told apart in a minute, unknown and known ones each.
const KEYS: usize = 4096;

/// Who was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// Nobody could be identified at this address.
    Unknown(IpAddr),
    /// The account.
    Known(String),
    /// Somebody unknown, after too many addresses were told apart already.
    Anybody,
}

/// What was refused in the current minute.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    unknown: HashMap<Key, Gathered>,
    known: HashMap<Key, Gathered>,
    /// Refusals of unknown callers that had an entry of their own.
    unknown_alone: u64,
}

/// Caller and route.
type Key = (Who, String);

#[derive(Debug, Default)]
struct Gathered {
    count: u64,
    /// Those without an entry of their own.
    extra: u64,
    first_ms: i64,
    last_ms: i64,
}

impl Refusals {
    /// Counts a refusal; `true` if it has no entry of its own.
    fn gather(&self, who: Who, route: &str, now_ms: i64) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match who {
            Who::Unknown(address) => {
                minute.gather_unknown((Who::Unknown(network(address)), route.to_owned()), now_ms)
            }
            Who::Known(_) => minute.gather_known((who, route.to_owned()), now_ms),
            Who::Anybody => minute.gather_unknown((who, String::new()), now_ms),
        }
    }

    /// How often an account was refused over a route in the current minute.
    fn lately(&self, who: Who, route: &str) -> u64 {
        let minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        minute.known.get(&(who, route.to_owned())).map_or(0, |gathered| gathered.count)
    }

    fn take(&self) -> impl Iterator<Item = (Key, Gathered)> {
        let minute = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        minute.unknown.into_iter().chain(minute.known)
    }
}

impl Minute {
    fn gather_unknown(&mut self, key: Key, now_ms: i64) -> bool {
        let is_told_apart = self.unknown.len() < KEYS || self.unknown.contains_key(&key);
        let key = if is_told_apart { key } else { (Who::Anybody, String::new()) };
        let one_by_one = if key.0 == Who::Anybody || self.unknown_alone >= UNKNOWN_IN_ALL {
            0
        } else {
            UNKNOWN_ONE_BY_ONE
        };
        let is_gathered = self.unknown.entry(key).or_default().add(one_by_one, now_ms);
        self.unknown_alone += u64::from(!is_gathered);
        is_gathered
    }

    /// An account is never mixed with others: beyond the cap each refusal has its own entry.
    fn gather_known(&mut self, key: Key, now_ms: i64) -> bool {
        if self.known.len() >= KEYS && !self.known.contains_key(&key) {
            return false;
        }
        self.known.entry(key).or_default().add(KNOWN_ONE_BY_ONE, now_ms)
    }
}

impl Gathered {
    fn add(&mut self, one_by_one: u64, now_ms: i64) -> bool {
        if self.count == 0 {
            self.first_ms = now_ms;
        }
        self.count += 1;
        self.last_ms = now_ms;
        let is_extra = self.count > one_by_one;
        self.extra += u64::from(is_extra);
        is_extra
    }
}

impl Gate {
    pub(super) fn gather_refusal(&self, who: Who, route: &str) -> bool {
        self.refusals.gather(who, route, self.clock.unix_ms())
    }

    /// How often an account was refused over a route in the current minute.
    pub(super) fn refused_lately(&self, who: Who, route: &str) -> u64 {
        self.refusals.lately(who, route)
    }

    /// Writes one entry for each caller and route that was refused too often for single entries.
    pub(super) async fn write_gathered_refusals(&self) {
        for ((who, route), gathered) in self.refusals.take().filter(|(_, g)| g.extra > 0) {
            let Ok(mut entry) = self.log.entry(Event::Decision) else { continue };
            entry.decision = Some(Decision::new(Effect::Deny));
            entry.request = Some(Request { route: route.as_str().into(), ..Request::default() });
            let whom = match who {
                Who::Known(account) => {
                    entry.actor =
                        Some(Actor { account: account.as_str().into(), ..Actor::default() });
                    "one account"
                }
                Who::Unknown(address) => {
                    entry.origin = Some(Origin { address: Some(address), ..Origin::default() });
                    "unidentified callers"
                }
                Who::Anybody => "unidentified callers",
            };
            let span_s = (gathered.last_ms - gathered.first_ms).max(0) / 1000;
            entry.act = Some(Act {
                name: "refusals_gathered".into(),
                object: format!("{whom} within {span_s} s").as_str().into(),
                count: Some(gathered.extra),
                ..Act::default()
            });
            if let Err(error) = self.log.append(entry).await {
                let count = gathered.extra;
                tracing::error!(%error, count, "gathered refusals could not be recorded");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Who {
        Who::Unknown(address.parse().unwrap())
    }

    #[test]
    fn the_first_refusals_of_a_minute_stand_alone_and_the_rest_are_counted() {
        let refusals = Refusals::default();
        let gathered = (0..25).filter(|n| refusals.gather(at("192.0.2.1"), "", *n)).count();
        assert_eq!(gathered, 5);
        assert_eq!(refusals.take().map(|(_, g)| (g.count, g.extra)).collect::<Vec<_>>(), [(25, 5)]);
        assert!(!refusals.gather(at("192.0.2.1"), "", 60_000), "the next minute begins anew");
    }

    #[test]
    fn many_addresses_cannot_outgrow_the_map_and_none_is_lost() {
        let refusals = Refusals::default();
        let gathered = (0..10_000u32)
            .filter(|n| refusals.gather(Who::Unknown(IpAddr::from(n.to_be_bytes())), "", 0))
            .count();
        assert!(gathered >= 8_000, "{gathered}");
        let minute: Vec<_> = refusals.take().collect();
        assert!(minute.len() <= KEYS + 1);
        assert_eq!(minute.iter().map(|(_, g)| g.count).sum::<u64>(), 10_000);
        assert_eq!(minute.iter().map(|(_, g)| g.extra).sum::<u64>(), gathered as u64);
    }

    #[test]
    fn the_hosts_of_one_ipv6_network_are_one_caller() {
        let refusals = Refusals::default();
        let of_one_network = |n: u32| refusals.gather(at(&format!("2001:db8::{n:x}")), "", 0);
        assert_eq!((0..25).filter(|n| of_one_network(*n)).count(), 5);
    }

    #[test]
    fn an_account_is_gathered_by_itself_whatever_strangers_do() {
        let refusals = Refusals::default();
        for n in 0..10_000u32 {
            refusals.gather(Who::Unknown(IpAddr::from(n.to_be_bytes())), "", 0);
        }
        let of = |account: &str| refusals.gather(Who::Known(account.to_owned()), "r", 0);
        assert_eq!((0..130).filter(|_| of("wang")).count(), 10);
        assert!(!of("li"));
        let known = refusals.take().filter(|(key, _)| key.1 == "r");
        assert_eq!(known.map(|(_, g)| g.extra).sum::<u64>(), 10);
    }
}
