//! What a purpose asks of whom records are about: that they consented, or that they did not object.
//!
//! Whatever a policy says, silence never opens grade 4, nor anything to a caller of an external role: such a caller
//! needs a consent of its own, to its partner.

use super::expression::{Condition, ConsentTest, Expression, Subject};

/// How somebody consented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsentKind {
    /// By a clear act, perhaps together with others.
    Explicit,
    /// By an act of its own for this purpose or this third party.
    Separate,
    /// By a guardian.
    Guardian,
    /// By silence after a notice.
    Deemed,
}

impl ConsentKind {
    /// Every kind with the word that policy files use.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("explicit", Self::Explicit),
        ("separate", Self::Separate),
        ("guardian", Self::Guardian),
        ("deemed", Self::Deemed),
    ];

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("deemed", |(name, _)| name)
    }

    /// The kind of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
    }

    /// Whether it may be a consent to a third party: nobody gives that in passing.
    #[must_use]
    pub fn is_separate(self) -> bool {
        match self {
            Self::Separate | Self::Guardian => true,
            Self::Explicit | Self::Deemed => false,
        }
    }
}

/// What somebody said last of a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing that stands.
    Nothing,
    /// Yes.
    Yes {
        /// How.
        kind: ConsentKind,
        /// The notice that was shown, 0 where none is told.
        notice: u16,
    },
    /// No: an objection, or a consent that was taken back.
    No,
}

impl Said {
    /// Reads what tests and explanations write: `explicit`, `separate/3@acme` for notice 3 and a third party, or `no`.
    /// Gives the third party as well, empty for the own people.
    #[must_use]
    pub fn read(text: &str) -> Option<(Self, String)> {
        let (answer, to) = text.split_once('@').unwrap_or((text, ""));
        if answer == "no" {
            return Some((Self::No, to.to_owned()));
        }
        let (kind, notice) = match answer.split_once('/') {
            Some((kind, notice)) => (kind, notice.parse().ok()?),
            None => (answer, 0),
        };
        let kind = ConsentKind::named(kind)?;
        Some((Self::Yes { kind, notice }, to.to_owned()))
    }

    /// In words: `yes (explicit) to notice 2`.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::No => "no".to_owned(),
            Self::Yes { kind, notice: 0 } => format!("yes ({})", kind.name()),
            Self::Yes { kind, notice } => format!("yes ({}) to notice {notice}", kind.name()),
        }
    }
}

/// Which answers do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Demand {
    /// The kinds of consent that count, in order.
    pub(super) kinds: Vec<ConsentKind>,
    /// The oldest notice that counts, 0 for any.
    pub(super) notice: u16,
    /// Whether it is enough not to have objected.
    pub(super) may_be_silent: bool,
}

impl Demand {
    /// Any consent but one by silence.
    pub(super) fn spoken() -> Self {
        let kinds = vec![ConsentKind::Explicit, ConsentKind::Separate, ConsentKind::Guardian];
        Self { kinds, notice: 0, may_be_silent: false }
    }

    /// All but those who objected.
    pub(super) fn no_objection() -> Self {
        let kinds = ConsentKind::NAMES.iter().map(|(_, kind)| *kind).collect();
        Self { kinds, notice: 0, may_be_silent: true }
    }

    /// The same without silence.
    pub(super) fn without_silence(&self) -> Self {
        let mut kinds = self.kinds.clone();
        kinds.retain(|kind| *kind != ConsentKind::Deemed);
        Self { kinds, notice: self.notice, may_be_silent: false }
    }

    /// Whether the answer does, for a third party or for the own people.
    pub(super) fn is_met(&self, said: Said, to_third_party: bool) -> bool {
        match said {
            Said::No => false,
            Said::Nothing => self.may_be_silent && !to_third_party,
            Said::Yes { kind, notice } => {
                self.kinds.contains(&kind)
                    && notice >= self.notice
                    && (kind.is_separate() || !to_third_party)
            }
        }
    }

