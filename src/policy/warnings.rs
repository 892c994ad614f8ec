//! What is suspicious in a policy but no fault.

use super::model::{Audience, BodyShape, Effect, Grade, Model, Route};
use super::rows::ROW_TEST_LIMIT;
use crate::document::{Code, Fault};
use crate::document::{Source, Span};

/// All warnings, in the order of files and lines.
pub(super) fn find(model: &Model, sources: &[Source]) -> Vec<Fault> {
    let mut warnings = Warnings { model, sources, found: Vec::new() };
    warnings.dead_actions();
    warnings.closed_routes();
    warnings.unseen_fields();
    warnings.ungraded_fields();
    warnings.betraying_counts();
    warnings.many_conditions();
    warnings.idle_roles();
    warnings.undeclared_searches();
    warnings.found.sort();
    warnings.found
}

struct Warnings<'a> {
    model: &'a Model,
    sources: &'a [Source],
    found: Vec<Fault>,
}

impl Warnings<'_> {
    fn add(&mut self, span: Span, code: Code, message: String, help: &str) {
        let help = (!help.is_empty()).then(|| help.to_owned());
        self.found.push(Fault::at(self.sources, span, code, message).with_help(help));
    }

    fn dead_actions(&mut self) {
        for rule in &self.model.rules {
            for action in &rule.actions {
                let met = |route: &&Route| route.action == *action && rule.covers(route);
                if !self.model.routes.iter().any(|route| met(&route)) {
                    let message = format!("no route matches this rule's action `{action}`");
                    self.add(rule.span, Code::DeadAction, message, "");
                }
            }
        }
    }

    fn closed_routes(&mut self) {
        for route in &self.model.routes {
            let rules = route.rules.iter().filter_map(|at| self.model.rules.get(*at));
            let opens = |of: Option<usize>| of.is_none_or(|entity| route.main.contains(&entity));
            if !rules.into_iter().any(|rule| rule.effect == Effect::Allow && opens(rule.of)) {
                let message = format!("no rule opens the route `{}`", route.name);
                let help = match route.opaque {
                    Some(_) => "only a rule that names it with `route` opens an opaque route",
                    None => "nobody may use it",
                };
                self.add(route.span, Code::ClosedRoute, message, help);
            }
        }
    }

    fn unseen_fields(&mut self) {
        for (index, entity) in self.model.entities.iter().enumerate() {
            let rules = || self.model.rules.iter().filter(|rule| rule.of == Some(index));
            let seen = rules()
                .filter(|rule| rule.effect == Effect::Allow)
                .flat_map(|rule| [&rule.clear, &rule.masked, &rule.pseudonym, &rule.write])
                .flatten();
            // What a body carries, or a condition or the tenant is read from, has its use without being shown, and
            // cannot be sealed.
            let flags = entity.flags.iter().map(|flag| &flag.condition);
            let rows = rules().filter_map(|rule| rule.row.as_ref());
            let read = flags.chain(rows).flat_map(|condition| &condition.fields);
            let used: Vec<u16> = seen.chain(read).chain(&entity.tenant).chain(&entity.subject).copied().collect();
            for (at, field) in entity.fields.iter().enumerate() {
                let has_use = used.iter().any(|used| usize::from(*used) == at);
                if !has_use && field.grade.is_open() {
                    let message = format!("nobody may see `{}.{}`", entity.name, field.path);
                    self.add(
                        field.span,
                        Code::UnseenField,
                        message,
                        "mark it `sealed` if that is meant",
                    );
                }
            }
        }
    }

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
            let filtered = rules.any(|rule| rule.row.is_some())
                || entities.any(|entity| !entity.flags.is_empty());
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
                let rules = route.rules.iter().filter_map(|at| self.model.rules.get(*at));
                let of = rules.filter(|rule| rule.of == Some(*entity));
                let mut texts: Vec<(&str, bool)> = of
                    .filter_map(|rule| {
                        Some((rule.row.as_ref()?.text.as_ref(), rule.effect == Effect::Deny))
                    })
                    .collect();
                texts.sort_unstable();
                texts.dedup();
                let marks =
                    self.model.entities.get(*entity).map_or(0, |entity| {
                        entity.flags.len() + usize::from(entity.tenant.is_some())
                    });
                let tests = texts.len() + marks;
                if tests > ROW_TEST_LIMIT {
                    let message = format!(
                        "{tests} row conditions, flags and tenants on `{}`: a caller to whom more than \
                         {ROW_TEST_LIMIT} apply is denied",
                        route.name
                    );
                    self.add(route.span, Code::ManyConditions, message, "");
                }
            }
        }
    }

    fn idle_roles(&mut self) {
        let audiences = self.model.rules.iter().map(|rule| &rule.to);
        let audiences = audiences.chain(self.model.limits.iter().map(|rule| &rule.to));
        let mut named: Vec<usize> = Vec::new();
        for audience in audiences {
            if let Audience::Roles(roles) = audience {
                named.extend(roles);
            }
        }
        for role in &self.model.roles {
            if !role.held.iter().any(|held| named.contains(held)) {
                let message = format!("no rule or limit is about the role `{}`", role.name);
                self.add(role.span, Code::IdleRole, message, "");
            }
        }
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
}

/// A name without what naming styles differ in.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn has_count(shape: &BodyShape) -> bool {
    match shape {
        BodyShape::Entity(_) => false,
        BodyShape::Pass(count) => *count,
        BodyShape::Array(inner) => has_count(inner),
        BodyShape::Object(members) => members.iter().any(|(_, shape)| has_count(shape)),
    }
}
