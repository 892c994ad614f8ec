//! Programs that call: bearer tokens, and every way to forge one that fits in a step.

use std::io;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::door::{Door, Protocol, Trouble, text_at};
use super::story::{Ask, Story};
use crate::demo::stage::BACKEND_NAME;
use crate::demo::tokens::{TokenSigner, claims, without_signature};

pub(super) async fn play(story: &mut Story<'_>) -> io::Result<()> {
    story
        .step(
            "A partner's program reads orders with its token",
            "It gets what it delivers by: the address, the phone masked, no amounts, no accounts.",
            a_good_token_reads_orders,
        )
        .await?;
    story
        .step(
            "Forged and stale tokens are refused, all in the same words",
            "The issuer, its key and that key's algorithm are pinned; nothing in a token chooses them.",
            bad_tokens_are_refused,
        )
        .await?;
    story
        .step(
            "A token and a cookie on one request are refused",
            "Two credentials are a confusion, or an attack.",
            two_credentials_are_refused,
        )
        .await?;
    story
        .step(
            "Whoever reaches the backend past the gate is told nothing",
            "Each request of the gate says who asks, signed for a minute; the backend checks it with public keys.",
            past_the_gate_nothing_is_told,
        )
        .await
}

const ORDERS: &str = "/api/customers/1002/orders";

fn changed(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    if let Some(object) = claims.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
    claims
}

async fn a_good_token_reads_orders(story: &mut Story<'_>) -> Result<(), Trouble> {
    let token = story.stage.signer().sign(&claims(story.stage.clock().unix_s(), 300));
    let ask = Ask::get(ORDERS).purpose("service").bearer(token.clone(), "with a good token");
    let answer = story.ask(ask).await?;
    story.check("200", answer.status == StatusCode::OK);
    let orders = answer.json().as_array().cloned().unwrap_or_default();
    let order = orders.first().cloned().unwrap_or_default();
    let phone = text_at(&order, "/ship_to/phone");
    let street = text_at(&order, "/ship_to/street");
    story.check(
        "street in clear, phone masked",
        !street.is_empty() && !street.contains('*') && phone.contains('*'),
    );
    story.check(
        "no amounts, no articles",
        order.get("amount").is_none() && order.get("lines").is_none(),
    );
    let customer = Ask::get("/api/customers/1002").purpose("service");
    let customer = story.ask(customer.bearer(token, "with the same token")).await?;
    story.check(
        "the customer's record is not the partner's",
        customer.status == StatusCode::FORBIDDEN,
    );
    Ok(())
}

async fn bad_tokens_are_refused(story: &mut Story<'_>) -> Result<(), Trouble> {
    let before = story.hits();
    let now_s = story.stage.clock().unix_s();
    let (good, signer) = (claims(now_s, 300), story.stage.signer());
    let tokens = [
        (without_signature(&good), "alg `none`"),
        (signer.sign(&claims(now_s - 7_200, 3_600)), "expired an hour ago"),
        (TokenSigner::generate()?.sign(&good), "signed with another key of the same name"),
        (signer.sign(&changed(&good, "aud", json!("another.example"))), "for another audience"),
        (signer.sign(&changed(&good, "iss", json!("https://evil.example"))), "of another issuer"),
    ];
    let mut shapes = Vec::new();
    for (token, remark) in tokens {
        let answer = story.ask(Ask::get(ORDERS).purpose("service").bearer(token, remark)).await?;
        story.check("401", answer.status == StatusCode::UNAUTHORIZED);
        shapes.push(answer.shape());
    }
    shapes.dedup();
    story.check("the answers tell nothing apart", shapes.len() == 1);
    story.check("the backend was not asked", story.hits() == before);
    Ok(())
}

async fn two_credentials_are_refused(story: &mut Story<'_>) -> Result<(), Trouble> {
    let token = story.stage.signer().sign(&claims(story.stage.clock().unix_s(), 300));
    let ask = Ask::get(ORDERS).by("li.na").purpose("service");
    let answer = story.ask(ask.bearer(token, "with a good token besides")).await?;
    story.check("401", answer.status == StatusCode::UNAUTHORIZED);
    Ok(())
}

async fn past_the_gate_nothing_is_told(story: &mut Story<'_>) -> Result<(), Trouble> {
    const CUSTOMER: &str = "/api/customers/1001";
    let authority = std::fs::read_to_string(story.stage.path().join("backend-ca.pem"))?;
    let door = Door::new(&authority, BACKEND_NAME, story.stage.tasks())?;
    let address = story.stage.backend().address();
    let own = story.stage.signer().sign(&claims(story.stage.clock().unix_s(), 300));
    for (header, value, remark) in [
        ("accept", "*/*", "without a word about who asks"),
        ("x-user", "li.na", "calling oneself Li Na"),
        ("menshen-assertion", own.as_str(), "with a token that the gate would take"),
    ] {
        let request = Request::get(CUSTOMER).header(header, value).body(Full::new(Bytes::new()))?;
        let answer = door.send(address, Protocol::Http1, request).await?;
        let asked = format!("GET {CUSTOMER}  (at the backend itself, {remark})");
        story.note(&asked, &format!("{} {}", answer.status.as_u16(), answer.text()));
        story.check("401", answer.status == StatusCode::UNAUTHORIZED);
    }
    let keys = story.ask(Ask::get("/.menshen/jwks.json")).await?;
    let count = keys.json().pointer("/keys").and_then(Value::as_array).map_or(0, Vec::len);
    story.check("the gate publishes the keys to check it by", count == 3);
    Ok(())
}
