//! `/.menshen/grants`: asking for a grant where it hurts, seeing one's own, and deciding on others'. What a denial
//! says of it is made here too.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::json;

use super::Gate;
use super::body::Answer;
use super::form::Form;
use super::pages;
use super::park::Asking;
use super::rejection::{Rejection, Wanted};
use super::respond::plain;
use super::sent::Sent;
use super::session::Own;
use super::sign_in::{JSON, page};
use super::step::Step;
use super::visit::Refused;
use crate::grant::{Ask, AskFault, Grant};
use crate::guard::parameters;
use crate::identity::{Caller, CredentialRef};
use crate::policy::{Coverage, Subjects};

/// Where grants are asked for and listed.
pub(super) const PATH: &str = "/.menshen/grants";
/// Where they are decided on.
pub(super) const DECIDE: &str = "/.menshen/grants/decide";

impl Gate {
    /// Answers both.
    pub(super) async fn grant_page(
        &self,
        own: Own<'_>,
        body: &mut Sent,
    ) -> Result<Response<Answer>, Rejection> {
        let is_post = own.head.method == Method::POST;
        let form = if is_post { Some(self.form(own.head, own.parts, body).await?) } else { None };
        let caller = self.authenticate(own.head, own.parts, own.facts, own.trail).await?;
        // As on the way of every other request: what closes there closes here.
        self.refuse_old_password(own.head, own.parts, own.facts, &caller).await?;
        self.refuse_switched_holder(&caller, own.facts, own.trail).await?;
        self.refuse_apart(&caller, own.facts, own.trail)?;
        self.check_curbs(&caller, own.trail.time_unix_s())?;
        match (&own.head.method, own.head.path.as_str(), form) {
            (&Method::GET, PATH, _) => self.show_grants(own, &caller).await,
            (_, PATH, Some(form)) => self.take_ask(own, &caller, &form).await,
            (_, DECIDE, Some(form)) => self.take_decision(own, &caller, &form).await,
            _ => Err(Rejection::NotFound),
        }
    }

    async fn show_grants(
        &self,
        own: Own<'_>,
        caller: &Caller,
    ) -> Result<Response<Answer>, Rejection> {
        let named = own.head.query.as_deref().and_then(|query| query.strip_prefix("id="));
        if let Some(id) = named {
            let grant = self.grant(caller, id, false).await.map_err(Rejection::Visit)?;
            let (step, about) = self.noting(&own, "grant_shown", id, caller)?;
            step.succeeded(&about).await?;
            return self.told(&own, StatusCode::OK, &grant);
        }
        let (mine, waiting) = self.own_grants(caller).await.map_err(Rejection::Visit)?;
        let (step, about) = self.noting(&own, "grants_shown", "", caller)?;
        step.succeeded(&about).await?;
        if own.head.wants_page {
            let asked = own.head.query.as_deref().unwrap_or_default();
            let (mine, waiting) = (self.lines(&mine.grants), self.lines(&waiting));
            let html = pages::grants(&own.page(), asked, &mine, &waiting);
            return Ok(page(html, StatusCode::OK, own.facts));
        }
        let told = |grants: &[Grant]| -> Vec<_> {
            grants.iter().map(|grant| self.told_grant(grant)).collect()
        };
        let unreadable: Vec<_> = mine.unreadable.iter().map(|grant| grant.id.as_str()).collect();
        let grants = told(&mine.grants);
        let to_decide = told(&waiting);
        let said = json!({ "grants": grants, "to_decide": to_decide, "unreadable": unreadable });
        Ok(plain(StatusCode::OK, JSON, Bytes::from(format!("{said}\n")), own.facts))
    }

    async fn take_ask(
        &self,
        own: Own<'_>,
        caller: &Caller,
        form: &Form,
    ) -> Result<Response<Answer>, Rejection> {
        let unreadable = |fault: AskFault| Rejection::Visit(Refused::Body(fault.to_string()));
        let ask = Ask::read(|name| form.field(name)).map_err(unreadable)?;
        let ask = ask.about_search(parameters(Some(form.field("query")))).map_err(unreadable)?;
        // What it is about is recorded with the grant itself.
        let grant = self.ask_grant(caller, ask).await.map_err(Rejection::Visit)?;
        let (step, about) = self.noting(&own, "grant_asked_for", &grant.id, caller)?;
        step.succeeded(&about).await?;
        if form.from_page {
            return self.back(own, caller).await;
        }
        self.told(&own, StatusCode::CREATED, &grant)
    }

    async fn take_decision(
        &self,
        own: Own<'_>,
        caller: &Caller,
        form: &Form,
    ) -> Result<Response<Answer>, Rejection> {
        let (id, reason) = (form.field("id"), form.field("reason"));
        let decided = match form.field("decision") {
            "approve" => self.approve_grant(caller, id).await,
            "refuse" => self.refuse_grant(caller, id, reason).await,
            "revoke" => self.revoke_grant(caller, id, (reason, false)).await,
            _ => {
                let wanted = "`decision` must be `approve`, `refuse` or `revoke`".to_owned();
                return Err(Rejection::Visit(Refused::Body(wanted)));
            }
        };
        let word = if decided.is_ok() { "grant_decided" } else { "grant_not_decided" };
        let (step, about) = self.noting(&own, word, id, caller)?;
        step.succeeded(&about).await?;
        let grant = decided.map_err(Rejection::Visit)?;
        if form.from_page {
            return self.back(own, caller).await;
        }
        self.told(&own, StatusCode::OK, &grant)
    }

