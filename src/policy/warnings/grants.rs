//! Grade 4 that one person alone may open for another.

use super::super::two_person::GRADE_4;
use super::Warnings;
use crate::document::Code;

impl Warnings<'_> {
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
