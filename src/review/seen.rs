//! What the detections see of an entry.

use crate::audit::{
    Actor, ActorKind, Effect, Entry, EntryId, Event, Mode, Order, Query, SubjectRef,
};

/// Acts that switch off an account.
const GOES: [&str; 3] = ["account_disabled", "account_suspended", "account_left"];
/// Acts that switch off an account, another control, or what held somebody.
const SWITCHES_OFF: [&str; 9] = [
    "account_disabled",
    "account_suspended",
    "passkey_removed",
    "device_revoked",
    "key_revoked",
    "switch_on",
    "switch_off",
    "limits_reset",
    "findings_released",
];

/// Somebody asks for a grant, or agrees to one.
const GRANTED: [&str; 2] = ["grant_asked", "grant_approved"];

/// An entry of which it is known who did it.
pub(super) struct Seen<'e> {
    pub(super) entry: &'e Entry,
    actor: &'e Actor,
    /// Unix milliseconds.
    pub(super) at_ms: i64,
    holder: String,
}

impl<'e> Seen<'e> {
    /// `None` where nobody did it, or nothing that detections look at.
    pub(super) fn of(entry: &'e Entry) -> Option<Self> {
        match entry.event {
            Event::Decision | Event::Outcome | Event::Change => {}
            Event::Grant if GRANTED.contains(&entry.act.as_ref()?.name.as_str()) => {}
            Event::Session
            | Event::Custody
            | Event::Shadow
            | Event::Alert
            | Event::Admin
            | Event::Grant => {
                return None;
            }
        }
        let actor = entry.actor.as_ref().filter(|actor| !actor.account.is_empty())?;
        let holder = match actor.person.is_empty() {
            true => actor.account.to_string(),
            false => format!("person/{}", actor.person),
        };
        Some(Self { entry, actor, at_ms: entry.time.0, holder })
    }

    /// As people are counted: the account, or the person whose it is.
    pub(super) fn holder(&self) -> &str {
        &self.holder
    }

    pub(super) fn account(&self) -> &str {
        self.actor.account.as_str()
    }

    /// The day, in days since 1970.
    pub(super) fn day(&self) -> i64 {
        self.at_ms.div_euclid(86_400_000)
    }

    /// Whether it is a person who works: habits of machines and customers are no sign.
    pub(super) fn is_at_work(&self) -> bool {
        match self.actor.kind {
            Some(
                ActorKind::Staff | ActorKind::Merchant | ActorKind::Partner | ActorKind::Admin,
            )
            | None => true,
            Some(ActorKind::Machine | ActorKind::Customer) => false,
        }
    }

    pub(super) fn is_partner(&self) -> bool {
        self.actor.kind == Some(ActorKind::Partner)
    }

    pub(super) fn roles(&self) -> impl Iterator<Item = &str> {
        self.actor.roles.iter()
    }

    pub(super) fn holds_one_of(&self, roles: &[Box<str>]) -> bool {
        self.roles().any(|held| roles.iter().any(|role| **role == *held))
    }

    /// The decision that it belongs to.
    pub(super) fn trigger(&self) -> EntryId {
        self.entry.decided_by.unwrap_or(self.entry.id)
    }

    /// Whether a request is decided.
    pub(super) fn is_asked(&self) -> bool {
        self.entry.event == Event::Decision
    }

    /// Whether a request is allowed.
    pub(super) fn is_allowed(&self) -> bool {
        self.is_asked() && self.entry.decision.as_ref().is_some_and(|d| d.effect == Effect::Allow)
    }

    /// Whether something may have been given.
    pub(super) fn is_given(&self) -> bool {
        self.entry.event == Event::Outcome
    }

    /// Whether the action is this one.
    pub(super) fn is(&self, action: &str) -> bool {
        self.entry.request.as_ref().is_some_and(|request| request.action.as_str() == action)
    }

