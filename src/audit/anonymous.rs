//! What is left of an entry of a customer's own use when nobody is in it any more: a statistic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::attributes::Attributes;
use super::entry::{Entry, EntryId, Moment};
use super::groups::{Act, Actor, Auth, Data, Levels, Origin, Query, Request, Why};
use super::text::Text;

const HOUR_MS: i64 = 3600 * 1000;

/// The entry's JSON without accounts, sessions, devices, references, reasons, searches and marks; the address is
/// cut to a large network and the time to the hour. `None` if it cannot be written.
pub(super) fn anonymous(mut entry: Entry) -> Option<Vec<u8>> {
    entry.time = hour(entry.time);
    entry.id = entry.id.within_the_hour();
    entry.decided_by = entry.decided_by.map(EntryId::within_the_hour);
    if let Some(part) = &mut entry.continues {
        part.id = part.id.within_the_hour();
    }
    let actor = entry.actor.map(|Actor { kind, roles, tenant, .. }| Actor {
        kind,
        roles,
        tenant,
        account: Text::default(),
        person: Text::default(),
        attributes: Attributes::default(),
        partner: Text::default(),
        contract: Text::default(),
        on_behalf_of: Text::default(),
        own: None,
    });
    entry.actor = actor;
    entry.auth = entry.auth.map(|Auth { assurance, factors, credential, .. }| Auth {
        assurance,
        factors,
        credential,
        levels: Levels::default(),
        ..Auth::default()
    });
    entry.origin = entry.origin.map(|Origin { address, zone, listener, tls, .. }| Origin {
        address: address.map(network),
        zone,
        listener,
        tls,
        ..Origin::default()
    });
    let (trace, query) = (Text::default(), Query::default());
    entry.request = entry.request.map(|request| Request { trace, query, ..request });
    entry.why = entry.why.map(|Why { purpose, .. }| Why { purpose, ..Why::default() });
    let (watermark, sha256) = (Text::default(), Text::default());
    entry.data = entry.data.map(|data| Data { watermark, sha256, ..data });
    entry.act = entry.act.map(|Act { name, .. }| Act { name, ..Act::default() });
    if let Some(subjects) = &mut entry.subjects {
        subjects.refs.clear();
    }
    entry.to_json().ok()
}

/// The hour that the moment lies in.
pub(super) fn hour(moment: Moment) -> Moment {
    Moment(moment.0.div_euclid(HOUR_MS) * HOUR_MS)
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            Ipv4Addr::new(a, b, 0, 0).into()
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.segments();
            Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0).into()
        }
    }
}
