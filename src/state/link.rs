//! Rows of business links: every one that was put or ended, in order. What they mean is `link`'s business.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::act::{self, Deed};
use super::{FeedItem, FeedRow, FeedSlice, StateError, Store};

/// Rows that are read at once.
const BATCH: u32 = 10_000;
/// Rows of an account that are listed.
const LISTED: u32 = 1_000;
/// Rows that are forgotten at once.
const FORGOTTEN: u32 = 20_000;

/// The tag of the row that says that all links of an account were ended.
const ALL_OF_ACCOUNT: i64 = 0;

/// A ticket that puts a link.
#[derive(Clone, Copy, Debug)]
pub struct TicketRow {
    /// By what it is known.
    pub tag: [u8; 32],
    /// When it was made, Unix milliseconds.
    pub issued_ms: i64,
    /// Until when it must be remembered, Unix seconds.
    pub until_s: i64,
}

/// Whether a ticket put its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It did.
    Now,
    /// It was taken before.
    Before,
    /// Its case was ended after it was made.
    Ended,
}

/// A link that is put, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLink {
    /// Whether it is put; else it is ended.
    pub is_put: bool,
    /// By what a gate knows it.
    pub tag: i64,
    /// Whose it is.
    pub account: String,
    /// The kind of case.
    pub kind: String,
    /// The subject's reference.
    pub subject: String,
    /// The case.
    pub reference: String,
    /// When it ends, Unix seconds.
    pub until_s: i64,
}

/// A link that was put, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// Its number; later ones have larger ones.
    pub seq: i64,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// Whether it was put; else it was ended.
    pub is_put: bool,
    /// By what a gate knows it.
    pub tag: i64,
    /// Whose it is.
    pub account: String,
    /// The kind of case.
    pub kind: String,
    /// The subject's reference.
    pub subject: String,
    /// The case.
    pub reference: String,
    /// When it ends, Unix seconds.
    pub until_s: i64,
    /// Who said so.
    pub done_by: String,
}

/// A link that was put or ended, as other gates are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTold {
    is_put: bool,
    tag: i64,
    account: String,
    kind: String,
    subject: String,
    reference: String,
    until_s: i64,
    done_by: String,
    at_ms: i64,
    /// Of two about the same the one with the later stamp holds; of a ticket's it is when that was made.
    stamp_ms: i64,
    /// The ticket that put it, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
}

/// Where a row comes from.
#[derive(Clone, Copy, Debug, Default)]
struct Source<'a> {
    /// When what it says was so, where that is not when it was said: a ticket's is when it was made.
    stamp_ms: Option<i64>,
    /// The ticket.
    ticket: Option<&'a [u8]>,
    /// The gate that told it; empty for this one.
    origin: &'a str,
}

