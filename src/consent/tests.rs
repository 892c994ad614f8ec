use serde_json::{Value, json};

use super::{ConsentError, Register, Statement};
use crate::clock::Clock;
use crate::policy::{ConsentKind, Said};
use crate::secret::MasterKey;
use crate::state::Store;

const NOW_S: i64 = 1_800_000_000;
const DAY_S: i64 = 86_400;

fn key() -> MasterKey {
    MasterKey::from_bytes([5; 32])
}

fn store(dir: &std::path::Path, clock: &Clock) -> Store {
    Store::open(dir, &key(), clock.clone()).unwrap()
}

fn open(dir: &std::path::Path, clock: &Clock) -> Register {
    Register::new(store(dir, clock), &key(), clock.clone()).unwrap()
}

fn statement(mut members: Value) -> Statement {
    members["entity"] = "customer".into();
    if members.get("subject").is_none() {
        members["subject"] = 42.into();
    }
    Statement::read(members.as_object().unwrap(), NOW_S).unwrap()
}

fn consent(kind: &str) -> Statement {
    statement(json!({ "say": "consent", "purpose": "marketing", "kind": kind, "notice": 3 }))
}

fn to_acme() -> Statement {
    statement(json!({
        "say": "consent", "purpose": "marketing", "kind": "separate", "recipient": "acme",
        "what": "name,phone", "until": "30d", "protection": "dpa-7",
    }))
}

fn act(say: &str, word: &str) -> Statement {
    let name = if say.ends_with("mark") { "mark" } else { "purpose" };
    statement(json!({ "say": say, name: word }))
}

async fn put(register: &Register, statements: &[Statement]) -> usize {
    let ended = register.put("desk", statements).await.unwrap();
    register.load().await.unwrap();
    ended
}

fn said(register: &Register) -> Option<Said> {
    register.said("customer", "42", "marketing", None)
}

fn said_to(register: &Register, to: &str) -> Option<Said> {
    register.said("customer", "42", "marketing", Some(to))
}

const EXPLICIT: Said = Said::Yes { kind: ConsentKind::Explicit, notice: 3 };

#[tokio::test]
async fn the_last_word_of_a_subject_counts_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let register = open(dir.path(), &clock);
    register.load().await.unwrap();
    assert_eq!(said(&register), Some(Said::Nothing));
    put(&register, &[consent("explicit")]).await;
    assert_eq!(said(&register), Some(EXPLICIT));
    assert_eq!(register.said("customer", "43", "marketing", None), Some(Said::Nothing));
    assert_eq!(register.said("guest", "42", "marketing", None), Some(Said::Nothing));
    assert_eq!(register.said("customer", "42", "research", None), Some(Said::Nothing));
    assert_eq!(said_to(&register, "acme"), Some(Said::Nothing), "to the own people alone");
    assert_eq!(put(&register, &[act("withdraw", "marketing")]).await, 1);
    assert_eq!(said(&register), Some(Said::No), "who takes it back does not want it");
    assert_eq!(put(&register, &[act("withdraw", "marketing")]).await, 0, "none stood");
    let again = open(dir.path(), &clock);
    again.load().await.unwrap();
    assert_eq!(said(&again), Some(Said::No));
    put(&again, &[consent("explicit")]).await;
    assert_eq!(said(&again), Some(EXPLICIT));
    assert_eq!(put(&again, &[act("object", "marketing")]).await, 1);
    assert_eq!(said(&again), Some(Said::No));
}

#[tokio::test]
async fn all_consents_are_taken_back_at_once_and_one_to_a_third_party_is_one_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let register = open(dir.path(), &Clock::fixed(NOW_S * 1000));
    put(&register, &[consent("explicit"), to_acme()]).await;
    let separate = Said::Yes { kind: ConsentKind::Separate, notice: 0 };
    assert_eq!(said_to(&register, "acme"), Some(separate));
    assert_eq!(said_to(&register, "other"), Some(Said::Nothing));
    assert_eq!(put(&register, &[statement(json!({ "say": "withdraw" }))]).await, 2);
    assert_eq!((said(&register), said_to(&register, "acme")), (Some(Said::No), Some(Said::No)));
}

