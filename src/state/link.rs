//! Rows of business links: every one that was put or ended, in order. What they mean is `link`'s business.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::act::{self, Deed};
use super::{StateError, Store};

/// Rows that are read at once.
const BATCH: u32 = 10_000;
/// Rows of an account that are listed.
const LISTED: u32 = 1_000;
/// Rows that are forgotten at once.
const FORGOTTEN: u32 = 20_000;
/// Names that are told of a call.
const NAMED: usize = 8;

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
        let doer = self.doer();
        self.write(move |connection| {
            if !take_ticket(connection, &ticket)? {
                return Ok(Taken::Before);
            }
            if is_ended(connection, &link, ticket.issued_ms)? {
                return Ok(Taken::Ended);
            }
            let links = [link];
            add(connection, &links, &doer)?;
            note(connection, &links, true, &doer)?;
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
            let sql = "SELECT max(seq), tag, kind, subject, reference, is_put FROM links
                       WHERE account = ?1 AND until_s > ?2 AND tag <> ?3 GROUP BY tag";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![account, now_s, ALL_OF_ACCOUNT], |row| {
                Ok(NewLink {
                    is_put: row.get(5)?,
                    tag: row.get(1)?,
                    account: account.clone(),
                    kind: row.get(2)?,
                    subject: row.get(3)?,
                    reference: row.get(4)?,
                    until_s,
                })
            })?;
            let standing: Vec<NewLink> = rows.collect::<Result<_, _>>()?;
            drop(statement);
            let standing = standing.into_iter().filter(|link| link.is_put);
            let mut ended: Vec<_> =
                standing.map(|link| NewLink { is_put: false, ..link }).collect();
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

/// `false` if it was taken before.
fn take_ticket(connection: &Connection, ticket: &TicketRow) -> Result<bool, StateError> {
    let sql = "INSERT INTO link_tickets (ticket, until_s) VALUES (?1, ?2)
               ON CONFLICT (ticket) DO NOTHING";
    let taken = connection.prepare_cached(sql)?.execute(params![ticket.tag, ticket.until_s])?;
    Ok(taken > 0)
}

/// Whether the link, or all of its account, was ended after this moment.
fn is_ended(connection: &Connection, link: &NewLink, after_ms: i64) -> Result<bool, StateError> {
    // After a restore nobody knows what was ended in the time that is missing.
    let sql = "SELECT EXISTS (SELECT 1 FROM links
                   WHERE account = ?1 AND tag IN (?2, ?3) AND is_put = 0 AND at_ms > ?4)
               OR EXISTS (SELECT 1 FROM restores WHERE until_ms >= ?4)";
    let values = params![link.account, link.tag, ALL_OF_ACCOUNT, after_ms];
    Ok(connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
}

fn add(connection: &Connection, links: &[NewLink], doer: &act::Doer) -> Result<(), StateError> {
    let sql = "INSERT INTO links
               (at_ms, is_put, tag, account, kind, subject, reference, until_s, done_by)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let mut statement = connection.prepare_cached(sql)?;
    for link in links {
        let NewLink { is_put, tag, account, kind, subject, reference, until_s } = link;
        let done_by: &str = &doer.name;
        statement.execute(params![
            doer.at_ms, is_put, tag, account, kind, subject, reference, until_s, done_by
        ])?;
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
    let accounts = joined(links.iter().map(|link| link.account.as_str()).collect());
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
    let kinds = joined(links.iter().map(|link| link.kind.as_str()).collect());
    let references = links.iter().map(|link| link.reference.as_str());
    let references = joined(references.filter(|one| !one.is_empty()).collect());
    format!("{}: {kinds}; {references}", links.len())
}

/// The first of these names, and how many more there are.
fn joined(names: BTreeSet<&str>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
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
