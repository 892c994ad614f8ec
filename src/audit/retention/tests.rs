//! Destruction: announced, held, certified, in time; and what must not bring it about.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::audit::at_rest::{KeyFile, KeyName, RestKey, State};
use crate::audit::entry::Moment;
use crate::audit::fault::{Broken, Fault};
use crate::audit::folder::{Folder, Part};
use crate::audit::groups::{Act, Actor, ActorKind, Event, Origin, Why};
use crate::audit::log::{Log, Settings};
use crate::audit::note::Verifier;
use crate::audit::reader::{Reader, Record};
use crate::audit::snapshot::LogSnapshot;
use crate::audit::subject::SubjectSealer;
use crate::audit::verify::verify;
use crate::audit::{Entry, Opener};
use crate::clock::Clock;
use crate::secret::MasterKey;

const NOON: i64 = 1_790_000_000_000;
const DAY_MS: i64 = 24 * 3600 * 1000;
const DAY: &str = "2026-09-21";

fn periods() -> Periods {
    let period = |least, months| Period { least, months };
    Periods {
        staff_access: period(24, 30),
        customer_usage: period(6, 24),
        customer_identity: period(6, 18),
        security: period(12, 12),
        ledger: period(36, 60),
        tenants: BTreeMap::new(),
    }
}

/// Keys of one lock, made on these days.
fn keys(lock: Lock, days: impl IntoIterator<Item = u32>) -> Vec<(KeyName, KeyFile)> {
    let rest = RestKey::new(&MasterKey::from_bytes([1; 32])).unwrap();
    let first = Day::of_ms(NOON);
    let key = |(number, days): (u32, u32)| {
        let day = first.plus(days);
        let name = KeyName { number, lock, day };
        (name, KeyFile::draw(name, &Whose::Everybody, Moment(day.start_ms()), &rest).unwrap().0)
    };
    (1..).zip(days).map(key).collect()
}

fn first_fate(keys: &[(KeyName, KeyFile)], holds: &[Hold], days: u32) -> Fate {
    let now = Moment(Day::of_ms(NOON).plus(days).start_ms() + 1);
    judge::judge(keys, &[], &periods(), holds, now)[0]
}

#[test]
fn an_entry_is_kept_then_announced_then_due_to_the_day() {
    let mut all = keys(Lock::Of(Class::Security), 0..400);
    let over = judge::end_of(Day::of_ms(NOON), 12);
    assert_eq!(over.to_string(), "2027-09-22");
    assert_eq!(first_fate(&all, &[], 300), Fate::Kept(over));
    let notice = over.since(Day::of_ms(NOON)) - NOTICE_DAYS;
    assert_eq!(first_fate(&all, &[], notice - 1), Fate::Kept(over));
    assert_eq!(first_fate(&all, &[], notice), Fate::ToAnnounce(over));
    all[0].1.announced = Some(Moment(Day::of_ms(NOON).plus(notice).start_ms()));
    assert_eq!(first_fate(&all, &[], notice + 13), Fate::Announced(over));
    // The least is counted with a day of grace on either side.
    assert_eq!(first_fate(&all, &[], notice + NOTICE_DAYS + 1), Fate::Due);
    let hold = Hold { id: 4, class: None, from: Day::of_ms(NOON), to: Day::of_ms(NOON) };
    assert_eq!(first_fate(&all, &[hold], notice + NOTICE_DAYS + 1), Fate::Held(4));
    let of_another = Hold { class: Some(Class::Ledger), ..hold };
    assert_eq!(first_fate(&all, &[of_another], notice + NOTICE_DAYS + 1), Fate::Due);
}

#[test]
fn a_late_announcement_still_gives_all_its_days() {
    let mut all = keys(Lock::Of(Class::Security), 0..500);
    let late = 450;
    let on = Day::of_ms(NOON).plus(late + NOTICE_DAYS);
    assert_eq!(first_fate(&all, &[], late), Fate::ToAnnounce(on));
    all[0].1.announced = Some(Moment(Day::of_ms(NOON).plus(late).start_ms()));
    assert_eq!(first_fate(&all, &[], late + 13), Fate::Announced(on));
    assert_eq!(first_fate(&all, &[], late + NOTICE_DAYS), Fate::Due);
}

