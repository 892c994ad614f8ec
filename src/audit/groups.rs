//! The groups of an entry: who, how sure, from where, what, why, which data, which verdict, how it ended.
//!
//! Every group can be filled field by field; what is not known stays out of the JSON. No field
//! takes a value of a customer: fields go by name, subjects by keyed reference, query values by keyed hash.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::attributes::Attributes;
use super::entry::{EntryId, Moment};
use super::subject::SubjectRef;
use super::text::{FieldNames, Labels, Text};

/// An enum whose JSON form and command-line form are one word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that stands for it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// What an entry is about.
    Event {
        /// A request was allowed, denied, or could not be judged.
        Decision = "decision",
        /// What an allowed request disclosed.
        Outcome = "outcome",
        /// Sign-in, step-up, sign-out, lock-out.
        Session = "session",
        /// Policy, configuration, accounts, rights, keys or switches changed.
        Change = "change",
        /// A grant was asked for, agreed to, refused, taken back, used up or reviewed, or its time is over.
        Grant = "grant",
        /// The log itself was read, recovered, backed up, purged.
        Custody = "custody",
        /// A candidate policy would have decided otherwise.
        Shadow = "shadow",
        /// Somebody used the interface for the security team.
        Admin = "admin",
        /// Something that should not be was noticed: a value where none of its kind belongs, a field that
        /// nobody declared, a record of a foreign tenant.
        Alert = "alert",
    }
}

words! {
    /// What an alert is about.
    Concern {
        /// A value was found in a field that is not graded for its kind.
        Detected = "value_detected",
        /// The backend has a field that the catalogue does not know.
        NewField = "new_field",
        /// The backend gave a record of a tenant that the caller is not confined to, or of none that can be
        /// read. It did not pass, but the backend should not have given it.
        ForeignTenant = "foreign_tenant",
        /// A passkey's counter went back, so there may be a copy of it. It was refused.
        ClonedPasskey = "cloned_passkey",
        /// A detection found a pattern in what one person did.
        Finding = "finding",
        /// The store in which several gates count budgets together does not answer, or lost what it knew: this
        /// gate's limits are stricter until it does.
        SharedStoreLost = "shared_store_lost",
        /// The board on which gates tell each other of switches, blocks, releases and resets does not answer: what is
        /// done elsewhere is not known here, nor what is done here elsewhere.
        BoardLost = "board_lost",
        /// On that board stands what no gate of this key sealed. It counts for nothing.
        ForgedNotice = "forged_notice",
        /// Entries do not get to the place that the log is carried to.
        Shipping = "shipping_behind",
        /// A place has no backup that is new enough.
        Backup = "backup_overdue",
        /// A witness of the log's checkpoints has cosigned none for too long.
        WitnessSilent = "witness_silent",
        /// A witness saw another log than this one: entries were removed or altered.
        WitnessDisagrees = "witness_disagrees",
        /// A listener's certificate ends soon, or has ended.
        Certificate = "certificate_ends",
        /// A notice did not get to its target and was given up.
        Notice = "notice_undelivered",
        /// Alerts that were too many to be told apart.
        Others = "others",
    }
}

words! {
    /// How a value stands to those that one person asked for before it, over the same parameter.
    Order {
        /// It follows one of the last few directly, and comes after the last.
        Next = "next",
        /// It stands beside one of the last few, and comes before the last.
        Previous = "previous",
        /// It comes after the last.
        Up = "up",
        /// It comes before the last.
        Down = "down",
    }
}

words! {
    /// How long an entry must and may be kept goes by its class.
    Class {
        /// Staff looked at customer data.
        StaffAccess = "staff_access",
        /// A customer used the service.
        CustomerUsage = "customer_usage",
        /// Sessions, alarms and the custody of the log.
        Security = "security",
        /// Who changed which right, policy or account.
        Ledger = "ledger",
    }
}

