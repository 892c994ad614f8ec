//! One cell: its text, and how it is written so that no spreadsheet takes it for a formula.

use std::borrow::Cow;

use super::row::Separator;

/// What makes a spreadsheet take a cell for text.
const TEXT_MARK: u8 = b'\'';

/// A cell as sent, quotes included. Between tabs none starts with a quote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<'r> {
    pub(super) raw: &'r str,
}

impl<'r> Cell<'r> {
    pub(super) fn is_quoted(self) -> bool {
        self.raw.as_bytes().first() == Some(&b'"')
    }

    /// What stands in the cell, without its quotes; quotes inside still stand there twice.
    #[inline]
    pub(super) fn inside(self) -> &'r str {
        let quoted = self.raw.strip_prefix('"');
        quoted.map_or(self.raw, |rest| rest.strip_suffix('"').unwrap_or(rest))
    }

    /// The text that the cell stands for.
    pub(super) fn text(self) -> Cow<'r, str> {
        let inside = self.inside();
        if self.is_quoted() && inside.contains('"') {
            Cow::Owned(inside.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(inside)
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self.inside().is_empty()
    }

    /// Whether a spreadsheet could take the cell for a formula.
    pub(super) fn is_formula(self) -> bool {
        is_formula(self.inside())
    }

    /// Writes the cell so that it is taken for text.
    pub(super) fn write_marked(self, separator: Separator, out: &mut Vec<u8>) {
        match separator {
            Separator::Comma => write_quoted(self.inside(), out),
            Separator::Tab => {
                out.push(TEXT_MARK);
                out.extend_from_slice(self.inside().as_bytes());
            }
        }
    }

    /// Writes a text in place of the cell's own, quoted if that was quoted or if it must be.
    pub(super) fn write_instead(self, text: &str, separator: Separator, out: &mut Vec<u8>) {
        if separator == Separator::Tab {
            // Neither can come from a cell that has none; a quote in front some readers take for one that quotes.
            let text = text.replace(['\t', '\r', '\n'], " ");
            if is_formula(&text) || text.starts_with('"') {
                out.push(TEXT_MARK);
            }
            out.extend_from_slice(text.as_bytes());
            return;
        }
        let is_plain = !self.is_quoted() && !text.contains([',', '"', '\r', '\n']);
        if is_plain && !is_formula(text) {
            out.extend_from_slice(text.as_bytes());
        } else {
            write_quoted(&text.replace('"', "\"\""), out);
        }
    }
}

/// Writes what has its quotes doubled already.
fn write_quoted(inside: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    if is_formula(inside) {
        out.push(TEXT_MARK);
    }
    out.extend_from_slice(inside.as_bytes());
    out.push(b'"');
}

/// For each byte, whether a formula may start with it.
static FORMULA_STARTS: [bool; 256] = formula_starts();

const fn formula_starts() -> [bool; 256] {
    let mut starts = [false; 256];
    let mut rest: &mut [bool] = &mut starts;
    let mut byte: u8 = 0;
    while let Some((may_start, others)) = rest.split_first_mut() {
        *may_start = matches!(byte, b'=' | b'@' | b'\t' | b'\r' | b'\n' | b'+' | b'-' | 0xef);
        byte = byte.wrapping_add(1);
        rest = others;
    }
    starts
}

/// Whether a formula may start with this byte.
#[inline]
pub(super) fn may_be_formula(first: u8) -> bool {
    FORMULA_STARTS.get(usize::from(first)).is_some_and(|starts| *starts)
}

/// Whether a spreadsheet could take this for a formula: it starts as one may, and is no plain number.
/// The characters are those that OWASP names, the full-width ones included.
fn is_formula(inside: &str) -> bool {
    match inside.as_bytes().first() {
        Some(b'=' | b'@' | b'\t' | b'\r' | b'\n') => true,
        Some(b'+' | b'-') => !is_number(inside),
        Some(0xef) => inside.starts_with(['＝', '＋', '－', '＠']),
        Some(_) | None => false,
    }
}

