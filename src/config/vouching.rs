//! `assertions`, and `assertion` of an upstream: what a backend is told about the caller.

use http::HeaderName;

use super::read::File;
use crate::document::{Code, Keys, Pair};
use crate::identity::AssertionSettings;
use crate::proxy::{Fact, Vouching, may_carry_a_fact};

const DAY_S: u32 = 24 * 60 * 60;

impl File<'_> {
    pub(super) fn assertions(&mut self, keys: &Keys<'_>) -> AssertionSettings {
        let mut settings = AssertionSettings::default();
        let Some(pair) = keys.find("assertions") else { return settings };
        let keys = self.reader.keys(&pair.value, "`assertions`", &["issuer", "rotate"]);
        if keys.find("issuer").is_some()
            && let Some(issuer) =
                self.text(&keys, ("`assertions`", pair.key_span), "issuer", "https://bank.example")
        {
            settings.issuer = issuer;
        }
        self.seconds(&keys, "rotate", |seconds| settings.rotate_s = seconds);
        if settings.rotate_s < DAY_S || !settings.rotate_s.is_multiple_of(DAY_S) {
            let span = keys.find("rotate").map_or(pair.key_span, |pair| pair.value.span);
            let message = "`rotate` must be whole days, at least one".to_owned();
            let help = Some("write `rotate: 30d`".to_owned());
            self.reader.fault(span, Code::WrongValue, message, help);
        }
        settings
    }

    /// `assertion` of an upstream.
    pub(super) fn vouching(&mut self, pair: &Pair) -> Option<Vouching> {
        let keys = self.reader.keys(&pair.value, "`assertion`", &["audience", "header", "plain"]);
        let audience = self.text(&keys, ("`assertion`", pair.key_span), "audience", "core");
        let as_bearer = match keys.find("header") {
            None => false,
            Some(pair) => match self.reader.text(&pair.value, "`header`")? {
                "authorization" => true,
                "menshen-assertion" => false,
                _ => {
                    let message = "`header` must be `menshen-assertion` or `authorization`";
                    self.reader.fault(pair.value.span, Code::WrongValue, message.to_owned(), None);
                    false
                }
            },
        };
        let mut headers: Vec<(Fact, HeaderName)> = Vec::new();
        if let Some(pair) = keys.find("plain") {
            for pair in self.reader.map(&pair.value, "`plain`") {
                if let Some(line) = self.plain_header(pair, &headers) {
                    headers.push(line);
                }
            }
        }
        Some(Vouching { audience: audience?, as_bearer, headers })
    }

    /// One fact and the header that carries it.
    fn plain_header(
        &mut self,
        pair: &Pair,
        before: &[(Fact, HeaderName)],
    ) -> Option<(Fact, HeaderName)> {
        let Some((_, fact)) = Fact::ALL.into_iter().find(|(word, _)| *word == pair.key) else {
            let known: Vec<_> = Fact::ALL.iter().map(|(word, _)| format!("`{word}`")).collect();
            let message = format!("no fact is called `{}`", pair.key);
            let help = Some(format!("there are {}", known.join(", ")));
            self.reader.fault(pair.key_span, Code::UnknownName, message, help);
            return None;
        };
        let text = self.reader.text(&pair.value, "a header")?;
        let name = HeaderName::try_from(text).ok();
        let name = name.filter(|name| may_carry_a_fact(name, before.iter().map(|(_, name)| name)));
        if name.is_none() {
            let message = format!(
                "`{text}` cannot carry a fact: it is no header name, means something else, or stands here already"
            );
            let help = Some("write a name of your own, such as `x-user`".to_owned());
            self.reader.fault(pair.value.span, Code::WrongValue, message, help);
        }
        Some((fact, name?))
    }
}
