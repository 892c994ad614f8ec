//! Drills: for each detection a story that it must find, told to the same fold as the log.

use std::net::{IpAddr, Ipv4Addr};

use super::{Finding, Review, Rules};
use crate::audit::{
    Act, Actor, ActorKind, Answer, Data, Decision, Effect, Entry, EntryId, Event, Mode, Moment,
    Order, Origin, Query, Request, Stamp, SubjectSealer, Subjects, Why,
};
use crate::policy::{Detection, Terms};
use crate::secret::MasterKey;

/// Under what the story goes; no account can be called so.
const HOLDER: &str = "(drill)";

const DAY_MS: i64 = 86_400_000;

/// How a drill went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drill {
    /// Entries that the story had.
    pub entries: usize,
    /// What was found in them.
    pub findings: Vec<Finding>,
}

/// Tells the story of a detection to a fold that knows nothing. `None` where the detection is off, or there is nothing
/// to tell it about: no role that is limited by the day, no canary whose key a path takes.
#[must_use]
pub fn drill(detection: Detection, rules: &Rules, now_ms: i64) -> Option<Drill> {
    let entries = story(detection, rules, now_ms)?;
    let mut review = Review::default();
    let found = entries.iter().flat_map(|entry| review.take(entry, rules));
    let findings = found.filter(|finding| finding.detection == detection).collect();
    Some(Drill { entries: entries.len(), findings })
}

/// The entries of the story.
pub(super) fn story(detection: Detection, rules: &Rules, now_ms: i64) -> Option<Vec<Entry>> {
    let terms = rules.on(detection)?;
    let mut story = Story { now_ms, number: 0, entries: Vec::new() };
    tell(&mut story, detection, terms, rules)?;
    Some(story.entries)
}

struct Story {
    now_ms: i64,
    number: u8,
    entries: Vec<Entry>,
}

fn tell(story: &mut Story, detection: Detection, terms: &Terms, rules: &Rules) -> Option<()> {
    let count = u64::from(terms.count);
    match detection {
        Detection::OwnMedian => {
            story.usual_days(4);
            story.takes(0, u64::from(terms.least.max(4 * terms.times)) + 1, 0, None);
        }
        Detection::PartnerVolume => {
            story.usual_days(4);
            let records = u64::from(terms.least.max(4 * terms.times)) + 1;
            story.takes(0, 1, records, None);
            story.be_a_partner();
        }
        Detection::SequentialIds => {
            (0..count).for_each(|n| story.asks_for((n > 0).then_some(Order::Next), "", 0));
        }
        Detection::ZeroHits => (0..count).for_each(|_| story.searches_in_vain()),
        Detection::ManyOpeners => (0..count).for_each(|n| story.opens(n)),
        Detection::OwnRecord => story.opens_the_own_record(),
        Detection::OffHours => story.at(outside(rules, story.now_ms)?, Story::asks),
        Detection::NewPlace => {
            story.at(-DAY_MS * i64::from(terms.days + 1), Story::asks);
            story.elsewhere();
        }
        Detection::Dormant => {
            story.at(-DAY_MS * i64::from(terms.days), Story::asks);
            story.asks();
        }
        Detection::Canary => {
            let canary = rules.one_canary()?.to_owned();
            story.asks_for(None, &canary, 0);
        }
        Detection::Watched => story.opens_whom(rules.one_watched()?)?,
        Detection::ExportThenLeave => {
            story.takes(0, 3, 3, Some(Mode::Download));
            story.goes();
        }
        Detection::SteadyDraw => {
            let (role, most) = rules.one_limited()?;
            for day in 0..i64::from(terms.days) {
                story.takes(day - i64::from(terms.days), u64::from(most), 0, None);
            }
            story.hold(role);
        }
        Detection::PageDepth => story.asks_for(None, "", count + 1),
        Detection::SwitchedOff => story.switches_off(),
        Detection::Colleague => story.opens_a_colleagues_record(),
        Detection::Unlinked => (0..count).for_each(|_| story.takes_without_a_case()),
        Detection::MutualApprovals => (0..count).for_each(|_| story.agree_to_each_others()),
    }
    Some(())
}

/// From now to a time within the next week that lies outside the hours of work.
fn outside(rules: &Rules, now_ms: i64) -> Option<i64> {
    let hours = rules.hours()?;
    let outside = |hour: &i64| !hours.contain((now_ms + hour * 3_600_000).div_euclid(1000));
    (0..7 * 24).find(outside).map(|hour| hour * 3_600_000)
}

impl Story {
    /// An entry at a time from now, of whom the story is about.
    fn entry(&mut self, event: Event, from_now_ms: i64) -> Entry {
        self.number = self.number.wrapping_add(1);
        let time = self.now_ms.saturating_add(from_now_ms);
        let id = EntryId::new(time, [self.number; 10]);
        let stamp = Stamp { id, time: Moment(time), node: "drill".into() };
        let mut entry = Entry::new(event, stamp);
        let kind = Some(ActorKind::Staff);
        entry.actor = Some(Actor { account: HOLDER.into(), kind, ..Actor::default() });
        entry
    }

    /// Moves what `tell` tells.
    fn at(&mut self, from_now_ms: i64, tell: fn(&mut Self)) {
        self.now_ms += from_now_ms;
        tell(self);
        self.now_ms -= from_now_ms;
    }

    fn asks(&mut self) {
        self.asks_for(None, "", 0);
    }

