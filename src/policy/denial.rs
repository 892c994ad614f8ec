//! Why a request does not go through, for the log and the operator; what the caller is told is less.

use super::expression::EvaluationError;
use super::grant::Lack;
use super::judge::{Obstacle, StepUp};
use super::model::{Action, Rule};
use super::rows::TooManyConditions;

/// A refusal with every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What kind of refusal, which decides what the caller is told.
    pub kind: DenialKind,
    /// Every reason.
    pub reasons: Vec<Reason>,
}

/// The kinds of refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenialKind {
    /// The route does not exist for this caller's zone.
    NotPublished,
    /// No rule opens it, or a rule denies it.
    Forbidden,
    /// The row conditions hide this record from the caller: it answers as if it did not exist.
    Withheld,
    /// Only a purpose is missing, or the one declared is unknown.
    Purpose {
        /// The purposes that would do.
        accepted: Vec<String>,
        /// The form of the ticket that is missing, where the purpose itself is accepted.
        ticket: Option<String>,
    },
    /// Only assurance or its freshness is missing.
    StepUp(StepUp),
    /// Only a grant is missing.
    Grant,
}

/// One reason, in people's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nothing there for this zone.
    #[error("no such route is published here")]
    NotPublished,
    /// The person holds roles that are kept apart.
    #[error("the person holds `{one}` and `{other}`, which the policy keeps apart")]
    HeldTogether {
        /// One of them.
        one: String,
        /// Another.
        other: String,
    },
    /// Not on the closed list.
    #[error("the purpose declared is not on the list (accepted: {})", listed(accepted))]
    UnknownPurpose {
        /// The list.
        accepted: Vec<String>,
    },
    /// On the list, but for certain tickets only.
    #[error("the purpose `{purpose}` counts only with a ticket such as `{form}`")]
    Ticket {
        /// The purpose.
        purpose: String,
        /// The form of its tickets.
        form: String,
    },
    /// A deny rule.
    #[error("the rule `{rule}` denies it{}", failed(error.as_ref()))]
    Denied {
        /// Its name.
        rule: String,
        /// Set if its condition could not be evaluated, which counts as holding.
        error: Option<EvaluationError>,
    },
    /// A limit with `export: none`.
    #[error("the limit for {audience} allows no export")]
    NoExport {
        /// Whom the limit is about.
        audience: String,
    },
    /// A limit with `export: { grant: required }`.
    #[error("the limit for {audience} allows an export only with a grant")]
    ExportGrant {
        /// Whom the limit is about.
        audience: String,
    },
    /// No rule is about any of the caller's roles.
    #[error("no rule lets any of the caller's roles {action} over `{route}`")]
    NoRule {
        /// What was asked.
        action: Action,
        /// Over which route.
        route: String,
    },
    /// The route asks for another zone.
    #[error("the route may not be used from this zone")]
    RouteZone,
    /// The route asks for more assurance.
    #[error("the route asks for {}", proof(.0))]
    RouteStepUp(StepUp),
    /// The route or a rule asks for a device key bound to the person.
    #[error("{} asks for a device bound to the person", asker(rule.as_deref()))]
    NeedsDevice {
        /// The rule; none where it is the route.
        rule: Option<String>,
    },
    /// The route or a rule asks that somebody grants it.
    #[error("{} asks for a grant", asker(rule.as_deref()))]
    NeedsGrant {
        /// The rule; none where it is the route.
        rule: Option<String>,
    },
    /// The grant that was brought does not cover it.
    #[error("the grant `{grant}` does not count here: {lack}")]
    NotCovered {
        /// The grant.
        grant: String,
        /// Why.
        lack: Lack,
    },
    /// The caller is confined to a tenant, and no record is read whose tenant could be tested.
    #[error(
        "the caller is confined to a tenant, and the `{entity}` that is changed is not read before"
    )]
    TenantUntested {
        /// The entity.
        entity: String,
    },
    /// The purpose asks something of whom a record is about, and none is read on which that could be tested.
    #[error(
        "the purpose asks for consent, and the `{entity}` that is asked for is not read before"
    )]
    ConsentUntested {
        /// The entity.
        entity: String,
    },
    /// An allow rule for certain purposes.
    #[error("the rule `{rule}` applies only for a declared purpose ({})", listed(accepted))]
    Purpose {
        /// The rule.
        rule: String,
        /// Its purposes.
        accepted: Vec<String>,
    },
    /// An allow rule asks for more assurance.
    #[error("the rule `{rule}` asks for {}", proof(step_up))]
    StepUp {
        /// The rule.
        rule: String,
        /// What it asks.
        step_up: StepUp,
    },
    /// An allow rule asks for another zone.
    #[error("the rule `{rule}` does not apply in this zone")]
    Zone {
        /// The rule.
        rule: String,
    },
    /// An allow rule's condition is false.
    #[error("the rule `{rule}` applies only when {condition}")]
    ConditionFalse {
        /// The rule.
        rule: String,
        /// Its condition, as written.
        condition: String,
    },
    /// An allow rule's condition could not be evaluated.
    #[error("the rule `{rule}` does not apply, since its condition cannot be evaluated: {error}")]
    ConditionFailed {
        /// The rule.
        rule: String,
        /// Why.
        error: EvaluationError,
    },
    /// The conditions on rows hide the record.
    #[error("no rule lets the caller {action} this record")]
    RecordWithheld {
        /// What was asked.
        action: Action,
    },
    /// A condition on the record asks for a factor.
    #[error("the record asks for {}", proof(.0))]
    RecordStepUp(StepUp),
    /// The policy cannot be evaluated for this caller.
    #[error(transparent)]
    TooManyConditions(#[from] TooManyConditions),
}

