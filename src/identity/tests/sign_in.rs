//! Signing in: sessions that end when they should, codes that work once, guesses that run out.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::*;

async fn add(identity: &Identity, name: &str) {
    let account = NewAccount {
        name: name.into(),
        display_name: "王小明".into(),
        kind: CallerKind::Staff,
        roles: vec!["teller".into()],
        attributes: [("branch".into(), Attribute::Text("sh01".into()))].into(),
        password: secret(PASSWORD),
    };
    identity.add_account(account).await.unwrap();
}

async fn enter(identity: &Identity, name: &str, password: &str) -> Result<NewSession, SignInError> {
    identity.sign_in(name, secret(password), HERE, &here()).await
}

async fn ask(identity: &Identity, session: &NewSession) -> Result<Caller, AuthError> {
    let shown = identity.authenticate(Credentials::Session(cookie(session)), &here()).await;
    shown.map(Arc::unwrap_or_clone)
}

fn cookie(session: &NewSession) -> Cookie {
    Cookie::shown(session.cookie_value.clone(), here())
}

async fn code(
    identity: &Identity,
    session: &NewSession,
    code: &str,
) -> Result<NewSession, SignInError> {
    identity.present_code(&cookie(session), &secret(code), HERE).await
}

/// The code of that enrolment now.
fn shown(house: &House, enrolment: &Enrolment) -> String {
    totp_code_at(&enrolment.secret, house.clock.unix_s()).unwrap()
}

/// A code that is wrong now and beside now.
fn wrong(house: &House, enrolment: &Enrolment) -> String {
    let near: Vec<_> = [-30, 0, 30]
        .iter()
        .map(|shift| totp_code_at(&enrolment.secret, house.clock.unix_s() + shift).unwrap())
        .collect();
    (0..).map(|n| format!("{n:06}")).find(|guess| !near.contains(guess)).unwrap()
}

/// Wrong passwords for `name` until one is told to wait; gives how many were judged.
async fn guess_until_locked(identity: &Identity, name: &str) -> (usize, u64) {
    guess_from(identity, name, HERE).await
}

async fn guess_from(identity: &Identity, name: &str, address: IpAddr) -> (usize, u64) {
    for judged in 0..100 {
        match identity.sign_in(name, secret("wrong wrong wrong"), address, &here()).await {
            Err(SignInError::Refused) => {}
            Err(SignInError::TryLater { retry_after_s }) => return (judged, retry_after_s),
            other => panic!("{other:?}"),
        }
    }
    panic!("never locked");
}

#[tokio::test]
async fn a_password_opens_a_session_of_assurance_1() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let session = enter(&identity, " Wang ", PASSWORD).await.unwrap();
    assert_eq!((session.assurance, session.second_factor), (1, false));
    assert_eq!(session.cookie_value.expose().len(), 43);
    let caller = ask(&identity, &session).await.unwrap();
    assert_eq!((caller.account.as_str(), caller.assurance), ("wang", 1));
    assert_eq!(caller.roles, ["teller"]);
    assert_eq!(caller.attributes["branch"], Attribute::Text("sh01".into()));
    assert_eq!(caller.factor_time(1), Some(NOW_S));
    assert_eq!(caller.credential, CredentialRef::Session { reference: session.reference });
}

#[tokio::test]
async fn a_wrong_password_an_unknown_and_a_disabled_account_look_alike() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    add(&identity, "gone").await;
    identity.set_standing("gone", Standing::Disabled).await.unwrap();
    let long = "x".repeat(100_000);
    for (name, password) in [
        ("wang", "wrong wrong wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("", ""),
        ("wang", &long),
        (&long, PASSWORD),
        ("a\0b", PASSWORD),
    ] {
        let tried = enter(&identity, name, password).await;
        assert_eq!(tried.map(drop), Err(SignInError::Refused));
    }
}

#[tokio::test]
async fn ten_failures_lock_known_and_unknown_names_alike() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let known = guess_until_locked(&identity, "wang").await;
    let unknown = guess_until_locked(&identity, "nobody").await;
    assert_eq!(known, (10, 1800));
    assert_eq!(unknown, known);
    let right = enter(&identity, "wang", PASSWORD).await;
    assert_eq!(right.map(drop), Err(SignInError::TryLater { retry_after_s: 1800 }));
}

