//! What somebody asks for: read from the fields of a form or of JSON, checked, and told in words.

use serde::{Deserialize, Serialize};

use super::steps::span;
use crate::unseen::is_unseen;

/// The most of any list.
const MOST_ITEMS: usize = 200;
/// The most parameters of a search.
const MOST_PARAMETERS: usize = 20;
/// The longest name of anything, in bytes.
const NAME_BYTES: usize = 256;
/// The longest reason, in bytes.
const REASON_BYTES: usize = 500;

/// What a grant opens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The actions, by the words of the policy.
    pub actions: Vec<String>,
    /// The routes; none means all.
    pub routes: Vec<String>,
    /// The role that it lends.
    pub role: Option<String>,
    /// The fields that it opens, in full; none means all that the rules show.
    pub fields: Vec<String>,
    /// About whom, by entity and key; none means about everybody.
    pub subjects: Vec<(String, String)>,
    /// Parameters of the path that must have this value.
    pub parameters: Vec<(String, String)>,
    /// The search that it is about: parameters of the query, of which each must have this value. None means any.
    #[serde(default)]
    pub search: Vec<(String, String)>,
    /// How many records that search may give, over all pages and uses.
    #[serde(default)]
    pub rows: Option<u32>,
    /// The purpose that must be declared.
    pub purpose: Option<String>,
    /// The zones; none means all.
    pub zones: Vec<String>,
    /// Whether a device bound to the person is asked.
    pub device: bool,
    /// The least assurance.
    pub assurance: u8,
}

impl Scope {
    /// What it lets do, in words: `view guest.scan of guest G7`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let of: Vec<String> =
            self.subjects.iter().map(|(entity, key)| format!("{entity} {}", shown(key))).collect();
        let shown_pair = |(name, value): &(String, String)| (shown(name), shown(value));
        let search =
            self.search.iter().map(shown_pair).map(|(name, value)| format!("{name} `{value}`"));
        let parameters = self.parameters.iter().map(shown_pair);
        let parameters = parameters.map(|(name, value)| format!("{name} {value}"));
        self.told((!of.is_empty()).then(|| of.join(", ")), search.collect(), parameters.collect())
    }

    /// The same without anybody's key, and without what was searched for, for the log.
    #[must_use]
    pub fn counted(&self) -> String {
        let of = match self.subjects.len() {
            0 => None,
            1 => Some("1 person".to_owned()),
            more => Some(format!("{more} people")),
        };
        let search = self.search.iter().map(|(name, _)| shown(name));
        let parameters = self.parameters.iter().map(|(name, _)| shown(name));
        self.told(of, search.collect(), parameters.collect())
    }

    /// About whom; of a search that is whoever it finds.
    fn about(&self, of: Option<String>, search: &[String]) -> String {
        if search.is_empty() {
            return of.unwrap_or_else(|| "everybody".to_owned());
        }
        let rows = match self.rows {
            Some(1) => "1 row at most".to_owned(),
            Some(rows) => format!("{rows} rows at most in all"),
            None => "any number of rows".to_owned(),
        };
        let among = of.map_or_else(String::new, |of| format!("{of} among "));
        format!("{among}whoever the search by {} finds ({rows})", search.join(" and "))
    }

    /// All that it is confined to, so that nobody agrees to more, or less, than they read.
    fn told(&self, of: Option<String>, search: Vec<String>, parameters: Vec<String>) -> String {
        let of = self.about(of, &search);
        let what = if self.fields.is_empty() { &self.routes } else { &self.fields };
        let what = if what.is_empty() { "all records".to_owned() } else { what.join(", ") };
        let mut sentence = format!("{} {what} of {of}", self.actions.join(" and "));
        let mut add = |word: &str, named: &[String]| {
            if !named.is_empty() {
                sentence.push_str(&format!(" {word} {}", named.join(", ")));
            }
        };
        if !self.fields.is_empty() {
            add("over", &self.routes);
        }
        add("with", &parameters);
        add("as", self.role.as_slice());
        add("for", self.purpose.as_slice());
        add("in", &Vec::from_iter(self.zones.iter().map(|zone| shown(zone))));
        if self.device {
            add("on", &["a device of theirs".to_owned()]);
        }
        if self.assurance > 0 {
            add("at assurance", &[self.assurance.to_string()]);
        }
        sentence
    }
}

/// What somebody wrote, so that whoever decides reads it as it is: nothing ends its quotes, hides, or turns the line.
fn shown(text: &str) -> String {
    let escaped = |c: char| -> String {
        if c == '`' || c == '\\' || is_unseen(c) { c.escape_unicode().collect() } else { c.into() }
    };
    text.chars().map(escaped).collect()
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What it shall open.
    pub scope: Scope,
    /// Why.
    pub reason: String,
    /// A ticket or case.
    pub ticket: String,
    /// From when on, Unix seconds; else at once.
    pub from_s: Option<i64>,
    /// For how long, in seconds; else for as long as the policy allows.
    pub lasts_s: Option<u32>,
    /// How often; none if it was not said.
    pub uses: Option<u32>,
    /// Whether it shall open at once.
    pub is_emergency: bool,
    /// Whether that is an exercise.
    pub is_drill: bool,
}

/// Why what was asked for cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskFault {
    /// Nobody said why.
    #[error("say why: `reason` of 1 to {REASON_BYTES} bytes in one line")]
    Reason,
    /// A field is not of its form.
    #[error("`{0}` must be {1}")]
    Form(&'static str, &'static str),
    /// Too much at once.
    #[error("`{0}` names more than {MOST_ITEMS}")]
    TooMany(&'static str),
    /// It opens at once, and would be too long for other gates to hear of the review that it owes.
    #[error(
        "an emergency that names so much cannot be told to other gates: ask for less, or in parts"
    )]
    TooLong,
}

