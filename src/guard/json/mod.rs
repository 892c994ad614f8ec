//! The streaming filter for JSON, whole or one text a line: lets out what a plan allows, nothing else.
//!
//! Bytes in, bytes out, at any split. It validates the whole body (RFC 8259), never reads a byte
//! twice but for records whose conditions call for other rules than assumed, and never recurses.
//! Allowed values pass byte for byte. It is not a parser: no tree is built.

mod fault;
mod lines;
mod output;
mod quick;
mod record;
pub(super) mod report;
mod rope;
pub(super) mod scan;
mod search;
mod shape;
mod text;
mod token;
mod value;

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
use output::Output;
use record::Records;
use shape::Shapes;
use token::{Frame, State, Token};

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
    shapes: Shapes,
    output: Output,
    report: Report,
    fault: Option<Fault>,
    /// Bytes of a character that the last chunk broke off.
    broken_char: Vec<u8>,
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
        Self {
            caps,
            mode,
            hooks,
            line: None,
            shapes: Shapes::of(&plan),
            output: Output::new(caps.gap_bytes),
            report: Report::of(plan.fields.len()),
            fault: None,
            broken_char: Vec::new(),
            base: 0,
            state: State::Value,
            frames: Vec::new(),
            token: Token::default(),
            slot: plan.root,
            is_emitted: false,
            member_name: String::new(),
            records: Records::of(&plan),
            replacement: String::new(),
            json: Vec::new(),
            plan,
        }
    }

    /// Reads the next bytes of the body.
    ///
    /// # Errors
    /// The fault, if the body does not pass; the same one again on every later call.
    pub fn push(&mut self, chunk: Bytes) -> Result<(), Fault> {
        self.go_on()?;
        let outcome = self.read(chunk);
        self.settle_outcome(outcome)
    }

    /// Says that the body is complete.
    ///
    /// # Errors
    /// The fault, if the body does not pass as it stands, such as [`Cause::Truncated`].
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.go_on()?;
        let outcome = self.read_end();
        self.settle_outcome(outcome)
    }

    /// Takes what may go out so far: whole records, and what lies outside of records.
    pub fn take_output(&mut self) -> Vec<Bytes> {
        let outermost = self.records.outermost_start().or_else(|| self.searched_start());
        let released = outermost.unwrap_or_else(|| self.output.length());
        let pieces = self.output.take(released);
        self.report.bytes_out += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        pieces
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
        outcome.map_err(|fault| {
            let fault = self.earliest(fault);
            self.output.clear();
            self.records.abandon();
            self.fault = Some(fault.clone());
            fault
        })
    }

    /// Splits off what is not whole characters, so that every chunk is UTF-8 by itself.
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
        let Err(error) = simdutf8::compat::from_utf8(&chunk) else { return self.feed(chunk) };
        let rest = chunk.split_off(error.valid_up_to());
        self.feed(chunk)?;
        if error.error_len().is_some() {
            return Err(Cause::InvalidUtf8.at(self.base));
        }
        self.broken_char.extend_from_slice(&rest);
        Ok(())
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
            self.output.end(true);
            self.output.begin(Bytes::new(), 0);
            if self.is_emitted {
                self.output.release_undecided(0, false);
            }
            return Ok(());
        }
        let is_empty = self.state == State::Value && self.frames.is_empty();
        Err(if is_empty { Cause::Empty } else { Cause::Truncated }.at(self.base))
    }

    fn feed(&mut self, chunk: Bytes) -> Result<(), Fault> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.output.begin(chunk.clone(), 0);
        match self.line {
            None => self.judge(&chunk, 0, chunk.len())?,
            Some(element) => self.judge_lines(&chunk, element)?,
        }
        self.output.end(self.is_undecided());
        self.check_caps(chunk.len())?;
        self.records.retain(&chunk, self.base);
        self.base += chunk.len() as u64;
        Ok(())
    }

    /// Judges a stretch of the chunk.
    fn judge(&mut self, chunk: &Bytes, mut pos: usize, end: usize) -> Result<(), Fault> {
        let input = chunk.get(..end).unwrap_or_default();
        while pos < end {
            pos = self.advance(input, pos)?;
            if self.records.is_complete() {
                self.conclude_record(chunk, pos)?;
            }
        }
        Ok(())
    }
}
