//! The words that an entry is found by: keyed hashes of what stands in it, so that the file tells nobody anything.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use smol_str::SmolStr;

use super::IndexError;
use crate::audit::{Actor, Data, Entry, Filter, Mode, Why, normal};
use crate::secret::{MasterKey, SecretError, Tagger};

/// Hashes that are kept at hand, for what many entries share.
const MOST_KNOWN: usize = 100_000;

/// What a word is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Event,
    Account,
    Person,
    Role,
    Route,
    Effect,
    Purpose,
    Ticket,
    /// A field that was shown in whatever form.
    Field,
    /// A field that was shown in clear.
    Clear,
    /// There are fields beyond those that are named.
    Beyond,
    Mode,
    Act,
    Watermark,
    Hash,
    Subject,
    /// Two or three letters of a reason that stand side by side.
    Letters,
    /// A key of the log that opened the entry.
    Key,
}

impl Kind {
    fn word(self) -> &'static [u8] {
        match self {
            Self::Event => b"event",
            Self::Account => b"account",
            Self::Person => b"person",
            Self::Role => b"role",
            Self::Route => b"route",
            Self::Effect => b"effect",
            Self::Purpose => b"purpose",
            Self::Ticket => b"ticket",
            Self::Field => b"field",
            Self::Clear => b"clear",
            Self::Beyond => b"beyond",
            Self::Mode => b"mode",
            Self::Act => b"act",
            Self::Watermark => b"watermark",
            Self::Hash => b"hash",
            Self::Subject => b"subject",
            Self::Letters => b"letters",
            Self::Key => b"key",
        }
    }

    /// Whether many entries share its values.
    fn is_shared(self) -> bool {
        !matches!(self, Self::Subject | Self::Watermark | Self::Hash | Self::Ticket)
    }
}

/// A word: 48 bits of a keyed hash. Two that meet by chance cost a look into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Term(u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0 >> 16)
    }
}

/// A word for each of several things, each once.
pub(super) type Words = BTreeSet<Term>;

/// Makes words.
#[derive(Debug)]
pub(super) struct Terms {
    tagger: Tagger,
    known: HashMap<(Kind, SmolStr), Term>,
}

impl Terms {
    pub(super) fn new(master: &MasterKey) -> Result<Self, SecretError> {
        Ok(Self { tagger: master.tagger("audit-index")?, known: HashMap::new() })
    }

    /// Tells this key from another.
    pub(super) fn check(&self) -> String {
        self.tagger.reference(&[b"check"])
    }

    pub(super) fn of(&mut self, kind: Kind, value: &str) -> Term {
        if !kind.is_shared() {
            return self.make(kind, value);
        }
        let name = (kind, SmolStr::new(value));
        if let Some(known) = self.known.get(&name) {
            return *known;
        }
        let term = self.make(kind, value);
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(name, term);
        term
    }

    fn make(&self, kind: Kind, value: &str) -> Term {
        Term(self.tagger.short(&[kind.word(), value.as_bytes()]))
    }

    fn add(&mut self, words: &mut Words, kind: Kind, value: &str) {
        if !value.is_empty() {
            words.insert(self.of(kind, value));
        }
    }

    /// The words of an entry that these keys opened.
    pub(super) fn of_entry(&mut self, entry: &Entry, keys: &[String]) -> Words {
        let mut words = Words::new();
        self.add(&mut words, Kind::Event, entry.event.word());
        if let Some(Actor { account, person, roles, .. }) = &entry.actor {
            let person = if person.is_empty() { account } else { person };
            self.add(&mut words, Kind::Account, account.as_str());
            self.add(&mut words, Kind::Person, person.as_str());
            roles.iter().for_each(|role| self.add(&mut words, Kind::Role, role));
        }
        if let Some(request) = &entry.request {
            self.add(&mut words, Kind::Route, request.route.as_str());
        }
        if let Some(decision) = &entry.decision {
            self.add(&mut words, Kind::Effect, decision.effect.word());
        }
        if let Some(Why { purpose, ticket, reason, .. }) = &entry.why {
            self.add(&mut words, Kind::Purpose, purpose.as_str());
            self.add(&mut words, Kind::Ticket, ticket.as_str());
            for letters in letters(&normal(reason.as_str())) {
                self.add(&mut words, Kind::Letters, &letters);
            }
        }
        if let Some(data) = &entry.data {
            self.of_data(&mut words, data);
        }
        if let Some(act) = &entry.act {
            self.add(&mut words, Kind::Act, act.name.as_str());
        }
        for subject in entry.subjects.iter().flat_map(|subjects| &subjects.refs) {
            self.add(&mut words, Kind::Subject, subject.token());
        }
        keys.iter().for_each(|key| self.add(&mut words, Kind::Key, key));
        words
    }

