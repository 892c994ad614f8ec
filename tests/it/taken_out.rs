//! Promise 7, what leaves in bulk and unmasked: files, the rows in one, and people whose sensitive
//! fields were shown in clear are counted per person, durably, whatever runs at once.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::{Barrier, Semaphore};
use tokio_util::task::TaskTracker;

use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, Step, soon};

/// The tests' bank, in which `note` is of grade 3 and needs assurance 2.
fn limited(limits: &str) -> Setup {
    let bank = OPEN_BANK.replace("2: {}, sealed", "2: {}, 3: { assurance: 2 }, sealed");
    let bank = bank.replace("note: 1", "note: 3");
    Setup::policy(&format!("{bank}limits:\n  - to: teller\n{limits}"))
}

/// Answers `/one/N` with the customer N, everything else with `rows` of them.
fn customers(gate: &Gate, rows: u32) {
    let customer = |id: &str| format!(r#"{{"id":"{id}","name":"n{id}","note":"secret of {id}"}}"#);
    gate.upstream.answers_by(move |asked| {
        if let Some(id) = asked.target.strip_prefix("/one/") {
            return Reply::json(customer(id));
        }
        let items: Vec<String> = (1..=rows).map(|id| customer(&id.to_string())).collect();
        let items = items.join(",");
        if asked.target.starts_with("/list") {
            Reply::json(format!(r#"{{"items":[{items}]}}"#))
        } else {
            Reply::chunked([format!("[{items}]")])
        }
    });
}

async fn view(gate: &Gate, token: &str, id: u32) -> Answer {
    gate.ask(Ask::get(&format!("/one/{id}")).by(token)).await
}

async fn export(gate: &Gate, token: &str) -> Answer {
    gate.ask(Ask::get("/all").by(token)).await
}

#[tokio::test]
async fn the_third_person_to_be_unmasked_is_held_back_and_the_first_two_are_still_shown() {
    let mut gate = limited("    unmask: 2/day\n").start().await;
    customers(&gate, 0);
    let token = gate.teller();
    for id in [1, 2, 1] {
        let shown = view(&gate, &token, id).await;
        assert_eq!(shown.expect(200).json()["note"], format!("secret of {id}"));
    }
    let refused = view(&gate, &token, 3).await;
    refused.expect(429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((80_000..=90_000).contains(&wait), "{wait}");
    assert!(refused.header("ratelimit").unwrap().contains(r#""unmask-1d";r=0"#), "{refused:?}");
    gate.restart().await;
    view(&gate, &token, 3).await.expect(429);
    view(&gate, &token, 2).await.expect(200);
    gate.advance_s(2 * 86_400);
    let token = gate.teller();
    view(&gate, &token, 3).await.expect(200);
}

#[tokio::test]
async fn a_record_that_shows_nothing_of_a_high_grade_is_not_counted_as_unmasked() {
    let gate = limited("    unmask: 1/day\n").start().await;
    customers(&gate, 0);
    let weak = gate.token(&json!({ "acr": "1" }));
    for id in 1..=3 {
        let shown = view(&gate, &weak, id).await;
        assert_eq!(
            shown.expect(200).json(),
            json!({ "id": id.to_string(), "name": format!("n{id}") })
        );
    }
    let strong = gate.teller();
    view(&gate, &strong, 4).await.expect(200);
    view(&gate, &strong, 5).await.expect(429);
    view(&gate, &weak, 5).await.expect(200);
}

#[tokio::test]
async fn a_list_ends_before_the_person_who_would_be_one_too_many_unmasked() {
    let mut gate = limited("    unmask: 4/day\n").start().await;
    customers(&gate, 10);
    let answer = gate.ask(Ask::get("/list").by(&gate.teller())).await;
    let items = answer.expect(200).json()["items"].as_array().unwrap().len();
    assert_eq!((items, answer.header("menshen-held-back")), (4, Some("6")));
    let entries = gate.entries().await;
    let data = entries.last().unwrap().data.as_ref().unwrap();
    assert_eq!((data.records, data.held_back), (Some(4), Some(6)));
}

#[tokio::test]
async fn only_records_whose_conditions_unmask_them_count() {
    let bank = OPEN_BANK.replace("2: {}, sealed", "2: {}, 3: {}, sealed");
    let bank = bank.replace("note: 1", "note: 3").replace("[id, name, note, ", "[id, name, ");
    let rule = "  - { name: n7, allow: [view, search], to: teller, of: customer, clear: [note], \
                where: \"record.name in ['n7', 'n9']\" }\n";
    let limits = "limits:\n  - { to: teller, unmask: 1/day }\n";
    let gate = Setup::policy(&format!("{bank}{rule}{limits}")).start().await;
    customers(&gate, 8);
    let token = gate.teller();
    let answer = gate.ask(Ask::get("/list").by(&token)).await;
    assert_eq!(answer.expect(200).json()["items"].as_array().unwrap().len(), 8);
    view(&gate, &token, 7).await.expect(200);
    view(&gate, &token, 8).await.expect(200);
    view(&gate, &token, 9).await.expect(429);
}

#[tokio::test]
async fn records_about_nobody_count_one_by_one_when_they_are_unmasked() {
    let bank = OPEN_BANK.replace("2: {}, sealed", "2: {}, 3: {}, sealed");
    let bank = bank.replace("note: 1", "note: 3").replace("    subject: id\n", "");
    let limits = "limits:\n  - { to: teller, unmask: 3/day }\n";
    let mut gate = Setup::policy(&format!("{bank}{limits}")).start().await;
    customers(&gate, 2);
    let token = gate.teller();
    gate.ask(Ask::get("/list").by(&token)).await.expect(200);
    gate.restart().await;
    let answer = gate.ask(Ask::get("/list").by(&token)).await;
    assert_eq!(answer.expect(200).json()["items"].as_array().unwrap().len(), 1);
    view(&gate, &token, 1).await.expect(429);
}

#[tokio::test]
async fn who_may_not_export_is_denied_before_the_backend_is_asked() {
    let mut gate = limited("    export: none\n").start().await;
    customers(&gate, 3);
    let token = gate.teller();
    export(&gate, &token).await.expect(403);
    assert_eq!(gate.upstream.hits(), 0);
    gate.ask(Ask::get("/list").by(&token)).await.expect(200);
    let entries = gate.entries().await;
    let denial = entries.iter().find_map(|entry| {
        let decision = entry.decision.as_ref()?;
        let unmet = decision.unmet.iter().collect::<Vec<_>>().join("; ");
        (!unmet.is_empty()).then_some(unmet)
    });
    assert_eq!(denial.as_deref(), Some("the limit for `teller` allows no export"));
}

#[tokio::test]
async fn an_export_that_needs_a_grant_is_denied_without_one() {
    let gate = limited("    export: { grant: required }\n").start().await;
    customers(&gate, 3);
    export(&gate, &gate.teller()).await.expect(403);
    assert_eq!(gate.upstream.hits(), 0);
}

#[tokio::test]
async fn an_export_holds_as_many_rows_as_its_limit_and_says_what_was_held_back() {
    let mut gate = limited("    page: 2\n    export: { rows: 3/file }\n").start().await;
    customers(&gate, 10);
    let token = gate.teller();
    for mut connection in [gate.h1().await, gate.h2().await] {
        let answer = connection.send(Ask::get("/all").by(&token)).await;
        let rows = answer.expect(200).json().as_array().unwrap().len();
        assert_eq!((rows, answer.header("menshen-held-back")), (3, Some("7")));
    }
    let page = gate.ask(Ask::get("/list").by(&token)).await;
    assert_eq!(page.expect(200).json()["items"].as_array().unwrap().len(), 2);
    let entries = gate.entries().await;
    let ended = entries.iter().filter_map(|entry| entry.result.as_ref()?.ended);
    assert_eq!(ended.filter(|ended| *ended == menshen::audit::Ending::Limited).count(), 3);
}

#[tokio::test]
async fn a_long_export_beyond_its_rows_never_ends_as_if_it_were_whole() {
    let gate = limited("    export: { rows: 2000/file }\n").yaml("bodies: { held-kib: 16 }");
    let gate = gate.start().await;
    customers(&gate, 3_000);
    let token = gate.teller();
    let plain = export(&gate, &token).await;
    assert_eq!(plain.status, 200);
    assert!(plain.cut.is_some(), "it ended as if it were whole");
    let told = gate.ask(Ask::get("/all").by(&token).header("te", "trailers")).await;
    let rows = told.expect(200).json().as_array().unwrap().len();
    let held_back = told.trailers.get("menshen-held-back").map(|v| v.to_str().unwrap());
    assert_eq!((rows, held_back), (2_000, Some("1000")));
}

#[tokio::test]
async fn the_third_file_of_the_day_is_refused_before_the_backend_is_asked_also_after_a_restart() {
    let mut gate = limited("    export: { files: 2/day }\n").start().await;
    customers(&gate, 3);
    let token = gate.teller();
    for left in ["1", "0"] {
        let answer = export(&gate, &token).await;
        let told = answer.expect(200).header("ratelimit").unwrap();
        assert!(told.contains(&format!(r#""files-1d";r={left}"#)), "{told}");
    }
    let refused = export(&gate, &token).await;
    let wait: u64 = refused.expect(429).header("retry-after").unwrap().parse().unwrap();
    assert!((80_000..=90_000).contains(&wait), "{wait}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("files-1d"), "{refused:?}");
    assert_eq!(gate.upstream.hits(), 2);
    gate.restart().await;
    export(&gate, &token).await.expect(429);
    view(&gate, &token, 1).await.expect(200);
    let colleague = gate.token(&json!({ "sub": "li" }));
    export(&gate, &colleague).await.expect(200);
    gate.advance_s(2 * 86_400);
    export(&gate, &gate.teller()).await.expect(200);
}

#[tokio::test]
async fn an_export_that_failed_is_no_file() {
    let gate = limited("    files: 1/day\n").start().await;
    let token = gate.teller();
    for reply in [Reply::with(500, &[], ""), Reply::json(r#"[{"id":1"#)] {
        gate.upstream.answers(reply);
        assert!(export(&gate, &token).await.status.is_server_error());
    }
    customers(&gate, 1);
    export(&gate, &token).await.expect(200);
    export(&gate, &token).await.expect(429);
}

#[tokio::test]
async fn an_export_under_way_holds_its_file() {
    let gate = limited("    files: 1/day\n").start().await;
    let go_on = Arc::new(Semaphore::new(0));
    let rest = Reply::json(r#"[{"id":1}]"#).0;
    gate.upstream.answers(Reply([vec![Step::Wait(Arc::clone(&go_on))], rest].concat()));
    let token = gate.teller();
    let mut first = gate.h1().await;
    let second = async {
        while gate.upstream.hits() < 1 {
            tokio::task::yield_now().await;
        }
        let refused = export(&gate, &token).await;
        go_on.add_permits(1);
        refused
    };
    let (first, second) = tokio::join!(first.send(Ask::get("/all").by(&token)), second);
    first.expect(200);
    assert_eq!(second.expect(429).header("retry-after"), Some("1"));
    assert_eq!(gate.upstream.hits(), 1);
}

#[tokio::test]
async fn of_many_exports_at_once_only_as_many_succeed_as_there_are_files() {
    let gate = Arc::new(limited("    files: 3/day\n").start().await);
    customers(&gate, 50);
    let tasks = TaskTracker::new();
    let start = Arc::new(Barrier::new(8));
    let mut running = Vec::new();
    for n in 0..8 {
        let (gate, start) = (Arc::clone(&gate), Arc::clone(&start));
        running.push(tasks.spawn(async move {
            let token = gate.token(&json!({ "jti": format!("session {n}") }));
            let mut connection = if n % 2 == 0 { gate.h1().await } else { gate.h2().await };
            soon("all to connect", start.wait()).await;
            connection.send(Ask::get("/all").by(&token)).await.status
        }));
    }
    let mut statuses = Vec::new();
    for task in running {
        statuses.push(task.await.unwrap());
    }
    let of = |status: u16| statuses.iter().filter(|other| **other == status).count();
    assert_eq!((of(200), of(429)), (3, 5), "{statuses:?}");
}

#[tokio::test]
async fn no_minute_sees_more_requests_than_a_rate_without_a_burst() {
    let gate = limited("    rate: 10/min\n").start().await;
    customers(&gate, 0);
    let token = gate.teller();
    let mut passed = Vec::new();
    for second in 0..150_i64 {
        let answer = view(&gate, &token, 1).await;
        if answer.status == 200 {
            passed.push(second);
        } else {
            let wait: i64 = answer.expect(429).header("retry-after").unwrap().parse().unwrap();
            assert!((1..=62).contains(&wait), "{wait}");
        }
        gate.advance_s(1);
    }
    let in_a_minute =
        |from: &i64| passed.iter().filter(|at| (*from..from + 60).contains(at)).count();
    assert!(passed.iter().all(|from| in_a_minute(from) <= 10), "{passed:?}");
    assert_eq!(passed.iter().take(10).copied().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert!(passed.len() >= 25, "{passed:?}");
}
