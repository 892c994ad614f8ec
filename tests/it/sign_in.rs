//! Signing in and out, as a program and as a browser, and the ways to abuse it.

use menshen::identity::Standing;
use serde_json::json;

use crate::harness::gate::session_of;
use crate::harness::{Ask, Connection, Gate, OPEN_BANK, Reply, Setup, holds};

const PASSWORD: &str = "a quiet lantern";
const ORIGIN: (&str, &str) = ("origin", "https://bank.example");

async fn started() -> Gate {
    let setup = Setup::policy(OPEN_BANK).tweak(|config| {
        // The tests guess more often than an address may; that limit has a test of its own.
        config.addresses.attempts.burst = 1000;
    });
    let gate = setup.start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.add_account("wang", PASSWORD, "teller").await;
    gate
}

fn login(account: &str, password: &str) -> Ask {
    Ask::post("/.menshen/login", &json!({ "account": account, "password": password }).to_string())
}

fn code(code: &str, session: &str) -> Ask {
    Ask::post("/.menshen/code", &json!({ "code": code }).to_string()).cookie(session)
}

async fn view(connection: &mut Connection, session: &str) -> u16 {
    connection.send(Ask::get("/one/1").cookie(session)).await.status.as_u16()
}

#[tokio::test]
async fn a_program_signs_in_with_password_and_code_and_out_again() {
    let gate = started().await;
    let secret = gate.enrol("wang").await;
    for mut connection in [gate.h1().await, gate.h2().await] {
        gate.advance_s(60);
        let answer = connection.send(login(" Wang ", PASSWORD)).await;
        let said = json!({ "account": "wang", "assurance": 1, "next": "/.menshen/code" });
        assert_eq!(answer.expect(200).json(), said);
        let first = session_of(&answer);
        let answer = connection.send(code(&gate.code(&secret), &first)).await;
        assert_eq!(
            answer.expect(200).json(),
            json!({ "account": "wang", "assurance": 2, "next": null })
        );
        let second = session_of(&answer);
        assert_eq!(view(&mut connection, &first).await, 401, "the weaker cookie is dead");
        assert_eq!(view(&mut connection, &second).await, 200);
        let shown = connection.send(Ask::get("/.menshen/session").cookie(&second)).await;
        assert_eq!(shown.expect(200).json()["roles"], json!(["teller"]));
        let out = connection.send(Ask::post("/.menshen/logout", "{}").cookie(&second)).await;
        let cleared = out.expect(204).header("set-cookie").unwrap();
        assert!(
            cleared.starts_with("__Host-menshen=;") && cleared.contains("Max-Age=0"),
            "{cleared}"
        );
        assert_eq!(view(&mut connection, &second).await, 401);
        let again = connection.send(Ask::post("/.menshen/logout", "{}").cookie(&second)).await;
        again.expect(204);
    }
}

