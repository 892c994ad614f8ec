//! Reads members that come in the order in which they came before: each name is confirmed by one comparison, and
//! the index tells where each string ends. It decides nothing and judges what it reads like the state machine.

use std::hint::cold_path;

use super::Caps;
use super::index::{Index, seek};
use super::scan::{Number, gap_end, short_number_end};
use super::shape::{Name, Way};

/// Where a walk over members stands. It is copied, not lent, so that it stays in registers.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) input: &'a [u8],
    caps: &'a Caps,
    /// The names that probably come next.
    pub(super) names: &'a [Name],
    /// The special bytes of the input from the next member on.
    places: &'a [u32],
    /// Where the last value ended, and with it where the undecided bytes start. Before the first member it is
    /// the byte before that.
    pub(super) mark: usize,
}

/// Why a walk stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The next member has another name, or there is none, or not here.
    Name,
    /// The next member's value, or the white space before it that starts here, is for somebody else to read.
    Value(usize),
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

/// The end of a valid scalar, its form, and the special bytes behind it.
pub(super) type Scalar<'a> = (usize, Form, &'a [u32]);

/// What remains of a walk that ended.
#[derive(Debug)]
pub(super) struct Track {
    /// How many members it took.
    pub(super) taken: usize,
    pub(super) mark: Option<usize>,
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
        Self { input, caps, names, places: index.from(at), mark: at.wrapping_sub(1) }
    }

    /// What remains of it, which began with these names.
    pub(super) fn end(self, names: &[Name]) -> Track {
        let taken = self.taken_of(names);
        Track {
            taken,
            mark: (taken > 0).then_some(self.mark),
            follows_comma: taken > 0 && self.is_comma(),
            places_left: self.places.len(),
        }
    }

    /// The value of the next member, if that has this name.
    #[inline(always)]
    pub(super) fn value(&mut self, name: &Name) -> Option<usize> {
        let mut at = *self.places.first()? as usize;
        if at != self.mark.wrapping_add(1) {
            cold_path();
            (at, self.places) = behind_gap(self.input, self.mark, self.places, self.caps)?;
        }
        name.value(self.input, at)
    }

    /// The valid scalar that starts at `start`, behind its name, if it lies in the input.
    #[inline(always)]
    pub(super) fn scalar(&self, start: usize) -> Option<Scalar<'a>> {
        if *self.input.get(start)? != b'"' {
            cold_path();
            let end = bare_end(self.input, start, self.caps)?;
            return Some((end, Form::Bare, self.places.get(NAME_PLACES..)?));
        }
        let [_, _, quote, close, behind @ ..] = self.places else { return None };
        let close = *close as usize;
        if *quote as usize != start {
            return None;
        }
        if self.input.get(close) == Some(&b'"') {
            return Some((close + 1, Form::Plain, behind));
        }
        cold_path();
        let (end, behind) = escaped_end(self.input, self.places.get(NAME_PLACES + 1..)?)?;
        Some((end, Form::Escaped, behind))
    }

    /// The end of the object that starts at `start`, if all its members come as expected and simply pass, with the
    /// number of them and the special bytes behind it.
    #[inline(never)]
    pub(super) fn whole(&self, start: usize, names: &'a [Name]) -> Option<(usize, u16, &'a [u32])> {
        if *self.input.get(start)? != b'{' {
            return None;
        }
        let places = self.places.get(NAME_PLACES..)?;
        let mut inside = Walk { names, places, mark: start, ..*self };
        loop {
            let (name, names) = inside.names.split_first()?;
            let value = inside.value(name)?;
            let (end, _, places) = inside.scalar(value)?;
            if name.way != Way::Pass {
                return None;
            }
            inside.go_by(end, names, places);
            if !inside.is_comma() {
                break;
            }
        }
        let taken = u16::try_from(inside.taken_of(names)).ok()?;
        let is_closed = *self.input.get(inside.mark)? == b'}';
        is_closed.then_some((inside.mark + 1, taken, inside.places))
    }

    /// How many of these names, with which it began, it went by.
    fn taken_of(&self, names: &[Name]) -> usize {
        names.len() - self.names.len()
    }

    /// Goes on behind a member whose value ended before `end`, with the names and special bytes that are left.
    #[inline(always)]
    pub(super) fn go_by(&mut self, end: usize, names: &'a [Name], places: &'a [u32]) {
        (self.mark, self.names, self.places) = (end, names, places);
    }

    /// Whether a comma follows the last value.
    #[inline(always)]
    pub(super) fn is_comma(&self) -> bool {
        self.input.get(self.mark) == Some(&b',')
    }

    /// A halt before the value at `value`. The state machine counts white space before it from its first byte on.
    #[cold]
    pub(super) fn halt_at(&self, value: usize) -> Halt {
        let before = value.saturating_sub(1);
        let is_at_colon = self.input.get(before) == Some(&b':');
        Halt::Value(if is_at_colon { value } else { before })
    }
}

/// Where the next member starts behind a comma and white space, if that is not too much, with the special bytes
/// from there on.
#[cold]
#[inline(never)]
fn behind_gap<'a>(
    input: &[u8],
    mark: usize,
    places: &'a [u32],
    caps: &Caps,
) -> Option<(usize, &'a [u32])> {
    let start = mark.wrapping_add(1);
    let end = gap_end(input, start);
    let is_fine = end - start < caps.gap_bytes;
    is_fine.then(|| (end, seek(places, end)))
}

/// The quotes around a name are so many special bytes.
const NAME_PLACES: usize = 2;

/// The end of a string from its first special byte on, and the special bytes behind it.
#[inline(never)]
fn escaped_end<'a>(input: &[u8], mut places: &'a [u32]) -> Option<(usize, &'a [u32])> {
    loop {
        let [place, behind @ ..] = places else { return None };
        let at = *place as usize;
        match (*input.get(at)?, *input.get(at + 1)?) {
            (b'"', _) => return Some((at + 1, behind)),
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

/// The end of the valid number or literal that starts at `start`, if it lies in the input.
#[inline(never)]
pub(super) fn bare_end(input: &[u8], start: usize, caps: &Caps) -> Option<usize> {
    let rest = input.get(start..)?;
    let literal = |literal: &[u8]| rest.starts_with(literal).then_some(start + literal.len());
    let end = match *rest.first()? {
        b't' => literal(b"true"),
        b'f' => literal(b"false"),
        b'n' => literal(b"null"),
        first => short_number_end(input, start).or_else(|| number_end(input, start, first)),
    }?;
    (end - start <= caps.number_bytes).then_some(end)
}

/// The end of a number of any form.
#[cold]
#[inline(never)]
fn number_end(input: &[u8], start: usize, first: u8) -> Option<usize> {
    let mut number = Number::start(first)?;
    let end = number.scan(input, start + 1);
    (end < input.len() && number.is_complete()).then_some(end)
}
