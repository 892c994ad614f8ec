//! `upstreams`: the backends, how each is recognised, and what it may cost.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::read::{File, host_and_port, wide};
use crate::document::{Code, Keys, Node, Pair, Span, cut};
use crate::proxy::Vouching;
use crate::upstream::{self, Address};

const UPSTREAM: &[&str] = &[
    "address",
    "addresses",
    "resolve",
    "server-name",
    "ca",
    "plain",
    "certificate",
    "certificate-key",
    "assertion",
    "connections",
    "waiting",
    "websockets",
    "wait-timeout",
    "connect-timeout",
    "tls-timeout",
    "head-timeout",
    "body-timeout",
    "keep-alive",
    "http",
    "streams",
    "retry",
    "eject",
    "slow-start",
    "health",
];
/// The most addresses of one upstream.
const MOST_ADDRESSES: usize = 32;

/// What the block says.
#[derive(Default)]
pub(super) struct Upstreams {
    pub(super) settings: Vec<upstream::Settings>,
    /// What is told about callers, by the name of the upstream.
    pub(super) vouching: HashMap<String, Vouching>,
}

impl File<'_> {
    pub(super) fn upstreams(&mut self, keys: &Keys<'_>, root: &Node) -> Upstreams {
        let Some(pair) = keys.find("upstreams") else {
            let example = "{ core: { address: \"10.0.0.5:8443\", server-name: …, ca: … } }";
            self.reader.missing(root.span, "the configuration", "upstreams", example);
            return Upstreams::default();
        };
        let pairs = self.reader.map(&pair.value, "`upstreams`");
        let mut upstreams = Upstreams::default();
        for pair in pairs {
            let Some((settings, vouching)) = self.upstream(pair) else { continue };
            upstreams.vouching.extend(vouching.map(|told| (settings.name.clone(), told)));
            upstreams.settings.push(settings);
        }
        upstreams
    }

    fn upstream(&mut self, pair: &Pair) -> Option<(upstream::Settings, Option<Vouching>)> {
        let keys = self.reader.keys(&pair.value, "an upstream", UPSTREAM);
        let what = ("an upstream", pair.key_span);
        let addresses = self.places(&keys, what);
        let transport = self.transport(&keys, what, &addresses);
        let vouching = keys.find("assertion").and_then(|pair| self.vouching(pair));
        let mut upstream = upstream::Settings::new(&pair.key, "", 0, transport?);
        upstream.addresses = addresses.into_iter().map(|(address, _)| address).collect();
        if upstream.addresses.is_empty() {
            return None;
        }
        self.number(&keys, "connections", (1, 10_000), |n| upstream.connections = wide(n));
        self.number(&keys, "waiting", (0, 100_000), |n| upstream.waiting = wide(n));
        self.number(&keys, "websockets", (1, 100_000), |n| upstream.sockets = wide(n));
        self.time(&keys, "wait-timeout", |time| upstream.timeouts.wait = time);
        self.time(&keys, "connect-timeout", |time| upstream.timeouts.connect = time);
        self.time(&keys, "tls-timeout", |time| upstream.timeouts.tls = time);
        self.time(&keys, "head-timeout", |time| upstream.timeouts.head = time);
        self.time(&keys, "body-timeout", |time| upstream.timeouts.body_idle = time);
        self.time(&keys, "keep-alive", |time| upstream.timeouts.keep_alive = time);
        self.time(&keys, "resolve", |time| upstream.resolve_every = time);
        self.time(&keys, "slow-start", |time| upstream.slow_start = time);
        upstream.http2 = self.http2(&keys);
        upstream.repeats_idempotent = self.repeats_idempotent(&keys);
        upstream.eject = self.eject(&keys);
        upstream.health = self.health(&keys);
        Some((upstream, vouching))
    }

    /// `address` for one, `addresses` for several; each with where it stands.
    fn places(&mut self, keys: &Keys<'_>, what: (&str, Span)) -> Vec<(Address, Span)> {
        let mut texts: Vec<(String, Span)> = Vec::new();
        if let Some(pair) = keys.find("addresses") {
            if keys.find("address").is_some() {
                let message = "`address` is for one address and `addresses` for several".to_owned();
                self.reader.fault(pair.key_span, Code::Contradiction, message, None);
            }
            let words = self.reader.words(&pair.value, "`addresses`");
            if words.is_empty() || words.len() > MOST_ADDRESSES {
                let message = format!("`addresses` must have 1 to {MOST_ADDRESSES} entries");
                self.reader.fault(pair.key_span, Code::WrongValue, message, None);
            }
            texts.extend(words.into_iter().map(|(word, span)| (word.to_owned(), span)));
        } else if let Some(text) = self.text(keys, what, "address", "core.internal:8443") {
            let span = keys.find("address").map_or(what.1, |pair| pair.value.span);
            texts.push((text, span));
        }
        let mut places: Vec<(Address, Span)> = Vec::new();
        for (text, span) in texts {
            match address(&text) {
                None => {
                    let message =
                        format!("`address` must be a host and a port, got `{}`", cut(&text));
                    let help =
                        "write `core.internal:8443`, `10.0.0.5:8443` or `unix:/run/core.sock`";
                    self.reader.fault(span, Code::WrongValue, message, Some(help.to_owned()));
                }
                Some(address) if places.iter().any(|(known, _)| *known == address) => {
                    let message = format!("`{}` is there twice", cut(&text));
                    self.reader.fault(span, Code::Contradiction, message, None);
                }
                Some(address) => places.push((address, span)),
            }
        }
        places
    }

    /// How many requests go at once over one connection, where HTTP/2 may be spoken.
    fn http2(&mut self, keys: &Keys<'_>) -> Option<usize> {
        let pair = keys.find("http");
        let is_two = match pair.and_then(|pair| self.reader.text(&pair.value, "`http`")) {
            Some("2") => true,
            Some("1") | None => false,
            Some(other) => {
                let message = format!("`http` must be `1` or `2`, got `{}`", cut(other));
                let span = pair.map_or_else(Span::default, |pair| pair.value.span);
                self.reader.fault(span, Code::WrongValue, message, None);
                false
            }
        };
        if let (true, Some(plain)) = (is_two, keys.find("plain")) {
            let message = "HTTP/2 is agreed on in TLS, and this is `plain`".to_owned();
            self.reader.fault(plain.key_span, Code::Contradiction, message, None);
        }
        if let (false, Some(pair)) = (is_two, keys.find("streams")) {
            let message = "`streams` needs `http: 2`".to_owned();
            self.reader.fault(pair.key_span, Code::Contradiction, message, None);
        }
        let mut streams = 100;
        self.number(keys, "streams", (1, 1000), |n| streams = wide(n));
        is_two.then_some(streams)
    }

    /// Whether a request that may have been acted on is sent again where that does no harm.
    fn repeats_idempotent(&mut self, keys: &Keys<'_>) -> bool {
        let Some(pair) = keys.find("retry") else { return false };
        match self.reader.text(&pair.value, "`retry`") {
            Some("idempotent") => true,
            Some("unsent") | None => false,
            Some(other) => {
                let message =
                    format!("`retry` must be `unsent` or `idempotent`, got `{}`", cut(other));
                self.reader.fault(pair.value.span, Code::WrongValue, message, None);
                false
            }
        }
    }

    fn eject(&mut self, keys: &Keys<'_>) -> upstream::Eject {
        let mut eject = upstream::Eject::default();
        let Some(pair) = keys.find("eject") else { return eject };
        let keys = self.reader.keys(&pair.value, "`eject`", &["after", "time", "on-5xx"]);
        self.number(&keys, "after", (1, 1000), |n| eject.after = n);
        self.time(&keys, "time", |time| eject.time = time);
        eject.on_5xx = self.flag(&keys, "on-5xx", false);
        eject
    }

    fn health(&mut self, keys: &Keys<'_>) -> Option<upstream::Health> {
        let pair = keys.find("health")?;
        let known = ["path", "every", "timeout", "fails", "passes"];
        let keys = self.reader.keys(&pair.value, "`health`", &known);
        let path = self.text(&keys, ("`health`", pair.value.span), "path", "/healthz")?;
        let mut health = upstream::Health::new(&path);
        self.time(&keys, "every", |time| health.every = time);
        health.timeout = health.timeout.min(health.every);
        self.time(&keys, "timeout", |time| health.timeout = time);
        self.number(&keys, "fails", (1, 100), |n| health.fails = n);
        self.number(&keys, "passes", (1, 100), |n| health.passes = n);
        if health.timeout > health.every {
            let message = "`timeout` must not be longer than `every`".to_owned();
            self.reader.fault(pair.value.span, Code::Contradiction, message, None);
        }
        Some(health)
    }

    /// TLS with a pinned CA, or expressly `plain`.
    fn transport(
        &mut self,
        keys: &Keys<'_>,
        what: (&str, Span),
        addresses: &[(Address, Span)],
    ) -> Option<upstream::Transport> {
        let Some(pair) = keys.find("plain") else {
            let ca = self.path(keys, what, "ca", "upstream-ca.pem");
            let is_socket = |(address, _): &(Address, Span)| matches!(address, Address::Unix(_));
            let server_name = match keys.find("server-name") {
                None if !addresses.iter().any(is_socket) => None,
                // A socket has no name that a certificate could bear.
                Some(_) | None => Some(self.text(keys, what, "server-name", "core.internal")?),
            };
            let identity = self.our_certificate(keys, what);
            let tls = upstream::TlsSettings { ca: ca?, server_name, identity };
            return Some(upstream::Transport::Tls(tls));
        };
        if let Some(pair) = keys.find("certificate").or(keys.find("certificate-key")) {
            let message = "without TLS there is nobody to show a certificate to".to_owned();
            self.reader.fault(pair.key_span, Code::Contradiction, message, None);
        }
        let beyond_loopback = match self.reader.text(&pair.value, "`plain`")? {
            "true" | "loopback" => false,
            "anywhere" => true,
            other => {
                let message = format!("`plain` must be `true` or `anywhere`, got `{}`", cut(other));
                let help = "leave it out for TLS, which needs `ca`".to_owned();
                self.reader.fault(pair.value.span, Code::WrongValue, message, Some(help));
                return None;
            }
        };
        if !beyond_loopback {
            self.refuse_beyond_loopback(addresses);
        }
        Some(upstream::Transport::Plain { beyond_loopback })
    }

    fn refuse_beyond_loopback(&mut self, addresses: &[(Address, Span)]) {
        for (address, span) in addresses.iter().filter(|(address, _)| !is_of_this_machine(address))
        {
            let message = format!(
                "without TLS customer data would cross the network in clear, so `plain` is for a loopback address or a Unix socket, and `{}` is neither",
                cut(&address.to_string())
            );
            let help = "use TLS with `ca`, or a sidecar on `127.0.0.1:PORT`, `localhost:PORT` or `unix:/run/core.sock`";
            self.reader.fault(*span, Code::WrongValue, message, Some(help.to_owned()));
        }
    }

    /// The certificate that an upstream sees of the gate: both files, or neither.
    fn our_certificate(
        &mut self,
        keys: &Keys<'_>,
        what: (&str, Span),
    ) -> Option<upstream::IdentityFiles> {
        if keys.find("certificate").is_none() && keys.find("certificate-key").is_none() {
            return None;
        }
        let chain = self.path(keys, what, "certificate", "tls/gate-to-core.pem");
        let key = self.path(keys, what, "certificate-key", "tls/gate-to-core.key");
        Some(upstream::IdentityFiles { chain: chain?, key: key? })
    }
}

fn address(text: &str) -> Option<Address> {
    match text.strip_prefix("unix:") {
        Some(path) => path.starts_with('/').then(|| Address::Unix(PathBuf::from(path))),
        None => host_and_port(text).map(|(host, port)| Address::Host { host, port }),
    }
}

/// What another name stands for may change.
fn is_of_this_machine(address: &Address) -> bool {
    match address {
        Address::Unix(_) => true,
        Address::Host { host, .. } if host == "localhost" => true,
        Address::Host { host, .. } => {
            host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
        }
    }
}
