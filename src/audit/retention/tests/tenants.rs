//! Tenants with times of their own: each goes by its own, none sooner than one of its caller's tenants wants, and no name
//! of any is legible on the disk.

use super::*;
use crate::audit::Tenants;
use crate::audit::at_rest::key_of;
use crate::audit::reader::Frames;

/// Tenants by the months for which they keep who of their people saw whose data.
fn with(tenants: &[(&str, u32)]) -> Periods {
    let own = |(name, months): &(&str, u32)| {
        let staff_access = Period { least: 0, months: *months };
        let Periods { customer_usage, customer_identity, .. } = periods();
        ((*name).to_owned(), TenantPeriods { staff_access, customer_usage, customer_identity })
    };
    // Much shorter than any policy may say, so that a test need not live for years.
    let staff_access = Period { least: 0, months: 2 };
    Periods { staff_access, tenants: tenants.iter().map(own).collect(), ..periods() }
}

fn write_of(log: &Log, tenants: &[&str], others: bool, name: &str) {
    let mut entry = log.entry(Event::Decision).unwrap();
    entry.tenants = Tenants::new(tenants.iter().copied(), others);
    entry.act = Some(Act { name: name.into(), ..Act::default() });
    log.append_detached(entry);
}

/// Lets time pass as a running gate sees it, and tends the log each week.
fn live_under(log: &Log, clock: &Clock, dir: &Path, weeks: u32, periods: &Periods) {
    for _ in 0..weeks {
        pass_a_week(clock, dir);
        log.tend_retention(periods, &[]).unwrap();
    }
}

/// The names of those that can still be read.
fn left(dir: &Path) -> Vec<String> {
    let entries = read(dir).into_iter().filter_map(Record::entry);
    let is_staff = |entry: &Entry| entry.class == Class::StaffAccess;
    let decisions = entries.filter(is_staff);
    decisions.map(|entry| entry.act.unwrap_or_default().name.to_string()).collect()
}

/// How many entries are under a key of their own, and not under the one for everybody.
fn numbers(dir: &Path) -> Vec<u32> {
    Frames::new(dir, 0).map(|frame| key_of(&frame.unwrap().1).unwrap().number).collect()
}

fn wait_for_keys(dir: &Path, number: usize) {
    while Folder::new(dir).names_of(Part::Keys).unwrap().len() < number {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn rest() -> RestKey {
    RestKey::new(&MasterKey::from_bytes([1; 32])).unwrap()
}

#[test]
fn each_tenant_goes_by_its_own_time_and_who_is_of_two_by_the_longer() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let (log, verifier) = sample(dir.path(), &clock);
    let periods = with(&[("canary-shop", 4), ("canary-mall", 7)]);
    log.tell_tenants(&["canary-shop".into(), "canary-mall".into()]).unwrap();
    // Everybody 10, and 3 locks for each of two tenants and for all together, each for today and tomorrow.
    assert_eq!(Folder::new(dir.path()).names_of(Part::Keys).unwrap().len(), 10 + 3 * 3 * 2);
    let both = ["canary-mall", "canary-shop"];
    write_of(&log, &[], false, "everybody");
    write_of(&log, &["canary-shop"], false, "shop");
    write_of(&log, &["canary-mall"], false, "mall");
    write_of(&log, &both, false, "the first of both");
    wait_for_keys(dir.path(), 10 + 3 * 4 * 2);
    // The files are there first; when this returns, they are in use.
    log.tell_tenants(&["canary-shop".into(), "canary-mall".into()]).unwrap();
    write_of(&log, &both, false, "both");
    while log.health().durable < 8 {
        std::thread::yield_now();
    }
    let used = numbers(dir.path());
    assert_eq!(used.iter().collect::<std::collections::HashSet<_>>().len(), 8, "{used:?}");

    live_under(&log, &clock, dir.path(), 7, &periods);
    let all = ["everybody", "shop", "mall", "the first of both", "both"];
    assert_eq!(left(dir.path()), all);
    live_under(&log, &clock, dir.path(), 3, &periods);
    assert_eq!(left(dir.path()), all[1..], "two months are over");
    live_under(&log, &clock, dir.path(), 7, &periods);
    assert_eq!(left(dir.path()), all[1..]);
    live_under(&log, &clock, dir.path(), 2, &periods);
    assert_eq!(left(dir.path()), all[2..], "four months are over");
    live_under(&log, &clock, dir.path(), 11, &periods);
    assert_eq!(left(dir.path()), all[2..], "not sooner than the mall wants");
    live_under(&log, &clock, dir.path(), 2, &periods);
    assert!(left(dir.path()).is_empty(), "{:?}", left(dir.path()));

    let told: Vec<String> =
        acts(dir.path(), "entries_destroyed").iter().map(|act| act.object.to_string()).collect();
    let is_told =
        |end: &str| told.iter().any(|one| one.starts_with("staff_access") && one.ends_with(end));
    assert!(is_told(" of canary-shop") && is_told(" of canary-mall"), "{told:?}");
    assert!(is_told(" of canary-mall, canary-shop"), "{told:?}");
    log.close();
    verify(dir.path(), &verifier, None).unwrap();
    checked(dir.path(), &verifier).unwrap();
    let log = open(dir.path(), &clock);
    write_of(&log, &["canary-shop"], false, "it goes on");
    log.close();
    assert_eq!(left(dir.path()), ["it goes on"]);
    assert_eq!(legible(dir.path(), b"canary"), Vec::<String>::new());
}

/// The files below that have these bytes.
fn legible(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            found.extend(legible(&path, bytes));
        } else if path.display().to_string().contains("canary")
            || std::fs::read(&path).unwrap().windows(bytes.len()).any(|some| some == bytes)
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_tenant_whose_file_goes_away_falls_back_to_the_class() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let (log, _) = sample(dir.path(), &clock);
    log.tell_tenants(&["shop".into()]).unwrap();
    write_of(&log, &["shop"], false, "shop");
    live_under(&log, &clock, dir.path(), 14, &with(&[("shop", 12)]));
    assert_eq!(left(dir.path()), ["shop"]);
    log.tell_tenants(&[]).unwrap();
    live_under(&log, &clock, dir.path(), 1, &with(&[]));
    assert_eq!(left(dir.path()), ["shop"], "announced first");
    live_under(&log, &clock, dir.path(), 2, &with(&[]));
    assert!(left(dir.path()).is_empty());
    let keys = KeyFile::all(&Folder::new(dir.path())).unwrap();
    let last = keys.iter().map(|(name, _)| name.day).max();
    let of_last = keys.iter().filter(|(name, _)| Some(name.day) == last);
    assert!(of_last.count() <= 5, "no more keys are made for it");
    log.close();
}

