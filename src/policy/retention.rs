//! How long each class of the log is kept, as a policy says it. What the log does with it, `audit` knows.

use std::collections::BTreeMap;

use super::judge::Principal;
use super::program::Program;
use super::value::Value;

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

/// Which way a tenant's own file may go from what the platform's say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// Longer: what is known of its people is lost no sooner than the platform wants.
    Longer,
    /// Shorter: what is known of its customers stays no longer.
    Shorter,
    /// Neither.
    Not,
}

impl Own {
    pub(super) fn of(class: &str) -> Self {
        match class {
            "staff_access" => Self::Longer,
            "customer_usage" | "customer_identity" => Self::Shorter,
            _ => Self::Not,
        }
    }
}

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

    /// By their names: the tenants whose own file says how long entries of their callers are kept.
    #[must_use]
    pub fn tenant_retention(&self) -> &BTreeMap<Box<str>, Retention> {
        &self.model.tenant_retention
    }

    /// Which of the tenants that an attribute names have a time of their own, and whether it names others, too.
    #[must_use]
    pub fn kept_by_tenant(&self, attribute: Option<&Value>) -> (Vec<&str>, bool) {
        let known = self.tenant_retention();
        let (mut own, mut has_others) = (Vec::new(), false);
        if known.is_empty() {
            return (own, has_others);
        }
        for name in attribute.into_iter().flat_map(Value::names) {
            match known.get_key_value(&*name) {
                Some((name, _)) => own.push(&**name),
                None => has_others = true,
            }
        }
        (own, has_others)
    }

    /// How long entries of a caller of tenants with a time of their own are kept, in words; `None` of all others.
    pub(super) fn kept_in_words(&self, principal: &Principal) -> Option<String> {
        let platform = self.retention()?;
        let (own, has_others) = self.kept_by_tenant(principal.tenant());
        let is_customer = principal.attributes.get("kind") == Some(&Value::from("customer"));
        let class = if is_customer { "customer_usage" } else { "staff_access" };
        let wanted = own.iter().filter_map(|name| self.tenant_retention().get(*name));
        let wanted = wanted.chain(has_others.then_some(platform));
        let months = wanted.map(|retention| retention.months(class)).max()?;
        let names: Vec<String> = own.iter().map(|name| format!("`{name}`")).collect();
        let others = if has_others { " and others" } else { "" };
        (!own.is_empty()).then(|| {
            format!("`{class}`, kept {months} months by tenant {}{others}", names.join(", "))
        })
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

    fn of_shop(platform: &str, own: &str) -> (Option<super::Retention>, Vec<String>) {
        let source = |name: &str, text: String| Source { name: name.into(), text };
        let files = [
            source("policy.yaml", format!("retention: {platform}")),
            source("own.yaml", format!("tenant: shop\nretention: {own}")),
        ];
        let (model, faults) = read(&files);
        let faults = faults.into_iter().map(|fault| fault.message).collect();
        (model.tenant_retention.get("shop").copied(), faults)
    }

    #[test]
    fn a_tenant_keeps_what_is_known_of_its_people_longer_and_of_its_customers_shorter() {
        let platform = "{ staff_access: 26, customer_usage: 12 }";
        let (retention, faults) = of_shop(platform, "{ staff_access: 30, customer_usage: 8 }");
        let retention = retention.unwrap();
        let months = ["staff_access", "customer_usage", "customer_identity", "security", "ledger"]
            .map(|class| retention.months(class));
        assert_eq!(months, [30, 8, 8, 36, 60], "{faults:?}");
        let same = of_shop(platform, "{ staff_access: 26, customer_identity: 12 }");
        assert!(same.0.is_some() && same.1.is_empty(), "{:?}", same.1);
        for (own, said) in [
            ("{ staff_access: 25 }", "from 26 to 36, got `25`"),
            ("{ staff_access: 37 }", "from 26 to 36, got `37`"),
            ("{ customer_usage: 13 }", "from 6 to 12, got `13`"),
            ("{ customer_usage: 5 }", "from 6 to 12, got `5`"),
            ("{ customer_usage: 7, customer_identity: 8 }", "must not be kept longer"),
            ("{ security: 30 }", "unknown key `security`"),
            ("{ ledger: 40 }", "unknown key `ledger`"),
        ] {
            let (_, faults) = of_shop(platform, own);
            assert!(faults.iter().any(|fault| fault.contains(said)), "{own}: {faults:?}");
        }
    }

    #[test]
    fn a_tenant_says_nothing_where_the_platform_destroys_nothing_and_says_it_once() {
        let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
        let own = source("own.yaml", "tenant: shop\nretention: { staff_access: 30 }");
        let read_with = |platform: &str, more: &[Source]| {
            let files = [&[source("policy.yaml", platform), own.clone()], more].concat();
            let (_, faults) = read(&files);
            faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>()
        };
        let without = read_with("grades: {}", &[]);
        assert!(without.iter().any(|fault| fault.contains("destroys nothing")), "{without:?}");
        let platform = "retention: { staff_access: 24 }";
        assert!(read_with(platform, &[]).is_empty());
        let twice = source("more.yaml", "tenant: shop\nretention: { customer_usage: 12 }");
        assert_eq!(read_with(platform, &[twice]).len(), 1);
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
