//! One statement about a data subject, as the interface, files and commands have it: all faults of one at once.

use serde_json::{Map, Value};

use super::FOREVER_S;
use crate::policy::ConsentKind;
use crate::state::SubjectAct;

const MEMBERS: [&str; 12] = [
    "say",
    "entity",
    "subject",
    "purpose",
    "mark",
    "kind",
    "notice",
    "until",
    "recipient",
    "what",
    "protection",
    "reference",
];

/// Something that is said of a data subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The entity of the subject.
    pub entity: String,
    /// The subject's key; of a number its digits.
    pub subject: String,
    /// What.
    pub says: Says,
    /// Where it is kept, such as the number of a form; empty where that is not told.
    pub reference: String,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// The subject consents to a purpose.
    Consent {
        /// The purpose.
        purpose: String,
        /// How.
        kind: ConsentKind,
        /// The notice that was shown, 0 where none is told.
        notice: u16,
        /// When it ends, Unix seconds.
        until_s: i64,
        /// The third party that it is for, if it is for one.
        recipient: Option<Recipient>,
    },
    /// The subject does not want a purpose, or not by this third party.
    Object {
        /// The purpose.
        purpose: String,
        /// The third party; empty for all.
        recipient: String,
    },
    /// The subject takes a consent back.
    Withdraw {
        /// The purpose; empty for all that the subject consented to.
        purpose: String,
        /// The third party; empty for the own people.
        recipient: String,
    },
    /// A mark is put.
    Mark {
        /// The word of the policy.
        mark: String,
        /// When it ends, Unix seconds.
        until_s: i64,
    },
    /// A mark is taken away.
    Unmark {
        /// The word of the policy.
        mark: String,
    },
}

/// A third party to which somebody consents: who, and what people were told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The partner, as its callers' attribute `partner` names it.
    pub name: String,
    /// What it gets.
    pub what: String,
    /// How it protects that.
    pub protection: String,
}

/// What is wrong with a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    /// A member that means nothing here.
    #[error("`{0}` means nothing here")]
    Unknown(String),
    /// A member must be such.
    #[error("`{0}` must be {1}")]
    Form(&'static str, &'static str),
    /// A consent to a third party that people were not told enough of.
    #[error(
        "a consent to a third party tells who, what, why, until when and how it is protected: `{0}` is missing"
    )]
    Incomplete(&'static str),
    /// A consent to a third party that was given in passing.
    #[error("a consent to a third party is `separate` or `guardian`, not bundled with others")]
    Bundled,
}

impl Statement {
    /// Reads a statement from an object, at this time.
    ///
    /// # Errors
    /// Every [`StatementFault`] of it.
    pub fn read(members: &Map<String, Value>, now_s: i64) -> Result<Self, Vec<StatementFault>> {
        let mut reading = Reading { members, now_s, used: vec!["say"], faults: Vec::new() };
        let statement = reading.statement();
        reading.unused();
        match statement {
            Some(statement) if reading.faults.is_empty() => Ok(statement),
            Some(_) | None => Err(reading.faults),
        }
    }

    /// The purpose that it is about, if it is about one.
    #[must_use]
    pub fn purpose(&self) -> Option<&str> {
        match &self.says {
            Says::Consent { purpose, .. }
            | Says::Object { purpose, .. }
            | Says::Withdraw { purpose, .. } => Some(purpose.as_str()),
            Says::Mark { .. } | Says::Unmark { .. } => None,
        }
        .filter(|purpose| !purpose.is_empty())
    }

    /// The mark that it is about, if it is about one.
    #[must_use]
    pub fn mark(&self) -> Option<&str> {
        match &self.says {
            Says::Mark { mark, .. } | Says::Unmark { mark } => Some(mark),
            Says::Consent { .. } | Says::Object { .. } | Says::Withdraw { .. } => None,
        }
    }
}

struct Reading<'a> {
    members: &'a Map<String, Value>,
    now_s: i64,
    used: Vec<&'static str>,
    faults: Vec<StatementFault>,
}

