//! Tests: tables longer than what the short way looks at together, and faults anywhere in them.

use std::sync::Arc;

use crate::policy::kind::{Kind, Mask};
use crate::policy::plan::{Node, Plan};

use super::Cause;
use super::tests::{customers, fault, filter, out};

/// As many rows as fill several windows of the short way, of any length.
fn long(row: &str) -> String {
    let rows = (0..60).map(|n| format!("{n},open,{},{row}\r\n", "x".repeat(n % 50)));
    format!("id,state,name,note,secret\r\n{}", rows.collect::<String>())
}

#[test]
fn rows_in_one_chunk_pass_as_rows_in_pieces_do() {
    for (note, secret) in [
        ("a", "s"),
        ("\"a\"\"b\"", "\"s,\r\n\"\"\""),
        ("\"x\r\n\r\n\"", ""),
        ("", "\"\""),
        ("\u{5ba2}\u{6237}", "\u{1f600}"),
        ("-12.50", "=1+1"),
    ] {
        let body = long(&format!("{note},{secret}"));
        let wanted = body.replace(&format!(",{secret}\r\n"), "\r\n").replace(",secret", "");
        assert_eq!(out(&body), wanted, "{note} {secret}");
    }
    let wanted = long("\"'=1\"").replace(",secret", "");
    assert_eq!(out(&long("=1,s")), wanted);
}

#[test]
fn a_fault_in_any_row_of_a_chunk_is_told_at_its_byte() {
    for (row, cause, at) in [
        ("x,op\"en,s\n", Cause::BareQuote, 4),
        ("x,\"open\"s,\n", Cause::BehindQuote, 8),
        ("x,open\r,s\n", Cause::BareReturn, 7),
        ("x,open,\u{1}\n", Cause::ControlCharacter, 7),
        ("x,open\n", Cause::CellCount { columns: 3 }, 0),
        ("x,open,s,\n", Cause::CellCount { columns: 3 }, 9),
        ("x,\"open", Cause::Truncated, 7),
    ] {
        for rows in 0..40 {
            let before = format!("id,state,secret\n{}", "1,open,secret\n".repeat(rows));
            let offset = (before.len() + at) as u64;
            assert_eq!(fault(format!("{before}{row}")), cause.clone().at(offset), "{row:?} {rows}");
            let body = [before.as_bytes(), b"x,\xff,s\n1,open,s\n"].concat();
            assert_eq!(fault(body), Cause::InvalidUtf8.at((before.len() + 2) as u64));
        }
    }
}

#[test]
fn a_masked_form_that_looks_like_a_formula_is_marked() {
    let email = |quote: &str| {
        let mut plan = Plan::clone(&customers());
        if let Some(Node::Object(half)) = plan.nodes.get_mut(2) {
            half.members[3].1.mask = Some(Mask::of(Kind::Email));
        }
        let body = |text: &str| format!("id,state,phone\n1,half,{quote}{text}{quote}\n");
        let (output, ..) = filter(&Arc::new(plan), 9, body("=cmd@example.com").as_bytes()).unwrap();
        output
    };
    for quote in ["", "\""] {
        assert_eq!(email(quote), "id,state,phone\n1,half,\"'=c***@example.com\"\n");
    }
}