words! {
    /// What kind of caller it was.
    ActorKind {
        /// An employee.
        Staff = "staff",
        /// A merchant on a marketplace.
        Merchant = "merchant",
        /// A company that data are shared with.
        Partner = "partner",
        /// A program.
        Machine = "machine",
        /// A customer.
        Customer = "customer",
        /// Who operates menshen.
        Admin = "admin",
    }
}

words! {
    /// The verdict on a request.
    Effect {
        /// It may be answered.
        Allow = "allow",
        /// It may not.
        Deny = "deny",
        /// It could not be judged, which is a denial.
        Error = "error",
    }
}

words! {
    /// How an answer ended.
    Ending {
        /// The whole answer was given.
        Complete = "complete",
        /// A limit ended it.
        Limited = "limited",
        /// Nothing was given.
        Refused = "refused",
        /// The client went away.
        AbortedByClient = "aborted_by_client",
        /// The upstream went away or broke its promise.
        AbortedByUpstream = "aborted_by_upstream",
        /// The filter could not judge the rest.
        AbortedByFilter = "aborted_by_filter",
        /// A new policy took the caller's right away.
        AbortedByPolicy = "aborted_by_policy",
    }
}

words! {
    /// Whether an answer may be looked at, or is a file to be kept.
    Mode {
        /// To be looked at.
        View = "view",
        /// A file: an export, or an answer that passes unread.
        Download = "download",
    }
}

words! {
    /// Whether the bytes that a file's hash is over are all of it.
    Extent {
        /// The whole file.
        Complete = "complete",
        /// Its beginning: what left before it was cut off.
        Cut = "cut",
    }
}

/// Who did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Actor {
    /// The account; empty for a caller nobody could identify.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub account: Text,
    /// The attributes that conditions of the policy read, at that time; not those of a customer.
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// The number of that partner's contract at that time, as the registry has it.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub contract: Text,
    /// What kind of caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ActorKind>,
    /// For whom the caller acted.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub on_behalf_of: Text,
    /// The caller as a data subject, as far as the policy says whose record is whose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<SubjectRef>,
    /// The partner in whose name it was asked.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub partner: Text,
    /// Whose account it is, where several are one person's and counted together.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub person: Text,
    /// The roles at that time.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub roles: Labels,
    /// The tenant or branch at that time.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub tenant: Text,
}

/// How sure it was that it was them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Auth {
    /// Seconds since the last factor was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
    /// Assurance level, 0 to 3.
    pub assurance: u8,
    /// What kind of credential: `bearer`, `session`, `client_cert`, `api_key`.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub credential: Text,
    /// The device's key.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub device: Text,
    /// The factors used.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub factors: Labels,
    /// The level of each factor whose age is known, and that age.
    #[serde(skip_serializing_if = "Levels::is_empty")]
    pub levels: Levels,
    /// Keyed hash of the session.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub session: Text,
    /// Keyed hash of the token.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub token: Text,
}

/// Levels of factors with their ages in seconds, at most 8.
///
/// An age is below zero if the clock that showed the factor runs ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels(Vec<(u8, i64)>);

const MAX_LEVELS: usize = 8;

impl Levels {
    /// Adds a factor.
    pub fn push(&mut self, level: u8, age_s: i64) {
        if self.0.len() < MAX_LEVELS {
            self.0.push((level, age_s));
        }
    }

    /// Level and age of each.
    pub fn iter(&self) -> impl Iterator<Item = (u8, i64)> {
        self.0.iter().copied()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// From where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// SHA-256 of the client certificate.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub client_certificate: Text,
    /// The listener.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub listener: Text,
    /// The client's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The TLS version, such as `1.3`.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub tls: Text,
    /// What the client called itself.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub user_agent: Text,
    /// The zone of the listener.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub zone: Text,
}

/// What was asked. Never the raw URL: paths carry customers' keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// The action the policy was asked about.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub action: Text,
    /// Bytes of the request's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Members of the body that the caller may not write and that were left out.
    #[serde(skip_serializing_if = "FieldNames::is_empty")]
    pub dropped: FieldNames,
    /// The host.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub host: Text,
    /// The method.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub method: Text,
    /// The page of a list that is asked for, where that is said by its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u64>,
    /// What was searched by.
    #[serde(skip_serializing_if = "Query::is_empty")]
    pub query: Query,
    /// The route's id; empty where no route was found.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub route: Text,
    /// The route's path template.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub template: Text,
    /// The id of its trace, where somebody trusted began that; else it is the id of the decision without its hyphens.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub trace: Text,
    /// Files that the body brings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploads: Option<Uploads>,
}