#[tokio::test]
async fn a_lock_outlives_its_window_and_a_restart_and_then_ends() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    guess_until_locked(&identity, "wang").await;
    drop(identity);
    house.advance_s(16 * 60);
    let identity = house.open();
    let early = enter(&identity, "WANG", PASSWORD).await;
    assert_eq!(early.map(drop), Err(SignInError::TryLater { retry_after_s: 14 * 60 }));
    house.advance_s(14 * 60);
    assert!(enter(&identity, "wang", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn failures_survive_a_restart() {
    let house = House::new();
    let identity = house.open();
    for _ in 0..9 {
        assert!(enter(&identity, "nobody", PASSWORD).await.is_err());
    }
    drop(identity);
    assert_eq!(guess_until_locked(&house.open(), "nobody").await.0, 1);
}

#[tokio::test]
async fn a_right_password_forgives_and_old_failures_fade() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    for _ in 0..9 {
        assert!(enter(&identity, "wang", "wrong wrong wrong").await.is_err());
    }
    assert!(enter(&identity, "wang", PASSWORD).await.is_ok());
    for _ in 0..9 {
        assert!(enter(&identity, "wang", "wrong wrong wrong").await.is_err());
    }
    house.advance_s(15 * 60);
    assert_eq!(guess_until_locked(&identity, "wang").await.0, 10);
}

/// Somewhere nobody signed in from.
fn elsewhere(place: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, place])
}

#[tokio::test]
async fn strangers_who_guess_lock_each_other_out_and_not_the_office() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    assert!(enter(&identity, "wang", PASSWORD).await.is_ok());
    for name in ["wang", "nobody"] {
        for place in 1..=9 {
            let tried = identity
                .sign_in(name, secret("wrong wrong wrong"), elsewhere(place), &here())
                .await;
            assert_eq!(tried.map(drop), Err(SignInError::Refused));
        }
        assert_eq!(guess_from(&identity, name, elsewhere(10)).await, (1, 1800), "{name}");
    }
    let right = identity.sign_in("wang", secret(PASSWORD), elsewhere(11), &here()).await;
    assert_eq!(right.map(drop), Err(SignInError::TryLater { retry_after_s: 1800 }));
    assert!(enter(&identity, "wang", PASSWORD).await.is_ok(), "the office goes on");
    assert_eq!(guess_until_locked(&identity, "wang").await, (10, 1800), "but may not guess");
    assert_eq!(guess_until_locked(&identity, "nobody").await, (10, 1800), "whoever it is about");
}

#[tokio::test]
async fn the_owner_of_a_name_gives_strangers_no_new_guesses() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    for place in 1..=9 {
        let tried =
            identity.sign_in("wang", secret("wrong wrong wrong"), elsewhere(place), &here()).await;
        assert!(tried.is_err());
    }
    assert!(enter(&identity, "wang", PASSWORD).await.is_ok(), "the tenth is right");
    assert!(enter(&identity, "wang", PASSWORD).await.is_ok());
    assert_eq!(guess_from(&identity, "wang", elsewhere(10)).await, (1, 1800));
}

#[tokio::test]
async fn each_lock_in_a_row_is_twice_as_long_up_to_a_day() {
    let house = House::new();
    let identity = house.open();
    for hours in [1, 2, 4, 8, 16, 32, 48, 48] {
        let (judged, retry_after_s) = guess_until_locked(&identity, "nobody").await;
        assert_eq!((judged, retry_after_s), (10, hours * 1800));
        house.advance_s(i64::try_from(retry_after_s).unwrap());
    }
    house.advance_s(24 * 3600);
    assert_eq!(guess_until_locked(&identity, "nobody").await, (10, 1800), "a day without one");
}

#[tokio::test]
async fn a_network_is_forgotten_if_nobody_signs_in_from_it() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    assert!(enter(&identity, "wang", PASSWORD).await.is_ok());
    house.advance_s(30 * 24 * 3600);
    guess_from(&identity, "wang", elsewhere(1)).await;
    let right = enter(&identity, "wang", PASSWORD).await;
    assert_eq!(right.map(drop), Err(SignInError::TryLater { retry_after_s: 1800 }));
}

#[tokio::test]
async fn an_operator_lets_a_locked_account_in_again_and_the_act_is_noted() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    guess_until_locked(&identity, "wang").await;
    identity.unlock("wang").await.unwrap();
    assert!(enter(&identity, "wang", PASSWORD).await.is_ok());
    assert_eq!(guess_until_locked(&identity, "wang").await, (10, 1800));
    let acts = identity.pending_acts().await.unwrap();
    assert!(acts.iter().any(|act| act.name == "account_unlocked" && act.account == "wang"));
    let unknown = identity.unlock("nobody").await.unwrap_err();
    assert!(unknown.to_string().contains("nobody"), "{unknown}");
}

