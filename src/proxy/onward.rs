//! The stages between the record and the backend: the query, the request body, the record to be
//! changed read first, and the request as the backend gets it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, VIA};
use http::request::Parts as RequestHead;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;

use super::alerts::Source;
use super::body::read_held;
use super::entrance::rejection;
use super::head::{self, Head, HeadFault};
use super::meter::{RowTest, Subject};
use super::outcome::Outcome;
use super::question::Question;
use super::rejection::Rejection;
use super::release::codings;
use super::trail::Trail;
use super::uploads::{body_limit, held};
use super::{Gate, answer_headers, sent};
use crate::guard::{
    Caps, CheckedQuery, Judged, Report, Sent, Terms, check_path, check_query, check_sent,
    judge_request,
};
use crate::policy::plan::RecordId;
use crate::policy::{Format, Parameter, Permit, Plan};
use crate::telemetry::Stage;

impl Gate {
    /// Judges the parameters of path and query; only what the caller sees in clear may be searched.
    pub(super) fn guard_query(
        &self,
        permit: &Permit,
        head: &Head,
        trail: &mut Trail,
    ) -> Result<CheckedQuery, Rejection> {
        trail.enters(Stage::Admit);
        check_path(permit.search()).map_err(Rejection::Query)?;
        let checked =
            check_query(head.query.as_deref(), permit.search()).map_err(Rejection::Query)?;
        for (parameter, value) in &checked.pairs {
            let fields = checked.searched.iter().filter(|(name, _)| name == parameter);
            let fields: Vec<&str> = fields.map(|(_, field)| field.as_ref()).collect();
            let fields = Some(fields.join(",")).filter(|fields| !fields.is_empty());
            let hash = self.keys.query.reference(&[parameter.as_bytes(), value.as_bytes()]);
            trail.searched(parameter, fields.as_deref(), &hash);
            if fields.is_some() {
                self.note_searched(parameter, value, trail);
            }
            if matches!(permit.search().meaning(parameter), Some(Parameter::Page)) {
                trail.page(value);
            }
        }
        Ok(checked)
    }

    /// Judges the request body and builds the request that the backend gets.
    pub(super) async fn guard_request(
        &self,
        permit: &Permit,
        head: &Head,
        query: &CheckedQuery,
        parts: &RequestHead,
        body: &mut sent::Sent,
        trail: &mut Trail,
    ) -> Result<Request<Full<Bytes>>, Rejection> {
        trail.enters(Stage::GuardRequest);
        let body = match write_plan(permit, head)? {
            None => None,
            Some(plan) => Some(self.guard_body(permit, plan, parts, body, trail).await?),
        };
        onward(permit, head, query, &parts.headers, body)
    }

    /// Reads the request body and lets it pass only if all of it may be written.
    async fn guard_body(
        &self,
        permit: &Permit,
        plan: &Arc<Plan>,
        parts: &RequestHead,
        body: &mut sent::Sent,
        trail: &mut Trail,
    ) -> Result<Judged, Rejection> {
        let sent = how_sent(permit, &parts.headers)?;
        let (caps, limit, time) = {
            let configured = self.configured();
            let settings = &configured.settings;
            (configured.caps, body_limit(permit, &sent.form, settings), settings.request_time)
        };
        let mut room = self.room(&sent.form, limit, trail);
        let hold = |bytes| match room.as_mut().is_none_or(|room| room.hold(bytes)) {
            true => Ok(()),
            false => Err(Rejection::NoRoom),
        };
        let read = read_held(&mut *body, limit, time, hold).await?;
        if permit.factor_on_records().is_some() {
            // The answer may ask for a factor, and the request is kept whole then.
            *body = sent::Sent::Kept(Full::new(read.clone()));
        }
        let mut judged = written(permit, plan, &sent, read, (caps, limit), |report| {
            let entry = trail.outcome().map(Outcome::disclosure);
            let source = entry.map(|entry| entry.with(|entry| Source::of(entry, "request")));
            if let Some(source) = source {
                self.alerts.detected(report, plan, &source);
            }
        })?;
        if let Some(outcome) = trail.outcome() {
            outcome.disclosure().with(|entry| {
                let request = entry.request.get_or_insert_default();
                request.dropped = judged.dropped.iter().map(String::as_str).collect();
            });
        }
        self.scan(permit, &judged, trail).await?;
        judged.content = held(judged.content, room);
        Ok(judged)
    }

