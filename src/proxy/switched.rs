//! What is switched off by command: asked before every request, before a held answer leaves, and by open streams.

use std::borrow::Cow;
use std::sync::Arc;

use super::Gate;
use super::admitted::{beyond, partners, unfit};
use super::query;
use super::question::Question;
use super::rejection::{Rejection, Wanted};
use super::trail::Trail;
use crate::command::{Asker, Kind, News, Switches, Target};
use crate::identity::{Caller, Identity};
use crate::limits::{Budget, USES};
use crate::listen::Facts;
use crate::policy::{Permit, Principal, Route, Value};
use crate::telemetry::Stage;

/// The attribute that says of which tenants a caller is.
pub(super) const TENANT: &str = "tenant";
/// The attribute that says in which partner's name a caller asks, where that is not the account itself.
pub(super) const PARTNER: &str = "partner";

impl Gate {
    /// Looks for commands; what was commanded is in the log before what it lets go on goes on.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`]: what is known is old, and no request may pass on it.
    pub(super) async fn look_for_commands(&self) -> Result<(), Rejection> {
        let _only_one = self.switches.only_one().await;
        self.look_anew().await
    }

    async fn look_anew(&self) -> Result<(), Rejection> {
        self.look_for_grants().await?;
        self.look_at_registry().await?;
        let news = self.switches.look().await.map_err(|error| {
            tracing::error!(%error, "commands could not be read, so nothing passes");
            Rejection::StoreUnavailable
        })?;
        if let Some(news) = news {
            let is_recorded = self.record_acts().await.is_ok();
            if is_recorded {
                self.begin_anew(&news);
            }
            self.switches.install(news, is_recorded);
            for kind in Kind::ALL {
                self.telemetry.switched_off(kind.as_str(), self.switches.count(kind));
            }
        }
        Ok(())
    }

    /// Forgets what was counted of budgets that begin anew; the state has forgotten it.
    fn begin_anew(&self, news: &News) {
        // The uses of grants never begin anew, whoever wrote that they do.
        for reset in news.resets().iter().filter(|reset| !reset.holder.starts_with(USES)) {
            let holder = self.identity.counted_as(&reset.holder);
            match reset.budget.parse::<Budget>() {
                // What all count together began anew where that was commanded; once more would forget what was
                // given since.
                Ok(budget) if reset.is_shared => self.limits.reset_here(&holder, &budget),
                Ok(budget) => self.limits.reset(&holder, &budget),
                Err(error) => tracing::error!(%error, "a budget cannot begin anew"),
            }
        }
    }

    /// The caller without the roles to which their right is switched off.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`].
    pub(super) async fn with_rights(
        &self,
        caller: Arc<Caller>,
        trail: &mut Trail,
    ) -> Result<Arc<Caller>, Rejection> {
        self.know_commands().await?;
        let (caller, without) = without_rights(&self.switches, &self.identity, caller);
        if !without.is_empty() {
            trail.lacks_rights(&without);
        }
        Ok(caller)
    }

    /// Refuses a request that something switched off stops.
    pub(super) async fn refuse_switched(
        &self,
        question: &Question,
        trail: &mut Trail,
    ) -> Result<(), Rejection> {
        trail.enters(Stage::Decide);
        self.know_commands().await?;
        let version = question.program().version();
        refused(stops(&self.switches, &self.identity, question), version, trail)
    }

    /// Refuses whoever changes their own account while they are switched off.
    pub(super) async fn refuse_switched_holder(
        &self,
        caller: &Caller,
        facts: &Facts,
        trail: &mut Trail,
    ) -> Result<(), Rejection> {
        self.know_commands().await?;
        let elsewhere = self.identity.roles_elsewhere(&caller.account);
        let principal = query::principal(caller, elsewhere, facts.peer.ip());
        let found = find(&self.switches, &self.identity, (&principal, None));
        refused(found, self.policies.live().version(), trail)
    }

    /// Looks for commands if what is known is old.
    async fn know_commands(&self) -> Result<(), Rejection> {
        if self.switches.is_old() {
            let _only_one = self.switches.only_one().await;
            if self.switches.is_old() {
                return self.look_anew().await;
            }
        }
        Ok(())
    }

    /// Refuses an answer that was held while something was switched off. A change that was made is told all the
    /// same: told as refused, it would be tried again.
    pub(super) fn check_still_on(
        &self,
        permit: &Permit,
        question: &Question,
    ) -> Result<(), Rejection> {
        if !permit.action().only_reads() {
            return Ok(());
        }
        if self.curbs.blocks(&self.identity.counted_as(&question.principal().account)) {
            return Err(Rejection::Stopped);
        }
        // Taken back while the backend was asked.
        if let Some(grant) = permit.grant().filter(|grant| !self.grants.stands(&grant.id)) {
            return Err(Rejection::Grant(Wanted::ended(&grant.id)));
        }
        let now_s = self.clock.unix_s();
        let unfit = unfit(&self.registry, question, question.program(), now_s);
        if let Some(unfit) = unfit.or_else(|| beyond(&self.registry, question, permit)) {
            return Err(Rejection::Unfit(unfit));
        }
        let is_switched = stops(&self.switches, &self.identity, question).is_some();
        if is_switched { Err(Rejection::Switched) } else { Ok(()) }
    }
}

/// The caller without the roles to which their right is switched off, and which rights those are.
pub(super) fn without_rights(
    switches: &Switches,
    identity: &Identity,
    mut caller: Arc<Caller>,
) -> (Arc<Caller>, Vec<Target>) {
    if !switches.are_rights() {
        return (caller, Vec::new());
    }
    let account = caller.account.as_str();
    let (person, counted) = (identity.person(account), identity.counted_as(account));
    let names = [account, person.as_deref().unwrap_or(account), &counted];
    let without = switches.without_right(&caller.roles, &names);
    if !without.is_empty() {
        let is_without = |role: &String| {
            without.iter().any(|right| right.name().split_once('@').is_some_and(|(r, _)| r == role))
        };
        Arc::make_mut(&mut caller).roles.retain(|role| !is_without(role));
    }
    (caller, without)
}

/// The switch that stops this request, if one does.
pub(super) fn stops(
    switches: &Arc<Switches>,
    identity: &Identity,
    question: &Question,
) -> Option<Target> {
    find(switches, identity, (question.principal(), Some(question.route())))
}

fn refused(found: Option<Target>, version: &str, trail: &mut Trail) -> Result<(), Rejection> {
    let Some(target) = found else { return Ok(()) };
    trail.switched(&target.to_string(), version);
    Err(Rejection::Switched)
}

fn find(
    switches: &Switches,
    identity: &Identity,
    (principal, route): (&Principal, Option<&Route>),
) -> Option<Target> {
    if !switches.are_any() {
        return None;
    }
    let account = principal.account.as_str();
    let (person, counted) = (identity.person(account), identity.counted_as(account));
    let asker = Asker {
        account,
        person: person.as_deref(),
        roles: &principal.roles,
        tenants: &names(principal, TENANT),
        partners: &partners(principal),
        route: route.map_or("", Route::name),
        is_file: route.is_some_and(Route::gives_a_file),
    };
    switches.stops(&asker, |name| identity.counted_as(name) == counted)
}

/// The names in an attribute of a caller that names one or several.
pub(super) fn names(principal: &Principal, attribute: &str) -> Vec<String> {
    let value = principal.attributes.get(attribute);
    value.into_iter().flat_map(Value::names).map(Cow::into_owned).collect()
}
