//! The state machine over tokens: which may follow which, and where each ends. What a value means
//! for the output is decided in `value`.

use crate::policy::plan::{Node, NodeId, Slot, Verdict};

use super::fault::{Cause, Fault};
use super::output::Lead;
use super::scan::{Escape, Number, gap_end, string_end};
use super::text::unescape;
use super::value::Act;
use super::{Filter, Hooks, Mode};

const MEMBER_NAME_CHARS: usize = 64;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A value.
    Value,
    /// A value, or the end of an array that has none.
    ElementOrEnd,
    /// A member, or the end of an object that has none.
    MemberOrEnd,
    /// A member.
    Member,
    /// The rest of a member's name.
    Key,
    /// The colon behind a name.
    Colon,
    /// The rest of a string.
    Text,
    /// The rest of a number.
    Number,
    /// The rest of `true`, `false` or `null`.
    Literal,
    /// What follows a value inside an object or array.
    After,
    /// Nothing but white space.
    End,
}

/// An object or array that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) is_object: bool,
    /// The node that judges what is inside; `None` where nothing inside passes.
    pub(super) node: Option<NodeId>,
    /// What judges the elements of an array.
    pub(super) element: Slot,
    /// Whether anything inside went out.
    pub(super) has_output: bool,
    /// Whether a comma stands before what is undecided.
    pub(super) follows_comma: bool,
    pub(super) is_record: bool,
    /// Whether anything beside it had gone out before it.
    pub(super) parent_had_output: bool,
    /// Nothing inside can pass: it is read for the conditions only, and leaves no trace.
    pub(super) is_silent: bool,
    /// An array whose scalars simply pass.
    pub(super) is_quick: bool,
    /// The length of the output before it.
    pub(super) start: u64,
    /// The white space behind its bracket.
    pub(super) lead: Lead,
    /// Which name is expected next.
    pub(super) cursor: u16,
    /// The members seen that decide on the record.
    pub(super) deciders: u64,
}

/// The token that is being read.
#[derive(Debug)]
pub(super) struct Token {
    /// Offset of its first byte in the body.
    pub(super) start: u64,
    pub(super) act: Act,
    /// Whether its text is looked at.
    pub(super) is_read: bool,
    pub(super) escape: Escape,
    pub(super) number: Number,
    pub(super) literal: &'static [u8],
    /// How much of the literal was read.
    pub(super) matched: usize,
    /// Its bytes in earlier chunks, without the opening quote, if its text is looked at.
    pub(super) text: Vec<u8>,
    /// The length of the output before what leads to it (comma, name), and whether anything beside it had
    /// gone out by then; set where it is held until it was looked through.
    pub(super) before: (u64, bool),
}

impl Default for Token {
    fn default() -> Self {
        Self {
            start: 0,
            act: Act::Drop,
            is_read: false,
            escape: Escape::Outside,
            number: Number::Minus,
            literal: b"",
            matched: 0,
            text: Vec::new(),
            before: (0, false),
        }
    }
}

impl<H: Hooks> Filter<H> {
    /// Reads from `pos` on, to the end of the input or of an outermost record.
    pub(super) fn advance(&mut self, input: &[u8], mut pos: usize) -> Result<usize, Fault> {
        while pos < input.len() {
            pos = match self.state {
                State::Member | State::MemberOrEnd => self.member(input, pos)?,
                State::Key => self.key(input, pos)?,
                State::Colon => self.colon(input, pos)?,
                State::Value | State::ElementOrEnd => self.value(input, pos)?,
                State::Text => self.text(input, pos, pos)?,
                State::Number => self.number(input, pos, pos)?,
                State::Literal => self.literal(input, pos)?,
                State::After => self.after(input, pos)?,
                State::End => self.end(input, pos)?,
            };
            if self.records.is_complete() {
                break;
            }
        }
        Ok(pos)
    }

    pub(super) fn fault<T>(&self, cause: Cause, pos: usize) -> Result<T, Fault> {
        Err(cause.at(self.base + pos as u64))
    }

    /// Whether values of the innermost open object or array may pass.
    #[inline]
    fn passes(&self) -> bool {
        self.frames.last().is_none_or(|frame| frame.node.is_some())
    }

    /// Whether bytes between two values may still go out.
    pub(super) fn is_undecided(&self) -> bool {
        !matches!(self.state, State::Text | State::Number | State::Literal) && self.passes()
    }

    #[inline]
    fn gap(&mut self, input: &[u8], pos: usize) -> usize {
        if self.output.is_token(input, pos) {
            return pos;
        }
        if !self.passes() {
            return gap_end(input, pos);
        }
        let end = self.output.gap(input, pos);
        if matches!(self.state, State::MemberOrEnd | State::ElementOrEnd)
            && let Some(frame) = self.frames.last_mut()
        {
            self.output.lead(&mut frame.lead, input.get(pos..end).unwrap_or_default());
        }
        end
    }

