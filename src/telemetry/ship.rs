//! How far the log is carried elsewhere and how old backups are, by the name that the operator gave the place.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Telemetry;

type Target = [(&'static str, String); 1];

/// What is told of places.
#[derive(Debug, Default)]
pub(super) struct Shipping {
    entries: Family<Target, Counter>,
    lag: Family<Target, Gauge>,
    age: Family<Target, Gauge>,
    behind: Family<Target, Gauge>,
    failures: Family<Target, Counter>,
    backup_age: Family<[(&'static str, String); 1], Gauge>,
    backup_overdue: Family<[(&'static str, String); 1], Gauge>,
    witnessed: Family<Target, Gauge>,
    witnessed_at: Family<Target, Gauge>,
    witness_failures: Family<Target, Counter>,
}

impl Shipping {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Entries of the log that were carried there and confirmed";
        registry.register("ship_entries", help, self.entries.clone());
        let help = "Entries of the log that are not there yet";
        registry.register("ship_lag_entries", help, self.lag.clone());
        let help = "The age of the oldest entry that is not there yet";
        registry.register("ship_lag_seconds", help, self.age.clone());
        let help = "Whether that is older than the operator allows";
        registry.register("ship_behind", help, self.behind.clone());
        let help = "Deliveries that failed and are tried again";
        registry.register("ship_failures", help, self.failures.clone());
        let help = "The age of the newest backup there; -1 if there is none";
        registry.register("backup_age_seconds", help, self.backup_age.clone());
        let help = "Whether that is more than 26 hours, or there is none";
        registry.register("backup_overdue", help, self.backup_overdue.clone());
        let help = "Entries of the log under the newest checkpoint that the witness cosigned";
        registry.register("witness_cosigned_entries", help, self.witnessed.clone());
        let help = "When the witness cosigned it, in Unix seconds by its own clock";
        registry.register("witness_cosigned_seconds", help, self.witnessed_at.clone());
        let help = "Questions that the witness did not answer with a cosignature";
        registry.register("witness_failures", help, self.witness_failures.clone());
    }
}

/// How far one place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShipLag {
    /// Entries that are not there yet.
    pub entries: u64,
    /// How old the oldest of them is.
    pub age: Duration,
    /// Whether that is more than allowed.
    pub is_behind: bool,
}

impl Telemetry {
    /// Says how far one place is. Its name is the operator's.
    pub fn ship_lag(&self, target: &str, lag: ShipLag) {
        let target = [("target", target.to_owned())];
        let wide = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.ship.lag.get_or_create(&target).set(wide(lag.entries));
        self.ship.age.get_or_create(&target).set(wide(lag.age.as_secs()));
        self.ship.behind.get_or_create(&target).set(i64::from(lag.is_behind));
    }

    /// Says nothing more of how far a place is that the log is no longer carried to. What was counted stays.
    pub fn ship_ended(&self, target: &str) {
        let target = [("target", target.to_owned())];
        for told in [&self.ship.lag, &self.ship.age, &self.ship.behind] {
            told.remove(&target);
        }
    }

    /// Counts entries that a place has.
    pub fn shipped(&self, target: &str, entries: u64) {
        self.ship.entries.get_or_create(&[("target", target.to_owned())]).inc_by(entries);
    }

    /// Counts a delivery that failed.
    pub fn ship_failed(&self, target: &str) {
        self.ship.failures.get_or_create(&[("target", target.to_owned())]).inc();
    }

    /// Says how much of the log a witness cosigned, and when.
    pub fn witness_cosigned(&self, witness: &str, entries: u64, at_s: u64) {
        let witness = [("witness", witness.to_owned())];
        let wide = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.ship.witnessed.get_or_create(&witness).set(wide(entries));
        self.ship.witnessed_at.get_or_create(&witness).set(wide(at_s));
    }

    /// Says nothing more of what a witness cosigned that is no longer asked.
    pub fn witness_ended(&self, witness: &str) {
        let witness = [("witness", witness.to_owned())];
        for told in [&self.ship.witnessed, &self.ship.witnessed_at] {
            told.remove(&witness);
        }
    }

    /// Counts a question that a witness did not answer with a cosignature.
    pub fn witness_failed(&self, witness: &str) {
        self.ship.witness_failures.get_or_create(&[("witness", witness.to_owned())]).inc();
    }

    /// Says how old the newest backup in a place is; `None` if there is none.
    pub fn backup_age(&self, place: &str, age: Option<Duration>, is_overdue: bool) {
        let place = [("place", place.to_owned())];
        let seconds = age.map_or(-1, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        self.ship.backup_age.get_or_create(&place).set(seconds);
        self.ship.backup_overdue.get_or_create(&place).set(i64::from(is_overdue));
    }
}
