//! `redirect`, and `forwarders` of a listener: what stands before the port with TLS.

use std::sync::Arc;

use super::read::File;
use crate::document::{Code, Keys, Node, cut};
use crate::limits::{Network, UnknownNetwork};
use crate::listen::{Forwarders, RedirectSettings, Told};

/// The most networks; each connection is compared with all.
const MOST_NETWORKS: usize = 64;
const MOST_HOSTS: usize = 256;
const BY: [(&str, Told); 3] = [
    ("proxy-protocol", Told::ByProxyProtocol),
    ("x-forwarded-for", Told::ByXForwardedFor),
    ("forwarded", Told::ByForwarded),
];

impl File<'_> {
    pub(super) fn forwarders(&mut self, keys: &Keys<'_>) -> Option<Arc<Forwarders>> {
        let pair = keys.find("forwarders")?;
        let what = ("`forwarders`", pair.key_span);
        let keys = self.reader.keys(&pair.value, what.0, &["from", "by"]);
        let Some(from) = keys.find("from") else {
            self.reader.missing(what.1, what.0, "from", "[10.0.0.0/24]");
            return None;
        };
        let networks = self.networks(&from.value, "`from`");
        let by = self.text(&keys, what, "by", "proxy-protocol")?;
        let found = BY.iter().find(|(word, _)| *word == by);
        if found.is_none() {
            let span = keys.find("by").map_or(what.1, |pair| pair.value.span);
            self.reader.unknown(
                span,
                "way to tell who the client is",
                &cut(&by),
                &BY.map(|(word, _)| word),
            );
        }
        Some(Arc::new(Forwarders { networks, told: found?.1 }))
    }

    /// A list of addresses and networks.
    pub(super) fn networks(&mut self, node: &Node, what: &str) -> Vec<Network> {
        let mut networks = Vec::new();
        for (word, span) in self.reader.words(node, what) {
            match word.parse() {
                Ok(network) => networks.push(network),
                Err(error) => {
                    let error: UnknownNetwork = error;
                    self.reader.fault(span, Code::WrongValue, error.to_string(), None);
                }
            }
        }
        if networks.len() > MOST_NETWORKS {
            let message = format!("{what} must have at most {MOST_NETWORKS} networks");
            self.reader.fault(node.span, Code::WrongValue, message, None);
        }
        networks
    }

    pub(super) fn redirect(&mut self, keys: &Keys<'_>) -> Option<RedirectSettings> {
        let pair = keys.find("redirect")?;
        let what = ("`redirect`", pair.key_span);
        let keys =
            self.reader.keys(&pair.value, what.0, &["address", "hosts", "port", "forwarders"]);
        let address = self.address(&keys, what, "0.0.0.0:80");
        let mut port = 443;
        self.number(&keys, "port", (1, 65_535), |n| port = n);
        let Some(named) = keys.find("hosts") else {
            self.reader.missing(what.1, what.0, "hosts", "[gate.bank.example]");
            return None;
        };
        let words = self.reader.words(&named.value, "`hosts`");
        let hosts: Vec<_> = words.iter().map(|(host, _)| host.to_ascii_lowercase()).collect();
        for ((_, span), host) in words.iter().zip(&hosts) {
            let is_host = host.parse::<http::uri::Authority>().is_ok_and(|own| own.host() == host);
            if !is_host {
                let message = format!(
                    "`hosts` must be names or addresses without a port, got `{}`",
                    cut(host)
                );
                self.reader.fault(*span, Code::WrongValue, message, None);
            }
        }
        if hosts.is_empty() || hosts.len() > MOST_HOSTS {
            let message = format!("`hosts` must name 1 to {MOST_HOSTS} hosts");
            self.reader.fault(named.value.span, Code::WrongValue, message, None);
        }
        let port = u16::try_from(port).unwrap_or(443);
        let forwarders = self.forwarders(&keys);
        Some(RedirectSettings { address: address?, hosts, port, forwarders })
    }
}
