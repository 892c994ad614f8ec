//! Records: held until they are complete, judged by their conditions, counted, and only then released.
//!
//! A record is read with the rules it probably has. If its conditions call for others, what it gave is
//! taken back and its bytes, kept for that, are read once more. Each such pass settles all records
//! of one more level, so there are no more passes than levels.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::policy::plan::{Node, NodeId, Plan, RecordId, Slot};
use crate::policy::value::Value;

use super::fault::{Cause, Fault};
use super::report::{Event, Note};
use super::reused::Reused;
use super::rope::Rope;
use super::token::{Frame, State};
use super::{Filter, Hooks, Mode, Outgoing, Span, Take};

/// Where a record starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// What judged it.
    pub(super) slot: Slot,
    /// Its offset in the body.
    pub(super) offset: u64,
    /// The length of the output before it and what leads to it (comma, name).
    pub(super) start: u64,
    /// The length of the output before its first byte.
    pub(super) body: u64,
}

#[derive(Debug)]
struct OpenRecord {
    head: Head,
    /// What conditions read. What is not filled is of an earlier record.
    values: Vec<Option<Value>>,
    filled: Vec<bool>,
}

impl OpenRecord {
    /// Expects so many values for conditions.
    fn expect(&mut self, captures: usize) {
        if self.values.len() != captures {
            self.values.resize(captures, None);
            self.filled.resize(captures, false);
        }
        self.filled.fill(false);
    }
}

#[derive(Clone, Copy, Debug)]
struct Head {
    id: RecordId,
    node: NodeId,
    place: Place,
    /// How many notes and counts there were before it.
    notes: usize,
    takes: usize,
}

/// An outermost record that was read to its end.
#[derive(Clone, Copy, Debug)]
struct Complete {
    place: Place,
    parent_had_output: bool,
}

/// The records of a body: those that are open, and what waits for their verdict.
#[derive(Debug, Default)]
pub(super) struct Records {
    open: Reused<OpenRecord>,
    complete: Option<Complete>,
    notes: Vec<Note>,
    takes: Reused<Outgoing>,
    /// By offset and record, the node that the conditions call for, or why they withhold it.
    settled: BTreeMap<(u64, u16), Result<NodeId, Event>>,
    /// Whether any record of the plan can need a second pass.
    may_replay: bool,
    wants_replay: bool,
    replay_start: Option<u64>,
    /// The outermost record as sent, if it may be read again.
    raw: Rope,
    raw_pieces: Vec<Bytes>,
    objection: Option<Fault>,
}

