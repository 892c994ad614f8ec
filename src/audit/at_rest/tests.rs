//! What sealing must hold: legible to keys only, never an error of the reader, and by day and class.

use std::path::Path;

use super::frame::{self, Behind, KeyName, Lock, Parts};
use super::key_file::{KeyFile, State};
use super::*;
use crate::audit::entry::{EntryError, Moment};
use crate::audit::folder::{Folder, Part};
use crate::audit::groups::{Act, Class, Event};
use crate::audit::log::{Log, LogError, Settings};
use crate::audit::merkle::sha256;
use crate::audit::reader::{Reader, Record};
use crate::audit::tile::{decode_bundle, encode_bundle};
use crate::audit::verify::verify;
use crate::clock::Clock;
use crate::secret::SEALED_OVERHEAD;

const NOON: i64 = 1_790_000_000_000;
const DAY_MS: i64 = 24 * 3600 * 1000;

fn master(n: u8) -> MasterKey {
    MasterKey::from_bytes([n; 32])
}

fn rest(n: u8) -> RestKey {
    RestKey::new(&master(n)).unwrap()
}

fn open(dir: &Path, clock: &Clock, at_rest: AtRest) -> Log {
    let settings = Settings { at_rest, ..Settings::default() };
    Log::open(dir, settings, clock.clone(), &master(1)).unwrap().0
}

/// Writes an entry that names what was done.
fn write(log: &Log, event: Event, name: &str) {
    let mut entry = log.entry(event).unwrap();
    entry.act = Some(Act { name: name.into(), ..Act::default() });
    log.append_detached(entry);
}

/// What a reader with these keys is told, in words.
fn told(dir: &Path, keys: Vec<RestKey>) -> Vec<String> {
    let records = Reader::new(dir, 0, Opener::new(dir, keys)).map(|read| read.unwrap().1);
    let told = records.map(|record| match record {
        Record::Entry(entry) => entry.act.unwrap().name.to_string(),
        Record::Closed(closed) => closed.to_string(),
    });
    told.collect()
}

fn key_files(dir: &Path) -> Vec<String> {
    Folder::new(dir).names_of(Part::Keys).unwrap()
}

#[test]
fn the_dictionary_is_for_ever() {
    let hex: String = sha256(&[frame::DICTIONARY]).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(
        hex, "b79a3a57278d81755b6de6b3f4eeb7be432dc970600d945ecc335b76b3414079",
        "entries of old logs would no longer unpack"
    );
}

#[test]
fn no_word_of_an_entry_is_legible_and_the_key_gives_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Clock::fixed(NOON), AtRest::UnderMaster);
    write(&log, Event::Session, "a-word-that-stands-out");
    log.close();
    let stored = std::fs::read(dir.path().join("tile/entries/000.p/1")).unwrap();
    for word in ["stands-out", "session", "menshen", "time", "{"] {
        let is_there = stored.windows(word.len()).any(|w| w == word.as_bytes());
        assert!(!is_there || word == "{", "{word}");
    }
    assert_eq!(told(dir.path(), vec![rest(1)]), ["a-word-that-stands-out"]);
}

#[test]
fn a_key_of_its_own_opens_what_the_master_key_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Clock::fixed(NOON), AtRest::Under(rest(2)));
    write(&log, Event::Session, "seen");
    log.close();
    let id = rest(2).id().to_owned();
    let locked = format!("security of 2026-09-21: sealed under the key `{id}`");
    assert_eq!(told(dir.path(), vec![rest(1)]), [locked]);
    assert_eq!(told(dir.path(), vec![rest(1), rest(2)]), ["seen"]);
    let wrong = Settings::default();
    let refused = Log::open(dir.path(), wrong, Clock::fixed(NOON), &master(1)).unwrap_err();
    assert!(refused.to_string().contains("is wrapped under the key"), "{refused}");
}

