//! `tenant: shop`: a file that makes the policy stricter for callers of one tenant. Its keys are those by which nothing
//! can be loosened; every other one is a fault.

use std::collections::BTreeMap;

use super::super::model::{Model, Requirement};
use super::super::stricter::{Stricter, Where};
use super::Sections;
use super::requirement::requirement;
use super::routes::route_named;
use super::{limits, retention, rules};
use crate::document::{Code, Content, Node, Pair, Reader, Source, Span, cut};

const KEYS: [&str; 9] =
    ["tenant", "rules", "limits", "require", "routes", "grades", "retention", "tests", "fixtures"];
const TENANT: &str = "tenant";
/// What the name of a file begins with that must be a tenant's.
const PREFIX: &str = "tenant-";
/// The most tenants with a file: each is compared and spelt out by itself.
const TENANT_LIMIT: usize = 100;
/// The longest name of a tenant, in characters.
const NAME_LIMIT: usize = 255;

/// Whether a file is a tenant's.
pub(super) fn is_of_one(tree: &Node) -> bool {
    matches!(&tree.content, Content::Map(pairs) if pairs.iter().any(|pair| pair.key == TENANT))
}

pub(super) fn read(
    sections: &Sections<'_>,
    sources: &[Source],
    reader: &mut Reader<'_>,
    model: &mut Model,
) {
    let known = model.rules.iter().map(|rule| (rule.name.to_string(), rule.span));
    let mut names: rules::Names = known.collect();
    let mut kept = BTreeMap::new();
    for tree in &sections.of_tenants {
        let keys = reader.keys(tree, "a tenant's file, which only makes stricter", &KEYS);
        let Some(name) = keys.find(TENANT).and_then(|pair| name(reader, pair, model)) else {
            continue;
        };
        let (reader, model) = (&mut *reader, &mut *model);
        let (names, kept) = (&mut names, &mut kept);
        let mut file = File { reader, model, names, kept, tenant: name };
        for pair in &keys.pairs {
            file.section(pair);
        }
    }
    rules::cover(model);
    check_file_names(sections, sources, reader);
}

/// Takes the name of a tenant.
fn name<'t>(reader: &mut Reader<'_>, pair: &'t Pair, model: &mut Model) -> Option<&'t str> {
    let name = reader.text(&pair.value, "`tenant`")?;
    let is_name = !name.is_empty()
        && name.chars().count() <= NAME_LIMIT
        && !name.chars().any(|c| c.is_control() || c == '@');
    if !is_name {
        let message = format!("`{}` is no name of a tenant", cut(name));
        reader.fault(pair.value.span, Code::WrongValue, message, None);
        return None;
    }
    if let Err(at) = model.tenant_files.binary_search_by(|known| (**known).cmp(name)) {
        if model.tenant_files.len() >= TENANT_LIMIT {
            let message = format!("at most {TENANT_LIMIT} tenants may have a file of their own");
            reader.fault(pair.value.span, Code::TooLarge, message, None);
            return None;
        }
        model.tenant_files.insert(at, name.into());
    }
    Some(name)
}

/// A file whose name says that it is a tenant's, and which could otherwise say anything.
fn check_file_names(sections: &Sections<'_>, sources: &[Source], reader: &mut Reader<'_>) {
    for (index, source) in sources.iter().enumerate() {
        let file = source.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let Some(tenant) = stem.strip_prefix(PREFIX) else { continue };
        let is_its_own = |tree: &&&Node| tree.span.source == index && says(tree, tenant);
        if sections.of_tenants.iter().find(is_its_own).is_none() {
            let message = format!("a file of this name must say `tenant: {}`", cut(tenant));
            let help = "whoever may write a tenant's file writes nothing else; give other files another name";
            let start = Span { source: index, start: 0, end: 0 };
            reader.fault(start, Code::Contradiction, message, Some(help.to_owned()));
        }
    }
}

fn says(tree: &Node, tenant: &str) -> bool {
    let Content::Map(pairs) = &tree.content else { return false };
    let found = pairs.iter().find(|pair| pair.key == TENANT);
    found
        .is_some_and(|pair| matches!(&pair.value.content, Content::Text(name) if **name == *tenant))
}

struct File<'a, 'r, 't> {
    reader: &'a mut Reader<'r>,
    model: &'a mut Model,
    names: &'a mut rules::Names,
    /// Where each tenant says how long its entries are kept.
    kept: &'a mut BTreeMap<String, Span>,
    tenant: &'t str,
}

impl File<'_, '_, '_> {
    fn section(&mut self, pair: &Pair) {
        match pair.key.as_str() {
            "rules" => {
                for node in self.reader.list(&pair.value, "rules") {
                    rules::read_of_tenant(self.reader, self.model, self.names, node, self.tenant);
                }
            }
            "limits" => {
                for node in self.reader.list(&pair.value, "limits") {
                    let limit = limits::read_one(self.reader, self.model, node);
                    let tenant = Some(self.tenant.into());
                    self.model.limits.extend(
                        limit.map(|limit| super::super::model::LimitRule { tenant, ..limit }),
                    );
                }
            }
            "require" => self.ask(Where::Routes, &pair.value),
            "routes" => {
                for route in self.reader.map(&pair.value, "`routes` of a tenant") {
                    let found = route_named(self.reader, self.model, &route.key, route.key_span);
                    let keys = self.reader.keys(&route.value, "a route of a tenant", &["require"]);
                    if let (Some(at), Some(pair)) = (found, keys.find("require")) {
                        self.ask(Where::Route(at), &pair.value);
                    }
                }
            }
            "grades" => {
                for grade in self.reader.map(&pair.value, "`grades` of a tenant") {
                    self.grade(grade);
                }
            }
            "retention" => self.retention(&pair.value),
            // Whom it is of, and tests, which decide nothing.
            _ => {}
        }
    }

    fn retention(&mut self, node: &Node) {
        if let Some(first) = self.kept.insert(self.tenant.to_owned(), node.span) {
            self.reader.defined_twice(node.span, "retention", first);
            return;
        }
        let own = retention::of_tenant(self.reader, node, self.model.retention);
        if let Some(own) = own {
            self.model.tenant_retention.insert(self.tenant.into(), own);
        }
    }

    fn grade(&mut self, pair: &Pair) {
        let number = pair.key.parse::<u8>().ok().filter(|number| (1..=4).contains(number));
        let Some(number) = number else {
            let known = ["1", "2", "3", "4"];
            self.reader.unknown(pair.key_span, "grade", &cut(&pair.key), &known);
            return;
        };
        self.ask(Where::Grade(number), &pair.value);
    }

    fn ask(&mut self, at: Where, node: &Node) {
        let require = requirement(self.reader, node);
        // Both need somebody else to say more, which is the platform's to ask.
        if require.grant || !require.link.is_empty() {
            let message = "a tenant's file asks for no grant and no case".to_owned();
            let help = "ask `assurance`, `fresh`, `zone` or `device`, or deny".to_owned();
            self.reader.fault(node.span, Code::Contradiction, message, Some(help));
        }
        let require = Requirement { grant: false, ..require };
        self.model.tenants.push(Stricter { tenant: self.tenant.into(), at, require });
    }
}
