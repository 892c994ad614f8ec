//! The streaming filter for JSON, whole or one text a line: lets out what a plan allows, nothing else.
//!
//! Bytes in, bytes out, at any split. It validates the whole body (RFC 8259), never reads a byte
//! twice but for records whose conditions call for other rules than assumed, and never recurses.
//! Allowed values pass byte for byte. It is not a parser: no tree is built.

mod ahead;
mod elements;
mod fault;
mod index;
mod kept;
mod lines;
mod output;
mod quick;
mod record;
pub(super) mod report;
mod reused;
mod rope;
pub(super) mod scan;
mod search;
mod shape;
mod text;
mod token;
mod utf8;
mod value;
mod walk;

#[cfg(test)]
mod edges;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod reference;
#[cfg(test)]
pub(super) mod rules;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use fault::{Cause, Fault};
pub use report::{FieldCount, Report};

use crate::policy::plan::{Plan, RecordId, Slot};
use crate::policy::value::Value;
use ahead::Ahead;
use kept::Lent;
use output::Output;
use record::Records;
use report::{Stretch, Tally};
use token::{Frame, State, Token};
use utf8::Stop;

/// How much of a body the filter holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Levels of objects and arrays.
    pub depth: usize,
    /// The name of a member or column, in bytes as sent.
    pub key_bytes: usize,
    /// A string or cell that must be masked, compared or counted, in bytes as sent. Others have no cap.
    pub value_bytes: usize,
    /// A record or row that is held until it is judged, in bytes as sent.
    pub record_bytes: usize,
    /// A number, in bytes.
    pub number_bytes: usize,
    /// Columns of a CSV body.
    pub columns: usize,
    /// White space between two tokens; more of it is left out.
    pub gap_bytes: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            depth: 64,
            key_bytes: 1024,
            value_bytes: 64 * 1024,
            record_bytes: 1024 * 1024,
            number_bytes: 256,
            columns: 512,
            gap_bytes: 4 * 1024,
        }
    }
}

/// What becomes of values that the plan does not let pass in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are left out, masked or replaced: for what goes to the caller.
    Drop,
    /// The first of them refuses the body: for what goes to the backend.
    Refuse,
    /// Members of objects that may not pass are left out, anything else refuses the body: for what goes
    /// to the backend where the policy says so. A masked value still refuses it.
    Trim,
}

/// Whether a record may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It goes out, and was counted.
    Release,
    /// A limit is reached: this and every later record stays behind.
    HoldBack,
}

/// A record that was judged and may go out, once it is counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Which record of the plan.
    pub record: RecordId,
    /// A non-empty text or a whole number; `null` for entities that have no subject.
    pub subject: Value,
    /// Whether it stands inside no other record.
    pub is_outermost: bool,
    /// Whether its plan leaves a field of a high grade in clear, see [`ObjectNode::unmasks`].
    ///
    /// [`ObjectNode::unmasks`]: crate::policy::plan::ObjectNode::unmasks
    pub unmasks: bool,
}

/// What the filter asks its owner. Values are lent for the call and never kept.
pub trait Hooks {
    /// The outcome of a record's conditions: an index into its `cases`.
    ///
    /// `captures` are the record's slots; `None` where the field is missing, not a scalar, or not a
    /// text. Asked once per record that has more than one case, also for records inside records.
    fn case(&mut self, record: RecordId, captures: &[Option<Value>]) -> usize;

    /// Counts a record about to go out. Asked in [`Mode::Drop`] alone.
    ///
    /// An outermost record comes before those inside it; if one of them may not go out, the
    /// outermost one is held back as a whole.
    fn take(&mut self, record: &Outgoing) -> Take;

    /// The pseudonym of a field's value. Numbers and booleans come as their text.
    fn pseudonym(&mut self, field: &str, text: &str) -> String;

    /// What each outermost record gets as its last member or cell. Asked once, before anything is read.
    fn watermark(&self) -> Option<Watermark> {
        None
    }

    /// Where an outermost record belongs among those beside it, see [`Span`]; `None` leaves it where it
    /// is. Asked after the record was taken, if it stands in a list.
    fn rank(&mut self, _record: &Outgoing) -> Option<u64> {
        None
    }
}

/// A member that the backend did not send. Its name and value need no escape in any format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The member's name, or the column's.
    pub name: Box<str>,
    /// What every record says there.
    pub value: Box<str>,
}

