//! Tickets of business systems: a signed token that ties its account to a data subject by a case. Each system has its
//! own keys, and says nothing but cases of the kinds that it was given. That a ticket is taken once is for the store.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::claims::{Moment, TokenFault, is_name};
use super::jws::Jws;
use super::key_ring::KeyRing;
use super::keys::KeyFileError;

/// The largest ticket, in bytes.
const SIZE_LIMIT: usize = 8 * 1024;
/// The type that a ticket must have, so that no other token of the same system passes for one.
const TYPE: &str = "menshen-link+jwt";
/// The longest life of a ticket.
const LONGEST_S: i64 = 31 * 24 * 3600;
/// How far ahead the system's clock may be: a ticket may have been made so much earlier than it says.
pub const TICKET_LEEWAY_S: i64 = 5;

/// A business system whose tickets are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseIssuerSettings {
    /// Its name here.
    pub name: String,
    /// Its `iss`.
    pub issuer: String,
    /// The `aud` that names this gate.
    pub audience: String,
    /// The file with its public keys.
    pub keys: PathBuf,
    /// The kinds of cases that it may speak of.
    pub kinds: Vec<String>,
}

/// What a good ticket says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseTicket {
    /// The system.
    pub issuer: String,
    /// The ticket's own name, which is taken once.
    pub id: String,
    /// The account that it is for.
    pub account: String,
    /// The kind of case.
    pub kind: String,
    /// The entity of the subject.
    pub entity: String,
    /// The subject's key; of a number its digits.
    pub subject: String,
    /// The case in the system's words.
    pub reference: String,
    /// When it ends, Unix seconds.
    pub until_s: i64,
    /// When it was made, Unix seconds.
    pub issued_s: i64,
}

/// Why a ticket is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaseTicketFault {
    /// No business system is known here.
    #[error("no system's tickets are accepted here")]
    Nobody,
    /// There are several, or it is too large.
    #[error("exactly one `Menshen-Link` header of at most 8 KiB may stand there")]
    Size,
    /// It is not signed as it must be, has expired, or is for somebody else than this gate.
    #[error(transparent)]
    Token(TokenFault),
    /// It is for another account.
    #[error("the ticket is for another account")]
    Account,
    /// The case ended, or was ended; a ticket opens no case again.
    #[error("the ticket was taken before, or its case was ended since: ask for a new one")]
    Ended,
    /// The system may not speak of cases of this kind.
    #[error("the ticket's issuer may not speak of cases of this kind")]
    Kind,
}

/// The systems whose tickets are believed.
#[derive(Debug)]
pub struct CaseTickets {
    issuers: Vec<(CaseIssuerSettings, Arc<KeyRing>)>,
}

impl CaseTickets {
    /// Reads their keys. Blocks.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn load(issuers: &[CaseIssuerSettings]) -> Result<Self, KeyFileError> {
        let ring = |one: &CaseIssuerSettings| {
            Ok::<_, KeyFileError>((one.clone(), Arc::new(KeyRing::load(&one.keys)?)))
        };
        Ok(Self { issuers: issuers.iter().map(ring).collect::<Result<_, _>>()? })
    }

    /// Whether it is time to look at the files; only one of many askers is told so.
    #[must_use]
    pub fn is_due(&self, now_s: i64) -> bool {
        // All are asked, since being told so is what puts a look off.
        self.issuers.iter().filter(|(_, ring)| ring.is_due(now_s)).count() > 0
    }

    /// Reads those again whose file changed; what cannot be used leaves the old keys in place. Blocks.
    pub fn look(&self) {
        for (one, ring) in &self.issuers {
            match ring.refresh(&one.keys) {
                Ok(true) => tracing::info!(issuer = one.name, "the system's keys were read"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the system's old keys stay in use"),
            }
        }
    }

    /// What the ticket says, if it is good and for this account.
    ///
    /// # Errors
    /// [`CaseTicketFault`].
    pub fn verify(
        &self,
        ticket: &str,
        account: &str,
        now_s: i64,
    ) -> Result<CaseTicket, CaseTicketFault> {
        if self.issuers.is_empty() {
            return Err(CaseTicketFault::Nobody);
        }
        if ticket.len() > SIZE_LIMIT {
            return Err(CaseTicketFault::Size);
        }
        let found = self.read(ticket, now_s).map_err(CaseTicketFault::Token)?;
        let (ticket, kinds) = found;
        if ticket.account != account {
            return Err(CaseTicketFault::Account);
        }
        if !kinds.contains(&ticket.kind) {
            return Err(CaseTicketFault::Kind);
        }
        Ok(ticket)
    }

    fn read(&self, ticket: &str, now_s: i64) -> Result<(CaseTicket, &[String]), TokenFault> {
        let jws = Jws::read(ticket)?;
        if jws.header.text("typ")? != Some(TYPE) {
            return Err(TokenFault::Type);
        }
        let issuer = jws.payload.text("iss")?.ok_or(TokenFault::Claim("iss"))?;
        let known = self.issuers.iter().find(|(one, _)| one.issuer == issuer);
        let (settings, ring) = known.ok_or(TokenFault::Issuer)?;
        let claims = jws.verify(&ring.keys())?;
        if claims.audiences()? != [settings.audience.as_str()] {
            return Err(TokenFault::Audience);
        }
        let until_s = claims.time("exp")?.ok_or(TokenFault::Claim("exp"))?.begun_s;
        if until_s <= now_s {
            return Err(TokenFault::Expired);
        }
        let issued = claims.time("iat")?.ok_or(TokenFault::Claim("iat"))?;
        let most_s = now_s.saturating_add(TICKET_LEEWAY_S);
        let is_ahead = |at: Moment| at.reached_s > most_s;
        if is_ahead(issued) || claims.time("nbf")?.is_some_and(is_ahead) {
            return Err(TokenFault::NotYet);
        }
        let issued_s = issued.begun_s;
        // That a case was ended is known for longer than this.
        if until_s.saturating_sub(issued_s) > LONGEST_S {
            return Err(TokenFault::Claim("exp"));
        }
        let named = |name: &'static str| {
            let text = claims.text(name)?.filter(|text| is_name(text));
            text.map(str::to_owned).ok_or(TokenFault::Claim(name))
        };
        let of_case = |name: &'static str| {
            let text = match claims.value("case").and_then(|case| case.get(name)) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => number.as_i64().map(|number| number.to_string()),
                Some(_) | None => None,
            };
            text.filter(|text| is_name(text)).ok_or(TokenFault::Claim("case"))
        };
        let reference = match claims.value("case").and_then(|case| case.get("reference")) {
            None => String::new(),
            Some(_) => of_case("reference")?,
        };
        let ticket = CaseTicket {
            issuer: settings.name.clone(),
            id: named("jti")?,
            account: named("sub")?,
            kind: of_case("kind")?,
            entity: of_case("entity")?,
            subject: of_case("subject")?,
            reference,
            until_s,
            issued_s,
        };
        Ok((ticket, &settings.kinds))
    }
}
