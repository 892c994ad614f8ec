//! For which commands a second person is wanted, as a policy says it. What commands are, `command` knows.

use super::program::Program;

/// What can be switched on and off.
const SWITCHES: [&str; 7] = ["person", "role", "right", "tenant", "partner", "route", "exports"];
/// What is commanded one way only: budgets that begin anew, an export of the log, the end of its entries.
const OTHERS: [&str; 3] = ["limits", LOG_EXPORT, LOG_PURGE];
/// Policies that wait: any that makes something wider, one that watches less, one that keeps the log otherwise.
pub(super) const POLICIES: [&str; 3] = [POLICY, DETECTIONS, LOG_PURGE];
pub(super) const POLICY: &str = "policy";
pub(super) const DETECTIONS: &str = "detections";
/// An export of the log.
pub const LOG_EXPORT: &str = "log-export";
/// The end of entries of the log, and a policy that brings it nearer.
pub const LOG_PURGE: &str = "log-purge";
/// Agreeing to a grant that opens grade 4.
pub(super) const GRADE_4: &str = "grade-4";
const ON: &str = "-on";
const OFF: &str = "-off";

/// Every word: `exports` is both ways, `exports-off` only to let them go on.
pub(super) fn words() -> Vec<&'static str> {
    const ONE_WAY: [&str; 14] = [
        "person-on",
        "person-off",
        "role-on",
        "role-off",
        "right-on",
        "right-off",
        "tenant-on",
        "tenant-off",
        "partner-on",
        "partner-off",
        "route-on",
        "route-off",
        "exports-on",
        "exports-off",
    ];
    let others = OTHERS.into_iter().chain([POLICY, DETECTIONS, GRADE_4]);
    SWITCHES.into_iter().chain(others).chain(ONE_WAY).collect()
}

/// The same with one word for each way.
pub(super) fn each_way(words: &[Box<str>]) -> std::collections::BTreeSet<String> {
    let mut each = std::collections::BTreeSet::new();
    for word in words {
        if SWITCHES.contains(&word.as_ref()) {
            each.extend([ON, OFF].map(|way| format!("{word}{way}")));
        } else {
            each.insert(word.to_string());
        }
    }
    each
}

impl Program {
    /// For which commands a second person is wanted.
    #[must_use]
    pub fn two_person(&self) -> Vec<String> {
        self.model.two_person.iter().map(ToString::to_string).collect()
    }
}