impl Reading<'_> {
    fn statement(&mut self) -> Option<Statement> {
        let act = self.members.get("say").and_then(Value::as_str).and_then(SubjectAct::named);
        let Some(act) = act else {
            self.fault("say", "consent, object, withdraw, mark or unmark");
            // Whatever else stands there may be right.
            self.used.extend(MEMBERS);
            return None;
        };
        let entity = self.required("entity", NAME, is_name);
        let subject = self.required("subject", "1 to 255 visible characters", is_visible);
        let reference = self.given("reference", WORDS, is_words);
        let says = match act {
            SubjectAct::Consent => self.consent(),
            SubjectAct::Object => Some(Says::Object {
                purpose: self.required("purpose", NAME, is_name),
                recipient: self.given("recipient", NAME, is_name),
            }),
            SubjectAct::Withdraw => Some(Says::Withdraw {
                purpose: self.given("purpose", NAME, is_name),
                recipient: self.given("recipient", NAME, is_name),
            }),
            SubjectAct::Mark => {
                let mark = self.required("mark", NAME, is_name);
                Some(Says::Mark { mark, until_s: self.until() })
            }
            SubjectAct::Unmark => Some(Says::Unmark { mark: self.required("mark", NAME, is_name) }),
        };
        if matches!(&says, Some(Says::Withdraw { purpose, recipient }) if purpose.is_empty() && !recipient.is_empty())
        {
            self.fault("purpose", "there beside a `recipient`");
        }
        Some(Statement { entity, subject, says: says?, reference })
    }

    fn consent(&mut self) -> Option<Says> {
        let purpose = self.required("purpose", NAME, is_name);
        let kind = self.required("kind", KINDS, |word| ConsentKind::named(word).is_some());
        let kind = ConsentKind::named(&kind);
        let notice = self.notice();
        let until_s = self.until();
        let name = self.given("recipient", NAME, is_name);
        let what = self.given("what", WORDS, is_words);
        let protection = self.given("protection", WORDS, is_words);
        let recipient = (!name.is_empty()).then_some(Recipient { name, what, protection });
        match &recipient {
            Some(recipient) => {
                if kind.is_some_and(|kind| !kind.is_separate()) {
                    self.faults.push(StatementFault::Bundled);
                }
                self.check_complete(recipient);
            }
            None => self.used.retain(|name| !["what", "protection"].contains(name)),
        }
        Some(Says::Consent { purpose, kind: kind?, notice, until_s, recipient })
    }

    fn check_complete(&mut self, recipient: &Recipient) {
        let until = self.text("until").unwrap_or_default();
        let told =
            [("what", &recipient.what), ("until", &until), ("protection", &recipient.protection)];
        let missing = told.iter().filter(|(_, text)| text.is_empty());
        let missing: Vec<_> = missing.map(|(name, _)| StatementFault::Incomplete(name)).collect();
        // Where it stands there and is wrong, that was told.
        let is_there = |name: &str| self.text(name).is_some_and(|text| !text.is_empty());
        let missing = missing
            .into_iter()
            .filter(|fault| !matches!(fault, StatementFault::Incomplete(name) if is_there(name)));
        let missing: Vec<_> = missing.collect();
        self.faults.extend(missing);
    }

    fn notice(&mut self) -> u16 {
        self.used.push("notice");
        let Some(text) = self.text("notice") else { return 0 };
        let notice = text.parse::<u16>().ok().filter(|notice| *notice > 0);
        notice.unwrap_or_else(|| {
            self.fault("notice", "a number from 1 to 65535");
            0
        })
    }

    /// A moment, or a span from now on.
    fn until(&mut self) -> i64 {
        self.used.push("until");
        let Some(text) = self.text("until") else { return FOREVER_S };
        let until =
            moment(&text, self.now_s).filter(|until| (self.now_s + 1..FOREVER_S).contains(until));
        until.unwrap_or_else(|| {
            self.fault("until", "a time of RFC 3339 that lies ahead, or a span such as `365d`");
            FOREVER_S
        })
    }

    /// A member as text; nothing where it is missing or empty, as in a table.
    fn text(&self, name: &str) -> Option<String> {
        match self.members.get(name)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) if number.is_i64() => Some(number.to_string()),
            Value::Null => None,
            // What is no text and no whole number fits nowhere.
            Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Some("\u{0}".to_owned())
            }
        }
    }

    fn required(&mut self, name: &'static str, must: &'static str, is: fn(&str) -> bool) -> String {
        self.used.push(name);
        match self.text(name) {
            Some(text) if is(&text) => text,
            Some(_) | None => {
                self.fault(name, must);
                String::new()
            }
        }
    }

    fn given(&mut self, name: &'static str, must: &'static str, is: fn(&str) -> bool) -> String {
        self.used.push(name);
        match self.text(name) {
            Some(text) if !is(&text) => {
                self.fault(name, must);
                String::new()
            }
            text => text.unwrap_or_default(),
        }
    }

    fn fault(&mut self, name: &'static str, must: &'static str) {
        self.faults.push(StatementFault::Form(name, must));
    }

    /// A typing error must not be passed over; what is empty in a table says nothing.
    fn unused(&mut self) {
        let names = self.members.keys().filter(|name| !self.used.contains(&name.as_str()));
        let known = |name: &&String| MEMBERS.contains(&name.as_str()) && self.text(name).is_none();
        let unused: Vec<_> = names
            .filter(|name| !known(name))
            .map(|name| StatementFault::Unknown(name.chars().take(64).collect()))
            .collect();
        self.faults.extend(unused);
    }
}

const NAME: &str = "letters, digits, `.`, `_` and `-`, at most 128 bytes";
const WORDS: &str = "at most 128 letters, digits and `-_./:#,`";
const KINDS: &str = "explicit, separate, guardian or deemed";

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.chars().all(|c| c.is_alphanumeric() || "._-".contains(c))
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 255 && !text.chars().any(char::is_control)
}

fn is_words(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:#,".contains(&b))
}

/// `2027-12-31T00:00:00Z`, or `365d` from now on.
fn moment(text: &str, now_s: i64) -> Option<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_second());
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok().filter(|number| *number > 0)?;
    let unit = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _other => return None,
    };
    now_s.checked_add(number.checked_mul(unit)?)
}
