//! A browser whose request needs a factor is led to it and back, its request is sent once, and the ways to
//! abuse that.

use menshen::audit::Entry;
use menshen::identity::Standing;
use serde_json::json;

use crate::harness::client::Client;
use crate::harness::gate::session_of;
use crate::harness::{Answer, Ask, Connection, Gate, OPEN_BANK, Reply, Setup, holds, soon};

const PASSWORD: &str = "a quiet lantern";
const FORM: &str = "name=li&phone=13812345678";
const STEP_UP: &str = "/.menshen/step-up";

/// A bank whose tellers need a fresh code to add a customer or to search, a code and a grant to take all
/// along, and a key for the vault. Its second host is there for whoever mistakes the one for the other.
fn policy() -> String {
    let fresh = "require: { assurance: 2, fresh: 15m }";
    let create = format!("    action: create\n    {fresh}\n    sent-as: [json, form]\n");
    let more = concat!(
        "  vault.view:\n    match: GET bank.example/vault/{id}\n    to: core\n    action: view\n",
        "    require: { assurance: 3 }\n    returns: { customer: $ }\n",
        "  other.view:\n    match: GET other.example/one/{id}\n    to: core\n    action: view\n",
        "    returns: { customer: $ }\n",
        "roles:",
    );
    OPEN_BANK
        .replace("    action: create\n", &create)
        .replace("    action: search\n", &format!("    action: search\n    {fresh}\n"))
        .replace(
            "    action: export\n",
            "    action: export\n    require: { assurance: 2, grant: required }\n",
        )
        .replacen("roles:", more, 1)
}

async fn started(yaml: &str) -> Gate {
    let gate = Setup::policy(&policy()).yaml(yaml).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1,"name":"li"}"#));
    gate.add_account("wang", PASSWORD, "teller").await;
    gate
}

/// As a browser goes somewhere from a page of the same host.
fn browse(ask: Ask, session: &str) -> Ask {
    ask.cookie(session)
        .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
}

fn add(session: &str) -> Ask {
    browse(Ask::new("POST", "/one").form(FORM), session)
}

/// Where the browser is led, which must be the page of a step-up.
#[track_caller]
fn led_to(answer: &Answer) -> String {
    let to = answer.expect(303).header("location").unwrap();
    assert!(to.starts_with("/.menshen/step-up?r="), "{to}");
    to.to_owned()
}

fn confirm(to: &str, session: &str) -> Ask {
    let (path, r) = to.split_once('?').unwrap();
    browse(Ask::new("POST", path).form(r), session)
}

/// Shows a code for the session, as the page does, and gives the new one.
async fn show_code(
    gate: &Gate,
    connection: &mut Connection,
    secret: &menshen::secret::Secret<Vec<u8>>,
    (session, to): (&str, &str),
) -> String {
    let form = format!("code={}&next={to}", gate.code(secret));
    let sent =
        connection.send(browse(Ask::new("POST", "/.menshen/code").form(&form), session)).await;
    assert_eq!(sent.expect(303).header("location"), Some(to));
    session_of(&sent)
}

/// A session, raised, and where its kept request waits to be confirmed.
async fn waiting(gate: &Gate, ask: impl Fn(&str) -> Ask) -> (Connection, String, String) {
    let secret = gate.enrol("wang").await;
    let mut connection = gate.h2().await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let to = led_to(&connection.send(ask(&session)).await);
    let session = show_code(gate, &mut connection, &secret, (&session, &to)).await;
    (connection, session, to)
}

fn not_kept(answer: &Answer, status: u16) {
    assert_eq!(answer.expect(status).header("location"), None, "{}", answer.text());
}

fn acts<'a>(entries: &'a [Entry], name: &'a str) -> impl Iterator<Item = &'a Entry> {
    entries.iter().filter(move |e| e.act.as_ref().is_some_and(|act| act.name.as_str() == name))
}

