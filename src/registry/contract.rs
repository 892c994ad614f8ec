//! What a partner may receive data for, until when and under what.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// The highest level that is attested.
pub(super) const HIGHEST_LEVEL: u8 = 3;

/// A contract with a partner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contract {
    /// What the partner does.
    pub task: String,
    /// Where: two letters.
    pub country: String,
    /// The number of the contract.
    pub contract: String,
    /// The number of the agreement to keep secret what is received.
    pub nda: String,
    /// Its last day, such as `2027-06-30`.
    pub until: String,
    /// For which purposes data are received; none, and nothing is.
    pub purposes: Vec<String>,
    /// Of which fields at most, in whatever form: `customer.phone`, or `customer` for all of them. None for as many as
    /// the policy gives: it never adds any.
    pub fields: Vec<String>,
    /// How well the partner protects them, as somebody attested: 0 for not at all, up to 3.
    pub level: u8,
}

impl Contract {
    /// From when on it is over, Unix seconds: the end of its last day in UTC. `None` if no day is said.
    #[must_use]
    pub fn over_s(&self) -> Option<i64> {
        let next = self.until.parse::<Date>().ok()?.tomorrow().ok()?;
        Some(next.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    }

    /// Whether its last day is behind, or was never said.
    #[must_use]
    pub fn is_over(&self, now_s: i64) -> bool {
        self.over_s().is_none_or(|over| now_s >= over)
    }

    /// What nobody agrees without and it lacks.
    pub(super) fn lacks(&self) -> Vec<&'static str> {
        let needed = [
            (&self.task, "a task"),
            (&self.contract, "the contract's number"),
            (&self.nda, "the number of an NDA"),
            (&self.until, "the contract's last day"),
        ];
        needed.into_iter().filter(|(text, _)| text.is_empty()).map(|(_, what)| what).collect()
    }

    /// Whether the contract lets this field be received.
    #[must_use]
    pub fn covers(&self, field: &str) -> bool {
        let is_in = |known: &String| {
            field
                .strip_prefix(known.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.fields.is_empty() || self.fields.iter().any(is_in)
    }

    /// In one line, for the log.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { contract, nda, until, purposes, fields, level, .. } = self;
        let purposes = purposes.join(" ");
        let fields =
            if fields.is_empty() { String::new() } else { format!(": {}", fields.join(" ")) };
        format!(
            "contract {contract}, nda {nda}, until {until}, level {level}, for {purposes}{fields}"
        )
    }
}
