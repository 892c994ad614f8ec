//! When the next order is due: pure, with time and chance brought along.

/// From when to when a certificate is good, Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From.
    pub begins_s: i64,
    /// To.
    pub ends_s: i64,
}

impl Span {
    fn length_s(self) -> i64 {
        self.ends_s.saturating_sub(self.begins_s).max(1)
    }
}

/// When to renew: at a moment of the window that the authority suggests (RFC 9773), else when a third of the time is left, some
/// earlier so that many gates do not come at once. With a tenth of it left at the latest.
///
/// `chance` is any number; the same one gives the same moment.
#[must_use]
pub fn due_s(span: Span, suggested: Option<(i64, i64)>, chance: u64) -> i64 {
    let within = |from: i64, to: i64| {
        let room = u64::try_from(to.saturating_sub(from)).unwrap_or(0).saturating_add(1);
        from.saturating_add(i64::try_from(chance % room).unwrap_or(0))
    };
    let (length, ends) = (span.length_s(), span.ends_s);
    let moment = match suggested {
        Some((from, to)) => within(from, to.max(from)),
        None => {
            let third = ends.saturating_sub(length / 3);
            within(third.saturating_sub(length / 30), third)
        }
    };
    moment.min(ends.saturating_sub(length / 10))
}

/// How long to leave the authority alone after failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    failures: u32,
}

/// After the first failure.
const FIRST_S: u64 = 60;
const LONGEST_S: u64 = 6 * 3600;
/// At least so long once it said that it is asked too often.
const TOO_OFTEN_S: u64 = 3600;

/// For how many seconds an authority that asked for so many is left alone with the same names.
#[must_use]
pub fn alone_s(asked_s: u64, is_too_often: bool) -> u64 {
    asked_s.max(if is_too_often { TOO_OFTEN_S } else { 0 })
}

impl Pace {
    /// Counts a failure; gives the seconds to wait: twice as many each time, up to six hours, a fifth more or less by chance, and
    /// never less than the authority wants to be left alone.
    pub fn failed(&mut self, alone_s: u64, chance: u64) -> u64 {
        let doubled = FIRST_S.saturating_mul(1_u64 << self.failures.min(16)).min(LONGEST_S);
        self.failures = self.failures.saturating_add(1);
        let pause = doubled - doubled / 5 + chance % (doubled * 2 / 5);
        pause.max(alone_s)
    }

    /// How many there were in a row.
    #[must_use]
    pub fn failures(self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;
    const NINETY: Span = Span { begins_s: 0, ends_s: 90 * DAY };

    #[test]
    fn a_third_before_the_end_and_some_earlier_by_chance() {
        for chance in [0, 1, 12_345, u64::MAX] {
            let due = due_s(NINETY, None, chance);
            assert!((57 * DAY..=60 * DAY).contains(&due), "{due}");
        }
        assert_ne!(due_s(NINETY, None, 1), due_s(NINETY, None, 100_000));
    }

    #[test]
    fn the_authoritys_window_counts_but_for_what_comes_too_late() {
        let soon = Some((10 * DAY, 11 * DAY));
        for chance in [0, 77, u64::MAX] {
            assert!((10 * DAY..=11 * DAY).contains(&due_s(NINETY, soon, chance)));
        }
        assert_eq!(due_s(NINETY, Some((-5, -3)), 1), -4, "at once");
        assert_eq!(due_s(NINETY, Some((200 * DAY, 300 * DAY)), 9), 81 * DAY);
        assert_eq!(due_s(NINETY, Some((20 * DAY, 10 * DAY)), 9), 20 * DAY, "a window turned round");
    }

    #[test]
    fn failures_double_the_pause_up_to_six_hours_and_a_wish_is_kept() {
        let mut pace = Pace::default();
        let pauses: Vec<u64> = (0..12).map(|chance| pace.failed(0, chance * 7)).collect();
        assert!((48..=72).contains(&pauses[0]) && (96..=144).contains(&pauses[1]), "{pauses:?}");
        let most = LONGEST_S + LONGEST_S / 5;
        assert!(
            pauses.iter().all(|pause| *pause <= most) && pauses[11] >= LONGEST_S - LONGEST_S / 5
        );
        assert_eq!(Pace::default().failed(alone_s(500_000, false), 3), 500_000);
        assert_eq!(Pace::default().failed(alone_s(0, true), 3), TOO_OFTEN_S);
        assert_eq!(pace.failures(), 12);
    }
}
