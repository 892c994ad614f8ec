//! The table: each value of each axis with its effect, and how the effects of a cell add up.

use super::body::{Family, family};

/// The axes, in the order in which the gate meets them.
pub(super) const AXES: [&str; 7] =
    ["status", "framing", "content", "coding", "bytes", "size", "caller"];

const DATA: &str = include_str!("../../vectors/guard_matrix.tsv");

/// What a value of an axis does to an answer that is otherwise good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: the answer is filtered.
    Passes,
    /// It is known to be bad before anything of it leaves.
    Refused,
    /// It is found to be bad while it is read.
    Spoils,
    /// The status passes, the body is the gate's own.
    Replaced,
    /// As a record that is not there.
    NotFound,
    /// There is no body.
    Empty,
    /// The backend is not asked.
    Unasked,
}

impl Effect {
    const WORDS: [(&'static str, Self); 7] = [
        ("passes", Self::Passes),
        ("refused", Self::Refused),
        ("spoils", Self::Spoils),
        ("replaced", Self::Replaced),
        ("not found", Self::NotFound),
        ("empty", Self::Empty),
        ("unasked", Self::Unasked),
    ];

    pub(super) fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, effect)| *effect == self).unwrap().0
    }
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) axis: usize,
    pub(super) value: &'static str,
    pub(super) effect: Effect,
    pub(super) remark: &'static str,
}

pub(super) fn lines() -> Vec<Line> {
    let lines = DATA.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [axis, value, effect, remark] = columns[..] else { panic!("{line}") };
            let axis = AXES.iter().position(|known| *known == axis);
            let axis = axis.unwrap_or_else(|| panic!("no axis: {line}"));
            let effect = Effect::WORDS.iter().find(|(word, _)| *word == effect);
            let effect = effect.unwrap_or_else(|| panic!("no effect: {line}")).1;
            Line { axis, value, effect, remark }
        })
        .collect()
}

/// How an answer ends for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Outcome {
    Filtered,
    Refused,
    Reset,
    Replaced,
    NotFound,
    Empty,
    Unasked,
}

/// One answer: a value on each axis.
#[derive(Clone, Debug)]
pub(super) struct Cell(pub(super) [Line; AXES.len()]);

impl Cell {
    pub(super) fn value(&self, axis: &str) -> &'static str {
        self.line(axis).value
    }

    pub(super) fn effect(&self, axis: &str) -> Effect {
        self.line(axis).effect
    }

    fn line(&self, axis: &str) -> &Line {
        let place = AXES.iter().position(|known| *known == axis).unwrap();
        &self.0[place]
    }

    /// Whether more leaves than is held, if the answer is good. Events leave as they come.
    pub(super) fn streams(&self) -> bool {
        self.is_of_events() || matches!(self.value("size"), "large" | "one byte larger" | "huge")
    }

    pub(super) fn is_of_events(&self) -> bool {
        family(self.value("content")) == Family::Events
    }

    /// The rule by which the effects of a cell add up, as docs/guard-matrix.md states it.
    pub(super) fn outcome(&self) -> Outcome {
        if self.effect("status") == Effect::Unasked {
            return Outcome::Unasked;
        }
        if self.effect("framing") == Effect::Refused {
            return Outcome::Refused;
        }
        match self.effect("status") {
            Effect::Refused => return Outcome::Refused,
            Effect::Replaced => return Outcome::Replaced,
            Effect::NotFound => return Outcome::NotFound,
            Effect::Empty => return Outcome::Empty,
            Effect::Passes | Effect::Spoils | Effect::Unasked => {}
        }
        if ["content", "coding", "bytes"].iter().any(|axis| self.effect(axis) == Effect::Refused) {
            return Outcome::Refused;
        }
        let spoils = ["framing", "content", "coding", "bytes", "size"]
            .iter()
            .any(|axis| self.effect(axis) == Effect::Spoils && !self.may_be_empty(axis));
        match (spoils, self.streams()) {
            (false, _) => Outcome::Filtered,
            (true, false) => Outcome::Refused,
            (true, true) => Outcome::Reset,
        }
    }

    /// The one exception: a body of lines that has none is whole.
    fn may_be_empty(&self, axis: &str) -> bool {
        let family = family(self.value("content"));
        axis == "size" && matches!(family, Family::Lines | Family::Sequence | Family::Events)
    }
}
