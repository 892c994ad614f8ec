//! Partners and tenants of the registry: only who is admitted asks, in their contract and until it ends, from the next
//! request on and on open streams; all of it is in the log.

use std::sync::Arc;
use std::time::Duration;

use menshen::audit::{Ending, Entry};
use menshen::command::Doer;
use menshen::registry::{Contract, Office, Particulars, Step, Turn};
use menshen::secret::MasterKey;
use menshen::state::Store;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::admin::{gate_with, get, post, security};
use crate::harness::client::finish;
use crate::harness::process::menshen;
use crate::harness::upstream::{chunk, head};
use crate::harness::{Answer, Ask, Gate, OPEN_BANK, Reply, Setup, SharedStore, Step as Do, soon};
use crate::several_gates::pair;

const WHY: &str = "tender 7";
const AT_ONCE: Duration = Duration::from_millis(250);
const LAST_DAY: &str = "2099-06-30";

fn policy(more: &str) -> String {
    format!("{}{more}", OPEN_BANK.replace("purposes: [service]", "purposes: [service, payment]"))
}

fn setup(more: &str) -> Setup {
    setup_of(&policy(more))
}

fn setup_of(policy: &str) -> Setup {
    Setup::policy(policy).tweak(|config| {
        let issuer = &mut config.identity.issuers[0];
        issuer.attributes.insert("partner".to_owned(), "partner".to_owned());
    })
}

