//! Reads members that come in the order in which they came before: each name is confirmed by one comparison, and
//! the index tells where each string ends. It decides nothing and judges what it reads like the state machine.

use std::ops::Range;

use super::Caps;
use super::index::{Index, seek};
use super::output::Output;
use super::scan::{Number, gap_end, short_number_end};
use super::shape::Name;

/// Where a walk over members stands.
pub(super) struct Walk<'a> {
    pub(super) input: &'a [u8],
    caps: &'a Caps,
    /// The names that probably come next.
    pub(super) names: &'a [Name],
    /// The special bytes of the input from the next member on.
    places: &'a [u32],
    /// Where the next member starts.
    at: usize,
    /// Where the last value read here ended, and with it where the undecided bytes start.
    pub(super) mark: Option<usize>,
    /// The stretch of the input that goes out next.
    pub(super) run: Range<usize>,
}

/// Why a walk stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The next member has another name, or none.
    Name,
    /// The next member's value, or the white space before it that starts here, is for somebody else to read.
    Value(usize),
    /// The next member is neither passed nor left out without a look at it.
    Other,
    /// No comma follows the last value, or too much behind it.
    End,
}

/// What a valid scalar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A string without escapes: its bytes are its text.
    Plain,
    /// A string with escapes.
    Escaped,
    /// A number or a literal.
    Bare,
}

/// What remains of a walk that ended.
#[derive(Debug)]
pub(super) struct Track {
    /// How many members it took.
    pub(super) taken: usize,
    pub(super) mark: Option<usize>,
    pub(super) run: Range<usize>,
    /// Whether a comma follows what it took.
    pub(super) follows_comma: bool,
    /// How many special bytes it left.
    pub(super) places_left: usize,
}

impl<'a> Walk<'a> {
    /// A walk from the quote at `at` on.
    pub(super) fn new(
        input: &'a [u8],
        at: usize,
        names: &'a [Name],
        index: &'a mut Index,
        caps: &'a Caps,
    ) -> Self {
        Self { input, caps, names, places: index.from(at), at, mark: None, run: 0..0 }
    }

    /// What remains of it, of so many names.
    pub(super) fn end(self, names: usize) -> Track {
        Track {
            taken: names - self.names.len(),
            mark: self.mark,
            run: self.run,
            follows_comma: self.mark.is_some_and(|mark| mark < self.at),
            places_left: self.places.len(),
        }
    }

    /// Goes over members that simply pass or are left out, behind one that passed.
    ///
    /// What it works with stays in registers: what happens rarely is done elsewhere.
    #[inline(never)]
    pub(super) fn go(&mut self, output: &mut Output, mut mark: usize) -> Halt {
        let input = self.input;
        let (mut names, mut places, mut at) = (self.names, self.places, self.at);
        let mut run = self.run.clone();
        let halt = loop {
            let Some((name, other_names)) = names.split_first() else { break Halt::Name };
            if name.is_looked_at {
                break Halt::Other;
            }
            if let Some(value) = name.value(input, at)
                && let [_, _, start, close, behind @ ..] = places
                && *start as usize == value
                && input.get(value) == Some(&b'"')
                && let close = *close as usize
                && input.get(close..).and_then(|rest| rest.first_chunk()) == Some(b"\",")
            {
                if name.is_passed {
                    extend(&mut run, output, mark, close + 1);
                }
                (names, places) = (other_names, behind);
                (mark, at) = (close + 1, close + 2);
                continue;
            }
            (self.names, self.places, self.at) = (names, places, at);
            let (end, halt) = self.step(name, mark);
            (names, places, at) = (self.names, self.places, self.at);
            if let Some(end) = end {
                if name.is_passed {
                    extend(&mut run, output, mark, end);
                }
                mark = end;
            }
            if let Some(halt) = halt {
                break halt;
            }
        };
        (self.names, self.places, self.at) = (names, places, at);
        self.run = run;
        self.mark = Some(mark);
        halt
    }

    /// Reads one member behind a comma, and says where its value ends and whether the walk stands still.
    #[inline(never)]
    fn step(&mut self, name: &Name, mark: usize) -> (Option<usize>, Option<Halt>) {
        if !self.skip_gap(mark) {
            return (None, Some(Halt::End));
        }
        let Some(value) = self.value(name) else { return (None, Some(Halt::Name)) };
        let Some((end, form)) = self.scalar(value) else {
            return (None, Some(self.halt_at(value)));
        };
        (Some(end), self.pass_by(end, form))
    }

