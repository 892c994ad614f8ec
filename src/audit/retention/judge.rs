//! What is to become of each key. Pure: keys, periods, holds and the time in; fates out.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use super::{Fate, Hold, NOTICE_DAYS, Period, Periods};
use crate::audit::at_rest::{Day, KeyFile, KeyName, RestKey, State};
use crate::audit::entry::Moment;

/// Between two keys so many days count as seen by the log, however far apart their dates are. The gate makes one
/// a day; a longer gap is a gate that stood still, or a clock that was wrong.
const LONGEST_GAP: u32 = 7;

/// The fate of each key, in the order of `keys`, which is that of their numbers. Whose they are, `given` tells; one of
/// tenants that it does not tell is kept as long as any of them wants.
pub(super) fn judge(
    keys: &[(KeyName, KeyFile)],
    given: &[RestKey],
    periods: &Periods,
    holds: &[Hold],
    now: Moment,
) -> Vec<Fate> {
    // Every day has keys for everybody, so they tell the time for all.
    let seen: Vec<&(KeyName, KeyFile)> =
        keys.iter().filter(|(_, file)| file.is_everybodys()).collect();
    let fate = |(name, file): &(KeyName, KeyFile)| {
        let hold = holds.iter().find(|hold| hold.covers(name.lock, name.day));
        let later = Later { seen: &seen, name, now };
        match (&file.state, hold) {
            (State::Destroyed { .. }, _) => Fate::Destroyed,
            (State::Kept { .. }, hold) => {
                let period = periods.of(name.lock, &file.whose(*name, given));
                match (without_hold(name, file, period, &later), hold) {
                    (kept @ Fate::Kept(_), _) | (kept, None) => kept,
                    (_, Some(hold)) => Fate::Held(hold.id),
                }
            }
        }
    };
    keys.iter().map(fate).collect()
}

fn without_hold(name: &KeyName, file: &KeyFile, period: Period, later: &Later<'_>) -> Fate {
    let (today, over) = (Day::of_ms(later.now.0), end_of(name.day, period.months));
    if today.plus(NOTICE_DAYS) < over {
        return Fate::Kept(over);
    }
    // One that was announced in the future was announced by a clock that was wrong.
    let Some(announced) = file.announced.filter(|at| *at <= later.now) else {
        return Fate::ToAnnounce(over.max(today.plus(NOTICE_DAYS)));
    };
    let earliest = over.max(Day::of_ms(announced.0).plus(NOTICE_DAYS));
    // A key is used until the day after it was made is over.
    let least = days_of(period.least).saturating_add(2);
    let is_due = today >= earliest
        && later.seen_since(announced) >= NOTICE_DAYS
        && later.seen_since(file.made) >= least;
    if is_due { Fate::Due } else { Fate::Announced(earliest.max(today.plus(1))) }
}

/// The first day on which something of this day is older than so many months.
pub(super) fn end_of(day: Day, months: u32) -> Day {
    let end = Timestamp::from_millisecond(day.plus(1).start_ms()).ok();
    let end = end
        .and_then(|end| end.to_zoned(TimeZone::UTC).checked_add(i64::from(months).months()).ok());
    end.map_or(Day(u32::MAX), |end| Day::of_ms(end.timestamp().as_millisecond()))
}

fn days_of(months: u32) -> u32 {
    months.saturating_mul(365).div_ceil(12)
}

/// The time as the log has seen it: by the keys that were made after one.
struct Later<'a> {
    seen: &'a [&'a (KeyName, KeyFile)],
    name: &'a KeyName,
    now: Moment,
}

impl Later<'_> {
    /// Days since `moment`, of which a gap without any key counts as a few only.
    fn seen_since(&self, moment: Moment) -> u32 {
        let mut last = Day::of_ms(moment.0);
        let mut seen = 0_u32;
        let (number, lock) = (self.name.number, self.name.lock);
        let of_lock = self.seen.iter().filter(|(name, _)| name.lock == lock);
        let later = of_lock.filter(|(name, file)| name.number > number && file.made > moment);
        for day in later.map(|(_, file)| Day::of_ms(file.made.0)).chain([Day::of_ms(self.now.0)]) {
            seen = seen.saturating_add(day.since(last).min(LONGEST_GAP));
            last = day;
        }
        seen
    }
}
