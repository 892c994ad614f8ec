//! Splits a row into cells (RFC 4180, or tabs between them), wherever the input breaks off. What cells mean is not its matter.

use super::fault::Cause;
use crate::guard::json::scan::stretch_end;

/// Where a cell lies in its row, quotes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) form: Form,
}

/// What stands between cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    /// Commas; a cell may be quoted.
    Comma,
    /// Tabs; nothing is quoted, and a quote stands for itself, but not at the start of a cell, where some
    /// readers take it for one that quotes.
    Tab,
}

impl Separator {
    pub(super) fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Tab => b'\t',
        }
    }
}

/// How a cell is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Quoted,
    /// Quoted, with quotes inside, each of which stands there twice.
    Escaped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a cell.
    Start,
    /// Inside a cell without quotes.
    Plain,
    /// Inside quotes.
    Quoted,
    /// Behind a quote inside quotes: the closing one, or the first of two.
    Quote,
    /// Behind CR.
    Return,
}

/// Splits one row after another.
#[derive(Debug)]
pub(super) struct Splitter {
    state: State,
    start: usize,
    form: Form,
    cells: Vec<Cell>,
    most: usize,
    /// What more cells than `most` mean.
    excess: Cause,
    separator: Separator,
}

impl Splitter {
    /// A splitter that refuses rows of more than `most` cells.
    pub(super) fn new(separator: Separator, most: usize, excess: Cause) -> Self {
        let (start, cells) = Default::default();
        Self { state: State::Start, start, form: Form::Plain, cells, most, excess, separator }
    }

    /// Reads on in a row of which `before` bytes were read. Gives the length of what belongs to it once
    /// its end is reached; `None` if the input ends before it.
    ///
    /// On an error, the place of the offending byte in the input is given with it.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        before: usize,
    ) -> Result<Option<usize>, (Cause, usize)> {
        let mut at = 0;
        loop {
            if matches!(self.state, State::Plain | State::Quoted) {
                at = stretch_end::<b','>(input, at);
            }
            let Some(&byte) = input.get(at) else { return Ok(None) };
            if self.separator == Separator::Tab
                && let Some(state) = self.between_tabs(byte, at, before)?
            {
                self.state = state;
                at += 1;
                continue;
            }
            self.state = match (self.state, byte) {
                (State::Return, b'\n') => return Ok(Some(at + 1)),
                (State::Return, _) => return Err((Cause::BareReturn, at)),
                (State::Start, b'"') => {
                    self.form = Form::Quoted;
                    State::Quoted
                }
                (State::Quoted, b'"') => State::Quote,
                (State::Quote, b'"') => {
                    self.form = Form::Escaped;
                    State::Quoted
                }
                (State::Plain, b'"') => return Err((Cause::BareQuote, at)),
                (State::Quoted, b'\t' | b'\r' | b'\n' | 0x20..) => State::Quoted,
                (State::Quoted, _) => return Err((Cause::ControlCharacter, at)),
                (State::Start | State::Plain | State::Quote, b',') => {
                    self.end_cell(before + at).map_err(|cause| (cause, at))?;
                    self.start = before + at + 1;
                    State::Start
                }
                (State::Start | State::Plain | State::Quote, b'\r' | b'\n') => {
                    self.end_cell(before + at).map_err(|cause| (cause, at))?;
                    if byte == b'\n' {
                        return Ok(Some(at + 1));
                    }
                    State::Return
                }
                (State::Quote, _) => return Err((Cause::BehindQuote, at)),
                (State::Start | State::Plain, b'\t' | 0x20..) => State::Plain,
                (State::Start | State::Plain, _) => return Err((Cause::ControlCharacter, at)),
            };
            at += 1;
        }
    }

    /// The state behind a byte that means something else between tabs than it does between commas.
    fn between_tabs(
        &mut self,
        byte: u8,
        at: usize,
        before: usize,
    ) -> Result<Option<State>, (Cause, usize)> {
        match (self.state, byte) {
            (State::Start, b'"') => Err((Cause::BareQuote, at)),
            (State::Plain, b'"' | b',') | (State::Start, b',') => Ok(Some(State::Plain)),
            (State::Start | State::Plain, b'\t') => {
                self.end_cell(before + at).map_err(|cause| (cause, at))?;
                self.start = before + at + 1;
                Ok(Some(State::Start))
            }
            (State::Start | State::Plain | State::Quoted | State::Quote | State::Return, _) => {
                Ok(None)
            }
        }
    }

    /// Ends a row of this length where the body ends.
    pub(super) fn end(&mut self, length: usize) -> Result<(), Cause> {
        match self.state {
            State::Start | State::Plain | State::Quote => self.end_cell(length),
            State::Quoted => Err(Cause::Truncated),
            State::Return => Err(Cause::BareReturn),
        }
    }

    fn end_cell(&mut self, end: usize) -> Result<(), Cause> {
        if self.cells.len() >= self.most {
            return Err(self.excess.clone());
        }
        self.cells.push(Cell { start: self.start, end, form: self.form });
        self.form = Form::Plain;
        Ok(())
    }

    /// The cells of the row so far.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Begins the next row.
    pub(super) fn restart(&mut self) {
        self.state = State::Start;
        self.start = 0;
        self.form = Form::Plain;
        self.cells.clear();
    }
}
