//! What one partner received: of which fields, for how many people, for which purposes, under which contract, and which
//! files. Its totals are the sums of what the outcomes of its requests say.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{is_allowed, is_disclosed};
use crate::audit::{Access, Data, Extent, FieldNames, Mode};

/// What was given, counted over answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Given {
    /// Answers.
    pub answers: u64,
    /// Records.
    pub records: u64,
    /// People, counted anew in each answer.
    pub people: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A file that a partner took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileGiven {
    /// When, RFC 3339.
    pub time: String,
    /// The request's id in the log.
    pub request: String,
    /// SHA-256 of what was handed over, in hex; empty where the log has none.
    pub sha256: String,
    /// Over how many bytes.
    pub bytes: u64,
    /// Whether that is the whole file.
    pub complete: bool,
    /// Records in it.
    pub records: u64,
    /// The contract at that time.
    pub contract: String,
    /// The purpose.
    pub purpose: String,
}

/// All that one partner received in a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Whose it is.
    pub partner: String,
    /// Requests.
    pub requests: u64,
    /// Requests of which nothing was given.
    pub refused: u64,
    /// Answers of which the log does not say how they ended: possibly all that was permitted was given.
    pub unknown: u64,
    /// All that was given.
    pub total: Given,
    /// By contract; empty where the registry had none.
    pub contracts: BTreeMap<String, Given>,
    /// By purpose.
    pub purposes: BTreeMap<String, Given>,
    /// Answers with more fields than the log names.
    pub not_named: u64,
    /// By field, such as `customer.phone`, and how it was given: `clear`, `masked`, `pseudonym`.
    pub fields: BTreeMap<String, BTreeMap<&'static str, Given>>,
    /// The files, the oldest first.
    pub files: Vec<FileGiven>,
}

impl Ledger {
    /// Nothing was received yet.
    #[must_use]
    pub fn of(partner: &str) -> Self {
        Self { partner: partner.to_owned(), ..Self::default() }
    }

    /// Takes a request, if it is one of the partner's.
    pub fn take(&mut self, access: &Access) {
        let actor = access.entry.actor.as_ref();
        let Some(actor) = actor.filter(|actor| actor.partner.as_str() == self.partner) else {
            return;
        };
        self.requests += 1;
        self.unknown += u64::from(access.is_without_outcome());
        if !is_allowed(access) || !is_disclosed(access) {
            self.refused += 1;
            return;
        }
        let data = access.told().data.clone().unwrap_or_default();
        let given = Given {
            answers: 1,
            records: data.records.unwrap_or_default(),
            people: access.subject_count,
            bytes: data.bytes.unwrap_or_default(),
        };
        let purpose = access.entry.why.as_ref().map(|why| why.purpose.to_string());
        let purpose = purpose.unwrap_or_default();
        let contract = actor.contract.to_string();
        self.total.add(given);
        self.contracts.entry(contract.clone()).or_default().add(given);
        self.purposes.entry(purpose.clone()).or_default().add(given);
        self.note_fields(&data, given);
        if data.mode == Some(Mode::Download) {
            self.files.push(file(access, &data, (contract, purpose)));
        }
    }

    /// Puts the files in order.
    pub fn sort(&mut self) {
        self.files.sort_by(|a, b| (&a.time, &a.request).cmp(&(&b.time, &b.request)));
    }

    fn note_fields(&mut self, data: &Data, given: Given) {
        let all: [(&'static str, &FieldNames); 3] =
            [("clear", &data.clear), ("masked", &data.masked), ("pseudonym", &data.pseudonym)];
        self.not_named += u64::from(all.iter().any(|(_, names)| names.beyond() > 0));
        for (how, names) in all {
            for name in names.iter() {
                let of_field = self.fields.entry(name.to_string()).or_default();
                of_field.entry(how).or_default().add(given);
            }
        }
    }
}

impl Given {
    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.records += other.records;
        self.people += other.people;
        self.bytes += other.bytes;
    }
}

fn file(access: &Access, data: &Data, (contract, purpose): (String, String)) -> FileGiven {
    FileGiven {
        time: access.entry.time.to_string(),
        request: access.entry.id.to_string(),
        sha256: data.sha256.to_string(),
        bytes: data.file_bytes.or(data.bytes).unwrap_or_default(),
        complete: data.file == Some(Extent::Complete),
        records: data.records.unwrap_or_default(),
        contract,
        purpose,
    }
}
