//! What another program would have decided: two decisions on one question, and the difference in names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::decide::Permit;
use super::denial::{Denial, DenialKind};
use super::outcome::Treatment;
use super::plan::{Node, NodeId, Plan, Slot, Verdict};
use super::search::Parameter;

/// How a question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ruling {
    /// It may be answered.
    Allowed,
    /// Not before a step-up.
    StepUp,
    /// It may not.
    Denied,
}

/// What a field is shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Shown {
    /// On the record of which most is shown.
    most: Treatment,
    /// On the record of which least is shown; a recorded decision does not say.
    least: Option<Treatment>,
}

/// What a decision comes to, in names, so that the decisions of two programs can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    ruling: Ruling,
    /// The rules that decided, where they are known.
    rules: Option<BTreeSet<Box<str>>>,
    fields: BTreeMap<Box<str>, Shown>,
    /// Whether there may be fields beyond those named.
    is_cut: bool,
    /// The conditions that records are held against, where they are known.
    rows: Option<BTreeSet<Box<str>>>,
}

/// One difference between two decisions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DecisionChange {
    /// It was allowed or open to a step-up, and would be denied.
    Denied,
    /// It was not allowed, and would be.
    Allowed,
    /// It was allowed or denied, and a step-up would be asked.
    StepUp,
    /// A field would be shown otherwise.
    Field {
        /// Its full name, such as `customer.phone`.
        field: Box<str>,
        /// As what it was shown.
        from: Treatment,
        /// As what it would be shown.
        to: Treatment,
        /// Only on records of which less is shown than of others.
        on_some_records: bool,
    },
    /// Records would be held against other conditions, so that others may pass.
    Records,
}

impl DecisionChange {
    /// The word of a closed list for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Allowed => "allowed",
            Self::StepUp => "step_up",
            Self::Records => "records",
            Self::Field { to, .. } => to.word(),
        }
    }
}

impl fmt::Display for DecisionChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("would be denied"),
            Self::Allowed => f.write_str("would be allowed"),
            Self::StepUp => f.write_str("a step-up would be asked"),
            Self::Records => f.write_str("other conditions on records"),
            Self::Field { field, from, to, on_some_records } => {
                let on = if *on_some_records { " on some records" } else { "" };
                write!(f, "{field}: {} → {}{on}", from.word(), to.word())
            }
        }
    }
}

impl Finding {
    /// What a decision of a program comes to, for a request that searches by these query parameters.
    #[must_use]
    pub fn of<'p>(
        decided: &Result<Permit, Denial>,
        parameters: impl IntoIterator<Item = &'p str>,
    ) -> Self {
        match decided {
            Ok(permit) if parameters.into_iter().all(|name| may_use(permit, name)) => Self {
                ruling: Ruling::Allowed,
                rules: Some(permit.rules().map(Into::into).collect()),
                fields: shown(permit.plan()),
                is_cut: false,
                rows: Some(permit.row_texts().map(Into::into).collect()),
            },
            Ok(permit) => Self::without_answer(Ruling::Denied, permit.rules()),
            Err(denial) => match denial.kind {
                DenialKind::StepUp(_) => Self::without_answer(Ruling::StepUp, denial.rules()),
                DenialKind::NotPublished
                | DenialKind::Forbidden
                | DenialKind::Withheld
                | DenialKind::Grant
                | DenialKind::Purpose { .. } => {
                    Self::without_answer(Ruling::Denied, denial.rules())
                }
            },
        }
    }

    /// What a program comes to that publishes nothing there.
    #[must_use]
    pub fn nothing() -> Self {
        Self::without_answer(Ruling::Denied, std::iter::empty())
    }

    fn without_answer<'r>(ruling: Ruling, rules: impl Iterator<Item = &'r str>) -> Self {
        let (rules, rows) = (Some(rules.map(Into::into).collect()), None);
        Self { ruling, rules, fields: BTreeMap::new(), is_cut: false, rows }
    }

    /// What the record of a decision says it came to: the names of fields by what they were shown as.
    /// `is_cut` says that there may have been further ones.
    #[must_use]
    pub fn recorded<'r>(
        ruling: Ruling,
        rules: Option<impl Iterator<Item = &'r str>>,
        fields: impl Iterator<Item = (&'r str, Treatment)>,
        is_cut: bool,
    ) -> Self {
        let mut found: BTreeMap<Box<str>, Shown> = BTreeMap::new();
        for (name, treatment) in fields {
            let shown = found.entry(name.into()).or_insert(Shown { most: treatment, least: None });
            shown.most = shown.most.max(treatment);
        }
        let rules = rules.map(|rules| rules.map(Into::into).collect());
        Self { ruling, rules, fields: found, is_cut, rows: None }
    }

    /// How the question was answered.
    #[must_use]
    pub fn ruling(&self) -> Ruling {
        self.ruling
    }

    /// What would be different under another decision on the same question, in order.
    #[must_use]
    pub fn changes_to(&self, other: &Self) -> Vec<DecisionChange> {
        match (self.ruling, other.ruling) {
            (Ruling::Allowed, Ruling::Allowed) => self.field_changes_to(other),
            (Ruling::StepUp, Ruling::StepUp) | (Ruling::Denied, Ruling::Denied) => Vec::new(),
            (_, Ruling::Allowed) => vec![DecisionChange::Allowed],
            (_, Ruling::StepUp) => vec![DecisionChange::StepUp],
            (_, Ruling::Denied) => vec![DecisionChange::Denied],
        }
    }

    fn field_changes_to(&self, other: &Self) -> Vec<DecisionChange> {
        let mut changes = Vec::new();
        let names: BTreeSet<_> = self.fields.keys().chain(other.fields.keys()).collect();
        for name in names {
            let absent = Shown { most: Treatment::Absent, least: Some(Treatment::Absent) };
            let (old, new) = (self.fields.get(name), other.fields.get(name));
            if old.is_none() && self.is_cut || new.is_none() && other.is_cut {
                continue;
            }
            let (old, new) = (old.unwrap_or(&absent), new.unwrap_or(&absent));
            let field = name.clone();
            if old.most != new.most {
                let (from, to, on_some_records) = (old.most, new.most, false);
                changes.push(DecisionChange::Field { field, from, to, on_some_records });
            } else if let (Some(from), Some(to)) = (old.least, new.least)
                && from != to
            {
                changes.push(DecisionChange::Field { field, from, to, on_some_records: true });
            }
        }
        if let (Some(old), Some(new)) = (&self.rows, &other.rows)
            && old != new
        {
            changes.push(DecisionChange::Records);
        }
        changes
    }

    /// The rules that a difference is due to: those that decided on one side only, and where the sides
    /// name the same, or one does not say, all that are known.
    #[must_use]
    pub fn rules_behind<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let mut differing = Vec::new();
        if let (Some(old), Some(new)) = (&self.rules, &other.rules) {
            differing.extend(old.symmetric_difference(new).map(AsRef::as_ref));
        }
        if differing.is_empty() {
            let all = self.rules.iter().chain(&other.rules).flatten();
            differing.extend(all.map(AsRef::as_ref));
            differing.sort_unstable();
            differing.dedup();
        }
        differing
    }
}

