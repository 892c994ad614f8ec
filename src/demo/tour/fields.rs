//! What is seen: field by field, masked or in clear, for a purpose, over every protocol.

use std::io;

use http::{StatusCode, Version};
use serde_json::json;

use super::door::{Answer, Protocol, Trouble};
use super::story::{Ask, Story, password_of};
use crate::demo::passkey::Passkey;
use crate::demo::people::{self, FIRST_ID};

pub(super) async fn play(story: &mut Story<'_>) -> io::Result<()> {
    story
        .step(
            "A teller reads a customer of her branch, masked",
            "Each field passes only as a rule says; what no rule names is absent, in headers too.",
            a_teller_reads_masked,
        )
        .await?;
    story.step("The same over HTTP/2", "A protocol is no way round.", the_same_over_http2).await?;
    story
        .step(
            "A supervisor sees a telephone number only after the code, and is told so",
            "A grade asks for a factor that is strong and fresh; till then the field falls back to its mask.",
            a_grade_asks_for_a_factor,
        )
        .await?;
    story
        .step(
            "Password, code and passkey: each of the three levels shows more",
            "The secret grade takes a key that checks who holds it, and for five minutes only.",
            each_level_shows_more,
        )
        .await?;
    story
        .step(
            "No purpose, no data",
            "Data are held for a purpose; it is declared from a closed list and stands in the log.",
            no_purpose_no_data,
        )
        .await?;
    story
        .step(
            "What nobody published does not exist",
            "An endpoint or parameter that the backend has, but no policy names, is closed by default.",
            what_is_not_declared_is_refused,
        )
        .await?;
    story
        .step(
            "A masked field can be neither searched nor sorted by",
            "Else a caller could guess it, digit by digit.",
            a_masked_field_answers_no_question,
        )
        .await
}

fn view(id: u64) -> Ask {
    Ask::get(format!("/api/customers/{id}")).purpose("service")
}

async fn a_teller_reads_masked(story: &mut Story<'_>) -> Result<(), Trouble> {
    let known = people::customer(0);
    let answer = story.ask(view(known.id).by("li.na")).await?;
    let (seen, text) = (answer.json(), answer.text());
    story.check("the name is in clear", answer.at("/name") == known.name);
    let phone = answer.at("/phone");
    let is_masked = phone.contains("****") && !text.contains(&known.phone);
    story.check(&format!("the phone is masked: {phone}"), is_masked);
    story.check(
        "the identity number is masked",
        is_hidden(&answer.at("/id_number"), &known.id_number),
    );
    for field in ["password_hash", "internal_score", "note", "cards"] {
        story.check(&format!("`{field}` is absent"), seen.get(field).is_none());
    }
    let leaks = leaking_headers(&answer, &known.phone);
    story.check("no header of the backend gives the phone away", !leaks);
    Ok(())
}

fn is_hidden(shown: &str, known: &str) -> bool {
    shown.contains('*') && shown != known
}

fn leaking_headers(answer: &Answer, phone: &str) -> bool {
    let holds =
        |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).contains(phone);
    answer.headers.values().any(holds) || answer.headers.contains_key("etag")
}

async fn the_same_over_http2(story: &mut Story<'_>) -> Result<(), Trouble> {
    let ask = view(FIRST_ID).by("li.na");
    let one = story.ask(ask.clone()).await?;
    let two = story.ask(ask.over(Protocol::Http2)).await?;
    story.check("HTTP/2 was spoken", two.version == Version::HTTP_2);
    story.check("equal to the byte", two.status == StatusCode::OK && one.body == two.body);
    Ok(())
}

async fn a_grade_asks_for_a_factor(story: &mut Story<'_>) -> Result<(), Trouble> {
    let known = people::customer(0);
    let ask = view(known.id).by("zhao.lei").purpose("complaint");
    story.sign_in("zhao.lei", false).await?;
    let before = story.ask(ask.clone().remark("signed in with a password")).await?;
    story.check("the phone is masked", is_hidden(&before.at("/phone"), &known.phone));
    let told = before.header("menshen-step-up");
    let names_it = told.contains("acr_values=\"2\"") && told.contains("customer.phone");
    story.check("`Menshen-Step-Up` says what would show it", names_it);
    let code = story.code_of("zhao.lei")?;
    story.code("zhao.lei", &code, "with the code of the app").await?;
    let after = story.ask(ask).await?;
    story.check("now it is in clear", after.at("/phone") == known.phone);
    story.check(
        "the password hash is not, for anybody",
        after.json().get("password_hash").is_none(),
    );
    Ok(())
}

