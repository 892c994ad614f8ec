//! An emergency: leave that opens before anybody agreed, and the review without which it is the last one.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use super::door::{Answer, Trouble};
use super::story::{Ask, Story};

/// What the chapter before says of what a grant shows and who may be granted it, and what stands there now: the name
/// in clear, so that there is a grade of which whoever owes a review sees nothing.
const CHANGES: [(&str, &str); 2] = [
    ("segment]\n    masked: [name, phone]\n", "segment, name]\n"),
    (
        "grade: 4, by: supervisor, longest: 1h, uses: 1 }",
        "grade: 4, by: supervisor, longest: 1h, uses: 1, break-glass: { longest: 30m, review: 1h } }",
    ),
];

pub(super) async fn play(story: &mut Story<'_>) -> io::Result<()> {
    story
        .step(
            "In an emergency the glass is broken; unreviewed, it is the last time",
            "It opens at once, with a reason and a fresh factor, and is loud. Somebody else must review it in time.",
            glass_is_broken,
        )
        .await
}

fn look(id: u64) -> Ask {
    Ask::get(format!("/api/customers/{id}")).by("min.ji").purpose("risk")
}

fn offer(answer: &Answer) -> Option<Value> {
    let offer = answer.json().pointer("/grant").cloned()?;
    offer.pointer("/break_glass").and_then(Value::as_bool).filter(|breaks| *breaks)?;
    offer.pointer("/fields").cloned()
}

async fn glass_is_broken(story: &mut Story<'_>) -> Result<(), Trouble> {
    let path = story.stage.path().join("policies").join("grants.yaml");
    let policy = CHANGES
        .iter()
        .fold(std::fs::read_to_string(&path)?, |policy, (before, now)| policy.replace(before, now));
    std::fs::write(&path, policy)?;
    story.stage.reload();
    story.note("policies/grants.yaml", "the glass may be broken, and is reviewed within an hour");
    sign_in(story, "min.ji").await?;
    for _ in 0..600 {
        if offer(&story.send(&look(1005)).await?).is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = story.ask(look(1005)).await?;
    let opened = ask(story, &refused, "a customer is in danger", true).await?;
    story.check("it is open, and nobody agreed: 201", opened.at("/state") == "approved");
    let seen = story.ask(look(1005)).await?;
    story.check(
        "200, the name in clear",
        !seen.at("/name").is_empty() && !seen.at("/name").contains('*'),
    );
    story.note("an hour passes", "and nobody reviews it");
    story.stage.clock().advance_ms(3_700_000);
    sign_in(story, "min.ji").await?;
    sign_in(story, "zhao.lei").await?;
    let again = story.send(&look(1006)).await?;
    let again = ask(story, &again, "another one", true).await?;
    story.check("no further emergency", again.status.is_client_error());
    let refused = story.send(&look(1006)).await?;
    let asked = ask(story, &refused, "in the ordinary way", false).await?;
    let agree = json!({ "id": asked.at("/id"), "decision": "approve" });
    let agreed = story.ask(Ask::post("/.menshen/grants/decide", agree).by("zhao.lei")).await?;
    story.check("the supervisor agrees", agreed.at("/state") == "approved");
    let blocked = story.ask(look(1006)).await?;
    let is_told = blocked.text().contains("must be reviewed");
    story.check("and still 403, until somebody reviews", is_told);
    Ok(())
}

/// Asks for what a refusal says would open it.
async fn ask(
    story: &mut Story<'_>,
    refused: &Answer,
    reason: &str,
    in_emergency: bool,
) -> Result<Answer, Trouble> {
    let mut fields = offer(refused).unwrap_or_default();
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("reason".to_owned(), reason.into());
        if in_emergency {
            fields.insert("emergency".to_owned(), "true".into());
            fields.insert("fields".to_owned(), "customer.name".into());
        }
    }
    story.ask(Ask::post("/.menshen/grants", fields).by("min.ji")).await
}

/// With a code that was not used before.
async fn sign_in(story: &mut Story<'_>, account: &str) -> Result<(), Trouble> {
    story.stage.clock().advance_ms(31_000);
    story.sign_in(account, true).await
}