#[test]
fn a_clock_set_forward_by_years_destroys_nothing_however_often() {
    // A month of days as they were, then two leaps with an announcement between them.
    let leaps = [900, 901, 1800, 1801];
    let mut all = keys(Lock::Of(Class::Security), (0..30).chain(leaps));
    assert!(matches!(first_fate(&all, &[], 900), Fate::ToAnnounce(_)));
    all[0].1.announced = Some(Moment(Day::of_ms(NOON).plus(900).start_ms()));
    assert!(matches!(first_fate(&all, &[], 1801), Fate::Announced(_)));
    // And when it is right again, what was announced in the future was not announced.
    assert!(matches!(first_fate(&all, &[], 31), Fate::Kept(_)));
    let mut whole = keys(Lock::Of(Class::Security), 0..400);
    whole[0].1.announced = Some(Moment(Day::of_ms(NOON).plus(900).start_ms()));
    assert!(matches!(first_fate(&whole, &[], 360), Fate::ToAnnounce(_)));
}

#[test]
fn what_was_written_while_the_clock_was_back_is_kept_its_least_all_the_same() {
    // Made in the order of their numbers: 400 days, then one dated a year back, then on.
    let mut all = keys(Lock::Of(Class::Security), (0..400).chain([35]).chain(400..430));
    let back = all.remove(400);
    all.insert(0, back);
    all[0].1.announced = Some(Moment(Day::of_ms(NOON).plus(410).start_ms()));
    // By its date it is over; it is 30 days old.
    assert!(matches!(first_fate(&all, &[], 430), Fate::Announced(_)));
}

fn open(dir: &Path, clock: &Clock) -> Log {
    let settings = Settings { publish_interval: Duration::from_millis(1), ..Settings::default() };
    Log::open(dir, settings, clock.clone(), &MasterKey::from_bytes([1; 32])).unwrap().0
}

fn write(log: &Log, event: Event, name: &str) {
    let mut entry = log.entry(event).unwrap();
    entry.act = Some(Act { name: name.into(), ..Act::default() });
    log.append_detached(entry);
}

/// Whether tree and keys hold, and how many keys are destroyed.
fn checked(dir: &Path, verifier: &Verifier) -> Result<u64, Broken> {
    verify(dir, verifier, None).and_then(|verified| check_keys(dir, verifier, &verified.needed))
}

fn read(dir: &Path) -> Vec<Record> {
    let rest = RestKey::new(&MasterKey::from_bytes([1; 32])).unwrap();
    Reader::new(dir, 0, Opener::new(dir, vec![rest])).map(|read| read.unwrap().1).collect()
}

fn acts(dir: &Path, name: &str) -> Vec<Act> {
    let entries = read(dir).into_iter().filter_map(Record::entry);
    entries.filter_map(|e| e.act).filter(|act| act.name.as_str() == name).collect()
}

