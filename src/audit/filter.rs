//! Which accesses somebody asks for, and whether one is among them.

use unicode_normalization::UnicodeNormalization as _;

use super::access::Access;
use super::groups::{Data, Effect, Event, Mode};
use super::text::FieldNames;

/// Which accesses are wanted; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The token of a data subject, from `SubjectSealer::token`.
    pub subject: Option<String>,
    /// The account.
    pub actor: Option<String>,
    /// The person whose account it is; an account that is nobody else's is a person.
    pub person: Option<String>,
    /// A role at that time.
    pub role: Option<String>,
    /// The event of the first entry.
    pub event: Option<Event>,
    /// The verdict.
    pub effect: Option<Effect>,
    /// The route.
    pub route: Option<String>,
    /// The purpose.
    pub purpose: Option<String>,
    /// The ticket.
    pub ticket: Option<String>,
    /// A field that was shown, in whatever form, by its full name.
    pub field: Option<String>,
    /// A field that was shown in clear.
    pub clear: Option<String>,
    /// A look or a file.
    pub mode: Option<Mode>,
    /// The name of an act.
    pub act: Option<String>,
    /// Words that stand in the reason, in whatever case and width.
    pub reason: Option<String>,
    /// The mark of a file.
    pub watermark: Option<String>,
    /// SHA-256 of what left of a file, in hex.
    pub sha256: Option<String>,
    /// The first moment, in Unix milliseconds.
    pub from_ms: Option<i64>,
    /// The moment after the last.
    pub until_ms: Option<i64>,
}

impl Filter {
    /// Whether this access is wanted.
    #[must_use]
    pub fn wants(&self, access: &Access) -> bool {
        self.wants_actor(access)
            && self.wants_request(access)
            && self.wants_data(access)
            && (self.subject.is_none() || access.has_wanted_subject)
            && self.from_ms.is_none_or(|from| access.entry.time.0 >= from)
            && self.until_ms.is_none_or(|until| access.entry.time.0 < until)
    }

    fn wants_actor(&self, access: &Access) -> bool {
        let actor = access.entry.actor.as_ref();
        is(&self.actor, actor.map(|actor| actor.account.as_str()))
            && is(&self.person, actor.map(|actor| person(&actor.person, &actor.account)))
            && self.role.as_deref().is_none_or(|role| {
                actor.is_some_and(|actor| actor.roles.iter().any(|one| one == role))
            })
    }

    fn wants_request(&self, access: &Access) -> bool {
        let entry = &access.entry;
        let (why, act) = (entry.why.as_ref(), entry.act.as_ref());
        let reason = self.reason.as_deref().map(normal);
        self.event.is_none_or(|event| entry.event == event)
            && self.effect.is_none_or(|effect| {
                entry.decision.as_ref().is_some_and(|decision| decision.effect == effect)
            })
            && is(&self.route, entry.request.as_ref().map(|request| request.route.as_str()))
            && is(&self.purpose, why.map(|why| why.purpose.as_str()))
            && is(&self.ticket, why.map(|why| why.ticket.as_str()))
            && is(&self.act, act.map(|act| act.name.as_str()))
            && reason.is_none_or(|words| {
                why.is_some_and(|why| normal(why.reason.as_str()).contains(&words))
            })
    }

    fn wants_data(&self, access: &Access) -> bool {
        let data = access.told().data.as_ref();
        let shown = |data: &Data, name: &str| {
            [&data.clear, &data.masked, &data.pseudonym].into_iter().any(|list| holds(list, name))
        };
        self.field.as_deref().is_none_or(|name| data.is_some_and(|data| shown(data, name)))
            && self.clear.as_deref().is_none_or(|name| data.is_some_and(|d| holds(&d.clear, name)))
            && self.mode.is_none_or(|mode| access.data().any(|data| data.mode == Some(mode)))
            && self.watermark.as_deref().is_none_or(|mark| access.is_marked(mark))
            && self.sha256.as_deref().is_none_or(|hash| access.has_hash(hash))
    }
}

fn is(wanted: &Option<String>, found: Option<&str>) -> bool {
    wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
}

/// Whether a list names it, or may: names that did not fit were only counted.
fn holds(list: &FieldNames, name: &str) -> bool {
    list.beyond() > 0 || list.iter().any(|one| one == name)
}

/// Whose account it is.
pub(super) fn person<'a>(person: &'a super::text::Text, account: &'a super::text::Text) -> &'a str {
    if person.is_empty() { account.as_str() } else { person.as_str() }
}

/// A text as it is searched: without differences of case and width.
#[must_use]
pub fn normal(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}
