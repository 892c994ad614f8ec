//! `witnesses`: who is asked to cosign the log's checkpoints.

use std::time::Duration;

use super::read::File;
use crate::document::{Code, Keys, Pair};
use crate::ship::WitnessSettings;

/// The most witnesses.
const MOST: usize = 8;
const KEYS: [&str; 9] = [
    "plain",
    "url",
    "key",
    "every",
    "alert-after",
    "server-name",
    "ca",
    "certificate",
    "certificate-key",
];
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl File<'_> {
    pub(super) fn witnesses(&mut self, keys: &Keys<'_>) -> Vec<WitnessSettings> {
        let witnesses = self.named(keys, "witnesses", ("witness", MOST));
        witnesses.into_iter().filter_map(|pair| self.witness(pair)).collect()
    }

    fn witness(&mut self, pair: &Pair) -> Option<WitnessSettings> {
        let what = ("a witness", pair.key_span);
        let keys = self.reader.keys(&pair.value, what.0, &KEYS);
        let endpoint = self.endpoint(&keys, what, "https://witness.auditor.example/");
        let text = self.text(&keys, what, "key", "auditor.example+1a2b3c4d+BAAA…");
        let (mut every, mut alert_after) = (10 * MINUTE, DAY);
        self.span(&keys, "every", (MINUTE, DAY), |time| every = time);
        self.span(&keys, "alert-after", (MINUTE, 30 * DAY), |time| alert_after = time);
        let key = text.and_then(|text| {
            let read = text.parse();
            if read.is_err() {
                let span = keys.find("key").map_or(what.1, |pair| pair.value.span);
                let message = "`key` must be the witness's verifier key, `name+hash+key`, of a \
                               timed cosignature (its key begins with `B`)";
                self.reader.fault(span, Code::WrongValue, message.to_owned(), None);
            }
            read.ok()
        });
        Some(WitnessSettings {
            name: pair.key.clone(),
            endpoint: endpoint?,
            key: key?,
            every,
            alert_after,
        })
    }
}