#[test]
fn a_log_from_before_is_read_on_when_its_entries_become_sealed() {
    let dir = tempfile::tempdir().unwrap();
    for (at_rest, name) in [(AtRest::Legible, "before"), (AtRest::UnderMaster, "since")] {
        let log = open(dir.path(), &Clock::fixed(NOON), at_rest);
        write(&log, Event::Session, name);
        log.close();
    }
    assert_eq!(told(dir.path(), vec![rest(1)]), ["before", "since"]);
    let without = told(dir.path(), Vec::new());
    assert!(without[0] == "before" && without[1].contains("sealed under"), "{without:?}");
}

#[test]
fn each_class_and_day_has_a_key_that_was_there_the_day_before() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = open(dir.path(), &clock, AtRest::UnderMaster);
    let days = |dir: &Path| -> Vec<String> {
        let of_class = |name: &String| name.contains("-security-");
        key_files(dir)
            .into_iter()
            .filter(of_class)
            .map(|name| name.split_once("-security-").unwrap().1.to_owned())
            .collect()
    };
    assert_eq!(key_files(dir.path()).len(), 10);
    write(&log, Event::Session, "today");
    write(&log, Event::Change, "of another class");
    assert_eq!(days(dir.path()), ["2026-09-21", "2026-09-22"]);
    clock.advance_ms(DAY_MS);
    write(&log, Event::Session, "tomorrow");
    while days(dir.path()).len() < 3 {
        std::thread::yield_now();
    }
    log.close();
    assert_eq!(days(dir.path()).last().unwrap(), "2026-09-23");
    let told = told(dir.path(), Vec::new());
    for (told, of) in told.iter().zip(["security of 2026-09-21", "ledger of 2026-09-21"]) {
        assert!(told.starts_with(of), "{told}");
    }
    assert!(told[2].starts_with("security of 2026-09-22"), "{}", told[2]);
}

#[test]
fn a_clock_set_back_or_forward_gives_entries_keys_of_their_own_and_none_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let year = 365 * DAY_MS;
    for (at, name) in
        [(NOON, "right"), (NOON - year, "back"), (NOON + year, "forward"), (NOON, "right again")]
    {
        let log = open(dir.path(), &Clock::fixed(at), AtRest::UnderMaster);
        write(&log, Event::Session, name);
        log.close();
    }
    let mut used = Vec::new();
    for frame in crate::audit::reader::Frames::new(dir.path(), 0) {
        let frame = frame.unwrap().1;
        let Parts::Sealed { key, .. } = frame::parts(&frame).unwrap() else { panic!() };
        used.push((key.number, key.day.to_string()));
    }
    let days: Vec<_> = used.iter().map(|(_, day)| day.as_str()).collect();
    assert_eq!(days, ["2026-09-21", "2025-09-21", "2027-09-21", "2026-09-21"]);
    assert!(used.is_sorted_by(|(one, _), (other, _)| one < other), "{used:?}");
    assert_eq!(told(dir.path(), vec![rest(1)]), ["right", "back", "forward", "right again"]);
}

#[test]
fn a_destroyed_missing_or_damaged_key_is_told_and_is_no_error_and_the_log_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Clock::fixed(NOON), AtRest::UnderMaster);
    for event in [Event::Decision, Event::Session, Event::Change] {
        write(&log, event, "seen");
    }
    let verifier = log.verifier().clone();
    log.close();
    for name in key_files(dir.path()).iter().filter(|name| name.ends_with("2026-09-21")) {
        let path = dir.path().join("keys").join(name);
        let key = KeyName::parse(name).unwrap();
        let mut file = KeyFile::read(key, &std::fs::read(&path).unwrap()).unwrap();
        match key.lock {
            Lock::Of(Class::StaffAccess) => {
                let (destroyed, certificate) = (Moment(NOON + DAY_MS), "7".to_owned());
                file.state = State::Destroyed { destroyed, certificate };
                std::fs::write(&path, file.write()).unwrap();
            }
            Lock::Of(Class::Security) => std::fs::remove_file(&path).unwrap(),
            Lock::Of(Class::Ledger | Class::CustomerUsage) | Lock::Identity => {
                std::fs::write(&path, "{}").unwrap()
            }
        }
    }
    let expected = [
        "staff_access of 2026-09-21: destroyed on 2026-09-22, certificate 7",
        "security of 2026-09-21: key missing",
        "ledger of 2026-09-21: key damaged",
    ];
    assert_eq!(told(dir.path(), vec![rest(1)]), expected);
    assert_eq!(verify(dir.path(), &verifier, None).unwrap().entries, 3);
}

