//! `traces`: whether requests are traced, of how many spans are recorded, and who is sent them.

use std::time::Duration;

use super::read::{File, wide};
use crate::document::{Code, Keys};
use crate::ship::WebhookSettings;
use crate::telemetry;

const KEYS: [&str; 10] = [
    "url",
    "token",
    "one-in",
    "queue",
    "gather",
    "server-name",
    "ca",
    "certificate",
    "certificate-key",
    "plain",
];
/// Where a collector takes spans, where the address has no path.
const USUAL_PATH: &str = "/v1/traces";

/// How requests are traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// What is recorded.
    pub settings: telemetry::TraceSettings,
    /// Who is sent it; without anybody nothing is recorded, and backends are told of the trace all the same.
    pub collector: Option<WebhookSettings>,
}

impl File<'_> {
    pub(super) fn traces(&mut self, keys: &Keys<'_>) -> Option<Traces> {
        let pair = keys.find("traces")?;
        let what = ("`traces`", pair.key_span);
        let keys = self.reader.keys(&pair.value, what.0, &KEYS);
        let mut settings = telemetry::TraceSettings::default();
        self.number(&keys, "one-in", (1, 1_000_000), |n| settings.one_in = n);
        self.number(&keys, "queue", (1, 100_000), |n| settings.queue = wide(n));
        let bounds = (Duration::from_secs(1), Duration::from_secs(60));
        self.span(&keys, "gather", bounds, |time| settings.gather = time);
        if keys.find("url").is_none() {
            if let Some(pair) = KEYS.iter().find_map(|key| keys.find(key)) {
                let message = format!("`{}` of `traces` says nothing without `url`", pair.key);
                self.reader.fault(pair.key_span, Code::Contradiction, message, None);
            }
            return Some(Traces { settings, collector: None });
        }
        let mut endpoint = self.endpoint(&keys, what, "https://otel.internal:4318")?;
        if endpoint.path == "/" {
            USUAL_PATH.clone_into(&mut endpoint.path);
        }
        let token = self.given_path(&keys, what, "token");
        let collector = Some(WebhookSettings { endpoint, token });
        Some(Traces { settings, collector })
    }
}
