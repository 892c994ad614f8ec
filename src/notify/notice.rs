//! What an entry of the log has to tell, if anything: names and numbers that are ours, each capped.

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::audit::{Act, Alert, Concern, Entry, Event};

/// The longest name that is told, in characters.
const NAME_LIMIT: usize = 120;

/// What somebody is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is.
    pub kind: Kind,
    /// The id of the entry that it is read from; of a test one that is made up.
    pub entry: String,
    /// When that was written, Unix milliseconds.
    pub at_ms: i64,
    /// The gate.
    pub node: String,
    /// Whose doing it is: an account; empty where nobody's.
    pub who: String,
    /// What it is about: a command, a detection, a field, a place.
    pub what: String,
    /// How many there were.
    pub count: u64,
    /// The number of a finding; 0 where there is none.
    pub number: i64,
}

impl Notice {
    /// What of this entry has to be told.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        let mut notice = Self {
            kind: Kind::Others,
            entry: entry.id.to_string(),
            at_ms: entry.time.0,
            node: name(entry.node.as_str()),
            who: name(entry.actor.as_ref().map_or("", |actor| actor.account.as_str())),
            what: String::new(),
            count: 1,
            number: 0,
        };
        match entry.event {
            Event::Alert => notice.alert(entry.alert.as_ref()?),
            Event::Change | Event::Custody | Event::Grant => notice.act(entry.act.as_ref()?)?,
            Event::Decision | Event::Outcome | Event::Session | Event::Shadow | Event::Admin => {
                return None;
            }
        }
        Some(notice)
    }

    /// Whether an entry of this event can have something to tell: the others are not even decoded.
    #[must_use]
    pub fn may_be_in(event: &str) -> bool {
        [Event::Alert, Event::Change, Event::Custody, Event::Grant]
            .iter()
            .any(|one| one.word() == event)
    }

    /// By what it is found again while it waits, so that the next of the same adds to it.
    #[must_use]
    pub fn merge_key(&self) -> String {
        let apart = if self.kind.is_single() { self.entry.as_str() } else { self.who.as_str() };
        [self.kind.word(), self.what.as_str(), apart].join("|")
    }

    /// Further notices that there was no room for.
    #[must_use]
    pub fn others(of: &Self) -> Self {
        Self {
            kind: Kind::Others,
            who: String::new(),
            what: String::new(),
            number: 0,
            ..of.clone()
        }
    }

    fn alert(&mut self, alert: &Alert) {
        let joined = |names: &mut dyn Iterator<Item = &str>| {
            name(&names.take(8).collect::<Vec<_>>().join(", "))
        };
        let fields = || joined(&mut alert.fields.iter());
        let kinds = || joined(&mut alert.kinds.iter());
        self.count = alert.count.max(1);
        let adds_up = matches!(
            alert.concern,
            Concern::Detected
                | Concern::NewField
                | Concern::ForeignTenant
                | Concern::Notice
                | Concern::Others
        );
        if !adds_up {
            // How far behind something is is no number of times.
            self.count = 1;
        }
        (self.kind, self.what) = match alert.concern {
            Concern::Detected => (Kind::ValueDetected, fields()),
            Concern::NewField => (Kind::NewField, fields()),
            Concern::ForeignTenant => (Kind::ForeignTenant, name(alert.entity.as_str())),
            Concern::ClonedPasskey => (Kind::ClonedPasskey, String::new()),
            Concern::Finding => return self.finding(alert),
            Concern::SharedStoreLost | Concern::BoardLost => (Kind::StoreLost, String::new()),
            Concern::ForgedNotice => (Kind::ForgedNotice, String::new()),
            Concern::Shipping => (Kind::ShippingBehind, kinds()),
            Concern::Backup => (Kind::BackupOverdue, kinds()),
            Concern::WitnessSilent => (Kind::WitnessSilent, kinds()),
            Concern::WitnessDisagrees => (Kind::WitnessDisagrees, kinds()),
            Concern::Certificate => (Kind::CertificateEnds, kinds()),
            Concern::Notice => (Kind::Undelivered, kinds()),
            Concern::Others => (Kind::Others, String::new()),
        };
    }

    fn finding(&mut self, alert: &Alert) {
        self.kind = Kind::Finding;
        // What was counted is said by the finding itself; here it is one.
        self.count = 1;
        let Some(found) = &alert.found else { return };
        let drill = if found.drill { " (drill)" } else { "" };
        let detection = found.detection.as_str();
        self.what = name(&format!("{detection}: {}{drill}", found.action));
        self.number = found.finding;
    }

    /// What is done, in the log's words: none of them is a customer's, and reasons are left out.
    fn act(&mut self, act: &Act) -> Option<()> {
        let word = act.name.as_str();
        let kind = match word {
            "grant_asked" => Kind::GrantAsked,
            "grant_approved" | "grant_refused" | "grant_reviewed" | "grant_reviewed_unfit" => {
                Kind::GrantDecided
            }
            "grant_revoked" | "grant_expired" | "grant_used_up" => Kind::GrantEnded,
            "glass_broken" | "glass_broken_drill" => Kind::BreakGlass,
            "grant_review_due"
            | "grant_review_due_drill"
            | "grant_review_overdue"
            | "grant_review_overdue_drill" => Kind::ReviewDue,
            "policy_refused" => Kind::PolicyRefused,
            "configuration_refused" => Kind::ConfigurationRefused,
            "certificates_refused" => Kind::CertificatesRefused,
            // Another person reviews it, and two agree.
            "partner_drafted" | "partner_reviewed" => Kind::RequestWaits,
            asked if asked.ends_with("_asked") => Kind::RequestWaits,
            _other => return None,
        };
        self.kind = kind;
        self.what = name(format!("{word} {}", act.object).trim_end());
        Some(())
    }
}

/// A name as it is told: on one line, and no longer than anybody reads.
pub(super) fn name(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = plain.clone().take(NAME_LIMIT).collect();
    if plain.count() > NAME_LIMIT {
        short.push('…');
    }
    short
}
