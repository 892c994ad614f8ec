//! Numbers for the operator's monitoring: what happens how often, never to whom.
//!
//! Labels are words of ours or names of the policy, never anything that came with a request.

mod bulletin;
mod load;
mod notify;
mod serve;
mod ship;
mod sockets;
mod trace;
mod upstreams;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub use serve::{Listener, Settings};
pub use ship::ShipLag;
pub use trace::{
    Fate, Known, Parent, Recorded, Settings as TraceSettings, SpanId, Stage, TRACEPARENT,
    TRACESTATE, Trace, TraceId, Traces, export,
};
pub use upstreams::{UpstreamEndpoint, UpstreamHealth};

/// Names of rules that differences are counted under; further ones are counted together.
const RULE_LIMIT: usize = 2000;
/// The name under which those are counted.
const OTHER_RULES: &str = "(other)";
/// Digits of a policy's version that tell it from another.
const VERSION_DIGITS: usize = 12;

type Counted<const LABELS: usize> = Family<[(&'static str, &'static str); LABELS], Counter>;
type Named = Family<[(&'static str, String); 2], Counter>;
type Routes = Family<[(&'static str, String); 1], Counter>;
type Held = Family<[(&'static str, &'static str); 1], Gauge>;
type Versions = Family<[(&'static str, String); 2], Gauge>;

/// Which policy something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that decides.
    Live,
    /// The candidate that decides beside it.
    Shadow,
}

impl Role {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Shadow => "shadow",
        }
    }
}

/// What became of an attempt to load a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It is in force.
    Loaded,
    /// It is the one in force already.
    Unchanged,
    /// It has a fault; the old one stays.
    Refused,
    /// The change could not be recorded; the old one stays.
    Unrecorded,
    /// It is wider, and waits for two persons; the old one stays.
    Waits,
}

impl Reload {
    const ALL: [Self; 5] =
        [Self::Loaded, Self::Unchanged, Self::Refused, Self::Unrecorded, Self::Waits];

    fn word(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Unrecorded => "unrecorded",
            Self::Waits => "waits",
        }
    }
}

/// How the gate is at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// It is about to stop.
    pub is_draining: bool,
    /// The log takes entries.
    pub can_record: bool,
    /// The state takes what is counted.
    pub can_count: bool,
    /// Entries that the log missed since the start.
    pub missed_entries: u64,
    /// Connections of clients.
    pub connections: u32,
    /// Requests that were admitted and whose answer has not ended.
    pub open_requests: u32,
    /// The backends.
    pub upstreams: Vec<UpstreamHealth>,
}

impl Health {
    /// Whether requests should be sent here.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.can_record && self.can_count && !self.is_draining
    }
}

/// All that is counted. One per process; clones of its handles count the same.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    reloads: Counted<2>,
    reconfigured: Counted<1>,
    ordered: Counted<1>,
    restart: Gauge,
    policies: Versions,
    requests: Counted<2>,
    denials: Counted<1>,
    limited: Counted<2>,
    glass: Counted<1>,
    near_limits: Counted<2>,
    unrecorded: Counter,
    withdrawn: Counter,
    switches: Family<[(&'static str, &'static str); 1], Gauge>,
    differences: Named,
    detections: Counted<2>,
    foreign_tenant: Routes,
    new_fields: Routes,
    findings: Named,
    held: Held,
    review_lag: Gauge,
    index_lag: Gauge,
    unsigned: Gauge,
    rules: Mutex<HashSet<String>>,
    log_writable: Gauge,
    state_writable: Gauge,
    log_missed: Gauge,
    retention: Family<[(&'static str, &'static str); 1], Gauge>,
    shared: SharedStore,
    bulletin: bulletin::Bulletin,
    load: load::Load,
    traced: Counted<1>,
    ship: ship::Shipping,
    notices: notify::Notices,
    sockets: sockets::Sockets,
    upstreams: upstreams::Backends,
}