/// Where a record that has a rank stands in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The offset of its first byte.
    pub start: u64,
    /// The offset behind its last byte.
    pub end: u64,
    /// Its rank.
    pub rank: u64,
    /// The list that it stands in: records of two lists never change places.
    pub list: u64,
}

/// A watermark as it ends a record: behind another member, with the bracket.
fn member_at_end(Watermark { name, value }: Watermark) -> Box<[u8]> {
    format!(",\"{name}\":\"{value}\"}}").into_bytes().into()
}

/// The streaming JSON filter.
///
/// After a fault it stays refused, and what was not yet taken is gone.
pub struct Filter<H> {
    plan: Arc<Plan>,
    caps: Caps,
    mode: Mode,
    hooks: H,
    /// What judges each line, in a body of lines.
    line: Option<Slot>,
    shapes: Lent,
    output: Output,
    report: Report,
    tally: Tally,
    fault: Option<Fault>,
    /// Bytes of a character that the last chunk broke off.
    broken_char: Vec<u8>,
    ahead: Ahead,
    /// Offset of the current chunk's first byte.
    base: u64,
    state: State,
    frames: Vec<Frame>,
    token: Token,
    /// What judges the next value.
    slot: Slot,
    /// Whether the value just read went out.
    is_emitted: bool,
    /// Unless in [`Mode::Drop`], the name of the last member, cut to 64 characters.
    member_name: String,
    records: Records,
    /// What stands at the end of each outermost record, with the bracket that ends it.
    watermark: Option<Box<[u8]>>,
    /// Records that have a rank, since they were last taken.
    spans: Vec<Span>,
    /// The masked form or pseudonym of a value, plain and as JSON; kept for their memory.
    replacement: String,
    json: Vec<u8>,
}

impl<H> fmt::Debug for Filter<H> {
    /// Shows where it stands, never what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("state", &self.state)
            .field("offset", &self.base)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl<H: Hooks> Filter<H> {
    /// A filter for one body.
    pub fn new(plan: Arc<Plan>, caps: Caps, mode: Mode, hooks: H) -> Self {
        let mut filter = Self {
            caps,
            mode,
            line: None,
            shapes: Lent::of(&plan),
            output: Output::new(caps.gap_bytes),
            report: Report::of(plan.fields.len()),
            tally: Tally::default(),
            fault: None,
            broken_char: Vec::new(),
            ahead: Ahead::default(),
            base: 0,
            state: State::Value,
            frames: Vec::new(),
            token: Token::default(),
            slot: plan.root,
            is_emitted: false,
            member_name: String::new(),
            records: Records::default(),
            watermark: hooks.watermark().map(member_at_end),
            spans: Vec::new(),
            hooks,
            replacement: String::new(),
            json: Vec::new(),
            plan,
        };
        filter.swap_memory();
        filter
    }

    /// Takes the memory of an earlier body, or leaves it to a later one.
    fn swap_memory(&mut self) {
        self.shapes.swap(&mut self.frames, &mut self.records, &mut self.tally);
    }

    /// Reads the next bytes of the body.
    ///
    /// # Errors
    /// The fault, if the body does not pass; the same one again on every later call.
    pub fn push(&mut self, chunk: Bytes) -> Result<(), Fault> {
        self.go_on()?;
        self.ahead = Ahead::lent();
        let outcome = self.read(chunk);
        self.ahead.give_back();
        self.settle_outcome(outcome)
    }

    /// Says that the body is complete.
    ///
    /// # Errors
    /// The fault, if the body does not pass as it stands, such as [`Cause::Truncated`].
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.go_on()?;
        let outcome = self.read_end();
        self.settle_outcome(outcome)?;
        self.swap_memory();
        Ok(())
    }

    /// Takes what may go out so far: whole records, and what lies outside of records.
    pub fn take_output(&mut self) -> Vec<Bytes> {
        let outermost = self.records.outermost_start().or_else(|| self.searched_start());
        // Whatever is open there may be left out as a whole.
        let trimmed = self.frames.first().filter(|_| self.mode == Mode::Trim);
        let outermost = trimmed.map(|root| root.start).or(outermost);
        let released = outermost.unwrap_or_else(|| self.output.length());
        let pieces = self.output.take(released);
        self.report.bytes_out += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        pieces
    }

    /// Takes where the records that have a rank stand in the output, up to what was let out so far.
    pub fn take_spans(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }

    /// What happened so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The owner's hooks.
    pub fn hooks(&self) -> &H {
        &self.hooks
    }

    /// The owner's hooks, to change their state between two calls.
    pub fn hooks_mut(&mut self) -> &mut H {
        &mut self.hooks
    }

