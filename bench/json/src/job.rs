//! What everybody does with a body: members with some names are left out, others masked, wherever they stand.

use menshen::guard::mask::mask_into;
use menshen::policy::kind::{Kind, Mask};

/// Names of members, and what becomes of their values.
pub struct Job {
    pub dropped: Vec<String>,
    /// These are texts or `null`.
    pub masked: Vec<(String, Mask)>,
}

/// What becomes of a value.
pub enum Fate {
    Passes,
    Dropped,
    Masked(Mask),
}

impl Job {
    pub fn of(dropped: &[&str], masked: &[(&str, Kind)]) -> Self {
        Self {
            dropped: dropped.iter().map(|name| (*name).to_owned()).collect(),
            masked: masked
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), Mask::of(*kind)))
                .collect(),
        }
    }

    /// What becomes of the member with this name.
    #[inline]
    pub fn fate(&self, name: &str) -> Fate {
        if self.dropped.iter().any(|dropped| dropped == name) {
            return Fate::Dropped;
        }
        let masked = self.masked.iter().find(|(masked, _)| masked == name);
        masked.map_or(Fate::Passes, |(_, mask)| Fate::Masked(*mask))
    }
}

/// The masked form of a text, as menshen makes it.
pub fn masked(mask: Mask, text: &str) -> String {
    let mut masked = String::with_capacity(32);
    mask_into(mask, text, &mut masked);
    masked
}

/// Appends the masked form as a JSON string.
pub fn write_masked(mask: Mask, text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &masked(mask, text)).expect("a string");
}