/// The store in which several gates count budgets together.
#[derive(Debug, Default)]
struct SharedStore {
    up: Gauge,
    gates: Gauge,
    waiting: Gauge,
    losses: Counter,
    stricter: Counter,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Everything at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("menshen");
        let (reloads, policies, requests, denials) = <(_, _, _, _)>::default();
        let (limited, near_limits, glass) = <(_, _, _)>::default();
        let (unrecorded, withdrawn, differences) = <(_, _, _)>::default();
        let (log_writable, state_writable, log_missed, rules) = <(_, _, _, _)>::default();
        let (detections, foreign_tenant, new_fields, switches) = <(_, _, _, _)>::default();
        let (findings, held, review_lag) = <(_, _, _)>::default();
        let mut all = Self {
            reloads,
            policies,
            requests,
            denials,
            limited,
            glass,
            near_limits,
            unrecorded,
            withdrawn,
            switches,
            differences,
            detections,
            foreign_tenant,
            new_fields,
            findings,
            held,
            review_lag,
            index_lag: Gauge::default(),
            unsigned: Gauge::default(),
            reconfigured: Family::default(),
            ordered: Family::default(),
            restart: Gauge::default(),
            rules,
            log_writable,
            state_writable,
            log_missed,
            retention: Family::default(),
            shared: SharedStore::default(),
            bulletin: bulletin::Bulletin::default(),
            load: load::Load::default(),
            traced: Family::default(),
            ship: ship::Shipping::default(),
            notices: notify::Notices::default(),
            sockets: sockets::Sockets::default(),
            upstreams: upstreams::Backends::default(),
            registry: Registry::default(),
        };
        all.register(&mut registry);
        for outcome in Reload::ALL {
            all.reloads.get_or_create(&reload_labels(Role::Live, outcome)).inc_by(0);
            all.reconfigured.get_or_create(&[("outcome", outcome.word())]).inc_by(0);
        }
        for fate in Fate::ALL {
            all.traced(fate, 0);
        }
        all.registry = registry;
        all
    }

    fn register(&self, registry: &mut Registry) {
        let reloads = self.reloads.clone();
        registry.register("policy_reloads", "Attempts to load a policy, by outcome", reloads);
        let help = "Attempts to take up another configuration, by outcome";
        registry.register("config_reloads", help, self.reconfigured.clone());
        let help = "Orders of certificates by ACME, by outcome";
        registry.register("acme_orders", help, self.ordered.clone());
        let help = "Changed keys of the configuration that take effect after a restart";
        registry.register("config_restart_keys", help, self.restart.clone());
        let policies = self.policies.clone();
        registry.register("policy_info", "The policies in force, by version; always 1", policies);
        let requests = self.requests.clone();
        registry.register("requests", "Answers, by the route's action and class", requests);
        let denials = self.denials.clone();
        registry.register("denials", "Requests that ended early, by cause", denials);
        let limited = self.limited.clone();
        let help = "Requests refused by a limit, by what it limits and whose it is";
        registry.register("limited", help, limited);
        let help = "Grants that somebody opened at once, in earnest or as a drill";
        registry.register("break_glass", help, self.glass.clone());
        let help = "Answers that brought a budget to nine tenths of its limit, by unit and holder";
        registry.register("near_limits", help, self.near_limits.clone());
        let unrecorded = self.unrecorded.clone();
        let help = "Requests refused because the log could not take their entry";
        registry.register("unrecorded", help, unrecorded);
        let withdrawn = self.withdrawn.clone();
        let help = "Streams cut off by a new policy, a suspended account or a switch";
        registry.register("withdrawn", help, withdrawn);
        let help = "What is switched off by command, by kind";
        registry.register("switched_off", help, self.switches.clone());
        let help = "Decisions that the candidate policy would make otherwise, by rule and kind";
        registry.register("shadow_differences", help, self.differences.clone());
        let help =
            "Values in which something was found that their field is not graded for, by kind";
        registry.register("detections", help, self.detections.clone());
        let help = "Records of a foreign tenant that a backend gave to a confined caller, by route";
        registry.register("foreign_tenant_records", help, self.foreign_tenant.clone());
        let help = "Fields that a backend has and the catalogue does not know, by route";
        registry.register("new_fields", help, self.new_fields.clone());
        let help = "Findings, by detection and what followed";
        registry.register("findings", help, self.findings.clone());
        let help = "Persons whom a finding holds, by what follows";
        registry.register("held_persons", help, self.held.clone());
        let help = "Entries of the log that no detection has seen yet";
        registry.register("review_lag_entries", help, self.review_lag.clone());
        let help = "Entries of the log that its index does not have yet";
        registry.register("log_index_lag_entries", help, self.index_lag.clone());
        let help = "Months of the last twelve whose review nobody has signed";
        registry.register("review_unsigned_months", help, self.unsigned.clone());
        let help = "Whether the log takes entries";
        registry.register("log_writable", help, self.log_writable.clone());
        let help = "Whether the state takes what is counted";
        registry.register("state_writable", help, self.state_writable.clone());
        let help = "Entries that the log missed since the start";
        registry.register("log_missed_entries", help, self.log_missed.clone());
        let help =
            "Keys of the log, of a class and day each, that will be destroyed soon or are held";
        registry.register("log_retention_keys", help, self.retention.clone());
        let SharedStore { up, gates, waiting, losses, stricter } = &self.shared;
        let help = "Whether the store of shared budgets answers";
        registry.register("shared_store_up", help, up.clone());
        let help = "Gates that the store of shared budgets heard of lately";
        registry.register("shared_store_gates", help, gates.clone());
        let help = "Gates for which a store of shared budgets that began anew waits";
        registry.register("shared_store_waiting", help, waiting.clone());
        let help = "How often the store of shared budgets was lost";
        registry.register("shared_store_lost", help, losses.clone());
        let help = "What was refused because the store of shared budgets could not be asked";
        registry.register("limits_stricter", help, stricter.clone());
        let help = "Requests of which spans were recorded, by what became of them";
        registry.register("traced_requests", help, self.traced.clone());
        self.bulletin.register(registry);
        self.load.register(registry);
        self.ship.register(registry);
        self.notices.register(registry);
        self.sockets.register(registry);
        self.upstreams.register(registry);
    }

    /// Counts an attempt to take up another configuration.
    pub fn reconfigured(&self, outcome: Reload) {
        self.reconfigured.get_or_create(&[("outcome", outcome.word())]).inc();
    }

    /// Counts an order of a certificate, and whether it was issued.
    pub fn ordered(&self, was_issued: bool) {
        let outcome = if was_issued { "issued" } else { "failed" };
        self.ordered.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Says how many changed keys wait for a restart.
    pub fn waits_for_restart(&self, keys: usize) {
        self.restart.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    /// Counts an attempt to load a policy.
    pub fn reloaded(&self, role: Role, outcome: Reload) {
        self.reloads.get_or_create(&reload_labels(role, outcome)).inc();
    }

    /// Says which policy is in force; `None` that there is none.
    pub fn in_force(&self, live: &str, shadow: Option<&str>) {
        self.policies.clear();
        for (role, version) in [(Role::Live, Some(live)), (Role::Shadow, shadow)] {
            let Some(version) = version else { continue };
            let short = version.chars().take(VERSION_DIGITS).collect();
            let labels = [("role", role.word().to_owned()), ("version", short)];
            self.policies.get_or_create(&labels).set(1);
        }
    }

    /// Counts an answer whose head took so long. `action` is a word of the policy's language.
    pub fn answered(&self, action: &'static str, status: u16, took: Duration) {
        self.load.answered(action, took);
        let class = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&[("action", action), ("status", class)]).inc();
    }

    /// Counts a request that ended early. `cause` is the word that the log has for it.
    pub fn denied(&self, cause: &'static str) {
        self.denials.get_or_create(&[("cause", cause)]).inc();
    }

    /// Counts a request refused by a limit; both words are of closed sets.
    pub fn limited(&self, limit: &'static str, holder: &'static str) {
        self.limited.get_or_create(&[("limit", limit), ("holder", holder)]).inc();
    }

    /// Counts a grant that somebody opened at once.
    pub fn glass_broken(&self, drill: bool) {
        let kind = if drill { "drill" } else { "emergency" };
        self.glass.get_or_create(&[("kind", kind)]).inc();
    }

    /// Counts a WebSocket that was opened.
    pub fn socket_opened(&self) {
        self.sockets.opened();
    }

    /// Counts one that ended; `why` is the word that the log has for it.
    pub fn socket_ended(&self, why: &'static str) {
        self.sockets.ended(why);
    }

    /// Counts an answer that brought a budget near its limit.
    pub fn near_limit(&self, limit: &'static str, holder: &'static str) {
        self.near_limits.get_or_create(&[("limit", limit), ("holder", holder)]).inc();
    }

    /// Counts requests of which spans were recorded.
    pub fn traced(&self, fate: Fate, requests: u64) {
        self.traced.get_or_create(&[("outcome", fate.word())]).inc_by(requests);
    }

    /// Counts a request refused because its entry could not be written.
    pub fn unrecorded(&self) {
        self.unrecorded.inc();
    }

    /// Says how much of a kind is switched off.
    pub fn switched_off(&self, kind: &'static str, number: usize) {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.switches.get_or_create(&[("kind", kind)]).set(number);
    }

    /// Says of how many keys of the log the end is announced, and how many a legal hold keeps.
    pub fn retention(&self, announced: u64, held: u64) {
        for (state, number) in [("announced", announced), ("held", held)] {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            self.retention.get_or_create(&[("state", state)]).set(number);
        }
    }

    /// Says how the store of shared budgets stands; the counts are those since the start.
    pub fn shared_store(
        &self,
        is_up: bool,
        (gates, waits_for): (u64, u64),
        losses: u64,
        stricter: u64,
    ) {
        let SharedStore { up, gates: present, waiting, losses: lost, stricter: refused } =
            &self.shared;
        waiting.set(i64::try_from(waits_for).unwrap_or(i64::MAX));
        up.set(i64::from(is_up));
        present.set(i64::try_from(gates).unwrap_or(i64::MAX));
        lost.inc_by(losses.saturating_sub(lost.get()));
        refused.inc_by(stricter.saturating_sub(refused.get()));
    }

    /// Counts a stream that was cut off since the right to it ended.
    pub fn withdrawn(&self) {
        self.withdrawn.inc();
    }

    /// Counts values in which a kind was found; in an `answer` or in a `request`.
    pub fn detected(&self, kind: &'static str, found_in: &'static str, values: u64) {
        self.detections.get_or_create(&[("kind", kind), ("in", found_in)]).inc_by(values);
    }

    /// Counts records of a foreign tenant. The route is one of the policy.
    pub fn foreign_tenant(&self, route: &str, records: u64) {
        self.foreign_tenant.get_or_create(&[("route", route.to_owned())]).inc_by(records);
    }

    /// Counts a field that nobody declared, the first time that a route's answer has it.
    pub fn new_field(&self, route: &str) {
        self.new_fields.get_or_create(&[("route", route.to_owned())]).inc();
    }

    /// Counts a finding. Both are words of ours.
    pub fn found(&self, detection: &str, consequence: &'static str) {
        let labels = [("detection", detection.to_owned()), ("action", consequence.to_owned())];
        self.findings.get_or_create(&labels).inc();
    }

    /// Says how many persons are held so.
    pub fn held(&self, consequence: &'static str, persons: u64) {
        let persons = i64::try_from(persons).unwrap_or(i64::MAX);
        self.held.get_or_create(&[("action", consequence)]).set(persons);
    }

    /// Says how far detections are behind the log.
    pub fn review_lag(&self, entries: u64) {
        self.review_lag.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Says how many months wait for a signed review.
    pub fn unsigned_reviews(&self, months: usize) {
        self.unsigned.set(i64::try_from(months).unwrap_or(i64::MAX));
    }

    /// Says how far the index is behind the log.
    pub fn index_lag(&self, entries: u64) {
        self.index_lag.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Counts a decision that the candidate would make otherwise, under a rule of one of the policies.
    pub fn differs(&self, rule: &str, kind: &'static str) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = rules.contains(rule) || rules.len() < RULE_LIMIT;
        let rule = if is_known { rule } else { OTHER_RULES };
        if !rules.contains(rule) {
            rules.insert(rule.to_owned());
        }
        drop(rules);
        let labels = [("rule", rule.to_owned()), ("kind", kind.to_owned())];
        self.differences.get_or_create(&labels).inc();
    }

    /// All numbers in the text format of OpenMetrics.
    #[must_use]
    pub fn text(&self, health: &Health) -> String {
        let _whole = self.upstreams.tell(&health.upstreams);
        self.log_writable.set(i64::from(health.can_record));
        self.state_writable.set(i64::from(health.can_count));
        self.log_missed.set(i64::try_from(health.missed_entries).unwrap_or(i64::MAX));
        self.load.look(health);
        let mut text = String::new();
        // Writing to a string does not fail.
        encode(&mut text, &self.registry).unwrap_or_default();
        text
    }
}

fn reload_labels(role: Role, outcome: Reload) -> [(&'static str, &'static str); 2] {
    [("role", role.word()), ("outcome", outcome.word())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Health = Health {
        is_draining: false,
        can_record: true,
        can_count: true,
        missed_entries: 0,
        connections: 7,
        open_requests: 3,
        upstreams: Vec::new(),
    };
    const SOON: Duration = Duration::from_millis(2);

    #[test]
    fn what_is_counted_stands_in_the_text() {
        let telemetry = Telemetry::new();
        telemetry.answered("view", 200, SOON);
        telemetry.answered("view", 204, SOON);
        telemetry.answered("none", 404, SOON);
        telemetry.denied("step_up");
        telemetry.reloaded(Role::Live, Reload::Refused);
        telemetry.differs("tellers see", "denied");
        telemetry.in_force(&"a".repeat(64), None);
        telemetry.in_force(&"b".repeat(64), Some(&"c".repeat(64)));
        let text = telemetry.text(&Health { can_record: false, missed_entries: 3, ..WELL });
        for line in [
            "menshen_requests_total{action=\"view\",status=\"2xx\"} 2",
            "menshen_requests_total{action=\"none\",status=\"4xx\"} 1",
            "menshen_denials_total{cause=\"step_up\"} 1",
            "menshen_policy_reloads_total{role=\"live\",outcome=\"refused\"} 1",
            "menshen_policy_reloads_total{role=\"live\",outcome=\"loaded\"} 0",
            "menshen_shadow_differences_total{rule=\"tellers see\",kind=\"denied\"} 1",
            "menshen_policy_info{role=\"live\",version=\"bbbbbbbbbbbb\"} 1",
            "menshen_policy_info{role=\"shadow\",version=\"cccccccccccc\"} 1",
            "menshen_log_writable 0",
            "menshen_state_writable 1",
            "menshen_log_missed_entries 3",
            "menshen_connections 7",
            "menshen_open_requests 3",
            "menshen_request_seconds_bucket{le=\"0.0025\",action=\"view\"} 2",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("aaaa"), "only what is in force");
    }

    #[test]
    fn rules_beyond_the_cap_are_counted_together() {
        let telemetry = Telemetry::new();
        for n in 0..RULE_LIMIT + 50 {
            telemetry.differs(&format!("rule {n}"), "denied");
        }
        let text = telemetry.text(&WELL);
        let lines = text.lines().filter(|l| l.starts_with("menshen_shadow_differences_total"));
        assert_eq!(lines.count(), RULE_LIMIT + 1);
        assert!(text.contains("{rule=\"(other)\",kind=\"denied\"} 50"));
    }
}
