//! From the tree of the file to the settings, collecting every fault on the way.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CheckpointCopies, Config, Listener};
use crate::document::{Code, Content, Faults, Keys, Node, Pair, Reader, Source, Span, cut, parse};
use crate::{guard, limits, listen, proxy, telemetry, tls};

pub(super) const TOP: &[&str] = &[
    "node",
    "state",
    "log",
    "index",
    "key",
    "log-key",
    "checkpoint-copies",
    "ship",
    "witnesses",
    "notify",
    "links",
    "backup",
    "policies",
    "policies-watch",
    "config-watch",
    "shadow",
    "metrics",
    "traces",
    "admin",
    "listeners",
    "acme",
    "redirect",
    "upstreams",
    "scanners",
    "assertions",
    "issuers",
    "machines",
    "devices",
    "dpop",
    "tokens",
    "sessions",
    "sign-in",
    "connections",
    "bodies",
    "shared",
    "in-flight",
    "in-flight-per-person",
    "contact",
    "drain",
    "confine",
    "confine-calls",
];
pub(super) const LISTENER: &[&str] = &[
    "address",
    "zone",
    "certificate",
    "key",
    "clients",
    "handshake-timeout",
    "head-timeout",
    "stall-timeout",
    "streams",
    "requests-per-second",
    "resets",
    "forwarders",
    "acme",
];
/// Reads the one source; paths in it are relative to `base`.
pub(super) fn config(sources: &[Source], base: &Path) -> Result<Config, Faults> {
    let root = match parse(sources, 0) {
        Ok(Some(root)) => root,
        Ok(None) => Node { span: Span::default(), is_plain: true, content: Content::Null },
        Err(faults) => return Err(Faults::new(faults, "configuration")),
    };
    let reader = Reader::new(sources);
    let mut file = File { reader, base, state: PathBuf::new(), has_acme: false };
    let config = file.config(&root);
    match (file.reader.finish(), config) {
        (faults, Some(config)) if faults.is_empty() => Ok(config),
        (faults, _) => Err(Faults::new(faults, "configuration")),
    }
}

/// The file while it is read; each block of it has a module beside this one.
pub(super) struct File<'s> {
    pub(super) reader: Reader<'s>,
    pub(super) base: &'s Path,
    /// The folder of the state, once it was read.
    pub(super) state: PathBuf,
    /// Whether certificates can be ordered.
    pub(super) has_acme: bool,
}

