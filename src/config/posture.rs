//! `posture` of an issuer: what its tokens say of the caller's device, and for how long that is believed.

use std::collections::BTreeMap;

use super::read::File;
use crate::document::{Code, Keys};
use crate::identity::PostureClaim;

/// Attributes without which a caller may do more than with them.
const CONFINING: [&str; 2] = ["tenant", "partner"];

impl File<'_> {
    pub(super) fn posture(
        &mut self,
        keys: &Keys<'_>,
        attributes: &BTreeMap<String, String>,
    ) -> BTreeMap<String, PostureClaim> {
        let Some(pair) = keys.find("posture") else { return BTreeMap::new() };
        let mut posture = BTreeMap::new();
        for pair in self.reader.map(&pair.value, "`posture`") {
            let inner = self.reader.keys(&pair.value, "a posture", &["claim", "at", "age"]);
            let what = ("a posture", pair.value.span);
            let claim = self.text(&inner, what, "claim", "device_compliant");
            let at = match inner.find("at") {
                Some(_) => self.text(&inner, what, "at", "device_checked_at"),
                None => None,
            };
            let mut age_s = None;
            self.seconds(&inner, "age", |seconds| age_s = Some(seconds));
            if inner.find("age").is_none() {
                self.reader.missing(pair.value.span, "a posture", "age", "8h");
            }
            if attributes.values().any(|name| *name == pair.key) {
                let message = format!("`{}` is among `attributes` already", pair.key);
                self.reader.fault(pair.key_span, Code::WrongValue, message, None);
            }
            if CONFINING.contains(&pair.key.as_str()) {
                let message =
                    format!("`{}` confines its caller; what ends would free them", pair.key);
                self.reader.fault(pair.key_span, Code::WrongValue, message, None);
            }
            if let (Some(claim), Some(age_s)) = (claim, age_s) {
                posture.insert(pair.key.clone(), PostureClaim { claim, at, age_s });
            }
        }
        posture
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;
    use crate::document::Source;

    #[test]
    fn what_confines_a_caller_is_no_posture_that_ends() {
        let told = |name: &str| {
            let posture = format!("{name}: {{ claim: c, age: 8h }}");
            let issuer = "name: corp, issuer: \"https://i.example\", audience: a, keys: k";
            let text = format!("issuers: [{{ {issuer}, posture: {{ {posture} }} }}]");
            let source = Source { name: "menshen.yaml".into(), text };
            Config::parse(source, Path::new("/")).unwrap_err().to_string()
        };
        for name in ["tenant", "partner"] {
            assert!(told(name).contains(&format!("`{name}` confines its caller")), "{name}");
        }
        assert!(!told("compliant").contains("confines"));
    }
}
