//! What is told of what was too much.

use http::StatusCode;
use http::header::RETRY_AFTER;

use super::{Rejection, Told};
use crate::limits::{self, AddressRefused};
use crate::proxy::pages::{Html, Page, TooMuch, too_much};

/// The page that tells it, where the rejection is that it was too much.
pub(super) fn html(rejection: &Rejection, page: &Page<'_>, contact: Option<&str>) -> Option<Html> {
    if let Rejection::Limit(refused) = rejection {
        let limit = refused.limit.to_string();
        let is_shared = refused.holder.is_shared();
        let (limit, wait_s) = (Some(limit.as_str()), refused.retry_after_s);
        return Some(too_much(page, TooMuch { limit, is_shared, wait_s, contact }));
    }
    let Rejection::Slowed(wait_s) = *rejection else { return None };
    Some(too_much(page, TooMuch { limit: None, is_shared: false, wait_s, contact }))
}

pub(super) fn address(refused: &AddressRefused) -> Told {
    let title = "Too many credentials from this address were not accepted";
    Told::new(StatusCode::TOO_MANY_REQUESTS, "address_limit", title)
        .detail(refused)
        .header(RETRY_AFTER, refused.wait.as_secs().max(1))
}

/// Plain that it is so, and not why: whoever did it should not learn what was noticed.
pub(super) fn stopped() -> Told {
    let title = "This account is stopped for now";
    Told::new(StatusCode::FORBIDDEN, "stopped", title)
        .detail("ask the security desk, which can release it")
}

pub(super) fn slowed(wait_s: u64) -> Told {
    let title = "Requests of this account are slowed for now";
    Told::new(StatusCode::TOO_MANY_REQUESTS, "slowed", title)
        .detail(format!("come again in {wait_s} s; the security desk can release it"))
        .header(RETRY_AFTER, wait_s)
}

/// So many of a person's at once.
pub(super) fn sockets(most: u32) -> Told {
    Told::new(StatusCode::TOO_MANY_REQUESTS, "websockets", "A limit is reached")
        .detail(format!("at most {most} of these WebSockets may be open for you at once"))
        .header(RETRY_AFTER, 5)
}

/// Which limit, whose if it is shared, and when to come back. How a shared one stands is not told.
pub(super) fn limit(refused: &limits::Refused) -> Told {
    let limits::Refused { limit, holder, retry_after_s, quotas } = refused;
    let mut told = Told::new(StatusCode::TOO_MANY_REQUESTS, "limit", "A limit is reached")
        .detail(refused)
        .header(RETRY_AFTER, refused.retry_after())
        .quotas(quotas);
    let mut say = |name: &str, value: serde_json::Value| {
        told.members.insert(name.to_owned(), value);
    };
    say("limit", limit.to_string().into());
    if holder.is_shared() {
        say("shared_by", holder.to_string().into());
    }
    say("retry_after_s", (*retry_after_s).into());
    told.limited = Some((limit.kind(), holder.kind()));
    told
}
