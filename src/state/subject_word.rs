//! Rows of what data subjects said and of marks: each statement, in order. What they mean is `consent`'s business.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::act::{self, Deed};
use super::{FeedItem, FeedRow, FeedSlice, StateError, Store};

/// Rows that are read at once.
const BATCH: u32 = 10_000;
/// Rows of a subject that are listed.
const LISTED: u32 = 1_000;
/// Rows that are forgotten at once.
const FORGOTTEN: u32 = 20_000;
/// The most statements that are kept, about 6 GB of the state's file; and as many more of what closes, so that no flood of
/// consents leaves no room for a no.
const MOST_KEPT: i64 = 30_000_000;
const MORE_THAT_CLOSE: i64 = 3_000_000;
/// The kind of a consent by silence, which changes nothing that the subject said.
const DEEMED: &str = "deemed";
/// What has no end.
const FOREVER_S: i64 = u32::MAX as i64;

/// What is said of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectAct {
    /// The subject consented.
    Consent,
    /// The subject does not want it.
    Object,
    /// The subject takes a consent back; without a purpose all that stand.
    Withdraw,
    /// A mark is put.
    Mark,
    /// A mark is taken away.
    Unmark,
}

impl SubjectAct {
    /// Each with its word.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("consent", Self::Consent),
        ("object", Self::Object),
        ("withdraw", Self::Withdraw),
        ("mark", Self::Mark),
        ("unmark", Self::Unmark),
    ];

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, act)| *act == self).map_or("object", |(name, _)| name)
    }

    /// The act of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| *name == word).map(|(_, act)| *act)
    }

    /// Whether it may open something, so that it is recorded before it holds.
    #[must_use]
    pub fn opens(self) -> bool {
        match self {
            Self::Consent | Self::Unmark => true,
            Self::Object | Self::Withdraw | Self::Mark => false,
        }
    }

    /// What of the same subject must stand for it to take something away.
    fn takes(self) -> Option<Self> {
        match self {
            Self::Object | Self::Withdraw => Some(Self::Consent),
            Self::Unmark => Some(Self::Mark),
            Self::Consent | Self::Mark => None,
        }
    }
}

/// A statement that is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSubjectWord {
    /// What.
    pub act: SubjectAct,
    /// By what a gate knows it.
    pub tag: i64,
    /// The entity of the subject.
    pub entity: String,
    /// The subject's reference.
    pub subject: String,
    /// The purpose, or the mark; empty for all consents that stand.
    pub word: String,
    /// The third party, where a consent or a refusal is about one.
    pub recipient: String,
    /// The kind of consent.
    pub kind: String,
    /// The notice that was shown, 0 where none is told.
    pub notice: u16,
    /// When it ends, Unix seconds.
    pub until_s: i64,
    /// What a third party gets.
    pub what: String,
    /// How a third party protects it.
    pub protection: String,
    /// Where the statement is kept.
    pub reference: String,
}

/// A statement that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectWordRow {
    /// Its number; later ones have larger ones.
    pub seq: i64,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// What, and of whom.
    pub word: NewSubjectWord,
    /// Since when it holds no more, Unix seconds.
    pub over_s: i64,
    /// Who registered it.
    pub done_by: String,
}

/// A statement as other gates are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordTold {
    at_ms: i64,
    done_by: String,
    #[serde(flatten)]
    word: NewSubjectWord,
}

impl WordTold {
    /// What tells which of two about the same is newer. Silence is older than whatever was said, and at one moment the
    /// stricter counts.
    fn order(&self) -> (bool, i64, bool) {
        (self.word.kind != DEEMED, self.at_ms, !self.word.act.opens())
    }
}

/// What became of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectWords {
    /// All are there; so many consents and marks that stood are taken away by them.
    Made(usize),
    /// None is: the one at this place is a silence of somebody who has spoken.
    Spoken(usize),
}

impl Store {
    /// Registers statements, all in one commit; the log gets an act.
    ///
    /// # Errors
    /// [`StateError::Full`] if too many are kept, or any [`StateError`] of a write; nothing was registered then.
    pub async fn add_subject_words(
        &self,
        words: Vec<NewSubjectWord>,
    ) -> Result<SubjectWords, StateError> {
        let doer = self.doer();
        self.write(move |connection| {
            if let Some(at) = first_after_speech(connection, &words)? {
                return Ok(SubjectWords::Spoken(at));
            }
            check_kept(connection, &words)?;
            let mut taken = 0;
            for word in &words {
                taken += match word.word.is_empty() {
                    true => withdraw_all(connection, word, &doer)?,
                    false => say(connection, word, &doer)?,
                };
            }
            note(connection, &words, &doer)?;
            Ok(SubjectWords::Made(taken))
        })
        .await
    }