#[test]
fn an_entry_that_was_altered_keeps_nobody_from_reading_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Clock::fixed(NOON), AtRest::UnderMaster);
    for name in ["first", "second", "third"] {
        write(&log, Event::Change, name);
    }
    log.close();
    let path = dir.path().join("tile/entries/000.p/3");
    let bundle = std::fs::read(&path).unwrap();
    let (entries, _) = decode_bundle(&bundle);
    let entries: Vec<Vec<u8>> = entries.into_iter().map(<[u8]>::to_vec).collect();
    for at in 0..entries[1].len() {
        let mut altered = entries.clone();
        altered[1][at] ^= 1 << (at % 8);
        std::fs::write(&path, encode_bundle(&altered).unwrap()).unwrap();
        let told = told(dir.path(), vec![rest(1)]);
        assert_eq!((told[0].as_str(), told[2].as_str(), told.len()), ("first", "third", 3));
        let is_told =
            ["entry 1 was altered", "key missing"].iter().any(|why| told[1].contains(why));
        assert!(is_told, "byte {at}: {told:?}");
    }
}

#[test]
fn newest_keys_that_were_lost_are_told_and_their_numbers_are_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = open(dir.path(), &clock, AtRest::UnderMaster);
    write(&log, Event::Change, "before");
    log.close();
    let made = key_files(dir.path());
    let path = |name: &String| dir.path().join("keys").join(name);
    let lost: Vec<_> =
        made[2..].iter().map(|name| (name, std::fs::read(path(name)).unwrap())).collect();
    lost.iter().for_each(|(name, _)| std::fs::remove_file(path(name)).unwrap());
    let settings = Settings::default();
    let (log, found) = Log::open(dir.path(), settings, clock.clone(), &master(1)).unwrap();
    assert_eq!(found.keys_missing, 8);
    write(&log, Event::Change, "after");
    log.close();
    let now = key_files(dir.path());
    assert_eq!(now.len(), 10);
    assert!(now[2..].iter().all(|name| name > &made[9]), "{now:?}");
    let told_then = told(dir.path(), vec![rest(1)]);
    let day = Day::of_ms(NOON);
    assert_eq!(told_then, [&format!("ledger of {day}: key missing"), "keys_missing", "after"]);
    for (name, bytes) in lost {
        std::fs::write(path(name), bytes).unwrap();
    }
    assert_eq!(told(dir.path(), vec![rest(1)]), ["before", "keys_missing", "after"]);
    let (log, found) = Log::open(dir.path(), Settings::default(), clock, &master(1)).unwrap();
    assert_eq!(found.keys_missing, 0);
    log.close();
}

#[test]
fn keys_in_use_that_are_removed_under_the_gate_are_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Clock::fixed(NOON), AtRest::UnderMaster);
    let made = key_files(dir.path());
    std::fs::remove_dir_all(dir.path().join("keys")).unwrap();
    write(&log, Event::Change, "after");
    log.close();
    assert_eq!(key_files(dir.path()), made);
    assert_eq!(told(dir.path(), vec![rest(1)]), ["after"]);
}

#[test]
fn a_key_moved_to_another_day_class_or_number_does_not_open() {
    let name = KeyName { number: 7, lock: Lock::Of(Class::Security), day: Day(20_000) };
    let (file, _) = KeyFile::draw(name, &Whose::Everybody, Moment(NOON), &rest(1)).unwrap();
    for other in [
        KeyName { number: 8, ..name },
        KeyName { lock: Lock::Of(Class::Ledger), ..name },
        KeyName { day: Day(20_001), ..name },
    ] {
        assert!(KeyFile::read(other, &file.write()).is_none());
        assert!(file.unwrap_with(other, &rest(1)).unwrap().is_err());
    }
    assert!(file.unwrap_with(name, &rest(1)).unwrap().is_ok());
    assert!(file.unwrap_with(name, &rest(2)).is_none());
}

