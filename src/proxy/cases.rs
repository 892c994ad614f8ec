//! Business links in the way of a request: a ticket that comes along is taken before the decision, and links that were
//! put beside the gate hold once they are recorded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{HeaderMap, HeaderName};

use super::Gate;
use super::rejection::Rejection;
use crate::consent::{Register, Statement};
use crate::identity::{Caller, CaseTicket, CaseTicketFault, TICKET_LEEWAY_S, TokenFault};
use crate::link::{Link, LinkError, Links, Taken, Ticket};
use crate::policy::{Said, Ties};

/// The ticket of a business system.
const LINK: HeaderName = HeaderName::from_static("menshen-link");
/// Tickets that are remembered as taken; the state remembers all of them.
const REMEMBERED: usize = 50_000;

/// The links and what data subjects said, as the policy asks for them.
#[derive(Debug)]
pub(super) struct Tied {
    pub(super) links: Arc<Links>,
    pub(super) subjects: Arc<Register>,
}

impl Ties for Tied {
    fn ties(&self, account: &str, kind: &str, entity: &str, subject: &str) -> bool {
        self.links.ties(account, kind, entity, subject)
    }

    fn said(&self, entity: &str, subject: &str, purpose: &str, to: Option<&str>) -> Option<Said> {
        self.subjects.said(entity, subject, purpose, to)
    }

    fn is_marked(&self, entity: &str, subject: &str, mark: &str) -> Option<bool> {
        self.subjects.is_marked(entity, subject, mark)
    }
}

/// Tickets that were taken lately, by keyed hash: a client sends one along with each request of its case.
#[derive(Debug, Default)]
pub(super) struct TakenTickets(Mutex<HashMap<u64, TakenTicket>>);

/// A ticket that was taken.
#[derive(Clone, Copy, Debug)]
struct TakenTicket {
    until_s: i64,
    /// By what its link is known.
    link: u64,
}

impl TakenTickets {
    fn get(&self, tag: u64, now_s: i64) -> Option<u64> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.get(&tag).filter(|ticket| ticket.until_s > now_s).map(|ticket| ticket.link)
    }

    fn add(&self, tag: u64, ticket: TakenTicket) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= REMEMBERED {
            taken.clear();
        }
        taken.insert(tag, ticket);
    }
}

impl Gate {
    /// Looks for links that were put or ended beside the gate; what was put is in the log before it holds. `false`
    /// if that could not be read or recorded: ends hold, and what was put waits.
    pub async fn look_for_links(&self) -> bool {
        let _only_one = self.links.only_one().await;
        loop {
            let news = match self.links.look().await {
                Ok(None) => return true,
                Ok(Some(news)) => news,
                Err(error) => {
                    tracing::error!(%error, "business links could not be read");
                    return false;
                }
            };
            if news.opens() && self.record_acts().await.is_err() {
                self.links.install_ends(&news);
                return false;
            }
            let is_all = news.is_all();
            self.links.install(news);
            if is_all {
                return true;
            }
        }
    }

    /// What of a statement the policy in force does not know.
    #[must_use]
    pub fn unknown_of_subjects(&self, statement: &Statement) -> Option<String> {
        let program = self.policies.live();
        program.unknown_of_subjects(&statement.entity, statement.purpose(), statement.mark())
    }

    /// Looks for what data subjects said beside the gate; what opens something is in the log before it holds. `false`
    /// if that could not be read or recorded: what closes holds, and the rest waits.
    pub async fn look_for_subjects(&self) -> bool {
        let _only_one = self.subjects.only_one().await;
        loop {
            let news = match self.subjects.look().await {
                Ok(None) => return true,
                Ok(Some(news)) => news,
                Err(error) => {
                    tracing::error!(%error, "what data subjects said could not be read");
                    return false;
                }
            };
            if news.opens() && self.record_acts().await.is_err() {
                self.subjects.install_closing(&news);
                return false;
            }
            let is_all = news.is_all();
            self.subjects.install(news);
            if is_all {
                return true;
            }
        }
    }

    /// Takes the ticket of a business system that comes along, if one does: from then on its case ties the caller.
    ///
    /// It may come along as long as the case stands. It opens no case again that was ended.
    ///
    /// # Errors
    /// [`Rejection::CaseTicket`] if it is not good, [`Rejection::StoreUnavailable`].
    pub(super) async fn take_case_ticket(
        &self,
        headers: &HeaderMap,
        caller: &Caller,
    ) -> Result<(), Rejection> {
        let mut lines = headers.get_all(LINK).iter();
        let Some(line) = lines.next() else { return Ok(()) };
        let fault = Rejection::CaseTicket;
        if lines.next().is_some() {
            return Err(fault(CaseTicketFault::Size));
        }
        let text = line.to_str().map_err(|_not_text| fault(CaseTicketFault::Size))?.trim();
        let now_s = self.clock.unix_s();
        let tag = self.keys.query.short(&[b"ticket", caller.account.as_bytes(), text.as_bytes()]);
        if let Some(link) = self.taken_tickets.get(tag, now_s) {
            return self.check_stands(link);
        }
        let ticket = self.configured().cases.verify(text, &caller.account, now_s).map_err(fault)?;
        let until_s = ticket.until_s;
        let link = self.tie(ticket).await?;
        self.taken_tickets.add(tag, TakenTicket { until_s, link });
        self.check_stands(link)
    }

    /// Takes a ticket that is good, and gives by what its link is known.
    async fn tie(&self, ticket: CaseTicket) -> Result<u64, Rejection> {
        let CaseTicket { issuer, id, account, kind, entity, subject, reference, until_s, issued_s } =
            ticket;
        let link = Link { account, kind, entity, subject, reference, until_s };
        // By a clock that runs ahead a ticket that was kept back would seem to be younger than the end of its case.
        let issued_s = issued_s.saturating_sub(TICKET_LEEWAY_S);
        let ticket = Ticket { issuer: &issuer, id: &id, issued_s };
        let taken = self.links.take_ticket(&link, &ticket).await.map_err(untied)?;
        if taken == Taken::Ended {
            return Err(Rejection::CaseTicket(CaseTicketFault::Ended));
        }
        // Also of one that was taken before: by another gate process, or a moment ago beside this request.
        if self.look_for_links().await {
            Ok(self.links.tag_of(&link))
        } else {
            Err(Rejection::StoreUnavailable)
        }
    }

    fn check_stands(&self, link: u64) -> Result<(), Rejection> {
        if self.links.is_old() {
            return Err(Rejection::StoreUnavailable);
        }
        if self.links.stands(link) {
            return Ok(());
        }
        Err(Rejection::CaseTicket(CaseTicketFault::Ended))
    }
}

fn untied(error: LinkError) -> Rejection {
    match error {
        LinkError::Form(..) | LinkError::Until | LinkError::Number => {
            Rejection::CaseTicket(CaseTicketFault::Token(TokenFault::Claim("case")))
        }
        LinkError::Full | LinkError::State(_) | LinkError::Secret(_) => {
            tracing::error!(%error, "a ticket of a business system could not be taken");
            Rejection::StoreUnavailable
        }
    }
}
