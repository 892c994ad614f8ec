//! The teller of the tour: plays a step, notes what was asked and what came, and prints it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::Told;
use super::door::{Answer, Door, Protocol, Trouble};
use crate::demo::cast::CAST;
use crate::demo::passkey::Passkey;
use crate::demo::stage::Stage;
use crate::identity::{COOKIE_NAME, totp_code_at};

/// Time that passes before each request, so that nobody is too fast for a rate.
const PAUSE_MS: i64 = 2_000;
/// So much of an answer is printed.
const SHOWN_CHARS: usize = 150;
/// Headers that tell something, printed where they come.
const TELLING: [&str; 6] = [
    "www-authenticate",
    "menshen-step-up",
    "menshen-watermark",
    "retry-after",
    "ratelimit",
    "menshen-held-back",
];

/// A request of the story.
#[derive(Clone, Debug, Default)]
pub(in crate::demo) struct Ask {
    method: Method,
    path: String,
    who: String,
    purpose: Option<String>,
    ticket: Option<String>,
    zone: usize,
    body: Option<Value>,
    bearer: Option<String>,
    protocol: Protocol,
    remark: String,
}

impl Ask {
    pub(in crate::demo) fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    pub(in crate::demo) fn patch(path: impl Into<String>, body: Value) -> Self {
        let (method, body) = (Method::PATCH, Some(body));
        Self { method, path: path.into(), body, ..Self::default() }
    }

    pub(in crate::demo) fn post(path: &str, body: Value) -> Self {
        let (method, body) = (Method::POST, Some(body));
        Self { method, path: path.into(), body, ..Self::default() }
    }

    /// Any request.
    pub(in crate::demo) fn of(
        method: Method,
        path: impl Into<String>,
        body: Option<Value>,
    ) -> Self {
        Self { method, path: path.into(), body, ..Self::default() }
    }

    /// In the session of this account, or under this name of a second session.
    pub(in crate::demo) fn by(self, who: impl Into<String>) -> Self {
        Self { who: who.into(), ..self }
    }

    pub(in crate::demo) fn purpose(self, purpose: impl Into<String>) -> Self {
        Self { purpose: Some(purpose.into()), ..self }
    }

    pub(in crate::demo) fn ticket(self, ticket: impl Into<String>) -> Self {
        Self { ticket: Some(ticket.into()), ..self }
    }

    /// At the gate's listener of this number, from 0.
    pub(in crate::demo) fn at_zone(self, zone: usize) -> Self {
        Self { zone, ..self }
    }

    pub(in crate::demo) fn bearer(self, token: String, remark: &str) -> Self {
        Self { bearer: Some(token), remark: remark.to_owned(), ..self }
    }

    pub(in crate::demo) fn over(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    pub(in crate::demo) fn remark(self, remark: &str) -> Self {
        Self { remark: remark.to_owned(), ..self }
    }

    /// As it is printed: no password, code or token.
    fn told(&self) -> String {
        let mut told = format!("{} {}", self.method, self.path);
        if self.protocol == Protocol::Http2 {
            told.push_str(" over HTTP/2");
        }
        if !self.who.is_empty() {
            told.push_str(&format!(" by {}", self.who));
        }
        if let Some(purpose) = &self.purpose {
            told.push_str(&format!(" for {purpose}"));
        }
        if let Some(ticket) = &self.ticket {
            told.push_str(&format!(" with ticket {ticket}"));
        }
        match &self.body {
            Some(body) if !self.path.starts_with("/.menshen") => told.push_str(&format!(" {body}")),
            Some(_) | None => {}
        }
        if !self.remark.is_empty() {
            told.push_str(&format!(", {}", self.remark));
        }
        told
    }

    pub(in crate::demo) fn request(
        &self,
        cookie: Option<&String>,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder().method(&self.method).uri(&self.path);
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, format!("{COOKIE_NAME}={cookie}"));
        }
        if let Some(token) = &self.bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(purpose) = &self.purpose {
            request = request.header("menshen-purpose", purpose);
        }
        if let Some(ticket) = &self.ticket {
            request = request.header("menshen-ticket", ticket);
        }
        let body = match &self.body {
            None => Bytes::new(),
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
        };
        request.body(Full::new(body))
    }
}

/// The story as it is told.
pub(in crate::demo) struct Story<'o> {
    pub(in crate::demo) stage: Stage,
    door: Door,
    /// The cookie of each session, by the name that [`Ask::by`] uses.
    cookies: BTreeMap<String, String>,
    out: &'o mut dyn Write,
    /// What the current step has to say.
    lines: Vec<String>,
    holds: bool,
    steps: u32,
    broken: Vec<u32>,
    /// A file that somebody took: its mark and its hash.
    pub(in crate::demo) copy: Option<(String, String)>,
}

