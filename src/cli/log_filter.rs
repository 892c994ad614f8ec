//! What somebody asks the log for, as arguments of a command.

use clap::{Args, ValueEnum};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::log::{LogCommandError, event, sha256};
use super::log_custody::reference;
use crate::audit::{Effect, Event, Filter, Mode, SubjectRef, SubjectSealer};

/// Which requests and events.
#[derive(Debug, Default, Args)]
pub(super) struct FilterArgs {
    /// Only what shows this data subject, such as customer:42, or the reference of one, such as #Ab3….
    #[arg(long, value_name = "ENTITY:KEY")]
    pub(super) subject: Option<String>,
    /// Only what this account did.
    #[arg(long, value_name = "ACCOUNT")]
    actor: Option<String>,
    /// Only what this person did, by whatever account.
    #[arg(long, value_name = "PERSON")]
    person: Option<String>,
    /// Only what was done in this role.
    #[arg(long)]
    role: Option<String>,
    /// Only this route.
    #[arg(long)]
    route: Option<String>,
    /// Only for this purpose.
    #[arg(long)]
    purpose: Option<String>,
    /// Only under this ticket.
    #[arg(long)]
    ticket: Option<String>,
    /// Only where this field was shown, in whatever form.
    #[arg(long, value_name = "ENTITY.FIELD")]
    field: Option<String>,
    /// Only where this field was shown in clear.
    #[arg(long, value_name = "ENTITY.FIELD")]
    clear: Option<String>,
    /// Only what was decided so.
    #[arg(long, value_parser = word(Effect::ALL, Effect::word))]
    effect: Option<Effect>,
    /// Only events of this kind.
    #[arg(long, value_parser = event)]
    event: Option<Event>,
    /// Only looks, or only files.
    #[arg(long, value_parser = word(Mode::ALL, Mode::word))]
    mode: Option<Mode>,
    /// Only acts of this name, such as `policy_loaded`.
    #[arg(long)]
    act: Option<String>,
    /// Only where the reason has these words, in whatever case.
    #[arg(long, value_name = "TEXT")]
    words: Option<String>,
    /// Only the file that carries this mark.
    #[arg(long, value_name = "MARK")]
    watermark: Option<String>,
    /// Only files with this SHA-256.
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    sha256: Option<String>,
    #[command(flatten)]
    pub(super) when: WhenArgs,
}

/// From when until when, and in which zone that and the answer is.
#[derive(Debug, Default, Args)]
pub(super) struct WhenArgs {
    /// From this day or moment on: 2026-10-01, or 2026-10-01T08:00.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Up to this day, itself included, or this moment.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// A month: 2026-10.
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["from", "to"])]
    month: Option<String>,
    /// The time zone of these and of what is printed, such as Asia/Shanghai.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    zone: Option<Zone>,
}

/// A time zone that was named.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