impl Records {
    pub(super) fn of(plan: &Plan) -> Self {
        let may_replay = plan.records.iter().any(|record| {
            let assumed = record.cases.get(record.assumed).copied().flatten();
            record.cases.iter().flatten().any(|node| Some(*node) != assumed)
        });
        Self { may_replay, ..Self::default() }
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        !self.open.as_slice().is_empty()
    }

    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        self.complete.is_some()
    }

    /// The length of the output before the outermost open record.
    pub(super) fn outermost_start(&self) -> Option<u64> {
        self.open.as_slice().first().map(|record| record.head.place.start)
    }

    /// The offset of the outermost open record in the body.
    pub(super) fn outermost_offset(&self) -> Option<u64> {
        self.open.as_slice().first().map(|record| record.head.place.offset)
    }

    /// Counts something once the outermost record goes out.
    #[inline]
    pub(super) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Whether what a condition reads was not read yet.
    #[inline]
    pub(super) fn is_free(&self, slot: u16) -> bool {
        let record = self.open.as_slice().last();
        record.is_some_and(|record| record.filled.get(usize::from(slot)) == Some(&false))
    }

    /// Remembers why a record will be refused, unless its rules turn out to be others.
    pub(super) fn object_to(&mut self, fault: Fault) {
        self.objection.get_or_insert(fault);
    }

    /// The node that an earlier pass found for the record at this offset.
    pub(super) fn settled_node(&self, offset: u64, record: RecordId) -> Option<NodeId> {
        self.settled.get(&(offset, record.0)).copied()?.ok()
    }

    /// Whether the outermost record will be read once more.
    pub(super) fn wants_replay(&self) -> bool {
        self.wants_replay
    }

    /// In a second pass, where the outermost record's output started in the first.
    pub(super) fn take_replay_start(&mut self) -> Option<u64> {
        self.replay_start.take()
    }

    /// Opens a record. Inlined, so that what is known of it is written where it stays: moved, it would be
    /// waited for.
    #[inline(always)]
    pub(super) fn open(&mut self, id: RecordId, node: NodeId, place: Place, captures: u16) {
        let (notes, takes) = (self.notes.len(), self.takes.as_slice().len());
        let head = Head { id, node, place, notes, takes };
        let new = || OpenRecord { head, values: Vec::new(), filled: Vec::new() };
        let Some(record) = self.open.push(new) else { return };
        record.head = head;
        record.expect(usize::from(captures));
    }

    /// Notes what a condition reads; false if that was read before.
    pub(super) fn capture(&mut self, slot: u16, value: Option<Value>) -> bool {
        let Some(record) = self.open.last_mut() else { return true };
        let slot = usize::from(slot);
        let Some(filled) = record.filled.get_mut(slot) else { return true };
        if let Some(place) = record.values.get_mut(slot) {
            *place = value;
        }
        !std::mem::replace(filled, true)
    }

    /// Notes a text that a condition reads; false if something was read there before.
    pub(super) fn capture_text(&mut self, slot: u16, text: &str) -> bool {
        let Some(record) = self.open.last_mut() else { return true };
        let slot = usize::from(slot);
        let Some(filled) = record.filled.get_mut(slot) else { return true };
        match record.values.get_mut(slot) {
            Some(Some(Value::Text(known))) => {
                known.clear();
                known.push_str(text);
            }
            Some(place) => *place = Some(text.into()),
            None => {}
        }
        !std::mem::replace(filled, true)
    }

    /// Keeps the part of a chunk that belongs to the outermost open record, if it may be read again.
    pub(super) fn retain(&mut self, chunk: &Bytes, base: u64) {
        if let (true, Some(offset)) = (self.may_replay, self.outermost_offset()) {
            self.raw.append(chunk, place_in_chunk(offset, base), chunk.len());
        }
    }

    /// Forgets everything, after a fault.
    pub(super) fn abandon(&mut self) {
        *self = Self::default();
    }

    /// Forgets all values, to be used for another body; `false` if it has more memory than most bodies need.
    pub(super) fn empty(&mut self) -> bool {
        let is_idle = !self.is_open() && self.settled.is_empty() && self.raw_pieces.is_empty();
        let mut is_small = is_idle && self.notes.capacity() <= MOST_KEPT_NOTES;
        self.forget_outermost();
        self.open.each(MOST_KEPT_RECORDS, |record| {
            is_small &= record.values.len() <= MOST_KEPT_RECORDS;
            record.values.iter_mut().flatten().for_each(empty);
        });
        self.takes.each(MOST_KEPT_RECORDS, |taken| empty(&mut taken.subject));
        is_small
    }

    fn forget_outermost(&mut self) {
        self.notes.clear();
        self.takes.truncate(0);
        if self.may_replay {
            self.settled.clear();
            self.raw.clear();
            self.raw_pieces.clear();
            self.wants_replay = false;
        }
    }
}

fn place_in_chunk(offset: u64, base: u64) -> usize {
    usize::try_from(offset.saturating_sub(base)).unwrap_or(usize::MAX)
}

/// The list in which a record stands, by where it begins in the output: the array around it, or the body of
/// lines. A member of an object stands in none: under another name it would be another record.
fn list(around: Option<&Frame>) -> Option<u64> {
    around.map_or(Some(0), |frame| (!frame.is_object).then_some(frame.start))
}

/// Whether somebody could count this as a subject.
fn is_key(value: &Value) -> bool {
    match value {
        Value::Text(text) => !text.is_empty(),
        Value::Integer(_) => true,
        Value::Decimal(number) => number.whole().is_some(),
        Value::Null | Value::Bool(_) | Value::List(_) => false,
    }
}

