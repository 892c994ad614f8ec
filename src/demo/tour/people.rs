//! How much leaves: exports that ask for a factor, pseudonyms, and the limit on people.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::door::{Answer, Trouble, text_at};
use super::story::{Ask, Story};
use crate::audit::ContentHash;
use crate::command::{Doer, Kind, Target, Way};
use crate::demo::cast::CUSTOMERS;
use crate::demo::people;
use crate::server::Server;

/// The window slides in steps, so that a customer may count for a few minutes longer.
const HOUR_S: u64 = 3_600 + 300;

/// No request goes by older knowledge of what is switched off.
const AT_ONCE: Duration = Duration::from_millis(250);

pub(super) async fn play(story: &mut Story<'_>) -> io::Result<()> {
    story
        .step(
            "An export asks for a fresh code",
            "A bulk of records is worth a second factor; the answer says which, in the words of RFC 9470.",
            an_export_asks_for_a_code,
        )
        .await?;
    story
        .step(
            "With the code, 2,000 customers stream out, masked",
            "The answer is filtered as it streams; the backend was asked once, the log has each customer.",
            an_export_streams_masked,
        )
        .await?;
    story
        .step(
            "Incident mode stops the export in the middle, and looks go on",
            "Switches take effect within a quarter of a second, also on what streams; a cut answer never ends as if it were whole.",
            incident_mode_stops_an_export,
        )
        .await?;
    story
        .step(
            "A branch's supervisor gets the branch in the same export",
            "One rule, one endpoint: each row is judged for who asks.",
            an_export_holds_own_rows_only,
        )
        .await?;
    story
        .step(
            "The analyst gets pseudonyms that join and name nobody",
            "Counting needs to know that two records are of one person, not of whom.",
            the_analyst_gets_pseudonyms,
        )
        .await?;
    story
        .step(
            "The auditor gets nothing",
            "Who reviews the log reads no customers; a denial wins over whatever allows.",
            the_auditor_gets_nothing,
        )
        .await?;
    limit(story).await
}

async fn limit(story: &mut Story<'_>) -> io::Result<()> {
    story
        .step(
            "After 40 different customers in an hour it is enough",
            "What leaves is counted in people, not in requests.",
            the_limit_on_people_is_reached,
        )
        .await?;
    story
        .step(
            "A customer already seen is still shown",
            "Work goes on; nobody new leaves.",
            a_customer_already_seen_costs_nothing,
        )
        .await?;
    story
        .step(
            "A restart of the gate does not refill the limit",
            "The count is on disk before the records leave.",
            a_restart_refills_nothing,
        )
        .await?;
    story
        .step(
            "Who walks through the numbers one by one is stopped until security releases them",
            "No single request shows it; a detection reads the log as it grows, and what it knows survives a restart.",
            a_walk_through_the_numbers_is_stopped,
        )
        .await
}

fn export(who: &'static str, purpose: &'static str) -> Ask {
    Ask::get("/api/customers/export").by(who).purpose(purpose)
}

fn records(answer: &Answer) -> Vec<Value> {
    answer.json().as_array().cloned().unwrap_or_default()
}

/// Whether a record anywhere in the answer has one of these fields.
fn has_any(answer: &Answer, fields: &[&str]) -> bool {
    let text = answer.text();
    fields.iter().any(|field| text.contains(&format!("\"{field}\":")))
}

async fn an_export_asks_for_a_code(story: &mut Story<'_>) -> Result<(), Trouble> {
    story.sign_in("dewi", false).await?;
    let before = story.hits();
    let ask = export("dewi", "risk").remark("signed in with a password");
    let answer = story.ask(ask).await?;
    story.check("401", answer.status == StatusCode::UNAUTHORIZED);
    let asks = answer.header("www-authenticate");
    let is_step_up = asks.contains("insufficient_user_authentication")
        && asks.contains("acr_values=\"2\", max_age=900");
    story.check("it says which factor, and how fresh", is_step_up);
    story.check("the backend was not asked", story.hits() == before);
    Ok(())
}

