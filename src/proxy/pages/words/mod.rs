//! What the pages say, a language a file. A text that a language lacks does not compile.
//!
//! Texts are plain: what stands in braces is filled in, everything is escaped.

mod en;
mod id;
mod ko;
mod th;
mod zh;

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

use crate::identity::{PasskeyFault, PasswordFault, SignInError};

/// The languages that there are; the first for whoever asks for none of them.
pub(super) static LANGUAGES: [&Words; 5] = [&en::EN, &zh::ZH, &th::TH, &ko::KO, &id::ID];

/// So many of the languages that a browser names are looked at.
const MOST_NAMED: usize = 16;

/// All texts of the pages in one language.
#[derive(Debug)]
pub(in crate::proxy) struct Words {
    /// The BCP 47 tag for `lang`.
    pub(in crate::proxy) lang: &'static str,
    pub(super) host_note: &'static str,
    pub(super) go_on: &'static str,
    pub(super) to_session: &'static str,

    pub(super) sign_in: &'static str,
    pub(super) sign_in_lead: &'static str,
    pub(super) account: &'static str,
    pub(super) password: &'static str,
    pub(super) code_title: &'static str,
    pub(super) code_lead: &'static str,
    pub(super) code: &'static str,
    pub(super) signed_out: &'static str,
    pub(super) signed_out_lead: &'static str,
    pub(super) sign_in_again: &'static str,

    pub(super) passkey_sign_in: &'static str,
    pub(super) passkey_use: &'static str,
    pub(super) passkey_instead: &'static str,
    pub(super) passkey_unable: &'static str,
    pub(super) passkey_cancelled: &'static str,
    pub(super) passkey_refused: &'static str,
    pub(super) no_script: &'static str,

    pub(super) step_title: &'static str,
    pub(super) step_lead: &'static str,
    pub(super) step_code: &'static str,
    pub(super) step_needed: &'static str,
    pub(super) step_asks: &'static str,
    pub(super) step_asks_fresh: &'static str,
    pub(super) a_password: &'static str,
    pub(super) a_code: &'static str,
    pub(super) a_key: &'static str,
    pub(super) show_factor: &'static str,
    pub(in crate::proxy) no_factor: &'static str,
    pub(in crate::proxy) asked_again: &'static str,
    pub(in crate::proxy) kept_too_many: &'static str,
    pub(in crate::proxy) kept_too_large: &'static str,
    pub(in crate::proxy) kept_nowhere: &'static str,
    pub(in crate::proxy) kept_no_room: &'static str,
    pub(super) send_title: &'static str,
    pub(super) send_lead: &'static str,
    pub(super) send_now: &'static str,
    pub(super) purpose_title: &'static str,
    pub(super) purpose_lead: &'static str,
    pub(super) nothing_title: &'static str,
    pub(super) nothing_lead: &'static str,
    pub(super) much_title: &'static str,
    pub(super) much_lead: &'static str,
    pub(super) much_shared: &'static str,
    pub(super) much_slowed: &'static str,
    pub(super) much_minutes: &'static str,
    pub(super) much_hours: &'static str,
    pub(super) much_contact: &'static str,

    pub(super) session_title: &'static str,
    pub(super) session_lead: &'static str,
    pub(super) sign_out: &'static str,
    pub(super) raise_title: &'static str,
    pub(super) raise_code: &'static str,
    pub(super) passkeys: &'static str,
    pub(super) passkey_item: &'static str,
    pub(super) passkey_none: &'static str,
    pub(super) passkey_lead: &'static str,
    pub(super) passkey_name: &'static str,
    pub(super) passkey_default: &'static str,
    pub(super) passkey_register: &'static str,
    pub(in crate::proxy) passkey_registered: &'static str,
    pub(super) ticket: &'static str,
    pub(super) unproved: &'static str,

