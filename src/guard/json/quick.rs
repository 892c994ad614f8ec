//! The short way through objects that look like the ones before: whole members at once, each name
//! confirmed by one comparison. Whatever is unusual is left to the state machine, which gives the same.

use std::ops::Range;

use crate::guard::detect::{may_hold, number_may_hold};
use crate::guard::mask::{common_form_into, mask_into};
use crate::policy::kind::Mask;
use crate::policy::value::Value;

use super::output::Output;
use super::record::Records;
use super::report::{Note, Stretch};
use super::scan::{
    Escape, Number, gap_end, plain_end, plain_text_end, short_number_end, string_end,
};
use super::shape::{Quick, Rules};
use super::text::encode;
use super::token::{Frame, State};
use super::{Caps, Filter, Hooks, Mode};

/// A valid scalar that ends in the input.
#[derive(Clone, Copy)]
struct Scalar {
    start: usize,
    end: usize,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A string without escapes: its bytes are its text.
    Plain,
    Escaped,
    Number,
    Literal,
}

/// Where a walk over members stands. It lives in registers: what the filter holds is written at the end.
struct Walk {
    cursor: u16,
    deciders: u64,
    has_output: bool,
    follows_comma: bool,
    is_emitted: bool,
    unlisted: u64,
    /// Where the last value read here ended, and with it where the undecided bytes start.
    mark: Option<usize>,
    /// The stretch of the input that goes out next.
    run: Range<usize>,
}

impl<H: Hooks> Filter<H> {
    /// Reads members from the quote at `at` on, as long as they come as expected.
    ///
    /// Gives the place to go on from, with the state set; `None` if nothing was read.
    ///
    /// Not inlined: on its own, what it works with stays in registers (a quarter faster, measured).
    #[inline(never)]
    pub(super) fn quick_members(&mut self, input: &[u8], mut at: usize) -> Option<usize> {
        let frame = self.frames.last_mut()?;
        let node = frame.node.filter(|_| self.mode == Mode::Drop)?;
        let names = self.shapes.names(node);
        let from = frame.cursor;
        let mut walk = Walk::from(frame, self.is_emitted);
        let (end, state) = loop {
            let name = names.get(usize::from(walk.cursor));
            let Some((name, value)) = name.and_then(|name| Some((name, name.value(input, at)?)))
            else {
                break (walk.mark.map(|mark| mark + 1), State::Member);
            };
            let rules = &name.rules;
            if walk.deciders & rules.decider != 0 || !name.is_met {
                break (walk.mark.map(|mark| mark + 1), State::Member);
            }
            walk.deciders |= rules.decider;
            walk.unlisted += u64::from(!rules.is_listed);
            let scalar = scalar(input, value, &self.caps);
            let taken = match (rules.quick, scalar) {
                (Quick::Pass(false), Some(scalar)) => {
                    walk.pass(&mut self.output, &scalar);
                    Some(scalar.end)
                }
                (Quick::Glance, Some(scalar)) if is_harmless(&scalar, input, &self.caps) => {
                    walk.pass(&mut self.output, &scalar);
                    Some(scalar.end)
                }
                (Quick::Drop, Some(scalar)) => {
                    walk.is_emitted = false;
                    Some(scalar.end)
                }
                (Quick::Pass(true), Some(scalar))
                    if is_readable(rules, &scalar, &self.records, &self.caps) =>
                {
                    walk.pass(&mut self.output, &scalar);
                    capture(&mut self.records, rules, &scalar, input);
                    Some(scalar.end)
                }
                (Quick::Mask(mask), Some(scalar)) if is_maskable(&scalar, &self.caps) => {
                    walk.start_output(&mut self.output, scalar.start);
                    masked(mask, scalar.text(input), &mut self.replacement, &mut self.json);
                    self.output.insert(&self.json);
                    Some(scalar.end)
                }
                (
                    Quick::Pass(_) | Quick::Glance | Quick::Drop | Quick::Mask(_) | Quick::Nothing,
                    _,
                ) => None,
            };
            let Some(end) = taken else {
                self.slot = rules.slot;
                break (Some(behind_colon(input, value)), State::Value);
            };
            walk.cursor += 1;
            walk.mark = Some(end);
            if input.get(end) != Some(&b',') {
                break (Some(end), State::After);
            }
            walk.follows_comma = true;
            at = end + 1;
            if input.get(at).is_some_and(|byte| *byte <= b' ') {
                at = gap_end(input, at);
                if at - end > self.caps.gap_bytes {
                    break (Some(end + 1), State::Member);
                }
            }
        };
        let stretch = Stretch { node, from, to: walk.cursor };
        walk.end(&mut self.output, frame);
        if state == State::Value {
            // The state machine counts its value.
            frame.cursor += 1;
        }
        self.is_emitted = walk.is_emitted;
        self.report.unlisted_members += walk.unlisted;
        self.count_members(stretch);
        if end.is_some() {
            self.state = state;
        }
        end
    }

    /// Counts members once the outermost record goes out, or at once where there is none.
    fn count_members(&mut self, stretch: Stretch) {
        if stretch.from == stretch.to {
            return;
        }
        if self.records.is_open() {
            self.records.note(Note::Members(stretch));
        } else {
            self.tally(stretch);
        }
    }
}

impl Walk {
    fn from(frame: &Frame, is_emitted: bool) -> Self {
        let Frame { cursor, deciders, has_output, follows_comma, .. } = *frame;
        let (unlisted, mark, run) = (0, None, 0..0);
        Self { cursor, deciders, has_output, follows_comma, is_emitted, unlisted, mark, run }
    }