    fn member(&mut self, input: &[u8], pos: usize) -> Result<usize, Fault> {
        let at = self.gap(input, pos);
        let Some(&byte) = input.get(at) else { return Ok(at) };
        match (byte, self.state) {
            (b'"', _) => {}
            (b'}', State::MemberOrEnd) => return self.close(at, true),
            (b'}', _) => return self.fault(Cause::TrailingComma, at),
            _ => return self.fault(Cause::Unexpected { expected: "a member's name" }, at),
        }
        if let Some(end) = self.quick_members(input, at) {
            return Ok(end);
        }
        self.token.start = self.base + at as u64;
        self.token.escape = Escape::Outside;
        self.token.text.clear();
        self.state = State::Key;
        self.key(input, at + 1)
    }

    fn key(&mut self, input: &[u8], pos: usize) -> Result<usize, Fault> {
        let end = match string_end(input, pos, &mut self.token.escape) {
            Ok(end) => end,
            Err((cause, at)) => return self.fault(cause, at),
        };
        let piece = input.get(pos..end.unwrap_or(input.len())).unwrap_or_default();
        let Some(end) = end else {
            let room = self.caps.key_bytes.saturating_sub(self.token.text.len());
            self.token.text.extend(piece.iter().take(room.saturating_add(1)));
            return Ok(input.len());
        };
        if self.token.text.len() + piece.len() > self.caps.key_bytes {
            let cap = self.caps.key_bytes;
            return Err(Cause::KeyTooLong { cap }.at(self.token.start + 1 + cap as u64));
        }
        if self.token.text.is_empty() {
            self.name_member(piece, end)?;
        } else {
            let mut name = std::mem::take(&mut self.token.text);
            name.extend_from_slice(piece);
            self.name_member(&name, end)?;
            self.token.text = name;
        }
        self.state = State::Colon;
        Ok(end + 1)
    }

    /// Finds the rules of the member with this name, as sent.
    fn name_member(&mut self, raw: &[u8], end: usize) -> Result<(), Fault> {
        let Ok(name) = unescape(raw) else {
            return self.fault(Cause::LoneSurrogateInKey, end);
        };
        if self.mode != Mode::Drop {
            self.member_name = name.chars().take(MEMBER_NAME_CHARS).collect();
        }
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let Some(node) = frame.node else { return Ok(()) };
        self.slot = Slot::of(Verdict::Absent);
        let Some(Node::Object(object)) = self.plan.node(node) else { return Ok(()) };
        let Some(rules) = self.shapes.find(node, object, &mut frame.cursor, name.as_bytes()) else {
            return Ok(());
        };
        if frame.deciders & rules.decider != 0 {
            return self.fault(Cause::DuplicateCondition, end);
        }
        frame.deciders |= rules.decider;
        if !rules.is_listed {
            self.report.unlisted_members += 1;
            if !name.contains('.') {
                self.report.note_unlisted(node, &name);
            }
        }
        self.slot = rules.slot;
        Ok(())
    }

    #[inline]
    fn colon(&mut self, input: &[u8], pos: usize) -> Result<usize, Fault> {
        let at = self.gap(input, pos);
        match input.get(at) {
            None => Ok(at),
            Some(b':') => {
                self.state = State::Value;
                self.value(input, at + 1)
            }
            Some(_) => self.fault(Cause::Unexpected { expected: "a colon" }, at),
        }
    }

    #[inline]
    fn value(&mut self, input: &[u8], pos: usize) -> Result<usize, Fault> {
        let at = self.gap(input, pos);
        let Some(&byte) = input.get(at) else { return Ok(at) };
        if self.frames.last().is_some_and(|frame| frame.is_quick)
            && let Some(end) = self.quick_elements(input, at)
        {
            return Ok(end);
        }
        match byte {
            b'"' => {
                self.start_scalar(State::Text, byte, at)?;
                self.text(input, at, at + 1)
            }
            b'{' | b'[' => self.open(byte, at),
            b't' => self.start_literal(b"true", input, at),
            b'f' => self.start_literal(b"false", input, at),
            b'n' => self.start_literal(b"null", input, at),
            _ => self.value_or_fault(byte, input, at),
        }
    }

    fn value_or_fault(&mut self, byte: u8, input: &[u8], at: usize) -> Result<usize, Fault> {
        if let Some(number) = Number::start(byte) {
            self.start_scalar(State::Number, byte, at)?;
            self.token.number = number;
            return self.number(input, at, at + 1);
        }
        let in_array = self.frames.last().is_some_and(|frame| !frame.is_object);
        match (byte, self.state) {
            (b']', State::ElementOrEnd) => self.close(at, false),
            (b']', _) if in_array => self.fault(Cause::TrailingComma, at),
            (0xef, _) if self.base == 0 && at == 0 => self.fault(Cause::ByteOrderMark, at),
            _ => self.fault(Cause::Unexpected { expected: "a value" }, at),
        }
    }

