//! What a test expects, and how it is held against what came.

use std::collections::BTreeSet;

use http::HeaderName;

use super::exchange::Given;
use super::fixtures::Fixtures;
use super::json::Json;
use super::report::Difference;
use super::value;
use crate::document::{Code, Content, Node, Pair, Reader, cut};
use crate::policy::{Program, StepUp};
use crate::proxy::Rehearsed;

const KEYS: &[&str] = &[
    "status",
    "body",
    "contains",
    "text",
    "absent",
    "headers",
    "reason",
    "rules",
    "step_up",
    "purposes",
    "held_back",
    "unlinked",
    "asking",
    "pseudonyms",
    "asks",
];
const STEP_UP_KEYS: &[&str] = &["assurance", "fresh", "fields"];

/// What a test expects; what is not named may be anything.
#[derive(Clone, Debug, Default)]
pub(super) struct Expectation {
    status: Option<u16>,
    body: Option<Json>,
    contains: Option<Json>,
    text: Option<String>,
    absent: Vec<String>,
    headers: Vec<(HeaderName, Option<String>)>,
    reason: Option<String>,
    rules: Vec<String>,
    step_up: Option<ExpectedStepUp>,
    purposes: Option<BTreeSet<String>>,
    held_back: Option<u32>,
    unlinked: Option<u32>,
    asking: Option<u32>,
    pseudonyms: Option<String>,
    asks: Option<Vec<String>>,
}

/// What is expected of a step-up.
#[derive(Clone, Debug)]
enum ExpectedStepUp {
    Some,
    None,
    This { assurance: Option<u8>, max_age_s: Option<u32>, fields: Option<BTreeSet<String>> },
}

/// Reads an expectation: a map, or a status alone.
pub(super) fn read(
    reader: &mut Reader<'_>,
    fixtures: &Fixtures<'_>,
    program: &Program,
    node: &Node,
) -> Option<Expectation> {
    let mut expectation = Expectation::default();
    if let Content::Text(_) = &node.content {
        expectation.status = Some(status(reader, node)?);
        return Some(expectation);
    }
    let keys = reader.keys(node, "`expect`", KEYS);
    if keys.pairs.is_empty() {
        let help = "say at least `status: 200`".to_owned();
        let message = "`expect` expects nothing".to_owned();
        reader.fault(node.span, Code::MissingKey, message, Some(help));
        return None;
    }
    for pair in &keys.pairs {
        part(reader, fixtures, program, pair, &mut expectation)?;
    }
    Some(expectation)
}

/// A status that a caller is told.
pub(super) fn status(reader: &mut Reader<'_>, node: &Node) -> Option<u16> {
    // Of a WebSocket.
    if matches!(&node.content, Content::Text(text) if text == "101") {
        return Some(101);
    }
    u16::try_from(reader.number(node, "a status", 200, 599)?).ok()
}

fn part(
    reader: &mut Reader<'_>,
    fixtures: &Fixtures<'_>,
    program: &Program,
    pair: &Pair,
    expectation: &mut Expectation,
) -> Option<()> {
    let node = &pair.value;
    let texts = |reader: &mut Reader<'_>| -> Vec<String> {
        reader.words(node, &pair.key).into_iter().map(|(text, _)| text.to_owned()).collect()
    };
    match pair.key.as_str() {
        "status" => expectation.status = Some(status(reader, node)?),
        "body" => expectation.body = Some(Json::parse(&value::json(reader, fixtures, node)?)?),
        "contains" => {
            expectation.contains = Some(Json::parse(&value::json(reader, fixtures, node)?)?);
        }
        "text" => expectation.text = Some(reader.text(node, "`text`")?.to_owned()),
        "absent" => expectation.absent = texts(reader),
        "headers" => expectation.headers = headers(reader, node)?,
        "reason" => expectation.reason = Some(reader.text(node, "`reason`")?.to_owned()),
        "rules" => expectation.rules = rules(reader, program, node),
        "step_up" => expectation.step_up = Some(step_up(reader, node)?),
        "purposes" => expectation.purposes = Some(texts(reader).into_iter().collect()),
        "held_back" => {
            expectation.held_back = Some(reader.number(node, "`held_back`", 0, u32::MAX)?);
        }
        "unlinked" => {
            expectation.unlinked = Some(reader.number(node, "`unlinked`", 0, u32::MAX)?);
        }
        "asking" => {
            expectation.asking = Some(reader.number(node, "`asking`", 0, u32::MAX)?);
        }
        "pseudonyms" => {
            expectation.pseudonyms = Some(reader.text(node, "`pseudonyms`")?.to_owned());
        }
        _ => expectation.asks = Some(texts(reader)),
    }
    Some(())
}

