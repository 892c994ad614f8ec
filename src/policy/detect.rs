//! What is looked for in values that are not graded for it, and what becomes of a hit: the part of a policy
//! that can only make stricter. What looks like a card or a telephone number, the guard knows.

use std::collections::BTreeMap;

use super::kind::Kind;
use super::model::Masks;
use super::plan::{OnHit, Sought};

/// The kinds that can be told by a value's own form.
pub(super) const DETECTED: [Kind; 8] = [
    Kind::BankCard,
    Kind::BankAccount,
    Kind::CnResidentId,
    Kind::KrResidentNumber,
    Kind::ThNationalId,
    Kind::IdNik,
    Kind::Phone,
    Kind::Email,
];

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// To the caller.
    Answer,
    /// To the backend.
    Request,
}

/// What a policy has looked for. Nothing, where it says nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Detect {
    pub(super) answers: BTreeMap<Kind, OnHit>,
    pub(super) requests: BTreeMap<Kind, OnHit>,
    /// What is not looked for in a field, by entity and field.
    pub(super) fields: BTreeMap<(usize, u16), Vec<Kind>>,
    /// What is not looked for on a route, by its index.
    pub(super) routes: BTreeMap<usize, Vec<Kind>>,
}

impl Detect {
    /// What is looked for in bodies that go this way.
    pub(super) fn on(&self, way: Way) -> &BTreeMap<Kind, OnHit> {
        match way {
            Way::Answer => &self.answers,
            Way::Request => &self.requests,
        }
    }

    /// What is looked for in one place of a route's body: a field of this kind, or a scalar that is no field.
    pub(super) fn sought(
        &self,
        (way, route): (Way, usize),
        field: Option<(usize, u16)>,
        own: Option<Kind>,
        masks: &Masks,
    ) -> Vec<Sought> {
        let excepted = field.and_then(|field| self.fields.get(&field)).into_iter();
        let excepted = excepted.chain(self.routes.get(&route)).flatten();
        let excepted: Vec<Kind> = excepted.copied().collect();
        let sought = self.on(way).iter().filter(|(kind, _)| {
            !own.is_some_and(|own| is_meant_for(own, **kind)) && !excepted.contains(kind)
        });
        sought.map(|(kind, on_hit)| Sought { mask: masks.of(*kind), on_hit: *on_hit }).collect()
    }
}

/// Whether a field of the kind `own` is the place for values of the other one.
///
/// In many countries the number of a card is that of the account behind it.
pub(super) fn is_meant_for(own: Kind, other: Kind) -> bool {
    let is_national = matches!(
        other,
        Kind::CnResidentId | Kind::KrResidentNumber | Kind::ThNationalId | Kind::IdNik
    );
    own == other
        || (own == Kind::NationalId && is_national)
        || (own == Kind::BankAccount && other == Kind::BankCard)
        || (own == Kind::BankCard && other == Kind::BankAccount)
}

impl OnHit {
    /// What may become of a hit in an answer, with the name that policy files use.
    pub(super) const IN_ANSWERS: &'static [(&'static str, Self)] =
        &[("alert", Self::Alert), ("mask", Self::Mask), ("withhold", Self::Withhold)];
    /// What may become of a hit in a request body, with the name that policy files use.
    pub(super) const IN_REQUESTS: &'static [(&'static str, Self)] =
        &[("alert", Self::Alert), ("refuse", Self::Refuse)];

    /// The name that policy files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Mask => "mask",
            Self::Withhold => "withhold",
            Self::Refuse => "refuse",
        }
    }
}
