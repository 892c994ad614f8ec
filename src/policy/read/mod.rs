//! From files to a [`Model`]: every name resolved, every fault of every file found in one run.

mod apart;
mod caps;
mod consents;
mod detect;
mod detections;
mod entities;
mod factors;
mod grants;
mod headers;
mod limits;
mod links;
mod masks;
mod opaque;
mod parameters;
mod places;
mod pseudonyms;
mod registered;
mod requirement;
mod retention;
mod roles;
mod routes;
mod rules;
mod scope;
mod sending;
mod socket;
mod tenants;
mod two_person;
mod uploads;
mod watermark;

use super::model::{Model, Purpose, Requirement};
use super::ticket::TicketForm;
use crate::document::Reader;
use crate::document::accepted;
use crate::document::{Code, Fault};
use crate::document::{Content, Node, Pair, parse};
use crate::document::{Source, Span};
pub(super) use places::is_count_name;
use requirement::requirement;
pub(super) use routes::entries;

/// What a tenant asks of its callers on every route.
const REQUIRE: &str = "require";
/// The top-level keys.
const SECTIONS: [&str; 21] = [
    // Of a tenant's file alone.
    "tenant",
    REQUIRE,
    "grades",
    "purposes",
    "entities",
    "routes",
    "roles",
    "rules",
    "limits",
    "masks",
    "pseudonyms",
    "detect",
    "two-person",
    "registered",
    "partner-level",
    "grants",
    "apart",
    "detections",
    "retention",
    // Read by who runs them; they decide nothing.
    "tests",
    "fixtures",
];
/// The keys of a purpose.
const PURPOSE_KEYS: [&str; 3] = ["ticket", "consent", "pseudonyms"];
/// The most policy files.
const SOURCE_COUNT_LIMIT: usize = 1000;

/// Reads all sources. The model is whole only if there are no faults.
pub(super) fn read(sources: &[Source]) -> (Model, Vec<Fault>) {
    let mut reader = Reader::new(sources);
    let trees: Vec<Node> = (0..sources.len().min(SOURCE_COUNT_LIMIT))
        .filter_map(|index| match parse(sources, index) {
            Ok(tree) => tree,
            Err(faults) => {
                reader.unreadable(faults);
                None
            }
        })
        .collect();
    let sections = Sections::of(&trees, &mut reader);
    let mut model = Model::default();
    read_grades(&sections, &mut reader, &mut model);
    read_purposes(&sections, &mut reader, &mut model);
    roles::read(&sections, &mut reader, &mut model);
    entities::read(&sections, &mut reader, &mut model);
    routes::read(&sections, &mut reader, &mut model);
    rules::read(&sections, &mut reader, &mut model);
    links::check(&mut reader, &model);
    factors::check(&mut reader, &model);
    limits::read(&sections, &mut reader, &mut model);
    masks::read(&sections, &mut reader, &mut model);
    masks::settle_kinds(&mut model);
    pseudonyms::read(&sections, &mut reader, &mut model);
    detect::read(&sections, &mut reader, &mut model);
    two_person::read(&sections, &mut reader, &mut model);
    registered::read(&sections, &mut reader, &mut model);
    grants::read(&sections, &mut reader, &mut model);
    apart::read(&sections, &mut reader, &mut model);
    detections::read(&sections, &mut reader, &mut model);
    retention::read(&sections, &mut reader, &mut model);
    tenants::read(&sections, sources, &mut reader, &mut model);
    (model, reader.finish())
}

/// The contents of all files, by top-level key.
struct Sections<'t> {
    found: Vec<(&'static str, &'t Node)>,
    /// Files of tenants, which say nothing that the others say.
    of_tenants: Vec<&'t Node>,
}

impl<'t> Sections<'t> {
    fn of(trees: &'t [Node], reader: &mut Reader<'_>) -> Self {
        let (mut found, mut of_tenants) = (Vec::new(), Vec::new());
        for tree in trees {
            if tenants::is_of_one(tree) {
                of_tenants.push(tree);
                continue;
            }
            for pair in reader.map(tree, "a policy file") {
                match SECTIONS.iter().find(|section| **section == pair.key) {
                    Some(&REQUIRE) => {
                        let message = "`require` stands at the top of a tenant's file alone";
                        let help = "write it at routes, rules or grades; or add `tenant: NAME`";
                        let (span, code) = (pair.key_span, Code::Contradiction);
                        reader.fault(span, code, message.to_owned(), Some(help.to_owned()));
                    }
                    Some(section) => found.push((*section, &pair.value)),
                    None => {
                        let message = format!("unknown key `{}`", pair.key);
                        let help = accepted(&pair.key, &SECTIONS);
                        reader.fault(pair.key_span, Code::UnknownKey, message, Some(help));
                    }
                }
            }
        }
        Self { found, of_tenants }
    }

