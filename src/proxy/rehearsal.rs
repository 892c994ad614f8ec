//! A request taken through the stages without sockets, accounts, counters or the log: for tests that
//! stand beside a policy. The stages are the gate's own functions, in the gate's order.
//!
//! Not rehearsed: credentials, budgets that are counted over time, answers too large to be held, and scanners,
//! which call every file clean.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;

use super::Settings;
use super::admitted::{rehearsed_beyond, rehearsed_unfit};
use super::answer_headers::Standpoint;
use super::body::BodyFault;
use super::entrance::rejection;
use super::head;
use super::mark::{self, Carried};
use super::meter::{Asking, Keys, Register};
use super::onward::{how_sent, onward, reading_request, write_plan, written};
use super::passage::Halt;
use super::rejection::{PROBLEM, Rejection, Unjudged};
use super::release::{self, Bodiless, Content};
use super::{constant, query, respond, unread, uploads};
use crate::guard::{
    Caps, Hooks, Outgoing, Report, Take, Watermark, check_path, check_query, parameters,
};
use crate::limits::Refused;
use crate::listen::{Ends, Facts, Progress};
use crate::policy::plan::RecordId;
use crate::policy::{
    Denial, DenialKind, Grant, Permit, Principal, Program, Query, RouteMatch, StepUp, Ties, Value,
};
use crate::registry::Unfit;
pub use crate::registry::{Contract, Listing as Registered};
use crate::secret::{MasterKey, SecretError};

/// How many header lines a rehearsed request may have; the gate's default.
const HEADER_LINES: usize = 100;
/// Where a caller without an address stands (RFC 5737, for documentation).
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Pseudonyms of a rehearsal are the same each time, and those of no gate.
const REHEARSAL_KEY: [u8; 32] = *b"rehearsal key: no gate uses this";
/// The id that an answer names, where a gate would name an entry of its log.
const NO_ENTRY: &str = "00000000-0000-0000-0000-000000000000";

/// A request and what the backend would say to it.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Who asks; without an address, from somewhere.
    pub caller: Arc<Principal>,
    /// The grant under which it is asked, if there is one.
    pub grant: Option<Arc<Grant>>,
    /// The cases that tie the caller, if somebody knows of any.
    pub ties: Option<Arc<dyn Ties>>,
    /// Which partners and tenants the registry has; without it everybody is taken as admitted.
    pub registered: Option<Registered>,
    /// The zone of the listener.
    pub zone: &'a str,
    /// Unix time in seconds.
    pub now_unix_s: i64,
    /// The request as HTTP/1.1 brings it: a path as its target, the host in a header.
    pub request: Request<Bytes>,
    /// What the backend says when the record is read before it is changed.
    pub record: Option<Response<Bytes>>,
    /// What the backend answers.
    pub answer: Option<Response<Bytes>>,
}

/// What the caller would be told, and what led to it.
#[derive(Debug, Default)]
pub struct Rehearsed {
    /// The status.
    pub status: StatusCode,
    /// The headers, without those that count over time.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Why not, in words of the log; empty where it was allowed.
    pub reasons: Vec<String>,
    /// The name of the route that the request met.
    pub route: Option<String>,
    /// The rules that apply, or that had a part in the refusal.
    pub rules: BTreeSet<String>,
    /// Of those, the ones that gave or took something: their condition on records held for one, or they
    /// have none; and the ones that denied.
    pub in_force: BTreeSet<String>,
    /// The purposes that would do, where only one is missing.
    pub purposes: Vec<String>,
    /// What would open the route, or show fields in clear.
    pub step_up: Option<StepUp>,
    /// What the backend was asked: method, path and query.
    pub asked: Vec<String>,
    /// What happened to the fields of the answer, by full name; `None` if no answer was judged.
    pub fields: Option<Vec<FieldFate>>,
    /// The period whose pseudonyms the answer has, empty where they stay; `None` where it has none.
    pub pseudonym_period: Option<String>,
    /// Records that left.
    pub records: u64,
    /// Records that a limit held back.
    pub held_back: u64,
    /// Records that pass although no case ties the caller, where the policy wants that flagged.
    pub unlinked: u64,
    /// Records of which less left, since a condition on them asks for a factor.
    pub asking: u64,
}

impl Rehearsed {
    fn bodiless(&mut self, bodiless: Bodiless) {
        (self.status, self.headers) = (bodiless.status, bodiless.passed.headers);
    }
}

/// What happened to one field in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFate {
    /// Its full name, such as `customer.phone`.
    pub name: String,
    /// Whether it left in clear.
    pub clear: bool,
    /// Whether it left masked.
    pub masked: bool,
    /// Whether it left as a pseudonym.
    pub pseudonym: bool,
}