fn pass_a_week(clock: &Clock, dir: &Path) {
    clock.advance_ms(7 * DAY_MS);
    let tomorrow = Day::of_ms(clock.unix_ms()).plus(1);
    let wanted = format!("customer_identity-{tomorrow}");
    while !Folder::new(dir).names_of(Part::Keys).unwrap().iter().any(|name| name.ends_with(&wanted))
    {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets time pass as a running gate sees it, and tends the log each week.
fn live(log: &Log, clock: &Clock, dir: &Path, weeks: u32, holds: &[Hold]) -> Tended {
    let mut sum = Tended::default();
    for _ in 0..weeks {
        pass_a_week(clock, dir);
        let tended = log.tend_retention(&periods(), holds).unwrap();
        sum.announced += tended.announced;
        sum.destroyed += tended.destroyed;
        sum.removed += tended.removed;
        (sum.waiting, sum.held) = (tended.waiting, tended.held);
    }
    sum
}

fn sample(dir: &Path, clock: &Clock) -> (Log, Verifier) {
    let log = open(dir, clock);
    write(&log, Event::Session, "short-lived");
    write(&log, Event::Change, "long-lived");
    let mut entry = log.entry(Event::Decision).unwrap();
    entry.class = Class::CustomerUsage;
    let (account, kind) = ("somchai".into(), Some(ActorKind::Customer));
    entry.actor = Some(Actor { account, kind, ..Actor::default() });
    entry.origin = Some(Origin { address: "203.0.113.9".parse().ok(), ..Origin::default() });
    entry.why = Some(Why { purpose: "own".into(), reason: "typed".into(), ..Why::default() });
    let sealer = SubjectSealer::new(&MasterKey::from_bytes([1; 32])).unwrap();
    entry.add_subject(sealer.seal("customer", "1").unwrap()).unwrap();
    log.append_detached(entry);
    let verifier = log.verifier().clone();
    (log, verifier)
}

fn of_customer(dir: &Path) -> Option<Entry> {
    let entries = read(dir).into_iter().filter_map(Record::entry);
    entries.into_iter().find(|entry| entry.class == Class::CustomerUsage)
}

#[test]
fn each_class_goes_in_its_time_and_the_log_verifies_and_says_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let (log, verifier) = sample(dir.path(), &clock);
    let tended = live(&log, &clock, dir.path(), 50, &[]);
    assert_eq!(tended.destroyed, 0, "nobody is early: {tended:?}");
    let tended = live(&log, &clock, dir.path(), 6, &[]);
    assert!(tended.announced > 0 && tended.destroyed > 0, "{tended:?}");
    let stories: Vec<String> = read(dir.path())
        .into_iter()
        .map(|record| match record {
            Record::Entry(entry) => entry.act.unwrap_or_default().name.to_string(),
            Record::Closed(closed) => closed.to_string(),
        })
        .collect();
    assert!(
        stories[0].starts_with(&format!("security of {DAY}: destroyed on 2027-")),
        "{stories:?}"
    );
    assert_eq!(stories[1], "long-lived");
    let announced = acts(dir.path(), "destruction_announced");
    assert!(announced[0].object.as_str().starts_with(&format!("security from {DAY} to ")));
    let gone = acts(dir.path(), "entries_destroyed");
    assert_eq!(gone[0].detail.as_str(), "certificate 00000001");
    let known = of_customer(dir.path()).unwrap();
    assert_eq!(known.actor.unwrap().account.as_str(), "somchai");

    live(&log, &clock, dir.path(), 26, &[]);
    let left = of_customer(dir.path()).unwrap();
    let actor = left.actor.as_ref().unwrap();
    assert!(actor.account.is_empty() && actor.kind == Some(ActorKind::Customer));
    assert_eq!(left.origin.as_ref().unwrap().address, "203.0.0.0".parse().ok());
    let subjects = left.subjects.as_ref().unwrap();
    assert_eq!((subjects.count, subjects.refs.len()), (1, 0));
    let why = left.why.as_ref().unwrap();
    assert!(why.purpose.as_str() == "own" && why.reason.is_empty());
    assert!(left.time.to_string().ends_with(":00:00.000Z"), "{}", left.time);

    live(&log, &clock, dir.path(), 27, &[]);
    assert!(of_customer(dir.path()).is_none(), "after 24 months nothing of it is left");
    log.close();
    verify(dir.path(), &verifier, None).unwrap();
    assert!(checked(dir.path(), &verifier).unwrap() >= 3);
    let certificate = std::fs::read(dir.path().join("certificates/00000001")).unwrap();
    let certificate = Certificate::open(&certificate, &verifier).unwrap();
    assert!(certificate.keys[0].file().contains(&format!("security-{DAY}")));
}

#[test]
fn a_hold_keeps_and_when_it_ends_the_notice_begins() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let (log, _) = sample(dir.path(), &clock);
    let (from, to) = (Day::of_ms(NOON), Day::of_ms(NOON).plus(10_000));
    let hold = Hold { id: 1, class: Some(Class::Security), from, to };
    let tended = live(&log, &clock, dir.path(), 60, &[hold]);
    assert!(tended.destroyed == 0 && tended.held > 0, "{tended:?}");
    let tended = log.tend_retention(&periods(), &[]).unwrap();
    assert!(tended.announced > 0 && tended.destroyed == 0);
    let tended = live(&log, &clock, dir.path(), 1, &[]);
    assert_eq!(tended.destroyed, 0, "half of the notice is over");
    let tended = live(&log, &clock, dir.path(), 2, &[]);
    assert!(tended.destroyed > 0);
    log.close();
}

#[test]
fn where_two_persons_must_agree_nothing_goes_before_they_did_and_nothing_younger_after() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let (log, _) = sample(dir.path(), &clock);
    let tended = live(&log, &clock, dir.path(), 60, &[Hold::until_agreed(None)]);
    assert!(tended.announced == 0 && tended.destroyed == 0 && tended.held > 0, "{tended:?}");
    // To all that is older than the first entry.
    let before = Hold::until_agreed(Some("2000-01-01".parse().unwrap()));
    let tended = live(&log, &clock, dir.path(), 3, &[before]);
    assert!(tended.announced == 0 && tended.destroyed == 0, "{tended:?}");
    let agreed = Hold::until_agreed(Some(Day::of_ms(NOON)));
    let told = survey(dir.path(), &[], &periods(), &[before], Moment(clock.unix_ms())).unwrap();
    let waits = |line: &Line| line.fate.to_string() == "waits for two persons to agree";
    assert!(told.iter().any(waits), "{told:?}");
    let tended = log.tend_retention(&periods(), &[agreed]).unwrap();
    assert!(tended.announced > 0 && tended.destroyed == 0, "announced only then: {tended:?}");
    let tended = live(&log, &clock, dir.path(), 3, &[agreed]);
    assert!(tended.destroyed > 0 && tended.held > 0, "what is younger stays: {tended:?}");
    log.close();
}

