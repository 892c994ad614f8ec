//! The links as a gate knows them: asked for each record, read on from the state many times a second.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Mutex;

use super::{BATCH, LONGEST_S, Link, LinkError, Listed, MOST, Taken, Ticket, check_visible};
use crate::clock::Clock;
use crate::recall::{Age, Ends as _, Table};
use crate::secret::{MasterKey, Tagger};
use crate::state::{LinkRow, NewLink, Store, TicketRow};

/// How far the clock of whoever put a link may run ahead.
const AHEAD_S: i64 = 60;
/// What was ended so long ago is forgotten by the state, too.
const KEPT_S: i64 = 90 * 24 * 3600;

/// Who is tied to whom.
#[derive(Debug)]
pub struct Links {
    store: Store,
    clock: Clock,
    tagger: Tagger,
    /// When each link ends.
    table: Table<u32>,
    /// The last row that holds.
    known: AtomicI64,
    looking: Mutex<()>,
    age: Age,
}

/// What was read and does not hold yet.
#[derive(Debug)]
pub struct News {
    rows: Vec<LinkRow>,
    /// When they were read, if nothing more stood there then.
    all_ms: Option<u64>,
}

impl News {
    /// Whether something was put, which has to be recorded before it holds.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.rows.iter().any(|row| row.is_put)
    }

    /// Whether nothing more stood there.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.all_ms.is_some()
    }
}

impl Links {
    /// Nothing is known yet: [`Links::load`] comes before the first request.
    ///
    /// # Errors
    /// [`LinkError::Secret`].
    pub fn new(store: Store, master: &MasterKey, clock: Clock) -> Result<Self, LinkError> {
        Ok(Self {
            store,
            tagger: master.tagger("links")?,
            table: Table::default(),
            known: AtomicI64::new(0),
            looking: Mutex::default(),
            age: Age::new(clock.clone()),
            clock,
        })
    }

    /// The same links, put and ended in somebody's name.
    ///
    /// # Errors
    /// [`LinkError`]; nothing was put.
    pub async fn put(&self, doer: &str, links: &[Link]) -> Result<(), LinkError> {
        self.check_number(links)?;
        let now_s = self.clock.unix_s();
        links.iter().try_for_each(|link| link.check(now_s))?;
        if self.table.len().saturating_add(links.len()) > MOST {
            return Err(LinkError::Full);
        }
        let rows = links.iter().map(|link| self.row(link, true)).collect();
        Ok(self.store.clone().acting_as(doer).add_links(rows).await?)
    }

    /// Ends links; gives how many of them stood.
    ///
    /// # Errors
    /// [`LinkError`]; nothing was ended.
    pub async fn end(&self, doer: &str, links: &[Link]) -> Result<usize, LinkError> {
        self.check_number(links)?;
        links.iter().try_for_each(Link::check_form)?;
        // Whenever it would have ended: no link that was put before lives longer than this.
        let now_s = self.clock.unix_s();
        let until_s = now_s.saturating_add(LONGEST_S);
        let rows = links.iter().map(|link| NewLink { until_s, ..self.row(link, false) }).collect();
        Ok(self.store.clone().acting_as(doer).end_links(rows, now_s).await?)
    }

    /// Ends all links of an account; gives how many.
    ///
    /// # Errors
    /// [`LinkError`]; nothing was ended.
    pub async fn end_all(&self, doer: &str, account: &str) -> Result<usize, LinkError> {
        check_visible("account", account)?;
        let now_s = self.clock.unix_s();
        let until_s = now_s.saturating_add(LONGEST_S);
        let store = self.store.clone().acting_as(doer);
        Ok(store.end_links_of(account, now_s, until_s).await?)
    }

    /// Takes what a ticket says, once.
    ///
    /// # Errors
    /// [`LinkError`]; nothing was put.
    pub async fn take_ticket(&self, link: &Link, ticket: &Ticket<'_>) -> Result<Taken, LinkError> {
        link.check(self.clock.unix_s())?;
        if self.table.len() >= MOST {
            return Err(LinkError::Full);
        }
        let name = [b"ticket".as_slice(), ticket.issuer.as_bytes(), ticket.id.as_bytes()];
        let tag = self.tagger.tag(&name);
        let issued_ms = ticket.issued_s.saturating_mul(1000);
        let ticket = TicketRow { tag, issued_ms, until_s: link.until_s };
        let store = self.store.clone().acting_as(&link.account);
        Ok(store.add_link_of_ticket(self.row(link, true), ticket).await?)
    }