    fn go_on(&self) -> Result<(), Fault> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    fn settle_outcome(&mut self, outcome: Result<(), Fault>) -> Result<(), Fault> {
        self.settle_tally();
        outcome.map_err(|fault| {
            let fault = self.earliest(fault);
            self.output.clear();
            self.records.abandon();
            self.fault = Some(fault.clone());
            fault
        })
    }

    /// Counts members that went out.
    fn tally(&mut self, stretch: Stretch) {
        if !self.tally.add(stretch) {
            self.settle_tally();
            self.tally.clear();
            self.tally.add(stretch);
        }
    }

    fn settle_tally(&mut self) {
        for (stretch, times) in self.tally.drain() {
            let places = usize::from(stretch.from)..usize::from(stretch.to);
            let names = self.shapes.names(stretch.node).get(places);
            for (field, fate) in names.unwrap_or_default().iter().filter_map(|name| name.event) {
                self.report.count_field(field, fate, times);
            }
        }
    }

    /// Splits off what is not whole characters: the state machine sees nothing but text.
    fn read(&mut self, mut chunk: Bytes) -> Result<(), Fault> {
        self.report.bytes_in += chunk.len() as u64;
        while !self.broken_char.is_empty() && !chunk.is_empty() {
            self.broken_char.extend_from_slice(&chunk.split_to(1));
            match std::str::from_utf8(&self.broken_char) {
                Ok(_) => {
                    let char = Bytes::copy_from_slice(&self.broken_char);
                    self.broken_char.clear();
                    self.feed(char)?;
                }
                Err(error) if error.error_len().is_some() => {
                    return Err(Cause::InvalidUtf8.at(self.base));
                }
                Err(_) => {}
            }
        }
        let text_bytes = self.feed(chunk.clone())?;
        match self.ahead.stop() {
            None => Ok(()),
            Some(Stop::Invalid) => Err(Cause::InvalidUtf8.at(self.base)),
            Some(Stop::Broken) => {
                self.broken_char.extend_from_slice(&chunk.split_off(text_bytes));
                Ok(())
            }
        }
    }

    fn read_end(&mut self) -> Result<(), Fault> {
        if !self.broken_char.is_empty() {
            return Err(Cause::InvalidUtf8.at(self.base));
        }
        if let Some(element) = self.line {
            return self.end_lines(element);
        }
        self.end_number_at_root(0)?;
        if self.state == State::End {
            self.report.root_withheld = !self.is_emitted;
            self.output.end_at(0, true);
            self.output.begin(Bytes::new(), 0);
            if self.is_emitted {
                self.output.release_undecided(0);
            }
            return Ok(());
        }
        let is_empty = self.state == State::Value && self.frames.is_empty();
        Err(if is_empty { Cause::Empty } else { Cause::Truncated }.at(self.base))
    }

    /// Judges a chunk up to where it stops being text, and says where that is.
    fn feed(&mut self, mut chunk: Bytes) -> Result<usize, Fault> {
        self.ahead.begin();
        if chunk.is_empty() {
            return Ok(0);
        }
        self.output.begin(chunk.clone(), 0);
        let end = match self.line {
            None => self.judge(&chunk, 0, chunk.len())?,
            Some(element) => self.judge_lines(&chunk, element)?,
        };
        chunk.truncate(end);
        self.output.end_at(end, self.is_undecided());
        self.check_caps(end)?;
        self.records.retain(&chunk, self.base);
        self.base += end as u64;
        Ok(end)
    }

    /// Judges a stretch of the chunk, and says where it ended: where the chunk stops being text, at the latest.
    fn judge(&mut self, chunk: &Bytes, mut pos: usize, end: usize) -> Result<usize, Fault> {
        while pos < end {
            let before = pos;
            pos = self.advance_known(chunk, pos, end)?;
            if pos == before {
                break;
            }
            if self.records.is_complete() {
                self.conclude_record(chunk, pos)?;
            }
        }
        Ok(pos)
    }

    /// Reads from `pos` on, to the end of what is known of the chunk or of an outermost record.
    fn advance_known(&mut self, chunk: &Bytes, pos: usize, end: usize) -> Result<usize, Fault> {
        let known = self.ahead.end(chunk, pos).min(end);
        let pos = self.advance(chunk.get(..known).unwrap_or_default(), pos)?;
        if pos < end && !self.records.is_complete() {
            // What is behind is not known to be text yet: for all that reads, the chunk ends here.
            self.output.pause(pos, self.is_undecided());
        }
        Ok(pos)
    }
}
