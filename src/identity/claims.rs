//! The parts of a token as JSON objects without duplicate names, and the judgement of its claims.
//!
//! Pure: time is given. Every claim has one accepted type; the wrong type is a refusal, never a
//! check left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::binding::Binding;
use super::caller::{Attribute, Caller, CredentialRef, Factor};
use super::json;
use super::methods;
use super::settings::IssuerSettings;

/// A JSON object in which each name stands once (RFC 7519 section 4 lets us refuse the others).
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(BTreeMap<String, Value>);

/// The longest subject, role, token id or attribute in characters.
const TEXT_LIMIT: usize = 255;
/// The most roles, audiences or list items.
const LIST_LIMIT: usize = 256;

/// What is wrong with a bearer token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It is not three parts of base64url with two JSON objects, or a name stands twice in one.
    #[error("the token is malformed")]
    Malformed,
    /// Its header demands an extension (`crit`); none is understood.
    #[error("the token has a `crit` header; none is accepted")]
    Critical,
    /// Its header brings a key of its own (`jwk`, `x5c`) or says where one is (`jku`, `x5u`).
    #[error("the token's header must not have `jku`, `jwk`, `x5u` or `x5c`")]
    OwnKey,
    /// Its `typ` is neither absent nor `JWT` nor `at+jwt`.
    #[error("the token's `typ` must be absent, `JWT` or `at+jwt`")]
    Type,
    /// Its `iss` is no pinned issuer.
    #[error("the token's issuer is not accepted here")]
    Issuer,
    /// No key has its `kid`, or it has none and there are several keys.
    #[error("the token's `kid` names no key of its issuer")]
    Key,
    /// Its `alg` is not that of the key.
    #[error("the token's `alg` is not that of its key")]
    Algorithm,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    Signature,
    /// Its `aud` does not name this gate.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf`, `iat` or the time of authentication lies ahead.
    #[error("the token is not valid yet")]
    NotYet,
    /// It is bound to a key (`cnf`) in a way that is not known here.
    #[error("the token is bound to a key in a way that is not supported")]
    Bound,
    /// It was revoked, or all tokens of its account up to its time were.
    #[error("the token was revoked")]
    Revoked,
    /// It is bound to a key that was not shown with it.
    #[error("the token is bound to a key that was not shown with it")]
    Unproved,
    /// It is bound to no key, and its issuer's have to be.
    #[error("the token is bound to no key")]
    Unbound,
    /// Its account is suspended, switched off, or has left.
    #[error("the account is not welcome: it is suspended, switched off, or has left")]
    Unwelcome,
    /// A claim is missing or has the wrong type.
    #[error("the token's claim `{0}` is missing or has the wrong type")]
    Claim(&'static str),
}

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
    /// The text under `name`; `None` if there is no such name.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, TokenFault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenFault::Claim(name)),
        }
    }

    /// All of it as JSON, for an operator to read.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(&self.0).unwrap_or_default()
    }

    /// The value under `name`.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether the name stands there, with whatever value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Judges the claims of a token whose signature is good, at `now` in Unix seconds.
    pub(super) fn judge(&self, issuer: &IssuerSettings, now: i64) -> Result<Judged, TokenFault> {
        if self.text("iss")? != Some(&issuer.issuer) {
            return Err(TokenFault::Issuer);
        }
        if !self.audiences()?.contains(&issuer.audience.as_str()) {
            return Err(TokenFault::Audience);
        }
        let binding = Binding::read(self.0.get("cnf"))?;
        if issuer.is_bound && !binding.is_bound() {
            return Err(TokenFault::Unbound);
        }
        let until_s = self.judge_times(issuer, now)?;
        let subject = self.text("sub")?.filter(|s| is_name(s)).ok_or(TokenFault::Claim("sub"))?;
        let jti = self.text("jti")?.map(str::to_owned);
        let issued_s = self.time("iat")?;
        let factors = self.factors(issuer, now)?;
        let mut attributes = self.attributes(&issuer.attributes)?;
        let mut fades = BTreeMap::new();
        for (name, (attribute, until)) in self.posture(issuer, now)? {
            fades.insert(name.clone(), until);
            attributes.insert(name, attribute);
        }
        let caller = Caller {
            account: format!("{}:{subject}", issuer.name),
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

    /// Whether it tells of that event (RFC 8417).
    pub(super) fn has_event(&self, event: &str) -> bool {
        let events = self.0.get("events").and_then(Value::as_object);
        events.is_some_and(|events| events.get(event).is_some_and(Value::is_object))
    }

    /// Gives when the token ends.
    fn judge_times(&self, issuer: &IssuerSettings, now: i64) -> Result<i64, TokenFault> {
        let leeway = i64::from(issuer.leeway_s);
        let until = self.time("exp")?.ok_or(TokenFault::Claim("exp"))?.saturating_add(leeway);
        if now >= until {
            return Err(TokenFault::Expired);
        }
        for name in ["nbf", "iat"] {
            if self.time(name)?.is_some_and(|at| at > now.saturating_add(leeway)) {
                return Err(TokenFault::NotYet);
            }
        }
        Ok(until)
    }

    /// Whole seconds only: RFC 7519 permits fractions, no issuer we know sends them.
    pub(super) fn time(&self, name: &'static str) -> Result<Option<i64>, TokenFault> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let seconds = value.as_i64().filter(|seconds| *seconds >= 0);
        seconds.map(Some).ok_or(TokenFault::Claim(name))
    }

    pub(super) fn audiences(&self) -> Result<Vec<&str>, TokenFault> {
        let fault = TokenFault::Claim("aud");
        match self.0.get("aud").ok_or(fault)? {
            Value::String(one) => Ok(vec![one]),
            Value::Array(many) if many.len() <= LIST_LIMIT => {
                many.iter().map(|one| one.as_str().ok_or(fault)).collect()
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => Err(fault),
        }
    }

    /// What the issuer says was presented, how strong it is and when.
    fn factors(&self, issuer: &IssuerSettings, now: i64) -> Result<Vec<Factor>, TokenFault> {
        let at_unix_s = match self.0.get(&issuer.auth_time_claim) {
            None => None,
            Some(value) => Some(value.as_i64().ok_or(TokenFault::Claim("auth_time"))?),
        };
        if at_unix_s.is_some_and(|at| at > now.saturating_add(i64::from(issuer.leeway_s))) {
            return Err(TokenFault::NotYet);
        }
        Ok(methods::factors(issuer, self.text("acr")?, &self.texts("amr")?, at_unix_s))
    }

    /// The list of texts under `name`; empty if there is no such name.
    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<&str>, TokenFault> {
        let Some(value) = self.0.get(name) else { return Ok(Vec::new()) };
        let list = value.as_array().filter(|list| list.len() <= LIST_LIMIT);
        let list = list.ok_or(TokenFault::Claim(name))?;
        list.iter().map(|text| text.as_str().ok_or(TokenFault::Claim(name))).collect()
    }

    fn roles(&self, path: &[String]) -> Result<Vec<String>, TokenFault> {
        let fault = TokenFault::Claim("roles");
        let Some((first, rest)) = path.split_first() else { return Ok(Vec::new()) };
        let Some(mut value) = self.0.get(first) else { return Ok(Vec::new()) };
        for name in rest {
            let Some(inner) = value.as_object().ok_or(fault)?.get(name) else {
                return Ok(Vec::new());
            };
            value = inner;
        }
        let list = value.as_array().filter(|list| list.len() <= LIST_LIMIT).ok_or(fault)?;
        let mut roles = Vec::with_capacity(list.len());
        for role in list {
            roles.push(role.as_str().filter(|role| is_name(role)).ok_or(fault)?.to_owned());
        }
        roles.sort_unstable();
        roles.dedup();
        Ok(roles)
    }

    /// A claim that is absent or null gives no attribute, and a condition on it then denies.
    fn attributes(
        &self,
        wanted: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Attribute>, TokenFault> {
        let mut attributes = BTreeMap::new();
        for (claim, name) in wanted {
            let Some(value) = self.0.get(claim).filter(|value| !value.is_null()) else { continue };
            let attribute = Attribute::deserialize(value)
                .ok()
                .filter(is_small)
                .ok_or(TokenFault::Claim("of an attribute"))?;
            attributes.insert(name.clone(), attribute);
        }
        Ok(attributes)
    }
}

/// Whether the text can stand in a log line: not empty, not long, nothing invisible.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= TEXT_LIMIT && !text.chars().any(char::is_control)
}

/// Whether an attribute is small enough to be kept with each cached token.
pub(super) fn is_small(attribute: &Attribute) -> bool {
    match attribute {
        Attribute::Bool(_) | Attribute::Integer(_) => true,
        Attribute::Text(text) => text.chars().count() <= TEXT_LIMIT,
        Attribute::List(list) => {
            list.len() <= LIST_LIMIT && list.iter().all(|text| text.chars().count() <= TEXT_LIMIT)
        }
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::object(deserializer).map(Self)
    }
}
