//! The short way through objects that look like the ones before: whole members at once, each name
//! confirmed by one comparison. Whatever is unusual is left to the state machine, which gives the same.

use bytes::BufMut as _;

use crate::guard::detect::{may_hold, number_may_hold};
use crate::guard::mask::{common_form_into, mask_into};
use crate::policy::kind::Mask;
use crate::policy::plan::NodeId;

use super::output::Output;
use super::record::Records;
use super::report::{Note, Stretch};
use super::shape::{Name, Quick, Rules};
use super::text::encode;
use super::token::{Frame, State};
use super::value::bare;
use super::walk::{Form, Halt, Track, Walk, extend};
use super::{Caps, Filter, Hooks, Mode};

/// A masked form of a common value is no longer than the value by more, with its quotes.
const MOST_ADDED_BYTES: usize = 16;

/// What a walk over the members of an object changes.
struct Hand<'a> {
    caps: &'a Caps,
    frame: &'a mut Frame,
    output: &'a mut Output,
    records: &'a mut Records,
    replacement: &'a mut String,
    json: &'a mut Vec<u8>,
    unlisted: u64,
}

impl<H: Hooks> Filter<H> {
    /// Reads members from the quote at `at` on, as long as they come as expected.
    ///
    /// Gives the place to go on from, with the state set; `None` if nothing was read.
    pub(super) fn quick_members(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let frame = self.frames.last_mut()?;
        let node = frame.node.filter(|_| self.mode == Mode::Drop)?;
        let names = self.shapes.names(node).get(usize::from(frame.cursor)..)?;
        let mut walk = Walk::new(input, at, names, &mut self.ahead.index, &self.caps);
        let mut hand = Hand {
            caps: &self.caps,
            frame,
            output: &mut self.output,
            records: &mut self.records,
            replacement: &mut self.replacement,
            json: &mut self.json,
            unlisted: 0,
        };
        let halt = hand.walk(&mut walk);
        let track = walk.end(names.len());
        let unlisted = hand.unlisted;
        if let Some(last) = names.get(track.taken.wrapping_sub(1)) {
            self.is_emitted = !matches!(last.rules.quick, Quick::Drop | Quick::Unlisted);
        }
        let rules = names.get(track.taken).map(|name| name.rules);
        self.report.unlisted_members += unlisted;
        self.settle_track(node, &track);
        self.go_on_from(halt, &track, rules)
    }

    /// Writes down what a walk found.
    fn settle_track(&mut self, node: NodeId, track: &Track) {
        self.ahead.index.leave(track.places_left);
        self.output.keep(track.run.start, track.run.end);
        self.output.restart_at(track.mark);
        let Some(frame) = self.frames.last_mut() else { return };
        frame.follows_comma |= track.follows_comma;
        let from = frame.cursor;
        frame.cursor = from.saturating_add(u16::try_from(track.taken).unwrap_or(u16::MAX));
        let stretch = Stretch { node, from, to: frame.cursor };
        if track.taken == 0 {
            return;
        }
        // Counted once the outermost record goes out, or at once where there is none.
        if self.records.is_open() {
            self.records.note(Note::Members(stretch));
        } else {
            self.tally(stretch);
        }
    }

    /// Sets the state behind a walk, and says where that is. `rules` are those of the next name.
    fn go_on_from(&mut self, halt: Halt, track: &Track, rules: Option<Rules>) -> Option<usize> {
        let (end, state) = match halt {
            Halt::Value(value) => {
                // The state machine judges and counts this one.
                let (frame, rules) = (self.frames.last_mut()?, rules?);
                frame.cursor += 1;
                frame.deciders |= rules.decider;
                self.report.unlisted_members += u64::from(!rules.is_listed);
                self.slot = rules.slot;
                (value, State::Value)
            }
            Halt::End if !track.follows_comma => (track.mark?, State::After),
            Halt::End | Halt::Name | Halt::Other => (track.mark? + 1, State::Member),
        };
        self.state = state;
        Some(end)
    }
}

