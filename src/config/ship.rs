//! `ship`: where the log's entries are carried to.

use std::time::Duration;

use http::Uri;

use super::read::{File, host_and_port};
use crate::document::{Code, Keys, Pair, Span, cut};
use crate::ship::{
    Endpoint, Form, IdentityFiles, NatsLogin, NatsSettings, Peer, S3Settings, Security, Settings,
    SyslogSettings, To, WebhookSettings,
};

/// The most places.
const MOST: usize = 16;
const KINDS: [&str; 5] = ["file", "syslog", "webhook", "nats", "s3"];
const EVERY: [&str; 4] = ["to", "alert-after", "gather", "form"];
const FORMS: [(&str, Form); 3] = [("json", Form::Json), ("ocsf", Form::Ocsf), ("cef", Form::Cef)];
const TLS: [&str; 5] = ["server-name", "ca", "certificate", "certificate-key", "plain"];
/// The log audit.
const FACILITY: u8 = 13;

/// What a place is called in faults, and where it stands.
type What<'a> = (&'a str, Span);

impl File<'_> {
    pub(super) fn ship(&mut self, keys: &Keys<'_>) -> Vec<Settings> {
        let places = self.named(keys, "ship", ("place", MOST));
        places.into_iter().filter_map(|pair| self.place(pair)).collect()
    }

    fn place(&mut self, pair: &Pair) -> Option<Settings> {
        let what = ("a place of `ship`", pair.key_span);
        let all = self.reader.map(&pair.value, what.0);
        let Some(to) = all.iter().find(|pair| pair.key == "to") else {
            self.reader.missing(pair.key_span, what.0, "to", "syslog");
            return None;
        };
        let kind = self.reader.text(&to.value, "`to`")?;
        let own: &[&str] = match kind {
            "file" => &["path"],
            "syslog" => &["address", "facility"],
            "webhook" => &["url", "token"],
            "nats" => &["address", "subject", "token", "user", "password"],
            "s3" => &["url", "bucket", "prefix", "region", "credentials"],
            other => {
                self.reader.unknown(to.value.span, "kind of place", &cut(other), &KINDS);
                return None;
            }
        };
        let tls: &[&str] = if kind == "file" { &[] } else { &TLS };
        let known = [&EVERY[..], own, tls].concat();
        let kind = kind.to_owned();
        let keys = self.reader.keys(&pair.value, what.0, &known);
        let mut settings = Settings {
            name: pair.key.clone(),
            alert_after: Duration::from_secs(3600),
            gather: Duration::from_secs(if kind == "s3" { 60 } else { 1 }),
            form: self.form(&keys),
            to: self.to(&kind, &keys, what)?,
        };
        let day = Duration::from_secs(24 * 3600);
        self.span(&keys, "alert-after", (Duration::from_secs(60), day * 30), |time| {
            settings.alert_after = time;
        });
        self.span(&keys, "gather", (Duration::from_secs(1), day), |time| settings.gather = time);
        Some(settings)
    }

    /// The entries of a map by names that files and metrics can have, so many at most; what has another name is a fault, and
    /// left out.
    pub(super) fn named<'k>(
        &mut self,
        keys: &Keys<'k>,
        key: &str,
        (one, most): (&str, usize),
    ) -> Vec<&'k Pair> {
        let Some(pair) = keys.find(key) else { return Vec::new() };
        let mut pairs = self.reader.map(&pair.value, &format!("`{key}`"));
        if pairs.len() > most {
            let message = format!("`{key}` may name {most} of them, got {}", pairs.len());
            self.reader.fault(pair.key_span, Code::WrongValue, message, None);
        }
        let may = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        pairs.retain(|pair| {
            let is_name = (1..=64).contains(&pair.key.len()) && pair.key.chars().all(may);
            if !is_name {
                let message = format!("a {one}'s name must be lower-case letters, digits and `-`");
                self.reader.fault(pair.key_span, Code::WrongValue, message, None);
            }
            is_name
        });
        pairs
    }

    fn form(&mut self, keys: &Keys<'_>) -> Form {
        let Some(pair) = keys.find("form") else { return Form::default() };
        let Some(text) = self.reader.text(&pair.value, "`form`").map(str::to_owned) else {
            return Form::default();
        };
        let found = FORMS.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let known = FORMS.map(|(name, _)| name);
            self.reader.unknown(pair.value.span, "form", &cut(&text), &known);
        }
        found.map_or(Form::default(), |(_, form)| *form)
    }

    fn to(&mut self, kind: &str, keys: &Keys<'_>, what: What<'_>) -> Option<To> {
        Some(match kind {
            "file" => To::File(self.path(keys, what, "path", "/mnt/elsewhere/log.jsonl")?),
            "syslog" => {
                let mut facility = u32::from(FACILITY);
                self.number(keys, "facility", (0, 23), |n| facility = n);
                let facility = u8::try_from(facility).unwrap_or(FACILITY);
                To::Syslog(SyslogSettings { peer: self.peer(keys, what)?, facility })
            }
            "webhook" => {
                let endpoint = self.endpoint(keys, what, "https://siem.internal/menshen")?;
                let token = self.given_path(keys, what, "token");
                To::Webhook(WebhookSettings { endpoint, token })
            }
            "nats" => To::Nats(NatsSettings {
                peer: self.peer(keys, what)?,
                subject: self.subject(keys, what)?,
                login: self.login(keys, what)?,
            }),
            _s3 => To::S3(self.s3(keys, what)?),
        })
    }

    /// A store that speaks S3; also for backups.
    pub(super) fn s3(&mut self, keys: &Keys<'_>, what: What<'_>) -> Option<S3Settings> {
        let endpoint = self.endpoint(keys, what, "https://s3.internal:9000");
        let bucket = self.text(keys, what, "bucket", "menshen");
        let credentials = self.path(keys, what, "credentials", "s3.credentials");
        let given = |key: &str| keys.find(key).is_some();
        let prefix = match given("prefix") {
            true => self.text(keys, what, "prefix", "logs/")?,
            false => String::new(),
        };
        let region = match given("region") {
            true => self.text(keys, what, "region", "eu-central-1")?,
            false => "us-east-1".to_owned(),
        };
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            inner => format!("{inner}/"),
        };
        let (endpoint, bucket) = (endpoint?, bucket?);
        if endpoint.path != "/" || bucket.contains('/') {
            let message = "`url` names the server only, and `bucket` one bucket".to_owned();
            self.reader.fault(what.1, Code::WrongValue, message, None);
            return None;
        }
        Some(S3Settings { endpoint, bucket, prefix, region, credentials: credentials? })
    }

    fn subject(&mut self, keys: &Keys<'_>, what: What<'_>) -> Option<String> {
        let subject = self.text(keys, what, "subject", "menshen.log")?;
        let is_token = |word: &str| {
            !word.is_empty()
                && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if subject.split('.').all(is_token) {
            return Some(subject);
        }
        let span = keys.find("subject").map_or(what.1, |pair| pair.value.span);
        let message = "`subject` must be words joined by dots, without wildcards".to_owned();
        self.reader.fault(span, Code::WrongValue, message, None);
        None
    }

    fn login(&mut self, keys: &Keys<'_>, what: What<'_>) -> Option<NatsLogin> {
        let find = |key: &str| keys.find(key);
        match (find("token"), find("user").or(find("password"))) {
            (None, None) => Some(NatsLogin::None),
            (Some(_), None) => self.path(keys, what, "token", "nats.token").map(NatsLogin::Token),
            (None, Some(_)) => {
                let user = self.text(keys, what, "user", "menshen");
                let file = self.path(keys, what, "password", "nats.password");
                Some(NatsLogin::Password { user: user?, file: file? })
            }
            (Some(_), Some(other)) => {
                let message = "there is `token`, or `user` and `password`, not both".to_owned();
                self.reader.fault(other.key_span, Code::Contradiction, message, None);
                None
            }
        }
    }

    /// `address` and how it is secured.
    pub(super) fn peer(&mut self, keys: &Keys<'_>, what: What<'_>) -> Option<Peer> {
        let text = self.text(keys, what, "address", "siem.internal:6514")?;
        let Some((host, port)) = host_and_port(&text) else {
            let span = keys.find("address").map_or(what.1, |pair| pair.value.span);
            let message = format!("`address` must be a host and a port, got `{}`", cut(&text));
            self.reader.fault(span, Code::WrongValue, message, None);
            return None;
        };
        let security = self.security(keys, what, &host)?;
        Some(Peer { host, port, security })
    }

    /// `url` and how it is secured.
    pub(super) fn endpoint(
        &mut self,
        keys: &Keys<'_>,
        what: What<'_>,
        example: &str,
    ) -> Option<Endpoint> {
        let text = self.text(keys, what, "url", example)?;
        let is_plain = keys.find("plain").is_some();
        let (scheme, usual) = if is_plain { ("http", 80) } else { ("https", 443) };
        let uri = text.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some(scheme));
        let authority = uri.as_ref().and_then(|uri| uri.authority());
        let Some(authority) = authority.filter(|authority| !authority.as_str().contains('@'))
        else {
            let span = keys.find("url").map_or(what.1, |pair| pair.value.span);
            let message = format!("`url` must begin with `{scheme}://` and have no password in it");
            let help = format!("write `{example}`");
            self.reader.fault(span, Code::WrongValue, message, Some(help));
            return None;
        };
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let security = self.security(keys, what, host)?;
        let path =
            uri.as_ref().and_then(|uri| uri.path_and_query()).map_or("/", |path| path.as_str());
        Some(Endpoint {
            peer: Peer {
                host: host.to_owned(),
                port: authority.port_u16().unwrap_or(usual),
                security,
            },
            authority: authority.as_str().to_owned(),
            path: path.to_owned(),
        })
    }

    /// TLS with a pinned authority, or expressly `plain: loopback`.
    fn security(&mut self, keys: &Keys<'_>, what: What<'_>, host: &str) -> Option<Security> {
        if let Some(plain) = keys.find("plain") {
            if self.reader.text(&plain.value, "`plain`")? != "loopback" {
                let message = "it leaves this machine encrypted: `plain` can only be `loopback`";
                let span = plain.value.span;
                self.reader.fault(span, Code::WrongValue, message.to_owned(), None);
                return None;
            }
            let others = ["server-name", "ca", "certificate", "certificate-key"];
            if let Some(pair) = others.iter().find_map(|other| keys.find(other)) {
                let message = format!("`{}` says nothing without TLS", pair.key);
                self.reader.fault(pair.key_span, Code::Contradiction, message, None);
            }
            return Some(Security::PlainOnLoopback);
        }
        let ca = self.path(keys, what, "ca", "siem-ca.pem");
        let server_name = match keys.find("server-name") {
            Some(_) => self.text(keys, what, "server-name", "siem.internal"),
            None => Some(host.to_owned()),
        };
        let own = keys.find("certificate").or(keys.find("certificate-key")).is_some();
        let identity = match own {
            false => None,
            true => {
                let chain = self.path(keys, what, "certificate", "tls/gate-to-siem.pem");
                let key = self.path(keys, what, "certificate-key", "tls/gate-to-siem.key");
                Some(IdentityFiles { chain: chain?, key: key? })
            }
        };
        Some(Security::Tls { server_name: server_name?, ca: ca?, identity })
    }

    pub(super) fn given_path(
        &mut self,
        keys: &Keys<'_>,
        what: What<'_>,
        key: &str,
    ) -> Option<std::path::PathBuf> {
        keys.find(key)?;
        self.path(keys, what, key, "siem.token")
    }

    /// A time between two bounds.
    pub(super) fn span(
        &mut self,
        keys: &Keys<'_>,
        key: &str,
        (least, most): (Duration, Duration),
        set: impl FnOnce(Duration),
    ) {
        let mut given = None;
        self.time(keys, key, |time| given = Some(time));
        let Some(time) = given else { return };
        if time >= least && time <= most {
            return set(time);
        }
        let span = keys.find(key).map_or_else(Span::default, |pair| pair.value.span);
        let (least, most) = (least.as_secs(), most.as_secs());
        let message = format!("`{key}` must be between {least}s and {most}s");
        self.reader.fault(span, Code::WrongValue, message, None);
    }
}