#[test]
fn a_hold_of_the_class_keeps_what_is_a_tenants() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let (log, _) = sample(dir.path(), &clock);
    log.tell_tenants(&["shop".into()]).unwrap();
    write_of(&log, &["shop"], false, "shop");
    let (from, to) = (Day::of_ms(NOON), Day::of_ms(NOON));
    let hold = Hold { id: 3, class: Some(Class::StaffAccess), from, to };
    let periods = with(&[("shop", 2)]);
    for _ in 0..12 {
        pass_a_week(&clock, dir.path());
        log.tend_retention(&periods, &[hold]).unwrap();
    }
    assert_eq!(left(dir.path()), ["shop"]);
    let now = Moment(clock.unix_ms());
    let lines = survey(dir.path(), &[rest()], &periods, &[hold], now).unwrap();
    let held = lines.iter().find(|line| line.fate == Fate::Held(3) && line.whose == "of shop");
    assert!(held.is_some_and(|line| line.class == "staff_access"), "{lines:?}");
    let blind = survey(dir.path(), &[], &periods, &[], now).unwrap();
    assert!(blind.iter().all(|line| ["", "of tenants"].contains(&line.whose.as_str())));
    log.close();
}

#[test]
fn what_is_kept_is_the_longest_that_any_of_the_callers_tenants_wants() {
    let lock = Lock::Of(Class::StaffAccess);
    let periods = with(&[("shop", 4), ("mall", 7), ("short", 1)]);
    let months = |tenants: &[&str], others: bool| {
        let whose = Whose::Of(Tenants::new(tenants.iter().copied(), others));
        periods.of(lock, &whose).months
    };
    assert_eq!((months(&["shop"], false), months(&["shop", "mall"], false)), (4, 7));
    assert_eq!((months(&["short"], false), months(&["short"], true)), (1, 2));
    assert_eq!((months(&["gone"], false), months(&["gone", "mall"], false)), (2, 7));
    assert_eq!(periods.of(lock, &Whose::Everybody).months, 2);
    assert_eq!(periods.of(lock, &Whose::Tenants).months, 7, "as long as any of them wants");
    let other = Lock::Of(Class::Security);
    assert_eq!(periods.of(other, &Whose::Of(Tenants::new(["mall"], false))).months, 12);
}

#[test]
fn a_parted_entry_and_its_parts_are_under_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), &Clock::fixed(NOON));
    log.tell_tenants(&["shop".into()]).unwrap();
    let sealer = SubjectSealer::new(&MasterKey::from_bytes([1; 32])).unwrap();
    let mut entry = log.entry(Event::Outcome).unwrap();
    entry.tenants = Tenants::new(["shop"], false);
    let early = |entry: &mut Entry, from: u32| {
        for n in from..from + 4_000 {
            entry.add_subject(sealer.seal("customer", &format!("{n:0>60}")).unwrap()).unwrap();
        }
    };
    early(&mut entry, 0);
    let part = entry.take_part(log.stamp().unwrap());
    log.append_detached(part);
    early(&mut entry, 5_000);
    log.append_detached(entry);
    write_of(&log, &[], false, "everybody");
    log.close();
    let used = numbers(dir.path());
    let (last, of_shop) = used.split_last().unwrap();
    assert!(of_shop.len() > 2 && of_shop.iter().all(|number| *number == of_shop[0]), "{used:?}");
    assert_ne!(*last, of_shop[0]);
}
