//! One JSON text a line (NDJSON, JSON Lines): each line is judged as an element of the array that the
//! plan has at its root. A line that nothing is left of vanishes with its end; blank lines vanish too.

use std::sync::Arc;

use bytes::Bytes;

use crate::policy::plan::{Node, Plan, Slot, Verdict};

use super::fault::{Cause, Fault};
use super::token::State;
use super::{Caps, Filter, Hooks, Mode};

const BLOCK_BYTES: usize = 32;

impl<H: Hooks> Filter<H> {
    /// A filter for one body of lines that goes to the caller.
    ///
    /// A line ends with LF, the last one may lack it; CR before it is white space. What goes out ends with LF
    /// alone, and without the white space before it. Within a line, white
    /// space that breaks lines is a fault.
    pub fn lines(plan: Arc<Plan>, caps: Caps, hooks: H) -> Self {
        let element = element(&plan).unwrap_or(Slot::of(Verdict::Absent));
        let mut filter = Self::new(plan, caps, Mode::Drop, hooks);
        filter.line = Some(element);
        filter.slot = element;
        filter
    }

    /// Judges a chunk of a body whose lines this slot judges, and says where it stops being text.
    pub(super) fn judge_lines(&mut self, chunk: &Bytes, element: Slot) -> Result<usize, Fault> {
        let mut pos = 0;
        loop {
            let end = line_end(chunk, pos);
            let judged = self.judge(chunk, pos, end)?;
            if judged < end || end == chunk.len() {
                return Ok(judged);
            }
            self.end_line(element, end, end + 1)?;
            pos = end + 1;
        }
    }

    /// Ends a body of lines.
    pub(super) fn end_lines(&mut self, element: Slot) -> Result<(), Fault> {
        self.output.begin(Bytes::new(), 0);
        self.end_line(element, 0, 0)?;
        self.report.root_withheld = self::element(&self.plan).is_none();
        Ok(())
    }

    /// Ends the line whose end stands at `at`; the next one starts at `next`.
    fn end_line(&mut self, element: Slot, at: usize, next: usize) -> Result<(), Fault> {
        self.end_number_at_root(at)?;
        let is_blank = self.state == State::Value && self.frames.is_empty();
        if self.state != State::End && !is_blank {
            return self.fault(Cause::LineEndsEarly, at);
        }
        if !is_blank && self.is_emitted {
            // Every line ends alike: whether the last one was left out must not show at the end before it.
            self.output.restart(at);
            self.output.release_undecided(next);
            if at == next {
                self.output.insert(b"\n");
            }
        }
        self.output.restart_line(next);
        self.state = State::Value;
        self.slot = element;
        Ok(())
    }
}

/// What judges the elements of the array that the body would be in JSON.
fn element(plan: &Plan) -> Option<Slot> {
    let Verdict::Enter(root) = plan.root.verdict else { return None };
    match plan.node(root)? {
        Node::Array(element) => Some(*element),
        Node::Object(_) => None,
    }
}

