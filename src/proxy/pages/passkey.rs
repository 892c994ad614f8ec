//! The parts of pages on which passkeys are used. They are hidden until the script shows them, and say
//! in words what to do where there is none.

use super::{Page, escaped, local_path};

/// By what the script, and whoever builds the page, knows such a part.
pub(super) const MARK: &str = " data-passkey=\"";

/// What is done with a passkey.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// Somebody signs in with it.
    SignIn,
    /// A session is raised to that level; 0 is to whatever the passkey gives.
    Raise { level: u8 },
    /// One is made.
    Register,
}

impl Part {
    /// The last part of its path, and the button's id.
    fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Raise { .. } => "raise",
            Self::Register => "register",
        }
    }
}

/// The part of a page that does so.
pub(super) fn part(page: &Page<'_>, part: Part) -> String {
    let words = page.words;
    let (name, level) = match part {
        Part::SignIn | Part::Register => (part.name(), String::new()),
        Part::Raise { level } => (part.name(), format!(" data-level=\"{level}\"")),
    };
    let (lead, button) = match part {
        Part::SignIn => (words.passkey_instead, words.passkey_sign_in),
        Part::Raise { .. } => (words.passkey_instead, words.passkey_use),
        Part::Register => (words.passkey_lead, words.passkey_register),
    };
    let next = match part {
        Part::SignIn | Part::Raise { .. } => local_path(page.next).unwrap_or("/.menshen/session"),
        Part::Register => "/.menshen/session?done=passkey",
    };
    format!(
        "<noscript><p>{no_script}</p></noscript>\
         <section{MARK}{name}\"{level} data-next=\"{next}\" data-unable=\"{unable}\" \
         data-cancelled=\"{cancelled}\" data-refused=\"{refused}\" hidden><p>{lead}</p>{fields}\
         <button type=\"button\" id=\"passkey-{name}\">{button}</button><p role=\"status\"></p></section>",
        no_script = escaped(words.no_script),
        next = escaped(next),
        unable = escaped(words.passkey_unable),
        cancelled = escaped(words.passkey_cancelled),
        refused = escaped(words.passkey_refused),
        lead = escaped(lead),
        fields = if matches!(part, Part::Register) { register_fields(page) } else { String::new() },
        button = escaped(button),
    )
}

fn register_fields(page: &Page<'_>) -> String {
    format!(
        "<label for=\"passkey-name\">{}</label>\
         <input id=\"passkey-name\" name=\"name\" value=\"{}\" maxlength=\"64\" autocomplete=\"off\">\
         <label for=\"passkey-ticket\">{}</label>\
         <input id=\"passkey-ticket\" name=\"ticket\" maxlength=\"64\" autocomplete=\"off\" autocapitalize=\"none\" \
         spellcheck=\"false\">",
        escaped(page.words.passkey_name),
        escaped(page.words.passkey_default),
        escaped(page.words.ticket)
    )
}
