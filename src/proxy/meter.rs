//! What the guard asks while it reads: which case a record is, whether it may still leave, its pseudonym.

use std::sync::Arc;

use super::outcome::Disclosure;
use crate::audit::{SubjectRef, SubjectSealer};
use crate::guard::{Hooks, Outgoing, Take};
use crate::limits::{self, Seat};
use crate::policy::plan::RecordId;
use crate::policy::{Permit, Value};
use crate::secret::{MasterKey, SecretError, Tagger};

/// The keys under which subjects and pseudonyms are named.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) subjects: SubjectSealer,
    pub(super) counting: Tagger,
    pub(super) pseudonyms: Tagger,
    pub(super) query: Tagger,
}

/// The guard's hooks for one answer.
pub(super) struct Meter {
    pub(super) permit: Arc<Permit>,
    pub(super) seat: Arc<Seat>,
    pub(super) keys: Arc<Keys>,
    pub(super) disclosure: Disclosure,
    /// Outermost records that this answer may still hold, where they are limited.
    pub(super) rows_left: Option<u32>,
    /// Unmasked records about nobody, so far.
    pub(super) nobodys: u64,
}

impl Hooks for Meter {
    fn case(&mut self, record: RecordId, captures: &[Option<Value>]) -> usize {
        self.permit.case(record, captures)
    }

    fn take(&mut self, record: &Outgoing) -> Take {
        if record.is_outermost && self.rows_left == Some(0) {
            return Take::HoldBack;
        }
        let taken = match self.permit.plan().record(record.record) {
            None => false,
            Some(plan) if plan.subject.is_none() => self.take_nobodys(record.unmasks),
            Some(plan) => self.take_subject(&plan.entity, record),
        };
        if !taken {
            return Take::HoldBack;
        }
        if record.is_outermost {
            self.rows_left = self.rows_left.map(|left| left.saturating_sub(1));
        }
        Take::Release
    }

    fn pseudonym(&mut self, field: &str, text: &str) -> String {
        let purpose = self.permit.purpose().unwrap_or_default();
        let parts = [purpose.as_bytes(), field.as_bytes(), text.as_bytes()];
        format!("p~{}", self.keys.pseudonyms.reference(&parts))
    }
}

impl Meter {
    /// Counts and records a data subject; `false` where either cannot be.
    fn take_subject(&self, entity: &str, record: &Outgoing) -> bool {
        let Some(key) = subject_key(&record.subject) else { return false };
        let subject = self.keys.counting.short(&[entity.as_bytes(), key.as_bytes()]);
        let unmasked = record.unmasks.then_some(subject);
        self.seat.take_record(Some(subject), unmasked) == limits::Take::Release
            && self
                .keys
                .subjects
                .seal(entity, &key)
                .is_ok_and(|reference| self.disclosure.add_subject(reference))
    }

    /// What is about nobody, such as an exchange rate, counts as a record of nobody. Unmasked, each is
    /// one of its own: nothing tells whether it was seen before.
    fn take_nobodys(&mut self, unmasks: bool) -> bool {
        let unmasked = unmasks.then(|| {
            self.nobodys += 1;
            let request = self.disclosure.with(|entry| entry.id).to_string();
            let number = self.nobodys.to_be_bytes();
            self.keys.counting.short(&[b"nobody", request.as_bytes(), &number])
        });
        self.seat.take_record(None, unmasked) == limits::Take::Release
    }
}

/// The subject's key as text; only text and whole numbers name a person.
fn subject_key(subject: &Value) -> Option<String> {
    match subject {
        Value::Text(text) if !text.is_empty() => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Text(_) | Value::Null | Value::Bool(_) | Value::Decimal(_) | Value::List(_) => None,
    }
}

impl Keys {
    pub(super) fn derive(master: &MasterKey) -> Result<Self, SecretError> {
        Ok(Self {
            subjects: SubjectSealer::new(master)?,
            counting: master.tagger("count-subject")?,
            pseudonyms: master.tagger("pseudonym")?,
            query: master.tagger("audit-query")?,
        })
    }
}

/// The hooks for bodies of which nothing leaves to the caller: request bodies, and the record that is
/// read before it is changed. They note which case the record is.
pub(super) struct RowTest<'p> {
    permit: &'p Permit,
    case: Option<usize>,
    /// Entity and key of the data subject of a record that may be acted on; the key may be missing.
    subject: Option<(&'p str, Option<String>)>,
}

impl<'p> RowTest<'p> {
    pub(super) fn of(permit: &'p Permit) -> Self {
        Self { permit, case: None, subject: None }
    }

    /// The case of the one record; `None` if there was none or were several.
    pub(super) fn case(&self) -> Option<usize> {
        self.case.filter(|case| *case != usize::MAX)
    }

    /// Whose record it is, where it may be acted on and is about somebody.
    ///
    /// # Errors
    /// `Err` if nobody can say so: it lacks the key of its data subject, or the key is too long.
    pub(super) fn subject(&self, sealer: &SubjectSealer) -> Result<Option<SubjectRef>, ()> {
        match &self.subject {
            None => Ok(None),
            Some((entity, Some(key))) => sealer.seal(entity, key).map(Some).or(Err(())),
            Some((_, None)) => Err(()),
        }
    }
}

impl Hooks for RowTest<'_> {
    fn case(&mut self, record: RecordId, captures: &[Option<Value>]) -> usize {
        let case = self.permit.case(record, captures);
        // A second record would leave open which of them is meant.
        self.case = Some(if self.case.is_some() { usize::MAX } else { case });
        let plan = self.permit.plan().record(record);
        // A record that may not be acted on is told as missing, whatever it lacks.
        let open = plan.filter(|plan| plan.cases.get(case).is_some_and(Option::is_some));
        self.subject = open.and_then(|plan| {
            let key = captures.get(usize::from(plan.subject?)).and_then(Option::as_ref);
            Some((&*plan.entity, key.and_then(subject_key)))
        });
        case
    }

    fn take(&mut self, _record: &Outgoing) -> Take {
        Take::Release
    }

    fn pseudonym(&mut self, _field: &str, _text: &str) -> String {
        String::new()
    }
}