    /// Some of the statements after a row, in order, and whether that is all.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn subject_words_after(
        &self,
        seq: i64,
    ) -> Result<(Vec<SubjectWordRow>, bool), StateError> {
        self.read(move |connection| {
            let sql = "SELECT * FROM subject_words WHERE seq > ?1 ORDER BY seq LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![seq, BATCH], row)?;
            let rows: Vec<SubjectWordRow> = rows.collect::<Result<_, _>>()?;
            let is_all = u32::try_from(rows.len()).is_ok_and(|read| read < BATCH);
            Ok((rows, is_all))
        })
        .await
    }

    /// The last statements about a subject, by its reference, the newest first.
    ///
    /// # Errors
    /// Any [`StateError`] of a read.
    pub async fn subject_words_of(&self, subject: &str) -> Result<Vec<SubjectWordRow>, StateError> {
        let subject = subject.to_owned();
        self.read(move |connection| {
            let sql = "SELECT * FROM subject_words WHERE subject = ?1 ORDER BY seq DESC LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![subject, LISTED], row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Forgets some of the statements that were over before a time, Unix seconds.
    ///
    /// # Errors
    /// Any [`StateError`] of a write.
    pub async fn forget_subject_words(&self, before_s: i64) -> Result<(), StateError> {
        self.write(move |connection| {
            // A mark is over no later than it was taken away, and goes before that does.
            let sql = "DELETE FROM subject_words WHERE seq IN
                       (SELECT seq FROM subject_words WHERE over_s < ?1 ORDER BY over_s, seq LIMIT ?2)";
            connection.prepare_cached(sql)?.execute(params![before_s, FORGOTTEN])?;
            Ok(())
        })
        .await
    }
}

/// What stands is kept for good, and everything for years: whoever feeds everything every night fills the disk.
fn check_kept(connection: &Connection, words: &[NewSubjectWord]) -> Result<(), StateError> {
    let sql = "SELECT rows FROM subject_words_kept";
    let kept: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    let opens = words.iter().any(|word| word.act.opens());
    let most = if opens { MOST_KEPT } else { MOST_KEPT + MORE_THAT_CLOSE };
    let added = i64::try_from(words.len()).unwrap_or(i64::MAX);
    if kept.saturating_add(added) > most { Err(StateError::Full) } else { Ok(()) }
}

/// The first silence of somebody who has said something of it before, here or earlier.
fn first_after_speech(
    connection: &Connection,
    words: &[NewSubjectWord],
) -> Result<Option<usize>, StateError> {
    let mut spoken = std::collections::HashSet::new();
    let sql = "SELECT kind <> ?2 FROM subject_words WHERE tag = ?1 ORDER BY seq DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    for (at, word) in words.iter().enumerate() {
        if word.kind != DEEMED {
            spoken.insert(word.tag);
            continue;
        }
        let before = statement.query_row(params![word.tag, DEEMED], |row| row.get(0));
        if spoken.contains(&word.tag) || before.optional()?.unwrap_or(false) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Adds a statement that is made here: later than whatever is known of it, so that the clocks of gates need not agree.
fn say(
    connection: &Connection,
    word: &NewSubjectWord,
    doer: &act::Doer,
) -> Result<usize, StateError> {
    let sql = "SELECT at_ms FROM subject_words WHERE tag = ?1 ORDER BY seq DESC LIMIT 1";
    let known = connection.prepare_cached(sql)?.query_row([word.tag], |row| row.get::<_, i64>(0));
    let after = known.optional()?.map_or(i64::MIN, |at_ms| at_ms.saturating_add(1));
    let doer = act::Doer { at_ms: doer.at_ms.max(after), ..doer.clone() };
    add(connection, word, &doer, "")
}

/// Adds a statement, which ends what was said of the same before; gives how many it takes away that stood.
fn add(
    connection: &Connection,
    word: &NewSubjectWord,
    doer: &act::Doer,
    origin: &str,
) -> Result<usize, StateError> {
    let now_s = doer.at_ms.div_euclid(1000);
    let sql =
        "SELECT act FROM subject_words WHERE tag = ?1 AND over_s > ?2 ORDER BY seq DESC LIMIT 1";
    let standing: Option<String> = connection
        .prepare_cached(sql)?
        .query_row(params![word.tag, now_s], |row| row.get(0))
        .optional()?;
    // A no stands behind a consent: it counts again when that ends.
    let sql = "UPDATE subject_words SET over_s = ?2 WHERE tag = ?1 AND over_s > ?2
               AND NOT (?3 AND act IN ('object', 'withdraw'))";
    let is_yes = word.act == SubjectAct::Consent;
    connection.prepare_cached(sql)?.execute(params![word.tag, now_s, is_yes])?;
    let over_s = match word.act {
        SubjectAct::Consent | SubjectAct::Mark => word.until_s,
        SubjectAct::Object | SubjectAct::Withdraw => FOREVER_S,
        SubjectAct::Unmark => now_s,
    };
    let sql = "INSERT INTO subject_words
               (at_ms, act, tag, entity, subject, word, recipient, kind, notice, until_s, over_s,
                what, protection, reference, done_by, origin)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    let done_by: &str = &doer.name;
    connection.prepare_cached(sql)?.execute(params![
        doer.at_ms,
        word.act.name(),
        word.tag,
        word.entity,
        word.subject,
        word.word,
        word.recipient,
        word.kind,
        word.notice,
        word.until_s,
        over_s,
        word.what,
        word.protection,
        word.reference,
        done_by,
        origin
    ])?;
    let taken = word.act.takes().map(SubjectAct::name);
    Ok(usize::from(taken.is_some() && taken == standing.as_deref()))
}

/// Withdraws all consents that stand of a subject; gives how many.
fn withdraw_all(
    connection: &Connection,
    word: &NewSubjectWord,
    doer: &act::Doer,
) -> Result<usize, StateError> {
    let sql = "SELECT * FROM subject_words WHERE subject = ?1 AND act = ?2 AND over_s > ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let now_s = doer.at_ms.div_euclid(1000);
    let values = params![word.subject, SubjectAct::Consent.name(), now_s];
    let standing: Vec<SubjectWordRow> =
        statement.query_map(values, row)?.collect::<Result<_, _>>()?;
    drop(statement);
    for consent in &standing {
        let SubjectWordRow { word: NewSubjectWord { tag, word: purpose, recipient, .. }, .. } =
            consent;
        let (purpose, recipient) = (purpose.clone(), recipient.clone());
        say(
            connection,
            &NewSubjectWord { tag: *tag, word: purpose, recipient, ..word.clone() },
            doer,
        )?;
    }
    Ok(standing.len())
}

/// The statements that open something, or that close, behind a row, as other gates are told of them: those that stand,
/// and the ends of marks.
pub(super) fn feed(
    connection: &Connection,
    opens: bool,
    (after, most): (i64, u32),
    now_s: i64,
) -> Result<FeedSlice, StateError> {
    let sql = if opens {
        "SELECT * FROM subject_words WHERE seq > ?1 ORDER BY seq LIMIT ?2"
    } else {
        "SELECT * FROM subject_words WHERE act IN ('object', 'withdraw', 'mark') AND seq > ?1
         ORDER BY seq LIMIT ?2"
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![after, most])?;
    let mut slice = FeedSlice { items: Vec::new(), upto: after };
    while let Some(columns) = rows.next()? {
        let SubjectWordRow { seq, at_ms, word, over_s, done_by } = row(columns)?;
        slice.upto = seq;
        let matters = over_s > now_s || word.act == SubjectAct::Unmark;
        if word.act.opens() != opens || !matters {
            continue;
        }
        let told = FeedRow::Word(Box::new(WordTold { at_ms, done_by, word }));
        slice.items.push(FeedItem { seq, origin: columns.get("origin")?, row: told });
    }
    Ok(slice)
}

/// Takes over what was said at another gate; `false` if something newer is known, or at the same moment something
/// stricter.
pub(super) fn take_over(
    connection: &Connection,
    told: &WordTold,
    origin: &str,
) -> Result<bool, StateError> {
    let sql = "SELECT * FROM subject_words WHERE tag = ?1 ORDER BY seq DESC LIMIT 1";
    let known = connection
        .prepare_cached(sql)?
        .query_row([told.word.tag], |columns| {
            Ok((row(columns)?, columns.get::<_, String>("origin")?))
        })
        .optional()?;
    let doer = doer_of(told);
    let Some((known, its_origin)) = known else {
        add(connection, &told.word, &doer, origin)?;
        return Ok(true);
    };
    let known = WordTold { at_ms: known.at_ms, done_by: known.done_by, word: known.word };
    if told.order() > known.order() {
        add(connection, &told.word, &doer, origin)?;
        return Ok(true);
    }
    // A no that was said before a consent stands again when that ends by itself.
    if told.word.act.opens() || known.word.act != SubjectAct::Consent || has_no(connection, told)? {
        return Ok(false);
    }
    add(connection, &told.word, &doer, origin)?;
    add(connection, &known.word, &doer_of(&known), &its_origin)?;
    Ok(true)
}

/// Whether a no of this subject and purpose stands, or stands again when a consent ends.
fn has_no(connection: &Connection, told: &WordTold) -> Result<bool, StateError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM subject_words
               WHERE tag = ?1 AND act IN ('object', 'withdraw') AND over_s > ?2)";
    let values = params![told.word.tag, told.at_ms.div_euclid(1000)];
    Ok(connection.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
}

fn doer_of(told: &WordTold) -> act::Doer {
    act::Doer { name: told.done_by.as_str().into(), at_ms: told.at_ms }
}

/// One act for what came from another gate at once.
pub(super) fn note_shared(
    connection: &Connection,
    came: &[&WordTold],
    node: &str,
    at_ms: i64,
) -> Result<(), StateError> {
    if came.is_empty() {
        return Ok(());
    }
    let words = Vec::from_iter(came.iter().map(|told| told.word.clone()));
    let mut by: Vec<String> = came.iter().map(|told| told.done_by.clone()).collect();
    by.sort_unstable();
    by.dedup();
    let doer = act::Doer { name: act::joined(by).as_str().into(), at_ms };
    note_as(connection, &words, ("subjects_registered_shared", node), &doer)
}

/// One act for a call: how many, of which kinds; whom they are about stands in the state alone.
fn note(
    connection: &Connection,
    words: &[NewSubjectWord],
    doer: &act::Doer,
) -> Result<(), StateError> {
    note_as(connection, words, ("subjects_registered", ""), doer)
}

fn note_as(
    connection: &Connection,
    words: &[NewSubjectWord],
    (name, node): (&str, &str),
    doer: &act::Doer,
) -> Result<(), StateError> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut entities: BTreeMap<&str, usize> = BTreeMap::new();
    for word in words {
        let of = if word.word.is_empty() { "all" } else { &word.word };
        let to = if word.recipient.is_empty() { "" } else { " to " };
        *kinds.entry(format!("{} {of}{to}{}", word.act.name(), word.recipient)).or_default() += 1;
        *entities.entry(&word.entity).or_default() += 1;
    }
    let counted = |(kind, count): (&String, &usize)| match count {
        1 => kind.clone(),
        _ => format!("{count} {kind}"),
    };
    let kinds = act::joined(Vec::from_iter(kinds.iter().map(counted)));
    let references = words.iter().map(|word| word.reference.clone()).filter(|one| !one.is_empty());
    let references = act::joined(Vec::from_iter(references));
    let object = format!("subjects of {}", act::joined(entities.keys()));
    let at = if node.is_empty() { String::new() } else { format!("at {node}; ") };
    let detail = format!("{at}{}: {kinds}; {references}", words.len());
    let deed = Deed {
        name,
        object: &object,
        detail: detail.trim_end_matches([';', ' ']),
        reason: "",
        done_by: &doer.name,
        approved_by: "",
        at_ms: doer.at_ms,
    };
    act::note_deed(connection, &deed)
}

fn row(row: &Row<'_>) -> rusqlite::Result<SubjectWordRow> {
    let act: String = row.get("act")?;
    Ok(SubjectWordRow {
        seq: row.get("seq")?,
        at_ms: row.get("at_ms")?,
        over_s: row.get("over_s")?,
        done_by: row.get("done_by")?,
        word: NewSubjectWord {
            // What this program does not know yet closes.
            act: SubjectAct::named(&act).unwrap_or(SubjectAct::Object),
            tag: row.get("tag")?,
            entity: row.get("entity")?,
            subject: row.get("subject")?,
            word: row.get("word")?,
            recipient: row.get("recipient")?,
            kind: row.get("kind")?,
            notice: row.get("notice")?,
            until_s: row.get("until_s")?,
            what: row.get("what")?,
            protection: row.get("protection")?,
            reference: row.get("reference")?,
        },
    })
}