#[tokio::test]
async fn a_browser_is_led_through_the_pages_and_back() {
    let gate = started().await;
    let secret = gate.enrol("wang").await;
    let mut connection = gate.h2().await;
    let html = |ask: Ask| ask.header("accept", "text/html,*/*;q=0.8");
    let sent = connection.send(html(Ask::get("/one/1"))).await;
    assert_eq!(sent.expect(303).header("location"), Some("/.menshen/login?next=/one/1"));
    let list = connection.send(html(Ask::get("/list?name=li&sort=name"))).await;
    let to = "/.menshen/login?next=/list?name=li&sort=name";
    assert_eq!(list.expect(303).header("location"), Some(to));
    let page = connection.send(html(Ask::get(to))).await;
    let next = "name=\"next\" value=\"/list?name=li&#38;sort=name\"";
    assert!(page.expect(200).text().contains(next), "{}", page.text());
    let page = connection.send(html(Ask::get("/.menshen/login?next=/one/1"))).await;
    assert!(page.expect(200).text().contains("value=\"/one/1\""), "{}", page.text());
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    // Passkeys need one; everything else works without it, and nothing stands inline.
    assert_eq!(page.text().matches("<script").count(), 1);
    assert!(page.text().contains("<script src=\"/.menshen/passkey.js\"></script>"));
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"));
    let script = connection.send(Ask::get("/.menshen/passkey.js")).await;
    let kind = script.expect(200).header("content-type").unwrap();
    assert_eq!(
        (kind, script.header("x-content-type-options")),
        ("text/javascript; charset=utf-8", Some("nosniff"))
    );
    let form = "account=wang&password=a+quiet+lantern&next=%2Fone%2F1";
    let sent = connection
        .send(Ask::new("POST", "/.menshen/login").form(form).header(ORIGIN.0, ORIGIN.1))
        .await;
    assert_eq!(sent.expect(303).header("location"), Some("/.menshen/code?next=/one/1"));
    let first = session_of(&sent);
    let wrong = Ask::new("POST", "/.menshen/code").form("code=000000&next=/one/1").cookie(&first);
    let page = connection.send(wrong.header("sec-fetch-site", "same-origin")).await;
    assert!(page.expect(401).text().contains("role=\"alert\""));
    let right = format!("code={}&next=/one/1", gate.code(&secret));
    let right = Ask::new("POST", "/.menshen/code").form(&right).cookie(&first);
    let sent = connection.send(right.header(ORIGIN.0, ORIGIN.1)).await;
    assert_eq!(sent.expect(303).header("location"), Some("/one/1"));
    assert_eq!(view(&mut connection, &session_of(&sent)).await, 200);
    connection.send(Ask::get("/.menshen/style.css")).await.expect(200);
}

#[tokio::test]
async fn the_cookie_goes_nowhere_but_back_and_to_no_script() {
    let gate = started().await;
    let answer = gate.ask(login("wang", PASSWORD)).await;
    let cookie = answer.expect(200).header("set-cookie").unwrap();
    let (pair, flags) = cookie.split_once("; ").unwrap();
    let value = pair.strip_prefix("__Host-menshen=").unwrap();
    assert_eq!(value.len(), 43, "256 random bits");
    let mut flags: Vec<_> = flags.split("; ").collect();
    flags.sort_unstable();
    assert_eq!(flags, ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict", "Secure"]);
    let other = gate.ask(login("wang", PASSWORD)).await;
    assert_ne!(session_of(&other), value, "every session has its own");
    assert!(!holds(&answer.body, value), "and it stands nowhere else");
}

#[tokio::test]
async fn another_sites_page_can_neither_sign_in_nor_out() {
    let gate = started().await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let mut connection = gate.h1().await;
    let form = |path: &str| {
        Ask::new("POST", path).form("account=wang&password=a+quiet+lantern&code=1").cookie(&session)
    };
    for path in ["/.menshen/login", "/.menshen/code", "/.menshen/logout"] {
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "http://bank.example"),
            ("origin", "https://bank.example.evil.example"),
            ("origin", "https://evil.example/bank.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("x-nothing", "neither says where it comes from"),
        ] {
            let answer = connection.send(form(path).header(name, value)).await;
            assert_eq!(answer.status, 403, "{path} {name}: {value}");
            assert_eq!(answer.header("set-cookie"), None);
        }
        let both = form(path).header("sec-fetch-site", "cross-site").header(ORIGIN.0, ORIGIN.1);
        connection.send(both).await.expect(403);
        let json = Ask::post(path, "{}").cookie(&session).header("origin", "https://evil.example");
        connection.send(json).await.expect(403);
        let plain = Ask::new("POST", path)
            .header("content-type", "text/plain")
            .body(b"{}")
            .cookie(&session);
        connection.send(plain).await.expect(403);
    }
    assert_eq!(view(&mut connection, &session).await, 200, "nobody was signed out");
}

#[tokio::test]
async fn signing_in_leads_to_no_other_site() {
    let gate = started().await;
    let mut connection = gate.h1().await;
    for next in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/a%0d%0ax: y",
        "/a\r\nset-cookie: x=y",
        "/\t/evil.example",
        "/王",
    ] {
        let encoded: String = next.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let form = format!("account=wang&password=a+quiet+lantern&next={encoded}");
        let ask = Ask::new("POST", "/.menshen/login").form(&form).header(ORIGIN.0, ORIGIN.1);
        let answer = connection.send(ask).await;
        let to = answer.expect(303).header("location").unwrap();
        let is_local = to.starts_with('/') && !to.starts_with("//") && !to.contains('\\');
        assert!(is_local && !to.contains("evil.example"), "{next:?} leads to {to}");
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 1);
    }
    let page = connection.send(Ask::get("/.menshen/login?next=%22%3E%3Cscript%3E")).await;
    assert_eq!(page.expect(200).text().matches("<script").count(), 1, "the gate's own");
}

