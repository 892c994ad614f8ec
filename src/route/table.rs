//! All routes in one look-up: by host, then segment by segment, so that its cost does not grow with
//! the number of routes.

use std::collections::HashMap;

use super::host::normalise_host;
use super::path::Path;
use super::template::{Segment, Template};

/// One published entry point.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The zones it exists in; none means all.
    pub zones: Vec<Box<str>>,
    /// The host, as [`normalise_host`] gives it.
    pub host: String,
    /// The method, in capitals.
    pub method: String,
    /// The path.
    pub template: Template,
}

/// Two entries that one request could meet, by their positions in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguity {
    /// The entry that stands first.
    pub first: usize,
    /// The entry that stands later.
    pub second: usize,
}

/// The entry that a request met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its position in the list the table was built from.
    pub index: usize,
    /// The path's parameters, decoded, in the path's order.
    pub parameters: Vec<(String, String)>,
}

/// Entries arranged for look-up.
#[derive(Clone, Debug, Default)]
pub struct Table {
    hosts: HashMap<String, Branch>,
}

#[derive(Clone, Debug, Default)]
struct Branch {
    literals: HashMap<Box<str>, Branch>,
    parameter: Option<Box<Branch>>,
    leaves: Vec<Leaf>,
}

#[derive(Clone, Debug)]
struct Leaf {
    index: usize,
    zones: Vec<Box<str>>,
    method: String,
    trailing_slash: bool,
    names: Vec<Box<str>>,
}

impl Leaf {
    fn exists_in(&self, zone: &str) -> bool {
        self.zones.is_empty() || self.zones.iter().any(|z| z.as_ref() == zone)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.method == other.method
            && self.trailing_slash == other.trailing_slash
            && (self.zones.is_empty()
                || other.zones.is_empty()
                || self.zones.iter().any(|zone| other.zones.contains(zone)))
    }
}

impl Table {
    /// Arranges the entries.
    ///
    /// # Errors
    /// Every pair of entries that one request could meet.
    pub fn build(entries: &[Entry]) -> Result<Self, Vec<Ambiguity>> {
        let mut table = Self::default();
        let mut ambiguities = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let leaves = table.leaves(entry);
            let leaf = Leaf {
                index,
                zones: entry.zones.clone(),
                method: entry.method.clone(),
                trailing_slash: entry.template.trailing_slash,
                names: entry.template.parameters().map(Into::into).collect(),
            };
            let met = leaves.iter().find(|other| other.overlaps(&leaf));
            ambiguities.extend(met.map(|other| Ambiguity { first: other.index, second: index }));
            leaves.push(leaf);
        }
        if ambiguities.is_empty() { Ok(table) } else { Err(ambiguities) }
    }

    fn leaves(&mut self, entry: &Entry) -> &mut Vec<Leaf> {
        let mut branch = self.hosts.entry(entry.host.clone()).or_default();
        for segment in &entry.template.segments {
            branch = match segment {
                Segment::Literal(text) => branch.literals.entry(text.clone()).or_default(),
                Segment::Parameter(_) => branch.parameter.get_or_insert_default(),
            };
        }
        &mut branch.leaves
    }

    /// The entry that a request meets.
    ///
    /// A literal beats a parameter, leftmost first, and it does so before zone and method are
    /// compared: a path that is published for others never falls through to a parameter.
    #[must_use]
    pub fn find(&self, zone: &str, host: &str, method: &str, path: &Path) -> Option<Match> {
        let branch = self.hosts.get(&normalise_host(host)?)?;
        let mut values = Vec::new();
        let leaves = descend(branch, path.segments(), path.has_trailing_slash(), &mut values)?;
        let leaf = leaves.iter().find(|leaf| {
            leaf.trailing_slash == path.has_trailing_slash()
                && leaf.method == method
                && leaf.exists_in(zone)
        })?;
        let names = leaf.names.iter().map(|name| name.to_string());
        Some(Match { index: leaf.index, parameters: names.zip(values).collect() })
    }
}

