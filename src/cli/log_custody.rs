//! Every reading of the log is recorded before anything is shown: who, what was asked, how many requests were seen.
//!
//! Who reads sees references and masked keys of customers; to see them by name takes a reason.

use std::path::Path;

use clap::Args;

use super::account::operator;
use super::log::LogCommandError;
use super::log_keys::LogKeys;
use crate::audit::{Filter, Moment, Reading, Readings, SubjectRef, SubjectSealer, Text};
use crate::clock::Clock;
use crate::secret::{MasterKey, SecretError};

/// How much of the people in the log is shown.
#[derive(Debug, Default, Args)]
pub(super) struct Unmasking {
    /// Show people by name, not masked; takes a reason.
    #[arg(long, requires = "reason")]
    pub(super) unmask: bool,
    /// Why you read this; the log has it.
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub(super) reason: Option<String>,
}

fn said(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_said = text.chars().count() >= 3;
    is_said.then(|| text.to_owned()).ok_or_else(|| "must be at least three letters".to_owned())
}

/// Records what somebody reads of one log.
#[derive(Debug)]
pub(super) struct Custody {
    readings: Readings,
    path: String,
}

impl Custody {
    /// Of the log in `dir`.
    pub(super) fn new(dir: &Path, master: &MasterKey) -> Result<Self, SecretError> {
        Ok(Self { readings: Readings::new(dir, master)?, path: dir.display().to_string() })
    }

    /// Records a reading; it is durable when this returns.
    pub(super) fn read(
        &self,
        name: &str,
        asked: &str,
        unmasking: &Unmasking,
        subject: Option<&SubjectRef>,
        seen: usize,
    ) -> Result<(), LogCommandError> {
        let unmask = if unmasking.unmask { "unmasked; " } else { "" };
        self.leave(Reading {
            name: name.to_owned(),
            asked: format!("{unmask}{asked}"),
            reason: unmasking.reason.clone().unwrap_or_default(),
            seen: Some(seen as u64),
            subject: subject.cloned(),
            ..Reading::default()
        })
    }

    /// Records something else that was done with the log.
    pub(super) fn leave(&self, reading: Reading) -> Result<(), LogCommandError> {
        let (at_ms, who) = (Clock::system().unix_ms(), operator().0);
        let left = self.readings.leave(&Reading { at_ms, who, ..reading });
        left.map_err(|source| LogCommandError::Custody { path: self.path.clone(), source })
    }
}

/// Records a reading that shows nobody's data by name, where a key was given: without one nothing can be read.
pub(super) fn record(
    keys: &LogKeys,
    dir: &Path,
    name: &str,
    asked: &str,
    seen: usize,
) -> Result<(), LogCommandError> {
    let Some(master) = keys.master()? else { return Ok(()) };
    Custody::new(dir, &master)?.read(name, asked, &Unmasking::default(), None, seen)
}

/// The reference to whom somebody named, as `entity:key`.
pub(super) fn reference(name: &str, sealer: &SubjectSealer) -> Result<SubjectRef, LogCommandError> {
    let wrong = || LogCommandError::Subject(name.to_owned());
    let (entity, key) = name.split_once(':').ok_or_else(wrong)?;
    sealer.seal(entity, key).map_err(|_too_long| wrong())
}

/// What was asked, as the log keeps it: people by reference, words of reasons not at all.
pub(super) fn asked(filter: &Filter) -> String {
    let mut parts = Vec::new();
    let texts = [
        ("account", &filter.actor),
        ("person", &filter.person),
        ("role", &filter.role),
        ("route", &filter.route),
        ("purpose", &filter.purpose),
        ("ticket", &filter.ticket),
        ("field", &filter.field),
        ("field in clear", &filter.clear),
        ("act", &filter.act),
        ("mark", &filter.watermark),
        ("sha256", &filter.sha256),
    ];
    parts.extend(filter.subject.as_ref().map(|token| format!("subject #{token}")));
    for (name, text) in texts {
        parts.extend(text.as_ref().map(|text| format!("{name} {}", Text::new(text))));
    }
    parts.extend(filter.event.map(|event| format!("event {event}")));
    parts.extend(filter.effect.map(|effect| format!("effect {effect}")));
    parts.extend(filter.mode.map(|mode| format!("mode {mode}")));
    parts.extend(filter.reason.is_some().then(|| "words of a reason".to_owned()));
    parts.extend(filter.from_ms.map(|ms| format!("from {}", Moment(ms))));
    parts.extend(filter.until_ms.map(|ms| format!("until {}", Moment(ms))));
    if parts.is_empty() { "everything".to_owned() } else { parts.join(", ") }
}