impl Hand<'_> {
    /// Goes as far as members come as expected.
    fn walk(&mut self, walk: &mut Walk) -> Halt {
        loop {
            if let Some(mark) = walk.mark
                && self.frame.has_output
            {
                let halt = walk.go(self.output, mark);
                if halt != Halt::Other {
                    return halt;
                }
            }
            let Some(name) = walk.names.first() else { return Halt::Name };
            if let Some(halt) = self.member(walk, name) {
                return halt;
            }
        }
    }

    /// Takes one member, and says why not or why not the next one.
    fn member(&mut self, walk: &mut Walk, name: &Name) -> Option<Halt> {
        let rules = &name.rules;
        let Some(value) = walk.value(name) else { return Some(Halt::Name) };
        if self.frame.deciders & rules.decider != 0 || !name.is_met {
            return Some(Halt::Name);
        }
        let read = if rules.quick == Quick::Nothing { None } else { walk.scalar(value) };
        let Some((end, form)) = read else { return Some(walk.halt_at(value)) };
        let scalar = walk.input.get(value..end).unwrap_or_default();
        let fits = scalar.len() <= self.caps.value_bytes;
        match rules.quick {
            Quick::Pass => self.pass(walk, value, end),
            Quick::Drop => {}
            Quick::Unlisted => self.unlisted += 1,
            Quick::Glance if fits && is_harmless(form, scalar) => self.pass(walk, value, end),
            Quick::Read(slot) if fits && form != Form::Escaped && self.records.is_free(slot) => {
                self.frame.deciders |= rules.decider;
                self.pass(walk, value, end);
                self.capture(slot, form, scalar);
            }
            Quick::Mask(mask) if fits && form == Form::Plain => {
                self.start_output(walk, value);
                self.insert_masked(mask, inside(scalar));
            }
            Quick::Glance | Quick::Read(_) | Quick::Mask(_) | Quick::Nothing => {
                return Some(walk.halt_at(value));
            }
        }
        walk.pass_by(end, form)
    }

    /// Lets a value out as it is.
    fn pass(&mut self, walk: &mut Walk, start: usize, end: usize) {
        match walk.mark {
            Some(mark) if self.frame.has_output => {
                extend(&mut walk.run, self.output, mark, end);
            }
            Some(_) | None => {
                self.start_output(walk, start);
                walk.run.end = end;
            }
        }
    }

    /// Lets out what stands before a value that goes out.
    fn start_output(&mut self, walk: &mut Walk, start: usize) {
        self.output.keep(walk.run.start, walk.run.end);
        walk.run = start..start;
        self.output.restart_at(walk.mark);
        let follows_comma = self.frame.follows_comma || walk.mark.is_some();
        self.output.release_undecided(start, follows_comma && !self.frame.has_output);
        self.frame.has_output = true;
    }

    /// Notes a value that a condition reads or that names the data subject.
    fn capture(&mut self, slot: u16, form: Form, scalar: &[u8]) {
        let text = if form == Form::Plain { inside(scalar) } else { scalar };
        let Ok(text) = std::str::from_utf8(text) else { return };
        if form == Form::Plain {
            self.records.capture_text(slot, text);
        } else {
            self.records.capture(slot, bare(text));
        }
    }

    /// Lets out the masked form of a text.
    fn insert_masked(&mut self, mask: Mask, text: &[u8]) {
        let out = self.output.insertion(text.len() + MOST_ADDED_BYTES);
        let start = out.len();
        out.put_u8(b'"');
        if common_form_into(mask, text, out) {
            out.put_u8(b'"');
            return;
        }
        out.truncate(start);
        self.json.clear();
        self.replacement.clear();
        mask_into(mask, std::str::from_utf8(text).unwrap_or_default(), self.replacement);
        encode(self.replacement, self.json);
        self.output.insert(self.json);
    }
}

/// Whether a glance tells that there is nothing in the value that is looked for.
fn is_harmless(form: Form, scalar: &[u8]) -> bool {
    if form == Form::Bare { !number_may_hold(scalar) } else { !may_hold(scalar) }
}

/// What lies between the quotes of a string.
fn inside(string: &[u8]) -> &[u8] {
    match string {
        [b'"', text @ .., b'"'] => text,
        _ => &[],
    }
}
