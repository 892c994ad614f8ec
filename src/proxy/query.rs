//! Translates a caller and a route into the policy's question. Identity does not know policy and
//! policy does not know identity; this is where they meet.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use super::head::Head;
use crate::identity::{Attribute, Caller, CallerKind};
use crate::limits::shared::WhenLost;
use crate::limits::{
    Allowance, AllowanceFault, Asker, Holder, Occasion, Period, Rate, Slice, Terms, Window, Zone,
};
use crate::policy::{
    self, Grant, LimitSlice, Per, Permit, Principal, Query, RouteMatch, Scoped, Ties, Value,
};

/// The attribute that says what a caller is.
pub(super) const KIND: &str = "kind";

/// The attribute that names the tenants whose records a caller is confined to.
const TENANT: &str = "tenant";
/// The attribute that names the partner that a caller belongs to.
const PARTNER: &str = "partner";

/// The caller as conditions see them. `roles_elsewhere` are those of the person's other accounts.
pub(super) fn principal(
    caller: &Caller,
    roles_elsewhere: Vec<String>,
    address: IpAddr,
) -> Principal {
    let mut attributes: std::collections::BTreeMap<String, Value> = caller
        .attributes
        .iter()
        .map(|(name, attribute)| (name.clone(), value(attribute)))
        .collect();
    attributes.insert(KIND.to_owned(), kind(caller.kind).into());
    Principal {
        account: caller.account.clone(),
        roles: caller.roles.clone(),
        roles_elsewhere,
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
    (grant, ties): (Option<&'a Arc<Grant>>, Option<&'a Arc<dyn Ties>>),
    search: Option<&'a [(String, String)]>,
    now_unix_s: i64,
) -> Query<'a> {
    Query {
        zone,
        principal,
        route: &found.route,
        params: &found.params,
        search,
        method: head.method.as_str(),
        host: &head.host,
        purpose: head.purpose.as_deref(),
        ticket: head.ticket.as_deref(),
        grant,
        ties,
        now_unix_s,
    }
}

/// The policy's limits as terms that can be counted.
///
/// # Errors
/// [`AllowanceFault`] for limits that could not be kept exactly.
pub(super) fn allowance<'l>(
    limits: impl Iterator<Item = &'l Scoped>,
) -> Result<Allowance, AllowanceFault> {
    Allowance::new(&limits.map(terms).collect::<Vec<Terms>>())
}

fn terms(scoped: &Scoped) -> Terms {
    let Scoped { scope, limits } = scoped;
    let windows = |windows: &[policy::Window], factor: u64| {
        let limit = |window: &policy::Window| u64::from(window.count) * factor;
        windows.iter().map(|w| Window { limit: limit(w), period: period(&w.per) }).collect()
    };
    Terms {
        holder: match &scope.holder {
            policy::Holder::Person => Holder::Person,
            policy::Holder::Role(name) => Holder::Role(Arc::clone(name)),
            policy::Holder::Tenant => Holder::Tenant,
            policy::Holder::Partner => Holder::Partner,
        },
        slice: slice(&scope.slice),
        rate: limits.rate.map(|rate| Rate {
            per_window: rate.count,
            window_s: rate.per_s,
            burst: rate.burst,
        }),
        requests: windows(&limits.requests, 1),
        concurrent: limits.concurrent,
        records: windows(&limits.records, 1),
        subjects: windows(&limits.subjects, 1),
        bytes: windows(&limits.kibibytes, 1024),
        unmask: windows(&limits.unmask, 1),
        files: windows(&limits.files, 1),
        zero_hits: windows(&limits.zero_hits, 1),
        when_lost: if limits.denies_when_lost { WhenLost::Deny } else { WhenLost::Local },
    }
}

/// The policy's reader knows the same zones.
fn period(per: &Per) -> Period {
    match per {
        Per::Seconds(seconds) => Period::Sliding(*seconds),
        Per::Day(zone) => Period::Day(Zone::named(zone).unwrap_or_else(Zone::utc)),
    }
}

fn slice(slice: &LimitSlice) -> Slice {
    let LimitSlice { purposes, actions, routes, emergency } = slice;
    let slice = Slice::of(
        purposes.iter().map(AsRef::as_ref),
        actions.iter().map(|action| action.name()),
        routes.iter().map(AsRef::as_ref),
    );
    if *emergency { slice.in_emergency() } else { slice }
}

/// What the request is, as slices of limits see it.
pub(super) fn occasion(permit: &Permit) -> Occasion {
    Occasion {
        purpose: permit.purpose().map(Arc::from),
        action: permit.action().name().into(),
        route: permit.route().name().into(),
        in_emergency: permit.grant().is_some_and(|grant| grant.is_emergency()),
    }
}

/// Of whom a caller shares budgets beside the roles: the tenants that it is confined to, and its partner.
#[derive(Debug, Default)]
pub(super) struct Sharers {
    tenants: Vec<String>,
    partner: Option<String>,
}

impl Sharers {
    pub(super) fn of(caller: &Caller) -> Self {
        let names = |name: &str| caller.attributes.get(name).map(names).unwrap_or_default();
        Self { tenants: names(TENANT), partner: names(PARTNER).into_iter().next() }
    }

    /// The caller, counted under this name.
    pub(super) fn asker<'a>(&'a self, person: &'a str) -> Asker<'a> {
        Asker { person, tenants: &self.tenants, partner: self.partner.as_deref() }
    }
}

/// An attribute as names, in order and each once.
fn names(attribute: &Attribute) -> Vec<String> {
    let mut names: Vec<String> = value(attribute).names().map(Cow::into_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn kind(kind: CallerKind) -> &'static str {
    kind.as_str()
}

pub(super) fn value(attribute: &Attribute) -> Value {
    match attribute {
        Attribute::Null => Value::Null,
        Attribute::Bool(yes) => Value::Bool(*yes),
        Attribute::Integer(number) => Value::Integer(*number),
        Attribute::Text(text) => Value::Text(text.clone()),
        Attribute::List(texts) => Value::List(texts.iter().cloned().map(Value::Text).collect()),
    }
}
