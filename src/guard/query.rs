//! Judges a query string: declared parameters only, each once, and a search only on what the caller
//! sees in clear, because an answer tells whether a value matched.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::policy::search::{Parameter, SearchPlan};

const QUERY_LIMIT_BYTES: usize = 8 * 1024;
const PARAMETER_LIMIT: usize = 64;
/// Unreserved characters (RFC 3986) stand for themselves; everything else is encoded anew.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A query that may be forwarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedQuery {
    /// The query as it goes on: re-encoded, without the question mark; empty if there is none.
    pub canonical: String,
    /// Parameters and their values, decoded, in their order.
    pub pairs: Vec<(String, String)>,
    /// Which of them search or sort by which field.
    pub searched: Vec<(String, String)>,
}

/// Why a query is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("query parameter `{parameter}` {cause}")]
pub struct QueryFault {
    /// The parameter as sent, cut to 64 characters.
    pub parameter: String,
    /// What is wrong with it.
    pub cause: QueryCause,
}

/// What is wrong with a query parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryCause {
    /// The route does not declare it.
    #[error("is not one of this route's; accepted: {accepted}")]
    Undeclared {
        /// The declared ones.
        accepted: String,
    },
    /// It stands twice, and two readers could choose differently.
    #[error("may stand only once")]
    Repeated,
    /// It searches or sorts by a field that the caller does not see in clear.
    #[error("searches by a field that you do not see in clear")]
    NotSearchable,
    /// It is not percent-encoded UTF-8, or holds a control character.
    #[error("is not percent-encoded text")]
    Malformed,
    /// A page size that is no whole number from 1 to the limit.
    #[error("must be a whole number from 1 to {most}")]
    PageSize {
        /// The largest page.
        most: u32,
    },
    /// The query is too long or has too many parameters.
    #[error(
        "makes the query too long; at most {PARAMETER_LIMIT} parameters and {QUERY_LIMIT_BYTES} bytes"
    )]
    TooLong,
}

/// Judges a query, given without its question mark.
///
/// # Errors
/// [`QueryFault`] for the first parameter that may not be forwarded.
pub fn check_query(raw: Option<&str>, plan: &SearchPlan) -> Result<CheckedQuery, QueryFault> {
    let raw = raw.unwrap_or_default();
    let mut checked = CheckedQuery::default();
    if raw.is_empty() {
        return Ok(checked);
    }
    if raw.len() > QUERY_LIMIT_BYTES || raw.split('&').count() > PARAMETER_LIMIT {
        return Err(fault("", QueryCause::TooLong));
    }
    for pair in raw.split('&') {
        let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(raw_name).ok_or_else(|| fault(raw_name, QueryCause::Malformed))?;
        let value = decoded(raw_value).ok_or_else(|| fault(raw_name, QueryCause::Malformed))?;
        if checked.pairs.iter().any(|(other, _)| *other == name) {
            return Err(fault(&name, QueryCause::Repeated));
        }
        let searched = meaning(&name, &value, plan).map_err(|cause| fault(&name, cause))?;
        if let Some(field) = searched {
            checked.searched.push((name.clone(), field));
        }
        checked.append(&name, &value);
        checked.pairs.push((name, value));
    }
    Ok(checked)
}

impl CheckedQuery {
    fn append(&mut self, name: &str, value: &str) {
        if !self.canonical.is_empty() {
            self.canonical.push('&');
        }
        self.canonical.extend(utf8_percent_encode(name, ENCODED));
        self.canonical.push('=');
        self.canonical.extend(utf8_percent_encode(value, ENCODED));
    }
}