    fn of_data(&mut self, words: &mut Words, data: &Data) {
        for (list, kinds) in [
            (&data.clear, [Kind::Field, Kind::Clear].as_slice()),
            (&data.masked, &[Kind::Field]),
            (&data.pseudonym, &[Kind::Field]),
        ] {
            for name in list.iter() {
                kinds.iter().for_each(|kind| self.add(words, *kind, name));
            }
            if list.beyond() > 0 {
                words.insert(self.of(Kind::Beyond, "fields"));
            }
        }
        self.add(words, Kind::Mode, data.mode.map_or("", Mode::word));
        self.add(words, Kind::Watermark, data.watermark.as_str());
        self.add(words, Kind::Hash, data.sha256.as_str());
    }

    /// What FTS5 is asked for: every group of words, of each group one. `None` if nothing narrows the search.
    pub(super) fn question(&mut self, filter: &Filter) -> Result<Option<String>, IndexError> {
        let mut groups: Vec<String> = Vec::new();
        let texts = [
            (Kind::Subject, filter.subject.as_deref()),
            (Kind::Watermark, filter.watermark.as_deref()),
            (Kind::Hash, filter.sha256.as_deref()),
            (Kind::Ticket, filter.ticket.as_deref()),
            (Kind::Account, filter.actor.as_deref()),
            (Kind::Person, filter.person.as_deref()),
            (Kind::Act, filter.act.as_deref()),
            (Kind::Role, filter.role.as_deref()),
            (Kind::Route, filter.route.as_deref()),
            (Kind::Purpose, filter.purpose.as_deref()),
            (Kind::Effect, filter.effect.map(crate::audit::Effect::word)),
            (Kind::Mode, filter.mode.map(Mode::word)),
        ];
        for (kind, text) in texts {
            groups.extend(text.map(|text| format!("\"{}\"", self.of(kind, text))));
        }
        for (kind, name) in [(Kind::Field, &filter.field), (Kind::Clear, &filter.clear)] {
            if let Some(name) = name {
                let (one, beyond) = (self.of(kind, name), self.of(Kind::Beyond, "fields"));
                groups.push(format!("(\"{one}\" OR \"{beyond}\")"));
            }
        }
        if let Some(words) = &filter.reason {
            let asked = asked_letters(&normal(words));
            if asked.is_empty() {
                return Err(IndexError::FewLetters(words.clone()));
            }
            for letters in asked {
                groups.push(format!("\"{}\"", self.of(Kind::Letters, &letters)));
            }
        }
        // The event is that of the first entry, whose words its outcome and parts have, too.
        groups.extend(
            filter.event.map(|event| format!("\"{}\"", self.of(Kind::Event, event.word()))),
        );
        Ok((!groups.is_empty()).then(|| groups.join(" AND ")))
    }
}

/// Three letters side by side; of scripts beyond Latin, where two may be a word, also two.
fn letters(text: &str) -> BTreeSet<String> {
    let chars: Vec<char> = text.chars().collect();
    let threes = chars.windows(3).map(|three| three.iter().collect());
    let twos = chars.windows(2).filter(|two| two.iter().all(|c| !c.is_ascii()));
    threes.chain(twos.map(|two| two.iter().collect())).collect()
}

/// The letters by which a text is found; none if it is too short.
fn asked_letters(text: &str) -> BTreeSet<String> {
    let all = letters(text);
    let threes: BTreeSet<_> = all.iter().filter(|one| one.chars().count() == 3).cloned().collect();
    if threes.is_empty() { all } else { threes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_by_three_letters_or_two_that_are_not_latin() {
        let asked = |text: &str| asked_letters(&normal(text)).into_iter().collect::<Vec<_>>();
        assert_eq!(asked("客户"), ["客户"]);
        assert_eq!(asked("Ｌoan"), ["loa", "oan"]);
        assert!(asked("lo").is_empty() && asked("").is_empty());
        assert!(letters("贷款 a").contains("贷款"));
    }
}