async fn an_export_streams_masked(story: &mut Story<'_>) -> Result<(), Trouble> {
    let code = story.code_of("dewi")?;
    story.code("dewi", &code, "with the code of the app").await?;
    let before = story.hits();
    let answer = story.ask(export("dewi", "risk")).await?;
    let records = records(&answer);
    story.check(&format!("{} customers", records.len()), records.len() == CUSTOMERS);
    let has_mask = |field: &str| records.iter().all(|record| text_at(record, field).contains('*'));
    story.check("every name and every phone is masked", has_mask("/name") && has_mask("/phone"));
    let text = answer.text();
    let others = ["password_hash", "internal_score", "note", "id_number", "cards", "accounts"];
    let is_clean = !has_any(&answer, &others);
    let leaks = people::customers().take(CUSTOMERS).filter(|c| text.contains(&c.phone)).count();
    story.check("no other field, and no telephone number in clear", is_clean && leaks == 0);
    story.check("the backend was asked once", story.hits() == before + 1);
    let mark = answer.header("menshen-watermark").to_owned();
    let is_named = answer.header("content-disposition").contains(&mark);
    story.check("its name has a mark of its own", mark.len() == 17 && is_named);
    let mut hash = ContentHash::default();
    hash.update(text.as_bytes());
    story.copy = Some((mark, hash.finish()));
    Ok(())
}

async fn a_walk_through_the_numbers_is_stopped(story: &mut Story<'_>) -> Result<(), Trouble> {
    const FIRST: u64 = people::FIRST_ID;
    const LAST: u64 = FIRST + 19;
    let look = |id: u64| {
        Ask::get(format!("/api/customers/{id}")).by("somchai").purpose("service").remark("a clerk")
    };
    let mut was_stopped = false;
    for id in FIRST..=LAST {
        was_stopped |= story.send(&look(id)).await?.status == StatusCode::FORBIDDEN;
    }
    let walk = format!("GET /api/customers/{FIRST} to {LAST}, one after another, as somchai");
    story.note(&walk, "each is answered by itself: not in his branch, or his people are used up");
    story.check("none of them stopped him", !was_stopped);
    let stopped = story.becomes(&look(LAST + 1), |status| status == StatusCode::FORBIDDEN).await?;
    story.check("403 a moment later: this account is stopped for now", stopped);
    let desk = story.stage.server().map(Server::desk).ok_or(Trouble::Closed)?.clone();
    let officer = Doer { name: "the security officer".into(), person: "officer".into() };
    desk.release(&officer, "somchai", "he looked for a list that the branch had sent").await?;
    story.note("menshen detection release somchai --reason …", "`somchai` goes on");
    let goes_on = story.becomes(&look(LAST + 1), |status| status != StatusCode::FORBIDDEN).await?;
    story.check("and he goes on, once that is in the log", goes_on);
    Ok(())
}

async fn incident_mode_stops_an_export(story: &mut Story<'_>) -> Result<(), Trouble> {
    let desk = story.stage.server().map(Server::desk).ok_or(Trouble::Closed)?.clone();
    let officer = Doer { name: "the security officer".into(), person: "officer".into() };
    let exports = Target::new(Kind::Exports, "")?;
    let turn = async |way| {
        let done = desk.turn(&officer, way, &exports, "an export that nobody can explain").await;
        // So long a request may go by what was known before.
        tokio::time::sleep(AT_ONCE).await;
        done
    };
    let (_, is_whole) = story
        .ask_and_pause(&export("dewi", "risk"), async {
            drop(turn(Way::On).await);
        })
        .await?;
    story.note("menshen switch on exports --reason …, meanwhile", "`exports` is switched off");
    story.check("it was cut off and did not end as if it were whole", !is_whole);
    let next = story.ask(export("dewi", "risk")).await?;
    story.check("the next one is refused", next.status == StatusCode::FORBIDDEN);
    story.sign_in("li.na", false).await?;
    let look = story.ask(Ask::get("/api/customers/1001").by("li.na").purpose("service")).await?;
    story.check("a look at one customer goes on", look.status == StatusCode::OK);
    turn(Way::Off).await?;
    story.note("menshen switch off exports --reason …", "`exports` goes on");
    let after = story.ask(export("zhao.lei", "risk")).await?;
    story.check("and so do exports, once that is in the log", after.status == StatusCode::OK);
    Ok(())
}

