//! The life of a grant, who may agree, and that what is kept is legible to nobody.

use std::path::PathBuf;

use super::*;
use crate::clock::Clock;
use crate::secret::MasterKey;
use crate::state::Store;

const NOW_S: i64 = 1_800_000_000;

fn ask() -> Ask {
    let fields = [
        ("route", "guest.scan"),
        ("action", "view"),
        ("subjects", "guest:G7"),
        ("reason", "lost key card"),
        ("uses", "1"),
    ];
    let field = |name: &str| {
        let found = fields.iter().find(|(field, _)| *field == name);
        found.map_or("", |(_, value)| *value)
    };
    Ask::read(field).unwrap()
}

fn grant() -> Grant {
    let ask = ask();
    Grant {
        id: "G-1".to_owned(),
        holder: "corp:clerk".to_owned(),
        person: "person/wu".to_owned(),
        roles: vec!["clerk".to_owned()],
        scope: ask.scope,
        reason: ask.reason,
        ticket: String::new(),
        asked_ms: NOW_S * 1000,
        waits_until_s: NOW_S + 3600,
        from_s: None,
        lasts_s: 600,
        until_s: None,
        uses: Some(1),
        approvals: Vec::new(),
        state: State::Asked,
        emergency: None,
        review: None,
    }
}

fn by(name: &str, at_s: i64) -> Approval {
    Approval { account: format!("corp:{name}"), person: name.to_owned(), at_ms: at_s * 1000 }
}

fn review(at_s: i64) -> Review {
    Review { account: "corp:eve".to_owned(), verdict: Verdict::Fit, at_ms: at_s * 1000 }
}

/// A grant in each state.
fn in_state(state: State) -> Grant {
    let mut grant = grant();
    let later = NOW_S + 10;
    match state {
        State::Asked => {}
        State::Approved => grant.approve(by("mei", later), 1).unwrap(),
        State::Refused => grant.refuse(later).unwrap(),
        State::Expired => {
            grant.approve(by("mei", later), 1).unwrap();
            grant.expire(later + 600).unwrap();
        }
        State::Revoked => {
            grant.approve(by("mei", later), 1).unwrap();
            grant.revoke(later).unwrap();
        }
        State::UsedUp => {
            grant.approve(by("mei", later), 1).unwrap();
            grant.use_up(later).unwrap();
        }
        State::Reviewed => {
            grant.approve(by("mei", later), 1).unwrap();
            grant.review(review(later)).unwrap();
        }
    }
    assert_eq!(grant.state, state);
    grant
}

#[test]
fn every_step_is_taken_from_where_it_may_and_from_nowhere_else() {
    type Step = fn(&mut Grant, i64) -> Result<(), StepFault>;
    let steps: [(&str, Step, &[State]); 5] = [
        ("approve", |grant, at| grant.approve(by("mei", at), 1), &[State::Asked]),
        ("refuse", Grant::refuse, &[State::Asked]),
        ("revoke", Grant::revoke, &[State::Asked, State::Approved, State::UsedUp]),
        ("use up", Grant::use_up, &[State::Approved]),
        (
            "review",
            |grant, at| grant.review(review(at)),
            &[State::Approved, State::Expired, State::Revoked, State::UsedUp],
        ),
    ];
    for (name, step, from) in steps {
        for state in State::ALL {
            let before = in_state(state);
            let mut after = before.clone();
            let taken = step(&mut after, NOW_S + 20);
            assert_eq!(taken.is_ok(), from.contains(&state), "{name} from {}", state.word());
            assert!(taken.is_ok() || after == before, "a step that is refused changes nothing");
        }
    }
}

#[test]
fn what_is_used_up_is_taken_back_as_long_as_its_last_use_may_last() {
    let over = in_state(State::UsedUp).until_s.unwrap();
    assert!(in_state(State::UsedUp).revoke(over - 1).is_ok());
    let fault = StepFault::State(State::UsedUp, "revoked");
    assert_eq!(in_state(State::UsedUp).revoke(over), Err(fault));
}

