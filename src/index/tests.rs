//! The index finds what is in the log, tells nobody anything, and can lie to nobody.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::audit::{
    Access, Actor, ActorKind, Answer, Class, Data, Day, Decision, Effect, Ending, Event, Filter,
    Log, Mode, Period, Periods, Request, RestKey, Settings, SubjectSealer, Text, Why,
};
use crate::clock::Clock;

const NOON: i64 = 1_790_000_000_000;
const DAY_MS: i64 = 24 * 3600 * 1000;

fn master() -> MasterKey {
    MasterKey::from_bytes([1; 32])
}

fn log(dir: &Path, clock: &Clock) -> Log {
    let settings = Settings { publish_interval: Duration::from_millis(1), ..Settings::default() };
    Log::open(&dir.join("log"), settings, clock.clone(), &master()).unwrap().0
}

fn opener(dir: &Path) -> Opener {
    Opener::new(&dir.join("log"), vec![RestKey::new(&master()).unwrap()])
}

fn open(dir: &Path) -> Index {
    Index::open(&dir.join("log-index"), &dir.join("log"), opener(dir), &master()).unwrap()
}

fn read(index: &mut Index) {
    while index.read_on(7).unwrap().added > 0 {}
}

fn token(key: &str) -> String {
    SubjectSealer::new(&master()).unwrap().token("customer", key)
}

/// One request: who, whom, why, and what of them was shown.
struct Look<'a> {
    account: &'a str,
    keys: &'a [&'a str],
    reason: &'a str,
    masked: &'a str,
    mode: Mode,
}

impl Default for Look<'_> {
    fn default() -> Self {
        let (account, keys, reason, masked) = ("wang.li", &["1"][..], "", "customer.phone");
        Self { account, keys, reason, masked, mode: Mode::View }
    }
}

impl Look<'_> {
    fn decide(&self, log: &Log) -> crate::audit::Entry {
        let mut entry = log.entry(Event::Decision).unwrap();
        let roles = ["teller"].into_iter().collect();
        let (account, kind) = (self.account.into(), Some(ActorKind::Staff));
        entry.actor = Some(Actor { account, kind, roles, ..Actor::default() });
        entry.request = Some(Request { route: "customer.view".into(), ..Request::default() });
        let (purpose, reason) = ("loan".into(), Text::reason(self.reason));
        entry.why = Some(Why { purpose, reason, ..Why::default() });
        entry.decision = Some(Decision::new(Effect::Allow));
        log.append_detached(entry.clone());
        entry
    }

    fn give(&self, log: &Log, decision: &crate::audit::Entry) {
        let mut outcome = log.entry(Event::Outcome).unwrap();
        outcome.decided_by = Some(decision.id);
        let sealer = SubjectSealer::new(&master()).unwrap();
        for key in self.keys {
            outcome.add_subject(sealer.seal("customer", key).unwrap()).unwrap();
        }
        outcome.data = Some(Data {
            clear: ["customer.name"].into_iter().collect(),
            masked: [self.masked].into_iter().collect(),
            mode: Some(self.mode),
            ..Data::default()
        });
        let ended = Some(Ending::Complete);
        outcome.result = Some(Answer { status: Some(200), ended, ..Answer::default() });
        log.append_detached(outcome);
    }

    fn whole(&self, log: &Log) {
        let decision = self.decide(log);
        self.give(log, &decision);
    }
}

fn who(accesses: &[Access]) -> Vec<String> {
    let account = |access: &Access| access.entry.actor.clone().unwrap_or_default().account;
    accesses.iter().map(|access| account(access).to_string()).collect()
}

fn find(index: &mut Index, filter: Filter) -> Vec<String> {
    who(&index.search(&filter, None, 100).unwrap().accesses)
}