impl Store {
    /// Puts links, all in one commit; the log gets an act.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing was put then.
    pub async fn add_links(&self, links: Vec<NewLink>) -> Result<(), StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            add(connection, &links, &doer)?;
            note(connection, &links, false, &doer)
        })
        .await
    }

    /// Ends links, also those that tickets of before would put; the log gets an act. Gives how many stood.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing was ended then.
    pub async fn end_links(&self, links: Vec<NewLink>, now_s: i64) -> Result<usize, StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            let mut standing = 0;
            for link in &links {
                standing += usize::from(stands(connection, link, now_s)?);
            }
            add(connection, &links, &doer)?;
            note(connection, &links, false, &doer)?;
            Ok(standing)
        })
        .await
    }

    /// Puts a link by a ticket, unless that was taken before, or the link or all of its account was ended after the
    /// ticket was made.
    ///
    /// # Errors
    /// Any [`StateError`] of a write; nothing was put then.
    pub async fn add_link_of_ticket(
        &self,
        link: NewLink,
        ticket: TicketRow,
    ) -> Result<Taken, StateError> {
        let (doer, now_s) = (self.doer(), self.clock.unix_s());
        self.write(move |connection| {
            if !take_ticket(connection, &ticket)? {
                return Ok(Taken::Before);
            }
            if is_ended(connection, &link, ticket.issued_ms)? {
                return Ok(Taken::Ended);
            }
            let known = newest(connection, &link.account, link.tag)?;
            if known.is_some_and(|known| known >= rank(ticket.issued_ms, true, link.until_s)) {
                // The later of two holds at every gate, and that one is known already.
                return Ok(if stands(connection, &link, now_s)? {
                    Taken::Now
                } else {
                    Taken::Ended
                });
            }
            // What was ended at another gate since it was made stays ended, whichever is heard of first.
            let (stamp_ms, tag) = (Some(ticket.issued_ms), Some(&ticket.tag[..]));
            let source = Source { stamp_ms, ticket: tag, origin: "" };
            insert(connection, &link, source, &doer)?;
            note(connection, &[link], true, &doer)?;
            Ok(Taken::Now)
        })
        .await
    }

    /// Ends all that stand of an account, and what tickets that were made before would put; gives how many stood.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn end_links_of(
        &self,
        account: &str,
        now_s: i64,
        until_s: i64,
    ) -> Result<usize, StateError> {
        let (doer, account) = (self.doer(), account.to_owned());
        self.write(move |connection| {
            let standing = standing_of(connection, &account, now_s)?;
            let ends = standing.into_iter().map(|(link, _)| NewLink { until_s, ..link });
            let mut ended: Vec<_> = ends.collect();
            let count = ended.len();
            ended.push(all_of(&account, until_s));
            add(connection, &ended, &doer)?;
            ended.truncate(count);
            note_end_of_all(connection, (&account, &ended), &doer)?;
            Ok(count)
        })
        .await
    }

    /// Some of what was put and ended after a row, in order, and whether that is all.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn links_after(&self, seq: i64) -> Result<(Vec<LinkRow>, bool), StateError> {
        self.read(move |connection| {
            let sql = "SELECT * FROM links WHERE seq > ?1 ORDER BY seq LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![seq, BATCH], row)?;
            let rows: Vec<LinkRow> = rows.collect::<Result<_, _>>()?;
            let is_all = u32::try_from(rows.len()).is_ok_and(|read| read < BATCH);
            Ok((rows, is_all))
        })
        .await
    }

    /// The last that was put and ended of an account, the newest first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn links_of(&self, account: &str) -> Result<Vec<LinkRow>, StateError> {
        let account = account.to_owned();
        self.read(move |connection| {
            let sql = "SELECT * FROM links WHERE account = ?1 ORDER BY seq DESC LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![account, LISTED], row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Forgets some of what ended before a time, Unix seconds, and tickets that are over.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn forget_links(&self, before_s: i64) -> Result<(), StateError> {
        let now_s = self.clock.unix_s();
        self.write(move |connection| {
            // From the beginning on, since what is old stands there: nothing is looked through each time.
            connection
                .prepare_cached(
                    "DELETE FROM links WHERE seq IN
                     (SELECT seq FROM links ORDER BY seq LIMIT ?2) AND until_s < ?1",
                )?
                .execute(params![before_s, FORGOTTEN])?;
            let sql = "DELETE FROM link_tickets WHERE until_s <= ?1";
            connection.prepare_cached(sql)?.execute([now_s])?;
            Ok(())
        })
        .await
    }
}

/// Whether the last that was said of a link is that it was put, until later than now.
fn stands(connection: &Connection, link: &NewLink, now_s: i64) -> Result<bool, StateError> {
    let sql = "SELECT is_put AND until_s > ?3 FROM links
               WHERE account = ?1 AND tag = ?2 ORDER BY seq DESC LIMIT 1";
    let values = params![link.account, link.tag, now_s];
    let last = connection.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
    Ok(last.unwrap_or(false))
}