async fn an_export_holds_own_rows_only(story: &mut Story<'_>) -> Result<(), Trouble> {
    let answer = story.ask(export("zhao.lei", "risk")).await?;
    let records = records(&answer);
    let own = people::customers().take(CUSTOMERS).filter(|c| c.branch == "sh01").count();
    let all_own = records.iter().all(|record| text_at(record, "/branch") == "sh01");
    story.check(&format!("{} customers, all of sh01", records.len()), all_own);
    story.check("none of them is missing", records.len() == own);
    Ok(())
}

async fn the_analyst_gets_pseudonyms(story: &mut Story<'_>) -> Result<(), Trouble> {
    story.sign_in("min.ji", true).await?;
    let first = story.ask(export("min.ji", "statistics")).await?;
    let second = story.ask(export("min.ji", "statistics").remark("again")).await?;
    let ids = |answer: &Answer| -> Vec<String> {
        records(answer).iter().map(|record| text_at(record, "/id").to_owned()).collect()
    };
    let (one, two) = (ids(&first), ids(&second));
    let different: BTreeSet<&String> = one.iter().collect();
    story.check("2,000 different pseudonyms", different.len() == CUSTOMERS);
    story.check("the same again: the two exports can be joined", one == two);
    let is_clean = !has_any(&first, &["name", "phone", "email", "id_number"]);
    story.check("no name, phone, mailbox or identity number", is_clean);
    Ok(())
}

async fn the_auditor_gets_nothing(story: &mut Story<'_>) -> Result<(), Trouble> {
    story.sign_in("alice", true).await?;
    let before = story.hits();
    for path in ["/api/customers/1001", "/api/customers", "/api/customers/export"] {
        let answer = story.ask(Ask::get(path).by("alice").purpose("service")).await?;
        story.check("403", answer.status == StatusCode::FORBIDDEN);
    }
    story.check("the backend was not asked", story.hits() == before);
    Ok(())
}

fn page(number: u32) -> Ask {
    let path = format!("/api/customers?branch=bkk02&per_page=20&page={number}");
    Ask::get(path).by("somchai").purpose("service")
}

async fn the_limit_on_people_is_reached(story: &mut Story<'_>) -> Result<(), Trouble> {
    story.sign_in("somchai", true).await?;
    for number in [1, 2] {
        let answer = story.ask(page(number)).await?;
        let count = answer.json().get("items").and_then(Value::as_array).map_or(0, Vec::len);
        story.check("20 customers", count == 20);
    }
    let answer = story.ask(page(3)).await?;
    is_used_up(story, &answer);
    let told = answer.header("ratelimit").contains("\"subjects-1h\";r=0");
    story.check("`RateLimit` says that no people are left", told);
    Ok(())
}

fn is_used_up(story: &mut Story<'_>, answer: &Answer) {
    story.check("429", answer.status == StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = answer.header("retry-after").parse().unwrap_or_default();
    story.check("`Retry-After`: within an hour and a little", (1..=HOUR_S).contains(&wait));
    story.check("no customer", answer.json().get("items").is_none());
}

async fn a_customer_already_seen_costs_nothing(story: &mut Story<'_>) -> Result<(), Trouble> {
    let seen = Ask::get("/api/customers/1003").by("somchai").purpose("service");
    let seen = story.ask(seen).await?;
    story.check("200", seen.status == StatusCode::OK);
    let new = Ask::get("/api/customers/1999").by("somchai").purpose("service");
    let new = story.ask(new.remark("of his branch, not seen yet")).await?;
    is_used_up(story, &new);
    Ok(())
}

async fn a_restart_refills_nothing(story: &mut Story<'_>) -> Result<(), Trouble> {
    story.stage.restart().await?;
    story.note("the gate is stopped and started again", "it runs on the same folder");
    let answer = story.ask(page(3)).await?;
    is_used_up(story, &answer);
    let seen = Ask::get("/api/customers/1003").by("somchai").purpose("service");
    let seen = story.ask(seen).await?;
    story.check("his session and what he saw are still known", seen.status == StatusCode::OK);
    Ok(())
}