/// Three looks and a sign-in.
fn sample(dir: &Path, clock: &Clock) -> Log {
    let log = log(dir, clock);
    Look { reason: "called about the Loan, 客户来电", ..Look::default() }.whole(&log);
    clock.advance_ms(DAY_MS);
    let export = Look { account: "dewi", keys: &["1", "2", "3"], ..Look::default() };
    Look { mode: Mode::Download, ..export }.whole(&log);
    Look { account: "kim", keys: &["2"], masked: "customer.email", ..Look::default() }.whole(&log);
    let mut session = log.entry(Event::Session).unwrap();
    session.actor = Some(Actor { account: "kim".into(), ..Actor::default() });
    log.append_detached(session);
    log
}

#[test]
fn everything_that_was_asked_is_found_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = sample(dir.path(), &Clock::fixed(NOON));
    log.close();
    let mut index = open(dir.path());
    read(&mut index);
    let some = |text: &str| Some(text.to_owned());
    let no = Filter::default;
    for (filter, wanted) in [
        (Filter { subject: Some(token("1")), ..no() }, vec!["dewi", "wang.li"]),
        (Filter { subject: Some(token("2")), actor: some("kim"), ..no() }, vec!["kim"]),
        (Filter { subject: Some(token("9")), ..no() }, vec![]),
        (Filter { person: some("kim"), ..no() }, vec!["kim", "kim"]),
        (Filter { person: some("kim"), event: Some(Event::Decision), ..no() }, vec!["kim"]),
        (Filter { route: some("customer.view"), effect: Some(Effect::Deny), ..no() }, vec![]),
        (Filter { field: some("customer.email"), ..no() }, vec!["kim"]),
        (
            Filter { field: some("customer.phone"), purpose: some("loan"), ..no() },
            vec!["dewi", "wang.li"],
        ),
        (Filter { clear: some("customer.email"), ..no() }, vec![]),
        (Filter { mode: Some(Mode::Download), role: some("teller"), ..no() }, vec!["dewi"]),
        (Filter { reason: some("the loan"), ..no() }, vec!["wang.li"]),
        (Filter { reason: some("客户"), ..no() }, vec!["wang.li"]),
        (Filter { reason: some("loan the"), ..no() }, vec![]),
        (Filter { until_ms: Some(NOON + 1), ..no() }, vec!["wang.li"]),
        (Filter { from_ms: Some(NOON + 1), ..no() }, vec!["kim", "kim", "dewi"]),
        (no(), vec!["kim", "kim", "dewi", "wang.li"]),
    ] {
        assert_eq!(find(&mut index, filter.clone()), wanted, "{filter:?}");
    }
    let short = Filter { reason: some("lo"), ..no() };
    assert!(matches!(index.search(&short, None, 1), Err(IndexError::FewLetters(_))));
}

#[test]
fn pages_tell_of_every_request_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), &Clock::fixed(NOON));
    // Some that overlap: the outcomes come after the decisions of others.
    let open_ones: Vec<_> = (0..10).map(|_| Look::default().decide(&log)).collect();
    for _ in 0..30 {
        Look::default().whole(&log);
    }
    for decision in &open_ones {
        Look::default().give(&log, decision);
    }
    log.close();
    let mut index = open(dir.path());
    read(&mut index);
    for filter in [Filter { subject: Some(token("1")), ..Filter::default() }, Filter::default()] {
        for most in [1, 3, 100] {
            let (mut told, mut before) = (Vec::new(), None);
            loop {
                let page = index.search(&filter, before, most).unwrap();
                assert!(page.accesses.len() <= most);
                told.extend(page.accesses.iter().map(|access| access.index));
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            let all = told.len();
            told.sort_unstable();
            told.dedup();
            assert_eq!((all, told.len()), (40, 40), "{most} {filter:?}");
        }
    }
}

#[test]
fn an_outcome_finds_its_decision_of_before_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = log(dir.path(), &clock);
    let decision = Look::default().decide(&log);
    while log.health().durable < 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
    read(&mut open(dir.path()));
    clock.advance_ms(60_000);
    Look::default().give(&log, &decision);
    log.close();
    let mut index = open(dir.path());
    read(&mut index);
    let filter = Filter {
        subject: Some(token("1")),
        actor: Some("wang.li".to_owned()),
        ..Filter::default()
    };
    assert_eq!(find(&mut index, filter), ["wang.li"]);
    assert_eq!(index.place_of_entry(decision.id).unwrap(), Some(0));
}