#[test]
fn nothing_is_approved_after_its_time_nor_by_a_clock_that_was_set_back() {
    let mut late = grant();
    let fault = late.approve(by("mei", NOW_S + 3600), 1).unwrap_err();
    assert_eq!(fault, StepFault::State(State::Expired, "approved"));
    assert_eq!(grant().approve(by("mei", NOW_S - 1), 1), Err(StepFault::Clock));
    let held = in_state(State::Approved);
    assert!(held.is_live(NOW_S + 609) && !held.is_live(NOW_S + 610), "its end is exact");
    assert!(!in_state(State::Refused).is_live(NOW_S + 20));
}

#[test]
fn it_holds_once_as_many_agreed_as_are_asked() {
    let mut grant = grant();
    grant.approve(by("mei", NOW_S + 1), 2).unwrap();
    assert_eq!(grant.state, State::Asked);
    grant.approve(by("tan", NOW_S + 2), 2).unwrap();
    assert_eq!((grant.state, grant.until_s), (State::Approved, Some(NOW_S + 602)));
    let mut later = super::tests::grant();
    later.from_s = Some(NOW_S + 1000);
    later.approve(by("mei", NOW_S + 1), 1).unwrap();
    assert_eq!((later.from_s, later.until_s), (Some(NOW_S + 1000), Some(NOW_S + 1600)));
}

const TERMS: Terms = Terms {
    number: 1,
    assurance: 2,
    fresh_s: 900,
    longest_s: 3600,
    uses: Some(1),
    subjects: Some(1),
    rows: None,
    ring: 3,
};

fn approver() -> Approver {
    Approver {
        account: "corp:mei".to_owned(),
        person: "person/mei".to_owned(),
        stands_high_enough: true,
        assurance: 2,
        factor_age_s: Some(10),
        owed: 0,
    }
}

#[test]
fn nobody_agrees_for_themselves_twice_below_in_a_ring_or_without_a_fresh_factor() {
    let check = |change: fn(&mut Approver), terms: &Terms| {
        let mut who = approver();
        change(&mut who);
        check_approval(&grant(), terms, &who)
    };
    assert_eq!(check(|_| {}, &TERMS), Ok(()));
    // The same person by another account.
    assert_eq!(
        check(|who| who.person = "person/wu".to_owned(), &TERMS),
        Err(ApprovalFault::Oneself)
    );
    assert_eq!(
        check(|who| who.account = "corp:clerk".to_owned(), &TERMS),
        Err(ApprovalFault::Oneself)
    );
    assert_eq!(check(|who| who.stands_high_enough = false, &TERMS), Err(ApprovalFault::Rank));
    assert_eq!(check(|who| who.owed = 3, &TERMS), Err(ApprovalFault::Ring));
    assert_eq!(check(|who| who.owed = 2, &TERMS), Ok(()));
    let factor = Err(ApprovalFault::Factor { assurance: 2, fresh_s: 900 });
    assert_eq!(check(|who| who.assurance = 1, &TERMS), factor);
    assert_eq!(check(|who| who.factor_age_s = Some(901), &TERMS), factor);
    assert_eq!(check(|who| who.factor_age_s = None, &TERMS), factor);
    // From the future, as by a clock that jumped.
    assert_eq!(check(|who| who.factor_age_s = Some(-61), &TERMS), factor);
    let mut agreed = grant();
    agreed.approvals.push(Approval { person: "person/mei".to_owned(), ..by("mei2", NOW_S) });
    assert_eq!(check_approval(&agreed, &TERMS, &approver()), Err(ApprovalFault::Twice));
}

#[test]
fn what_the_policy_does_not_allow_any_more_is_not_approved() {
    let wide = |terms: Terms, change: fn(&mut Grant)| {
        let mut grant = grant();
        change(&mut grant);
        matches!(check_approval(&grant, &terms, &approver()), Err(ApprovalFault::TooWide(..)))
    };
    assert!(wide(Terms { longest_s: 599, ..TERMS }, |_| {}));
    assert!(wide(TERMS, |grant| grant.uses = None));
    assert!(wide(TERMS, |grant| grant.uses = Some(2)));
    assert!(wide(TERMS, |grant| grant.scope.subjects.clear()));
    assert!(wide(TERMS, |grant| grant.scope.subjects.push(("guest".into(), "G8".into()))));
    assert!(!wide(Terms { subjects: None, uses: None, ..TERMS }, |grant| {
        grant.scope.subjects.clear();
        grant.uses = None;
    }));
}