    /// Lets a value out as it is.
    #[inline]
    fn pass(&mut self, output: &mut Output, scalar: &Scalar) {
        match self.mark {
            Some(mark) if self.has_output => {
                if self.run.end != mark {
                    output.keep(self.run.start, self.run.end);
                    self.run.start = mark;
                }
            }
            Some(_) | None => {
                self.start_output(output, scalar.start);
                self.run.start = scalar.start;
            }
        }
        self.run.end = scalar.end;
        self.is_emitted = true;
    }

    /// Lets out what stands before a value that goes out.
    fn start_output(&mut self, output: &mut Output, start: usize) {
        output.keep(self.run.start, self.run.end);
        self.run = start..start;
        output.restart_at(self.mark);
        output.release_undecided(start, self.follows_comma && !self.has_output);
        self.has_output = true;
        self.is_emitted = true;
    }

    /// Hands over what the state machine goes on with.
    fn end(&self, output: &mut Output, frame: &mut Frame) {
        output.keep(self.run.start, self.run.end);
        output.restart_at(self.mark);
        frame.cursor = self.cursor;
        frame.deciders = self.deciders;
        frame.has_output = self.has_output;
        frame.follows_comma = self.follows_comma;
    }
}

/// The place behind the colon before a value: the state machine counts white space from its first byte on.
fn behind_colon(input: &[u8], value: usize) -> usize {
    let before = value.saturating_sub(1);
    if input.get(before) == Some(&b':') { value } else { before }
}

impl Scalar {
    /// The text of a string without escapes.
    fn text<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        input.get(self.start + 1..self.end - 1).unwrap_or_default()
    }
}

/// Whether a condition can read the value here.
fn is_readable(rules: &Rules, scalar: &Scalar, records: &Records, caps: &Caps) -> bool {
    matches!(scalar.form, Form::Plain | Form::Number)
        && scalar.end - scalar.start <= caps.value_bytes
        && rules.slot.capture.is_some_and(|slot| records.is_free(slot))
}

/// Whether a glance tells that there is nothing in the value that is looked for.
fn is_harmless(scalar: &Scalar, input: &[u8], caps: &Caps) -> bool {
    let value = input.get(scalar.start..scalar.end).unwrap_or_default();
    let may_hold = if scalar.form == Form::Number { number_may_hold } else { may_hold };
    value.len() <= caps.value_bytes && !may_hold(value)
}

/// Whether the value can be masked here.
#[inline]
fn is_maskable(scalar: &Scalar, caps: &Caps) -> bool {
    scalar.form == Form::Plain && scalar.end - scalar.start <= caps.value_bytes
}

/// Notes a value that a condition reads or that names the data subject.
fn capture(records: &mut Records, rules: &Rules, scalar: &Scalar, input: &[u8]) {
    let Some(slot) = rules.slot.capture else { return };
    let value = match scalar.form {
        Form::Plain => std::str::from_utf8(scalar.text(input)).ok().map(|text| records.text(text)),
        Form::Number => {
            let number = input.get(scalar.start..scalar.end).unwrap_or_default();
            std::str::from_utf8(number).ok().and_then(Value::from_json_number)
        }
        Form::Escaped | Form::Literal => None,
    };
    records.capture(slot, value);
}

/// Writes the masked form of a text, as JSON.
#[inline]
fn masked(mask: Mask, text: &[u8], replacement: &mut String, json: &mut Vec<u8>) {
    json.clear();
    json.push(b'"');
    if common_form_into(mask, text, json) {
        json.push(b'"');
        return;
    }
    json.clear();
    replacement.clear();
    mask_into(mask, std::str::from_utf8(text).unwrap_or_default(), replacement);
    encode(replacement, json);
}

/// The valid scalar that starts at `start`, if it lies in the input.
#[inline]
fn scalar(input: &[u8], start: usize, caps: &Caps) -> Option<Scalar> {
    let byte = *input.get(start)?;
    if byte == b'"' {
        let plain = plain_text_end(input, start + 1).map(|end| (end + 1, Form::Plain));
        let (end, form) = plain.or_else(|| other_text_end(input, start + 1))?;
        return Some(Scalar { start, end, form });
    }
    if let Some(end) = short_number_end(input, start).filter(|end| end - start <= caps.number_bytes)
    {
        return Some(Scalar { start, end, form: Form::Number });
    }
    other_scalar(input, start, byte, caps)
}

/// The place behind a string that has escapes, or ends near to the end of the input.
#[inline(never)]
fn other_text_end(input: &[u8], pos: usize) -> Option<(usize, Form)> {
    let plain = plain_end(input, pos);
    if input.get(plain) == Some(&b'"') {
        return Some((plain + 1, Form::Plain));
    }
    let end = string_end(input, plain, &mut Escape::Outside).ok()??;
    Some((end + 1, Form::Escaped))
}

#[inline(never)]
fn other_scalar(input: &[u8], start: usize, first: u8, caps: &Caps) -> Option<Scalar> {
    let rest = input.get(start..)?;
    let literal = |literal: &[u8]| {
        let end = start + literal.len();
        rest.starts_with(literal).then_some(Scalar { start, end, form: Form::Literal })
    };
    match first {
        b't' => literal(b"true"),
        b'f' => literal(b"false"),
        b'n' => literal(b"null"),
        _ => {
            let mut number = Number::start(first)?;
            let end = number.scan(input, start + 1);
            let fits =
                end < input.len() && number.is_complete() && end - start <= caps.number_bytes;
            fits.then_some(Scalar { start, end, form: Form::Number })
        }
    }
}
