//! From the tree of the file to the settings, collecting every fault on the way.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Config, Listener};
use crate::document::{Code, Content, Faults, Keys, Node, Pair, Reader, Source, Span, cut, parse};
use crate::{guard, identity, limits, listen, proxy, telemetry, tls, upstream};

const TOP: &[&str] = &[
    "node",
    "state",
    "log",
    "key",
    "policies",
    "policies-watch",
    "shadow",
    "metrics",
    "listeners",
    "upstreams",
    "scanners",
    "issuers",
    "sessions",
    "sign-in",
    "connections",
    "bodies",
    "in-flight",
    "in-flight-per-person",
    "drain",
];
const LISTENER: &[&str] = &[
    "address",
    "zone",
    "certificate",
    "key",
    "handshake-timeout",
    "head-timeout",
    "stall-timeout",
    "streams",
];
const UPSTREAM: &[&str] = &[
    "address",
    "server-name",
    "ca",
    "plain",
    "connections",
    "waiting",
    "wait-timeout",
    "connect-timeout",
    "head-timeout",
    "body-timeout",
    "keep-alive",
];
const ISSUER: &[&str] = &[
    "name",
    "issuer",
    "audience",
    "keys",
    "kind",
    "roles",
    "attributes",
    "assurance",
    "auth-time",
    "leeway",
];

/// Reads the one source; paths in it are relative to `base`.
pub(super) fn config(sources: &[Source], base: &Path) -> Result<Config, Faults> {
    let root = match parse(sources, 0) {
        Ok(Some(root)) => root,
        Ok(None) => Node { span: Span::default(), is_plain: true, content: Content::Null },
        Err(faults) => return Err(Faults::new(faults, "configuration")),
    };
    let mut file = File { reader: Reader::new(sources), base };
    let config = file.config(&root);
    match (file.reader.finish(), config) {
        (faults, Some(config)) if faults.is_empty() => Ok(config),
        (faults, _) => Err(Faults::new(faults, "configuration")),
    }
}

struct File<'s> {
    reader: Reader<'s>,
    base: &'s Path,
}

