//! The words of a condition.

use super::parser::ExpressionFault;
use crate::policy::value::Value;

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Integer(i64),
    /// One that is written with a point.
    Decimal(Value),
    Text(String),
    /// An operator or bracket, as written.
    Mark(&'static str),
}

/// A word and where it stands, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Longest first, so that `<=` is not read as `<`.
const MARKS: &[&str] =
    &["==", "!=", "<=", ">=", "&&", "||", "..", "<", ">", "!", "(", ")", "[", "]", ",", "."];

/// Splits a condition into words.
pub(super) fn words(text: &str) -> Result<Vec<Lexeme>, ExpressionFault> {
    let mut lexemes = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else { break };
        let (token, length) = word(trimmed, first).ok_or_else(|| {
            let message = match first {
                '"' | '\'' => {
                    "a text that does not end, or has an escape other than `\\\\` or a quote"
                }
                '&' | '|' | '=' => "a single sign; write `&&`, `||` or `==`",
                _ => "a character that means nothing here, or a number that does not fit",
            };
            ExpressionFault::syntax(at, first.len_utf8(), message.to_owned())
        })?;
        lexemes.push(Lexeme { token, start: at, end: at + length });
        at += length;
    }
    Ok(lexemes)
}

fn word(text: &str, first: char) -> Option<(Token, usize)> {
    if first == '"' || first == '\'' {
        return quoted(text, first);
    }
    if first.is_ascii_digit() || (first == '-' && text.as_bytes().get(1)?.is_ascii_digit()) {
        return number(text);
    }
    if first.is_alphabetic() || first == '_' {
        let fits = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let length = text.find(|c| !fits(c)).unwrap_or(text.len());
        return Some((Token::Name(text.get(..length)?.to_owned()), length));
    }
    let mark = MARKS.iter().find(|mark| text.starts_with(**mark))?;
    Some((Token::Mark(mark), mark.len()))
}

fn quoted(text: &str, quote: char) -> Option<(Token, usize)> {
    let mut value = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, c)) = letters.next() {
        match c {
            c if c == quote => return Some((Token::Text(value), at + 1)),
            '\\' => match letters.next()?.1 {
                c @ ('\\' | '"' | '\'') => value.push(c),
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}

fn number(text: &str) -> Option<(Token, usize)> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or("");
        from + rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
    };
    let whole = digits(1);
    let point = text.get(whole..)?.starts_with('.')
        && text.as_bytes().get(whole + 1).is_some_and(u8::is_ascii_digit);
    if !point {
        return Some((Token::Integer(text.get(..whole)?.parse().ok()?), whole));
    }
    let end = digits(whole + 1);
    Some((Token::Decimal(Value::from_json_number(text.get(..end)?)?), end))
}
