//! How one endpoint stands: what its answers and its health checks say. Pure; time is brought to it.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::{Eject, Health};

/// The longest time for which an endpoint is left out at once.
const LONGEST: Duration = Duration::from_secs(300);
/// The share of an endpoint that has just come back, in thousandths.
const FIRST_SHARE: u32 = 100;
/// The share of all others.
pub(super) const FULL_SHARE: u32 = 1000;

/// What is known of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Requests in a row that failed.
    failures: u32,
    /// How often it was ejected since it last went well for long.
    ejections: u32,
    /// How long the last ejection was.
    out_for: Duration,
    /// Until when it is ejected, or since when it is back.
    back_at: Option<Instant>,
    /// Whether health checks say that it is down.
    is_down: bool,
    /// Checks in a row that say otherwise.
    contrary: u32,
    /// What was wrong last, since it last went well.
    fault: Option<String>,
}

/// Whether an endpoint may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It may.
    In,
    /// It is left out for a time, since requests failed there.
    Ejected,
    /// It is left out until a health check says otherwise.
    Down,
}

impl Standing {
    /// One that comes later than the others, and begins slowly.
    pub(super) fn late(now: Instant) -> Self {
        Self { back_at: Some(now), ..Self::default() }
    }

    pub(super) fn place(&self, now: Instant) -> Place {
        if self.is_down {
            return Place::Down;
        }
        if self.back_at.is_some_and(|back| now < back) { Place::Ejected } else { Place::In }
    }

    /// Whether it is believed to answer, also where it is the last one and is asked all the same.
    pub(super) fn is_up(&self, rules: &Eject, now: Instant) -> bool {
        self.place(now) == Place::In && self.failures < rules.after
    }

    /// Its share of the requests, in thousandths of one that has been there for long.
    pub(super) fn share(&self, slow_start: Duration, now: Instant) -> u32 {
        let Some(back) = self.back_at else { return FULL_SHARE };
        let passed = now.saturating_duration_since(back).as_millis();
        let thousandths =
            passed.saturating_mul(u128::from(FULL_SHARE)) / slow_start.as_millis().max(1);
        u32::try_from(thousandths).unwrap_or(FULL_SHARE).clamp(FIRST_SHARE, FULL_SHARE)
    }

    /// What is wrong, as far as that is known.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Takes note of what was wrong.
    pub(super) fn note(&mut self, fault: String) {
        self.fault = Some(fault);
    }

    /// It answered.
    pub(super) fn succeeded(&mut self, now: Instant) {
        (self.failures, self.fault) = (0, None);
        let is_long_back = |back| now.saturating_duration_since(back) >= self.out_for;
        if self.back_at.is_some_and(is_long_back) {
            self.ejections = 0;
        }
    }

    /// It did not answer; whether it should be ejected.
    pub(super) fn failed(&mut self, rules: &Eject, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures >= rules.after && self.place(now) == Place::In
    }

    /// Leaves it out for a time that is given. Back, one more failure ejects it anew, for twice as long.
    pub(super) fn eject(&mut self, rules: &Eject, now: Instant) -> Duration {
        let doubled = 2_u32.saturating_pow(self.ejections);
        self.out_for = rules.time.saturating_mul(doubled).min(LONGEST);
        self.ejections = self.ejections.saturating_add(1);
        self.failures = rules.after.saturating_sub(1);
        self.back_at = Some(now + self.out_for);
        self.out_for
    }

    /// Takes note of a health check; whether it is down, if that has changed.
    pub(super) fn checked(&mut self, passed: bool, rules: &Health, now: Instant) -> Option<bool> {
        if passed != self.is_down {
            self.contrary = 0;
            return None;
        }
        self.contrary = self.contrary.saturating_add(1);
        if self.contrary < if passed { rules.passes } else { rules.fails } {
            return None;
        }
        self.contrary = 0;
        self.is_down = !passed;
        if passed {
            (self.failures, self.back_at, self.fault) = (0, Some(now), None);
        }
        Some(self.is_down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Eject = Eject { after: 3, time: Duration::from_secs(10), on_5xx: false };
    const START: Duration = Duration::from_secs(30);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_eject_and_an_answer_between_them_does_not() {
        let (now, mut standing) = (Instant::now(), Standing::default());
        assert!(!standing.failed(&RULES, now) && !standing.failed(&RULES, now));
        standing.succeeded(now);
        assert!(!standing.failed(&RULES, now) && !standing.failed(&RULES, now));
        assert!(standing.is_up(&RULES, now));
        assert!(standing.failed(&RULES, now));
        assert!(!standing.is_up(&RULES, now), "also where nobody ejects it");
        assert_eq!(standing.place(now), Place::In);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_is_left_out_for_twice_as_long_each_time_until_it_was_well_for_long() {
        let (mut now, mut standing) = (Instant::now(), Standing::default());
        for expected in [10, 20, 40, 80, 160, 300, 300] {
            while !standing.failed(&RULES, now) {}
            assert_eq!(standing.eject(&RULES, now), seconds(expected));
            now += seconds(expected) - Duration::from_millis(1);
            assert_eq!(standing.place(now), Place::Ejected);
            assert!(!standing.failed(&RULES, now), "it is out already");
            now += Duration::from_millis(1);
            assert_eq!(standing.place(now), Place::In);
        }
        standing.succeeded(now);
        assert_eq!(standing.eject(&RULES, now), seconds(300), "one answer is not for long");
        now += seconds(600);
        standing.succeeded(now);
        assert_eq!(standing.eject(&RULES, now), seconds(10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_comes_back_needs_one_failure_to_go_again_and_begins_slowly() {
        let (now, mut standing) = (Instant::now(), Standing::default());
        assert_eq!(standing.share(START, now), FULL_SHARE);
        standing.eject(&RULES, now);
        let back = now + RULES.time;
        assert_eq!(standing.share(START, back), FIRST_SHARE);
        assert_eq!(standing.share(START, back + seconds(15)), 500);
        assert_eq!(standing.share(START, back + seconds(31)), FULL_SHARE);
        assert_eq!(standing.share(Duration::ZERO, back + seconds(1)), FULL_SHARE);
        assert!(standing.is_up(&RULES, back) && standing.failed(&RULES, back));
    }

    #[tokio::test(start_paused = true)]
    async fn checks_take_out_and_bring_back_only_several_in_a_row() {
        let (now, mut standing) = (Instant::now(), Standing::default());
        let rules = Health::new("/healthz");
        let mut says = |passed| standing.checked(passed, &rules, now);
        assert_eq!([says(false), says(false), says(true), says(false), says(false)], [None; 5]);
        assert_eq!(says(false), Some(true));
        assert_eq!([says(false), says(true), says(false), says(true)], [None; 4]);
        assert_eq!(says(true), Some(false));
        assert_eq!(standing.place(now), Place::In);
        assert_eq!(standing.share(START, now), FIRST_SHARE, "and begins slowly");
    }
}