impl Ask {
    /// Reads what the fields of a form say; lists are separated by white space.
    ///
    /// # Errors
    /// [`AskFault`].
    pub fn read<'f>(field: impl Fn(&str) -> &'f str) -> Result<Self, AskFault> {
        let reason = field("reason").trim();
        let is_line = |text: &str| !text.chars().any(char::is_control);
        if reason.is_empty() || reason.len() > REASON_BYTES || !is_line(reason) {
            return Err(AskFault::Reason);
        }
        let some = |name| Some(field(name).trim().to_owned()).filter(|text| !text.is_empty());
        let ticket = some("ticket").unwrap_or_default();
        if ticket.len() > NAME_BYTES || !is_line(&ticket) {
            return Err(AskFault::Form("ticket", "one line"));
        }
        let scope = Scope {
            actions: list("action", field("action"))?,
            routes: list("route", field("route"))?,
            role: name("role", some("role"))?,
            fields: list("fields", field("fields"))?,
            subjects: pairs("subjects", field("subjects"), ':')?,
            parameters: pairs("parameters", field("parameters"), '=')?,
            search: Vec::new(),
            rows: number("rows", field("rows"))?,
            purpose: name("purpose", some("purpose"))?,
            zones: list("zone", field("zone"))?,
            device: flag("device", field("device"))?,
            assurance: number("assurance", field("assurance"))?.unwrap_or_default(),
        };
        Ok(Self {
            scope,
            reason: reason.to_owned(),
            ticket,
            from_s: number("from", field("from"))?,
            lasts_s: lasting(field("lasts"))?,
            uses: number("uses", field("uses"))?,
            is_emergency: flag("emergency", field("emergency"))?,
            is_drill: flag("drill", field("drill"))?,
        })
    }
}

impl Ask {
    /// The same about a search, whose parameters were read from a query string; none where that could not be read.
    ///
    /// # Errors
    /// [`AskFault`].
    pub fn about_search(mut self, search: Option<Vec<(String, String)>>) -> Result<Self, AskFault> {
        let form = "a query such as `branch=12&status=open`, each parameter once";
        let mut search = search.ok_or(AskFault::Form("query", form))?;
        if search.len() > MOST_PARAMETERS {
            return Err(AskFault::TooMany("query"));
        }
        let is_short =
            |text: &String| text.len() <= NAME_BYTES && !text.chars().any(char::is_control);
        if !search.iter().all(|(name, value)| is_short(name) && is_short(value)) {
            return Err(AskFault::Form("query", "parameters of at most 256 bytes in one line"));
        }
        if search.is_empty() && self.scope.rows.is_some() {
            return Err(AskFault::Form("rows", "left out without a `query`"));
        }
        search.sort_unstable();
        self.scope.search = search;
        Ok(self)
    }
}

/// One that is too long is refused: without it, the grant would be wider.
fn name(field: &'static str, text: Option<String>) -> Result<Option<String>, AskFault> {
    let is_name = |name: &String| name.len() <= NAME_BYTES && !name.chars().any(char::is_control);
    match text.as_ref().is_none_or(is_name) {
        true => Ok(text),
        false => Err(AskFault::Form(field, "one name of at most 256 bytes")),
    }
}

fn list(name: &'static str, text: &str) -> Result<Vec<String>, AskFault> {
    let mut items: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if items.len() > MOST_ITEMS {
        return Err(AskFault::TooMany(name));
    }
    // One such character takes six bytes once it is kept and told.
    let is_name = |item: &String| item.len() <= NAME_BYTES && !item.chars().any(char::is_control);
    if !items.iter().all(is_name) {
        return Err(AskFault::Form(name, "names of at most 256 bytes, without control characters"));
    }
    items.sort_unstable();
    items.dedup();
    Ok(items)
}

fn pairs(
    name: &'static str,
    text: &str,
    separator: char,
) -> Result<Vec<(String, String)>, AskFault> {
    let pair = |item: String| {
        let (one, other) = item.split_once(separator)?;
        let is_whole = !one.is_empty() && !other.is_empty();
        is_whole.then(|| (one.to_owned(), other.to_owned()))
    };
    let form = "`entity:key`, or `name=value` for parameters, separated by spaces";
    list(name, text)?.into_iter().map(pair).collect::<Option<_>>().ok_or(AskFault::Form(name, form))
}

fn flag(name: &'static str, text: &str) -> Result<bool, AskFault> {
    match text {
        "" | "false" => Ok(false),
        "true" | "on" => Ok(true),
        _ => Err(AskFault::Form(name, "`true` or `false`")),
    }
}

fn number<T: std::str::FromStr>(name: &'static str, text: &str) -> Result<Option<T>, AskFault> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).ok().ok_or(AskFault::Form(name, "a whole number")),
    }
}

/// `30m`, `1h`, `2d`, `90s`.
fn lasting(text: &str) -> Result<Option<u32>, AskFault> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let units = [('s', 1_u32), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let read = units.into_iter().find_map(|(letter, factor)| {
        text.strip_suffix(letter)?.parse::<u32>().ok()?.checked_mul(factor)
    });
    let read = read.filter(|seconds| *seconds > 0 && !span(*seconds).is_empty());
    read.map(Some).ok_or(AskFault::Form("lasts", "a time such as `30m`"))
}
