//! Translates a caller and a route into the policy's question. Identity does not know policy and
//! policy does not know identity; this is where they meet.

use std::net::IpAddr;
use std::sync::Arc;

use super::head::Head;
use crate::identity::{Attribute, Caller, CallerKind};
use crate::limits::{Allowance, AllowanceFault, Rate, Terms, Window};
use crate::policy::{self, Grant, Principal, Query, RouteMatch, Value};

/// The attribute that says what a caller is.
pub(super) const KIND: &str = "kind";

/// The caller as conditions see them.
pub(super) fn principal(caller: &Caller, address: IpAddr) -> Principal {
    let mut attributes: std::collections::BTreeMap<String, Value> = caller
        .attributes
        .iter()
        .map(|(name, attribute)| (name.clone(), value(attribute)))
        .collect();
    attributes.insert(KIND.to_owned(), kind(caller.kind).into());
    Principal {
        account: caller.account.clone(),
        roles: caller.roles.clone(),
        attributes,
        assurance: caller.assurance,
        // A factor of unknown age meets no demand for a fresh one.
        factors: caller
            .factors
            .iter()
            .filter_map(|factor| {
                Some(policy::Factor { level: factor.level, at_unix_s: factor.at_unix_s? })
            })
            .collect(),
        address: Some(address),
        device: caller.device.clone(),
    }
}

/// What the policy is asked about a request.
pub(super) fn question<'a>(
    head: &'a Head,
    found: &'a RouteMatch,
    principal: &'a Arc<Principal>,
    zone: &'a str,
    grant: Option<&'a Arc<Grant>>,
    now_unix_s: i64,
) -> Query<'a> {
    Query {
        zone,
        principal,
        route: &found.route,
        params: &found.params,
        method: head.method.as_str(),
        host: &head.host,
        purpose: head.purpose.as_deref(),
        ticket: head.ticket.as_deref(),
        grant,
        now_unix_s,
    }
}

/// The policy's limits as terms that can be counted.
///
/// # Errors
/// [`AllowanceFault`] for limits that could not be kept exactly.
pub(super) fn allowance(limits: &policy::Limits) -> Result<Allowance, AllowanceFault> {
    let windows = |windows: &[policy::Window], factor: u64| {
        windows
            .iter()
            .map(|w| Window { limit: u64::from(w.count) * factor, seconds: w.per_s })
            .collect()
    };
    Allowance::new(&Terms {
        rate: limits.rate.map(|rate| Rate {
            per_window: rate.count,
            window_s: rate.per_s,
            burst: rate.burst,
        }),
        requests: windows(&limits.requests, 1),
        concurrent: limits.concurrent,
        page: limits.page,
        records: windows(&limits.records, 1),
        subjects: windows(&limits.subjects, 1),
        bytes: windows(&limits.kibibytes, 1024),
        unmask: windows(&limits.unmask, 1),
        files: windows(&limits.files, 1),
    })
}

fn kind(kind: CallerKind) -> &'static str {
    kind.as_str()
}

fn value(attribute: &Attribute) -> Value {
    match attribute {
        Attribute::Bool(yes) => Value::Bool(*yes),
        Attribute::Integer(number) => Value::Integer(*number),
        Attribute::Text(text) => Value::Text(text.clone()),
        Attribute::List(texts) => Value::List(texts.iter().cloned().map(Value::Text).collect()),
    }
}
