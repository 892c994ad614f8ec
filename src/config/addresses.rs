//! `connections`: what an address may do before anybody is known.

use super::read::File;
use crate::document::{Code, Keys};
use crate::limits::{self, UnknownNetwork};

/// The most networks of probes; each connection is compared with all.
const MOST_PROBES: usize = 64;

impl File<'_> {
    pub(super) fn addresses(&mut self, keys: &Keys<'_>) -> limits::AddressSettings {
        let mut settings = limits::AddressSettings::default();
        let Some(pair) = keys.find("connections") else { return settings };
        let known = [
            "total",
            "per-address",
            "new-per-minute",
            "handshakes-per-address",
            "handshake-share",
            "attempts-per-minute",
            "probes",
        ];
        let keys = self.reader.keys(&pair.value, "`connections`", &known);
        self.number(&keys, "total", (1, 1_000_000), |n| settings.concurrent_total = n);
        self.number(&keys, "per-address", (1, 1_000_000), |n| settings.concurrent = n);
        self.number(&keys, "new-per-minute", (1, 1_000_000), |n| {
            settings.connections = limits::Rate { per_window: n, window_s: 60, burst: n };
        });
        self.number(&keys, "handshakes-per-address", (1, 10_000), |n| settings.handshakes = n);
        self.number(&keys, "handshake-share", (1, 100), |n| settings.handshake_percent = n);
        self.number(&keys, "attempts-per-minute", (1, 10_000), |n| {
            settings.attempts = limits::Rate { per_window: n, window_s: 60, burst: n.div_ceil(3) };
        });
        if let Some(pair) = keys.find("probes") {
            for (word, span) in self.reader.words(&pair.value, "`probes`") {
                match word.parse() {
                    Ok(network) => settings.probes.push(network),
                    Err(error) => {
                        let error: UnknownNetwork = error;
                        self.reader.fault(span, Code::WrongValue, error.to_string(), None);
                    }
                }
            }
            if settings.probes.len() > MOST_PROBES {
                let message = format!("`probes` must have at most {MOST_PROBES} networks");
                self.reader.fault(pair.key_span, Code::WrongValue, message, None);
            }
        }
        settings
    }
}
