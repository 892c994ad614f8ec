//! `posture` of an issuer: what its tokens say of the caller's device, and for how long that is believed.

use std::collections::BTreeMap;

use super::read::File;
use crate::document::{Code, Keys};
use crate::identity::PostureClaim;

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
            if let (Some(claim), Some(age_s)) = (claim, age_s) {
                posture.insert(pair.key.clone(), PostureClaim { claim, at, age_s });
            }
        }
        posture
    }
}
