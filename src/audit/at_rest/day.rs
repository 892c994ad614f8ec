//! A day in UTC: how long an entry is kept goes by the day of its key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// A day in UTC, as days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub(in crate::audit) u32);

impl Day {
    /// The day of a moment in Unix milliseconds.
    #[must_use]
    pub fn of_ms(unix_ms: i64) -> Self {
        Self(u32::try_from(unix_ms.div_euclid(DAY_MS)).unwrap_or(0))
    }

    /// When it begins, in Unix milliseconds.
    #[must_use]
    pub fn start_ms(self) -> i64 {
        i64::from(self.0) * DAY_MS
    }

    /// The day so many days later.
    #[must_use]
    pub fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// How many days after `earlier` it is; 0 if it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.start_ms()).unwrap_or_default();
        moment.strftime("%Y-%m-%d").fmt(f)
    }
}

/// It is no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a day, such as `2026-11-29`")]
pub struct DayError;

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let date: jiff::civil::Date = text.parse().ok().ok_or(DayError)?;
        let start = date.to_zoned(jiff::tz::TimeZone::UTC).ok().ok_or(DayError)?;
        let day = Self::of_ms(start.timestamp().as_millisecond());
        if day.to_string() == text { Ok(day) } else { Err(DayError) }
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_reads_back_and_nothing_else_is_one() {
        let day: Day = "2026-11-29".parse().unwrap();
        assert_eq!(day, Day::of_ms(day.start_ms() + DAY_MS - 1));
        assert_eq!((day.plus(3).to_string().as_str(), day.plus(3).since(day)), ("2026-12-02", 3));
        for text in ["2026-11-9", "29.11.2026", "2026-02-30", "", "2026-11-29T00:00"] {
            assert_eq!(text.parse::<Day>(), Err(DayError), "{text}");
        }
    }
}
