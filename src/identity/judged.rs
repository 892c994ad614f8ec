//! The judgement of a token's claims, once its signature is good: for whom it is, until when, and whom it names.
//!
//! Pure: time is given.

use std::collections::BTreeMap;

use serde::Deserialize as _;

use super::binding::Binding;
use super::caller::{Attribute, Caller, CredentialRef, Factor};
use super::claims::{
    Claims, LIST_LIMIT, Moment, TEXT_LIMIT, TokenFault, is_name, is_told_as_it_is,
};
use super::methods;
use super::settings::IssuerSettings;

/// What the claims say once they are judged good.
#[derive(Debug)]
pub(super) struct Judged {
    /// The caller; the reference to the token is still to be filled in.
    pub(super) caller: Caller,
    /// Unix seconds from which the token is no longer good, leeway included.
    pub(super) until_s: i64,
    /// The token's id.
    pub(super) jti: Option<String>,
    /// When it was issued, if it says so.
    pub(super) issued_s: Option<i64>,
}

impl Claims {
    /// Judges the claims of a token whose signature is good, at `now` in Unix seconds.
    pub(super) fn judge(&self, issuer: &IssuerSettings, now: i64) -> Result<Judged, TokenFault> {
        if self.text("iss")? != Some(&issuer.issuer) {
            return Err(TokenFault::Issuer);
        }
        if !self.audiences()?.contains(&issuer.audience.as_str()) {
            return Err(TokenFault::Audience);
        }
        let binding = Binding::read(self.value("cnf"))?;
        if issuer.is_bound && !binding.is_bound() {
            return Err(TokenFault::Unbound);
        }
        let until_s = self.judge_times(issuer, now)?;
        let subject = self.text("sub")?.filter(|s| is_name(s)).ok_or(TokenFault::Claim("sub"))?;
        let account = format!("{}:{subject}", issuer.name);
        if !is_told_as_it_is(&account) {
            return Err(TokenFault::Claim("sub"));
        }
        let jti = self.text("jti")?.map(str::to_owned);
        let issued_s = self.time("iat")?.map(|issued| issued.begun_s);
        let factors = self.factors(issuer, now)?;
        let mut attributes = self.attributes(&issuer.attributes)?;
        let mut fades = BTreeMap::new();
        for (name, (attribute, until)) in self.posture(issuer, now)? {
            fades.insert(name.clone(), until);
            attributes.insert(name, attribute);
        }
        let caller = Caller {
            account,
            kind: issuer.kind,
            roles: self.roles(&issuer.roles_claim)?,
            attributes,
            fades,
            assurance: factors.iter().map(|factor| factor.level).max().unwrap_or(1),
            factors,
            credential: CredentialRef::Bearer {
                issuer: issuer.name.clone(),
                token: String::new(),
                jti: None,
            },
            binding,
            ..Caller::default()
        };
        Ok(Judged { caller, until_s, jti, issued_s })
    }

    /// Judges an order of the issuer to us, at `now`: by whom, for whom, when.
    pub(super) fn judge_order(&self, issuer: &IssuerSettings, now: i64) -> Result<(), TokenFault> {
        if self.text("iss")? != Some(&issuer.issuer) {
            return Err(TokenFault::Issuer);
        }
        if !self.audiences()?.contains(&issuer.audience.as_str()) {
            return Err(TokenFault::Audience);
        }
        self.judge_times(issuer, now).map(drop)
    }

    /// Gives when the token ends.
    fn judge_times(&self, issuer: &IssuerSettings, now: i64) -> Result<i64, TokenFault> {
        let leeway = i64::from(issuer.leeway_s);
        let until = self.time("exp")?.ok_or(TokenFault::Claim("exp"))?;
        let until = until.begun_s.saturating_add(leeway);
        if now >= until {
            return Err(TokenFault::Expired);
        }
        for name in ["nbf", "iat"] {
            if self.time(name)?.is_some_and(|at| at.reached_s > now.saturating_add(leeway)) {
                return Err(TokenFault::NotYet);
            }
        }
        Ok(until)
    }

    /// What the issuer says was presented, how strong it is and when.
    fn factors(&self, issuer: &IssuerSettings, now: i64) -> Result<Vec<Factor>, TokenFault> {
        let at = match self.value(&issuer.auth_time_claim) {
            None => None,
            Some(value) => Some(Moment::read(value).ok_or(TokenFault::Claim("auth_time"))?),
        };
        let ahead_s = now.saturating_add(i64::from(issuer.leeway_s));
        if at.is_some_and(|at| at.reached_s > ahead_s) {
            return Err(TokenFault::NotYet);
        }
        let at_unix_s = at.map(|at| at.begun_s);
        Ok(methods::factors(issuer, self.text("acr")?, &self.texts("amr")?, at_unix_s))
    }

    fn roles(&self, path: &[String]) -> Result<Vec<String>, TokenFault> {
        let fault = TokenFault::Claim("roles");
        let Some((first, rest)) = path.split_first() else { return Ok(Vec::new()) };
        let Some(mut value) = self.value(first) else { return Ok(Vec::new()) };
        for name in rest {
            let Some(inner) = value.as_object().ok_or(fault)?.get(name) else {
                return Ok(Vec::new());
            };
            value = inner;
        }
        // One alone need not stand in a list. It is one, also with blanks in it.
        let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        if list.len() > LIST_LIMIT {
            return Err(fault);
        }
        let mut roles = Vec::with_capacity(list.len());
        for role in list {
            roles.push(role.as_str().filter(|role| is_name(role)).ok_or(fault)?.to_owned());
        }
        roles.sort_unstable();
        roles.dedup();
        Ok(roles)
    }

    /// A claim that is absent gives no attribute. One that is null gives one that holds nothing: a condition on either
    /// denies, but only who has no `tenant` at all is not confined.
    fn attributes(
        &self,
        wanted: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Attribute>, TokenFault> {
        let mut attributes = BTreeMap::new();
        for (claim, name) in wanted {
            let Some(value) = self.value(claim) else { continue };
            let attribute = Attribute::deserialize(value)
                .ok()
                .filter(is_small)
                .ok_or(TokenFault::Claim("of an attribute"))?;
            attributes.insert(name.clone(), attribute);
        }
        Ok(attributes)
    }
}

/// Whether an attribute is small enough to be kept with each cached token.
pub(super) fn is_small(attribute: &Attribute) -> bool {
    match attribute {
        Attribute::Null | Attribute::Bool(_) | Attribute::Integer(_) => true,
        Attribute::Text(text) => text.chars().count() <= TEXT_LIMIT,
        Attribute::List(list) => {
            list.len() <= LIST_LIMIT && list.iter().all(|text| text.chars().count() <= TEXT_LIMIT)
        }
    }
}
