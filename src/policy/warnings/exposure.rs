//! Defaults that open more than their author may think: low grades, outsiders, everybody, exports without a
//! bound, limits that limit nothing.

use super::super::limits::{Export, Limits};
use super::super::model::{
    Action, Audience, Effect, Entity, Field, Grade, Model, Role, Route, Rule,
};
use super::super::planner::UNMASKED_FROM;
use super::Warnings;
use crate::document::Code;

impl Warnings<'_> {
    pub(super) fn exposure(&mut self) {
        self.weak_grades();
        self.open_to_any();
        self.outsiders();
        self.unlimited_exports();
        self.idle_limits();
    }

    fn weak_grades(&mut self) {
        for entity in &self.model.entities {
            for field in &entity.fields {
                let (Grade::Open(grade), Some(kind)) = (field.grade, field.kind) else { continue };
                let usual = kind.usual_grade();
                if grade < usual {
                    let message = format!(
                        "`{}.{}` is a {} of grade {grade}; its kind usually has {usual}",
                        entity.name,
                        field.path,
                        kind.name()
                    );
                    let help = format!("raise the grade to {usual}, or correct the kind");
                    self.add(field.span, Code::WeakGrade, message, &help);
                }
            }
        }
    }

    /// A rule that looks at who asks, such as one for everybody's own record, is meant for all.
    fn open_to_any(&mut self) {
        for rule in &self.model.rules {
            let conditions = [&rule.row, &rule.when];
            let mut conditions = conditions.iter().copied().flatten();
            let is_bound = rule.require.grant
                || conditions.any(|condition| condition.expression.looks_at_the_caller());
            let is_for_any = matches!(rule.to, Audience::Any) && rule.effect == Effect::Allow;
            if !is_for_any || is_bound {
                continue;
            }
            if let Some(shown) = self.in_clear(rule, 2) {
                let message = format!("every caller, whatever their role, sees {shown} in clear");
                let help =
                    "name the roles in `to`, or let `where` compare the record with `caller`";
                self.add(rule.span, Code::OpenToAny, message, help);
            }
        }
    }

    /// A rule for outsiders alone that says which records or what for is meant.
    fn outsiders(&mut self) {
        for role in self.model.roles.iter().filter(|role| role.external) {
            for rule in allowing(self.model, role) {
                let is_narrowed =
                    rule.row.is_some() || rule.when.is_some() || !rule.purposes.is_empty();
                if rule.require.grant || (is_narrowed && self.is_for_outsiders(&rule.to)) {
                    continue;
                }
                if let Some(shown) = self.in_clear(rule, UNMASKED_FROM) {
                    let message =
                        format!("`{}`, a role of outsiders, sees {shown} in clear", role.name);
                    let help = "make a rule for outsiders alone, with the fields, records and purpose they need";
                    self.add(rule.span, Code::ExternalSight, message, help);
                }
            }
            let sees_people = allowing(self.model, role).any(|rule| self.counts_people(rule));
            if sees_people && !self.is_limited(role, |limits| !limits.subjects.is_empty()) {
                let message = format!(
                    "nothing limits how many people `{}`, a role of outsiders, sees",
                    role.name
                );
                let help =
                    format!("add to `limits`: `{{ to: {}, subjects: 1000/day }}`", role.name);
                self.add(role.span, Code::ExternalUncounted, message, &help);
            }
        }
    }

    fn is_for_outsiders(&self, audience: &Audience) -> bool {
        match audience {
            Audience::Any => false,
            Audience::Roles(roles) => {
                let mut roles = roles.iter().filter_map(|role| self.model.roles.get(*role));
                roles.all(|role| role.external)
            }
        }
    }

    fn unlimited_exports(&mut self) {
        for rule in &self.model.rules {
            if rule.effect == Effect::Deny || !self.counts_people(rule) {
                continue;
            }
            let opens = |route: &&Route| {
                rule.covers(route) && rule.of.is_none_or(|entity| route.main.contains(&entity))
            };
            let mut routes = self.model.routes.iter().filter(opens);
            if !routes.any(|route| route.action == Action::Export) {
                continue;
            }
            let who = match &rule.to {
                Audience::Any if self.everybody_is_bounded() => continue,
                Audience::Any => "any",
                Audience::Roles(roles) => {
                    let mut roles = roles.iter().filter_map(|role| self.model.roles.get(*role));
                    let Some(role) = roles.find(|role| !self.is_limited(role, bounds_exports))
                    else {
                        continue;
                    };
                    role.name.as_ref()
                }
            };
            let message =
                format!("`{}` lets `{who}` export people's records without a limit", rule.name);
            let help = format!(
                "add to `limits`: `{{ to: {who}, records: 20000/day }}`, or `subjects`, `files` or `export`"
            );
            self.add(rule.span, Code::UnlimitedExport, message, &help);
        }
    }

    /// `export: none` is not idle: it holds for routes to come.
    fn idle_limits(&mut self) {
        let routes = &self.model.routes;
        let exports = routes.iter().any(|route| route.action == Action::Export);
        let files = exports || routes.iter().any(|route| route.opaque.is_some());
        let is_high = |field: &Field| field.grade >= Grade::Open(UNMASKED_FROM);
        let opaque = |route: &Route| route.opaque.as_ref().is_some_and(|opaque| opaque.unmasks());
        let mut entities = self.model.entities.iter();
        let unmasks =
            entities.any(|entity| entity.fields.iter().any(is_high)) || routes.iter().any(opaque);
        for limit in &self.model.limits {
            if !routes.iter().any(|route| limit.on.concerns(route)) {
                let message =
                    "the limit counts nothing: no route is what its `on` names".to_owned();
                self.add(limit.span, Code::IdleLimit, message, "remove it, or correct `on`");
            }
            let limits = &limit.limits;
            let is_bounded = !matches!(
                limits.export,
                Export::None | Export::Bounded { rows: None, needs_grant: false }
            );
            let idle = [
                ("export", is_bounded && !exports, "no route has the action `export`"),
                ("files", !limits.files.is_empty() && !files, "no route exports or gives files"),
                ("unmask", !limits.unmask.is_empty() && !unmasks, "no field has grade 3 or 4"),
            ];
            for (key, _, why) in idle.into_iter().filter(|(_, is_idle, _)| *is_idle) {
                let message = format!("the limit `{key}` limits nothing: {why}");
                self.add(limit.span, Code::IdleLimit, message, "remove it, or correct the routes");
            }
        }
    }

    /// What of `grade` or more a rule shows in clear on some route: a field, or an answer that passes unread.
    fn in_clear(&self, rule: &Rule, grade: u8) -> Option<String> {
        let covered = || self.model.routes.iter().filter(|route| rule.covers(route));
        let high = |route: &&Route| route.opaque.as_ref().is_some_and(|o| o.grade >= grade);
        if let Some(route) = covered().find(high) {
            return Some(format!("the answers of `{}`", route.name));
        }
        let entity: &Entity = self.model.entities.get(rule.of?)?;
        if !covered().any(Route::gives_a_body) {
            return None;
        }
        let fields = rule.clear.iter().filter_map(|at| entity.fields.get(usize::from(*at)));
        let mut shown = fields.filter(|field| field.grade >= Grade::Open(grade));
        let first = shown.next()?;
        Some(match shown.count() {
            0 => format!("`{}.{}`", entity.name, first.path),
            more => format!("`{}.{}` and {more} more", entity.name, first.path),
        })
    }

    /// Whether a rule shows anything of records that are about people.
    fn counts_people(&self, rule: &Rule) -> bool {
        let entity = rule.of.and_then(|of| self.model.entities.get(of));
        let has_subject = entity.is_some_and(|entity| entity.subject.is_some());
        let mut routes = self.model.routes.iter().filter(|route| rule.covers(route));
        let shows = rule.names_fields();
        routes.any(|route| match &route.opaque {
            Some(opaque) => opaque.subject.is_some() || has_subject,
            None => has_subject && shows && route.gives_a_body(),
        })
    }

    /// Whether some limit that binds every holder of the role does what is asked.
    fn is_limited(&self, role: &Role, does: fn(&Limits) -> bool) -> bool {
        let mut limits = self.model.limits.iter();
        limits
            .any(|limit| limit.on.is_all() && limit.to.includes(&role.held) && does(&limit.limits))
    }

    fn everybody_is_bounded(&self) -> bool {
        let mut limits = self.model.limits.iter();
        limits.any(|limit| {
            matches!(limit.to, Audience::Any) && limit.on.is_all() && bounds_exports(&limit.limits)
        })
    }
}

/// The rules that allow a holder of the role something.
fn allowing<'m>(model: &'m Model, role: &Role) -> impl Iterator<Item = &'m Rule> {
    let allows = |rule: &&Rule| rule.effect == Effect::Allow && rule.to.includes(&role.held);
    model.rules.iter().filter(allows)
}

/// Whether a limit says how much may be taken out.
fn bounds_exports(limits: &Limits) -> bool {
    let windows = [&limits.records, &limits.subjects, &limits.kibibytes, &limits.files];
    windows.iter().any(|windows| !windows.is_empty()) || limits.export != Export::default()
}
