//! `connections`: what an address may do before anybody is known.

use super::read::File;
use crate::document::Keys;
use crate::limits;

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
            settings.probes = self.networks(&pair.value, "`probes`");
        }
        settings
    }
}
