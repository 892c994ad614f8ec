//! The fold: each drill is found, and only by its own detection's terms; a snapshot changes nothing; memory is
//! bounded.

use super::*;
use crate::audit::{
    Actor, ActorKind, Decision, Effect, Event, Moment, Order, Query, Request, Stamp,
};
use crate::document::Source;
use crate::policy::compile;
use crate::secret::MasterKey;

const NOW_MS: i64 = 1_800_000_000_000;
const DAY_MS: i64 = 86_400_000;

const POLICY: &str = "
grades: { 1: {} }
purposes: [service]
entities: { customer: { subject: id, fields: { id: 1, name: 1 } } }
routes:
  one: { match: 'GET bank.example/one/{id}', to: core, action: view, returns: { customer: $ } }
roles: { teller: {}, auditor: {} }
rules:
  - { name: work, allow: view, to: teller, of: customer, clear: [id, name] }
limits:
  - { to: teller, subjects: 10/day }
";

const EVERYTHING: &str = "
detections:
  off-hours: { hours: 'Mon-Fri 08:00-18:00', zone: UTC }
  canary: { subjects: { customer: [C-1] } }
  watched: { subjects: { customer: [C-2] } }
  own-record: { of: customer, attribute: customer_id }
  colleague: { of: customer, attribute: customer_id }
";

fn rules(detections: &str) -> Rules {
    let text = format!("{POLICY}{detections}");
    let program = compile(&[Source { name: "policy.yaml".to_owned(), text }]).unwrap();
    let names = Names::derive(&MasterKey::from_bytes([4; 32])).unwrap();
    Rules::of(&program, Some(&names))
}

/// An allowed request of somebody, `at_ms` from now, for a key that stands so to the ones before.
fn asked(account: &str, at_ms: i64, order: Option<Order>) -> Entry {
    let time = NOW_MS + at_ms;
    let id = EntryId::new(time, [7; 10]);
    let mut entry = Entry::new(Event::Decision, Stamp { id, time: Moment(time), node: "n".into() });
    let kind = Some(ActorKind::Staff);
    let roles = ["teller"].into_iter().collect();
    entry.actor = Some(Actor { account: account.into(), kind, roles, ..Actor::default() });
    let mut query = Query::default();
    query.push("{id}", None, "hash");
    query.ordered("{id}", order);
    entry.request = Some(Request { action: "view".into(), query, ..Request::default() });
    entry.decision = Some(Decision::new(Effect::Deny));
    entry
}

fn found(review: &mut Review, entries: &[Entry], rules: &Rules) -> Vec<String> {
    let findings = entries.iter().flat_map(|entry| review.take(entry, rules));
    findings.map(|finding| format!("{} {}", finding.holder, finding.detection.name())).collect()
}

fn row(account: &str, length: i64, every_ms: i64) -> Vec<Entry> {
    let order = |n: i64| (n > 0).then_some(Order::Next);
    (0..length).map(|n| asked(account, n * every_ms, order(n))).collect()
}

#[test]
fn each_detection_finds_its_drill() {
    let rules = rules(EVERYTHING);
    for detection in Detection::ALL {
        let drill = drill(detection, &rules, NOW_MS).unwrap_or_else(|| panic!("{detection:?}"));
        assert!(!drill.findings.is_empty(), "{detection:?} found nothing in {}", drill.entries);
    }
}

#[test]
fn a_drill_without_its_last_entry_is_not_found() {
    let rules = rules(EVERYTHING);
    for detection in Detection::ALL {
        let entries = drill::story(detection, &rules, NOW_MS).unwrap();
        let mut review = Review::default();
        let short = &entries[..entries.len() - 1];
        let found = short.iter().flat_map(|entry| review.take(entry, &rules));
        let found = found.filter(|finding| finding.detection == detection).count();
        assert_eq!(found, 0, "{detection:?}");
    }
}

#[test]
fn what_is_off_finds_nothing() {
    let off: String = Detection::ALL.iter().map(|one| format!("  {}: off\n", one.name())).collect();
    let (on, off) = (rules(EVERYTHING), rules(&format!("detections:\n{off}")));
    for detection in Detection::ALL {
        assert_eq!(drill(detection, &off, NOW_MS), None);
        let mut review = Review::default();
        for entry in drill::story(detection, &on, NOW_MS).unwrap() {
            assert_eq!(review.take(&entry, &off), []);
        }
    }
}