/// The field that a parameter searches or sorts by, if it may.
fn meaning(name: &str, value: &str, plan: &SearchPlan) -> Result<Option<String>, QueryCause> {
    let declared = plan.parameters.iter().find(|(known, _)| known.as_ref() == name);
    let Some((_, parameter)) = declared else {
        let names: Vec<&str> = plan.parameters.iter().map(|(name, _)| name.as_ref()).collect();
        let accepted = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(QueryCause::Undeclared { accepted });
    };
    match parameter {
        Parameter::Field { field, clear: true, .. } => Ok(Some(field.to_string())),
        Parameter::Field { clear: false, .. } => Err(QueryCause::NotSearchable),
        Parameter::Page | Parameter::Free => Ok(None),
        Parameter::PageSize => {
            let most = plan.page_limit.unwrap_or(u32::MAX);
            let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            let size = value.parse::<u32>().ok().filter(|_| is_number);
            size.filter(|n| (1..=most).contains(n)).ok_or(QueryCause::PageSize { most })?;
            Ok(None)
        }
        Parameter::Sort { clear } => {
            let field = value.strip_prefix('-').unwrap_or(value);
            let known = clear.iter().find(|known| known.as_ref() == field);
            known.map(|field| Some(field.to_string())).ok_or(QueryCause::NotSearchable)
        }
    }
}

fn decoded(raw: &str) -> Option<String> {
    let bytes = raw.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let escape = bytes.get(at + 1..at + 3);
        let is_escape = escape.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        if !byte.is_ascii_graphic() || (*byte == b'%' && !is_escape) {
            return None;
        }
    }
    let spaced = raw.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8().ok()?;
    (!text.chars().any(char::is_control)).then(|| text.into_owned())
}

fn fault(parameter: &str, cause: QueryCause) -> QueryFault {
    let parameter = parameter.chars().filter(|c| !c.is_control()).take(64).collect();
    QueryFault { parameter, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> SearchPlan {
        let field = |name: &str, clear| Parameter::Field { field: name.into(), clear, kind: None };
        SearchPlan {
            parameters: vec![
                ("name".into(), field("customer.name", true)),
                ("phone".into(), field("customer.phone", false)),
                ("page".into(), Parameter::Page),
                ("per_page".into(), Parameter::PageSize),
                ("sort".into(), Parameter::Sort { clear: vec!["name".into()] }),
            ],
            page_limit: Some(20),
        }
    }

    fn cause(raw: &str) -> QueryCause {
        check_query(Some(raw), &plan()).unwrap_err().cause
    }

    #[test]
    fn what_is_judged_is_what_goes_on() {
        let checked = check_query(Some("name=%e7%8e%8b+x&page=2&sort=-name"), &plan()).unwrap();
        assert_eq!(checked.canonical, "name=%E7%8E%8B%20x&page=2&sort=-name");
        assert_eq!(checked.searched[0], ("name".to_owned(), "customer.name".to_owned()));
        assert_eq!(check_query(None, &plan()).unwrap(), CheckedQuery::default());
    }

    #[test]
    fn undeclared_and_repeated_parameters_are_refused() {
        assert!(matches!(cause("debug=1"), QueryCause::Undeclared { .. }));
        assert!(matches!(cause("Name=x"), QueryCause::Undeclared { .. }));
        assert_eq!(cause("name=a&name=b"), QueryCause::Repeated);
        assert_eq!(cause("name=a&n%61me=b"), QueryCause::Repeated);
        assert!(matches!(cause("name=a&"), QueryCause::Undeclared { .. }));
    }

    #[test]
    fn a_masked_field_can_be_neither_searched_nor_sorted_by() {
        assert_eq!(cause("phone=138"), QueryCause::NotSearchable);
        assert_eq!(cause("sort=phone"), QueryCause::NotSearchable);
        assert_eq!(cause("sort=-phone"), QueryCause::NotSearchable);
    }

    #[test]
    fn a_page_is_no_larger_than_the_limit() {
        assert!(check_query(Some("per_page=20"), &plan()).is_ok());
        for odd in ["21", "0", "-1", "+5", "1e1", "", "99999999999999999999"] {
            let raw = format!("per_page={odd}");
            assert_eq!(cause(&raw), QueryCause::PageSize { most: 20 }, "{odd}");
        }
    }

    #[test]
    fn odd_encodings_are_refused() {
        for odd in ["name=%zz", "name=%e7", "name=%00", "name=a%0ab", "name=\u{e9}", "name=%"] {
            assert_eq!(cause(odd), QueryCause::Malformed, "{odd}");
        }
        assert_eq!(cause(&"name=x&".repeat(65)), QueryCause::TooLong);
        assert_eq!(cause(&format!("name={}", "x".repeat(9000))), QueryCause::TooLong);
    }
}
