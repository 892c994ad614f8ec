//! What the guard asks while it reads: which case a record is, whether it may still leave, its pseudonym.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::alerts::{Alerts, Source};
use super::mark::Carried;
use super::outcome::Disclosure;
use crate::audit::{EntryId, OrderKey, SubjectRef, SubjectSealer};
use crate::guard::mask::{PSEUDONYM_PREFIX, WHOLLY_MASKED};
use crate::guard::{Hooks, Outgoing, Take, Watermark};
use crate::limits::{self, Seat};
use crate::policy::plan::RecordId;
use crate::policy::{Permit, StepUp, Value};
use crate::secret::{KeyRing, MasterKey, SecretError, Tagger};

/// The keys under which subjects and pseudonyms are named.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) subjects: SubjectSealer,
    pub(super) counting: Tagger,
    pub(super) pseudonyms: KeyRing,
    pub(super) query: Tagger,
    /// Of the marks that files carry.
    pub(super) marks: Tagger,
    /// Of orders that tell a mark.
    pub(super) order: OrderKey,
}

/// What every answer to a caller is held to, whether it is counted or only rehearsed: the conditions on
/// its records, the most of them, and that nobody leaves who could not be counted.
pub(super) struct Register {
    permit: Arc<Permit>,
    keys: Arc<Keys>,
    carried: Carried,
    /// Outermost records that this answer may still hold, where they are limited.
    rows_left: Option<u32>,
    /// The key of its purpose and period, once it is needed.
    pseudonyms: Option<Tagger>,
}

impl Register {
    pub(super) fn of(permit: &Arc<Permit>, keys: &Arc<Keys>, carried: Carried) -> Self {
        let rows_left = permit.row_limit();
        let (permit, keys) = (Arc::clone(permit), Arc::clone(keys));
        Self { permit, keys, carried, rows_left, pseudonyms: None }
    }

    pub(super) fn permit(&self) -> &Arc<Permit> {
        &self.permit
    }

    /// Takes a record that `count` can count. It is given the entity and the key of the data subject
    /// that the record is about, or nothing for what is about nobody, such as an exchange rate.
    pub(super) fn take(
        &mut self,
        record: &Outgoing,
        count: impl FnOnce(&Keys, Option<(&str, &str)>) -> bool,
    ) -> Take {
        if record.is_outermost && self.rows_left == Some(0) {
            return Take::HoldBack;
        }
        let taken = match self.permit.plan().record(record.record) {
            None => false,
            Some(plan) if plan.subject.is_none() => count(&self.keys, None),
            Some(plan) => subject_key(&record.subject)
                .is_some_and(|key| count(&self.keys, Some((&plan.entity, &key)))),
        };
        if !taken {
            return Take::HoldBack;
        }
        if record.is_outermost {
            self.rows_left = self.rows_left.map(|left| left.saturating_sub(1));
        }
        Take::Release
    }

    /// The pseudonym of a value: under a key of the purpose and the period, so that nobody joins what
    /// was given for two purposes or in two periods.
    pub(super) fn pseudonym(&mut self, field: &str, text: &str) -> String {
        let Some(key) = self.pseudonym_key() else { return WHOLLY_MASKED.to_owned() };
        format!("{PSEUDONYM_PREFIX}{}", key.reference(&[field.as_bytes(), text.as_bytes()]))
    }

    fn pseudonym_key(&mut self) -> Option<&Tagger> {
        if self.pseudonyms.is_none() {
            // Without a purpose is another case than any purpose.
            let (declared, purpose) = self.permit.purpose().map_or((0, ""), |name| (1, name));
            let period = self.permit.pseudonym_period();
            let name = [&[declared][..], purpose.as_bytes(), period.as_bytes()];
            self.pseudonyms = self.keys.pseudonyms.tagger(&name).ok();
        }
        self.pseudonyms.as_ref()
    }

    /// The mark that each record carries, where the route says so.
    pub(super) fn watermark(&self) -> Option<Watermark> {
        let name = self.permit.route().watermark().field.clone()?;
        Some(Watermark { name, value: self.carried.mark()?.into() })
    }

    /// Where a record belongs in an order that tells the mark, where the route says so.
    pub(super) fn rank(&self, record: &Outgoing) -> Option<u64> {
        let is_marked = self.permit.route().watermark().order;
        let mark = self.carried.mark().filter(|_| is_marked)?;
        Some(self.keys.order.rank(mark, &subject_key(&record.subject)?))
    }
}

