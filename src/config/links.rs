//! `links`: the business systems whose tickets tie an account and a data subject.

use super::read::File;
use crate::document::{Code, Keys, Pair};
use crate::identity::CaseIssuerSettings;
use crate::link::is_kind;

/// The most systems.
const MOST: usize = 16;
const ISSUER: [&str; 4] = ["issuer", "audience", "keys", "kinds"];

impl File<'_> {
    pub(super) fn links(&mut self, keys: &Keys<'_>) -> Vec<CaseIssuerSettings> {
        let Some(pair) = keys.find("links") else { return Vec::new() };
        let keys = self.reader.keys(&pair.value, "`links`", &["tickets"]);
        let Some(tickets) = keys.find("tickets") else { return Vec::new() };
        let pairs = self.reader.map(&tickets.value, "`tickets`");
        if pairs.len() > MOST {
            let message = format!("`tickets` may name {MOST} systems, got {}", pairs.len());
            self.reader.fault(tickets.key_span, Code::WrongValue, message, None);
        }
        let systems: Vec<_> = pairs.iter().filter_map(|pair| self.case_issuer(pair)).collect();
        for (at, one) in (1..).zip(&systems) {
            if systems.iter().skip(at).any(|other| other.issuer == one.issuer) {
                let message = format!("two systems of `tickets` have the issuer `{}`", one.issuer);
                self.reader.fault(tickets.key_span, Code::Contradiction, message, None);
            }
        }
        systems
    }

    fn case_issuer(&mut self, pair: &Pair) -> Option<CaseIssuerSettings> {
        let what = ("a system of `tickets`", pair.key_span);
        let keys = self.reader.keys(&pair.value, what.0, &ISSUER);
        let issuer = self.text(&keys, what, "issuer", "https://queue.internal");
        let audience = self.text(&keys, what, "audience", "menshen");
        let file = self.path(&keys, what, "keys", "queue.jwks.json");
        let Some(kinds) = keys.find("kinds") else {
            self.reader.missing(pair.key_span, what.0, "kinds", "[queue, call]");
            return None;
        };
        let mut words = Vec::new();
        for item in self.reader.list(&kinds.value, "`kinds`") {
            let Some(word) = self.reader.text(item, "a kind of `kinds`") else { continue };
            if is_kind(word) {
                words.push(word.to_owned());
            } else {
                let message = "a kind must be 1 to 32 lower-case letters, digits and `-`";
                self.reader.fault(item.span, Code::WrongValue, message.to_owned(), None);
            }
        }
        if words.is_empty() {
            let message = "`kinds` must name at least one kind of case".to_owned();
            self.reader.fault(kinds.key_span, Code::WrongValue, message, None);
        }
        Some(CaseIssuerSettings {
            name: pair.key.clone(),
            issuer: issuer?,
            audience: audience?,
            keys: file?,
            kinds: words,
        })
    }
}
