//! `notify`: who is told what needs a person, where, and in which language.

use std::time::Duration;

use super::read::File;
use crate::document::{Code, Keys, Pair, cut};
use crate::notify::{
    App, ChatSettings, HookSettings, Language, MailSettings, Settings, Start, To, Topic,
};

/// The most targets.
const MOST: usize = 16;
/// The most recipients of a mail.
const MOST_RECIPIENTS: usize = 50;
const KINDS: [&str; 6] = ["webhook", "smtp", "dingtalk", "wecom", "feishu", "slack"];
const EVERY: [&str; 4] = ["to", "about", "language", "give-up-after"];
const HOOK: [&str; 7] =
    ["url", "secret", "server-name", "ca", "certificate", "certificate-key", "plain"];
const MAIL: [&str; 11] = [
    "address",
    "tls",
    "user",
    "password",
    "from",
    "recipients",
    "server-name",
    "ca",
    "certificate",
    "certificate-key",
    "plain",
];
const ROOM: [&str; 3] = ["url-file", "ca", "plain"];
const SIGNED_ROOM: [&str; 4] = ["url-file", "secret", "ca", "plain"];
const HOUR: Duration = Duration::from_secs(3600);

/// What a target is called in faults, and where it stands.
type What<'a> = (&'a str, crate::document::Span);