#[tokio::test]
async fn guesses_made_at_once_are_no_more_than_guesses_one_by_one() {
    let mut house = House::new();
    house.settings.hashes_waiting = 100;
    // However busy the machine is, each is judged.
    house.settings.hash_patience_s = 600;
    let identity = std::sync::Arc::new(house.open());
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let identity = std::sync::Arc::clone(&identity);
        guesses.spawn(async move { enter(&identity, "nobody", PASSWORD).await.map(drop) });
    }
    let outcomes = guesses.join_all().await;
    let judged = outcomes.iter().filter(|outcome| **outcome == Err(SignInError::Refused)).count();
    assert_eq!(judged, 10);
}

#[tokio::test]
async fn an_address_runs_out_of_guesses_over_many_names() {
    let mut house = House::new();
    house.settings.lockout.per_address = 5;
    let identity = house.open();
    add(&identity, "wang").await;
    let from = |address: IpAddr, name: String| {
        let identity = &identity;
        async move { identity.sign_in(&name, secret(PASSWORD), address, &here()).await.map(drop) }
    };
    let net = |last: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
    for n in 0..5 {
        assert_eq!(from(net(n), format!("n{n}")).await, Err(SignInError::Refused));
        house.advance_s(1);
    }
    // The first failure leaves the window 15 minutes after it was made.
    let wait = SignInError::TryLater { retry_after_s: 895 };
    assert_eq!(from(net(99), "wang".into()).await, Err(wait));
    assert_eq!(from(HERE, "wang".into()).await, Ok(()));
    house.advance_s(895);
    assert_eq!(from(net(99), "wang".into()).await, Ok(()));
}

#[tokio::test]
async fn too_many_sign_ins_at_once_are_told_so_and_not_charged() {
    let mut house = House::new();
    (house.settings.hashes_at_once, house.settings.hashes_waiting) = (1, 0);
    let identity = house.open();
    let (one, two) =
        tokio::join!(enter(&identity, "nobody", PASSWORD), enter(&identity, "nobody", PASSWORD));
    assert_eq!((one.map(drop), two.map(drop)), (Err(SignInError::Refused), Err(SignInError::Busy)));
    assert_eq!(guess_until_locked(&identity, "nobody").await.0, 9);
}

#[tokio::test]
async fn a_sign_in_whose_turn_does_not_come_in_time_is_told_so_and_not_charged() {
    let mut house = House::new();
    (house.settings.hashes_at_once, house.settings.hash_patience_s) = (1, 0);
    let identity = house.open();
    for _ in 0..3 {
        let (one, two) = tokio::join!(
            enter(&identity, "nobody", PASSWORD),
            enter(&identity, "nobody", PASSWORD)
        );
        let told = [one.map(drop), two.map(drop)];
        assert!(told.contains(&Err(SignInError::Refused)), "{told:?}");
        assert!(told.contains(&Err(SignInError::Busy)), "{told:?}");
    }
    assert_eq!(guess_until_locked(&identity, "nobody").await.0, 7);
}

#[tokio::test]
async fn a_code_raises_the_session_to_2_and_the_old_cookie_dies() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let enrolment = identity.enrol_totp("wang").await.unwrap();
    let first = enter(&identity, "wang", PASSWORD).await.unwrap();
    assert!(first.second_factor);
    house.advance_s(20);
    let second = code(&identity, &first, &shown(&house, &enrolment)).await.unwrap();
    assert_eq!((second.assurance, second.second_factor), (2, false));
    assert_eq!(ask(&identity, &first).await, Err(AuthError::SessionEnded));
    let caller = ask(&identity, &second).await.unwrap();
    assert_eq!((caller.assurance, caller.factor_time(2)), (2, Some(NOW_S + 20)));
    assert_eq!(caller.factors[0].at_unix_s, Some(NOW_S));
    assert_eq!(second.max_age_s, 12 * 3600 - 20);
}

