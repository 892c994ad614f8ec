//! Conditions, or parts of them, that say the same whatever they look at.

use super::super::expression::{Certainty, Condition, Constant};
use super::super::model::Effect;
use super::Warnings;
use crate::document::Code;

/// What a condition decides.
#[derive(Clone, Copy)]
enum Decides {
    Allow,
    Deny,
    Flag,
    Factor,
}

impl Warnings<'_> {
    pub(super) fn conditions(&mut self) {
        for rule in &self.model.rules {
            let decides = match rule.effect {
                Effect::Allow => Decides::Allow,
                Effect::Deny => Decides::Deny,
            };
            if let Some(factor) = &rule.factor {
                let name = format!("`step-up` of `{}`", rule.name);
                self.constants(&factor.condition, &name, Decides::Factor);
            }
            for (name, condition) in [("where", &rule.row), ("when", &rule.when)] {
                if let Some(condition) = condition {
                    self.constants(condition, &format!("`{name}` of `{}`", rule.name), decides);
                }
            }
        }
        for entity in &self.model.entities {
            for flag in &entity.flags {
                let name = format!("the flag `{}`", flag.name);
                self.constants(&flag.condition, &name, Decides::Flag);
            }
            for factor in &entity.factors {
                let name = format!("a `step-up` of `{}`", entity.name);
                self.constants(&factor.condition, &name, Decides::Factor);
            }
        }
    }

    fn constants(&mut self, condition: &Condition, name: &str, decides: Decides) {
        for constant in &condition.constants {
            let what = if constant.is_whole { name } else { "this part" };
            let message = match constant.certainty {
                Certainty::Always => format!("{what} is always true"),
                Certainty::Never => format!("{what} is never true"),
                Certainty::NeverFalse => format!("{what} is true of every value"),
            };
            self.add(constant.span, Code::ConstantCondition, message, help(constant, decides));
        }
    }
}

fn help(constant: &Constant, decides: Decides) -> &'static str {
    match (constant.certainty, constant.is_whole, decides) {
        (Certainty::NeverFalse, ..) => {
            "of `a != x || a != y` one part always holds: join them with `&&`, or use `in [x, y]`"
        }
        (_, false, _) => "leave it out, or correct it",
        (Certainty::Always, true, Decides::Allow | Decides::Deny) => {
            "leave it out if the rule is for every case, or correct it"
        }
        (Certainty::Never, true, Decides::Allow) => "so the rule gives nothing: correct it",
        (Certainty::Never, true, Decides::Deny) => {
            "so the rule applies only where it cannot be evaluated: correct it"
        }
        (Certainty::Always, true, Decides::Flag) => "every record is flagged: correct it",
        (Certainty::Always, true, Decides::Factor) => {
            "it is asked for on every record: a grade or `require` says so shorter"
        }
        (Certainty::Never, true, Decides::Factor) => {
            "it is asked for only where it cannot be evaluated: correct it"
        }
        (Certainty::Never, true, Decides::Flag) => {
            "a record is flagged only where it cannot be evaluated: correct it"
        }
    }
}