#[test]
fn what_is_asked_for_is_told_in_a_sentence_and_in_the_log_without_anybodys_key() {
    let grant = grant();
    assert_eq!(grant.sentence(), "corp:clerk may view guest.scan of guest G7 once, for 10m");
    assert_eq!(grant.scope.counted(), "view guest.scan of 1 person");
    let mut all = grant.scope;
    all.fields = vec!["guest.passport".into()];
    all.subjects = (0..7).map(|n| ("guest".to_owned(), format!("G{n}"))).collect();
    all.parameters = vec![("desk".into(), "D-9".into())];
    all.role = Some("manager".into());
    all.zones = vec!["office".into()];
    (all.device, all.assurance) = (true, 2);
    let of = (0..7).map(|n| format!("guest G{n}")).collect::<Vec<_>>().join(", ");
    let confined = "as manager in office on a device of theirs at assurance 2";
    assert_eq!(
        all.sentence(),
        format!("view guest.passport of {of} over guest.scan with desk D-9 {confined}")
    );
    assert_eq!(
        all.counted(),
        format!("view guest.passport of 7 people over guest.scan with desk {confined}")
    );
}

#[test]
fn whoever_decides_reads_what_is_asked_for_as_it_is() {
    let scope = Scope {
        actions: vec!["search".into()],
        routes: vec!["guest.find".into()],
        subjects: vec![("guest".into(), "G7\u{202e}8G".into())],
        search: vec![("note".into(), "x` of one\u{200b}\\".into())],
        parameters: vec![("branch".into(), "1\u{2066}2".into())],
        rows: Some(3),
        ..Scope::default()
    };
    assert_eq!(
        scope.sentence(),
        "search guest.find of guest G7\\u{202e}8G among whoever the search by note \
         `x\\u{60} of one\\u{200b}\\u{5c}` finds (3 rows at most in all) with branch 1\\u{2066}2"
    );
}

#[test]
fn what_cannot_be_read_is_refused() {
    let read = |change: (&'static str, String)| {
        Ask::read(|name| match name {
            _ if name == change.0 => &*Box::leak(change.1.clone().into_boxed_str()),
            "reason" => "r",
            _ => "",
        })
    };
    for (name, value) in [
        ("reason", ""),
        ("reason", "two\nlines"),
        ("subjects", "G7"),
        ("subjects", "guest:"),
        ("parameters", "id"),
        ("lasts", "soon"),
        ("lasts", "0s"),
        ("uses", "many"),
        ("device", "maybe"),
    ] {
        assert!(read((name, value.to_owned())).is_err(), "{name} {value:?}");
    }
    for name in ["action", "route", "fields", "subjects", "parameters", "zone"] {
        let told = read((name, "guest:G=\u{1}".to_owned()));
        assert!(matches!(told, Err(AskFault::Form(..))), "{name}: six bytes each once it is kept");
    }
    assert!(read(("reason", "x".repeat(501))).is_err());
    for name in ["purpose", "role", "route"] {
        assert!(read((name, "x".repeat(257))).is_err(), "without its {name} it would be wider");
    }
    let many: Vec<String> = (0..201).map(|n| format!("guest:{n}")).collect();
    assert_eq!(read(("subjects", many.join(" "))), Err(AskFault::TooMany("subjects")));
    assert_eq!(read(("lasts", "90m".to_owned())).unwrap().lasts_s, Some(5400));
}

struct Desk {
    _folder: tempfile::TempDir,
    path: PathBuf,
    counter: Counter,
    store: Store,
    clock: Clock,
}

fn desk() -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW_S * 1000);
    let master = MasterKey::from_bytes([9; 32]);
    let path = folder.path().join("state");
    let store = Store::open(&path, &master, clock.clone()).unwrap();
    let counter = Counter::new(store.clone(), &master, clock.clone()).unwrap();
    Desk { _folder: folder, path, counter, store, clock }
}

fn who(name: &str) -> Who {
    Who { account: format!("corp:{name}"), person: name.to_owned(), roles: Vec::new() }
}