#[tokio::test]
async fn unknown_known_and_disabled_names_are_refused_and_locked_alike() {
    let gate = started().await;
    gate.add_account("li", PASSWORD, "teller").await;
    gate.identity().set_standing("li", Standing::Disabled).await.unwrap();
    let mut connection = gate.h1().await;
    let mut traces = Vec::new();
    for (name, password) in [("wang", "wrong words"), ("nobody", "wrong words"), ("li", PASSWORD)] {
        let mut trace = Vec::new();
        for _ in 0..12 {
            trace.push(connection.send(login(name, password)).await.told());
        }
        traces.push(trace);
    }
    assert_eq!(traces[0], traces[1]);
    assert_eq!(traces[0], traces[2]);
    let statuses: Vec<_> = traces[0].iter().map(|told| told.0).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    let right = connection.send(login("wang", PASSWORD)).await;
    assert_eq!(
        right.expect(429).header("retry-after"),
        Some("1800"),
        "locked for the right one too"
    );
    gate.advance_s(1800);
    connection.send(login("wang", PASSWORD)).await.expect(200);
    connection.send(login("li", PASSWORD)).await.expect(401);
}

#[tokio::test]
async fn a_lock_out_survives_a_restart() {
    let mut gate = started().await;
    for _ in 0..10 {
        gate.ask(login("wang", "wrong words")).await.expect(401);
    }
    gate.restart().await;
    gate.ask(login("wang", PASSWORD)).await.expect(429);
}

#[tokio::test]
async fn a_one_time_code_works_once() {
    let gate = started().await;
    let secret = gate.enrol("wang").await;
    let mut connection = gate.h1().await;
    let now = gate.code(&secret);
    let first = gate.sign_in("wang", PASSWORD).await;
    let second = gate.sign_in("wang", PASSWORD).await;
    let lifted = session_of(connection.send(code(&now, &first)).await.expect(200));
    connection.send(code(&now, &second)).await.expect(401);
    connection.send(code(&now, &lifted)).await.expect(401);
    for wrong in
        ["", "0", "12345", "1234567", "abcdef", "１２３４５６", &format!(" {now}"), "-12345"]
    {
        let answer = connection.send(code(wrong, &second)).await;
        assert!(matches!(answer.status.as_u16(), 401 | 429), "`{wrong}`: {}", answer.text());
    }
}

#[tokio::test]
async fn guessing_codes_locks_the_name_whatever_the_session() {
    let gate = started().await;
    let secret = gate.enrol("wang").await;
    let mut connection = gate.h1().await;
    let mut statuses = Vec::new();
    for n in 0..12 {
        let answer = connection.send(login("wang", PASSWORD)).await;
        if answer.status != 200 {
            statuses.push(answer.status.as_u16());
            continue;
        }
        let guess =
            format!("{:06}", (gate.code(&secret).parse::<u32>().unwrap() + 1 + n) % 1_000_000);
        let answer = connection.send(code(&guess, &session_of(&answer))).await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses[0], 401);
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
}

#[tokio::test]
async fn a_session_ends_by_idleness_age_password_and_switch() {
    let gate = started().await;
    let mut connection = gate.h2().await;
    let idle = gate.sign_in("wang", PASSWORD).await;
    gate.advance_s(30 * 60);
    assert_eq!(view(&mut connection, &idle).await, 401);
    let old = gate.sign_in("wang", PASSWORD).await;
    for _ in 0..24 {
        assert_eq!(view(&mut connection, &old).await, 200);
        // A use is noted behind the answer; whatever is written later comes after it.
        let nobodys = "x".repeat(43);
        connection.send(Ask::post("/.menshen/logout", "{}").cookie(&nobodys)).await.expect(204);
        gate.advance_s(29 * 60);
    }
    gate.advance_s(25 * 60);
    assert_eq!(view(&mut connection, &old).await, 401, "twelve hours are over");
    let session = gate.sign_in("wang", PASSWORD).await;
    let new = menshen::secret::Secret::new("another quiet lantern".to_owned());
    gate.identity().set_password("wang", new).await.unwrap();
    assert_eq!(view(&mut connection, &session).await, 401);
    let session = gate.sign_in("wang", "another quiet lantern").await;
    assert_eq!(view(&mut connection, &session).await, 200);
    gate.identity().set_standing("wang", Standing::Disabled).await.unwrap();
    assert_eq!(view(&mut connection, &session).await, 401);
}

