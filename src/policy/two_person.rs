//! For which commands a second person is wanted, as a policy says it. What commands are, `command` knows.

use super::program::Program;

/// What can be switched on and off.
const SWITCHES: [&str; 7] = ["person", "role", "right", "tenant", "partner", "route", "exports"];
/// What is commanded one way only: budgets that begin anew, and a policy that makes anything wider.
const OTHERS: [&str; 2] = ["limits", "policy"];
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
    SWITCHES.into_iter().chain(OTHERS).chain(ONE_WAY).collect()
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