impl Desk {
    async fn asked(&self, holder: &str) -> Grant {
        self.counter.ask(&who(holder), ask(), (600, 3600), None).await.unwrap()
    }

    async fn approve(&self, name: &str, id: &str) -> Result<Grant, GrantError> {
        self.counter.approve(&who(name), id, (TERMS, 86_400), true, (2, Some(0))).await
    }
}

#[tokio::test]
async fn each_step_is_kept_with_its_act_and_nobodys_key_is_legible() {
    let desk = desk();
    let grant = desk.asked("wu").await;
    assert!(desk.approve("wu", &grant.id).await.is_err(), "nobody approves their own");
    let approved = desk.approve("mei", &grant.id).await.unwrap();
    assert!(approved.is_live(NOW_S));
    desk.counter.use_up(&grant.id).await.unwrap();
    assert!(desk.counter.use_up(&grant.id).await.is_err(), "it is used up once");
    let own = desk.counter.review(&who("mei"), &grant.id, Verdict::Fit, "n").await;
    assert!(matches!(own, Err(GrantError::OwnReview)));
    desk.counter.review(&who("eve"), &grant.id, Verdict::Fit, "as it should be").await.unwrap();
    let acts = desk.store.pending_acts().await.unwrap();
    let told: Vec<(&str, &str)> =
        acts.iter().map(|act| (act.name.as_str(), act.done_by.as_str())).collect();
    let wanted = [
        ("grant_asked", "corp:wu"),
        ("grant_approved", "corp:mei"),
        ("grant_used_up", "gate"),
        ("grant_reviewed", "corp:eve"),
    ];
    assert_eq!(told, wanted);
    assert!(acts.iter().all(|act| act.object == format!("grant {}", grant.id)));
    assert!(acts.iter().all(|act| !act.detail.contains("G7")), "{acts:?}");
    for file in std::fs::read_dir(&desk.path).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(4).any(|window| window == b"\"G7\""), "sealed as a whole");
    }
}

#[tokio::test]
async fn two_who_agree_to_each_others_too_often_agree_no_more() {
    let desk = desk();
    for _ in 0..TERMS.ring {
        let grant = desk.asked("wu").await;
        desk.approve("mei", &grant.id).await.unwrap();
    }
    // What wu agreed to nothing of, mei may still be agreed to by others.
    let grant = desk.asked("mei").await;
    let ring = desk.approve("wu", &grant.id).await;
    assert!(matches!(ring, Err(GrantError::Approval(ApprovalFault::Ring))), "{ring:?}");
    desk.approve("tan", &grant.id).await.unwrap();
    desk.clock.advance_ms(86_401_000);
    let grant = desk.asked("mei").await;
    desk.approve("wu", &grant.id).await.unwrap();
}

#[tokio::test]
async fn a_flood_of_requests_of_one_person_ends_at_the_cap_and_the_news_are_told_once() {
    let desk = desk();
    for _ in 0..PER_PERSON {
        desk.asked("wu").await;
    }
    let full = desk.counter.ask(&who("wu"), ask(), (600, 3600), None).await;
    assert!(matches!(full, Err(GrantError::Full)), "{full:?}");
    desk.asked("mei").await;
    let news = desk.counter.news(0).await.unwrap();
    assert_eq!(news.grants.len(), usize::try_from(PER_PERSON).unwrap() + 1);
    assert!(desk.counter.news(news.change).await.unwrap().grants.is_empty());
    desk.clock.advance_ms(3_600_000);
    desk.counter.tidy().await.unwrap();
    let over = desk.counter.list(Some("wu"), &[State::Expired]).await.unwrap().grants;
    assert_eq!(over.len(), usize::try_from(PER_PERSON).unwrap());
    desk.asked("wu").await;
}

