//! What is looked for in values that are not graded for it, by name.

use std::collections::{BTreeMap, BTreeSet};

use super::super::detect::{DETECTED, Detect, is_meant_for};
use super::super::kind::Kind;
use super::super::plan::OnHit;
use super::super::program::Program;

/// What a program looks for, and where it does not.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::policy) struct DetectView {
    pub(in crate::policy) answers: BTreeMap<&'static str, OnHit>,
    pub(in crate::policy) requests: BTreeMap<&'static str, OnHit>,
    /// Kinds that are not looked for, by the full name of the field.
    pub(in crate::policy) fields: BTreeMap<String, BTreeSet<&'static str>>,
    /// Kinds that are not looked for, by route.
    pub(in crate::policy) routes: BTreeMap<Box<str>, BTreeSet<&'static str>>,
}

impl DetectView {
    pub(super) fn of(detect: &Detect, program: &Program) -> Self {
        let Detect { answers, requests, fields, routes } = detect;
        let named = |table: &BTreeMap<Kind, OnHit>| {
            table.iter().map(|(kind, on_hit)| (kind.name(), *on_hit)).collect()
        };
        let names = |kinds: &Vec<Kind>| kinds.iter().map(|kind| kind.name()).collect();
        let field = |(entity, field): &(usize, u16)| {
            let entity = program.model.entities.get(*entity)?;
            let path = &entity.fields.get(usize::from(*field))?.path;
            Some(format!("{}.{path}", entity.name))
        };
        let route = |index: &usize| Some(program.routes.get(*index)?.name.clone());
        Self {
            answers: named(answers),
            requests: named(requests),
            fields: fields
                .iter()
                .filter_map(|(at, kinds)| Some((field(at)?, names(kinds))))
                .collect(),
            routes: routes
                .iter()
                .filter_map(|(at, kinds)| Some((route(at)?, names(kinds))))
                .collect(),
        }
    }

    /// Whether the kind is looked for anywhere.
    pub(in crate::policy) fn looks_for(&self, kind: &str) -> bool {
        self.answers.contains_key(kind) || self.requests.contains_key(kind)
    }

    /// The kinds that are not looked for in a field of this kind.
    pub(in crate::policy) fn left_out(
        &self,
        field: &str,
        own: Option<Kind>,
    ) -> BTreeSet<&'static str> {
        let meant = DETECTED.iter().filter(|kind| own.is_some_and(|own| is_meant_for(own, **kind)));
        let excepted = self.fields.get(field).into_iter().flatten().copied();
        meant.map(|kind| kind.name()).chain(excepted).collect()
    }
}
