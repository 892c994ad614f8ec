//! What explanations say of cases: who asks for one, and which ties the caller, or that none does.

use super::explain::Stage;
use super::judge::{Judgement, Query};
use super::model::{Effect, Grade, Requirement};
use super::program::Program;
use super::ties::{CaseKinds, Missing};

/// On which records a rule applies, where it asks for a case.
pub(super) fn on_tied(requirement: &Requirement) -> Option<String> {
    let CaseKinds { missing, .. } = &requirement.link;
    let words = requirement.link.words();
    let on = match missing {
        Missing::Deny => format!("on records of those to whom {words} ties the caller"),
        Missing::Flag => format!("wants that {words} ties the caller"),
    };
    (!requirement.link.is_empty()).then_some(on)
}

impl Program {
    /// What a grade asks of cases, beside a field that is shown in clear.
    pub(super) fn link_of_grade(&self, grade: u8) -> Option<String> {
        let kinds = self.kinds_of_grade(grade)?;
        Some(format!("grade {grade} asks for {}", kinds.words()))
    }

    fn kinds_of_grade(&self, grade: u8) -> Option<&CaseKinds> {
        let requirement = self.model.requirement_of(grade)?;
        Some(&requirement.link).filter(|kinds| !kinds.is_empty())
    }

    /// Who asks for a case, and what is known of it: a line for each who asks.
    pub(super) fn link_stages(&self, query: &Query<'_>, judgement: &Judgement) -> Vec<Stage> {
        let asking = self.asking(query, judgement).into_iter();
        let stage = |(asker, kinds): (String, &CaseKinds)| {
            let known = self.known(query, kinds);
            Stage { name: "link", finding: format!("{asker} asks for {}: {known}", kinds.words()) }
        };
        asking.map(stage).collect()
    }

    /// The route, the grade of its file, the grades of fields that rules show, and rules.
    fn asking(&self, query: &Query<'_>, judgement: &Judgement) -> Vec<(String, &CaseKinds)> {
        let route = &query.route;
        let mut asking = Vec::new();
        if let Some(at) = self.routes.get(route.index)
            && !at.require.link.is_empty()
        {
            asking.push(("the route".to_owned(), &at.require.link));
        }
        let applied = judgement.applied();
        let rules = applied.iter().filter_map(|at| self.model.rules.get(*at));
        let rules: Vec<_> = rules.filter(|rule| rule.effect == Effect::Allow).collect();
        for grade in 1..=4_u8 {
            let shows = rules.iter().any(|rule| {
                let entity = rule.of.and_then(|of| self.model.entities.get(of));
                let grade_of = |at: &u16| entity?.fields.get(usize::from(*at)).map(|f| f.grade);
                rule.clear.iter().any(|at| grade_of(at) == Some(Grade::Open(grade)))
            });
            let is_file = route.opaque.as_ref().is_some_and(|opaque| opaque.grade == grade);
            if let Some(kinds) = self.kinds_of_grade(grade).filter(|_| shows || is_file) {
                asking.push((format!("grade {grade}"), kinds));
            }
        }
        let of_rules = rules.iter().filter(|rule| !rule.require.link.is_empty());
        asking
            .extend(of_rules.map(|rule| (format!("the rule `{}`", rule.name), &rule.require.link)));
        asking
    }

    /// Which of the kinds ties the caller to whom the path is about, or that none does. What the path does not tell
    /// each record does.
    fn known(&self, query: &Query<'_>, kinds: &CaseKinds) -> String {
        let told = self.subject_parameter(query.route).and_then(|(entity, parameter, _)| {
            let (_, key) = query.params.iter().find(|(name, _)| name == parameter)?;
            Some((entity, key.as_str()))
        });
        let Some((entity, key)) = told else {
            return "judged record by record, by whom each is about".to_owned();
        };
        let account = &query.principal.account;
        let tied =
            |kind: &&str| query.ties.is_some_and(|ties| ties.ties(account, kind, entity, key));
        match kinds.iter().find(tied) {
            Some(kind) => format!("`{kind}` ties `{account}` and {entity} `{key}`"),
            None => format!("missing, none ties `{account}` and {entity} `{key}`"),
        }
    }
}
