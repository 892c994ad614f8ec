//! `shared`: the store in which several gates count budgets together and tell each other what is done at one.

use std::time::Duration;

use super::read::File;
use crate::document::{Code, Keys};
use crate::limits::shared::SharedSettings;
use crate::shared::RedisSettings;

const KEYS: [&str; 6] = ["redis", "ca", "password-file", "gates", "lent-part", "timeout"];
/// The longest that somebody may be kept waiting for the store.
const MOST_MS: u32 = 5_000;

/// Where several gates count together.
#[derive(Clone, Debug)]
pub struct SharedStore {
    /// Where it is.
    pub redis: RedisSettings,
    /// How this gate shares.
    pub settings: SharedSettings,
}

impl File<'_> {
    /// Reads `shared` of the configuration; `node` is this gate's name.
    pub(super) fn shared(&mut self, keys: &Keys<'_>, node: Option<&str>) -> Option<SharedStore> {
        let pair = keys.find("shared")?;
        let keys = self.reader.keys(&pair.value, "`shared`", &KEYS);
        let what = ("`shared`", pair.key_span);
        let url = self.text(&keys, what, "redis", "rediss://store.internal:6379");
        let file = |file: &mut Self, key: &str| {
            keys.find(key)?;
            file.path(&keys, what, key, "/etc/menshen/store.pem")
        };
        let (ca, password_file) = (file(self, "ca"), file(self, "password-file"));
        let mut settings = SharedSettings { node: node?.into(), ..SharedSettings::default() };
        self.number(&keys, "gates", (1, 1_000), |n| settings.gates = Some(u64::from(n)));
        self.number(&keys, "lent-part", (1, 1_000), |n| settings.parts = u64::from(n));
        let mut time = settings.deadline;
        if let Some(pair) = keys.find("timeout") {
            time = self.milliseconds(&pair.value)?;
        }
        let redis = RedisSettings { url: url?, ca, password_file, deadline: time };
        if let Err(fault) = redis.check_address() {
            let span = keys.find("redis").map_or(pair.key_span, |pair| pair.value.span);
            self.reader.fault(span, Code::WrongValue, fault.to_string(), None);
        }
        // The client gives up first, and says why.
        settings.deadline = time + Duration::from_millis(50);
        Some(SharedStore { redis, settings })
    }

    /// `200ms`.
    fn milliseconds(&mut self, node: &crate::document::Node) -> Option<Duration> {
        let text = self.reader.text(node, "`timeout`")?;
        let number = text.strip_suffix("ms").and_then(|digits| digits.parse::<u32>().ok());
        let Some(number) = number.filter(|number| (1..=MOST_MS).contains(number)) else {
            let message = format!("`timeout` of `shared` must be 1ms to {MOST_MS}ms");
            self.reader.fault(node.span, Code::WrongValue, message, Some("write `200ms`".into()));
            return None;
        };
        Some(Duration::from_millis(u64::from(number)))
    }
}