/// The guard's hooks for one answer.
pub(super) struct Meter {
    pub(super) register: Register,
    pub(super) seat: Arc<Seat>,
    pub(super) disclosure: Disclosure,
    /// Unmasked records about nobody, so far.
    pub(super) nobodys: u64,
    /// Records of foreign tenants, so far.
    pub(super) foreign: Foreign,
    /// Whether a record was judged that passes by a grant.
    pub(super) granted: bool,
    /// Whether one was taken since.
    pub(super) uses_grant: bool,
    /// Records that pass although no case ties the caller, where the policy wants that flagged.
    pub(super) unlinked: u64,
    pub(super) asking: Asking,
}

/// What records asked for, so far: conditions on them want a factor that the caller has not shown.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// What would satisfy them all.
    pub(super) step_up: Option<StepUp>,
    /// How many of them.
    pub(super) records: u64,
}

impl Asking {
    /// Notes what a record asks for, if it asks for anything.
    pub(super) fn note(&mut self, asked: Option<&StepUp>) {
        let Some(asked) = asked.cloned() else { return };
        self.records += 1;
        self.step_up = self.step_up.take().into_iter().chain([asked]).reduce(StepUp::joined);
    }
}

/// Subjects of foreign records that are named.
const FOREIGN_NAMED: usize = 64;

/// Records of a foreign tenant, or of none that can be read, which the backend gave to a caller who is
/// confined to one. None of them passes.
#[derive(Debug, Default)]
pub(super) struct Foreign(BTreeMap<String, (u64, Vec<SubjectRef>)>);

impl Foreign {
    /// Notes the record if it is one.
    fn note(
        &mut self,
        (permit, keys): (&Permit, &Keys),
        record: RecordId,
        captures: &[Option<Value>],
        case: usize,
    ) {
        if !permit.is_foreign(record, case) {
            return;
        }
        let Some(plan) = permit.plan().record(record) else { return };
        let key = plan.subject.and_then(|slot| captures.get(usize::from(slot))?.as_ref());
        let key = key.and_then(subject_key);
        let subject = key.and_then(|key| keys.subject(&plan.entity, &key));
        let (count, named) = self.0.entry(plan.entity.to_string()).or_default();
        *count += 1;
        if named.len() < FOREIGN_NAMED {
            named.extend(subject.map(|subject| subject.reference));
        }
    }

    /// Raises what was noted.
    pub(super) fn raise(&self, alerts: &Alerts, source: &(Source, EntryId)) {
        for (entity, (count, subjects)) in &self.0 {
            alerts.foreign(entity, *count, subjects.clone(), source);
        }
    }
}

impl Hooks for Meter {
    fn case(&mut self, record: RecordId, captures: &[Option<Value>]) -> usize {
        let Register { permit, keys, .. } = &self.register;
        let case = permit.case(record, captures);
        self.foreign.note((permit, keys), record, captures, case);
        self.granted |= permit.is_granted(record, case);
        self.unlinked += u64::from(permit.is_unlinked(record, case));
        self.asking.note(permit.factor(record, case));
        case
    }

    fn take(&mut self, record: &Outgoing) -> Take {
        let Self { register, seat, disclosure, nobodys, granted, uses_grant, .. } = self;
        let taken = register.take(record, |keys, about| match about {
            Some((entity, key)) => take_subject(keys, seat, disclosure, (entity, key), record),
            None => take_nobodys(keys, seat, disclosure, nobodys, record.unmasks),
        });
        let is_granted = *granted || register.permit.is_granted_whole();
        *uses_grant |= is_granted && taken == Take::Release;
        taken
    }

    fn pseudonym(&mut self, field: &str, text: &str) -> String {
        self.register.pseudonym(field, text)
    }

    fn watermark(&self) -> Option<Watermark> {
        self.register.watermark()
    }

    fn rank(&mut self, record: &Outgoing) -> Option<u64> {
        self.register.rank(record)
    }
}

/// Counts and records a data subject; `false` where either cannot be.
fn take_subject(
    keys: &Keys,
    seat: &Seat,
    disclosure: &Disclosure,
    (entity, key): (&str, &str),
    record: &Outgoing,
) -> bool {
    let subject = keys.counting.short(&[entity.as_bytes(), key.as_bytes()]);
    let unmasked = record.unmasks.then_some(subject);
    seat.take_record(Some(subject), unmasked) == limits::Take::Release
        && keys.subjects.seal(entity, key).is_ok_and(|reference| disclosure.add_subject(reference))
}

