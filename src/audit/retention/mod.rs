//! How long entries are kept, and their end: announced, held, destroyed, certified.
//!
//! Destruction drops the key of a class and day, or of a tenant's part of it. It happens when the policy says so, not before the least that the
//! class must be kept, counted also in the days that the log itself has seen: a clock that is set forward destroys
//! nothing. A legal hold stops it. A bundle of which nothing can be opened any more is removed; its hashes stay.

mod certificate;
mod destroyer;
mod judge;
mod removal;
mod remover;
mod survey;

use std::collections::BTreeMap;
use std::fmt;

use super::at_rest::{Day, Lock, Whose};
use super::groups::Class;

pub use certificate::Certificate;
pub use destroyer::Tended;
pub(super) use destroyer::tend;
pub(super) use removal::Removals;
pub(super) use remover::Swept;
pub use survey::{Line, check_keys, survey};

/// How long before its end it is announced.
pub const NOTICE_DAYS: u32 = 14;

/// How long something is kept, in months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// It is never destroyed earlier.
    pub least: u32,
    /// It is destroyed then.
    pub months: u32,
}

/// How long each class is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Periods {
    /// Staff looked at customer data.
    pub staff_access: Period,
    /// A customer used the service.
    pub customer_usage: Period,
    /// Who that customer was.
    pub customer_identity: Period,
    /// Sessions, alarms and the custody of the log.
    pub security: Period,
    /// Who changed which right, policy or account.
    pub ledger: Period,
    /// By their names: tenants whose people and customers are kept for times of their own.
    pub tenants: BTreeMap<String, TenantPeriods>,
}

/// How long entries of callers of one tenant are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantPeriods {
    /// Its people looked at customer data.
    pub staff_access: Period,
    /// Its customers used the service.
    pub customer_usage: Period,
    /// Who those customers were.
    pub customer_identity: Period,
}

impl TenantPeriods {
    fn of(&self, lock: Lock) -> Option<Period> {
        match lock {
            Lock::Of(Class::StaffAccess) => Some(self.staff_access),
            Lock::Of(Class::CustomerUsage) => Some(self.customer_usage),
            Lock::Identity => Some(self.customer_identity),
            Lock::Of(Class::Security | Class::Ledger) => None,
        }
    }
}

impl Periods {
    /// The longest that any of those wants whose entries they are: a tenant without a time of its own wants the class's.
    pub(super) fn of(&self, lock: Lock, whose: &Whose) -> Period {
        let class = self.of_class(lock);
        let own = |tenant: &TenantPeriods| tenant.of(lock).unwrap_or(class);
        let wanted = match whose {
            Whose::Everybody => Vec::new(),
            Whose::Of(_) => whose.each(|name| self.tenants.get(name).map_or(class, own)),
            Whose::Tenants => self.tenants.values().map(own).chain([class]).collect(),
        };
        wanted.into_iter().max_by_key(|period| period.months).unwrap_or(class)
    }

    fn of_class(&self, lock: Lock) -> Period {
        match lock {
            Lock::Of(Class::StaffAccess) => self.staff_access,
            Lock::Of(Class::CustomerUsage) => self.customer_usage,
            Lock::Of(Class::Security) => self.security,
            Lock::Of(Class::Ledger) => self.ledger,
            Lock::Identity => self.customer_identity,
        }
    }
}

/// A legal hold: what it covers is not destroyed while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its number.
    pub id: i64,
    /// The class; none for all of them.
    pub class: Option<Class>,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
}

impl Hold {
    /// The number of the hold that two persons end by agreeing; those that people enter begin with 1.
    pub const NOT_AGREED: i64 = 0;

    /// Keeps all to whose end nobody agreed yet: what is younger than `until`, or everything.
    #[must_use]
    pub fn until_agreed(until: Option<Day>) -> Self {
        let from = until.map_or(Day(0), |day| day.plus(1));
        Self { id: Self::NOT_AGREED, class: None, from, to: Day(u32::MAX) }
    }

    pub(super) fn covers(&self, lock: Lock, day: Day) -> bool {
        let of_class = self.class.is_none_or(|class| class == lock.class());
        of_class && (self.from..=self.to).contains(&day)
    }
}

/// What is to become of a key, and so of what it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is kept until this day at least.
    Kept(Day),
    /// Its end is near and has to be announced; it comes on this day.
    ToAnnounce(Day),
    /// Its end was announced for this day.
    Announced(Day),
    /// Its time is over.
    Due,
    /// It would be announced or over, but for this hold.
    Held(i64),
    /// It is destroyed.
    Destroyed,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(day) => write!(f, "kept until {day}"),
            Self::ToAnnounce(day) => write!(f, "to be announced, goes on {day}"),
            Self::Announced(day) => write!(f, "announced, goes on {day}"),
            Self::Due => f.write_str("due"),
            Self::Held(Hold::NOT_AGREED) => f.write_str("waits for two persons to agree"),
            Self::Held(hold) => write!(f, "held by hold {hold}"),
            Self::Destroyed => f.write_str("destroyed"),
        }
    }
}

#[cfg(test)]
mod tests;