    /// The named definitions of a section, over all files; a name defined twice is a fault.
    fn definitions(&self, section: &str, reader: &mut Reader<'_>) -> Vec<&'t Pair> {
        let mut pairs: Vec<&Pair> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        for (_, node) in self.found.iter().filter(|(name, _)| *name == section) {
            for pair in reader.map(node, section) {
                if let Some(first) = seen.insert(pair.key.as_str(), pair.key_span) {
                    reader.defined_twice(pair.key_span, &pair.key, first);
                    continue;
                }
                pairs.push(pair);
            }
        }
        pairs
    }

    /// The items of a section that is a list, over all files.
    fn items(&self, section: &str, reader: &mut Reader<'_>) -> Vec<&'t Node> {
        let nodes = self.found.iter().filter(|(name, _)| *name == section);
        nodes.flat_map(|(_, node)| reader.list(node, section)).collect()
    }
}

fn read_grades(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    for pair in sections.definitions("grades", reader) {
        let slot = match pair.key.as_str() {
            "1" => 0,
            "2" => 1,
            "3" => 2,
            "4" => 3,
            "sealed" => {
                if !matches!(&pair.value.content, Content::Map(pairs) if pairs.is_empty()) {
                    let help =
                        "sealed fields never leave, so there is nothing to ask: write `sealed: {}`";
                    let message = "`sealed` takes no requirements".to_owned();
                    reader.fault(pair.value.span, Code::WrongValue, message, Some(help.to_owned()));
                }
                continue;
            }
            other => {
                let help = accepted(other, &["1", "2", "3", "4", "sealed"]);
                reader.fault(
                    pair.key_span,
                    Code::WrongValue,
                    format!("`{other}` is no grade"),
                    Some(help),
                );
                continue;
            }
        };
        let requirement = requirement(reader, &pair.value);
        if let Some(grade) = model.grades.get_mut(slot) {
            *grade = Some(requirement);
        }
    }
    check_grades_rise(sections, reader, model);
}

/// A grade may not ask less than the one below it, or raising a field's grade could open it.
fn check_grades_rise(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &Model) {
    let asks_less = |low: &Requirement, high: &Requirement| {
        high.assurance < low.assurance
            || low.fresh_s.is_some_and(|low| high.fresh_s.is_none_or(|high| high > low))
            || (low.device && !high.device)
            || (low.grant && !high.grant)
            || !low.link.asks_no_more_than(&high.link)
    };
    let defined: Vec<(usize, &Requirement)> =
        model.grades.iter().enumerate().filter_map(|(n, g)| Some((n + 1, g.as_ref()?))).collect();
    for pair in defined.windows(2) {
        let [(low_number, low), (number, high)] = pair else { continue };
        if !asks_less(low, high) {
            continue;
        }
        let key = number.to_string();
        let mut places = sections.found.iter().filter(|(name, _)| *name == "grades");
        let span = places.find_map(|(_, node)| match &node.content {
            Content::Map(pairs) => pairs.iter().find(|p| p.key == key).map(|p| p.key_span),
            Content::Null | Content::Text(_) | Content::List(_) => None,
        });
        if let Some(span) = span {
            let message = format!("grade {number} asks less than grade {low_number}");
            let help =
                "ask at least the same assurance, freshness, device, grant and link".to_owned();
            reader.fault(span, Code::WrongValue, message, Some(help));
        }
    }
}

/// A list of names, or a map of names to what each asks; both forms may stand in different files.
fn read_purposes(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    let mut seen = std::collections::HashMap::new();
    for (_, node) in sections.found.iter().filter(|(name, _)| *name == "purposes") {
        for (span, purpose) in purposes_of(reader, node) {
            if !reader.check_name(span, &purpose.name) {
                continue;
            }
            match seen.insert(purpose.name.clone(), span) {
                Some(first) => reader.defined_twice(span, &purpose.name, first),
                None => model.purposes.push(purpose),
            }
        }
    }
}

fn purposes_of(reader: &mut Reader<'_>, node: &Node) -> Vec<(Span, Purpose)> {
    if !matches!(node.content, Content::Map(_)) {
        let items = reader.list(node, "purposes").iter();
        let purpose = |node: &Node| {
            let name = reader.text(node, "a purpose")?.into();
            Some((node.span, Purpose { name, ticket: None, consent: None, pseudonyms: None }))
        };
        return items.filter_map(purpose).collect();
    }
    let mut purposes = Vec::new();
    for pair in reader.map(node, "purposes") {
        let keys = reader.keys(&pair.value, "a purpose", &PURPOSE_KEYS);
        let ticket = keys.find("ticket").and_then(|pair| ticket(reader, &pair.value));
        let consent = keys.find("consent").and_then(|pair| consents::read(reader, &pair.value));
        let pseudonyms = keys.find("pseudonyms");
        let pseudonyms = pseudonyms.and_then(|pair| pseudonyms::rotation(reader, &pair.value));
        let name = pair.key.as_str().into();
        purposes.push((pair.key_span, Purpose { name, ticket, consent, pseudonyms }));
    }
    purposes
}

fn ticket(reader: &mut Reader<'_>, node: &Node) -> Option<TicketForm> {
    let text = reader.text(node, "`ticket`")?;
    let form = TicketForm::parse(text);
    if form.is_none() {
        let message = "`ticket` must be a form of 1 to 64 bytes in one line".to_owned();
        let help = "`*` stands for any run, `?` for one character, `#` for one digit: `CMP-*`";
        reader.fault(node.span, Code::WrongValue, message, Some(help.to_owned()));
    }
    form
}