#[test]
fn whose_a_key_is_cannot_be_changed_and_moves_with_it() {
    let name = KeyName { number: 7, lock: Lock::Of(Class::StaffAccess), day: Day(20_000) };
    let of = |tenant| Whose::Of(Tenants::new([tenant], false));
    let draw = |whose| KeyFile::draw(name, &whose, Moment(NOON), &rest(1)).unwrap().0;
    let file = draw(of("shop"));
    assert_eq!(file.whose(name, &[rest(2), rest(1)]), of("shop"));
    assert_eq!(file.whose(name, &[rest(2)]), Whose::Tenants, "nobody can tell");
    assert_eq!(draw(Whose::Everybody).whose(name, &[]), Whose::Everybody);
    for other in [None, draw(of("mall")).of, draw(of("shop")).of] {
        let changed = KeyFile { of: other, ..file.clone() };
        assert!(changed.unwrap_with(name, &rest(1)).unwrap().is_err());
    }
    let moved = file.moved(name, &rest(1), &rest(2)).unwrap();
    assert_eq!(moved.whose(name, &[rest(2)]), of("shop"));
    assert!(moved.unwrap_with(name, &rest(2)).unwrap().is_ok());
    assert_eq!(draw(of("a")).write().len(), draw(of("a longer name of a tenant")).write().len());
}

/// Writes an entry of a caller of these tenants.
fn write_of(log: &Log, tenants: &[&str]) {
    let mut entry = log.entry(Event::Decision).unwrap();
    entry.tenants = Tenants::new(tenants.iter().copied(), false);
    log.append_detached(entry);
}

/// The keys of who of the staff saw whose data, by whose and day.
fn staff_keys(dir: &Path) -> Vec<(String, String)> {
    let keys = KeyFile::all(&Folder::new(dir)).unwrap().into_iter();
    let staff = keys.filter(|(name, _)| name.lock == Lock::Of(Class::StaffAccess));
    staff
        .map(|(name, file)| (file.whose(name, &[rest(1)]).to_string(), name.day.to_string()))
        .collect()
}

#[test]
fn tenants_have_keys_a_day_ahead_and_those_of_several_as_long_as_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = open(dir.path(), &clock, AtRest::UnderMaster);
    let has = |whose: &str, day: &str| {
        staff_keys(dir.path()).contains(&(whose.to_owned(), day.to_owned()))
    };
    let until = |whose: &str, day: &str| {
        while !has(whose, day) {
            std::thread::yield_now();
        }
    };
    log.tell_tenants(&["shop".to_owned()]).unwrap();
    assert!(has("of shop", "2026-09-21") && has("of shop", "2026-09-22"));
    assert!(has("of tenants", "2026-09-21"));
    write_of(&log, &["shop", "mall"]);
    until("of mall, shop", "2026-09-22");
    clock.advance_ms(DAY_MS);
    until("of shop", "2026-09-23");
    assert!(!has("of mall, shop", "2026-09-23"), "they did not come");
    write_of(&log, &["mall", "shop"]);
    until("of mall, shop", "2026-09-23");
    clock.advance_ms(2 * DAY_MS);
    until("of shop", "2026-09-25");
    assert!(!has("of mall, shop", "2026-09-24"));
    log.close();

    let log = open(dir.path(), &clock, AtRest::UnderMaster);
    let before = staff_keys(dir.path());
    log.tell_tenants(&["shop".to_owned()]).unwrap();
    assert_eq!(staff_keys(dir.path()), before, "keys of the day are found again");
    let many: Vec<String> = (0..9).map(|n| format!("tenant-{n}")).collect();
    write_of(&log, &many.iter().map(String::as_str).collect::<Vec<_>>());
    log.close();
    assert_eq!(staff_keys(dir.path()), before, "too many to be told apart");
}