    /// What was put and ended of an account, the newest first.
    ///
    /// # Errors
    /// [`LinkError::State`].
    pub async fn history(&self, account: &str) -> Result<Vec<Listed>, LinkError> {
        let rows = self.store.links_of(account).await?;
        let listed = |row: LinkRow| Listed {
            at_ms: row.at_ms,
            is_put: row.is_put,
            account: row.account,
            kind: row.kind,
            subject: row.subject,
            reference: row.reference,
            until_s: row.until_s,
            done_by: row.done_by,
        };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Whether the account and the subject are tied by a case of this kind, at this moment.
    #[must_use]
    pub fn ties(&self, account: &str, kind: &str, entity: &str, subject: &str) -> bool {
        !self.is_old() && self.stands(self.tag(account, kind, entity, subject))
    }

    /// By what this link is known: [`Links::stands`] is asked with it.
    #[must_use]
    pub fn tag_of(&self, link: &Link) -> u64 {
        self.tag(&link.account, &link.kind, &link.entity, &link.subject)
    }

    /// Whether a link stands by what is known, however old that is.
    #[must_use]
    pub fn stands(&self, tag: u64) -> bool {
        self.table.get(tag).is_some_and(|until| until.ends_s() > self.age.now_s())
    }

    /// Whether what is known is too old to tie anybody.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.age.is_old()
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Table<u32> {
        &self.table
    }

    /// How many links are known, and the bytes that they take.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.table.len(), self.table.bytes())
    }

    /// Takes over all links that stand, at the start: they were recorded before.
    ///
    /// # Errors
    /// [`LinkError::State`].
    pub async fn load(&self) -> Result<(), LinkError> {
        while let Some(news) = self.look().await? {
            let is_all = news.is_all();
            self.install(news);
            if is_all {
                break;
            }
        }
        Ok(())
    }

    /// Reads what was put and ended since the last look; nothing where nothing was.
    ///
    /// # Errors
    /// [`LinkError::State`]; what is known is as old as it was.
    pub async fn look(&self) -> Result<Option<News>, LinkError> {
        let began = self.age.elapsed_ms();
        let known = self.known.load(Ordering::Acquire);
        let (rows, is_all) = self.store.links_after(known).await?;
        if rows.is_empty() {
            self.age.looked_at(began);
            return Ok(None);
        }
        Ok(Some(News { rows, all_ms: is_all.then_some(began) }))
    }

    /// Lets one look at a time.
    pub async fn only_one(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.looking.lock().await
    }

    /// Lets what was read hold.
    pub fn install(&self, news: News) {
        let now_s = self.age.now_s();
        let mut lost = 0_usize;
        for row in news.rows {
            let tag = row.tag.cast_unsigned();
            let is_ahead = row.at_ms.div_euclid(1000) > now_s.saturating_add(AHEAD_S);
            if !row.is_put || row.until_s <= now_s {
                self.table.remove(tag);
            } else if is_ahead || !self.table.put(tag, seconds(row.until_s), MOST) {
                lost += 1;
            }
            self.known.store(row.seq, Ordering::Release);
        }
        // Where something is put all the time no look finds nothing, and yet all is known.
        if let Some(began) = news.all_ms {
            self.age.looked_at(began);
        }
        if lost > 0 {
            tracing::error!(
                lost,
                "links do not hold: there are too many, or they are put by a clock that runs ahead"
            );
        }
    }

    /// Only ends hold, until what was put can be recorded; it is read again.
    pub fn install_ends(&self, news: &News) {
        for row in news.rows.iter().filter(|row| !row.is_put) {
            self.table.remove(row.tag.cast_unsigned());
        }
    }

    /// Forgets what has ended; about once a minute.
    ///
    /// # Errors
    /// [`LinkError::State`].
    pub async fn tidy(&self) -> Result<(), LinkError> {
        self.table.forget_ended(self.age.now_s());
        let before_s = self.clock.unix_s().saturating_sub(KEPT_S);
        Ok(self.store.forget_links(before_s).await?)
    }

    fn check_number(&self, links: &[Link]) -> Result<(), LinkError> {
        if (1..=BATCH).contains(&links.len()) { Ok(()) } else { Err(LinkError::Number) }
    }

    fn row(&self, link: &Link, is_put: bool) -> NewLink {
        let Link { account, kind, entity, subject, reference, until_s } = link;
        NewLink {
            is_put,
            tag: self.tag_of(link).cast_signed(),
            account: account.clone(),
            kind: kind.clone(),
            subject: self.tagger.reference(&[b"subject", entity.as_bytes(), subject.as_bytes()]),
            reference: reference.clone(),
            until_s: *until_s,
        }
    }

    fn tag(&self, account: &str, kind: &str, entity: &str, subject: &str) -> u64 {
        let parts = [account, kind, entity, subject].map(str::as_bytes);
        self.tagger.short(&parts)
    }
}

fn seconds(until_s: i64) -> u32 {
    u32::try_from(until_s.max(0)).unwrap_or(u32::MAX)
}