impl Denial {
    pub(super) fn new(kind: DenialKind, reasons: Vec<Reason>) -> Self {
        Self { kind, reasons }
    }

    /// The names of the rules that had a part in it.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.reasons.iter().filter_map(Reason::rule)
    }

    /// The names of the rules that took the action away.
    pub fn denying_rules(&self) -> impl Iterator<Item = &str> {
        let denying = self.reasons.iter().filter(|reason| matches!(reason, Reason::Denied { .. }));
        denying.filter_map(Reason::rule)
    }
}

impl Reason {
    pub(super) fn of(rule: &Rule, obstacle: &Obstacle) -> Self {
        let name = rule.name.to_string();
        match obstacle {
            Obstacle::Purpose => {
                let accepted = rule.purposes.iter().map(|purpose| purpose.to_string()).collect();
                Self::Purpose { rule: name, accepted }
            }
            Obstacle::StepUp(step_up) => Self::StepUp { rule: name, step_up: step_up.clone() },
            Obstacle::Device => Self::NeedsDevice { rule: Some(name) },
            Obstacle::Grant => Self::NeedsGrant { rule: Some(name) },
            Obstacle::Zone => Self::Zone { rule: name },
            Obstacle::ConditionFalse => {
                let condition = rule.when.as_ref().map_or("", |when| &when.text).to_owned();
                Self::ConditionFalse { rule: name, condition }
            }
            Obstacle::ConditionFailed(error) => {
                Self::ConditionFailed { rule: name, error: error.clone() }
            }
        }
    }

    /// The rule that it is about, if it is about one.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::Denied { rule, .. }
            | Self::Purpose { rule, .. }
            | Self::StepUp { rule, .. }
            | Self::Zone { rule }
            | Self::ConditionFalse { rule, .. }
            | Self::ConditionFailed { rule, .. } => Some(rule),
            Self::NeedsDevice { rule } | Self::NeedsGrant { rule } => rule.as_deref(),
            Self::NotPublished
            | Self::HeldTogether { .. }
            | Self::Ticket { .. }
            | Self::TenantUntested { .. }
            | Self::ConsentUntested { .. }
            | Self::UnknownPurpose { .. }
            | Self::NoExport { .. }
            | Self::ExportGrant { .. }
            | Self::NotCovered { .. }
            | Self::NoRule { .. }
            | Self::RouteZone
            | Self::RouteStepUp(_)
            | Self::RecordWithheld { .. }
            | Self::RecordStepUp(_)
            | Self::TooManyConditions(_) => None,
        }
    }
}

/// What a step-up asks, in words.
pub(super) fn proof(step_up: &StepUp) -> String {
    let level = step_up.assurance;
    match step_up.max_age_s {
        Some(age) => format!("a factor of assurance {level} at most {} old", duration(age)),
        None => format!("assurance {level}"),
    }
}

fn duration(seconds: u32) -> String {
    match seconds {
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

fn asker(rule: Option<&str>) -> String {
    rule.map_or_else(|| "the route".to_owned(), |rule| format!("the rule `{rule}`"))
}

fn listed(words: &[String]) -> String {
    if words.is_empty() { "none is defined".to_owned() } else { words.join(", ") }
}

fn failed(error: Option<&EvaluationError>) -> String {
    error.map_or_else(String::new, |error| {
        format!(", since its condition cannot be evaluated: {error}")
    })
}