    /// Goes on behind white space, if that is not too much.
    fn skip_gap(&mut self, mark: usize) -> bool {
        if self.input.get(self.at).is_some_and(|byte| *byte <= b' ') {
            self.at = gap_end(self.input, self.at);
            self.places = seek(self.places, self.at);
        }
        self.at - mark <= self.caps.gap_bytes
    }

    /// A halt before the value at `value`. The state machine counts white space before it from its first byte on.
    pub(super) fn halt_at(&self, value: usize) -> Halt {
        let before = value.saturating_sub(1);
        let is_at_colon = self.input.get(before) == Some(&b':');
        Halt::Value(if is_at_colon { value } else { before })
    }

    /// The value of the next member, if that has this name.
    #[inline]
    pub(super) fn value(&self, name: &Name) -> Option<usize> {
        name.value(self.input, self.at)
    }

    /// The end and the form of the valid scalar that starts at `value`, if it lies in the input.
    #[inline]
    pub(super) fn scalar(&self, value: usize) -> Option<(usize, Form)> {
        scalar(self.input, value, self.places, self.caps)
    }

    /// Goes on behind a value that ended before `end`.
    #[inline]
    pub(super) fn pass_by(&mut self, end: usize, form: Form) -> Option<Halt> {
        self.places = places_behind(self.places, form, end);
        self.names = self.names.get(1..).unwrap_or_default();
        self.mark = Some(end);
        if self.input.get(end) != Some(&b',') {
            return Some(Halt::End);
        }
        self.at = end + 1;
        (!self.skip_gap(end)).then_some(Halt::End)
    }
}

/// Lets a value out that ended before `end`, with what stands between the last one and it.
#[inline(always)]
pub(super) fn extend(run: &mut Range<usize>, output: &mut Output, mark: usize, end: usize) {
    if run.end != mark {
        output.keep(run.start, run.end);
        run.start = mark;
    }
    run.end = end;
}

/// So many special bytes belong to a member whose value is a plain string, and so many of them to its name.
const PLAIN_PLACES: usize = 4;
const NAME_PLACES: usize = 2;

/// The end and the form of the valid scalar that starts at `start`, if it lies in the input. They come in
/// registers: what goes through memory in pieces of other widths is waited for.
#[inline(never)]
fn scalar(input: &[u8], start: usize, places: &[u32], caps: &Caps) -> Option<(usize, Form)> {
    if input.get(start) != Some(&b'"') {
        return bare_end(input, start, caps).map(|end| (end, Form::Bare));
    }
    let [_, _, place, inside @ ..] = places else { return None };
    let close = *inside.first()? as usize;
    match input.get(close)? {
        _ if *place as usize != start => None,
        b'"' => Some((close + 1, Form::Plain)),
        _ => escaped_end(input, inside).map(|end| (end, Form::Escaped)),
    }
}

/// The end of a string from its first special byte on.
fn escaped_end(input: &[u8], mut places: &[u32]) -> Option<usize> {
    loop {
        let [place, behind @ ..] = places else { return None };
        let at = *place as usize;
        match (*input.get(at)?, *input.get(at + 1)?) {
            (b'"', _) => return Some(at + 1),
            (b'\\', b'"' | b'\\') => places = behind.get(1..)?,
            (b'\\', b'/' | b'b' | b'f' | b'n' | b'r' | b't') => places = behind,
            (b'\\', b'u') => {
                let digits = input.get(at + 2..at + 6)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                places = behind;
            }
            _ => return None,
        }
    }
}

/// The places behind a member whose value ended before `end`.
#[inline(always)]
fn places_behind(places: &[u32], form: Form, end: usize) -> &[u32] {
    let places = places.get(
        match form {
            Form::Plain => PLAIN_PLACES,
            Form::Bare => NAME_PLACES,
            Form::Escaped => return seek(places, end),
        }..,
    );
    places.unwrap_or_default()
}

/// The end of the valid number or literal that starts at `start`, if it lies in the input.
#[inline]
pub(super) fn bare_end(input: &[u8], start: usize, caps: &Caps) -> Option<usize> {
    let end = short_number_end(input, start).or_else(|| other_bare_end(input, start))?;
    (end - start <= caps.number_bytes).then_some(end)
}

/// The end of a literal, or of a number of any length.
#[inline(never)]
fn other_bare_end(input: &[u8], start: usize) -> Option<usize> {
    let rest = input.get(start..)?;
    let literal = |literal: &[u8]| rest.starts_with(literal).then_some(start + literal.len());
    match *rest.first()? {
        b't' => literal(b"true"),
        b'f' => literal(b"false"),
        b'n' => literal(b"null"),
        first => {
            let mut number = Number::start(first)?;
            let end = number.scan(input, start + 1);
            (end < input.len() && number.is_complete()).then_some(end)
        }
    }
}
