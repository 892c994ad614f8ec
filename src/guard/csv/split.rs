//! Splits a row into cells (RFC 4180, or tabs between them) byte by byte, wherever the input breaks off. It alone
//! says what is wrong with a row.

use super::fault::Cause;
use super::row::Separator;
use crate::guard::json::scan::stretch_end;

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
    /// Where each cell of the row ended so far, counted from the row's beginning.
    ends: Vec<u32>,
    most: usize,
    /// What more cells than `most` mean.
    excess: Cause,
    separator: Separator,
}

impl Splitter {
    /// A splitter that refuses rows of more than `most` cells.
    pub(super) fn new(separator: Separator, most: usize, excess: Cause) -> Self {
        Self { state: State::Start, ends: Vec::new(), most, excess, separator }
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
                (State::Start | State::Quote, b'"') => State::Quoted,
                (State::Quoted, b'"') => State::Quote,
                (State::Plain, b'"') => return Err((Cause::BareQuote, at)),
                (State::Quoted, b'\t' | b'\r' | b'\n' | 0x20..) => State::Quoted,
                (State::Quoted, _) => return Err((Cause::ControlCharacter, at)),
                (State::Start | State::Plain | State::Quote, b',') => {
                    self.end_cell(before + at).map_err(|cause| (cause, at))?;
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
        if self.ends.len() >= self.most {
            return Err(self.excess.clone());
        }
        // The filter holds no row whose places do not fit.
        self.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Where the cells of the row ended so far.
    pub(super) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Begins the next row.
    pub(super) fn restart(&mut self) {
        self.state = State::Start;
        self.ends.clear();
    }
}