impl File<'_> {
    fn config(&mut self, root: &Node) -> Option<Config> {
        let keys = self.reader.keys(root, "the configuration", TOP);
        let what = ("the configuration", root.span);
        let node = self.text(&keys, what, "node", "gate-1");
        let state = self.path(&keys, what, "state", "/var/lib/menshen/state");
        self.state = state.clone().unwrap_or_default();
        self.has_acme = keys.find("acme").is_some();
        let log = self.path(&keys, what, "log", "/var/lib/menshen/log");
        let key = self.path(&keys, what, "key", "/etc/menshen/master.key");
        let index = self.path_if_named(&keys, what, "index", "log-index");
        let log_key = self.path_if_named(&keys, what, "log-key", "log.key");
        let checkpoint_copies = self.checkpoint_copies(&keys);
        let (ship, backup) = (self.ship(&keys), self.backup(&keys));
        let witnesses = self.witnesses(&keys);
        let (notify, case_issuers) = (self.notify(&keys), self.links(&keys));
        let policies = self.path(&keys, what, "policies", "/etc/menshen/policies");
        let shadow = self.path_if_named(&keys, what, "shadow", "policies-next");
        let policies_watch = self.flag(&keys, "policies-watch", true);
        let config_watch = self.flag(&keys, "config-watch", true);
        let (metrics, traces) = (self.metrics(&keys), self.traces(&keys));
        let (admin, acme) = (self.admin(&keys), self.acme(&keys));
        let (listeners, redirect) = (self.listeners(&keys, root), self.redirect(&keys));
        let upstreams = self.upstreams(&keys, root);
        let assertions = self.assertions(&keys);
        let scanners = super::scanners::scanners(&mut self.reader, &keys);
        let identity = self.identity(&keys);
        let addresses = self.addresses(&keys);
        let (mut proxy, caps) = self.bodies(&keys);
        if keys.find("contact").is_some() {
            proxy.contact = self.text(&keys, what, "contact", "the service desk, 4711");
        }
        let shared = self.shared(&keys, node.as_deref());
        let mut limits = limits::Settings::default();
        self.number(&keys, "in-flight", (1, 100_000), |n| limits.in_flight = n);
        self.number(&keys, "in-flight-per-person", (1, 10_000), |n| limits.in_flight_each = n);
        let mut drain = Duration::from_secs(30);
        self.time(&keys, "drain", |time| drain = time);
        let confine = self.flag(&keys, "confine", true);
        let confine_calls = self.flag(&keys, "confine-calls", true);
        Some(Config {
            node: node?,
            state: state?,
            log: log?,
            index,
            key: key?,
            log_key,
            checkpoint_copies,
            ship,
            witnesses,
            notify,
            file: None,
            text: super::FileText::default(),
            backup,
            policies: policies?,
            policies_watch,
            config_watch,
            shadow,
            metrics,
            traces,
            admin,
            listeners,
            acme,
            redirect,
            upstreams: upstreams.settings,
            vouching: upstreams.vouching,
            assertions,
            scanners,
            identity,
            case_issuers,
            limits,
            shared,
            addresses,
            proxy,
            caps,
            drain,
            confine,
            confine_calls,
        })
    }

    fn checkpoint_copies(&mut self, keys: &Keys<'_>) -> Option<CheckpointCopies> {
        let pair = keys.find("checkpoint-copies")?;
        let what = "`checkpoint-copies`";
        let keys = self.reader.keys(&pair.value, what, &["folder", "every"]);
        let folder =
            self.path(&keys, (what, pair.value.span), "folder", "/mnt/elsewhere/gate-1")?;
        let mut every = Duration::from_secs(600);
        self.time(&keys, "every", |time| every = time);
        Some(CheckpointCopies { folder, every })
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
        let form = ("a listener", LISTENER, None);
        items.iter().filter_map(|item| self.listener(item, form)).collect()
    }

    /// What it is called, its keys, and its zone where it need not name one.
    pub(super) fn listener(
        &mut self,
        node: &Node,
        (what, known, zone): (&str, &[&str], Option<&str>),
    ) -> Option<Listener> {
        let keys = self.reader.keys(node, what, known);
        let what = (what, node.span);
        let address = self.address(&keys, what, "0.0.0.0:443");
        let zone = match zone {
            Some(zone) if keys.find("zone").is_none() => Some(zone.to_owned()),
            Some(_) | None => self.text(&keys, what, "zone", "business"),
        };
        let files = self.shown_files(&keys, what);
        let unset = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut socket =
            listen::Settings::new(address.unwrap_or(unset), zone.as_deref().unwrap_or_default());
        self.number(&keys, "streams", (1, 1000), |n| socket.streams = n);
        self.number(&keys, "requests-per-second", (1, 1_000_000), |n| {
            socket.requests_per_second = n;
        });
        self.number(&keys, "resets", (1, 100_000), |n| socket.resets = n);
        self.time(&keys, "handshake-timeout", |time| socket.handshake_timeout = time);
        self.time(&keys, "head-timeout", |time| socket.head_timeout = time);
        self.time(&keys, "stall-timeout", |time| socket.stall_timeout = time);
        socket.forwarders = self.forwarders(&keys);
        address?;
        zone?;
        let clients = self.clients(&keys)?;
        // Whoever brings the requests of many on one connection: one of them that stalls must not end it for all.
        let http1_alone = socket.forwarders.as_ref().is_some_and(|some| !some.introduce());
        let (certificate, key, acme) = files?;
        let tls = tls::ServerSettings { certificate, key, clients, http1_alone, acme };
        Some(Listener { socket, tls })
    }

    /// An address to listen on.
    pub(super) fn address(
        &mut self,
        keys: &Keys<'_>,
        what: (&str, Span),
        example: &str,
    ) -> Option<SocketAddr> {
        let text = self.text(keys, what, "address", example)?;
        let address = text.parse().ok();
        if address.is_none() {
            let span = keys.find("address").map_or(what.1, |pair| pair.value.span);
            let message =
                format!("`address` must be an IP address and a port, got `{}`", cut(&text));
            let help = format!("write `{example}`, `127.0.0.1:8443` or `[::]:443`");
            self.reader.fault(span, Code::WrongValue, message, Some(help));
        }
        address
    }

    /// Plain HTTP, so on loopback unless the operator says expressly `plain: anywhere`.
    fn metrics(&mut self, keys: &Keys<'_>) -> Option<telemetry::Settings> {
        let pair = keys.find("metrics")?;
        let keys = self.reader.keys(&pair.value, "`metrics`", &["address", "plain"]);
        let address = self.address(&keys, ("`metrics`", pair.key_span), "127.0.0.1:9464")?;
        let span = keys.find("address").map_or(pair.key_span, |pair| pair.value.span);
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

    pub(super) fn text(
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

    pub(super) fn path(
        &mut self,
        keys: &Keys<'_>,
        what: (&str, Span),
        key: &str,
        example: &str,
    ) -> Option<PathBuf> {
        self.text(keys, what, key, example).map(|text| self.base.join(text))
    }

    /// One that need not be there.
    fn path_if_named(
        &mut self,
        keys: &Keys<'_>,
        what: (&str, Span),
        key: &str,
        example: &str,
    ) -> Option<PathBuf> {
        keys.find(key).and_then(|_| self.path(keys, what, key, example))
    }

    pub(super) fn flag(&mut self, keys: &Keys<'_>, key: &str, default: bool) -> bool {
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

    pub(super) fn number(
        &mut self,
        keys: &Keys<'_>,
        key: &str,
        range: (u32, u32),
        set: impl FnOnce(u32),
    ) {
        if let Some(pair) = keys.find(key)
            && let Some(n) = self.reader.number(&pair.value, &format!("`{key}`"), range.0, range.1)
        {
            set(n);
        }
    }

    pub(super) fn seconds(&mut self, keys: &Keys<'_>, key: &str, set: impl FnOnce(u32)) {
        if let Some(pair) = keys.find(key)
            && let Some(seconds) = self.reader.duration(&pair.value, &format!("`{key}`"))
        {
            set(seconds);
        }
    }

    pub(super) fn time(&mut self, keys: &Keys<'_>, key: &str, set: impl FnOnce(Duration)) {
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
