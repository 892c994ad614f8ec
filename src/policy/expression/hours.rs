//! Hours of the week: `Mon-Fri 08:00-20:00, Sat 09:00-12:00`.

use jiff::civil::{DateTime, Weekday};

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const DAY_MINUTES: u16 = 24 * 60;
/// The most windows that one text may name.
const WINDOW_LIMIT: usize = 32;

/// Windows of a week. Each begins inclusively and ends exclusively.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Week(Vec<Window>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    /// The days on which it begins, Monday first.
    days: [bool; 7],
    start: u16,
    /// At most `start`: it ends on the next day.
    end: u16,
}

impl Week {
    /// Reads windows separated by commas; `None` if the text is none.
    pub(in crate::policy) fn parse(text: &str) -> Option<Self> {
        let windows: Option<Vec<Window>> =
            text.split(',').take(WINDOW_LIMIT + 1).map(|part| window(part.trim())).collect();
        windows.filter(|windows| windows.len() <= WINDOW_LIMIT).map(Self)
    }

    /// Whether a local time lies in one of the windows.
    pub(in crate::policy) fn holds(&self, local: DateTime) -> bool {
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        self.contains(local.weekday(), minute)
    }

    /// Whether the minute lies in one of the windows.
    pub(in crate::policy) fn contains(&self, weekday: Weekday, minute: u16) -> bool {
        let today = usize::try_from(weekday.to_monday_zero_offset()).unwrap_or(0);
        let on = |window: &Window, day: usize| window.days.get(day).copied().unwrap_or(false);
        self.0.iter().any(|window| {
            if window.start < window.end {
                return on(window, today) && (window.start..window.end).contains(&minute);
            }
            (on(window, today) && minute >= window.start)
                || (on(window, (today + 6) % 7) && minute < window.end)
        })
    }

    /// Whether no minute of the week lies outside. What lies outside begins with a day or at the end of a window.
    pub(super) fn is_always(&self) -> bool {
        let ends = || self.0.iter().map(|window| window.end % DAY_MINUTES).chain([0]);
        let days = std::iter::successors(Some(Weekday::Monday), |day| Some(day.next())).take(7);
        days.into_iter().all(|day| ends().all(|minute| self.contains(day, minute)))
    }
}

fn window(text: &str) -> Option<Window> {
    let (days, hours) = text.rsplit_once(' ').unwrap_or(("Mon-Sun", text));
    let (start, end) = hours.split_once('-')?;
    let (start, end) = (minute(start)?, minute(end)?);
    let window = Window { days: span_of_days(days.trim())?, start, end };
    (start != end && start < DAY_MINUTES).then_some(window)
}

fn span_of_days(text: &str) -> Option<[bool; 7]> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    let (first, last) = (day(first)?, day(last)?);
    let length = (last + 7 - first) % 7;
    Some(std::array::from_fn(|day| (day + 7 - first) % 7 <= length))
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| {
        let plain = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| plain)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY_MINUTES).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(text: &str, weekday: Weekday, minute: u16) -> bool {
        Week::parse(text).unwrap().contains(weekday, minute)
    }

    #[test]
    fn a_window_begins_inclusively_and_ends_exclusively() {
        let text = "Mon-Fri 08:00-20:00";
        assert!(is_in(text, Weekday::Monday, 8 * 60));
        assert!(!is_in(text, Weekday::Monday, 20 * 60));
        assert!(!is_in(text, Weekday::Saturday, 10 * 60));
        assert!(is_in("Sat 09:00-24:00", Weekday::Saturday, DAY_MINUTES - 1));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins() {
        let text = "Sun 22:00-06:00";
        assert!(is_in(text, Weekday::Sunday, 23 * 60));
        assert!(is_in(text, Weekday::Monday, 5 * 60));
        assert!(!is_in(text, Weekday::Sunday, 5 * 60));
    }

    #[test]
    fn days_may_run_over_the_end_of_the_week() {
        assert!(is_in("Sat-Mon 08:00-09:00, Wed 08:00-09:00", Weekday::Sunday, 481));
        assert!(!is_in("Sat-Mon 08:00-09:00, Wed 08:00-09:00", Weekday::Tuesday, 481));
    }

    #[test]
    fn hours_that_leave_nothing_out_are_told_from_those_that_do() {
        for text in [
            "00:00-24:00",
            "Mon-Fri 00:00-24:00, Sat-Sun 12:00-11:59, Fri 23:00-13:00, Sat 11:00-13:00, Sun 11:00-12:00",
        ] {
            assert!(Week::parse(text).unwrap().is_always(), "{text}");
        }
        for text in ["Mon-Sat 00:00-24:00", "00:00-23:59", "00:01-24:00"] {
            assert!(!Week::parse(text).unwrap().is_always(), "{text}");
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "Mon",
            "Mon 8:00-9:00",
            "Mon 08:00-25:00",
            "Moon 08:00-09:00",
            "24:00-01:00",
            "08:00-08:00",
            "Mon-Tue-Wed 08:00-09:00",
            "08:60-09:00",
            "+8:00-09:00",
        ] {
            assert_eq!(Week::parse(text), None, "{text}");
        }
    }
}
