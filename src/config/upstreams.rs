//! `upstreams`: the backends, how each is recognised, and what it may cost.

use std::collections::HashMap;

use super::read::{File, host_and_port, wide};
use crate::document::{Code, Keys, Node, Pair, Span, cut};
use crate::proxy::Vouching;
use crate::upstream;

const UPSTREAM: &[&str] = &[
    "address",
    "server-name",
    "ca",
    "plain",
    "certificate",
    "certificate-key",
    "assertion",
    "connections",
    "waiting",
    "wait-timeout",
    "connect-timeout",
    "head-timeout",
    "body-timeout",
    "keep-alive",
];

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
        let vouching = keys.find("assertion").and_then(|pair| self.vouching(pair));
        let (host, port) = place?;
        let mut upstream = upstream::Settings::new(&pair.key, &host, port, transport?);
        self.number(&keys, "connections", (1, 10_000), |n| upstream.connections = wide(n));
        self.number(&keys, "waiting", (0, 100_000), |n| upstream.waiting = wide(n));
        self.time(&keys, "wait-timeout", |time| upstream.timeouts.wait = time);
        self.time(&keys, "connect-timeout", |time| upstream.timeouts.connect = time);
        self.time(&keys, "head-timeout", |time| upstream.timeouts.head = time);
        self.time(&keys, "body-timeout", |time| upstream.timeouts.body_idle = time);
        self.time(&keys, "keep-alive", |time| upstream.timeouts.keep_alive = time);
        Some((upstream, vouching))
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
            let identity = self.our_certificate(keys, what);
            let tls = upstream::TlsSettings { ca: ca?, server_name: server_name?, identity };
            return Some(upstream::Transport::Tls(tls));
        };
        if let Some(pair) = keys.find("certificate").or(keys.find("certificate-key")) {
            let message = "without TLS there is nobody to show a certificate to".to_owned();
            self.reader.fault(pair.key_span, Code::Contradiction, message, None);
        }
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
