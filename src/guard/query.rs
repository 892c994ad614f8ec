//! Query strings and parameters of paths: only declared ones pass, and nobody searches by what they
//! may not see.

use std::fmt;
use std::fmt::Write as _;

use super::named;
use crate::policy::search::{Parameter, SearchPlan, TooLarge, asks_for_another_method};

const LONGEST_QUERY: usize = 8 * 1024;
const MOST_PARAMETERS: usize = 64;
const SHOWN_NAME_CHARS: usize = 64;

/// A query that may be forwarded.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CheckedQuery {
    /// The query, encoded anew in one way, without the question mark.
    pub canonical: String,
    /// Parameters that search or compare a field, with the field's name: a full one of a search.
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
    /// A filter that is not written as the route says.
    #[error("query parameter `{0}` does not name a field, a comparison and a value")]
    Filter(String),
    /// A comparison of something else than a field seen in clear.
    #[error("query parameter `{0}` may only compare fields that you see in clear")]
    NotFilterable(String),
    /// A list of fields with one that the caller does not see in any form.
    #[error("query parameter `{0}` may only name fields that you see")]
    NotSeen(String),
    /// Something related that is not on the route's list.
    #[error("query parameter `{0}` names something that is not known here")]
    NotIncluded(String),
    /// A search for too little, or for a pattern.
    #[error("query parameter `{parameter}` must have at least {least} characters and no wildcard")]
    TooVague {
        /// The parameter.
        parameter: String,
        /// The fewest characters.
        least: u32,
    },
    /// Another method is asked for than the one that is judged.
    #[error("`{0}` asks for another request than the one that is judged; send that one")]
    Override(String),
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

/// The parameters of a query string, decoded as they are for a backend, in their order; none where it does not read or
/// names one twice.
#[must_use]
pub fn parameters(raw: Option<&str>) -> Option<Vec<(String, String)>> {
    let raw = raw.unwrap_or_default();
    if raw.len() > LONGEST_QUERY {
        return None;
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in raw.split('&').filter(|_| !raw.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name).ok()?, decode(value).ok()?);
        let is_twice = pairs.iter().any(|(other, _)| *other == name);
        if name.is_empty() || is_twice || pairs.len() >= MOST_PARAMETERS {
            return None;
        }
        pairs.push((name, value));
    }
    Some(pairs)
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
    if asks_for_another_method(&name) {
        return Err(QueryFault::Override(shown()));
    }
    match plan.meaning(&name) {
        None => return Err(QueryFault::Undeclared(shown())),
        Some(Parameter::Free | Parameter::Page) => {}
        Some(Parameter::Field { field, clear: false, .. }) => {
            let field = field.to_string();
            return Err(QueryFault::NotSearchable { parameter: shown(), field });
        }
        Some(Parameter::Field { field, clear: true, at_least, .. }) => {
            named::check_searched(&value, *at_least, shown)?;
            query.searched.push((name.clone(), field.to_string()));
        }
        Some(Parameter::PageSize(too_large)) => {
            value = page_size(&value, plan.page_limit, *too_large, shown)?.to_string();
        }
        Some(Parameter::Sort { clear }) => named::check_sort(&value, clear, shown)?,
        Some(Parameter::Filter { form, clear }) => {
            let fields = named::filtered((&name, &value), *form, clear, shown)?;
            query.searched.extend(fields.iter().map(|field| (name.clone(), (*field).to_owned())));
        }
        Some(Parameter::Fields { seen, always }) => {
            value = named::projected(&value, seen, always, shown)?;
        }
        Some(Parameter::Include { of }) => named::check_included(&value, of, shown)?,
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
    too_large: TooLarge,
    shown: impl Fn() -> String,
) -> Result<u32, QueryFault> {
    let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let clamps = too_large == TooLarge::Clamp && limit.is_some();
    let limit = limit.unwrap_or(u32::MAX);
    match value.parse::<u32>() {
        Ok(size) if is_plain && size > 0 && size <= limit => Ok(size),
        Ok(0) => Err(QueryFault::PageSize(shown())),
        Ok(_) | Err(_) if is_plain && clamps => Ok(limit),
        Ok(_) | Err(_) if is_plain => Err(QueryFault::PageTooLarge { parameter: shown(), limit }),
        Ok(_) | Err(_) => Err(QueryFault::PageSize(shown())),
    }
}

fn page_size_left_open(query: &CheckedQuery, plan: &SearchPlan) -> Option<(String, u32)> {
    let limit = plan.page_limit?;
    let (name, _) = plan.parameters.iter().find(|(_, p)| matches!(p, Parameter::PageSize(_)))?;
    let is_open = !query.pairs.iter().any(|(given, _)| **given == **name);
    is_open.then(|| (name.to_string(), limit))
}

