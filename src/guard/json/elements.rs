//! The short way through arrays of scalars that pass: all that follow each other at once.

use super::report::Fate;
use super::scan::{Escape, gap_end, string_end};
use super::token::State;
use super::walk::bare_end;
use super::{Caps, Filter, Hooks};

/// Elements that follow each other.
struct Row {
    /// Where the last one ended.
    end: usize,
    count: u64,
    /// Where somebody else goes on behind a comma, if one was read.
    behind_comma: Option<usize>,
}

impl<H: Hooks> Filter<H> {
    /// Lets elements out from `at` on, as long as they are valid scalars that end in the input.
    ///
    /// Gives the place to go on from, with the state set; `None` if there was none.
    #[inline(never)]
    pub(super) fn quick_elements(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let row = row(input, at, &self.caps)?;
        self.start_output(at);
        self.output.keep(at, row.end);
        self.output.restart(row.end);
        self.is_emitted = true;
        if let Some(field) = self.slot.field {
            self.count_values(field, Fate::Clear, row.count);
        }
        let Some(behind) = row.behind_comma else {
            self.state = State::After;
            return Some(row.end);
        };
        if let Some(frame) = self.frames.last_mut() {
            frame.follows_comma = true;
        }
        self.state = State::Value;
        Some(behind)
    }
}

/// The elements from `at` on.
fn row(input: &[u8], mut at: usize, caps: &Caps) -> Option<Row> {
    let mut row = Row { end: at, count: 0, behind_comma: None };
    while let Some(end) = scalar_end(input, at, caps) {
        row.end = end;
        row.count += 1;
        row.behind_comma = (input.get(end) == Some(&b',')).then_some(end + 1);
        let Some(behind) = row.behind_comma else { break };
        at = gap_end(input, behind);
        if at - behind > caps.gap_bytes {
            break;
        }
    }
    (row.count > 0).then_some(row)
}

/// The end of the valid scalar that starts at `at`, if it lies in the input.
#[inline]
fn scalar_end(input: &[u8], at: usize, caps: &Caps) -> Option<usize> {
    if input.get(at) == Some(&b'"') {
        let end = string_end(input, at + 1, &mut Escape::Outside).ok()??;
        return Some(end + 1);
    }
    bare_end(input, at, caps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(usize, u64, Option<usize>)> {
        let row = row(text.as_bytes(), 0, &Caps { gap_bytes: 4, ..Caps::default() })?;
        Some((row.end, row.count, row.behind_comma))
    }

    #[test]
    fn elements_follow_each_other_as_long_as_they_are_valid_scalars() {
        assert_eq!(read(r#"1,"a\"b", true ]"#), Some((14, 3, None)));
        assert_eq!(read("1,2,[3]]"), Some((3, 2, Some(4))), "an array is for somebody else");
        assert_eq!(read("1,2,x3]"), Some((3, 2, Some(4))), "so is what is wrong");
        assert_eq!(read("1,2,03]"), Some((5, 3, None)), "and what follows no comma");
        assert_eq!(read("1,     2]"), Some((1, 1, Some(2))), "too much white space");
        assert_eq!(read("1,    2]"), Some((7, 2, None)));
        assert_eq!(read("1,]"), Some((1, 1, Some(2))));
        assert_eq!(read(r#"1,"a"#), Some((1, 1, Some(2))), "the string goes on in another chunk");
        assert_eq!(read("12"), None, "so may the number");
    }
}
