//! What one person may do alone: open grade 4 for another, or say that nothing takes two any more.

use super::super::two_person::{GRADE_4, POLICIES};
use super::Warnings;
use crate::document::Code;

impl Warnings<'_> {
    pub(super) fn two_person(&mut self) {
        let Some(span) = self.model.two_person_at else { return };
        let holds = |word: &&str| self.model.two_person.iter().any(|known| **known == **word);
        if POLICIES.iter().any(holds) {
            return;
        }
        let message = "whoever writes the policy takes this out alone: no word of it makes that wait for a second person";
        let help = "add `policy`: what makes something wider then waits for two, and so does a word that is taken out";
        self.add(span, Code::LooseWords, message.to_owned(), help);
    }

    pub(super) fn grants(&mut self) {
        if self.model.two_person.iter().any(|word| **word == *GRADE_4) {
            return;
        }
        let alone = |grade: u8, number: u8| grade >= 4 && number < 2;
        let lax = self.model.grants.iter().filter(|rule| alone(rule.grade, rule.terms.number));
        let spans: Vec<_> = lax.map(|rule| rule.span).collect();
        for span in spans {
            let message = "one person alone agrees here to what opens grade 4";
            let help = "ask two with `number: 2`, or of all entries with `two-person: grade-4`";
            self.add(span, Code::LoneUnlock, message.to_owned(), help);
        }
    }
}
