//! What the guard asks while it reads: which case a record is, whether it may still leave, its pseudonym.

use std::sync::Arc;

use super::outcome::Disclosure;
use crate::audit::{SubjectRef, SubjectSealer};
use crate::guard::{Hooks, Take};
use crate::limits::{self, Seat};
use crate::policy::plan::RecordId;
use crate::policy::{Action, Permit, Value};
use crate::secret::{MasterKey, SecretError, Tagger};

/// The keys under which subjects and pseudonyms are named.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) subjects: SubjectSealer,
    pub(super) counting: Tagger,
    pub(super) pseudonyms: Tagger,
    pub(super) query: Tagger,
}

/// What every answer to a caller is held to, whether it is counted or only rehearsed: the conditions on
/// its records, the page, and that nobody leaves who could not be counted.
pub(super) struct Register {
    permit: Arc<Permit>,
    keys: Arc<Keys>,
    /// Records that this answer may still hold, where the page is limited.
    page_left: Option<u32>,
    /// The record that counts as a row of the page: the outermost, which is the first to be taken.
    row: Option<RecordId>,
}

impl Register {
    pub(super) fn of(permit: &Arc<Permit>, keys: &Arc<Keys>) -> Self {
        let page_left = permit.search().page_limit.filter(|_| permit.action() == Action::Search);
        Self { permit: Arc::clone(permit), keys: Arc::clone(keys), page_left, row: None }
    }

    pub(super) fn permit(&self) -> &Arc<Permit> {
        &self.permit
    }

    /// Takes a record that `count` can count. It is given the entity and the key of the data subject
    /// that the record is about, or nothing for what is about nobody, such as an exchange rate.
    pub(super) fn take(
        &mut self,
        record: RecordId,
        subject: &Value,
        count: impl FnOnce(&Keys, Option<(&str, &str)>) -> bool,
    ) -> Take {
        let is_row = *self.row.get_or_insert(record) == record;
        if is_row && self.page_left == Some(0) {
            return Take::HoldBack;
        }
        let taken = match self.permit.plan().record(record) {
            None => false,
            Some(plan) if plan.subject.is_none() => count(&self.keys, None),
            Some(plan) => subject_key(subject)
                .is_some_and(|key| count(&self.keys, Some((&plan.entity, &key)))),
        };
        if !taken {
            return Take::HoldBack;
        }
        if is_row {
            self.page_left = self.page_left.map(|left| left.saturating_sub(1));
        }
        Take::Release
    }

    pub(super) fn pseudonym(&self, field: &str, text: &str) -> String {
        let purpose = self.permit.purpose().unwrap_or_default();
        let parts = [purpose.as_bytes(), field.as_bytes(), text.as_bytes()];
        format!("p~{}", self.keys.pseudonyms.reference(&parts))
    }
}

/// The guard's hooks for one answer.
pub(super) struct Meter {
    pub(super) register: Register,
    pub(super) seat: Arc<Seat>,
    pub(super) disclosure: Disclosure,
}

impl Hooks for Meter {
    fn case(&mut self, record: RecordId, captures: &[Option<Value>]) -> usize {
        self.register.permit().case(record, captures)
    }

    fn take(&mut self, record: RecordId, subject: &Value) -> Take {
        let Self { register, seat, disclosure } = self;
        register.take(record, subject, |keys, about| {
            let counted = about
                .map(|(entity, key)| keys.counting.short(&[entity.as_bytes(), key.as_bytes()]));
            seat.take_record(counted) == limits::Take::Release
                && about.is_none_or(|(entity, key)| {
                    let sealed = keys.subjects.seal(entity, key);
                    sealed.is_ok_and(|reference| disclosure.add_subject(reference))
                })
        })
    }

    fn pseudonym(&mut self, field: &str, text: &str) -> String {
        self.register.pseudonym(field, text)
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

    fn take(&mut self, _record: RecordId, _subject: &Value) -> Take {
        Take::Release
    }

    fn pseudonym(&mut self, _field: &str, _text: &str) -> String {
        String::new()
    }
}
