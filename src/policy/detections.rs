//! Detections: patterns in what one person does that no single request shows, and what follows from one. Which
//! there are and what they ask when a policy says nothing of them; finding them is `review`'s.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::expression::Week;

/// A pattern that is looked for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Detection {
    /// Far more people in a day than on this person's own days before.
    OwnMedian,
    /// Keys that follow one another, whatever was answered.
    SequentialIds,
    /// Searches that found nobody.
    ZeroHits,
    /// One data subject who is opened by many.
    ManyOpeners,
    /// Somebody who opens the record that is their own.
    OwnRecord,
    /// Work outside the hours of work.
    OffHours,
    /// Grade 3 from a network or device that is new for this person.
    NewPlace,
    /// An account that nobody used for long.
    Dormant,
    /// A data subject whom nobody has a reason to open.
    Canary,
    /// A data subject of a list that is opened with a reason only: colleagues, well-known people.
    Watched,
    /// A file, and soon after it the account goes.
    ExportThenLeave,
    /// Day after day nearly as many people as the limit lets through.
    SteadyDraw,
    /// Turning pages of a list too far.
    PageDepth,
    /// Somebody switches off an account, a device or another control.
    SwitchedOff,
    /// A partner who takes far more than usual.
    PartnerVolume,
    /// Somebody who opens the record of a colleague.
    Colleague,
    /// Records given though no case ties the caller to whom they are about.
    Unlinked,
    /// Two who agree to each other's grants.
    MutualApprovals,
}

/// What follows from a finding.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Consequence {
    /// It is told and recorded.
    Alert,
    /// And the person shows a factor anew before anything more is given.
    StepUp,
    /// And the person goes on slowly.
    Slow,
    /// And the person gets nothing more.
    Block,
}

impl Consequence {
    /// All of them, the mildest first.
    pub const ALL: [Self; 4] = [Self::Alert, Self::StepUp, Self::Slow, Self::Block];

    /// The word of policy files and of the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::StepUp => "step-up",
            Self::Slow => "slow",
            Self::Block => "block",
        }
    }

    /// What the word means.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == word)
    }
}

/// From where on it is a finding, and what follows. What a detection does not ask is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub within_s: u32,
    /// How many times as much as usual.
    pub times: u32,
    /// Less than this is never a finding.
    pub least: u32,
    /// Days.
    pub days: u32,
    /// Percent of a limit.
    pub percent: u32,
    /// What follows; `None` where the detection is off.
    pub consequence: Option<Consequence>,
    /// Roles whose holders are not looked at.
    pub except: Vec<Box<str>>,
}

/// A number that a detection asks: the key, what it is if nobody says, and its bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knob {
    pub(super) key: &'static str,
    pub(super) usual: u32,
    pub(super) least: u32,
    pub(super) most: u32,
}

impl Knob {
    /// Times are written with a unit.
    pub(super) fn is_time(&self) -> bool {
        self.key == "within"
    }
}

const fn knob(key: &'static str, usual: u32, least: u32, most: u32) -> Knob {
    Knob { key, usual, least, most }
}

const DAY_S: u32 = 86_400;

