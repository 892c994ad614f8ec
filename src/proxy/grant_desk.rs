//! Asking for grants and deciding on them: one way for the gate's own paths and for the security team's interface. Who
//! may grant what, the policy in force says at that moment; how long ago a factor was shown, identity.

use serde_json::{Value, json};

use super::Gate;
use super::grants::{OPEN, beside, coverage};
use super::visit::Refused;
use crate::grant::{
    ApprovalFault, Ask, Emergency, Grant, GrantError, Listed, State, Terms, Told, Verdict, Who,
    check_fresh, check_width,
};
use crate::identity::{Caller, CredentialRef};
use crate::policy::{GrantTerms, Granting, NotGrantable};

impl Gate {
    /// Keeps what somebody asks to be granted, until others agree; in an emergency it opens at once.
    ///
    /// # Errors
    /// [`Refused`]; nothing is kept then.
    pub async fn ask_grant(&self, caller: &Caller, mut ask: Ask) -> Result<Grant, Refused> {
        let who = self.who(caller);
        self.grants.asked.check(&who.person).map_err(|wait_s| Refused::TooMany { wait_s })?;
        let program = self.policies.live();
        if ask.scope.actions.is_empty() {
            let named = program.routes().iter();
            let named = named.filter(|route| ask.scope.routes.iter().any(|r| r == route.name()));
            ask.scope.actions = named.map(|route| route.action().name().to_owned()).collect();
            ask.scope.actions.sort_unstable();
            ask.scope.actions.dedup();
        }
        let covered = coverage(&ask.scope);
        if covered.actions.len() != ask.scope.actions.len() {
            return Err(Refused::Body("`action` names none of the policy's".to_owned()));
        }
        let granting = program.granting(&who.roles, &covered).map_err(ungrantable)?;
        let grade = program.highest_of(&covered);
        let now_s = self.grants.counter.now_s();
        self.check_lendable((&caller.account, &who.roles), ask.scope.role.as_deref(), "")?;
        let emergency = match ask.is_emergency {
            true => Some(self.emergency(caller, &granting.terms, (&ask, grade, now_s))?),
            false => None,
        };
        let longest_s = match (emergency, granting.terms.break_glass) {
            (Some(_), Some(glass)) => glass.longest_s,
            (_, _) => granting.terms.longest_s,
        };
        if ask.uses.is_none() {
            ask.uses = granting.terms.uses;
        }
        if !ask.scope.search.is_empty() && ask.scope.rows.is_none() {
            ask.scope.rows = granting.terms.rows;
        }
        if ask.uses == Some(0) {
            return Err(Refused::Body("`uses` must be at least 1".to_owned()));
        }
        let waits_s = granting.terms.waits_s;
        let latest_s = now_s.saturating_add(i64::from(waits_s));
        if ask.from_s.is_some_and(|from_s| from_s > latest_s) {
            let most = format!("`from` may lie at most {waits_s} seconds ahead");
            return Err(Refused::Body(most));
        }
        let lasts_s = ask.lasts_s.unwrap_or(longest_s);
        let terms = Terms { longest_s, ..terms(&granting.terms) };
        check_width(&ask.scope, (lasts_s, ask.uses), &terms).map_err(refused)?;
        let counter = &self.grants.counter;
        let kept = counter.ask(&who, ask, (lasts_s, waits_s), emergency).await;
        let kept = kept.map_err(failed)?;
        if let Some(emergency) = kept.emergency {
            self.telemetry.glass_broken(emergency.drill);
        }
        self.in_effect(kept).await
    }