#[tokio::test]
async fn a_form_that_needs_a_factor_is_kept_shown_and_sent_once() {
    let mut gate = started("").await;
    let secret = gate.enrol("wang").await;
    for mut connection in [gate.h1().await, gate.h2().await] {
        gate.advance_s(60);
        let before = gate.upstream.hits();
        let session = gate.sign_in("wang", PASSWORD).await;
        let to = led_to(&connection.send(add(&session)).await);
        let page = connection.send(browse(Ask::get(&to), &session)).await;
        assert!(page.expect(200).text().contains("name=\"code\""), "{}", page.text());
        assert!(page.text().contains(&format!("name=\"next\" value=\"{to}\"")), "{}", page.text());
        let wrong = format!("code=000000&next={to}");
        let wrong = Ask::new("POST", "/.menshen/code").form(&wrong);
        connection.send(browse(wrong, &session)).await.expect(401);
        let session = show_code(&gate, &mut connection, &secret, (&session, &to)).await;
        let page = connection.send(browse(Ask::get(&to), &session)).await;
        for text in ["POST /one", "25 bytes", "Send it now", "action=\"/.menshen/step-up\""] {
            assert!(page.expect(200).text().contains(text), "{text}: {}", page.text());
        }
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"));
        assert!(!page.text().contains("13812345678") && !page.text().contains("<script"));
        assert_eq!(gate.upstream.hits(), before, "nothing goes on before it is confirmed");
        let sent = connection.send(confirm(&to, &session)).await;
        assert_eq!(sent.expect(200).json()["name"], "li");
        let asked = gate.upstream.asked().pop().unwrap();
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/one"));
        assert_eq!(asked.body, b"name=li&phone=13812345678");
        assert_eq!(asked.header("cookie"), None);
        not_kept(&connection.send(confirm(&to, &session)).await, 404);
        not_kept(&connection.send(browse(Ask::get(&to), &session)).await, 404);
        assert_eq!(gate.upstream.hits(), before + 1);
    }
    let entries = gate.entries().await;
    let kept: Vec<&Entry> = acts(&entries, "request_kept").collect();
    let resumed: Vec<&Entry> = acts(&entries, "request_resumed").collect();
    assert_eq!(
        (kept.len(), resumed.len(), acts(&entries, "kept_request_shown").count()),
        (2, 2, 4)
    );
    for (kept, resumed) in kept.iter().zip(&resumed) {
        let object = |entry: &Entry| entry.act.as_ref().unwrap().object.clone();
        assert_eq!(object(kept), object(resumed), "one leads to the other");
        let told = kept.result.as_ref().unwrap();
        assert_eq!((told.status, told.cause.as_str()), (Some(303), "step_up"));
        let route = |entry: &Entry| entry.request.as_ref().unwrap().route.clone();
        assert_eq!(route(kept), route(resumed));
        let outcome = entries.iter().find(|entry| entry.decided_by == Some(resumed.id)).unwrap();
        assert_eq!(outcome.result.as_ref().unwrap().status, Some(200));
    }
}