#[test]
fn a_crash_between_certificate_and_keys_is_made_good() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let (log, verifier) = sample(dir.path(), &clock);
    live(&log, &clock, dir.path(), 54, &[]);
    // As if the keys were never dropped: the file as it was, under the certificate that names it.
    let names = Folder::new(dir.path()).names_of(Part::Keys).unwrap();
    let gone = names.iter().find(|name| name.contains(&format!("-security-{DAY}"))).unwrap();
    let path = dir.path().join("keys").join(gone);
    let name = KeyName::parse(gone).unwrap();
    let file = KeyFile::read(name, &std::fs::read(&path).unwrap()).unwrap();
    assert!(matches!(file.state, State::Destroyed { .. }), "{file:?}");
    let kept =
        KeyFile { state: State::Kept { under: "x".into(), wrapped: "y".into() }, ..file.clone() };
    std::fs::write(&path, kept.write()).unwrap();
    let certificates = Certificate::numbers(&Folder::new(dir.path())).unwrap();
    log.tend_retention(&periods(), &[]).unwrap();
    let mended = KeyFile::read(name, &std::fs::read(&path).unwrap()).unwrap();
    assert!(matches!(mended.state, State::Destroyed { .. }));
    assert_eq!(Certificate::numbers(&Folder::new(dir.path())).unwrap()[..1], certificates[..1]);
    log.close();
    checked(dir.path(), &verifier).unwrap();
}

#[test]
fn what_is_gone_without_a_certificate_or_with_a_forged_one_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let (log, verifier) = sample(dir.path(), &clock);
    live(&log, &clock, dir.path(), 55, &[]);
    log.close();
    let fault = || checked(dir.path(), &verifier).unwrap_err().fault;
    checked(dir.path(), &verifier).unwrap();
    let folder = Folder::new(dir.path());
    let certificate = dir.path().join("certificates/00000001");
    let signed = std::fs::read(&certificate).unwrap();
    for at in (0..signed.len()).step_by(7) {
        let mut altered = signed.clone();
        altered[at] ^= 1;
        std::fs::write(&certificate, altered).unwrap();
        assert!(matches!(fault(), Fault::Certificate(_)), "byte {at}");
    }
    std::fs::remove_file(&certificate).unwrap();
    assert_eq!(fault(), Fault::Uncertified);
    std::fs::write(&certificate, &signed).unwrap();
    let names = folder.names_of(Part::Keys).unwrap();
    let key = dir.path().join("keys").join(&names[12]);
    let bytes = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert_eq!(fault(), Fault::KeysMissing);
    std::fs::write(&key, "{}").unwrap();
    assert_eq!(fault(), Fault::Key);
    std::fs::write(&key, bytes).unwrap();
    checked(dir.path(), &verifier).unwrap();
}

#[test]
fn whichever_key_is_removed_is_found_and_a_folder_without_any_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (log, verifier) = sample(dir.path(), &Clock::fixed(NOON));
    log.close();
    let folder = Folder::new(dir.path());
    let names = folder.names_of(Part::Keys).unwrap();
    assert!(names.len() >= 10, "{names:?}");
    let keys = names.iter().map(|name| dir.path().join("keys").join(name));
    let last = dir.path().join("last-key");
    for path in keys.chain([last.clone()]) {
        let whole = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let broken = checked(dir.path(), &verifier).unwrap_err();
        assert!(
            broken.to_string().contains("missing") || broken.fault.to_string().contains("removed"),
            "{broken}"
        );
        std::fs::write(&path, whole).unwrap();
    }
    checked(dir.path(), &verifier).unwrap();
    // The newest ones and what tells of them: entries name those that they need, or that they need one.
    for first in [9, 7] {
        let newest = names.iter().filter(|name| KeyName::parse(name).unwrap().number >= first);
        newest.for_each(|name| drop(std::fs::remove_file(dir.path().join("keys").join(name))));
        std::fs::write(&last, format!("{}\n", first - 1)).unwrap();
        assert_eq!(checked(dir.path(), &verifier).unwrap_err().fault, Fault::KeyMissing);
    }
    std::fs::write(&last, "no number").unwrap();
    assert!(checked(dir.path(), &verifier).unwrap_err().to_string().contains("last-key"));
    std::fs::remove_file(&last).unwrap();
    std::fs::remove_dir_all(dir.path().join("keys")).unwrap();
    assert_eq!(checked(dir.path(), &verifier).unwrap(), 0);
}

