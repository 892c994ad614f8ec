//! `admin`: the interface for the security team.

use std::collections::BTreeMap;

use super::Admin;
use super::read::{File, LISTENER};
use crate::admin;
use crate::document::{Code, Keys};

impl File<'_> {
    pub(super) fn admin(&mut self, keys: &Keys<'_>) -> Option<Admin> {
        let pair = keys.find("admin")?;
        let known: Vec<&str> = LISTENER.iter().copied().chain(["rights", "assurance"]).collect();
        let listener = self.listener(&pair.value, ("`admin`", &known, Some("admin")));
        let keys = self.reader.keys(&pair.value, "`admin`", &known);
        let mut settings = admin::Settings { assurance: 2, rights: BTreeMap::new() };
        self.number(&keys, "assurance", (1, 3), |n| {
            settings.assurance = u8::try_from(n).unwrap_or(3);
        });
        let Some(rights) = keys.find("rights") else {
            self.reader.missing(pair.key_span, "`admin`", "rights", "{ switches: [security] }");
            return None;
        };
        let known: Vec<&str> = admin::rights().collect();
        for pair in self.reader.keys(&rights.value, "`rights`", &known).pairs {
            let roles = self.reader.words(&pair.value, &format!("`{}`", pair.key));
            let roles = roles.into_iter().map(|(role, _)| role.to_owned()).collect();
            settings.rights.insert(pair.key.clone(), roles);
        }
        if settings.rights.is_empty() {
            let message = "`rights` gives nobody any right".to_owned();
            let help = "write `{ switches: [security] }`".to_owned();
            self.reader.fault(rights.key_span, Code::WrongValue, message, Some(help));
        }
        Some(Admin { listener: listener?, settings })
    }
}