    /// What opens at once: allowed by the policy, with a fresh factor.
    fn emergency(
        &self,
        caller: &Caller,
        terms: &GrantTerms,
        (ask, grade, now_s): (&Ask, u8, i64),
    ) -> Result<Emergency, Refused> {
        // Whoever did not answer for one of whatever grade breaks no other.
        if self.owes_review(&caller.account, u8::MAX, now_s) {
            let first = "what you opened in an emergency before must be reviewed first";
            return Err(Refused::Conflict(first.to_owned()));
        }
        let nobody = "the policy has no `break-glass` for this: have it approved";
        let glass = terms.break_glass.ok_or_else(|| Refused::Conflict(nobody.to_owned()))?;
        let age_s = factor_age_s(caller, glass.assurance, now_s);
        check_fresh((caller.assurance, age_s), glass.assurance, glass.fresh_s).map_err(refused)?;
        let named = u32::try_from(ask.scope.subjects.len()).unwrap_or(u32::MAX);
        // What opens before anybody agreed is about people who are named.
        let is_search = !ask.scope.search.is_empty();
        if named == 0 || named > glass.subjects || is_search {
            let most = glass.subjects;
            return Err(Refused::Conflict(format!("it must name at most {most} people")));
        }
        let review_until_s = now_s.saturating_add(i64::from(glass.review_s));
        Ok(Emergency { review_until_s, grade, drill: ask.is_drill, told: Told::Nothing })
    }

    /// Somebody agrees to a grant.
    ///
    /// # Errors
    /// [`Refused`]; nothing changed then.
    pub async fn approve_grant(&self, caller: &Caller, id: &str) -> Result<Grant, Refused> {
        let who = self.who(caller);
        let grant = self.grants.counter.grant(id).await.map_err(failed)?;
        self.check_other_person(&who, &grant)?;
        self.check_lendable((&grant.holder, &grant.roles), grant.scope.role.as_deref(), id)?;
        let granting = self.granting_of(&grant)?;
        let is_high = self.policies.live().may_grant(&granting, &who.roles, &grant.roles);
        let now_s = self.grants.counter.now_s();
        let age_s = factor_age_s(caller, granting.terms.assurance, now_s);
        let terms = (terms(&granting.terms), granting.terms.ring.1);
        let shown = (caller.assurance, age_s);
        let counter = &self.grants.counter;
        let grant = counter.approve(&who, id, terms, is_high, shown).await.map_err(failed)?;
        self.in_effect(grant).await
    }

    /// Somebody who could agree says no.
    ///
    /// # Errors
    /// [`Refused`]; nothing changed then.
    pub async fn refuse_grant(
        &self,
        caller: &Caller,
        id: &str,
        reason: &str,
    ) -> Result<Grant, Refused> {
        let who = self.who(caller);
        self.check_decides(&who, id).await?;
        let grant = self.grants.counter.refuse(&who, id, reason).await.map_err(failed)?;
        self.in_effect(grant).await
    }

    /// The holder, or somebody who could agree, takes a grant back.
    ///
    /// # Errors
    /// [`Refused`]; nothing changed then.
    pub async fn revoke_grant(
        &self,
        caller: &Caller,
        id: &str,
        (reason, has_right): (&str, bool),
    ) -> Result<Grant, Refused> {
        let who = self.who(caller);
        let grant = self.grants.counter.grant(id).await.map_err(failed)?;
        if !self.is_own(&who, &grant) && !has_right {
            self.check_decides(&who, id).await?;
        }
        let grant = self.grants.counter.revoke(&who, id, reason).await.map_err(failed)?;
        self.in_effect(grant).await
    }

    /// Somebody who took no part says whether it was fit.
    ///
    /// # Errors
    /// [`Refused`]; nothing changed then.
    pub async fn review_grant(
        &self,
        caller: &Caller,
        id: &str,
        (verdict, note): (&str, &str),
    ) -> Result<Grant, Refused> {
        let verdict = match verdict {
            "fit" => Verdict::Fit,
            "unfit" => Verdict::Unfit,
            _ => return Err(Refused::Body("`verdict` must be `fit` or `unfit`".to_owned())),
        };
        let who = self.who(caller);
        let grant = self.grants.counter.grant(id).await.map_err(failed)?;
        if self.is_own(&who, &grant) || self.has_agreed(&who, &grant) {
            return Err(failed(GrantError::OwnReview));
        }
        let grant = self.grants.counter.review(&who, id, verdict, note).await.map_err(failed)?;
        self.in_effect(grant).await
    }