impl Detection {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::OwnMedian,
        Self::SequentialIds,
        Self::ZeroHits,
        Self::ManyOpeners,
        Self::OwnRecord,
        Self::OffHours,
        Self::NewPlace,
        Self::Dormant,
        Self::Canary,
        Self::Watched,
        Self::ExportThenLeave,
        Self::SteadyDraw,
        Self::PageDepth,
        Self::SwitchedOff,
        Self::PartnerVolume,
        Self::Colleague,
        Self::Unlinked,
        Self::MutualApprovals,
    ];

    /// The name in policy files, in the log and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OwnMedian => "own-median",
            Self::SequentialIds => "sequential-ids",
            Self::ZeroHits => "zero-hits",
            Self::ManyOpeners => "many-openers",
            Self::OwnRecord => "own-record",
            Self::OffHours => "off-hours",
            Self::NewPlace => "new-place",
            Self::Dormant => "dormant",
            Self::Canary => "canary",
            Self::Watched => "watched",
            Self::ExportThenLeave => "export-then-leave",
            Self::SteadyDraw => "steady-draw",
            Self::PageDepth => "page-depth",
            Self::SwitchedOff => "switched-off",
            Self::PartnerVolume => "partner-volume",
            Self::Colleague => "colleague",
            Self::Unlinked => "unlinked",
            Self::MutualApprovals => "mutual-approvals",
        }
    }

    /// The detection of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The numbers that it asks.
    pub(super) fn knobs(self) -> &'static [Knob] {
        const MEDIAN: &[Knob] = &[knob("times", 3, 2, 100), knob("least", 30, 1, 1_000_000)];
        const SEQUENCE: &[Knob] = &[knob("count", 20, 2, 64), knob("within", 300, 10, DAY_S)];
        const SEARCHES: &[Knob] = &[knob("count", 15, 2, 64), knob("within", 600, 10, DAY_S)];
        const OPENERS: &[Knob] = &[knob("count", 5, 2, 16), knob("within", DAY_S, 60, 7 * DAY_S)];
        const PARTNER: &[Knob] = &[knob("times", 3, 2, 100), knob("least", 100, 1, 1_000_000)];
        const STEADY: &[Knob] = &[knob("days", 5, 2, 28), knob("percent", 90, 50, 100)];
        const UNLINKED: &[Knob] = &[knob("count", 10, 1, 64), knob("within", 3_600, 60, DAY_S)];
        // `ring` of grants refuses the fourth of one side within a month, as shipped.
        const APPROVALS: &[Knob] =
            &[knob("count", 3, 1, 64), knob("within", 7 * DAY_S, 3_600, 90 * DAY_S)];
        match self {
            Self::OwnMedian => MEDIAN,
            Self::SequentialIds => SEQUENCE,
            Self::ZeroHits => SEARCHES,
            Self::ManyOpeners => OPENERS,
            Self::OwnRecord
            | Self::Colleague
            | Self::OffHours
            | Self::Canary
            | Self::Watched
            | Self::SwitchedOff => &[],
            Self::NewPlace => const { &[knob("days", 7, 1, 90)] },
            Self::Dormant | Self::ExportThenLeave => const { &[knob("days", 30, 1, 365)] },
            Self::SteadyDraw => STEADY,
            Self::PageDepth => const { &[knob("count", 20, 1, 1_000_000)] },
            Self::PartnerVolume => PARTNER,
            Self::Unlinked => UNLINKED,
            Self::MutualApprovals => APPROVALS,
        }
    }

    /// What must be said before it can find anything: hours, canaries, whose record is whose.
    pub(super) fn needs(self) -> &'static [&'static str] {
        match self {
            Self::OffHours => &["hours", "zone"],
            Self::Canary | Self::Watched => &["subjects"],
            Self::OwnRecord | Self::Colleague => &["of", "attribute"],
            Self::OwnMedian
            | Self::SequentialIds
            | Self::ZeroHits
            | Self::ManyOpeners
            | Self::NewPlace
            | Self::Dormant
            | Self::ExportThenLeave
            | Self::SteadyDraw
            | Self::PageDepth
            | Self::SwitchedOff
            | Self::PartnerVolume
            | Self::Unlinked
            | Self::MutualApprovals => &[],
        }
    }

    /// What follows if nobody says otherwise. What is a number of things in a time happens to honest people too, on a busy
    /// day or in a batch; only a canary nobody meets by accident.
    pub(super) fn usually(self) -> Consequence {
        match self {
            Self::Canary => Consequence::Block,
            Self::Watched
            | Self::OwnMedian
            | Self::SequentialIds
            | Self::ZeroHits
            | Self::ManyOpeners
            | Self::OwnRecord
            | Self::OffHours
            | Self::NewPlace
            | Self::Dormant
            | Self::ExportThenLeave
            | Self::SteadyDraw
            | Self::PageDepth
            | Self::SwitchedOff
            | Self::PartnerVolume
            | Self::Colleague
            | Self::Unlinked
            | Self::MutualApprovals => Consequence::Alert,
        }
    }

    /// What it asks if nobody says anything. Off, where it needs to be told something first.
    fn usual_terms(self) -> Terms {
        let on = self.needs().is_empty();
        let mut terms = Terms { consequence: on.then(|| self.usually()), ..Terms::default() };
        for knob in self.knobs() {
            terms.set(knob.key, knob.usual);
        }
        terms
    }
}

