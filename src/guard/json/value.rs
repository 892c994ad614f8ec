//! What a value means for the output: passes, is replaced, is left out, or opens rules of its own.

use crate::guard::mask::{WHOLLY_MASKED, is_masked_form, mask_into};
use crate::policy::plan::{FieldId, Node, NodeId, RecordId, Slot, Verdict};
use crate::policy::value::Value;

use super::fault::{Cause, Fault};
use super::record::Place;
use super::report::{Event, Fate, Note};
use super::scan::Escape;
use super::shape::Quick;
use super::text::{encode, unescape};
use super::token::{Frame, State};
use super::{Filter, Hooks, Mode};

/// What happens to the scalar that is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Drop,
    Pass,
    Mask,
    Pseudonym,
    /// It is held until it was looked through.
    Search,
}

impl<H: Hooks> Filter<H> {
    /// Judges a scalar by its first byte.
    #[inline]
    pub(super) fn start_scalar(&mut self, state: State, byte: u8, at: usize) -> Result<(), Fault> {
        self.state = state;
        self.token.start = self.base + at as u64;
        self.token.escape = Escape::Outside;
        self.token.act = Act::Drop;
        self.token.is_read = false;
        self.is_emitted = false;
        let Some(frame) = self.frames.last_mut() else { return self.judge_scalar(byte, at) };
        if frame.node.is_none() {
            return Ok(());
        }
        if self.slot.verdict == Verdict::Clear
            && self.slot.capture.is_none()
            && self.slot.detect.is_none()
            && self.mode == Mode::Drop
        {
            let is_first = frame.follows_comma && !frame.has_output;
            frame.has_output = true;
            if is_first {
                self.output.release_first(at, frame.lead);
            } else {
                self.output.release_undecided(at);
            }
            self.token.act = Act::Pass;
            self.is_emitted = true;
            self.count(Fate::Clear);
            return Ok(());
        }
        self.judge_scalar(byte, at)
    }

    fn judge_scalar(&mut self, byte: u8, at: usize) -> Result<(), Fault> {
        let is_null = byte == b'n';
        let act = match self.slot.verdict {
            Verdict::Clear if self.is_searched(byte) => Act::Search,
            Verdict::Clear => Act::Pass,
            Verdict::Mask | Verdict::Enter(_) | Verdict::Pseudonym if is_null => Act::Pass,
            Verdict::Mask => Act::Mask,
            Verdict::Pseudonym => Act::Pseudonym,
            Verdict::Absent | Verdict::Enter(_) => Act::Drop,
        };
        let may_be_written = match self.slot.verdict {
            Verdict::Clear => true,
            // In place of an object or array, `null` writes everything below it.
            Verdict::Enter(node) => is_null && self.shapes.is_whole(node),
            Verdict::Absent | Verdict::Mask | Verdict::Pseudonym => false,
        };
        if self.mode != Mode::Drop && !may_be_written {
            self.refuse_value(at)?;
            self.count(Fate::Withheld);
            // It still decides on its record.
            self.token.is_read = self.slot.capture.is_some();
            self.token.text.clear();
            return Ok(());
        }
        self.token.act = act;
        let is_checked = self.mode != Mode::Drop && self.slot.mask.is_some() && byte == b'"';
        self.token.is_read = matches!(act, Act::Mask | Act::Pseudonym | Act::Search)
            || self.slot.capture.is_some()
            || is_checked;
        self.token.text.clear();
        if act == Act::Search {
            // What becomes of it is counted when that is known.
            self.token.before = (self.output.length(), self.has_output());
        }
        if act != Act::Drop {
            self.start_output(at);
        }
        match act {
            Act::Drop => self.count(Fate::Withheld),
            Act::Pass => self.count(Fate::Clear),
            Act::Mask => self.count(Fate::Masked),
            Act::Pseudonym => self.count(Fate::Pseudonym),
            Act::Search => {}
        }
        Ok(())
    }

    /// Whether a scalar that starts with this byte is looked through: a text or a number can be.
    fn is_searched(&self, byte: u8) -> bool {
        self.slot.detect.is_some() && !matches!(byte, b't' | b'f' | b'n')
    }