/// `-12`, `+12.50`, `-1e5`.
fn is_number(text: &str) -> bool {
    let unsigned = |text| str::strip_prefix(text, ['+', '-']).unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = unsigned(text);
    let (number, power) = plain.split_once(['e', 'E']).unwrap_or((plain, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    digits(whole) && digits(fraction) && digits(unsigned(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(cell: Cell<'_>, separator: Separator, out: &mut Vec<u8>) {
        if cell.is_formula() {
            cell.write_marked(separator, out);
        } else {
            out.extend_from_slice(cell.raw.as_bytes());
        }
    }

    fn written(raw: &str) -> String {
        let mut out = Vec::new();
        passed(Cell { raw }, Separator::Comma, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn instead(raw: &str, text: &str) -> String {
        let mut out = Vec::new();
        Cell { raw }.write_instead(text, Separator::Comma, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_cell_that_no_spreadsheet_computes_passes_byte_for_byte() {
        for same in [
            "",
            "\"\"",
            "a",
            "\"a\"",
            "\"a,\"\"b\"\"\r\n\"",
            " =1",
            "a=1",
            "-12",
            "+12.50",
            "-1e5",
            "-0.5E-3",
            "\"-12\"",
            "+8613812345678",
            "\u{ff21}",
            "\u{e9}",
            "'=1",
        ] {
            assert_eq!(written(same), same);
        }
    }

    #[test]
    fn what_starts_like_a_formula_is_marked_as_text() {
        for (raw, wanted) in [
            ("=1+1", "\"'=1+1\""),
            ("\"=HYPERLINK(\"\"http://x\"\",1)\"", "\"'=HYPERLINK(\"\"http://x\"\",1)\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("+1+1", "\"'+1+1\""),
            ("-2+3", "\"'-2+3\""),
            ("-", "\"'-\""),
            ("+", "\"'+\""),
            ("--1", "\"'--1\""),
            ("-1e", "\"'-1e\""),
            ("-.5", "\"'-.5\""),
            ("-1,", "\"'-1,\""),
            ("+86 138", "\"'+86 138\""),
            ("\t=1", "\"'\t=1\""),
            ("\"\r=1\"", "\"'\r=1\""),
            ("\"\n=1\"", "\"'\n=1\""),
            ("＝1+1", "\"'＝1+1\""),
            ("＋1", "\"'＋1\""),
            ("－1", "\"'－1\""),
            ("＠a", "\"'＠a\""),
        ] {
            assert_eq!(written(raw), wanted, "{raw}");
        }
    }

    #[test]
    fn another_text_is_quoted_where_the_cell_was_or_where_it_must_be() {
        assert_eq!(instead("13812345678", "138****5678"), "138****5678");
        assert_eq!(instead("\"13812345678\"", "138****5678"), "\"138****5678\"");
        assert_eq!(instead("x", "a,b"), "\"a,b\"");
        assert_eq!(instead("x", "a\"b"), "\"a\"\"b\"");
        assert_eq!(instead("x", "+86 138****5678"), "\"'+86 138****5678\"");
        assert_eq!(instead("x", "="), "\"'=\"");
    }

    #[test]
    fn between_tabs_a_text_is_marked_and_never_quoted() {
        let tabs = |raw: &str, text: Option<&str>| {
            let mut out = Vec::new();
            match text {
                None => passed(Cell { raw }, Separator::Tab, &mut out),
                Some(text) => Cell { raw }.write_instead(text, Separator::Tab, &mut out),
            }
            String::from_utf8(out).unwrap()
        };
        for (raw, wanted) in
            [("a, \"b\"", "a, \"b\""), ("=1", "'=1"), ("-12", "-12"), ("-2+3", "'-2+3")]
        {
            assert_eq!(tabs(raw, None), wanted);
            assert_eq!(tabs("x", Some(raw)), wanted);
        }
        assert_eq!(tabs("x", Some("\"quoted\"")), "'\"quoted\"");
        assert_eq!(tabs("x", Some("a\tb\nc")), "a b c");
    }
}