impl File<'_> {
    fn config(&mut self, root: &Node) -> Option<Config> {
        let keys = self.reader.keys(root, "the configuration", TOP);
        let what = ("the configuration", root.span);
        let node = self.text(&keys, what, "node", "gate-1");
        let state = self.path(&keys, what, "state", "/var/lib/menshen/state");
        let log = self.path(&keys, what, "log", "/var/lib/menshen/log");
        let key = self.path(&keys, what, "key", "/etc/menshen/master.key");
        let policies = self.path(&keys, what, "policies", "/etc/menshen/policies");
        let shadow = keys.find("shadow").is_some();
        let shadow = if shadow { self.path(&keys, what, "shadow", "policies-next") } else { None };
        let policies_watch = self.flag(&keys, "policies-watch", true);
        let metrics = self.metrics(&keys);
        let listeners = self.listeners(&keys, root);
        let upstreams = self.upstreams(&keys, root);
        let scanners = super::scanners::scanners(&mut self.reader, &keys);
        let identity = self.identity(&keys);
        let addresses = self.addresses(&keys);
        let (proxy, caps) = self.bodies(&keys);
        let mut limits = limits::Settings::default();
        self.number(&keys, "in-flight", (1, 100_000), |n| limits.in_flight = n);
        self.number(&keys, "in-flight-per-person", (1, 10_000), |n| limits.in_flight_each = n);
        let mut drain = Duration::from_secs(30);
        self.time(&keys, "drain", |time| drain = time);
        Some(Config {
            node: node?,
            state: state?,
            log: log?,
            key: key?,
            policies: policies?,
            policies_watch,
            shadow,
            metrics,
            listeners,
            upstreams,
            scanners,
            identity,
            limits,
            addresses,
            proxy,
            caps,
            drain,
        })
    }

    fn listeners(&mut self, keys: &Keys<'_>, root: &Node) -> Vec<Listener> {
        let Some(pair) = keys.find("listeners") else {
            let example = "[{ address: \"0.0.0.0:443\", zone: …, certificate: …, key: … }]";
            self.reader.missing(root.span, "the configuration", "listeners", example);
            return Vec::new();
        };
        let items = self.reader.list(&pair.value, "`listeners`");
        if items.is_empty() {
            let message = "`listeners` must have at least one entry".to_owned();
            self.reader.fault(pair.key_span, Code::WrongValue, message, None);
        }
        items.iter().filter_map(|item| self.listener(item)).collect()
    }

    fn listener(&mut self, node: &Node) -> Option<Listener> {
        let keys = self.reader.keys(node, "a listener", LISTENER);
        let what = ("a listener", node.span);
        let address = self.text(&keys, what, "address", "0.0.0.0:443");
        let zone = self.text(&keys, what, "zone", "business");
        let certificate = self.path(&keys, what, "certificate", "chain.pem");
        let key = self.path(&keys, what, "key", "key.pem");
        let address: Option<SocketAddr> = address.and_then(|text| {
            text.parse().ok().or_else(|| {
                let span = keys.find("address").map_or(node.span, |pair| pair.value.span);
                let message =
                    format!("`address` must be an IP address and a port, got `{}`", cut(&text));
                let help = "write `0.0.0.0:443`, `127.0.0.1:8443` or `[::]:443`".to_owned();
                self.reader.fault(span, Code::WrongValue, message, Some(help));
                None
            })
        });
        let unset = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut socket =
            listen::Settings::new(address.unwrap_or(unset), zone.as_deref().unwrap_or_default());
        self.number(&keys, "streams", (1, 1000), |n| socket.streams = n);
        self.time(&keys, "handshake-timeout", |time| socket.handshake_timeout = time);
        self.time(&keys, "head-timeout", |time| socket.head_timeout = time);
        self.time(&keys, "stall-timeout", |time| socket.stall_timeout = time);
        address?;
        zone?;
        Some(Listener { socket, tls: tls::ServerSettings { certificate: certificate?, key: key? } })
    }

    /// Plain HTTP, so on loopback unless the operator says expressly `plain: anywhere`.
    fn metrics(&mut self, keys: &Keys<'_>) -> Option<telemetry::Settings> {
        let pair = keys.find("metrics")?;
        let keys = self.reader.keys(&pair.value, "`metrics`", &["address", "plain"]);
        let text = self.text(&keys, ("`metrics`", pair.key_span), "address", "127.0.0.1:9464")?;
        let span = keys.find("address").map_or(pair.key_span, |pair| pair.value.span);
        let Ok(address) = text.parse::<SocketAddr>() else {
            let message =
                format!("`address` must be an IP address and a port, got `{}`", cut(&text));
            let help = "write `127.0.0.1:9464`".to_owned();
            self.reader.fault(span, Code::WrongValue, message, Some(help));
            return None;
        };
        let beyond_loopback = keys.find("plain").is_some_and(|pair| self.is_anywhere(pair));
        if !address.ip().is_loopback() && !beyond_loopback {
            let message = "metrics go out unencrypted, so `address` must be on loopback".to_owned();
            let help = "write `127.0.0.1:9464`, or add `plain: anywhere`".to_owned();
            self.reader.fault(span, Code::WrongValue, message, Some(help));
            return None;
        }
        Some(telemetry::Settings { address })
    }

    fn is_anywhere(&mut self, pair: &Pair) -> bool {
        match self.reader.text(&pair.value, "`plain`") {
            Some("anywhere") => true,
            Some("loopback") | None => false,
            Some(other) => {
                let message =
                    format!("`plain` must be `loopback` or `anywhere`, got `{}`", cut(other));
                self.reader.fault(pair.value.span, Code::WrongValue, message, None);
                false
            }
        }
    }

    fn upstreams(&mut self, keys: &Keys<'_>, root: &Node) -> Vec<upstream::Settings> {
        let Some(pair) = keys.find("upstreams") else {
            let example = "{ core: { address: \"10.0.0.5:8443\", server-name: …, ca: … } }";
            self.reader.missing(root.span, "the configuration", "upstreams", example);
            return Vec::new();
        };
        let pairs = self.reader.map(&pair.value, "`upstreams`");
        pairs.into_iter().filter_map(|pair| self.upstream(pair)).collect()
    }

    fn upstream(&mut self, pair: &Pair) -> Option<upstream::Settings> {
        let keys = self.reader.keys(&pair.value, "an upstream", UPSTREAM);
        let what = ("an upstream", pair.key_span);
        let address = self.text(&keys, what, "address", "core.internal:8443");
        let place = address.and_then(|text| {
            host_and_port(&text).or_else(|| {
                let span = keys.find("address").map_or(pair.key_span, |pair| pair.value.span);
                let message = format!("`address` must be a host and a port, got `{}`", cut(&text));
                let help = "write `core.internal:8443` or `10.0.0.5:8443`".to_owned();
                self.reader.fault(span, Code::WrongValue, message, Some(help));
                None
            })
        });
        let transport = self.transport(&keys, what, place.as_ref().map(|(host, _)| host.as_str()));
        let (host, port) = place?;
        let mut upstream = upstream::Settings::new(&pair.key, &host, port, transport?);
        self.number(&keys, "connections", (1, 10_000), |n| upstream.connections = wide(n));
        self.number(&keys, "waiting", (0, 100_000), |n| upstream.waiting = wide(n));
        self.time(&keys, "wait-timeout", |time| upstream.timeouts.wait = time);
        self.time(&keys, "connect-timeout", |time| upstream.timeouts.connect = time);
        self.time(&keys, "head-timeout", |time| upstream.timeouts.head = time);
        self.time(&keys, "body-timeout", |time| upstream.timeouts.body_idle = time);
        self.time(&keys, "keep-alive", |time| upstream.timeouts.keep_alive = time);
        Some(upstream)
    }

    /// TLS with a pinned CA, or expressly `plain: loopback` or `plain: anywhere`.
    fn transport(
        &mut self,
        keys: &Keys<'_>,
        what: (&str, Span),
        host: Option<&str>,
    ) -> Option<upstream::Transport> {
        let Some(pair) = keys.find("plain") else {
            let ca = self.path(keys, what, "ca", "upstream-ca.pem");
            let server_name = match keys.find("server-name") {
                Some(_) => self.text(keys, what, "server-name", "core.internal"),
                None => host.map(str::to_owned),
            };
            let tls = upstream::TlsSettings { ca: ca?, server_name: server_name?, identity: None };
            return Some(upstream::Transport::Tls(tls));
        };
        let beyond_loopback = match self.reader.text(&pair.value, "`plain`")? {
            "loopback" => false,
            "anywhere" => true,
            other => {
                let message =
                    format!("`plain` must be `loopback` or `anywhere`, got `{}`", cut(other));
                let help = "leave it out for TLS, which needs `ca`".to_owned();
                self.reader.fault(pair.value.span, Code::WrongValue, message, Some(help));
                return None;
            }
        };
        Some(upstream::Transport::Plain { beyond_loopback })
    }

    fn identity(&mut self, keys: &Keys<'_>) -> identity::Settings {
        let mut settings = identity::Settings::default();
        if let Some(pair) = keys.find("issuers") {
            let items = self.reader.list(&pair.value, "`issuers`");
            settings.issuers = items.iter().filter_map(|item| self.issuer(item)).collect();
        }
        if let Some(pair) = keys.find("sessions") {
            let known = ["idle", "longest", "per-account", "parked-kib", "parked-for"];
            let keys = self.reader.keys(&pair.value, "`sessions`", &known);
            self.seconds(&keys, "idle", |s| settings.session.idle_s = s);
            self.seconds(&keys, "longest", |s| settings.session.absolute_s = s);
            self.number(&keys, "per-account", (1, 100), |n| settings.session.per_account = n);
            self.number(&keys, "parked-kib", (0, 1024), |n| {
                settings.session.parked_bytes = wide(n) * 1024;
            });
            self.seconds(&keys, "parked-for", |s| settings.session.parked_s = s);
        }
        if let Some(pair) = keys.find("sign-in") {
            let known = [
                "failures",
                "failures-per-address",
                "within",
                "locked-for",
                "longest-lock",
                "known-network",
            ];
            let keys = self.reader.keys(&pair.value, "`sign-in`", &known);
            self.number(&keys, "failures", (3, 100), |n| settings.lockout.per_name = n);
            self.number(&keys, "failures-per-address", (3, 100_000), |n| {
                settings.lockout.per_address = n;
            });
            self.seconds(&keys, "within", |s| settings.lockout.window_s = s);
            self.seconds(&keys, "locked-for", |s| settings.lockout.lock_s = s);
            self.seconds(&keys, "longest-lock", |s| settings.lockout.longest_lock_s = s);
            self.seconds(&keys, "known-network", |s| settings.lockout.known_network_s = s);
        }
        settings
    }

    fn issuer(&mut self, node: &Node) -> Option<identity::IssuerSettings> {
        let keys = self.reader.keys(node, "an issuer", ISSUER);
        let what = ("an issuer", node.span);
        let name = self.text(&keys, what, "name", "staff");
        let issuer = self.text(&keys, what, "issuer", "https://login.example");
        let audience = self.text(&keys, what, "audience", "menshen");
        let jwks = self.path(&keys, what, "keys", "jwks.json");
        let mut settings = identity::IssuerSettings::new(&name?, &issuer?, &audience?, jwks?);
        if let Some(pair) = keys.find("roles") {
            let words = self.reader.words(&pair.value, "`roles`");
            settings.roles_claim = words.into_iter().map(|(word, _)| word.to_owned()).collect();
        }
        if let Some(pair) = keys.find("kind") {
            let text = self.reader.text(&pair.value, "`kind`")?;
            match text.parse() {
                Ok(kind) => settings.kind = kind,
                Err(error) => {
                    let error: identity::UnknownKind = error;
                    self.reader.fault(pair.value.span, Code::WrongValue, error.to_string(), None);
                }
            }
        }
        if let Some(pair) = keys.find("attributes") {
            for pair in self.reader.map(&pair.value, "`attributes`") {
                if let Some(attribute) = self.reader.text(&pair.value, "an attribute") {
                    settings.attributes.insert(pair.key.clone(), attribute.to_owned());
                }
            }
        }
        if let Some(pair) = keys.find("assurance") {
            for pair in self.reader.map(&pair.value, "`assurance`") {
                let level = self.reader.number(&pair.value, "an assurance level", 1, 3);
                if let Some(level) = level.and_then(|n| u8::try_from(n).ok()) {
                    settings.assurance.insert(pair.key.clone(), level);
                }
            }
        }
        if keys.find("auth-time").is_some()
            && let Some(claim) = self.text(&keys, what, "auth-time", "auth_time")
        {
            settings.auth_time_claim = claim;
        }
        self.seconds(&keys, "leeway", |s| settings.leeway_s = s.min(300));
        Some(settings)
    }

    fn addresses(&mut self, keys: &Keys<'_>) -> limits::AddressSettings {
        let mut settings = limits::AddressSettings::default();
        if let Some(pair) = keys.find("connections") {
            let known = ["total", "per-address", "new-per-minute"];
            let keys = self.reader.keys(&pair.value, "`connections`", &known);
            self.number(&keys, "total", (1, 1_000_000), |n| settings.concurrent_total = n);
            self.number(&keys, "per-address", (1, 1_000_000), |n| settings.concurrent = n);
            self.number(&keys, "new-per-minute", (1, 1_000_000), |n| {
                settings.connections = limits::Rate { per_window: n, window_s: 60, burst: n };
            });
        }
        settings
    }

    fn bodies(&mut self, keys: &Keys<'_>) -> (proxy::Settings, guard::Caps) {
        let (mut settings, mut caps) = (proxy::Settings::default(), guard::Caps::default());
        if let Some(pair) = keys.find("bodies") {
            let known =
                ["request-kib", "request-time", "held-kib", "record-kib", "depth", "unread-time"];
            let keys = self.reader.keys(&pair.value, "`bodies`", &known);
            let kib = |n: u32| wide(n).saturating_mul(1024);
            self.number(&keys, "request-kib", (1, 65_536), |n| {
                settings.request_limit_bytes = kib(n)
            });
            self.number(&keys, "held-kib", (1, 65_536), |n| settings.held_bytes = kib(n));
            self.number(&keys, "record-kib", (1, 65_536), |n| caps.record_bytes = kib(n));
            self.number(&keys, "depth", (2, 512), |n| caps.depth = wide(n));
            self.time(&keys, "request-time", |time| settings.request_time = time);
            self.time(&keys, "unread-time", |time| settings.unread_time = time);
        }
        (settings, caps)
    }

    fn text(
        &mut self,
        keys: &Keys<'_>,
        what: (&str, Span),
        key: &str,
        example: &str,
    ) -> Option<String> {
        let Some(pair) = keys.find(key) else {
            self.reader.missing(what.1, what.0, key, example);
            return None;
        };
        let text = self.reader.text(&pair.value, &format!("`{key}`"))?;
        if text.is_empty() || text.len() > 1024 || text.chars().any(char::is_control) {
            let message = format!("`{key}` must be a text of 1 to 1024 characters");
            self.reader.fault(pair.value.span, Code::WrongValue, message, None);
            return None;
        }
        Some(text.to_owned())
    }

    fn path(
        &mut self,
        keys: &Keys<'_>,
        what: (&str, Span),
        key: &str,
        example: &str,
    ) -> Option<PathBuf> {
        self.text(keys, what, key, example).map(|text| self.base.join(text))
    }

    fn flag(&mut self, keys: &Keys<'_>, key: &str, default: bool) -> bool {
        let Some(pair) = keys.find(key) else { return default };
        match self.reader.text(&pair.value, &format!("`{key}`")) {
            Some("true") => true,
            Some("false") => false,
            None => default,
            Some(other) => {
                let message = format!("`{key}` must be `true` or `false`, got `{}`", cut(other));
                self.reader.fault(pair.value.span, Code::WrongValue, message, None);
                default
            }
        }
    }

    fn number(&mut self, keys: &Keys<'_>, key: &str, range: (u32, u32), set: impl FnOnce(u32)) {
        if let Some(pair) = keys.find(key)
            && let Some(n) = self.reader.number(&pair.value, &format!("`{key}`"), range.0, range.1)
        {
            set(n);
        }
    }

    fn seconds(&mut self, keys: &Keys<'_>, key: &str, set: impl FnOnce(u32)) {
        if let Some(pair) = keys.find(key)
            && let Some(seconds) = self.reader.duration(&pair.value, &format!("`{key}`"))
        {
            set(seconds);
        }
    }

    fn time(&mut self, keys: &Keys<'_>, key: &str, set: impl FnOnce(Duration)) {
        self.seconds(keys, key, |s| set(Duration::from_secs(u64::from(s))));
    }
}

pub(super) fn wide(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

pub(super) fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}
