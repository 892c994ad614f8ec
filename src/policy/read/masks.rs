//! Masks: `masks: { person-name: last, bank-card: bin-last4 }`, one style for all values of a kind.

use super::super::kind::{Kind, Mask};
use super::super::model::Model;
use super::Sections;
use crate::document::{Code, Reader, accepted, cut};

pub(super) fn read(sections: &Sections<'_>, reader: &mut Reader<'_>, model: &mut Model) {
    for pair in sections.definitions("masks", reader) {
        let Some(kind) = Kind::named(&pair.key) else {
            let known: Vec<&str> = Kind::NAMES.iter().map(|(name, _)| *name).collect();
            reader.unknown(pair.key_span, "kind", &cut(&pair.key), &known);
            continue;
        };
        let Some(name) = reader.text(&pair.value, "a style") else { continue };
        match Mask::styled(kind, name) {
            Some(mask) => model.masks.set(mask),
            None => {
                let known: Vec<&str> = kind.styles().iter().map(|style| style.name()).collect();
                let message = format!("`{}` has no style `{}`", pair.key, cut(name));
                let help = accepted(name, &known);
                reader.fault(pair.value.span, Code::UnknownName, message, Some(help));
            }
        }
    }
}

/// Gives every field that a rule masks or replaces a kind, so that its masked form is known when it
/// is written back. Fields of which nothing is known are masked wholly.
pub(super) fn settle_kinds(model: &mut Model) {
    for rule in &model.rules {
        let Some(entity) = rule.of.and_then(|of| model.entities.get_mut(of)) else { continue };
        for field in rule.masked.iter().chain(&rule.pseudonym) {
            if let Some(field) = entity.fields.get_mut(usize::from(*field)) {
                field.kind.get_or_insert(Kind::Opaque);
            }
        }
    }
}