    /// One grant, if the caller holds it, may decide on it or `has_right` to see all.
    ///
    /// # Errors
    /// [`Refused::NotFound`], or that it cannot be read.
    pub async fn grant(
        &self,
        caller: &Caller,
        id: &str,
        has_right: bool,
    ) -> Result<Grant, Refused> {
        let who = self.who(caller);
        let grant = self.grants.counter.grant(id).await.map_err(failed)?;
        let may = has_right || self.is_own(&who, &grant) || self.decides(&who, &grant);
        if may { Ok(grant) } else { Err(Refused::NotFound) }
    }

    /// What the caller asked for and holds, and what waits for them to decide.
    ///
    /// # Errors
    /// [`Refused::NotYet`].
    pub async fn own_grants(&self, caller: &Caller) -> Result<(Listed, Vec<Grant>), Refused> {
        let who = self.who(caller);
        let counter = &self.grants.counter;
        let mine = counter.list(Some(&who.person), &State::ALL).await.map_err(failed)?;
        let mut waiting = counter.list(None, &[State::Asked]).await.map_err(failed)?.grants;
        let now_s = counter.now_s();
        waiting.retain(|grant| grant.state_at(now_s) == State::Asked && self.decides(&who, grant));
        Ok((mine, waiting))
    }

    /// All grants that wait or hold, or all that there are.
    ///
    /// # Errors
    /// [`Refused::NotYet`].
    pub async fn all_grants(&self, with_closed: bool) -> Result<Listed, Refused> {
        let states: &[State] = if with_closed { &State::ALL } else { &OPEN };
        self.grants.counter.list(None, states).await.map_err(failed)
    }

    /// A grant as it is told.
    #[must_use]
    pub fn told_grant(&self, grant: &Grant) -> Value {
        let now_s = self.grants.counter.now_s();
        let agreed: Vec<&str> = grant.approvals.iter().map(|a| a.account.as_str()).collect();
        json!({
            "id": grant.id,
            "state": grant.state_at(now_s).word(),
            "sentence": grant.sentence(),
            "holder": grant.holder,
            "reason": grant.reason,
            "ticket": grant.ticket,
            "actions": grant.scope.actions,
            "routes": grant.scope.routes,
            "role": grant.scope.role,
            "fields": grant.scope.fields,
            "subjects": grant.scope.subjects.iter().map(|(e, k)| format!("{e}:{k}"))
                .collect::<Vec<_>>(),
            "query": grant.scope.search.iter().map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>(),
            "rows": grant.scope.rows,
            "asked_s": grant.asked_ms.div_euclid(1000),
            "waits_until_s": grant.waits_until_s,
            "from_s": grant.from_s,
            "until_s": grant.until_s,
            "uses": grant.uses,
            "used": self.used(&grant.id),
            "approved_by": agreed,
            "emergency": grant.emergency.is_some(),
            "drill": grant.emergency.is_some_and(|emergency| emergency.drill),
            "review_until_s": grant.emergency.map(|emergency| emergency.review_until_s),
            "reviewed_by": grant.review.as_ref().map(|review| &review.account),
        })
    }

    /// What was done holds, and is in the log, before anybody hears of it.
    async fn in_effect(&self, grant: Grant) -> Result<Grant, Refused> {
        if self.take_effect().await { Ok(grant) } else { Err(Refused::NotYet) }
    }

    fn who(&self, caller: &Caller) -> Who {
        Who {
            account: caller.account.clone(),
            person: self.identity.counted_as(&caller.account).to_string(),
            roles: caller.roles.clone(),
        }
    }

    /// Whether it is their own, as is known now or was when they asked: whose an account is may be said later.
    fn is_own(&self, who: &Who, grant: &Grant) -> bool {
        grant.person == who.person
            || grant.holder == who.account
            || *self.identity.counted_as(&grant.holder) == *who.person
    }

    fn has_agreed(&self, who: &Who, grant: &Grant) -> bool {
        grant.approvals.iter().any(|other| {
            other.person == who.person || *self.identity.counted_as(&other.account) == *who.person
        })
    }

    /// Refuses the holder, and whoever agreed already, by whichever account.
    fn check_other_person(&self, who: &Who, grant: &Grant) -> Result<(), Refused> {
        match (self.is_own(who, grant), self.has_agreed(who, grant)) {
            (true, _) => Err(refused(ApprovalFault::Oneself)),
            (false, true) => Err(refused(ApprovalFault::Twice)),
            (false, false) => Ok(()),
        }
    }

