//! What goes wrong with records: counts that betray them, more tests than a plan holds, searches that were
//! not declared, people who are not counted, tenants that cannot be tested.

use super::super::linked::Asked;
use super::super::model::{BodyShape, Effect, Entity, Field, Grade, Route, Rule, Scalar};
use super::super::rows::ROW_TEST_LIMIT;
use super::Warnings;
use crate::document::Code;

impl Warnings<'_> {
    pub(super) fn records(&mut self) {
        self.betraying_counts();
        self.many_conditions();
        self.undeclared_searches();
        self.uncounted_people();
        self.unread_tenants();
        self.ungraded_fields();
    }

    /// What came from a description of the backend and nobody has looked at yet.
    fn ungraded_fields(&mut self) {
        for entity in &self.model.entities {
            let ungraded = || entity.fields.iter().filter(|field| field.grade == Grade::Ungraded);
            let Some(first) = ungraded().next() else { continue };
            let count = ungraded().count();
            let fields = if count == 1 { "field has" } else { "fields have" };
            let message = format!("{count} {fields} no grade in `{}`", entity.name);
            let help = "nobody sees them: give each a grade, or mark it `sealed`";
            self.add(first.span, Code::UngradedFields, message, help);
        }
    }

    fn betraying_counts(&mut self) {
        for route in &self.model.routes {
            let mut rules = route.rules.iter().filter_map(|at| self.model.rules.get(*at));
            let mut entities = route.entities.iter().filter_map(|at| self.model.entities.get(*at));
            let counts = route.returns.as_ref().is_some_and(|body| has_count(&body.shape));
            let takes = |rule: &Rule| {
                rule.row.is_some() || rule.factor.is_some() || rule.require.link.is_must()
            };
            let filtered =
                rules.any(takes) || entities.any(may_lose_records) || route.require.link.is_must();
            if counts && filtered {
                let message =
                    format!("`{}` passes a count that tells of withheld records", route.name);
                let help = "it is withheld wherever a row condition or a flag is tested";
                self.add(route.span, Code::BetrayingCount, message, help);
            }
        }
    }

    fn many_conditions(&mut self) {
        for route in &self.model.routes {
            for entity in &route.entities {
                let tests = self.row_tests(route, *entity);
                if tests > ROW_TEST_LIMIT {
                    let message = format!(
                        "{tests} row conditions, flags, step-ups, tenants and cases on `{}`: a caller to whom \
                         more than {ROW_TEST_LIMIT} apply is denied",
                        route.name
                    );
                    self.add(route.span, Code::ManyConditions, message, "");
                }
            }
        }
    }

    /// What is tested on a record where all rules of the route apply.
    fn row_tests(&self, route: &Route, index: usize) -> usize {
        let Some(entity) = self.model.entities.get(index) else { return 0 };
        let rules = route.rules.iter().filter_map(|at| Some((*at, self.model.rules.get(*at)?)));
        let rules: Vec<(usize, &Rule)> = rules.filter(|(_, rule)| rule.of == Some(index)).collect();
        let mut texts: Vec<(&str, bool)> = rules
            .iter()
            .filter_map(|(_, rule)| {
                Some((rule.row.as_ref()?.text.as_ref(), rule.effect == Effect::Deny))
            })
            .collect();
        texts.sort_unstable();
        texts.dedup();
        let marks = entity.flags.len() + usize::from(entity.tenant.is_some());
        let factors = rules.iter().filter(|(_, rule)| rule.factor.is_some()).count();
        let asked = Asked::of(self.model, route, route.main.contains(&index));
        texts.len() + marks + factors + entity.factors.len() + asked.tests(entity, &rules)
    }

    /// `/by-phone/{phone}` searches by phone, whether the policy says so or not.
    fn undeclared_searches(&mut self) {
        for route in &self.model.routes {
            for parameter in route.template.parameters() {
                let Some((field, is_sealed)) = self.field_like(route, parameter) else { continue };
                let message = format!(
                    "`{{{parameter}}}` is named like `{field}`, but everybody may search `{}` by it",
                    route.name
                );
                let help = if is_sealed {
                    "nobody may search by a sealed field: rename the parameter if it is a key, or remove the route".to_owned()
                } else {
                    format!(
                        "write `path: {{ {parameter}: {field} }}`: then only who sees the field in clear may"
                    )
                };
                self.add(route.span, Code::UndeclaredSearch, message, &help);
            }
        }
    }

    /// The field of grade 2 or more of an entity that the route is about which is named like a
    /// parameter of its path that is not said to search anything; and whether it is sealed.
    fn field_like(&self, route: &Route, parameter: &str) -> Option<(String, bool)> {
        if route.searches(parameter).is_some() {
            return None;
        }
        let wanted = plain(parameter);
        let entities = route.main.iter().filter_map(|at| self.model.entities.get(*at));
        let mut fields = entities.flat_map(|entity| entity.fields.iter().map(move |f| (entity, f)));
        let (entity, field) = fields.find(|(_, field)| {
            let last = field.path.rsplit('.').next().unwrap_or_default();
            let is_graded = field.grade > Grade::Open(1) && field.grade != Grade::Ungraded;
            is_graded && (plain(last) == wanted || plain(&field.path) == wanted)
        })?;
        Some((format!("{}.{}", entity.name, field.path), field.grade == Grade::Sealed))
    }

    /// Only what comes out by itself: a record inside another counts for that one's subject.
    fn uncounted_people(&mut self) {
        for (index, entity) in self.model.entities.iter().enumerate() {
            let returns = |route: &Route| {
                route.returns.as_ref().is_some_and(|body| body.entities.contains(&index))
            };
            let is_returned = self.model.routes.iter().any(returns);
            let Some(field) = entity.fields.iter().find(|field| is_personal(field)) else {
                continue;
            };
            if entity.subject.is_none() && is_returned {
                let message = format!(
                    "`{}` has no `subject`: nobody whose `{}` leaves is counted or named in the log",
                    entity.name, field.path
                );
                let help = "name the field that is the person's key: `subject: id`";
                self.add(entity.span, Code::NoSubject, message, help);
            }
        }
    }

    fn unread_tenants(&mut self) {
        for route in &self.model.routes {
            let acts = route.action.changes_a_record() || route.opaque.is_some();
            let entities = || route.main.iter().filter_map(|at| self.model.entities.get(*at));
            let Some(entity) = entities().find(|entity| entity.tenant.is_some()) else { continue };
            if acts && route.reads.is_none() && self.is_opened(route) {
                let message = format!(
                    "who is confined to a tenant is refused on `{}`: no `{}` is read before, so that \
                     nothing tells whose it is",
                    route.name, entity.name
                );
                let help = "give the route `reads: VIEW-ROUTE`";
                self.add(route.span, Code::TenantUnread, message, help);
            }
        }
    }

    /// Whether some rule opens the route.
    pub(super) fn is_opened(&self, route: &Route) -> bool {
        let mut rules = route.rules.iter().filter_map(|at| self.model.rules.get(*at));
        rules.any(|rule| {
            let opens = rule.of.is_none_or(|entity| route.main.contains(&entity));
            rule.effect == Effect::Allow && opens
        })
    }
}

/// Whether a field tells something of a person that is not for everybody.
fn is_personal(field: &Field) -> bool {
    match field.grade {
        Grade::Open(grade) => {
            let kind = field.kind.map_or(1, |kind| kind.usual_grade());
            grade >= 3 || (grade == 2 && kind >= 2)
        }
        Grade::Sealed | Grade::Ungraded => false,
    }
}

/// Whether some of its records are not there for everybody, whatever the rules say.
fn may_lose_records(entity: &Entity) -> bool {
    !entity.flags.is_empty() || entity.factors.iter().any(|factor| factor.fields.is_none())
}

/// A name without what naming styles differ in.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn has_count(shape: &BodyShape) -> bool {
    match shape {
        BodyShape::Entity(_) => false,
        // Who calls it a total knows what it tells.
        BodyShape::Pass(scalar) => *scalar == Scalar::Count,
        BodyShape::Array(inner) => has_count(inner),
        BodyShape::Object(members) => members.iter().any(|(_, shape)| has_count(shape)),
    }
}