/// The ends of all links of an account that stand, each with the stamp of what it ends.
fn standing_of(
    connection: &Connection,
    account: &str,
    now_s: i64,
) -> Result<Vec<(NewLink, i64)>, StateError> {
    let sql =
        "SELECT max(seq), tag, kind, subject, reference, is_put, coalesce(stamp_ms, at_ms), until_s
               FROM links WHERE account = ?1 AND tag <> ?2 GROUP BY tag";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![account, ALL_OF_ACCOUNT])?;
    let mut standing = Vec::new();
    while let Some(row) = rows.next()? {
        let until_s: i64 = row.get(7)?;
        if !row.get::<_, bool>(5)? || until_s <= now_s {
            continue;
        }
        let link = NewLink {
            is_put: false,
            tag: row.get(1)?,
            account: account.to_owned(),
            kind: row.get(2)?,
            subject: row.get(3)?,
            reference: row.get(4)?,
            until_s,
        };
        standing.push((link, row.get(6)?));
    }
    Ok(standing)
}

/// `false` if it was taken before.
fn take_ticket(connection: &Connection, ticket: &TicketRow) -> Result<bool, StateError> {
    remember_ticket(connection, &ticket.tag, ticket.until_s)
}

fn remember_ticket(
    connection: &Connection,
    ticket: &[u8],
    until_s: i64,
) -> Result<bool, StateError> {
    let sql = "INSERT INTO link_tickets (ticket, until_s) VALUES (?1, ?2)
               ON CONFLICT (ticket) DO NOTHING";
    Ok(connection.prepare_cached(sql)?.execute(params![ticket, until_s])? > 0)
}

/// Whether the link, or all of its account, was ended after this moment.
fn is_ended(connection: &Connection, link: &NewLink, after_ms: i64) -> Result<bool, StateError> {
    // After a restore nobody knows what was ended in the time that is missing.
    let sql = "SELECT EXISTS (SELECT 1 FROM links
                   WHERE account = ?1 AND tag IN (?2, ?3) AND is_put = 0 AND coalesce(stamp_ms, at_ms) > ?4)
               OR EXISTS (SELECT 1 FROM restores WHERE until_ms >= ?4)";
    let values = params![link.account, link.tag, ALL_OF_ACCOUNT, after_ms];
    Ok(connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
}

fn add(connection: &Connection, links: &[NewLink], doer: &act::Doer) -> Result<(), StateError> {
    for link in links {
        // Later than whatever is known of it, so that the clocks of gates need not agree.
        let known = newest(connection, &link.account, link.tag)?;
        let after = known.map_or(i64::MIN, |(stamp, ..)| stamp.saturating_add(1));
        let stamp_ms = Some(after).filter(|after| *after > doer.at_ms);
        insert(connection, link, Source { stamp_ms, ..Source::default() }, doer)?;
    }
    Ok(())
}

fn insert(
    connection: &Connection,
    link: &NewLink,
    source: Source<'_>,
    doer: &act::Doer,
) -> Result<(), StateError> {
    let sql = "INSERT INTO links (at_ms, is_put, tag, account, kind, subject, reference, until_s, done_by,
                                  stamp_ms, ticket, origin)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let NewLink { is_put, tag, account, kind, subject, reference, until_s } = link;
    let Source { stamp_ms, ticket, origin } = source;
    let (at_ms, done_by): (i64, &str) = (doer.at_ms, &doer.name);
    connection.prepare_cached(sql)?.execute(params![
        at_ms, is_put, tag, account, kind, subject, reference, until_s, done_by, stamp_ms, ticket,
        origin
    ])?;
    Ok(())
}

/// By what of two that were said of a link one holds: the later; at one moment an end, or what ends sooner.
fn rank(stamp_ms: i64, is_put: bool, until_s: i64) -> (i64, bool, i64) {
    (stamp_ms, !is_put, if is_put { until_s.saturating_neg() } else { 0 })
}