async fn bank(more: &str) -> Gate {
    let gate = setup(more).start().await;
    gate.upstream.answers_by(|_| Reply::json(r#"{"id":1}"#));
    gate
}

/// As `menshen registry` opens it, beside the gate.
pub(crate) fn office(gate: &Gate) -> Office {
    let master = MasterKey::read(&gate.path("master.key")).unwrap();
    let store = Store::open(&gate.path("state"), &master, gate.clock.clone()).unwrap();
    Office::new(store, &master, gate.clock.clone()).unwrap()
}

pub(crate) fn doer(name: &str) -> Doer {
    Doer { name: name.to_owned(), person: name.to_owned() }
}

fn contract(changes: Value) -> Contract {
    let mut members = json!({
        "task": "delivery", "country": "TH", "contract": "C-118", "nda": "N-118",
        "until": LAST_DAY, "purposes": ["service"], "level": 2,
    });
    let changes = changes.as_object().unwrap().clone();
    members.as_object_mut().unwrap().extend(changes);
    Contract::read(members.as_object().unwrap()).unwrap()
}

async fn step(gate: &Gate, step: Step, who: &str) {
    office(gate).take(&doer(who), "fast-parcel", step, WHY).await.unwrap();
}

const TO_ACTIVE: [(Step, &str); 4] = [
    (Step::Review, "bob"),
    (Step::Approve, "bob"),
    (Step::Approve, "cho"),
    (Step::Activate, "ann"),
];

async fn admit(gate: &Gate, changes: Value) {
    office(gate).draft(&doer("ann"), "fast-parcel", contract(changes), WHY).await.unwrap();
    for (next, who) in TO_ACTIVE {
        step(gate, next, who).await;
    }
}

fn partner(gate: &Gate) -> String {
    gate.token(&json!({ "sub": "courier", "partner": "fast-parcel" }))
}

fn view(token: &str) -> Ask {
    Ask::get("/one/1").by(token)
}

/// What stopped requests, in the order of the log.
fn causes(entries: &[Entry]) -> Vec<&str> {
    let results = entries.iter().filter_map(|entry| entry.result.as_ref());
    results.map(|result| result.cause.as_str()).filter(|cause| !cause.is_empty()).collect()
}

fn title(answer: &Answer) -> String {
    answer.json()["title"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn of_all_states_a_partner_is_served_in_active_only() {
    let mut gate = bank("registered: partner\n").await;
    let (ask, staff) = (view(&partner(&gate)), Ask::get("/one/1").by(&gate.teller()));
    let refused = |answer: Answer| {
        assert_eq!(title(answer.expect(403)), "The partner is not admitted");
        assert!(!answer.text().contains("fast-parcel"), "only the log says who");
    };
    refused(gate.ask(ask.clone()).await);
    office(&gate).draft(&doer("ann"), "fast-parcel", contract(json!({})), WHY).await.unwrap();
    for (next, who) in TO_ACTIVE {
        tokio::time::sleep(AT_ONCE).await;
        refused(gate.ask(ask.clone()).await);
        step(&gate, next, who).await;
    }
    gate.until(200, &ask).await;
    step(&gate, Step::Suspend, "dan").await;
    tokio::time::sleep(AT_ONCE).await;
    refused(gate.ask(ask.clone()).await);
    step(&gate, Step::Resume, "dan").await;
    gate.until(200, &ask).await;
    gate.restart().await;
    gate.ask(ask.clone()).await.expect(200);
    step(&gate, Step::End, "dan").await;
    tokio::time::sleep(AT_ONCE).await;
    refused(gate.ask(ask.clone()).await);
    gate.ask(staff).await.expect(200);
    let entries = gate.entries().await;
    assert!(causes(&entries).contains(&"partner_not_admitted"));
    let unmet = |entry: &Entry| format!("{:?}", entry.decision.as_ref().map(|d| &d.unmet));
    let told: Vec<String> = entries.iter().map(unmet).collect();
    for state in ["not registered", "not admitted yet", "suspended", "ended"] {
        let said = format!("partner `fast-parcel` is {state}");
        assert!(told.iter().any(|unmet| unmet.contains(&said)), "{said}");
    }
    let acts: Vec<_> = entries.iter().filter_map(|e| Some(e.act.as_ref()?.name.as_str())).collect();
    for act in ["partner_drafted", "partner_reviewed", "partner_approved", "partner_suspended"] {
        assert!(acts.contains(&act), "{act}: {acts:?}");
    }
    let activated = entries.iter().filter_map(|entry| entry.act.as_ref());
    let activated = activated.into_iter().find(|act| act.name.as_str() == "partner_activated");
    assert_eq!(activated.unwrap().approved_by.as_str(), "bob, cho");
}

#[tokio::test]
async fn a_partner_asks_for_the_purposes_of_its_contract_and_declares_one() {
    let mut gate = bank("registered: partner\n").await;
    admit(&gate, json!({})).await;
    let token = partner(&gate);
    gate.until(200, &view(&token)).await;
    let payment = Ask::get("/one/1").bearer(&token).header("menshen-purpose", "payment");
    let told = gate.ask(payment).await;
    assert_eq!(title(told.expect(403)), "The partner's contract is not for this purpose");
    gate.ask(Ask::get("/one/1").bearer(&token)).await.expect(403);
    let seen = gate.upstream.hits();
    let entries = gate.entries().await;
    let of_purpose = causes(&entries);
    let of_purpose = of_purpose.iter().filter(|cause| **cause == "purpose_not_in_contract");
    assert_eq!(of_purpose.count(), 2);
    assert_eq!(seen, 1, "the backend saw one request");
}

#[tokio::test]
async fn a_contract_is_over_when_its_last_day_is_and_a_stream_that_was_open_then_is_cut() {
    let mut gate = setup("registered: partner\n").yaml("bodies: { held-kib: 4 }").start().await;
    // The clock of the tests is in the morning of 15 January 2027.
    admit(&gate, json!({ "until": "2027-01-15" })).await;
    gate.upstream.answers_by(|_| Reply::json(r#"{"id":1}"#));
    let day = 15 * 3600;
    let fresh = |gate: &Gate| view(&partner(gate));
    gate.until(200, &fresh(&gate)).await;
    gate.advance_s(day);
    gate.ask(fresh(&gate)).await.expect(200);
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"[{{"id":1,"note":"{}"}},"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    gate.upstream.answers(Reply::raw(first).then(Do::Wait(Arc::new(Semaphore::new(0)))));
    let mut line = gate.h2().await;
    let export = Ask::get("/all").by(&partner(&gate));
    let stream = line.begin(export).await.unwrap();
    gate.advance_s(3600);
    let cut = soon("the stream to be cut", finish(stream)).await;
    assert!(cut.cut.is_some() && !cut.body.ends_with(b"]"));
    let told = gate.ask(fresh(&gate)).await;
    assert_eq!(title(told.expect(403)), "The partner's contract is over");
    assert!(causes(&gate.entries().await).contains(&"contract_over"));
}

#[tokio::test]
async fn an_open_stream_of_a_partner_is_cut_and_a_held_answer_stays_when_it_is_suspended() {
    let mut gate = setup("registered: partner\n").yaml("bodies: { held-kib: 4 }").start().await;
    admit(&gate, json!({})).await;
    gate.upstream.answers_by(|_| Reply::json(r#"{"id":1}"#));
    let token = partner(&gate);
    gate.until(200, &view(&token)).await;
    let headers = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let record = format!(r#"[{{"id":1,"note":"{}"}},"#, "n".repeat(9000));
    let first = [head(200, &headers), chunk(record.as_bytes())].concat();
    let (arrived, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&go_on));
    gate.upstream.answers_by(move |asked| {
        tell.add_permits(1);
        let wait = Do::Wait(Arc::clone(&wait));
        match asked.target.as_str() {
            "/all" => Reply::raw(first.clone()).then(wait),
            _ => Reply([vec![wait], Reply::json(r#"{"id":1}"#).0].concat()),
        }
    });
    let mut line = gate.h2().await;
    let export = Ask::get("/all").by(&token);
    let stream = line.begin(export).await.unwrap();
    let mut other = gate.h1().await;
    let suspending = async {
        soon("both to arrive", arrived.acquire_many(2)).await.unwrap().forget();
        step(&gate, Step::Suspend, "dan").await;
        tokio::time::sleep(AT_ONCE).await;
        go_on.add_permits(4);
    };
    let (held, ()) = tokio::join!(other.send(view(&token)), suspending);
    assert_eq!(title(held.expect(403)), "The partner is not admitted");
    assert!(soon("the stream to be cut", finish(stream)).await.cut.is_some());
    let entries = gate.entries().await;
    let ended = entries.iter().filter_map(|entry| entry.result.as_ref()?.ended);
    assert_eq!(ended.filter(|ended| *ended == Ending::AbortedByPolicy).count(), 1);
}

#[tokio::test]
async fn while_the_registry_cannot_be_read_nobody_passes() {
    let gate = bank("").await;
    let ask = Ask::get("/one/1").by(&gate.teller());
    gate.ask(ask.clone()).await.expect(200);
    let state = rusqlite::Connection::open(gate.path("state").join("menshen.db")).unwrap();
    state.busy_timeout(Duration::from_secs(5)).unwrap();
    state.execute_batch("ALTER TABLE registry RENAME TO elsewhere").unwrap();
    tokio::time::sleep(AT_ONCE).await;
    gate.ask(ask.clone()).await.expect(503);
    state.execute_batch("ALTER TABLE elsewhere RENAME TO registry").unwrap();
    gate.until(200, &ask).await;
}

#[tokio::test]
async fn where_the_policy_asks_for_no_registry_only_who_was_admitted_once_is_held_to_it() {
    let gate = bank("").await;
    let ask = Ask::get("/one/1").bearer(&partner(&gate));
    gate.ask(ask.clone()).await.expect(200);
    office(&gate).draft(&doer("ann"), "fast-parcel", contract(json!({})), WHY).await.unwrap();
    tokio::time::sleep(AT_ONCE).await;
    gate.ask(ask.clone()).await.expect(200);
    for (next, who) in TO_ACTIVE {
        step(&gate, next, who).await;
    }
    gate.until(403, &ask).await;
    gate.ask(view(&partner(&gate))).await.expect(200);
}

#[tokio::test]
async fn a_policy_that_comes_later_asks_for_more_of_partners_and_of_whoever_activates_them() {
    let gate = bank("registered: partner\n").await;
    admit(&gate, json!({})).await;
    let ask = view(&partner(&gate));
    gate.until(200, &ask).await;
    let stricter = policy("registered: partner\npartner-level: 3\n");
    std::fs::write(gate.path("policies/policy.yaml"), stricter).unwrap();
    gate.until(403, &ask).await;
    let office = office(&gate);
    office.draft(&doer("ann"), "fast-parcel", contract(json!({})), WHY).await.unwrap();
    for (next, who) in &TO_ACTIVE[..3] {
        step(&gate, *next, who).await;
    }
    let told = office.take(&doer("ann"), "fast-parcel", Step::Activate, WHY).await.unwrap_err();
    assert_eq!(told.to_string(), "its attested level is 2, and the policy asks for 3");
}

#[tokio::test]
async fn a_tenant_that_is_not_served_is_refused_at_once_and_its_staff_with_it() {
    let mut gate = bank("registered: tenant\n").await;
    let ask = Ask::get("/one/1").by(&gate.token(&json!({ "tenant": "shop" })));
    let free = Ask::get("/one/1").by(&gate.teller());
    assert_eq!(title(gate.ask(ask.clone()).await.expect(403)), "The tenant is not served");
    for emptied in [gate.token_with_null("tenant"), gate.token(&json!({ "tenant": [] }))] {
        gate.ask(Ask::get("/one/1").by(&emptied)).await.expect(403);
    }
    let particulars = json!({ "registration": "R-1", "owner": "Lin", "contact": "lin@x.example" });
    let particulars = Particulars::read(particulars.as_object().unwrap()).unwrap();
    office(&gate).put_tenant(&doer("ann"), "shop", particulars, WHY).await.unwrap();
    gate.until(200, &ask).await;
    office(&gate).turn_tenant(&doer("ann"), "shop", Turn::Suspended, WHY).await.unwrap();
    tokio::time::sleep(AT_ONCE).await;
    gate.ask(ask.clone()).await.expect(403);
    office(&gate).turn_tenant(&doer("ann"), "shop", Turn::Active, WHY).await.unwrap();
    gate.until(200, &ask).await;
    gate.ask(free).await.expect(200);
    let entries = gate.entries().await;
    assert!(causes(&entries).iter().all(|cause| *cause == "tenant_not_active"));
    let text = String::from_utf8_lossy(&gate.log_text()).into_owned();
    assert!(!text.contains("lin@x.example"), "whom to ask is no business of the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_is_suspended_at_one_gate_is_so_at_the_other_whatever_is_drafted_there() {
    let store = SharedStore::start();
    let [one, two] = pair(|| setup("registered: partner\n").yaml(&store.yaml(2))).await;
    let ask = view(&partner(&one));
    admit(&one, json!({})).await;
    one.until(200, &ask).await;
    two.until(200, &ask).await;
    step(&one, Step::Suspend, "dan").await;
    // Whoever drafts at the same moment elsewhere resumes nobody by that.
    office(&two).draft(&doer("ann"), "fast-parcel", contract(json!({})), WHY).await.unwrap();
    two.until(403, &ask).await;
    one.until(403, &ask).await;
    step(&two, Step::Resume, "dan").await;
    one.until(200, &ask).await;
    let acts = two.entries_so_far().into_iter().filter_map(|entry| entry.act);
    let shared = acts.filter(|act| act.name.as_str() == "partner_suspended_shared");
    assert_eq!(shared.map(|act| act.detail.to_string()).collect::<Vec<_>>(), ["at gate-1"]);
}

#[tokio::test]
async fn the_commands_draft_list_show_and_import_and_one_person_alone_admits_nobody() {
    let gate = bank("registered: [partner, tenant]\n").await;
    let ran = |words: &[&str]| {
        let (state, key) = (gate.path("state"), gate.path("master.key"));
        let place = ["--state", state.to_str().unwrap(), "--key", key.to_str().unwrap()];
        let ran = menshen(&[&["registry", "partner"], words, &place].concat());
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.code(), String::from_utf8(said).unwrap())
    };
    let why = ["--reason", WHY];
    let draft = [
        "draft",
        "fast-parcel",
        "--task",
        "delivery",
        "--country",
        "TH",
        "--contract",
        "C-118",
        "--nda",
        "N-118",
        "--until",
        LAST_DAY,
        "--purpose",
        "service",
        "--level",
        "2",
    ];
    let (code, said) = ran(&[&draft[..], &why].concat());
    assert!(code == Some(0) && said.contains("`fast-parcel` is drafted"), "{said}");
    let (code, said) = ran(&[&["review", "fast-parcel"][..], &why].concat());
    assert!(code == Some(64) && said.contains("another person must"), "{said}");
    let (_, said) = ran(&["list"]);
    assert!(
        said.contains("fast-parcel") && said.contains("draft") && said.contains(LAST_DAY),
        "{said}"
    );
    let (_, said) = ran(&["show", "fast-parcel", "--format", "json"]);
    assert!(said.contains(r#""nda":"N-118""#) && said.contains(r#""state":"draft""#), "{said}");
    let (_, said) = ran(&["show", "fast-parcel"]);
    assert!(said.contains("partner_drafted") && said.contains("operator uid"), "{said}");
    let file = gate.path("partners.yaml");
    let import = |text: &str, file: &std::path::Path| {
        std::fs::write(file, text).unwrap();
        ran(&[&["import", file.to_str().unwrap()][..], &why].concat())
    };
    let wrong = "partners:\n  a: { task: x, level: 9 }\n  b: { until: soon, purpose: service }\n";
    let (code, said) = import(wrong, &file);
    let told = ["`a`: `level`", "`b`: `until`", "`b`: `purpose` means nothing"];
    assert!(code == Some(64) && told.iter().all(|told| said.contains(told)), "{said}");
    assert!(!ran(&["list"]).1.contains("\na "), "nothing is drafted if anything is wrong");
    let right =
        "partners:\n  a: { task: x, contract: 118, level: 1, purposes: service }\n  b: {}\n";
    let (code, said) = import(right, &file);
    assert!(code == Some(0) && said.contains("2 partners are drafted"), "{said}");
    let lines = "{\"name\":\"c\",\"task\":\"y\",\"purposes\":[\"service\"]}\n\n";
    let (_, said) = import(lines, &gate.path("partners.ndjson"));
    assert!(said.contains("1 partners are drafted"), "{said}");
    let (_, said) = ran(&["list", "--format", "json"]);
    assert!(said.lines().count() == 4 && said.contains(r#""contract":"118""#), "{said}");
    let (code, said) = ran(&[&["suspend", "nobody"][..], &why].concat());
    assert!(code == Some(64) && said.contains("no partner `nobody`"), "{said}");
}

#[tokio::test]
async fn partners_are_admitted_over_the_interface_by_other_persons_and_not_by_other_accounts() {
    let mut gate = gate_with("registered: partner\n", "").await;
    gate.add_account("bob", "lanterns-at-dusk", "security").await;
    for account in ["bob", "corp:bob"] {
        gate.identity().set_person(account, Some("e7")).await.unwrap();
    }
    gate.advance_s(2);
    let [ann, bob, bob2, cho] = ["ann", "bob", "bob2", "cho"].map(|name| security(&gate, name));
    let partners = "/v1/registry/partners";
    let draft = json!({
        "name": "fast parcel", "reason": WHY, "task": "delivery", "country": "TH",
        "contract": "C-118", "nda": "N-118", "until": LAST_DAY, "purposes": ["service"], "level": 1,
    });
    let told = post(&gate, &ann, partners, draft.clone()).await;
    assert_eq!(told.expect(200).json()["state"], "draft");
    let why = || json!({ "reason": WHY });
    let path = |step: &str| format!("{partners}/fast%20parcel/{step}");
    for (who, step, status) in [
        (&ann, "review", 409),
        (&bob, "approve", 409),
        (&bob, "review", 200),
        (&bob, "approve", 200),
        (&bob, "approve", 409),
    ] {
        let told = post(&gate, who, &path(step), why()).await;
        assert_eq!(told.status.as_u16(), status, "{step}: {}", told.text());
    }
    gate.identity().set_person("corp:bob", None).await.unwrap();
    gate.identity().set_person("corp:bob2", Some("e7")).await.unwrap();
    gate.advance_s(2);
    for (who, step, status) in [
        (&bob2, "approve", 409),
        (&ann, "activate", 409),
        (&cho, "approve", 200),
        (&ann, "activate", 200),
        (&ann, "admire", 404),
    ] {
        let told = post(&gate, who, &path(step), why()).await;
        assert_eq!(told.status.as_u16(), status, "{step}: {}", told.text());
    }
    let listed = get(&gate, &ann, partners).await;
    assert_eq!(listed.expect(200).json()["partners"][0]["state"], "active");
    let shown = get(&gate, &ann, &format!("{partners}/fast%20parcel")).await;
    assert_eq!(shown.expect(200).json()["steps"].as_array().unwrap().len(), 5);
    get(&gate, &ann, &format!("{partners}/nobody")).await.expect(404);
    let mut wrong = draft.clone();
    wrong["level"] = json!(9);
    wrong["colour"] = json!("red");
    let told = post(&gate, &ann, partners, wrong).await;
    let text = told.expect(422).text();
    assert!(text.contains("`level`") && text.contains("`colour`"), "{text}");
    let website = gate.token(&json!({ "sub": "web", "roles": ["website"] }));
    get(&gate, &website, partners).await.expect(403);
    get(&gate, &ann, "/v1/registry/published").await.expect(403);
    let published = get(&gate, &website, "/v1/registry/published").await;
    let published = published.expect(200).json();
    assert_eq!(published["partners"][0]["name"], "fast parcel");
    assert_eq!(published["changes"][0]["change"], "added");
    let teller = gate.teller();
    post(&gate, &teller, partners, draft).await.expect(403);
    get(&gate, &teller, partners).await.expect(403);
    let tenants = "/v1/registry/tenants";
    let tenant = json!({
        "name": "shop", "reason": WHY, "registration": "R-7", "owner": "Lin", "contact": "x@y",
    });
    post(&gate, &ann, tenants, tenant).await.expect(200);
    let shop = Ask::get("/one/1").by(&gate.token(&json!({ "tenant": "shop" })));
    gate.ask(shop.clone()).await.expect(200);
    let told = post(&gate, &ann, &format!("{tenants}/shop/suspend"), why()).await;
    assert_eq!(told.expect(200).json()["state"], "suspended");
    // It holds when it is answered.
    gate.ask(shop).await.expect(403);
    post(&gate, &ann, &format!("{tenants}/shop/suspend"), why()).await.expect(409);
    let all = get(&gate, &ann, tenants).await;
    assert_eq!(all.expect(200).json()["tenants"][0]["particulars"]["registration"], "R-7");
    let shown = get(&gate, &ann, &format!("{tenants}/shop")).await;
    assert_eq!(shown.expect(200).json()["steps"][1]["act"], "tenant_suspended");
    let entries = gate.entries().await;
    let acts: Vec<_> = entries.iter().filter_map(|e| Some(e.act.as_ref()?.name.as_str())).collect();
    for act in ["partner_stepped", "partner_approved", "registry_shown", "tenant_suspended"] {
        assert!(acts.contains(&act), "{act}: {acts:?}");
    }
}

#[tokio::test]
async fn the_ledger_of_a_partner_says_what_it_received_and_adds_up_to_the_outcomes() {
    let mut gate = bank("registered: partner\n").await;
    admit(&gate, json!({ "purposes": ["service", "payment"] })).await;
    gate.upstream.answers_by(|asked| match asked.target.as_str() {
        "/all" => Reply::json(r#"[{"id":1,"name":"a","phone":"13900001234"},{"id":2,"name":"b"}]"#),
        "/list" => Reply::json(r#"{"items":[{"id":1,"name":"a"},{"id":3,"phone":"139"}]}"#),
        _ => Reply::json(r#"{"id":1,"name":"a"}"#),
    });
    let token = partner(&gate);
    gate.until(200, &view(&token)).await;
    gate.ask(Ask::get("/list").by(&token)).await.expect(200);
    let file = gate.ask(Ask::get("/all").by(&token)).await;
    file.expect(200);
    let payment = Ask::get("/one/1").bearer(&token).header("menshen-purpose", "payment");
    gate.ask(payment).await.expect(200);
    gate.ask(Ask::get("/one/1").bearer(&token)).await.expect(403);
    gate.ask(Ask::get("/one/1").by(&gate.teller())).await.expect(200);
    let renewed = json!({ "contract": "C-119", "purposes": ["service"] });
    admit(&gate, renewed).await;
    let payment = Ask::get("/one/1").bearer(&token).header("menshen-purpose", "payment");
    tokio::time::sleep(AT_ONCE).await;
    gate.ask(payment).await.expect(403);
    gate.ask(view(&token)).await.expect(200);
    let entries = gate.entries().await;
    let is_its = |entry: &&Entry| {
        let actor = entry.actor.as_ref();
        actor.is_some_and(|actor| actor.partner.as_str() == "fast-parcel")
    };
    let outcomes = entries.iter().filter(is_its).filter(|entry| entry.decided_by.is_some());
    let mut sums = [0; 3];
    for outcome in outcomes {
        let data = outcome.data.as_ref().unwrap();
        sums[0] += data.records.unwrap_or_default();
        sums[1] += outcome.subjects.as_ref().map_or(0, |subjects| subjects.count);
        sums[2] += data.bytes.unwrap_or_default();
    }
    let config = gate.path("menshen.yaml").display().to_string();
    let report = |more: &[&str]| {
        let ran =
            menshen(&[&["report", "partner", "fast-parcel", "--config", &config], more].concat());
        assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    let told: Value = serde_json::from_str(&report(&["--format", "json"])).unwrap();
    let numbers =
        |given: &Value| ["records", "people", "bytes"].map(|name| given[name].as_u64().unwrap());
    assert_eq!(numbers(&told["total"]), sums, "{told}");
    assert_eq!((sums[0], sums[1]), (7, 7));
    for of in ["contracts", "purposes"] {
        let parts = told[of].as_object().unwrap().values().map(numbers);
        let added = parts.fold([0; 3], |sum, part| [0, 1, 2].map(|at| sum[at] + part[at]));
        assert_eq!(added, sums, "{of}: {told}");
    }
    assert_eq!(numbers(&told["contracts"]["C-119"])[0], 1, "{told}");
    assert_eq!(numbers(&told["purposes"]["payment"])[0], 1, "{told}");
    assert!(told["fields"]["customer.name"]["clear"]["answers"].as_u64() >= Some(4), "{told}");
    assert!(told["fields"]["customer.phone"]["masked"].is_object(), "{told}");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &file.body);
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(told["files"][0]["sha256"], hash.as_str(), "{told}");
    assert_eq!(told["files"].as_array().unwrap().len(), 1);
    let table = report(&[]);
    assert!(table.contains("customer.phone") && table.contains(&hash), "{table}");
    let none = menshen(&["report", "partner", "other", "--config", &config, "--format", "json"]);
    assert!(String::from_utf8(none.stdout).unwrap().contains(r#""requests":0"#));
}

#[tokio::test]
async fn the_published_list_names_who_receives_data_since_when_and_what_changed() {
    let gate = bank("").await;
    admit(&gate, json!({ "task": "delivery | <b>" })).await;
    let draft = contract(json!({}));
    office(&gate).draft(&doer("ann"), "sms", draft, WHY).await.unwrap();
    let place = gate.path("menshen.yaml").display().to_string();
    let list = |more: &[&str]| {
        let words = ["registry", "partner", "list", "--public", "--config", &place];
        let ran = menshen(&[&words[..], more].concat());
        String::from_utf8([ran.stdout, ran.stderr].concat()).unwrap()
    };
    let page = list(&[]);
    assert!(page.contains("| fast-parcel | delivery \\| &lt;b> | TH | 2027-01-15 |"), "{page}");
    assert!(page.contains("| 2027-01-15 | fast-parcel | added |"), "{page}");
    for secret in ["sms", "C-118", "N-118", "ann", WHY] {
        assert!(!page.contains(secret), "{secret}: {page}");
    }
    gate.advance_s(86_400);
    admit(&gate, json!({ "task": "storage" })).await;
    gate.advance_s(86_400);
    step(&gate, Step::End, "dan").await;
    let told: Value = serde_json::from_str(&list(&["--format", "json"])).unwrap();
    assert_eq!(told["partners"], json!([]));
    let changes: Vec<_> = told["changes"].as_array().unwrap().iter().collect();
    let seen: Vec<_> = changes.iter().map(|one| (&one["day"], &one["change"])).collect();
    let days = ["2027-01-17", "2027-01-16", "2027-01-15"].map(Value::from);
    let words = ["ended", "changed", "added"].map(Value::from);
    assert_eq!(seen, days.iter().zip(&words).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_partner_receives_no_field_that_its_contract_lacks_in_whatever_form() {
    let opaque = "  one.file:\n    match: GET bank.example/file/{id}\n    to: core\n    action: export\n    \
                  opaque: { types: [image/png], size: 64KiB, grade: 1, of: customer, subject: id }\n";
    let text =
        policy("registered: partner\n").replace("roles: {", &format!("{opaque}roles: {{")).replace(
            "rules:\n",
            "rules:\n  - { name: files, allow: export, to: teller, route: one.file }\n",
        );
    let mut gate = setup_of(&text).start().await;
    gate.upstream.answers_by(|asked| match asked.target.as_str() {
        "/file/1" => Reply::with(200, &[("content-type", "image/png")], "png"),
        _ => Reply::json(r#"{"id":1,"name":"a"}"#),
    });
    let token = partner(&gate);
    let shown = [view(&token), Ask::get("/file/1").by(&token)];
    let held = ["customer.id", "customer.name", "customer.note", "customer.phone"];
    for (fields, statuses) in [
        (json!(["customer"]), [200, 200]),
        // The street is masked, and still received.
        (json!([&held[..], &["customer.address.city"]].concat()), [403, 403]),
        (json!([&held[..], &["customer.address"]].concat()), [200, 403]),
        (json!(["client.phone", "custom"]), [403, 403]),
        (json!([]), [200, 200]),
    ] {
        admit(&gate, json!({ "fields": fields })).await;
        tokio::time::sleep(AT_ONCE).await;
        for (ask, status) in shown.iter().zip(statuses) {
            let answer = gate.ask(ask.clone()).await;
            assert_eq!(answer.status.as_u16(), status, "{fields} {}: {}", ask.path, answer.text());
        }
    }
    let entries = gate.entries().await;
    assert!(causes(&entries).iter().all(|cause| *cause == "field_not_in_contract"));
    let unmet = |entry: &Entry| format!("{:?}", entry.decision.as_ref().map(|d| &d.unmet));
    assert!(entries.iter().any(|entry| unmet(entry).contains("`customer.address.street`")));
}

#[tokio::test]
async fn the_commands_register_suspend_list_and_import_tenants() {
    let gate = bank("registered: tenant\n").await;
    let ask = Ask::get("/one/1").by(&gate.token(&json!({ "tenant": "shop" })));
    let ran = |words: &[&str]| {
        let config = gate.path("menshen.yaml").display().to_string();
        let ran = menshen(&[&["registry", "tenant"], words, &["--config", &config]].concat());
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.code(), String::from_utf8(said).unwrap())
    };
    let why = ["--reason", WHY];
    let put = ["put", "shop", "--registration", "R-7", "--owner", "Lin Mei"];
    let (code, said) = ran(&[&put[..], &why].concat());
    assert!(code == Some(64) && said.contains("`contact` must be said"), "{said}");
    let (_, said) = ran(&[&put[..], &["--contact", "lin@x.example"], &why].concat());
    assert!(said.contains("`shop` is registered and active"), "{said}");
    gate.until(200, &ask).await;
    let (_, said) = ran(&[&["suspend", "shop"], &why[..]].concat());
    assert!(said.contains("`shop` is suspended"), "{said}");
    tokio::time::sleep(AT_ONCE).await;
    gate.ask(ask.clone()).await.expect(403);
    let (code, said) = ran(&[&["suspend", "shop"], &why[..]].concat());
    assert!(code == Some(64) && said.contains("it is suspended"), "{said}");
    ran(&[&["resume", "shop"], &why[..]].concat());
    gate.until(200, &ask).await;
    let file = gate.path("tenants.yaml");
    let all =
        "tenants:\n  a: { registration: 1, owner: x, contact: y }\n  b: { registration: 2 }\n";
    std::fs::write(&file, all).unwrap();
    let import = [&["import", file.to_str().unwrap()][..], &why].concat();
    let (code, said) = ran(&import);
    assert!(code == Some(64) && said.contains("`b`: `owner`"), "{said}");
    std::fs::write(&file, all.replace("2 }", "2, owner: z, contact: z }")).unwrap();
    assert!(ran(&import).1.contains("2 tenants are registered"));
    let (_, said) = ran(&["list"]);
    assert!(said.lines().count() == 4 && said.contains("Lin Mei"), "{said}");
    let (_, said) = ran(&["show", "shop", "--format", "json"]);
    assert!(said.lines().count() == 3 && said.contains(r#""act":"tenant_suspended""#), "{said}");
    let (_, said) = ran(&["show", "shop"]);
    assert!(said.contains("shop: active, since") && said.contains("tenant_resumed"), "{said}");
    ran(&[&["end", "shop"], &why[..]].concat());
    gate.until(403, &ask).await;
}