    /// Where it depends on the record: reads that first, over the route that the policy names, and holds
    /// the conditions against it. Anything but a clear yes is a 404, or asks for the factor that the record asks for.
    /// Also says whom an answer that passes unread is about.
    pub(super) async fn read_first(
        &self,
        permit: Permit,
        question: &Question,
        trail: &mut Trail,
    ) -> Result<(Permit, Option<Subject>), Rejection> {
        let Some(reading) = permit.pre_read() else {
            let subject = self.subject_of_path(&permit, question)?;
            return Ok((permit, subject));
        };
        let mut onward = reading_request(&reading, question.params())?;
        self.vouch(&reading, question, trail, "-read", onward.headers_mut())?;
        trail.asks(Stage::ReadFirst, onward.headers_mut());
        let asked = self.upstreams.forward(&reading, onward).await;
        trail.retried(asked.retries);
        let answer = asked.answer.map_err(Rejection::Upstream)?;
        let (case, subject) = self.case_of_record(&reading, answer, trail).await?;
        let asked = reading.factor(RecordId(0), case);
        if let Some(denial) = asked.and_then(|asked| question.asks_on_record(&permit, asked)) {
            trail.denied_on_record(&denial, permit.policy_version());
            return Err(rejection(denial));
        }
        let permit = permit.settle(case).map_err(rejection)?;
        if permit.opaque().is_some() {
            let subject = match subject {
                Some(subject) => Some(subject),
                None => self.subject_of_path(&permit, question)?,
            };
            return Ok((permit, subject));
        }
        if let (Some(outcome), Some(subject)) = (trail.outcome(), subject) {
            outcome.disclosure().acts_on(subject.reference);
        }
        Ok((permit, None))
    }

    /// Whom an answer that passes unread is about, where a parameter of the path says so.
    fn subject_of_path(
        &self,
        permit: &Permit,
        question: &Question,
    ) -> Result<Option<Subject>, Rejection> {
        let Some((opaque, name)) = permit.opaque().and_then(|o| Some((o, o.subject()?))) else {
            return Ok(None);
        };
        let value = question.params().iter().find(|(parameter, _)| parameter == name);
        let subject = value.and_then(|(_, key)| self.keys.subject(opaque.entity(), key));
        subject.map(Some).ok_or(Rejection::NotFound)
    }
}

/// What the backend is asked for: of the formats of the route the one that the caller names first, else
/// the one that the route names first. Without a body to judge, the caller has no say.
fn accept(permit: &Permit, headers: &HeaderMap) -> Option<HeaderValue> {
    if let Some(opaque) = permit.opaque() {
        return HeaderValue::try_from(opaque.accept()).ok();
    }
    let formats = permit.route().formats();
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let named = lines.flat_map(|line| line.split(',')).find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next()?;
        // A weight of nothing refuses the type; other weights are not compared.
        if parts.any(|part| ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains(&part)) {
            return None;
        }
        formats.iter().find(|format| format.media_type().eq_ignore_ascii_case(media_type))
    });
    let format = named.or(formats.first()).copied().unwrap_or(Format::Json);
    Some(HeaderValue::from_static(format.media_type()))
}

/// What the request's body may carry; `None` where there is none.
pub(super) fn write_plan<'p>(
    permit: &'p Permit,
    head: &Head,
) -> Result<Option<&'p Arc<Plan>>, Rejection> {
    match permit.write_plan() {
        None if head.has_body => Err(Rejection::NoBodyExpected),
        plan => Ok(plan),
    }
}