/// The files of a request's body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Uploads {
    /// Their bytes together.
    pub bytes: u64,
    /// How many.
    pub files: u64,
    /// What it found, in its words.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub finding: Text,
    /// The scanner that was asked; empty if none had to be.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub scanner: Text,
    /// What it said: `clean`, `found`, or `none` where there is no verdict.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub verdict: Text,
}

/// The parameters of a query, at most 32; further ones are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Query {
    #[serde(skip_serializing_if = "is_zero")]
    beyond: u64,
    #[serde(rename = "parameters")]
    uses: Vec<QueryUse>,
}

const MAX_QUERY_USES: usize = 32;

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// One parameter of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryUse {
    /// The field it searches by, if it is one.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub field: Text,
    /// How the value stands to those that the same person asked for lately over the same parameter; none where
    /// there is nothing to compare, or it was asked for lately itself. The value does not follow from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The parameter's name.
    pub parameter: Text,
    /// Keyed hash of the value, so that equal searches can be found.
    pub value: Text,
}

impl Query {
    /// Adds a parameter; `value_hash` must be a keyed hash, such as a `Tagger`'s reference.
    pub fn push(&mut self, parameter: &str, field: Option<&str>, value_hash: &str) {
        if self.uses.len() >= MAX_QUERY_USES {
            self.beyond += 1;
            return;
        }
        self.uses.push(QueryUse {
            parameter: Text::word(parameter),
            field: Text::word(field.unwrap_or_default()),
            value: Text::word(value_hash),
            order: None,
        });
    }

    /// Notes how the value of a parameter stands to those before.
    pub fn ordered(&mut self, parameter: &str, order: Option<Order>) {
        if let Some(one) = self.uses.iter_mut().find(|one| one.parameter.as_str() == parameter) {
            one.order = order;
        }
    }

    /// The parameters.
    #[must_use]
    pub fn uses(&self) -> &[QueryUse] {
        &self.uses
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uses.is_empty() && self.beyond == 0
    }
}

/// Why, in the caller's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Why {
    /// The grant that was used.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub grant: Text,
    /// The purpose, from the policy's list.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub purpose: Text,
    /// A reason; make it with [`Text::reason`].
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub reason: Text,
    /// A ticket or case.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub ticket: Text,
}

/// Which data: in a decision what may be given, in an outcome what was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Bytes given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Fields in clear.
    #[serde(skip_serializing_if = "FieldNames::is_empty")]
    pub clear: FieldNames,
    /// What data subjects said that the request depended on: the purpose, and the kind of consent with its notice, or
    /// `no`, or `nothing`. Never whose.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub consents: Labels,
    /// The entity.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub entity: Text,
    /// Whether they are the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Extent>,
    /// How many bytes that hash is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<u64>,
    /// Records that a limit held back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_back: Option<u64>,
    /// The highest grade among them.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub highest_grade: Text,
    /// Fields in masked form.
    #[serde(skip_serializing_if = "FieldNames::is_empty")]
    pub masked: FieldNames,
    /// Whether it was a look or a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Fields as pseudonyms.
    #[serde(skip_serializing_if = "FieldNames::is_empty")]
    pub pseudonym: FieldNames,
    /// Records given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// SHA-256 of the bytes of a file that left, in hex.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub sha256: Text,
    /// Records of which less was given, since a condition on them asks for a factor that was not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_up: Option<u64>,
    /// Of those, the ones that a flag or a rule that denies took away, such as people who opted out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<u64>,
    /// Records that passed although no case ties the caller, where the policy wants that flagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlinked: Option<u64>,
    /// The mark that a file carries, which leads from a copy of it back to this entry.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub watermark: Text,
    /// Fields that were withheld, declared or not.
    #[serde(skip_serializing_if = "FieldNames::is_empty")]
    pub withheld: FieldNames,
    /// Records that conditions withheld, or of which nothing was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld_records: Option<u64>,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Allowed, denied, or not judged.
    pub effect: Effect,
    /// The policy's version: its hash.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub policy: Text,
    /// The rules that decided.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub rules: Labels,
    /// Requirements that were not met.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub unmet: Labels,
}