/// Decodes `%XX`, and `+` as a space as forms do.
pub(super) fn decode(text: &str) -> Result<String, QueryFault> {
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
pub(super) fn encode(text: &str, into: &mut String) {
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
    use crate::policy::search::FilterForm;

    fn plan() -> SearchPlan {
        let field = |name: &str, clear| Parameter::Field {
            field: name.into(),
            clear,
            kind: None,
            at_least: None,
        };
        SearchPlan {
            path: Vec::new(),
            parameters: vec![
                ("name".into(), field("customer.name", true)),
                ("phone".into(), field("customer.phone", false)),
                ("page".into(), Parameter::Page),
                ("size".into(), Parameter::PageSize(TooLarge::Refuse)),
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

    /// A plan of parameters that name things.
    fn naming() -> SearchPlan {
        let names = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect::<Vec<_>>();
        let clear = || names(&["name", "address.city"]);
        SearchPlan {
            parameters: vec![
                ("f".into(), Parameter::Filter { form: FilterForm::Brackets, clear: clear() }),
                ("q".into(), Parameter::Filter { form: FilterForm::Colons, clear: clear() }),
                (
                    "fields".into(),
                    Parameter::Fields { seen: names(&["name", "phone"]), always: names(&["id"]) },
                ),
                ("with".into(), Parameter::Include { of: names(&["accounts", "cards"]) }),
                ("size".into(), Parameter::PageSize(TooLarge::Clamp)),
                (
                    "name".into(),
                    Parameter::Field {
                        field: "customer.name".into(),
                        clear: true,
                        kind: None,
                        at_least: Some(2),
                    },
                ),
            ],
            path: Vec::new(),
            page_limit: Some(50),
        }
    }

    #[test]
    fn a_filter_compares_only_what_is_seen_in_clear() {
        let query = check_query(
            Some("f[name]=a&f[address.city][ne]=b&q=name:eq:a:b,address.city:gt:"),
            &naming(),
        );
        let fields: Vec<String> = query.unwrap().searched.into_iter().map(|(_, f)| f).collect();
        assert_eq!(fields, ["name", "address.city", "name", "address.city"]);
        for (raw, fault) in [
            ("f[phone]=1", QueryFault::NotFilterable("f[phone]".into())),
            ("f[name ]=1", QueryFault::NotFilterable("f[name ]".into())),
            ("f[]=1", QueryFault::NotFilterable("f[]".into())),
            ("f[name]x=1", QueryFault::Filter("f[name]x".into())),
            ("f[name][like]=1", QueryFault::Filter("f[name][like]".into())),
            ("f[name][eq][x]=1", QueryFault::Filter("f[name][eq][x]".into())),
            ("f[name=1", QueryFault::Filter("f[name".into())),
            ("f=1", QueryFault::Undeclared("f".into())),
            ("q[name]=1", QueryFault::Undeclared("q[name]".into())),
            ("q=name:eq:a,phone:eq:1", QueryFault::NotFilterable("q".into())),
            ("q=name:starts:a", QueryFault::Filter("q".into())),
            ("q=name", QueryFault::Filter("q".into())),
            ("q=", QueryFault::Filter("q".into())),
        ] {
            let raw = raw.replace(' ', "%20");
            assert_eq!(check_query(Some(&raw), &naming()), Err(fault), "{raw}");
        }
    }

    #[test]
    fn a_list_of_names_holds_nothing_that_the_caller_may_not_name() {
        let canonical = |raw: &str| check_query(Some(raw), &naming()).map(|query| query.canonical);
        assert_eq!(canonical("fields=phone,name").unwrap(), "fields=phone%2Cname%2Cid");
        assert_eq!(canonical("fields=id"), Err(QueryFault::NotSeen("fields".into())));
        assert_eq!(canonical("fields=*"), Err(QueryFault::NotSeen("fields".into())));
        assert_eq!(canonical("with=cards,accounts").unwrap(), "with=cards%2Caccounts");
        assert_eq!(canonical("with=cards.owner"), Err(QueryFault::NotIncluded("with".into())));
        for (raw, size) in [("51", "50"), ("99999999999", "50"), ("7", "7")] {
            assert_eq!(canonical(&format!("size={raw}")).unwrap(), format!("size={size}"));
        }
        assert_eq!(canonical("size=0"), Err(QueryFault::PageSize("size".into())));
        for vague in ["a", "", "%20a%20", "ab%25", "a*b", "a_b"] {
            let fault = QueryFault::TooVague { parameter: "name".into(), least: 2 };
            assert_eq!(canonical(&format!("name={vague}")), Err(fault), "{vague}");
        }
        assert_eq!(canonical("name=%E5%BC%A0%E4%BC%9F").unwrap(), "name=%E5%BC%A0%E4%BC%9F");
    }

    #[test]
    fn another_method_is_refused_even_where_its_name_is_declared() {
        let plan = SearchPlan {
            parameters: vec![("_method".into(), Parameter::Free)],
            ..SearchPlan::default()
        };
        for name in ["_method", "%5fMETHOD"] {
            let refused = check_query(Some(&format!("{name}=DELETE")), &plan);
            assert!(matches!(refused, Err(QueryFault::Override(_))), "{refused:?}");
        }
    }

    #[test]
    fn parameters_read_as_they_go_to_a_backend_or_not_at_all() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parameters(None), Some(Vec::new()));
        let read = parameters(Some("b=1+2&a=%E4%BD%A0&c"));
        assert_eq!(read, Some(vec![pair("b", "1 2"), pair("a", "\u{4f60}"), pair("c", "")]));
        for wrong in ["a=1&a=2", "a=1&%61=2", "=1", "a=%zz", "a=1&", "a=%00"] {
            assert_eq!(parameters(Some(wrong)), None, "{wrong}");
        }
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