#[tokio::test]
async fn a_consent_and_a_mark_end_by_themselves_and_a_clock_that_is_set_back_revives_none() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let register = open(dir.path(), &clock);
    let mark = json!({ "say": "mark", "mark": "vip", "until": "1h" });
    put(&register, &[to_acme(), statement(mark)]).await;
    let is_vip = |register: &Register| register.is_marked("customer", "42", "vip");
    assert_eq!(is_vip(&register), Some(true));
    clock.advance_ms(3_601_000);
    assert_eq!(is_vip(&register), Some(false));
    clock.advance_ms(30 * DAY_S * 1000);
    register.load().await.unwrap();
    assert_eq!(said_to(&register, "acme"), Some(Said::Nothing));
    register.tidy().await.unwrap();
    assert_eq!(register.size().0, 0);
    let ahead = Clock::fixed((NOW_S + 90 * DAY_S) * 1000);
    open(dir.path(), &ahead).put("desk", &[consent("explicit")]).await.unwrap();
    register.load().await.unwrap();
    assert_eq!(said(&register), Some(Said::No), "it was registered by a clock that runs ahead");
}

#[tokio::test]
async fn a_consent_that_ends_by_itself_leaves_the_no_that_stood_before() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let register = open(dir.path(), &clock);
    let for_an_hour =
        json!({ "say": "consent", "purpose": "marketing", "kind": "explicit", "until": "1h" });
    put(&register, &[act("object", "marketing"), statement(for_an_hour)]).await;
    assert!(matches!(said(&register), Some(Said::Yes { .. })));
    clock.advance_ms(3_601_000);
    assert_eq!(said(&register), Some(Said::No));
    register.tidy().await.unwrap();
    register.load().await.unwrap();
    assert_eq!(said(&register), Some(Said::No));
    let again = open(dir.path(), &clock);
    again.load().await.unwrap();
    assert_eq!(said(&again), Some(Said::No), "also after a restart");
    // Long after its history was forgotten it still stands.
    clock.advance_ms(4 * 366 * 86_400_000);
    again.tidy().await.unwrap();
    let later = open(dir.path(), &clock);
    later.load().await.unwrap();
    assert_eq!(said(&later), Some(Said::No), "for good");
}

#[tokio::test]
async fn a_mark_is_put_and_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let register = open(dir.path(), &Clock::fixed(NOW_S * 1000));
    put(&register, &[act("mark", "vip")]).await;
    let is_marked = |mark: &str| register.is_marked("customer", "42", mark).unwrap();
    assert!(is_marked("vip") && !is_marked("minor"));
    assert_eq!(put(&register, &[act("unmark", "vip")]).await, 1);
    assert!(!is_marked("vip"));
    assert_eq!(put(&register, &[act("unmark", "vip")]).await, 0);
}

#[tokio::test]
async fn the_history_has_an_end_that_is_told_and_what_closes_has_room_beyond_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let register = open(dir.path(), &clock);
    let of = |say: &str, n: u32| {
        let kind = if say == "consent" { json!("explicit") } else { Value::Null };
        statement(json!({ "say": say, "purpose": "marketing", "kind": kind, "subject": n }))
    };
    put(&register, &[of("consent", 1), of("object", 2)]).await;
    let state = rusqlite::Connection::open(dir.path().join("menshen.db")).unwrap();
    let kept = || -> i64 {
        state.query_row("SELECT rows FROM subject_words_kept", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(kept(), 2);
    let keep = |rows: i64| {
        state.execute("UPDATE subject_words_kept SET rows = ?1", [rows]).unwrap();
    };
    let full = async |one| matches!(register.put("desk", &[one]).await, Err(ConsentError::Kept));
    keep(30_000_000);
    assert!(full(of("consent", 3)).await);
    put(&register, &[of("object", 3)]).await;
    assert_eq!(kept(), 30_000_001);
    keep(33_000_000);
    assert!(full(of("object", 4)).await);
    state.execute("DELETE FROM subject_words", []).unwrap();
    assert_eq!(kept(), 33_000_000 - 3, "what is forgotten makes room");
}

#[tokio::test]
async fn a_no_that_finds_no_room_leaves_nothing_known() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let register = open(dir.path(), &clock).with_room(10);
    register.load().await.unwrap();
    let of = |say: &str, n: u32| {
        let purpose = if say == "consent" { json!("explicit") } else { Value::Null };
        statement(json!({ "say": say, "purpose": "marketing", "kind": purpose, "subject": n }))
    };
    let consents: Vec<Statement> = (0..10).map(|n| of("consent", n)).collect();
    put(&register, &consents).await;
    let full = async |one| matches!(register.put("desk", &[one]).await, Err(ConsentError::Full));
    assert!(full(of("consent", 10)).await);
    put(&register, &[of("object", 11)]).await;
    assert!(full(of("object", 12)).await, "that is the tenth more");
    assert_eq!(register.said("customer", "11", "marketing", None), Some(Said::No));
    // Another process, whose own table has room, registers it all the same.
    let other = open(dir.path(), &clock);
    other.put("desk", &[of("consent", 13), of("object", 12)]).await.unwrap();
    register.load().await.unwrap();
    assert_eq!(register.said("customer", "1", "marketing", None), None, "nothing is known");
    assert!(register.is_unknown());
}

