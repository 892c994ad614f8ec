//! Tenants with times of their own: each goes by its own, none sooner than one of its caller's tenants wants, and no name
//! of any is legible on the disk.

use super::*;
use crate::audit::Tenants;
use crate::audit::at_rest::key_of;
use crate::audit::reader::Frames;

/// Tenants by the months for which they keep who of their people saw whose data.
fn with(tenants: &[(&str, u32)]) -> Periods {
    let own = |(name, months): &(&str, u32)| {
        let staff_access = Period { least: 24, months: *months };
        let Periods { customer_usage, customer_identity, .. } = periods();
        ((*name).to_owned(), TenantPeriods { staff_access, customer_usage, customer_identity })
    };
    let staff_access = Period { least: 24, months: 26 };
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
    let decisions = entries.filter(|entry| entry.event == Event::Decision);
    decisions.map(|entry| entry.act.unwrap_or_default().name.to_string()).collect()
}

/// The number of the key of each entry.
fn numbers(dir: &Path) -> Vec<u32> {
    Frames::new(dir, 0).map(|frame| key_of(&frame.unwrap().1).unwrap().number).collect()
}

fn rest() -> RestKey {
    RestKey::new(&MasterKey::from_bytes([1; 32])).unwrap()
}

#[test]
fn a_tenant_whose_file_goes_away_falls_back_to_the_class() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let (log, _) = sample(dir.path(), &clock);
    log.tell_tenants(&["shop".into()]).unwrap();
    write_of(&log, &["shop"], false, "shop");
    live_under(&log, &clock, dir.path(), 120, &with(&[("shop", 36)]));
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
    let periods = with(&[("shop", 28)]);
    for _ in 0..130 {
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
    let periods = with(&[("shop", 28), ("mall", 32), ("short", 24)]);
    let months = |tenants: &[&str], others: bool| {
        let whose = Whose::Of(Tenants::new(tenants.iter().copied(), others));
        periods.of(lock, &whose).months
    };
    assert_eq!((months(&["shop"], false), months(&["shop", "mall"], false)), (28, 32));
    assert_eq!((months(&["short"], false), months(&["short"], true)), (24, 26));
    assert_eq!((months(&["gone"], false), months(&["gone", "mall"], false)), (26, 32));
    assert_eq!(periods.of(lock, &Whose::Everybody).months, 26);
    assert_eq!(periods.of(lock, &Whose::Tenants).months, 32, "as long as any of them wants");
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
