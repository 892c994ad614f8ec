//! What a caller is told about limits: the IETF draft's `RateLimit` fields and `Retry-After`.
//!
//! Follows draft-ietf-httpapi-ratelimit-headers-10: lists of quoted names with parameters.

use std::fmt::Write as _;

use http::HeaderValue;

use super::allowance::{Limit, Rate};
use super::budget::{Budget, Unit};
use super::holder::Holder;
use super::slice::Slice;

/// The largest integer of a structured field (RFC 9651, section 3.3.1).
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// How one limit of the caller's own stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Which limit.
    pub limit: Limit,
    /// The highest amount.
    pub quota: u64,
    /// Its window in seconds.
    pub window_s: u32,
    /// What is left of it now.
    pub remaining: u64,
    /// Seconds until more is left; the window's length while nothing is used.
    pub reset_s: u64,
}

impl Quota {
    /// How a rate stands with `burst_left` requests left at once.
    pub(super) fn of_rate(rate: Rate, slice: &Slice, burst_left: u32, reset_s: u64) -> Self {
        Self {
            limit: Limit::Rate(slice.clone()),
            quota: u64::from(rate.per_window),
            window_s: rate.window_s,
            remaining: u64::from(burst_left),
            reset_s,
        }
    }

    /// How a budget stands of which so much is used.
    pub(super) fn of_budget(
        budget: &Budget,
        quota: u64,
        used: u64,
        relaxes_s: Option<u64>,
    ) -> Self {
        let window_s = budget.period.seconds();
        Self {
            limit: Limit::Budget(budget.clone()),
            quota,
            window_s,
            remaining: quota.saturating_sub(used),
            reset_s: relaxes_s.unwrap_or(u64::from(window_s)),
        }
    }
}

/// Values of the two fields of the draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitFields {
    /// For `RateLimit-Policy`.
    pub policy: HeaderValue,
    /// For `RateLimit`.
    pub state: HeaderValue,
}

impl RateLimitFields {
    /// The fields for some limits; nothing if there are none to tell of.
    #[must_use]
    pub fn of(quotas: &[Quota]) -> Option<Self> {
        let (mut policy, mut state) = (String::new(), String::new());
        for quota in quotas {
            let comma = if policy.is_empty() { "" } else { ", " };
            let unit = match &quota.limit {
                Limit::Budget(budget) if budget.unit == Unit::Bytes => ";qu=\"content-bytes\"",
                Limit::Budget(_)
                | Limit::Rate(_)
                | Limit::Concurrent
                | Limit::InFlight
                | Limit::Rows
                | Limit::Memory
                | Limit::SharedStore => "",
            };
            let (name, window) = (&quota.limit, quota.window_s);
            let (most, left) = (quota.quota.min(MAX_INTEGER), quota.remaining.min(MAX_INTEGER));
            let reset = quota.reset_s.min(MAX_INTEGER);
            write!(policy, "{comma}\"{name}\";q={most};w={window}{unit}").ok()?;
            write!(state, "{comma}\"{name}\";r={left};t={reset}").ok()?;
        }
        if policy.is_empty() {
            return None;
        }
        Some(Self {
            policy: HeaderValue::try_from(policy).ok()?,
            state: HeaderValue::try_from(state).ok()?,
        })
    }
}

/// A request was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{limit}`{} is used up; try again in {retry_after_s} s", of(holder))]
pub struct Refused {
    /// Which limit.
    pub limit: Limit,
    /// Whose it is.
    pub holder: Holder,
    /// Seconds until it is worth trying again, at least 1.
    pub retry_after_s: u64,
    /// How the caller's own limits stand.
    pub quotas: Vec<Quota>,
}

/// Of whom a shared budget is.
fn of(holder: &Holder) -> String {
    if holder.is_shared() { format!(" of the {holder}") } else { String::new() }
}

impl Refused {
    /// An answer was held back that may hold so many records only.
    #[must_use]
    pub fn by_rows(quotas: Vec<Quota>) -> Self {
        Self { limit: Limit::Rows, holder: Holder::Person, retry_after_s: 60, quotas }
    }

    /// The value of `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> HeaderValue {
        HeaderValue::from(self.retry_after_s)
    }
}

/// A budget before and after an answer, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Which limit.
    pub limit: Limit,
    /// Whose it is.
    pub holder: Holder,
    /// The highest amount.
    pub quota: u64,
    /// What counted when the request was admitted.
    pub before: u64,
    /// What counts now; answers of the same holder that ran meanwhile are in it.
    pub after: u64,
}

/// Whole seconds from `now_ms` until `then_ms`, rounded up, at least 1.
pub(super) fn seconds_until(now_ms: i64, then_ms: i64) -> u64 {
    let ms = then_ms.saturating_sub(now_ms).max(1);
    u64::try_from(ms).unwrap_or(1).div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(unit: Unit, seconds: u32) -> Quota {
        let limit = Limit::Budget(Budget::sliding(unit, seconds));
        Quota { limit, quota: 40, window_s: seconds, remaining: 12, reset_s: 1_800 }
    }

    #[test]
    fn the_fields_read_as_the_draft_writes_them() {
        let quotas = [quota(Unit::Subjects, 3_600), quota(Unit::Bytes, 86_400)];
        let fields = RateLimitFields::of(&quotas).unwrap();
        assert_eq!(
            fields.policy,
            r#""subjects-1h";q=40;w=3600, "bytes-1d";q=40;w=86400;qu="content-bytes""#
        );
        assert_eq!(fields.state, r#""subjects-1h";r=12;t=1800, "bytes-1d";r=12;t=1800"#);
    }

    #[test]
    fn no_limits_no_fields() {
        assert_eq!(RateLimitFields::of(&[]), None);
    }

    #[test]
    fn a_number_too_large_for_a_structured_field_is_capped() {
        let quotas = [Quota { quota: u64::MAX, ..quota(Unit::Records, 60) }];
        let fields = RateLimitFields::of(&quotas).unwrap();
        assert_eq!(fields.policy, r#""records-1m";q=999999999999999;w=60"#);
    }

    #[test]
    fn waiting_is_rounded_up_and_never_nothing() {
        assert_eq!(seconds_until(0, 1_001), 2);
        assert_eq!(seconds_until(5_000, 0), 1);
    }
}