#[test]
fn nobody_learns_anything_from_the_file() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), &Clock::fixed(NOON)).close();
    read(&mut open(dir.path()));
    let bytes = std::fs::read(dir.path().join("log-index/index.db")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for word in ["wang", "dewi", "loan", "teller", "customer.phone", "客户", &token("1")] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn what_is_lost_damaged_or_of_another_log_or_key_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), &Clock::fixed(NOON)).close();
    read(&mut open(dir.path()));
    let place = dir.path().join("log-index");
    let file = place.join("index.db");
    let again = |key: &MasterKey| {
        Index::open_or_rebuild(&place, &dir.path().join("log"), &opener(dir.path()), key).unwrap()
    };
    assert!(!again(&master()).1);
    let (other, was_rebuilt) = again(&MasterKey::from_bytes([2; 32]));
    assert!(was_rebuilt && other.position().unwrap() == 0);
    assert!(other.is_current());
    let (mut mine, was_rebuilt) = again(&master());
    assert!(was_rebuilt && !other.is_current(), "the other sees that its file is gone");
    read(&mut mine);
    drop((mine, other));
    std::fs::write(&file, b"no database at all, and longer than a hundred bytes, so that it looks like one: no, no, no, no, no").unwrap();
    assert!(again(&master()).1);
    std::fs::remove_file(&file).unwrap();
    let (mut mine, _) = again(&master());
    read(&mut mine);
    assert_eq!(
        find(&mut mine, Filter { actor: Some("dewi".into()), ..Filter::default() }),
        ["dewi"]
    );
    drop(mine);
    // A log that is shorter than the index: rolled back, or another.
    std::fs::remove_dir_all(dir.path().join("log")).unwrap();
    let log = log(dir.path(), &Clock::fixed(NOON));
    Look::default().whole(&log);
    log.close();
    assert!(again(&master()).1);
}

#[test]
fn a_decision_has_words_of_its_own_until_its_outcome_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), &Clock::fixed(NOON));
    let look = Look::default();
    look.whole(&log);
    let alone = Look { account: "dewi", ..Look::default() };
    let decision = alone.decide(&log);
    while log.health().durable < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut index = open(dir.path());
    let rows = |index: &Index| -> Vec<i64> {
        let mut all = index.connection.prepare("SELECT rowid FROM terms ORDER BY rowid").unwrap();
        all.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let of = |account: &str| Filter { actor: Some(account.to_owned()), ..Filter::default() };
    read(&mut index);
    assert_eq!(
        rows(&index),
        [1, 2],
        "one for both entries of a request, one for the decision alone"
    );
    assert_eq!(find(&mut index, of("wang.li")), ["wang.li"]);
    assert_eq!(find(&mut index, of("dewi")), ["dewi"]);
    alone.give(&log, &decision);
    log.close();
    read(&mut index);
    assert_eq!(rows(&index), [1, 2, 3]);
    assert_eq!(find(&mut index, of("dewi")), ["dewi"]);
    // Of an outcome nothing is left: its decision is found by itself.
    index.connection.execute("DELETE FROM terms WHERE rowid = 1", []).unwrap();
    let mut lookup = crate::audit::Lookup::new(opener(dir.path()));
    let mut mender = mend::Mender {
        connection: &index.connection,
        lookup: &mut lookup,
        terms: &mut index.terms,
    };
    mender.leave(1).unwrap();
    assert_eq!(rows(&index), [0, 2, 3]);
    assert_eq!(find(&mut index, of("wang.li")), ["wang.li"]);
}

/// The rows of a question.
fn rows(index: &Index, sql: &str) -> Vec<String> {
    let mut rows = index.connection.prepare(sql).unwrap();
    let count = rows.column_count();
    let cells = |row: &rusqlite::Row<'_>| {
        let cells = (0..count).map(|at| row.get::<_, rusqlite::types::Value>(at));
        Ok(format!("{:?}", cells.collect::<Result<Vec<_>, _>>()?))
    };
    rows.query_map([], cells).unwrap().map(Result::unwrap).collect()
}