#[tokio::test]
async fn sessions_survive_a_restart_and_the_oldest_ends_when_there_are_too_many() {
    let mut gate = started().await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(gate.sign_in("wang", PASSWORD).await);
        gate.advance_s(1);
    }
    gate.restart().await;
    let mut connection = gate.h1().await;
    let mut statuses = Vec::new();
    for session in &sessions {
        statuses.push(view(&mut connection, session).await);
    }
    assert_eq!(statuses, [401, 200, 200, 200]);
}

#[tokio::test]
async fn every_step_is_in_the_log_and_a_mistyped_name_is_not() {
    let mut gate = started().await;
    let secret = gate.enrol("wang").await;
    let mut connection = gate.h1().await;
    connection.send(login("my secret words", PASSWORD)).await.expect(401);
    connection.send(login("wang", "wrong words")).await.expect(401);
    let session = gate.sign_in("wang", PASSWORD).await;
    connection.send(code("000000", &session)).await.expect(401);
    let session =
        session_of(connection.send(code(&gate.code(&secret), &session)).await.expect(200));
    connection.send(Ask::get("/.menshen/session").cookie(&session)).await.expect(200);
    connection.send(Ask::post("/.menshen/logout", "{}").cookie(&session)).await.expect(204);
    let entries = gate.entries().await;
    let steps: Vec<_> = entries
        .iter()
        .filter(|entry| entry.event == menshen::audit::Event::Session)
        .map(|entry| {
            let act = entry.act.as_ref().unwrap();
            assert!(entry.origin.as_ref().unwrap().address.is_some());
            (act.name.as_str(), act.object.as_str().to_owned(), act.succeeded.unwrap())
        })
        .collect();
    assert!(steps[0].1.starts_with("unknown:"), "{steps:?}");
    let rest: Vec<_> = steps.iter().map(|(name, _, succeeded)| (*name, *succeeded)).collect();
    let expected = [
        ("sign_in", false),
        ("sign_in", false),
        ("sign_in", true),
        ("one_time_code", false),
        ("one_time_code", true),
        ("session_shown", true),
        ("sign_out", true),
    ];
    assert_eq!(rest, expected);
    for (place, step) in steps.iter().enumerate().skip(1) {
        assert_eq!(step.1, "wang", "step {place} names whose it is: {steps:?}");
    }
}

#[tokio::test]
async fn sign_ins_that_nobody_judged_are_counted_and_cannot_fill_the_log() {
    let mut gate = started().await;
    let mut connection = gate.h1().await;
    for _ in 0..10 {
        connection.send(login("wang", "wrong words")).await.expect(401);
    }
    for _ in 0..200 {
        connection.send(login("wang", "wrong words")).await.expect(429);
    }
    let entries = gate.entries().await;
    let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
    let sign_ins = acts.filter(|act| act.name.as_str() == "sign_in").count();
    assert!((10..=30).contains(&sign_ins), "{sign_ins}");
    assert!(entries.len() < 80, "{}", entries.len());
}

