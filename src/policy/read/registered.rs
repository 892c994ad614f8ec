//! `registered: [partner, tenant]` and `partner-level: 2`: who must be in the registry, and how well partners must
//! protect what they receive.

use super::super::model::Model;
use super::super::registered::WORDS;
use super::Sections;
use crate::document::{Reader, cut};

/// The highest level that is attested.
const HIGHEST: u32 = 3;

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    for (_, node) in sections.found.iter().filter(|(name, _)| *name == "registered") {
        for (word, span) in reader.words(node, "`registered`") {
            if !WORDS.contains(&word) {
                reader.unknown(span, "kind", &cut(word), &WORDS);
            } else if !model.registered.iter().any(|known| **known == *word) {
                model.registered.push(word.into());
            }
        }
    }
    for (_, node) in sections.found.iter().filter(|(name, _)| *name == "partner-level") {
        let level = reader.number(node, "`partner-level`", 1, HIGHEST);
        // Of several files the strictest counts.
        let level = level.and_then(|level| u8::try_from(level).ok()).unwrap_or(0);
        model.partner_level = model.partner_level.max(level);
    }
}
