//! What is asked of which log: the arguments that searching and exporting have in common.

use std::path::Path;

use clap::Args;

use super::log::LogCommandError;
use super::log_custody::{Custody, Unmasking, asked};
use super::log_filter::FilterArgs;
use super::log_place::{FoundLog, LogPlace};
use super::log_print::Naming;
use crate::audit::{Filter, SubjectRef};

/// Which log, which part of it, and how much of the people in it.
#[derive(Debug, Args)]
pub(super) struct QuestionArgs {
    #[command(flatten)]
    place: LogPlace,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    #[command(flatten)]
    pub(super) unmasking: Unmasking,
}

/// A log that was found, and what is asked of it.
pub(super) struct Question<'a> {
    pub(super) log: FoundLog,
    pub(super) filter: Filter,
    /// Whom it is about, if it is about one.
    pub(super) subject: Option<SubjectRef>,
    pub(super) custody: Custody,
    unmasking: &'a Unmasking,
}

impl QuestionArgs {
    /// The gate's configuration, if it was named.
    pub(super) fn config(&self) -> Option<&Path> {
        self.place.config.as_deref()
    }

    /// Finds the log and reads the question.
    pub(super) fn open(&self) -> Result<Question<'_>, LogCommandError> {
        let log = self.place.find()?;
        let (filter, subject) = self.filter.read(&log.sealer)?;
        let custody = Custody::new(&log.dir, &log.master)?;
        Ok(Question { log, filter, subject, custody, unmasking: &self.unmasking })
    }
}

impl Question<'_> {
    /// Records that so many requests are read; it is durable when this returns.
    pub(super) fn record(&self, name: &str, seen: usize) -> Result<(), LogCommandError> {
        let asked = asked(&self.filter);
        self.custody.read(name, &asked, self.unmasking, self.subject.as_ref(), seen)
    }

    /// What was asked, as the log keeps it, and whether people are shown by name.
    pub(super) fn asked(&self) -> String {
        let asked = asked(&self.filter);
        if self.unmasking.unmask { format!("unmasked; {asked}") } else { asked }
    }

    /// How the people in what is found are shown.
    pub(super) fn naming(&self) -> Naming<'_> {
        let asked = self.subject.as_ref().map(SubjectRef::token);
        Naming { sealer: Some(&self.log.sealer), asked, unmask: self.unmasking.unmask }
    }
}
