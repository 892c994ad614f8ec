//! The short way through objects that look like the ones before: whole members at once, each name
//! confirmed by one comparison. Whatever is unusual is left to the state machine, which gives the same.

use std::hint::cold_path;

use bytes::BufMut as _;

use crate::guard::detect::{may_hold, number_may_hold};
use crate::guard::mask::{common_form_into, mask_into, quoted_form_into};
use crate::policy::kind::Mask;
use crate::policy::plan::NodeId;

use super::output::Output;
use super::record::Records;
use super::report::{Note, Stretch};
use super::shape::{Name, Quick, Rules, Shapes, Way};
use super::text::encode;
use super::token::{Frame, State};
use super::value::bare;
use super::walk::{Form, Halt, Track, Walk};
use super::{Caps, Filter, Hooks, Mode};

/// Writing a masked form of a common value takes no more room than the value and so much.
const MOST_ADDED_BYTES: usize = 32;

/// What a walk over the members of an object changes.
struct Hand<'a> {
    input: &'a [u8],
    caps: &'a Caps,
    shapes: &'a Shapes,
    /// Whether there may be another level of objects.
    may_enter: bool,
    frame: &'a mut Frame,
    output: &'a mut Output,
    records: &'a mut Records,
    replacement: &'a mut String,
    json: &'a mut Vec<u8>,
    unlisted: u64,
    /// Whether a member was taken, so that undecided bytes start behind it.
    is_marked: bool,
    /// Whether what stands between the last value and the next one simply goes out with the next one.
    is_running: bool,
}

impl<H: Hooks> Filter<H> {
    /// Reads members from the quote at `at` on, as long as they come as expected.
    ///
    /// Gives the place to go on from, with the state set; `None` if nothing was read.
    pub(super) fn quick_members(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let may_enter = self.frames.len() < self.caps.depth && self.records.is_open();
        let frame = self.frames.last_mut()?;
        let node = frame.node.filter(|_| self.mode == Mode::Drop)?;
        let names = self.shapes.names(node).get(usize::from(frame.cursor)..)?;
        let mut walk = Walk::new(input, at, names, &mut self.ahead.index, &self.caps);
        let mut hand = Hand {
            input,
            caps: &self.caps,
            shapes: &self.shapes,
            may_enter,
            frame,
            output: &mut self.output,
            records: &mut self.records,
            replacement: &mut self.replacement,
            json: &mut self.json,
            unlisted: 0,
            is_marked: false,
            is_running: false,
        };
        let halt = hand.walk(&mut walk);
        let track = walk.end(names);
        self.report.unlisted_members += hand.unlisted;
        if let Some(last) = names.get(track.taken.wrapping_sub(1)) {
            self.is_emitted = !matches!(last.rules.quick, Quick::Drop | Quick::Unlisted);
        }
        let rules = names.get(track.taken).map(|name| name.rules);
        self.settle_track(node, &track);
        self.go_on_from(halt, &track, rules)
    }

    /// Writes down what a walk found.
    fn settle_track(&mut self, node: NodeId, track: &Track) {
        self.ahead.index.leave(track.places_left);
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
            Halt::Name if track.follows_comma => (track.mark? + 1, State::Member),
            Halt::Name => (track.mark?, State::After),
        };
        self.state = state;
        Some(end)
    }
}

impl<'a> Hand<'a> {
    /// Goes as far as members come as expected.
    #[inline(never)]
    fn walk(&mut self, at: &mut Walk<'a>) -> Halt {
        let mut walk = *at;
        let halt = loop {
            let Some((name, names)) = walk.names.split_first() else { break Halt::Name };
            let Some(value) = walk.value(name) else { break Halt::Name };
            let Some((end, form, places)) = walk.scalar(value) else {
                if !self.is_expected(name) {
                    break Halt::Name;
                }
                let Some((end, places)) = self.take_whole(name, &walk, value) else {
                    break walk.halt_at(value);
                };
                walk.go_by(end, names, places);
                if !walk.is_comma() {
                    break Halt::Name;
                }
                continue;
            };
            match name.way {
                Way::Pass if self.is_running => self.output.keep(walk.mark, end),
                Way::Drop if self.is_running => {}
                Way::Pass | Way::Drop | Way::Look => {
                    cold_path();
                    if !self.is_expected(name) {
                        break Halt::Name;
                    }
                    if !self.take(name, walk.mark, value, end, form) {
                        break walk.halt_at(value);
                    }
                }
            }
            walk.go_by(end, names, places);
            if !walk.is_comma() {
                break Halt::Name;
            }
        };
        *at = walk;
        halt
    }