/// All that an index holds: its tables, and the words of what is no decision that is found by its outcome, since it depends on
/// what was written down together whether that has words of its own.
fn held(index: &Index) -> Vec<Vec<String>> {
    let vocabulary = "CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, terms, instance)";
    index.connection.execute_batch(vocabulary).unwrap();
    [
        "SELECT cursor, hex(leaf) FROM place",
        "SELECT * FROM links ORDER BY entry",
        "SELECT * FROM spans ORDER BY first",
        "SELECT * FROM keys ORDER BY name",
        "SELECT term, doc FROM temp.words WHERE doc NOT IN (SELECT request FROM links) ORDER BY 1, 2",
    ]
    .into_iter()
    .map(|sql| rows(index, sql))
    .collect()
}

#[test]
fn what_is_taken_from_memory_is_what_stands_in_the_folder_and_no_other_process_is_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = log(dir.path(), &clock);
    let appended = std::cell::Cell::new(0);
    let looks = |count: usize| {
        for n in 0..count {
            appended.set(appended.get() + if n % 5 > 0 { 3 } else { 2 });
            let key = n.to_string();
            let look = Look { keys: &[&key], reason: "called about a loan", ..Look::default() };
            let decision = look.decide(&log);
            clock.advance_ms(7);
            if n % 5 > 0 {
                look.give(&log, &decision);
            }
            let mut own = log.entry(Event::Decision).unwrap();
            own.class = Class::CustomerUsage;
            own.actor = Some(Actor { account: "own".into(), ..Actor::default() });
            own.decision = Some(Decision::new(Effect::Allow));
            log.append_detached(own);
        }
        while log.health().durable < appended.get() {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    looks(5);
    let (mut index, feed) = (open(dir.path()), log.feed());
    let mut now = Duration::ZERO;
    let mut follow = |index: &mut Index, seconds: u64| {
        now += Duration::from_secs(seconds);
        index.follow(&log, &feed, now).unwrap().position
    };
    let behind = follow(&mut index, 1);
    assert!(behind > 0, "what was there before is read in the folder");
    looks(8);
    let durable = log.health().durable;
    assert_eq!((follow(&mut index, 0), index.next().unwrap()), (behind, durable), "held");
    assert_eq!(follow(&mut index, 3), durable, "written down");
    // Somebody else builds the same index while this one holds the same entries.
    looks(10);
    follow(&mut index, 0);
    read(&mut open(dir.path()));
    let elsewhere = open(dir.path()).position().unwrap();
    follow(&mut index, 3);
    assert_eq!(index.position().unwrap(), elsewhere);
    // More than may wait in memory: the rest is read in the folder.
    looks(300);
    looks(10);
    while follow(&mut index, 3) < log.health().durable {}
    log.close();
    let place = dir.path().join("rebuilt-index");
    let mut rebuilt =
        Index::open(&place, &dir.path().join("log"), opener(dir.path()), &master()).unwrap();
    read(&mut rebuilt);
    let own = Filter { actor: Some("own".to_owned()), ..Filter::default() };
    assert_eq!(index.search(&own, None, 1000).unwrap().accesses.len(), 333);
    let (now, anew) = (held(&index), held(&rebuilt));
    assert!(now.iter().all(|rows| !rows.is_empty()));
    assert_eq!(now, anew);
}

#[test]
fn an_index_that_lies_shows_nothing_that_is_not_so() {
    let dir = tempfile::tempdir().unwrap();
    sample(dir.path(), &Clock::fixed(NOON)).close();
    let mut index = open(dir.path());
    read(&mut index);
    // Every entry is said to be about customer 9 and to belong to the first request.
    let word = index.terms.of(terms::Kind::Subject, &token("9"));
    for entry in 0..7 {
        index.connection.execute("DELETE FROM terms WHERE rowid = ?1", [entry]).unwrap();
        let sql = "INSERT INTO terms (rowid, words) VALUES (?1, ?2)";
        index.connection.execute(sql, (entry, format!("{word}"))).unwrap();
        let sql = "INSERT OR REPLACE INTO links (entry, request) VALUES (?1, 0)";
        index.connection.execute(sql, [entry]).unwrap();
    }
    let nine = Filter { subject: Some(token("9")), ..Filter::default() };
    assert!(find(&mut index, nine).is_empty());
    drop(index);
    // What it hides, one that is made anew does not.
    let place = dir.path().join("log-index");
    let log = dir.path().join("log");
    let mut anew = Index::rebuild(&place, &log, opener(dir.path()), &master()).unwrap();
    read(&mut anew);
    let one = Filter { subject: Some(token("1")), ..Filter::default() };
    assert_eq!(find(&mut anew, one), ["dewi", "wang.li"]);
}

/// Weeks as a gate lives them, with the log's retention.
fn live(log: &Log, clock: &Clock, dir: &Path, weeks: u32, periods: &Periods) {
    for _ in 0..weeks {
        clock.advance_ms(7 * DAY_MS);
        let tomorrow = Day::of_ms(clock.unix_ms()).plus(1);
        let made = format!("customer_identity-{tomorrow}");
        let names = || std::fs::read_dir(dir.join("log/keys")).unwrap();
        while !names().any(|file| file.unwrap().file_name().to_string_lossy().ends_with(&made)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        log.tend_retention(periods, &[]).unwrap();
    }
}

#[test]
fn what_the_log_destroyed_leaves_the_index_and_a_statistic_stays() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOON);
    let log = sample(dir.path(), &clock);
    let mut own = log.entry(Event::Decision).unwrap();
    own.class = Class::CustomerUsage;
    own.actor = Some(Actor { account: "somchai".into(), ..Actor::default() });
    own.request = Some(Request { route: "own.view".into(), ..Request::default() });
    own.decision = Some(Decision::new(Effect::Allow));
    log.append_detached(own);
    while log.health().durable < 8 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut index = open(dir.path());
    read(&mut index);
    let of = |account: &str| Filter { actor: Some(account.to_owned()), ..Filter::default() };
    assert_eq!(find(&mut index, of("somchai")), ["somchai"]);
    assert_eq!(index.purge().unwrap(), 0, "nothing is gone yet");
    let (short, long) = (Period { least: 0, months: 1 }, Period { least: 0, months: 60 });
    let periods = Periods {
        staff_access: short,
        customer_usage: long,
        customer_identity: short,
        security: long,
        ledger: long,
        tenants: Default::default(),
    };
    live(&log, &clock, dir.path(), 9, &periods);
    assert!(index.purge().unwrap() >= 4, "three requests, and who somchai was");
    assert!(find(&mut index, of("wang.li")).is_empty());
    assert!(find(&mut index, Filter { subject: Some(token("1")), ..Filter::default() }).is_empty());
    assert!(find(&mut index, of("somchai")).is_empty());
    let left = Filter { route: Some("own.view".to_owned()), ..Filter::default() };
    assert_eq!(find(&mut index, left), [""], "that somebody used it stays");
    assert_eq!(find(&mut index, of("kim")), ["kim"], "another class stays");
    let words = [
        index.terms.of(terms::Kind::Subject, &token("1")),
        index.terms.of(terms::Kind::Account, "dewi"),
        index.terms.of(terms::Kind::Account, "somchai"),
    ];
    let kept = index.terms.of(terms::Kind::Account, "kim").to_string();
    log.close();
    drop(index);
    let bytes = std::fs::read(dir.path().join("log-index/index.db")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    // FTS5 leaves out what a word shares with the one before it.
    assert!(text.contains(kept.get(4..).unwrap()));
    for word in words {
        let word = word.to_string();
        assert!(!text.contains(word.get(4..).unwrap()), "{word} is still in the file");
    }
}