impl Zone {
    /// A moment as people read it there.
    pub(super) fn shown(&self, ms: i64) -> String {
        let moment = Timestamp::from_millisecond(ms).unwrap_or_default();
        moment.to_zoned(self.0.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// The hour of the day there, and whether it is a Saturday or Sunday.
    pub(super) fn hour(&self, ms: i64) -> (i8, bool) {
        use jiff::civil::Weekday;
        let there = Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(self.0.clone());
        (there.hour(), matches!(there.weekday(), Weekday::Saturday | Weekday::Sunday))
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

fn zone(name: &str) -> Result<Zone, String> {
    let known = TimeZone::get(name).ok();
    known.map(Zone).ok_or_else(|| "must be a time zone, such as Asia/Shanghai".to_owned())
}

/// Reads one of a closed set of words.
fn word<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        all.iter().copied().find(|one| word(*one) == text).ok_or_else(|| {
            let words: Vec<_> = all.iter().map(|one| word(*one)).collect();
            format!("must be one of {}", words.join(", "))
        })
    }
}

impl WhenArgs {
    /// A month in a zone.
    pub(super) fn of_month(month: &str, name: &str) -> Result<Self, LogCommandError> {
        let zone = zone(name).map_err(|said| LogCommandError::Asked(format!("--zone: {said}")))?;
        let (month, zone) = (Some(month.to_owned()), Some(zone));
        Ok(Self { month, zone, ..Self::default() })
    }

    /// The zone.
    pub(super) fn zone(&self) -> Zone {
        self.zone.clone().unwrap_or(Zone(TimeZone::UTC))
    }

    /// The first moment, and the one after the last, in Unix milliseconds.
    pub(super) fn range(&self) -> Result<(Option<i64>, Option<i64>), LogCommandError> {
        let zone = self.zone().0;
        if let Some(month) = &self.month {
            let wrong = || fault("--month", "a month, such as 2026-10", month);
            let first: Date = format!("{month}-01").parse().map_err(|_not_one| wrong())?;
            let next = first.checked_add(1.month()).map_err(|_too_late| wrong())?;
            return Ok((start(first, &zone), start(next, &zone)));
        }
        let from = self.from.as_deref().map(|text| moment("--from", text, &zone, 0)).transpose()?;
        let to = self.to.as_deref().map(|text| moment("--to", text, &zone, 1)).transpose()?;
        Ok((from, to))
    }
}

fn start(day: Date, zone: &TimeZone) -> Option<i64> {
    Some(day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
}

/// A day, so many days later, or a moment.
fn moment(
    option: &'static str,
    text: &str,
    zone: &TimeZone,
    later: i64,
) -> Result<i64, LogCommandError> {
    let of_day = |day: Date| start(day.checked_add(later.days()).ok()?, zone);
    let of_moment =
        |at: DateTime| Some(at.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond());
    let is_day = text.len() == "2026-10-01".len();
    let day = text.parse().ok().filter(|_| is_day).and_then(of_day);
    let exact = || text.parse::<Timestamp>().ok().map(|at| at.as_millisecond());
    let read = day.or_else(exact).or_else(|| text.parse().ok().and_then(of_moment));
    read.ok_or_else(|| fault(option, "a day or a moment, such as 2026-10-01T08:00", text))
}

fn fault(option: &str, wanted: &str, got: &str) -> LogCommandError {
    LogCommandError::Asked(format!("{option}: must be {wanted}, got `{got}`"))
}

impl FilterArgs {
    /// Whoever is named so.
    pub(super) fn about(subject: &str) -> Self {
        Self { subject: Some(subject.to_owned()), ..Self::default() }
    }

    /// The filter, and the one it is about if somebody named them.
    pub(super) fn read(
        &self,
        sealer: &SubjectSealer,
    ) -> Result<(Filter, Option<SubjectRef>), LogCommandError> {
        let (from_ms, until_ms) = self.when.range()?;
        let named = self.subject.as_deref().filter(|name| !name.starts_with('#'));
        let named = named.map(|name| reference(name, sealer)).transpose()?;
        let token = self.subject.as_deref().and_then(|name| name.strip_prefix('#'));
        let token = token.map(str::to_owned);
        let filter = Filter {
            subject: named.as_ref().map(|one| one.token().to_owned()).or(token),
            actor: self.actor.clone(),
            person: self.person.clone(),
            role: self.role.clone(),
            event: self.event,
            effect: self.effect,
            route: self.route.clone(),
            purpose: self.purpose.clone(),
            ticket: self.ticket.clone(),
            field: self.field.clone(),
            clear: self.clear.clone(),
            mode: self.mode,
            act: self.act.clone(),
            reason: self.words.clone(),
            // Somebody may have written it down in capitals.
            watermark: self.watermark.as_ref().map(|mark| mark.trim().to_ascii_lowercase()),
            sha256: self.sha256.clone(),
            from_ms,
            until_ms,
        };
        Ok((filter, named))
    }
}

/// How many are printed as what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// A table for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(
        from: Option<&str>,
        to: Option<&str>,
        month: Option<&str>,
    ) -> (Option<i64>, Option<i64>) {
        let zone = Some(zone("Asia/Shanghai").unwrap());
        let own = |text: Option<&str>| text.map(str::to_owned);
        WhenArgs { from: own(from), to: own(to), month: own(month), zone }.range().unwrap()
    }

    #[test]
    fn days_and_months_are_those_of_the_zone_and_the_last_day_is_in_it() {
        let ms = |text: &str| Some(text.parse::<Timestamp>().unwrap().as_millisecond());
        let october = (ms("2026-09-30T16:00:00Z"), ms("2026-10-31T16:00:00Z"));
        assert_eq!(range(None, None, Some("2026-10")), october);
        assert_eq!(range(Some("2026-10-01"), Some("2026-10-31"), None), october);
        assert_eq!(range(Some("2026-10-01T08:00"), None, None).0, ms("2026-10-01T00:00:00Z"));
        assert_eq!(range(Some("2026-10-01T08:00:00Z"), None, None).0, ms("2026-10-01T08:00:00Z"));
        let wrong = WhenArgs { month: Some("October".into()), ..WhenArgs::default() };
        assert!(wrong.range().unwrap_err().to_string().starts_with("--month: must be a month"));
    }
}
