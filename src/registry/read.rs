//! Reads what somebody says of a partner or a tenant: members of a JSON object, whether they come from a file, from
//! options or over the interface. Every fault at once.

use serde_json::{Map, Value};

use super::contract::HIGHEST_LEVEL;
use super::{Contract, Particulars, RegistryError};

/// The longest text, in bytes.
const TEXT_BYTES: usize = 300;
/// The most purposes, and the most fields.
const MOST_NAMES: usize = 32;

impl Contract {
    /// The members that say it.
    pub const MEMBERS: [&'static str; 8] =
        ["task", "country", "contract", "nda", "until", "purposes", "fields", "level"];

    /// Reads a contract. What nobody agrees without may still be missing.
    ///
    /// # Errors
    /// [`RegistryError::Form`] with all that is wrong.
    pub fn read(members: &Map<String, Value>) -> Result<Self, RegistryError> {
        let mut read = Read::of(members, &Self::MEMBERS);
        let contract = Self {
            task: read.text("task"),
            country: read.text("country"),
            contract: read.text("contract"),
            nda: read.text("nda"),
            until: read.text("until"),
            purposes: read.list("purposes"),
            fields: read.list("fields"),
            level: read.level(),
        };
        if !contract.until.is_empty() && contract.over_s().is_none() {
            read.fault("`until` must be a day such as `2027-06-30`");
        }
        let country = contract.country.as_bytes();
        if !country.is_empty()
            && (country.len() != 2 || !country.iter().all(u8::is_ascii_uppercase))
        {
            read.fault("`country` must be two capital letters, such as `TH`");
        }
        read.finish(contract)
    }
}

impl Particulars {
    /// The members that say them.
    pub const MEMBERS: [&'static str; 3] = ["registration", "owner", "contact"];

    /// Reads who a tenant is: all of it must be said.
    ///
    /// # Errors
    /// [`RegistryError::Form`] with all that is wrong.
    pub fn read(members: &Map<String, Value>) -> Result<Self, RegistryError> {
        let mut read = Read::of(members, &Self::MEMBERS);
        let particulars = Self {
            registration: read.needed("registration"),
            owner: read.needed("owner"),
            contact: read.needed("contact"),
        };
        read.finish(particulars)
    }
}

struct Read<'m> {
    members: &'m Map<String, Value>,
    faults: Vec<String>,
}

impl<'m> Read<'m> {
    fn of(members: &'m Map<String, Value>, known: &[&str]) -> Self {
        let unknown = members.keys().filter(|name| !known.contains(&name.as_str()));
        let said = |name: &String| {
            let name: String = name.chars().take(64).collect();
            format!("`{name}` means nothing here; known: {}", known.join(", "))
        };
        Self { members, faults: unknown.map(said).collect() }
    }

    fn fault(&mut self, said: impl Into<String>) {
        self.faults.push(said.into());
    }

    fn text(&mut self, name: &str) -> String {
        match self.members.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) if is_line(text) => text.trim().to_owned(),
            Some(_) => {
                self.fault(format!(
                    "`{name}` must be text of at most {TEXT_BYTES} bytes, in one line"
                ));
                String::new()
            }
        }
    }

    fn needed(&mut self, name: &str) -> String {
        let before = self.faults.len();
        let text = self.text(name);
        if text.is_empty() && self.faults.len() == before {
            self.fault(format!("`{name}` must be said"));
        }
        text
    }

    fn list(&mut self, name: &str) -> Vec<String> {
        let texts: Option<Vec<&str>> = match self.members.get(name) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::String(text)) => Some(vec![text]),
            Some(Value::Array(values)) => values.iter().map(Value::as_str).collect(),
            Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => None,
        };
        let is_word = |text: &&str| !text.is_empty() && text.len() <= 64 && is_line(text);
        match texts {
            Some(texts) if texts.len() <= MOST_NAMES && texts.iter().all(is_word) => {
                let mut texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
                texts.sort_unstable();
                texts.dedup();
                texts
            }
            Some(_) | None => {
                self.fault(format!("`{name}` must be a list of at most {MOST_NAMES} names"));
                Vec::new()
            }
        }
    }

    fn level(&mut self) -> u8 {
        let Some(value) = self.members.get("level") else { return 0 };
        // A file of YAML has text everywhere.
        let level = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let level = level.and_then(|level| u8::try_from(level).ok());
        level.filter(|level| *level <= HIGHEST_LEVEL).unwrap_or_else(|| {
            self.fault(format!("`level` must be a whole number from 0 to {HIGHEST_LEVEL}"));
            0
        })
    }

    fn finish<T>(self, read: T) -> Result<T, RegistryError> {
        if self.faults.is_empty() { Ok(read) } else { Err(RegistryError::Form(self.faults)) }
    }
}

fn is_line(text: &str) -> bool {
    text.len() <= TEXT_BYTES && !text.chars().any(char::is_control)
}
