//! What is asked of budgets at once, and how much of each unit it is.

use crate::limits::budget::Unit;

/// What is asked of the budgets at once: all of it, or nothing.
#[derive(Clone, Copy, Debug)]
pub(in crate::limits) enum Portion {
    /// One record.
    Record {
        /// Whose data it is.
        subject: Option<u64>,
        /// As whose it counts as unmasked, if a field of a high grade is in clear.
        unmasked: Option<u64>,
    },
    /// Bytes of an answer.
    Bytes(u64),
    /// An answer that is a file.
    File,
    /// A search that may find nobody.
    Search,
}

impl Portion {
    /// The subject that it costs a unit that counts subjects.
    pub(super) fn subject(self, unit: Unit) -> Option<u64> {
        match (unit, self) {
            (Unit::Subjects, Self::Record { subject, .. }) => subject,
            (Unit::Unmasked, Self::Record { unmasked, .. }) => unmasked,
            (_, Self::Record { .. } | Self::Bytes(_) | Self::File | Self::Search) => None,
        }
    }
}

/// Amounts of everything that is counted by amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) files: u64,
    pub(super) zero_hits: u64,
}

impl Sums {
    pub(super) fn of(portion: Portion) -> Self {
        match portion {
            Portion::Record { .. } => Self { records: 1, ..Self::default() },
            Portion::Bytes(bytes) => Self { bytes, ..Self::default() },
            Portion::File => Self { files: 1, ..Self::default() },
            Portion::Search => Self { zero_hits: 1, ..Self::default() },
        }
    }

    pub(super) fn unit(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Records => self.records,
            Unit::Bytes => self.bytes,
            Unit::Files => self.files,
            Unit::ZeroHits => self.zero_hits,
            Unit::Subjects | Unit::Unmasked | Unit::Requests => 0,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.records = self.records.saturating_add(other.records);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
        self.zero_hits = self.zero_hits.saturating_add(other.zero_hits);
    }
}