#[tokio::test]
async fn a_replayed_totp_code_is_refused() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let enrolment = identity.enrol_totp("wang").await.unwrap();
    let used = shown(&house, &enrolment);
    let session = enter(&identity, "wang", PASSWORD).await.unwrap();
    let session = code(&identity, &session, &used).await.unwrap();
    let again = code(&identity, &session, &used).await;
    assert_eq!(again.map(drop), Err(SignInError::Refused));
    let earlier = totp_code_at(&enrolment.secret, NOW_S - 30).unwrap();
    assert_eq!(code(&identity, &session, &earlier).await.map(drop), Err(SignInError::Refused));
    house.advance_s(30);
    let fresh = code(&identity, &session, &shown(&house, &enrolment)).await.unwrap();
    assert_eq!(fresh.factors.len(), 2);
    assert_eq!(ask(&identity, &fresh).await.unwrap().factor_time(2), Some(NOW_S + 30));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tasks_with_the_same_code_one_wins() {
    let house = House::new();
    let identity = std::sync::Arc::new(house.open());
    add(&identity, "wang").await;
    let enrolment = identity.enrol_totp("wang").await.unwrap();
    for _ in 0..5 {
        house.advance_s(30);
        let now = shown(&house, &enrolment);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let session = enter(&identity, "wang", PASSWORD).await.unwrap();
            let (identity, now) = (std::sync::Arc::clone(&identity), now.clone());
            tasks.spawn(async move { code(&identity, &session, &now).await.map(|s| s.assurance) });
        }
        let mut outcomes = tasks.join_all().await;
        outcomes.sort_by_key(Result::is_err);
        assert_eq!(outcomes, [Ok(2), Err(SignInError::Refused)]);
    }
}

#[tokio::test]
async fn wrong_codes_lock_the_name_and_signing_in_again_buys_no_more_guesses() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let enrolment = identity.enrol_totp("wang").await.unwrap();
    let guess = wrong(&house, &enrolment);
    for _ in 0..10 {
        let session = enter(&identity, "wang", PASSWORD).await.unwrap();
        assert_eq!(code(&identity, &session, &guess).await.map(drop), Err(SignInError::Refused));
    }
    let locked = enter(&identity, "wang", PASSWORD).await.map(drop);
    assert_eq!(locked, Err(SignInError::TryLater { retry_after_s: 1800 }));
}

#[tokio::test]
async fn a_locked_name_cannot_present_codes_on_an_open_session() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let enrolment = identity.enrol_totp("wang").await.unwrap();
    let session = enter(&identity, "wang", PASSWORD).await.unwrap();
    guess_until_locked(&identity, "wang").await;
    let tried = code(&identity, &session, &shown(&house, &enrolment)).await.map(drop);
    assert_eq!(tried, Err(SignInError::TryLater { retry_after_s: 1800 }));
    assert!(ask(&identity, &session).await.is_ok());
}

#[tokio::test]
async fn a_code_needs_a_live_session_and_an_enrolment() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let session = enter(&identity, "wang", PASSWORD).await.unwrap();
    let tried = code(&identity, &session, "123456").await.map(drop);
    assert_eq!(tried, Err(SignInError::NoSecondFactor));
    identity.sign_out(&cookie(&session)).await.unwrap();
    let tried = code(&identity, &session, "123456").await.map(drop);
    assert_eq!(tried, Err(SignInError::SessionEnded));
}

#[tokio::test]
async fn a_session_ends_when_idle_and_use_keeps_it_alive() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let (used, idle) = (
        enter(&identity, "wang", PASSWORD).await.unwrap(),
        enter(&identity, "wang", PASSWORD).await.unwrap(),
    );
    house.advance_s(20 * 60);
    assert!(ask(&identity, &used).await.is_ok());
    // Any durable write comes after the note of that use, which nobody waits for.
    identity.set_standing("nobody", Standing::Active).await.unwrap_err();
    house.advance_s(10 * 60);
    assert!(ask(&identity, &used).await.is_ok());
    assert_eq!(ask(&identity, &idle).await, Err(AuthError::SessionEnded));
}

#[tokio::test]
async fn a_session_ends_after_12_hours_however_busy() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let session = enter(&identity, "wang", PASSWORD).await.unwrap();
    for _ in 0..(12 * 6 - 1) {
        house.advance_s(600);
        assert!(ask(&identity, &session).await.is_ok());
        identity.set_standing("nobody", Standing::Active).await.unwrap_err();
    }
    house.advance_s(600);
    assert_eq!(ask(&identity, &session).await, Err(AuthError::SessionEnded));
}

#[tokio::test]
async fn the_fourth_session_ends_the_first() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(enter(&identity, "wang", PASSWORD).await.unwrap());
    }
    assert_eq!(ask(&identity, &sessions[0]).await, Err(AuthError::SessionEnded));
    for session in &sessions[1..] {
        assert!(ask(&identity, session).await.is_ok());
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once_and_for_good() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let session = enter(&identity, "wang", PASSWORD).await.unwrap();
    let out = identity.sign_out(&cookie(&session)).await.unwrap().unwrap();
    assert_eq!((out.account.as_str(), &out.reference), ("wang", &session.reference));
    assert_eq!(ask(&identity, &session).await, Err(AuthError::SessionEnded));
    assert_eq!(identity.sign_out(&cookie(&session)).await, Ok(None));
    assert_eq!(ask(&house.open(), &session).await, Err(AuthError::SessionEnded));
}

