//! The short way through objects that look like the ones before: whole members at once, each name
//! confirmed by one comparison. Whatever is unusual is left to the state machine, which gives the same.

use crate::guard::detect::may_hold;
use crate::policy::plan::{Slot, Verdict};

use super::report::{Event, Fate};
use super::scan::{Escape, Number, gap_end, string_end};
use super::token::State;
use super::{Filter, Mode};

impl<H> Filter<H> {
    /// Reads members from the quote at `at` on, as long as they come as expected.
    ///
    /// Gives the place to go on from, with the state set; `None` if nothing was read.
    pub(super) fn quick_members(&mut self, input: &[u8], mut at: usize) -> Option<usize> {
        let frame = self.frames.last_mut()?;
        let names = self.shapes.names(frame.node?);
        if self.mode != Mode::Drop {
            return None;
        }
        let in_record = self.records.is_open();
        // Where the last value read here ended, and with it where the undecided bytes start.
        let mut mark = None;
        let resume = loop {
            let known = names.get(frame.cursor).filter(|n| frame.deciders & n.rules.decider == 0);
            let behind = known.and_then(|name| name.behind(input.get(at + 1..)?));
            let (Some(name), Some(behind)) = (known, behind) else {
                break mark.map(|mark| mark + 1);
            };
            frame.cursor += 1;
            frame.deciders |= name.rules.decider;
            self.report.unlisted_members += u64::from(!name.rules.is_listed);
            let slot = &name.rules.slot;
            let value = input.len() - behind.len();
            let start = value + usize::from(behind.first() == Some(&b' '));
            let end = scalar_end(input, start, self.caps.number_bytes);
            let text = || end.and_then(|end| input.get(start..end)).unwrap_or_default();
            let fate = plain_fate(slot, text, self.caps.value_bytes);
            let (Some(end), Some(fate)) = (end, fate) else {
                self.slot = *slot;
                self.state = State::Value;
                break Some(value);
            };
            self.is_emitted = fate == Fate::Clear;
            if self.is_emitted {
                match mark {
                    Some(mark) if frame.has_output => self.output.keep(mark, end),
                    Some(_) | None => {
                        self.output.restart_at(mark);
                        let drop_comma = frame.follows_comma && !frame.has_output;
                        self.output.release_undecided(start, drop_comma);
                        self.output.keep(start, end);
                        frame.has_output = true;
                    }
                }
            }
            match slot.field.map(|field| Event::Field(field, fate)) {
                Some(event) if in_record => self.records.note(event),
                Some(event) => self.report.count(event),
                None => {}
            }
            mark = Some(end);
            if input.get(end) != Some(&b',') {
                self.state = State::After;
                break Some(end);
            }
            frame.follows_comma = true;
            self.state = State::Member;
            at = end + 1;
            if input.get(at) != Some(&b'"') {
                at = gap_end(input, at);
                if at - end > self.caps.gap_bytes || input.get(at) != Some(&b'"') {
                    break Some(end + 1);
                }
            }
        };
        self.output.restart_at(mark);
        resume
    }
}

/// What happens to a scalar here, if it passes or not as it is and nobody looks at it, or a glance tells
/// that there is nothing to find in it.
#[inline]
fn plain_fate<'i>(slot: &Slot, value: impl FnOnce() -> &'i [u8], value_cap: usize) -> Option<Fate> {
    match slot.verdict {
        _ if slot.capture.is_some() => None,
        Verdict::Clear if slot.detect.is_some() => {
            let value = value();
            (value.len() <= value_cap && !may_hold(value)).then_some(Fate::Clear)
        }
        Verdict::Clear => Some(Fate::Clear),
        Verdict::Absent => Some(Fate::Withheld),
        Verdict::Mask | Verdict::Pseudonym | Verdict::Enter(_) => None,
    }
}

/// The end of the valid scalar that starts at `pos`, if it lies in the input.
#[inline]
fn scalar_end(input: &[u8], pos: usize, number_cap: usize) -> Option<usize> {
    let rest = input.get(pos..)?;
    match *rest.first()? {
        b'"' => {
            let end = string_end(input, pos + 1, &mut Escape::Outside).ok()??;
            Some(end + 1)
        }
        b't' => rest.starts_with(b"true").then_some(pos + 4),
        b'f' => rest.starts_with(b"false").then_some(pos + 5),
        b'n' => rest.starts_with(b"null").then_some(pos + 4),
        byte => {
            let mut number = Number::start(byte)?;
            let end = number.scan(input, pos + 1);
            let fits = end < input.len() && number.is_complete() && end - pos <= number_cap;
            fits.then_some(end)
        }
    }
}
