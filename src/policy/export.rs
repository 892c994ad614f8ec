//! Exports under limits: who may export at all, who only with a grant, and how much fits one answer.

use super::decide::Permit;
use super::denial::{Denial, DenialKind, Reason};
use super::judge::{Judgement, Query};
use super::limits::Export;
use super::model::{Action, Audience, LimitRule};
use super::program::Program;

impl Program {
    /// Why limits close this export to the caller; nothing where none does, or for other actions.
    pub(super) fn closed_exports(
        &self,
        query: &Query<'_>,
        judgement: &Judgement,
    ) -> impl Iterator<Item = Reason> {
        let closed = self.export_limits(query, judgement).filter(|(_, e)| *e == Export::None);
        closed.map(|(audience, _)| Reason::NoExport { audience })
    }

    /// An export that limits allow only with a grant needs one.
    pub(super) fn check_export_grant(
        &self,
        query: &Query<'_>,
        judgement: &Judgement,
    ) -> Result<(), Denial> {
        let needs_grant =
            |export: &Export| matches!(export, Export::Bounded { needs_grant: true, .. });
        let limits = self.export_limits(query, judgement).filter(|(_, e)| needs_grant(e));
        let reasons: Vec<Reason> =
            limits.map(|(audience, _)| Reason::ExportGrant { audience }).collect();
        if reasons.is_empty() || query.grant.is_some() {
            return Ok(());
        }
        Err(Denial::new(DenialKind::Grant, reasons))
    }

    /// Whether limits allow this export only with a grant.
    pub(super) fn export_needs_grant(&self, query: &Query<'_>, judgement: &Judgement) -> bool {
        let mut limits = self.export_limits(query, judgement);
        limits.any(|(_, export)| matches!(export, Export::Bounded { needs_grant: true, .. }))
    }

    /// What each limit about the caller says of this export, with whom the limit is about.
    fn export_limits(
        &self,
        query: &Query<'_>,
        judgement: &Judgement,
    ) -> impl Iterator<Item = (String, Export)> {
        let is_export = query.route.action() == Action::Export;
        let about = move |rule: &&LimitRule| {
            let includes = rule.to.includes(&judgement.lent.roles)
                && judgement.lent.is_of(rule.tenant.as_deref());
            is_export && includes && rule.on.includes(query.moment())
        };
        let limits = self.model.limits.iter().filter(about);
        limits.map(|rule| (self.audience(&rule.to), rule.limits.export))
    }

    /// Whom a limit is about, as its file names them.
    fn audience(&self, to: &Audience) -> String {
        let Audience::Roles(roles) = to else { return "`any`".to_owned() };
        let roles = roles.iter().filter_map(|index| self.model.roles.get(*index));
        let roles: Vec<String> = roles.map(|role| format!("`{}`", role.name)).collect();
        roles.join(", ")
    }
}

impl Permit {
    /// Records that one answer may hold: the page of a search, the rows of an export. Records inside
    /// others do not count.
    #[must_use]
    pub fn row_limit(&self) -> Option<u32> {
        match (self.action(), self.export()) {
            (Action::Search, _) => self.search().page_limit,
            (Action::Export, Export::Bounded { rows, .. }) => rows,
            (Action::Export, Export::None) => Some(0),
            (Action::View | Action::Create | Action::Update | Action::Delete | Action::Call, _) => {
                None
            }
        }
    }

    /// Whether the answer is a file that somebody takes out, which counts for the limit on files.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.route().gives_a_file()
    }

    /// Whether it asks whom there is, so that finding nobody counts.
    #[must_use]
    pub fn is_search(&self) -> bool {
        let route = self.route();
        self.action() == Action::Search && route.opaque.is_none() && !route.answers_constantly()
    }

    /// Whether an answer that reaches a limit is refused whole, rather than ended at a record.
    #[must_use]
    pub fn refuses_at_limits(&self) -> bool {
        self.limits().any(|scoped| scoped.limits.refuse_whole)
    }
}