#[tokio::test]
async fn sessions_and_used_codes_survive_a_restart() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let enrolment = identity.enrol_totp("wang").await.unwrap();
    let used = shown(&house, &enrolment);
    let session = enter(&identity, "wang", PASSWORD).await.unwrap();
    let session = code(&identity, &session, &used).await.unwrap();
    drop(identity);
    let identity = house.open();
    assert_eq!(ask(&identity, &session).await.unwrap().assurance, 2);
    assert_eq!(code(&identity, &session, &used).await.map(drop), Err(SignInError::Refused));
}

#[tokio::test]
async fn disabling_a_password_change_and_a_new_enrolment_end_all_sessions() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let session = enter(&identity, "wang", PASSWORD).await.unwrap();
    identity.set_standing("wang", Standing::Disabled).await.unwrap();
    assert_eq!(ask(&identity, &session).await, Err(AuthError::SessionEnded));
    identity.set_standing("wang", Standing::Active).await.unwrap();
    assert_eq!(ask(&identity, &session).await, Err(AuthError::SessionEnded));
    let session = enter(&identity, "wang", PASSWORD).await.unwrap();
    identity.enrol_totp("wang").await.unwrap();
    assert_eq!(ask(&identity, &session).await, Err(AuthError::SessionEnded));
    let session = enter(&identity, "wang", PASSWORD).await.unwrap();
    identity.set_password("wang", secret("another lantern")).await.unwrap();
    assert_eq!(ask(&identity, &session).await, Err(AuthError::SessionEnded));
    assert_eq!(enter(&identity, "wang", PASSWORD).await.map(drop), Err(SignInError::Refused));
    assert!(enter(&identity, "wang", "another lantern").await.is_ok());
}

#[tokio::test]
async fn another_process_can_end_a_session_at_once() {
    let house = House::new();
    let (serving, operator) = (house.open(), house.open());
    add(&serving, "wang").await;
    let session = enter(&serving, "wang", PASSWORD).await.unwrap();
    assert!(ask(&serving, &session).await.is_ok());
    operator.set_standing("wang", Standing::Disabled).await.unwrap();
    assert_eq!(ask(&serving, &session).await, Err(AuthError::SessionEnded));
}

#[tokio::test]
async fn the_log_names_known_accounts_and_hashes_the_rest() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let known = identity.account_ref("WANG").await.unwrap();
    assert_eq!(known, AccountRef::Known("wang".into()));
    let typed_password = identity.account_ref(PASSWORD).await.unwrap().to_string();
    assert!(typed_password.starts_with("unknown:") && !typed_password.contains("lantern"));
}

#[tokio::test]
async fn accounts_with_odd_names_roles_or_passwords_are_refused() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let good = || NewAccount {
        name: "li".into(),
        display_name: "李".into(),
        kind: CallerKind::Staff,
        roles: Vec::new(),
        attributes: BTreeMap::new(),
        password: secret(PASSWORD),
    };
    let refused =
        async |account: NewAccount| identity.add_account(account).await.unwrap_err().to_string();
    for name in ["", "Li", "a:b", "-a", "a b", "李", &"a".repeat(65)] {
        assert!(
            refused(NewAccount { name: name.into(), ..good() }).await.contains("a-z"),
            "{name}"
        );
    }
    let taken = refused(NewAccount { name: "wang".into(), ..good() }).await;
    assert_eq!(taken, "`wang` exists already");
    let short = refused(NewAccount { password: secret("short"), ..good() }).await;
    assert_eq!(short, "a password must have 12 to 128 characters");
    let role = refused(NewAccount { roles: vec!["a\nb".into()], ..good() }).await;
    assert!(role.starts_with("role `"), "{role}");
    assert_eq!(identity.accounts().await.unwrap().len(), 1);
    let unknown = identity.enrol_totp("nobody").await.unwrap_err().to_string();
    assert_eq!(unknown, "`nobody` does not exist");
}

#[tokio::test]
async fn a_copy_of_the_state_holds_no_password_code_secret_or_cookie() {
    let house = House::new();
    let identity = house.open();
    add(&identity, "wang").await;
    let enrolment = identity.enrol_totp("wang").await.unwrap();
    let session = enter(&identity, "wang", PASSWORD).await.unwrap();
    // Still open: closing folds the journal into the database, which would remove a file meanwhile.
    for file in std::fs::read_dir(house.path("state")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(!holds(PASSWORD.as_bytes()));
        assert!(!holds(enrolment.secret.expose()));
        assert!(!holds(session.cookie_value.expose().as_bytes()));
    }
}
