//! Detections through the whole gate: what one person does is noticed from the log, what follows is there with the
//! next request and on open streams, survives a restart, and ends when somebody of security says so.

use std::sync::Arc;
use std::time::Duration;

use menshen::audit::{Concern, Ending, Entry, Found};
use menshen::identity::{CallerKind, NewAccount, Standing};
use menshen::secret::{MasterKey, Secret};
use menshen::state::Store;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::harness::client::{Client, finish};
use crate::harness::upstream::{chunk, head};
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, Step, soon};

const PASSWORD: &str = "lanterns-at-dusk";

/// The tests' bank with pages, in which `note` is of grade 3, and these detections.
fn setup(detections: &str) -> Setup {
    let bank =
        OPEN_BANK.replace("2: {}, sealed", "2: {}, 3: {}, sealed").replace("note: 1", "note: 3");
    let bank = bank.replace("sort: sort }", "sort: sort, page: page }");
    Setup::policy(&format!("{bank}detections:\n{detections}\n")).plain()
}

async fn bank(detections: &str) -> Gate {
    let gate = setup(detections).start().await;
    answer(&gate);
    gate
}

/// `/one/N` is the customer N, a list holds nobody for `nobody`, else three; a file holds `rows` of them.
fn answer(gate: &Gate) {
    let customer = |id: &str| format!(r#"{{"id":"{id}","name":"n{id}","note":"of {id}"}}"#);
    gate.upstream.answers_by(move |asked| {
        if let Some(id) = asked.target.strip_prefix("/one/") {
            return Reply::json(customer(id));
        }
        if asked.target.contains("nobody") {
            return Reply::json(r#"{"items":[]}"#);
        }
        let rows = if asked.target.contains("name=many") { 40 } else { 3 };
        let items: Vec<String> = (1..=rows).map(|id| customer(&format!("L{id}"))).collect();
        match asked.target.starts_with("/all") {
            true => Reply::json(format!("[{}]", items.join(","))),
            false => Reply::json(format!(r#"{{"items":[{}]}}"#, items.join(","))),
        }
    });
}

async fn look(gate: &Gate, token: &str, id: &str) -> Answer {
    gate.ask(Ask::get(&format!("/one/{id}")).by(token)).await
}

/// Asks for what sets a block off; its own answer is held back if the block comes before it leaves.
async fn set_off(gate: &Gate, ask: Ask) {
    let status = gate.ask(ask).await.status;
    assert!(status == 200 || status == 403, "{status}");
}

/// Looks at customers until the answer has this status.
async fn until(gate: &Gate, status: u16, token: &str) -> Answer {
    gate.until(status, &Ask::get("/one/77").by(token)).await
}

fn store(gate: &Gate) -> Store {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let store = Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap();
    store.acting_as("chen of security")
}

/// Waits for the finding of a detection.
async fn found(gate: &Gate, detection: &str) -> Found {
    let looking = async {
        loop {
            let told = gate.entries_so_far().into_iter().find_map(|entry| of(&entry, detection));
            if let Some(told) = told {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(&format!("a finding of {detection}"), looking).await
}

fn of(entry: &Entry, detection: &str) -> Option<Found> {
    let alert = entry.alert.as_ref().filter(|alert| alert.concern == Concern::Finding)?;
    alert.found.clone().filter(|found| found.detection.as_str() == detection)
}

/// Lets the gate read all there is, then says which detections found something.
async fn all_found(gate: &Gate) -> Vec<String> {
    let caught_up = async {
        loop {
            let (cursor, _) = store(gate).load_review().await.unwrap();
            let durable = gate.server().log().health().durable;
            if cursor == Some(durable) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon("the reviewer", caught_up).await;
    let found = |entry: Entry| Some(entry.alert?.found?.detection.to_string());
    gate.entries_so_far().into_iter().filter_map(found).collect()
}

#[tokio::test]
async fn a_clerk_who_walks_through_sequential_ids_is_blocked_until_security_releases_them() {
    let mut gate = bank("  sequential-ids: { action: block }").await;
    let (wang, li) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    for id in 0..19 {
        look(&gate, &wang, &format!("C-{id:04}")).await.expect(200);
    }
    set_off(&gate, Ask::get("/one/C-0019").by(&wang)).await;
    let stopped = until(&gate, 403, &wang).await;
    assert!(!stopped.text().contains("sequential"), "not told why: {}", stopped.text());
    assert!(stopped.text().contains("stopped"), "but plainly that: {}", stopped.text());
    look(&gate, &li, "5").await.expect(200);
    gate.restart().await;
    look(&gate, &wang, "77").await.expect(403);
    let found = found(&gate, "sequential-ids").await;
    assert_eq!((found.action.as_str(), found.drill), ("block", false));
    let released = store(&gate).release_findings("corp:wang", "she checked a batch").await.unwrap();
    assert_eq!(released, [found.finding]);
    until(&gate, 200, &wang).await;
    gate.restart().await;
    look(&gate, &wang, "91").await.expect(200);
    assert!(
        store(&gate).release_findings("corp:wang", "again").await.is_err(),
        "nothing holds her"
    );
    // Whoever signs in next has the act recorded first.
    gate.add_account("zhao", PASSWORD, "teller").await;
    gate.sign_in("zhao", PASSWORD).await;
    let entries = gate.entries().await;
    let told: Vec<String> = entries.iter().filter_map(released_by).collect();
    let object = format!("findings {} of corp:wang", found.finding);
    assert_eq!(told, [format!("chen of security: {object}, she checked a batch")]);
}

/// Who released what, and why.
fn released_by(entry: &Entry) -> Option<String> {
    let act = entry.act.as_ref().filter(|act| act.name.as_str() == "findings_released")?;
    let (actor, why) = (entry.actor.as_ref()?, entry.why.as_ref()?);
    Some(format!("{}: {}, {}", actor.account, act.object, why.reason))
}

#[tokio::test]
async fn refused_requests_count_as_well_and_two_accounts_of_one_person_together() {
    let gate = bank("  sequential-ids: { count: 12, action: block }").await;
    gate.add_account("wang", PASSWORD, "stranger").await;
    let session = gate.sign_in("wang", PASSWORD).await;
    gate.identity().set_person("wang", Some("e7")).await.unwrap();
    gate.identity().set_person("corp:wang", Some("e7")).await.unwrap();
    gate.advance_s(2);
    let token = gate.teller();
    for id in (10..22).step_by(2) {
        look(&gate, &token, &id.to_string()).await.expect(200);
        let refused = gate.ask(Ask::get(&format!("/one/{}", id + 1)).cookie(&session)).await;
        refused.expect(403);
    }
    until(&gate, 403, &token).await;
    let curbs = store(&gate).curbs().await.unwrap();
    assert_eq!(curbs.first().map(|curb| curb.holder.as_str()), Some("person/e7"));
}

#[tokio::test]
async fn counting_goes_on_after_a_restart_where_it_was() {
    let mut gate = bank("  sequential-ids: { action: block }").await;
    let token = gate.teller();
    for id in 1..=10 {
        look(&gate, &token, &id.to_string()).await.expect(200);
    }
    gate.restart().await;
    // The first after a restart is beside nothing that the gate remembers.
    for id in 11..=21 {
        look(&gate, &token, &id.to_string()).await;
    }
    until(&gate, 403, &token).await;
    let findings = store(&gate).findings(false).await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
}

#[tokio::test]
async fn a_canary_that_is_touched_blocks_at_once_and_cuts_open_streams() {
    let mut gate = setup("  canary: { subjects: { customer: [C-666] } }")
        .yaml("bodies: { held-kib: 4 }")
        .start()
        .await;
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"[{{"id":1,"note":"{}"}},"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    gate.upstream.answers(Reply::raw(first).then(Step::Stall));
    let mut connection = gate.h2().await;
    let stream = connection.begin(Ask::get("/all").by(&gate.teller())).await.unwrap();
    answer(&gate);
    let token = gate.teller();
    set_off(&gate, Ask::get("/one/C-666").by(&token)).await;
    until(&gate, 403, &token).await;
    assert!(soon("the cut", finish(stream)).await.cut.is_some());
    // What follows is there before it is told.
    found(&gate, "canary").await;
    let entries = gate.entries().await;
    let ended = entries.iter().filter_map(|entry| entry.result.as_ref()?.ended);
    assert_eq!(ended.filter(|ended| *ended == Ending::AbortedByPolicy).count(), 1);
    let text = entries.iter().filter_map(|entry| of(entry, "canary")).count();
    assert_eq!(text, 1, "asked for and given is one finding");
}

#[tokio::test]
async fn a_file_that_is_held_does_not_leave_once_its_caller_is_blocked() {
    let route = "  file:\n    match: GET bank.example/file\n    to: core\n    action: view\n    \
                 opaque: { types: application/pdf, grade: 1, size: 64KiB }\nroles: { teller";
    let rule = "  - { name: tellers read files, allow: view, to: teller, route: file }\n";
    let detections = "detections:\n  canary: { subjects: { customer: [C-666] } }\n";
    let bank = OPEN_BANK.replace("roles: { teller", route);
    let gate = Setup::policy(&format!("{bank}{rule}{detections}")).plain().start().await;
    let go_on = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&go_on);
    gate.upstream.answers_by(move |asked| {
        if asked.target != "/file" {
            return Reply::json(r#"{"id":"C-666"}"#);
        }
        let begins = head(200, &[("content-type", "application/pdf"), ("content-length", "4")]);
        let ends = Step::Send(b"%PDF".to_vec());
        Reply::raw(begins).then(Step::Wait(Arc::clone(&waits))).then(ends)
    });
    let token = gate.teller();
    let mut connection = gate.h2().await;
    let asked = connection.send(Ask::get("/file").by(&token));
    let blocked = async {
        while gate.upstream.hits() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        set_off(&gate, Ask::get("/one/C-666").by(&token)).await;
        until(&gate, 403, &token).await;
        go_on.add_permits(1);
    };
    let (answer, ()) = tokio::join!(asked, blocked);
    answer.expect(403);
}

#[tokio::test]
async fn a_canary_in_a_list_or_asked_for_in_vain_blocks_too() {
    let gate = bank("  canary: { subjects: { customer: [L2, C-667] } }").await;
    let token = gate.teller();
    set_off(&gate, Ask::get("/all").by(&token)).await;
    until(&gate, 403, &token).await;
    let stranger = gate.token(&json!({ "sub": "mo", "roles": ["stranger"] }));
    look(&gate, &stranger, "C-667").await.expect(403);
    let held = soon("both", async {
        loop {
            let curbs = store(&gate).curbs().await.unwrap();
            if curbs.len() == 2 {
                return curbs;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut held: Vec<String> = held.await.into_iter().map(|curb| curb.holder).collect();
    held.sort();
    assert_eq!(held, ["corp:mo", "corp:wang"]);
}

#[tokio::test]
async fn whoever_searches_in_vain_is_slowed() {
    let gate = bank("  zero-hits: { action: slow }").await;
    let token = gate.teller();
    for _ in 0..14 {
        gate.ask(Ask::get("/list?name=nobody").by(&token)).await.expect(200);
    }
    gate.ask(Ask::get("/list?name=somebody").by(&token)).await.expect(200);
    assert_eq!(all_found(&gate).await, [""; 0]);
    gate.ask(Ask::get("/list?name=nobody").by(&token)).await.expect(200);
    found(&gate, "zero-hits").await;
    let slowed = until(&gate, 429, &token).await;
    let wait: u64 = slowed.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    gate.advance_s(10);
    look(&gate, &token, "5").await.expect(200);
    look(&gate, &token, "6").await.expect(429);
}

#[tokio::test]
async fn a_factor_shown_after_the_finding_leads_on_and_an_older_one_does_not() {
    let gate = bank("  sequential-ids: { count: 3, action: step-up }").await;
    let token = gate.teller();
    for id in 1..=3 {
        look(&gate, &token, &id.to_string()).await.expect(200);
    }
    let asked = until(&gate, 401, &token).await;
    assert!(asked.header("www-authenticate").unwrap().contains("insufficient_user"), "{asked:?}");
    gate.advance_s(5);
    let weak = gate.token(&json!({ "acr": "1" }));
    look(&gate, &weak, "9").await.expect(401);
    look(&gate, &gate.teller(), "9").await.expect(200);
    look(&gate, &token, "9").await.expect(401);
}

#[tokio::test]
async fn as_shipped_no_number_of_things_hinders_anybody_and_all_are_told() {
    let gate = bank("  canary: { subjects: { customer: [C-666] } }").await;
    let token = gate.teller();
    let mut connection = gate.h1().await;
    let mut ask = async |path: &str| connection.send(Ask::get(path).by(&token)).await.status;
    // A list that is worked through, a batch, a search form filled in wrongly, pages, a health check every second.
    for id in 1..=60 {
        assert_eq!(ask(&format!("/one/{id}")).await, 200);
        assert_eq!(ask("/list?name=nobody").await, 200);
        assert_eq!(ask(&format!("/list?page={id}")).await, 200);
        assert_eq!(ask("/one/7").await, 200);
        gate.advance_s(1);
    }
    gate.advance_s(40 * 86_400);
    let token = gate.teller();
    let elsewhere = Client { source: [127, 0, 5, 1], ..gate.client() };
    elsewhere.h1().await.send(Ask::get("/one/9").by(&token)).await.expect(200);
    let found = all_found(&gate).await;
    for told in ["sequential-ids", "zero-hits", "page-depth", "dormant", "new-place"] {
        assert!(found.iter().any(|one| one == told), "{told}: {found:?}");
    }
    assert_eq!(store(&gate).curbs().await.unwrap(), []);
    look(&gate, &token, "9").await.expect(200);
}

#[tokio::test]
async fn one_customer_whom_five_persons_open_is_told_and_hinders_nobody() {
    let gate = bank("  dormant: off").await;
    let persons = ["a", "b", "c", "d", "e"].map(|sub| gate.token(&json!({ "sub": sub })));
    for token in persons.iter().take(4).chain(persons.iter().take(4)) {
        look(&gate, token, "9").await.expect(200);
    }
    assert_eq!(all_found(&gate).await, [""; 0], "four persons twice are four");
    look(&gate, &persons[4], "9").await.expect(200);
    assert_eq!(found(&gate, "many-openers").await.action.as_str(), "alert");
    look(&gate, &persons[4], "9").await.expect(200);
}

#[tokio::test]
async fn work_outside_the_hours_and_the_own_record_are_told() {
    let detections = "  off-hours: { hours: 'Mon-Fri 09:00-18:00', zone: UTC }\n  \
                      own-record: { of: customer, attribute: branch }";
    let gate = bank(detections).await;
    let token = gate.token(&json!({ "branch": "sh07" }));
    look(&gate, &token, "sh08").await.expect(200);
    // It is eight on a Friday.
    found(&gate, "off-hours").await;
    look(&gate, &token, "sh07").await.expect(200);
    found(&gate, "own-record").await;
    assert_eq!(all_found(&gate).await, ["off-hours", "own-record"]);
}

#[tokio::test]
async fn whoever_opens_the_record_of_a_colleague_is_told_also_after_a_restart() {
    let mut gate = bank("  colleague: { of: customer, attribute: branch }").await;
    let li = gate.token(&json!({ "sub": "li", "branch": "sh07" }));
    look(&gate, &li, "sh08").await.expect(200);
    look(&gate, &li, "sh07").await.expect(200);
    assert_eq!(all_found(&gate).await, [""; 0], "one's own is no colleague's");
    gate.restart().await;
    look(&gate, &gate.token(&json!({ "branch": "sh01" })), "sh07").await.expect(200);
    found(&gate, "colleague").await;
    assert_eq!(all_found(&gate).await, ["colleague"]);
    let text = String::from_utf8(gate.log_text()).unwrap();
    assert!(!text.contains("\"sh07\""), "whose record is whose stands there as a reference alone");
}

#[tokio::test]
async fn two_who_agree_to_each_others_grants_are_told() {
    let tellers = crate::grants::HOTEL.replace("    lends: manager\n", "    by: [teller]\n");
    let gate =
        Setup::policy(&format!("{tellers}detections: {{ mutual-approvals: {{ count: 2 }} }}\n"));
    let gate = gate.start().await;
    let (wang, li) = (gate.teller(), gate.token(&json!({ "sub": "li" })));
    for _ in 0..2 {
        for (asks, agrees) in [(&wang, &li), (&li, &wang)] {
            let told = crate::grants::asks(&gate, asks, crate::grants::scan_of("G7")).await;
            let id = told.expect(201).json()["id"].clone();
            let agree = json!({ "id": id, "decision": "approve" }).to_string();
            gate.ask(Ask::post("/.menshen/grants/decide", &agree).bearer(agrees)).await.expect(200);
        }
    }
    let told = found(&gate, "mutual-approvals").await;
    assert!(told.said.as_str().contains("2 times each within 168 h"), "{}", told.said.as_str());
    let entries = gate.entries_so_far();
    let found = entries.iter().filter_map(|entry| of(entry, "mutual-approvals"));
    assert_eq!(found.count(), 1, "the first round is none");
}

#[tokio::test]
async fn page_twenty_one_of_a_list_is_a_page_too_far() {
    let gate = bank("  page-depth: { action: slow }").await;
    let token = gate.teller();
    for page in [1, 20] {
        gate.ask(Ask::get(&format!("/list?page={page}")).by(&token)).await.expect(200);
    }
    assert_eq!(all_found(&gate).await, [""; 0]);
    gate.ask(Ask::get("/list?page=21").by(&token)).await.expect(200);
    found(&gate, "page-depth").await;
    until(&gate, 429, &token).await;
}

#[tokio::test]
async fn three_times_the_own_median_asks_for_a_factor_and_a_partner_is_slowed() {
    let gate = bank(
        "  own-median: { least: 10, action: step-up }\n  partner-volume: { least: 10, action: slow }",
    )
    .await;
    let partner = NewAccount {
        name: "insurer".to_owned(),
        display_name: "insurer".to_owned(),
        kind: CallerKind::Partner,
        roles: vec!["teller".to_owned()],
        attributes: Default::default(),
        password: Secret::new(PASSWORD.to_owned()),
    };
    gate.identity().add_account(partner).await.unwrap();
    for _ in 0..6 {
        gate.ask(Ask::get("/list?name=few").by(&gate.teller())).await.expect(200);
        let session = gate.sign_in("insurer", PASSWORD).await;
        gate.ask(Ask::get("/list?name=few").cookie(&session)).await.expect(200);
        gate.advance_s(86_400);
    }
    let token = gate.teller();
    gate.ask(Ask::get("/list?name=many").by(&token)).await.expect(200);
    let session = gate.sign_in("insurer", PASSWORD).await;
    gate.ask(Ask::get("/list?name=many").cookie(&session)).await.expect(200);
    found(&gate, "partner-volume").await;
    assert!(found(&gate, "own-median").await.said.as_str().contains("40 people today"));
    until(&gate, 401, &token).await;
}

#[tokio::test]
async fn grade_three_from_a_network_that_is_new_for_somebody_asks_for_a_factor() {
    let gate = bank("  new-place: { action: step-up }").await;
    look(&gate, &gate.teller(), "5").await.expect(200);
    gate.advance_s(8 * 86_400);
    let token = gate.teller();
    look(&gate, &token, "7").await.expect(200);
    assert_eq!(all_found(&gate).await, [""; 0], "the network is the old one");
    let elsewhere = Client { source: [127, 0, 5, 1], ..gate.client() };
    elsewhere.h1().await.send(Ask::get("/one/9").by(&token)).await.expect(200);
    assert!(found(&gate, "new-place").await.said.as_str().contains("a network that is new"));
    until(&gate, 401, &token).await;
    gate.advance_s(5);
    elsewhere.h1().await.send(Ask::get("/one/9").by(&gate.teller())).await.expect(200);
}

#[tokio::test]
async fn an_account_asleep_that_wakes_is_asked_for_a_factor() {
    let gate = bank("  dormant: { action: step-up }").await;
    look(&gate, &gate.teller(), "5").await.expect(200);
    gate.advance_s(31 * 86_400);
    let token = gate.teller();
    look(&gate, &token, "7").await.expect(200);
    assert!(found(&gate, "dormant").await.said.as_str().contains("31 days"));
    until(&gate, 401, &token).await;
    assert_eq!(all_found(&gate).await, ["dormant"], "the network is the old one");
}

#[tokio::test]
async fn a_file_before_an_account_goes_and_whoever_switches_off_are_told() {
    let gate = bank("  canary: off").await;
    gate.add_account("li.na", PASSWORD, "teller").await;
    let session = gate.sign_in("li.na", PASSWORD).await;
    gate.ask(Ask::get("/all").cookie(&session)).await.expect(200);
    gate.advance_s(9 * 86_400);
    gate.identity().set_standing("li.na", Standing::Left).await.unwrap();
    // Whoever signs in next has the act recorded first.
    gate.add_account("zhao", PASSWORD, "teller").await;
    gate.sign_in("zhao", PASSWORD).await;
    assert!(found(&gate, "export-then-leave").await.said.as_str().contains("9 days"));
    gate.identity().set_standing("zhao", Standing::Suspended).await.unwrap();
    gate.add_account("qian", PASSWORD, "teller").await;
    gate.sign_in("qian", PASSWORD).await;
    assert_eq!(found(&gate, "switched-off").await.said.as_str(), "account suspended");
}

#[tokio::test]
async fn nearly_the_limit_on_five_days_in_a_row_is_told() {
    let bank = format!("{OPEN_BANK}limits:\n  - to: teller\n    subjects: [3/day]\n");
    let gate = Setup::policy(&bank).plain().start().await;
    answer(&gate);
    for day in 0..5 {
        if day == 4 {
            assert_eq!(all_found(&gate).await, [""; 0]);
        }
        gate.ask(Ask::get("/list?name=few").by(&gate.teller())).await.expect(200);
        gate.advance_s(2 * 86_400);
    }
    assert!(found(&gate, "steady-draw").await.said.as_str().contains("5 days"));
}

#[tokio::test]
async fn a_finding_is_counted_and_who_is_held_as_well() {
    let gate = setup("  sequential-ids: { count: 3, action: block }")
        .yaml("metrics: { address: \"127.0.0.1:0\" }")
        .start()
        .await;
    answer(&gate);
    for id in 1..=3 {
        set_off(&gate, Ask::get(&format!("/one/{id}")).by(&gate.teller())).await;
    }
    until(&gate, 403, &gate.teller()).await;
    let wanted = [
        "menshen_findings_total{detection=\"sequential-ids\",action=\"block\"} 1",
        "menshen_held_persons{action=\"block\"} 1",
        "menshen_held_persons{action=\"slow\"} 0",
    ];
    // What follows begins before the finding is told, and that is counted last.
    soon("the counts", async {
        loop {
            let text = crate::monitoring::metrics(&gate).await;
            if wanted.iter().all(|line| text.lines().any(|other| other == *line)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}