    fn has_output(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.has_output)
    }

    /// Lets out what stands before a value that goes out.
    pub(super) fn start_output(&mut self, at: usize) {
        self.is_emitted = true;
        if let Some(frame) = self.frames.last_mut()
            && !std::mem::replace(&mut frame.has_output, true)
            && frame.follows_comma
        {
            return self.output.release_first(at, frame.lead);
        }
        self.output.release_undecided(at);
    }

    /// Refuses a value that may not be written: at once, or once its record's rules are certain. A member
    /// of an object may be left out instead, and what goes as a whole; another element of an array would move those
    /// behind it.
    fn refuse_value(&mut self, at: usize) -> Result<(), Fault> {
        let is_in = |of: fn(&Frame) -> bool| self.frames.last().is_some_and(of);
        if self.mode == Mode::Trim && is_in(|frame| frame.is_object || frame.is_silent) {
            self.report.trimmed += 1;
            let node = self.frames.last().filter(|frame| frame.is_object);
            if let (Some(node), None, false) =
                (node.and_then(|frame| frame.node), self.slot.field, self.member_name.contains('.'))
            {
                self.report.note_unlisted(node, &self.member_name);
            }
            return Ok(());
        }
        let fault = Cause::NotWritable { field: self.name() }.at(self.base + at as u64);
        self.refuse(fault)
    }

    pub(super) fn refuse(&mut self, fault: Fault) -> Result<(), Fault> {
        if self.records.is_open() {
            self.records.object_to(fault);
            Ok(())
        } else {
            Err(fault)
        }
    }

    /// How messages call the current value.
    pub(super) fn name(&self) -> String {
        let field = self.slot.field.and_then(|field| self.plan.field(field));
        field.unwrap_or(&self.member_name).to_owned()
    }

    #[inline]
    pub(super) fn count(&mut self, fate: Fate) {
        if let Some(field) = self.slot.field {
            self.count_field(field, fate);
        }
    }

    #[inline]
    fn count_field(&mut self, field: FieldId, fate: Fate) {
        let event = Event::Field(field, fate);
        if self.records.is_open() {
            self.records.note(Note::Event(event));
        } else {
            self.report.count(event);
        }
    }

    /// Counts `times` values of a field.
    pub(super) fn count_values(&mut self, field: FieldId, fate: Fate, times: u64) {
        if self.records.is_open() {
            self.records.note(Note::Values(field, fate, times));
        } else {
            self.report.count_field(field, fate, times);
        }
    }

    /// Reads a piece of a string whose text is looked at; `end` says that it is the last one.
    pub(super) fn read_text(&mut self, piece: &[u8], end: Option<usize>) -> Result<(), Fault> {
        let cap = self.caps.value_bytes;
        if self.token.text.len() + piece.len() > cap {
            return Err(Cause::ValueTooLong { cap }.at(self.token.start + 1 + cap as u64));
        }
        let Some(end) = end else {
            self.token.text.extend_from_slice(piece);
            return Ok(());
        };
        if self.token.text.is_empty() {
            return self.use_text(piece, end);
        }
        let mut raw = std::mem::take(&mut self.token.text);
        raw.extend_from_slice(piece);
        let outcome = self.use_text(&raw, end);
        self.token.text = raw;
        outcome
    }

    /// Uses the text of a string: as a condition's input, for a mask, or to refuse a masked form.
    fn use_text(&mut self, raw: &[u8], end: usize) -> Result<(), Fault> {
        let text = unescape(raw).ok();
        if self.slot.capture.is_some() {
            let value = text.as_deref().map(Value::from);
            self.capture(value, end)?;
        }
        let is_masked = |mask| text.as_deref().is_some_and(|text| is_masked_form(mask, text));
        match self.token.act {
            Act::Drop => {}
            Act::Pass | Act::Search
                if self.mode != Mode::Drop && self.slot.mask.is_some_and(is_masked) =>
            {
                let fault = Cause::MaskedValue { field: self.name() };
                return self.refuse(fault.at(self.base + end as u64));
            }
            Act::Pass => {}
            Act::Search => return self.search_text(raw, text.as_deref(), end),
            Act::Mask | Act::Pseudonym => self.replace(text.as_deref()),
        }
        Ok(())
    }

    /// Uses the text of a number or literal.
    pub(super) fn read_bare(&mut self, end: usize) -> Result<(), Fault> {
        let raw = std::mem::take(&mut self.token.text);
        let text = std::str::from_utf8(&raw).unwrap_or_default();
        if self.slot.capture.is_some() {
            self.capture(bare(text), end)?;
        }
        let outcome = match self.token.act {
            Act::Mask | Act::Pseudonym => {
                self.replace(Some(text));
                Ok(())
            }
            Act::Search => self.search_number(text, end),
            Act::Drop | Act::Pass => Ok(()),
        };
        self.token.text = raw;
        outcome
    }

    fn capture(&mut self, value: Option<Value>, at: usize) -> Result<(), Fault> {
        let Some(slot) = self.slot.capture else { return Ok(()) };
        if self.records.capture(slot, value) {
            Ok(())
        } else {
            self.fault(Cause::DuplicateCondition, at)
        }
    }

    /// Puts the masked form or the pseudonym in place of a text; what is no text is masked wholly.
    fn replace(&mut self, text: Option<&str>) {
        let mut replacement = std::mem::take(&mut self.replacement);
        replacement.clear();
        match (text, self.token.act, self.slot.mask) {
            (Some(text), Act::Pseudonym, _) => {
                let field = self.slot.field.and_then(|field| self.plan.field(field));
                replacement = self.hooks.pseudonym(field.unwrap_or_default(), text);
            }
            (Some(text), _, Some(mask)) => mask_into(mask, text, &mut replacement),
            (None, ..) | (_, _, None) => replacement.push_str(WHOLLY_MASKED),
        }
        self.insert_text(&replacement);
        self.replacement = replacement;
    }

    /// Lets a text out that does not stand in the input.
    pub(super) fn insert_text(&mut self, text: &str) {
        self.json.clear();
        encode(text, &mut self.json);
        self.output.insert(&self.json);
    }

    /// Opens an object or array.
    pub(super) fn open(&mut self, byte: u8, at: usize) -> Result<usize, Fault> {
        if self.frames.len() >= self.caps.depth {
            return self.fault(Cause::TooDeep { cap: self.caps.depth }, at);
        }
        let is_object = byte == b'{';
        self.state = if is_object { State::MemberOrEnd } else { State::ElementOrEnd };
        let mut frame = Frame {
            is_object,
            node: None,
            element: Slot::of(Verdict::Absent),
            has_output: false,
            follows_comma: false,
            is_record: false,
            parent_had_output: false,
            is_silent: false,
            is_quick: false,
            start: 0,
            lead: self.frames.last().map(|outer| outer.lead.inside()).unwrap_or_default(),
            cursor: 0,
            deciders: 0,
        };
        if self.frames.last().is_none_or(|parent| parent.node.is_some()) {
            match self.entered_node(is_object, at) {
                Some((node, element)) => {
                    self.capture(None, at)?;
                    self.enter(&mut frame, node, element, at);
                }
                None => self.withhold_container(at)?,
            }
        }
        self.slot = frame.element;
        self.frames.push(frame);
        Ok(at + 1)
    }

    /// The node that judges the container that starts at `at`, and its elements' slot.
    fn entered_node(&self, is_object: bool, at: usize) -> Option<(NodeId, Slot)> {
        let Verdict::Enter(assumed) = self.slot.verdict else { return None };
        match (self.plan.node(assumed)?, is_object) {
            (Node::Array(element), false) => Some((assumed, *element)),
            (Node::Object(object), true) => {
                let offset = self.base + at as u64;
                let node = object.record.and_then(|id| self.records.settled_node(offset, id));
                let node = node.unwrap_or(assumed);
                matches!(self.plan.node(node)?, Node::Object(_))
                    .then_some((node, Slot::of(Verdict::Absent)))
            }
            (Node::Array(_), true) | (Node::Object(_), false) => None,
        }
    }

    fn enter(&mut self, frame: &mut Frame, node: NodeId, element: Slot, at: usize) {
        frame.node = Some(node);
        frame.element = element;
        frame.parent_had_output = self.frames.last().is_some_and(|parent| parent.has_output);
        frame.is_silent = self.shapes.is_silent(node);
        frame.is_quick =
            !frame.is_object && self.mode == Mode::Drop && Quick::of(&element, true) == Quick::Pass;
        frame.start = self.records.take_replay_start().unwrap_or_else(|| self.output.length());
        self.start_output(at);
        if let Some(record) = self.entered_record() {
            frame.is_record = true;
            let offset = self.base + at as u64;
            let body = self.output.length();
            let captures = self.plan.record(record).map_or(0, |plan| plan.captures);
            let place = Place { slot: self.slot, offset, start: frame.start, body };
            self.records.open(record, node, place, captures);
        }
        self.output.keep(at, at + 1);
        self.output.restart(at + 1);
    }

    /// The record that starts where the slot leads, whichever case it is read with.
    fn entered_record(&self) -> Option<RecordId> {
        let Verdict::Enter(assumed) = self.slot.verdict else { return None };
        match self.plan.node(assumed)? {
            Node::Object(object) => object.record,
            Node::Array(_) => None,
        }
    }

    /// A container where none was declared, or one of the wrong form, or one that is absent.
    fn withhold_container(&mut self, at: usize) -> Result<(), Fault> {
        if self.mode != Mode::Drop {
            self.refuse_value(at)?;
        }
        self.count(Fate::Withheld);
        self.capture(None, at)
    }

    /// Closes the innermost object or array.
    pub(super) fn close(&mut self, at: usize, is_object: bool) -> Result<usize, Fault> {
        let Some(frame) = self.frames.pop().filter(|frame| frame.is_object == is_object) else {
            let expected = if is_object { "`]`" } else { "`}`" };
            return self.fault(Cause::Unexpected { expected }, at);
        };
        let is_empty = matches!(self.state, State::MemberOrEnd | State::ElementOrEnd);
        if frame.node.is_some() {
            if is_empty || frame.has_output {
                self.output.release_undecided(at);
            }
            self.output.keep(at, at + 1);
        }
        self.is_emitted = frame.node.is_some();
        if frame.is_record {
            self.close_record(&frame, at + 1)?;
        } else if frame.is_silent && self.mode == Mode::Drop && self.records.is_open() {
            self.take_back(frame.start, frame.parent_had_output);
        }
        if self.mode != Mode::Drop {
            self.judge_emptied(&frame, is_empty, at)?;
        }
        self.end_value(at + 1);
        Ok(at + 1)
    }

    /// Judges an object or array in which nothing is written. An empty one writes all that is below it, as `null` does;
    /// one that became empty since its members were left out would, and is left out with them.
    fn judge_emptied(&mut self, frame: &Frame, is_empty: bool, at: usize) -> Result<(), Fault> {
        let (Some(node), Some(parent)) = (frame.node, self.frames.last()) else { return Ok(()) };
        let is_written = frame.has_output && !frame.is_silent;
        let may_stay = if is_empty { self.shapes.is_whole(node) } else { is_written };
        if may_stay || self.records.wants_replay() {
            return Ok(());
        }
        match self.mode {
            // It goes with all that is in the outer one.
            Mode::Trim if parent.is_silent => Ok(()),
            Mode::Trim if parent.is_object => {
                if let (true, Some(outer)) = (is_empty, parent.node) {
                    self.report.trimmed += 1;
                    self.report.note_unlisted(outer, &self.member_name);
                }
                self.take_back(frame.start, frame.parent_had_output);
                Ok(())
            }
            Mode::Drop | Mode::Refuse | Mode::Trim => {
                let fault = Cause::NotWritable { field: self.name() };
                self.refuse(fault.at(self.base + at as u64))
            }
        }
    }
}

/// The value of a number or literal.
pub(super) fn bare(text: &str) -> Option<Value> {
    match text {
        "null" => Some(Value::Null),
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        number => Value::from_json_number(number),
    }
}