impl Terms {
    /// Sets the number of this key.
    pub(super) fn set(&mut self, key: &str, number: u32) {
        match key {
            "count" => self.count = number,
            "within" => self.within_s = number,
            "times" => self.times = number,
            "least" => self.least = number,
            "days" => self.days = number,
            "percent" => self.percent = number,
            _ => {}
        }
    }
}

/// Hours of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    week: Week,
    zone: TimeZone,
}

impl Hours {
    /// Reads hours such as `Mon-Fri 08:00-20:00`.
    pub(super) fn week(text: &str) -> Option<Week> {
        Week::parse(text)
    }

    /// Only the zones that are compiled in: the answer must not depend on the machine.
    pub(super) fn zone(name: &str) -> Option<TimeZone> {
        TimeZoneDatabase::bundled().get(name).ok()
    }

    pub(super) fn new(week: Week, zone: TimeZone) -> Self {
        Self { week, zone }
    }

    /// Whether somebody works then.
    #[must_use]
    pub fn contain(&self, unix_s: i64) -> bool {
        let Ok(at) = Timestamp::from_second(unix_s) else { return false };
        let local = self.zone.to_datetime(at);
        let minute =
            u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        self.week.contains(local.weekday(), minute)
    }
}

/// Whose record is whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRecord {
    /// The entity.
    pub entity: Box<str>,
    /// The attribute of a caller that holds the key of the caller's own record.
    pub attribute: Box<str>,
}

/// What a policy looks for.
#[derive(Clone, Debug)]
pub struct Detections {
    pub(super) terms: BTreeMap<Detection, Terms>,
    pub(super) hours: Option<Hours>,
    pub(super) canaries: Vec<(Box<str>, Box<str>)>,
    pub(super) watched: Vec<(Box<str>, Box<str>)>,
    pub(super) own: Option<OwnRecord>,
    pub(super) release: Vec<Box<str>>,
}

impl Default for Detections {
    fn default() -> Self {
        let terms = Detection::ALL.into_iter().map(|one| (one, one.usual_terms())).collect();
        let (canaries, watched, release) = Default::default();
        Self { terms, hours: None, canaries, watched, own: None, release }
    }
}

impl Detections {
    /// What a detection asks and what follows, if it is on.
    #[must_use]
    pub fn of(&self, detection: Detection) -> Option<(&Terms, Consequence)> {
        let terms = self.terms.get(&detection)?;
        Some((terms, terms.consequence?))
    }

    /// The hours of work, where they are said.
    #[must_use]
    pub fn hours(&self) -> Option<&Hours> {
        self.hours.as_ref()
    }

    /// The canaries, as entity and key.
    pub fn canaries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.canaries.iter().map(|(entity, key)| (&**entity, &**key))
    }

    /// Whom nobody opens without a reason, as entity and key.
    pub fn watched(&self) -> impl Iterator<Item = (&str, &str)> {
        self.watched.iter().map(|(entity, key)| (&**entity, &**key))
    }

    /// How a caller's own record is told, for `own-record` and `colleague`.
    #[must_use]
    pub fn own_record(&self) -> Option<&OwnRecord> {
        self.own.as_ref()
    }

    /// The roles whose holders release what a detection holds.
    pub fn release(&self) -> impl Iterator<Item = &str> {
        self.release.iter().map(AsRef::as_ref)
    }
}