#[test]
fn a_flipped_bit_of_a_sealed_entry_does_not_open() {
    let name = KeyName { number: 7, lock: Lock::Of(Class::Security), day: Day(20_000) };
    let (_, sealer) = KeyFile::draw(name, &Whose::Everybody, Moment(NOON), &rest(1)).unwrap();
    let json = br#"{"class":"security","event":"session","id":"01","node":"gate-1"}"#;
    let sealed = frame::seal(&name, &sealer, json).unwrap();
    assert!(sealed.len() < json.len() + SEALED_OVERHEAD + 10, "it is packed");
    let opened = |bytes: &[u8]| match frame::parts(bytes)? {
        Parts::Sealed { head, sealed, .. } => frame::open(&sealer, head, sealed),
        Parts::Legible(bytes) => Ok(Behind::Json(bytes.to_vec())),
    };
    assert_eq!(opened(&sealed).unwrap(), Behind::Json(json.to_vec()));
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut altered = sealed.clone();
            altered[at] ^= 1 << bit;
            assert!(opened(&altered).is_err_and(|e| e != EntryError::Json) || altered[0] == b'{');
        }
    }
}

#[test]
fn the_longest_entry_still_fits_a_bundle() {
    let name = KeyName { number: u32::MAX, lock: Lock::Of(Class::Security), day: Day(u32::MAX) };
    let (_, sealer) = KeyFile::draw(name, &Whose::Everybody, Moment(NOON), &rest(1)).unwrap();
    let mut noise = vec![0; MAX_JSON_BYTES];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    let sealed = frame::seal(&name, &sealer, &noise).unwrap();
    let twice = frame::seal_twofold(&name, &sealer, &[b'x'; 9000], &sealed).unwrap();
    assert_eq!(twice.len(), crate::audit::tile::MAX_ENTRY_BYTES);
}

#[test]
fn keys_are_wrapped_anew_and_the_old_one_opens_nothing_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Clock::fixed(NOON), AtRest::UnderMaster);
    write(&log, Event::Session, "seen");
    let verifier = log.verifier().clone();
    assert!(matches!(Log::rewrap(dir.path(), &[rest(1)], &rest(2)), Err(LogError::Locked(_))));
    log.close();
    let before = verify(dir.path(), &verifier, None).unwrap();
    let stranger = Log::rewrap(dir.path(), &[rest(3)], &rest(2)).unwrap_err();
    assert!(stranger.to_string().contains("is wrapped under the key"), "{stranger}");
    assert_eq!(told(dir.path(), vec![rest(1)]), ["seen"], "nothing was changed");
    let done = Log::rewrap(dir.path(), &[rest(1)], &rest(2)).unwrap();
    assert_eq!(done, Rewrapped { wrapped: 10, already: 0, destroyed: 0 });
    let again = Log::rewrap(dir.path(), &[rest(1)], &rest(2)).unwrap();
    assert_eq!(again, Rewrapped { wrapped: 0, already: 10, destroyed: 0 });
    assert!(told(dir.path(), vec![rest(1)])[0].contains("sealed under the key"));
    assert_eq!(told(dir.path(), vec![rest(2)]), ["seen"]);
    assert_eq!(verify(dir.path(), &verifier, None).unwrap(), before);
    let log = open(dir.path(), &Clock::fixed(NOON), AtRest::Under(rest(2)));
    write(&log, Event::Session, "later");
    log.close();
    assert_eq!(told(dir.path(), vec![rest(2)]), ["seen", "later"]);
}

#[test]
fn a_log_that_is_being_written_is_read_with_its_own_keys() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Clock::fixed(NOON), AtRest::Under(rest(2)));
    write(&log, Event::Session, "one");
    write(&log, Event::Session, "two");
    while log.health().durable < 2 {
        std::thread::yield_now();
    }
    let found: Vec<_> = log.reader(1).map(|read| read.unwrap()).collect();
    assert_eq!(found.len(), 1);
    let (index, record) = found.into_iter().next().unwrap();
    assert_eq!((index, record.entry().unwrap().act.unwrap().name.as_str()), (1, "two"));
    log.close();
}
