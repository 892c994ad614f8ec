//! What a caller must prove and where the caller must stand: requirements of rule, route and grade in one.

use std::collections::{BTreeMap, BTreeSet};

use super::super::model::Requirement;
use super::super::record_factor::RecordFactor;
use super::super::ties::CaseKinds;
use super::{Formula, Names};

/// Requirements joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) struct Demand {
    /// Least assurance; 0 asks none.
    pub(in crate::policy) assurance: u8,
    /// The greatest age of a factor, by the least assurance of that factor.
    pub(in crate::policy) fresh: BTreeMap<u8, u32>,
    pub(in crate::policy) zones: Zones,
    /// A device key bound to the person.
    pub(in crate::policy) device: bool,
    /// A grant.
    pub(in crate::policy) grant: bool,
    /// Cases that tie the caller to whom a record is about, of one kind of each.
    pub(in crate::policy) links: BTreeSet<CaseKinds>,
    /// What certain records ask for beside.
    pub(in crate::policy) on_records: BTreeSet<OnRecords>,
}

/// A factor that is asked for on records on which a condition holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) struct OnRecords {
    condition: Formula,
    assurance: u8,
    /// The greatest age of a factor of that assurance.
    fresh: Option<u32>,
}

impl OnRecords {
    pub(super) fn of(factor: &RecordFactor, names: Names<'_>) -> Self {
        let RecordFactor { condition, fields: _, require } = factor;
        let condition = Formula::of(condition, names);
        Self { condition, assurance: require.assurance, fresh: require.fresh_s }
    }

    /// Whether whoever meets the other meets this, on the same records: an error in a condition asks, so that another
    /// condition may err where this one does not.
    fn asks_no_more_than(&self, other: &Self) -> bool {
        self.condition.form == other.condition.form
            && self.assurance <= other.assurance
            && self.fresh.is_none_or(|mine| other.fresh.is_some_and(|theirs| theirs <= mine))
    }

    fn words(&self) -> String {
        let of_all = Demand {
            assurance: self.assurance,
            fresh: self.fresh.iter().map(|age| (self.assurance.max(1), *age)).collect(),
            ..Demand::default()
        };
        format!("{} where {}", of_all.words(), self.condition.text())
    }
}

/// Zones in which something exists.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::policy) enum Zones {
    #[default]
    All,
    /// None of them: nowhere.
    These(BTreeSet<Box<str>>),
}

impl Zones {
    /// As files write them: an empty list means all.
    pub(in crate::policy) fn of(names: &[Box<str>]) -> Self {
        if names.is_empty() { Self::All } else { Self::These(names.iter().cloned().collect()) }
    }

    pub(in crate::policy) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, zones) | (zones, Self::All) => zones.clone(),
            (Self::These(mine), Self::These(theirs)) => {
                Self::These(mine.intersection(theirs).cloned().collect())
            }
        }
    }

    pub(in crate::policy) fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::All) => true,
            (Self::All, Self::These(_)) => false,
            (Self::These(mine), Self::These(theirs)) => mine.is_subset(theirs),
        }
    }

    pub(in crate::policy) fn is_nowhere(&self) -> bool {
        matches!(self, Self::These(zones) if zones.is_empty())
    }
}

impl From<&Requirement> for Demand {
    fn from(requirement: &Requirement) -> Self {
        let Requirement { assurance, fresh_s, zones, device, grant, link } = requirement;
        Self {
            assurance: *assurance,
            fresh: fresh_s.iter().map(|age| ((*assurance).max(1), *age)).collect(),
            zones: Zones::of(zones),
            device: *device,
            grant: *grant,
            links: Some(link.clone()).filter(|link| !link.is_empty()).into_iter().collect(),
            on_records: BTreeSet::new(),
        }
    }
}

impl Demand {
    /// What nobody can meet.
    pub(in crate::policy) fn impossible() -> Self {
        Self { zones: Zones::These(BTreeSet::new()), ..Self::default() }
    }

    pub(in crate::policy) fn is_impossible(&self) -> bool {
        self.zones.is_nowhere()
    }

    /// Both.
    pub(in crate::policy) fn and(&self, other: &Self) -> Self {
        let mut fresh = self.fresh.clone();
        for (level, age) in &other.fresh {
            fresh.entry(*level).and_modify(|mine| *mine = (*mine).min(*age)).or_insert(*age);
        }
        Self {
            assurance: self.assurance.max(other.assurance),
            fresh,
            zones: self.zones.and(&other.zones),
            device: self.device || other.device,
            grant: self.grant || other.grant,
            links: self.links.union(&other.links).cloned().collect(),
            on_records: self.on_records.union(&other.on_records).cloned().collect(),
        }
    }

    /// The same for who stands in these zones anyway.
    pub(in crate::policy) fn beyond(mut self, zones: &Zones) -> Self {
        if zones.is_within(&self.zones) {
            self.zones = Zones::All;
        }
        self
    }

    /// Whether whoever meets this meets the other.
    pub(in crate::policy) fn implies(&self, other: &Self) -> bool {
        let is_fresh = |(level, age): (&u8, &u32)| {
            self.fresh.iter().any(|(mine, newer)| mine >= level && newer <= age)
        };
        let is_asked = |theirs: &OnRecords| {
            let level = theirs.assurance.max(1);
            let anyway = self.assurance >= theirs.assurance
                && theirs.fresh.iter().all(|age| is_fresh((&level, age)));
            anyway || self.on_records.iter().any(|mine| theirs.asks_no_more_than(mine))
        };
        self.is_impossible()
            || (self.assurance >= other.assurance
                && other.fresh.iter().all(is_fresh)
                && self.zones.is_within(&other.zones)
                && (self.device || !other.device)
                && (self.grant || !other.grant)
                && other
                    .links
                    .iter()
                    .all(|theirs| self.links.iter().any(|mine| theirs.asks_no_more_than(mine)))
                && other.on_records.iter().all(is_asked))
    }

    /// In words, such as `assurance 2, a factor at most 15 min old, the zone business`; nothing where nothing is asked.
    pub(in crate::policy) fn words(&self) -> String {
        if self.is_impossible() {
            return "what nobody can meet".to_owned();
        }
        let mut parts = Vec::new();
        if self.assurance > 0 {
            parts.push(format!("assurance {}", self.assurance));
        }
        for (level, age) in &self.fresh {
            let age = duration(*age);
            // Shown only where it is not the assurance that was just named.
            let of = if *level == self.assurance.max(1) {
                String::new()
            } else {
                format!(" of assurance {level}")
            };
            parts.push(format!("a factor{of} at most {age} old"));
        }
        if let Zones::These(zones) = &self.zones {
            let zones: Vec<&str> = zones.iter().map(AsRef::as_ref).collect();
            parts.push(format!("the zone {}", zones.join(" or ")));
        }
        parts.extend(self.device.then(|| "a bound device".to_owned()));
        parts.extend(self.grant.then(|| "a grant".to_owned()));
        parts.extend(self.links.iter().map(CaseKinds::words));
        parts.extend(self.on_records.iter().map(OnRecords::words));
        parts.join(", ")
    }
}

/// A span of time in the largest unit that it is whole in.
pub(in crate::policy) fn duration(seconds: u32) -> String {
    match seconds {
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
