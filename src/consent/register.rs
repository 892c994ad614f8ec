//! What data subjects said, as a gate knows it: asked for each record, read on from the state many times a second.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::Mutex;

use super::{BATCH, ConsentError, FOREVER_S, Listed, MOST, Says, Statement};
use crate::clock::Clock;
use crate::policy::{ConsentKind, Said};
use crate::recall::{Age, Ends, Table};
use crate::secret::{MasterKey, Tagger};
use crate::state::{NewSubjectWord, StateError, Store, SubjectAct, SubjectWordRow, SubjectWords};

/// How far the clock of whoever registered a consent may run ahead.
const AHEAD_S: i64 = 60;
/// What is over so long is forgotten by the state, too.
const KEPT_S: i64 = 3 * 366 * 24 * 3600;

/// What data subjects said.
#[derive(Debug)]
pub struct Register {
    store: Store,
    clock: Clock,
    tagger: Tagger,
    table: Table<Word>,
    /// The last row that holds.
    known: AtomicI64,
    looking: Mutex<()>,
    age: Age,
    /// The most that stand.
    room: usize,
    /// Something that closes found no room: nothing is known any more.
    is_lost: AtomicBool,
}

/// What is known of a subject and a purpose or mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    until_s: u32,
    notice: u16,
    what: What,
    /// Whether a no stood before, which stands again when this ends by itself.
    then_no: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Yes(ConsentKind),
    No,
    Marked,
}

impl Ends for Word {
    fn ends_s(&self) -> i64 {
        if self.then_no { FOREVER_S } else { i64::from(self.until_s) }
    }
}

impl Word {
    const NO: Self = Self { until_s: u32::MAX, notice: 0, what: What::No, then_no: false };

    /// What is known by a row, given what was known before; nothing where it leaves nothing.
    fn of(row: &SubjectWordRow, before: Option<Self>, now_s: i64) -> Option<Self> {
        let until_s = u32::try_from(row.word.until_s.max(0)).unwrap_or(u32::MAX);
        let is_over = row.word.until_s <= now_s;
        match row.word.act {
            SubjectAct::Consent => {
                let is_ahead = row.at_ms.div_euclid(1000) > now_s.saturating_add(AHEAD_S);
                let kind = ConsentKind::named(&row.word.kind).filter(|_| !is_ahead);
                let Some(kind) = kind else {
                    tracing::error!(
                        "a consent does not hold: its kind is not known, or a clock runs ahead"
                    );
                    return Some(Self::NO);
                };
                let then_no = before.is_some_and(|word| word.what == What::No || word.then_no);
                let yes = Self { until_s, notice: row.word.notice, what: What::Yes(kind), then_no };
                match (is_over, then_no) {
                    (false, _) => Some(yes),
                    (true, true) => Some(Self::NO),
                    (true, false) => None,
                }
            }
            SubjectAct::Object | SubjectAct::Withdraw => Some(Self::NO),
            SubjectAct::Mark => {
                let mark = Self { until_s, what: What::Marked, ..Self::NO };
                (!is_over).then_some(mark)
            }
            SubjectAct::Unmark => None,
        }
    }

    /// What of it stands.
    fn at(self, now_s: i64) -> Option<Self> {
        match i64::from(self.until_s) > now_s {
            true => Some(self),
            false => self.then_no.then_some(Self::NO),
        }
    }
}

/// What was read and does not hold yet.
#[derive(Debug)]
pub struct News {
    rows: Vec<SubjectWordRow>,
    /// When they were read, if nothing more stood there then.
    all_ms: Option<u64>,
}

impl News {
    /// Whether something may open something, which has to be recorded before it holds.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.rows.iter().any(|row| row.word.act.opens())
    }

    /// Whether nothing more stood there.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.all_ms.is_some()
    }
}

impl Register {
    /// Nothing is known yet: [`Register::load`] comes before the first request.
    ///
    /// # Errors
    /// [`ConsentError::Secret`].
    pub fn new(store: Store, master: &MasterKey, clock: Clock) -> Result<Self, ConsentError> {
        Ok(Self {
            store,
            tagger: master.tagger("consent")?,
            table: Table::default(),
            known: AtomicI64::new(0),
            looking: Mutex::default(),
            age: Age::new(clock.clone()),
            room: MOST,
            is_lost: AtomicBool::new(false),
            clock,
        })
    }

