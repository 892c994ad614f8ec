//! Whether the partners in whose names a caller asks are admitted, and its tenants served: asked before the decision,
//! before a held answer leaves, and by open streams.

use super::Gate;
use super::query::KIND;
use super::question::Question;
use super::rejection::Rejection;
use super::switched::{PARTNER, TENANT, names};
use super::trail::Trail;
use crate::identity::CallerKind;
use crate::policy::{Permit, Principal, Program, Value};
use crate::registry::{Asked, Asks, Registry, RegistryError, Unfit};

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
        match unfit(&self.registry, question, program, self.clock.unix_s()) {
            None => Ok(()),
            Some(unfit) => {
                trail.unfit(&unfit.to_string(), program.version());
                Err(Rejection::Unfit(unfit))
            }
        }
    }

    /// Refuses a partner that declares no purpose, once the policy had the chance to ask for one.
    pub(super) fn check_purpose(
        &self,
        permit: &Permit,
        question: &Question,
        trail: &mut Trail,
    ) -> Result<(), Rejection> {
        if permit.purpose().is_some() {
            return Ok(());
        }
        let partners = partners(question.principal());
        let Some(name) = self.registry.needs_purpose(&partners) else { return Ok(()) };
        let unfit = Unfit::Purpose(name.clone(), String::new());
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
    let principal = question.principal();
    let (partners, tenants) = (partners(principal), names(principal, TENANT));
    if partners.is_empty() && tenants.is_empty() {
        return None;
    }
    let purpose = question.purpose();
    let asked = Asked { partners: &partners, tenants: &tenants, purpose, now_s };
    let asks = Asks {
        partners: program.registers_partners(),
        tenants: program.registers_tenants(),
        level: program.partner_level(),
    };
    registry.unfit(&asked, asks)
}

/// In which partners' names a caller asks. What cannot be a name is none that is registered.
pub(super) fn partners(principal: &Principal) -> Vec<String> {
    let named = names(principal, PARTNER);
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