async fn each_level_shows_more(story: &mut Story<'_>) -> Result<(), Trouble> {
    const WHO: &str = "zhao.lei at a third desk";
    let known = people::customer(0);
    let ask = view(known.id).by(WHO).purpose("risk");
    story.stage.clock().advance_ms(30_000);
    story.password(WHO, "zhao.lei", password_of("zhao.lei"), "with the password").await?;
    let one = story.ask(ask.clone()).await?;
    story.check("level 1: the name", one.at("/name") == known.name);
    story.check("the phone is masked", is_hidden(&one.at("/phone"), &known.phone));
    story.check("so is the identity number", is_hidden(&one.at("/id_number"), &known.id_number));
    let code = story.code_of("zhao.lei")?;
    story.code(WHO, &code, "with the code of the app").await?;
    let two = story.ask(ask.clone()).await?;
    story.check("level 2: the phone too", two.at("/phone") == known.phone);
    let is_masked = is_hidden(&two.at("/id_number"), &known.id_number);
    story.check("the identity number is masked", is_masked);
    let mut key = Passkey::new(story.stage.host())?;
    let made = story.passkey(WHO, "register", &mut key, "a passkey, with the code fresh").await?;
    story.check("it will give level 3", made.json().get("assurance") == Some(&json!(3)));
    story.passkey(WHO, "raise", &mut key, "by the passkey").await?;
    let three = story.ask(ask.clone()).await?;
    story.check("level 3: the identity number", three.at("/id_number") == known.id_number);
    story.stage.clock().advance_ms(301_000);
    let later = story.ask(ask.remark("five minutes later")).await?;
    story.check("then masked again", is_hidden(&later.at("/id_number"), &known.id_number));
    Ok(())
}

async fn no_purpose_no_data(story: &mut Story<'_>) -> Result<(), Trouble> {
    let before = story.hits();
    let none = story.ask(Ask::get(format!("/api/customers/{FIRST_ID}")).by("li.na")).await?;
    story.check("403", none.status == StatusCode::FORBIDDEN);
    story.check("the purposes that would do are named", none.text().contains("complaint, service"));
    let other = story.ask(view(FIRST_ID).purpose("curiosity").by("li.na")).await?;
    story.check("one that is not on the list is refused", other.status == StatusCode::FORBIDDEN);
    story.check("the backend was not asked", story.hits() == before);
    Ok(())
}

async fn what_is_not_declared_is_refused(story: &mut Story<'_>) -> Result<(), Trouble> {
    let before = story.hits();
    let path = story.ask(Ask::get("/api/staff").by("li.na").purpose("service")).await?;
    story.check("the path: 404", path.status == StatusCode::NOT_FOUND);
    let parameter = format!("/api/customers/{FIRST_ID}?fields=all");
    let parameter = story.ask(Ask::get(parameter).by("li.na").purpose("service")).await?;
    story.check("the parameter: 400", parameter.status == StatusCode::BAD_REQUEST);
    let repeat = Ask::get("/api/customers/export?repeat=9").by("zhao.lei").purpose("risk");
    let repeat = story.ask(repeat).await?;
    story.check("one that the backend obeys: 400", repeat.status == StatusCode::BAD_REQUEST);
    story.check("the backend was not asked", story.hits() == before);
    Ok(())
}

async fn a_masked_field_answers_no_question(story: &mut Story<'_>) -> Result<(), Trouble> {
    let before = story.hits();
    let search = format!("/api/customers?phone={}", people::customer(0).phone);
    for path in [search.as_str(), "/api/customers?sort=phone", "/api/customers?sort=-phone"] {
        let answer = story.ask(Ask::get(path).by("li.na").purpose("service")).await?;
        story.check("403", answer.status == StatusCode::FORBIDDEN);
    }
    story.check("the backend was not asked", story.hits() == before);
    let name = story
        .ask(Ask::get("/api/customers?sort=name&per_page=1").by("li.na").purpose("service"))
        .await?;
    story.check("by what she sees in clear she may", name.status == StatusCode::OK);
    Ok(())
}
