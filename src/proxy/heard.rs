//! What data subjects said, as one request heard it: which consents opened records or withheld them, for its entry.
//! Never whom they are of.

use std::sync::{Arc, Mutex, PoisonError};

use crate::policy::{Said, Ties};

/// The most answers that an entry names; there are few purposes, kinds and notices.
const MOST: usize = 32;

/// Who knows what ties the caller and what subjects said, and which answers were heard.
#[derive(Debug)]
pub(super) struct Heard {
    ties: Arc<dyn Ties>,
    answers: Mutex<Vec<Answered>>,
}

/// One answer: to which purpose, to which third party, and what.
#[derive(Debug)]
struct Answered {
    purpose: Box<str>,
    to: Box<str>,
    said: Option<Said>,
}

impl Heard {
    /// Nothing was heard yet.
    pub(super) fn new(ties: &Arc<dyn Ties>) -> Self {
        Self { ties: Arc::clone(ties), answers: Mutex::default() }
    }

    /// Each answer in words: `marketing explicit/3`, `partners@acme no`.
    pub(super) fn words(&self) -> Vec<String> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words: Vec<String> = answers.iter().map(Answered::words).collect();
        words.sort_unstable();
        words
    }

    fn note(&self, purpose: &str, to: &str, said: Option<Said>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |one: &Answered| *one.purpose == *purpose && *one.to == *to && one.said == said;
        if answers.len() < MOST && !answers.iter().any(is_it) {
            answers.push(Answered { purpose: purpose.into(), to: to.into(), said });
        }
    }
}

impl Answered {
    fn words(&self) -> String {
        let Self { purpose, to, said } = self;
        let to = if to.is_empty() { String::new() } else { format!("@{to}") };
        let said = match said {
            None => "unknown".to_owned(),
            Some(Said::Nothing) => "nothing".to_owned(),
            Some(Said::No) => "no".to_owned(),
            Some(Said::Yes { kind, notice: 0 }) => kind.name().to_owned(),
            Some(Said::Yes { kind, notice }) => format!("{}/{notice}", kind.name()),
        };
        format!("{purpose}{to} {said}")
    }
}

impl Ties for Heard {
    fn ties(&self, account: &str, kind: &str, entity: &str, subject: &str) -> bool {
        self.ties.ties(account, kind, entity, subject)
    }

    fn said(&self, entity: &str, subject: &str, purpose: &str, to: Option<&str>) -> Option<Said> {
        let said = self.ties.said(entity, subject, purpose, to);
        self.note(purpose, to.unwrap_or_default(), said);
        said
    }

    fn is_marked(&self, entity: &str, subject: &str, mark: &str) -> Option<bool> {
        self.ties.is_marked(entity, subject, mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{ConsentKind, KnownCases};

    #[test]
    fn each_answer_is_told_once_without_whose_it_is_and_as_many_as_fit() {
        let mut known = KnownCases::default();
        let yes = Said::Yes { kind: ConsentKind::Explicit, notice: 3 };
        known.say("customer", "C1", ("marketing", ""), yes);
        known.say("customer", "C2", ("marketing", ""), yes);
        known.say("customer", "C3", ("marketing", ""), Said::No);
        let heard = Heard::new(&(Arc::new(known) as Arc<dyn Ties>));
        for subject in ["C1", "C2", "C3", "C4", "C1"] {
            heard.said("customer", subject, "marketing", None);
        }
        heard.said("customer", "C1", "marketing", Some("acme"));
        let told = heard.words();
        let expected =
            ["marketing explicit/3", "marketing no", "marketing nothing", "marketing@acme nothing"];
        assert_eq!(told, expected);
        for number in 0..100 {
            heard.said("customer", "C1", &format!("purpose-{number}"), None);
        }
        assert_eq!(heard.words().len(), MOST);
    }
}