/// What a request body is said to be, where that can be judged.
pub(super) fn how_sent(permit: &Permit, headers: &HeaderMap) -> Result<Sent, Rejection> {
    let types = headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    let forms = permit.route().sending().forms();
    let form = check_sent(types, forms).map_err(Rejection::RequestType)?;
    let codings = codings(headers).map_err(Rejection::RequestEncoding)?;
    Ok(Sent { form, codings })
}

/// The request body, decoded, if all of it may be written, or what of it may be. `look` is shown what was
/// noticed in it, whether it passes or not.
pub(super) fn written(
    permit: &Permit,
    plan: &Arc<Plan>,
    sent: &Sent,
    body: Bytes,
    (caps, limit_bytes): (Caps, usize),
    look: impl FnOnce(&Report),
) -> Result<Judged, Rejection> {
    let most_bytes = u64::try_from(limit_bytes).unwrap_or(u64::MAX);
    let sending = permit.route().sending();
    let (unwritable, uploads) = (sending.unwritable(), sending.uploads());
    let terms = Terms { plan, unwritable, uploads, caps, most_bytes };
    let judged = judge_request(sent, body, &terms, RowTest::of(permit), look);
    judged.map_err(Rejection::RequestBody)
}

/// The request as the backend gets it.
pub(super) fn onward(
    permit: &Permit,
    head: &Head,
    query: &CheckedQuery,
    headers: &HeaderMap,
    body: Option<Judged>,
) -> Result<Request<Full<Bytes>>, Rejection> {
    let target = target(head.path.as_str(), query);
    let accept = accept(permit, headers).ok_or(Rejection::NotFound)?;
    let sent = answer_headers::sent(headers, permit.route().headers());
    let sent = sent.map_err(|name| Rejection::Head(HeadFault::Header(name)))?;
    let named: Vec<_> = head::named_by_connection(headers).collect();
    let mut headers = head::forwarded(headers);
    headers.extend(sent);
    for name in named {
        headers.remove(name);
    }
    headers.insert(ACCEPT, accept);
    headers.insert(VIA, head::via(head.version));
    request(head.method.clone(), &target, permit, headers, body)
}

/// The request that reads a record before it is changed.
pub(super) fn reading_request(
    reading: &Permit,
    params: &[(String, String)],
) -> Result<Request<Full<Bytes>>, Rejection> {
    let path = reading.route().template().fill(params).ok_or(Rejection::NotFound)?;
    let accept = HeaderValue::from_static(Format::Json.media_type());
    let headers = HeaderMap::from_iter([(ACCEPT, accept)]);
    request(Method::GET, path.as_str(), reading, headers, None)
}

/// The path and query as the backend gets them: what was judged, re-encoded.
fn target(path: &str, query: &CheckedQuery) -> String {
    let mut target = path.to_owned();
    let mut separator = '?';
    if !query.canonical.is_empty() {
        target.push(separator);
        target.push_str(&query.canonical);
        separator = '&';
    }
    // Where the caller names no page size the backend must not choose one beyond the limit.
    if let Some((name, limit)) = &query.page_size_left_open {
        target.push_str(&format!("{separator}{name}={limit}"));
    }
    target
}

fn request(
    method: Method,
    target: &str,
    permit: &Permit,
    mut headers: HeaderMap,
    body: Option<Judged>,
) -> Result<Request<Full<Bytes>>, Rejection> {
    let uri: Uri = target.parse().ok().ok_or(Rejection::NotFound)?;
    let host = HeaderValue::from_str(permit.route().host()).ok().ok_or(Rejection::NotFound)?;
    headers.insert(HOST, host);
    // Decoding costs more than the bytes of a near network; what comes encoded all the same is decoded.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.remove(CONTENT_TYPE);
    let body = match body.filter(|body| !body.content.is_empty()) {
        Some(body) => {
            let content_type = HeaderValue::try_from(body.content_type);
            headers.insert(CONTENT_TYPE, content_type.ok().ok_or(Rejection::NoBodyExpected)?);
            body.content
        }
        None => {
            if method != Method::GET && method != Method::DELETE {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            Bytes::new()
        }
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}
