//! Forms (`application/x-www-form-urlencoded`) as trees of text, so that a form is judged like JSON, and
//! judged trees as forms again.
//!
//! A dot in a name leads into an object. What two readers could take differently is refused: a name
//! that stands twice, one that is a value and an object, a byte that must be encoded.

use serde_json::{Map, Value};

use super::query::{QueryFault, decode, encode};
use crate::policy::search::asks_for_another_method;

const MOST_PAIRS: usize = 1000;
const MOST_LEVELS: usize = 16;
/// A field by which a form names the character encoding of the others (HTML, section 4.10.22.5).
const CHARSET: &str = "_charset_";

/// Why a form is refused. Names are cut to 64 characters; values are not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormFault {
    /// A percent sign without two hexadecimal digits, a byte that is not ASCII, or an empty pair.
    #[error("the form is malformed")]
    Malformed,
    /// It decodes to something that is not UTF-8, or holds a zero byte.
    #[error("the form does not decode to text")]
    NotText,
    /// Too many pairs.
    #[error("the form has more than {MOST_PAIRS} fields")]
    TooMany,
    /// A name with an empty part, or too many of them.
    #[error("form field `{0}` is no name")]
    Name(String),
    /// A name that stands there twice, or is a value and an object.
    #[error("form field `{0}` is given twice")]
    Duplicate(String),
    /// Another method is asked for than the one that is judged.
    #[error("`{0}` asks for another request than the one that is judged; send that one")]
    Override(String),
    /// The form speaks about its own encoding.
    #[error("the form names a character encoding, it must be UTF-8")]
    Charset,
}

/// The decoded pairs of a form.
///
/// # Errors
/// [`FormFault::Malformed`], [`FormFault::NotText`] or [`FormFault::TooMany`].
pub(super) fn pairs(body: &[u8]) -> Result<Vec<(String, String)>, FormFault> {
    let text = std::str::from_utf8(body).ok().filter(|text| text.is_ascii());
    let text = text.ok_or(FormFault::Malformed)?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut pairs = Vec::new();
    for pair in text.split('&') {
        if pairs.len() >= MOST_PAIRS {
            return Err(FormFault::TooMany);
        }
        let (name, value) = pair.split_once('=').ok_or(FormFault::Malformed)?;
        let decoded = |text| match decode(text) {
            Ok(text) => Ok(text),
            Err(QueryFault::NotText) => Err(FormFault::NotText),
            Err(_) => Err(FormFault::Malformed),
        };
        pairs.push((decoded(name)?, decoded(value)?));
    }
    Ok(pairs)
}

/// Pairs as a tree.
///
/// # Errors
/// [`FormFault`] for names that two readers could take differently.
pub(super) fn nest(pairs: Vec<(String, String)>) -> Result<Value, FormFault> {
    let mut root = Map::new();
    for (name, value) in pairs {
        let shown = || name.chars().take(64).collect::<String>();
        if asks_for_another_method(&name) {
            return Err(FormFault::Override(shown()));
        }
        if name.eq_ignore_ascii_case(CHARSET) {
            return Err(FormFault::Charset);
        }
        let parts: Vec<&str> = name.split('.').collect();
        if parts.len() > MOST_LEVELS || parts.iter().any(|part| part.is_empty()) {
            return Err(FormFault::Name(shown()));
        }
        put(&mut root, &parts, value).ok_or_else(|| FormFault::Duplicate(shown()))?;
    }
    Ok(Value::Object(root))
}

fn put(into: &mut Map<String, Value>, parts: &[&str], value: String) -> Option<()> {
    let (name, rest) = parts.split_first()?;
    if rest.is_empty() {
        return into.insert((*name).to_owned(), Value::String(value)).is_none().then_some(());
    }
    let inner = into.entry(*name).or_insert_with(|| Value::Object(Map::new()));
    put(inner.as_object_mut()?, rest, value)
}

/// A judged tree as pairs, in the order of their names.
pub(super) fn flatten(tree: &Value) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    gather("", tree, &mut pairs);
    pairs
}

/// As deep as a name, which is capped.
fn gather(name: &str, tree: &Value, pairs: &mut Vec<(String, String)>) {
    match tree {
        Value::Object(members) => {
            for (member, value) in members {
                let name =
                    if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                gather(&name, value, pairs);
            }
        }
        Value::String(text) => pairs.push((name.to_owned(), text.clone())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
    }
}

/// Pairs in the one encoding in which they are forwarded.
pub(super) fn written(pairs: &[(String, String)]) -> String {
    let mut form = String::new();
    for (name, value) in pairs {
        if !form.is_empty() {
            form.push('&');
        }
        encode(name, &mut form);
        form.push('=');
        encode(value, &mut form);
    }
    form
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Result<Value, FormFault> {
        nest(pairs(body.as_bytes())?)
    }

    #[test]
    fn a_form_is_a_tree_and_a_tree_is_a_form_in_one_encoding() {
        let tree = read("name=%e5%bc%a0+a&address.city=x%3Dy&note=").unwrap();
        let wanted = serde_json::json!({"name": "张 a", "address": {"city": "x=y"}, "note": ""});
        assert_eq!(tree, wanted);
        let form = written(&flatten(&tree));
        assert_eq!(form, "address.city=x%3Dy&name=%E5%BC%A0%20a&note=");
        assert_eq!(read("").unwrap(), serde_json::json!({}));
    }

    #[test]
    fn what_two_readers_could_take_differently_is_refused() {
        for body in ["name", "name=%", "name=%4", "name=%zz", "name=张", "&", "name=1&", "name=1;a"]
        {
            let is_refused = matches!(read(body), Err(FormFault::Malformed));
            assert!(is_refused || body.contains(';'), "{body}");
        }
        for body in ["name=%00", "name=%ff", "%c0%af=1"] {
            assert_eq!(read(body), Err(FormFault::NotText), "{body}");
        }
        for body in ["a=1&a=2", "a=1&%61=2", "a=1&a.b=2", "a.b=1&a=2", "a.b=1&a.b=1"] {
            assert!(matches!(read(body), Err(FormFault::Duplicate(_))), "{body}");
        }
        for body in ["=1", ".a=1", "a.=1", "a..b=1"] {
            assert!(matches!(read(body), Err(FormFault::Name(_))), "{body}");
        }
        assert_eq!(read("a=1&_charset_=gbk"), Err(FormFault::Charset));
        assert!(matches!(read("_Method=DELETE"), Err(FormFault::Override(_))));
        assert_eq!(read(&"a=1&".repeat(1001)), Err(FormFault::TooMany));
    }

    proptest! {
        #[test]
        fn a_form_reads_back_the_same(a: String, b: String) {
            prop_assume!(!a.contains('\0') && !b.contains('\0'));
            let pairs = vec![("a.b".to_owned(), a), ("c".to_owned(), b)];
            let form = written(&pairs);
            prop_assert_eq!(flatten(&read(&form).unwrap()), pairs);
        }
    }
}
