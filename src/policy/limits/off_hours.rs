//! Hours outside of which limits are stricter, and how much: the hours of conditions, and a factor.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::expression::Week;
use super::{Limits, Rate, Window};

/// The whole of a factor.
const WHOLE: u32 = 1_000;

/// The time outside of some hours of the week.
#[derive(Clone, Debug)]
pub struct OffHours {
    /// The hours as written.
    text: Arc<str>,
    week: Week,
    zone: TimeZone,
}

impl OffHours {
    /// Reads hours such as `Mon-Fri 08:00-20:00`; `None` if the text is none.
    pub(in crate::policy) fn outside(text: &str, zone: TimeZone) -> Option<Self> {
        Some(Self { week: Week::parse(text)?, text: text.into(), zone })
    }

    /// Whether a moment lies outside of the hours. One that no calendar knows does.
    #[must_use]
    pub fn is_off(&self, unix_s: i64) -> bool {
        let Ok(now) = Timestamp::from_second(unix_s) else { return true };
        !self.week.holds(self.zone.to_datetime(now))
    }

    fn identity(&self) -> (&str, &str) {
        (&self.text, self.zone.iana_name().unwrap_or("UTC"))
    }
}

impl fmt::Display for OffHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, zone) = self.identity();
        write!(f, "outside {text} {zone}")
    }
}

impl PartialEq for OffHours {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for OffHours {}

impl PartialOrd for OffHours {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OffHours {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

/// A part of the whole, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Factor(u32);

impl Factor {
    /// Reads `0.25`; less than one, at most three digits.
    pub(in crate::policy) fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self(0));
        }
        let digits = text.strip_prefix("0.")?;
        let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let number: u32 = digits.parse().ok().filter(|_| plain)?;
        let places = u32::try_from(digits.len()).ok()?;
        Some(Self(number * 10_u32.pow(3 - places)))
    }

    /// What of the limits that add up over time is left, rounded down. Of requests at least one is.
    pub(in crate::policy) fn of(self, limits: &Limits) -> Limits {
        let part = |count: u32| {
            u32::try_from(u64::from(count) * u64::from(self.0) / u64::from(WHOLE)).unwrap_or(count)
        };
        let windows = |windows: &[Window], least: u32| {
            let scaled = |window: &Window| Window {
                per: window.per.clone(),
                count: part(window.count).max(least),
            };
            windows.iter().map(scaled).collect::<Vec<Window>>()
        };
        Limits {
            rate: limits.rate.map(|Rate { count, per_s, burst }| Rate {
                count: part(count).max(1),
                per_s,
                burst: part(burst).max(1),
            }),
            requests: windows(&limits.requests, 1),
            records: windows(&limits.records, 0),
            subjects: windows(&limits.subjects, 0),
            kibibytes: windows(&limits.kibibytes, 0),
            unmask: windows(&limits.unmask, 0),
            files: windows(&limits.files, 0),
            zero_hits: windows(&limits.zero_hits, 0),
            ..Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_less_than_one_and_plain() {
        for (text, thousandths) in [("0", 0), ("0.5", 500), ("0.25", 250), ("0.001", 1)] {
            assert_eq!(Factor::parse(text), Some(Factor(thousandths)));
        }
        for text in ["", "1", "1.5", "0.", ".5", "0.1234", "0,5", "-0.5", "0.5x", "50%"] {
            assert_eq!(Factor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_part_is_rounded_down_and_of_requests_one_is_left() {
        let limits = Limits {
            subjects: vec![Window::sliding(3, 3_600)],
            requests: vec![Window::sliding(1, 60)],
            page: Some(20),
            ..Limits::default()
        };
        let half = Factor(500).of(&limits);
        assert_eq!(half.subjects, [Window::sliding(1, 3_600)]);
        assert_eq!((half.requests, half.page), (vec![Window::sliding(1, 60)], None));
    }
}
