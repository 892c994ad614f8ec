//! What a caller's roles come to, worked out once for each set of roles that callers have.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::judge::Principal;
use super::limits::{Holder, LimitSet, Scope};
use super::model::{Audience, LimitRule, Whose};
use super::program::Program;

/// The most sets of roles that are kept; beyond, all are dropped and worked out anew.
const CACHE_LIMIT: usize = 1024;

/// The roles of a caller, those included too, and the limits about any of them.
#[derive(Debug)]
pub(super) struct Holding {
    /// The roles held and included, by index, in order.
    pub(super) roles: Vec<usize>,
    /// The same by name.
    pub(super) names: Vec<String>,
    /// The tenants of the caller that have a file of their own.
    pub(super) tenants: Vec<Box<str>>,
    /// Whether any of them is external.
    pub(super) is_external: bool,
    /// All limits about any of them.
    pub(super) limits: Arc<LimitSet>,
}

/// Holdings by the names that callers bring.
#[derive(Debug, Default)]
pub(super) struct Holdings(RwLock<HashMap<Box<[String]>, Arc<Holding>>>);

/// Stands before a tenant among the names of roles: none of those has one.
const TENANT: char = '@';

impl Holding {
    /// Whether something is about the caller that is about callers of this tenant alone.
    pub(super) fn is_of(&self, tenant: Option<&str>) -> bool {
        tenant.is_none_or(|tenant| self.tenants.iter().any(|own| **own == *tenant))
    }
}

impl Program {
    /// What the roles of a caller come to, and the tenants that the caller is of.
    pub(super) fn holding_of(&self, principal: &Principal) -> Arc<Holding> {
        let mut tenants = self.model.tenants_of(principal).peekable();
        if tenants.peek().is_none() {
            return self.holding(&principal.roles);
        }
        let mut names = principal.roles.clone();
        names.extend(tenants.map(|tenant| format!("{TENANT}{tenant}")));
        self.holding(&names)
    }

    /// What these roles come to; names that the policy does not define count for nothing.
    pub(super) fn holding(&self, names: &[String]) -> Arc<Holding> {
        let kept = self.holdings.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(holding) = kept.get(names) {
            return Arc::clone(holding);
        }
        drop(kept);
        let holding = Arc::new(self.work_out(names));
        let mut kept = self.holdings.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= CACHE_LIMIT {
            kept.clear();
        }
        kept.insert(names.into(), Arc::clone(&holding));
        holding
    }

    fn work_out(&self, names: &[String]) -> Holding {
        let mut roles: Vec<usize> = Vec::new();
        for role in &self.model.roles {
            if names.iter().any(|name| *name == *role.name) {
                roles.extend(&role.held);
            }
        }
        roles.sort_unstable();
        roles.dedup();
        let tenants: Vec<Box<str>> =
            names.iter().filter_map(|name| name.strip_prefix(TENANT)).map(Box::from).collect();
        let is_about = |rule: &&LimitRule| {
            let is_of = |tenant: &str| tenants.iter().any(|own| **own == *tenant);
            rule.to.includes(&roles) && rule.tenant.as_deref().is_none_or(is_of)
        };
        let name = |index: &usize| self.model.roles.get(*index).map(|role| role.name.to_string());
        let mut limits = LimitSet::default();
        for rule in self.model.limits.iter().filter(is_about) {
            self.limit_of(rule, &roles, &mut limits);
        }
        let is_external =
            roles.iter().any(|at| self.model.roles.get(*at).is_some_and(|role| role.external));
        Holding {
            is_external,
            names: roles.iter().filter_map(name).collect(),
            roles,
            tenants,
            limits: Arc::new(limits),
        }
    }

    /// Adds what a limit is for who holds these roles: a limit of roles is one for each that it names.
    pub(super) fn limit_of(&self, rule: &LimitRule, held: &[usize], set: &mut LimitSet) {
        let LimitRule { to, per, on, limits, off_hours, tenant: _, span: _ } = rule;
        for holder in self.holders(*per, to, held) {
            if let Some((hours, stricter)) = off_hours {
                let off_hours = Some(hours.clone());
                let scope = Scope { holder: holder.clone(), slice: on.clone(), off_hours };
                set.add(scope, stricter);
            }
            set.add(Scope { holder, slice: on.clone(), off_hours: None }, limits);
        }
    }

    fn holders(&self, per: Whose, to: &Audience, held: &[usize]) -> Vec<Holder> {
        match (per, to) {
            (Whose::Person, _) => vec![Holder::Person],
            (Whose::Tenant, _) => vec![Holder::Tenant],
            (Whose::Partner, _) => vec![Holder::Partner],
            (Whose::Role, Audience::Roles(roles)) => {
                let mine = roles.iter().filter(|role| held.contains(role));
                let named = mine.filter_map(|role| self.model.roles.get(*role));
                named.map(|role| Holder::Role((*role.name).into())).collect()
            }
            // The reader refuses it: `any` is no role.
            (Whose::Role, Audience::Any) => vec![Holder::Role("any".into())],
        }
    }
}
