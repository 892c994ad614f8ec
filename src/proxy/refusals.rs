//! Refusals of callers nobody could identify, gathered per minute past a threshold: an attacker must
//! not be able to fill the disk, and nothing may be lost.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::Gate;
use crate::audit::{Act, Decision, Effect, Event, Origin, Request};

/// Refusals per address and route in a minute that have an entry of their own.
const RECORDED_ONE_BY_ONE: u64 = 20;
/// Addresses and routes told apart in a minute; further ones are gathered together.
const KEYS: usize = 4096;

/// What was refused in the current minute.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<Key, Gathered>>);

/// Address and route; neither where too many were told apart already.
type Key = Option<(IpAddr, String)>;

#[derive(Debug, Default)]
struct Gathered {
    count: u64,
    first_ms: i64,
    last_ms: i64,
}

impl Refusals {
    /// Counts a refusal; `true` if it has no entry of its own.
    fn gather(&self, address: IpAddr, route: &str, now_ms: i64) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Some((address, route.to_owned()));
        let key = if minute.len() < KEYS || minute.contains_key(&key) { key } else { None };
        let is_overflow = key.is_none();
        let gathered = minute.entry(key).or_default();
        if gathered.count == 0 {
            gathered.first_ms = now_ms;
        }
        gathered.count += 1;
        gathered.last_ms = now_ms;
        is_overflow || gathered.count > RECORDED_ONE_BY_ONE
    }

    fn take(&self) -> HashMap<Key, Gathered> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Gate {
    pub(super) fn gather_refusal(&self, address: IpAddr, route: &str) -> bool {
        self.refusals.gather(address, route, self.clock.unix_ms())
    }

    /// Writes one entry for each address and route that was refused too often for single entries.
    pub(super) async fn write_gathered_refusals(&self) {
        for (key, gathered) in self.refusals.take() {
            let overflow = key.is_none();
            let extra = if overflow {
                gathered.count
            } else {
                gathered.count.saturating_sub(RECORDED_ONE_BY_ONE)
            };
            if extra == 0 {
                continue;
            }
            let Ok(mut entry) = self.log.entry(Event::Decision) else { continue };
            entry.decision = Some(Decision::new(Effect::Deny));
            if let Some((address, route)) = &key {
                entry.origin = Some(Origin { address: Some(*address), ..Origin::default() });
                entry.request =
                    Some(Request { route: route.as_str().into(), ..Request::default() });
            }
            let span_s = (gathered.last_ms - gathered.first_ms).max(0) / 1000;
            entry.act = Some(Act {
                name: "refusals_gathered".into(),
                object: format!("unidentified callers within {span_s} s").as_str().into(),
                count: Some(extra),
                ..Act::default()
            });
            if let Err(error) = self.log.append(entry).await {
                tracing::error!(%error, count = extra, "gathered refusals could not be recorded");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_refusals_of_a_minute_stand_alone_and_the_rest_are_counted() {
        let refusals = Refusals::default();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let gathered = (0..25).filter(|n| refusals.gather(address, "", *n)).count();
        assert_eq!(gathered, 5);
        let minute = refusals.take();
        assert_eq!(minute.values().map(|g| g.count).sum::<u64>(), 25);
        assert!(!refusals.gather(address, "", 60_000), "the next minute begins anew");
    }

    #[test]
    fn many_addresses_cannot_outgrow_the_map_and_none_is_lost() {
        let refusals = Refusals::default();
        for n in 0..10_000u32 {
            refusals.gather(IpAddr::from(n.to_be_bytes()), "", 0);
        }
        let minute = refusals.take();
        assert!(minute.len() <= KEYS + 1);
        assert_eq!(minute.values().map(|g| g.count).sum::<u64>(), 10_000);
    }
}