/// Why a rehearsal does not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The backend is asked and has nothing to say.
    #[error("the request goes on to the backend (`{0}`), and nothing says what that answers")]
    NoAnswer(String),
    /// The record is read before it is changed, and there is none.
    #[error("the record is read first (`{0}`), and nothing says what the backend answers")]
    NoRecord(String),
    /// The gate answers these paths itself.
    #[error("paths below `/.menshen/` are the gate's own, no policy decides on them")]
    OwnPath,
    /// No keys could be derived.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Takes requests through the stages under one program.
#[derive(Debug)]
pub struct Rehearsal<'p> {
    program: &'p Program,
    keys: Arc<Keys>,
    caps: Caps,
    settings: Settings,
}

/// Why a stage ends early.
enum Stop {
    Rejected(Rejection),
    Incomplete(RehearsalError),
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        Self::Rejected(halt.into())
    }
}

impl<'p> Rehearsal<'p> {
    /// Rehearsals of a program, with the gate's default caps.
    ///
    /// # Errors
    /// [`RehearsalError::Secret`] if no key can be derived.
    pub fn new(program: &'p Program) -> Result<Self, RehearsalError> {
        let keys = Arc::new(Keys::derive(&MasterKey::from_bytes(REHEARSAL_KEY))?);
        Ok(Self { program, keys, caps: Caps::default(), settings: Settings::default() })
    }

    /// Takes one request from its head to its answer.
    ///
    /// # Errors
    /// [`RehearsalError`] if the exchange lacks what a stage needs.
    pub fn take(&self, exchange: Exchange<'_>) -> Result<Rehearsed, RehearsalError> {
        let mut seen = Rehearsed::default();
        match self.pass(exchange, &mut seen) {
            Ok(()) => {}
            Err(Stop::Rejected(rejection)) => reject(&rejection, &mut seen),
            Err(Stop::Incomplete(error)) => return Err(error),
        }
        respond::guard_headers(&mut seen.headers);
        Ok(seen)
    }

    fn pass(&self, exchange: Exchange<'_>, seen: &mut Rehearsed) -> Result<(), Stop> {
        let Exchange { caller, grant, ties, registered, zone, now_unix_s, request, record, answer } =
            exchange;
        let (parts, body) = request.into_parts();
        let facts = facts(&caller, zone);
        let head = head::judge(&parts, &facts, body.is_empty()).map_err(Rejection::Head)?;
        if head.path.as_str().starts_with(super::sign_in::PREFIX) {
            return Err(Stop::Incomplete(RehearsalError::OwnPath));
        }
        let found = self.program.find(zone, &head.host, head.method.as_str(), &head.path);
        let found = found.ok_or(Rejection::NotFound)?;
        seen.route = Some(found.route.name().to_owned());
        let address = caller.address.or(Some(NOWHERE));
        let caller = Arc::new(Principal { address, ..Arc::unwrap_or_clone(caller) });
        let brought = (grant.as_ref(), ties.as_ref());
        let search = parameters(head.query.as_deref());
        let search = search.as_deref();
        let question = query::question(&head, &found, &caller, zone, brought, search, now_unix_s);
        let listing = registered.as_ref();
        let unfit = listing.and_then(|known| rehearsed_unfit(known, &question, self.program));
        refuse_unfit(unfit, seen)?;
        let permit = self.decide(&question, seen)?;
        let beyond = listing.and_then(|known| rehearsed_beyond(known, &question, &permit));
        refuse_unfit(beyond, seen)?;
        check_path(permit.search()).map_err(Rejection::Query)?;
        let query =
            check_query(head.query.as_deref(), permit.search()).map_err(Rejection::Query)?;
        let permit = self.read_first((permit, &question), &found, record, seen)?;
        let body = match write_plan(&permit, &head)? {
            None => None,
            Some(plan) => {
                let sent = how_sent(&permit, &parts.headers)?;
                let limit = uploads::body_limit(&permit, &sent.form, &self.settings);
                if body.len() > limit {
                    return Err(Rejection::Body(BodyFault::TooLarge(limit)).into());
                }
                Some(written(&permit, plan, &sent, body, (self.caps, limit), |_report| {})?)
            }
        };
        let asked = note(&onward(&permit, &head, &query, &parts.headers, body)?, seen);
        if permit.route().answers_constantly() {
            seen.status = constant::STATUS;
            return Ok(());
        }
        let Some(answer) = answer else {
            return Err(Stop::Incomplete(RehearsalError::NoAnswer(asked)));
        };
        self.release((permit, &question), answer, seen)
    }

    fn decide(&self, question: &Query<'_>, seen: &mut Rehearsed) -> Result<Permit, Rejection> {
        let permit = self.program.decide(question).map_err(|denial| denied(denial, seen))?;
        seen.rules = permit.rules().map(str::to_owned).collect();
        seen.in_force = permit.rules_without_condition().map(str::to_owned).collect();
        Ok(permit)
    }