    /// Registers statements in somebody's name, all or none; gives how many consents and marks that stood are taken
    /// away by them.
    ///
    /// # Errors
    /// [`ConsentError`]; nothing was registered.
    pub async fn put(&self, doer: &str, statements: &[Statement]) -> Result<usize, ConsentError> {
        if !(1..=BATCH).contains(&statements.len()) {
            return Err(ConsentError::Number);
        }
        let words: Vec<NewSubjectWord> = statements.iter().map(|one| self.word(one)).collect();
        let opens = words.iter().any(|word| word.act == SubjectAct::Consent);
        if self.table.len().saturating_add(words.len()) > self.room(opens) {
            return Err(ConsentError::Full);
        }
        let store = self.store.clone().acting_as(doer);
        match store.add_subject_words(words).await {
            Ok(SubjectWords::Made(taken)) => Ok(taken),
            Ok(SubjectWords::Spoken(at)) => Err(ConsentError::Spoken(at)),
            Err(StateError::Full) => Err(ConsentError::Kept),
            Err(error) => Err(error.into()),
        }
    }

    /// The last statements about a subject, the newest first.
    ///
    /// # Errors
    /// [`ConsentError::State`].
    pub async fn history(&self, entity: &str, subject: &str) -> Result<Vec<Listed>, ConsentError> {
        let rows = self.store.subject_words_of(&self.reference(entity, subject)).await?;
        let now_s = self.clock.unix_s();
        Ok(rows.into_iter().map(|row| listed(row, now_s)).collect())
    }

    /// What the subject said last of a purpose, to this third party or to the own people; nothing where that is not
    /// known.
    #[must_use]
    pub fn said(
        &self,
        entity: &str,
        subject: &str,
        purpose: &str,
        recipient: Option<&str>,
    ) -> Option<Said> {
        if self.is_unknown() {
            return None;
        }
        let tag = self.tag_of_purpose(entity, subject, purpose, recipient.unwrap_or_default());
        Some(match self.standing(tag) {
            None => Said::Nothing,
            Some(Word { what: What::Yes(kind), notice, .. }) => Said::Yes { kind, notice },
            Some(Word { what: What::No | What::Marked, .. }) => Said::No,
        })
    }

    /// Whether the subject has a mark; nothing where that is not known.
    #[must_use]
    pub fn is_marked(&self, entity: &str, subject: &str, mark: &str) -> Option<bool> {
        let known = !self.is_unknown();
        known.then(|| self.standing(self.tag_of_mark(entity, subject, mark)).is_some())
    }

    fn standing(&self, tag: u64) -> Option<Word> {
        self.table.get(tag)?.at(self.age.now_s())
    }