#[tokio::test]
async fn codes_that_a_lock_kept_from_being_judged_cannot_fill_the_log() {
    let mut gate = started().await;
    gate.enrol("wang").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let mut connection = gate.h1().await;
    for _ in 0..10 {
        connection.send(code("000000", &session)).await;
    }
    for _ in 0..300 {
        connection.send(code("000000", &session)).await.expect(429);
    }
    let entries = gate.entries().await;
    let acts = || entries.iter().filter_map(|entry| entry.act.as_ref());
    let codes = acts().filter(|act| act.name.as_str() == "one_time_code").count();
    assert!((10..=131).contains(&codes), "{codes}");
    let gathered = acts().filter(|act| act.name.as_str() == "refusals_gathered");
    let gathered = gathered.filter(|act| act.object.as_str().starts_with("one account"));
    assert_eq!(gathered.filter_map(|act| act.count).sum::<u64>(), 180);
    assert!(entries.len() < 200, "{}", entries.len());
}

#[tokio::test]
async fn looks_at_the_pages_of_a_sign_in_are_counted_in_the_log() {
    let mut gate = started().await;
    let mut connection = gate.h1().await;
    for _ in 0..50 {
        connection.send(Ask::get("/.menshen/login?next=/one/1")).await.expect(200);
    }
    connection.send(Ask::get("/.menshen/code")).await.expect(200);
    let entries = gate.entries().await;
    let shown: Vec<_> = entries
        .iter()
        .filter(|entry| entry.act.as_ref().is_some_and(|act| act.name.as_str() == "pages_shown"))
        .collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    let counts = shown.iter().map(|entry| {
        assert!(entry.origin.as_ref().unwrap().address.is_some());
        let act = entry.act.as_ref().unwrap();
        (act.object.as_str(), act.count.unwrap())
    });
    let counts: std::collections::BTreeMap<_, _> = counts.collect();
    assert_eq!((counts["sign_in"], counts["one_time_code"]), (50, 1));
}

#[tokio::test]
async fn strange_forms_are_refused() {
    let gate = started().await;
    let mut connection = gate.h1().await;
    for ask in [
        Ask::post("/.menshen/login", ""),
        Ask::post("/.menshen/login", "[]"),
        Ask::post("/.menshen/login", r#"{"account":1}"#),
        Ask::post("/.menshen/login", r#"{"account":{"$ne":""},"password":{"$ne":""}}"#),
        Ask::post("/.menshen/login", r#"{"account":"wang""#),
        Ask::new("POST", "/.menshen/login")
            .header("content-type", "application/xml")
            .body(b"<x/>")
            .header(ORIGIN.0, ORIGIN.1),
        Ask::new("POST", "/.menshen/login").form("account=%ff").header(ORIGIN.0, ORIGIN.1),
    ] {
        connection.send(ask).await.expect(400);
    }
    connection.send(Ask::post("/.menshen/login", &"x".repeat(5000))).await.expect(413);
    for path in ["/.menshen/login", "/.menshen/code", "/.menshen/logout"] {
        connection.send(Ask::new("DELETE", path)).await.expect(404);
    }
    connection.send(Ask::post("/.menshen/code", r#"{"code":"1"}"#)).await.expect(401);
    connection.send(Ask::get("/.menshen/nothing")).await.expect(404);
    connection.send(Ask::get("/.menshen/session")).await.expect(401);
}

#[tokio::test]
async fn a_session_is_good_on_the_host_and_in_the_zone_that_gave_it_and_nowhere_else() {
    let both = OPEN_BANK.replace(
        "roles: { teller",
        "  other.view:\n    match: GET other.example/one/{id}\n    to: core\n    action: view\n    \
         returns: { customer: $ }\nroles: { teller",
    );
    let gate = Setup::policy(&both).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1}"#));
    gate.add_account("wang", PASSWORD, "teller").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    assert_eq!(view(&mut gate.h1().await, &session).await, 200);
    let mut elsewhere = gate.public_client().h1().await;
    assert_eq!(view(&mut elsewhere, &session).await, 401, "another zone");
    let mut client = gate.client();
    client.host = "other.example".to_owned();
    assert_eq!(view(&mut client.h2().await, &session).await, 401, "another host");
    let out = Ask::post("/.menshen/logout", "{}").cookie(&session);
    elsewhere.send(out).await.expect(204);
    assert_eq!(view(&mut gate.h1().await, &session).await, 200, "nobody else can end it");
    let answer = elsewhere.send(login("wang", PASSWORD)).await;
    assert_eq!(view(&mut elsewhere, &session_of(answer.expect(200))).await, 200);
}
