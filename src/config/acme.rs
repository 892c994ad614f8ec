//! `acme`, and `acme` of a listener: certificates that the gate orders itself.

use std::path::PathBuf;

use super::read::File;
use crate::acme::{Challenge, ExternalAccount, Settings, file_of};
use crate::document::{Code, Keys, Pair, Span, cut};

const KEYS: [&str; 6] =
    ["directory", "ca", "contact", "terms-agreed", "challenge", "external-account"];
/// The most names of one certificate.
const MOST_NAMES: usize = 100;
const MOST_CONTACTS: usize = 10;

impl File<'_> {
    pub(super) fn acme(&mut self, keys: &Keys<'_>) -> Option<Settings> {
        let pair = keys.find("acme")?;
        let inner = self.reader.keys(&pair.value, "`acme`", &KEYS);
        let what = ("`acme`", pair.key_span);
        let directory = self.text(&inner, what, "directory", "https://acme.bank.example/directory");
        let directory = directory.filter(|url| {
            let is_https = url.starts_with("https://") && url.parse::<http::Uri>().is_ok();
            if !is_https {
                let message = format!("`directory` must begin with `https://`, got `{}`", cut(url));
                let span = inner.find("directory").map_or(what.1, |pair| pair.value.span);
                self.reader.fault(span, Code::WrongValue, message, None);
            }
            is_https
        });
        let ca = self.path(&inner, what, "ca", "tls/acme-ca.pem");
        self.terms(&inner, what.1);
        let challenge = self.challenge(&inner, keys.find("redirect").is_some());
        let external = match inner.find("external-account") {
            Some(pair) => Some(self.external(pair)?),
            None => None,
        };
        let contact = self.contacts(&inner);
        Some(Settings { directory: directory?, ca: ca?, contact, challenge: challenge?, external })
    }

    /// Nobody agrees to them but a person.
    fn terms(&mut self, keys: &Keys<'_>, span: Span) {
        let agreed = keys.find("terms-agreed");
        let text = agreed.and_then(|pair| self.reader.text(&pair.value, "`terms-agreed`"));
        if text != Some("true") {
            let span = agreed.map_or(span, |pair| pair.value.span);
            let message =
                "`terms-agreed` must be `true`: read the authority's terms of service first";
            self.reader.fault(span, Code::WrongValue, message.to_owned(), None);
        }
    }

    fn challenge(&mut self, keys: &Keys<'_>, has_redirect: bool) -> Option<Challenge> {
        let Some(pair) = keys.find("challenge") else { return Some(Challenge::TlsAlpn01) };
        match self.reader.text(&pair.value, "`challenge`")? {
            "tls-alpn-01" => Some(Challenge::TlsAlpn01),
            "http-01" if has_redirect => Some(Challenge::Http01),
            "http-01" => {
                let message = "`http-01` is answered on the port of `redirect`, and there is none";
                let help = "add `redirect` at port 80, or write `tls-alpn-01`".to_owned();
                self.reader.fault(
                    pair.value.span,
                    Code::Contradiction,
                    message.to_owned(),
                    Some(help),
                );
                None
            }
            other => {
                let known = ["tls-alpn-01", "http-01"];
                self.reader.unknown(pair.value.span, "challenge", &cut(other), &known);
                None
            }
        }
    }

    fn external(&mut self, pair: &Pair) -> Option<ExternalAccount> {
        let what = ("`external-account`", pair.key_span);
        let keys = self.reader.keys(&pair.value, what.0, &["id", "key"]);
        let id = self.text(&keys, what, "id", "kid-1");
        let key = self.path(&keys, what, "key", "tls/acme-account.key");
        Some(ExternalAccount { id: id?, key: key? })
    }

    fn contacts(&mut self, keys: &Keys<'_>) -> Vec<String> {
        let Some(pair) = keys.find("contact") else { return Vec::new() };
        let words = self.reader.words(&pair.value, "`contact`");
        let is_good = |word: &str| word.starts_with("mailto:") && word.contains('@');
        if words.len() > MOST_CONTACTS || !words.iter().all(|(word, _)| is_good(word)) {
            let message =
                "`contact` must be at most ten addresses such as `mailto:duty@bank.example`";
            self.reader.fault(pair.value.span, Code::WrongValue, message.to_owned(), None);
        }
        words.into_iter().map(|(word, _)| word.to_owned()).collect()
    }

    /// The files of a listener's certificate, and the names for which it is ordered, if it is.
    pub(super) fn shown_files(
        &mut self,
        keys: &Keys<'_>,
        what: (&str, Span),
    ) -> Option<(PathBuf, PathBuf, Vec<String>)> {
        let Some(pair) = keys.find("acme") else {
            let certificate = self.path(keys, what, "certificate", "chain.pem");
            let key = self.path(keys, what, "key", "key.pem");
            return Some((certificate?, key?, Vec::new()));
        };
        if let Some(other) = keys.find("certificate").or(keys.find("key")) {
            let message = format!("`{}` is the gate's own where `acme` has names", other.key);
            self.reader.fault(other.key_span, Code::Contradiction, message, None);
        }
        if !self.has_acme {
            let message =
                "`acme` of a listener needs the block `acme`, which says who issues".to_owned();
            let help = "add `acme: { directory: …, ca: …, terms-agreed: true }`".to_owned();
            self.reader.fault(pair.key_span, Code::Contradiction, message, Some(help));
        }
        let words = self.reader.words(&pair.value, "`acme`");
        let bad = words.iter().find(|(word, _)| !is_host(word));
        if let Some((word, span)) = bad {
            let message = format!(
                "`acme` must have names of hosts in lower case, without `*`, got `{}`",
                cut(word)
            );
            self.reader.fault(*span, Code::WrongValue, message, None);
        }
        if words.is_empty() || words.len() > MOST_NAMES {
            let message = format!("`acme` must have 1 to {MOST_NAMES} names");
            self.reader.fault(pair.value.span, Code::WrongValue, message, None);
            return None;
        }
        let mut names: Vec<String> = Vec::new();
        for (word, _) in words {
            if !names.iter().any(|known| known == word) {
                names.push(word.to_owned());
            }
        }
        let file = file_of(&self.state, &names);
        Some((file.clone(), file, names))
    }
}

/// A name that an authority can look at: no address, no wildcard, nothing of one label.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let may = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(may)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address = name.parse::<std::net::Ipv4Addr>().is_ok();
    name.len() <= 253 && name.contains('.') && !is_address && name.split('.').all(is_label)
}