    /// Whether a member was neither seen before in its record, if it decides on that, nor is one to be told of.
    fn is_expected(&self, name: &Name) -> bool {
        self.frame.deciders & name.rules.decider == 0 && name.is_met
    }

    /// Takes the member whose value this is, behind one that ended before `mark`; `false` if it is for somebody
    /// else.
    #[inline(never)]
    fn take(&mut self, name: &Name, mark: usize, start: usize, end: usize, form: Form) -> bool {
        let text = self.input.get(start..end).unwrap_or_default();
        let fits = text.len() <= self.caps.value_bytes;
        match name.rules.quick {
            Quick::Pass => self.pass(mark, start, end),
            Quick::Drop => {}
            Quick::Unlisted => self.unlisted += 1,
            Quick::Glance if fits && is_harmless(form, text) => self.pass(mark, start, end),
            Quick::Read(slot) if fits && form != Form::Escaped && self.records.is_free(slot) => {
                self.frame.deciders |= name.rules.decider;
                self.pass(mark, start, end);
                self.capture(slot, form, text);
            }
            Quick::Mask(how) if fits && form == Form::Plain => {
                self.lead(mark, start);
                self.insert_masked(how, start, text);
            }
            Quick::Glance | Quick::Read(_) | Quick::Mask(_) | Quick::Whole(_) | Quick::Nothing => {
                return false;
            }
        }
        self.is_marked = true;
        true
    }

    /// Lets an object out of which all passes, and gives where it ended and the special bytes behind it; `None` if it
    /// is for somebody else.
    #[inline(never)]
    fn take_whole(
        &mut self,
        name: &Name,
        walk: &Walk<'a>,
        start: usize,
    ) -> Option<(usize, &'a [u32])> {
        let Quick::Whole(node) = name.rules.quick else { return None };
        let names = self.shapes.names_inside(node).filter(|_| self.may_enter)?;
        let (end, to, places) = walk.whole(start, names)?;
        // It may lead to what decides on the record, though that is not in this one: another one is told of.
        self.frame.deciders |= name.rules.decider;
        self.pass(walk.mark, start, end);
        self.records.note(Note::Members(Stretch { node, from: 0, to }));
        self.is_marked = true;
        Some((end, places))
    }

    /// Lets a value out as it is.
    #[inline]
    fn pass(&mut self, mark: usize, start: usize, end: usize) {
        self.lead(mark, start);
        self.output.keep(start, end);
    }

    /// Lets out what stands before a value that goes out.
    #[inline]
    fn lead(&mut self, mark: usize, start: usize) {
        if self.is_running {
            self.output.keep(mark, start);
        } else {
            self.start_output(self.is_marked.then_some(mark), start);
        }
    }

    fn start_output(&mut self, mark: Option<usize>, start: usize) {
        self.output.restart_at(mark);
        let follows_comma = self.frame.follows_comma || mark.is_some();
        if follows_comma && !self.frame.has_output {
            self.output.release_first(start, self.frame.lead);
        } else {
            self.output.release_undecided(start);
        }
        self.frame.has_output = true;
        self.is_running = true;
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

    /// Lets out the masked form of a string.
    fn insert_masked(&mut self, mask: Mask, start: usize, string: &[u8]) {
        let out = self.output.insertion(string.len() + MOST_ADDED_BYTES);
        let rest = self.input.get(start..).unwrap_or_default();
        if quoted_form_into(mask, rest, string.len(), out) {
            return;
        }
        let start = out.len();
        out.put_u8(b'"');
        if common_form_into(mask, inside(string), out) {
            out.put_u8(b'"');
            return;
        }
        out.truncate(start);
        self.insert_any_form(mask, inside(string));
    }

    fn insert_any_form(&mut self, mask: Mask, text: &[u8]) {
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
