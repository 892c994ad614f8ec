//! A grant about a search, through the whole gate: offered where it hurts, read by whoever agrees, good for any page of
//! that search and for so many rows over all of them.

use serde_json::{Value, json};

use crate::grants::{approve, asks, manager};
use crate::harness::{Ask, Gate, Reply, Setup, SharedStore, soon};

const DESK: &str = r#"
grades: { 1: {}, 2: {} }
purposes: [service]
entities:
  guest: { subject: id, fields: { id: 1, name: 2, note: 1 } }
routes:
  guest.find:
    match: GET bank.example/guests
    to: core
    action: search
    require: { grant: required }
    query: { note: guest.note, page: page }
    returns: { guest: "$[]" }
roles: { teller: { rank: 1 }, manager: { rank: 5 } }
rules:
  - { name: desk, allow: search, to: [teller, manager], of: guest, clear: [id, name, note] }
grants:
  - { to: teller, action: search, rows: 3, uses: 10, fresh: 5m }
"#;

/// Two guests a page, whatever is searched for.
async fn desk() -> Gate {
    desk_with(DESK, "").await
}

async fn desk_with(policy: &str, more: &str) -> Gate {
    let admin = "admin:\n  address: \"127.0.0.1:0\"\n  certificate: gate.pem\n  key: gate.key\n  \
                 rights: { grants: [manager] }\n";
    let gate = Setup::policy(policy).yaml(admin).yaml(more).start().await;
    gate.upstream.answers_by(|asked| {
        let page = asked.target.rsplit("page=").next().unwrap_or("0").to_owned();
        let guest = |n: u8| json!({ "id": format!("G{page}{n}"), "name": "n", "note": "x" });
        Reply::json(json!([guest(1), guest(2)]).to_string())
    });
    gate
}

/// Asks for what the gate offers for this path, and has it agreed to.
async fn granted(gate: &Gate, path: &str) -> String {
    let refused = gate.ask(Ask::get(path).by(&gate.teller())).await;
    let mut fields = refused.expect(403).json()["grant"]["fields"].clone();
    fields["reason"] = Value::from("a complaint");
    fields["uses"] = Value::from("10");
    fields["rows"] = Value::from("3");
    let asked = asks(gate, &gate.teller(), fields).await.expect(201).json();
    let id = asked["id"].as_str().unwrap().to_owned();
    approve(gate, &manager(gate, "mei"), &id).await.expect(200);
    id
}

async fn rows(gate: &Gate, search: &str) -> (u16, usize) {
    let answer = gate.ask(Ask::get(&format!("/guests?{search}")).by(&gate.teller())).await;
    let rows = match answer.status.as_u16() {
        200 => answer.json().as_array().map_or(0, Vec::len),
        _ => 0,
    };
    (answer.status.as_u16(), rows)
}

#[tokio::test]
async fn a_search_is_granted_with_its_rows_and_opens_its_pages_and_no_other_search() {
    let mut gate = desk().await;
    let refused = gate.ask(Ask::get("/guests?page=1&note=lost+luggage").by(&gate.teller())).await;
    let told = refused.expect(403).json();
    let mut fields = told["grant"]["fields"].clone();
    assert_eq!(fields["query"], "note=lost%20luggage", "without the page: {told}");
    fields["reason"] = Value::from("a complaint");
    fields["uses"] = Value::from("10");
    let mut many = fields.clone();
    many["rows"] = Value::from("4");
    asks(&gate, &gate.teller(), many).await.expect(409);
    let mut emergency = fields.clone();
    emergency["emergency"] = Value::from("true");
    asks(&gate, &gate.teller(), emergency).await.expect(409);
    let asked = asks(&gate, &gate.teller(), fields).await.expect(201).json();
    let (id, sentence) = (asked["id"].as_str().unwrap(), asked["sentence"].as_str().unwrap());
    assert!(sentence.contains("the search by note `lost luggage` finds (3 rows at most in all)"));
    assert_eq!((&asked["rows"], &asked["query"]), (&json!(3), &json!(["note=lost luggage"])));
    approve(&gate, &manager(&gate, "mei"), id).await.expect(200);
    assert_eq!(rows(&gate, "note=other&page=1").await, (403, 0));
    assert_eq!(rows(&gate, "page=1").await, (403, 0));
    assert_eq!(rows(&gate, "note=lost+luggage&page=1").await, (200, 2));
    assert_eq!(rows(&gate, "page=2&note=lost%20luggage").await, (200, 1), "three in all");
    assert_eq!(rows(&gate, "note=lost+luggage&page=3").await, (403, 0));
    let mine = gate.ask(Ask::get("/.menshen/grants").by(&gate.teller())).await.expect(200).json();
    assert_eq!(mine["grants"][0]["used"], json!(2), "each page is a use: {mine}");
    let entries = gate.entries().await;
    let acts = entries.iter().filter_map(|entry| entry.act.as_ref());
    let asked: Vec<_> = acts.filter(|act| act.name.as_str() == "grant_asked").collect();
    let [act] = asked.as_slice() else { panic!("{asked:?}") };
    let said = serde_json::to_string(act).unwrap();
    assert!(said.contains("the search by note finds") && !said.contains("luggage"), "{said}");
}

#[tokio::test]
async fn a_search_whose_rows_were_given_is_used_up_and_another_grant_of_it_opens() {
    let gate = desk().await;
    let id = granted(&gate, "/guests?page=0&note=lost").await;
    assert_eq!(rows(&gate, "note=lost&page=1").await, (200, 2));
    assert_eq!(rows(&gate, "note=lost&page=2").await, (200, 1));
    let again = granted(&gate, "/guests?page=3&note=lost").await;
    assert_eq!(
        rows(&gate, "note=lost&page=3").await,
        (200, 2),
        "{id} gives nothing more, {again} does"
    );
    let noting = async {
        loop {
            let mine =
                gate.ask(Ask::get(&format!("/.menshen/grants?id={id}")).by(&gate.teller())).await;
            if mine.expect(200).json()["state"] == "used-up" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    soon("the note that it is used up", noting).await;
}

#[tokio::test]
async fn a_search_is_offered_in_the_branch_where_it_was_asked_and_opens_in_no_other() {
    let gate = desk_with(&DESK.replace("/guests", "/branches/{branch}/guests"), "").await;
    let ask = async |branch: &str| {
        let path = format!("/branches/{branch}/guests?note=lost&page=1");
        gate.ask(Ask::get(&path).by(&gate.teller())).await
    };
    let offered = ask("12").await.expect(403).json();
    assert_eq!(offered["grant"]["fields"]["parameters"], "branch=12", "{offered}");
    let spaced = ask("1%202").await.expect(403).json();
    assert!(spaced["grant"]["fields"].is_null(), "no form can say it: {spaced}");
    granted(&gate, "/branches/12/guests?note=lost&page=1").await;
    ask("13").await.expect(403);
    ask("12").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_lost_is_not_told_as_a_search_whose_rows_were_given() {
    let mut store = SharedStore::start();
    let gate = desk_with(DESK, &store.yaml(1)).await;
    granted(&gate, "/guests?page=0&note=lost").await;
    store.kill();
    let refused = gate.ask(Ask::get("/guests?note=lost&page=1").by(&gate.teller())).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
}