#[test]
fn a_bundle_of_which_nothing_can_be_opened_is_removed_and_its_hashes_stay() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let settings = Settings {
        publish_interval: Duration::from_millis(1),
        segment_bytes: 64 * 1024,
        ..Settings::default()
    };
    let keys = MasterKey::from_bytes([1; 32]);
    let open = || Log::open(dir.path(), settings.clone(), clock.clone(), &keys).unwrap().0;
    let log = open();
    for n in 0..2_000 {
        write(&log, Event::Session, &format!("step {n}"));
    }
    let tended = live(&log, &clock, dir.path(), 56, &[]);
    assert!(tended.removed >= 512 && tended.removed.is_multiple_of(256), "{tended:?}");
    let bundle = |n: u64| dir.path().join(format!("tile/entries/{n:03}"));
    assert!(!bundle(0).exists() && dir.path().join("tile/0/000").exists());
    let gone = acts(dir.path(), "bundles_removed");
    assert_eq!(gone[0].count, Some(tended.removed), "one note names all of them");
    let records = read(dir.path());
    assert_eq!(records.len() as u64, log.health().durable, "no place is left out");
    let Record::Closed(closed) = &records[255] else { panic!("{:?}", records[255]) };
    assert!(closed.to_string().starts_with(&format!("security of {DAY}: destroyed on 2027-")));
    let verifier = log.verifier().clone();
    log.close();
    let log = open();
    for _ in 0..600 {
        write(&log, Event::Change, "it goes on");
    }
    log.close();
    let held = verify(dir.path(), &verifier, None).unwrap();
    assert_eq!(held.removed, tended.removed);
    checked(dir.path(), &verifier).unwrap();
    let copied: Vec<String> = LogSnapshot::take(dir.path(), &verifier)
        .unwrap()
        .files()
        .map(|file| file.unwrap().0)
        .collect();
    assert!(copied.contains(&"removed/00000001".to_owned()));
    assert!(!copied.contains(&"tile/entries/000".to_owned()));

    // What no note names must be there, and notes and hashes cannot be made up.
    let fault = || verify(dir.path(), &verifier, None).unwrap_err().fault;
    let swap = |path: &Path, change: fn(Vec<u8>) -> Option<Vec<u8>>, wanted: &str| {
        let whole = std::fs::read(path).unwrap();
        match change(whole.clone()) {
            Some(changed) => std::fs::write(path, changed).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        assert!(format!("{:?}", fault()).starts_with(wanted), "{}: {:?}", path.display(), fault());
        std::fs::write(path, whole).unwrap();
    };
    let flip = |mut bytes: Vec<u8>| {
        bytes[100] ^= 1;
        Some(bytes)
    };
    let kept = tended.removed / 256;
    let note = dir.path().join("removed/00000001");
    swap(&bundle(kept), |_| None, "Missing");
    swap(&note, |_| None, "Missing");
    swap(&note, flip, "Removal");
    swap(&dir.path().join("tile/0/000"), flip, "Root");
    verify(dir.path(), &verifier, None).unwrap();
    let name = Folder::new(dir.path()).names_of(Part::Keys).unwrap();
    let name = name.iter().find(|name| name.contains(&format!("-security-{DAY}"))).unwrap();
    let path = dir.path().join("keys").join(name);
    let key = KeyName::parse(name).unwrap();
    let file = KeyFile::read(key, &std::fs::read(&path).unwrap()).unwrap();
    let state = State::Kept { under: "x".into(), wrapped: "y".into() };
    std::fs::write(&path, KeyFile { state, ..file }.write()).unwrap();
    let early = checked(dir.path(), &verifier).unwrap_err().fault;
    assert_eq!(early, Fault::RemovedEarly(name.clone()));
}

#[test]
fn a_survey_says_what_goes_when_without_any_key() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let (log, _) = sample(dir.path(), &clock);
    log.close();
    let day = Day::of_ms(NOON);
    let holds = [Hold { id: 9, class: Some(Class::Ledger), from: day, to: day }];
    let at = |days| Moment(day.plus(days).start_ms());
    let lines = survey(dir.path(), &[], &periods(), &holds, at(0)).unwrap();
    assert!(lines.iter().all(|line| matches!(line.fate, Fate::Kept(_)) && line.keys == 2));
    let lines = survey(dir.path(), &[], &periods(), &holds, at(2_000)).unwrap();
    let ledger: Vec<_> = lines.iter().filter(|line| line.class == "ledger").collect();
    assert_eq!(ledger[0].fate, Fate::Held(9));
    assert!(matches!(ledger[1].fate, Fate::ToAnnounce(_)));
}

mod removed;
mod tenants;