/// So much is kept for another body.
const MOST_KEPT_RECORDS: usize = 16;
const MOST_KEPT_NOTES: usize = 256;
const MOST_KEPT_TEXT_BYTES: usize = 256;

/// Forgets a value, but for the memory of a short text.
fn empty(value: &mut Value) {
    if let Value::Text(text) = value
        && text.capacity() <= MOST_KEPT_TEXT_BYTES
    {
        text.clear();
    } else {
        *value = Value::Null;
    }
}

/// Copies a value, into the memory of the one before where that can be.
fn assign(place: &mut Value, value: &Value) {
    match (place, value) {
        (Value::Text(place), Value::Text(text)) => place.clone_from(text),
        (place, value) => *place = value.clone(),
    }
}

impl<H: Hooks> Filter<H> {
    /// Judges a record that was read to its end, before `end`.
    pub(super) fn close_record(&mut self, frame: &Frame, end: usize) -> Result<(), Fault> {
        let Some(outermost) = self.records.outermost_offset() else { return Ok(()) };
        let limit = outermost + self.caps.record_bytes as u64;
        if self.base + end as u64 > limit {
            return Err(Cause::RecordTooLarge { cap: self.caps.record_bytes }.at(limit));
        }
        let depth = self.records.open.as_slice().len().saturating_sub(1);
        let Some(record) = self.records.open.last_mut() else { return Ok(()) };
        for (value, _) in
            record.values.iter_mut().zip(&record.filled).filter(|(_, filled)| !**filled)
        {
            *value = None;
        }
        let head = record.head;
        let reason = match self.called_for(&head) {
            Err(_) if self.mode != Mode::Drop => {
                let entity = self.plan.record(head.id).map(|plan| plan.entity.to_string());
                let cause = Cause::RowNotWritable { entity: entity.unwrap_or_default() };
                self.refuse(cause.at(self.base + end as u64))?;
                None
            }
            Err(reason) => Some(reason),
            Ok(node) if node != head.node => {
                self.records.wants_replay = true;
                None
            }
            Ok(_) if self.mode != Mode::Drop => None,
            Ok(_) if !frame.has_output => Some(Event::Withheld),
            Ok(_) => self.count_subject(&head, depth == 0),
        };
        self.records.open.truncate(depth);
        if let Some(reason) = reason {
            self.withhold_record(frame, &head, reason, depth == 0);
        }
        if depth == 0 {
            let parent_had_output = frame.parent_had_output;
            self.records.complete = Some(Complete { place: head.place, parent_had_output });
        }
        Ok(())
    }

    /// The node that the conditions of the innermost record call for, or why they withhold it.
    fn called_for(&mut self, head: &Head) -> Result<NodeId, Event> {
        let plan = self.plan.record(head.id).ok_or(Event::Withheld)?;
        let key = (head.place.offset, head.id.0);
        if self.records.may_replay
            && let Some(settled) = self.records.settled.get(&key)
        {
            return *settled;
        }
        let record = self.records.open.as_slice().last().ok_or(Event::Withheld)?;
        let case = match plan.cases.len() {
            0 | 1 => 0,
            _ => self.hooks.case(head.id, &record.values),
        };
        let node = plan.cases.get(case).copied().flatten();
        let reason = if plan.is_suppressed(case) { Event::Suppressed } else { Event::Withheld };
        let node = node.ok_or(reason);
        if self.records.may_replay {
            self.records.settled.insert(key, node);
        }
        node
    }

