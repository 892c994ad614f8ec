//! The policy's question about one request, kept whole: it is asked of the program in force, and may
//! be asked of another one while the answer is under way.

use std::sync::Arc;

use super::entrance::Entrance;
use super::head::Head;
use super::query;
use crate::guard::parameters;
use crate::identity::Caller;
use crate::listen::Facts;
use crate::policy::{
    Denial, Grant, Permit, Principal, Program, Query, Route, RouteMatch, StepUp, Ties,
};
use crate::route::Path;

/// Who asks for what, from where and when.
pub(super) struct Question {
    entrance: Entrance,
    zone: Arc<str>,
    principal: Arc<Principal>,
    method: String,
    host: String,
    path: Path,
    purpose: Option<String>,
    ticket: Option<String>,
    /// The parameters of the query string, where a grant is about a search.
    search: Option<Vec<(String, String)>>,
    /// What the caller holds, the narrowest first.
    grants: Vec<Arc<Grant>>,
    /// Who knows which cases tie the caller to whom.
    ties: Option<Arc<dyn Ties>>,
    now_unix_s: i64,
}

impl Question {
    pub(super) fn new(
        entrance: Entrance,
        head: &Head,
        caller: &Caller,
        roles_elsewhere: Vec<String>,
        facts: &Facts,
        now_unix_s: i64,
    ) -> Self {
        Self {
            entrance,
            zone: Arc::clone(&facts.zone),
            principal: Arc::new(query::principal(caller, roles_elsewhere, facts.peer.ip())),
            method: head.method.as_str().to_owned(),
            host: head.host.clone(),
            path: head.path.clone(),
            purpose: head.purpose.clone(),
            ticket: head.ticket.clone(),
            search: None,
            grants: Vec::new(),
            ties: None,
            now_unix_s,
        }
    }

    /// The same, asked with who knows which cases tie the caller to whom.
    pub(super) fn tied_by(self, ties: Arc<dyn Ties>) -> Self {
        Self { ties: Some(ties), ..self }
    }

    /// The program that the request began with.
    pub(super) fn program(&self) -> &Arc<Program> {
        &self.entrance.program
    }

    /// The route that it meets.
    pub(super) fn route(&self) -> &Route {
        &self.entrance.found.route
    }

    /// Who asks, as conditions see them.
    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The purpose that was declared.
    pub(super) fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }

    /// Where the request came in.
    pub(super) fn zone(&self) -> &str {
        &self.zone
    }

    /// The parameters of the path.
    pub(super) fn params(&self) -> &[(String, String)] {
        &self.entrance.found.params
    }

    /// Asks the program that the request began with.
    ///
    /// # Errors
    /// [`Denial`].
    pub(super) fn decide(&self) -> Result<Permit, Denial> {
        self.decide_by(&self.entrance.program, &self.asked())
    }

    /// The denial to be told where a record that was read asks for a factor; `None` where showing it would not help.
    pub(super) fn asks_on_record(&self, permit: &Permit, asked: &StepUp) -> Option<Denial> {
        self.program().asks_on_record(&Query { grant: permit.grant(), ..self.asked() }, asked)
    }

    /// Asks another program; `None` if it publishes nothing there.
    pub(super) fn decide_on(&self, program: &Program) -> Option<Result<Permit, Denial>> {
        let found = program.find(&self.zone, &self.host, &self.method, &self.path)?;
        Some(self.decide_by(program, &self.query(&found)))
    }

    /// Asks a program as of another time, with the roles that the person has elsewhere by then; `None` if it publishes
    /// nothing there.
    pub(super) fn decide_at(
        &self,
        program: &Program,
        roles_elsewhere: Vec<String>,
        now_unix_s: i64,
    ) -> Option<Result<Permit, Denial>> {
        let found = program.find(&self.zone, &self.host, &self.method, &self.path)?;
        let mut principal = Arc::clone(&self.principal);
        if principal.roles_elsewhere != roles_elsewhere {
            Arc::make_mut(&mut principal).roles_elsewhere = roles_elsewhere;
        }
        let query = Query { principal: &principal, now_unix_s, ..self.query(&found) };
        Some(self.decide_by(program, &query))
    }

    /// The question itself, as far as it is about the route that it meets.
    pub(super) fn asked(&self) -> Query<'_> {
        self.query(&self.entrance.found)
    }

    /// Brings what the caller was granted; `query` is the query string as it was sent.
    pub(super) fn bring(&mut self, grants: Vec<Arc<Grant>>, query: Option<&str>) {
        if grants.iter().any(|grant| !grant.coverage.search.is_empty()) {
            self.search = parameters(query);
        }
        self.grants = grants;
    }

    fn decide_by(&self, program: &Program, query: &Query<'_>) -> Result<Permit, Denial> {
        match self.grants.as_slice() {
            [] => program.decide(query),
            grants => program.decide_under(query, grants),
        }
    }

    fn query<'a>(&'a self, found: &'a RouteMatch) -> Query<'a> {
        Query {
            zone: &self.zone,
            principal: &self.principal,
            route: &found.route,
            params: &found.params,
            search: self.search.as_deref(),
            method: &self.method,
            host: &self.host,
            purpose: self.purpose.as_deref(),
            ticket: self.ticket.as_deref(),
            grant: None,
            ties: self.ties.as_ref(),
            now_unix_s: self.now_unix_s,
        }
    }
}
