//! Tells a backend who asks: by a signed assertion, and in plain headers where the operator named some.
//!
//! Whatever stands under these names, in any spelling that a backend could take for them, was written by the gate.

use std::collections::HashMap;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::Gate;
use super::query::KIND;
use super::question::Question;
use super::rejection::Rejection;
use super::trail::Trail;
use crate::identity::{Asserted, Assertions};
use crate::policy::{Permit, Principal, Value, same_to_a_backend};

/// The header that carries an assertion, where it does not go as a bearer token.
const ASSERTION: HeaderName = HeaderName::from_static("menshen-assertion");

/// Of a value, what would not be text of a header, and what separates and escapes in it: two accounts never
/// look alike, and the name of a role cannot hold two.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',').add(b';').add(b'"').add(b'\\');

/// Names that frame a request or mean something else; a prefix ends with its dash.
const TAKEN: &[&str] = &[
    "accept",
    "accept-",
    "authorization",
    "connection",
    "content-",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-",
    "te",
    "trailer",
    "transfer-",
    "upgrade",
];

/// What one upstream is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouching {
    /// The `aud` of its assertions.
    pub audience: String,
    /// Whether they go as `Authorization: Bearer`, else in a header of their own.
    pub as_bearer: bool,
    /// Facts that go in plain headers as well, each under its name.
    pub headers: Vec<(Fact, HeaderName)>,
}

/// A fact about a request that a plain header can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// The account.
    Account,
    /// What the caller is.
    Kind,
    /// The roles, with commas between.
    Roles,
    /// The assurance, 0 to 3.
    Assurance,
    /// The purpose that was declared.
    Purpose,
    /// The request's id in the log.
    Request,
}

impl Fact {
    /// All of them, with the words that name them in a configuration.
    pub const ALL: [(&'static str, Self); 6] = [
        ("account", Self::Account),
        ("kind", Self::Kind),
        ("roles", Self::Roles),
        ("assurance", Self::Assurance),
        ("purpose", Self::Purpose),
        ("request", Self::Request),
    ];
}

/// Who vouches, and before whom.
#[derive(Debug)]
pub struct Voucher {
    /// Signs.
    pub assertions: Assertions,
    /// What is told, by the name of the upstream; nothing to those that are not in it.
    pub upstreams: HashMap<String, Vouching>,
}

/// What is known of a request that goes to a backend.
struct Known<'a> {
    principal: &'a Principal,
    kind: &'a str,
    acr: String,
    purpose: Option<&'a str>,
    request: String,
}

impl Gate {
    /// Writes into a request's head who asks. `part` tells the requests apart that one request leads to.
    pub(super) fn vouch(
        &self,
        permit: &Permit,
        question: &Question,
        trail: &Trail,
        part: &str,
        headers: &mut HeaderMap,
    ) -> Result<(), Rejection> {
        let configured = self.configured();
        let voucher = &configured.voucher;
        let Some(vouching) = voucher.upstreams.get(permit.upstream()) else { return Ok(()) };
        let principal = question.principal();
        let known = Known {
            principal,
            kind: match principal.attributes.get(KIND) {
                Some(Value::Text(kind)) => kind,
                _ => "",
            },
            acr: principal.assurance.to_string(),
            purpose: permit.purpose(),
            request: trail.id.to_string(),
        };
        let id = format!("{}{part}", known.request);
        let token = voucher.assertions.sign(known.asserted(&vouching.audience, &id));
        let token = token.map_err(|error| {
            tracing::error!(%error, "no assertion could be signed, so nothing is sent");
            Rejection::Unvouched
        })?;
        vouching.write(&known, &token, headers).ok_or(Rejection::Unvouched)
    }
}

impl Vouching {
    /// `None` if something is no text of a header, which after escaping nothing is.
    fn write(&self, known: &Known<'_>, token: &str, headers: &mut HeaderMap) -> Option<()> {
        let (name, text) = match self.as_bearer {
            true => (AUTHORIZATION, format!("Bearer {token}")),
            false => (ASSERTION, token.to_owned()),
        };
        let plain = self.headers.iter().map(|(fact, name)| (name.clone(), known.tell(*fact)));
        let lines: Vec<_> = std::iter::once((name, Some(text))).chain(plain).collect();
        for (name, _) in &lines {
            clear(headers, name);
        }
        for (name, text) in lines {
            let Some(text) = text else { continue };
            let mut value = HeaderValue::try_from(text).ok()?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Some(())
    }
}

impl<'a> Known<'a> {
    fn asserted(&'a self, audience: &'a str, id: &'a str) -> Asserted<'a> {
        Asserted {
            audience,
            account: &self.principal.account,
            kind: self.kind,
            roles: &self.principal.roles,
            acr: &self.acr,
            purpose: self.purpose,
            request: &self.request,
            id,
        }
    }

    /// A fact as text of a header.
    fn tell(&self, fact: Fact) -> Option<String> {
        let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        Some(match fact {
            Fact::Account => escaped(&self.principal.account),
            Fact::Kind => escaped(self.kind),
            Fact::Roles => {
                let roles = self.principal.roles.iter().map(|role| escaped(role));
                roles.collect::<Vec<_>>().join(",")
            }
            Fact::Assurance => self.acr.clone(),
            Fact::Purpose => escaped(self.purpose?),
            Fact::Request => self.request.clone(),
        })
    }
}

/// Whether a header of this name may carry a fact beside those that carry one before: it neither frames a
/// request nor means something else, and no backend could take it for one of them.
pub fn may_carry_a_fact<'a>(
    name: &HeaderName,
    mut before: impl Iterator<Item = &'a HeaderName>,
) -> bool {
    let name = name.as_str();
    let is_taken = TAKEN.iter().any(|taken| match taken.strip_suffix('-') {
        Some(_) => same_to_a_backend(name.get(..taken.len()).unwrap_or_default(), taken),
        None => same_to_a_backend(name, taken),
    });
    !is_taken
        && !same_to_a_backend(name, ASSERTION.as_str())
        && !before.any(|other| same_to_a_backend(other.as_str(), name))
}

/// Takes away whatever a backend could take for a header of this name.
fn clear(headers: &mut HeaderMap, name: &HeaderName) {
    let alike = |other: &&HeaderName| same_to_a_backend(other.as_str(), name.as_str());
    let names: Vec<HeaderName> = headers.keys().filter(alike).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}