/// The rank of the last that was said of a link, or of all of its account; of all of an account that of any of its links.
fn newest(
    connection: &Connection,
    account: &str,
    tag: i64,
) -> Result<Option<(i64, bool, i64)>, StateError> {
    let sql = if tag == ALL_OF_ACCOUNT {
        "SELECT coalesce(stamp_ms, at_ms) AS stamp, is_put, until_s FROM links
         WHERE account = ?1 AND ?2 = 0 ORDER BY stamp DESC, is_put, until_s LIMIT 1"
    } else {
        "SELECT coalesce(stamp_ms, at_ms) AS stamp, is_put, until_s FROM links
         WHERE account = ?1 AND tag IN (?2, 0) ORDER BY stamp DESC, is_put, until_s LIMIT 1"
    };
    let ranked = |row: &Row<'_>| Ok(rank(row.get(0)?, row.get(1)?, row.get(2)?));
    Ok(connection.prepare_cached(sql)?.query_row(params![account, tag], ranked).optional()?)
}

/// The links that were put, or ended, behind a row, as other gates are told of them: those that are not over.
pub(super) fn feed(
    connection: &Connection,
    puts: bool,
    (after, most): (i64, u32),
    now_s: i64,
) -> Result<FeedSlice, StateError> {
    let sql = if puts {
        "SELECT * FROM links WHERE seq > ?1 ORDER BY seq LIMIT ?2"
    } else {
        "SELECT * FROM links WHERE is_put = 0 AND seq > ?1 ORDER BY seq LIMIT ?2"
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, most])?;
    let mut slice = FeedSlice { items: Vec::new(), upto: after };
    while let Some(columns) = rows.next()? {
        let row = row(columns)?;
        slice.upto = row.seq;
        if row.is_put != puts || row.until_s <= now_s {
            continue;
        }
        let stamp_ms: Option<i64> = columns.get("stamp_ms")?;
        let ticket: Option<Vec<u8>> = columns.get("ticket")?;
        let LinkRow { at_ms, is_put, tag, account, kind, subject, reference, until_s, .. } = row;
        let told = LinkTold {
            is_put,
            tag,
            account,
            kind,
            subject,
            reference,
            until_s,
            done_by: row.done_by,
            at_ms,
            stamp_ms: stamp_ms.unwrap_or(at_ms),
            ticket: ticket.map(|ticket| BASE64_STANDARD.encode(ticket)),
        };
        let (origin, told) = (columns.get("origin")?, FeedRow::Link(Box::new(told)));
        slice.items.push(FeedItem { seq: row.seq, origin, row: told });
    }
    Ok(slice)
}

/// Takes over a link that was put, or ended, at another gate; `false` if something newer is known, or at the same
/// moment something stricter.
pub(super) fn take_over(
    connection: &Connection,
    told: &LinkTold,
    origin: &str,
    now_s: i64,
) -> Result<bool, StateError> {
    if let Some(ticket) = &told.ticket
        && let Ok(ticket) = BASE64_STANDARD.decode(ticket)
    {
        remember_ticket(connection, &ticket, told.until_s)?;
    }
    let is_all = told.tag == ALL_OF_ACCOUNT;
    let known = match is_all {
        true => newest_of_all(connection, &told.account)?.map(|stamp| rank(stamp, false, 0)),
        false => newest(connection, &told.account, told.tag)?,
    };
    if known.is_some_and(|known| known >= rank(told.stamp_ms, told.is_put, told.until_s)) {
        return Ok(false);
    }
    let doer = act::Doer { name: told.done_by.as_str().into(), at_ms: told.at_ms };
    let source = Source { stamp_ms: Some(told.stamp_ms), ticket: None, origin };
    if is_all {
        // Also what was put here and was not known there.
        let standing = standing_of(connection, &told.account, now_s)?;
        for (link, _) in standing.iter().filter(|(_, stamp)| *stamp <= told.stamp_ms) {
            let link = NewLink { until_s: told.until_s, ..link.clone() };
            insert(connection, &link, source, &doer)?;
        }
    }
    let LinkTold { is_put, tag, until_s, .. } = *told;
    let LinkTold { account, kind, subject, reference, .. } = told.clone();
    let link = NewLink { is_put, tag, account, kind, subject, reference, until_s };
    let ticket = told.ticket.as_ref().and_then(|ticket| BASE64_STANDARD.decode(ticket).ok());
    insert(connection, &link, Source { ticket: ticket.as_deref(), ..source }, &doer)?;
    Ok(true)
}