    /// The list, as a browser sees it after what it did.
    async fn back(&self, own: Own<'_>, caller: &Caller) -> Result<Response<Answer>, Rejection> {
        let (mine, waiting) = self.own_grants(caller).await.map_err(Rejection::Visit)?;
        let html = pages::grants(&own.page(), "", &self.lines(&mine.grants), &self.lines(&waiting));
        Ok(page(html, StatusCode::OK, own.facts))
    }

    fn lines(&self, grants: &[Grant]) -> Vec<pages::GrantLine> {
        let now_s = self.grants.counter.now_s();
        let line = |grant: &Grant| pages::GrantLine {
            id: grant.id.clone(),
            sentence: grant.sentence(),
            reason: grant.reason.clone(),
            state: grant.state_at(now_s).word(),
            is_open_emergency: grant.emergency.is_some() && grant.is_live(now_s),
        };
        grants.iter().map(line).collect()
    }

    fn told(
        &self,
        own: &Own<'_>,
        status: StatusCode,
        grant: &Grant,
    ) -> Result<Response<Answer>, Rejection> {
        let said = self.told_grant(grant);
        Ok(plain(status, JSON, Bytes::from(format!("{said}\n")), own.facts))
    }

    /// Begins the record that somebody saw or did something here, and says what it is about.
    fn noting(
        &self,
        own: &Own<'_>,
        name: &str,
        id: &str,
        caller: &Caller,
    ) -> Result<(Step, String), Rejection> {
        let mut step = self.begin_step(name, "", own.trail)?;
        if let CredentialRef::Session { reference } = &caller.credential {
            step.about_session(reference);
        }
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        let is_name = !id.is_empty() && id.len() <= 32 && id.bytes().all(is_plain);
        let account = &caller.account;
        let about = if is_name { format!("{account} grant {id}") } else { account.clone() };
        Ok((step, about))
    }

    /// What to ask for, so that the request passes: the least that does.
    pub(super) fn wanted(&self, wanted: Wanted, asking: &Asking<'_>) -> Box<Wanted> {
        let query = asking.question.asked();
        let program = asking.question.program();
        let (route, action) = (query.route.name(), query.route.action());
        let about = program.subject_of(&query);
        let pairs = about.map(|(entity, key)| (entity.to_owned(), key.to_owned()));
        let coverage = Coverage {
            actions: vec![action],
            routes: vec![route.to_owned()],
            subjects: pairs.map(|pair| Subjects::from_iter([pair])),
            ..Coverage::default()
        };
        let search = searched(asking, &coverage);
        let Ok(granting) = program.granting(&asking.caller.roles, &coverage) else {
            return Box::new(wanted);
        };
        // Without the parameters of the path it would be the same search everywhere: in any branch, of any register.
        let path = search.as_ref().map(|_| as_list(query.params));
        if path.as_ref().is_some_and(Option::is_none) {
            return Box::new(wanted);
        }
        let mut fields = serde_json::Map::new();
        let mut say = |name: &str, value: String| fields.insert(name.to_owned(), value.into());
        say("route", route.to_owned());
        say("action", action.name().to_owned());
        if let Some((entity, key)) = about {
            say("subjects", format!("{entity}:{key}"));
        }
        if let Some(path) = path.flatten().filter(|path| !path.is_empty()) {
            say("parameters", path);
        }
        if let Some(search) = search {
            say("query", search);
        }
        say("uses", "1".to_owned());
        if let Some(purpose) = query.purpose {
            say("purpose", purpose.to_owned());
        }
        let query_of = |fields: &serde_json::Map<String, serde_json::Value>| {
            let pair = |(name, value): (&String, &serde_json::Value)| {
                let value = value.as_str().unwrap_or_default();
                format!("{name}={}", pages::encoded(value))
            };
            fields.iter().map(pair).collect::<Vec<_>>().join("&")
        };
        let there = format!("{PATH}?{}", query_of(&fields));
        let page = asking.head.wants_page.then(|| {
            let words = pages::Words::of(&asking.parts.headers);
            pages::grant_needed(&pages::Page::new(&asking.head.host, words), &there)
        });
        let ask = json!({
            "post": PATH,
            "content_type": "application/json",
            "fields": fields,
            "people": granting.terms.number,
            "break_glass": granting.terms.break_glass.is_some(),
            "then": "ask there with a `reason`; repeat this request once it is approved",
        });
        Box::new(Wanted { ask: Some(ask), page, ..wanted })
    }
}

/// Parameters of a path as a form lists them; none where one cannot be written so.
fn as_list(parameters: &[(String, String)]) -> Option<String> {
    let is_word = |text: &str| {
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    let pair = |(name, value): &(String, String)| {
        (is_word(name) && is_word(value)).then(|| format!("{name}={value}"))
    };
    parameters.iter().map(pair).collect::<Option<Vec<_>>>().map(|pairs| pairs.join(" "))
}

/// The search that a request is, where a grant could be about that: what turns its pages is not of it.
fn searched(asking: &Asking<'_>, coverage: &Coverage) -> Option<String> {
    if coverage.subjects.is_some() {
        return None;
    }
    let (route, program) = (asking.question.route(), asking.question.program());
    let mut search = parameters(asking.head.query.as_deref())?;
    search.retain(|(name, _)| !route.turns_pages(name));
    let pair = |(name, value): &(String, String)| {
        format!("{}={}", pages::encoded(name), pages::encoded(value))
    };
    let told: Vec<String> = search.iter().map(pair).collect();
    let coverage = Coverage { search, ..coverage.clone() };
    let granting = program.granting(&asking.caller.roles, &coverage).ok()?;
    granting.terms.rows.filter(|_| !told.is_empty()).map(|_| told.join("&"))
}