    /// Queues the innermost record to be counted, or says why it cannot be.
    fn count_subject(&mut self, head: &Head, is_outermost: bool) -> Option<Event> {
        let record = self.records.open.as_slice().last()?;
        let subject = match self.plan.record(head.id)?.subject {
            None => &Value::Null,
            Some(slot) => {
                let value = record.values.get(usize::from(slot));
                let Some(subject) = value.and_then(Option::as_ref).filter(|value| is_key(value))
                else {
                    return Some(Event::WithoutSubject);
                };
                subject
            }
        };
        let node = self.plan.node(head.node);
        let unmasks = matches!(node, Some(Node::Object(object)) if object.unmasks);
        let new = || Outgoing { record: head.id, subject: Value::Null, is_outermost, unmasks };
        let taken = self.records.takes.push(new)?;
        taken.record = head.id;
        taken.is_outermost = is_outermost;
        taken.unmasks = unmasks;
        assign(&mut taken.subject, subject);
        None
    }

    fn withhold_record(&mut self, frame: &Frame, record: &Head, reason: Event, is_outermost: bool) {
        self.take_back(record.place.start, frame.parent_had_output);
        self.records.notes.truncate(record.notes);
        self.records.takes.truncate(record.takes);
        self.records.note(Note::Event(reason));
        if is_outermost {
            self.records.wants_replay = false;
        }
    }

    /// Takes the value just read out of the output again.
    pub(super) fn take_back(&mut self, start: u64, parent_had_output: bool) {
        self.output.truncate(start);
        self.is_emitted = false;
        if let Some(parent) = self.frames.last_mut() {
            parent.has_output = parent_had_output;
        }
    }

    /// Settles, counts and releases the outermost record that ended before `pos`.
    pub(super) fn conclude_record(&mut self, chunk: &Bytes, pos: usize) -> Result<(), Fault> {
        let mut passes = 0;
        while self.records.wants_replay {
            passes += 1;
            // Without other cases nothing was kept to be read again: the tree's node is not the assumed one.
            if passes > self.caps.depth || !self.records.may_replay {
                return self.fault(Cause::Unsettled, pos);
            }
            self.replay(chunk, pos)?;
        }
        if let Some(objection) = self.records.objection.take() {
            return Err(objection);
        }
        if let Some(complete) = self.records.complete.take() {
            self.release_record(complete);
        }
        self.records.forget_outermost();
        Ok(())
    }

    fn release_record(&mut self, record: Complete) {
        if !self.records.takes.as_slice().is_empty() && !self.may_go_out() {
            self.take_back(record.place.start, record.parent_had_output);
            self.report.limited = true;
            self.report.records_held_back += 1;
            return;
        }
        if let Some(outermost) = self.records.takes.as_slice().last() {
            if let Some(mark) = &self.watermark {
                // The record ended just now, so that its last byte is the bracket that stands in the mark.
                self.output.truncate(self.output.length().saturating_sub(1));
                self.output.insert(mark);
            }
            let list = list(self.frames.last());
            if let Some((list, rank)) =
                list.and_then(|list| Some((list, self.hooks.rank(outermost)?)))
            {
                let (start, end) = (record.place.body, self.output.length());
                self.spans.push(Span { start, end, rank, list });
            }
        }
        self.report.records_released += self.records.takes.as_slice().len() as u64;
        let mut notes = std::mem::take(&mut self.records.notes);
        for note in notes.drain(..) {
            match note {
                Note::Event(event) => self.report.count(event),
                Note::Members(stretch) => self.tally(stretch),
                Note::Values(field, fate, times) => self.report.count_field(field, fate, times),
            }
        }
        self.records.notes = notes;
    }

    /// Counts the outermost record, which ended last, then those inside it.
    fn may_go_out(&mut self) -> bool {
        if self.report.limited {
            return false;
        }
        let Some((outermost, inside)) = self.records.takes.as_slice().split_last() else {
            return true;
        };
        std::iter::once(outermost)
            .chain(inside)
            .all(|record| self.hooks.take(record) == Take::Release)
    }