fn headers(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<(HeaderName, Option<String>)>> {
    let mut headers = Vec::new();
    for pair in reader.map(node, "`headers`") {
        let Ok(name) = HeaderName::from_bytes(pair.key.as_bytes()) else {
            let message = format!("`{}` is no header", cut(&pair.key));
            reader.fault(pair.key_span, Code::WrongValue, message, None);
            return None;
        };
        let value = match &pair.value.content {
            Content::Null => None,
            Content::Text(_) | Content::List(_) | Content::Map(_) => {
                Some(reader.text(&pair.value, "a header")?.to_owned())
            }
        };
        headers.push((name, value));
    }
    Some(headers)
}

fn rules(reader: &mut Reader<'_>, program: &Program, node: &Node) -> Vec<String> {
    let known: Vec<&str> = program.rule_names().collect();
    let mut rules = Vec::new();
    for (rule, span) in reader.words(node, "`rules`") {
        if known.contains(&rule) {
            rules.push(rule.to_owned());
        } else {
            reader.unknown(span, "rule", &cut(rule), &known);
        }
    }
    rules
}

fn step_up(reader: &mut Reader<'_>, node: &Node) -> Option<ExpectedStepUp> {
    match &node.content {
        Content::Text(text) if text == "true" => return Some(ExpectedStepUp::Some),
        Content::Text(text) if text == "false" => return Some(ExpectedStepUp::None),
        Content::Text(_) | Content::Null | Content::List(_) | Content::Map(_) => {}
    }
    let (mut assurance, mut max_age_s, mut fields) = (None, None, None);
    for pair in reader.keys(node, "`step_up`", STEP_UP_KEYS).pairs {
        match pair.key.as_str() {
            "assurance" => {
                let number = reader.number(&pair.value, "`assurance`", 1, 3)?;
                assurance = u8::try_from(number).ok();
            }
            "fresh" => max_age_s = Some(reader.duration(&pair.value, "`fresh`")?),
            _ => {
                let words = reader.words(&pair.value, "`fields`");
                fields = Some(words.into_iter().map(|(name, _)| plain(name)).collect());
            }
        }
    }
    Some(ExpectedStepUp::This { assurance, max_age_s, fields })
}

/// A path without the marks of arrays, which may be left out.
pub(super) fn plain(path: &str) -> String {
    path.replace("[]", "")
}

impl Expectation {
    /// What came that was not expected, and what was expected and did not come.
    pub(super) fn hold(&self, told: &Rehearsed, given: &Given) -> Vec<Difference> {
        let mut found = Vec::new();
        let got = std::str::from_utf8(&told.body).ok().and_then(Json::parse);
        if let Some(status) = self.status.filter(|status| *status != told.status.as_u16()) {
            found.push(Difference::new("status", status, status_told(told)));
        }
        found.extend(self.body.as_ref().and_then(|wanted| {
            let got = got.as_ref().map(|got| got.arranged_like(wanted));
            differs("body", wanted, got)
        }));
        found.extend(self.contains.as_ref().and_then(|wanted| {
            let got = got.as_ref().map(|got| got.named_in(wanted).arranged_like(wanted));
            differs("body, as far as `contains` names it", wanted, got)
        }));
        if let Some(wanted) = self.text.as_ref().filter(|wanted| told.body != wanted.as_bytes()) {
            found.push(Difference::new("text", wanted, String::from_utf8_lossy(&told.body)));
        }
        for path in &self.absent {
            found.extend(absent(path, got.as_ref(), given));
        }
        for (name, wanted) in &self.headers {
            found.extend(header(name, wanted.as_deref(), told));
        }
        self.hold_reasons(told, &mut found);
        if let Some(wanted) = self.held_back.filter(|wanted| u64::from(*wanted) != told.held_back) {
            found.push(Difference::new("held_back", wanted, told.held_back));
        }
        if let Some(wanted) = self.unlinked.filter(|wanted| u64::from(*wanted) != told.unlinked) {
            found.push(Difference::new("unlinked", wanted, told.unlinked));
        }
        if let Some(wanted) = self.asking.filter(|wanted| u64::from(*wanted) != told.asking) {
            found.push(Difference::new("asking", wanted, told.asking));
        }
        let period = pseudonyms_told(told);
        if let Some(wanted) = self.pseudonyms.as_ref().filter(|wanted| **wanted != period) {
            found.push(Difference::new("pseudonyms", wanted, period));
        }
        if let Some(wanted) = self.asks.as_ref().filter(|wanted| **wanted != told.asked) {
            found.push(Difference::new("asks", lines(wanted), lines(&told.asked)));
        }
        // Whoever expects something of a body is not helped by an empty one without the reason.
        if self.status.is_none() && !found.is_empty() && !told.status.is_success() {
            found.insert(0, Difference::new("status", "none named", status_told(told)));
        }
        found
    }

    fn hold_reasons(&self, told: &Rehearsed, found: &mut Vec<Difference>) {
        if let Some(text) = &self.reason
            && !told.reasons.iter().any(|reason| reason.contains(text))
        {
            found.push(Difference::new("reason", text, lines(&told.reasons)));
        }
        if self.rules.iter().any(|rule| !told.rules.contains(rule)) {
            found.push(Difference::new("rules", lines(&self.rules), lines(&told.rules)));
        }
        let purposes: BTreeSet<String> = told.purposes.iter().cloned().collect();
        if let Some(wanted) = self.purposes.as_ref().filter(|wanted| **wanted != purposes) {
            found.push(Difference::new("purposes", lines(wanted), lines(&purposes)));
        }
        if let Some(wanted) = &self.step_up
            && !wanted.fits(told.step_up.as_ref())
        {
            let got = told.step_up.as_ref().map_or("none".to_owned(), step_up_text);
            found.push(Difference::new("step_up", wanted.text(), got));
        }
    }
}

impl ExpectedStepUp {
    fn fits(&self, got: Option<&StepUp>) -> bool {
        match (self, got) {
            (Self::Some, Some(_)) | (Self::None, None) => true,
            (Self::Some | Self::This { .. }, None) | (Self::None, Some(_)) => false,
            (Self::This { assurance, max_age_s, fields }, Some(got)) => {
                let shown: BTreeSet<String> = got.fields.iter().map(|f| plain(f)).collect();
                assurance.is_none_or(|wanted| wanted == got.assurance)
                    && max_age_s.is_none_or(|wanted| Some(wanted) == got.max_age_s)
                    && fields.as_ref().is_none_or(|wanted| *wanted == shown)
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Some => "some step-up".to_owned(),
            Self::None => "none".to_owned(),
            Self::This { assurance, max_age_s, fields } => {
                let assurance = assurance.map(|level| format!("assurance {level}"));
                let age = max_age_s.map(|age| format!("at most {age} s old"));
                let fields = fields.as_ref().map(lines);
                let parts = [assurance, age, fields].into_iter().flatten();
                parts.collect::<Vec<_>>().join("\n")
            }
        }
    }
}

/// The period of the pseudonyms, `never` where they stay and `none` where there are none.
fn pseudonyms_told(told: &Rehearsed) -> &str {
    match told.pseudonym_period.as_deref() {
        None => "none",
        Some("") => "never",
        Some(period) => period,
    }
}

/// The status, and why where it is no success.
fn status_told(told: &Rehearsed) -> String {
    let why = told.reasons.iter().map(|reason| format!("\n{reason}")).collect::<String>();
    format!("{}{why}", told.status.as_u16())
}

fn step_up_text(step_up: &StepUp) -> String {
    let fields: BTreeSet<String> = step_up.fields.iter().map(|f| plain(f)).collect();
    let got = ExpectedStepUp::This {
        assurance: Some(step_up.assurance),
        max_age_s: step_up.max_age_s,
        fields: (!fields.is_empty()).then_some(fields),
    };
    got.text()
}

fn differs(part: &str, wanted: &Json, got: Option<Json>) -> Option<Difference> {
    match got {
        None => Some(Difference::new(part, wanted, "no JSON body")),
        Some(got) if got.arranged_like(wanted) != *wanted => {
            Some(Difference::new(part, wanted, got))
        }
        Some(_) => None,
    }
}

/// Something that the backend has and the caller does not get. Where the backend does not have it
/// either, its absence says nothing.
fn absent(path: &str, got: Option<&Json>, given: &Given) -> Option<Difference> {
    let bare = plain(path);
    let names: Vec<&str> = bare.trim_start_matches(['$', '.']).split('.').collect();
    let part = format!("absent {path}");
    if let Some(left) = got.and_then(|got| got.at(&names).first().copied().cloned()) {
        return Some(Difference::new(part, "nothing", left));
    }
    let backend = given.backend();
    let is_there = backend.is_some_and(|backend| !backend.at(&names).is_empty());
    let said_nothing = "nothing, but the backend's answer does not have it either";
    (!is_there).then(|| Difference::new(part, "withheld", said_nothing))
}

fn header(name: &HeaderName, wanted: Option<&str>, told: &Rehearsed) -> Option<Difference> {
    let got: Vec<String> = told
        .headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let fits = match wanted {
        None => got.is_empty(),
        Some(wanted) => got == [wanted],
    };
    (!fits)
        .then(|| Difference::new(format!("header {name}"), wanted.unwrap_or("none"), lines(&got)))
}

/// One a line, or `none`.
fn lines<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let texts: Vec<&str> = texts.into_iter().map(String::as_str).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join("\n") }
}