    /// Goes on with a string; its bytes in this chunk start at `from`.
    #[inline]
    fn text(&mut self, input: &[u8], from: usize, pos: usize) -> Result<usize, Fault> {
        let end = match string_end(input, pos, &mut self.token.escape) {
            Ok(end) => end,
            Err((cause, at)) => return self.fault(cause, at),
        };
        let behind = end.map_or(input.len(), |end| end + 1);
        if self.token.act == Act::Pass {
            self.output.keep(from, behind);
        }
        if self.token.is_read {
            self.read_text(input.get(pos..end.unwrap_or(behind)).unwrap_or_default(), end)?;
        }
        if end.is_some() {
            self.end_value(behind);
        }
        Ok(behind)
    }

    fn number(&mut self, input: &[u8], from: usize, pos: usize) -> Result<usize, Fault> {
        let end = self.token.number.scan(input, pos);
        if self.token.act == Act::Pass {
            self.output.keep(from, end);
        }
        if self.token.is_read {
            self.token.text.extend_from_slice(input.get(from..end).unwrap_or_default());
        }
        if end == input.len() {
            return Ok(end);
        }
        self.end_number(end)?;
        Ok(end)
    }

    fn end_number(&mut self, end: usize) -> Result<(), Fault> {
        if self.base + end as u64 > self.token.start + self.caps.number_bytes as u64 {
            let cap = self.caps.number_bytes;
            return Err(Cause::NumberTooLong { cap }.at(self.token.start + cap as u64));
        }
        if !self.token.number.is_complete() {
            return self.fault(Cause::BadNumber, end);
        }
        if self.token.is_read {
            self.read_bare(end)?;
        }
        self.end_value(end);
        Ok(())
    }

    /// A number that is the whole body, or its line, ends where that ends.
    pub(super) fn end_number_at_root(&mut self, end: usize) -> Result<(), Fault> {
        if self.state == State::Number && self.frames.is_empty() && self.token.number.is_complete()
        {
            self.end_number(end)?;
        }
        Ok(())
    }

    fn start_literal(
        &mut self,
        literal: &'static [u8],
        input: &[u8],
        at: usize,
    ) -> Result<usize, Fault> {
        self.start_scalar(State::Literal, literal.first().copied().unwrap_or_default(), at)?;
        self.token.literal = literal;
        self.token.matched = 0;
        self.literal(input, at)
    }

    fn literal(&mut self, input: &[u8], from: usize) -> Result<usize, Fault> {
        let wanted = self.token.literal.get(self.token.matched..).unwrap_or_default();
        let rest = input.get(from..).unwrap_or_default();
        let same = wanted.iter().zip(rest).take_while(|(wanted, byte)| wanted == byte).count();
        let end = from + same;
        if same < wanted.len() && same < rest.len() {
            return self.fault(Cause::BadLiteral, end);
        }
        self.token.matched += same;
        if self.token.act == Act::Pass {
            self.output.keep(from, end);
        }
        if same == wanted.len() {
            if self.token.is_read {
                self.token.text.extend_from_slice(self.token.literal);
                self.read_bare(end)?;
            }
            self.end_value(end);
        }
        Ok(end)
    }

    /// Sets the state behind a value that ended before `pos`.
    #[inline]
    pub(super) fn end_value(&mut self, pos: usize) {
        self.state = if self.frames.is_empty() { State::End } else { State::After };
        self.output.restart(pos);
    }

    #[inline]
    fn after(&mut self, input: &[u8], pos: usize) -> Result<usize, Fault> {
        let at = self.gap(input, pos);
        let Some(&byte) = input.get(at) else { return Ok(at) };
        let Some(frame) = self.frames.last_mut() else {
            return self.fault(Cause::TrailingBytes, at);
        };
        if byte != b',' {
            return self.close_after(byte, at);
        }
        frame.follows_comma = true;
        // White space before a comma goes with what follows it, or an element left out would leave it behind.
        if !frame.has_output {
            self.output.restart(at);
        }
        if frame.is_object {
            self.state = State::Member;
            return if at + 1 < input.len() { self.member(input, at + 1) } else { Ok(at + 1) };
        }
        self.state = State::Value;
        self.slot = frame.element;
        Ok(at + 1)
    }

    fn close_after(&mut self, byte: u8, at: usize) -> Result<usize, Fault> {
        match byte {
            b'}' => self.close(at, true),
            b']' => self.close(at, false),
            _ => self.fault(Cause::Unexpected { expected: "a comma or a closing bracket" }, at),
        }
    }

    fn end(&mut self, input: &[u8], pos: usize) -> Result<usize, Fault> {
        let at = self.gap(input, pos);
        if at < input.len() { self.fault(Cause::TrailingBytes, at) } else { Ok(at) }
    }
}
