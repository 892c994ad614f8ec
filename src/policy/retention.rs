//! How long each class of the log is kept, as a policy says it. What the log does with it, `audit` knows.

use super::program::Program;

/// One class of the log: how long it may be kept, in months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// As the policy and the log call it.
    pub class: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// The least and the most that a policy may say.
    pub bounds: (u32, u32),
}

/// The classes, in the order of the guide.
pub const KEPT: [Kept; 5] = [
    Kept { class: "staff_access", about: "who of the staff saw whose data", bounds: (24, 36) },
    Kept {
        class: "customer_usage",
        about: "what customers did with their own data",
        bounds: (6, 24),
    },
    Kept {
        class: "customer_identity",
        about: "who those customers were; the rest is a statistic from then on",
        bounds: (6, 18),
    },
    Kept { class: "security", about: "sign-ins, alerts, the custody of the log", bounds: (12, 36) },
    Kept { class: "ledger", about: "who changed which right, policy or account", bounds: (36, 60) },
];

/// For how many months each class is kept, in the order of [`KEPT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    months: [u32; 5],
}

impl Default for Retention {
    fn default() -> Self {
        Self { months: KEPT.map(|kept| kept.bounds.1) }
    }
}

impl Retention {
    pub(super) fn set(&mut self, class: &str, months: u32) {
        for (kept, own) in KEPT.iter().zip(&mut self.months) {
            if kept.class == class {
                *own = months;
            }
        }
    }

    /// The months of a class; 0 for a word that is none.
    #[must_use]
    pub fn months(&self, class: &str) -> u32 {
        let mut both = KEPT.iter().zip(self.months);
        both.find(|(kept, _)| kept.class == class).map_or(0, |(_, months)| months)
    }
}

impl Program {
    /// How long the log is kept; `None` if the policy does not say, and then nothing of it is destroyed.
    #[must_use]
    pub fn retention(&self) -> Option<&Retention> {
        self.model.retention.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use crate::document::Source;
    use crate::policy::read::read;

    fn read_from(text: &str) -> (Option<super::Retention>, Vec<String>) {
        let source = Source { name: "policy.yaml".into(), text: text.into() };
        let (model, faults) = read(&[source]);
        (model.retention, faults.into_iter().map(|fault| fault.message).collect())
    }

    #[test]
    fn what_is_left_out_is_kept_as_long_as_it_may_be_and_no_longer_than_what_it_belongs_to() {
        let (retention, faults) = read_from("retention: { staff_access: 30, customer_usage: 12 }");
        let retention = retention.unwrap();
        let months = ["staff_access", "customer_usage", "customer_identity", "security", "ledger"]
            .map(|class| retention.months(class));
        assert_eq!(months, [30, 12, 12, 36, 60], "{faults:?}");
        assert!(read_from("grades: {}").0.is_none(), "nothing is destroyed unless it says so");
    }

    #[test]
    fn months_outside_the_bounds_of_a_class_are_a_fault() {
        for (text, said) in [
            ("{ staff_access: 23 }", "from 24 to 36, got `23`"),
            ("{ ledger: 61 }", "from 36 to 60, got `61`"),
            ("{ customer_identity: 19 }", "from 6 to 18, got `19`"),
            ("{ customer_usage: 8, customer_identity: 9 }", "must not be kept longer"),
            ("{ everything: 12 }", "unknown key `everything`"),
        ] {
            let (_, faults) = read_from(&format!("retention: {text}"));
            assert!(faults.iter().any(|fault| fault.contains(said)), "{text}: {faults:?}");
        }
    }
}