impl File<'_> {
    pub(super) fn notify(&mut self, keys: &Keys<'_>) -> Vec<Settings> {
        let targets = self.named(keys, "notify", ("target", MOST));
        targets.into_iter().filter_map(|pair| self.target(pair)).collect()
    }

    fn target(&mut self, pair: &Pair) -> Option<Settings> {
        let what = ("a target of `notify`", pair.key_span);
        let all = self.reader.map(&pair.value, what.0);
        let Some(to) = all.iter().find(|pair| pair.key == "to") else {
            self.reader.missing(pair.key_span, what.0, "to", "smtp");
            return None;
        };
        let kind = self.reader.text(&to.value, "`to`")?.to_owned();
        let own: &[&str] = match kind.as_str() {
            "webhook" => &HOOK,
            "smtp" => &MAIL,
            "dingtalk" | "feishu" => &SIGNED_ROOM,
            "wecom" | "slack" => &ROOM,
            other => {
                self.reader.unknown(to.value.span, "kind of target", &cut(other), &KINDS);
                return None;
            }
        };
        let known = [&EVERY[..], own].concat();
        let keys = self.reader.keys(&pair.value, what.0, &known);
        let about = self.about(&keys);
        let language = self.language(&keys);
        let mut give_up_after = 24 * HOUR;
        self.span(&keys, "give-up-after", (HOUR, 30 * 24 * HOUR), |time| give_up_after = time);
        let to = match kind.as_str() {
            "webhook" => self.hook(&keys, what)?,
            "smtp" => self.mail(&keys, what)?,
            "dingtalk" => self.room(&keys, what, App::DingTalk)?,
            "wecom" => self.room(&keys, what, App::WeCom)?,
            "feishu" => self.room(&keys, what, App::Feishu)?,
            _slack => self.room(&keys, what, App::Slack)?,
        };
        Some(Settings { name: pair.key.clone(), language, about, give_up_after, to })
    }

    fn about(&mut self, keys: &Keys<'_>) -> Vec<Topic> {
        let Some(pair) = keys.find("about") else { return Topic::ALL.to_vec() };
        let mut topics = Vec::new();
        for item in self.reader.list(&pair.value, "`about`") {
            let Some(word) = self.reader.text(item, "a topic of `about`") else { continue };
            match Topic::ALL.into_iter().find(|topic| topic.word() == word) {
                Some(topic) => topics.push(topic),
                None => {
                    let (word, known) = (cut(word), Topic::ALL.map(Topic::word));
                    self.reader.unknown(item.span, "topic", &word, &known);
                }
            }
        }
        topics
    }

    fn language(&mut self, keys: &Keys<'_>) -> Language {
        let Some(pair) = keys.find("language") else { return Language::default() };
        let Some(word) = self.reader.text(&pair.value, "`language`") else {
            return Language::default();
        };
        let found = Language::ALL.into_iter().find(|language| language.word() == word);
        found.unwrap_or_else(|| {
            let (word, known) = (cut(word), Language::ALL.map(Language::word));
            self.reader.unknown(pair.value.span, "language", &word, &known);
            Language::default()
        })
    }

    fn hook(&mut self, keys: &Keys<'_>, what: What<'_>) -> Option<To> {
        let endpoint = self.endpoint(keys, what, "https://desk.internal/menshen");
        let secret = self.path(keys, what, "secret", "notify.secret");
        Some(To::Webhook(HookSettings { endpoint: endpoint?, secret: secret? }))
    }

    fn mail(&mut self, keys: &Keys<'_>, what: What<'_>) -> Option<To> {
        let peer = self.peer(keys, what)?;
        let start = match keys.find("tls").map(|pair| (pair, pair.value.span)) {
            None => Start::StartTls,
            Some((pair, span)) => match self.reader.text(&pair.value, "`tls`")? {
                "start" => Start::StartTls,
                "at-once" => Start::Tls,
                other => {
                    self.reader.unknown(
                        span,
                        "beginning of TLS",
                        &cut(other),
                        &["start", "at-once"],
                    );
                    return None;
                }
            },
        };
        let signs_in = keys.find("user").or(keys.find("password")).is_some();
        let login = if signs_in {
            let user = self.text(keys, what, "user", "menshen");
            let password = self.path(keys, what, "password", "smtp.password");
            Some((user?, password?))
        } else {
            None
        };
        let from = self.text(keys, what, "from", "menshen@bank.example")?;
        if !is_address(&from) {
            let span = keys.find("from").map_or(what.1, |pair| pair.value.span);
            self.no_address(span, &from);
        }
        let recipients = self.recipients(keys, what)?;
        Some(To::Mail(MailSettings { peer, start, login, from, recipients }))
    }

    fn recipients(&mut self, keys: &Keys<'_>, what: What<'_>) -> Option<Vec<String>> {
        let Some(pair) = keys.find("recipients") else {
            self.reader.missing(what.1, what.0, "recipients", "[desk@bank.example]");
            return None;
        };
        let items = self.reader.list(&pair.value, "`recipients`");
        if !(1..=MOST_RECIPIENTS).contains(&items.len()) {
            let message = format!("`recipients` must be 1 to {MOST_RECIPIENTS} addresses");
            self.reader.fault(pair.key_span, Code::WrongValue, message, None);
        }
        let mut recipients = Vec::new();
        for item in items {
            let Some(text) = self.reader.text(item, "an address of `recipients`") else { continue };
            match is_address(text) {
                true => recipients.push(text.to_owned()),
                false => {
                    let text = text.to_owned();
                    self.no_address(item.span, &text);
                }
            }
        }
        Some(recipients)
    }

    fn no_address(&mut self, span: crate::document::Span, text: &str) {
        let message = format!("`{}` is not a mail address in ASCII", cut(text));
        self.reader.fault(span, Code::WrongValue, message, None);
    }

    fn room(&mut self, keys: &Keys<'_>, what: What<'_>, app: App) -> Option<To> {
        let url = self.path(keys, what, "url-file", "room.url");
        let secret = match keys.find("secret") {
            Some(_) => self.path(keys, what, "secret", "room.secret"),
            None => None,
        };
        let ca = match keys.find("plain") {
            None => Some(self.path(keys, what, "ca", "/etc/ssl/certs/ca-certificates.crt")?),
            Some(plain) => {
                if self.reader.text(&plain.value, "`plain`")? != "loopback" {
                    let message =
                        "notices leave this machine encrypted: `plain` can only be `loopback`";
                    let span = plain.value.span;
                    self.reader.fault(span, Code::WrongValue, message.to_owned(), None);
                }
                None
            }
        };
        Some(To::Chat(ChatSettings { app, url: url?, secret, ca }))
    }
}

/// An address that can stand in a command of SMTP and in a header as it is.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_part = |part: &str, more: &[u8]| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    text.len() <= 254 && is_part(local, b"!#$%&'*+-/=?^_`{|}~.") && is_part(domain, b"-.")
}