    pub(super) last_sign_in: &'static str,
    pub(super) time_from: &'static str,
    pub(super) not_yet: &'static str,
    pub(super) password_set: &'static str,
    pub(super) days_ago: &'static str,
    pub(super) today: &'static str,
    pub(super) devices: &'static str,
    pub(super) devices_lead: &'static str,
    pub(super) sessions: &'static str,
    pub(super) session_item: &'static str,
    pub(super) this_session: &'static str,
    pub(super) end_session: &'static str,
    pub(super) everywhere: &'static str,
    pub(in crate::proxy) ended: &'static str,
    pub(in crate::proxy) ended_all: &'static str,
    pub(super) passkey_detail: &'static str,
    pub(super) remove: &'static str,
    pub(in crate::proxy) removed: &'static str,
    pub(super) remove_unproved: &'static str,
    pub(super) codes: &'static str,
    pub(super) codes_lead: &'static str,
    pub(super) codes_begin: &'static str,
    pub(super) codes_unproved: &'static str,
    pub(super) codes_scan: &'static str,
    pub(super) qr_label: &'static str,
    pub(in crate::proxy) codes_done: &'static str,
    pub(super) issuer_sign_in: &'static str,
    pub(super) issuer_missed: &'static str,
    pub(super) issuer_refused: &'static str,
    pub(super) issuer_away: &'static str,
    pub(super) at_issuer_title: &'static str,
    pub(super) at_issuer: &'static str,
    pub(super) refused: &'static str,
    pub(in crate::proxy) code_refused: &'static str,
    pub(super) try_later: &'static str,
    pub(super) busy: &'static str,
    pub(super) session_ended: &'static str,
    pub(super) no_code: &'static str,
    pub(super) enrolment_ended: &'static str,
    pub(super) ticket_refused: &'static str,
    pub(super) unchecked: &'static str,

    pub(super) recovery: &'static str,
    pub(super) recovery_lead: &'static str,
    pub(super) recovery_left: &'static str,
    pub(super) recovery_make: &'static str,
    pub(super) recovery_unproved: &'static str,
    pub(super) recovery_shown: &'static str,
    pub(super) recovery_instead: &'static str,
    pub(super) recovery_code: &'static str,
    pub(super) password_change: &'static str,
    pub(super) password_lead: &'static str,
    pub(super) password_unproved: &'static str,
    pub(super) password_old: &'static str,
    pub(super) password_new: &'static str,
    pub(super) password_rules: &'static str,
    pub(in crate::proxy) password_changed: &'static str,
    pub(super) password_is_old: &'static str,
    pub(super) invited: &'static str,
    pub(super) invited_lead: &'static str,
    pub(super) invited_set: &'static str,
    pub(super) welcome: &'static str,
    pub(super) welcome_lead: &'static str,
    pub(super) invitation_refused: &'static str,
    pub(super) password_length: &'static str,
    pub(super) password_name: &'static str,
    pub(super) password_common: &'static str,
    pub(super) password_guessable: &'static str,
    pub(super) password_same: &'static str,
}

