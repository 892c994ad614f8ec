//! Policy files compiled to one program: every name resolved, every route in one table, every plan
//! built once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest;

use super::detections::Detections;
use super::holding::Holdings;
use super::limits::LimitSet;
use super::model::{LimitRule, Model, Route, Whose};
use super::outcome::{Key, Outcome};
use super::read;
use super::reads::Reads;
use super::rows::TooManyConditions;
use super::warnings;
use crate::document::Source;
use crate::document::{Fault, Faults};
use crate::route::{Path, Table};

/// The most outcomes that are kept; beyond, all are dropped and built anew.
const CACHE_LIMIT: usize = 4096;

/// A compiled policy. Decisions are pure: they depend on the query alone.
#[derive(Debug)]
pub struct Program {
    pub(super) model: Model,
    pub(super) routes: Vec<Arc<Route>>,
    table: Arc<Table>,
    version: Arc<str>,
    warnings: Vec<Fault>,
    pub(super) reads: Reads,
    outcomes: RwLock<HashMap<Key, Arc<Outcome>>>,
    pub(super) holdings: Holdings,
}

/// The route that a request met, and its parameters.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    /// The route.
    pub route: Arc<Route>,
    /// The parameters of its path, decoded, in the path's order.
    pub params: Vec<(String, String)>,
}

/// Compiles policy files. Their order means nothing, their names serve messages only.
///
/// # Errors
/// Every fault of every file.
pub fn compile(sources: &[Source]) -> Result<Program, Faults> {
    let (mut model, mut faults) = read::read(sources);
    let table = match Table::build(&read::entries(&model)) {
        Ok(table) if faults.is_empty() => table,
        // Ambiguities are among the faults already.
        Ok(_) | Err(_) => {
            faults.sort();
            return Err(Faults::new(faults, "policy"));
        }
    };
    let warnings = warnings::find(&model, sources);
    let routes: Vec<Arc<Route>> =
        std::mem::take(&mut model.routes).into_iter().map(Arc::new).collect();
    let reads = Reads::of(&model, routes.iter().map(Arc::as_ref));
    Ok(Program {
        model,
        routes,
        table: Arc::new(table),
        version: version_of(sources).into(),
        warnings,
        reads,
        outcomes: RwLock::default(),
        holdings: Holdings::default(),
    })
}

/// The version that a program of these files has, whether they compile or not: SHA-256 over their
/// texts, sorted and length-prefixed. Names and folders mean nothing.
#[must_use]
pub fn version_of(sources: &[Source]) -> String {
    let mut texts: Vec<&str> = sources.iter().map(|source| source.text.as_str()).collect();
    texts.sort_unstable();
    let mut context = digest::Context::new(&digest::SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Program {
    /// The same policy as it is for callers of one tenant, or of none that has a file of its own: for tools that spell it
    /// out. It decides nothing that this one would not.
    pub(super) fn as_for(&self, tenant: Option<&str>) -> Self {
        let (model, routes) = self.model.as_for(tenant, &self.routes);
        let reads = Reads::of(&model, routes.iter().map(Arc::as_ref));
        Self {
            model,
            routes,
            table: Arc::clone(&self.table),
            version: Arc::clone(&self.version),
            warnings: Vec::new(),
            reads,
            outcomes: RwLock::default(),
            holdings: Holdings::default(),
        }
    }

    /// The route that a request meets; what is not published for the zone does not exist.
    #[must_use]
    pub fn find(&self, zone: &str, host: &str, method: &str, path: &Path) -> Option<RouteMatch> {
        let found = self.table.find(zone, host, method, path)?;
        let route = self.routes.get(found.index)?;
        Some(RouteMatch { route: Arc::clone(route), params: found.parameters })
    }

    /// Whether any route is published on the host.
    #[must_use]
    pub fn publishes_on(&self, host: &str) -> bool {
        self.table.has_host(host)
    }

    /// SHA-256 of all files, in hexadecimal.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn shared_version(&self) -> Arc<str> {
        Arc::clone(&self.version)
    }

    /// What a caller who held every role would be limited to, with every window that can apply at once: one of no tenant,
    /// and one of each that has a file of its own. Tenants do not add up, so that none can use up what others may have.
    pub fn all_limits(&self) -> impl Iterator<Item = LimitSet> {
        let every: Vec<usize> = (0..self.model.roles.len()).collect();
        let tenants = self.model.tenant_files.iter().map(|tenant| Some(&**tenant));
        std::iter::once(None).chain(tenants).map(move |tenant| {
            let is_meant =
                |rule: &&LimitRule| rule.tenant.is_none() || rule.tenant.as_deref() == tenant;
            let mut all = LimitSet::default();
            for rule in self.model.limits.iter().filter(is_meant) {
                self.limit_of(rule, &every, &mut all);
            }
            all
        })
    }

    /// What is looked for in what people do.
    #[must_use]
    pub fn detections(&self) -> &Detections {
        &self.model.detections
    }

    /// How many different people a day each role lets through, where that is limited.
    pub fn daily_subjects(&self) -> impl Iterator<Item = (&str, u32)> {
        self.model.roles.iter().filter_map(|role| {
            let about = self.model.limits.iter().filter(|rule| {
                rule.tenant.is_none()
                    && rule.per == Whose::Person
                    && rule.on.is_all()
                    && rule.to.includes(&role.held)
            });
            let windows = about.flat_map(|rule| &rule.limits.subjects);
            let most = windows.filter(|window| window.per.is_a_day()).map(|window| window.count);
            Some((role.name.as_ref(), most.min()?))
        })
    }

    /// All routes, in the order of the files.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The purposes that may be declared.
    pub fn purposes(&self) -> impl Iterator<Item = &str> {
        self.model.purposes.iter().map(|purpose| purpose.name.as_ref())
    }

    /// The roles that are defined, with rank and whether they are outside the organisation.
    pub fn roles(&self) -> impl Iterator<Item = (&str, u8, bool)> {
        self.model.roles.iter().map(|role| (role.name.as_ref(), role.rank, role.external))
    }

    /// What is suspicious but no fault.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// What a decision with this key comes to: looked up, or built and kept.
    pub(super) fn outcome(&self, key: Key) -> Result<Arc<Outcome>, TooManyConditions> {
        let kept = self.outcomes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = kept.get(&key) {
            return Ok(Arc::clone(outcome));
        }
        drop(kept);
        let outcome = Arc::new(Outcome::build(self, &key)?);
        let mut kept = self.outcomes.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= CACHE_LIMIT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&outcome));
        Ok(outcome)
    }
}
