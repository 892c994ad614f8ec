//! Request rates per key: governor's GCRA over a table that cannot outgrow its cap.
//!
//! In steady time: a machine's clock that is set back must not shut everybody out until it catches up.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter, clock as governor_clock};

use super::allowance::Rate;
use crate::clock::Clock;

/// The state of a key for which the table has no room: used up, for centuries.
const NO_ROOM: u64 = u64::MAX / 4;
/// How long a key without room is told to wait.
const NO_ROOM_WAIT: Duration = Duration::from_secs(60);
/// How often a full table is searched for keys that are as good as new.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Tells governor the steady time of our clock.
#[derive(Clone, Debug)]
struct Time(Clock);

impl governor_clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.steady()
    }
}

/// governor's state per key, with a cap. A key beyond it finds itself used up.
#[derive(Debug)]
struct Slots<K> {
    cap: usize,
    by_key: Mutex<HashMap<K, Nanos>>,
}

impl<K: Clone + Eq + Hash> StateStore for Slots<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = by_key.get_mut(key) {
            let (outcome, next) = measure(Some(*state))?;
            *state = next;
            return Ok(outcome);
        }
        let state = (by_key.len() >= self.cap).then_some(Nanos::new(NO_ROOM));
        let (outcome, next) = measure(state)?;
        by_key.insert(key.clone(), next);
        Ok(outcome)
    }
}

impl<K: Clone + Eq + Hash> ShrinkableKeyedStateStore<K> for Slots<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        by_key.retain(|_, state| *state > drop_below);
        by_key.shrink_to_fit();
    }

    fn len(&self) -> usize {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A request was refused by its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooFast {
    /// How long to wait.
    pub(super) wait: Duration,
    /// Whether the table had no room for the key.
    pub(super) no_room: bool,
}

type Governor<K> = RateLimiter<K, Slots<K>, Time, StateInformationMiddleware>;

/// One rate for many keys.
#[derive(Debug)]
pub(super) struct KeyedRate<K: Clone + Eq + Hash> {
    governor: Governor<K>,
    clock: Clock,
    swept: Mutex<Option<Duration>>,
}

impl<K: Clone + Eq + Hash> KeyedRate<K> {
    /// A rate for at most `keys` keys at a time.
    pub(super) fn new(rate: Rate, keys: usize, clock: &Clock) -> Self {
        let slots = Slots { cap: keys, by_key: Mutex::new(HashMap::new()) };
        let governor = Governor::new(quota(rate), slots, Time(clock.clone()));
        Self { governor, clock: clock.clone(), swept: Mutex::default() }
    }

    /// Counts one request of `key`; gives how many more it could make at once.
    pub(super) fn check(&self, key: &K) -> Result<u32, TooFast> {
        let first = self.ask(key);
        match first {
            Err(TooFast { no_room: true, .. }) if self.sweep_is_due() => {
                self.sweep();
                self.ask(key)
            }
            Ok(_) | Err(_) => first,
        }
    }

    /// Drops the keys that are as good as new; gives how many are left.
    pub(super) fn sweep(&self) -> usize {
        self.governor.retain_recent();
        self.governor.len()
    }

    fn ask(&self, key: &K) -> Result<u32, TooFast> {
        use governor::clock::Clock as _;
        match self.governor.check_key(key) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(until) => {
                let wait = until.wait_time_from(self.governor.clock().now());
                let no_room = wait > Duration::from_secs(10 * 366 * 86_400);
                Err(TooFast { wait: if no_room { NO_ROOM_WAIT } else { wait }, no_room })
            }
        }
    }

    fn sweep_is_due(&self) -> bool {
        let now = self.clock.steady();
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let due = swept.is_none_or(|last| now.saturating_sub(last) >= SWEEP_EVERY);
        if due {
            *swept = Some(now);
        }
        due
    }
}

/// governor's form of a rate; a checked rate has no zero in it.
fn quota(rate: Rate) -> Quota {
    let period = Duration::from_secs(u64::from(rate.window_s.max(1))) / rate.per_window.max(1);
    let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
    let strictest = Quota::per_hour(NonZeroU32::MIN);
    Quota::with_period(period).unwrap_or(strictest).allow_burst(burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(keys: usize, clock: &Clock) -> KeyedRate<u32> {
        KeyedRate::new(Rate { per_window: 60, window_s: 60, burst: 3 }, keys, clock)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let clock = Clock::fixed(1_800_000_000_000);
        let rate = rate(10, &clock);
        assert_eq!((rate.check(&1), rate.check(&1), rate.check(&1)), (Ok(2), Ok(1), Ok(0)));
        let refused = rate.check(&1).unwrap_err();
        assert_eq!(refused, TooFast { wait: Duration::from_secs(1), no_room: false });
        assert!(rate.check(&2).is_ok());
        clock.advance_ms(1_000);
        assert!(rate.check(&1).is_ok());
        assert!(rate.check(&1).is_err());
    }

    #[test]
    fn a_full_table_refuses_strangers_and_serves_those_it_knows() {
        let clock = Clock::fixed(1_800_000_000_000);
        let rate = rate(100, &clock);
        for key in 0..100 {
            assert!(rate.check(&key).is_ok());
        }
        for stranger in 100..10_000 {
            assert!(rate.check(&stranger).unwrap_err().no_room);
        }
        assert_eq!(rate.governor.len(), 100);
        assert!(rate.check(&5).is_ok());
    }

    #[test]
    fn keys_that_are_as_good_as_new_make_room() {
        let clock = Clock::fixed(1_800_000_000_000);
        let rate = rate(100, &clock);
        for key in 0..100 {
            assert!(rate.check(&key).is_ok());
        }
        clock.advance_ms(10_000);
        assert!(rate.check(&100).is_ok());
        assert_eq!(rate.governor.len(), 1);
    }

    #[test]
    fn a_clock_set_back_does_not_refill() {
        let clock = Clock::fixed(1_800_000_000_000);
        let rate = rate(10, &clock);
        while rate.check(&1).is_ok() {}
        clock.advance_ms(-3_600_000);
        assert!(rate.check(&1).is_err());
    }

    #[test]
    fn the_extremes_that_an_allowance_accepts_do_not_overflow() {
        let clock = Clock::fixed(1_800_000_000_000);
        for rate in [
            Rate { per_window: 1, window_s: 86_400, burst: 10_000 },
            Rate { per_window: 1_000_000, window_s: 1, burst: 10_000 },
        ] {
            let keyed = KeyedRate::new(rate, 10, &clock);
            let allowed = (0..20_000).take_while(|_| keyed.check(&1).is_ok()).count();
            assert_eq!(allowed, 10_000);
        }
    }
}
