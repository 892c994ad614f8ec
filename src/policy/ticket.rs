//! The form that a purpose's ticket must have, such as `CMP-*`.

use std::str::Chars;

/// The longest form and the longest ticket.
const LIMIT_BYTES: usize = 64;

/// A pattern for a whole ticket: `*` is any run, `?` one character, `#` one digit, the rest itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TicketForm(Box<str>);

impl TicketForm {
    /// Reads a form; `None` if it is empty, too long or more than one line.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = (1..=LIMIT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.into()))
    }

    /// The form as written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// A ticket of this form.
    pub(super) fn example(&self) -> String {
        let filled = self.0.replace('*', "").replace('?', "x").replace('#', "0");
        if filled.is_empty() { "x".to_owned() } else { filled }
    }

    /// Whether the ticket has this form. An empty one has none.
    pub(super) fn matches(&self, ticket: &str) -> bool {
        let fits =
            (1..=LIMIT_BYTES).contains(&ticket.len()) && !ticket.chars().any(char::is_control);
        fits && matches(&self.0, ticket)
    }
}

/// Only the last `*` is ever tried anew, so that the time is at most the product of both lengths.
fn matches(form: &str, ticket: &str) -> bool {
    let (mut form, mut ticket) = (form.chars(), ticket.chars());
    let mut retry: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let here = ticket.clone();
        match (form.next(), ticket.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                ticket = here;
                retry = Some((form.clone(), ticket.clone()));
            }
            (Some(wanted), Some(found)) if is_met(wanted, found) => {}
            (Some(_) | None, _) => {
                let Some((after_star, from)) = &mut retry else { return false };
                if from.next().is_none() {
                    return false;
                }
                (form, ticket) = (after_star.clone(), from.clone());
            }
        }
    }
}

fn is_met(wanted: char, found: char) -> bool {
    match wanted {
        '?' => true,
        '#' => found.is_ascii_digit(),
        wanted => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(form: &str, ticket: &str) -> bool {
        TicketForm::parse(form).unwrap().matches(ticket)
    }

    #[test]
    fn a_ticket_must_have_the_form_from_end_to_end() {
        assert!(fits("CMP-*", "CMP-7") && fits("CMP-*", "CMP-"));
        assert!(!fits("CMP-*", "xCMP-7") && !fits("CMP-*", "CMP") && !fits("CMP", "CMP-7"));
        assert!(fits("#*#", "1a2") && fits("#*#", "11") && !fits("#*#", "1") && !fits("#*#", "1a"));
        assert!(fits("?-##", "王-42") && !fits("?-##", "王-4٢") && !fits("?", ""));
        assert!(fits("*a*b*", "xaybz") && fits("*ab", "aab") && !fits("*ab", "aba"));
    }

    #[test]
    fn an_empty_or_a_long_ticket_has_no_form() {
        assert!(!fits("*", "") && fits("*", &"x".repeat(64)) && !fits("*", &"x".repeat(65)));
        assert!(!fits("*", "a\nb"));
        for form in ["", "a\tb", &"x".repeat(65)] {
            assert_eq!(TicketForm::parse(form), None, "{form}");
        }
        for form in ["*", "CMP-*", "?#-*x"] {
            let form = TicketForm::parse(form).unwrap();
            assert!(form.matches(&form.example()), "{form:?}");
        }
        assert!(!fits(&"*a".repeat(32), &"a".repeat(31)));
    }
}
