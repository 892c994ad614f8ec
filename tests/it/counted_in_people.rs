//! Promise 7: limits count people per person, whatever the session, connection or process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use menshen::clock::Clock;
use menshen::server::Server;
use serde_json::json;
use tokio::sync::Barrier;
use tokio_util::task::TaskTracker;

use crate::harness::process::{Process, menshen};
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, soon};
use crate::monitoring::ask_plain;

fn limited(limits: &str) -> Setup {
    Setup::policy(&format!("{OPEN_BANK}limits:\n  - to: teller\n{limits}"))
}

/// Answers `/one/N` with the customer N, and `/list` and `/all` with `rows` of them.
fn customers(gate: &Gate, rows: u32) {
    gate.upstream.answers_by(move |asked| {
        if let Some(id) = asked.target.strip_prefix("/one/") {
            return Reply::json(format!(r#"{{"id":"{id}","name":"n{id}"}}"#));
        }
        let items: Vec<String> = (1..=rows)
            .map(|id| format!(r#"{{"id":"{id}","name":"n{id}","note":"{:0300}"}}"#, id))
            .collect();
        let items = items.join(",");
        if asked.target.starts_with("/list") {
            Reply::json(format!(r#"{{"items":[{items}],"next":null}}"#))
        } else {
            Reply::chunked([format!("[{items}]")])
        }
    });
}

async fn view(gate: &Gate, token: &str, id: u32) -> Answer {
    gate.ask(Ask::get(&format!("/one/{id}")).by(token)).await
}

#[tokio::test]
async fn a_key_beyond_64_bits_counts_by_its_digits_however_it_is_written() {
    let gate = limited("    subjects: [2/h]\n").start().await;
    let token = gate.teller();
    for (id, status) in [
        ("18446744073709551615", 200),
        ("1e3", 200),
        ("1000.0", 200),
        ("18446744073709551616", 429),
        ("1.5", 502),
    ] {
        gate.upstream.answers(Reply::json(format!(r#"{{"id":{id},"name":"a"}}"#)));
        view(&gate, &token, 1).await.expect(status);
    }
    let items = r#"{"items":[{"id":1e3},{"id":18446744073709551615}]}"#;
    gate.upstream.answers(Reply::json(items));
    let list = gate.ask(Ask::get("/list").by(&token)).await;
    assert_eq!(list.expect(200).text(), items);
}

#[tokio::test]
async fn the_sixth_person_is_refused_and_the_first_five_are_still_served() {
    let gate = limited("    subjects: [5/h]\n").start().await;
    customers(&gate, 0);
    let token = gate.teller();
    for id in 1..=5 {
        view(&gate, &token, id).await.expect(200);
    }
    let refused = view(&gate, &token, 6).await;
    refused.expect(429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=7200).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").unwrap().contains("r=0"), "{refused:?}");
    for id in [1, 5, 3, 3] {
        view(&gate, &token, id).await.expect(200);
    }
    let colleague = gate.token(&json!({ "sub": "li" }));
    view(&gate, &colleague, 6).await.expect(200);
    gate.advance_s(2 * 3600);
    view(&gate, &token, 6).await.expect(200);
}

#[tokio::test]
async fn parallel_connections_and_sessions_never_exceed_it_together() {
    let gate = Arc::new(limited("    subjects: [7/h]\n").start().await);
    customers(&gate, 0);
    let tasks = TaskTracker::new();
    let start = Arc::new(Barrier::new(8));
    let mut running = Vec::new();
    for n in 0..8 {
        let (gate, start) = (Arc::clone(&gate), Arc::clone(&start));
        running.push(tasks.spawn(async move {
            let token = gate.token(&json!({ "jti": format!("session {n}") }));
            let mut connection = if n % 2 == 0 { gate.h1().await } else { gate.h2().await };
            soon("all to connect", start.wait()).await;
            let mut seen = BTreeSet::new();
            for round in 0..4 {
                let id = n * 4 + round;
                let answer = connection.send(Ask::get(&format!("/one/{id}")).by(&token)).await;
                if answer.status == 200 {
                    seen.insert(answer.json()["id"].as_str().unwrap().to_owned());
                } else {
                    answer.expect(429);
                }
            }
            seen
        }));
    }
    let mut seen = BTreeSet::new();
    for task in running {
        seen.extend(task.await.unwrap());
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}

#[tokio::test]
async fn a_restart_refills_nothing() {
    let mut gate = limited("    subjects: [3/h]\n    records: [6/h]\n").start().await;
    customers(&gate, 0);
    let token = gate.teller();
    for id in 1..=3 {
        view(&gate, &token, id).await.expect(200);
    }
    gate.restart().await;
    view(&gate, &token, 4).await.expect(429);
    for id in 1..=3 {
        view(&gate, &token, id).await.expect(200);
    }
    gate.restart().await;
    view(&gate, &token, 1).await.expect(429);
}

#[tokio::test]
async fn the_forty_first_person_is_refused_also_after_the_gate_was_killed() {
    let gate = limited("    subjects: [40/h]\n").prepare(Clock::system()).await;
    customers(&gate, 0);
    let token = gate.teller();
    let process = Process::run(&gate, "info").await;
    let mut connection = process.client().h1().await;
    let look = |id: u32| Ask::get(&format!("/one/{id}")).by(&token);
    for id in 1..=40 {
        connection.send(look(id)).await.expect(200);
    }
    connection.send(look(41)).await.expect(429);
    // SIGKILL, not a word before it.
    drop(process);
    let process = Process::run(&gate, "info").await;
    let mut connection = process.client().h1().await;
    connection.send(look(41)).await.expect(429);
    connection.send(look(7)).await.expect(200);
    drop(process);
}

#[tokio::test]
async fn local_accounts_share_a_count_over_all_their_sessions() {
    let gate = limited("    subjects: [2/h]\n").start().await;
    customers(&gate, 0);
    gate.add_account("wang", "a quiet lantern", "teller").await;
    let mut cookies = Vec::new();
    for _ in 0..2 {
        cookies.push(gate.sign_in("wang", "a quiet lantern").await);
    }
    for (session, id, status) in [(0, 1, 200), (1, 2, 200), (0, 3, 429), (1, 3, 429), (1, 1, 200)] {
        let ask = Ask::get(&format!("/one/{id}")).cookie(&cookies[session]);
        gate.ask(ask).await.expect(status);
    }
}

#[tokio::test]
async fn a_list_is_cut_at_a_record_and_says_how_many_were_held_back() {
    let mut gate = limited("    subjects: [4/h]\n").start().await;
    customers(&gate, 10);
    let token = gate.teller();
    for mut connection in [gate.h1().await, gate.h2().await] {
        let answer = connection.send(Ask::get("/list").by(&token)).await;
        let items = answer.expect(200).json()["items"].as_array().unwrap().len();
        assert_eq!((items, answer.header("menshen-held-back")), (4, Some("6")));
    }
    let entries = gate.entries().await;
    let data = entries.last().unwrap().data.as_ref().unwrap();
    assert_eq!((data.records, data.held_back), (Some(4), Some(6)));
}

#[tokio::test]
async fn a_stream_cut_by_a_limit_says_so_in_a_trailer_or_is_reset() {
    let mut gate =
        limited("    records: [1000/h]\n").yaml("bodies: { held-kib: 16 }").start().await;
    customers(&gate, 300);
    let reads_trailers = |n: u32| {
        let token = gate.token(&json!({ "sub": format!("reader {n}") }));
        (Ask::get("/all").by(&token), Ask::get("/all").by(&token).header("te", "trailers"))
    };
    for (n, mut connection) in [(1, gate.h1().await), (2, gate.h2().await)] {
        let (plain, with_trailers) = reads_trailers(n);
        for _ in 0..3 {
            let whole = connection.send(plain.clone()).await;
            assert_eq!(whole.expect(200).json().as_array().unwrap().len(), 300);
        }
        let limited = connection.send(with_trailers).await;
        let records = limited.expect(200).json().as_array().unwrap().len();
        let held_back = limited.trailers.get("menshen-held-back").map(|v| v.to_str().unwrap());
        assert_eq!((records, held_back), (100, Some("200")));
    }
    for (n, mut connection) in [(3, gate.h1().await), (4, gate.h2().await)] {
        let (plain, _) = reads_trailers(n);
        for _ in 0..3 {
            connection.send(plain.clone()).await.expect(200);
        }
        let limited = connection.send(plain).await;
        assert_eq!(limited.status, 200);
        assert!(limited.cut.is_some(), "it ended as if it were whole");
    }
    let entries = gate.entries().await;
    let limited = entries.iter().filter(|entry| {
        let ended = entry.result.as_ref().and_then(|result| result.ended);
        ended == Some(menshen::audit::Ending::Limited)
    });
    let held_back: Vec<_> =
        limited.map(|entry| entry.data.as_ref().unwrap().held_back.unwrap()).collect();
    assert_eq!(held_back, [200; 4]);
}

#[tokio::test]
async fn a_page_may_not_be_larger_than_its_limit_whatever_the_backend_sends() {
    let gate = limited("    page: 3\n").start().await;
    customers(&gate, 10);
    let token = gate.teller();
    let mut connection = gate.h1().await;
    connection.send(Ask::get("/list?per_page=4").by(&token)).await.expect(400);
    connection.send(Ask::get("/list?per_page=0").by(&token)).await.expect(400);
    assert_eq!(gate.upstream.hits(), 0);
    let answer = connection.send(Ask::get("/list").by(&token)).await;
    assert_eq!(answer.expect(200).json()["items"].as_array().unwrap().len(), 3);
    assert_eq!(answer.header("menshen-held-back"), Some("7"));
    assert_eq!(gate.upstream.asked()[0].target, "/list?per_page=3");
}

#[tokio::test]
async fn a_caller_that_asks_too_fast_or_too_often_at_once_is_told_to_wait() {
    let gate = limited("    rate: 60/min burst 3\n").start().await;
    customers(&gate, 0);
    let token = gate.teller();
    for id in 1..=3 {
        view(&gate, &token, id).await.expect(200);
    }
    let refused = view(&gate, &token, 4).await;
    assert_eq!(refused.expect(429).header("retry-after"), Some("1"));
    gate.advance_s(1);
    view(&gate, &token, 4).await.expect(200);
    assert_eq!(gate.upstream.hits(), 4);
}

#[tokio::test]
async fn a_person_has_only_so_many_requests_open_at_once() {
    let gate = limited("    concurrent: 2\n").start().await;
    let go_on = Arc::new(tokio::sync::Semaphore::new(0));
    let held = Reply(vec![crate::harness::Step::Wait(Arc::clone(&go_on))]);
    let rest = Reply::json(r#"{"id":1}"#).0;
    gate.upstream.answers(Reply([held.0, rest].concat()));
    let token = gate.teller();
    let (mut first, mut second) = (gate.h1().await, gate.h2().await);
    let ask = || Ask::get("/one/1").by(&token);
    let open = async { tokio::join!(first.send(ask()), second.send(ask())) };
    let others = async {
        while gate.upstream.connections() < 2 {
            tokio::task::yield_now().await;
        }
        let refused = view(&gate, &token, 1).await;
        go_on.add_permits(2);
        refused
    };
    let ((one, two), refused) = tokio::join!(open, others);
    one.expect(200);
    two.expect(200);
    refused.expect(429);
}

#[tokio::test]
async fn what_was_refused_or_withheld_counts_for_nobody() {
    let gate = limited("    subjects: [2/h]\n").start().await;
    let token = gate.teller();
    gate.upstream.answers(Reply::json(r#"{"id":1,"name":"a""#));
    view(&gate, &token, 1).await.expect(502);
    gate.upstream.answers(Reply::with(404, &[], ""));
    view(&gate, &token, 2).await.expect(404);
    customers(&gate, 0);
    view(&gate, &token, 3).await.expect(200);
    view(&gate, &token, 4).await.expect(200);
    view(&gate, &token, 5).await.expect(429);
}

/// Two roles, and what is counted for each in another way.
fn shared(limits: &str) -> Setup {
    Setup::policy(&format!("{OPEN_BANK}limits:\n{limits}"))
}

#[tokio::test]
async fn colleagues_share_the_budget_of_their_role_also_after_a_restart() {
    let mut gate = shared(
        "  - { to: teller, subjects: 4/h }\n  - { to: teller, per: role, subjects: 5/day }\n",
    )
    .start()
    .await;
    customers(&gate, 0);
    let (ann, li) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    for id in 1..=4 {
        view(&gate, &ann, id).await.expect(200);
    }
    view(&gate, &ann, 5).await.expect(429);
    view(&gate, &li, 5).await.expect(200);
    let refused = view(&gate, &li, 6).await;
    refused.expect(429);
    // How much the others took is nobody's business.
    let told = refused.header("ratelimit").unwrap();
    assert!(told.contains("\"subjects-1h\";r=3") && !told.contains("subjects-1d"), "{told}");
    gate.restart().await;
    view(&gate, &li, 6).await.expect(429);
    view(&gate, &li, 3).await.expect(200);
}

#[tokio::test]
async fn a_tenant_shares_a_budget_over_its_people_and_another_has_its_own() {
    let gate = shared("  - { to: any, per: tenant, records: 3/h }\n").start().await;
    customers(&gate, 0);
    let of = |sub: &str, tenant: &str| gate.token(&json!({ "sub": sub, "tenant": tenant }));
    let (ann, li, wu) = (of("ann", "north"), of("li", "north"), of("wu", "south"));
    for token in [&ann, &li, &ann] {
        view(&gate, token, 1).await.expect(200);
    }
    view(&gate, &li, 1).await.expect(429);
    view(&gate, &wu, 1).await.expect(200);
}

#[tokio::test]
async fn a_limit_on_an_action_counts_its_own_requests_and_the_whole_counts_them_too() {
    let gate = shared(
        "  - { to: teller, subjects: 6/h }\n  - { to: teller, on: { action: search }, subjects: 2/h }\n",
    )
    .start()
    .await;
    customers(&gate, 4);
    let token = gate.teller();
    let list = gate.ask(Ask::get("/list").by(&token)).await;
    assert_eq!(list.expect(200).json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(list.header("menshen-held-back"), Some("2"));
    for id in 3..=6 {
        view(&gate, &token, id).await.expect(200);
    }
    view(&gate, &token, 7).await.expect(429);
}

#[tokio::test]
async fn parallel_requests_of_a_role_never_exceed_it_together() {
    let gate = Arc::new(
        shared("  - { to: teller, per: role, subjects: 7/h, records: 9/h }\n").start().await,
    );
    customers(&gate, 0);
    let tasks = TaskTracker::new();
    let start = Arc::new(Barrier::new(6));
    let mut running = Vec::new();
    for n in 0..6 {
        let (gate, start) = (Arc::clone(&gate), Arc::clone(&start));
        running.push(tasks.spawn(async move {
            let token = gate.token(&json!({ "sub": format!("person {n}") }));
            let mut connection = gate.h2().await;
            soon("all to connect", start.wait()).await;
            let mut seen = Vec::new();
            for round in 0..4 {
                let id = n * 3 + round;
                let answer = connection.send(Ask::get(&format!("/one/{id}")).by(&token)).await;
                if answer.status == 200 {
                    seen.push(answer.json()["id"].as_str().unwrap().to_owned());
                } else {
                    answer.expect(429);
                }
            }
            seen
        }));
    }
    let mut seen = Vec::new();
    for task in running {
        seen.extend(task.await.unwrap());
    }
    let people: BTreeSet<&String> = seen.iter().collect();
    assert!(people.len() <= 7 && seen.len() <= 9, "{seen:?}");
    assert!(people.len() == 7 || seen.len() == 9, "{seen:?}");
}

#[tokio::test]
async fn a_refusal_says_which_limit_when_it_frees_and_whom_to_ask() {
    let gate = shared(
        "  - { to: teller, subjects: 1/h }\n  - { to: teller, per: role, subjects: 2/day }\n",
    )
    .yaml("contact: service desk, 4711")
    .start()
    .await;
    customers(&gate, 0);
    let (ann, li) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    view(&gate, &ann, 1).await.expect(200);
    let own = view(&gate, &ann, 2).await;
    let told = own.expect(429).json();
    assert_eq!(told["limit"], "subjects-1h");
    let wait: u64 = own.header("retry-after").unwrap().parse().unwrap();
    assert_eq!((told["retry_after_s"].as_u64(), told.get("shared_by")), (Some(wait), None));
    assert_eq!(told["contact"], "service desk, 4711");
    view(&gate, &li, 2).await.expect(200);
    let eve = gate.token(&json!({ "sub": "eve" }));
    let shared = view(&gate, &eve, 3).await;
    let told = shared.expect(429).json();
    assert_eq!(
        (told["limit"].as_str(), told["shared_by"].as_str()),
        (Some("subjects-1d"), Some("role teller"))
    );
    assert!(told["retry_after_s"].as_u64().unwrap() > 80_000);
    assert!(!shared.header("ratelimit").unwrap().contains("subjects-1d"), "{shared:?}");
}

#[tokio::test]
async fn whoever_asks_too_much_with_a_browser_reads_so_in_their_language_and_when_to_come_back() {
    let contact = r#"contact: "desk <4711>""#;
    let gate = shared("  - { to: teller, subjects: 1/h }\n").yaml(contact).start().await;
    customers(&gate, 0);
    view(&gate, &gate.teller(), 1).await.expect(200);
    let browse = async |language: &str| {
        let ask = Ask::get("/one/2").by(&gate.teller());
        let ask = ask.header("accept", "text/html,*/*").header("accept-language", language);
        gate.ask(ask).await
    };
    let languages = [
        ("en", "Try again in {n} min."),
        ("zh-CN", "请在 {n} 分钟后重试"),
        ("th", "{n} นาที"),
        ("ko", "{n}분 후"),
        ("id", "{n} menit"),
    ];
    for (language, said) in languages {
        let page = browse(language).await;
        page.expect(429);
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
        assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
        assert!(page.header("ratelimit").is_some());
        let wait_s: u64 = page.header("retry-after").unwrap().parse().unwrap();
        let said = said.replace("{n}", &wait_s.div_ceil(60).to_string());
        let text = page.text();
        assert!(text.contains(&said) && text.contains("subjects-1h"), "{text}");
        assert!(text.contains("desk &#60;4711&#62;"), "{text}");
    }
    let told = view(&gate, &gate.teller(), 2).await;
    assert_eq!(told.expect(429).json()["limit"], "subjects-1h");
}

#[tokio::test]
async fn searches_that_find_nobody_are_counted_until_no_more_may() {
    let mut gate = shared("  - { to: teller, zero-hits: 2/h }\n").start().await;
    gate.upstream.answers_by(|asked| {
        if asked.target.starts_with("/one/") {
            return Reply::json(r#"{"id":"1","name":"li"}"#);
        }
        let found = asked.target.contains("name=li");
        let items = if found { r#"{"id":"1","name":"li"}"# } else { "" };
        Reply::json(format!(r#"{{"items":[{items}],"next":null}}"#))
    });
    let token = gate.teller();
    for (name, status) in [("li", 200), ("wu", 200), ("li", 200), ("xu", 200), ("li", 429)] {
        let answer = gate.ask(Ask::get(&format!("/list?name={name}")).by(&token)).await;
        answer.expect(status);
    }
    gate.restart().await;
    let refused = gate.ask(Ask::get("/list?name=li").by(&token)).await;
    assert_eq!(refused.expect(429).json()["limit"], "zero-hits-1h");
    assert_eq!(gate.upstream.hits(), 4);
    view(&gate, &token, 1).await.expect(200);
}

#[tokio::test]
async fn requests_of_an_hour_are_still_counted_after_a_restart() {
    let mut gate = limited("    rate: 40/h\n").start().await;
    customers(&gate, 0);
    let token = gate.teller();
    for _ in 0..30 {
        view(&gate, &token, 1).await.expect(200);
    }
    gate.restart().await;
    for _ in 0..10 {
        view(&gate, &token, 1).await.expect(200);
    }
    let refused = view(&gate, &token, 1).await;
    assert_eq!(refused.expect(429).json()["limit"], "requests-1h");
}

#[tokio::test]
async fn outside_of_the_hours_only_a_part_is_given() {
    // Whenever the test's clock is, one of these is off and the other is not.
    let gate = shared(
        "  - { to: teller, subjects: 8/h, off-hours: { hours: 'Mon-Sun 00:00-24:00', factor: 0.5 } }\n  \
           - { to: teller, on: { action: search }, subjects: 4/h, off-hours: { hours: 'Mon 00:00-00:01', factor: 0.5 } }\n",
    )
    .start()
    .await;
    customers(&gate, 10);
    let token = gate.teller();
    let list = gate.ask(Ask::get("/list").by(&token)).await;
    assert_eq!(list.expect(200).json()["items"].as_array().unwrap().len(), 2);
    for id in 1..=8 {
        view(&gate, &token, id).await.expect(200);
    }
    view(&gate, &token, 9).await.expect(429);
}

#[tokio::test]
async fn an_answer_that_reaches_a_limit_is_refused_whole_where_the_policy_says_so() {
    let mut gate = limited("    subjects: 4/h\n    when-reached: refuse\n").start().await;
    customers(&gate, 10);
    let token = gate.teller();
    let refused = gate.ask(Ask::get("/list").by(&token)).await;
    assert_eq!(refused.expect(429).json()["limit"], "subjects-1h");
    // Nothing left, so nothing counts, and the log names nobody.
    for id in 1..=4 {
        view(&gate, &token, id).await.expect(200);
    }
    view(&gate, &token, 5).await.expect(429);
    let entries = gate.entries().await;
    let refused = entries.iter().find(|entry| {
        entry.result.as_ref().is_some_and(|result| result.status == Some(429))
            && entry.event == menshen::audit::Event::Outcome
    });
    assert!(refused.unwrap().subjects.is_none());
}

#[tokio::test]
async fn an_answer_too_large_to_be_judged_whole_is_refused_where_it_would_have_to_be() {
    let gate = limited("    subjects: 4000/h\n    when-reached: refuse\n")
        .yaml("bodies: { held-kib: 16 }")
        .start()
        .await;
    customers(&gate, 300);
    let token = gate.teller();
    gate.ask(Ask::get("/all").by(&token)).await.expect(502);
    view(&gate, &token, 1).await.expect(200);
}

#[tokio::test]
async fn a_second_gate_on_the_state_does_not_start_and_what_is_done_beside_the_first_goes_on() {
    let mut gate = limited("    subjects: [2/h]\n").start().await;
    customers(&gate, 0);
    let token = gate.teller();
    let mut second = gate.config();
    second.log = gate.path("log-of-the-second");
    let refused = Box::pin(Server::start(second, gate.clock.clone())).await;
    let refused = refused.unwrap_err().to_string();
    let state = gate.path("state").display().to_string();
    let told = format!(
        "state: another menshen serves on `{state}`; stop that one or choose another folder"
    );
    assert_eq!(refused, told);
    // Whoever writes beside the gate does, and it hears of it.
    let key = gate.path("master.key").display().to_string();
    let revoked = menshen(&["account", "revoke", "corp:li", "--state", &state, "--key", &key]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    for (id, status) in [(1, 200), (2, 200), (3, 429)] {
        view(&gate, &token, id).await.expect(status);
    }
    // The file stays and says nothing.
    gate.stop().await;
    assert!(gate.path("state/lock").exists());
    gate.start().await;
    view(&gate, &token, 3).await.expect(429);
}

#[tokio::test]
async fn while_the_state_cannot_be_written_no_backend_is_asked_for_what_would_be_counted() {
    let setup = limited("    subjects: [500/h]\n").yaml("metrics: { address: \"127.0.0.1:0\" }");
    let gate = setup.prepare(Clock::system()).await;
    customers(&gate, 0);
    let process = Process::run(&gate, "info").await;
    process.says("metrics address=").await;
    let said = process.said();
    let (_, metrics) = said.split_once("metrics address=").unwrap();
    let metrics = metrics.lines().next().unwrap().parse().unwrap();
    let token = gate.teller();
    let mut connection = process.client().h1().await;
    let look = |id: u32| Ask::get(&format!("/one/{id}")).by(&token);
    connection.send(look(0)).await.expect(200);
    // No file grows beyond what this one has by now, so that the log has room and the state none before long.
    let journal = gate.path("state/menshen.db-wal");
    process.limit_files(Some(std::fs::metadata(journal).unwrap().len()));
    let mut looked = 1;
    while connection.send(look(looked)).await.status == 200 {
        looked += 1;
        assert!(looked < 400, "the state still has room");
    }
    let hits = gate.upstream.hits();
    assert_eq!(
        ask_plain(metrics, "GET", "/healthz").await,
        (503, "the state cannot be written\n".to_owned())
    );
    let (_, numbers) = ask_plain(metrics, "GET", "/metrics").await;
    assert!(numbers.contains("\nmenshen_state_writable 0\n"), "{numbers}");
    for id in 0..20 {
        let change = Ask::patch(&format!("/one/{id}"), r#"{"name":"c"}"#).by(&token);
        for ask in [look(id), change] {
            let answer = connection.send(ask).await;
            assert_eq!(answer.expect(503).json()["title"], "The access cannot be counted");
            assert!(answer.header("retry-after").is_some());
        }
    }
    assert_eq!(gate.upstream.hits(), hits, "no backend was asked");
    process.limit_files(None);
    // By itself, while nobody asks.
    let healed = async {
        while ask_plain(metrics, "GET", "/healthz").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon("the state to heal", healed).await;
    connection.send(look(1)).await.expect(200);
    let (status, said) = process.stop().await;
    assert!(status.success(), "{said}");
    assert!(said.contains("the state can be written again"), "{said}");
    let entries = gate.entries_so_far();
    let causes = entries.iter().filter_map(|entry| Some(entry.result.as_ref()?.cause.as_str()));
    assert_eq!(causes.filter(|cause| *cause == "store_unavailable").count(), 41);
}
