//! Whose records: only those of one's own branch, and no trace of the others.

use std::io;

use http::StatusCode;
use serde_json::Value;

use super::door::{Trouble, text_at};
use super::story::{Ask, Story};
use crate::demo::people::{self, FIRST_ID};

pub(super) async fn play(story: &mut Story<'_>) -> io::Result<()> {
    story
        .step(
            "Another branch's customer does not exist",
            "\"Not yours\" would tell that there is such a customer; the backend's talkative error does not pass.",
            another_branch_does_not_exist,
        )
        .await?;
    story
        .step(
            "A list loses the rows of other branches",
            "The condition holds for each record by itself; a total would betray how many are missing.",
            a_list_holds_own_rows_only,
        )
        .await?;
    story
        .step(
            "A customer's orders are hidden with the customer",
            "A way round through a neighbouring path is no way round.",
            orders_of_other_branches_are_empty,
        )
        .await
}

fn get(path: &str) -> Ask {
    Ask::get(path).by("li.na").purpose("service")
}

async fn another_branch_does_not_exist(story: &mut Story<'_>) -> Result<(), Trouble> {
    let foreign = story.ask(get("/api/customers/1002")).await?;
    let missing = story.ask(get("/api/customers/999999")).await?;
    story.check("404", foreign.status == StatusCode::NOT_FOUND);
    let equal = foreign.shape() == missing.shape();
    story.check("a missing customer's answer is equal to the byte", equal);
    let spilt = people::customer(0).name;
    let is_clean = !missing.text().contains(&spilt) && !missing.text().contains("sql");
    story.check("what the backend said in its error stays behind", is_clean);
    Ok(())
}

async fn a_list_holds_own_rows_only(story: &mut Story<'_>) -> Result<(), Trouble> {
    let answer = story.ask(get("/api/customers?per_page=20")).await?;
    let json = answer.json();
    let items = json.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let all_own = items.iter().all(|item| text_at(item, "/branch") == "sh01");
    let count = items.len();
    story.check(&format!("{count} of 20, all of sh01"), all_own && (1..20).contains(&count));
    let counts = ["total", "next"].iter().any(|name| json.get(name).is_some());
    story.check("no total, no next page", !counts);
    Ok(())
}

async fn orders_of_other_branches_are_empty(story: &mut Story<'_>) -> Result<(), Trouble> {
    let with_orders = |first: u64| {
        let ids = (first..).step_by(6).take(300);
        ids.into_iter()
            .find(|id| !crate::demo::orders::orders(&people::customer(id - FIRST_ID)).is_empty())
    };
    let own = with_orders(FIRST_ID).unwrap_or(FIRST_ID);
    let foreign = with_orders(FIRST_ID + 1).unwrap_or(FIRST_ID);
    let seen = story.ask(get(&format!("/api/customers/{own}/orders"))).await?;
    let phones_masked = seen.json().as_array().is_some_and(|orders| {
        let masked = |order| text_at(order, "/ship_to/phone").contains('*');
        !orders.is_empty() && orders.iter().all(masked)
    });
    story.check("her branch: orders, the recipient's phone masked", phones_masked);
    let hidden = story.ask(get(&format!("/api/customers/{foreign}/orders"))).await?;
    let missing = story.ask(get("/api/customers/999999/orders")).await?;
    story.check("another branch: none", hidden.json().as_array().is_some_and(Vec::is_empty));
    story.check("as for a customer who does not exist", hidden.body == missing.body);
    Ok(())
}
