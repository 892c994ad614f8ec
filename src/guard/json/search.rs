//! Values that are looked through: held until they were read to their end, then passed, masked in place, left
//! out or refused, as what was found in them calls for.

use crate::guard::detect::{self, Fate as Found, examine, examine_number};

use super::fault::{Cause, Fault};
use super::report::{Event, Fate, Note};
use super::text::unescape_lossy;
use super::token::State;
use super::value::Act;
use super::{Filter, Hooks};

impl<H: Hooks> Filter<H> {
    /// The length of the output before a value that is held until it was looked through, if one is open.
    pub(super) fn searched_start(&self) -> Option<u64> {
        let is_open = matches!(self.state, State::Text | State::Number);
        (is_open && self.token.act == Act::Search).then_some(self.token.before.0)
    }

    /// Looks through a string that ends at `end`. Half a surrogate pair in it hides nothing.
    pub(super) fn search_text(
        &mut self,
        raw: &[u8],
        text: Option<&str>,
        end: usize,
    ) -> Result<(), Fault> {
        let detection = self.slot.detect.and_then(|id| self.plan.detection(id));
        let found = detection.and_then(|detection| match text {
            Some(text) => examine(detection, text),
            None => examine(detection, &unescape_lossy(raw)),
        });
        let passes = |filter: &mut Self| {
            filter.output.insert(b"\"");
            filter.output.insert(raw);
            filter.output.insert(b"\"");
        };
        self.settle_search(found, passes, end)
    }

    /// Looks through a number that ends at `end`.
    pub(super) fn search_number(&mut self, number: &str, end: usize) -> Result<(), Fault> {
        let detection = self.slot.detect.and_then(|id| self.plan.detection(id));
        let found = detection.and_then(|detection| examine_number(detection, number));
        self.settle_search(found, |filter| filter.output.insert(number.as_bytes()), end)
    }

    fn settle_search(
        &mut self,
        found: Option<detect::Found>,
        passes: impl FnOnce(&mut Self),
        end: usize,
    ) -> Result<(), Fault> {
        self.note_found(found.as_ref());
        match found.map_or(Found::Passes, |found| found.fate) {
            Found::Passes => {
                passes(self);
                self.count(Fate::Clear);
            }
            Found::Masked(masked) => {
                self.insert_text(&masked);
                self.count(Fate::Masked);
            }
            Found::Withheld => {
                let (before, had_output) = self.token.before;
                self.take_back(before, had_output);
                self.count(Fate::Withheld);
            }
            Found::Refused(kind) => {
                let cause = Cause::Detected { field: self.name(), kind: kind.name() };
                self.refuse(cause.at(self.base + end as u64))?;
            }
        }
        Ok(())
    }

    fn note_found(&mut self, found: Option<&detect::Found>) {
        let (Some(found), Some(place)) = (found, self.slot.detect) else { return };
        for kind in &found.kinds {
            let event = Event::Detected(place, *kind);
            if self.records.is_open() {
                self.records.note(Note::Event(event));
            } else {
                self.report.count(event);
            }
        }
    }
}