#[tokio::test]
async fn a_grant_that_does_not_read_hides_no_other_and_holds_up_none() {
    let desk = desk();
    let (bad, good) = (desk.asked("wu").await, desk.asked("wu").await);
    let other = broken(&desk, "wu", false).await.unwrap();
    let state = rusqlite::Connection::open(desk.path.join("menshen.db")).unwrap();
    state.execute("UPDATE grants SET sealed = x'00' WHERE id = ?1", [&bad.id]).unwrap();
    let news = desk.counter.news(0).await.unwrap();
    let unreadable =
        Unreadable { id: bad.id.clone(), person: bad.person.clone(), owes_review: false };
    assert_eq!(news.unreadable, std::slice::from_ref(&unreadable));
    assert_eq!(news.grants.len(), 2);
    assert!(desk.counter.news(news.change).await.unwrap().unreadable.is_empty());
    let listed = desk.counter.list(Some("wu"), &State::ALL).await.unwrap();
    assert_eq!((listed.grants.len(), listed.unreadable), (2, vec![unreadable]));
    desk.clock.advance_ms(3_600_000);
    desk.counter.tidy().await.unwrap();
    desk.counter.remind().await.unwrap();
    assert_eq!(desk.counter.grant(&good.id).await.unwrap().state, State::Expired);
    let other = desk.counter.grant(&other.id).await.unwrap();
    assert_eq!(other.emergency.unwrap().told, Told::Overdue);
    assert!(desk.counter.grant(&bad.id).await.is_err());
}

#[tokio::test]
async fn of_two_who_decide_at_once_one_does() {
    let desk = desk();
    let grant = desk.asked("wu").await;
    let (tan, mei) = (who("tan"), who("mei"));
    let refused = desk.counter.refuse(&tan, &grant.id, "no");
    let revoked = desk.counter.revoke(&mei, &grant.id, "no");
    let (refused, revoked) = tokio::join!(refused, revoked);
    assert_eq!(usize::from(refused.is_ok()) + usize::from(revoked.is_ok()), 1);
}

async fn broken(desk: &Desk, holder: &str, drill: bool) -> Result<Grant, GrantError> {
    let review_until_s = desk.clock.unix_s() + 3600;
    let emergency = Emergency { review_until_s, grade: 4, drill, told: Told::Nothing };
    desk.counter.ask(&who(holder), ask(), (600, 3600), Some(emergency)).await
}

#[tokio::test]
async fn an_emergency_that_nobody_reviewed_makes_room_for_nothing_and_has_a_cap_of_its_own() {
    let desk = desk();
    let mut owed = Vec::new();
    for _ in 0..MOST_OWING {
        owed.push(broken(&desk, "wu", false).await.unwrap().id);
    }
    assert!(matches!(broken(&desk, "wu", true).await, Err(GrantError::Owing)));
    // The table has room for fifty in tests.
    for person in 0..20 {
        for _ in 0..PER_PERSON {
            desk.asked(&format!("p{person}")).await;
        }
        desk.clock.advance_ms(3_600_000);
        desk.counter.tidy().await.unwrap();
    }
    for id in &owed {
        let grant = desk.counter.grant(id).await.unwrap();
        assert!(grant.review.is_none() && grant.is_overdue(desk.clock.unix_s()));
    }
    desk.counter.review(&who("eve"), &owed[0], Verdict::Fit, "r").await.unwrap();
    broken(&desk, "wu", true).await.unwrap();
}

#[tokio::test]
async fn an_emergency_that_is_too_long_to_be_told_is_refused_and_any_other_grant_is_not() {
    let desk = desk();
    let about = |people: usize| {
        let keys: Vec<String> =
            (0..people).map(|n| format!("guest:{n}-{}", "G".repeat(200))).collect();
        let keys = keys.join(" ");
        let read = Ask::read(|field| match field {
            "route" => "guest.scan",
            "subjects" => &keys,
            "reason" => "fire",
            _ => "",
        });
        read.unwrap()
    };
    let glass =
        |told| Some(Emergency { review_until_s: NOW_S + 3600, grade: 4, drill: false, told });
    let wu = who("wu");
    let asks = |people, emergency| desk.counter.ask(&wu, about(people), (600, 3600), emergency);
    let long = asks(60, glass(Told::Nothing)).await;
    assert!(matches!(long, Err(GrantError::Ask(AskFault::TooLong))), "{long:?}");
    assert!(desk.store.pending_acts().await.unwrap().is_empty(), "nothing is kept");
    asks(30, glass(Told::Nothing)).await.unwrap();
    asks(60, None).await.unwrap();
}