    /// Whether whoever meets the other meets this.
    pub(super) fn asks_no_more_than(&self, other: &Self) -> bool {
        self.kinds.iter().filter(|kind| other.kinds.contains(kind)).count() == other.kinds.len()
            && self.notice <= other.notice
            && (self.may_be_silent || !other.may_be_silent)
    }

    /// In words: `consent (explicit or guardian) to notice 3 or a later one`.
    pub(super) fn words(&self) -> String {
        if self.may_be_silent {
            return "that nobody is shown who objected".to_owned();
        }
        let kinds = self.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        match self.notice {
            0 => format!("consent ({kinds})"),
            notice => format!("consent ({kinds}) to notice {notice} or a later one"),
        }
    }

    /// The condition that holds on records of those who gave no answer that does.
    pub(super) fn lacking(&self, purpose: &str, subject: &Subject) -> Condition {
        let (purpose, demand, subject) = (purpose.into(), self.clone(), subject.clone());
        let text = format!("`{purpose}` lacks {}", self.words());
        let fields = vec![subject.field];
        let test = Expression::Consented(Box::new(ConsentTest { subject, purpose, demand }));
        let expression = Expression::Not(Box::new(test));
        Condition { text: text.into(), expression, fields, constants: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: fn(ConsentKind, u16) -> Said = |kind, notice| Said::Yes { kind, notice };

    #[test]
    fn silence_opens_nothing_to_a_third_party_and_a_consent_given_in_passing_does_not_either() {
        let demand = Demand::no_objection();
        assert!(demand.is_met(Said::Nothing, false) && !demand.is_met(Said::Nothing, true));
        for (kind, opens) in [
            (ConsentKind::Explicit, false),
            (ConsentKind::Separate, true),
            (ConsentKind::Guardian, true),
            (ConsentKind::Deemed, false),
        ] {
            assert_eq!(demand.is_met(YES(kind, 0), true), opens, "{kind:?}");
            assert!(demand.is_met(YES(kind, 0), false));
        }
        assert!(!demand.is_met(Said::No, false));
    }

    #[test]
    fn a_consent_to_an_older_notice_is_none_and_one_by_silence_counts_only_where_it_is_named() {
        let demand = Demand { notice: 3, ..Demand::spoken() };
        assert!(demand.is_met(YES(ConsentKind::Explicit, 3), false));
        assert!(!demand.is_met(YES(ConsentKind::Explicit, 2), false));
        assert!(!demand.is_met(YES(ConsentKind::Deemed, 3), false));
        assert!(!demand.is_met(Said::Nothing, false));
        let strict = Demand::no_objection().without_silence();
        assert!(!strict.is_met(Said::Nothing, false));
        assert!(!strict.is_met(YES(ConsentKind::Deemed, 0), false));
        assert!(strict.is_met(YES(ConsentKind::Explicit, 0), false));
    }

    #[test]
    fn an_answer_is_read_as_it_is_written() {
        let read = |text: &str| Said::read(text).map(|(said, to)| (said, to.len()));
        assert_eq!(read("explicit"), Some((YES(ConsentKind::Explicit, 0), 0)));
        assert_eq!(read("separate/3@acme"), Some((YES(ConsentKind::Separate, 3), 4)));
        assert_eq!(read("no@acme"), Some((Said::No, 4)));
        for bad in ["", "yes", "explicit/x", "explicit/70000", "no/3"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn fewer_kinds_a_later_notice_and_no_silence_ask_more() {
        let spoken = Demand::spoken();
        let guardian = Demand { kinds: vec![ConsentKind::Guardian], ..spoken.clone() };
        let newer = Demand { notice: 2, ..spoken.clone() };
        for (less, more) in
            [(&spoken, &guardian), (&spoken, &newer), (&Demand::no_objection(), &spoken)]
        {
            assert!(less.asks_no_more_than(more), "{less:?} {more:?}");
            assert!(!more.asks_no_more_than(less), "{more:?} {less:?}");
        }
        assert!(!guardian.asks_no_more_than(&newer) && !newer.asks_no_more_than(&guardian));
    }
}
