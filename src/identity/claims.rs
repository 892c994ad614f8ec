//! The parts of a token as JSON objects without duplicate names.
//!
//! Pure. Every claim has one accepted type; the wrong type is a refusal, never a check left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::json;
use crate::unseen::is_unseen;

/// A JSON object in which each name stands once (RFC 7519 section 4 lets us refuse the others).
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(BTreeMap<String, Value>);

/// The longest subject, role, token id or attribute in characters.
pub(super) const TEXT_LIMIT: usize = 255;
/// The longest account, with its issuer, in bytes: a line of the log.
const ACCOUNT_BYTES: usize = 200;
/// The most roles, audiences or list items.
pub(super) const LIST_LIMIT: usize = 256;

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

    /// Whether it tells of that event (RFC 8417).
    pub(super) fn has_event(&self, event: &str) -> bool {
        let events = self.0.get("events").and_then(Value::as_object);
        events.is_some_and(|events| events.get(event).is_some_and(Value::is_object))
    }

    /// When, since 1970.
    pub(super) fn time(&self, name: &'static str) -> Result<Option<Moment>, TokenFault> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let moment = Moment::read(value).filter(|moment| moment.begun_s >= 0);
        moment.map(Some).ok_or(TokenFault::Claim(name))
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

    /// The list of texts under `name`; empty if there is no such name.
    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<&str>, TokenFault> {
        let Some(value) = self.0.get(name) else { return Ok(Vec::new()) };
        let list = value.as_array().filter(|list| list.len() <= LIST_LIMIT);
        let list = list.ok_or(TokenFault::Claim(name))?;
        list.iter().map(|text| text.as_str().ok_or(TokenFault::Claim(name))).collect()
    }
}

/// A time in a token, Unix seconds, which may have a fraction (`NumericDate`, RFC 7519 section 2). Our clock has whole
/// seconds, so whoever compares takes the one that gives the token less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The second in which it lies: for what ends then, or has been so since then.
    pub(super) begun_s: i64,
    /// The first second that is not before it: for what must not lie ahead.
    pub(super) reached_s: i64,
}

impl Moment {
    /// A number of a size that is exact to much less than a second.
    pub(super) fn read(value: &Value) -> Option<Self> {
        const MOST: f64 = 1e12;
        if let Some(whole) = value.as_i64() {
            return Some(Self { begun_s: whole, reached_s: whole });
        }
        let seconds = value.as_f64().filter(|seconds| seconds.abs() <= MOST)?;
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small enough")]
        let whole = |seconds: f64| seconds as i64;
        Some(Self { begun_s: whole(seconds.floor()), reached_s: whole(seconds.ceil()) })
    }
}

/// Whether the log tells an account as it is. What it would cut or replace could be the name of two.
pub(super) fn is_told_as_it_is(account: &str) -> bool {
    account.len() <= ACCOUNT_BYTES && !account.chars().any(is_unseen)
}

/// Whether the text can stand in a log line: not empty, not long, nothing invisible.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= TEXT_LIMIT && !text.chars().any(char::is_control)
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::object(deserializer).map(Self)
    }
}
