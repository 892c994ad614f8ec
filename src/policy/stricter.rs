//! What a tenant's own file makes stricter for its callers. Rules of it only deny, limits only add up, and what it asks is
//! asked beside everything else: there is no word by which it could let more through. How long entries of its callers are
//! kept stands in `retention`.

use std::sync::Arc;

use super::judge::Principal;
use super::model::{LimitRule, Model, Requirement, Route, Rule};
use super::program::Program;

/// What a tenant asks of its callers beside what everybody is asked.
#[derive(Clone, Debug)]
pub(super) struct Stricter {
    pub(super) tenant: Box<str>,
    pub(super) at: Where,
    pub(super) require: Requirement,
}

/// For what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// For using any route.
    Routes,
    /// For using this route.
    Route(usize),
    /// For seeing fields of this grade in clear.
    Grade(u8),
}

impl Model {
    /// The tenants that a caller is of, as far as they have a file of their own.
    pub(super) fn tenants_of<'m>(
        &'m self,
        principal: &'m Principal,
    ) -> impl Iterator<Item = &'m str> {
        let named = principal.tenant();
        let is_of = move |tenant: &&str| {
            named.is_some_and(|named| named.names().any(|name| name == **tenant))
        };
        self.tenant_files.iter().map(AsRef::as_ref).filter(is_of)
    }

    /// What the tenants of a caller ask for using a route.
    pub(super) fn asked_of_route<'m>(
        &'m self,
        principal: &'m Principal,
        route: usize,
    ) -> impl Iterator<Item = &'m Requirement> {
        self.asked_at(principal, move |at| at == Where::Routes || at == Where::Route(route))
    }

    /// What they ask for seeing fields of a grade in clear.
    pub(super) fn asked_of_grade<'m>(
        &'m self,
        principal: &'m Principal,
        grade: u8,
    ) -> impl Iterator<Item = &'m Requirement> {
        self.asked_at(principal, move |at| at == Where::Grade(grade))
    }

    fn asked_at<'m>(
        &'m self,
        principal: &'m Principal,
        is_here: impl Fn(Where) -> bool + 'm,
    ) -> impl Iterator<Item = &'m Requirement> {
        let here = self.tenants.iter().filter(move |stricter| is_here(stricter.at));
        let own =
            here.filter(|stricter| self.tenants_of(principal).any(|t| *t == *stricter.tenant));
        own.map(|stricter| &stricter.require)
    }

    /// The same as it is for callers of one tenant, or of none that has a file.
    pub(super) fn as_for(
        &self,
        tenant: Option<&str>,
        routes: &[Arc<Route>],
    ) -> (Self, Vec<Arc<Route>>) {
        let is_here = |of: &Option<Box<str>>| of.as_deref().is_none_or(|of| tenant == Some(of));
        let mut model = self.clone();
        model.rules.retain(|rule: &Rule| is_here(&rule.tenant));
        model.limits.retain(|rule: &LimitRule| is_here(&rule.tenant));
        model.rules.iter_mut().for_each(|rule| rule.tenant = None);
        model.limits.iter_mut().for_each(|rule| rule.tenant = None);
        // What is left is asked of everybody whom the copy is about.
        model.tenants.retain(|stricter| tenant == Some(&stricter.tenant));
        let own = tenant.and_then(|tenant| model.tenant_retention.get(tenant).copied());
        model.retention = own.or(model.retention);
        model.tenant_retention.clear();
        model.tenant_files.clear();
        let mut routes: Vec<Route> = routes.iter().map(|route| Route::clone(route)).collect();
        for route in &mut routes {
            let covering = model.rules.iter().enumerate().filter(|(_, rule)| rule.covers(route));
            route.rules = covering.map(|(index, _)| index).collect();
        }
        (model, routes.into_iter().map(Arc::new).collect())
    }
}

impl Program {
    /// The tenants that have a file of their own.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.model.tenant_files.iter().map(AsRef::as_ref)
    }
}