    fn asks_for(&mut self, order: Option<Order>, hash: &str, page: u64) {
        let mut entry = self.entry(Event::Decision, 0);
        let mut query = Query::default();
        query.push("{id}", None, hash);
        query.ordered("{id}", order);
        let page = (page > 0).then_some(page);
        entry.request = Some(Request { action: "view".into(), query, page, ..Request::default() });
        entry.decision = Some(Decision::new(Effect::Allow));
        entry.data = Some(Data { highest_grade: "3".into(), ..Data::default() });
        entry.origin = Some(Origin {
            address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
            ..Origin::default()
        });
        self.entries.push(entry);
    }

    fn elsewhere(&mut self) {
        self.asks();
        if let Some(origin) = self.entries.last_mut().and_then(|entry| entry.origin.as_mut()) {
            origin.address = Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)));
        }
    }

    fn searches_in_vain(&mut self) {
        let mut entry = self.entry(Event::Outcome, 0);
        entry.request = Some(Request { action: "search".into(), ..Request::default() });
        entry.result = Some(Answer { status: Some(200), ..Answer::default() });
        self.entries.push(entry);
    }

    /// So many different people on a day from now.
    fn takes(&mut self, day: i64, people: u64, records: u64, mode: Option<Mode>) {
        let mut entry = self.entry(Event::Outcome, day * DAY_MS);
        let records = Some(records);
        entry.data = Some(Data { records, mode, ..Data::default() });
        entry.result = Some(Answer { status: Some(200), ..Answer::default() });
        entry.request = Some(Request { action: "search".into(), ..Request::default() });
        entry.subjects = Some(invented(people));
        self.entries.push(entry);
    }

    /// Seven days on which little was taken.
    fn usual_days(&mut self, people: u64) {
        (-7..0).for_each(|day| self.takes(day, people, people, None));
    }

    fn be_a_partner(&mut self) {
        for actor in self.entries.iter_mut().filter_map(|entry| entry.actor.as_mut()) {
            actor.kind = Some(ActorKind::Partner);
        }
    }

    fn hold(&mut self, role: &str) {
        for actor in self.entries.iter_mut().filter_map(|entry| entry.actor.as_mut()) {
            actor.roles = [role].into_iter().collect();
        }
    }

    /// The `n`th person opens the one record.
    fn opens(&mut self, n: u64) {
        self.takes(0, 1, 1, None);
        let Some(entry) = self.entries.last_mut() else { return };
        entry.request = Some(Request { action: "view".into(), ..Request::default() });
        if let Some(actor) = entry.actor.as_mut() {
            actor.account = format!("{HOLDER} {n}").as_str().into();
        }
    }

    /// Opens the record of somebody who has this token.
    fn opens_whom(&mut self, token: &str) -> Option<()> {
        self.takes(0, 0, 1, None);
        let entry = self.entries.last_mut()?;
        entry.request = Some(Request { action: "view".into(), ..Request::default() });
        let reference = serde_json::from_value(format!("{token}.drill").into()).ok()?;
        let refs = [reference].into_iter().collect();
        entry.subjects = Some(Subjects { count: 1, refs, ..Subjects::default() });
        Some(())
    }

    fn opens_the_own_record(&mut self) {
        self.takes(0, 1, 1, None);
        let subjects = self.entries.last_mut().and_then(|entry| entry.subjects.as_mut());
        if let Some(subjects) = subjects {
            subjects.own = true;
        }
    }

    /// Somebody's own record is known by their work, and another one opens it.
    fn opens_a_colleagues_record(&mut self) {
        self.opens(1);
        let own = invented(1).refs.into_iter().next();
        if let Some(actor) = self.entries.last_mut().and_then(|entry| entry.actor.as_mut()) {
            actor.own = own;
        }
        self.opens(2);
    }

    fn takes_without_a_case(&mut self) {
        self.takes(0, 1, 1, None);
        if let Some(entry) = self.entries.last_mut() {
            entry.data.get_or_insert_default().unlinked = Some(1);
        }
    }

    fn agree_to_each_others(&mut self) {
        for (asks, agrees) in [(1, 2), (2, 1)] {
            let grant = format!("G-{}", self.entries.len());
            for (n, act) in [(asks, "grant_asked"), (agrees, "grant_approved")] {
                let mut entry = self.entry(Event::Grant, 0);
                entry.act = Some(Act { name: act.into(), ..Act::default() });
                entry.why = Some(Why { grant: grant.as_str().into(), ..Why::default() });
                if let Some(actor) = entry.actor.as_mut() {
                    actor.account = format!("{HOLDER} {n}").as_str().into();
                }
                self.entries.push(entry);
            }
        }
    }

    fn goes(&mut self) {
        let object = format!("account {HOLDER}");
        self.act("account_left", &object);
    }

    fn switches_off(&mut self) {
        self.act("account_disabled", "account somebody else");
    }

    fn act(&mut self, name: &str, object: &str) {
        let mut entry = self.entry(Event::Change, 1);
        entry.act = Some(Act { name: name.into(), object: object.into(), ..Act::default() });
        self.entries.push(entry);
    }
}

/// References to people who do not exist, under a key that nobody else uses.
fn invented(people: u64) -> Subjects {
    let mut subjects = Subjects { count: people, ..Subjects::default() };
    if let Ok(sealer) = SubjectSealer::new(&MasterKey::from_bytes([0xd1; 32])) {
        let sealed = (0..people).filter_map(|n| sealer.seal("drill", &n.to_string()).ok());
        subjects.refs = sealed.collect();
    }
    subjects
}