    fn read_first(
        &self,
        (permit, question): (Permit, &Query<'_>),
        found: &RouteMatch,
        record: Option<Response<Bytes>>,
        seen: &mut Rehearsed,
    ) -> Result<Permit, Stop> {
        let Some(reading) = permit.pre_read() else { return Ok(permit) };
        let asked = note(&reading_request(&reading, &found.params)?, seen);
        let Some(record) = record else {
            return Err(Stop::Incomplete(RehearsalError::NoRecord(asked)));
        };
        let (parts, body) = record.into_parts();
        release::judge_status(parts.status)?;
        let mut test = release::record_test(&reading, parts.status, &parts.headers, self.caps)?;
        release::check_read(body.len(), &self.settings)?;
        test.push(body).map_err(Halt::Guard)?;
        test.finish().map_err(Halt::Guard)?;
        let (case, _subject) = release::conclude(&test, &self.keys)?;
        seen.in_force.extend(reading.rules_met(RecordId(0), case).map(str::to_owned));
        seen.unlinked = u64::from(reading.is_unlinked(RecordId(0), case));
        let asked = reading.factor(RecordId(0), case);
        if let Some(denial) = asked.and_then(|asked| self.asks_on_record(question, &permit, asked))
        {
            return Err(denied(denial, seen).into());
        }
        Ok(permit.settle(case).map_err(|denial| denied(denial, seen))?)
    }

    fn asks_on_record(
        &self,
        question: &Query<'_>,
        permit: &Permit,
        asked: &StepUp,
    ) -> Option<Denial> {
        self.program.asks_on_record(&Query { grant: permit.grant(), ..*question }, asked)
    }

    fn release(
        &self,
        (permit, question): (Permit, &Query<'_>),
        answer: Response<Bytes>,
        seen: &mut Rehearsed,
    ) -> Result<(), Stop> {
        let Query { zone, params, now_unix_s: unix_s, .. } = *question;
        let permit = Arc::new(permit);
        let carried = Carried::rehearsed(&permit);
        let about = (permit.route().name(), unix_s);
        let (parts, body) = answer.into_parts();
        let standpoint = Standpoint { permit: &permit, program: self.program, zone, params };
        if parts.status.is_redirection() && permit.opaque().is_none() {
            let passed = standpoint.redirect(parts.status, &parts.headers)?;
            seen.bodiless(Bodiless::of(parts.status, passed));
            return Ok(());
        }
        if permit.route().socket().is_some() && parts.status == StatusCode::SWITCHING_PROTOCOLS {
            // What passes then is not known here.
            seen.headers = standpoint.pass(&parts.headers).headers;
            (seen.status, seen.records) = (parts.status, 1);
            return Ok(());
        }
        release::judge_status(parts.status)?;
        if permit.route().socket().is_some() {
            return Err(Rejection::Unjudged(Unjudged::Status(parts.status)).into());
        }
        if let Some(opaque) = permit.opaque() {
            let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
            let media_type = unread::judge(opaque, parts.status, &parts.headers, bytes)?;
            seen.headers = standpoint.pass(&parts.headers).headers;
            unread::describe(&mut seen.headers, &carried, about, media_type);
            (seen.status, seen.body, seen.records) = (parts.status, body, 1);
            return Ok(());
        }
        let length = u64::try_from(body.len()).ok();
        if release::has_content(parts.status, length, &permit)? == Content::None {
            let passed = standpoint.pass(&parts.headers);
            seen.bodiless(Bodiless::of(parts.status, passed));
            return Ok(());
        }
        let hooks = Rehearsing {
            register: Register::of(&permit, &self.keys, carried.clone()),
            in_force: std::mem::take(&mut seen.in_force),
            unlinked: seen.unlinked,
            asking: Asking::default(),
        };
        let (format, mut guard) = release::guard(&permit, &parts.headers, self.caps, hooks)?;
        let judged = guard.push(body).and_then(|()| guard.finish());
        seen.in_force = std::mem::take(&mut guard.hooks_mut().in_force);
        seen.unlinked = guard.hooks().unlinked;
        let Asking { step_up, records } = std::mem::take(&mut guard.hooks_mut().asking);
        seen.asking = records;
        judged.map_err(|fault| release::missing_if_empty(Halt::Guard(fault), &permit))?;
        let asked = step_up.as_ref();
        let asked = asked.and_then(|asked| self.asks_on_record(question, &permit, asked));
        if let Some(denial) = asked.clone().filter(|_| permit.route().views_one_record()) {
            return Err(denied(denial, seen).into());
        }
        let on_records = step_up.filter(|_| asked.is_some());
        // Nothing but the number of records can hold one back here.
        let refusal = || Refused::by_rows(Vec::new());
        if release::judge_records(format, guard.report(), &permit, refusal)? == Content::None {
            seen.status = StatusCode::NO_CONTENT;
            return Ok(());
        }
        seen.status = parts.status;
        seen.body = Bytes::from(guard.take_output().concat());
        seen.headers = standpoint.pass(&parts.headers).headers;
        release::describe(&mut seen.headers, &permit, on_records.clone(), format);
        carried.tell(&mut seen.headers, about.0, unix_s, mark::ending(format.content_type()));
        release::tell_held_back(&mut seen.headers, guard.report().records_held_back);
        let of_grades = permit.step_up().cloned().into_iter();
        seen.step_up = of_grades.chain(on_records).reduce(StepUp::joined);
        describe_fields(&permit, guard.report(), seen);
        Ok(())
    }
}

fn facts(caller: &Principal, zone: &str) -> Facts {
    Facts {
        peer: SocketAddr::new(caller.address.unwrap_or(NOWHERE), 0),
        zone: zone.into(),
        server_name: None,
        tls_version: "TLSv1.3",
        client: None,
        header_lines: HEADER_LINES,
        is_forwarded: false,
        progress: Progress::new(),
        ends: Ends::default(),
    }
}

/// Notes what the backend is asked, in one line.
fn note(request: &Request<Full<Bytes>>, seen: &mut Rehearsed) -> String {
    let line = format!("{} {}", request.method(), request.uri());
    seen.asked.push(line.clone());
    line
}

fn denied(denial: Denial, seen: &mut Rehearsed) -> Rejection {
    seen.reasons = denial.reasons.iter().map(ToString::to_string).collect();
    seen.rules = denial.rules().map(str::to_owned).collect();
    seen.in_force.extend(denial.denying_rules().map(str::to_owned));
    match &denial.kind {
        DenialKind::Purpose { accepted, ticket: _ } => seen.purposes.clone_from(accepted),
        DenialKind::StepUp(step_up) => seen.step_up = Some(step_up.clone()),
        DenialKind::NotPublished
        | DenialKind::Forbidden
        | DenialKind::Withheld
        | DenialKind::Grant => {}
    }
    rejection(denial)
}

/// Refuses whom the registry does not have, or not for this, with what the log would get.
fn refuse_unfit(unfit: Option<Unfit>, seen: &mut Rehearsed) -> Result<(), Rejection> {
    let Some(unfit) = unfit else { return Ok(()) };
    seen.reasons.push(unfit.to_string());
    Err(Rejection::Unfit(unfit))
}

fn reject(rejection: &Rejection, seen: &mut Rehearsed) {
    let told = rejection.told();
    if seen.reasons.is_empty() {
        let said = told.note.clone().or_else(|| told.detail.clone());
        seen.reasons.push(said.unwrap_or_else(|| told.cause.to_owned()));
    }
    seen.status = told.status;
    let (headers, body) = told.into_problem(NO_ENTRY);
    seen.headers = headers;
    seen.headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
    seen.body = body;
}

fn describe_fields(permit: &Permit, report: &Report, seen: &mut Rehearsed) {
    let names = &permit.plan().fields;
    let fates = names.iter().zip(&report.fields).map(|(name, count)| FieldFate {
        name: name.to_string(),
        clear: count.clear > 0,
        masked: count.masked > 0,
        pseudonym: count.pseudonym > 0,
    });
    seen.fields = Some(fates.collect());
    seen.pseudonym_period = permit.plan().has_pseudonyms().then(|| permit.pseudonym_period());
    seen.records = report.records_released;
    seen.held_back = report.records_held_back;
}

/// The guard's hooks for one rehearsed answer: nothing is counted, and which rules mattered is noted.
struct Rehearsing {
    register: Register,
    in_force: BTreeSet<String>,
    unlinked: u64,
    asking: Asking,
}

impl Hooks for Rehearsing {
    fn case(&mut self, record: RecordId, captures: &[Option<Value>]) -> usize {
        let case = self.register.permit().case(record, captures);
        let met = self.register.permit().rules_met(record, case);
        self.in_force.extend(met.map(str::to_owned));
        self.unlinked += u64::from(self.register.permit().is_unlinked(record, case));
        self.asking.note(self.register.permit().factor(record, case));
        case
    }

    fn take(&mut self, record: &Outgoing) -> Take {
        self.register.take(record, |keys, about| {
            about.is_none_or(|(entity, key)| keys.subjects.seal(entity, key).is_ok())
        })
    }

    fn pseudonym(&mut self, field: &str, text: &str) -> String {
        self.register.pseudonym(field, text)
    }

    fn watermark(&self) -> Option<Watermark> {
        self.register.watermark()
    }

    fn rank(&mut self, record: &Outgoing) -> Option<u64> {
        self.register.rank(record)
    }
}
