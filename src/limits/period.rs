//! The time over which a budget counts: a sliding window, or the calendar's day.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, Unit};

/// The longest window: a leap year.
pub(super) const MAX_WINDOW_S: u32 = 366 * 86_400;
/// The name of a calendar's day.
const CALENDAR_DAY: &str = "calendar-day";
/// Seconds of a day, which is longer or shorter where clocks are changed.
const DAY_S: u32 = 86_400;
/// A moment that the calendar does not know is this far away.
const NEVER_MS: i64 = i64::MAX / 4;

/// Over which time a budget counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    /// Any span of so many seconds.
    Sliding(u32),
    /// From midnight to midnight.
    Day(Zone),
}

impl Period {
    /// Its length in seconds, near enough to compare periods and to tell a caller.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        match self {
            Self::Sliding(seconds) => *seconds,
            Self::Day(_) => DAY_S,
        }
    }

    /// Reads `1h`, or `calendar-day` with its zone.
    pub(super) fn parse(text: &str, zone: Option<&str>) -> Option<Self> {
        let period = if text == CALENDAR_DAY {
            Self::Day(zone.map_or(Some(Zone::utc()), Zone::named)?)
        } else {
            let units = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
            let (digits, factor) =
                units.into_iter().find_map(|(letter, f)| Some((text.strip_suffix(letter)?, f)))?;
            let seconds = digits.parse::<u32>().ok()?.checked_mul(factor)?;
            Self::Sliding(Some(seconds).filter(|s| (1..=MAX_WINDOW_S).contains(s))?)
        };
        // One text for each period: a zone that is not needed is none.
        let written = zone.map_or_else(|| text.to_owned(), |zone| format!("{text};zone={zone}"));
        (period.to_string() == written).then_some(period)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sliding(s) if *s > 0 && s.is_multiple_of(86_400) => write!(f, "{}d", s / 86_400),
            Self::Sliding(s) if *s > 0 && s.is_multiple_of(3_600) => write!(f, "{}h", s / 3_600),
            Self::Sliding(s) if *s > 0 && s.is_multiple_of(60) => write!(f, "{}m", s / 60),
            Self::Sliding(s) => write!(f, "{s}s"),
            Self::Day(zone) if *zone == Zone::utc() => f.write_str(CALENDAR_DAY),
            Self::Day(zone) => write!(f, "{CALENDAR_DAY};zone={zone}"),
        }
    }
}

/// A time zone that the program knows by its name.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// Universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this name, such as `Asia/Shanghai`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "UTC" {
            return Some(Self::utc());
        }
        TimeZoneDatabase::bundled().get(name).ok().map(Self)
    }

    fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The day of a moment, counted from 1970-01-01.
    pub(super) fn day(&self, unix_ms: i64) -> i64 {
        let at = Timestamp::from_millisecond(unix_ms);
        let at = at.unwrap_or(if unix_ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
        let date = self.0.to_datetime(at).date();
        let since = epoch().until((Unit::Day, date));
        since.map_or(0, |span| i64::from(span.get_days()))
    }

    /// When a day begins, in Unix milliseconds.
    pub(super) fn begins_ms(&self, day: i64) -> i64 {
        let begins = Span::new().try_days(day).ok().and_then(|span| epoch().checked_add(span).ok());
        let begins = begins.and_then(|date| date.to_zoned(self.0.clone()).ok());
        begins.map_or(if day < 0 { -NEVER_MS } else { NEVER_MS }, |zoned| {
            zoned.timestamp().as_millisecond()
        })
    }
}

fn epoch() -> Date {
    Date::constant(1970, 1, 1)
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl PartialOrd for Zone {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Zone {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_its_zone_also_where_clocks_are_changed() {
        let zones = ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/St_Johns"];
        for zone in zones.map(|name| Zone::named(name).unwrap()) {
            for day in [0, 18_000, 20_540, 20_541, 20_755, 20_756, -400] {
                let begins = zone.begins_ms(day);
                assert_eq!((zone.day(begins), zone.day(begins - 1)), (day, day - 1), "{zone}");
            }
        }
    }

    #[test]
    fn moments_beyond_the_calendar_do_not_panic() {
        let zone = Zone::named("Asia/Shanghai").unwrap();
        assert!(zone.day(i64::MIN) < zone.day(i64::MAX));
        assert!(zone.begins_ms(i64::MIN) < zone.begins_ms(i64::MAX));
    }
}