#[test]
fn twenty_keys_in_a_row_within_five_minutes_are_found_and_nineteen_or_slower_ones_are_not() {
    let rules = rules("");
    let found = |entries: &[Entry]| found(&mut Review::default(), entries, &rules);
    assert_eq!(found(&row("wang", 20, 15_000)), ["wang sequential-ids"]);
    assert_eq!(found(&row("wang", 19, 1_000)), [""; 0]);
    assert_eq!(found(&row("wang", 60, 17_000)), [""; 0]);
    let turned: Vec<Entry> = (0..60)
        .map(|n| asked("wang", n, Some(if n % 10 < 5 { Order::Up } else { Order::Down })))
        .collect();
    assert_eq!(found(&turned), [""; 0]);
    let shuffled: Vec<Entry> = (0..20)
        .map(|n| asked("wang", n, Some(if n % 2 == 0 { Order::Next } else { Order::Previous })))
        .collect();
    assert_eq!(found(&shuffled), ["wang sequential-ids"]);
}

#[test]
fn two_accounts_of_one_person_are_one_and_two_persons_are_two() {
    let rules = rules("");
    let mut entries = row("wang", 20, 1_000);
    for (n, entry) in entries.iter_mut().enumerate() {
        let actor = entry.actor.as_mut().unwrap();
        actor.account = if n % 2 == 0 { "wang".into() } else { "corp:wang".into() };
        actor.person = "e1042".into();
    }
    assert_eq!(found(&mut Review::default(), &entries, &rules), ["person/e1042 sequential-ids"]);
    for (n, entry) in entries.iter_mut().enumerate() {
        entry.actor.as_mut().unwrap().person = format!("e{}", n % 2).as_str().into();
    }
    assert_eq!(found(&mut Review::default(), &entries, &rules), [""; 0]);
}

#[test]
fn whoever_holds_an_excepted_role_is_not_looked_at() {
    let rules = rules("detections: { sequential-ids: { except: teller } }");
    assert_eq!(found(&mut Review::default(), &row("wang", 40, 10), &rules), [""; 0]);
}

#[test]
fn a_fold_that_is_kept_and_restored_anywhere_finds_the_same() {
    let rules = rules(EVERYTHING);
    for detection in Detection::ALL {
        let entries = drill::story(detection, &rules, NOW_MS).unwrap();
        let mut whole = Review::default();
        let expected = found(&mut whole, &entries, &rules);
        for cut in 0..entries.len() {
            let (mut kept, mut said) = (std::collections::BTreeMap::new(), Vec::new());
            let mut review = Review::default();
            for (n, entry) in entries.iter().enumerate() {
                if n == cut {
                    for (name, bytes) in review.changed() {
                        kept.insert(name, bytes.unwrap());
                    }
                    review = Review::restore(kept.clone());
                }
                said.extend(found(&mut review, std::slice::from_ref(entry), &rules));
            }
            assert_eq!(said, expected, "{detection:?} cut at {cut}");
        }
    }
}

#[test]
fn people_beyond_the_memory_for_them_push_out_whoever_was_not_seen_for_longest() {
    let rules = rules("");
    let mut review = Review::default();
    let most = i64::try_from(MOST_PEOPLE).unwrap();
    for n in 0..most + 700 {
        review.take(&asked(&format!("p{n}"), n, None), &rules);
    }
    assert!(review.people.len() <= MOST_PEOPLE, "{}", review.people.len());
    assert!(!review.people.contains_key("p0"));
    assert!(review.people.contains_key(&format!("p{}", most + 699)));
    let gone = review.changed().into_iter().filter(|(_, bytes)| bytes.is_none()).count();
    assert!(gone > 600, "{gone} cells are to be removed");
}

#[test]
fn a_person_takes_no_more_than_is_said() {
    let rules = rules("");
    let mut review = Review::default();
    let sealer = crate::audit::SubjectSealer::new(&MasterKey::from_bytes([4; 32])).unwrap();
    for n in 0..40 {
        let mut entry = asked("wang", n * DAY_MS, Some(Order::Next));
        entry.event = Event::Outcome;
        for m in 0..500 {
            entry.add_subject(sealer.seal("customer", &format!("{n}-{m}")).unwrap()).unwrap();
        }
        review.take(&entry, &rules);
        for _ in 0..100 {
            review.take(&asked("wang", n * DAY_MS, Some(Order::Next)), &rules);
        }
    }
    let bytes: usize = review.changed().iter().filter_map(|(_, b)| Some(b.as_ref()?.len())).sum();
    // In memory a number takes 8 bytes, in its text up to 20.
    assert!(bytes < 3 * 6 * 1024, "{bytes}");
}