#[tokio::test]
async fn silence_changes_nothing_that_somebody_said() {
    let dir = tempfile::tempdir().unwrap();
    let register = open(dir.path(), &Clock::fixed(NOW_S * 1000));
    put(&register, &[consent("deemed")]).await;
    put(&register, &[consent("deemed")]).await;
    put(&register, &[act("object", "marketing")]).await;
    let refused = async |statements: &[Statement]| register.put("desk", statements).await;
    let after = refused(&[consent("explicit"), consent("deemed")]).await;
    assert!(matches!(after, Err(ConsentError::Spoken(1))), "{after:?}");
    let after = refused(&[consent("deemed")]).await;
    assert!(matches!(after, Err(ConsentError::Spoken(0))), "{after:?}");
    register.load().await.unwrap();
    assert_eq!(said(&register), Some(Said::No), "nothing of the call was registered");
}

#[tokio::test]
async fn what_nobody_looked_for_lately_is_not_known() {
    let dir = tempfile::tempdir().unwrap();
    let register = open(dir.path(), &Clock::fixed(NOW_S * 1000));
    register.put("desk", &[consent("explicit"), act("mark", "vip")]).await.unwrap();
    let known = || (said(&register), register.is_marked("customer", "42", "vip"));
    assert_eq!(known(), (None, None), "nobody looked yet");
    register.load().await.unwrap();
    assert_eq!(known(), (Some(EXPLICIT), Some(true)));
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_millis(5_100)).await;
    assert_eq!(known(), (None, None));
    tokio::time::resume();
    register.load().await.unwrap();
    assert_eq!(known(), (Some(EXPLICIT), Some(true)));
}

#[tokio::test]
async fn what_closes_holds_before_the_rest_of_what_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let register = open(dir.path(), &Clock::fixed(NOW_S * 1000));
    put(&register, &[consent("explicit"), act("mark", "minor")]).await;
    let both = [act("withdraw", "marketing"), act("unmark", "minor"), act("mark", "vip")];
    register.put("desk", &both).await.unwrap();
    let news = register.look().await.unwrap().unwrap();
    assert!(news.opens() && news.is_all());
    register.install_closing(&news);
    let marked = |mark: &str| register.is_marked("customer", "42", mark);
    assert_eq!(said(&register), Some(Said::No));
    assert_eq!((marked("minor"), marked("vip")), (Some(true), Some(true)));
    register.load().await.unwrap();
    assert_eq!((marked("minor"), marked("vip")), (Some(false), Some(true)));
}

#[tokio::test]
async fn the_history_names_no_key_is_kept_three_years_and_what_stands_is_kept_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let register = open(dir.path(), &clock);
    put(&register, &[consent("explicit")]).await;
    clock.advance_ms(DAY_S * 1000);
    put(&register, &[act("object", "marketing"), act("mark", "vip"), act("unmark", "vip")]).await;
    let told = async |register: &Register| {
        let rows = register.history("customer", "42").await.unwrap();
        rows.iter().map(|row| (row.says, row.stands)).collect::<Vec<_>>()
    };
    let all = [("unmark", false), ("mark", false), ("object", true), ("consent", false)];
    assert_eq!(told(&register).await, all);
    let rows = register.history("customer", "42").await.unwrap();
    assert!(rows.iter().all(|row| row.subject.len() == 22 && row.done_by == "desk"), "{rows:?}");
    assert_eq!((rows[3].kind.as_str(), rows[3].notice), ("explicit", 3));
    assert!(register.history("customer", "43").await.unwrap().is_empty());
    clock.advance_ms(3 * 365 * DAY_S * 1000);
    register.tidy().await.unwrap();
    assert_eq!(told(&register).await, all, "three years and a little less");
    clock.advance_ms(10 * DAY_S * 1000);
    register.tidy().await.unwrap();
    assert_eq!(told(&register).await, [("object", true)]);
    let again = open(dir.path(), &clock);
    again.load().await.unwrap();
    assert_eq!(said(&again), Some(Said::No));
}