    /// The parameters of the path and of the query.
    pub(super) fn query(&self) -> Option<&'e Query> {
        self.entry.request.as_ref().map(|request| &request.query)
    }

    /// How what is asked for stands to what was asked for before.
    pub(super) fn order(&self) -> Option<Order> {
        self.query()?.uses().iter().find_map(|one| one.order)
    }

    /// The page of a list that is asked for.
    pub(super) fn page(&self) -> Option<u64> {
        self.entry.request.as_ref()?.page
    }

    /// The data subjects that the entry names.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &'e SubjectRef> {
        self.entry.subjects.iter().flat_map(|subjects| &subjects.refs)
    }

    /// The only data subject of an answer.
    pub(super) fn only_subject(&self) -> Option<&'e SubjectRef> {
        let subjects = self.entry.subjects.as_ref()?;
        subjects.refs.first().filter(|_| subjects.count == 1 && subjects.parts == 0)
    }

    /// Records that were given.
    pub(super) fn records(&self) -> u64 {
        self.entry.data.as_ref().and_then(|data| data.records).unwrap_or(0)
    }

    /// Whether the answer was given and held nobody.
    pub(super) fn found_nobody(&self) -> bool {
        let answered = self.entry.result.as_ref().and_then(|result| result.status);
        let data = self.entry.data.as_ref();
        self.is_given()
            && answered.is_some_and(|status| (200..300).contains(&status) || status == 404)
            && data.is_none_or(|data| data.records.unwrap_or(0) == 0 && data.held_back.is_none())
    }

    /// Whether a file was given, or some of it.
    pub(super) fn is_file(&self) -> bool {
        let is_file = |mode| mode == Some(Mode::Download);
        self.is_given()
            && self.records() > 0
            && self.entry.data.as_ref().is_some_and(|data| is_file(data.mode))
    }

    /// Whether fields of grade 3 or 4 may be given.
    pub(super) fn is_of_a_high_grade(&self) -> bool {
        let grade = self.entry.data.as_ref().map_or("", |data| data.highest_grade.as_str());
        matches!(grade, "3" | "4")
    }

    /// From what network it comes, by name: `/24` of IPv4, `/48` of IPv6.
    pub(super) fn network(&self) -> Option<String> {
        use std::net::IpAddr;
        match self.entry.origin.as_ref()?.address?.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Some(format!("{a}.{b}.{c}.0/24"))
            }
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                Some(format!("{a:x}:{b:x}:{c:x}::/48"))
            }
        }
    }

    /// The device, where one is known by its key.
    pub(super) fn device(&self) -> Option<&str> {
        let device = self.entry.auth.as_ref()?.device.as_str();
        (!device.is_empty()).then_some(device)
    }

    /// Whether the caller opened the record that is their own.
    pub(super) fn is_own_record(&self) -> bool {
        self.entry.subjects.as_ref().is_some_and(|subjects| subjects.own)
    }

    /// The token of the caller's own record.
    pub(super) fn own(&self) -> Option<&'e str> {
        self.actor.own.as_ref().map(SubjectRef::token)
    }

    /// Records that were given without a case that ties the caller to whom they are about.
    pub(super) fn unlinked(&self) -> u64 {
        self.entry.data.as_ref().and_then(|data| data.unlinked).unwrap_or(0)
    }

    /// The grant that somebody asks for, or agrees to, and whether they agree.
    pub(super) fn granted(&self) -> Option<(&'e str, bool)> {
        let why = self.entry.why.as_ref().filter(|_| self.entry.event == Event::Grant)?;
        Some((why.grant.as_str(), self.act() == "grant_approved"))
    }

    fn act(&self) -> &str {
        self.entry.act.as_ref().map_or("", |act| act.name.as_str())
    }

    /// The account that an act switches off, or the one on which another control is switched off.
    pub(super) fn account_that_goes(&self) -> Option<String> {
        let act = self.entry.act.as_ref().filter(|_| self.entry.event == Event::Change)?;
        if !GOES.contains(&self.act()) && !SWITCHES_OFF.contains(&self.act()) {
            return None;
        }
        let object = act.object.as_str();
        let account = object.rsplit_once("account ").map_or(object, |(_, account)| account);
        Some(account.to_owned())
    }

    /// Whether the account itself goes.
    pub(super) fn account_goes(&self) -> bool {
        GOES.contains(&self.act())
    }

    /// What is switched off by somebody else than its owner.
    pub(super) fn switches_off(&self) -> Option<&str> {
        let act = Some(self.act()).filter(|act| SWITCHES_OFF.contains(act))?;
        (self.account_that_goes()?.as_str() != self.account()).then_some(act)
    }
}
