//! Query strings and parameters of paths: only declared ones pass, and nobody searches by what they
//! may not see.

use std::fmt;
use std::fmt::Write as _;

use crate::policy::search::{Parameter, SearchPlan};

const LONGEST_QUERY: usize = 8 * 1024;
const MOST_PARAMETERS: usize = 64;
const MOST_SORT_NAMES: usize = 8;
const SHOWN_NAME_CHARS: usize = 64;

/// A query that may be forwarded.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CheckedQuery {
    /// The query, encoded anew in one way, without the question mark.
    pub canonical: String,
    /// Parameters that search a field, with the field's full name.
    pub searched: Vec<(String, String)>,
    /// All parameters and their values, decoded, in order.
    pub pairs: Vec<(String, String)>,
    /// Where the page size is limited but was not asked for: the parameter and the limit.
    pub page_size_left_open: Option<(String, u32)>,
}

impl fmt::Debug for CheckedQuery {
    /// Shows no value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

/// Why a query is refused. Names of parameters are as sent, cut to 64 characters; values are not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryFault {
    /// Too long.
    #[error("the query is longer than {LONGEST_QUERY} bytes")]
    TooLong,
    /// Too many parameters.
    #[error("the query has more than {MOST_PARAMETERS} parameters")]
    TooMany,
    /// A percent sign without two hexadecimal digits, a byte that is not ASCII, or an empty parameter.
    #[error("the query is malformed")]
    Malformed,
    /// It decodes to something that is not UTF-8, or holds a zero byte.
    #[error("the query does not decode to text")]
    NotText,
    /// A parameter that the route does not declare.
    #[error("query parameter `{0}` is not known here")]
    Undeclared(String),
    /// A parameter that stands there twice.
    #[error("query parameter `{0}` is given twice")]
    Duplicate(String),
    /// A search by a field that the caller does not see in clear.
    #[error("parameter `{parameter}` searches `{field}`, which you do not see in clear")]
    NotSearchable {
        /// The parameter; one of the path stands in braces.
        parameter: String,
        /// The field's full name.
        field: String,
    },
    /// Sorting by something else than a field seen in clear.
    #[error("query parameter `{0}` may only name fields that you see in clear")]
    NotSortable(String),
    /// A page size that is no number, or zero.
    #[error("query parameter `{0}` must be a whole number from 1 up")]
    PageSize(String),
    /// A page size above the limit.
    #[error("query parameter `{parameter}` must be at most {limit}")]
    PageTooLarge {
        /// The parameter.
        parameter: String,
        /// The largest page.
        limit: u32,
    },
}