/// Visits each branch at most once; as deep as the path has segments, which is capped.
fn descend<'t>(
    branch: &'t Branch,
    segments: &[String],
    trailing_slash: bool,
    values: &mut Vec<String>,
) -> Option<&'t [Leaf]> {
    let Some((first, rest)) = segments.split_first() else {
        let published = branch.leaves.iter().any(|leaf| leaf.trailing_slash == trailing_slash);
        return published.then_some(branch.leaves.as_slice());
    };
    if let Some(literal) = branch.literals.get(first.as_str())
        && let Some(leaves) = descend(literal, rest, trailing_slash, values)
    {
        return Some(leaves);
    }
    let parameter = branch.parameter.as_deref()?;
    values.push(first.clone());
    let leaves = descend(parameter, rest, trailing_slash, values);
    if leaves.is_none() {
        values.pop();
    }
    leaves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(zones: &[&str], method: &str, path: &str) -> Entry {
        Entry {
            zones: zones.iter().map(|zone| (*zone).into()).collect(),
            host: "bank.example".to_owned(),
            method: method.to_owned(),
            template: Template::parse(path).unwrap(),
        }
    }

    fn find(table: &Table, zone: &str, method: &str, path: &str) -> Option<(usize, Vec<String>)> {
        let found = table.find(zone, "Bank.Example:443", method, &Path::parse(path).unwrap())?;
        Some((found.index, found.parameters.into_iter().map(|(n, v)| format!("{n}={v}")).collect()))
    }

    #[test]
    fn a_literal_beats_a_parameter() {
        let entries = [entry(&[], "GET", "/c/{id}"), entry(&[], "GET", "/c/export")];
        let table = Table::build(&entries).unwrap();
        assert_eq!(find(&table, "z", "GET", "/c/export"), Some((1, vec![])));
        assert_eq!(find(&table, "z", "GET", "/c/42"), Some((0, vec!["id=42".to_owned()])));
        assert_eq!(find(&table, "z", "POST", "/c/42"), None);
        assert_eq!(find(&table, "z", "GET", "/c/42/"), None);
        assert_eq!(find(&table, "z", "GET", "/c"), None);
    }

    #[test]
    fn a_literal_published_for_others_does_not_fall_through_to_a_parameter() {
        let entries = [
            entry(&[], "GET", "/c/{id}"),
            entry(&["business"], "GET", "/c/export"),
            entry(&[], "DELETE", "/c/{id}"),
        ];
        let table = Table::build(&entries).unwrap();
        assert_eq!(find(&table, "public", "GET", "/c/export"), None);
        assert_eq!(find(&table, "public", "DELETE", "/c/export"), None);
        assert_eq!(find(&table, "business", "GET", "/c/export"), Some((1, vec![])));
    }

    #[test]
    fn a_literal_that_leads_nowhere_gives_way_to_a_parameter() {
        let entries = [entry(&[], "GET", "/a/b/c"), entry(&[], "GET", "/a/{x}/{y}")];
        let table = Table::build(&entries).unwrap();
        let met = find(&table, "z", "GET", "/a/b/d");
        assert_eq!(met, Some((1, vec!["x=b".to_owned(), "y=d".to_owned()])));
    }

    #[test]
    fn two_routes_for_one_request_are_reported() {
        let entries = [
            entry(&["a"], "GET", "/c/{id}"),
            entry(&["b"], "GET", "/c/{key}"),
            entry(&[], "GET", "/c/{other}"),
        ];
        assert_eq!(Table::build(&entries[..2]).map(|_| ()), Ok(()));
        let ambiguity = Ambiguity { first: 0, second: 2 };
        assert_eq!(Table::build(&entries).map(|_| ()), Err(vec![ambiguity]));
    }

    #[test]
    fn an_unlisted_host_meets_nothing() {
        let table = Table::build(&[entry(&[], "GET", "/")]).unwrap();
        let root = Path::parse("/").unwrap();
        assert!(table.find("z", "bank.example", "GET", &root).is_some());
        assert!(table.find("z", "Bank.Example:8443", "GET", &root).is_some());
        assert!(table.find("z", "other.example", "GET", &root).is_none());
    }
}
