//! How long a pseudonym stands for its value: `pseudonyms: { rotate: month, zone: Asia/Shanghai }`. After
//! that the value gets another, so that nobody follows a person for longer.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// After what time pseudonyms are others; the order is from short to long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rotate {
    Month,
    Quarter,
    Year,
    #[default]
    Never,
}

impl Rotate {
    /// Every one with the name that policy files use.
    pub(super) const NAMES: &'static [(&'static str, Self)] = &[
        ("month", Self::Month),
        ("quarter", Self::Quarter),
        ("year", Self::Year),
        ("never", Self::Never),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, rotate)| *rotate)
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, rotate)| *rotate == self).map_or("never", |(name, _)| name)
    }
}

/// When pseudonyms change, and where it is that time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    pub(super) rotate: Rotate,
    pub(super) zone: TimeZone,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { rotate: Rotate::Never, zone: TimeZone::UTC }
    }
}

impl Rotation {
    /// The period that a moment lies in, such as `2026-11`, `2026-Q4` or `2026`; empty where there are none.
    pub(super) fn period(&self, now_unix_s: i64) -> String {
        // Beyond the years that jiff knows there is one more period.
        let day = Timestamp::from_second(now_unix_s).map(|now| self.zone.to_datetime(now).date());
        let day = day.unwrap_or(jiff::civil::Date::MAX);
        match self.rotate {
            Rotate::Never => String::new(),
            Rotate::Year => format!("{:04}", day.year()),
            Rotate::Quarter => format!("{:04}-Q{}", day.year(), (day.month() + 2) / 3),
            Rotate::Month => format!("{:04}-{:02}", day.year(), day.month()),
        }
    }

    /// In words: `others each month (Asia/Shanghai)`.
    pub(super) fn words(&self) -> String {
        let zone = self.zone.iana_name().unwrap_or("UTC");
        match self.rotate {
            Rotate::Never => "the same for good".to_owned(),
            Rotate::Month | Rotate::Quarter | Rotate::Year => {
                format!("others each {} ({zone})", self.rotate.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZoneDatabase;

    use super::*;

    fn period(rotate: Rotate, zone: &str, moment: &str) -> String {
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
        let moment: Timestamp = moment.parse().unwrap();
        Rotation { rotate, zone }.period(moment.as_second())
    }

    #[test]
    fn a_period_ends_at_midnight_of_its_zone() {
        let last = "2026-11-30T15:59:59Z";
        let first = "2026-11-30T16:00:00Z";
        assert_eq!(period(Rotate::Month, "Asia/Shanghai", last), "2026-11");
        assert_eq!(period(Rotate::Month, "Asia/Shanghai", first), "2026-12");
        assert_eq!(period(Rotate::Month, "UTC", first), "2026-11");
    }

    #[test]
    fn quarters_and_years_are_longer() {
        for (moment, quarter) in
            [("2026-03-31", "2026-Q1"), ("2026-04-01", "2026-Q2"), ("2026-12-31", "2026-Q4")]
        {
            let moment = format!("{moment}T12:00:00Z");
            assert_eq!(period(Rotate::Quarter, "UTC", &moment), quarter);
            assert_eq!(period(Rotate::Year, "UTC", &moment), "2026");
            assert_eq!(period(Rotate::Never, "UTC", &moment), "");
        }
    }

    #[test]
    fn a_clock_beyond_all_years_has_a_period_too() {
        let rotation = Rotation { rotate: Rotate::Year, zone: TimeZone::UTC };
        assert_eq!(rotation.period(i64::MAX), "9999");
    }
}