impl Words {
    /// The language that the browser asks for, of those that there are.
    pub(in crate::proxy) fn of(headers: &HeaderMap) -> &'static Self {
        let lines = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
        let [mut best, ..] = LANGUAGES;
        let mut best_weight = 0;
        for named in lines.flat_map(|line| line.split(',')).take(MOST_NAMED) {
            let (tag, weight) = named.split_once(';').unwrap_or((named, "q=1"));
            let weight = thousandths(weight);
            if let Some(words) = Self::called(tag).filter(|_| weight > best_weight) {
                (best, best_weight) = (words, weight);
            }
        }
        best
    }

    /// The language of that tag, whatever its script and region.
    fn called(tag: &str) -> Option<&'static Self> {
        let primary =
            |tag: &str| tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        let asked = match primary(tag).as_str() {
            // As Indonesian was called before.
            "in" => "id".to_owned(),
            other => other.to_owned(),
        };
        LANGUAGES.into_iter().find(|words| primary(words.lang) == asked)
    }

    /// Why a step was not accepted. Nobody learns more than from the error's own text.
    pub(in crate::proxy) fn problem(&self, error: &SignInError) -> String {
        match error {
            SignInError::Refused | SignInError::Cloned { .. } => self.refused.to_owned(),
            SignInError::TryLater { retry_after_s } => {
                self.try_later.replace("{seconds}", &retry_after_s.to_string())
            }
            SignInError::Busy => self.busy.to_owned(),
            SignInError::SessionEnded => self.session_ended.to_owned(),
            SignInError::NoSecondFactor => self.no_code.to_owned(),
            SignInError::AtIssuer(issuer) => self.at_issuer.replace("{issuer}", issuer),
            SignInError::NoPasskey => self.passkey_none.to_owned(),
            SignInError::Unproved { level } => {
                self.codes_unproved.replace("{level}", &level.to_string())
            }
            SignInError::EnrolmentEnded => self.enrolment_ended.to_owned(),
            SignInError::Passkey(PasskeyFault::Ticket) => self.ticket_refused.to_owned(),
            SignInError::Issuer(fault) if fault.is_outage() => self.issuer_away.to_owned(),
            SignInError::Issuer(_) => self.issuer_refused.to_owned(),
            SignInError::Passkey(_) => self.passkey_refused.to_owned(),
            SignInError::Password(fault) => self.password_problem(*fault).to_owned(),
            SignInError::Invitation => self.invitation_refused.to_owned(),
            SignInError::Unchecked | SignInError::State(_) => self.unchecked.to_owned(),
        }
    }

    fn password_problem(&self, fault: PasswordFault) -> &'static str {
        match fault {
            PasswordFault::Length => self.password_length,
            PasswordFault::Name => self.password_name,
            PasswordFault::Common => self.password_common,
            PasswordFault::Guessable => self.password_guessable,
            PasswordFault::Same => self.password_same,
        }
    }
}

/// The weight `q=0.8` in thousandths; 0 for what is none (RFC 9110 section 12.4.2).
fn thousandths(weight: &str) -> u16 {
    let Some((name, value)) = weight.trim().split_once('=') else { return 0 };
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let digits = format!("{part:0<3}");
    match (name.trim(), whole, digits.parse::<u16>()) {
        ("q" | "Q", "1", Ok(0)) => 1000,
        ("q" | "Q", "0", Ok(part)) if digits.len() == 3 => part,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::collections::BTreeSet;

    const SOURCES: [&str; 5] = [
        include_str!("en.rs"),
        include_str!("zh.rs"),
        include_str!("th.rs"),
        include_str!("ko.rs"),
        include_str!("id.rs"),
    ];

    fn asked(text: &'static str) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(text));
        Words::of(&headers).lang
    }

    #[test]
    fn the_language_is_the_one_that_the_browser_wants_most() {
        for (text, lang) in [
            ("th", "th"),
            ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
            ("fr, id;q=0.5, en;q=0.4", "id"),
            ("in-ID", "id"),
            ("ZH-hant-TW", "zh-Hans"),
            ("en;q=0.2, zh-CN;q=0.9", "zh-Hans"),
            ("th;q=0, en", "en"),
            ("fr", "en"),
            ("*", "en"),
            ("", "en"),
            ("th;q=2", "en"),
            ("th;q=x, ko;q=0.1", "ko"),
            (";;;,,,=;q", "en"),
        ] {
            assert_eq!(asked(text), lang, "{text}");
        }
        assert_eq!(Words::of(&HeaderMap::new()).lang, "en");
    }

    /// What is filled into each text, by the text's name.
    fn filled_in(source: &str) -> Vec<(&str, BTreeSet<&str>)> {
        let texts = source.lines().filter_map(|line| line.trim().split_once(": \""));
        let named = texts.map(|(name, text)| {
            let braces = text.split('{').skip(1).filter_map(|part| part.split_once('}'));
            (name, braces.map(|(inner, _)| inner).collect())
        });
        named.collect()
    }

    #[test]
    fn every_language_fills_in_the_same() {
        let [english, ..] = SOURCES;
        assert!(filled_in(english).len() > 80);
        for source in SOURCES {
            assert_eq!(filled_in(source), filled_in(english));
        }
    }
}
