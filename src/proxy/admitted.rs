//! Whether the partners in whose names a caller asks are admitted, and its tenants served: asked before the decision,
//! before a held answer leaves, and by open streams.

use super::Gate;
use super::query::KIND;
use super::question::Question;
use super::rejection::Rejection;
use super::switched::{PARTNER, TENANT, names};
use super::trail::Trail;
use crate::identity::CallerKind;
use crate::policy::plan::Verdict;
use crate::policy::{Permit, Principal, Program, Query, Value};
use crate::registry::{Asked, Asks, Listing, Registry, RegistryError, Unfit};

impl Gate {
    /// Looks for what was done in the registry; it is in the log before what it lets ask asks.
    ///
    /// # Errors
    /// [`Rejection::StoreUnavailable`]: what is known is old.
    pub(super) async fn look_at_registry(&self) -> Result<(), Rejection> {
        let _only_one = self.registry.only_one().await;
        while let Some(news) = self.registry.look().await.map_err(unreadable)? {
            let is_recorded = self.record_acts().await.is_ok();
            self.registry.install(news, is_recorded);
            if !is_recorded {
                break;
            }
        }
        Ok(())
    }

    /// Refuses a partner that is not admitted, or not for this, and who is of a tenant that is not served. What is
    /// known is as young as what was commanded.
    pub(super) fn refuse_unfit(
        &self,
        question: &Question,
        trail: &mut Trail,
    ) -> Result<(), Rejection> {
        let program = question.program();
        if let Some(name) = partners(question.principal()).first() {
            trail.partner(name, &self.registry.contract_of(name));
        }
        match unfit(&self.registry, question, program, self.clock.unix_s()) {
            None => Ok(()),
            Some(unfit) => {
                trail.unfit(&unfit.to_string(), program.version());
                Err(Rejection::Unfit(unfit))
            }
        }
    }

    /// Refuses a partner that declares no purpose, once the policy had the chance to ask for one, and one that would
    /// receive more than its contract has.
    pub(super) fn check_contract(
        &self,
        permit: &Permit,
        question: &Question,
        trail: &mut Trail,
    ) -> Result<(), Rejection> {
        let partners = partners(question.principal());
        let unsaid = match permit.purpose() {
            Some(_) => None,
            None => self.registry.needs_purpose(&partners),
        };
        let unfit = unsaid.map(|name| Unfit::Purpose(name.clone(), String::new()));
        let unfit = unfit.or_else(|| beyond(&self.registry, question, permit));
        let Some(unfit) = unfit else { return Ok(()) };
        trail.unfit(&unfit.to_string(), question.program().version());
        Err(Rejection::Unfit(unfit))
    }

    /// Forgets the history that is old enough.
    pub(super) async fn tidy_registry(&self) {
        if let Err(error) = self.registry.office().tidy().await {
            tracing::warn!(%error, "the history of the registry could not be tidied");
        }
    }
}

/// Why a request is not one of an admitted partner and a served tenant, by this program.
pub(super) fn unfit(
    registry: &Registry,
    question: &Question,
    program: &Program,
    now_s: i64,
) -> Option<Unfit> {
    let whose = (question.principal(), question.purpose(), now_s);
    held_to(whose, program, |asked, asks| registry.unfit(asked, asks))
}

/// Holds whoever asks, for a purpose, to what is known of their partners and tenants and to what a program asks of those.
fn held_to(
    (principal, purpose, now_s): (&Principal, Option<&str>, i64),
    program: &Program,
    unfit: impl FnOnce(&Asked<'_>, Asks) -> Option<Unfit>,
) -> Option<Unfit> {
    let (partners, tenants) = (partners(principal), named(principal, TENANT));
    if partners.is_empty() && tenants.is_empty() {
        return None;
    }
    let asks = Asks {
        partners: program.registers_partners(),
        tenants: program.registers_tenants(),
        level: program.partner_level(),
    };
    unfit(&Asked { partners: &partners, tenants: &tenants, purpose, now_s }, asks)
}

/// The same of a request that is rehearsed, before it is decided.
pub(super) fn rehearsed_unfit(
    listing: &Listing,
    query: &Query<'_>,
    program: &Program,
) -> Option<Unfit> {
    let whose = (&**query.principal, query.purpose, query.now_unix_s);
    held_to(whose, program, |asked, asks| listing.unfit(asked, asks))
}

/// What is beyond the contract of a partner whose request is rehearsed, by what it is permitted.
pub(super) fn rehearsed_beyond(
    listing: &Listing,
    query: &Query<'_>,
    permit: &Permit,
) -> Option<Unfit> {
    let partners = partners(query.principal);
    let unsaid = match permit.purpose() {
        Some(_) => None,
        None => listing.needs_purpose(&partners),
    };
    let unfit = unsaid.map(|name| Unfit::Purpose(name.clone(), String::new()));
    unfit.or_else(|| {
        beyond_of(&partners, permit, |fields| listing.beyond(&partners, fields.iter().copied()))
    })
}

/// Whether a partner would receive by this permit what its contract does not have, whatever record comes.
pub(super) fn beyond(registry: &Registry, question: &Question, permit: &Permit) -> Option<Unfit> {
    let partners = partners(question.principal());
    beyond_of(&partners, permit, |fields| registry.beyond(&partners, fields.iter().copied()))
}

fn beyond_of(
    partners: &[String],
    permit: &Permit,
    beyond: impl FnOnce(&[&str]) -> Option<Unfit>,
) -> Option<Unfit> {
    if partners.is_empty() {
        return None;
    }
    if permit.route().is_opaque() {
        // Nobody reads what stands in it.
        return beyond(&[permit.entity()]);
    }
    let plan = permit.plan();
    let given = plan.slots().filter(|slot| match slot.verdict {
        Verdict::Clear | Verdict::Mask | Verdict::Pseudonym => true,
        Verdict::Absent | Verdict::Enter(_) => false,
    });
    let fields: Vec<&str> = given.filter_map(|slot| plan.field(slot.field?)).collect();
    beyond(&fields)
}

/// The names in an attribute. One that names nobody stands for a name that is none that is registered, and is not as good
/// as none.
fn named(principal: &Principal, attribute: &str) -> Vec<String> {
    let mut named = names(principal, attribute);
    if named.is_empty() && principal.attributes.contains_key(attribute) {
        named.push(String::new());
    }
    named
}

/// In which partners' names a caller asks.
pub(super) fn partners(principal: &Principal) -> Vec<String> {
    let named = named(principal, PARTNER);
    if !named.is_empty() {
        return named;
    }
    let kind = principal.attributes.get(KIND);
    let is_one = matches!(kind, Some(Value::Text(kind)) if kind == CallerKind::Partner.as_str());
    let account = is_one.then(|| principal.account.clone());
    account.into_iter().collect()
}

fn unreadable(error: RegistryError) -> Rejection {
    tracing::error!(%error, "the registry could not be read, so nothing passes");
    Rejection::StoreUnavailable
}
