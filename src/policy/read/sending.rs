//! `sent-as` and `unwritable`: how a route takes the body of a request.

use super::super::sending::{BodyForm, Sending, Unwritable};
use super::uploads::uploads;
use crate::document::{Code, Content, Keys, Reader, cut};

/// Reads how the route with these keys takes a body.
pub(super) fn sending(reader: &mut Reader<'_>, route: &Keys<'_>) -> Sending {
    let takes_body = route.find("accepts").is_some();
    let uploads = uploads(reader, route);
    for key in ["sent-as", "unwritable"] {
        if let Some(pair) = route.find(key).filter(|_| !takes_body) {
            let message =
                format!("`{key}` needs `accepts`: there is no body that it could be about");
            reader.fault(pair.key_span, Code::Contradiction, message, None);
        }
    }
    let mut forms = forms(reader, route, takes_body);
    if uploads.is_some() {
        if route.find("sent-as").is_none() {
            forms.clear();
        }
        forms.push(BodyForm::Multipart);
    }
    Sending { forms, unwritable: unwritable(reader, route), uploads }
}

fn forms(reader: &mut Reader<'_>, route: &Keys<'_>, takes_body: bool) -> Vec<BodyForm> {
    let Some(pair) = route.find("sent-as") else {
        return if takes_body { vec![BodyForm::Json] } else { Vec::new() };
    };
    let mut found = Vec::new();
    let words = reader.words(&pair.value, "`sent-as`");
    if words.is_empty() && matches!(pair.value.content, Content::List(_)) {
        let message = "`sent-as` names no form".to_owned();
        reader.fault(pair.key_span, Code::WrongValue, message, Some("leave it out".to_owned()));
    }
    for (word, span) in words {
        let Some((_, form)) = BodyForm::NAMES.iter().find(|(name, _)| *name == word) else {
            let known: Vec<&str> = BodyForm::NAMES.iter().map(|(name, _)| *name).collect();
            reader.unknown(span, "form of a body", &cut(word), &known);
            continue;
        };
        if found.contains(form) {
            reader.fault(span, Code::WrongValue, format!("`{word}` is named twice"), None);
        } else {
            found.push(*form);
        }
    }
    found
}

fn unwritable(reader: &mut Reader<'_>, route: &Keys<'_>) -> Unwritable {
    let Some(pair) = route.find("unwritable") else { return Unwritable::Refuse };
    match reader.text(&pair.value, "`unwritable`") {
        Some("drop") => Unwritable::Drop,
        Some("refuse") | None => Unwritable::Refuse,
        Some(other) => {
            reader.unknown(pair.value.span, "word", &cut(other), &["refuse", "drop"]);
            Unwritable::Refuse
        }
    }
}