/// Whether a query may use this parameter; else the request is refused.
fn may_use(permit: &Permit, name: &str) -> bool {
    permit.search().meaning(name).is_some_and(|parameter| match parameter {
        Parameter::Field { clear, .. } => *clear,
        Parameter::Page
        | Parameter::PageSize(_)
        | Parameter::Sort { .. }
        | Parameter::Filter { .. }
        | Parameter::Fields { .. }
        | Parameter::Include { .. }
        | Parameter::Free => true,
    })
}

/// Each field of a plan, on the record of which most and on that of which least is shown.
fn shown(plan: &Plan) -> BTreeMap<Box<str>, Shown> {
    let mut fields: BTreeMap<Box<str>, Shown> = BTreeMap::new();
    for slot in plan.slots() {
        if let Some((name, treatment)) = field(plan, slot) {
            let shown = fields.entry(name.into()).or_insert(Shown { most: treatment, least: None });
            shown.most = shown.most.max(treatment);
        }
    }
    for record in &plan.records {
        let cases: Vec<BTreeMap<&str, Treatment>> = record
            .cases
            .iter()
            .map(|case| case.map_or_else(BTreeMap::new, |node| below(plan, node)))
            .collect();
        for name in cases.iter().flat_map(BTreeMap::keys) {
            let treatments = cases.iter().map(|case| case.get(name).copied());
            let least = treatments.map(|t| t.unwrap_or(Treatment::Absent)).min();
            if let Some(shown) = fields.get_mut(*name) {
                shown.least = shown.least.min(least).or(least);
            }
        }
    }
    fields
}

/// The fields of one record, without those of records inside it.
fn below(plan: &Plan, node: NodeId) -> BTreeMap<&str, Treatment> {
    let mut fields: BTreeMap<&str, Treatment> = BTreeMap::new();
    let mut next = vec![(node, true)];
    // A plan is a tree, so that each node is looked at once.
    while let Some((id, is_own)) = next.pop() {
        let slots: Vec<&Slot> = match plan.node(id) {
            Some(Node::Object(object)) if !is_own && object.record.is_some() => continue,
            Some(Node::Object(object)) => object.members.iter().map(|(_, slot)| slot).collect(),
            Some(Node::Array(slot)) => vec![slot],
            None => continue,
        };
        for slot in slots {
            if let Some((name, treatment)) = field(plan, slot) {
                let most = fields.entry(name).or_insert(treatment);
                *most = treatment.max(*most);
            }
            if let Verdict::Enter(inner) = slot.verdict {
                next.push((inner, false));
            }
        }
    }
    fields
}

fn field<'p>(plan: &'p Plan, slot: &Slot) -> Option<(&'p str, Treatment)> {
    let treatment = match slot.verdict {
        Verdict::Clear => Treatment::Clear,
        Verdict::Mask => Treatment::Masked,
        Verdict::Pseudonym => Treatment::Pseudonym,
        Verdict::Absent | Verdict::Enter(_) => return None,
    };
    Some((plan.field(slot.field?)?, treatment))
}
