//! `two-person: [tenant, exports-off]`: what one person alone may not command.

use super::super::model::Model;
use super::super::two_person::words;
use super::Sections;
use crate::document::{Reader, cut};

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    for (_, node) in sections.found.iter().filter(|(name, _)| *name == "two-person") {
        for (word, span) in reader.words(node, "`two-person`") {
            if !words().contains(&word) {
                reader.unknown(span, "command", &cut(word), &words());
            } else if !model.two_person.iter().any(|known| **known == *word) {
                model.two_person.push(word.into());
                model.two_person_at.get_or_insert(span);
            }
        }
    }
}