#[tokio::test]
async fn a_review_is_reminded_of_once_when_it_is_due_and_once_when_it_is_overdue() {
    let desk = desk();
    let (one, drill) = (broken(&desk, "wu", false).await.unwrap(), broken(&desk, "wu", true).await);
    let reviewed = broken(&desk, "wu", false).await.unwrap();
    desk.counter.review(&who("eve"), &reviewed.id, Verdict::Unfit, "r").await.unwrap();
    let mut told = Vec::new();
    for _ in 0..5 {
        desk.counter.remind().await.unwrap();
        desk.counter.remind().await.unwrap();
        desk.clock.advance_ms(900_000);
    }
    for act in desk.store.pending_acts().await.unwrap() {
        if act.name.starts_with("grant_review_") {
            told.push((act.name.clone(), act.object.clone()));
        }
    }
    let (one, drill) = (format!("grant {}", one.id), format!("grant {}", drill.unwrap().id));
    let mut wanted = vec![
        ("grant_review_due".to_owned(), one.clone()),
        ("grant_review_due_drill".to_owned(), drill.clone()),
        ("grant_review_overdue".to_owned(), one),
        ("grant_review_overdue_drill".to_owned(), drill),
    ];
    wanted.sort();
    told.sort();
    assert_eq!(told, wanted);
}

fn about_a_search(rows: Option<u32>, subjects: &str) -> Result<Ask, AskFault> {
    let rows = rows.map_or_else(String::new, |rows| rows.to_string());
    let fields = [
        ("route", "customer.find"),
        ("action", "search"),
        ("subjects", subjects),
        ("reason", "complaint 7"),
        ("rows", rows.as_str()),
    ];
    let field = |name: &str| fields.iter().find(|(field, _)| *field == name).map_or("", |f| f.1);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Ask::read(field)?.about_search(Some(vec![pair("status", "open"), pair("branch", "12")]))
}

#[test]
fn whoever_decides_reads_the_search_and_how_many_rows_and_the_log_only_its_parameters() {
    let scope = about_a_search(Some(50), "").unwrap().scope;
    assert_eq!(
        scope.sentence(),
        "search customer.find of whoever the search by branch `12` and status `open` finds (50 rows at most in all)"
    );
    assert_eq!(
        scope.counted(),
        "search customer.find of whoever the search by branch and status finds (50 rows at most in all)"
    );
    let among = about_a_search(Some(1), "customer:C7").unwrap().scope.sentence();
    assert!(among.contains("of customer C7 among whoever the search"), "{among}");
    assert!(among.ends_with("finds (1 row at most)"), "{among}");
}

#[test]
fn a_search_has_rows_that_the_policy_lets_it_have_or_is_not_granted() {
    let terms = Terms { rows: Some(50), ..TERMS };
    let width = |rows: Option<u32>, subjects: &str, terms: &Terms| {
        let scope = about_a_search(rows, subjects).unwrap().scope;
        check_width(&scope, (600, Some(1)), terms)
    };
    assert_eq!(width(Some(50), "", &terms), Ok(()));
    assert_eq!(width(Some(51), "", &terms), Err(ApprovalFault::TooWide("more rows", 50)));
    assert_eq!(width(Some(0), "", &terms), Err(ApprovalFault::TooWide("more rows", 50)));
    assert_eq!(width(None, "", &terms), Err(ApprovalFault::TooWide("more rows", 50)));
    assert_eq!(width(Some(1), "", &TERMS), Err(ApprovalFault::NoSearch));
    assert_eq!(width(Some(1), "c:1", &terms), Ok(()));
    let many = width(Some(1), "c:1 c:2 c:3 c:4 c:5 c:6 c:7 c:8 c:9", &terms);
    assert!(matches!(many, Err(ApprovalFault::TooWide("more people", _))), "{many:?}");
    let without = Ask::read(|name| match name {
        "reason" => "r",
        "rows" => "5",
        _ => "",
    });
    let without = without.unwrap();
    assert!(matches!(
        without.clone().about_search(Some(Vec::new())),
        Err(AskFault::Form("rows", _))
    ));
    assert!(matches!(without.about_search(None), Err(AskFault::Form("query", _))));
}
