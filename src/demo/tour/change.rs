//! What is changed: only fields that a rule lets be written, only on one's own records.

use std::io;

use http::StatusCode;
use serde_json::json;

use super::door::Trouble;
use super::story::{Ask, Story};

const NEW_PHONE: &str = "13900001234";

pub(super) async fn play(story: &mut Story<'_>) -> io::Result<()> {
    story
        .step(
            "A teller corrects a telephone number",
            "Writing is a right of its own: she may set the number and still sees it masked.",
            an_allowed_field_is_written,
        )
        .await?;
    story
        .step(
            "The masked form cannot be written back",
            "A form that sends back what it shows would destroy the number.",
            the_masked_form_is_refused,
        )
        .await?;
    story
        .step(
            "Fields that no rule lets be written are refused",
            "The backend would merge anything; a request is refused whole, not trimmed.",
            other_fields_are_refused,
        )
        .await?;
    story
        .step(
            "Another branch's customer cannot be changed",
            "Before a change the record is read and held against the condition.",
            another_branch_is_not_changed,
        )
        .await
}

fn change(id: u64, body: serde_json::Value) -> Ask {
    Ask::patch(format!("/api/customers/{id}"), body).by("li.na").purpose("service")
}

async fn an_allowed_field_is_written(story: &mut Story<'_>) -> Result<(), Trouble> {
    let answer = story.ask(change(1001, json!({ "phone": NEW_PHONE }))).await?;
    story.check("200", answer.status == StatusCode::OK);
    story.check("the answer shows it masked", answer.at("/phone") == "139****1234");
    story.check("and nothing else in clear", !answer.text().contains(NEW_PHONE));
    is_stored(story).await
}

/// What a supervisor, who may see it, reads afterwards.
async fn is_stored(story: &mut Story<'_>) -> Result<(), Trouble> {
    let read = Ask::get("/api/customers/1001").by("zhao.lei").purpose("complaint");
    let read = story.ask(read).await?;
    story.check("the stored number is the new one", read.at("/phone") == NEW_PHONE);
    Ok(())
}

async fn the_masked_form_is_refused(story: &mut Story<'_>) -> Result<(), Trouble> {
    let answer = story.ask(change(1001, json!({ "phone": "139****1234" }))).await?;
    story.check("400", answer.status == StatusCode::BAD_REQUEST);
    is_stored(story).await
}

async fn other_fields_are_refused(story: &mut Story<'_>) -> Result<(), Trouble> {
    let bodies = [
        json!({ "internal_score": 999 }),
        json!({ "password_hash": "x" }),
        json!({ "branch": "bj07" }),
        json!({ "phone": "13900005678", "name": "x" }),
    ];
    for body in bodies {
        let answer = story.ask(change(1001, body)).await?;
        story.check("400", answer.status == StatusCode::BAD_REQUEST);
    }
    is_stored(story).await
}

async fn another_branch_is_not_changed(story: &mut Story<'_>) -> Result<(), Trouble> {
    let before = story.hits();
    let foreign = story.ask(change(1002, json!({ "phone": NEW_PHONE }))).await?;
    story.check("404", foreign.status == StatusCode::NOT_FOUND);
    story.check("the backend was read once and not changed", story.hits() == before + 1);
    let missing = story.ask(change(999_999, json!({ "phone": NEW_PHONE }))).await?;
    story.check("a missing customer's answer is equal", foreign.shape() == missing.shape());
    Ok(())
}