impl Decision {
    /// A verdict without its reasons yet.
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        let (rules, policy, unmet) = Default::default();
        Self { effect, rules, policy, unmet }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Why it ended so, in a word of ours, such as `invalid_json`.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub cause: Text,
    /// Microseconds until the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decide_us: Option<u64>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ending>,
    /// Headers of the upstream's answer that the route names and that did not meet their rule.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub removed: Labels,
    /// How often requests to the upstream were sent once more, where they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// The status the caller got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Microseconds until the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_us: Option<u64>,
    /// The upstream that was asked.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub upstream: Text,
    /// The status that the upstream gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// Microseconds until the upstream's head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_us: Option<u64>,
}

/// What a candidate policy would have decided otherwise, for requests with one route, roles and difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Difference {
    /// The version of the candidate.
    pub candidate: Text,
    /// What would be different.
    pub changes: FieldNames,
    /// How many requests it was since the last such entry.
    pub count: u64,
    /// The decision on one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<EntryId>,
    /// The version of the policy that decided.
    pub policy: Text,
    /// The rules that it is due to, of either policy.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub rules: Labels,
}

/// What was noticed, in names and numbers; never a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is about.
    pub concern: Concern,
    /// How many values, records or alerts since the last such entry; of a finding, what was counted.
    pub count: u64,
    /// The entity of a record.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub entity: Text,
    /// The decision on one of the requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<EntryId>,
    /// The fields, by full name.
    #[serde(default, skip_serializing_if = "FieldNames::is_empty")]
    pub fields: FieldNames,
    /// What a detection found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// Whether it was in an `answer` or in a `request`.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub found_in: Text,
    /// The kinds of what was found.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub kinds: Labels,
}

/// What a detection found, and what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    /// What follows: `alert`, `step-up`, `slow` or `block`.
    pub action: Text,
    /// The detection.
    pub detection: Text,
    /// Whether it was a drill: nobody did it, and nothing follows.
    #[serde(skip_serializing_if = "is_no")]
    pub drill: bool,
    /// The finding's number, by which it is shown and released.
    pub finding: i64,
    /// What it saw, in words and numbers.
    pub said: Text,
}

fn is_no(yes: &bool) -> bool {
    !*yes
}

impl Alert {
    /// An alert of which only its concern and number are known.
    #[must_use]
    pub fn new(concern: Concern, count: u64) -> Self {
        let (entity, fields, kinds, found_in, example, found) = Default::default();
        Self { concern, entity, fields, kinds, found_in, count, example, found }
    }
}

/// What was done in a `session`, `change` or `custody` entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Act {
    /// Keyed hash of the state after.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub after: Text,
    /// The second person.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub approved_by: Text,
    /// When it was done, where that was before the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// Keyed hash of the state before.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub before: Text,
    /// How many things it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// To what it was changed, where that is no secret: `roles auditor, teller`.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub detail: Text,
    /// A word for it, such as `sign_in`, `policy_loaded`, `log_read`.
    pub name: Text,
    /// Its number in the gate's state, which grows: a state that does not know this one yet was put back from a copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// What it was done to: an account, a file, a setting.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub object: Text,
    /// Whether it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<bool>,
}