#[tokio::test]
async fn a_page_that_needs_a_factor_keeps_its_path_and_query() {
    let gate = started("").await;
    gate.upstream.answers(Reply::json(r#"{"items":[{"id":1,"name":"li"}]}"#));
    let list = |session: &str| browse(Ask::get("/list?name=li&sort=name"), session);
    let (mut connection, session, to) = waiting(&gate, list).await;
    let page = connection.send(browse(Ask::get(&to), &session)).await;
    assert!(page.expect(200).text().contains("GET /list"), "{}", page.text());
    let answer = connection.send(confirm(&to, &session)).await;
    assert_eq!(answer.expect(200).json()["items"][0]["name"], "li");
    let target = gate.upstream.asked().pop().unwrap().target;
    assert!(target.starts_with("/list?") && target.contains("name=li"), "{target}");
}

#[tokio::test]
async fn a_browser_without_a_purpose_chooses_one_and_a_form_survives_that_and_a_factor() {
    let work = "    to: teller\n    of: customer\n";
    let policy = policy().replacen(work, &format!("{work}    purpose: service\n"), 1);
    let mut gate = Setup::policy(&policy).start().await;
    gate.upstream.answers(Reply::json(r#"{"id":1,"name":"li"}"#));
    gate.add_account("wang", PASSWORD, "teller").await;
    let secret = gate.enrol("wang").await;
    let mut connection = gate.h2().await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let look = || browse(Ask::get("/one/1"), &session);
    let choose = |to: &str, purpose: &str, session: &str| {
        let (path, r) = to.split_once('?').unwrap();
        browse(Ask::new("POST", path).form(&format!("{r}&purpose={purpose}")), session)
    };
    let to = led_to(&connection.send(look()).await);
    let page = connection.send(browse(Ask::get(&to), &session)).await;
    for text in ["Say what for", "GET /one/1", "value=\"service\" required"] {
        assert!(page.expect(200).text().contains(text), "{text}: {}", page.text());
    }
    for other in ["", "curiosity"] {
        let to = led_to(&connection.send(look()).await);
        not_kept(&connection.send(choose(&to, other, &session)).await, 403);
        not_kept(&connection.send(choose(&to, "service", &session)).await, 404);
    }
    assert_eq!(gate.upstream.hits(), 0);
    let to = led_to(&connection.send(look()).await);
    connection.send(choose(&to, "service", &session)).await.expect(200);
    // What says a purpose, if a wrong one, or is no browser's, is told.
    not_kept(&connection.send(look().header("menshen-purpose", "curiosity")).await, 403);
    let program = Ask::get("/one/1").cookie(&session).header("sec-fetch-site", "same-origin");
    not_kept(&connection.send(program).await, 403);
    // A form waits for the one and then for the other, whichever comes first, and is sent once.
    let mut to = led_to(&connection.send(add(&session)).await);
    let mut session = session.clone();
    for _ in 0..2 {
        let page = connection.send(browse(Ask::get(&to), &session)).await;
        if page.expect(200).text().contains("name=\"code\"") {
            session = show_code(&gate, &mut connection, &secret, (&session, &to)).await;
        }
        let sent = connection.send(choose(&to, "service", &session)).await;
        if sent.status == 200 {
            break;
        }
        to = led_to(&sent);
    }
    assert_eq!(gate.upstream.hits(), 2);
    assert_eq!(gate.upstream.asked().pop().unwrap().body, b"name=li&phone=13812345678");
    not_kept(&connection.send(confirm(&to, &session)).await, 404);
    let entries = gate.entries().await;
    let told = entries
        .iter()
        .filter(|entry| entry.why.as_ref().is_some_and(|why| why.purpose.as_str() == "service"));
    assert!(told.count() >= 2, "the log has the purpose");
}

#[tokio::test]
async fn of_many_confirmations_at_once_one_reaches_the_backend() {
    let gate = started("").await;
    let (connection, session, to) = waiting(&gate, add).await;
    let sent = (0..8).map(|_| {
        let (mut twin, ask) = (connection.twin(), confirm(&to, &session));
        async move { twin.send(ask).await.status.as_u16() }
    });
    let mut statuses = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    sent.for_each(|one| {
        tasks.spawn(one);
    });
    while let Some(status) = tasks.join_next().await {
        statuses.push(status.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [&[200][..], &[404; 7]].concat());
    assert_eq!(gate.upstream.hits(), 1);
}

#[tokio::test]
async fn nobody_but_its_session_on_its_host_and_in_its_zone_sends_it() {
    let gate = started("").await;
    gate.add_account("li", PASSWORD, "teller").await;
    let (mut connection, session, to) = waiting(&gate, add).await;
    let own = gate.sign_in("wang", PASSWORD).await;
    let foreign = gate.sign_in("li", PASSWORD).await;
    for other in [&own, &foreign] {
        not_kept(&connection.send(confirm(&to, other)).await, 404);
        not_kept(&connection.send(browse(Ask::get(&to), other)).await, 404);
    }
    let elsewhere = Client { host: "other.example".to_owned(), ..gate.client() };
    for client in [elsewhere, gate.public_client()] {
        let mut there = client.h2().await;
        not_kept(&there.send(confirm(&to, &session)).await, 401);
        let sent = there.send(browse(Ask::get(&to), &session)).await;
        assert!(sent.expect(303).header("location").unwrap().starts_with("/.menshen/login"));
    }
    for name in ["", "r=", "r=x", "r=..%2f..%2f", &format!("r={}", "x".repeat(22)), "x=1"] {
        let ask = browse(Ask::new("POST", STEP_UP).form(name), &session);
        not_kept(&connection.send(ask).await, 404);
        not_kept(
            &connection.send(browse(Ask::get(&format!("{STEP_UP}?{name}")), &session)).await,
            404,
        );
    }
    let evil = confirm(&to, &session);
    let evil = Ask {
        headers: evil.headers.into_iter().filter(|(name, _)| name != "sec-fetch-site").collect(),
        ..evil
    };
    connection.send(evil.header("sec-fetch-site", "cross-site")).await.expect(403);
    let token = Ask::new("POST", STEP_UP).form(to.split_once('?').unwrap().1);
    let token = token.header("sec-fetch-site", "same-origin").bearer(&gate.teller());
    connection.send(token).await.expect(401);
    assert_eq!(gate.upstream.hits(), 0);
    connection.send(confirm(&to, &session)).await.expect(200);
}

#[tokio::test]
async fn the_policy_decides_anew_when_it_is_sent() {
    let gate = started("").await;
    let (mut connection, session, to) = waiting(&gate, add).await;
    let closed = policy().replace("search, export, update, create]", "search, export, update]");
    let old = gate.server().policy_version();
    std::fs::write(gate.path("policies/policy.yaml"), closed).unwrap();
    soon("a new policy", async {
        while gate.server().policy_version() == old {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
    not_kept(&connection.send(confirm(&to, &session)).await, 403);
    not_kept(&connection.send(confirm(&to, &session)).await, 404);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_request_that_asks_for_a_factor_again_is_told_and_led_nowhere() {
    let gate = started("sessions: { parked-for: 1h, idle: 2h }").await;
    let (mut connection, session, to) = waiting(&gate, add).await;
    gate.advance_s(901);
    let page = connection.send(browse(Ask::get(&to), &session)).await;
    assert!(
        page.expect(200).text().contains("name=\"code\""),
        "the code is stale: {}",
        page.text()
    );
    let answer = connection.send(confirm(&to, &session)).await;
    not_kept(&answer, 401);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert!(answer.text().contains("asks for a factor again"), "{}", answer.text());
    assert!(answer.header("www-authenticate").unwrap().contains("max_age=900"));
    not_kept(&connection.send(confirm(&to, &session)).await, 404);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn where_no_factor_helps_or_none_is_enrolled_nobody_is_led_anywhere() {
    let gate = started("").await;
    let mut connection = gate.h2().await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let answer = connection.send(add(&session)).await;
    not_kept(&answer, 401);
    assert!(answer.text().contains("enrol"), "{}", answer.text());
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    gate.enrol("wang").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let answer = connection.send(browse(Ask::get("/vault/1"), &session)).await;
    not_kept(&answer, 401);
    assert!(answer.text().contains("such as a passkey"), "{}", answer.text());
    // A grant is missing as well, and no factor gives one.
    let answer = connection.send(browse(Ask::get("/all"), &session)).await;
    not_kept(&answer, 403);
    assert_eq!(
        (answer.json()["title"].as_str(), gate.upstream.hits()),
        (Some("A grant is needed"), 0)
    );
}

#[tokio::test]
async fn what_no_browser_went_to_from_this_site_is_not_kept() {
    let gate = started("").await;
    gate.enrol("wang").await;
    let mut connection = gate.h2().await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let form = || Ask::new("POST", "/one").form(FORM).cookie(&session);
    let page = ("accept", "text/html");
    let same = ("sec-fetch-site", "same-origin");
    for (ask, status) in [
        (form().header(same.0, same.1), 401),
        (form().header(same.0, same.1).header("accept", "*/*"), 401),
        (
            form().header(page.0, page.1).header(same.0, same.1).header("sec-fetch-mode", "cors"),
            401,
        ),
        (
            form().header(page.0, page.1).header(same.0, same.1).header("sec-fetch-dest", "iframe"),
            401,
        ),
        (form().header(page.0, page.1).header("sec-fetch-site", "cross-site"), 403),
        (form().header(page.0, page.1).header("sec-fetch-site", "same-site"), 403),
        (form().header(page.0, page.1).header("origin", "https://evil.example"), 403),
        (form().header(page.0, page.1), 403),
        (Ask::post("/one", r#"{"name":"li"}"#).cookie(&session).header(page.0, page.1), 401),
        (
            Ask::get("/list")
                .cookie(&session)
                .header(page.0, page.1)
                .header("sec-fetch-site", "cross-site"),
            401,
        ),
        (
            Ask::get("/list")
                .cookie(&session)
                .header(page.0, page.1)
                .header("sec-purpose", "prefetch"),
            401,
        ),
        (Ask::get("/list").cookie(&session), 401),
    ] {
        let answer = connection.send(ask.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (status, None), "{ask:?}");
        answer.json();
    }
    let token = gate.token(&json!({ "acr": "1" }));
    let told = connection.send(Ask::get("/list").bearer(&token).header(page.0, page.1)).await;
    not_kept(&told, 401);
    assert_eq!(told.json()["step_up"]["post"], json!(null), "a token shows no codes");
}

#[tokio::test]
async fn what_is_kept_is_bounded_in_size_number_and_time() {
    let gate = started("sessions: { parked-kib: 4, parked-for: 5m }").await;
    let secret = gate.enrol("wang").await;
    let mut connection = gate.h2().await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let large =
        |bytes: usize| Ask::new("POST", "/one").form(&format!("name={}", "x".repeat(bytes - 5)));
    let answer = connection.send(browse(large(4097), &session)).await;
    not_kept(&answer, 401);
    assert!(answer.text().contains("too large"), "{}", answer.text());
    let old = led_to(&connection.send(browse(large(4096), &session)).await);
    let to = led_to(&connection.send(add(&session)).await);
    not_kept(&connection.send(browse(Ask::get(&old), &session)).await, 404);
    // What is refused is counted by the minute, which may end meanwhile.
    let mut answer = connection.send(add(&session)).await;
    for _ in 0..100 {
        if answer.status == 303 {
            answer = connection.send(add(&session)).await;
        }
    }
    not_kept(&answer, 401);
    assert!(answer.text().contains("Too many requests were kept"), "{}", answer.text());
    not_kept(&connection.send(browse(Ask::get(&to), &session)).await, 404);
    let other = browse(Ask::get("/list?name=li"), &session);
    let to = led_to(&connection.send(other).await);
    let session = show_code(&gate, &mut connection, &secret, (&session, &to)).await;
    gate.advance_s(300);
    not_kept(&connection.send(confirm(&to, &session)).await, 404);
    assert_eq!(gate.upstream.hits(), 0);
    let rows = "SELECT count(*) FROM parked";
    let state = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    assert!(state.query_row(rows, [], |row| row.get::<_, i64>(0)).unwrap() <= 1);
}

#[tokio::test]
async fn where_nothing_is_kept_the_page_says_so() {
    let gate = started("sessions: { parked-kib: 0 }").await;
    gate.enrol("wang").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    let answer = gate.ask(add(&session)).await;
    not_kept(&answer, 401);
    assert!(answer.text().contains("not kept here"), "{}", answer.text());
}

#[tokio::test]
async fn a_kept_request_ends_with_its_session_and_survives_a_restart() {
    let mut gate = started("").await;
    let (_, session, to) = waiting(&gate, add).await;
    gate.restart().await;
    let page = gate.ask(browse(Ask::get(&to), &session)).await;
    assert!(page.expect(200).text().contains("Send it now"));
    gate.ask(Ask::post("/.menshen/logout", "{}").cookie(&session)).await.expect(204);
    let answer = gate.ask(confirm(&to, &session)).await;
    assert_ne!(answer.status, 200);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_kept_request_of_whoever_lost_the_role_or_was_suspended_is_not_sent() {
    let gate = started("").await;
    let (mut connection, session, to) = waiting(&gate, add).await;
    gate.identity().set_roles("wang", vec!["stranger".to_owned()]).await.unwrap();
    not_kept(&connection.send(confirm(&to, &session)).await, 403);
    gate.identity().set_roles("wang", vec!["teller".to_owned()]).await.unwrap();
    not_kept(&connection.send(confirm(&to, &session)).await, 404);
    let look = Ask::get("/one/1").cookie(&session);
    connection.send(look.clone()).await.expect(200);
    let hits = gate.upstream.hits();
    // The factor has aged meanwhile, so that one more request waits.
    gate.advance_s(16 * 60);
    let to = led_to(&connection.send(add(&session)).await);
    gate.identity().set_standing("wang", Standing::Suspended).await.unwrap();
    not_kept(&connection.send(confirm(&to, &session)).await, 401);
    connection.send(look).await.expect(401);
    assert_eq!(gate.upstream.hits(), hits);
}

#[tokio::test]
async fn a_sealed_request_that_was_moved_to_another_row_does_not_open() {
    let gate = started("").await;
    gate.add_account("li", PASSWORD, "teller").await;
    let (mut connection, session, to) = waiting(&gate, add).await;
    gate.enrol("li").await;
    let other = gate.sign_in("li", PASSWORD).await;
    let changed = Ask::new("POST", "/one").form("name=moved");
    led_to(&connection.send(browse(changed, &other)).await);
    let state = rusqlite::Connection::open(gate.path("state/menshen.db")).unwrap();
    let swap =
        "UPDATE parked SET sealed = (SELECT sealed FROM parked AS p WHERE p.seq <> parked.seq)";
    assert_eq!(state.execute(swap, []).unwrap(), 2);
    drop(state);
    not_kept(&connection.send(browse(Ask::get(&to), &session)).await, 404);
    not_kept(&connection.send(confirm(&to, &session)).await, 404);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn a_kept_request_is_legible_nowhere_on_the_disk() {
    let mut gate = started("").await;
    let canary = |session: &str| {
        let ask = Ask::new("POST", "/one").form("name=CANARY&phone=13587654321");
        browse(ask, session).header("user-agent", "browser").header("idempotency-key", "CANARY")
    };
    let (mut connection, session, to) = waiting(&gate, canary).await;
    let written = |gate: &Gate| {
        let mut all = Vec::new();
        for folder in ["state", "log"] {
            let mut folders = vec![gate.path(folder)];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                    } else {
                        all.extend(std::fs::read(path).unwrap());
                    }
                }
            }
        }
        all
    };
    let bytes = written(&gate);
    connection.send(confirm(&to, &session)).await.expect(200);
    gate.stop().await;
    for bytes in [bytes, written(&gate)] {
        assert!(bytes.len() > 4096);
        for secret in ["CANARY", "13587654321", &to[20..]] {
            assert!(!holds(&bytes, secret), "`{secret}` was written");
        }
    }
}
