//! Attributes that fade: what a token says of a device was true when somebody looked, and that is soon long ago.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::Value;

use super::caller::{Attribute, Caller};
use super::claims::{Claims, Moment, TokenFault};
use super::judged::is_small;
use super::settings::{IssuerSettings, PostureClaim};

/// Attributes of the device, and from which Unix second on each is too old.
pub(super) type Posture = BTreeMap<String, (Attribute, i64)>;

impl Claims {
    /// What the token says of the device and is not too old. What lacks its time, or has one that lies ahead, is left out,
    /// and a condition on it then denies.
    pub(super) fn posture(&self, issuer: &IssuerSettings, now: i64) -> Result<Posture, TokenFault> {
        let mut posture = Posture::new();
        for (name, from) in &issuer.posture {
            let Some(value) = self.value(&from.claim).filter(|value| !value.is_null()) else {
                continue;
            };
            let attribute = Attribute::deserialize(value).ok().filter(is_small);
            let attribute = attribute.ok_or(TokenFault::Claim("of a posture"))?;
            let Some(seen) = self.seen(from)? else { continue };
            let until = seen.begun_s.saturating_add(i64::from(from.age_s));
            if seen.reached_s <= now.saturating_add(i64::from(issuer.leeway_s)) && now < until {
                posture.insert(name.clone(), (attribute, until));
            }
        }
        Ok(posture)
    }

    fn seen(&self, from: &PostureClaim) -> Result<Option<Moment>, TokenFault> {
        let name = from.at.as_deref().unwrap_or("iat");
        match self.value(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                Moment::read(value).map(Some).ok_or(TokenFault::Claim("of the time of a posture"))
            }
        }
    }
}

/// The caller without what has faded. A token is remembered and a session kept for longer.
pub(super) fn without_faded(caller: Arc<Caller>, now: i64) -> Arc<Caller> {
    if caller.fades.values().all(|until| now < *until) {
        return caller;
    }
    let mut caller = Arc::unwrap_or_clone(caller);
    let Caller { fades, attributes, .. } = &mut caller;
    fades.retain(|name, until| {
        let is_good = now < *until;
        if !is_good {
            attributes.remove(name);
        }
        is_good
    });
    Arc::new(caller)
}