/// What is about nobody, such as an exchange rate, counts as a record of nobody. Unmasked, each is
/// one of its own: nothing tells whether it was seen before.
fn take_nobodys(
    keys: &Keys,
    seat: &Seat,
    disclosure: &Disclosure,
    nobodys: &mut u64,
    unmasks: bool,
) -> bool {
    let unmasked = unmasks.then(|| {
        *nobodys += 1;
        let request = disclosure.with(|entry| entry.id).to_string();
        keys.nobody(&request, *nobodys)
    });
    seat.take_record(None, unmasked) == limits::Take::Release
}

/// The subject's key as text; only text and whole numbers name a person.
fn subject_key(subject: &Value) -> Option<String> {
    let Value::Text(text) = subject else { return subject.whole_number() };
    Some(text.clone()).filter(|key| !key.is_empty())
}

/// A data subject, as it is counted and as the log names it.
pub(super) struct Subject {
    pub(super) counted: u64,
    pub(super) reference: SubjectRef,
}

impl Keys {
    /// Names a data subject; `None` if its key is empty or too long.
    pub(super) fn subject(&self, entity: &str, key: &str) -> Option<Subject> {
        let reference = self.subjects.seal(entity, key).ok().filter(|_| !key.is_empty())?;
        let counted = self.counting.short(&[entity.as_bytes(), key.as_bytes()]);
        Some(Subject { counted, reference })
    }

    /// Names a record that is about nobody: by the request's id and its number in the answer.
    pub(super) fn nobody(&self, request: &str, number: u64) -> u64 {
        self.counting.short(&[b"nobody", request.as_bytes(), &number.to_be_bytes()])
    }

    pub(super) fn derive(master: &MasterKey) -> Result<Self, SecretError> {
        Ok(Self {
            subjects: SubjectSealer::new(master)?,
            counting: master.tagger("count-subject")?,
            pseudonyms: master.ring("pseudonym")?,
            query: master.tagger("audit-query")?,
            marks: master.tagger("watermark")?,
            order: OrderKey::new(master)?,
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
    /// The entity and the key of a record of a foreign tenant.
    foreign: Option<(&'p str, Option<String>)>,
    /// Whether it may be acted on although no case ties the caller, where the policy wants that flagged.
    unlinked: bool,
}

impl<'p> RowTest<'p> {
    pub(super) fn of(permit: &'p Permit) -> Self {
        Self { permit, case: None, subject: None, foreign: None, unlinked: false }
    }

    /// The case of the one record; `None` if there was none or were several.
    pub(super) fn case(&self) -> Option<usize> {
        self.case.filter(|case| *case != usize::MAX)
    }

    /// Whether the entry must say that no case ties the caller.
    pub(super) fn is_unlinked(&self) -> bool {
        self.unlinked
    }

    /// Raises a record of a foreign tenant, if the backend gave one.
    pub(super) fn raise(&self, keys: &Keys, alerts: &Alerts, source: &(Source, EntryId)) {
        let Some((entity, key)) = &self.foreign else { return };
        let subject = key.as_ref().and_then(|key| keys.subject(entity, key));
        let subjects = subject.map(|subject| subject.reference).into_iter().collect();
        alerts.foreign(entity, 1, subjects, source);
    }

    /// Whose record it is, where it may be acted on and is about somebody.
    ///
    /// # Errors
    /// `Err` if nobody can say so: it lacks the key of its data subject, or the key is too long.
    pub(super) fn subject(&self, keys: &Keys) -> Result<Option<Subject>, ()> {
        match &self.subject {
            None => Ok(None),
            Some((entity, Some(key))) => keys.subject(entity, key).map(Some).ok_or(()),
            Some((_, None)) => Err(()),
        }
    }
}

impl Hooks for RowTest<'_> {
    fn case(&mut self, record: RecordId, captures: &[Option<Value>]) -> usize {
        let case = self.permit.case(record, captures);
        // A second record would leave open which of them is meant.
        self.case = Some(if self.case.is_some() { usize::MAX } else { case });
        self.unlinked |= self.permit.is_unlinked(record, case);
        let plan = self.permit.plan().record(record);
        if self.permit.is_foreign(record, case) {
            self.foreign = plan.map(|plan| {
                let key = plan.subject.and_then(|slot| captures.get(usize::from(slot))?.as_ref());
                (&*plan.entity, key.and_then(subject_key))
            });
        }
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
