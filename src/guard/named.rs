//! Query parameters that name fields: `sort`, `filter`, `fields`, and `include`, which names relations.
//!
//! A name is one of those that the permit lists, exactly; there are no wildcards and no prefixes.

use super::query::QueryFault;
use crate::policy::search::FilterForm;

const MOST_NAMES: usize = 32;
const MOST_SORT_NAMES: usize = 8;
/// Comparisons that read a value whole. None that matches a part of it: that would be a search by prefix.
const COMPARISONS: [&str; 10] = ["eq", "ne", "lt", "le", "lte", "gt", "ge", "gte", "in", "not"];

/// `name`, `-name`, or several of them with commas between.
pub(super) fn check_sort(
    value: &str,
    clear: &[Box<str>],
    shown: impl Fn() -> String,
) -> Result<(), QueryFault> {
    let is_clear = |name: &str| holds(clear, name.strip_prefix('-').unwrap_or(name));
    let is_fine = value.split(',').count() <= MOST_SORT_NAMES && value.split(',').all(is_clear);
    if is_fine { Ok(()) } else { Err(QueryFault::NotSortable(shown())) }
}

/// The fields that a filter compares.
pub(super) fn filtered<'a>(
    (name, value): (&'a str, &'a str),
    form: FilterForm,
    clear: &[Box<str>],
    shown: impl Fn() -> String,
) -> Result<Vec<&'a str>, QueryFault> {
    let fields = match form {
        FilterForm::Brackets => bracketed(name).map(|field| vec![field]),
        FilterForm::Colons => value.split(',').map(compared).collect(),
    };
    let fields = fields.filter(|fields: &Vec<&str>| fields.len() <= MOST_NAMES);
    let fields = fields.ok_or_else(|| QueryFault::Filter(shown()))?;
    if fields.iter().all(|field| holds(clear, field)) {
        Ok(fields)
    } else {
        Err(QueryFault::NotFilterable(shown()))
    }
}

/// The field of `filter[name]` or `filter[name][gt]`.
fn bracketed(name: &str) -> Option<&str> {
    let (_, rest) = name.split_once('[')?;
    let (field, rest) = rest.split_once(']')?;
    let comparison = match rest {
        "" => "eq",
        rest => rest.strip_prefix('[')?.strip_suffix(']')?,
    };
    COMPARISONS.contains(&comparison).then_some(field)
}

/// The field of `name:eq:value`.
fn compared(item: &str) -> Option<&str> {
    let (field, rest) = item.split_once(':')?;
    let (comparison, _value) = rest.split_once(':')?;
    COMPARISONS.contains(&comparison).then_some(field)
}

/// The names of a list of fields, and those that are asked for as well.
pub(super) fn projected(
    value: &str,
    seen: &[Box<str>],
    always: &[Box<str>],
    shown: impl Fn() -> String,
) -> Result<String, QueryFault> {
    let mut names: Vec<&str> = value.split(',').collect();
    if names.len() > MOST_NAMES || !names.iter().all(|name| holds(seen, name)) {
        return Err(QueryFault::NotSeen(shown()));
    }
    for name in always.iter().map(AsRef::as_ref) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names.join(","))
}

/// Names of a closed list.
pub(super) fn check_included(
    value: &str,
    of: &[Box<str>],
    shown: impl Fn() -> String,
) -> Result<(), QueryFault> {
    let is_fine =
        value.split(',').count() <= MOST_NAMES && value.split(',').all(|name| holds(of, name));
    if is_fine { Ok(()) } else { Err(QueryFault::NotIncluded(shown())) }
}

/// Whether a value may be searched by: long enough, and no pattern.
pub(super) fn check_searched(
    value: &str,
    at_least: Option<u32>,
    shown: impl Fn() -> String,
) -> Result<(), QueryFault> {
    let Some(least) = at_least else { return Ok(()) };
    let is_long = u32::try_from(value.trim().chars().count()).is_ok_and(|count| count >= least);
    if is_long && !value.contains(['*', '%', '?', '_']) {
        return Ok(());
    }
    Err(QueryFault::TooVague { parameter: shown(), least })
}

fn holds(names: &[Box<str>], name: &str) -> bool {
    names.iter().any(|known| **known == *name)
}
