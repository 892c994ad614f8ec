//! TLS handshakes: the dearest thing that somebody unknown can ask for.
//!
//! An address has some unfinished ones at once, and all together a share of the processors. Beyond that share a
//! handshake waits its turn; connections that stand are not slowed by it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::concurrency::{Concurrency, Place};

/// What a handshake is reckoned to take before anybody knows.
const RECKONED: Duration = Duration::from_millis(1);
/// How much of the share is saved up while nobody comes.
const SAVED: Duration = Duration::from_millis(500);

/// Counts unfinished handshakes and what they take.
#[derive(Debug)]
pub(super) struct Handshakes {
    unfinished: Arc<Concurrency<IpAddr>>,
    per_address: AtomicU32,
    /// Processor time that comes in each second, in microseconds.
    share_us: AtomicU64,
    /// Whoever waits does so in order.
    line: tokio::sync::Mutex<()>,
    purse: Mutex<Purse>,
}

/// What is left of the share, in microseconds; less than nothing once a handshake took more than was reckoned.
#[derive(Debug)]
struct Purse {
    left_us: i64,
    filled: Instant,
}

/// A handshake under way; dropping it says that it is over.
#[derive(Debug)]
pub struct Handshake {
    of: Arc<Handshakes>,
    took: Duration,
    _place: Option<Place<IpAddr>>,
}

impl Handshakes {
    /// At most `per_address` unfinished ones of an address, and `percent` of `cores` in all.
    pub(super) fn new(per_address: u32, percent: u32, cores: usize) -> Arc<Self> {
        let share = share(percent, cores);
        let left_us = micros(share.mul_f64(SAVED.as_secs_f64()));
        Arc::new(Self {
            // Open connections have a cap already.
            unfinished: Concurrency::new(u32::MAX),
            per_address: AtomicU32::new(per_address),
            share_us: AtomicU64::new(share_us(share)),
            line: tokio::sync::Mutex::new(()),
            purse: Mutex::new(Purse { left_us, filled: Instant::now() }),
        })
    }

    /// So many of an address and such a share from now on.
    pub(super) fn set(&self, per_address: u32, percent: u32, cores: usize) {
        self.per_address.store(per_address, Ordering::Relaxed);
        self.share_us.store(share_us(share(percent, cores)), Ordering::Relaxed);
    }

    fn share(&self) -> Duration {
        Duration::from_micros(self.share_us.load(Ordering::Relaxed))
    }

    /// Begins one as soon as there is something left of the share; none if the address has too many unfinished ones.
    /// The caller limits how long it waits.
    pub(super) async fn begin(self: &Arc<Self>, network: IpAddr) -> Option<Handshake> {
        let most = self.per_address.load(Ordering::Relaxed);
        let place = self.unfinished.enter(vec![(network, most)]).ok()?;
        let turn = self.line.lock().await;
        while let Some(wait) = self.take() {
            tokio::time::sleep(wait).await;
        }
        drop(turn);
        Some(Handshake { of: Arc::clone(self), took: Duration::ZERO, _place: Some(place) })
    }

    /// One that neither waits nor is refused, but is counted.
    pub(super) fn begin_at_once(self: &Arc<Self>) -> Handshake {
        self.purse().left_us -= micros(RECKONED);
        Handshake { of: Arc::clone(self), took: Duration::ZERO, _place: None }
    }

    /// Takes what one is reckoned to take, or says how long to wait.
    fn take(&self) -> Option<Duration> {
        let mut purse = self.purse();
        let now = Instant::now();
        let (passed, share) = (now.saturating_duration_since(purse.filled), self.share());
        let most = micros(share.mul_f64(SAVED.as_secs_f64()));
        let came = micros(share.mul_f64(passed.min(SAVED * 2).as_secs_f64()));
        // Less than a microsecond is left to the next time.
        if came > 0 {
            purse.filled = now;
            purse.left_us = purse.left_us.saturating_add(came).min(most);
        }
        if purse.left_us > 0 {
            purse.left_us -= micros(RECKONED);
            return None;
        }
        let lacking = Duration::from_micros(u64::try_from(1 - purse.left_us).unwrap_or(1));
        let wait = lacking.div_f64(share.as_secs_f64().max(0.001));
        Some(wait.clamp(Duration::from_millis(1), Duration::from_secs(1)))
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handshake {
    /// So much processor time went into it.
    pub fn took(&mut self, time: Duration) {
        self.took += time;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.of.purse().left_us += micros(RECKONED) - micros(self.took);
    }
}

/// Processor time that comes in each second.
fn share(percent: u32, cores: usize) -> Duration {
    let cores = u32::try_from(cores).unwrap_or(u32::MAX).clamp(1, 1024);
    Duration::from_millis(10) * percent.clamp(1, 100) * cores
}

fn share_us(share: Duration) -> u64 {
    u64::try_from(share.as_micros()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> IpAddr {
        IpAddr::from([192, 0, 2, 1])
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_so_many_unfinished_handshakes_and_no_more() {
        let all = Handshakes::new(2, 50, 2);
        let held = (all.begin(home()).await.unwrap(), all.begin(home()).await.unwrap());
        assert!(all.begin(home()).await.is_none());
        assert!(all.begin(IpAddr::from([192, 0, 2, 2])).await.is_some());
        drop(held);
        assert!(all.begin(home()).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn all_handshakes_together_take_no_more_than_their_share() {
        // Half of two cores: a second of each second, and 5 ms for each handshake.
        let all = Handshakes::new(1000, 50, 2);
        let began = Instant::now();
        for _ in 0..2_000 {
            let mut handshake = all.begin(home()).await.unwrap();
            handshake.took(Duration::from_millis(5));
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(9_400), "{took:?}: half a second was saved");
        assert!(took <= Duration::from_millis(11_000), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_is_not_saved_for_long() {
        let all = Handshakes::new(1000, 50, 2);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let began = Instant::now();
        for _ in 0..400 {
            all.begin(home()).await.unwrap().took(Duration::from_millis(5));
        }
        assert!(began.elapsed() >= Duration::from_millis(1_400), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_at_once_is_counted_and_does_not_wait() {
        let all = Handshakes::new(1, 1, 1);
        for _ in 0..100 {
            all.begin_at_once().took(Duration::from_millis(5));
        }
        let began = Instant::now();
        drop(all.begin(home()).await);
        assert!(began.elapsed() >= Duration::from_secs(30), "{:?}", began.elapsed());
    }
}