/// The first LF from `pos` on, or the end of the input. Blocks are looked at whole, without a branch a
/// byte.
fn line_end(input: &[u8], pos: usize) -> usize {
    let rest = input.get(pos..).unwrap_or_default();
    let (blocks, _) = rest.as_chunks::<BLOCK_BYTES>();
    let holds_none =
        |block: &&[u8; BLOCK_BYTES]| !block.iter().fold(false, |hit, byte| hit | (*byte == b'\n'));
    let skipped = blocks.iter().take_while(holds_none).count() * BLOCK_BYTES;
    let rest = rest.get(skipped..).unwrap_or_default();
    let found = rest.iter().position(|byte| *byte == b'\n');
    pos + skipped + found.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Outcome, customers, desk, drive};
    use super::*;

    fn run<'a>(caps: Caps, room: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let mut filter = Filter::lines(customers(), caps, desk());
        filter.hooks_mut().room = room;
        drive(&mut filter, pieces)
    }

    /// Filters a body whole and in pieces; all must agree.
    fn filter(room: usize, body: &[u8]) -> Outcome {
        let whole = run(Caps::default(), room, [body]);
        for size in [1, 2, 7] {
            assert_eq!(run(Caps::default(), room, body.chunks(size)), whole, "in {size}s");
        }
        whole
    }

    #[test]
    fn a_withheld_record_loses_its_line_and_all_others_keep_theirs() {
        let body = concat!(
            "{\"id\":1,\"state\":\"open\",\"secret\":\"x\"}\n",
            "{\"id\":2,\"state\":\"shut\"}\r\n",
            " {\"phone\":\"13812345678\",\"id\":3,\"state\":\"half\"} \r\n",
            "\n \t\r\n",
            "{\"state\":\"open\"}\n",
            "[1]\nnull\n17\n",
            "{\"id\":4,\"state\":\"open\"}",
        );
        let (output, report) = filter(9, body.as_bytes()).unwrap();
        let wanted = concat!(
            "{\"id\":1,\"state\":\"open\"}\n",
            " {\"phone\":\"138****5678\",\"id\":3,\"state\":\"half\"}\n",
            "null\n",
            "{\"id\":4,\"state\":\"open\"}\n",
        );
        assert_eq!(output, wanted);
        assert_eq!((report.records_released, report.records_withheld), (3, 1));
        assert_eq!((report.records_without_subject, report.fields[0].masked), (1, 1));
        assert!(!report.root_withheld);
    }

    #[test]
    fn whether_the_last_line_was_left_out_does_not_show_at_the_one_before() {
        let (open, shut) = ("{\"id\":1,\"state\":\"open\"}", "{\"id\":2,\"state\":\"shut\"}");
        for end in ["", "\n", "\r\n", " \r\n\r\n", "\n ", &format!("\r\n{shut}")] {
            let (output, _) = filter(9, format!("{open}{end}").as_bytes()).unwrap();
            assert_eq!(output, format!("{open}\n"), "{end:?}");
        }
    }

    #[test]
    fn behind_a_limit_no_line_goes_out_and_all_are_counted() {
        let line = |id: u8| format!("{{\"id\":{id},\"state\":\"open\"}}\n");
        let body: String = (1..=5).map(line).collect();
        let (output, report) = filter(2, body.as_bytes()).unwrap();
        assert_eq!(output, line(1) + &line(2));
        assert_eq!((report.limited, report.records_held_back), (true, 3));
    }

    #[test]
    fn a_line_that_is_not_one_whole_value_is_refused() {
        let cause = |body: &str| filter(9, body.as_bytes()).unwrap_err().cause;
        for broken in ["{\"id\":\n1}", "{\n", "[1,\n2]\n", "{\"id\"\n:1}\n", "1.\n", "tru\n", "{"] {
            assert_eq!(cause(broken), Cause::LineEndsEarly, "{broken}");
        }
        assert_eq!(cause("{\"id\":\"a\nb\"}"), Cause::LineEndsEarly);
        for two in ["{} {}\n", "1 2\n", "{},\n{}\n", "{}\u{1e}\n"] {
            assert_eq!(cause(two), Cause::TrailingBytes, "{two}");
        }
        for bad in ["\u{1e}{}\n", "id,name\n1,a\n", "\u{b}\n", "[{}\n]"] {
            let cause = cause(bad);
            let is_bad = matches!(cause, Cause::Unexpected { .. } | Cause::LineEndsEarly);
            assert!(is_bad, "{bad}: {cause}");
        }
        assert_eq!(cause("\u{feff}{}\n"), Cause::ByteOrderMark);
        assert_eq!(filter(9, b"{}\n\xff\n").unwrap_err(), Cause::InvalidUtf8.at(3));
        assert_eq!(filter(9, b"{}\n{\n}\n").unwrap_err(), Cause::LineEndsEarly.at(4));
    }

    #[test]
    fn a_body_without_a_line_holds_no_record() {
        for body in ["", "\n", "\r\n \n"] {
            let (output, report) = filter(9, body.as_bytes()).unwrap();
            assert_eq!((output.as_str(), report.root_withheld), ("", false));
        }
        let plan = Arc::new(Plan::nothing());
        let mut filter = Filter::lines(plan, Caps::default(), desk());
        let (output, report) = drive(&mut filter, [&b"{\"id\":1}\n"[..]]).unwrap();
        assert_eq!((output.as_str(), report.root_withheld), ("", true));
    }

    #[test]
    fn a_line_is_held_no_longer_than_until_it_is_judged_and_up_to_its_cap() {
        let mut filter = Filter::lines(customers(), Caps::default(), desk());
        filter.push(Bytes::from_static(b"{\"id\":1,\"state\":\"open\"}\n{\"id\":2")).unwrap();
        assert_eq!(filter.take_output().concat(), b"{\"id\":1,\"state\":\"open\"}\n");
        filter.push(Bytes::from_static(b",\"state\":\"open\"}")).unwrap();
        assert_eq!(filter.take_output().concat(), b"{\"id\":2,\"state\":\"open\"}");
        let caps = Caps { record_bytes: 40, ..Caps::default() };
        let line = |pad| format!("{{\"id\":1,\"state\":\"open\",\"x\":\"{}\"}}\n", "x".repeat(pad));
        let exact = 40 - (line(0).len() - 1);
        for size in [1, 3, 1000] {
            let good = line(exact).repeat(2);
            assert!(run(caps, 9, good.as_bytes().chunks(size)).is_ok());
            let bad = line(exact) + &line(exact + 1);
            let fault = run(caps, 9, bad.as_bytes().chunks(size)).unwrap_err();
            assert_eq!(fault, Cause::RecordTooLarge { cap: 40 }.at(81));
        }
    }

    #[test]
    fn white_space_beyond_its_cap_is_left_out_and_does_not_go_on_over_lines() {
        let line = "{\"id\":1,\"state\":\"open\"}";
        let body = |gap: usize| format!("{0}{line}{0}\n{0}\n{0}{line}{0}", " ".repeat(gap));
        let kept = |gap: usize| format!("{0}{line}\n{0}{line}\n", " ".repeat(gap));
        for size in [1, 1000, 100_000] {
            let (output, _) = run(Caps::default(), 9, body(4096).as_bytes().chunks(size)).unwrap();
            assert!(output == kept(4096));
            let (output, _) = run(Caps::default(), 9, body(4097).as_bytes().chunks(size)).unwrap();
            assert!(output == kept(0));
        }
    }

    #[test]
    fn the_end_of_a_line_is_found_at_every_place() {
        for place in 0..100 {
            let mut text = vec![b'a'; 100];
            text[place] = b'\n';
            assert_eq!(line_end(&text, 0), place);
            assert_eq!(line_end(&text, place / 2), place);
            assert_eq!(line_end(&text, place + 1), 100);
        }
    }
}