fn newest_of_all(connection: &Connection, account: &str) -> Result<Option<i64>, StateError> {
    let sql = "SELECT max(coalesce(stamp_ms, at_ms)) FROM links WHERE account = ?1 AND tag = 0";
    Ok(connection.prepare_cached(sql)?.query_row([account], |row| row.get(0))?)
}

/// One act for what came from another gate at once.
pub(super) fn note_shared(
    connection: &Connection,
    came: &[&LinkTold],
    node: &str,
    at_ms: i64,
) -> Result<(), StateError> {
    for (is_put, name) in [(false, "links_ended_shared"), (true, "links_put_shared")] {
        let links = Vec::from_iter(came.iter().filter(|link| link.is_put == is_put));
        if links.is_empty() {
            continue;
        }
        let accounts = distinct(links.iter().map(|link| link.account.as_str()));
        let kinds = distinct(links.iter().map(|link| link.kind.as_str()));
        let done_by = distinct(links.iter().map(|link| link.done_by.as_str()));
        let object = format!("links of {accounts}");
        let detail = format!("{}: {kinds}; at {node}", links.len());
        let (detail, done_by, approved_by, reason) = (&*detail, &*done_by, "", "");
        let deed = Deed { name, object: &object, detail, reason, done_by, approved_by, at_ms };
        act::note_deed(connection, &deed)?;
    }
    Ok(())
}

/// The row that says that all links of an account were ended.
fn all_of(account: &str, until_s: i64) -> NewLink {
    NewLink {
        is_put: false,
        tag: ALL_OF_ACCOUNT,
        account: account.to_owned(),
        kind: "*".to_owned(),
        subject: String::new(),
        reference: String::new(),
        until_s,
    }
}

/// One act for a call: how many, of which kinds and whose; whom they are about stands in the state alone.
fn note(
    connection: &Connection,
    links: &[NewLink],
    by_ticket: bool,
    doer: &act::Doer,
) -> Result<(), StateError> {
    let accounts = distinct(links.iter().map(|link| link.account.as_str()));
    let is_put = links.first().is_some_and(|link| link.is_put);
    let name = if is_put { "links_put" } else { "links_ended" };
    let ticket = if by_ticket { "by a ticket; " } else { "" };
    let detail = format!("{ticket}{}", told(links));
    note_as((name, &accounts, &detail), connection, doer)
}

fn note_end_of_all(
    connection: &Connection,
    (account, ended): (&str, &[NewLink]),
    doer: &act::Doer,
) -> Result<(), StateError> {
    note_as(("links_ended", account, &format!("all; {}", told(ended))), connection, doer)
}

fn note_as(
    (name, accounts, detail): (&str, &str, &str),
    connection: &Connection,
    doer: &act::Doer,
) -> Result<(), StateError> {
    let object = format!("links of {accounts}");
    let deed = Deed {
        name,
        object: &object,
        detail: detail.trim_end_matches([';', ':', ' ']),
        reason: "",
        done_by: &doer.name,
        approved_by: "",
        at_ms: doer.at_ms,
    };
    act::note_deed(connection, &deed)
}

/// How many, of which kinds, and the business systems' words for them.
fn told(links: &[NewLink]) -> String {
    let kinds = distinct(links.iter().map(|link| link.kind.as_str()));
    let references = links.iter().map(|link| link.reference.as_str());
    let references = distinct(references.filter(|one| !one.is_empty()));
    format!("{}: {kinds}; {references}", links.len())
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> String {
    act::joined(BTreeSet::from_iter(names))
}

fn row(row: &Row<'_>) -> rusqlite::Result<LinkRow> {
    Ok(LinkRow {
        seq: row.get("seq")?,
        at_ms: row.get("at_ms")?,
        is_put: row.get("is_put")?,
        tag: row.get("tag")?,
        account: row.get("account")?,
        kind: row.get("kind")?,
        subject: row.get("subject")?,
        reference: row.get("reference")?,
        until_s: row.get("until_s")?,
        done_by: row.get("done_by")?,
    })
}
