//! What a template plays, as its file says it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::dates;
use crate::consent::Statement;
use crate::demo::script::Part;
use crate::demo::shelf::Endpoint;

/// One business: people, records and a story.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scene {
    /// What it is, for the guide's headline: `a hotel with 12 invented guests`.
    pub(super) title: String,
    /// The host that the policy publishes.
    pub(super) host: String,
    /// The zones in which the gate listens; the first is the usual one.
    pub(super) zones: Vec<String>,
    /// Who can sign in.
    pub(super) people: Vec<Part>,
    /// What customers said before, as in a file for `menshen registry subject import`.
    #[serde(default)]
    said: Vec<Map<String, Value>>,
    /// The backend's endpoints; the first that fits answers.
    pub(super) backend: Vec<Endpoint>,
    /// The backend's records, by collection.
    pub(super) records: BTreeMap<String, Vec<Value>>,
    /// What happens.
    pub(super) story: Vec<Step>,
}

/// One step of the story: a request and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) title: String,
    /// What it is good for, in a sentence.
    pub(super) why: String,
    /// Who asks; nobody if absent.
    #[serde(default)]
    pub(super) by: String,
    /// Whether they show a one-time code when they sign in.
    #[serde(default = "yes")]
    pub(super) code: bool,
    #[serde(default)]
    pub(super) purpose: Option<String>,
    #[serde(default)]
    pub(super) ticket: Option<String>,
    /// The zone's number, from 0.
    #[serde(default)]
    pub(super) zone: usize,
    /// `GET /api/guests/g1`.
    pub(super) ask: String,
    #[serde(default)]
    pub(super) body: Option<Value>,
    /// Minutes that pass before.
    #[serde(default)]
    pub(super) minutes_later: u32,
    pub(super) status: u16,
    /// What the answer shows, by JSON pointer.
    #[serde(default)]
    pub(super) shows: BTreeMap<String, Value>,
    /// Pointers where nothing may be.
    #[serde(default)]
    pub(super) lacks: Vec<String>,
    /// How many elements the array at a pointer has.
    #[serde(default)]
    pub(super) counts: BTreeMap<String, usize>,
    /// A path that gives the same answer, to the byte.
    #[serde(default)]
    pub(super) same_as: Option<String>,
}

fn yes() -> bool {
    true
}

impl Scene {
    /// Reads a scene with dates counted from `now_unix_s`.
    pub(super) fn read(text: &str, now_unix_s: i64) -> serde_json::Result<Self> {
        let mut value: Value = serde_json::from_str(text)?;
        dates::settle(&mut value, now_unix_s);
        serde_json::from_value(value)
    }
}

impl Scene {
    /// What customers said before.
    pub(super) fn said(&self, now_unix_s: i64) -> serde_json::Result<Vec<Statement>> {
        let read = |members| {
            Statement::read(members, now_unix_s).map_err(|faults| {
                let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
                serde::de::Error::custom(told.join("; "))
            })
        };
        self.said.iter().map(read).collect()
    }
}

impl Step {
    /// Method and path.
    pub(super) fn target(&self) -> (&str, &str) {
        self.ask.split_once(' ').unwrap_or(("GET", self.ask.as_str()))
    }
}