impl<'o> Story<'o> {
    pub(in crate::demo) fn begin(stage: Stage, door: Door, out: &'o mut dyn Write) -> Self {
        let (cookies, lines, broken, copy) = Default::default();
        Self { stage, door, cookies, out, lines, holds: true, steps: 0, broken, copy }
    }

    /// Prints a line between two steps.
    pub(in crate::demo) fn aside(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "   - {line}\n")
    }

    /// Prints where the story plays.
    pub(in crate::demo) fn headline(&mut self, what: &str) -> io::Result<()> {
        let address = self.stage.address().map(|address| address.to_string()).unwrap_or_default();
        writeln!(self.out, "The gate is at {address}; behind it is {what}.\n")
    }

    /// Plays one step and prints it.
    pub(in crate::demo) async fn step(
        &mut self,
        title: &str,
        why: &str,
        play: impl AsyncFnOnce(&mut Self) -> Result<(), Trouble>,
    ) -> io::Result<()> {
        self.lines.clear();
        self.holds = true;
        if let Err(trouble) = play(self).await {
            self.check(&format!("the step could be played: {trouble}"), false);
        }
        self.steps += 1;
        if !self.holds {
            self.broken.push(self.steps);
        }
        writeln!(self.out, "{:>2} {} {title}", self.steps, mark(self.holds))?;
        for line in &self.lines {
            writeln!(self.out, "     {line}")?;
        }
        writeln!(self.out, "     why    {why}\n")?;
        self.out.flush()
    }

    /// Notes whether something that the step is about is so.
    pub(in crate::demo) fn check(&mut self, what: &str, is_so: bool) {
        self.holds &= is_so;
        self.lines.push(format!("{}      {what}", mark(is_so)));
    }

    /// Notes something that was asked without a request, and what came of it.
    pub(in crate::demo) fn note(&mut self, asked: &str, came: &str) {
        self.lines.push(format!("asked  {asked}"));
        self.lines.push(format!("came   {}", cut(came)));
    }

    /// Sends a request, notes it and its answer, and keeps the cookie if there is one.
    pub(in crate::demo) async fn ask(&mut self, ask: Ask) -> Result<Answer, Trouble> {
        let answer = self.send(&ask).await?;
        self.lines.push(format!("asked  {}", ask.told()));
        // The id of the request would only take room.
        let id = format!("\"request\":\"{}\",", answer.header("menshen-request-id"));
        let body = answer.text().replace(&id, "");
        let status = answer.status.as_u16();
        self.lines.push(format!("came   {status} {}", cut(&body)));
        for name in TELLING {
            let value = answer.header(name);
            if !value.is_empty() {
                self.lines.push(format!("       {name}: {value}"));
            }
        }
        Ok(answer)
    }

    /// Sends a request, has something happen when the answer has begun, and notes how many bytes came and whether that
    /// was the whole.
    pub(in crate::demo) async fn ask_and_pause(
        &mut self,
        ask: &Ask,
        meanwhile: impl Future<Output = ()>,
    ) -> Result<(usize, bool), Trouble> {
        self.stage.clock().advance_ms(PAUSE_MS);
        let address = *self.stage.addresses().get(ask.zone).ok_or(Trouble::Closed)?;
        let request = ask.request(self.cookies.get(&ask.who))?;
        let (status, bytes, is_whole) =
            self.door.send_and_pause(address, request, meanwhile).await?;
        let end = if is_whole { "to its end" } else { "and was cut off" };
        self.lines.push(format!("asked  {}", ask.told()));
        self.lines.push(format!("came   {} {bytes} bytes {end}", status.as_u16()));
        Ok((bytes, is_whole))
    }

    /// Sends a request until its status is such, for a few seconds.
    pub(in crate::demo) async fn becomes(
        &mut self,
        ask: &Ask,
        is_such: impl Fn(StatusCode) -> bool,
    ) -> Result<bool, Trouble> {
        const TIMES: u32 = 100;
        for _ in 0..TIMES {
            if is_such(self.send(ask).await?.status) {
                return Ok(true);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Ok(false)
    }

    /// Sends a request and tells nobody.
    pub(in crate::demo) async fn send(&mut self, ask: &Ask) -> Result<Answer, Trouble> {
        self.stage.clock().advance_ms(PAUSE_MS);
        let address = *self.stage.addresses().get(ask.zone).ok_or(Trouble::Closed)?;
        let request = ask.request(self.cookies.get(&ask.who))?;
        let answer = self.door.send(address, ask.protocol, request).await?;
        if let Some(cookie) = answer.headers.get(SET_COOKIE).and_then(|v| v.to_str().ok()) {
            let value = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            if let Some((COOKIE_NAME, value)) = value {
                self.cookies.insert(ask.who.clone(), value.to_owned());
            }
        }
        Ok(answer)
    }

    /// Presents a password; the session is then known as `who`.
    pub(in crate::demo) async fn password(
        &mut self,
        who: &str,
        account: &str,
        password: &str,
        remark: &str,
    ) -> Result<Answer, Trouble> {
        let body = json!({ "account": account, "password": password });
        self.ask(Ask::post("/.menshen/login", body).by(who).remark(remark)).await
    }

    /// Presents a one-time code in the session `who`.
    pub(in crate::demo) async fn code(
        &mut self,
        who: &str,
        code: &str,
        remark: &str,
    ) -> Result<Answer, Trouble> {
        let body = json!({ "code": code });
        self.ask(Ask::post("/.menshen/code", body).by(who).remark(remark)).await
    }

    /// Takes the step `register`, `raise` or `sign-in` in the session `who` with a passkey in software.
    pub(in crate::demo) async fn passkey(
        &mut self,
        who: &str,
        step: &str,
        key: &mut Passkey,
        remark: &str,
    ) -> Result<Answer, Trouble> {
        let asked = Ask::post("/.menshen/passkey/options", json!({ "for": step })).by(who);
        let options = self.send(&asked).await?.json();
        let credential = if step == "register" { key.make(&options) } else { key.sign(&options)? };
        let body = json!({ "name": "key of the tour", "credential": credential });
        let path = format!("/.menshen/passkey/{step}");
        self.ask(Ask::post(&path, body).by(who).remark(remark)).await
    }

    /// Signs an account in with its password and, where wanted, its code. Prints nothing of it.
    pub(in crate::demo) async fn sign_in(
        &mut self,
        account: &str,
        with_code: bool,
    ) -> Result<(), Trouble> {
        self.sign_in_at(0, account, with_code).await
    }

    /// The same at the listener of this number.
    pub(in crate::demo) async fn sign_in_at(
        &mut self,
        zone: usize,
        account: &str,
        with_code: bool,
    ) -> Result<(), Trouble> {
        let person = self.stage.people().iter().find(|person| person.name == account);
        let password = person.map_or("", |person| person.password.as_str());
        let body = json!({ "account": account, "password": password });
        self.send(&Ask::post("/.menshen/login", body).by(account).at_zone(zone)).await?;
        if with_code {
            let body = json!({ "code": self.code_of(account)? });
            self.send(&Ask::post("/.menshen/code", body).by(account).at_zone(zone)).await?;
        }
        Ok(())
    }

    /// What the account's authenticator app shows now.
    pub(in crate::demo) fn code_of(&self, account: &str) -> Result<String, Trouble> {
        let enrolment = self.stage.enrolment(account);
        enrolment
            .and_then(|enrolment| totp_code_at(&enrolment.secret, self.stage.clock().unix_s()))
            .ok_or_else(|| Trouble::NoCode(account.to_owned()))
    }

    /// How many requests the backend has had.
    pub(in crate::demo) fn hits(&self) -> u64 {
        self.stage.backend().hits()
    }

    /// The cookies of all sessions.
    pub(in crate::demo) fn cookies(&self) -> impl Iterator<Item = &String> {
        self.cookies.values()
    }

    /// Gives the session `to` the cookie that `from` has now.
    pub(in crate::demo) fn copy_cookie(&mut self, from: &str, to: &str) {
        if let Some(cookie) = self.cookies.get(from).cloned() {
            self.cookies.insert(to.to_owned(), cookie);
        }
    }

    /// Prints how the story went.
    pub(in crate::demo) fn summary(&mut self) -> io::Result<Told> {
        let (steps, broken) = (self.steps, self.broken.clone());
        let numbers: Vec<String> = broken.iter().map(u32::to_string).collect();
        match broken.is_empty() {
            true => writeln!(self.out, "All {steps} steps held.")?,
            false => writeln!(self.out, "Of {steps} steps these broke: {}", numbers.join(", "))?,
        }
        self.out.flush()?;
        Ok(Told { steps, broken })
    }

    /// Stops everything.
    pub(in crate::demo) async fn end(self) {
        self.stage.strike().await;
    }
}

/// The password of one of the cast; empty for anybody else, which signs nobody in.
pub(in crate::demo) fn password_of(account: &str) -> &'static str {
    CAST.iter().find(|person| person.name == account).map_or("", |person| person.password)
}

fn mark(holds: bool) -> char {
    if holds { '✓' } else { '✗' }
}

/// On one line and not too long.
fn cut(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN_CHARS {
        return line;
    }
    line.chars().take(SHOWN_CHARS).chain(['…']).collect()
}