    /// Whether nothing is known that could be relied on: it is too old, or something found no room.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.age.is_old() || self.is_lost.load(Ordering::Acquire)
    }

    /// How many words are known, and the bytes that they take.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.table.len(), self.table.bytes())
    }

    /// Takes over all that stands, at the start: it was recorded before.
    ///
    /// # Errors
    /// [`ConsentError::State`].
    pub async fn load(&self) -> Result<(), ConsentError> {
        while let Some(news) = self.look().await? {
            let is_all = news.is_all();
            self.install(news);
            if is_all {
                break;
            }
        }
        Ok(())
    }

    /// Reads what was said since the last look; nothing where nothing was.
    ///
    /// # Errors
    /// [`ConsentError::State`]; what is known is as old as it was.
    pub async fn look(&self) -> Result<Option<News>, ConsentError> {
        let began = self.age.elapsed_ms();
        let known = self.known.load(Ordering::Acquire);
        let (rows, is_all) = self.store.subject_words_after(known).await?;
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
        for row in news.rows {
            self.hold(&row);
            self.known.store(row.seq, Ordering::Release);
        }
        if let Some(began) = news.all_ms {
            self.age.looked_at(began);
        }
    }

    /// Only what closes holds, until the rest can be recorded; all of it is read again.
    pub fn install_closing(&self, news: &News) {
        news.rows.iter().filter(|row| !row.word.act.opens()).for_each(|row| self.hold(row));
    }

    fn hold(&self, row: &SubjectWordRow) {
        let tag = row.word.tag.cast_unsigned();
        let word = Word::of(row, self.table.get(tag), self.age.now_s());
        let Some(word) = word else { return self.table.remove(tag) };
        if self.table.put(tag, word, self.room(row.word.act.opens())) {
            return;
        }
        tracing::error!("there are too many consents and marks: one of them is not known");
        // Without a consent somebody is not shown; without an objection or a mark somebody would be.
        self.is_lost.fetch_or(!row.word.act.opens(), Ordering::AcqRel);
        self.table.remove(tag);
    }

    /// What closes has still room where nothing else has.
    fn room(&self, opens: bool) -> usize {
        if opens { self.room } else { self.room.saturating_add(self.room / 10) }
    }

    /// Forgets what has ended; about once a minute.
    ///
    /// # Errors
    /// [`ConsentError::State`].
    pub async fn tidy(&self) -> Result<(), ConsentError> {
        self.table.forget_ended(self.age.now_s());
        let before_s = self.clock.unix_s().saturating_sub(KEPT_S);
        Ok(self.store.forget_subject_words(before_s).await?)
    }

    fn word(&self, statement: &Statement) -> NewSubjectWord {
        let Statement { entity, subject, says, reference } = statement;
        let mut word = NewSubjectWord {
            act: SubjectAct::Object,
            tag: 0,
            entity: entity.clone(),
            subject: self.reference(entity, subject),
            word: String::new(),
            recipient: String::new(),
            kind: String::new(),
            notice: 0,
            until_s: FOREVER_S,
            what: String::new(),
            protection: String::new(),
            reference: reference.clone(),
        };
        match says {
            Says::Consent { purpose, kind, notice, until_s, recipient } => {
                (word.act, word.word, word.kind) =
                    (SubjectAct::Consent, purpose.clone(), kind.name().to_owned());
                (word.notice, word.until_s) = (*notice, *until_s);
                if let Some(recipient) = recipient {
                    word.recipient.clone_from(&recipient.name);
                    word.what.clone_from(&recipient.what);
                    word.protection.clone_from(&recipient.protection);
                }
            }
            Says::Object { purpose, recipient } => {
                (word.word, word.recipient) = (purpose.clone(), recipient.clone());
            }
            Says::Withdraw { purpose, recipient } => {
                word.act = SubjectAct::Withdraw;
                (word.word, word.recipient) = (purpose.clone(), recipient.clone());
            }
            Says::Mark { mark, until_s } => {
                (word.act, word.word, word.until_s) = (SubjectAct::Mark, mark.clone(), *until_s);
            }
            Says::Unmark { mark } => (word.act, word.word) = (SubjectAct::Unmark, mark.clone()),
        }
        let tag = match word.act {
            SubjectAct::Mark | SubjectAct::Unmark => self.tag_of_mark(entity, subject, &word.word),
            SubjectAct::Consent | SubjectAct::Object | SubjectAct::Withdraw => {
                self.tag_of_purpose(entity, subject, &word.word, &word.recipient)
            }
        };
        word.tag = tag.cast_signed();
        word
    }

    fn tag_of_purpose(&self, entity: &str, subject: &str, purpose: &str, to: &str) -> u64 {
        let parts = ["purpose", entity, subject, purpose, to].map(str::as_bytes);
        self.tagger.short(&parts)
    }

    fn tag_of_mark(&self, entity: &str, subject: &str, mark: &str) -> u64 {
        self.tagger.short(&["mark", entity, subject, mark].map(str::as_bytes))
    }

    fn reference(&self, entity: &str, subject: &str) -> String {
        self.tagger.reference(&["subject", entity, subject].map(str::as_bytes))
    }

    #[cfg(test)]
    pub(super) fn with_room(self, room: usize) -> Self {
        Self { room, ..self }
    }

    #[cfg(test)]
    pub(super) fn fill(&self, count: u64) {
        let word = Word { notice: 1, what: What::Yes(ConsentKind::Explicit), ..Word::NO };
        for n in 0..count {
            assert!(self.table.put(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), word, usize::MAX));
        }
    }
}

fn listed(row: SubjectWordRow, now_s: i64) -> Listed {
    let stands = row.over_s > now_s;
    let NewSubjectWord { act, entity, subject, word, recipient, kind, notice, .. } = row.word;
    Listed {
        at_ms: row.at_ms,
        says: act.name(),
        entity,
        subject,
        word,
        recipient,
        kind,
        notice,
        until_s: Some(row.word.until_s).filter(|until| *until < FOREVER_S),
        stands,
        what: row.word.what,
        protection: row.word.protection,
        reference: row.word.reference,
        done_by: row.done_by,
    }
}