    /// Refuses to lend a role that the policy keeps apart from one that the person has, or is lent by another grant.
    fn check_lendable(
        &self,
        (account, roles): (&str, &[String]),
        role: Option<&str>,
        id: &str,
    ) -> Result<(), Refused> {
        let Some(role) = role else { return Ok(()) };
        let held: Vec<String> = roles.iter().cloned().chain([role.to_owned()]).collect();
        let mut elsewhere = self.identity.roles_elsewhere(account);
        elsewhere.extend(beside(&self.lent_to(account, self.grants.counter.now_s()), id));
        let program = self.policies.live();
        let Some((one, other)) = program.held_together(&held, &elsewhere) else { return Ok(()) };
        let apart =
            format!("the policy keeps the roles `{one}` and `{other}` apart: nobody holds both");
        Err(Refused::Conflict(apart))
    }

    /// What binds a grant under the policy in force.
    fn granting_of(&self, grant: &Grant) -> Result<Granting, Refused> {
        let program = self.policies.live();
        program.granting(&grant.roles, &coverage(&grant.scope)).map_err(ungrantable)
    }

    fn decides(&self, who: &Who, grant: &Grant) -> bool {
        let may = |granting: Granting| {
            self.policies.live().may_grant(&granting, &who.roles, &grant.roles)
        };
        !self.is_own(who, grant) && self.granting_of(grant).is_ok_and(may)
    }

    async fn check_decides(&self, who: &Who, id: &str) -> Result<(), Refused> {
        let grant = self.grants.counter.grant(id).await.map_err(failed)?;
        if self.decides(who, &grant) { Ok(()) } else { Err(Refused::Forbidden) }
    }
}

/// How long ago a factor of this assurance was shown. A certificate is there with every request and proves that nobody
/// is there now, so it is none.
fn factor_age_s(caller: &Caller, assurance: u8, now_s: i64) -> Option<i64> {
    match caller.credential {
        CredentialRef::ClientCertificate { .. } => None,
        CredentialRef::Bearer { .. }
        | CredentialRef::Session { .. }
        | CredentialRef::ApiKey { .. } => {
            caller.factor_time(assurance).map(|at| now_s.saturating_sub(at))
        }
    }
}

fn terms(terms: &GrantTerms) -> Terms {
    let GrantTerms { number, assurance, fresh_s, longest_s, uses, subjects, rows, ring, .. } =
        *terms;
    Terms { number, assurance, fresh_s, longest_s, uses, subjects, rows, ring: ring.0 }
}

fn ungrantable(fault: NotGrantable) -> Refused {
    match &fault {
        NotGrantable::Unknown(..) | NotGrantable::Search(_) => Refused::Body(fault.to_string()),
        NotGrantable::Nobody => Refused::Conflict(fault.to_string()),
    }
}

fn refused(fault: ApprovalFault) -> Refused {
    match fault {
        ApprovalFault::Factor { assurance, fresh_s } => Refused::Factor { assurance, fresh_s },
        ApprovalFault::Rank => Refused::Forbidden,
        ApprovalFault::Oneself
        | ApprovalFault::Twice
        | ApprovalFault::Ring
        | ApprovalFault::NoSearch
        | ApprovalFault::TooWide(..) => Refused::Conflict(fault.to_string()),
    }
}

fn failed(error: GrantError) -> Refused {
    match error {
        GrantError::Unknown(_) => Refused::NotFound,
        GrantError::Approval(fault) => refused(fault),
        GrantError::Ask(_) | GrantError::Reason => Refused::Body(error.to_string()),
        GrantError::Step(_) | GrantError::OwnReview | GrantError::Full | GrantError::Owing => {
            Refused::Conflict(error.to_string())
        }
        GrantError::State(_) | GrantError::Secret(_) | GrantError::Damaged(_) => {
            tracing::error!(%error, "a grant could not be read or written");
            Refused::NotYet
        }
    }
}