    /// Reads the outermost record once more, with the nodes that are settled by now.
    fn replay(&mut self, chunk: &Bytes, pos: usize) -> Result<(), Fault> {
        let Some(Complete { place, parent_had_output }) = self.records.complete.take() else {
            return Ok(());
        };
        if self.records.raw_pieces.is_empty() {
            self.records.raw.append(chunk, place_in_chunk(place.offset, self.base), pos);
            self.records.raw_pieces = self.records.raw.take(u64::MAX);
        }
        self.take_back(place.body, parent_had_output);
        self.records.notes.clear();
        self.records.takes.truncate(0);
        self.records.objection = None;
        self.records.wants_replay = false;
        self.records.replay_start = Some(place.start);
        self.state = State::Value;
        self.slot = place.slot;
        let base = std::mem::replace(&mut self.base, place.offset);
        let ahead = std::mem::take(&mut self.ahead);
        for piece in self.records.raw_pieces.clone() {
            self.reread(&piece)?;
        }
        self.ahead = ahead;
        self.base = base;
        self.output.begin(chunk.clone(), pos);
        Ok(())
    }

    /// Reads a piece of a record once more.
    fn reread(&mut self, piece: &Bytes) -> Result<(), Fault> {
        self.ahead.begin();
        self.output.begin(piece.clone(), 0);
        let (mut pos, mut before) = (0, usize::MAX);
        while pos != before && pos < piece.len() && !self.records.is_complete() {
            before = pos;
            pos = self.advance_known(piece, pos, piece.len())?;
        }
        self.output.end_at(piece.len(), self.is_undecided());
        self.base += piece.len() as u64;
        Ok(())
    }

    /// Refuses a chunk that ends beyond what may be held.
    pub(super) fn check_caps(&self, chunk_bytes: usize) -> Result<(), Fault> {
        let end = self.base + chunk_bytes as u64;
        match self.first_limit() {
            Some(fault) if fault.offset < end => Err(fault),
            Some(_) | None => Ok(()),
        }
    }

    /// The fault that comes first: a cap that was passed on the way to this one, or this one.
    pub(super) fn earliest(&self, fault: Fault) -> Fault {
        self.first_limit().filter(|limit| limit.offset <= fault.offset).unwrap_or(fault)
    }

    /// The cap that would be passed first if the current token and record went on for ever.
    fn first_limit(&self) -> Option<Fault> {
        let caps = &self.caps;
        let start = self.token.start;
        let of_token = match self.state {
            State::Key => Some(
                Cause::KeyTooLong { cap: caps.key_bytes }.at(start + 1 + caps.key_bytes as u64),
            ),
            State::Text if self.token.is_read => {
                let cause = Cause::ValueTooLong { cap: caps.value_bytes };
                Some(cause.at(start + 1 + caps.value_bytes as u64))
            }
            State::Number => {
                let cause = Cause::NumberTooLong { cap: caps.number_bytes };
                Some(cause.at(start + caps.number_bytes as u64))
            }
            State::Text
            | State::Value
            | State::ElementOrEnd
            | State::MemberOrEnd
            | State::Member
            | State::Colon
            | State::Literal
            | State::After
            | State::End => None,
        };
        let of_record = self.records.outermost_offset().map(|offset| {
            let cause = Cause::RecordTooLarge { cap: caps.record_bytes };
            cause.at(offset + caps.record_bytes as u64)
        });
        of_token.into_iter().chain(of_record).min_by_key(|fault| fault.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_another_body_is_little_and_holds_no_value() {
        let mut short = Value::from("Alice");
        let mut long = Value::Text("Alice".repeat(MOST_KEPT_TEXT_BYTES));
        let mut list = Value::List(vec![short.clone()]);
        [&mut short, &mut long, &mut list].into_iter().for_each(empty);
        assert_eq!([short, long, list], [Value::from(""), Value::Null, Value::Null]);
        let mut records = Records::default();
        assert!(records.empty());
        records.notes.reserve(MOST_KEPT_NOTES + 1);
        assert!(!records.empty());
        let mut many = Reused::default();
        for _ in 0..=MOST_KEPT_RECORDS {
            many.push(|| 1);
        }
        let mut visited = 0;
        many.each(MOST_KEPT_RECORDS, |_| visited += 1);
        assert_eq!((visited, many.as_slice().len()), (MOST_KEPT_RECORDS, MOST_KEPT_RECORDS));
    }
}
