//! What a caller's roles come to, worked out once for each set of roles that callers have.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::limits::Limits;
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
    /// Of all limits about any of them, the strictest in each dimension.
    pub(super) limits: Arc<Limits>,
}

/// Holdings by the names that callers bring.
#[derive(Debug, Default)]
pub(super) struct Holdings(RwLock<HashMap<Box<[String]>, Arc<Holding>>>);

impl Program {
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
        let name = |index: &usize| self.model.roles.get(*index).map(|role| role.name.to_string());
        let mut limits = Limits::default();
        for rule in self.model.limits.iter().filter(|rule| rule.to.includes(&roles)) {
            limits.tighten(&rule.limits);
        }
        Holding { names: roles.iter().filter_map(name).collect(), roles, limits: Arc::new(limits) }
    }
}