/// Checks a query string as it stands in a request, without the question mark.
///
/// # Errors
/// A [`QueryFault`] for the first parameter that may not pass.
pub fn check_query(raw: Option<&str>, plan: &SearchPlan) -> Result<CheckedQuery, QueryFault> {
    let raw = raw.unwrap_or_default();
    if raw.len() > LONGEST_QUERY {
        return Err(QueryFault::TooLong);
    }
    let mut query = CheckedQuery::default();
    if !raw.is_empty() {
        for (count, pair) in raw.split('&').enumerate() {
            if count >= MOST_PARAMETERS {
                return Err(QueryFault::TooMany);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            add(&mut query, plan, decode(name)?, decode(value)?)?;
        }
    }
    query.page_size_left_open = page_size_left_open(&query, plan);
    Ok(query)
}

/// Checks the parameters of a request's path: who searches by a field sees it in clear.
///
/// # Errors
/// [`QueryFault::NotSearchable`] for the first one that this caller may not search by.
pub fn check_path(plan: &SearchPlan) -> Result<(), QueryFault> {
    let refused = plan.path.iter().find(|parameter| !parameter.clear);
    refused.map_or(Ok(()), |parameter| {
        Err(QueryFault::NotSearchable {
            parameter: format!("{{{}}}", parameter.name),
            field: parameter.field.to_string(),
        })
    })
}

fn add(
    query: &mut CheckedQuery,
    plan: &SearchPlan,
    name: String,
    mut value: String,
) -> Result<(), QueryFault> {
    if name.is_empty() {
        return Err(QueryFault::Malformed);
    }
    let shown = || name.chars().take(SHOWN_NAME_CHARS).collect::<String>();
    if query.pairs.iter().any(|(other, _)| *other == name) {
        return Err(QueryFault::Duplicate(shown()));
    }
    match plan.parameters.iter().find(|(declared, _)| **declared == *name) {
        None => return Err(QueryFault::Undeclared(shown())),
        Some((_, Parameter::Free | Parameter::Page)) => {}
        Some((_, Parameter::Field { field, clear: false, .. })) => {
            let field = field.to_string();
            return Err(QueryFault::NotSearchable { parameter: shown(), field });
        }
        Some((_, Parameter::Field { field, clear: true, .. })) => {
            query.searched.push((name.clone(), field.to_string()));
        }
        Some((_, Parameter::PageSize)) => {
            value = page_size(&value, plan.page_limit, shown)?.to_string();
        }
        Some((_, Parameter::Sort { clear })) => check_sort(&value, clear, shown)?,
    }
    if !query.canonical.is_empty() {
        query.canonical.push('&');
    }
    encode(&name, &mut query.canonical);
    query.canonical.push('=');
    encode(&value, &mut query.canonical);
    query.pairs.push((name, value));
    Ok(())
}

/// A whole number in plain digits, so that no backend reads another one.
fn page_size(
    value: &str,
    limit: Option<u32>,
    shown: impl Fn() -> String,
) -> Result<u32, QueryFault> {
    let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let limit = limit.unwrap_or(u32::MAX);
    match value.parse::<u32>() {
        Ok(size) if is_plain && size > 0 && size <= limit => Ok(size),
        Ok(0) => Err(QueryFault::PageSize(shown())),
        Ok(_) | Err(_) if is_plain => Err(QueryFault::PageTooLarge { parameter: shown(), limit }),
        Ok(_) | Err(_) => Err(QueryFault::PageSize(shown())),
    }
}

/// `name`, `-name`, or several of them with commas between.
fn check_sort(
    value: &str,
    clear: &[Box<str>],
    shown: impl Fn() -> String,
) -> Result<(), QueryFault> {
    let is_clear = |name: &str| {
        let name = name.strip_prefix('-').unwrap_or(name);
        clear.iter().any(|field| **field == *name)
    };
    let count = value.split(',').count();
    if count <= MOST_SORT_NAMES && value.split(',').all(is_clear) {
        Ok(())
    } else {
        Err(QueryFault::NotSortable(shown()))
    }
}

fn page_size_left_open(query: &CheckedQuery, plan: &SearchPlan) -> Option<(String, u32)> {
    let limit = plan.page_limit?;
    let (name, _) = plan.parameters.iter().find(|(_, p)| *p == Parameter::PageSize)?;
    let is_open = !query.pairs.iter().any(|(given, _)| **given == **name);
    is_open.then(|| (name.to_string(), limit))
}

/// Decodes `%XX`, and `+` as a space as forms do.
fn decode(text: &str) -> Result<String, QueryFault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit(), digit());
                let value =
                    high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                value.ok_or(QueryFault::Malformed)?
            }
            b'+' => b' ',
            b'!'..=b'~' => byte,
            _ => return Err(QueryFault::Malformed),
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) | Err(_) => Err(QueryFault::NotText),
    }
}

