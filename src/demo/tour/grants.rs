//! What somebody else must agree to: asked for where it hurts, for one customer, for one look.

use std::io;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::door::{Answer, Trouble};
use super::story::{Ask, Story};

/// What the bank adds to its policy.
const POLICY: &str = "\
# Analysts count. One who must look into a case does so for one customer, once a supervisor has agreed.
rules:
  - name: analysts look into one case where a supervisor agreed
    allow: view
    to: analyst
    of: customer
    clear: [id, branch, segment]
    masked: [name, phone]
    purpose: risk
    require: { grant: required }
grants:
  - { to: analyst, route: customer.view, grade: 4, by: supervisor, longest: 1h, uses: 1 }
";

pub(super) async fn play(story: &mut Story<'_>) -> io::Result<()> {
    story
        .step(
            "An analyst asks for one customer, a supervisor agrees, and one look passes",
            "Leave is given by somebody else, for this customer and this hour; the refusal says what to ask for.",
            one_look_is_granted,
        )
        .await
}

fn look(id: u64) -> Ask {
    Ask::get(format!("/api/customers/{id}")).by("min.ji").purpose("risk")
}

fn decide(id: &str, who: &'static str) -> Ask {
    Ask::post("/.menshen/grants/decide", json!({ "id": id, "decision": "approve" })).by(who)
}

fn offers(answer: &Answer) -> Option<Value> {
    answer.json().pointer("/grant/fields").cloned()
}

async fn one_look_is_granted(story: &mut Story<'_>) -> Result<(), Trouble> {
    std::fs::write(story.stage.path().join("policies").join("grants.yaml"), POLICY)?;
    story.stage.reload();
    story.note("policies/grants.yaml is added", "analysts may be granted one customer");
    for _ in 0..600 {
        if offers(&story.send(&look(1001)).await?).is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = story.ask(look(1001)).await?;
    let mut fields = offers(&refused).unwrap_or_default();
    story.check("403, and what to ask for", refused.status == StatusCode::FORBIDDEN);
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("reason".to_owned(), "two complaints of the same shop".into());
    }
    let asked = story.ask(Ask::post("/.menshen/grants", fields).by("min.ji")).await?;
    story.check("201: it waits", asked.status == StatusCode::CREATED);
    let id = asked.at("/id");
    let own = story.ask(decide(&id, "min.ji")).await?;
    story.check("whoever asks does not agree: 409", own.status == StatusCode::CONFLICT);
    // A code is good once.
    story.stage.clock().advance_ms(31_000);
    story.sign_in("zhao.lei", true).await?;
    let agreed = story.ask(decide(&id, "zhao.lei").remark("with a fresh code")).await?;
    story.check("the supervisor does: approved", agreed.at("/state") == "approved");
    let other = story.ask(look(1003)).await?;
    story.check("another customer stays withheld", other.status == StatusCode::FORBIDDEN);
    let seen = story.ask(look(1001)).await?;
    let is_masked = seen.at("/name").contains('*') && seen.at("/phone").contains('*');
    story.check("one look passes, names masked", seen.status == StatusCode::OK && is_masked);
    let again = story.ask(look(1001).remark("once more")).await?;
    story.check("the second is refused", again.status == StatusCode::FORBIDDEN);
    Ok(())
}