#[tokio::test]
async fn after_a_restore_no_consent_stands_that_may_have_been_taken_back_and_what_closes_does() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let register = open(dir.path(), &clock);
    let object = statement(json!({ "say": "object", "purpose": "research" }));
    put(&register, &[consent("explicit"), to_acme(), object, act("mark", "vip")]).await;
    drop(register);
    crate::state::end_after_restore(dir.path(), "gate-1-x", NOW_S * 1000, 7).unwrap();
    let again = open(dir.path(), &clock);
    again.load().await.unwrap();
    let nothing = Some(Said::Nothing);
    assert_eq!((said(&again), said_to(&again, "acme")), (nothing, nothing));
    assert_eq!(again.said("customer", "42", "research", None), Some(Said::No));
    assert_eq!(again.is_marked("customer", "42", "vip"), Some(true));
}

#[test]
fn what_could_be_no_statement_is_refused_with_all_its_faults() {
    let read = |members: Value| Statement::read(members.as_object().unwrap(), NOW_S);
    let faults = |members: Value| {
        let faults = read(members).unwrap_err();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let good = json!({
        "say": "consent", "entity": "customer", "subject": "42", "purpose": "marketing", "kind": "explicit",
        "notice": 3, "until": "2027-12-31T00:00:00Z", "reference": "F-1",
    });
    read(good.clone()).unwrap();
    for (name, value, said) in [
        ("say", json!("yes"), "`say`"),
        ("entity", json!(""), "`entity`"),
        ("subject", json!("4\n2"), "`subject`"),
        ("subject", json!(4.5), "`subject`"),
        ("subject", json!(["42"]), "`subject`"),
        ("purpose", json!("mar keting"), "`purpose`"),
        ("kind", json!("loud"), "`kind`"),
        ("notice", json!(0), "`notice`"),
        ("notice", json!(65_536), "`notice`"),
        ("until", json!("soon"), "`until`"),
        ("until", json!("2020-01-01T00:00:00Z"), "`until`"),
        ("until", json!("2999-01-01T00:00:00Z"), "`until`"),
        ("reference", json!("guest Zhang"), "`reference`"),
        ("mark", json!("vip"), "`mark` means nothing"),
        ("what", json!("name"), "`what` means nothing"),
        ("purpos", json!("x"), "`purpos` means nothing"),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let told = faults(bad.clone());
        assert!(told.contains(said), "{bad}: {told}");
    }
    let all = faults(json!({ "say": "consent", "entity": "", "subject": "", "kind": "loud" }));
    for name in ["entity", "subject", "purpose", "kind"] {
        assert!(all.contains(&format!("`{name}`")), "{all}");
    }
    let empty = json!({ "say": "mark", "entity": "e", "subject": "1", "mark": "vip", "purpose": "", "kind": null });
    read(empty).expect("an empty cell of a table says nothing");
}

#[test]
fn a_consent_to_a_third_party_that_leaves_something_out_or_is_given_in_passing_is_refused() {
    let good = json!({
        "say": "consent", "entity": "customer", "subject": "42", "purpose": "marketing", "kind": "separate",
        "recipient": "acme", "what": "name,phone", "until": "365d", "protection": "dpa-7",
    });
    let read = |members: &Value| Statement::read(members.as_object().unwrap(), NOW_S);
    read(&good).unwrap();
    for name in ["what", "until", "protection", "purpose"] {
        let mut less = good.clone();
        less.as_object_mut().unwrap().remove(name);
        let told = read(&less).unwrap_err();
        assert!(told.iter().any(|fault| fault.to_string().contains(name)), "{name}: {told:?}");
    }
    for kind in ["explicit", "deemed"] {
        let mut bundled = good.clone();
        bundled["kind"] = kind.into();
        let told = read(&bundled).unwrap_err();
        assert!(told[0].to_string().contains("not bundled"), "{told:?}");
    }
}

/// States what consents cost, and holds them to that: run it alone with `--no-capture` for the figures.
#[tokio::test]
async fn a_million_consents_take_little_memory_and_a_look_takes_no_time() {
    const COUNT: u64 = 1_000_000;
    const LOOKS: u64 = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let register = open(dir.path(), &Clock::fixed(NOW_S * 1000));
    register.fill(COUNT);
    register.load().await.unwrap();
    let (known, bytes) = register.size();
    let keys: Vec<String> = (0..LOOKS).map(|n| format!("customer-{n}")).collect();
    let clock = Clock::system();
    let began = clock.steady();
    let said = keys
        .iter()
        .filter(|key| register.said("customer", key, "marketing", None) == Some(Said::Nothing));
    let said = said.count();
    let look = (clock.steady() - began).as_secs_f64() * 1e9 / LOOKS as f64;
    let each = bytes as f64 / COUNT as f64;
    eprintln!("{known} consents: {each:.1} bytes each; a look {look:.0} ns with its hash");
    assert_eq!((known as u64, said as u64), (COUNT, LOOKS));
    assert!(each <= 40.0, "{each} bytes for each consent");
}