/// Encodes all but the unreserved characters (RFC 3986).
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            write!(into, "%{byte:02X}").ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::PathParameter;

    fn plan() -> SearchPlan {
        let field = |name: &str, clear| Parameter::Field { field: name.into(), clear, kind: None };
        SearchPlan {
            path: Vec::new(),
            parameters: vec![
                ("name".into(), field("customer.name", true)),
                ("phone".into(), field("customer.phone", false)),
                ("page".into(), Parameter::Page),
                ("size".into(), Parameter::PageSize),
                ("sort".into(), Parameter::Sort { clear: vec!["name".into(), "city".into()] }),
                ("lang".into(), Parameter::Free),
            ],
            page_limit: Some(50),
        }
    }

    fn fault(raw: &str) -> QueryFault {
        check_query(Some(raw), &plan()).unwrap_err()
    }

    #[test]
    fn a_parameter_of_the_path_searches_only_what_is_seen_in_clear() {
        let searching = |name: &str, clear| PathParameter {
            name: name.into(),
            field: format!("customer.{name}").into(),
            clear,
        };
        let mut plan = SearchPlan { path: vec![searching("email", true)], ..plan() };
        assert_eq!(check_path(&plan), Ok(()));
        plan.path.push(searching("phone", false));
        let refused = check_path(&plan).unwrap_err();
        let (parameter, field) = ("{phone}".to_owned(), "customer.phone".to_owned());
        assert_eq!(refused, QueryFault::NotSearchable { parameter, field });
    }

    #[test]
    fn declared_parameters_pass_in_one_encoding() {
        let query = check_query(
            Some("name=%e5%bc%a0+a%2Bb;c&page=2&size=050&sort=-name,city&lang"),
            &plan(),
        )
        .unwrap();
        assert_eq!(
            query.canonical,
            "name=%E5%BC%A0%20a%2Bb%3Bc&page=2&size=50&sort=-name%2Ccity&lang="
        );
        assert_eq!(query.searched, [("name".to_owned(), "customer.name".to_owned())]);
        assert_eq!(query.pairs[0].1, "张 a+b;c");
        assert_eq!(query.page_size_left_open, None);
        for empty in [None, Some("")] {
            let query = check_query(empty, &plan()).unwrap();
            assert_eq!(query.canonical, "");
            assert_eq!(query.page_size_left_open, Some(("size".to_owned(), 50)));
        }
    }

    #[test]
    fn who_does_not_see_a_field_cannot_search_or_sort_by_it() {
        let not_searchable =
            QueryFault::NotSearchable { parameter: "phone".into(), field: "customer.phone".into() };
        assert_eq!(fault("phone=138"), not_searchable);
        assert_eq!(fault("%70hone="), not_searchable);
        for value in
            ["phone", "-phone", "name,phone", "--name", "+name", "", "name,", "NAME", "name%20desc"]
        {
            assert_eq!(
                fault(&format!("sort={value}")),
                QueryFault::NotSortable("sort".into()),
                "{value}"
            );
        }
    }

    #[test]
    fn anything_undeclared_doubled_or_malformed_is_refused() {
        assert_eq!(fault("x=1"), QueryFault::Undeclared("x".into()));
        assert_eq!(fault("Name=1"), QueryFault::Undeclared("Name".into()));
        assert_eq!(fault("name[]=1"), QueryFault::Undeclared("name[]".into()));
        assert_eq!(fault("name=1&n%61me=2"), QueryFault::Duplicate("name".into()));
        for raw in [
            "name=%", "name=%4", "name=%zz", "name=%+1", "&", "name=1&", "=1", "name=张",
            "name=a b",
        ] {
            assert_eq!(fault(raw), QueryFault::Malformed, "{raw}");
        }
        for raw in ["name=%00", "name=%ff", "name=%c0%af", "%ed%a0%80=1"] {
            assert_eq!(fault(raw), QueryFault::NotText, "{raw}");
        }
        assert_eq!(fault(&format!("name={}", "a".repeat(8192))), QueryFault::TooLong);
        assert_eq!(fault(&format!("name=1{}", "&".repeat(64))), QueryFault::Malformed);
    }

    #[test]
    fn a_page_is_at_most_as_large_as_allowed() {
        for value in ["0", "-1", "1.5", "", "%2B5", "1e1", "five", "５", "0x10", " 5"] {
            let raw = format!("size={}", value.replace(' ', "+").replace('５', "%EF%BC%95"));
            assert_eq!(fault(&raw), QueryFault::PageSize("size".into()), "{value}");
        }
        for value in ["51", "4294967296", "99999999999999999999"] {
            let too_large = QueryFault::PageTooLarge { parameter: "size".into(), limit: 50 };
            assert_eq!(fault(&format!("size={value}")), too_large);
        }
        assert!(check_query(Some("size=50"), &plan()).is_ok());
    }

    #[test]
    fn no_value_is_told_by_debug() {
        let query = check_query(Some("name=Alice"), &plan()).unwrap();
        assert!(!format!("{query:?}").contains("Alice"));
    }

    proptest! {
        #[test]
        fn a_canonical_query_reads_back_the_same(name: String, page: String) {
            let plan = plan();
            prop_assume!(!name.contains('\0') && !page.contains('\0'));
            let mut raw = String::from("name=");
            encode(&name, &mut raw);
            raw.push_str("&page=");
            encode(&page, &mut raw);
            prop_assume!(raw.len() <= LONGEST_QUERY);
            let query = check_query(Some(&raw), &plan).unwrap();
            prop_assert_eq!(&query.pairs[0].1, &name);
            prop_assert_eq!(&query.canonical, &raw);
        }

        #[test]
        fn no_query_panics_or_passes_what_is_not_declared(raw: String) {
            if let Ok(query) = check_query(Some(&raw), &plan()) {
                for (name, _) in &query.pairs {
                    prop_assert!(matches!(&**name, "name" | "page" | "size" | "sort" | "lang"));
                }
            }
        }
    }
}
